//! The SQLite writer: one thread, group commit.
//!
//! It takes the waiting writes in one `BEGIN IMMEDIATE` transaction, a savepoint each, and answers after COMMIT.
//! Invariant: no write answered as failed is ever found, none answered as done is ever lost. After any database error
//! other than a constraint violation, or a panic, it ends the batch, runs nothing further on that connection, answers 503
//! to the whole batch and reopens: on SQLITE_FULL the database has already rolled everything back, and the next savepoint
//! would commit alone.
//!
//! While another program holds the file's lock, the first batch waits as long as its askers do; then the next ones are
//! refused at once, each after one more look, until the lock is free.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use diesel::sql_types::BigInt;
use diesel::{QueryableByName, RunQueryDsl};

use super::Shared;
use super::changes::Subject;
use super::checkpoints::Checkpoints;
use super::conn::{Conn, Database};
use super::error::{Error, Failure, Trouble};
use super::foreign_writes;
use super::job::{BoxedJob, Outcome, Place};
use super::observed::Lane;
use crate::types::time::{Deadline, Stopwatch};

/// One COMMIT carries at most this many writes.
const MOST_IN_BATCH: usize = 64;
/// How often an idle writer looks for foreign writes.
const FOREIGN_WRITE_CHECK: Duration = Duration::from_millis(500);

/// One look whether another program has freed the lock.
const BUSY_MILLIS: u64 = 200;
/// Whoever asks `/readyz` learns of a lock that is held longer than this, before anybody has waited in vain.
const LONG_HELD: Duration = Duration::from_secs(1);

pub(super) struct Writer {
    shared: Arc<Shared>,
    conn: Option<Conn>,
    /// `PRAGMA data_version` as this connection last saw it: it moves when another connection commits.
    data_version: i64,
    /// Another program held the lock longer than somebody could wait, and was not yet seen without it.
    is_held_elsewhere: bool,
    /// A foreign write was seen, and whoever made it was not yet told so.
    owes_an_answer: bool,
    /// Of the process that holds the lock.
    checkpoints: Option<Checkpoints>,
    looked_at_disk: Option<Stopwatch>,
}

