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
