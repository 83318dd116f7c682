//! A closure on its way to a database thread, and its answer on the way back.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::changes::Subject;
use super::conn::{Backend, Conn};
use super::error::{Error, Failure, Trouble};
use super::tx::{Snapshot, Tx};
use crate::types::time::{Deadline, Stopwatch, Timestamp};

/// What a closure decided. `Err` rolls back; both of these commit: a refusal may leave its trace (a replay kills the family).
#[derive(Debug)]
pub enum Verdict<T, E> {
    Done(T),
    Refused(E),
}

/// What the database thread does with the transaction (or savepoint) a job ran in.
pub(super) enum Outcome {
    Commit(Vec<Subject>),
    Rollback,
    /// Another transaction was in the way. Behind a rollback the job may run again, up to so often in all.
    Again(Failure, u32),
    /// A database error other than a constraint violation, or a panic: nothing more runs on this connection.
    Spoilt(Failure),
}

/// A job runs until its transaction is committed or given up, and is finished once: with the answer of its last run, or
/// with the news that the database could not keep it.
pub(super) trait Job: Send {
    fn run(&mut self, conn: &mut Conn) -> Outcome;
    fn finish(self: Box<Self>, kept: Result<(), Error>);
    /// A write may run more than once.
    fn writes(&self) -> bool;
    fn turn(&self) -> &Turn;
}

/// What asker and database thread know of one job. Invariant: a job whose asker gave up before it began is never run; of two
/// who meet at the end, one is first: either the answer reaches its asker, or the thread learns that nobody waits for it.
pub(super) struct Turn {
    pub until: Deadline,
    /// No request waits for it: its statements may take longer.
    pub is_unhurried: bool,
    queued: Stopwatch,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waits,
    Begun(Option<Backend>),
    Done,
    GivenUp,
}

/// What becomes of a job that nobody waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It will never run.
    Never,
    /// It runs, and may be committed.
    Unknown(Option<Backend>),
    /// Its answer is there.
    Answered,
}

impl Turn {
    pub fn within(patience: Duration, is_unhurried: bool) -> Arc<Self> {
        Arc::new(Self {
            until: Deadline::after(patience),
            is_unhurried,
            queued: Stopwatch::start(),
            state: Mutex::new(State::Waits),
        })
    }

    pub fn waited(&self) -> Duration {
        self.queued.elapsed()
    }

    /// The database thread's, before the job runs on this connection: whether it may.
    pub fn begin(&self, backend: Option<Backend>) -> bool {
        let mut state = self.state();
        let may = *state != State::GivenUp;
        if may {
            *state = State::Begun(backend);
        }
        may
    }

    /// The database thread's, before it answers: whether somebody waits for it.
    pub fn end(&self) -> bool {
        let mut state = self.state();
        let waits = *state != State::GivenUp;
        if waits {
            *state = State::Done;
        }
        waits
    }

    /// The asker's: whether the job will never run.
    pub fn withdraw(&self) -> bool {
        let mut state = self.state();
        let waits = *state == State::Waits;
        if waits {
            *state = State::GivenUp;
        }
        waits
    }

