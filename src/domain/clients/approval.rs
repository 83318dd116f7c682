//! What the operator decides about an application: whether people of other organizations may authorize it, whether who is
//! behind it has been checked, and that it stops everywhere.
//!
//! Invariant: only an operator decides; a decision takes effect with its commit, for tokens that were issued before, too.

use crate::domain::clients::applications;
use crate::domain::clients::clients;
use crate::domain::rights::caller::Caller;
use crate::domain::{Refusal, ensure};
use crate::store::applications::{Application, ApplicationFilter};
use crate::store::{Error, Snapshot, Tx};
use crate::types::environment::Environment;
use crate::types::event::Event;
use crate::types::id::{ApplicationId, OrganizationId, UserId};
use crate::types::redirect_uri::RedirectUri;
use crate::types::state::{ApplicationState, Approval, UserState};
use crate::types::text::parse_text;

const MOST_REASON: usize = 500;
/// Requests that one page lists, the oldest first.
const MOST_WAITING: i64 = 200;
/// Applications on one page.
pub const PAGE: usize = 50;
const NOTHING_TO_APPROVE: &str =
    "A Sandbox application is for its own organization only; there is nothing to approve.";
const OVERTAKEN: &str = "Somebody else has just decided about it. Look again.";

/// An application as the operator's pages show it.
#[derive(Debug, Clone)]
pub struct Detail {
    pub application: Application,
    pub organization_name: String,
    pub creator_name: String,
    pub creator_email: Option<String>,
    pub redirect_uris: Vec<RedirectUri>,
    /// Consents of people that stand.
    pub consents: i64,
}

/// The applications whose organizations ask for approval, with the organization's name, who has waited longest first.
pub fn list_waiting(
    snapshot: &mut Snapshot,
    operator: UserId,
) -> Result<Vec<(Application, String)>, Refusal> {
    ensure_operator(snapshot, operator)?;
    let waiting = snapshot.list_applications_by_approval(Approval::Requested, MOST_WAITING)?;
    let mut rows = Vec::new();
    for application in waiting {
        let name = organization_name(snapshot, &application)?;
        rows.push((application, name));
    }
    Ok(rows)
}

/// A page of Production applications, with the organization's name, the newest first, and whether there are more.
pub fn search(
    snapshot: &mut Snapshot,
    operator: UserId,
    filter: &ApplicationFilter,
) -> Result<(Vec<(Application, String)>, bool), Refusal> {
    ensure_operator(snapshot, operator)?;
    let mut found = snapshot
        .list_production_applications(filter, i64::try_from(PAGE).unwrap_or(i64::MAX) + 1)?;
    let more = found.len() > PAGE;
    found.truncate(PAGE);
    for (application, name) in &mut found {
        *name = organization_name(snapshot, application)?;
    }
    Ok((found, more))
}

pub fn get(
    snapshot: &mut Snapshot,
    operator: UserId,
    id: ApplicationId,
) -> Result<Detail, Refusal> {
    ensure_operator(snapshot, operator)?;
    let application = find(snapshot, id)?;
    let vouched_for = clients::is_vouched_for(snapshot, application.id)?;
    let creator = if vouched_for {
        snapshot.find_user(application.created_by)?
    } else {
        None
    };
    Ok(Detail {
        organization_name: organization_name(snapshot, &application)?,
        creator_email: creator.as_ref().and_then(|creator| creator.email.clone()),
        creator_name: creator.map_or_else(|| "nobody known".to_owned(), |creator| creator.name),
        redirect_uris: snapshot.list_redirect_uris(id)?,
        consents: snapshot.count_consents(id)?,
        application,
    })
}

/// Whose it is. Anybody could register one in the organization's name where registration is open.
fn organization_name(snapshot: &mut Snapshot, application: &Application) -> Result<String, Error> {
    let name = snapshot
        .find_organization(application.organization_id)?
        .map(|organization| organization.name)
        .unwrap_or_default();
    let vouched_for = clients::is_vouched_for(snapshot, application.id)?;
    Ok(if vouched_for {
        name
    } else {
        format!("Nobody known: it registered by itself at {name}")
    })
}

/// An operator is a person with that flag, or an operator token; no role in an organization makes one.
pub fn ensure_operator(snapshot: &mut Snapshot, caller: impl Into<Caller>) -> Result<(), Refusal> {
    let caller = caller.into();
    let by_flag = snapshot
        .find_user(caller.user)?
        .is_some_and(|user| user.operator && user.state == UserState::Active);
    ensure(caller.operator || by_flag, Refusal::NotFound)
}

/// An admin of the application's organization asks that others may use it.
pub fn request(
    tx: &mut Tx,
    organization: OrganizationId,
    caller: impl Into<Caller>,
    id: ApplicationId,
) -> Result<(), Refusal> {
    let caller = caller.into();
    applications::ensure_manager(tx, organization, caller)?;
    let application = find(tx, id)?;
    ensure(
        application.organization_id == organization,
        Refusal::NotFound,
    )?;
    ensure_production(&application)?;
    let asks = matches!(application.approval, Approval::None | Approval::Refused);
    ensure(
        asks,
        Refusal::Blocked("It is approved already, or waits for the operator.".to_owned()),
    )?;
    decide(
        tx,
        caller.user,
        &application,
        Approval::Requested,
        None,
        Event::ApplicationApprovalRequested,
    )
}

