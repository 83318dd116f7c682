//! Requests to join: people whose verified address is in a domain that an organization has proven may ask (A5).

use crate::domain::desk::{Desk, View};
use crate::domain::domains::domains;
use crate::domain::people::accounts;
use crate::domain::people::admission::{self, Grant};
use crate::domain::{Refusal, ensure};
use crate::store::join_requests::JoinRequest;
use crate::store::users::User;
use crate::store::{Snapshot, Tx};
use crate::types::email::Mailbox;
use crate::types::event::Event;
use crate::types::id::{JoinRequestId, OrganizationId, UserId};
use crate::types::refusal_code::RefusalCode;
use crate::types::right::Right;
use crate::types::state::{JoinRequestState, OrganizationState, UserKind, UserState};
use crate::types::text::{TextError, parse_text};
use crate::types::time::Timestamp;

const MOST_MESSAGE: usize = 500;
/// That one person may have open.
const MOST_OPEN: usize = 10;

/// Organizations that the person may ask to join: ids and names. Nobody owns a free-mail domain.
pub fn list_joinable(
    snapshot: &mut Snapshot,
    user: &User,
    now: Timestamp,
) -> Result<Vec<(OrganizationId, String)>, Refusal> {
    let verified = user
        .email
        .as_deref()
        .filter(|_| user.email_verified_at.is_some() && user.kind == UserKind::Person);
    let Some(mailbox) = verified.and_then(|email| Mailbox::parse(email).ok()) else {
        return Ok(Vec::new());
    };
    let Some(owner) = domains::find_verified_owner(snapshot, &mailbox)? else {
        return Ok(Vec::new());
    };
    let owner = snapshot
        .find_organization(owner)?
        .filter(|found| found.state == OrganizationState::Active);
    let mut joinable: Vec<_> = owner
        .map(|organization| (organization.id, organization.name))
        .into_iter()
        .collect();
    let own = snapshot.list_organizations_of(user.id, now)?;
    joinable.retain(|(id, _)| own.iter().all(|organization| organization.id != *id));
    Ok(joinable)
}

/// The asker, who is no member yet, asks to join. Runs behind the organization's lock: they ask once.
pub fn ask(desk: &mut Desk, message: &str) -> Result<JoinRequest, Refusal> {
    let (organization, now) = (desk.organization, desk.now());
    let user = desk
        .tx
        .find_user(desk.asker.user)?
        .filter(|user| user.state == UserState::Active)
        .ok_or(Refusal::NotFound)?;
    accounts::ensure_no_operator(&user)?;
    // an organization that has not proven the domain is not there
    ensure(
        list_joinable(desk.tx, &user, now)?
            .iter()
            .any(|(id, _)| *id == organization),
        Refusal::NotFound,
    )?;
    let message = match parse_text(message, MOST_MESSAGE) {
        Err(TextError::Empty) => String::new(),
        other => other.map_err(|error| Refusal::Invalid(vec![("message", error.to_string())]))?,
    };
    let open = desk.tx.list_join_requests_of(user.id)?;
    let again = "You have asked this organization already. One of its admins will answer.";
    ensure(
        open.iter()
            .all(|request| request.organization_id != organization),
        Refusal::Coded(RefusalCode::AlreadyAsked, again.to_owned()),
    )?;
    let many = format!("{MOST_OPEN} of your requests wait for an answer. Take one back first.");
    ensure(
        open.len() < MOST_OPEN,
        Refusal::Coded(RefusalCode::JoinRequestLimitReached, many),
    )?;
    let request = JoinRequest {
        id: JoinRequestId::generate(desk.now()),
        organization_id: organization,
        user_id: user.id,
        message,
        state: JoinRequestState::Pending,
        created_at: desk.now(),
        decided_by: None,
        decided_at: None,
        reason: None,
    };
    desk.tx.insert_join_request(&request)?;
    desk.record(Event::JoinRequestCreated, request.id.as_str(), "")?;
    Ok(request)
}

