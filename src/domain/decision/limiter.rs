//! Sliding-window limits.
//!
//! Invariant: among requests between whose clock readings less than a window lies, no more than its quota is admitted; a
//! refused request consumes nothing; several quotas are taken all or none; a caller at 95 % of a quota is never refused; a
//! clock that steps back neither opens a window early nor closes it for longer than its length; what a request costs above
//! a whole quota is refused, and told so; a changed limit holds from the next request on.
//!
//! Windows of lasting quotas are written down by `jobs/limits.rs` and read again at the start.

mod quota;
mod saved;
mod window;

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::store::limit_windows::LimitWindow;
use crate::types::time::Timestamp;
pub use quota::{Policy, Quota, Standing, Taken};
use window::Window;

const STRIPES: usize = 64;
/// What a stripe holds before it first looks for windows that have run out.
const SWEEP_ABOVE: usize = 4096;

pub struct Limiter {
    stripes: Vec<Mutex<Stripe>>,
    hasher: RandomState,
}

struct Stripe {
    /// By subject; few policies each.
    windows: HashMap<String, Vec<Slot>>,
    /// Lasting windows that admitted something since they were last written down.
    changed: Vec<Changed>,
    /// Above this many it looks for windows that have run out; doubled by what it had to keep.
    sweep_above: usize,
}

struct Slot {
    /// The quota's pool.
    policy: Policy,
    window: Window,
    /// It stands in `changed`.
    is_changed: bool,
}

struct Changed {
    owner: String,
    subject: String,
    policy: Policy,
}

impl Default for Stripe {
    fn default() -> Self {
        Self {
            windows: HashMap::new(),
            changed: Vec::new(),
            sweep_above: SWEEP_ABOVE,
        }
    }
}

impl Default for Limiter {
    fn default() -> Self {
        Self {
            stripes: (0..STRIPES).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
        }
    }
}

impl Limiter {
    /// Takes its cost from each quota, or nothing. `owner` is shared by all quotas of the request: it decides which lock
    /// guards them, and is always the same for one policy and subject.
    pub fn take(&self, owner: &str, quotas: &[Quota], now: Timestamp) -> Taken {
        self.ask(owner, quotas, now, |stripe, quota| {
            stripe.admit(owner, quota, now)
        })
    }

    /// What [`Limiter::take`] would answer, without taking anything: the standings are those before.
    pub fn look(&self, owner: &str, quotas: &[Quota], now: Timestamp) -> Taken {
        self.ask(owner, quotas, now, |stripe, quota| {
            standing(stripe.window(quota), quota, now)
        })
    }

    fn ask(
        &self,
        owner: &str,
        quotas: &[Quota],
        now: Timestamp,
        mut with_room: impl FnMut(&mut Stripe, &Quota) -> Standing,
    ) -> Taken {
        let bounded = || quotas.iter().filter(|quota| !quota.rate.is_none());
        if bounded().next().is_none() {
            return Taken::All(Vec::new());
        }
        let mut stripe = self.stripe(owner);
        stripe.sweep(now);
        // every window is brought up to now, also behind a full one
        let mut has_room = true;
        bounded().for_each(|quota| has_room &= stripe.has_room(owner, quota, now));
        if has_room {
            return Taken::All(
                bounded()
                    .map(|quota| with_room(&mut stripe, quota))
                    .collect(),
            );
        }
        let standings = bounded()
            .map(|quota| standing(stripe.window(quota), quota, now))
            .collect();
        let never: Vec<Policy> = bounded()
            .filter(|quota| quota.cost > quota.rate.quota)
            .map(|quota| quota.policy.clone())
            .collect();
        if !never.is_empty() {
            return Taken::None {
                standings,
                violated: never,
                retry_after_seconds: None,
            };
        }
        let waits: Vec<(&Quota, i64)> = bounded()
            .map(|quota| (quota, stripe.millis_until_room(quota, now)))
            .filter(|(_, wait)| *wait > 0)
            .collect();
        let violated = waits
            .iter()
            .map(|(quota, _)| quota.policy.clone())
            .collect();
        let longest = waits
            .iter()
            .map(|(_, wait)| whole_seconds(*wait))
            .max()
            .unwrap_or(1);
        Taken::None {
            standings,
            violated,
            retry_after_seconds: Some(longest),
        }
    }

    /// Seconds until the quota's cost would be admitted; none when it would be now. Takes nothing.
    pub fn wait(&self, owner: &str, quota: &Quota, now: Timestamp) -> Option<i64> {
        match self.look(owner, std::slice::from_ref(quota), now) {
            Taken::All(_) => None,
            Taken::None {
                retry_after_seconds,
                ..
            } => Some(retry_after_seconds.unwrap_or(quota.rate.window_seconds)),
        }
    }

