//! When keys, client secrets and applications were last used: collected in memory, written at most a second apart and at
//! shutdown.
//!
//! Invariant: a use is written once the next flush succeeds, and a flush that fails loses nothing; times only move forward.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::store::{Error, Tx};
use crate::types::id::{ApiKeyId, ApiKeySecretId, ApplicationId, ClientSecretId, OperatorTokenId};
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

    /// Some of what waits; give it back with [`Usage::put_back`] if it could not be written.
    pub fn take(&self) -> Vec<(Used, Use)> {
        let mut waiting = self.lock();
        let some: Vec<Used> = waiting.keys().take(MOST_IN_BATCH).copied().collect();
        some.into_iter().filter_map(|used| waiting.remove_entry(&used)).collect()
    }

    pub fn put_back(&self, uses: Vec<(Used, Use)>) {
        for (used, this) in uses {
            let mut waiting = self.lock();
            let newer = waiting.entry(used).or_insert(this);
            if this.0 > newer.0 {
                *newer = this;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Used, Use>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub fn record(tx: &mut Tx, uses: &[(Used, Use)]) -> Result<(), Error> {
    uses.iter().try_for_each(|(used, (at, from))| match used {
        Used::ApiKey(id) => tx.record_api_key_use(*id, *at),
        Used::ApiKeySecret(id) => tx.record_api_key_secret_use(*id, *at, from.map(network_of).as_deref()),
        Used::ApplicationSecret(id) => tx.record_application_secret_use(*id, *at),
        Used::Application(id) => tx.record_application_use(*id, *at),
        Used::OperatorToken(id) => tx.record_operator_token_use(*id, *at),
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
    fn a_failed_flush_loses_nothing_and_times_only_move_forward() {
        let (usage, key) = (Usage::default(), Used::ApiKey(ApiKeyId::generate(Timestamp::from_millis(0))));
        usage.note(key, Timestamp::from_millis(5));
        let taken = usage.take();
        usage.note(key, Timestamp::from_millis(9));
        usage.put_back(taken);
        usage.note(key, Timestamp::from_millis(7));
        assert_eq!(usage.take(), [(key, (Timestamp::from_millis(9), None))]);
        assert!(usage.take().is_empty());
    }

    #[test]
    fn a_network_names_no_single_machine() {
        let network = |text: &str| network_of(text.parse().expect("an address"));
        assert_eq!(network("192.0.2.77"), "192.0.2.0/24");
        assert_eq!(network("::ffff:192.0.2.77"), "192.0.2.0/24");
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1::/48");
    }
}
