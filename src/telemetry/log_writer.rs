//! The thread that makes the lines of the log and writes them: the only one that waits for whoever reads it.
//!
//! Invariants: what cannot be written is tried again, for ever, while the queue fills and drops. A line that was torn by an
//! error is written again from its start, on a line of its own: the torn part is a line that no reader understands, and
//! harms none that follows.

use std::io::{Error, ErrorKind, Result};
use std::os::fd::AsFd;
use std::time::Duration;

use super::log_queue::{Counts, Queue};
use super::log_record::{Record, Style};
use crate::types::time::Stopwatch;

/// The target of the lines that tell of dropped ones.
pub const NOTES: &str = "countersign::log_writer";

/// Up to so many, a write to a pipe that others write to as well is not torn (`PIPE_BUF`).
const MOST_BATCH_BYTES: usize = 4096;
/// Before the first attempt after an error; doubled before each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// A log that is set not to block is asked again so often.
const FULL_PAUSE: Duration = Duration::from_millis(10);
/// While lines are dropped without an end, the log tells of it so often.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Writes until the process ends.
pub fn run(queue: &Queue, log: &impl AsFd, style: Style) {
    let write = |bytes: &[u8]| rustix::io::write(log, bytes).map_err(Error::from);
    let (mut told, mut failure) = (Stopwatch::start(), None);
    loop {
        for batch in batches(&queue.take(), style) {
            failure = write_all(batch, write, std::thread::sleep).or(failure);
        }
        let is_overdue = told.elapsed() >= TELL_EVERY;
        if let Some(dropped) = queue.take_untold(is_overdue) {
            tell(dropped, failure.as_ref());
            told = Stopwatch::start();
        }
        if queue.is_all_told() {
            failure = None;
        }
    }
}

/// Whole lines, in their order. One that is longer than a batch is a batch by itself.
fn batches(records: &[Record], style: Style) -> Vec<Vec<u8>> {
    let mut batches: Vec<Vec<u8>> = Vec::new();
    for record in records {
        let mut line = Vec::new();
        record.write(&mut line, style);
        match batches.last_mut() {
            Some(batch) if batch.len() + line.len() <= MOST_BATCH_BYTES => batch.append(&mut line),
            _ => batches.push(line),
        }
    }
    batches
}

/// Writes whole lines. Returns when all are written, with the last error on the way.
fn write_all(
    mut lines: Vec<u8>,
    write: impl Fn(&[u8]) -> Result<usize>,
    sleep: impl Fn(Duration),
) -> Option<Error> {
    let (mut written, mut pause, mut last) = (0, FIRST_PAUSE, None);
    while written < lines.len() {
        match write(&lines[written..]) {
            Ok(count) if count > 0 => (written, pause) = (written + count, FIRST_PAUSE),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => sleep(FULL_PAUSE),
            failed => {
                last = Some(failed.err().unwrap_or_else(|| ErrorKind::WriteZero.into()));
                start_line_again(&mut lines, written);
                written = 0;
                sleep(pause);
                pause = LONGEST_PAUSE.min(pause * 2);
            }
        }
    }
    last
}

/// Takes away the lines that are written; a torn one is to begin on a fresh line.
fn start_line_again(lines: &mut Vec<u8>, written: usize) {
    let line_feed = lines[..written].iter().rposition(|byte| *byte == b'\n');
    let start = line_feed.map_or(0, |at| at + 1);
    lines.drain(..start);
    if start < written {
        lines.insert(0, b'\n');
    }
}

/// A lost error is one itself; and a log of errors only shows no warnings.
fn tell(dropped: Counts, failed: Option<&Error>) {
    let count: u64 = dropped.iter().sum();
    let [errors, warnings, infos, debugs, traces] = dropped;
    let why = failed.map_or_else(
        || "it was read too slowly".to_owned(),
        |error| format!("it could not be written: {error}"),
    );
    if errors > 0 {
        tracing::error!(target: NOTES, errors, warnings, infos, debugs, traces, "{count} lines of the log were dropped, because {why}");
    } else {
        tracing::warn!(target: NOTES, errors, warnings, infos, debugs, traces, "{count} lines of the log were dropped, because {why}");
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::VecDeque;

    use super::*;

    /// What stands in a log that answers the attempts to write so: bytes that it takes, or an error.
    fn logged(lines: &str, answers: &[std::result::Result<usize, ErrorKind>]) -> (String, usize) {
        let log = RefCell::new(Vec::new());
        let answers = RefCell::new(VecDeque::from(answers.to_vec()));
        let pauses = RefCell::new(0);
        let write = |bytes: &[u8]| -> Result<usize> {
            let most = answers.borrow_mut().pop_front().unwrap_or(Ok(usize::MAX))?;
            let count = bytes.len().min(most);
            log.borrow_mut().extend_from_slice(&bytes[..count]);
            Ok(count)
        };
        write_all(lines.as_bytes().to_vec(), write, |_| {
            *pauses.borrow_mut() += 1;
        });
        let text = String::from_utf8(log.into_inner()).expect("text");
        (text, pauses.into_inner())
    }

    const FULL: std::result::Result<usize, ErrorKind> = Err(ErrorKind::StorageFull);

    #[test]
    fn lines_are_written_together_up_to_what_a_pipe_takes_whole() {
        let line = |bytes: usize| Record::plain(0, &"x".repeat(bytes - 1));
        let sizes = |lines: &[Record]| -> Vec<usize> {
            let batches = batches(lines, Style::Text);
            batches.iter().map(Vec::len).collect()
        };
        let records = [line(2000), line(2096), line(5000), line(1), line(9)];
        assert_eq!(sizes(&records), [4096, 5000, 10]);
        assert_eq!(sizes(&[]), [0; 0]);
    }

    #[test]
    fn a_log_that_takes_little_at_once_gets_every_line_once() {
        let answers = [Ok(1), Ok(3), Err(ErrorKind::Interrupted), Ok(2)];
        assert_eq!(logged("abc\ndef\n", &answers), ("abc\ndef\n".to_owned(), 0));
    }

    #[test]
    fn a_log_that_would_block_gets_the_rest_of_the_line() {
        let answers = [Ok(1), Err(ErrorKind::WouldBlock)];
        assert_eq!(logged("abc\n", &answers), ("abc\n".to_owned(), 1));
    }

    #[test]
    fn a_torn_line_begins_anew_on_a_fresh_line() {
        let answers = [Ok(5), FULL, FULL];
        let whole = "abc\nd\ndef\n";
        assert_eq!(logged("abc\ndef\n", &answers), (whole.to_owned(), 2));
        // torn again, in the line feed and behind it
        let answers = [Ok(5), FULL, Ok(1), FULL, Ok(2), FULL];
        let whole = "abc\nd\nde\ndef\n";
        assert_eq!(logged("abc\ndef\n", &answers), (whole.to_owned(), 3));
    }

    #[test]
    fn an_error_between_two_lines_repeats_none() {
        let answers = [Ok(4), FULL, Ok(0)];
        assert_eq!(logged("abc\ndef\n", &answers), ("abc\ndef\n".to_owned(), 2));
    }
}
