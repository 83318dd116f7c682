//! Structured logs on standard error. Standard output belongs to what the user asked for.
//!
//! Invariant: whoever logs never waits, fails or panics because of the log. What it logs goes to a bounded queue
//! (`log_queue.rs`); a thread of its own makes lines of it and writes them to standard error (`log_writer.rs`).

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{IsTerminal, Write};
use std::panic::PanicHookInfo;
use std::sync::OnceLock;
use std::time::Duration;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use super::log_queue::{Counts, Queue};
use super::log_record::{ERROR, LEVELS, Record, Style};
use super::log_writer::{self, NOTES};
use crate::types::time::Clock;

/// How long the end of the process waits for the log.
const FLUSHED_WITHIN: Duration = Duration::from_secs(1);

/// A process has one standard error, and one log.
static LOG: OnceLock<Log> = OnceLock::new();

struct Log {
    queue: &'static Queue,
    style: Style,
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
    let style = match is_json {
        true => Style::Json,
        false if std::io::stderr().is_terminal() => Style::Coloured,
        false => Style::Text,
    };
    // as old as the process when it ends
    let queue: &'static Queue = Box::leak(Box::new(Queue::new(buffer_bytes)));
    std::thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || log_writer::run(queue, &std::io::stderr(), style))
        .map_err(StartError::Thread)?;
    LOG.get_or_init(|| Log { queue, style });
    std::panic::set_hook(Box::new(log_panic));
    // somebody else may have set one first: it stays
    let lines = tracing_subscriber::registry().with(filter);
    drop(lines.with(ToQueue(queue)).try_init());
    Ok(())
}

/// Why the process ends: through the log where there is one, so that it waits for nobody, and as plain text but in a log of
/// JSON.
pub fn say(text: &str) {
    match LOG.get() {
        Some(log) if log.style == Style::Json && tracing::enabled!(Level::ERROR) => {
            tracing::error!("{text}");
        }
        Some(log) => log.queue.push(Record::plain(ERROR, text)),
        // nobody can be told that this failed
        None => drop(writeln!(std::io::stderr(), "{text}")),
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

/// Hands each event to the queue.
struct ToQueue(&'static Queue);

impl<S: Subscriber> Layer<S> for ToQueue {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let record = Record::of(event, Clock::System.now());
        if event.metadata().target() == NOTES {
            self.0.push_note(record);
        } else {
            self.0.push(record);
        }
    }
}