pub fn approve(tx: &mut Tx, operator: impl Into<Caller>, id: ApplicationId) -> Result<(), Refusal> {
    let operator = operator.into();
    ensure_operator(tx, operator)?;
    let application = find(tx, id)?;
    ensure_production(&application)?;
    decide(
        tx,
        operator.user,
        &application,
        Approval::Approved,
        None,
        Event::ApplicationApproved,
    )
}

/// Refuses a request, or takes an approval back: tokens of other organizations' people end at once.
pub fn refuse(
    tx: &mut Tx,
    operator: impl Into<Caller>,
    id: ApplicationId,
    reason: &str,
) -> Result<(), Refusal> {
    let operator = operator.into();
    ensure_operator(tx, operator)?;
    let reason = parse_reason(reason)?;
    let application = find(tx, id)?;
    ensure_production(&application)?;
    let asked = application.approval != Approval::None;
    ensure(
        asked,
        Refusal::Blocked(
            "Its organization has not asked for approval: there is nothing to refuse.".to_owned(),
        ),
    )?;
    decide(
        tx,
        operator.user,
        &application,
        Approval::Refused,
        Some(&reason),
        Event::ApplicationRefused,
    )
}

fn ensure_production(application: &Application) -> Result<(), Refusal> {
    ensure(
        application.environment == Environment::Production,
        Refusal::Blocked(NOTHING_TO_APPROVE.to_owned()),
    )
}

fn decide(
    tx: &mut Tx,
    user: UserId,
    application: &Application,
    to: Approval,
    reason: Option<&str>,
    event: Event,
) -> Result<(), Refusal> {
    if application.approval == to {
        return Ok(());
    }
    match tx.change_approval(application, to, reason) {
        Err(Error::NotFound) => Err(Refusal::Blocked(OVERTAKEN.to_owned())),
        changed => {
            changed?;
            Ok(tx.record(
                Some(application.organization_id),
                Some(user),
                event,
                application.id.as_str(),
                reason.unwrap_or_default(),
            )?)
        }
    }
}

/// Whether the operator has checked who is behind it: without that, the consent page warns.
pub fn set_verified(
    tx: &mut Tx,
    operator: UserId,
    id: ApplicationId,
    verified: bool,
) -> Result<(), Refusal> {
    ensure_operator(tx, operator)?;
    let application = find(tx, id)?;
    if application.verified_at.is_some() == verified {
        return Ok(());
    }
    tx.set_application_verified(&application, verified)?;
    let event = if verified {
        Event::ApplicationVerified
    } else {
        Event::ApplicationUnverified
    };
    Ok(tx.record(
        Some(application.organization_id),
        Some(operator),
        event,
        id.as_str(),
        "",
    )?)
}

/// Whether it is the vendor's own: only then may it have management scopes. What its tokens held of them ends at once.
pub fn set_first_party(
    tx: &mut Tx,
    operator: UserId,
    id: ApplicationId,
    first_party: bool,
) -> Result<(), Refusal> {
    ensure_operator(tx, operator)?;
    let application = find(tx, id)?;
    if application.first_party == first_party {
        return Ok(());
    }
    tx.set_application_first_party(&application, first_party)?;
    let event = if first_party {
        Event::ApplicationFirstParty
    } else {
        Event::ApplicationThirdParty
    };
    Ok(tx.record(
        Some(application.organization_id),
        Some(operator),
        event,
        id.as_str(),
        "",
    )?)
}

/// Stops it everywhere, at once: it authenticates no more, and none of its tokens is live. The reason of who stopped it first
/// stays.
pub fn stop(
    tx: &mut Tx,
    operator: impl Into<Caller>,
    id: ApplicationId,
    reason: &str,
) -> Result<(), Refusal> {
    let operator = operator.into();
    ensure_operator(tx, operator)?;
    let reason = parse_reason(reason)?;
    let application = find(tx, id)?;
    if set_stopped(tx, &application, Some(&reason))? {
        tx.record(
            Some(application.organization_id),
            Some(operator.user),
            Event::ApplicationStopped,
            id.as_str(),
            &reason,
        )?;
    }
    Ok(())
}

/// The way back: what was live before lives again.
pub fn resume(tx: &mut Tx, operator: impl Into<Caller>, id: ApplicationId) -> Result<(), Refusal> {
    let operator = operator.into();
    ensure_operator(tx, operator)?;
    let application = find(tx, id)?;
    if set_stopped(tx, &application, None)? {
        tx.record(
            Some(application.organization_id),
            Some(operator.user),
            Event::ApplicationResumed,
            id.as_str(),
            "",
        )?;
    }
    Ok(())
}

/// False when it is so already.
fn set_stopped(
    tx: &mut Tx,
    application: &Application,
    because: Option<&str>,
) -> Result<bool, Error> {
    match tx.set_application_stopped(application, because) {
        Err(Error::NotFound) => Ok(false),
        changed => changed.map(|()| true),
    }
}

fn find(snapshot: &mut Snapshot, id: ApplicationId) -> Result<Application, Refusal> {
    let kept = |application: &Application| application.state != ApplicationState::Deleted;
    snapshot
        .find_application(id)?
        .filter(kept)
        .ok_or(Refusal::NotFound)
}

fn parse_reason(reason: &str) -> Result<String, Refusal> {
    parse_text(reason, MOST_REASON)
        .map_err(|error| Refusal::Invalid(vec![("reason", error.to_string())]))
}
