//! What each factor says of a request, and which one refused it: the decision's own ladder, asked to its end.
//!
//! Invariant: explaining takes nothing from a limit and changes nothing; an explanation allows iff the decision does.

use crate::domain::decision::access::{Access, CredentialKind};
use crate::domain::decision::check::{self, Decision, DecisionCode, Question, Rules};
use crate::domain::decision::factors::{
    Asked, Cause, Factor, INTERSECTION, Reason, Rung, STANDING,
};
use crate::domain::decision::limiter::{Limiter, Taken};
use crate::domain::decision::resource_servers::Server;
use crate::types::environment::Environment;
use crate::types::permission::Permission;
use crate::types::state::Simulation;
use crate::types::time::Timestamp;

/// What one factor says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub factor: Factor,
    pub allows: bool,
    /// For people.
    pub detail: String,
}

/// The decision, and what each factor says. The first that does not allow is the decision's cause. Nothing is told of a
/// credential that is not for this resource server.
pub fn explain(
    access: &Access,
    question: &Question,
    server: &Server,
    rules: &Rules,
    limiter: &Limiter,
    now: Timestamp,
) -> (Decision, Vec<Step>) {
    let asked = Asked {
        access,
        question,
        server,
        catalogue: rules.catalogue,
        now,
    };
    let decision = check::decide(access, question, server, rules, now);
    let quotas = check::quotas(access, question, rules);
    let taken = limiter.look(access.organization.as_str(), &quotas, now);
    let limits = limits(&taken);
    let decision = if decision.is_allowed() {
        check::limited(decision, taken)
    } else {
        decision
    };
    if decision.code() == DecisionCode::NotFound {
        return (decision, Vec::new());
    }
    let rung = |(factor, rung): &(Factor, Rung)| {
        let refusal = rung(&asked).err();
        Step {
            factor: *factor,
            allows: refusal.is_none(),
            detail: detail(*factor, &asked, refusal),
        }
    };
    let mut steps: Vec<Step> = STANDING.iter().chain(&INTERSECTION).map(rung).collect();
    steps.push(sandbox_policy(&asked, rules));
    steps.push(limits);
    (decision, steps)
}

fn detail(factor: Factor, asked: &Asked, refusal: Option<Cause>) -> String {
    match factor {
        Factor::Credential => credential(asked),
        Factor::Suspension => suspension(refusal.map(|cause| cause.reason)).to_owned(),
        Factor::Environment => environment(asked),
        Factor::Plan => plan(asked, refusal),
        Factor::Simulation => simulation(asked),
        Factor::Workspace => workspace(asked, refusal.is_some()),
        Factor::Role => role(asked, refusal.is_some()),
        Factor::Licence
        | Factor::PermissionLevel
        | Factor::Scopes
        | Factor::Kind
        | Factor::SandboxPolicy
        | Factor::Limits => bound(factor, asked, refusal.is_some()),
    }
}

fn credential(asked: &Asked) -> String {
    let noun = noun(asked.access.credential.kind);
    match asked.access.credential.expires_at {
        _ if asked.access.simulation == Some(Simulation::Expired) => {
            format!("The {noun} simulates that it has expired.")
        }
        Some(end) if end <= asked.now => format!("The {noun} expired at {}.", end.rfc3339()),
        Some(end) => format!("The {noun} is live until {}.", end.rfc3339()),
        None => format!("The {noun} is live and does not expire."),
    }
}

fn suspension(reason: Option<Reason>) -> &'static str {
    match reason {
        Some(Reason::OrganizationSuspended) => "The organization is suspended.",
        Some(Reason::UserSuspended) => "The account of the owner is suspended.",
        Some(Reason::MemberSuspended) => "The owner is suspended in this organization.",
        Some(_) => "The key is paused.",
        None => "Neither the organization, the owner nor the credential is suspended.",
    }
}

fn environment(asked: &Asked) -> String {
    let own = asked.access.environment;
    let other = |wanted: Option<Environment>| wanted.filter(|wanted| *wanted != own);
    match (
        other(asked.server.environment),
        other(asked.question.environment),
    ) {
        (Some(other), _) => {
            format!("The credential is of {own}, and the resource server of {other}.")
        }
        (None, Some(other)) => {
            format!("The credential is of {own}, and the request asks for {other}.")
        }
        (None, None) => format!("The credential is of {own}."),
    }
}

fn plan(asked: &Asked, refusal: Option<Cause>) -> String {
    let (name, environment) = (&asked.access.plan, asked.access.environment);
    match (asked.access.lock, refusal) {
        (Some(lock), _) => lock.unlock(asked.catalogue, environment).detail,
        (None, Some(_)) => format!(
            "The plan {name:?} does not include {}: contact sales.",
            permission(asked)
        ),
        (None, None) if asked.question.permission.is_none() => {
            format!("The plan {name:?} opens {environment}.")
        }
        (None, None) => format!(
            "The plan {name:?} opens {environment} and includes {}.",
            permission(asked)
        ),
    }
}

fn simulation(asked: &Asked) -> String {
    match asked.access.simulation {
        Some(simulation) => format!(
            "The key simulates {simulation}, because somebody asked it to for some minutes."
        ),
        None => "The credential simulates nothing.".to_owned(),
    }
}

