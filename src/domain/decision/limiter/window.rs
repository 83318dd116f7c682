//! One sliding window: what was admitted, and when it leaves.
//!
//! Small quotas keep every admission's time. Large ones keep buckets of fewer than 5 % of the quota, each counted in full
//! until its newest admission has left the window: what that over-counts stays below 5 %. A limit that changes finds the
//! buckets of the former one: they count in full, too, so that it is never exceeded.

use std::collections::VecDeque;

use crate::types::time::Timestamp;

/// Up to this quota every admission has a bucket of its own.
const EXACT: u64 = 64;
/// Larger quotas are cut into this many buckets.
const BUCKETS: u64 = 24;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bucket {
    /// Unix milliseconds.
    pub newest: i64,
    pub count: u64,
}

#[derive(Default)]
pub(super) struct Window {
    /// The oldest first.
    buckets: VecDeque<Bucket>,
    /// The sum of all buckets.
    used: u64,
    /// Kept so that an idle window can be dropped.
    length_millis: i64,
}

impl Window {
    pub fn from_buckets(mut buckets: Vec<Bucket>, length_millis: i64) -> Self {
        buckets.sort_by_key(|bucket| bucket.newest);
        let used = buckets
            .iter()
            .fold(0, |sum: u64, bucket| sum.saturating_add(bucket.count));
        Self {
            buckets: buckets.into(),
            used,
            length_millis,
        }
    }

    pub fn buckets(&self) -> impl Iterator<Item = Bucket> {
        self.buckets.iter().copied()
    }

    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    pub fn used(&self) -> u64 {
        self.used
    }

    pub fn length_millis(&self) -> i64 {
        self.length_millis
    }

    /// When the newest admission leaves; long ago for an empty window.
    pub fn ends_at(&self) -> Timestamp {
        Timestamp::from_millis(
            self.buckets
                .back()
                .map_or(0, |bucket| bucket.newest.saturating_add(self.length_millis)),
        )
    }

    /// The length from here on: a limit may have changed. Whether it has.
    pub fn set_length(&mut self, window_seconds: i64) -> bool {
        let length_millis = window_seconds.saturating_mul(1000);
        std::mem::replace(&mut self.length_millis, length_millis) != length_millis
    }

    /// Drops what has left the window. A time ahead of a clock that stepped back counts as now: the window stays closed for
    /// no longer than its length, and opens only after a clock has moved on by as much. Whether anything is different now.
    pub fn expire(&mut self, now: Timestamp) -> bool {
        let (now, before) = (now.millis(), self.buckets.len());
        let mut steps_back = false;
        for ahead in self
            .buckets
            .iter_mut()
            .rev()
            .take_while(|bucket| bucket.newest > now)
        {
            ahead.newest = now;
            steps_back = true;
        }
        let start = now.saturating_sub(self.length_millis);
        while let Some(oldest) = self
            .buckets
            .front()
            .copied()
            .filter(|oldest| oldest.newest <= start)
        {
            self.buckets.pop_front();
            self.used = self.used.saturating_sub(oldest.count);
        }
        steps_back || self.buckets.len() != before
    }

    pub fn admit(&mut self, cost: u64, quota: u64, now: Timestamp) {
        let size = if quota <= EXACT { 1 } else { quota / BUCKETS };
        self.used = self.used.saturating_add(cost);
        match self.buckets.back_mut() {
            // what leaves at the same instant is counted as long as it is
            Some(bucket)
                if bucket.newest == now.millis() || bucket.count.saturating_add(cost) <= size =>
            {
                bucket.count = bucket.count.saturating_add(cost);
                bucket.newest = now.millis();
            }
            _ => self.buckets.push_back(Bucket {
                newest: now.millis(),
                count: cost,
            }),
        }
    }

    /// Milliseconds until at most `most` are in use; 0 when it is so already.
    pub fn millis_until(&self, most: u64, now: Timestamp) -> i64 {
        let mut left = self.used;
        for bucket in &self.buckets {
            if left <= most {
                break;
            }
            left = left.saturating_sub(bucket.count);
            if left <= most {
                return bucket
                    .newest
                    .saturating_add(self.length_millis)
                    .saturating_sub(now.millis());
            }
        }
        0
    }
}
