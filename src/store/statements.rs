//! Which statements ask and which change, told apart by type: what [`Reading`] takes is a SELECT. So every change goes
//! through a function of [`super::Tx`] whose name says whether it is news for what the process remembers.

use diesel::dsl::Limit;
use diesel::query_builder::SelectQuery;
use diesel::query_dsl::methods::{ExecuteDsl, LimitDsl, LoadQuery};
use diesel::{QueryResult, RunQueryDsl};

use super::conn::Conn;

/// A connection that only answers.
pub(super) struct Reading<'c>(&'c mut Conn);

impl<'c> Reading<'c> {
    pub fn new(conn: &'c mut Conn) -> Self {
        Self(conn)
    }
}

/// In place of diesel's `RunQueryDsl`, which does not tell a SELECT from a change that returns rows.
pub(super) trait ReadDsl: Sized + RunQueryDsl<Conn> {
    fn load<'query, U>(self, conn: &mut Reading) -> QueryResult<Vec<U>>
    where
        Self: SelectQuery + LoadQuery<'query, Conn, U>,
    {
        RunQueryDsl::load(self, conn.0)
    }

    fn get_result<'query, U>(self, conn: &mut Reading) -> QueryResult<U>
    where
        Self: SelectQuery + LoadQuery<'query, Conn, U>,
    {
        RunQueryDsl::get_result(self, conn.0)
    }

    fn first<'query, U>(self, conn: &mut Reading) -> QueryResult<U>
    where
        Self: LimitDsl,
        Limit<Self>: SelectQuery + LoadQuery<'query, Conn, U>,
    {
        RunQueryDsl::first(self, conn.0)
    }
}

impl<Q: RunQueryDsl<Conn>> ReadDsl for Q {}

pub(super) trait WriteDsl: Sized + RunQueryDsl<Conn> {
    /// How many rows it has changed.
    fn execute(self, conn: &mut Conn) -> QueryResult<usize>
    where
        Self: ExecuteDsl<Conn>,
    {
        RunQueryDsl::execute(self, conn)
    }
}

impl<Q: RunQueryDsl<Conn>> WriteDsl for Q {}
