//! Whether the time of day can be believed: it is judged against how long the machine has run, which nobody sets, and at the
//! start against what the database has seen.
//!
//! What is removed by time is removed for good: under a clock that is forty days ahead the sweep takes the revocations of
//! tokens that are alive when the clock is back. Invariants:
//! - Nothing is removed, and nothing ends for good, by an instant that [`ClockWatch::trusts`] does not trust. It judges the
//!   very instant that decides, not the clock a moment before.
//! - Within an hour of running the clock may gain or lose [`MOST_LEAP_SECONDS`] in all; more is a leap. It is over when the
//!   clock is back, or when an operator says that the clock is right (`countersign clock accept`). A restart hides none:
//!   the last trusted reading is in the database, with the name of the machine's start.
//! - After a start of the machine nothing tells how long it stood still. A clock that is ahead of the last trusted reading is
//!   trusted after it has run for [`PROBATION_SECONDS`] without a leap; one that is behind it, or behind the newest row, not
//!   before it has caught up.
//!
//! Requests are served all the same: a virtual machine that was paused leaps to the right time.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::time::{Clock, Reading, Timestamp};

pub const MOST_LEAP_SECONDS: i64 = 60 * 60;
/// A clock that was set wrong by the start of the machine is corrected within minutes where one corrects it at all.
pub const PROBATION_SECONDS: i64 = 60 * 60;
/// Between two records of a clock that is trusted.
const RECORD_EVERY_MILLIS: i64 = 60 * 1000;

/// Why nothing is removed by time. Seconds ahead are positive, seconds behind are negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// It has gained or lost so many seconds.
    Leapt(i64),
    /// It is so many seconds behind what the database has seen: positive.
    Behind(i64),
    /// Nothing tells how long the machine stood still: it is so many seconds ahead of what the database has seen, and is
    /// watched for so many more.
    Unproven { ahead: i64, left: i64 },
}

impl Doubt {
    /// For a gauge: how wrong the clock is, or was. 0 for one that is only watched.
    pub fn seconds(self) -> i64 {
        match self {
            Self::Leapt(seconds) => seconds,
            Self::Behind(seconds) => -seconds,
            Self::Unproven { .. } => 0,
        }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        const STOPS: &str = "the sweep stops and nothing ends by time until the clock is back, or `countersign clock accept` says that it is right";
        match self {
            Self::Leapt(seconds) if *seconds > 0 => {
                write!(f, "the clock has leapt {} ahead: {STOPS}", words(*seconds))
            }
            Self::Leapt(seconds) => {
                write!(f, "the clock has leapt {} back: {STOPS}", words(-seconds))
            }
            Self::Behind(seconds) => write!(
                f,
                "the clock is {} behind the newest row: {STOPS}",
                words(*seconds)
            ),
            Self::Unproven { ahead, left } => write!(
                f,
                "the clock is {} ahead of when this database was served last, because of a long stop or because it is wrong: the sweep waits for {} more",
                words(*ahead),
                words((*left).max(60))
            ),
        }
    }
}

/// In the largest unit of which there are two, rounded.
fn words(seconds: i64) -> String {
    const UNITS: [(i64, &str); 3] = [(86_400, "day"), (3_600, "hour"), (60, "minute")];
    let fits = |(unit, _): &(i64, &str)| seconds + unit / 2 >= 2 * unit;
    let (unit, name) = UNITS.into_iter().find(fits).unwrap_or(UNITS[2]);
    let count = (seconds + unit / 2) / unit;
    format!("{count} {name}{}", if count == 1 { "" } else { "s" })
}

/// What outlives the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockRecord {
    /// The last reading that was trusted.
    pub trusted_at: Timestamp,
    /// [`Clock::boot`]; empty: not comparable.
    pub boot: String,
    pub uptime_millis: i64,
    /// What the clock said last since it has leapt.
    pub doubted_at: Option<Timestamp>,
    /// Rows that are dated up to here may carry the time of a clock that was wrong: they prove nothing.
    pub dated_until: Timestamp,
}

