//! Whether the database answers and keeps what is written, for `/readyz` and `/metrics`.

use std::sync::atomic::Ordering;

use diesel::{ExpressionMethods, QueryDsl};

use super::error::Trouble;
use super::observed::Observed;
use super::schema::foreign_writes;
use super::sqlite_files::wal_bytes;
use super::statements::WriteDsl;
use super::{Error, Lane, Seen, Store, Tx, Verdict};
use crate::telemetry::database::DatabaseMetrics;
use crate::types::time::Timestamp;

/// With less room than this, in bytes, writes fail at any moment: one transaction of ours may need as much.
const LEAST_FREE: u64 = 256 * 1024;

impl Tx<'_> {
    /// Writes what is there already: the smallest change that a COMMIT has to keep.
    pub fn touch(&mut self) -> Result<(), Error> {
        self.run_one_quiet(|conn| {
            diesel::update(foreign_writes::table.find(super::foreign_writes::NOTICED))
                .set(foreign_writes::count.eq(foreign_writes::count))
                .execute(conn)
        })
    }
}

impl Store {
    /// Asks the database, and lets it keep a write.
    pub async fn probe(&self, now: Timestamp) -> Result<(), Error> {
        self.read(|snapshot| snapshot.find_foreign_writes()).await?;
        self.write(now, |tx| tx.touch().map(Verdict::Done)).await
    }

    /// How the last ones of this kind fared, whoever asked for them.
    pub fn seen(&self, lane: Lane) -> Seen {
        let observed = &self.shared.observed;
        let mut seen = observed.seen(lane);
        if lane == Lane::Writes && observed.free_bytes.load(Ordering::Relaxed) < LEAST_FREE {
            seen.trouble = Some(Trouble::DiskFull);
        }
        seen
    }

    /// Counters and gauges, which go on counting.
    pub fn metrics(&self) -> &DatabaseMetrics {
        &self.shared.observed.metrics
    }

    /// Brings the gauges up to date that nothing else does.
    pub fn measure(&self) {
        let metrics = self.metrics();
        metrics.lock_held.set(self.changes().is_trusted().into());
    }
}

impl Observed {
    /// Looks at the disk of SQLite's file: on the thread that writes, as a disk may hang.
    pub(super) fn look_at_disk(&self, path: &str) {
        if let Ok(disk) = rustix::fs::statvfs(path) {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            self.free_bytes.store(free, Ordering::Relaxed);
        }
        let bytes = wal_bytes(path).try_into().unwrap_or(i64::MAX);
        self.metrics.wal_bytes.set(bytes);
    }
}
