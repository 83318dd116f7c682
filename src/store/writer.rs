//! The SQLite writer: one thread, group commit.
//!
//! It takes the waiting writes in one `BEGIN IMMEDIATE` transaction, a savepoint each, and answers after COMMIT.
//! Invariant: no write answered as failed is ever found, none answered as done is ever lost. After any database error
//! other than a constraint violation, or a panic, it ends the batch, runs nothing further on that connection, answers 503
//! to the whole batch and reopens: on SQLITE_FULL the database has already rolled everything back, and the next savepoint
//! would commit alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use diesel::sql_types::BigInt;
use diesel::{QueryableByName, RunQueryDsl};

use super::changes::{Changes, Subject};
use super::checkpoints::Checkpoints;
use super::conn::{Conn, Database};
use super::error::Error;
use super::foreign_writes;
use super::job::{BoxedJob, Outcome, Place};

/// One COMMIT carries at most this many writes.
const MOST_IN_BATCH: usize = 64;
/// How often an idle writer looks for foreign writes.
const FOREIGN_WRITE_CHECK: Duration = Duration::from_millis(500);

pub(super) struct Writer {
    database: Database,
    changes: Arc<Changes>,
    rehearses: Arc<AtomicBool>,
    conn: Option<Conn>,
    /// `PRAGMA data_version` as this connection last saw it: it moves when another connection commits.
    data_version: i64,
    place: Place,
    /// A foreign write was seen, and whoever made it was not yet told so.
    owes_an_answer: bool,
    /// Of the process that holds the lock.
    checkpoints: Option<Checkpoints>,
}

impl Writer {
    pub fn new(
        database: Database,
        changes: Arc<Changes>,
        rehearses: Arc<AtomicBool>,
        place: Place,
        checkpoints: Option<Checkpoints>,
    ) -> Self {
        Self {
            database,
            changes,
            rehearses,
            conn: None,
            data_version: 0,
            place,
            owes_an_answer: false,
            checkpoints,
        }
    }

    /// Works until every sender is gone. By then the readers have ended: the log is folded in, and closing the last connection
    /// removes it, so that the file alone is whole.
    pub fn work(mut self, jobs: &Receiver<BoxedJob>) {
        let _ = self.open();
        self.checkpoint(Checkpoints::when_idle);
        loop {
            // at once and after a failure, so that foreign writes are noticed before the next own one
            if self.open().is_err() {
                self.changes.forget_all();
            }
            match jobs.recv_timeout(FOREIGN_WRITE_CHECK) {
                Ok(first) => {
                    let more = jobs.try_iter().take(MOST_IN_BATCH - 1);
                    let batch = std::iter::once(first).chain(more).collect();
                    self.write(batch);
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.notice_foreign_writes();
                    self.checkpoint(Checkpoints::when_idle);
                }
                Err(RecvTimeoutError::Disconnected) => {
                    self.checkpoint(Checkpoints::finish);
                    return;
                }
            }
        }
    }

    fn write(&mut self, mut batch: Vec<BoxedJob>) {
        self.notice_foreign_writes();
        let kept = self.commit(&mut batch);
        if let Err(reason) = &kept {
            tracing::error!(
                writes = batch.len(),
                "A batch of writes failed and was rolled back: {reason}"
            );
            self.conn = None;
        }
        for job in batch {
            job.finish(kept.clone().map_err(Error::Unavailable));
        }
        let is_due = self.checkpoints.as_mut().is_some_and(|checkpoints| {
            checkpoints.note_write();
            checkpoints.is_due()
        });
        if is_due {
            self.checkpoint(Checkpoints::run);
        }
    }

    fn checkpoint(&mut self, step: fn(&mut Checkpoints, &mut Conn)) {
        if let (Some(checkpoints), Some(conn)) = (&mut self.checkpoints, &mut self.conn) {
            step(checkpoints, conn);
        }
    }

    fn commit(&mut self, batch: &mut [BoxedJob]) -> Result<(), String> {
        let changes = Arc::clone(&self.changes);
        let rehearses = self.rehearses.load(Ordering::Relaxed);
        let conn = self.open()?;
        conn.begin_write().map_err(|error| error.to_string())?;
        let touched = run_batch(conn, batch, rehearses);
        let kept = touched.and_then(|touched| {
            let committed = conn.commit().map_err(|error| error.to_string());
            // also when the outcome is unknown
            changes.publish(&touched);
            committed
        });
        if kept.is_err()
            && let Some(conn) = &mut self.conn
        {
            // SQLite may have rolled back by itself already
            let _ = conn.batch("ROLLBACK");
        }
        kept
    }

    fn open(&mut self) -> Result<&mut Conn, String> {
        if self.conn.is_none() {
            self.conn = Some(Conn::open(&self.database).map_err(|error| error.to_string())?);
            self.data_version = 0;
            self.owes_an_answer = true;
            self.notice_foreign_writes();
            // last: a foreign write before the first look at `data_version` is in no later SELECT's past
            self.changes.forget_all();
        }
        self.conn.as_mut().ok_or_else(|| "not connected".to_owned())
    }

    /// Somebody wrote past this process: what is remembered ends.
    fn notice_foreign_writes(&mut self) {
        #[derive(QueryableByName)]
        struct Version {
            #[diesel(sql_type = BigInt)]
            data_version: i64,
        }
        let Some(conn) = &mut self.conn else { return };
        match diesel::sql_query("PRAGMA data_version").get_result::<Version>(conn) {
            Ok(version) => {
                if self.data_version != 0 && version.data_version != self.data_version {
                    tracing::warn!(
                        "Another program wrote to the database: the access cache was cleared"
                    );
                    self.changes.forget_all();
                    self.owes_an_answer = true;
                    self.checkpoints
                        .iter_mut()
                        .for_each(Checkpoints::note_write);
                }
                self.data_version = version.data_version;
            }
            Err(_) => self.changes.forget_all(),
        }
        self.answer_foreign_writes();
    }

    /// Commands beside this process wait until it has forgotten what they changed.
    fn answer_foreign_writes(&mut self) {
        let Some(conn) = self.conn.as_mut().filter(|_| self.owes_an_answer) else {
            return;
        };
        if self.place != Place::Alone {
            self.owes_an_answer = false;
            return;
        }
        let answered = foreign_writes::answer(conn, &self.changes);
        self.owes_an_answer = answered.is_err();
    }
}

fn run_batch(
    conn: &mut Conn,
    batch: &mut [BoxedJob],
    rehearses: bool,
) -> Result<Vec<Subject>, String> {
    let mut touched = Vec::new();
    for job in batch {
        if rehearses && job.writes() {
            rehearse(conn, job)?;
        }
        conn.savepoint().map_err(|error| error.to_string())?;
        match job.run(conn) {
            Outcome::Commit(subjects) => {
                conn.commit().map_err(|error| error.to_string())?;
                touched.extend(subjects);
            }
            Outcome::Rollback => conn.rollback().map_err(|error| error.to_string())?,
            // nobody else writes: running it again would change nothing
            Outcome::Again(reason, _) | Outcome::Spoilt(reason) => return Err(reason),
        }
    }
    Ok(touched)
}

/// Runs the job and undoes it.
fn rehearse(conn: &mut Conn, job: &mut BoxedJob) -> Result<(), String> {
    conn.savepoint().map_err(|error| error.to_string())?;
    match job.run(conn) {
        Outcome::Commit(_) | Outcome::Rollback => {
            conn.rollback().map_err(|error| error.to_string())
        }
        Outcome::Again(reason, _) | Outcome::Spoilt(reason) => Err(reason),
    }
}
