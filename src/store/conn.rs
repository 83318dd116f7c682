//! One connection type over both databases. Connects by URL scheme itself: the derived `establish` would try the variants
//! in order, and a dead PostgreSQL would silently become an SQLite file.

use std::time::Duration;

use diesel::connection::{AnsiTransactionManager, SimpleConnection, TransactionManager};
use diesel::sql_types::{BigInt, Integer};
use diesel::{
    Connection, ConnectionError, MultiConnection, PgConnection, QueryResult, QueryableByName,
    RunQueryDsl, SqliteConnection,
};

/// What a statement may take when no request waits for it.
pub(super) const UNHURRIED: Duration = Duration::from_secs(30);
/// Longer than this nobody waits for SQLite's lock.
const MOST_BUSY: Duration = Duration::from_secs(5);

/// A connection to either database.
#[derive(MultiConnection)]
pub enum Conn {
    Pg(PgConnection),
    Sqlite(SqliteConnection),
}

/// Where the data is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    /// The path of a file.
    Sqlite(String),
    /// A `postgres://` URL.
    Postgres(String),
}

#[derive(Debug, thiserror::Error)]
#[error("the database URL must start with sqlite: or postgres://")]
pub struct UnknownScheme;

impl std::str::FromStr for Database {
    type Err = UnknownScheme;

    fn from_str(url: &str) -> Result<Self, UnknownScheme> {
        if let Some(path) = url.strip_prefix("sqlite:").filter(|path| !path.is_empty()) {
            return Ok(Self::Sqlite(
                path.strip_prefix("//").unwrap_or(path).to_owned(),
            ));
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Ok(Self::Postgres(url.to_owned()));
        }
        Err(UnknownScheme)
    }
}

/// The server process behind one connection: its number, and when it began, because numbers come again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, QueryableByName)]
pub(super) struct Backend {
    #[diesel(sql_type = Integer)]
    pub pid: i32,
    /// Unix microseconds.
    #[diesel(sql_type = BigInt)]
    pub started: i64,
}

/// Runs one expression on whichever connection is inside: for what the derive does not offer.
macro_rules! on_inner {
    ($conn:expr, $inner:ident => $expression:expr) => {
        match $conn {
            Conn::Pg($inner) => $expression,
            Conn::Sqlite($inner) => $expression,
        }
    };
}

pub(super) use on_inner;

impl Conn {
    pub fn open(database: &Database) -> Result<Self, ConnectionError> {
        Self::open_within(database, UNHURRIED)
    }

    /// For work that may take so long: what it waits for a lock, and on PostgreSQL each statement, is bounded accordingly.
    pub(super) fn open_within(
        database: &Database,
        timeout: Duration,
    ) -> Result<Self, ConnectionError> {
        // a lock that is waited for in vain is asked for once more (`error::most_attempts`)
        let lock = timeout * 2 / 5;
        match database {
            Database::Sqlite(path) => {
                let mut conn = SqliteConnection::establish(path)?;
                // FULL: a commit that was answered survives a power cut. The log is folded in by the serving writer alone
                // (`checkpoints.rs`), or by SQLite when the last connection closes
                conn.batch_execute(&format!(
                    "PRAGMA busy_timeout = {}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                     PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = 1048576; \
                     PRAGMA foreign_keys = ON; PRAGMA cache_size = -2000; PRAGMA temp_store = MEMORY;",
                    lock.min(MOST_BUSY).as_millis()
                ))
                .map_err(ConnectionError::CouldntSetupConfiguration)?;
                Ok(Self::Sqlite(conn))
            }
            Database::Postgres(url) => {
                let mut conn = PgConnection::establish(&with_defaults(url, timeout))?;
                conn.batch_execute(&format!(
                    "SET lock_timeout = {}; SET statement_timeout = {}; SET idle_in_transaction_session_timeout = '60s';",
                    lock.as_millis(),
                    timeout.as_millis()
                ))
                .map_err(ConnectionError::CouldntSetupConfiguration)?;
                Ok(Self::Pg(conn))
            }
        }
    }

    /// The server process behind this connection; none on SQLite.
    pub(super) fn backend(&mut self) -> QueryResult<Option<Backend>> {
        let Self::Pg(inner) = self else {
            return Ok(None);
        };
        let own = format!("{BACKENDS} WHERE pid = pg_backend_pid()");
        diesel::sql_query(own).get_result(inner).map(Some)
    }

