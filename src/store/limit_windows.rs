//! The windows of limits as of the last flush, so that a restart gives nobody a fresh quota. Only those of credentials and
//! owners: nothing that a stranger can make grow.

use diesel::{ExpressionMethods, Insertable, QueryDsl, Queryable, Selectable, SelectableHelper};

use super::conn::{Conn, on_inner};
use super::schema::limit_windows;
use super::statements::{ReadDsl, WriteDsl};
use super::{Error, Snapshot, Tx};
use crate::types::time::Timestamp;

#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = limit_windows, treat_none_as_default_value = false)]
pub struct LimitWindow {
    /// The policy, a space, and whose it is.
    pub name: String,
    /// What all quotas of one request share.
    pub owner: String,
    pub window_millis: i64,
    /// `unix milliseconds:how many`, separated by spaces, the oldest first.
    pub admissions: String,
    /// When the newest admission leaves.
    pub ends_at: Timestamp,
}

impl Snapshot<'_> {
    /// Those behind the name `after` that end later than `now`, by name: at most `most`.
    pub fn list_limit_windows(
        &mut self,
        after: &str,
        now: Timestamp,
        most: i64,
    ) -> Result<Vec<LimitWindow>, Error> {
        self.run(|conn| {
            limit_windows::table
                .filter(limit_windows::name.gt(after))
                .filter(limit_windows::ends_at.gt(now))
                .order(limit_windows::name)
                .limit(most)
                .select(LimitWindow::as_select())
                .load(conn)
        })
    }
}

impl Tx<'_> {
    pub fn insert_limit_windows(&mut self, windows: &[LimitWindow]) -> Result<(), Error> {
        let insert = diesel::insert_into(limit_windows::table).values(windows);
        self.run_quiet(|conn| on_inner!(conn, inner => diesel::RunQueryDsl::execute(insert, inner)))
            .map(drop)
    }

    /// Those that are not there are no error.
    pub fn delete_limit_windows(&mut self, names: &[&str]) -> Result<(), Error> {
        self.run_quiet(|conn| {
            diesel::delete(limit_windows::table.filter(limit_windows::name.eq_any(names)))
                .execute(conn)
        })
        .map(drop)
    }

    /// Removes at most `most` of those that had ended at `now`: how many.
    pub fn sweep_limit_windows(&mut self, most: i64) -> Result<usize, Error> {
        let now = self.now;
        let ended = limit_windows::table
            .filter(limit_windows::ends_at.le(now))
            .limit(most);
        let names: Vec<String> = self.run(|conn| ended.select(limit_windows::name).load(conn))?;
        self.run_quiet(|conn| {
            diesel::delete(limit_windows::table.filter(limit_windows::name.eq_any(&names)))
                .execute(conn)
        })
    }
}