/// The person takes it back.
pub fn withdraw(tx: &mut Tx, user: UserId, id: JoinRequestId) -> Result<(), Refusal> {
    let open = tx.list_join_requests_of(user)?;
    let own = open
        .into_iter()
        .find(|request| request.id == id)
        .ok_or(Refusal::NotFound)?;
    tx.decide_join_request(id, JoinRequestState::Withdrawn, user, None)?;
    Ok(tx.record(
        Some(own.organization_id),
        Some(user),
        Event::JoinRequestWithdrawn,
        id.as_str(),
        "",
    )?)
}

/// A page, at most `most`.
pub fn list(
    view: &mut View,
    state: Option<JoinRequestState>,
    after: Option<(Timestamp, JoinRequestId)>,
    most: i64,
) -> Result<Vec<(JoinRequest, User)>, Refusal> {
    view.ensure(Right::MembersRead)?;
    Ok(view
        .snapshot
        .list_join_requests_page(view.organization, state, after, most)?)
}

pub fn get(view: &mut View, id: JoinRequestId) -> Result<(JoinRequest, User), Refusal> {
    view.ensure(Right::MembersRead)?;
    view.snapshot
        .find_join_request(view.organization, id)?
        .ok_or(Refusal::NotFound)
}

/// Lets the person in. The address is judged again. Runs behind the organization's lock.
pub fn approve(
    desk: &mut Desk,
    id: JoinRequestId,
    grant: &Grant,
) -> Result<(JoinRequest, User), Refusal> {
    desk.ensure(Right::MembersManage)?;
    let (organization, now) = (desk.organization, desk.now());
    let (_, user) = pending(desk, id)?;
    let gone =
        "The person is suspended, or their address is in no domain of this organization any more.";
    let known = user.state == UserState::Active
        && list_joinable(desk.tx, &user, now)?
            .iter()
            .any(|(own, _)| *own == organization);
    let member = desk.tx.find_member(organization, user.id, now)?.is_some();
    ensure(
        known || member,
        Refusal::Coded(RefusalCode::JoinRequestOutdated, gone.to_owned()),
    )?;
    admission::admit(desk, user.id, grant)?;
    decide(desk, id, JoinRequestState::Approved, None)
}

/// Says no, with words for the person. Runs behind the organization's lock.
pub fn refuse(
    desk: &mut Desk,
    id: JoinRequestId,
    reason: &str,
) -> Result<(JoinRequest, User), Refusal> {
    desk.ensure(Right::MembersManage)?;
    pending(desk, id)?;
    let reason = match parse_text(reason, MOST_MESSAGE) {
        Err(TextError::Empty) => None,
        other => {
            Some(other.map_err(|error| Refusal::Invalid(vec![("reason", error.to_string())]))?)
        }
    };
    decide(desk, id, JoinRequestState::Refused, reason.as_deref())
}

fn pending(desk: &mut Desk, id: JoinRequestId) -> Result<(JoinRequest, User), Refusal> {
    let found = desk
        .tx
        .find_join_request(desk.organization, id)?
        .ok_or(Refusal::NotFound)?;
    let decided = "This request was decided or taken back.".to_owned();
    ensure(
        found.0.state == JoinRequestState::Pending,
        Refusal::Coded(RefusalCode::NotPending, decided),
    )?;
    Ok(found)
}

fn decide(
    desk: &mut Desk,
    id: JoinRequestId,
    to: JoinRequestState,
    reason: Option<&str>,
) -> Result<(JoinRequest, User), Refusal> {
    let event = match to {
        JoinRequestState::Approved => Event::JoinRequestApproved,
        JoinRequestState::Pending | JoinRequestState::Refused | JoinRequestState::Withdrawn => {
            Event::JoinRequestRefused
        }
    };
    desk.tx
        .decide_join_request(id, to, desk.asker.user, reason)?;
    desk.record(event, id.as_str(), reason.unwrap_or_default())?;
    desk.tx
        .find_join_request(desk.organization, id)?
        .ok_or(Refusal::NotFound)
}
