//! `[logs]`: what is written to standard error.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One line for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Logs {
    /// `text` or `json`.
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug` or a filter such as `info,countersign=debug`.
    pub level: String,
    /// Bytes of lines that wait when the log is written or read too slowly. When it is full lines are dropped, the least
    /// important first.
    pub buffer_bytes: usize,
}

impl Default for Logs {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            level: "info,actix_server=warn".to_owned(),
            buffer_bytes: 4 * 1024 * 1024,
        }
    }
}
