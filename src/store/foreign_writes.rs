//! Writes by commands beside the process that serves, which answers from memory: each is counted in the transaction that makes
//! it, and the server says up to which of them it has forgotten what it remembered.
//!
//! Invariant: the server reads the count, *then* forgets, *then* says so. So once a write is noticed, everything that was
//! remembered from before its commit is gone.

use diesel::{ExpressionMethods, QueryDsl, QueryResult};

use super::changes::Changes;
use super::conn::Conn;
use super::schema::foreign_writes;
use super::statements::{ReadDsl, Reading, WriteDsl};
use super::{Error, Snapshot, Tx};

const WRITTEN: &str = "written";
pub(super) const NOTICED: &str = "noticed";

/// How often commands have written, and up to which write the server has noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForeignWrites {
    pub written: i64,
    pub noticed: i64,
}

impl Snapshot<'_> {
    pub fn find_foreign_writes(&mut self) -> Result<ForeignWrites, Error> {
        self.run(find)
    }
}

impl Tx<'_> {
    /// Counts this transaction. The row's lock puts such transactions in the order of their numbers.
    pub(super) fn announce_foreign_write(&mut self) -> Result<(), Error> {
        self.run_one_quiet(|conn| {
            diesel::update(foreign_writes::table.find(WRITTEN))
                .set(foreign_writes::count.eq(foreign_writes::count + 1))
                .execute(conn)
        })
    }
}

fn find(conn: &mut Reading) -> QueryResult<ForeignWrites> {
    let counts: Vec<(String, i64)> = foreign_writes::table
        .select((foreign_writes::name, foreign_writes::count))
        .load(conn)?;
    let count = |name: &str| {
        counts
            .iter()
            .find(|(own, _)| own == name)
            .map_or(0, |(_, count)| *count)
    };
    Ok(ForeignWrites {
        written: count(WRITTEN),
        noticed: count(NOTICED),
    })
}

/// What the serving process does: forgets everything when there is a write that it has not noticed, and says so.
pub(super) fn answer(conn: &mut Conn, changes: &Changes) -> QueryResult<()> {
    let writes = find(&mut Reading::new(conn))?;
    if writes.written <= writes.noticed {
        return Ok(());
    }
    changes.forget_all();
    diesel::update(foreign_writes::table.find(NOTICED))
        .set(foreign_writes::count.eq(writes.written))
        .execute(conn)
        .map(drop)
}
