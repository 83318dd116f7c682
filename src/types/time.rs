//! Time as a value: one instant per request, unix milliseconds. The only file that reads a clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat, TimeDelta, TimeZone, Utc};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Unix milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub(crate) i64);

impl Timestamp {
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Unix seconds, rounded down: the resolution of OAuth's `iat` and `exp`.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1000)))
    }

    /// Whole seconds from `self` until `later`, rounded up; 0 when it is past.
    pub const fn seconds_until(self, later: Self) -> i64 {
        let millis = later.0.saturating_sub(self.0);
        if millis <= 0 {
            0
        } else {
            (millis + 999) / 1000
        }
    }

    /// An instant on the system's clock, as far from its present as `self` is from `now`: for a library that reads the
    /// system's clock by itself. What no calendar holds becomes the calendar's first or last instant.
    pub fn on_the_system_clock(self, now: Self) -> DateTime<Utc> {
        let left = self.0.saturating_sub(now.0);
        TimeDelta::try_milliseconds(left)
            .and_then(|left| Utc::now().checked_add_signed(left))
            .unwrap_or(if left < 0 {
                DateTime::<Utc>::MIN_UTC
            } else {
                DateTime::<Utc>::MAX_UTC
            })
    }

    /// RFC 3339 UTC with milliseconds: `2026-01-31T09:00:00.000Z`.
    pub fn rfc3339(self) -> String {
        match DateTime::<Utc>::from_timestamp_millis(self.0) {
            Some(time) => time.to_rfc3339_opts(SecondsFormat::Millis, true),
            None => self.0.to_string(),
        }
    }

    /// For people: `31 Jan 2026`.
    pub fn date(self) -> String {
        match DateTime::<Utc>::from_timestamp_millis(self.0) {
            Some(time) => time.format("%-d %b %Y").to_string(),
            None => String::new(),
        }
    }

    /// For people: `31 Jan 2026, 09:05 UTC`.
    pub fn date_time(self) -> String {
        match DateTime::<Utc>::from_timestamp_millis(self.0) {
            Some(time) => time.format("%-d %b %Y, %H:%M UTC").to_string(),
            None => String::new(),
        }
    }

    /// For people, as of `now`: `just now`, `5 minutes ago`, `2 days ago`. What lies ahead is just now: clocks differ.
    pub fn ago(self, now: Self) -> String {
        let minutes = now.0.saturating_sub(self.0) / 60_000;
        let (count, unit) = match minutes {
            ..1 => return "just now".to_owned(),
            1..60 => (minutes, "minute"),
            60..1_440 => (minutes / 60, "hour"),
            1_440..43_200 => (minutes / 1_440, "day"),
            43_200..525_600 => (minutes / 43_200, "month"),
            _ => (minutes / 525_600, "year"),
        };
        format!("{count} {unit}{} ago", if count == 1 { "" } else { "s" })
    }

    /// The last millisecond of an ISO 8601 date (`2026-01-31`) in a zone of the IANA database; a zone that is not known is UTC.
    pub fn end_of_day(date: &str, zone: &str) -> Option<Self> {
        let next = chrono::NaiveDate::parse_from_str(date, "%Y-%m-%d")
            .ok()?
            .succ_opt()?
            .and_hms_opt(0, 0, 0)?;
        let zone: chrono_tz::Tz = zone.parse().unwrap_or(chrono_tz::UTC);
        let start = match zone.from_local_datetime(&next).earliest() {
            Some(midnight) => midnight.timestamp_millis(),
            // clocks are put forward at midnight: the day begins when the minute before it has passed
            None => {
                zone.from_local_datetime(&(next - TimeDelta::minutes(1)))
                    .latest()?
                    .timestamp_millis()
                    + 60_000
            }
        };
        Some(Self(start - 1))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.rfc3339())
    }
}

