//! Database threads that each own a connection: the readers of SQLite, and all of PostgreSQL's.
//!
//! A write that ran into another transaction is rolled back and run again: after a deadlock, a serialization failure or a
//! lock time-out. Invariant: only when the server itself has ended the transaction, and never once its COMMIT was sent. So
//! what is answered as done is done once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::RngExt;

use super::changes::Changes;
use super::conn::{Conn, Database};
use super::error::Error;
use super::job::{BoxedJob, Job, Outcome};

/// Before the second attempt at most; doubled before each further one.
const FIRST_PAUSE_MILLIS: u64 = 20;

pub(super) struct Worker {
    database: Database,
    changes: Arc<Changes>,
    rehearses: Arc<AtomicBool>,
    conn: Option<Conn>,
}

impl Worker {
    pub fn new(database: Database, changes: Arc<Changes>, rehearses: Arc<AtomicBool>) -> Self {
        Self {
            database,
            changes,
            rehearses,
            conn: None,
        }
    }

    /// Works until every sender is gone.
    pub fn work(mut self, jobs: &Mutex<Receiver<BoxedJob>>) {
        loop {
            // the lock is held while waiting: the other workers wait for the lock instead of the channel
            let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(mut job) = next else { return };
            let kept = self.run(&mut *job);
            if let Err(reason) = &kept {
                tracing::error!("A database connection failed and was closed: {reason}");
                self.conn = None;
            }
            job.finish(kept.map_err(Error::Unavailable));
        }
    }

    fn run(&mut self, job: &mut dyn Job) -> Result<(), String> {
        if job.writes() && self.rehearses.load(Ordering::Relaxed) {
            self.attempt(job, true)?;
        }
        let mut attempts = 0;
        while let Some((reason, most)) = self.attempt(job, false)? {
            attempts += 1;
            if attempts >= most {
                return Err(reason);
            }
            tracing::info!(attempts, "A transaction is run again: {reason}");
            std::thread::sleep(pause(attempts));
        }
        Ok(())
    }

    /// One transaction. `Some`: it was rolled back for a reason that may have gone, and may run up to so often in all.
    fn attempt(
        &mut self,
        job: &mut dyn Job,
        rehearsal: bool,
    ) -> Result<Option<(String, u32)>, String> {
        let writes = job.writes();
        // another process may answer from its memory, and would not learn what this one changes
        if writes && !self.changes.is_trusted() {
            return Err("the lock in the database is lost".to_owned());
        }
        let conn = self.begin(writes)?;
        match job.run(conn) {
            Outcome::Commit(subjects) if !rehearsal => {
                let committed = conn.commit().map_err(|error| error.to_string());
                // also when the outcome is unknown
                self.changes.publish(&subjects);
                committed.map(|()| None)
            }
            Outcome::Commit(_) | Outcome::Rollback => rolled_back(conn).map(|()| None),
            Outcome::Again(reason, most) => rolled_back(conn).map(|()| Some((reason, most))),
            Outcome::Spoilt(reason) => Err(reason),
        }
    }

    /// Opens a transaction, on a new connection if the old one has died: nothing runs in it yet, so nothing is lost.
    fn begin(&mut self, writes: bool) -> Result<&mut Conn, String> {
        let alive = self
            .conn
            .as_mut()
            .is_some_and(|conn| begin_on(conn, writes).is_ok());
        if !alive {
            self.conn = None;
            let mut conn = Conn::open(&self.database).map_err(|error| error.to_string())?;
            begin_on(&mut conn, writes).map_err(|error| error.to_string())?;
            self.conn = Some(conn);
        }
        self.conn.as_mut().ok_or_else(|| "not connected".to_owned())
    }
}

fn rolled_back(conn: &mut Conn) -> Result<(), String> {
    conn.rollback().map_err(|error| error.to_string())
}

/// Grows, and differs between two that were in each other's way.
fn pause(attempts: u32) -> Duration {
    let most = FIRST_PAUSE_MILLIS << (attempts - 1);
    Duration::from_millis(rand::rng().random_range(most / 2..=most))
}

fn begin_on(conn: &mut Conn, writes: bool) -> diesel::QueryResult<()> {
    if writes {
        conn.begin_write()
    } else {
        conn.begin_read()
    }
}
