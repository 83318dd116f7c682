//! Log lines that wait to be written: bounded, and what is dropped is what matters least.
//!
//! Invariants: a push never waits for whoever reads the log, and never fails. A line is dropped only when no room can be made
//! by dropping a less important one, the newest first, so that errors are dropped last and the gap is in one place. Every
//! dropped line is counted under its level.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::log_record::{LEVELS, Record};

/// Counts by level, in the order of [`LEVELS`].
pub type Counts = [u64; LEVELS.len()];

/// Lines that the writer takes at once, and that no bound counts.
const MOST_TAKEN: usize = 32;
/// How long the writer lets lines gather when it has written everything. Who pushes meanwhile wakes nobody.
const LINGER: Duration = Duration::from_millis(5);

/// Between everybody who logs and the one thread that writes.
#[derive(Debug)]
pub struct Queue {
    state: Mutex<State>,
    arrived: Condvar,
    written: Condvar,
    dropped: [AtomicU64; LEVELS.len()],
}

#[derive(Debug)]
struct State {
    lines: Lines,
    /// Dropped since the log last told of it.
    untold: Counts,
    /// The writer waits for a line, and is to be woken by one.
    is_waiting: bool,
    /// The writer holds lines that are not written yet.
    is_writing: bool,
    /// The process ends: nothing gathers any more.
    is_ending: bool,
}

impl Queue {
    pub fn new(most_bytes: usize) -> Self {
        Self {
            state: Mutex::new(State {
                lines: Lines::new(most_bytes),
                untold: Counts::default(),
                is_waiting: false,
                is_writing: false,
                is_ending: false,
            }),
            arrived: Condvar::new(),
            written: Condvar::new(),
            dropped: Default::default(),
        }
    }

    pub fn push(&self, record: Record) {
        let mut state = self.lock();
        let dropped = state.lines.push(record);
        for (level, count) in dropped.into_iter().enumerate().filter(|(_, n)| *n > 0) {
            state.untold[level] += count;
            self.dropped[level].fetch_add(count, Ordering::Relaxed);
        }
        self.wake(state);
    }

    /// A line about the queue itself, which is never dropped: there is one at a time.
    pub fn push_note(&self, record: Record) {
        let mut state = self.lock();
        state.lines.append(record);
        self.wake(state);
    }

    fn wake(&self, mut state: MutexGuard<'_, State>) {
        let is_waiting = std::mem::take(&mut state.is_waiting);
        drop(state);
        if is_waiting {
            self.arrived.notify_one();
        }
    }

