//! Rules and use cases: who may do what, and what happens then. No HTTP, no SQL text, no network; time is given.

pub mod clients;
pub mod decision;
pub mod domains;
pub mod keys;
pub mod lifecycle;
pub mod operations;
pub mod people;
pub mod plans;
pub mod rights;

use crate::store;

/// Why a use case did not happen. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not there, or not this person's to see: the two read the same.
    #[error("not found")]
    NotFound,
    /// The person's role does not allow it.
    #[error("{0}")]
    Forbidden(&'static str),
    /// What was asked for is wrong, field by field.
    #[error("invalid input")]
    Invalid(Vec<(&'static str, String)>),
    /// It would be allowed, but not now: a cap, a plan, a missing approval.
    #[error("{0}")]
    Blocked(String),
    /// As one of the two above, with a word of its own for programs.
    #[error("{1}")]
    Coded(&'static str, String),
    /// The plan, the approval or a switch does not allow it: 403, with what unlocks it.
    #[error("{}", .0.detail)]
    Locked(Box<plans::plans::Unlock>),
    #[error(transparent)]
    Store(store::Error),
}

impl From<store::Error> for Refusal {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::NotFound => Self::NotFound,
            other => Self::Store(other),
        }
    }
}

impl Refusal {
    /// The words with which a role, a person or a plan is refused: 403. Everything else is a matter of the moment: 409.
    const FORBIDDEN: [&str; 3] = ["insufficient_permission", "admin_only", "plan_feature"];

    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::Forbidden(_))
            || matches!(self, Self::Coded(code, _) if Self::FORBIDDEN.contains(code))
    }

    /// Only admins do this (A11).
    pub fn admin_only(detail: &str) -> Self {
        Self::Coded("admin_only", detail.to_owned())
    }

    pub fn field(name: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid(vec![(name, message.into())])
    }
}

/// One rung of a ladder of checks.
pub fn ensure<E>(holds: bool, otherwise: E) -> Result<(), E> {
    if holds { Ok(()) } else { Err(otherwise) }
}
