//! When keys, client secrets and applications were last used: collected in memory, written at most a second apart and at
//! shutdown.
//!
//! Invariant: a use is written once the next flush succeeds, and a flush that fails loses nothing; times only move forward.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::store::{Error, Tx};
use crate::types::id::{ApiKeyId, ApplicationId, ClientSecretId, OperatorTokenId};
use crate::types::time::Timestamp;

/// Rows written in one transaction.
const MOST_IN_BATCH: usize = 256;

/// What was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Used {
    ApiKey(ApiKeyId),
    ApplicationSecret(ClientSecretId),
    Application(ApplicationId),
    OperatorToken(OperatorTokenId),
}

#[derive(Default)]
pub struct Usage {
    waiting: Mutex<HashMap<Used, Timestamp>>,
}

impl Usage {
    pub fn note(&self, used: Used, now: Timestamp) {
        let mut waiting = self.lock();
        let last = waiting.entry(used).or_insert(now);
        *last = now.max(*last);
    }

    /// Some of what waits; give it back with [`Usage::put_back`] if it could not be written.
    pub fn take(&self) -> Vec<(Used, Timestamp)> {
        let mut waiting = self.lock();
        let some: Vec<Used> = waiting.keys().take(MOST_IN_BATCH).copied().collect();
        some.into_iter().filter_map(|used| waiting.remove_entry(&used)).collect()
    }

    pub fn put_back(&self, uses: Vec<(Used, Timestamp)>) {
        for (used, at) in uses {
            self.note(used, at);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Used, Timestamp>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub fn record(tx: &mut Tx, uses: &[(Used, Timestamp)]) -> Result<(), Error> {
    uses.iter().try_for_each(|(used, at)| match used {
        Used::ApiKey(id) => tx.record_api_key_use(*id, *at),
        Used::ApplicationSecret(id) => tx.record_application_secret_use(*id, *at),
        Used::Application(id) => tx.record_application_use(*id, *at),
        Used::OperatorToken(id) => tx.record_operator_token_use(*id, *at),
    })
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
        assert_eq!(usage.take(), [(key, Timestamp::from_millis(9))]);
        assert!(usage.take().is_empty());
    }
}
