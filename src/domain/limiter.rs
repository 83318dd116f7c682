//! Sliding-window limits.
//!
//! Invariant: no window of any length ever admits more than its quota; a refused request consumes nothing; several quotas
//! are taken all or none; a caller at 95 % of a quota is never refused; a clock that steps back neither opens a window
//! early nor closes it for longer than its length.
//!
//! Small quotas keep every admission's time. Large ones keep buckets of fewer than 5 % of the quota, each counted in full
//! until its newest admission has left the window: what that over-counts stays below 5 %.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::config::Rate;
use crate::types::time::Timestamp;

const STRIPES: usize = 64;
/// Up to this quota every admission has a bucket of its own.
const EXACT: u64 = 64;
/// Larger quotas are cut into this many buckets.
const BUCKETS: u64 = 24;
/// What a stripe holds before it first looks for windows that have run out.
const SWEEP_ABOVE: usize = 4096;

/// One limit that a request falls under.
#[derive(Debug, Clone)]
pub struct Quota {
    /// Its name in headers and answers.
    pub policy: &'static str,
    /// Whose it is: requests with the same policy and subject share it.
    pub subject: String,
    pub rate: Rate,
}

/// Where a quota stands after a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub policy: &'static str,
    pub limit: u64,
    pub window_seconds: i64,
    pub remaining: u64,
    /// Seconds until more is free.
    pub reset_seconds: i64,
}

/// The verdict over all quotas of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    All(Vec<Standing>),
    /// Nothing was taken; `violated` names the quotas that were full.
    None {
        standings: Vec<Standing>,
        violated: Vec<&'static str>,
        retry_after_seconds: i64,
    },
}

struct Bucket {
    newest: i64,
    count: u64,
}

#[derive(Default)]
struct Window {
    buckets: VecDeque<Bucket>,
    /// Milliseconds; kept so that an idle window can be dropped.
    length: i64,
}

