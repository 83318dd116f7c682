//! The limiter against a naive one that keeps every admission: over any sequence of times, costs, quotas and restarts.

use std::collections::BTreeMap;

use countersign::config::Rate;
use countersign::domain::decision::limiter::{Limiter, Quota, Standing, Taken};
use countersign::store::limit_windows::LimitWindow;
use countersign::types::time::Timestamp;
use proptest::prelude::*;

/// Names and window lengths of the quotas; their sizes are the test's.
const POLICIES: [(&str, i64); 3] = [("a", 10), ("b", 10), ("c", 35)];

#[derive(Debug, Clone)]
enum Step {
    /// The clock moves, also back, and then a request of this cost falls under the quotas whose bit is set.
    Request { millis: i64, cost: u64, under: u8 },
    /// Waits as long as the last refusal said and asks for the same again.
    WaitAsTold,
    /// The process ends after a flush, and another starts.
    Restart,
    /// One quota gets another size and another length.
    Change {
        which: usize,
        quota: u64,
        seconds: i64,
    },
}

/// Mostly small steps; edges of windows; clocks that step back and forth.
fn millis() -> impl Strategy<Value = i64> {
    prop_oneof![
        10 => 0_i64..700,
        2 => Just(0_i64),
        1 => prop::sample::select(vec![9_999_i64, 10_000, 10_001, 34_999, 35_000]),
        1 => -40_000_i64..0,
        1 => prop::sample::select(vec![-10_000_i64, -1, -1_000_000_000, 1_000_000_000]),
    ]
}

fn request() -> impl Strategy<Value = Step> {
    let cost = prop_oneof![6 => Just(1_u64), 2 => 1_u64..8, 1 => 1_u64..400];
    (millis(), cost, 1_u8..8).prop_map(|(millis, cost, under)| Step::Request {
        millis,
        cost,
        under,
    })
}

fn steps(changes: bool) -> impl Strategy<Value = Vec<Step>> {
    let change =
        (0_usize..3, 1_u64..300, 1_i64..40).prop_map(|(which, quota, seconds)| Step::Change {
            which,
            quota,
            seconds,
        });
    let weight = u32::from(changes);
    let step = if weight == 0 {
        prop_oneof![40 => request(), 2 => Just(Step::WaitAsTold), 1 => Just(Step::Restart)].boxed()
    } else {
        prop_oneof![40 => request(), 2 => Just(Step::WaitAsTold), 1 => Just(Step::Restart), 2 => change].boxed()
    };
    prop::collection::vec(step, 1..400)
}

/// One admission as the naive limiter keeps it.
struct Admission {
    /// As a clock that stepped back has made it.
    at: i64,
    cost: u64,
}

#[derive(Default)]
struct Naive {
    admissions: Vec<Admission>,
}

impl Naive {
    fn expire(&mut self, now: i64, length: i64) {
        self.admissions
            .iter_mut()
            .for_each(|admission| admission.at = admission.at.min(now));
        self.admissions
            .retain(|admission| admission.at > now - length);
    }

    fn used(&self) -> u64 {
        self.admissions.iter().map(|admission| admission.cost).sum()
    }
}

/// Both limiters, the rows between two processes, and what has to hold.
struct Trial {
    limiter: Limiter,
    naive: [Naive; 3],
    sizes: [(u64, i64); 3],
    rows: BTreeMap<String, LimitWindow>,
    now: i64,
    refused: Option<(i64, u64, u8)>,
    /// Every clock reading at a quota, with what was admitted then.
    readings: [Vec<(i64, u64)>; 3],
    /// A lowered or lengthened limit finds buckets of another size: then only the exact ones can be compared.
    changes: bool,
}

impl Trial {
    fn new(sizes: [u64; 3], changes: bool) -> Self {
        let sizes = [0, 1, 2].map(|index| (sizes[index], POLICIES[index].1));
        let (naive, readings) = (<[Naive; 3]>::default(), <[Vec<(i64, u64)>; 3]>::default());
        Self {
            limiter: Limiter::default(),
            naive,
            sizes,
            rows: BTreeMap::new(),
            now: 5_000_000_000,
            refused: None,
            readings,
            changes,
        }
    }

