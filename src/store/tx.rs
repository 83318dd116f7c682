//! What a closure gets: a [`Snapshot`] to ask, a [`Tx`] to ask and change. `run` takes questions only. A change is
//! `run_news` when something that the process remembers depends on it, and `run_quiet` when nothing does. Both notice the
//! errors behind which the connection must not be used.

use std::ops::{Deref, DerefMut};

use diesel::QueryResult;

use super::changes::Subject;
use super::conn::Conn;
use super::error::{Error, Failure, most_attempts, spoils_connection};
use super::statements::Reading;
use crate::types::time::{Deadline, Timestamp};

/// The error behind which a transaction can only be rolled back.
#[derive(Debug, Clone)]
pub(super) struct Spoilt {
    pub failure: Failure,
    /// See [`most_attempts`].
    pub most_attempts: u32,
}

/// One consistent view of the database.
pub struct Snapshot<'c> {
    conn: &'c mut Conn,
    until: Deadline,
    spoilt: Option<Spoilt>,
    /// A violated constraint, or the deadline.
    ended: Option<Error>,
}

impl<'c> Snapshot<'c> {
    pub(super) fn new(conn: &'c mut Conn, until: Deadline) -> Self {
        Self {
            conn,
            until,
            spoilt: None,
            ended: None,
        }
    }

    /// Asks. What changes something goes through a function of [`Tx`].
    pub(super) fn run<T>(
        &mut self,
        statement: impl FnOnce(&mut Reading) -> QueryResult<T>,
    ) -> Result<T, Error> {
        self.perform(|conn| statement(&mut Reading::new(conn)))
    }

    /// Runs one statement. After a spoiling error, a violated constraint or the deadline none runs any more, whatever the
    /// closure does with the first: PostgreSQL refuses, and would answer the COMMIT with success although it rolls back.
    fn perform<T>(
        &mut self,
        statement: impl FnOnce(&mut Conn) -> QueryResult<T>,
    ) -> Result<T, Error> {
        if let Some(spoilt) = &self.spoilt {
            return Err(spoilt.failure.clone().into());
        }
        if self.ended.is_none() && self.until.is_past() {
            self.ended = Some(Error::late());
        }
        if let Some(ended) = &self.ended {
            return Err(ended.clone());
        }
        statement(self.conn).map_err(|error| {
            if spoils_connection(&error) {
                let most_attempts = most_attempts(&error);
                let failure = Failure::from(error);
                self.spoilt = Some(Spoilt {
                    failure: failure.clone(),
                    most_attempts,
                });
                return failure.into();
            }
            let error = Error::from(error);
            if let Error::Constraint(_) = &error {
                self.ended = Some(error.clone());
            }
            error
        })
    }

    pub(super) fn spoilt(&self) -> Option<&Spoilt> {
        self.spoilt.as_ref()
    }

    /// Why the transaction can only roll back, on a connection that is well.
    pub(super) fn ended(&self) -> Option<&Error> {
        self.ended.as_ref()
    }
}

/// One transaction at one instant.
pub struct Tx<'c> {
    snapshot: Snapshot<'c>,
    pub now: Timestamp,
    /// Whether `now` may be believed (`types/clock_watch.rs`). Under a clock that has leapt nothing is removed, and nothing ends
    /// for good, because its time is over.
    pub trusts_clock: bool,
    /// By which the actor acts, for the audit log.
    pub(super) credential: Option<String>,
    touched: Vec<Subject>,
}

impl<'c> Tx<'c> {
    pub(super) fn new(
        conn: &'c mut Conn,
        (now, trusts_clock): (Timestamp, bool),
        until: Deadline,
    ) -> Self {
        Self {
            snapshot: Snapshot::new(conn, until),
            now,
            trusts_clock,
            credential: None,
            touched: Vec::new(),
        }
    }

    /// Runs a change behind which nothing that is remembered of `subjects` may be used: how many rows it has changed.
    pub(super) fn run_news(
        &mut self,
        subjects: impl IntoIterator<Item = Subject>,
        change: impl FnOnce(&mut Conn) -> QueryResult<usize>,
    ) -> Result<usize, Error> {
        for subject in subjects {
            if !self.touched.contains(&subject) {
                self.touched.push(subject);
            }
        }
        self.snapshot.perform(change)
    }

    /// Runs a change that no remembered value depends on. What is remembered as unknown ends with every commit.
    pub(super) fn run_quiet(
        &mut self,
        change: impl FnOnce(&mut Conn) -> QueryResult<usize>,
    ) -> Result<usize, Error> {
        self.snapshot.perform(change)
    }

    /// As [`Tx::run_news`], for a change that must hit exactly one row.
    pub(super) fn run_one_news(
        &mut self,
        subjects: impl IntoIterator<Item = Subject>,
        change: impl FnOnce(&mut Conn) -> QueryResult<usize>,
    ) -> Result<(), Error> {
        exactly_one(self.run_news(subjects, change)?)
    }

    /// As [`Tx::run_quiet`], for a change that must hit exactly one row.
    pub(super) fn run_one_quiet(
        &mut self,
        change: impl FnOnce(&mut Conn) -> QueryResult<usize>,
    ) -> Result<(), Error> {
        exactly_one(self.run_quiet(change)?)
    }

    pub(super) fn has_touched(&self) -> bool {
        !self.touched.is_empty()
    }

    pub(super) fn into_touched(self) -> Vec<Subject> {
        self.touched
    }
}

impl<'c> Deref for Tx<'c> {
    type Target = Snapshot<'c>;

    fn deref(&self) -> &Self::Target {
        &self.snapshot
    }
}

impl DerefMut for Tx<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.snapshot
    }
}

fn exactly_one(rows: usize) -> Result<(), Error> {
    if rows == 1 {
        Ok(())
    } else {
        Err(Error::NotFound)
    }
}
