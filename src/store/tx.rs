//! What a closure gets: a [`Snapshot`] to ask, a [`Tx`] to ask and change. Every statement of `store/` runs through `run`,
//! which notices the errors behind which the connection must not be used.

use std::ops::{Deref, DerefMut};

use diesel::QueryResult;

use super::changes::Subject;
use super::conn::Conn;
use super::error::{Error, spoils_connection};
use crate::types::time::Timestamp;

/// One consistent view of the database.
pub struct Snapshot<'c> {
    conn: &'c mut Conn,
    spoilt: Option<String>,
    violated: Option<Error>,
}

impl<'c> Snapshot<'c> {
    pub(super) fn new(conn: &'c mut Conn) -> Self {
        Self {
            conn,
            spoilt: None,
            violated: None,
        }
    }

    /// Runs one statement. After a spoiling error or a violated constraint none runs any more, whatever the closure does
    /// with the first: PostgreSQL refuses, and would answer the COMMIT with success although it rolls back.
    pub(super) fn run<T>(
        &mut self,
        statement: impl FnOnce(&mut Conn) -> QueryResult<T>,
    ) -> Result<T, Error> {
        if let Some(reason) = &self.spoilt {
            return Err(Error::Unavailable(reason.clone()));
        }
        if let Some(violated) = &self.violated {
            return Err(violated.clone());
        }
        statement(self.conn).map_err(|error| {
            let spoils = spoils_connection(&error);
            let reason = error.to_string();
            let error = Error::from(error);
            match &error {
                _ if spoils => self.spoilt = Some(reason),
                Error::Constraint(_) => self.violated = Some(error.clone()),
                Error::NotFound | Error::Unavailable(_) => {}
            }
            error
        })
    }

    pub(super) fn spoilt(&self) -> Option<&str> {
        self.spoilt.as_deref()
    }

    /// The constraint that was violated: the transaction can only roll back.
    pub(super) fn violated(&self) -> Option<&Error> {
        self.violated.as_ref()
    }
}

/// One transaction at one instant.
pub struct Tx<'c> {
    snapshot: Snapshot<'c>,
    pub now: Timestamp,
    /// By which the actor acts, for the audit log.
    pub(super) credential: Option<String>,
    touched: Vec<Subject>,
}

impl<'c> Tx<'c> {
    pub(super) fn new(conn: &'c mut Conn, now: Timestamp) -> Self {
        Self {
            snapshot: Snapshot::new(conn),
            now,
            credential: None,
            touched: Vec::new(),
        }
    }

    /// Says that what is remembered of `subject` ends with this transaction.
    pub(super) fn touch(&mut self, subject: Subject) {
        if !self.touched.contains(&subject) {
            self.touched.push(subject);
        }
    }

    /// Runs a statement that must change exactly one row.
    pub(super) fn run_one(
        &mut self,
        statement: impl FnOnce(&mut Conn) -> QueryResult<usize>,
    ) -> Result<(), Error> {
        if self.run(statement)? == 1 {
            Ok(())
        } else {
            Err(Error::NotFound)
        }
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