/// RFC 3339, in years that a calendar has.
impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let parsed = DateTime::parse_from_rfc3339(&text).ok();
        let instant = parsed.ok_or_else(|| {
            serde::de::Error::custom("not an RFC 3339 instant such as 2026-01-31T09:00:00Z")
        })?;
        Ok(Self(instant.timestamp_millis()))
    }
}

impl JsonSchema for Timestamp {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "date-time"})
    }
}

/// Where instants come from: the system, or a test's hand.
#[derive(Debug, Clone)]
pub enum Clock {
    System,
    Manual(Arc<Hands>),
}

/// The clock of a test, and how long its machine has run.
#[derive(Debug)]
pub struct Hands {
    millis: AtomicI64,
    uptime_millis: AtomicI64,
    boot: String,
}

/// The time of day, and at the same moment how long the machine has run, suspended or not: nobody sets that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    pub at: Timestamp,
    pub uptime_millis: i64,
}

impl Reading {
    /// By how many milliseconds the time of day went on more than the machine ran since `earlier`; negative: less.
    pub const fn gained_millis(self, earlier: Self) -> i64 {
        let passed = self.uptime_millis.saturating_sub(earlier.uptime_millis);
        self.at
            .0
            .saturating_sub(earlier.at.0)
            .saturating_sub(passed)
    }
}

impl Clock {
    /// On a machine of its own, which starts now.
    pub fn manual(start: Timestamp) -> Self {
        static BOOTS: AtomicI64 = AtomicI64::new(0);
        Self::Manual(Arc::new(Hands {
            millis: AtomicI64::new(start.millis()),
            uptime_millis: AtomicI64::new(0),
            boot: format!("manual {}", BOOTS.fetch_add(1, Ordering::SeqCst)),
        }))
    }

    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => Timestamp(system_millis()),
            Self::Manual(hands) => Timestamp(hands.millis.load(Ordering::SeqCst)),
        }
    }

    pub fn read(&self) -> Reading {
        Reading {
            at: self.now(),
            uptime_millis: match self {
                Self::System => system_uptime_millis(),
                Self::Manual(hands) => hands.uptime_millis.load(Ordering::SeqCst),
            },
        }
    }

    /// Names the machine and its last start: only readings of one name can be compared. Empty where nothing names it.
    pub fn boot(&self) -> String {
        match self {
            Self::System => std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
                .map_or_else(|_| String::new(), |text| text.trim().to_owned()),
            Self::Manual(hands) => hands.boot.clone(),
        }
    }

    /// Lets time pass on a manual clock. Backwards its time of day is set back. A system clock stays.
    pub fn step_seconds(&self, seconds: i64) {
        self.leap_seconds(seconds);
        if let Self::Manual(hands) = self {
            let passed = seconds.max(0) * 1000;
            hands.uptime_millis.fetch_add(passed, Ordering::SeqCst);
        }
    }

    /// Sets the time of day of a manual clock on, or back, while no time passes. A system clock stays.
    pub fn leap_seconds(&self, seconds: i64) {
        if let Self::Manual(hands) = self {
            hands.millis.fetch_add(seconds * 1000, Ordering::SeqCst);
        }
    }
}

/// Of the kernel itself, and with the time in which the machine was suspended: Linux's `CLOCK_BOOTTIME`.
fn system_uptime_millis() -> i64 {
    let uptime = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    uptime
        .tv_sec
        .saturating_mul(1000)
        .saturating_add(uptime.tv_nsec / 1_000_000)
}

fn system_millis() -> i64 {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}

/// Until when somebody waits, or may rely on something: milliseconds of the machine's uptime, which nobody sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(i64);

impl Deadline {
    pub const NEVER: Self = Self(i64::MAX);

    pub fn after(wait: Duration) -> Self {
        Self(system_uptime_millis()).plus(wait)
    }

