//! What a command was asked for, on standard output.
//!
//! Invariant: a command whose answer cannot be written fails and says so; it does not panic. Where the answer held a secret
//! that is shown once, it says what to do about that.

use std::fmt::Display;
use std::io::Write;

use super::Failure;

/// The text as it is: it brings its line feeds.
pub(super) fn print(text: impl Display) -> Result<(), Failure> {
    write(text).map_err(|error| format!("cannot write to standard output: {error}").into())
}

/// With `remedy`, the sentence for somebody who never saw what was made.
pub(super) fn print_once(text: impl Display, remedy: &str) -> Result<(), Failure> {
    write(text).map_err(|error| {
        format!(
            "it is done, but cannot be shown: cannot write to standard output: {error}. {remedy}"
        )
        .into()
    })
}

pub(super) fn write(text: impl Display) -> std::io::Result<()> {
    let mut output = std::io::stdout().lock();
    output.write_all(text.to_string().as_bytes())?;
    output.flush()
}
