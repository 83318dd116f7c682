//! What the store counts while it works. Its threads write; `/metrics` reads.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct LaneLabels {
    /// `reads` or `writes`.
    pub lane: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ErrorLabels {
    pub kind: &'static str,
}

/// A copy counts for the same series.
#[derive(Debug, Clone)]
pub struct DatabaseMetrics {
    pub errors: Family<ErrorLabels, Counter<u64, AtomicU64>>,
    pub writes_failed: Counter<u64, AtomicU64>,
    pub queued: Family<LaneLabels, Gauge>,
    pub queue_seconds: Family<LaneLabels, Histogram>,
    pub connections_dropped: Counter<u64, AtomicU64>,
    pub lock_held: Gauge,
    pub wal_bytes: Gauge,
}

impl Default for DatabaseMetrics {
    fn default() -> Self {
        Self {
            errors: Family::default(),
            writes_failed: Counter::default(),
            queued: Family::default(),
            queue_seconds: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(0.0001, 4.0, 9))
            }),
            connections_dropped: Counter::default(),
            lock_held: Gauge::default(),
            wal_bytes: Gauge::default(),
        }
    }
}

impl DatabaseMetrics {
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "database_errors",
            "Calls to the database that failed, by kind",
            self.errors.clone(),
        );
        registry.register(
            "database_writes_failed",
            "Writes that were not kept, or whose fate is unknown",
            self.writes_failed.clone(),
        );
        registry.register(
            "database_queue_length",
            "Requests that wait for a database thread",
            self.queued.clone(),
        );
        registry.register(
            "database_queue_seconds",
            "How long requests waited for a database thread",
            self.queue_seconds.clone(),
        );
        registry.register(
            "database_connections_dropped",
            "Connections given up because the database did not answer in time",
            self.connections_dropped.clone(),
        );
        registry.register(
            "database_lock_held",
            "1 while this process can prove that it alone serves the database",
            self.lock_held.clone(),
        );
        registry.register(
            "database_wal_bytes",
            "Size of SQLite's write-ahead log; 0 on PostgreSQL",
            self.wal_bytes.clone(),
        );
    }
}
