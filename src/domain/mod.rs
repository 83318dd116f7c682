//! Rules and use cases: who may do what, and what happens then. No HTTP, no SQL text, no network; time is given.

pub mod access;
pub mod accounts;
pub mod api_keys;
pub mod application_secrets;
pub mod application_settings;
pub mod applications;
pub mod approval;
pub mod authorizations;
pub mod caller;
pub mod check;
pub mod client_metadata;
pub mod clients;
pub mod consents;
pub mod domain_checks;
pub mod domains;
pub mod idempotency;
pub mod identities;
pub mod limiter;
pub mod memory;
pub mod operator_tokens;
pub mod plans;
pub mod quickstart;
pub mod quotas;
pub mod refresh;
pub mod registration;
pub mod registration_tokens;
pub mod resource_servers;
pub mod rights;
pub mod roles;
pub mod rotation;
pub mod sandbox;
pub mod sessions;
pub mod signing_keys;
pub mod sweep;
pub mod usage;
pub mod workspaces;

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

/// One rung of a ladder of checks.
pub fn ensure<E>(holds: bool, otherwise: E) -> Result<(), E> {
    if holds { Ok(()) } else { Err(otherwise) }
}
