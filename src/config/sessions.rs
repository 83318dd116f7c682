//! `[sessions]`: how long a person stays signed in, and how many sign-ins may fail.

use serde::{Deserialize, Serialize};

use super::limits::Rate;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sessions {
    /// Seconds without a request after which a session ends.
    pub idle_seconds: i64,
    /// Seconds after which a session ends in any case.
    pub absolute_seconds: i64,
    /// Failed sign-ins of one address; behind that, each account is tried once from there. Counted per address, so that nobody can
    /// lock somebody else out.
    pub failures_per_address: Rate,
    /// Failed sign-ins at one account, of one address or in one browser that the account knows.
    pub failures_per_account: Rate,
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            idle_seconds: 2 * 60 * 60,
            absolute_seconds: 24 * 60 * 60,
            failures_per_address: Rate {
                quota: 30,
                window_seconds: 15 * 60,
            },
            failures_per_account: Rate {
                quota: 5,
                window_seconds: 15 * 60,
            },
        }
    }
}
