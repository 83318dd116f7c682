//! What `doctor` asks a database, beside the process that serves. Changes nothing, and makes no file.

use std::path::Path;

use diesel::sql_types::{BigInt, Nullable, Text};
use diesel::{QueryResult, QueryableByName, RunQueryDsl};

use super::Error;
use super::conn::{Conn, Database};
use super::migrations::{self, SchemaError};
use super::signing_keys::StoredSigningKey;
use super::tx::Snapshot;
use crate::types::clock_watch::ClockRecord;
use crate::types::time::Timestamp;

pub struct Health {
    /// `SQLite 3.50.4`, `PostgreSQL 15.14`.
    pub version: String,
    /// SQLite's; anything but `wal` makes readers wait.
    pub journal_mode: Option<String>,
    /// Why it takes no writes.
    pub refuses_writes: Option<String>,
    /// The database's own clock, when it has one.
    pub clock: Option<Timestamp>,
    /// When the newest of what has a time of making was made.
    pub newest: Option<Timestamp>,
    /// What the server knows of its own clock.
    pub clock_record: Option<ClockRecord>,
    /// As they are listed.
    pub signing_keys: Vec<StoredSigningKey>,
}

#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    #[error("there is no file {0}")]
    Missing(String),
    #[error(transparent)]
    Schema(#[from] SchemaError),
    #[error("it does not answer: {0}")]
    Query(String),
}

pub fn examine(database: &Database) -> Result<Health, HealthError> {
    if let Database::Sqlite(path) = database
        && !Path::new(path).exists()
    {
        return Err(HealthError::Missing(path.clone()));
    }
    let mut conn = Conn::open(database).map_err(|error| HealthError::Query(error.to_string()))?;
    migrations::check_on(&mut conn)?;
    let refuses_writes = try_write(&mut conn).err().map(|error| error.to_string());
    ask(&mut conn, database, refuses_writes).map_err(HealthError::Query)
}

fn ask(
    conn: &mut Conn,
    database: &Database,
    refuses_writes: Option<String>,
) -> Result<Health, String> {
    let failed = |error: diesel::result::Error| error.to_string();
    let (signing_keys, clock_record, newest) =
        rows(&mut Snapshot::new(conn)).map_err(|error| error.to_string())?;
    let (version, journal_mode, clock) = match database {
        Database::Sqlite(_) => {
            let mode = text(conn, "SELECT journal_mode AS text FROM pragma_journal_mode")
                .map_err(failed)?;
            (
                text(conn, "SELECT 'SQLite ' || sqlite_version() AS text"),
                Some(mode),
                None,
            )
        }
        Database::Postgres(_) => {
            let clock = instant(
                conn,
                "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS at",
            )
            .map_err(failed)?;
            (
                text(
                    conn,
                    "SELECT 'PostgreSQL ' || current_setting('server_version') AS text",
                ),
                None,
                clock,
            )
        }
    };
    Ok(Health {
        version: version.map_err(failed)?,
        journal_mode,
        refuses_writes,
        clock,
        newest,
        clock_record,
        signing_keys,
    })
}

type Rows = (
    Vec<StoredSigningKey>,
    Option<ClockRecord>,
    Option<Timestamp>,
);

fn rows(snapshot: &mut Snapshot) -> Result<Rows, Error> {
    Ok((
        snapshot.list_signing_keys()?,
        snapshot.find_clock_record()?,
        snapshot.find_newest_instant()?,
    ))
}

/// Both databases look at rights and at the disk's before they look for rows.
fn try_write(conn: &mut Conn) -> QueryResult<()> {
    conn.begin_write()?;
    let written = conn.batch("UPDATE signing_keys SET signs_from = signs_from WHERE kid = ''");
    conn.rollback()?;
    written
}

fn text(conn: &mut Conn, sql: &str) -> QueryResult<String> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        text: String,
    }
    diesel::sql_query(sql)
        .get_result::<Row>(conn)
        .map(|row| row.text)
}

fn instant(conn: &mut Conn, sql: &str) -> QueryResult<Option<Timestamp>> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Nullable<BigInt>)]
        at: Option<i64>,
    }
    diesel::sql_query(sql)
        .get_result::<Row>(conn)
        .map(|row| row.at.map(Timestamp::from_millis))
}
