//! What the server knows of its own clock (`types/clock_watch.rs`), and the newest row, which tells what time it has been.

use diesel::{
    ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, Selectable,
    SelectableHelper,
};

use super::conn::on_inner;
use super::schema::{audit_events, clock_records, signing_keys};
use super::statements::{ReadDsl, WriteDsl};
use super::{Conn, Error, Snapshot, Tx};
use crate::types::clock_watch::ClockRecord;
use crate::types::time::Timestamp;

/// The only row: one process serves a database.
const SERVER: &str = "server";

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = clock_records, treat_none_as_default_value = false)]
struct Row {
    name: String,
    trusted_at: Timestamp,
    boot: String,
    uptime_millis: i64,
    doubted_at: Option<Timestamp>,
    dated_until: Timestamp,
}

impl Snapshot<'_> {
    pub fn find_clock_record(&mut self) -> Result<Option<ClockRecord>, Error> {
        let row: Option<Row> = self.run(|conn| {
            clock_records::table
                .find(SERVER)
                .select(Row::as_select())
                .first(conn)
                .optional()
        })?;
        Ok(row.map(|row| ClockRecord {
            trusted_at: row.trusted_at,
            boot: row.boot,
            uptime_millis: row.uptime_millis,
            doubted_at: row.doubted_at,
            dated_until: row.dated_until,
        }))
    }

    /// When the newest row was made. Every change leaves an audit event, and their ids grow with time.
    pub fn find_newest_instant(&mut self) -> Result<Option<Timestamp>, Error> {
        let key: Option<Timestamp> = self.run(|conn| {
            signing_keys::table
                .order(signing_keys::created_at.desc())
                .select(signing_keys::created_at)
                .first(conn)
                .optional()
        })?;
        let event: Option<Timestamp> = self.run(|conn| {
            audit_events::table
                .order(audit_events::id.desc())
                .select(audit_events::created_at)
                .first(conn)
                .optional()
        })?;
        Ok(key.max(event))
    }
}

// No memory depends on this row: a guest may write it.
impl Tx<'_> {
    /// Replaces what was there.
    pub fn put_clock_record(&mut self, record: &ClockRecord) -> Result<(), Error> {
        let row = Row {
            name: SERVER.to_owned(),
            trusted_at: record.trusted_at,
            boot: record.boot.clone(),
            uptime_millis: record.uptime_millis,
            doubted_at: record.doubted_at,
            dated_until: record.dated_until,
        };
        self.run_quiet(|conn| diesel::delete(clock_records::table.find(SERVER)).execute(conn))?;
        let insert = diesel::insert_into(clock_records::table).values(&row);
        self.run_one_quiet(
            |conn| on_inner!(conn, inner => diesel::RunQueryDsl::execute(insert, inner)),
        )
    }
}
