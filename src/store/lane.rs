//! Database threads that each own a connection: the readers of SQLite, and all of PostgreSQL's.

use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};

use super::changes::Changes;
use super::conn::{Conn, Database};
use super::error::Error;
use super::job::{BoxedJob, Outcome};

pub(super) struct Worker {
    database: Database,
    changes: Arc<Changes>,
    conn: Option<Conn>,
}

impl Worker {
    pub fn new(database: Database, changes: Arc<Changes>) -> Self {
        Self {
            database,
            changes,
            conn: None,
        }
    }

    /// Works until every sender is gone.
    pub fn work(mut self, jobs: &Mutex<Receiver<BoxedJob>>) {
        loop {
            // the lock is held while waiting: the other workers wait for the lock instead of the channel
            let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(mut job) = next else { return };
            let kept = self.run(&mut job);
            if let Err(reason) = &kept {
                tracing::error!("A database connection failed and was closed: {reason}");
                self.conn = None;
            }
            job.finish(kept.map_err(Error::Unavailable));
        }
    }

    fn run(&mut self, job: &mut BoxedJob) -> Result<(), String> {
        let writes = job.writes();
        // another process may answer from its memory, and would not learn what this one changes
        if writes && !self.changes.is_trusted() {
            return Err("the lock in the database is lost".to_owned());
        }
        let conn = self.begin(writes)?;
        match job.run(conn) {
            Outcome::Commit(subjects) => {
                let committed = conn.commit().map_err(|error| error.to_string());
                // also when the outcome is unknown
                self.changes.publish(&subjects);
                committed
            }
            Outcome::Rollback => conn.rollback().map_err(|error| error.to_string()),
            Outcome::Spoilt(reason) => Err(reason),
        }
    }

    /// Opens a transaction, on a new connection if the old one has died: nothing has run yet, so nothing is run twice.
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

fn begin_on(conn: &mut Conn, writes: bool) -> diesel::QueryResult<()> {
    if writes {
        conn.begin_write()
    } else {
        conn.begin_read()
    }
}
