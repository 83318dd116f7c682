//! Logs and metrics: what the operator sees. Field names live here; secrets never come here.

pub mod database;
mod log_queue;
mod log_record;
mod log_writer;
pub mod logs;
pub mod metrics;
pub mod process;
