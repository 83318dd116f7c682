//! What can go wrong below a rule, and which of it spoils the connection.

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
