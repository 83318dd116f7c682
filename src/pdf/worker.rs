//! The child process: one document in, one answer out, under limits that it sets on itself before it reads.
//!
//! It inherits no environment but the two limits, opens no file and writes nothing but its answer.

use std::io;
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, setrlimit};

use super::limits::Limits;
use super::mark::Mark;
use super::refusal::Refusal;
use super::stamp::stamp;
use super::wire::{Job, write_answer};

pub(super) const MEMORY_BYTES: &str = "COUNTERSIGN_STAMP_MEMORY_BYTES";
pub(super) const CPU_SECONDS: &str = "COUNTERSIGN_STAMP_CPU_SECONDS";

/// `countersign stamp-worker`. Fails without an answer when it cannot set its limits or read the job.
pub fn worker_main() -> ExitCode {
    match limit_self().and_then(|()| answer_job()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn limit_self() -> io::Result<()> {
    let defaults = Limits::default();
    limit(
        Resource::As,
        from_environment(MEMORY_BYTES, defaults.memory_bytes),
    )?;
    limit(
        Resource::Cpu,
        from_environment(CPU_SECONDS, defaults.cpu_seconds),
    )?;
    limit(Resource::Fsize, 0)?;
    limit(Resource::Core, 0)
}

fn limit(resource: Resource, most: u64) -> io::Result<()> {
    Ok(setrlimit(
        resource,
        Rlimit {
            current: Some(most),
            maximum: Some(most),
        },
    )?)
}

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

fn answer_job() -> io::Result<()> {
    let Job {
        mark,
        max_pages,
        input,
    } = Job::read(&mut io::stdin().lock())?;
    let mark = Mark { text: mark };
    // a panic in the parser is a file that nobody should trust, and no reason for a stack trace in the log
    let answer = std::panic::catch_unwind(|| stamp(&input, &mark, max_pages))
        .unwrap_or_else(|_| Err(Refusal::Damaged("it cannot be read".to_owned())));
    write_answer(&mut io::stdout().lock(), &answer)
}
