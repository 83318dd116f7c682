//! The words in which rules answer: why something did not happen, and what would unlock it.

use serde::Serialize;

use crate::store;
use crate::types::refusal_code::RefusalCode;

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
    Coded(RefusalCode, String),
    /// The plan, the approval or a switch does not allow it: 403, with what unlocks it.
    #[error("{}", .0.detail)]
    Locked(Box<Unlock>),
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
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::Forbidden(_))
            || matches!(self, Self::Coded(code, _) if code.is_forbidden())
    }

    /// Only admins do this (A11).
    pub fn admin_only(detail: &str) -> Self {
        Self::Coded(RefusalCode::AdminOnly, detail.to_owned())
    }

    pub fn field(name: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid(vec![(name, message.into())])
    }
}

/// One rung of a ladder of checks.
pub fn ensure<E>(holds: bool, otherwise: E) -> Result<(), E> {
    if holds { Ok(()) } else { Err(otherwise) }
}

/// What opens a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unlock {
    /// One word for machines.
    #[serde(skip)]
    pub reason: &'static str,
    /// Names of `[[plan]]`; none where no plan is missing.
    pub plans: Vec<String>,
    /// `plans.contact`.
    pub contact: String,
    /// For people.
    #[serde(skip)]
    pub detail: String,
}