    /// The asker's, whatever has become of the job.
    pub fn give_up(&self) -> Fate {
        match std::mem::replace(&mut *self.state(), State::GivenUp) {
            State::Waits | State::GivenUp => Fate::Never,
            State::Begun(backend) => Fate::Unknown(backend),
            State::Done => Fate::Answered,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn panicked() -> Outcome {
    Outcome::Spoilt(Failure::new(Trouble::Other, "a rule panicked"))
}

/// Beside whom this process writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// It holds the database's lock: nobody else remembers anything.
    Alone,
    /// Beside a server that does not learn of its writes: what a memory depends on stays as it is.
    Guest,
    /// Beside a server that is told of each write.
    Announcing,
}

pub(super) type BoxedJob = Box<dyn Job>;

pub(super) struct WriteJob<F, T, E> {
    turn: Arc<Turn>,
    closure: F,
    /// And whether it is trusted.
    now: (Timestamp, bool),
    place: Place,
    result: Option<Result<Verdict<T, E>, E>>,
    answer: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> WriteJob<F, T, E> {
    pub fn new(
        turn: Arc<Turn>,
        now: (Timestamp, bool),
        place: Place,
        closure: F,
    ) -> (Self, oneshot::Receiver<Result<T, E>>) {
        let (answer, answered) = oneshot::channel();
        (
            Self {
                turn,
                closure,
                now,
                place,
                result: None,
                answer,
            },
            answered,
        )
    }
}

impl<F, T, E> Job for WriteJob<F, T, E>
where
    F: FnMut(&mut Tx) -> Result<Verdict<T, E>, E> + Send,
    T: Send,
    E: From<Error> + Send,
{
    fn run(&mut self, conn: &mut Conn) -> Outcome {
        self.result = None;
        let mut tx = Tx::new(conn, self.now, self.turn.until);
        let closure = &mut self.closure;
        let Ok(result) = catch_unwind(AssertUnwindSafe(|| closure(&mut tx))) else {
            return panicked();
        };
        // last: its lock is held for the shortest time
        let result = match result {
            Ok(done) if self.place == Place::Announcing => {
                tx.announce_foreign_write().map(|()| done).map_err(E::from)
            }
            other => other,
        };
        match tx.spoilt() {
            Some(spoilt) if spoilt.most_attempts > 1 => {
                return Outcome::Again(spoilt.failure.clone(), spoilt.most_attempts);
            }
            Some(spoilt) => return Outcome::Spoilt(spoilt.failure.clone()),
            None => {}
        }
        // a closure that swallowed the end of its transaction gets it back
        let result = match tx.ended() {
            Some(ended) if result.is_ok() => Err(E::from(ended.clone())),
            _ if self.place == Place::Guest && tx.has_touched() => Err(E::from(
                Error::Unavailable("only the serving process may change this".to_owned()),
            )),
            _ => result,
        };
        let keeps = result.is_ok();
        self.result = Some(result);
        if keeps {
            Outcome::Commit(tx.into_touched())
        } else {
            Outcome::Rollback
        }
    }

    fn finish(self: Box<Self>, kept: Result<(), Error>) {
        let Self { result, answer, .. } = *self;
        let verdict = match (kept, result) {
            (Err(error), _) => Err(E::from(error)),
            (Ok(()), Some(Ok(Verdict::Done(value)))) => Ok(value),
            (Ok(()), Some(Ok(Verdict::Refused(error)) | Err(error))) => Err(error),
            (Ok(()), None) => Err(E::from(Error::Unavailable(
                "the transaction was not run".to_owned(),
            ))),
        };
        // the asker may have gone: what was committed stays committed
        let _ = answer.send(verdict);
    }

    fn writes(&self) -> bool {
        true
    }

    fn turn(&self) -> &Turn {
        &self.turn
    }
}

pub(super) struct ReadJob<F, T, E> {
    turn: Arc<Turn>,
    closure: Option<F>,
    result: Option<Result<T, E>>,
    answer: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> ReadJob<F, T, E> {
    pub fn new(turn: Arc<Turn>, closure: F) -> (Self, oneshot::Receiver<Result<T, E>>) {
        let (answer, answered) = oneshot::channel();
        (
            Self {
                turn,
                closure: Some(closure),
                result: None,
                answer,
            },
            answered,
        )
    }
}

impl<F, T, E> Job for ReadJob<F, T, E>
where
    F: FnOnce(&mut Snapshot) -> Result<T, E> + Send,
    T: Send,
    E: From<Error> + Send,
{
    fn run(&mut self, conn: &mut Conn) -> Outcome {
        let Some(closure) = self.closure.take() else {
            return Outcome::Rollback;
        };
        let mut snapshot = Snapshot::new(conn, self.turn.until);
        let Ok(result) = catch_unwind(AssertUnwindSafe(|| closure(&mut snapshot))) else {
            return panicked();
        };
        if let Some(spoilt) = snapshot.spoilt() {
            return Outcome::Spoilt(spoilt.failure.clone());
        }
        self.result = Some(result);
        Outcome::Rollback
    }

    fn finish(self: Box<Self>, kept: Result<(), Error>) {
        let Self { result, answer, .. } = *self;
        let unavailable = || {
            Err(E::from(Error::Unavailable(
                "the query was not run".to_owned(),
            )))
        };
        let _ = answer.send(kept.map_or_else(
            |error| Err(E::from(error)),
            |()| result.unwrap_or_else(unavailable),
        ));
    }

    fn writes(&self) -> bool {
        false
    }

    fn turn(&self) -> &Turn {
        &self.turn
    }
}
