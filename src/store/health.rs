//! What `doctor` asks a database, beside the process that serves. Changes nothing, and makes no file.

use diesel::sql_types::{BigInt, Nullable, Text};
use diesel::{QueryResult, QueryableByName, RunQueryDsl};

use super::Error;
use super::conn::{Conn, Database};
use super::exclusive::{self, ExclusiveError};
use super::migrations::{self, SchemaError};
use super::signing_keys::StoredSigningKey;
use super::sqlite_files;
use super::tx::Snapshot;
use crate::types::clock_watch::ClockRecord;
use crate::types::time::{Deadline, Timestamp};

pub struct Health {
    /// `SQLite 3.50.4`, `PostgreSQL 15.14`.
    pub version: String,
    /// SQLite's; anything but `wal` makes readers wait.
    pub journal_mode: Option<String>,
    /// Why it takes no writes.
    pub refuses_writes: Option<String>,
    /// What SQLite's `quick_check` finds.
    pub damage: Option<String>,
    /// Bytes of SQLite's write-ahead log.
    pub wal_bytes: u64,
    /// When `countersign backup` last made a copy of it.
    pub backed_up_at: Option<Timestamp>,
    /// Keys, secrets and tokens that are paused since a restore.
    pub paused: usize,
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
    #[error(transparent)]
    Files(#[from] ExclusiveError),
    #[error(transparent)]
    Schema(#[from] SchemaError),
    #[error("it does not answer: {0}")]
    Query(String),
}

pub fn examine(database: &Database) -> Result<Health, HealthError> {
    exclusive::look(database)?;
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
    let (damage, wal_bytes) = match database {
        Database::Sqlite(path) => (
            quick_check(conn).map_err(failed)?,
            sqlite_files::wal_bytes(path),
        ),
        Database::Postgres(_) => (None, 0),
    };
    let backed_up_at = instant(
        conn,
        "SELECT max(at) AS at FROM upkeep WHERE name = 'backup'",
    );
    let paused = Snapshot::new(conn, Deadline::NEVER)
        .list_paused_secrets()
        .map_err(|error| error.to_string())?
        .len();
    let (signing_keys, clock_record, newest) =
        rows(&mut Snapshot::new(conn, Deadline::NEVER)).map_err(|error| error.to_string())?;
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
        damage,
        wal_bytes,
        backed_up_at: backed_up_at.map_err(failed)?,
        paused,
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

/// The first damage that is found (<https://sqlite.org/pragma.html#pragma_quick_check>).
fn quick_check(conn: &mut Conn) -> QueryResult<Option<String>> {
    #[derive(QueryableByName)]
    struct Line {
        #[diesel(sql_type = Text)]
        quick_check: String,
    }
    let lines: Vec<Line> = diesel::sql_query("PRAGMA quick_check(1)").load(conn)?;
    let mut found = lines.into_iter().map(|line| line.quick_check);
    Ok(found.find(|line| line != "ok"))
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
