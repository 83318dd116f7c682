//! What can go wrong below a rule, and which of it spoils the connection.

use diesel::ConnectionError;
use diesel::result::{DatabaseErrorKind, Error as DieselError};

/// A store call that did not do what was asked. Nothing was changed by the closure that returns it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The database cannot be asked now, or its answer was lost: 503 with `Retry-After`. A write may or may not have happened.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// The row is not there, or no longer in the state that was expected.
    #[error("no such row in the expected state")]
    NotFound,
    /// A unique, foreign-key or check constraint spoke. The transaction runs nothing behind it and never commits.
    #[error("a constraint was violated: {0}")]
    Constraint(String),
}

impl Error {
    /// The answer, or the turn, came when nobody waited any more.
    pub(super) fn late() -> Self {
        Self::Unavailable(Trouble::Silent.words().to_owned())
    }
}

/// What kind of trouble the database is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// No connection, or one that ended.
    Unreachable,
    /// A connection, and no answer in time.
    Silent,
    /// Too many wait for it.
    Overloaded,
    /// Another program holds SQLite's lock.
    Locked,
    /// Another process may hold the lock by which one process serves a database.
    LockLost,
    DiskFull,
    ReadOnly,
    /// SQLite's file, or the disk below it.
    Broken,
    /// Of one request, as far as can be told.
    Other,
}

impl Trouble {
    /// For metrics.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Silent => "silent",
            Self::Overloaded => "overloaded",
            Self::Locked => "locked",
            Self::LockLost => "lock_lost",
            Self::DiskFull => "disk_full",
            Self::ReadOnly => "read_only",
            Self::Broken => "broken",
            Self::Other => "other",
        }
    }

    /// For operators, where anybody may read it: no address, no path.
    pub fn words(self) -> &'static str {
        match self {
            Self::Unreachable => "the database cannot be reached",
            Self::Silent => "the database does not answer in time",
            Self::Overloaded => "too many requests wait for the database",
            Self::Locked => "another program holds the lock of the database's file",
            Self::LockLost => "the lock in the database is lost",
            Self::DiskFull => "the database's disk is full",
            Self::ReadOnly => "the database is read-only",
            Self::Broken => "the database's file cannot be read or written",
            Self::Other => "the database answers with errors",
        }
    }

    /// SQLite's messages are fixed. PostgreSQL's are in its own language: there diesel names what matters most.
    fn of(error: &DieselError) -> Self {
        let text = error.to_string();
        let says = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
        match error {
            DieselError::DatabaseError(
                DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand,
                _,
            ) => Self::Unreachable,
            DieselError::DatabaseError(DatabaseErrorKind::ReadOnlyTransaction, _) => Self::ReadOnly,
            _ if says(&["database is locked", "database table is locked"]) => Self::Locked,
            _ if says(&["disk is full", "No space left on device"]) => Self::DiskFull,
            _ if says(&["readonly database", "read-only transaction"]) => Self::ReadOnly,
            _ if says(&["disk I/O error", "malformed", "file is not a database"]) => Self::Broken,
            _ if says(&["due to statement timeout"]) => Self::Silent,
            _ if says(&[
                "unable to open database file",
                "server closed the connection",
            ]) =>
            {
                Self::Unreachable
            }
            _ => Self::Other,
        }
    }
}

/// Why a transaction was given up, for everybody who was in it.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub trouble: Trouble,
    pub reason: String,
}

impl Failure {
    pub fn new(trouble: Trouble, reason: impl Into<String>) -> Self {
        Self {
            trouble,
            // libpq's end with a line break
            reason: reason.into().trim_end().to_owned(),
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.reason)
    }
}

impl From<DieselError> for Failure {
    fn from(error: DieselError) -> Self {
        Self::new(Trouble::of(&error), error.to_string())
    }
}

impl From<ConnectionError> for Failure {
    fn from(error: ConnectionError) -> Self {
        let trouble = match &error {
            ConnectionError::CouldntSetupConfiguration(error) => Trouble::of(error),
            _ => Trouble::Unreachable,
        };
        Self::new(trouble, error.to_string())
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Unavailable(failure.reason)
    }
}

/// Whether the transaction can go on behind this error: on SQLite a constraint violation undoes its own statement only.
pub(super) fn spoils_connection(error: &DieselError) -> bool {
    match error {
        DieselError::NotFound => false,
        DieselError::DatabaseError(kind, _) => !matches!(
            kind,
            DatabaseErrorKind::UniqueViolation
                | DatabaseErrorKind::ForeignKeyViolation
                | DatabaseErrorKind::NotNullViolation
                | DatabaseErrorKind::CheckViolation
        ),
        _ => true,
    }
}

/// How often a transaction that ends with this error is run at most. More than once when another transaction was in its
/// way: a serialization failure, a deadlock, or a lock that was not freed in time, which took seconds already. Of these
/// diesel names the first. PostgreSQL's messages are in the server's language, but the names of locks in the details of a
/// deadlock never are.
pub(super) fn most_attempts(error: &DieselError) -> u32 {
    let DieselError::DatabaseError(kind, information) = error else {
        return 1;
    };
    let names_locks =
        |details: &str| details.contains("ShareLock") || details.contains("ExclusiveLock");
    match (kind, information.message()) {
        (DatabaseErrorKind::SerializationFailure, _) => 4,
        (DatabaseErrorKind::Unknown, "canceling statement due to lock timeout") => 2,
        (DatabaseErrorKind::Unknown, _) if information.details().is_some_and(names_locks) => 4,
        _ => 1,
    }
}

impl From<DieselError> for Error {
    fn from(error: DieselError) -> Self {
        match &error {
            DieselError::NotFound => Self::NotFound,
            DieselError::DatabaseError(_, details) if !spoils_connection(&error) => {
                Self::Constraint(
                    details
                        .constraint_name()
                        .unwrap_or(details.message())
                        .to_owned(),
                )
            }
            _ => Self::Unavailable(error.to_string()),
        }
    }
}