    fn run(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Request {
                millis,
                cost,
                under,
            } => {
                self.now += millis;
                self.request(cost, under).map(drop)
            }
            Step::WaitAsTold => match self.refused.take() {
                Some((seconds, cost, under)) => {
                    self.now += seconds * 1000;
                    let admitted = self.request(cost, under)?;
                    prop_assert!(
                        admitted,
                        "refused after waiting for the {seconds} s it was told"
                    );
                    Ok(())
                }
                None => Ok(()),
            },
            Step::Restart => {
                self.flush();
                self.rows.retain(|_, row| row.ends_at.millis() > self.now);
                let rows: Vec<LimitWindow> = self.rows.values().cloned().collect();
                self.limiter = Limiter::default();
                prop_assert_eq!(
                    self.limiter
                        .restore(&rows, Timestamp::from_millis(self.now)),
                    Ok(())
                );
                for (index, naive) in self.naive.iter_mut().enumerate() {
                    naive.expire(
                        self.now,
                        self.rows
                            .get(&format!("{} x", POLICIES[index].0))
                            .map_or(0, |row| row.window_millis),
                    );
                }
                self.readings
                    .iter_mut()
                    .for_each(|readings| readings.push((self.now, 0)));
                Ok(())
            }
            Step::Change {
                which,
                quota,
                seconds,
            } => {
                // what was written down last has the length of its last request
                self.flush();
                self.sizes[which] = (quota, seconds);
                self.refused = None;
                Ok(())
            }
        }
    }

    fn flush(&mut self) {
        self.rows.extend(
            self.limiter
                .take_changed()
                .into_iter()
                .map(|row| (row.name.clone(), row)),
        );
    }

    fn request(&mut self, cost: u64, under: u8) -> Result<bool, TestCaseError> {
        let indices: Vec<usize> = (0..3).filter(|index| under & (1 << index) != 0).collect();
        let quota = |index: usize| {
            let (quota, window_seconds) = self.sizes[index];
            Quota {
                cost,
                lasting: true,
                ..Quota::new(
                    POLICIES[index].0,
                    "x",
                    Rate {
                        quota,
                        window_seconds,
                    },
                )
            }
        };
        let quotas: Vec<Quota> = indices.iter().map(|index| quota(*index)).collect();
        for index in &indices {
            self.naive[*index].expire(self.now, self.sizes[*index].1 * 1000);
        }
        let taken = self
            .limiter
            .take("o", &quotas, Timestamp::from_millis(self.now));
        let (admitted, standings) = match &taken {
            Taken::All(standings) => (true, standings.clone()),
            Taken::None {
                standings,
                violated,
                retry_after_seconds,
            } => {
                self.judge_refusal(&quotas, &indices, violated, *retry_after_seconds)?;
                (false, standings.clone())
            }
        };
        self.refused = match taken {
            Taken::None {
                retry_after_seconds: Some(seconds),
                ..
            } => Some((seconds, cost, under)),
            _ => None,
        };
        for (index, standing) in indices.iter().zip(&standings) {
            if admitted {
                self.naive[*index]
                    .admissions
                    .push(Admission { at: self.now, cost });
            }
            self.readings[*index].push((self.now, if admitted { cost } else { 0 }));
            self.judge_standing(*index, standing, admitted)?;
        }
        Ok(admitted)
    }

    /// Never at 95 %, never for nothing, and with an honest word about waiting.
    fn judge_refusal(
        &self,
        quotas: &[Quota],
        indices: &[usize],
        violated: &[countersign::domain::decision::limiter::Policy],
        retry: Option<i64>,
    ) -> Result<(), TestCaseError> {
        prop_assert!(!violated.is_empty());
        for (quota, index) in quotas
            .iter()
            .zip(indices)
            .filter(|(quota, _)| violated.contains(&quota.policy))
        {
            let (size, wanted) = (quota.rate.quota, self.naive[*index].used() + quota.cost);
            prop_assert_eq!(
                quota.cost > size,
                retry.is_none(),
                "no waiting helps, and only then"
            );
            if !self.changes {
                prop_assert!(
                    wanted * 100 > size * 95,
                    "refused at {} of {}",
                    wanted,
                    size
                );
            }
            if !self.changes && size <= 64 {
                prop_assert!(
                    wanted > size,
                    "small quotas are exact: {} of {}",
                    wanted,
                    size
                );
            }
        }
        let longest = quotas
            .iter()
            .map(|quota| quota.rate.window_seconds)
            .max()
            .unwrap_or(0);
        prop_assert!(
            retry.is_none_or(|seconds| (1..=longest).contains(&seconds)),
            "{:?}",
            retry
        );
        Ok(())
    }

    /// Never over the quota, and what remains is told within 5 %.
    fn judge_standing(
        &self,
        index: usize,
        standing: &Standing,
        admitted: bool,
    ) -> Result<(), TestCaseError> {
        let ((size, seconds), used) = (self.sizes[index], self.naive[index].used());
        prop_assert!(!admitted || used <= size, "{} admitted of {}", used, size);
        prop_assert_eq!((standing.limit, standing.window_seconds), (size, seconds));
        let truly = size.saturating_sub(used);
        prop_assert!(
            standing.remaining <= truly,
            "{} told, {} remain",
            standing.remaining,
            truly
        );
        prop_assert!(
            self.changes || (truly - standing.remaining) * 20 <= size,
            "{} told, {} remain of {}",
            standing.remaining,
            truly,
            size
        );
        prop_assert!(
            (0..=seconds).contains(&standing.reset_seconds),
            "{}",
            standing.reset_seconds
        );
        prop_assert_eq!(
            standing.reset_seconds == 0,
            standing.remaining == size,
            "{:?}",
            standing
        );
        Ok(())
    }

    /// From the readings alone, without any idea of how they are kept: among consecutive requests whose readings lie less
    /// than a window apart, no more than the quota was admitted.
    fn judge_readings(&self) -> Result<(), TestCaseError> {
        for (index, readings) in self.readings.iter().enumerate() {
            let (size, seconds) = self.sizes[index];
            for start in 0..readings.len() {
                let (mut earliest, mut latest, mut admitted) = (i64::MAX, i64::MIN, 0);
                for (at, cost) in &readings[start..] {
                    (earliest, latest) = (earliest.min(*at), latest.max(*at));
                    if latest - earliest >= seconds * 1000 {
                        break;
                    }
                    admitted += cost;
                    prop_assert!(
                        admitted <= size,
                        "{} of {} between {} and {}",
                        admitted,
                        size,
                        earliest,
                        latest
                    );
                }
            }
        }
        Ok(())
    }
}