fn workspace(asked: &Asked, refuses: bool) -> String {
    match asked.question.workspace {
        Some(workspace) if refuses => {
            format!(
                "The credential does not reach {workspace}: it was not given to it, or its owner has no role there, or it is not there."
            )
        }
        Some(workspace) => format!("The credential reaches {workspace}."),
        None => format!(
            "No workspace was named: it must hold in all that the credential reaches ({}).",
            asked.access.workspaces().count()
        ),
    }
}

fn role(asked: &Asked, refuses: bool) -> String {
    let actor = &asked.access.actor.name;
    let Some(wanted) = asked.question.permission else {
        return not_asked();
    };
    let permission = permission(asked);
    if !refuses {
        return format!("The role that {actor} holds now allows {permission}.");
    }
    let lacks = |workspace: &_| {
        !asked
            .access
            .role_in(*workspace)
            .is_some_and(|held| held.contains(wanted))
    };
    let lacking: Vec<String> = asked
        .access
        .workspaces()
        .filter(lacks)
        .take(MOST_NAMED)
        .map(|id| id.to_string())
        .collect();
    match asked.question.workspace {
        None if !lacking.is_empty() => format!(
            "The role that {actor} holds now does not allow {permission} in {}.",
            lacking.join(", ")
        ),
        _ => format!("The role that {actor} holds now does not allow {permission}."),
    }
}

/// Workspaces that a detail names.
const MOST_NAMED: usize = 5;

fn bound(factor: Factor, asked: &Asked, refuses: bool) -> String {
    let (permission, noun) = (permission(asked), noun(asked.access.credential.kind));
    let is_key = asked.access.credential.kind == CredentialKind::ApiKey;
    match factor {
        _ if asked.question.permission.is_none() => not_asked(),
        Factor::Licence if refuses => {
            format!("The owner's licence is for reading only, and {permission} writes.")
        }
        Factor::Licence => format!("The owner's licence allows {permission}."),
        Factor::PermissionLevel if refuses => {
            format!("The key is read-only, and {permission} writes.")
        }
        Factor::PermissionLevel if is_key => {
            format!("The permission level of the key allows {permission}.")
        }
        Factor::PermissionLevel => "A token has no permission level.".to_owned(),
        Factor::Scopes if is_key => "A key has no scopes.".to_owned(),
        Factor::Scopes if refuses => format!("No scope of the token grants {permission}."),
        Factor::Scopes => format!("A scope of the token grants {permission}."),
        Factor::Kind if refuses && is_key => {
            format!("A key like this one never holds {permission}, whoever owns it.")
        }
        Factor::Kind if refuses => format!(
            "Only the vendor's own application, allowed for the whole organization, may hold {permission}."
        ),
        _ => format!("A {noun} may hold {permission}."),
    }
}

fn noun(kind: CredentialKind) -> &'static str {
    match kind {
        CredentialKind::ApiKey => "key",
        CredentialKind::AccessToken => "token",
    }
}

fn not_asked() -> String {
    "No permission was asked for.".to_owned()
}

fn permission(asked: &Asked) -> String {
    let name = |permission: Permission| asked.catalogue.entry(permission).name.clone();
    asked.question.permission.map_or_else(String::new, name)
}

fn sandbox_policy(asked: &Asked, rules: &Rules) -> Step {
    let step = |allows, detail: String| Step {
        factor: Factor::SandboxPolicy,
        allows,
        detail,
    };
    if asked.access.environment == Environment::Production {
        return step(true, "Production has no such policy.".to_owned());
    }
    match check::obligations(asked, rules) {
        Ok(_) => step(
            true,
            "The policy allows it, with the obligations of the answer.".to_owned(),
        ),
        Err(refusal) if refusal.cause.reason == Reason::RecipientsRequired => {
            step(false, "Sending in Sandbox needs the recipients.".to_owned())
        }
        Err(refusal) if !refusal.recipients.is_empty() => {
            let first = refusal
                .recipients
                .iter()
                .take(MOST_NAMED)
                .map(|one| format!("{} ({})", one.address, one.reason))
                .collect::<Vec<_>>();
            step(
                false,
                format!(
                    "{} refused: {}.",
                    count(refusal.recipients.len(), "recipient"),
                    first.join(", ")
                ),
            )
        }
        Err(refusal) => {
            let missing = refusal.missing.iter().map(ToString::to_string);
            step(
                false,
                format!(
                    "The resource server does not enforce: {}.",
                    missing.collect::<Vec<_>>().join(", ")
                ),
            )
        }
    }
}

fn count(number: usize, noun: &str) -> String {
    format!(
        "{number} {noun}{}",
        if number == 1 { " is" } else { "s are" }
    )
}

fn limits(taken: &Taken) -> Step {
    let step = |allows, detail: String| Step {
        factor: Factor::Limits,
        allows,
        detail,
    };
    match taken {
        Taken::All(standings) if standings.is_empty() => {
            step(true, "There is no limit.".to_owned())
        }
        Taken::All(standings) => {
            let left = standings
                .iter()
                .map(|one| format!("{} of {} left of {}", one.remaining, one.limit, one.policy))
                .collect::<Vec<_>>();
            step(true, format!("There is room: {}.", left.join(", ")))
        }
        Taken::None {
            violated,
            retry_after_seconds,
            ..
        } => {
            let names = violated
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", ");
            match retry_after_seconds {
                Some(seconds) => step(
                    false,
                    format!("Used up: {names}. There is room again in {seconds} seconds."),
                ),
                None => step(
                    false,
                    format!("The request costs more than {names} ever admits."),
                ),
            }
        }
    }
}
