//! What the operator decides about an application: whether people of other organizations may authorize it, whether who is
//! behind it has been checked, and that it stops everywhere.
//!
//! Invariants: only who holds `operator:approvals` decides; a decision takes effect with its commit, for tokens that were
//! issued before, too. What is approved is the version that the operator was shown (`versions.rs`): one that changed meanwhile
//! is not. What an organization changes of an approved application waits by itself, and the approved version goes on.

use crate::domain::clients::clients;
use crate::domain::clients::own_applications;
use crate::domain::clients::versions::Version;
use crate::domain::desk::{Desk, View};
use crate::domain::rights::asker::Asker;
use crate::domain::rights::rights::{self, BEYOND};
use crate::domain::{Refusal, ensure};
use crate::store::applications::{Application, ApplicationFilter};
use crate::store::{Error, Snapshot, Tx};
use crate::types::environment::Environment;
use crate::types::event::Event;
use crate::types::id::ApplicationId;
use crate::types::right::Right;
use crate::types::state::Approval;
use crate::types::text::parse_text;

const MOST_REASON: usize = 500;
/// Requests that one page lists, the oldest first.
const MOST_WAITING: i64 = 200;
/// Applications on one page.
pub const PAGE: usize = 50;
const NOTHING_TO_APPROVE: &str =
    "A Sandbox application is for its own organization only; there is nothing to approve.";
const CHANGED: &str =
    "It has changed since this page was made, and nothing was approved. Look at it again.";
const OVERTAKEN: &str = "Somebody else has just decided about it. Look again.";

/// An application as the operator's pages show it.
#[derive(Debug, Clone)]
pub struct ReviewedApplication {
    pub application: Application,
    pub organization_name: String,
    pub creator_name: String,
    pub creator_email: Option<String>,
    /// As its makers have it.
    pub current: Version,
    /// As others get it; none while it is not approved.
    pub approved: Option<Version>,
    /// Its makers have changed it since, and others do not get that before it is approved.
    pub changed: bool,
    /// Consents of people that stand.
    pub consents: i64,
}

/// An application in the operator's lists.
#[derive(Debug, Clone)]
pub struct ListedApplication {
    pub application: Application,
    pub organization_name: String,
    /// It is approved, and its makers have changed it since: others do not get that before it is approved, too.
    pub changed: bool,
}

impl ListedApplication {
    fn of(snapshot: &mut Snapshot, application: Application) -> Result<Self, Error> {
        Ok(Self {
            organization_name: organization_name(snapshot, &application)?,
            changed: is_changed(snapshot, &application)?,
            application,
        })
    }
}

/// The applications whose organizations ask for approval, or have changed an approved one, the oldest first.
pub fn list_waiting(
    snapshot: &mut Snapshot,
    asker: &Asker,
) -> Result<Vec<ListedApplication>, Refusal> {
    rights::ensure_operates(snapshot, asker)?;
    let mut waiting = Vec::new();
    for application in snapshot.list_applications_to_approve(MOST_WAITING)? {
        let listed = ListedApplication::of(snapshot, application)?;
        // one that asks for less than was approved waits for nothing
        if listed.changed || listed.application.approval == Approval::Requested {
            waiting.push(listed);
        }
    }
    Ok(waiting)
}

/// Whether the organization has changed an approved application in a way that has to be approved, too.
fn is_changed(snapshot: &mut Snapshot, application: &Application) -> Result<bool, Error> {
    let Some(approved) = Version::approved(snapshot, application)? else {
        return Ok(false);
    };
    Ok(!Version::current(snapshot, application)?.is_within(&approved))
}

