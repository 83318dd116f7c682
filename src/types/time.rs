//! Time as a value: one instant per request, unix milliseconds. The only file that reads a clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat, Utc};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

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
        if millis <= 0 { 0 } else { (millis + 999) / 1000 }
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

    /// The last millisecond of an ISO 8601 date (`2026-01-31`) in UTC.
    pub fn end_of_day(date: &str) -> Option<Self> {
        let date = chrono::NaiveDate::parse_from_str(date, "%Y-%m-%d").ok()?;
        Some(Self(date.and_hms_milli_opt(23, 59, 59, 999)?.and_utc().timestamp_millis()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.rfc3339())
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
    Manual(Arc<AtomicI64>),
}

impl Clock {
    pub fn manual(start: Timestamp) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(start.millis())))
    }

    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => Timestamp(system_millis()),
            Self::Manual(millis) => Timestamp(millis.load(Ordering::SeqCst)),
        }
    }

    /// Moves a manual clock, backwards too; a system clock stays.
    pub fn step_seconds(&self, seconds: i64) {
        if let Self::Manual(millis) = self {
            millis.fetch_add(seconds * 1000, Ordering::SeqCst);
        }
    }
}

fn system_millis() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}

/// Measures how long something took, for metrics and logs; never for a decision.
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
        assert_eq!(Timestamp::from_millis(1_769_850_000_007).rfc3339(), "2026-01-31T09:00:00.007Z");
        assert_eq!(Timestamp::end_of_day("2026-01-31").map(Timestamp::rfc3339).as_deref(), Some("2026-01-31T23:59:59.999Z"));
        assert_eq!(Timestamp::end_of_day("31.1.2026"), None);
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
    fn seconds_until_rounds_up_and_never_below_zero() {
        let now = Timestamp::from_millis(1_000);
        assert_eq!(now.seconds_until(Timestamp::from_millis(1_001)), 1);
        assert_eq!(now.seconds_until(Timestamp::from_millis(999)), 0);
    }
}