impl ClockRecord {
    /// The clock is right now, says an operator. `newest`: of all rows.
    pub fn accepted(clock: &Clock, before: Option<&Self>, newest: Option<Timestamp>) -> Self {
        let reading = clock.read();
        let dated = before.map_or(Timestamp::from_millis(0), |before| before.dated_until);
        Self {
            trusted_at: reading.at,
            boot: clock.boot(),
            uptime_millis: reading.uptime_millis,
            doubted_at: None,
            dated_until: dated.max(newest.unwrap_or(dated)),
        }
    }

    /// Whether a row of this date tells that the clock has been there: a little of what a wrong clock wrote may be newer than
    /// the record of it.
    pub fn is_evidence(&self, row: Timestamp) -> bool {
        row > self.dated_until.plus_seconds(MOST_LEAP_SECONDS)
    }
}

#[derive(Debug)]
pub struct ClockWatch {
    clock: Clock,
    boot: String,
    state: Mutex<State>,
}

#[derive(Debug, Clone)]
struct State {
    /// A trusted reading of this start of the machine, an hour old at most while the clock is watched.
    anchor: Option<Reading>,
    /// The latest instant that the database has seen.
    seen: Option<Timestamp>,
    /// Of a leap ahead that was not over when the machine was started again: what the clock said last.
    leapt_to: Option<Timestamp>,
    /// The first reading of a clock that is watched.
    probation: Option<Reading>,
    /// The last reading that was in doubt.
    doubted: Option<Timestamp>,
    dated_until: Timestamp,
    /// As the database has it.
    recorded: Option<ClockRecord>,
}

impl ClockWatch {
    /// `recorded`: as the last server left it; `newest`: of all rows.
    pub fn start(clock: Clock, recorded: Option<ClockRecord>, newest: Option<Timestamp>) -> Self {
        let boot = clock.boot();
        let state = State::restore(&boot, clock.read(), recorded, newest);
        let watch = Self {
            boot,
            state: Mutex::new(state),
            clock,
        };
        watch.observe();
        watch
    }

    /// Looks at the clock: `None` when it is trusted.
    pub fn observe(&self) -> Option<Doubt> {
        self.lock().observe(self.clock.read())
    }

    /// The present, if it is trusted: what is to be removed is removed by this very instant.
    pub fn trusted_now(&self) -> Option<Timestamp> {
        let reading = self.clock.read();
        match self.lock().observe(reading) {
            None => Some(reading.at),
            Some(_) => None,
        }
    }

    /// Whether `at`, which was read a moment ago, is trusted.
    pub fn trusts(&self, at: Timestamp) -> bool {
        let reading = Reading {
            at,
            ..self.clock.read()
        };
        self.lock().judge(reading).is_none()
    }

    /// The record that should be in the database by now, if another one is. While the clock is in doubt it is for
    /// [`ClockWatch::recorded`] only: whoever has changed that in between has accepted the clock.
    pub fn due_record(&self) -> Option<ClockRecord> {
        let (reading, mut state) = (self.clock.read(), self.lock());
        let doubt = state.observe(reading);
        let record = match (doubt, &state.recorded) {
            (None, Some(known))
                if known.doubted_at.is_none()
                    && known.boot == self.boot
                    && known.dated_until == state.dated_until
                    && reading.uptime_millis - known.uptime_millis < RECORD_EVERY_MILLIS =>
            {
                return None;
            }
            (None, _) => ClockRecord {
                trusted_at: reading.at,
                boot: self.boot.clone(),
                uptime_millis: reading.uptime_millis,
                doubted_at: None,
                dated_until: state.dated_until,
            },
            (Some(doubt), known) => {
                let last = known.clone().or_else(|| state.anchored(&self.boot))?;
                ClockRecord {
                    doubted_at: match doubt {
                        Doubt::Leapt(_) => Some(reading.at),
                        Doubt::Behind(_) | Doubt::Unproven { .. } => last.doubted_at,
                    },
                    dated_until: state.dated_until,
                    ..last
                }
            }
        };
        (state.recorded.as_ref() != Some(&record)).then_some(record)
    }

