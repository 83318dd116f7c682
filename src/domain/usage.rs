//! When each key was last used: collected in memory, written at most a second apart and at shutdown.
//!
//! Invariant: a use is written once the next flush succeeds, and a flush that fails loses nothing; times only move forward.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::store::{Error, Tx};
use crate::types::id::ApiKeyId;
use crate::types::time::Timestamp;

/// Keys written in one transaction.
const MOST_IN_BATCH: usize = 256;

#[derive(Default)]
pub struct Usage {
    waiting: Mutex<HashMap<ApiKeyId, Timestamp>>,
}

impl Usage {
    pub fn note(&self, key: ApiKeyId, now: Timestamp) {
        let mut waiting = self.lock();
        let last = waiting.entry(key).or_insert(now);
        *last = now.max(*last);
    }

    /// Some of what waits; give it back with [`Usage::put_back`] if it could not be written.
    pub fn take(&self) -> Vec<(ApiKeyId, Timestamp)> {
        let mut waiting = self.lock();
        let keys: Vec<ApiKeyId> = waiting.keys().take(MOST_IN_BATCH).copied().collect();
        keys.into_iter().filter_map(|key| waiting.remove_entry(&key)).collect()
    }

    pub fn put_back(&self, uses: Vec<(ApiKeyId, Timestamp)>) {
        for (key, at) in uses {
            self.note(key, at);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ApiKeyId, Timestamp>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub fn record(tx: &mut Tx, uses: &[(ApiKeyId, Timestamp)]) -> Result<(), Error> {
    uses.iter().try_for_each(|(key, at)| tx.record_api_key_use(*key, *at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_flush_loses_nothing_and_times_only_move_forward() {
        let (usage, key) = (Usage::default(), ApiKeyId::generate(Timestamp::from_millis(0)));
        usage.note(key, Timestamp::from_millis(5));
        let taken = usage.take();
        usage.note(key, Timestamp::from_millis(9));
        usage.put_back(taken);
        usage.note(key, Timestamp::from_millis(7));
        assert_eq!(usage.take(), [(key, Timestamp::from_millis(9))]);
        assert!(usage.take().is_empty());
    }
}
