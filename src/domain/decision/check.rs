//! The one question every door asks: may this credential do this, and what must be done to the document?
//!
//! `check` calls the pure `decide`, then takes the decision's quotas, all or none, last: a refused request consumes nothing.

use crate::config::Catalogue;
use crate::domain::decision::access::Access;
use crate::domain::decision::factors::{Asked, INTERSECTION, STANDING, climb};
use crate::domain::decision::limiter::{Limiter, Policy, Quota, Standing, Taken};
pub use crate::domain::decision::question::Question;
use crate::domain::decision::quotas::{LimitedRequest, Quotas};
use crate::domain::decision::resource_servers::Server;
use crate::domain::decision::sandbox::{self, Obligations, RefusedRecipient};
pub use crate::domain::words::{Cause, DecisionCode};
use crate::domain::words::{Factor, Reason};
use crate::types::environment::Environment;
use crate::types::permission::PermissionSet;
use crate::types::state::ObligationKind;
use crate::types::time::Timestamp;

/// The answer. What the credential is, is told by its `Access`, and only if it was found.
#[derive(Debug, Clone)]
pub struct Decision {
    /// None: allowed.
    pub cause: Option<Cause>,
    pub obligations: Obligations,
    pub refused_recipients: Vec<RefusedRecipient>,
    /// What the policy demands and the resource server does not enforce.
    pub missing_obligations: Vec<ObligationKind>,
    pub permissions: PermissionSet,
    pub limits: Vec<Standing>,
    pub violated: Vec<Policy>,
    pub retry_after_seconds: Option<i64>,
}

impl Decision {
    fn allowed(permissions: PermissionSet, obligations: Obligations) -> Self {
        Self {
            permissions,
            obligations,
            ..Self::of(None)
        }
    }

    pub fn refused(cause: Cause) -> Self {
        Self::of(Some(cause))
    }

    fn of(cause: Option<Cause>) -> Self {
        Self {
            cause,
            obligations: Obligations::default(),
            refused_recipients: Vec::new(),
            missing_obligations: Vec::new(),
            permissions: PermissionSet::NONE,
            limits: Vec::new(),
            violated: Vec::new(),
            retry_after_seconds: None,
        }
    }

    pub fn code(&self) -> DecisionCode {
        self.cause.map_or(DecisionCode::Valid, |cause| cause.code)
    }

    pub fn is_allowed(&self) -> bool {
        self.cause.is_none()
    }
}

/// What a decision is made with, the same for every request.
pub struct Rules<'r> {
    pub catalogue: &'r Catalogue,
    pub policy: &'r sandbox::Policy,
    pub quotas: &'r Quotas,
}

/// Decides, and takes what the decision costs.
pub fn check(
    access: &Access,
    question: &Question,
    server: &Server,
    rules: &Rules,
    limiter: &Limiter,
    now: Timestamp,
) -> Decision {
    let decision = decide(access, question, server, rules, now);
    if !decision.is_allowed() {
        return decision;
    }
    let quotas = quotas(access, question, rules);
    limited(
        decision,
        limiter.take(access.organization.as_str(), &quotas, now),
    )
}

/// The limits that the request falls under.
pub fn quotas(access: &Access, question: &Question, rules: &Rules) -> Vec<Quota> {
    let permission = question
        .permission
        .map(|permission| rules.catalogue.entry(permission));
    rules.quotas.of(&LimitedRequest::of(access, permission))
}

/// The decision with what its limits say.
pub fn limited(decision: Decision, taken: Taken) -> Decision {
    match taken {
        Taken::All(limits) => Decision { limits, ..decision },
        Taken::None {
            standings,
            violated,
            retry_after_seconds,
        } => {
            let (code, reason) = match retry_after_seconds {
                Some(_) => (DecisionCode::RateLimited, Reason::RateLimited),
                None => (DecisionCode::CostAboveLimit, Reason::CostAboveLimit),
            };
            Decision {
                limits: standings,
                violated,
                retry_after_seconds,
                ..Decision::refused(Cause::new(Factor::Limits, code, reason))
            }
        }
    }
}