type Key = (&'static str, String);

struct Stripe {
    windows: HashMap<Key, Window>,
    /// Above this many it looks for windows that have run out; doubled by what it had to keep.
    sweep_above: usize,
}

impl Default for Stripe {
    fn default() -> Self {
        Self { windows: HashMap::new(), sweep_above: SWEEP_ABOVE }
    }
}

pub struct Limiter {
    stripes: Vec<Mutex<Stripe>>,
    hasher: RandomState,
}

impl Default for Limiter {
    fn default() -> Self {
        Self { stripes: (0..STRIPES).map(|_| Mutex::default()).collect(), hasher: RandomState::new() }
    }
}

impl Limiter {
    /// Takes one from each quota, or nothing. `owner` is shared by all quotas of the request: it decides which lock guards them.
    pub fn take(&self, owner: &str, quotas: &[Quota], now: Timestamp) -> Taken {
        let quotas: Vec<&Quota> = quotas.iter().filter(|quota| !quota.rate.is_none()).collect();
        if quotas.is_empty() {
            return Taken::All(Vec::new());
        }
        let mut stripe = self.stripe(owner);
        stripe.sweep(now);
        let windows = &mut stripe.windows;
        let mut free = true;
        for quota in &quotas {
            let window = windows.entry((quota.policy, quota.subject.clone())).or_default();
            window.length = quota.rate.window_seconds * 1000;
            window.expire(now);
            free &= window.count() < quota.rate.quota;
        }
        if free {
            for quota in &quotas {
                if let Some(window) = windows.get_mut(&(quota.policy, quota.subject.clone())) {
                    window.admit(quota.rate.quota, now);
                }
            }
        }
        let standings: Vec<Standing> = quotas.iter().map(|quota| standing(windows, quota, now)).collect();
        if free { Taken::All(standings) } else { refused(standings) }
    }

    /// Whether one more would be admitted, without taking it.
    pub fn is_free(&self, owner: &str, quota: &Quota, now: Timestamp) -> bool {
        let mut stripe = self.stripe(owner);
        let Some(window) = stripe.windows.get_mut(&(quota.policy, quota.subject.clone())) else { return true };
        window.expire(now);
        window.count() < quota.rate.quota
    }

    fn stripe(&self, owner: &str) -> MutexGuard<'_, Stripe> {
        let index = self.hasher.hash_one(owner) % STRIPES as u64;
        self.stripes[index as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stripe {
    /// Forgets windows that have run out, when there are many.
    fn sweep(&mut self, now: Timestamp) {
        if self.windows.len() > self.sweep_above {
            self.windows.retain(|_, window| {
                window.expire(now);
                !window.buckets.is_empty()
            });
            self.sweep_above = SWEEP_ABOVE.max(2 * self.windows.len());
        }
    }
}

impl Window {
    fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.count).sum()
    }

    /// Drops what has left the window. A time ahead of a clock that stepped back counts as now.
    fn expire(&mut self, now: Timestamp) {
        for bucket in &mut self.buckets {
            bucket.newest = bucket.newest.min(now.millis());
        }
        let start = now.millis().saturating_sub(self.length);
        while self.buckets.front().is_some_and(|oldest| oldest.newest <= start) {
            self.buckets.pop_front();
        }
    }

    fn admit(&mut self, quota: u64, now: Timestamp) {
        let size = if quota <= EXACT { 1 } else { quota / BUCKETS };
        match self.buckets.back_mut() {
            Some(bucket) if bucket.count < size => {
                bucket.count += 1;
                bucket.newest = now.millis();
            }
            _ => self.buckets.push_back(Bucket { newest: now.millis(), count: 1 }),
        }
    }

    /// Milliseconds until the oldest admission leaves; 0 for an empty window.
    fn reset_millis(&self, now: Timestamp) -> i64 {
        self.buckets.front().map_or(0, |oldest| oldest.newest + self.length - now.millis())
    }
}

fn standing(windows: &HashMap<Key, Window>, quota: &Quota, now: Timestamp) -> Standing {
    let window = windows.get(&(quota.policy, quota.subject.clone()));
    let used = window.map_or(0, Window::count);
    Standing {
        policy: quota.policy,
        limit: quota.rate.quota,
        window_seconds: quota.rate.window_seconds,
        remaining: quota.rate.quota.saturating_sub(used),
        reset_seconds: window.map_or(0, |window| (window.reset_millis(now) + 999) / 1000),
    }
}

fn refused(standings: Vec<Standing>) -> Taken {
    let full = |standing: &&Standing| standing.remaining == 0;
    let violated = standings.iter().filter(full).map(|standing| standing.policy).collect();
    let retry_after_seconds = standings.iter().filter(full).map(|standing| standing.reset_seconds).max().unwrap_or(1).max(1);
    Taken::None { standings, violated, retry_after_seconds }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn quota(quota: u64, window_seconds: i64) -> Quota {
        Quota { policy: "owner", subject: "x".to_owned(), rate: Rate { quota, window_seconds } }
    }

    fn admits(limiter: &Limiter, quota: &Quota, millis: i64) -> bool {
        matches!(limiter.take("o", std::slice::from_ref(quota), Timestamp::from_millis(millis)), Taken::All(_))
    }

    #[test]
    fn the_last_one_admitted_is_told_that_nothing_remains() {
        // row 48
        let (limiter, quota) = (Limiter::default(), quota(2, 60));
        assert!(admits(&limiter, &quota, 0));
        let Taken::All(standings) = limiter.take("o", std::slice::from_ref(&quota), Timestamp::from_millis(1)) else { panic!("admitted") };
        assert_eq!((standings[0].remaining, standings[0].reset_seconds), (0, 60));
        let Taken::None { violated, retry_after_seconds, .. } = limiter.take("o", std::slice::from_ref(&quota), Timestamp::from_millis(30_000))
        else {
            panic!("refused")
        };
        assert_eq!((violated, retry_after_seconds), (vec!["owner"], 30));
        assert!(!admits(&limiter, &quota, 59_999) && admits(&limiter, &quota, 60_000));
    }

    #[test]
    fn quotas_are_taken_all_or_none() {
        let limiter = Limiter::default();
        let (small, large) = (quota(1, 60), Quota { policy: "key", ..quota(5, 60) });
        let take = |millis| limiter.take("o", &[large.clone(), small.clone()], Timestamp::from_millis(millis));
        assert!(matches!(take(0), Taken::All(_)));
        for _ in 0..10 {
            assert!(matches!(take(1), Taken::None { violated, .. } if violated == ["owner"]));
        }
        // the refused ones took nothing of the large quota either
        let left = (0..10).filter(|_| matches!(limiter.take("o", std::slice::from_ref(&large), Timestamp::from_millis(2)), Taken::All(_))).count();
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

    proptest! {
        /// Whatever the times, exact or bucketed.
        #[test]
        fn no_window_ever_admits_more_than_its_quota(size in 1_u64..300, steps in prop::collection::vec(0_i64..400, 1..1500)) {
            let (limiter, quota) = (Limiter::default(), quota(size, 10));
            let (mut now, mut admitted) = (0, Vec::new());
            for step in steps {
                now += step;
                if admits(&limiter, &quota, now) {
                    admitted.push(now);
                }
            }
            for (index, start) in admitted.iter().enumerate() {
                let within = admitted[index..].iter().take_while(|time| **time < start + 10_000).count();
                prop_assert!(within as u64 <= size, "{within} of {size} in the window from {start}");
            }
        }

        /// A caller who in every window stays within 95 % of the quota, in bursts or not.
        #[test]
        fn a_caller_at_95_percent_is_never_refused(size in 20_u64..2000, steps in prop::collection::vec((0_i64..4000, 1_u64..200), 1..60)) {
            let (limiter, quota) = (Limiter::default(), quota(size, 10));
            let (mut now, mut sent): (i64, Vec<i64>) = (0, Vec::new());
            for (step, burst) in steps {
                now += step;
                for _ in 0..burst {
                    let within = sent.iter().rev().take_while(|time| **time > now - 10_000).count() as u64;
                    if (within + 1) * 100 > size * 95 {
                        break;
                    }
                    prop_assert!(admits(&limiter, &quota, now), "refused with {within} of {size} in the window");
                    sent.push(now);
                }
            }
        }
    }
}