    /// Waits for lines and takes the oldest, in their order.
    pub fn take(&self) -> Vec<Record> {
        let mut state = self.lock();
        if state.lines.is_empty() {
            state.is_writing = false;
            self.written.notify_all();
            let lingered = self
                .arrived
                .wait_timeout_while(state, LINGER, |state| !state.is_ending);
            state = lingered.unwrap_or_else(PoisonError::into_inner).0;
        }
        while state.lines.is_empty() {
            state.is_waiting = true;
            state = self
                .arrived
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.is_waiting = false;
        state.is_writing = true;
        state.lines.take(MOST_TAKEN)
    }

    /// What was dropped and not told yet, when there is room again, or `now`. From here on it counts as told.
    pub fn take_untold(&self, now: bool) -> Option<Counts> {
        let mut state = self.lock();
        let is_due = state.untold != Counts::default()
            && (now || state.is_ending || state.lines.bytes() <= state.lines.most_bytes / 2);
        is_due.then(|| std::mem::take(&mut state.untold))
    }

    pub fn is_all_told(&self) -> bool {
        self.lock().untold == Counts::default()
    }

    /// Since the process began.
    pub fn dropped(&self) -> Counts {
        std::array::from_fn(|level| self.dropped[level].load(Ordering::Relaxed))
    }

    /// Waits until everything is written, `most` so long: whoever reads the log may have stopped.
    pub fn flush(&self, most: Duration) {
        let mut state = self.lock();
        state.is_ending = true;
        self.arrived.notify_one();
        let is_unwritten = |state: &mut State| state.is_writing || !state.lines.is_empty();
        // whether in time or not, the process ends
        drop(self.written.wait_timeout_while(state, most, is_unwritten));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Line {
    /// Its place among the lines of all levels.
    number: u64,
    record: Record,
}

/// The lines themselves.
#[derive(Debug)]
struct Lines {
    by_level: [VecDeque<Line>; LEVELS.len()],
    bytes_by_level: [usize; LEVELS.len()],
    most_bytes: usize,
    next: u64,
}

impl Lines {
    fn new(most_bytes: usize) -> Self {
        Self {
            by_level: Default::default(),
            bytes_by_level: Default::default(),
            most_bytes,
            next: 0,
        }
    }

    fn is_empty(&self) -> bool {
        self.by_level.iter().all(VecDeque::is_empty)
    }

    fn bytes(&self) -> usize {
        self.bytes_by_level.iter().sum()
    }

    /// What was dropped for it, or that it was dropped itself.
    fn push(&mut self, record: Record) -> Counts {
        let mut dropped = Counts::default();
        let (level, bytes) = (record.level(), record.bytes());
        let kept_bytes: usize = self.bytes_by_level[..=level].iter().sum();
        if kept_bytes + bytes > self.most_bytes {
            dropped[level] += 1;
            return dropped;
        }
        for lower in (level + 1..LEVELS.len()).rev() {
            while self.bytes() + bytes > self.most_bytes && self.drop_newest(lower) {
                dropped[lower] += 1;
            }
        }
        self.append(record);
        dropped
    }

    fn append(&mut self, record: Record) {
        let (level, number) = (record.level(), self.next);
        self.next += 1;
        self.bytes_by_level[level] += record.bytes();
        self.by_level[level].push_back(Line { number, record });
    }

    fn drop_newest(&mut self, level: usize) -> bool {
        let dropped = self.by_level[level].pop_back();
        self.bytes_by_level[level] -= dropped.as_ref().map_or(0, |line| line.record.bytes());
        dropped.is_some()
    }

    /// The oldest lines of all levels.
    fn take(&mut self, most: usize) -> Vec<Record> {
        let mut taken = Vec::with_capacity(most);
        while taken.len() < most
            && let Some(level) = self.oldest()
            && let Some(line) = self.by_level[level].pop_front()
        {
            self.bytes_by_level[level] -= line.record.bytes();
            taken.push(line.record);
        }
        taken
    }

    /// The level of the oldest line.
    fn oldest(&self) -> Option<usize> {
        let fronts = self.by_level.iter().enumerate();
        let fronts = fronts.filter_map(|(level, lines)| Some((level, lines.front()?.number)));
        fronts
            .min_by_key(|(_, number)| *number)
            .map(|(level, _)| level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::log_record::{ERROR, Style};

    const WARN: usize = 1;
    const INFO: usize = 2;

    /// Room for so many lines of one byte.
    fn room_for(lines: usize) -> Lines {
        Lines::new(lines * Record::plain(INFO, "1").bytes())
    }

    fn push(lines: &mut Lines, level: usize, text: &str) -> Counts {
        lines.push(Record::plain(level, text))
    }

    fn text(records: &[Record]) -> String {
        let mut lines = Vec::new();
        for record in records {
            record.write(&mut lines, Style::Text);
        }
        String::from_utf8(lines).expect("text").replace('\n', "")
    }

    fn rest(lines: &mut Lines) -> String {
        let mut all = String::new();
        while !lines.is_empty() {
            all.push_str(&text(&lines.take(2)));
        }
        assert_eq!(lines.bytes(), 0);
        all
    }

    #[test]
    fn lines_of_all_levels_leave_in_the_order_they_came() {
        let mut lines = room_for(5);
        for (level, text) in [
            (INFO, "1"),
            (ERROR, "2"),
            (4, "3"),
            (ERROR, "4"),
            (INFO, "5"),
        ] {
            assert_eq!(push(&mut lines, level, text), Counts::default());
        }
        assert_eq!(rest(&mut lines), "12345");
    }

    #[test]
    fn a_full_queue_drops_what_comes_last_of_its_level() {
        let mut lines = room_for(2);
        push(&mut lines, INFO, "1");
        push(&mut lines, INFO, "2");
        assert_eq!(push(&mut lines, INFO, "3"), [0, 0, 1, 0, 0]);
        assert_eq!(push(&mut lines, 3, "4"), [0, 0, 0, 1, 0]);
        assert_eq!(rest(&mut lines), "12");
    }

    #[test]
    fn errors_are_dropped_last() {
        let mut lines = room_for(3);
        for text in ["1", "2", "3"] {
            push(&mut lines, INFO, text);
        }
        assert_eq!(push(&mut lines, ERROR, "a"), [0, 0, 1, 0, 0]);
        assert_eq!(push(&mut lines, WARN, "b"), [0, 0, 1, 0, 0]);
        assert_eq!(push(&mut lines, ERROR, "c"), [0, 0, 1, 0, 0]);
        assert_eq!(push(&mut lines, INFO, "4"), [0, 0, 1, 0, 0]);
        assert_eq!(push(&mut lines, ERROR, "d"), [0, 1, 0, 0, 0]);
        assert_eq!(push(&mut lines, ERROR, "e"), [1, 0, 0, 0, 0]);
        assert_eq!(rest(&mut lines), "acd");
    }

    #[test]
    fn a_line_that_never_fits_costs_no_other() {
        let mut lines = room_for(2);
        push(&mut lines, INFO, "1");
        let long = "x".repeat(1000);
        assert_eq!(push(&mut lines, ERROR, &long), [1, 0, 0, 0, 0]);
        assert_eq!(rest(&mut lines), "1");
    }

    #[test]
    fn what_was_dropped_is_told_once_when_there_is_room() {
        let queue = Queue::new(room_for(4).most_bytes);
        for _ in 0..6 {
            queue.push(Record::plain(INFO, "1"));
        }
        assert_eq!(queue.take_untold(false), None, "it is full");
        assert_eq!(text(&queue.take()), "1111");
        assert_eq!(queue.take_untold(false), Some([0, 0, 2, 0, 0]));
        assert_eq!(queue.take_untold(true), None);
        assert_eq!(queue.dropped(), [0, 0, 2, 0, 0]);
    }

    #[test]
    fn a_flush_ends_although_nobody_writes() {
        let queue = Queue::new(1000);
        queue.push(Record::plain(INFO, "1"));
        queue.flush(Duration::from_millis(10));
        assert_eq!(text(&queue.take()), "1");
    }
}