impl Writer {
    pub fn new(shared: Arc<Shared>, checkpoints: Option<Checkpoints>) -> Self {
        Self {
            shared,
            conn: None,
            data_version: 0,
            is_held_elsewhere: false,
            owes_an_answer: false,
            checkpoints,
            looked_at_disk: None,
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
                self.shared.changes.forget_all();
            }
            self.look_at_disk();
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

    fn look_at_disk(&mut self) {
        let is_due = |looked: Stopwatch| looked.elapsed() >= FOREIGN_WRITE_CHECK;
        if self.looked_at_disk.is_none_or(is_due)
            && let Database::Sqlite(path) = &self.shared.database
        {
            self.shared.observed.look_at_disk(path);
            self.looked_at_disk = Some(Stopwatch::start());
        }
    }

    fn write(&mut self, mut batch: Vec<BoxedJob>) {
        for job in &batch {
            let observed = &self.shared.observed;
            observed.taken(Lane::Writes, job.turn().waited());
        }
        refuse(&mut batch, |job| job.turn().until.is_past());
        if batch.is_empty() {
            return;
        }
        self.notice_foreign_writes();
        let kept = self.commit(&mut batch);
        match &kept {
            Ok(()) => self.shared.observed.went_well(Lane::Writes),
            Err(failure) => {
                tracing::error!(
                    writes = batch.len(),
                    "A batch of writes failed and was rolled back: {failure}"
                );
                self.shared.observed.failed(Lane::Writes, failure);
                self.shared.observed.writes_failed(batch.len());
            }
        }
        for job in batch {
            job.finish(kept.clone().map_err(Error::from));
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

    fn commit(&mut self, batch: &mut Vec<BoxedJob>) -> Result<(), Failure> {
        let shared = Arc::clone(&self.shared);
        let rehearses = shared.rehearses.load(Ordering::Relaxed);
        self.begin(batch)?;
        refuse(batch, |job| !job.turn().begin(None));
        let conn = self.open()?;
        let touched = run_batch(conn, batch, rehearses);
        let kept = touched.and_then(|touched| {
            let _published = shared.changes.committing(&touched);
            Ok(conn.commit()?)
        });
        if kept.is_err()
            && let Some(mut conn) = self.conn.take()
        {
            // SQLite may have rolled back by itself already
            let _ = conn.batch("ROLLBACK");
        }
        kept
    }

    /// Opens the transaction. What another program has locked is asked for as long as everybody in the batch can wait.
    fn begin(&mut self, batch: &[BoxedJob]) -> Result<(), Failure> {
        let shared = Arc::clone(&self.shared);
        let (asked, mut until) = (Stopwatch::start(), Deadline::after(shared.timeout));
        for job in batch {
            until = until.min(job.turn().until);
        }
        loop {
            let failure = match self.open()?.begin_write().map_err(Failure::from) {
                Ok(()) => {
                    self.is_held_elsewhere = false;
                    return Ok(());
                }
                Err(failure) if failure.trouble == Trouble::Locked => failure,
                Err(failure) => {
                    self.conn = None;
                    return Err(failure);
                }
            };
            if self.is_held_elsewhere || until.left() < Duration::from_millis(BUSY_MILLIS) {
                self.is_held_elsewhere = true;
                return Err(failure);
            }
            if asked.elapsed() > LONG_HELD {
                shared.observed.failed(Lane::Writes, &failure);
            }
        }
    }

    fn open(&mut self) -> Result<&mut Conn, Failure> {
        if self.conn.is_none() {
            let mut conn = Conn::open_within(&self.shared.database, self.shared.timeout)?;
            conn.batch(&format!("PRAGMA busy_timeout = {BUSY_MILLIS}"))?;
            self.conn = Some(conn);
            self.data_version = 0;
            self.owes_an_answer = true;
            self.notice_foreign_writes();
            // last: a foreign write before the first look at `data_version` is in no later SELECT's past
            self.shared.changes.forget_all();
        }
        let missing = || Failure::new(Trouble::Unreachable, "not connected");
        self.conn.as_mut().ok_or_else(missing)
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
                    self.shared.changes.forget_all();
                    self.owes_an_answer = true;
                    self.checkpoints
                        .iter_mut()
                        .for_each(Checkpoints::note_write);
                }
                self.data_version = version.data_version;
            }
            Err(_) => self.shared.changes.forget_all(),
        }
        self.answer_foreign_writes();
    }

    /// Commands beside this process wait until it has forgotten what they changed.
    fn answer_foreign_writes(&mut self) {
        let Some(conn) = self.conn.as_mut().filter(|_| self.owes_an_answer) else {
            return;
        };
        if self.shared.place != Place::Alone {
            self.owes_an_answer = false;
            return;
        }
        let answered = foreign_writes::answer(conn, &self.shared.changes);
        self.owes_an_answer = answered.is_err();
    }
}

/// Nobody waits for these any more: they are not run.
fn refuse(batch: &mut Vec<BoxedJob>, is_late: impl Fn(&BoxedJob) -> bool) {
    for job in batch.extract_if(.., |job| is_late(job)) {
        job.finish(Err(Error::late()));
    }
}

fn run_batch(
    conn: &mut Conn,
    batch: &mut [BoxedJob],
    rehearses: bool,
) -> Result<Vec<Subject>, Failure> {
    let mut touched = Vec::new();
    for job in batch {
        if rehearses && job.writes() {
            rehearse(conn, job)?;
        }
        conn.savepoint()?;
        match job.run(conn) {
            Outcome::Commit(subjects) => {
                conn.commit()?;
                touched.extend(subjects);
            }
            Outcome::Rollback => conn.rollback()?,
            // nobody else writes: running it again would change nothing
            Outcome::Again(failure, _) | Outcome::Spoilt(failure) => return Err(failure),
        }
    }
    Ok(touched)
}

/// Runs the job and undoes it.
fn rehearse(conn: &mut Conn, job: &mut BoxedJob) -> Result<(), Failure> {
    conn.savepoint()?;
    match job.run(conn) {
        Outcome::Commit(_) | Outcome::Rollback => Ok(conn.rollback()?),
        Outcome::Again(failure, _) | Outcome::Spoilt(failure) => Err(failure),
    }
}