    /// One snapshot for all that is read until [`Conn::rollback`].
    pub(super) fn begin_read(&mut self) -> QueryResult<()> {
        match self {
            Self::Pg(inner) => AnsiTransactionManager::begin_transaction_sql(
                inner,
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            ),
            Self::Sqlite(inner) => {
                AnsiTransactionManager::begin_transaction_sql(inner, "BEGIN DEFERRED")
            }
        }
    }

    pub(super) fn begin_write(&mut self) -> QueryResult<()> {
        match self {
            Self::Pg(inner) => AnsiTransactionManager::begin_transaction_sql(
                inner,
                "BEGIN ISOLATION LEVEL READ COMMITTED",
            ),
            Self::Sqlite(inner) => {
                AnsiTransactionManager::begin_transaction_sql(inner, "BEGIN IMMEDIATE")
            }
        }
    }

    /// A savepoint inside the open transaction.
    pub(super) fn savepoint(&mut self) -> QueryResult<()> {
        on_inner!(self, inner => AnsiTransactionManager::begin_transaction(inner))
    }

    /// Ends the innermost savepoint or the transaction itself, keeping its changes.
    pub(super) fn commit(&mut self) -> QueryResult<()> {
        on_inner!(self, inner => AnsiTransactionManager::commit_transaction(inner))
    }

    /// Ends the innermost savepoint or the transaction itself, undoing its changes.
    pub(super) fn rollback(&mut self) -> QueryResult<()> {
        on_inner!(self, inner => AnsiTransactionManager::rollback_transaction(inner))
    }

    pub(super) fn batch(&mut self, sql: &str) -> QueryResult<()> {
        on_inner!(self, inner => inner.batch_execute(sql))
    }
}

/// [`Backend`]s as rows.
pub(super) const BACKENDS: &str = "SELECT pid, (extract(epoch FROM backend_start) * 1000000)::bigint AS started FROM pg_stat_activity";

/// An unreachable server must fail the request in seconds, not hold it for minutes. What the operator's URL names stays so.
fn with_defaults(url: &str, timeout: Duration) -> String {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let is_named = |name: &str| {
        query
            .split('&')
            .any(|pair| pair.split('=').next() == Some(name))
    };
    let unacknowledged = timeout.as_millis().to_string();
    let defaults = [
        ("connect_timeout", "3"),
        // of bytes that were sent, in milliseconds
        ("tcp_user_timeout", &unacknowledged),
        ("keepalives_idle", "5"),
        ("keepalives_interval", "2"),
        ("keepalives_count", "3"),
        ("application_name", "countersign"),
    ];
    let mut whole = url.to_owned();
    for (name, value) in defaults {
        if !is_named(name) {
            whole.push(if whole.contains('?') { '&' } else { '?' });
            whole.push_str(&format!("{name}={value}"));
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_decides_and_nothing_else() {
        assert_eq!(
            "sqlite:data/x.db".parse::<Database>().ok(),
            Some(Database::Sqlite("data/x.db".to_owned()))
        );
        assert_eq!(
            "sqlite:///x.db".parse::<Database>().ok(),
            Some(Database::Sqlite("/x.db".to_owned()))
        );
        assert!(matches!(
            "postgres://h/d".parse::<Database>(),
            Ok(Database::Postgres(_))
        ));
        assert!(
            "mysql://h/d".parse::<Database>().is_err()
                && "data.db".parse::<Database>().is_err()
                && "sqlite:".parse::<Database>().is_err()
        );
    }

    #[test]
    fn each_default_is_added_unless_the_url_names_it() {
        let of = |url| with_defaults(url, Duration::from_secs(5));
        let keepalives = "keepalives_idle=5&keepalives_interval=2&keepalives_count=3";
        assert_eq!(
            of("postgres://h/d"),
            format!(
                "postgres://h/d?connect_timeout=3&tcp_user_timeout=5000&{keepalives}&application_name=countersign"
            )
        );
        assert_eq!(
            of("postgres://h/d?connect_timeout=9&sslmode=require"),
            format!(
                "postgres://h/d?connect_timeout=9&sslmode=require&tcp_user_timeout=5000&{keepalives}&application_name=countersign"
            )
        );
        let named = format!(
            "postgres://h/d?application_name=x&{keepalives}&tcp_user_timeout=0&connect_timeout=0"
        );
        assert_eq!(of(&named), named);
    }
}
