//! What the operator decides about an application: whether people of other organizations may authorize it, whether who is
//! behind it has been checked, and that it stops everywhere.
//!
//! Invariant: only an operator decides; a decision takes effect with its commit, for tokens that were issued before, too.

use crate::domain::{Refusal, applications, ensure};
use crate::store::applications::Application;
use crate::store::{Error, Snapshot, Tx};
use crate::types::environment::Environment;
use crate::types::id::{ApplicationId, OrganizationId, UserId};
use crate::types::state::{ApplicationState, Approval, UserState};
use crate::types::text::parse_text;

const MOST_REASON: usize = 500;

/// An operator is a person with that flag; no role in an organization makes one.
pub fn ensure_operator(snapshot: &mut Snapshot, user: UserId) -> Result<(), Refusal> {
    let operator = snapshot.find_user(user)?.is_some_and(|user| user.operator && user.state == UserState::Active);
    ensure(operator, Refusal::NotFound)
}

/// An admin of the application's organization asks that others may use it.
pub fn request(tx: &mut Tx, organization: OrganizationId, user: UserId, id: ApplicationId) -> Result<(), Refusal> {
    applications::ensure_admin(tx, organization, user)?;
    let application = find(tx, id)?;
    ensure(application.organization_id == organization, Refusal::NotFound)?;
    let production = application.environment == Environment::Production;
    ensure(production, Refusal::Blocked("A Sandbox application is for its own organization only; there is nothing to approve.".to_owned()))?;
    let asks = matches!(application.approval, Approval::None | Approval::Refused);
    ensure(asks, Refusal::Blocked("It is approved already, or waits for the operator.".to_owned()))?;
    decide(tx, user, &application, Approval::Requested, None, "application.approval_requested")
}

pub fn approve(tx: &mut Tx, operator: UserId, id: ApplicationId) -> Result<(), Refusal> {
    ensure_operator(tx, operator)?;
    let application = find(tx, id)?;
    let production = application.environment == Environment::Production;
    ensure(production, Refusal::Blocked("A Sandbox application is for its own organization only; there is nothing to approve.".to_owned()))?;
    decide(tx, operator, &application, Approval::Approved, None, "application.approved")
}

/// Refuses a request, or takes an approval back: tokens of other organizations' people end at once.
pub fn refuse(tx: &mut Tx, operator: UserId, id: ApplicationId, reason: &str) -> Result<(), Refusal> {
    ensure_operator(tx, operator)?;
    let reason = parse_reason(reason)?;
    let application = find(tx, id)?;
    decide(tx, operator, &application, Approval::Refused, Some(&reason), "application.refused")
}

fn decide(tx: &mut Tx, user: UserId, application: &Application, to: Approval, reason: Option<&str>, event: &str) -> Result<(), Refusal> {
    if application.approval == to {
        return Ok(());
    }
    match tx.change_approval(application, to, reason) {
        Err(Error::NotFound) => Err(Refusal::Blocked("Somebody else has just decided about it. Look again.".to_owned())),
        changed => {
            changed?;
            Ok(tx.record(Some(application.organization_id), Some(user), event, application.id.as_str(), reason.unwrap_or_default())?)
        }
    }
}

/// Whether the operator has checked who is behind it: without that, the consent page warns.
pub fn set_verified(tx: &mut Tx, operator: UserId, id: ApplicationId, verified: bool) -> Result<(), Refusal> {
    ensure_operator(tx, operator)?;
    let application = find(tx, id)?;
    tx.set_application_verified(&application, verified)?;
    let event = if verified { "application.verified" } else { "application.unverified" };
    Ok(tx.record(Some(application.organization_id), Some(operator), event, id.as_str(), "")?)
}

/// Stops it everywhere, at once: it authenticates no more, and none of its tokens is live.
pub fn stop(tx: &mut Tx, operator: UserId, id: ApplicationId, reason: &str) -> Result<(), Refusal> {
    ensure_operator(tx, operator)?;
    let reason = parse_reason(reason)?;
    let application = find(tx, id)?;
    tx.set_application_stopped(&application, Some(&reason))?;
    Ok(tx.record(Some(application.organization_id), Some(operator), "application.stopped", id.as_str(), &reason)?)
}

/// The way back: what was live before lives again.
pub fn resume(tx: &mut Tx, operator: UserId, id: ApplicationId) -> Result<(), Refusal> {
    ensure_operator(tx, operator)?;
    let application = find(tx, id)?;
    tx.set_application_stopped(&application, None)?;
    Ok(tx.record(Some(application.organization_id), Some(operator), "application.resumed", id.as_str(), "")?)
}

fn find(tx: &mut Tx, id: ApplicationId) -> Result<Application, Refusal> {
    let kept = |application: &Application| application.state != ApplicationState::Deleted;
    tx.find_application(id)?.filter(kept).ok_or(Refusal::NotFound)
}

fn parse_reason(reason: &str) -> Result<String, Refusal> {
    parse_text(reason, MOST_REASON).map_err(|error| Refusal::Invalid(vec![("reason", error.to_string())]))
}