    /// The lasting windows that have changed since they were last taken; give those that could not be written back with
    /// [`Limiter::put_back`].
    pub fn take_changed(&self) -> Vec<LimitWindow> {
        let stripes = self
            .stripes
            .iter()
            .map(|stripe| stripe.lock().unwrap_or_else(PoisonError::into_inner));
        stripes
            .flat_map(|mut stripe| stripe.take_changed())
            .collect()
    }

    /// They wait for the next time, as they will be then.
    pub fn put_back(&self, windows: &[LimitWindow]) {
        for row in windows {
            if let Some((policy, subject)) = saved::names(row) {
                self.stripe(&row.owner)
                    .note_change(&row.owner, policy, subject);
            }
        }
    }

    /// What an earlier process wrote down. `Err`: how many were not readable, and left out.
    pub fn restore(&self, windows: &[LimitWindow], now: Timestamp) -> Result<(), usize> {
        match windows
            .iter()
            .filter(|row| self.stripe(&row.owner).restore(row, now).is_none())
            .count()
        {
            0 => Ok(()),
            unreadable => Err(unreadable),
        }
    }

    fn stripe(&self, owner: &str) -> MutexGuard<'_, Stripe> {
        let index = self.hasher.hash_one(owner) % STRIPES as u64;
        self.stripes[index as usize]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stripe {
    fn window(&self, quota: &Quota) -> Option<&Window> {
        let slots = self.windows.get(&quota.subject)?;
        slots
            .iter()
            .find(|slot| slot.policy == *quota.pool())
            .map(|slot| &slot.window)
    }

    fn slot(&mut self, policy: &str, subject: &str) -> Option<&mut Slot> {
        self.windows
            .get_mut(subject)?
            .iter_mut()
            .find(|slot| *slot.policy == *policy)
    }

    /// Brings the window up to `now`, and tells whether the quota's cost fits.
    fn has_room(&mut self, owner: &str, quota: &Quota, now: Timestamp) -> bool {
        let Some(slot) = self.slot(quota.pool(), &quota.subject) else {
            return quota.cost <= quota.rate.quota;
        };
        let news = slot.window.set_length(quota.rate.window_seconds) | slot.window.expire(now);
        let (used, is_noted) = (slot.window.used(), slot.is_changed);
        if news && quota.lasting && !is_noted {
            self.note_change(owner, quota.pool(), &quota.subject);
        }
        used.saturating_add(quota.cost) <= quota.rate.quota
    }

    fn admit(&mut self, owner: &str, quota: &Quota, now: Timestamp) -> Standing {
        if self.slot(quota.pool(), &quota.subject).is_none() {
            let mut window = Window::default();
            window.set_length(quota.rate.window_seconds);
            self.insert(quota.pool().clone(), &quota.subject, window);
        }
        let Some(slot) = self.slot(quota.pool(), &quota.subject) else {
            return standing(None, quota, now);
        };
        slot.window.admit(quota.cost, quota.rate.quota, now);
        let (standing, is_noted) = (standing(Some(&slot.window), quota, now), slot.is_changed);
        if quota.lasting && !is_noted {
            self.note_change(owner, quota.pool(), &quota.subject);
        }
        standing
    }

    /// The window waits to be written down, if it does not yet.
    fn note_change(&mut self, owner: &str, policy: &str, subject: &str) {
        let Some(slot) = self.slot(policy, subject).filter(|slot| !slot.is_changed) else {
            return;
        };
        slot.is_changed = true;
        let policy = slot.policy.clone();
        self.changed.push(Changed {
            owner: owner.to_owned(),
            subject: subject.to_owned(),
            policy,
        });
    }

    fn insert(&mut self, policy: Policy, subject: &str, window: Window) {
        self.windows
            .entry(subject.to_owned())
            .or_default()
            .push(Slot {
                policy,
                window,
                is_changed: false,
            });
    }

    /// Milliseconds until the quota's cost fits; it does not exceed the quota.
    fn millis_until_room(&self, quota: &Quota, now: Timestamp) -> i64 {
        self.window(quota).map_or(0, |window| {
            window.millis_until(quota.rate.quota.saturating_sub(quota.cost), now)
        })
    }

    fn take_changed(&mut self) -> Vec<LimitWindow> {
        let changed = std::mem::take(&mut self.changed);
        // one that is gone has run out
        let row = |changed: Changed| {
            let slot = self.slot(&changed.policy, &changed.subject)?;
            slot.is_changed = false;
            Some(saved::write(
                &changed.owner,
                &changed.policy,
                &changed.subject,
                &slot.window,
            ))
        };
        changed.into_iter().filter_map(row).collect()
    }

    fn restore(&mut self, row: &LimitWindow, now: Timestamp) -> Option<()> {
        let (policy, subject) = saved::names(row)?;
        let mut window = saved::read(row)?;
        let news = window.expire(now);
        if self.slot(policy, subject).is_none() {
            self.insert(Policy::Configured(policy.into()), subject, window);
        }
        if news {
            self.note_change(&row.owner, policy, subject);
        }
        Some(())
    }

    /// Forgets windows that have run out, when there are many.
    fn sweep(&mut self, now: Timestamp) {
        if self.windows.len() > self.sweep_above {
            self.windows.retain(|_, slots| {
                slots.retain_mut(|slot| {
                    slot.window.expire(now);
                    !slot.window.is_empty()
                });
                !slots.is_empty()
            });
            self.sweep_above = SWEEP_ABOVE.max(2 * self.windows.len());
        }
    }
}

fn standing(window: Option<&Window>, quota: &Quota, now: Timestamp) -> Standing {
    let limit = quota.rate.quota;
    let used = window.map_or(0, Window::used);
    // one less than now, or than the limit if that was lowered below what is in use
    let more = used.min(limit).saturating_sub(1);
    Standing {
        policy: quota.policy.clone(),
        limit,
        window_seconds: quota.rate.window_seconds,
        remaining: limit.saturating_sub(used),
        reset_seconds: window.map_or(0, |window| whole_seconds(window.millis_until(more, now))),
    }
}

/// Rounded up: whoever waits so long is not early.
fn whole_seconds(millis: i64) -> i64 {
    millis.div_euclid(1000) + i64::from(millis.rem_euclid(1000) > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Rate;

    fn quota(quota: u64, window_seconds: i64) -> Quota {
        Quota {
            lasting: true,
            ..Quota::new(
                "owner",
                "x",
                Rate {
                    quota,
                    window_seconds,
                },
            )
        }
    }

    fn admits(limiter: &Limiter, quota: &Quota, millis: i64) -> bool {
        matches!(
            limiter.take(
                "o",
                std::slice::from_ref(quota),
                Timestamp::from_millis(millis)
            ),
            Taken::All(_)
        )
    }

    #[test]
    fn the_last_one_admitted_is_told_that_nothing_remains() {
        // row 48
        let (limiter, quota) = (Limiter::default(), quota(2, 60));
        assert!(admits(&limiter, &quota, 0));
        let Taken::All(standings) =
            limiter.take("o", std::slice::from_ref(&quota), Timestamp::from_millis(1))
        else {
            panic!("admitted")
        };
        assert_eq!(
            (standings[0].remaining, standings[0].reset_seconds),
            (0, 60)
        );
        let Taken::None {
            violated,
            retry_after_seconds,
            ..
        } = limiter.take(
            "o",
            std::slice::from_ref(&quota),
            Timestamp::from_millis(30_000),
        )
        else {
            panic!("refused")
        };
        assert_eq!(
            (violated, retry_after_seconds),
            (vec!["owner".into()], Some(30))
        );
        assert!(!admits(&limiter, &quota, 59_999) && admits(&limiter, &quota, 60_000));
    }

    #[test]
    fn quotas_are_taken_all_or_none() {
        let limiter = Limiter::default();
        let (small, large) = (
            quota(1, 60),
            Quota {
                policy: "key".into(),
                ..quota(5, 60)
            },
        );
        let take = |millis| {
            limiter.take(
                "o",
                &[large.clone(), small.clone()],
                Timestamp::from_millis(millis),
            )
        };
        assert!(matches!(take(0), Taken::All(_)));
        for _ in 0..10 {
            assert!(matches!(take(1), Taken::None { violated, .. } if violated == ["owner"]));
        }
        // the refused ones took nothing of the large quota either
        let left = (0..10)
            .filter(|_| {
                matches!(
                    limiter.take("o", std::slice::from_ref(&large), Timestamp::from_millis(2)),
                    Taken::All(_)
                )
            })
            .count();
        assert_eq!(left, 4);
    }

    #[test]
    fn a_clock_that_steps_back_closes_no_window_for_longer_than_its_length() {
        let (limiter, quota) = (Limiter::default(), quota(1, 60));
        assert!(admits(&limiter, &quota, 10_000_000));
        assert!(!admits(&limiter, &quota, 5_000_000));
        assert!(!admits(&limiter, &quota, 5_059_999));
        assert!(admits(&limiter, &quota, 5_060_000));
    }

    #[test]
    fn a_cost_above_the_limit_is_refused_for_good_and_takes_nothing() {
        let limiter = Limiter::default();
        let (small, large) = (
            Quota {
                cost: 3,
                ..quota(2, 60)
            },
            Quota {
                policy: "key".into(),
                cost: 3,
                ..quota(100, 60)
            },
        );
        let both = [large.clone(), small];
        let Taken::None {
            violated,
            retry_after_seconds,
            standings,
        } = limiter.take("o", &both, Timestamp::from_millis(0))
        else {
            panic!("refused")
        };
        assert_eq!(
            (violated, retry_after_seconds),
            (vec!["owner".into()], None)
        );
        assert!(standings.iter().all(|standing| standing.remaining == standing.limit && standing.reset_seconds == 0), "{standings:?}");
    }

    #[test]
    fn a_cost_waits_until_there_is_room_for_all_of_it() {
        let (limiter, one) = (Limiter::default(), quota(4, 60));
        for millis in [0, 10_000, 20_000, 30_000] {
            assert!(admits(&limiter, &one, millis));
        }
        let three = Quota { cost: 3, ..one };
        let Taken::None {
            retry_after_seconds,
            standings,
            ..
        } = limiter.take(
            "o",
            std::slice::from_ref(&three),
            Timestamp::from_millis(30_001),
        )
        else {
            panic!("refused")
        };
        assert_eq!(
            (retry_after_seconds, standings[0].reset_seconds),
            (Some(50), 30),
            "three leave at 80 s, the first at 60 s"
        );
        assert!(!admits(&limiter, &three, 79_999) && admits(&limiter, &three, 80_000));
    }

    #[test]
    fn a_changed_limit_holds_from_the_next_request_on() {
        let limiter = Limiter::default();
        let sized = |size| quota(size, 60);
        assert_eq!(
            (0..100)
                .filter(|millis| admits(&limiter, &sized(1000), *millis))
                .count(),
            100
        );
        // lowered, below what is in use, and to one of another bucket size
        for size in [10, 64, 100] {
            assert!(!admits(&limiter, &sized(size), 200), "{size}");
        }
        let Taken::None { standings, .. } =
            limiter.take("o", &[sized(10)], Timestamp::from_millis(200))
        else {
            panic!("refused")
        };
        assert_eq!(
            (
                standings[0].limit,
                standings[0].remaining,
                standings[0].reset_seconds
            ),
            (10, 0, 60)
        );
        // raised
        assert!(admits(&limiter, &sized(101), 200) && !admits(&limiter, &sized(101), 200));
        assert!(
            admits(&limiter, &quota(101, 1), 1_300),
            "a shorter window holds at once, too"
        );
    }

    #[test]
    fn only_lasting_windows_that_changed_are_written_down_and_a_failed_write_loses_nothing() {
        let limiter = Limiter::default();
        let (lasting, stranger) = (
            quota(5, 60),
            Quota::new(
                "unknown_credentials",
                "192.0.2.7",
                Rate {
                    quota: 5,
                    window_seconds: 60,
                },
            ),
        );
        assert!(admits(&limiter, &lasting, 0) && admits(&limiter, &stranger, 0));
        let taken = limiter.take_changed();
        assert_eq!(
            taken
                .iter()
                .map(|row| (row.name.as_str(), row.admissions.as_str()))
                .collect::<Vec<_>>(),
            [("owner x", "0:1")]
        );
        assert!(limiter.take_changed().is_empty());
        limiter.put_back(&taken);
        assert!(admits(&limiter, &lasting, 7));
        limiter.put_back(&taken);
        let again = limiter.take_changed();
        assert_eq!(
            again
                .iter()
                .map(|row| (row.admissions.as_str(), row.ends_at.millis()))
                .collect::<Vec<_>>(),
            [("0:1 7:1", 60_007)]
        );
        assert!(limiter.take_changed().is_empty());
    }

    #[test]
    fn what_was_written_down_is_read_again_and_nonsense_is_left_out() {
        let (former, lasting) = (Limiter::default(), quota(5, 60));
        assert!((0..4).all(|millis| admits(&former, &lasting, millis)));
        let mut rows = former.take_changed();
        let ruined = |name: &str, admissions: &str| LimitWindow {
            name: name.to_owned(),
            admissions: admissions.to_owned(),
            ..rows[0].clone()
        };
        rows.extend([
            ruined("owner", "0:1"),
            ruined("owner y", "0"),
            ruined("owner y", "0:-1"),
            ruined("owner y", "x:1"),
        ]);
        let limiter = Limiter::default();
        assert_eq!(limiter.restore(&rows, Timestamp::from_millis(10)), Err(4));
        assert!(admits(&limiter, &lasting, 10) && !admits(&limiter, &lasting, 10));
        // what has not changed since is not written again
        assert_eq!(limiter.take_changed().len(), 1);
        let idle = Limiter::default();
        assert_eq!(idle.restore(&rows[..1], Timestamp::from_millis(10)), Ok(()));
        assert!(idle.take_changed().is_empty());
    }
}
