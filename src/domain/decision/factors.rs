//! The factors of a decision, in the order in which they are asked: one line each, and the first that refuses is the cause.
//!
//! Invariant: the decision and its explanation walk the same ladder, so that they cannot disagree.

use crate::config::Catalogue;
use crate::domain::decision::access::{Access, Suspension};
use crate::domain::decision::question::Question;
use crate::domain::decision::resource_servers::Server;
use crate::domain::ensure;
use crate::domain::words::DecisionCode;
pub use crate::domain::words::{Cause, Factor, Reason};
use crate::types::permission::{Permission, PermissionSet};
use crate::types::state::Simulation;
use crate::types::time::Timestamp;

/// One question about one credential.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    pub access: &'a Access,
    pub question: &'a Question,
    pub server: &'a Server,
    pub catalogue: &'a Catalogue,
    pub now: Timestamp,
}

/// One factor asked alone.
pub type Rung = fn(&Asked) -> Result<(), Cause>;

/// Whether the credential is good for anything at this resource server, here and now.
pub const STANDING: [(Factor, Rung); 4] = [
    (Factor::Credential, credential),
    (Factor::Suspension, suspension),
    (Factor::Environment, environment),
    (Factor::Plan, plan),
];

/// Whether it is allowed what is asked for.
pub const INTERSECTION: [(Factor, Rung); 7] = [
    (Factor::Simulation, simulation),
    (Factor::Workspace, workspace),
    (Factor::Licence, licence),
    (Factor::Role, role),
    (Factor::PermissionLevel, permission_level),
    (Factor::Scopes, scopes),
    (Factor::Kind, kind),
];

/// The first cause, if any.
pub fn climb(ladder: &[(Factor, Rung)], asked: &Asked) -> Result<(), Cause> {
    ladder.iter().try_for_each(|(_, rung)| rung(asked))
}

fn credential(asked: &Asked) -> Result<(), Cause> {
    // a token for others reads like none at all (9700-40)
    ensure(asked.access.is_for(asked.server), Cause::UNKNOWN)?;
    ensure(
        !asked.access.is_expired(asked.now),
        Cause::new(
            Factor::Credential,
            DecisionCode::Expired,
            Reason::CredentialExpired,
        ),
    )
}

fn suspension(asked: &Asked) -> Result<(), Cause> {
    let reason = match asked.access.suspended {
        None => return Ok(()),
        Some(Suspension::Organization) => Reason::OrganizationSuspended,
        Some(Suspension::User) => Reason::UserSuspended,
        Some(Suspension::Member) => Reason::MemberSuspended,
        Some(Suspension::Key) => Reason::KeyPaused,
    };
    Err(Cause::new(
        Factor::Suspension,
        DecisionCode::Suspended,
        reason,
    ))
}

fn environment(asked: &Asked) -> Result<(), Cause> {
    let is = |wanted| wanted == asked.access.environment;
    let holds =
        asked.server.environment.is_none_or(is) && asked.question.environment.is_none_or(is);
    ensure(
        holds,
        Cause::new(
            Factor::Environment,
            DecisionCode::WrongEnvironment,
            Reason::WrongEnvironment,
        ),
    )
}

fn plan(asked: &Asked) -> Result<(), Cause> {
    if let Some(lock) = asked.access.lock {
        return Err(Cause::new(Factor::Plan, lock.code(), lock.reason()));
    }
    let sold = within(asked, asked.access.factors.plan);
    ensure(
        sold,
        Cause::new(Factor::Plan, DecisionCode::Forbidden, Reason::PlanFeature),
    )
}

fn simulation(asked: &Asked) -> Result<(), Cause> {
    match asked.access.simulation {
        Some(Simulation::Forbidden) => Err(Cause::new(
            Factor::Simulation,
            DecisionCode::Forbidden,
            Reason::InsufficientPermission,
        )),
        Some(Simulation::RateLimited) => Err(Cause::new(
            Factor::Simulation,
            DecisionCode::RateLimited,
            Reason::RateLimited,
        )),
        // these two read like the real thing, long before
        Some(Simulation::Revoked | Simulation::Expired) | None => Ok(()),
    }
}

fn workspace(asked: &Asked) -> Result<(), Cause> {
    let reached = asked
        .question
        .workspace
        .is_none_or(|workspace| asked.access.role_in(workspace).is_some());
    ensure(
        reached,
        Cause::new(
            Factor::Workspace,
            DecisionCode::Forbidden,
            Reason::ForeignWorkspace,
        ),
    )
}

fn licence(asked: &Asked) -> Result<(), Cause> {
    ensure(
        within(asked, asked.access.factors.licence),
        forbidden(Factor::Licence, Reason::InsufficientPermission),
    )
}

fn role(asked: &Asked) -> Result<(), Cause> {
    ensure(
        within(asked, role_of(asked)),
        forbidden(Factor::Role, above(asked)),
    )
}

fn permission_level(asked: &Asked) -> Result<(), Cause> {
    ensure(
        within(asked, asked.access.factors.level),
        forbidden(Factor::PermissionLevel, Reason::InsufficientPermission),
    )
}

fn scopes(asked: &Asked) -> Result<(), Cause> {
    ensure(
        within(asked, asked.access.factors.scopes),
        forbidden(Factor::Scopes, Reason::InsufficientPermission),
    )
}

fn kind(asked: &Asked) -> Result<(), Cause> {
    ensure(
        within(asked, asked.access.factors.kind),
        forbidden(Factor::Kind, above(asked)),
    )
}

/// The permissions of the actor's role: in the workspace, or without one in all of the credential's.
fn role_of(asked: &Asked) -> PermissionSet {
    match asked.question.workspace {
        Some(workspace) => asked
            .access
            .role_in(workspace)
            .unwrap_or(PermissionSet::NONE),
        None => asked.access.role_everywhere(),
    }
}

fn within(asked: &Asked, held: PermissionSet) -> bool {
    asked
        .question
        .permission
        .is_none_or(|permission| held.contains(permission))
}

fn forbidden(factor: Factor, reason: Reason) -> Cause {
    Cause::new(factor, DecisionCode::Forbidden, reason)
}

/// Whether it is the permission, rather than the person, that asks for an administrator (guide S1, field note A11).
fn above(asked: &Asked) -> Reason {
    let administers = |permission: Permission| {
        (asked.catalogue.organization() | asked.catalogue.management()).contains(permission)
    };
    if asked.question.permission.is_some_and(administers) {
        Reason::AdminOnly
    } else {
        Reason::InsufficientPermission
    }
}