proptest! {
    /// Never over a quota, refused requests free, 95 % never refused, costs, all or none, restarts.
    #[test]
    fn whatever_the_clock_does_no_window_admits_more_than_its_quota(sizes in prop::array::uniform3(1_u64..300), steps in steps(false)) {
        let mut trial = Trial::new(sizes, false);
        for step in steps {
            trial.run(step)?;
        }
        trial.judge_readings()?;
    }

    /// A changed limit holds from the next request on, also among buckets of the former size.
    #[test]
    fn a_limit_that_changes_is_not_exceeded_from_then_on(sizes in prop::array::uniform3(1_u64..300), steps in steps(true)) {
        let mut trial = Trial::new(sizes, true);
        for step in steps {
            trial.run(step)?;
        }
    }

    /// A caller who in every window stays within 95 % of a large quota, in bursts or not.
    #[test]
    fn a_caller_at_95_percent_is_never_refused(size in 20_u64..3000, steps in prop::collection::vec((0_i64..4000, 1_u64..300), 1..60)) {
        let (limiter, quota) = (Limiter::default(), Quota::new("a", "x", Rate { quota: size, window_seconds: 10 }));
        let (mut now, mut sent): (i64, Vec<i64>) = (0, Vec::new());
        for (step, burst) in steps {
            now += step;
            sent.retain(|time| *time > now - 10_000);
            for _ in 0..burst {
                let within = sent.len() as u64;
                if (within + 1) * 100 > size * 95 {
                    break;
                }
                let taken = limiter.take("o", std::slice::from_ref(&quota), Timestamp::from_millis(now));
                prop_assert!(matches!(taken, Taken::All(_)), "refused with {} of {} in the window", within, size);
                sent.push(now);
            }
        }
    }
}
