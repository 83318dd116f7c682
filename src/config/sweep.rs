//! `[sweep]`: what has expired leaves the database.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sweep {
    /// Off: the tables grow for ever, unless something else empties them.
    pub enabled: bool,
    /// Seconds between two rounds.
    pub every_seconds: u64,
    /// Rows of one kind that one transaction removes at most.
    pub batch_rows: i64,
    /// Seconds for which what has ended is kept: an expired token is still called expired, a revoked one still has its reason.
    pub keep_seconds: i64,
}

impl Default for Sweep {
    fn default() -> Self {
        Self {
            enabled: true,
            every_seconds: 60,
            batch_rows: 500,
            keep_seconds: 24 * 60 * 60,
        }
    }
}
