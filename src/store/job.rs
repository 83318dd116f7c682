//! A closure on its way to a database thread, and its answer on the way back.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::sync::oneshot;

use super::changes::Subject;
use super::conn::Conn;
use super::error::Error;
use super::tx::{Snapshot, Tx};
use crate::types::time::Timestamp;

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
    Again(String, u32),
    /// A database error other than a constraint violation, or a panic: nothing more runs on this connection.
    Spoilt(String),
}

/// A job runs until its transaction is committed or given up, and is finished once: with the answer of its last run, or
/// with the news that the database could not keep it.
pub(super) trait Job: Send {
    fn run(&mut self, conn: &mut Conn) -> Outcome;
    fn finish(self: Box<Self>, kept: Result<(), Error>);
    /// A write may run more than once.
    fn writes(&self) -> bool;
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
    closure: F,
    /// And whether it is trusted.
    now: (Timestamp, bool),
    place: Place,
    result: Option<Result<Verdict<T, E>, E>>,
    answer: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> WriteJob<F, T, E> {
    pub fn new(
        now: (Timestamp, bool),
        place: Place,
        closure: F,
    ) -> (Self, oneshot::Receiver<Result<T, E>>) {
        let (answer, answered) = oneshot::channel();
        (
            Self {
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
        let mut tx = Tx::new(conn, self.now);
        let closure = &mut self.closure;
        let Ok(result) = catch_unwind(AssertUnwindSafe(|| closure(&mut tx))) else {
            return Outcome::Spoilt("a rule panicked".to_owned());
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
                return Outcome::Again(spoilt.reason.clone(), spoilt.most_attempts);
            }
            Some(spoilt) => return Outcome::Spoilt(spoilt.reason.clone()),
            None => {}
        }
        // a closure that swallowed a violated constraint gets it back
        let result = match tx.violated() {
            Some(violated) if result.is_ok() => Err(E::from(violated.clone())),
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
}

pub(super) struct ReadJob<F, T, E> {
    closure: Option<F>,
    result: Option<Result<T, E>>,
    answer: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> ReadJob<F, T, E> {
    pub fn new(closure: F) -> (Self, oneshot::Receiver<Result<T, E>>) {
        let (answer, answered) = oneshot::channel();
        (
            Self {
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
        let mut snapshot = Snapshot::new(conn);
        let Ok(result) = catch_unwind(AssertUnwindSafe(|| closure(&mut snapshot))) else {
            return Outcome::Spoilt("a rule panicked".to_owned());
        };
        if let Some(spoilt) = snapshot.spoilt() {
            return Outcome::Spoilt(spoilt.reason.clone());
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
}
