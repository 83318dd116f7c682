//! What the store has seen of its database: counted for `/metrics`, and the last of it remembered for `/readyz`.

use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;

use super::error::{Failure, Trouble};
use crate::telemetry::database::{DatabaseMetrics, ErrorLabels, LaneLabels};
use crate::types::time::Stopwatch;

/// Which queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    Reads,
    Writes,
}

impl Lane {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Reads => "reads",
            Self::Writes => "writes",
        }
    }
}

/// How one kind of work fared last.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen {
    /// Of the last one, if it failed for a reason that others share.
    pub trouble: Option<Trouble>,
    well: Option<Stopwatch>,
}

impl Seen {
    /// How long ago one went well; `None`: none has yet.
    pub fn well_since(self) -> Option<Duration> {
        self.well.map(Stopwatch::elapsed)
    }
}

pub(super) struct Observed {
    pub metrics: DatabaseMetrics,
    /// On the disk of SQLite's file, as its writer saw it last; elsewhere as much as there can be.
    pub free_bytes: AtomicU64,
    reads: Mutex<Seen>,
    writes: Mutex<Seen>,
}

impl Default for Observed {
    fn default() -> Self {
        Self {
            metrics: DatabaseMetrics::default(),
            free_bytes: AtomicU64::new(u64::MAX),
            reads: Mutex::default(),
            writes: Mutex::default(),
        }
    }
}

impl Observed {
    pub fn seen(&self, lane: Lane) -> Seen {
        *self.lock(lane)
    }

    pub fn queued(&self, lane: Lane) {
        self.queue(lane).inc();
    }

    /// It left the queue after so long.
    pub fn taken(&self, lane: Lane, waited: Duration) {
        self.queue(lane).dec();
        self.metrics
            .queue_seconds
            .get_or_create(&LaneLabels {
                lane: lane.as_str(),
            })
            .observe(waited.as_secs_f64());
    }

    pub fn went_well(&self, lane: Lane) {
        *self.lock(lane) = Seen {
            trouble: None,
            well: Some(Stopwatch::start()),
        };
    }

    pub fn failed(&self, lane: Lane, failure: &Failure) {
        self.count(failure.trouble);
        if failure.trouble != Trouble::Other {
            self.lock(lane).trouble = Some(failure.trouble);
        }
    }

    /// An asker waited in vain. What the database itself said of its trouble says more.
    pub fn was_silent(&self, lane: Lane) {
        self.count(Trouble::Silent);
        self.lock(lane).trouble.get_or_insert(Trouble::Silent);
    }

    /// So many writes were not kept.
    pub fn writes_failed(&self, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.metrics.writes_failed.inc_by(count);
    }

    fn count(&self, trouble: Trouble) {
        let kind = trouble.as_str();
        self.metrics
            .errors
            .get_or_create(&ErrorLabels { kind })
            .inc();
    }

    fn queue(&self, lane: Lane) -> Gauge {
        let lane = lane.as_str();
        let queue = self.metrics.queued.get_or_create(&LaneLabels { lane });
        queue.clone()
    }

    fn lock(&self, lane: Lane) -> MutexGuard<'_, Seen> {
        match lane {
            Lane::Reads => &self.reads,
            Lane::Writes => &self.writes,
        }
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
    }
}
