//! Logs and metrics: what the operator sees. Field names live here; secrets never come here.

pub mod logs;
pub mod metrics;
pub mod process;
