//! When keys, client secrets and applications were last used: collected in memory, written at most a second apart and at
//! shutdown.
//!
//! Invariant: a use is written once the next flush succeeds, and a flush that fails loses nothing; times only move forward.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::store::{Error, Tx};
use crate::types::id::{
    ApiKeyId, ApiKeySecretId, ApplicationId, ClientSecretId, ManagementTokenId, OperatorTokenId,
};
use crate::types::time::Timestamp;

/// Rows written in one transaction.
const MOST_IN_BATCH: usize = 256;

/// What was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Used {
    ApiKey(ApiKeyId),
    /// And from where.
    ApiKeySecret(ApiKeySecretId),
    ApplicationSecret(ClientSecretId),
    Application(ApplicationId),
    OperatorToken(OperatorTokenId),
    ManagementToken(ManagementTokenId),
}

/// The last time, and the address it came from, where that is told.
pub type Use = (Timestamp, Option<IpAddr>);

#[derive(Default)]
pub struct Usage {
    waiting: Mutex<HashMap<Used, Use>>,
}

impl Usage {
    pub fn note(&self, used: Used, now: Timestamp) {
        self.note_from(used, (now, None));
    }

    pub fn note_from(&self, used: Used, this: Use) {
        let mut waiting = self.lock();
        let last = waiting.entry(used).or_insert(this);
        if this.0 >= last.0 {
            *last = this;
        }
    }

    /// All that waits. What is not written waits again once the drain is dropped, whatever dropped it.
    pub fn drain(&self) -> Drain<'_> {
        let uses = std::mem::take(&mut *self.lock()).into_iter().collect();
        Drain { usage: self, uses }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Used, Use>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one flush writes.
pub struct Drain<'a> {
    usage: &'a Usage,
    uses: Vec<(Used, Use)>,
}

impl Drain<'_> {
    pub fn len(&self) -> usize {
        self.uses.len()
    }

    pub fn is_empty(&self) -> bool {
        self.uses.is_empty()
    }

    /// What one transaction writes next.
    pub fn batch(&self) -> Vec<(Used, Use)> {
        self.uses[self.uses.len().saturating_sub(MOST_IN_BATCH)..].to_vec()
    }

    /// The last batch is committed.
    pub fn written(&mut self, batch: usize) {
        self.uses.truncate(self.uses.len().saturating_sub(batch));
    }
}

impl Drop for Drain<'_> {
    fn drop(&mut self) {
        let mut waiting = self.usage.lock();
        for (used, this) in self.uses.drain(..) {
            let newer = waiting.entry(used).or_insert(this);
            if this.0 > newer.0 {
                *newer = this;
            }
        }
    }
}

pub fn record(tx: &mut Tx, uses: &[(Used, Use)]) -> Result<(), Error> {
    uses.iter().try_for_each(|(used, (at, from))| match used {
        Used::ApiKey(id) => tx.record_api_key_use(*id, *at),
        Used::ApiKeySecret(id) => {
            tx.record_api_key_secret_use(*id, *at, from.map(network_of).as_deref())
        }
        Used::ApplicationSecret(id) => tx.record_application_secret_use(*id, *at),
        Used::Application(id) => tx.record_application_use(*id, *at),
        Used::OperatorToken(id) => tx.record_operator_token_use(*id, *at),
        Used::ManagementToken(id) => tx.record_management_token_use(*id, *at),
    })
}

/// Enough to tell a data centre from an office, too little to tell a person: `192.0.2.0/24`, `2001:db8:1::/48`.
pub fn network_of(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => format!("{}/24", Ipv4Addr::from(u32::from(v4) & 0xFFFF_FF00)),
        IpAddr::V6(v6) => format!("{}/48", Ipv6Addr::from(u128::from(v6) & !((1 << 80) - 1))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flush_that_fails_or_is_aborted_loses_nothing_and_times_only_move_forward() {
        let (usage, key) = (
            Usage::default(),
            Used::ApiKey(ApiKeyId::generate(Timestamp::from_millis(0))),
        );
        usage.note(key, Timestamp::from_millis(5));
        let drain = usage.drain();
        usage.note(key, Timestamp::from_millis(9));
        drop(drain);
        usage.note(key, Timestamp::from_millis(7));
        let mut drain = usage.drain();
        assert_eq!(drain.batch(), [(key, (Timestamp::from_millis(9), None))]);
        drain.written(1);
        drop(drain);
        assert!(usage.drain().is_empty());
    }

    #[test]
    fn a_round_writes_what_waited_when_it_began_in_batches() {
        let usage = Usage::default();
        for at in 0..600 {
            usage.note(
                Used::ApiKey(ApiKeyId::generate(Timestamp::from_millis(at))),
                Timestamp::from_millis(at),
            );
        }
        let (mut drain, mut sizes) = (usage.drain(), Vec::new());
        while !drain.is_empty() {
            let batch = drain.batch();
            usage.note(batch[0].0, batch[0].1.0);
            drain.written(batch.len());
            sizes.push(batch.len());
        }
        assert_eq!(
            sizes,
            [256, 256, 88],
            "what is used meanwhile waits for the next round"
        );
        drop(drain);
        assert_eq!(usage.drain().len(), 3);
    }

    #[test]
    fn a_network_names_no_single_machine() {
        let network = |text: &str| network_of(text.parse().expect("an address"));
        assert_eq!(network("192.0.2.77"), "192.0.2.0/24");
        assert_eq!(network("::ffff:192.0.2.77"), "192.0.2.0/24");
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1::/48");
    }
}