    /// As the database has it, for all this process knows.
    pub fn recorded(&self) -> Option<ClockRecord> {
        self.lock().recorded.clone()
    }

    /// This process has written it.
    pub fn is_recorded(&self, record: ClockRecord) {
        self.lock().recorded = Some(record);
    }

    /// Somebody else has written it: an operator, who trusts the clock.
    pub fn accept(
        &self,
        recorded: Option<ClockRecord>,
        newest: Option<Timestamp>,
    ) -> Option<Doubt> {
        let reading = self.clock.read();
        let mut state = self.lock();
        let accepted = State::restore(&self.boot, reading, recorded, newest);
        if accepted.judge(reading).is_none() {
            *state = accepted;
        } else {
            // of another machine, whose clock is not this one
            state.recorded = accepted.recorded;
        }
        state.observe(reading)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const fn millis(seconds: i64) -> i64 {
    seconds * 1000
}

impl State {
    fn restore(
        boot: &str,
        reading: Reading,
        recorded: Option<ClockRecord>,
        newest: Option<Timestamp>,
    ) -> Self {
        let anchor = recorded
            .as_ref()
            .filter(|record| !boot.is_empty() && record.boot == boot)
            .map(|record| Reading {
                at: record.trusted_at,
                uptime_millis: record.uptime_millis,
            })
            .filter(|anchor| anchor.uptime_millis <= reading.uptime_millis);
        let newest = newest.filter(|newest| {
            recorded
                .as_ref()
                .is_none_or(|record| record.is_evidence(*newest))
        });
        Self {
            anchor,
            seen: newest.max(recorded.as_ref().map(|record| record.trusted_at)),
            leapt_to: recorded
                .as_ref()
                .and_then(|record| record.doubted_at.filter(|at| *at > record.trusted_at)),
            probation: None,
            doubted: None,
            dated_until: recorded
                .as_ref()
                .map_or(Timestamp::from_millis(0), |record| record.dated_until),
            recorded,
        }
    }

    /// A record of what is known, before the first one is written.
    fn anchored(&self, boot: &str) -> Option<ClockRecord> {
        self.anchor.map(|anchor| ClockRecord {
            trusted_at: anchor.at,
            boot: boot.to_owned(),
            uptime_millis: anchor.uptime_millis,
            doubted_at: None,
            dated_until: self.dated_until,
        })
    }

    /// Changes nothing.
    fn judge(&self, reading: Reading) -> Option<Doubt> {
        if let Some(anchor) = self.anchor {
            let gained = reading.gained_millis(anchor);
            if gained.abs() > millis(MOST_LEAP_SECONDS) {
                return Some(Doubt::Leapt(gained / 1000));
            }
        }
        let ahead = reading.at.millis().saturating_sub(self.seen?.millis());
        if ahead < -millis(MOST_LEAP_SECONDS) {
            return Some(Doubt::Behind(-ahead / 1000));
        }
        if self.anchor.is_some() || ahead <= millis(MOST_LEAP_SECONDS) {
            return None;
        }
        let goes_on = |leapt_to: Timestamp| reading.at.plus_seconds(MOST_LEAP_SECONDS) >= leapt_to;
        if self.leapt_to.is_some_and(goes_on) {
            return Some(Doubt::Leapt(ahead / 1000));
        }
        let watched = self.probation.filter(|first| is_steady(*first, reading));
        let watched_millis = watched.map_or(0, |first| reading.uptime_millis - first.uptime_millis);
        let left = PROBATION_SECONDS - watched_millis / 1000;
        (left > 0).then_some(Doubt::Unproven {
            ahead: ahead / 1000,
            left,
        })
    }

    fn observe(&mut self, reading: Reading) -> Option<Doubt> {
        let doubt = self.judge(reading);
        match doubt {
            None => {
                // what was written meanwhile carries a time that was in doubt
                self.dated_until = self
                    .dated_until
                    .max(self.doubted.take().unwrap_or(self.dated_until));
                let is_old = |anchor: Reading| {
                    reading.uptime_millis - anchor.uptime_millis >= millis(MOST_LEAP_SECONDS)
                };
                if self.anchor.is_none_or(is_old) {
                    self.anchor = Some(reading);
                }
                (self.leapt_to, self.probation) = (None, None);
            }
            Some(Doubt::Leapt(_)) => {
                self.dated_until = self.dated_until.max(reading.at);
            }
            Some(Doubt::Behind(_)) => self.probation = None,
            Some(Doubt::Unproven { .. }) => {
                if !self
                    .probation
                    .is_some_and(|first| is_steady(first, reading))
                {
                    let before = self.doubted.take().unwrap_or(self.dated_until);
                    self.dated_until = self.dated_until.max(before);
                    self.probation = Some(reading);
                }
                self.doubted = Some(reading.at);
            }
        }
        doubt
    }
}

fn is_steady(first: Reading, reading: Reading) -> bool {
    reading.gained_millis(first).abs() <= millis(MOST_LEAP_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_seconds(1_795_176_000);
    const HOUR: i64 = 60 * 60;
    const DAY: i64 = 24 * HOUR;

    /// As a server does every few seconds.
    fn tend(watch: &ClockWatch) -> Option<Doubt> {
        let doubt = watch.observe();
        if let Some(record) = watch.due_record() {
            watch.is_recorded(record);
        }
        doubt
    }

    fn started(clock: &Clock) -> ClockWatch {
        let watch = ClockWatch::start(clock.clone(), None, None);
        assert_eq!(tend(&watch), None);
        watch
    }

    #[test]
    fn a_leap_is_over_when_the_clock_is_back() {
        let clock = Clock::manual(NOON);
        let watch = started(&clock);
        for leap in [40 * DAY, -40 * DAY, HOUR + 1, -HOUR - 1] {
            clock.step_seconds(10 * DAY);
            assert_eq!(tend(&watch), None, "time passes");
            clock.leap_seconds(leap);
            assert!(!watch.trusts(clock.now()), "before anybody looked");
            assert_eq!(watch.trusted_now(), None);
            assert_eq!(tend(&watch), Some(Doubt::Leapt(leap)));
            clock.step_seconds(3 * DAY);
            assert_eq!(tend(&watch), Some(Doubt::Leapt(leap)), "however long");
            clock.leap_seconds(-leap);
            assert_eq!(tend(&watch), None);
            assert_eq!(watch.trusted_now(), Some(clock.now()));
        }
        clock.leap_seconds(HOUR);
        assert_eq!(tend(&watch), None, "an hour is no leap");
    }

    #[test]
    fn small_leaps_add_up_within_the_hour() {
        let clock = Clock::manual(NOON);
        let watch = started(&clock);
        for _ in 0..6 {
            clock.step_seconds(60);
            clock.leap_seconds(10 * 60);
            assert_eq!(tend(&watch), None);
        }
        clock.leap_seconds(10 * 60);
        assert_eq!(tend(&watch), Some(Doubt::Leapt(70 * 60)));
    }

    #[test]
    fn a_restart_hides_no_leap() {
        let clock = Clock::manual(NOON);
        let watch = started(&clock);
        clock.step_seconds(60);
        clock.leap_seconds(40 * DAY);
        let next = ClockWatch::start(clock.clone(), watch.recorded(), Some(NOON));
        assert_eq!(
            tend(&next),
            Some(Doubt::Leapt(40 * DAY)),
            "it came while nobody looked"
        );
        // the machine, too
        clock.step_seconds(60);
        tend(&next);
        let other = Clock::manual(clock.now().plus_seconds(120));
        let other = ClockWatch::start(other, next.recorded(), Some(NOON));
        assert!(matches!(tend(&other), Some(Doubt::Leapt(_))));
        // its clock was corrected: what it wrote before is no evidence
        let right = Clock::manual(NOON.plus_seconds(300));
        let right = ClockWatch::start(right, other.recorded(), Some(clock.now()));
        assert_eq!(tend(&right), None);
    }

    #[test]
    fn a_long_stop_is_watched_for_an_hour() {
        let watch = started(&Clock::manual(NOON));
        let clock = Clock::manual(NOON.plus_seconds(9 * DAY));
        let watch = ClockWatch::start(clock.clone(), watch.recorded(), None);
        let unproven = |left| {
            Some(Doubt::Unproven {
                ahead: 9 * DAY,
                left,
            })
        };
        assert_eq!(tend(&watch), unproven(HOUR));
        clock.leap_seconds(20 * DAY);
        assert!(
            matches!(tend(&watch), Some(Doubt::Unproven { left: HOUR, .. })),
            "anew"
        );
        clock.leap_seconds(-20 * DAY);
        assert_eq!(tend(&watch), unproven(HOUR));
        clock.step_seconds(HOUR - 1);
        assert!(matches!(
            tend(&watch),
            Some(Doubt::Unproven { left: 1, .. })
        ));
        assert!(!watch.trusts(clock.now()));
        clock.step_seconds(1);
        assert_eq!(tend(&watch), None);
        clock.leap_seconds(40 * DAY);
        assert_eq!(tend(&watch), Some(Doubt::Leapt(40 * DAY)));
    }

    #[test]
    fn a_short_stop_is_nothing() {
        let watch = started(&Clock::manual(NOON));
        let clock = Clock::manual(NOON.plus_seconds(HOUR));
        let watch = ClockWatch::start(clock, watch.recorded(), Some(NOON));
        assert_eq!(tend(&watch), None);
    }

    #[test]
    fn a_clock_behind_the_newest_row_catches_up() {
        let clock = Clock::manual(NOON);
        let newest = NOON.plus_seconds(2 * HOUR);
        let watch = ClockWatch::start(clock.clone(), None, Some(newest));
        assert_eq!(tend(&watch), Some(Doubt::Behind(2 * HOUR)));
        // as a network corrects it
        clock.leap_seconds(2 * HOUR);
        assert_eq!(tend(&watch), None);
    }

    #[test]
    fn an_operator_ends_a_doubt() {
        let clock = Clock::manual(NOON);
        let watch = started(&clock);
        clock.leap_seconds(40 * DAY);
        tend(&watch);
        let elsewhere = Clock::manual(NOON);
        let accepted = ClockRecord::accepted(&elsewhere, watch.recorded().as_ref(), None);
        assert_eq!(
            watch.accept(Some(accepted), None),
            Some(Doubt::Leapt(40 * DAY)),
            "the clock of another machine is right, not this one"
        );
        let accepted = ClockRecord::accepted(&clock, watch.recorded().as_ref(), None);
        assert_eq!(watch.accept(Some(accepted), None), None);
        // rows of the future are no evidence any more, here or after a restart
        let newest = Some(clock.now().plus_seconds(40 * DAY));
        let watch = ClockWatch::start(clock.clone(), watch.recorded(), newest);
        assert!(matches!(tend(&watch), Some(Doubt::Behind(_))));
        let accepted = ClockRecord::accepted(&clock, watch.recorded().as_ref(), newest);
        assert_eq!(watch.accept(Some(accepted), newest), None);
        let next = ClockWatch::start(clock, watch.recorded(), newest);
        assert_eq!(tend(&next), None);
    }

    #[test]
    fn an_operator_reads_what_happened() {
        for (doubt, part) in [
            (Doubt::Leapt(40 * DAY + 5), "has leapt 40 days ahead"),
            (Doubt::Leapt(40 * DAY - 5), "has leapt 40 days ahead"),
            (Doubt::Leapt(-5 * HOUR), "has leapt 5 hours back"),
            (Doubt::Behind(HOUR + 1), "60 minutes behind the newest row"),
            (
                Doubt::Unproven {
                    ahead: 3 * DAY,
                    left: 59,
                },
                "waits for 1 minute more",
            ),
        ] {
            assert!(doubt.to_string().contains(part), "{doubt}");
        }
    }
}
