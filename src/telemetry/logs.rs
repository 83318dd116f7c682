//! Structured logs on standard error. Standard output belongs to what the user asked for.
//!
//! Invariant: whoever logs never waits, fails or panics because of the log. Lines go to a bounded queue
//! ([`super::log_queue`]) and from there, by a thread of its own ([`super::log_writer`]), to standard error.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{IsTerminal, Write};
use std::panic::PanicHookInfo;
use std::sync::OnceLock;
use std::time::Duration;

use tracing::{Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;

use super::log_queue::{Counts, ERROR, LEVELS, Queue, place};
use super::log_writer::{self, NOTES};

/// How long the end of the process waits for the log.
const FLUSHED_WITHIN: Duration = Duration::from_secs(1);

/// A process has one standard error, and one log.
static LOG: OnceLock<Log> = OnceLock::new();

struct Log {
    queue: &'static Queue,
    is_json: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The level's text is not a filter.
    #[error("[logs] level: {0}")]
    Filter(String),
    #[error("cannot start the thread that writes the log: {0}")]
    Thread(std::io::Error),
}

/// Starts logging once for the process; later calls keep the first. At most `buffer_bytes` wait to be written.
pub fn start(level: &str, is_json: bool, buffer_bytes: usize) -> Result<(), StartError> {
    let filter =
        EnvFilter::try_new(level).map_err(|error| StartError::Filter(error.to_string()))?;
    if LOG.get().is_some() {
        return Ok(());
    }
    // as old as the process when it ends
    let queue: &'static Queue = Box::leak(Box::new(Queue::new(buffer_bytes)));
    std::thread::Builder::new()
        .name("log".to_owned())
        .spawn(|| log_writer::run(queue, &std::io::stderr()))
        .map_err(StartError::Thread)?;
    LOG.get_or_init(|| Log { queue, is_json });
    std::panic::set_hook(Box::new(log_panic));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(ToQueue(queue))
        .log_internal_errors(false)
        .with_target(false);
    let started = if is_json {
        builder.json().flatten_event(true).finish().try_init()
    } else {
        builder
            .with_ansi(std::io::stderr().is_terminal())
            .finish()
            .try_init()
    };
    drop(started);
    Ok(())
}

/// Why the process ends: through the log where there is one, so that it waits for nobody, and as plain text but in a log of
/// JSON.
pub fn say(text: &str) {
    let line = format!("{text}\n");
    match LOG.get() {
        Some(log) if log.is_json && tracing::enabled!(Level::ERROR) => tracing::error!("{text}"),
        Some(log) => log.queue.push(ERROR, line.as_bytes()),
        // nobody can be told that this failed
        None => drop(std::io::stderr().write_all(line.as_bytes())),
    }
}

/// The end of the process: gives the log a second for what is not written yet.
pub fn flush() {
    if let Some(log) = LOG.get() {
        log.queue.flush(FLUSHED_WITHIN);
    }
}

/// Lines that this process dropped, by the name of their level.
pub fn dropped() -> impl Iterator<Item = (&'static str, u64)> {
    let counts = LOG
        .get()
        .map_or_else(Counts::default, |log| log.queue.dropped());
    LEVELS.into_iter().zip(counts)
}

/// The standard library's own would write to standard error itself, and wait for whoever reads it.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let payload = panic.payload();
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let text = text.unwrap_or("without a message");
    let location = panic.location().map(ToString::to_string);
    let thread = std::thread::current();
    let (thread, location) = (thread.name().unwrap_or("unnamed"), location.as_deref());
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        tracing::error!(thread, location, %backtrace, "Panicked: {text}");
    } else {
        tracing::error!(thread, location, "Panicked: {text}");
    }
}

#[derive(Clone, Copy)]
struct ToQueue(&'static Queue);

/// One line on its way to the queue.
struct Line {
    queue: &'static Queue,
    level: usize,
    is_note: bool,
}

impl<'a> MakeWriter<'a> for ToQueue {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line {
            queue: self.0,
            level: ERROR,
            is_note: false,
        }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Line {
        Line {
            queue: self.0,
            level: place(metadata.level()),
            is_note: metadata.target() == NOTES,
        }
    }
}

impl Write for Line {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        if self.is_note {
            self.queue.push_note(self.level, text);
        } else {
            self.queue.push(self.level, text);
        }
        Ok(text.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
