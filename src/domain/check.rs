//! The one question every door asks: may this credential do this, and what must be done to the document?
//!
//! `check` calls the pure `decide`, then takes the decision's quotas, all or none, last: a refused request consumes nothing.

use crate::config::Catalogue;
use crate::domain::access::Access;
use crate::domain::ensure;
use crate::domain::limiter::{Limiter, Policy, Standing, Taken};
use crate::domain::quotas::{Facts, Quotas};
use crate::domain::resource_servers::Server;
use crate::domain::sandbox::{self, Obligations, RefusedRecipient};
use crate::types::environment::Environment;
use crate::types::id::WorkspaceId;
use crate::types::permission::{Permission, PermissionSet};
use crate::types::state::{Simulation, vocabulary};
use crate::types::time::Timestamp;

vocabulary! {
    /// Why, in one word. `Valid` is the only one that allows.
    pub enum Code {
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

/// What is asked. Every part but the credential is optional.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// None asks for liveness.
    pub permission: Option<Permission>,
    /// None: it must hold in all of the credential's workspaces.
    pub workspace: Option<WorkspaceId>,
    /// None: the resource server's.
    pub environment: Option<Environment>,
    pub document_name: Option<String>,
    pub recipients: Option<Vec<String>>,
}

/// The answer. What the credential is, is told by its `Access`, and only if it was found.
#[derive(Debug, Clone)]
pub struct Decision {
    pub code: Code,
    pub obligations: Obligations,
    pub refused_recipients: Vec<RefusedRecipient>,
    pub permissions: PermissionSet,
    pub limits: Vec<Standing>,
    pub violated: Vec<Policy>,
    pub retry_after_seconds: Option<i64>,
}

impl Decision {
    pub fn refused(code: Code) -> Self {
        Self {
            code,
            obligations: Obligations::default(),
            refused_recipients: Vec::new(),
            permissions: PermissionSet::NONE,
            limits: Vec::new(),
            violated: Vec::new(),
            retry_after_seconds: None,
        }
    }

    pub fn is_allowed(&self) -> bool {
        self.code == Code::Valid
    }
}

/// What a decision is made with, the same for every request.
pub struct Rules<'r> {
    pub catalogue: &'r Catalogue,
    pub policy: &'r sandbox::Policy,
    pub quotas: &'r Quotas,
}

/// Decides, and takes what the decision costs.
pub fn check(access: &Access, question: &Question, server: &Server, rules: &Rules, limiter: &Limiter, now: Timestamp) -> Decision {
    let decision = decide(access, question, server, rules, now);
    if !decision.is_allowed() {
        return decision;
    }
    let permission = question.permission.map(|permission| rules.catalogue.entry(permission));
    let quotas = rules.quotas.of(&Facts::of(access, permission));
    match limiter.take(access.organization.as_str(), &quotas, now) {
        Taken::All(limits) => Decision { limits, ..decision },
        Taken::None { standings, violated, retry_after_seconds } => {
            let code = if retry_after_seconds.is_some() { Code::RateLimited } else { Code::CostAboveLimit };
            Decision { limits: standings, violated, retry_after_seconds, ..Decision::refused(code) }
        }
    }
}

/// The decision without its cost: pure.
pub fn decide(access: &Access, question: &Question, server: &Server, rules: &Rules, now: Timestamp) -> Decision {
    if let Err(code) = stands(access, server, now) {
        return Decision::refused(code);
    }
    if question.environment.is_some_and(|environment| environment != access.environment) {
        return Decision::refused(Code::WrongEnvironment);
    }
    match access.simulation {
        Some(Simulation::Forbidden) => return Decision::refused(Code::Forbidden),
        Some(Simulation::RateLimited) => {
            return Decision { retry_after_seconds: Some(simulated(access, now)), ..Decision::refused(Code::RateLimited) };
        }
        Some(Simulation::Revoked | Simulation::Expired) | None => {}
    }
    let permissions = match question.workspace {
        Some(workspace) => access.permissions_in(workspace).unwrap_or(PermissionSet::NONE),
        None => access.permissions_everywhere(),
    };
    let reached = question.workspace.is_none_or(|workspace| access.permissions_in(workspace).is_some());
    if !reached || question.permission.is_some_and(|permission| !permissions.contains(permission)) {
        return Decision { permissions, ..Decision::refused(Code::Forbidden) };
    }
    let decision = Decision { permissions, ..Decision::refused(Code::Valid) };
    match access.environment {
        Environment::Production => decision,
        Environment::Sandbox => apply_sandbox(access, question, server, rules, decision),
    }
}

fn simulated(access: &Access, now: Timestamp) -> i64 {
    access.reload_at.map_or(1, |until| now.seconds_until(until)).max(1)
}

/// Whether the credential is good for anything at this resource server, here and now.
pub fn stands(access: &Access, server: &Server, now: Timestamp) -> Result<(), Code> {
    // a token for others reads like none at all (9700-40)
    ensure(access.is_for(server), Code::NotFound)?;
    ensure(!access.is_expired(now), Code::Expired)?;
    ensure(access.suspended.is_none(), Code::Suspended)?;
    ensure(server.environment.is_none_or(|environment| environment == access.environment), Code::WrongEnvironment)?;
    access.lock.map_or(Ok(()), |lock| Err(lock.code()))
}

/// The sandbox policy fails closed: what the resource server does not enforce, it may not be asked to forget.
fn apply_sandbox(access: &Access, question: &Question, server: &Server, rules: &Rules, decision: Decision) -> Decision {
    let sends = question.permission.is_some_and(|permission| rules.catalogue.sends().contains(permission));
    if sends && question.recipients.as_ref().is_none_or(Vec::is_empty) {
        return Decision::refused(Code::RecipientsRequired);
    }
    let recipients = question.recipients.as_deref().unwrap_or_default();
    let refused_recipients = sandbox::refused_recipients(rules.policy, &access.own, recipients);
    if !refused_recipients.is_empty() {
        return Decision { refused_recipients, ..Decision::refused(Code::RecipientNotAllowed) };
    }
    let obligations = sandbox::obligations(rules.policy, &access.own, question.document_name.as_deref());
    if obligations.kinds().any(|kind| !server.enforces.contains(&kind)) {
        return Decision::refused(Code::ObligationNotSupported);
    }
    Decision { obligations, ..decision }
}
