//! Structured logs on standard error. Standard output belongs to what the user asked for.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

/// The level's text is not a filter.
#[derive(Debug, thiserror::Error)]
#[error("[logs] level: {0}")]
pub struct WrongFilter(String);

/// Starts logging once for the process; later calls keep the first.
pub fn start(level: &str, json: bool) -> Result<(), WrongFilter> {
    let filter = EnvFilter::try_new(level).map_err(|error| WrongFilter(error.to_string()))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false);
    let started = if json {
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
