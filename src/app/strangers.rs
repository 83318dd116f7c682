//! Budgets for what strangers provoke: look-ups of unknown credentials, and guesses at a client's secret.

use std::net::IpAddr;

use super::App;
use crate::crypto::digest::{Digest, Purpose};
use crate::crypto::password::network;
use crate::domain::decision::limiter::{Quota, Taken};
use crate::types::time::Timestamp;

/// The outcome of comparing a client's secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof<I> {
    Proven(I),
    Wrong,
    Throttled { retry_after_seconds: i64 },
}

impl App {
    /// The budget that a look-up is charged to, when a stranger can provoke it: `Err` tells how many seconds that address has
    /// to wait.
    pub fn admit_stranger(&self, address: IpAddr, now: Timestamp) -> Result<Quota, i64> {
        let rate = self.config.limits.unknown_credentials;
        let budget = Quota::new("unknown_credentials", network(address).to_string(), rate);
        if self.limiter.is_free(&budget.subject, &budget, now) {
            Ok(budget)
        } else {
            Err(budget.rate.window_seconds)
        }
    }

    /// The look-up found nobody: it counts.
    pub fn count_stranger(&self, budget: Quota, now: Timestamp) {
        let owner = budget.subject.clone();
        let _: Taken = self.limiter.take(&owner, &[budget], now);
    }

    /// Which of the `live` secrets `secret` is. Failures are counted per client and address, before the comparison: what
    /// is over the limit learns nothing.
    pub fn proves<'d, I>(
        &self,
        client: &str,
        secret: &str,
        live: impl IntoIterator<Item = (I, &'d Digest)>,
        address: IpAddr,
        now: Timestamp,
    ) -> Proof<I> {
        let rate = self.config.limits.client_failures;
        let failures = Quota::new(
            "client_failures",
            format!("{client} {}", network(address)),
            rate,
        );
        if !self.limiter.is_free(client, &failures, now) {
            return Proof::Throttled {
                retry_after_seconds: rate.window_seconds,
            };
        }
        let matches = |(_, digest): &(I, &Digest)| {
            self.digester.matches(Purpose::ClientSecret, secret, digest)
        };
        if let Some((which, _)) = live.into_iter().find(matches) {
            return Proof::Proven(which);
        }
        let _: Taken = self.limiter.take(client, &[failures], now);
        Proof::Wrong
    }
}
