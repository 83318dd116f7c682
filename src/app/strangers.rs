//! Budgets for what strangers provoke: look-ups of unknown credentials, and guesses at a client's secret.
//!
//! Invariant: a generated secret is compared first, and only wrong ones are counted. So a right one is never refused because of
//! wrong ones, whoever sent those: it has at least 160 random bits, and cannot be guessed.

use std::net::IpAddr;

use super::App;
use crate::crypto::digest::{Digest, Purpose};
use crate::crypto::password::network;
use crate::domain::decision::limiter::{Quota, Taken};
use crate::types::time::Timestamp;

/// What the holder of a paused secret reads.
pub const PAUSED: &str = "This secret is paused, since the database was restored from a backup. The operator lifts that: `countersign restored list` \
     names what is paused, `countersign restored resume` lifts it.";

/// The outcome of comparing a client's secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof<I> {
    Proven(I),
    /// It is right, and paused since the database was restored.
    Paused,
    Wrong,
    Throttled {
        retry_after_seconds: i64,
    },
}

impl App {
    /// What was presented is nobody's: it counts for the address it came from. `Err`: that one has shown too many, and
    /// has to wait for so many seconds.
    pub fn count_unknown(&self, address: IpAddr, now: Timestamp) -> Result<(), i64> {
        let rate = self.config.limits.unknown_credentials;
        let network = network(address).to_string();
        let budget = Quota::new("unknown_credentials", network.as_str(), rate);
        self.count(&network, budget, now)
    }

    fn count(&self, owner: &str, budget: Quota, now: Timestamp) -> Result<(), i64> {
        let window = budget.rate.window_seconds;
        match self.limiter.take(owner, &[budget], now) {
            Taken::All(_) => Ok(()),
            Taken::None {
                retry_after_seconds,
                ..
            } => Err(retry_after_seconds.unwrap_or(window)),
        }
    }

    /// Which of the `live` secrets `secret` is. Wrong ones are counted per client and address.
    pub fn proves<'d, I>(
        &self,
        client: &str,
        secret: &str,
        live: impl IntoIterator<Item = (I, &'d Digest)>,
        address: IpAddr,
        now: Timestamp,
    ) -> Proof<I> {
        let mut is_paused = false;
        for (which, digest) in live {
            let purpose = Purpose::ClientSecret;
            if self.digester.matches(purpose, secret, digest) {
                return Proof::Proven(which);
            }
            is_paused |= self.digester.matches_paused(purpose, secret, digest);
        }
        if is_paused {
            return Proof::Paused;
        }
        let rate = self.config.limits.client_failures;
        let failures = Quota::new(
            "client_failures",
            format!("{client} {}", network(address)),
            rate,
        );
        match self.count(client, failures, now) {
            Ok(()) => Proof::Wrong,
            Err(retry_after_seconds) => Proof::Throttled {
                retry_after_seconds,
            },
        }
    }
}
