//! What one stamping may cost, and how many run at once.

/// Bounds of one stamping. The child process sets memory and processor time on itself before it reads a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Address space of the child process.
    pub memory_bytes: u64,
    /// Processor time of the child process.
    pub cpu_seconds: u64,
    /// Time from the start of the child process to its answer, and the longest wait for a turn.
    pub wall_seconds: u64,
    pub max_pages: u32,
    pub max_input_bytes: u64,
    pub max_output_bytes: u64,
    /// Child processes at the same time; four times as many requests may wait, the next one is told "busy".
    pub concurrency: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            memory_bytes: 512 << 20,
            cpu_seconds: 10,
            wall_seconds: 20,
            max_pages: 2_000,
            max_input_bytes: 32 << 20,
            max_output_bytes: 64 << 20,
            concurrency: 2,
        }
    }
}