    pub fn plus(self, wait: Duration) -> Self {
        let millis = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(millis))
    }

    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Zero when it is past.
    pub fn left(self) -> Duration {
        let millis = self.0.saturating_sub(system_uptime_millis());
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }

    pub fn is_past(self) -> bool {
        self != Self::NEVER && self.left().is_zero()
    }
}

/// Measures how long something took, for metrics, logs, time-outs and estimates; never for a decision about what is stored.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    pub fn start() -> Self {
        Self(Instant::now())
    }

    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_reads_as_rfc_3339_with_milliseconds() {
        assert_eq!(
            Timestamp::from_millis(1_769_850_000_007).rfc3339(),
            "2026-01-31T09:00:00.007Z"
        );
    }

    #[test]
    fn a_day_ends_where_the_zone_says_also_when_clocks_change() {
        for (date, zone, end) in [
            ("2026-01-31", "UTC", "2026-01-31T23:59:59.999Z"),
            ("2026-01-31", "No/Where", "2026-01-31T23:59:59.999Z"),
            ("2026-07-01", "Europe/Berlin", "2026-07-01T21:59:59.999Z"),
            ("2026-10-25", "Europe/Berlin", "2026-10-25T22:59:59.999Z"),
            (
                "2026-01-31",
                "Pacific/Kiritimati",
                "2026-01-31T09:59:59.999Z",
            ),
            ("2026-01-31", "Asia/Kathmandu", "2026-01-31T18:14:59.999Z"),
            // forward from 24:00 to 01:00: the next day has no midnight
            ("2025-09-06", "America/Santiago", "2025-09-07T03:59:59.999Z"),
            // back from 01:00 to 00:00: the next day has two
            ("2025-11-01", "America/Havana", "2025-11-02T03:59:59.999Z"),
            // the 30th was left out
            ("2011-12-29", "Pacific/Apia", "2011-12-30T09:59:59.999Z"),
        ] {
            assert_eq!(
                Timestamp::end_of_day(date, zone)
                    .map(Timestamp::rfc3339)
                    .as_deref(),
                Some(end),
                "{date} {zone}"
            );
        }
        for wrong in ["31.1.2026", "2026-02-29", "", "2026-13-01"] {
            assert_eq!(Timestamp::end_of_day(wrong, "UTC"), None, "{wrong}");
        }
    }

    #[test]
    fn people_read_how_long_ago() {
        let now = Timestamp::from_seconds(1_769_850_000);
        assert_eq!(now.date_time(), "31 Jan 2026, 09:00 UTC");
        for (seconds, words) in [
            (-60, "just now"),
            (59, "just now"),
            (60, "1 minute ago"),
            (7_199, "1 hour ago"),
            (86_400 * 3, "3 days ago"),
            (86_400 * 65, "2 months ago"),
            (86_400 * 800, "2 years ago"),
        ] {
            assert_eq!(now.plus_seconds(-seconds).ago(now), words, "{seconds}");
        }
    }

    #[test]
    fn time_left_is_carried_to_the_system_clock() {
        let now = Timestamp::from_seconds(1_769_850_000);
        let shown = now.plus_seconds(90).on_the_system_clock(now);
        let left = shown - Utc::now();
        assert!(
            left > TimeDelta::seconds(80) && left <= TimeDelta::seconds(90),
            "{left}"
        );
        let (first, last) = (
            Timestamp::from_millis(i64::MIN),
            Timestamp::from_millis(i64::MAX),
        );
        assert_eq!(first.on_the_system_clock(now), DateTime::<Utc>::MIN_UTC);
        assert_eq!(last.on_the_system_clock(now), DateTime::<Utc>::MAX_UTC);
    }

    #[test]
    fn seconds_until_rounds_up_and_never_below_zero() {
        let now = Timestamp::from_millis(1_000);
        assert_eq!(now.seconds_until(Timestamp::from_millis(1_001)), 1);
        assert_eq!(now.seconds_until(Timestamp::from_millis(999)), 0);
    }
}
