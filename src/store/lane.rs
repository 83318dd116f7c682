//! Database threads that each own a connection: the readers of SQLite, and all of PostgreSQL's.
//!
//! A write that ran into another transaction is rolled back and run again: after a deadlock, a serialization failure or a
//! lock time-out. Invariant: only when the server itself has ended the transaction, and never once its COMMIT was sent. So
//! what is answered as done is done once.

use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::RngExt;

use super::Shared;
use super::conn::{Conn, UNHURRIED};
use super::error::{Error, Failure, Trouble};
use super::job::{BoxedJob, Job, Outcome, Turn};
use super::observed::Lane;
use super::watch::Post;

/// Before the second attempt at most; doubled before each further one.
const FIRST_PAUSE_MILLIS: u64 = 20;

pub(super) struct Worker {
    shared: Arc<Shared>,
    lane: Lane,
    post: Arc<Post>,
    conn: Option<Conn>,
}

/// How an attempt ended, when the connection is well.
enum Attempt {
    Done,
    /// It was rolled back for a reason that may have gone, and may run up to so often in all.
    Again(Failure, u32),
    /// Its asker has gone: it was not run, or rolled back.
    Late,
}

impl Worker {
    pub fn new(shared: Arc<Shared>, lane: Lane, post: Arc<Post>) -> Self {
        Self {
            shared,
            lane,
            post,
            conn: None,
        }
    }

    /// Works until every sender is gone, or another thread has its place.
    pub fn work(mut self, jobs: &Mutex<Receiver<BoxedJob>>) {
        while !self.post.is_given_up() {
            // the lock is held while waiting: the other workers wait for the lock instead of the channel
            let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(mut job) = next else { return };
            let observed = &self.shared.observed;
            observed.taken(self.lane, job.turn().waited());
            let ended = self.run(&mut *job);
            self.post.rest();
            // nobody waited any more: the keeper of the lock may end its server process (`Store::receive`)
            if !job.turn().end() {
                self.conn = None;
            }
            job.finish(self.judge(ended));
        }
    }

    /// Notes how a job ended: what its asker is told.
    fn judge(&mut self, ended: Result<Attempt, Failure>) -> Result<(), Error> {
        let observed = &self.shared.observed;
        match ended {
            Ok(Attempt::Done) => {
                observed.went_well(self.lane);
                return Ok(());
            }
            Ok(Attempt::Late) if self.lane == Lane::Reads => {}
            Ok(_) => observed.writes_failed(1),
            Err(failure) => {
                tracing::error!("A database connection failed and was closed: {failure}");
                observed.failed(self.lane, &failure);
                if self.lane == Lane::Writes {
                    observed.writes_failed(1);
                    self.forsake(&failure);
                }
                self.conn = None;
                return Err(failure.into());
            }
        }
        Err(Error::late())
    }

    /// The server may not know that the connection has ended, and keep the locks of its transaction.
    fn forsake(&self, failure: &Failure) {
        if failure.trouble == Trouble::Unreachable
            && let Some(backend) = self.post.backend()
        {
            self.shared.changes.give_up(backend);
        }
    }

    fn run(&mut self, job: &mut dyn Job) -> Result<Attempt, Failure> {
        if job.turn().until.is_past() {
            return Ok(Attempt::Late);
        }
        self.post.expect_by(job.turn().until);
        if job.writes() && self.shared.rehearses.load(Ordering::Relaxed) {
            self.attempt(job, true)?;
        }
        let mut attempts = 0;
        loop {
            match self.attempt(job, false)? {
                Attempt::Again(failure, most) => {
                    attempts += 1;
                    if attempts >= most {
                        return Err(failure);
                    }
                    tracing::info!(attempts, "A transaction is run again: {failure}");
                    std::thread::sleep(pause(attempts));
                }
                ended => return Ok(ended),
            }
        }
    }

    /// One transaction.
    fn attempt(&mut self, job: &mut dyn Job, rehearsal: bool) -> Result<Attempt, Failure> {
        let writes = job.writes();
        // another process may answer from its memory, and would not learn what this one changes
        if writes && !self.shared.changes.is_trusted() {
            return Err(lock_lost());
        }
        self.begin(writes, job.turn())?;
        let Some(conn) = &mut self.conn else {
            return Err(Failure::new(Trouble::Unreachable, "not connected"));
        };
        if !job.turn().begin(self.post.backend()) {
            return rolled_back(conn, Attempt::Late);
        }
        match job.run(conn) {
            Outcome::Commit(_) if job.turn().until.is_past() => rolled_back(conn, Attempt::Late),
            // it may have gone while the job ran, and another process remembers what was there before
            Outcome::Commit(_) if writes && !self.shared.changes.is_trusted() => Err(lock_lost()),
            Outcome::Commit(subjects) if !rehearsal => {
                let _published = self.shared.changes.committing(&subjects);
                let committed = conn.commit();
                // the server may do it later than this, when it is frozen or a middle box keeps what was sent
                if committed.is_err()
                    && let Some(backend) = self.post.backend()
                {
                    self.shared.changes.give_up(backend);
                }
                Ok(committed.map(|()| Attempt::Done)?)
            }
            Outcome::Commit(_) | Outcome::Rollback => rolled_back(conn, Attempt::Done),
            Outcome::Again(failure, most) => rolled_back(conn, Attempt::Again(failure, most)),
            Outcome::Spoilt(failure) => Err(failure),
        }
    }

    /// Opens a transaction, on a new connection if the old one has died: nothing runs in it yet, so nothing is lost.
    fn begin(&mut self, writes: bool, turn: &Turn) -> Result<(), Failure> {
        let alive = self
            .conn
            .as_mut()
            .is_some_and(|conn| begin_on(conn, writes, turn).is_ok());
        if !alive {
            self.conn = None;
            let conn = self.conn.insert(self.post.open(&self.shared)?);
            self.post.expect_by(turn.until);
            begin_on(conn, writes, turn)?;
        }
        Ok(())
    }
}

fn lock_lost() -> Failure {
    Failure::new(Trouble::LockLost, "the lock in the database is lost")
}

fn rolled_back(conn: &mut Conn, ended: Attempt) -> Result<Attempt, Failure> {
    conn.rollback()?;
    Ok(ended)
}

/// Grows, and differs between two that were in each other's way.
fn pause(attempts: u32) -> Duration {
    let most = FIRST_PAUSE_MILLIS << (attempts - 1);
    Duration::from_millis(rand::rng().random_range(most / 2..=most))
}

fn begin_on(conn: &mut Conn, writes: bool, turn: &Turn) -> diesel::QueryResult<()> {
    if writes {
        conn.begin_write()?;
    } else {
        conn.begin_read()?;
    }
    if turn.is_unhurried && matches!(conn, Conn::Pg(_)) {
        let millis = UNHURRIED.as_millis();
        conn.batch(&format!("SET LOCAL statement_timeout = {millis}"))?;
    }
    Ok(())
}
