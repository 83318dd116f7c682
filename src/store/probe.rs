//! Whether the database answers and keeps what is written, for `/readyz` and `/metrics`.

use diesel::{ExpressionMethods, QueryDsl};

use super::conn::Database;
use super::error::Trouble;
use super::schema::foreign_writes;
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
        let mut seen = self.shared.observed.seen(lane);
        if lane == Lane::Writes && self.free_bytes().is_some_and(|free| free < LEAST_FREE) {
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
        let Database::Sqlite(path) = &self.shared.database else {
            return;
        };
        let bytes = std::fs::metadata(format!("{path}-wal")).map_or(0, |file| file.len());
        metrics.wal_bytes.set(bytes.try_into().unwrap_or(i64::MAX));
    }

    /// Room on the disk of SQLite's file.
    fn free_bytes(&self) -> Option<u64> {
        let Database::Sqlite(path) = &self.shared.database else {
            return None;
        };
        let disk = rustix::fs::statvfs(path).ok()?;
        Some(disk.f_bavail.saturating_mul(disk.f_frsize))
    }
}
