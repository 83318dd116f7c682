//! The words in which rules answer: why something did not happen, and what would unlock it; the words of a decision.

use serde::Serialize;

use crate::store;
use crate::types::refusal_code::RefusalCode;
use crate::types::state::vocabulary;

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

vocabulary! {
    /// Why, in one word. `Valid` is the only one that allows.
    #[derive(Serialize)]
    #[serde(rename_all = "snake_case")]
    pub enum DecisionCode {
        Valid = "valid",
        NotFound = "not_found",
        Expired = "expired",
        Forbidden = "forbidden",
        PlanRequired = "plan_required",
        WrongEnvironment = "wrong_environment",
        RecipientsRequired = "recipients_required",
        RecipientNotAllowed = "recipient_not_allowed",
        ObligationNotSupported = "obligation_not_supported",
        RateLimited = "rate_limited",
        /// No waiting helps: it costs more than a limit ever admits.
        CostAboveLimit = "cost_above_limit",
        Suspended = "suspended",
    }
}

vocabulary! {
    /// What a decision is made of.
    #[derive(Serialize)]
    #[serde(rename_all = "snake_case")]
    pub enum Factor {
        Credential = "credential",
        Suspension = "suspension",
        Environment = "environment",
        /// Whether it opens the environment, and sells the permission.
        Plan = "plan",
        /// What a Sandbox key plays for some minutes.
        Simulation = "simulation",
        /// Whether the credential reaches it.
        Workspace = "workspace",
        Licence = "licence",
        Role = "role",
        PermissionLevel = "permission_level",
        Scopes = "scopes",
        /// What a credential of its kind can ever do.
        Kind = "kind",
        SandboxPolicy = "sandbox_policy",
        Limits = "limits",
    }
}

vocabulary! {
    /// Why, more exactly than the code says.
    #[derive(Serialize)]
    #[serde(rename_all = "snake_case")]
    pub enum Reason {
        InvalidCredential = "invalid_credential",
        CredentialExpired = "credential_expired",
        OrganizationSuspended = "organization_suspended",
        UserSuspended = "user_suspended",
        MemberSuspended = "member_suspended",
        KeyPaused = "key_paused",
        WrongEnvironment = "wrong_environment",
        PlanFeature = "plan_feature",
        DevCentreOff = "dev_centre_off",
        ProductionApproval = "production_approval",
        TrialEnded = "trial_ended",
        ForeignWorkspace = "foreign_workspace",
        InsufficientPermission = "insufficient_permission",
        /// Only an administrator does this, and in person or through the vendor's own application.
        AdminOnly = "admin_only",
        RecipientsRequired = "recipients_required",
        RecipientNotAllowed = "recipient_not_allowed",
        ObligationNotSupported = "obligation_not_supported",
        RateLimited = "rate_limited",
        CostAboveLimit = "cost_above_limit",
    }
}

/// What refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cause {
    pub factor: Factor,
    pub code: DecisionCode,
    pub reason: Reason,
}

impl Cause {
    /// Unknown, mistyped, revoked, or not for this resource server: they read the same.
    pub const UNKNOWN: Self = Self::new(
        Factor::Credential,
        DecisionCode::NotFound,
        Reason::InvalidCredential,
    );
    /// Too many unknown credentials from one address.
    pub const THROTTLED: Self = Self::new(
        Factor::Limits,
        DecisionCode::RateLimited,
        Reason::RateLimited,
    );

    pub const fn new(factor: Factor, code: DecisionCode, reason: Reason) -> Self {
        Self {
            factor,
            code,
            reason,
        }
    }
}
