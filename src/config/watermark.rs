//! `[watermark]`: what stamping one PDF may cost.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Watermark {
    /// The largest accepted PDF, in bytes.
    pub max_input_bytes: u64,
    /// The largest number of pages.
    pub max_pages: u32,
    /// Memory of the process that stamps, in bytes.
    pub memory_bytes: u64,
    /// Processor seconds of the process that stamps.
    pub cpu_seconds: u64,
    /// Seconds until it is stopped in any case.
    pub wall_seconds: u64,
    /// PDFs stamped at once; others wait.
    pub concurrency: usize,
}

impl Default for Watermark {
    fn default() -> Self {
        Self {
            max_input_bytes: 50 * 1024 * 1024,
            max_pages: 2_000,
            memory_bytes: 1024 * 1024 * 1024,
            cpu_seconds: 20,
            wall_seconds: 30,
            concurrency: 2,
        }
    }
}
