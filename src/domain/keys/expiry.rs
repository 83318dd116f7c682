//! When a key ends: presets, a day, an instant or never (row 13), and the operator's longest life.

use crate::config::Keys;
use crate::domain::{Refusal, ensure};
use crate::types::time::Timestamp;

const DAY_SECONDS: i64 = 24 * 60 * 60;
/// Ten years.
const MOST_DAYS: i64 = 3650;

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expiry {
    Never,
    InDays(i64),
    /// To the end of that day in the organization's zone: `2026-01-31`.
    OnDate(String),
    At(Timestamp),
}

impl Expiry {
    /// The instant, in the future and within the operator's bound.
    pub fn resolve(
        &self,
        keys: &Keys,
        zone: &str,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, Refusal> {
        let (field, end) = match self {
            Self::Never => ("expires_at", None),
            Self::InDays(days) => {
                ensure(
                    (1..=MOST_DAYS).contains(days),
                    Refusal::field("expires_in_days", "must be 1 to 3650"),
                )?;
                (
                    "expires_in_days",
                    Some(now.plus_seconds(days * DAY_SECONDS)),
                )
            }
            Self::OnDate(date) => {
                let end = Timestamp::end_of_day(date, zone).filter(|end| *end > now);
                (
                    "expires_on",
                    Some(end.ok_or_else(|| {
                        Refusal::field("expires_on", "Choose a day in the future.")
                    })?),
                )
            }
            Self::At(end) => ("expires_at", Some(*end)),
        };
        ensure(
            end.is_none_or(|end| end > now),
            Refusal::field(field, "must be in the future"),
        )?;
        if keys.max_seconds > 0 {
            let latest = now.plus_seconds(keys.max_seconds);
            let days = keys.max_seconds / DAY_SECONDS;
            ensure(
                end.is_some_and(|end| end <= latest),
                Refusal::field(field, format!("Keys live at most {days} days here.")),
            )?;
        }
        Ok(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 20 November 2026, 12:00 UTC.
    const NOW: Timestamp = Timestamp::from_seconds(1_795_176_000);

    #[test]
    fn presets_count_from_now_and_a_date_lasts_to_its_end() {
        let end = |expiry: Expiry| {
            expiry
                .resolve(&Keys::default(), "Europe/Berlin", NOW)
                .expect("valid")
                .map(Timestamp::rfc3339)
        };
        assert_eq!(
            end(Expiry::InDays(30)),
            Some("2026-12-20T12:00:00.000Z".to_owned())
        );
        assert_eq!(
            end(Expiry::InDays(90)),
            Some("2027-02-18T12:00:00.000Z".to_owned())
        );
        assert_eq!(
            end(Expiry::OnDate("2026-11-20".to_owned())),
            Some("2026-11-20T22:59:59.999Z".to_owned())
        );
        assert_eq!(end(Expiry::Never), None);
    }

    #[test]
    fn the_operators_bound_holds_for_every_way_to_ask() {
        let keys = Keys {
            max_seconds: 30 * DAY_SECONDS,
            ..Keys::default()
        };
        let refused = |expiry: Expiry| expiry.resolve(&keys, "UTC", NOW).is_err();
        assert!(
            !refused(Expiry::InDays(30)) && refused(Expiry::InDays(31)) && refused(Expiry::Never)
        );
        assert!(
            refused(Expiry::OnDate("2027-01-01".to_owned()))
                && !refused(Expiry::OnDate("2026-12-01".to_owned()))
        );
        assert!(
            refused(Expiry::At(NOW))
                && refused(Expiry::InDays(0))
                && refused(Expiry::InDays(i64::MAX))
        );
    }
}
