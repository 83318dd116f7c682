//! Rules and use cases: who may do what, and what happens then. No HTTP, no SQL text, no network; time is given.

pub mod access;
pub mod accounts;
pub mod admission;
pub mod api_keys;
pub mod application_secrets;
pub mod application_settings;
pub mod applications;
pub mod approval;
pub mod authorizations;
pub mod bulk_revocation;
pub mod caller;
pub mod check;
pub mod client_metadata;
pub mod clients;
pub mod consents;
pub mod departures;
pub mod dev_centre;
pub mod domain_checks;
pub mod domains;
pub mod explain;
pub mod factors;
pub mod founding;
pub mod hand_overs;
pub mod idempotency;
pub mod identities;
pub mod invitations;
pub mod join_requests;
pub mod key_admins;
pub mod key_changes;
pub mod key_expiry;
pub mod key_owners;
pub mod key_requests;
pub mod limiter;
pub mod members;
pub mod memory;
pub mod operator_tokens;
pub mod organizations;
pub mod plans;
pub mod production;
pub mod provisioning;
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
pub mod seats;
pub mod service_accounts;
pub mod sessions;
pub mod signing_keys;
pub mod simulation;
pub mod sweep;
pub mod transfers;
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
    /// As one of the two above, with a word of its own for programs.
    #[error("{1}")]
    Coded(&'static str, String),
    /// The plan, the approval or a switch does not allow it: 403, with what unlocks it.
    #[error("{}", .0.detail)]
    Locked(Box<plans::Unlock>),
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
