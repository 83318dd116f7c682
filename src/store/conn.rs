//! One connection type over both databases. Connects by URL scheme itself: the derived `establish` would try the variants
//! in order, and a dead PostgreSQL would silently become an SQLite file.

use diesel::connection::{AnsiTransactionManager, SimpleConnection, TransactionManager};
use diesel::{
    Connection, ConnectionError, MultiConnection, PgConnection, QueryResult, SqliteConnection,
};

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
        match database {
            Database::Sqlite(path) => {
                let mut conn = SqliteConnection::establish(path)?;
                // FULL: a commit that was answered survives a power cut. The log is folded in by the serving writer alone
                // (`checkpoints.rs`), or by SQLite when the last connection closes
                conn.batch_execute(
                    "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                     PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = 1048576; \
                     PRAGMA foreign_keys = ON; PRAGMA cache_size = -2000; PRAGMA temp_store = MEMORY;",
                )
                .map_err(ConnectionError::CouldntSetupConfiguration)?;
                Ok(Self::Sqlite(conn))
            }
            Database::Postgres(url) => {
                let mut conn = PgConnection::establish(&with_connect_timeout(url))?;
                conn.batch_execute("SET lock_timeout = '10s'; SET statement_timeout = '30s'; SET idle_in_transaction_session_timeout = '60s';")
                    .map_err(ConnectionError::CouldntSetupConfiguration)?;
                Ok(Self::Pg(conn))
            }
        }
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

/// An unreachable server must fail the request in seconds, not hold it for minutes.
fn with_connect_timeout(url: &str) -> String {
    if url.contains("connect_timeout") {
        return url.to_owned();
    }
    let separator = if url.contains('?') { '&' } else { '?' };
    format!(
        "{url}{separator}connect_timeout=3&tcp_user_timeout=10000&keepalives_idle=5&keepalives_interval=2&keepalives_count=3&application_name=countersign"
    )
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
}
