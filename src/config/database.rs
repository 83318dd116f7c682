//! `[database]`: where the data is.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Database {
    /// `sqlite:PATH` or `postgres://USER:PASSWORD@HOST/DATABASE`.
    pub url: String,
    /// Database threads that read, each with a connection of its own. PostgreSQL: as many again that write; SQLite: one writer.
    pub connections: usize,
    /// A request waits at most so many seconds for the database, its queue included; then it is answered 503. 1 to 60.
    pub timeout_seconds: u64,
}

impl Default for Database {
    fn default() -> Self {
        Self {
            url: "sqlite:countersign-data/countersign.db".to_owned(),
            connections: 4,
            timeout_seconds: 5,
        }
    }
}