/// A page of Production applications, the newest first, and whether there are more.
pub fn search(
    snapshot: &mut Snapshot,
    asker: &Asker,
    filter: &ApplicationFilter,
) -> Result<(Vec<ListedApplication>, bool), Refusal> {
    rights::ensure_operates(snapshot, asker)?;
    let found = snapshot
        .list_production_applications(filter, i64::try_from(PAGE).unwrap_or(i64::MAX) + 1)?;
    let more = found.len() > PAGE;
    let page = found.into_iter().take(PAGE);
    let page = page
        .map(|(application, _)| ListedApplication::of(snapshot, application))
        .collect::<Result<_, _>>()?;
    Ok((page, more))
}

pub fn get(view: &mut View, id: ApplicationId) -> Result<ReviewedApplication, Refusal> {
    let snapshot = &mut *view.snapshot;
    rights::ensure_operates(snapshot, view.asker)?;
    let application = own_applications::find(snapshot, view.organization, id)?;
    let vouched_for = clients::is_vouched_for(snapshot, application.id)?;
    let creator = if vouched_for {
        snapshot.find_user(application.created_by)?
    } else {
        None
    };
    Ok(ReviewedApplication {
        organization_name: organization_name(snapshot, &application)?,
        creator_email: creator.as_ref().and_then(|creator| creator.email.clone()),
        creator_name: creator.map_or_else(|| "nobody known".to_owned(), |creator| creator.name),
        current: Version::current(snapshot, &application)?,
        approved: Version::approved(snapshot, &application)?,
        changed: is_changed(snapshot, &application)?,
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

/// The organization asks that others may use its application.
pub fn request(desk: &mut Desk, id: ApplicationId) -> Result<Application, Refusal> {
    own_applications::ensure_manages(&mut desk.view())?;
    let application = own_applications::find(desk.tx, desk.organization, id)?;
    ensure_production(&application)?;
    let asks = matches!(application.approval, Approval::None | Approval::Refused);
    ensure(
        asks,
        Refusal::Blocked("It is approved already, or waits for the operator.".to_owned()),
    )?;
    let event = Event::ApplicationApprovalRequested;
    decide(desk, application, Approval::Requested, None, event)
}

/// Approves the version that the operator was `shown`; without one, the current version. Runs behind the organization's lock:
/// the version is of one piece. `Blocked` when it has changed meanwhile, with what changed.
pub fn approve(
    desk: &mut Desk,
    id: ApplicationId,
    shown: Option<&Version>,
) -> Result<Application, Refusal> {
    ensure_decides(desk)?;
    let application = own_applications::find(desk.tx, desk.organization, id)?;
    ensure_production(&application)?;
    let current = Version::current(desk.tx, &application)?;
    if let Some(shown) = shown.filter(|shown| **shown != current) {
        let changes = current.changes_since(shown).join(" ");
        return Err(Refusal::Blocked(format!("{CHANGED} {changes}")));
    }
    let approved = Version::approved(desk.tx, &application)?;
    if approved.as_ref() == Some(&current) {
        return Ok(application);
    }
    match desk
        .tx
        .approve_application(&application, current.redirect_uris())
    {
        Err(Error::NotFound) => return Err(Refusal::Blocked(OVERTAKEN.to_owned())),
        changed => changed?,
    }
    let detail = approved.map_or("", |_| "a changed version");
    desk.record(Event::ApplicationApproved, id.as_str(), detail)?;
    own_applications::find(desk.tx, desk.organization, id)
}

/// Refuses a request, or takes an approval back: tokens of other organizations' people end at once.
pub fn refuse(desk: &mut Desk, id: ApplicationId, reason: &str) -> Result<Application, Refusal> {
    ensure_decides(desk)?;
    let reason = parse_reason(reason)?;
    let application = own_applications::find(desk.tx, desk.organization, id)?;
    ensure_production(&application)?;
    let asked = application.approval != Approval::None;
    ensure(
        asked,
        Refusal::Blocked(
            "Its organization has not asked for approval: there is nothing to refuse.".to_owned(),
        ),
    )?;
    let event = Event::ApplicationRefused;
    decide(desk, application, Approval::Refused, Some(reason), event)
}

/// Nobody but the operator learns that there is something to decide.
fn ensure_decides(desk: &mut Desk) -> Result<(), Refusal> {
    let catalogue = &desk.settings.catalogue;
    rights::ensure_vendor(desk.tx, catalogue, desk.asker, Right::OperatorApprovals)
}

fn ensure_production(application: &Application) -> Result<(), Refusal> {
    ensure(
        application.environment == Environment::Production,
        Refusal::Blocked(NOTHING_TO_APPROVE.to_owned()),
    )
}

/// The application as it is then.
fn decide(
    desk: &mut Desk,
    application: Application,
    to: Approval,
    reason: Option<String>,
    event: Event,
) -> Result<Application, Refusal> {
    if application.approval == to {
        return Ok(application);
    }
    match desk.tx.change_approval(&application, to, reason.as_deref()) {
        Err(Error::NotFound) => return Err(Refusal::Blocked(OVERTAKEN.to_owned())),
        changed => changed?,
    }
    let detail = reason.as_deref().unwrap_or_default();
    desk.record(event, application.id.as_str(), detail)?;
    own_applications::find(desk.tx, desk.organization, application.id)
}

/// Whether the operator has checked who is behind it: without that, the consent page warns.
pub fn set_verified(desk: &mut Desk, id: ApplicationId, verified: bool) -> Result<(), Refusal> {
    ensure_decides(desk)?;
    let application = own_applications::find(desk.tx, desk.organization, id)?;
    if application.verified_at.is_some() == verified {
        return Ok(());
    }
    desk.tx.set_application_verified(&application, verified)?;
    let event = if verified {
        Event::ApplicationVerified
    } else {
        Event::ApplicationUnverified
    };
    Ok(desk.record(event, id.as_str(), "")?)
}

/// Whether it is the vendor's own: only then may it have management scopes, so whoever says so holds all that these give. What
/// its tokens held of them ends at once.
pub fn set_first_party(
    desk: &mut Desk,
    id: ApplicationId,
    first_party: bool,
) -> Result<(), Refusal> {
    ensure_decides(desk)?;
    let application = own_applications::find(desk.tx, desk.organization, id)?;
    if application.first_party == first_party {
        return Ok(());
    }
    let managing = desk.settings.catalogue.management();
    let holds = managing.is_subset_of(desk.own_rights()?.organization);
    ensure(!first_party || holds, Refusal::Forbidden(BEYOND))?;
    desk.tx
        .set_application_first_party(&application, first_party)?;
    let event = if first_party {
        Event::ApplicationFirstParty
    } else {
        Event::ApplicationThirdParty
    };
    Ok(desk.record(event, id.as_str(), "")?)
}

/// Stops it everywhere, at once: it authenticates no more, and none of its tokens is live. The reason of who stopped it first
/// stays.
pub fn stop(desk: &mut Desk, id: ApplicationId, reason: &str) -> Result<Application, Refusal> {
    ensure_decides(desk)?;
    let reason = parse_reason(reason)?;
    let application = own_applications::find(desk.tx, desk.organization, id)?;
    if set_stopped(desk.tx, &application, Some(&reason))? {
        desk.record(Event::ApplicationStopped, id.as_str(), &reason)?;
    }
    own_applications::find(desk.tx, desk.organization, id)
}

/// The way back: what was live before lives again.
pub fn resume(desk: &mut Desk, id: ApplicationId) -> Result<Application, Refusal> {
    ensure_decides(desk)?;
    let application = own_applications::find(desk.tx, desk.organization, id)?;
    if set_stopped(desk.tx, &application, None)? {
        desk.record(Event::ApplicationResumed, id.as_str(), "")?;
    }
    own_applications::find(desk.tx, desk.organization, id)
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

fn parse_reason(reason: &str) -> Result<String, Refusal> {
    parse_text(reason, MOST_REASON)
        .map_err(|error| Refusal::Invalid(vec![("reason", error.to_string())]))
}