/// The decision without its cost: pure.
pub fn decide(
    access: &Access,
    question: &Question,
    server: &Server,
    rules: &Rules,
    now: Timestamp,
) -> Decision {
    let asked = Asked {
        access,
        question,
        server,
        catalogue: rules.catalogue,
        now,
    };
    if let Err(cause) = climb(&STANDING, &asked).and_then(|()| climb(&INTERSECTION, &asked)) {
        let is_told = cause.code == DecisionCode::Forbidden && cause.factor != Factor::Simulation;
        let simulated =
            cause.factor == Factor::Simulation && cause.code == DecisionCode::RateLimited;
        return Decision {
            permissions: if is_told {
                permissions(access, question)
            } else {
                PermissionSet::NONE
            },
            retry_after_seconds: simulated.then(|| {
                access
                    .reload_at
                    .map_or(1, |until| now.seconds_until(until))
                    .max(1)
            }),
            ..Decision::refused(cause)
        };
    }
    match obligations(&asked, rules) {
        Ok(obligations) => Decision::allowed(permissions(access, question), obligations),
        Err(refusal) => Decision {
            refused_recipients: refusal.recipients,
            missing_obligations: refusal.missing,
            ..Decision::refused(refusal.cause)
        },
    }
}

fn permissions(access: &Access, question: &Question) -> PermissionSet {
    match question.workspace {
        Some(workspace) => access
            .permissions_in(workspace)
            .unwrap_or(PermissionSet::NONE),
        None => access.permissions_everywhere(),
    }
}

/// Whether the credential is good for anything at this resource server, here and now.
pub fn stands(
    access: &Access,
    server: &Server,
    catalogue: &Catalogue,
    now: Timestamp,
) -> Result<(), Cause> {
    climb(
        &STANDING,
        &Asked {
            access,
            question: &Question::default(),
            server,
            catalogue,
            now,
        },
    )
}

/// Why the sandbox policy refuses.
#[derive(Debug, Clone)]
pub struct PolicyRefusal {
    pub cause: Cause,
    pub recipients: Vec<RefusedRecipient>,
    /// The obligations that the resource server does not enforce.
    pub missing: Vec<ObligationKind>,
}

impl PolicyRefusal {
    fn new(code: DecisionCode, reason: Reason) -> Self {
        Self {
            cause: Cause::new(Factor::SandboxPolicy, code, reason),
            recipients: Vec::new(),
            missing: Vec::new(),
        }
    }
}

/// The sandbox policy fails closed: what the resource server does not enforce, it may not be asked to forget.
pub fn obligations(asked: &Asked, rules: &Rules) -> Result<Obligations, PolicyRefusal> {
    let (access, question) = (asked.access, asked.question);
    if access.environment == Environment::Production {
        return Ok(Obligations::default());
    }
    let sends = question
        .permission
        .is_some_and(|permission| rules.catalogue.sends().contains(permission));
    if sends && question.recipients.as_ref().is_none_or(Vec::is_empty) {
        return Err(PolicyRefusal::new(
            DecisionCode::RecipientsRequired,
            Reason::RecipientsRequired,
        ));
    }
    let recipients = question.recipients.as_deref().unwrap_or_default();
    let refused_recipients = sandbox::refused_recipients(rules.policy, &access.own, recipients);
    if !refused_recipients.is_empty() {
        return Err(PolicyRefusal {
            recipients: refused_recipients,
            ..PolicyRefusal::new(
                DecisionCode::RecipientNotAllowed,
                Reason::RecipientNotAllowed,
            )
        });
    }
    let obligations =
        sandbox::obligations(rules.policy, &access.own, question.document_name.as_deref());
    let missing: Vec<ObligationKind> = obligations
        .kinds()
        .filter(|kind| !asked.server.enforces.contains(kind))
        .collect();
    if !missing.is_empty() {
        return Err(PolicyRefusal {
            missing,
            ..PolicyRefusal::new(
                DecisionCode::ObligationNotSupported,
                Reason::ObligationNotSupported,
            )
        });
    }
    Ok(obligations)
}
