//! Invitations: bound to an address, and judged again when they are accepted (A1, A5).
//!
//! Invariants: a link is good once, for the person with that address, while the one who made it, or sent it again, may still
//! grant what it grants; not even an account is made by another.
//! As long as a link is shown to who made it instead of being mailed, holding it proves no address: whoever creates an account
//! by it joins this organization, and is taken for the owner of the address nowhere else (see [`addresses`]).

use crate::crypto::digest::Digest;
use crate::domain::desk::{Desk, View};
use crate::domain::people::accounts::{self, NewPerson};
use crate::domain::people::addresses;
use crate::domain::people::admission::{self, Grant};
use crate::domain::rights::asker::Asker;
use crate::domain::settings::Settings;
use crate::domain::{Refusal, ensure};
use crate::store::invitations::Invitation;
use crate::store::organizations::Organization;
use crate::store::users::User;
use crate::store::{Error, Snapshot, Tx};
use crate::types::email::Mailbox;
use crate::types::event::Event;
use crate::types::id::{InvitationId, OrganizationId, UserId, WorkspaceId};
use crate::types::refusal_code::RefusalCode;
use crate::types::right::Right;
use crate::types::state::{InvitationState, OrganizationState, UserKind, UserState};
use crate::types::time::Timestamp;

/// Invitations that one page offers a person.
const MOST_OFFERED: i64 = 50;

/// What is asked for. The link's token was minted at the door; only its digest comes here.
#[derive(Debug, Clone)]
pub struct NewInvitation {
    pub email: String,
    pub grant: Grant,
    pub digest: Digest,
}

/// An invitation with the workspaces it opens.
#[derive(Debug, Clone)]
pub struct ListedInvitation {
    pub invitation: Invitation,
    pub workspaces: Vec<(WorkspaceId, String)>,
}

/// A page, at most `most`.
pub fn list(
    view: &mut View,
    state: Option<InvitationState>,
    after: Option<(Timestamp, InvitationId)>,
    most: i64,
) -> Result<Vec<ListedInvitation>, Refusal> {
    view.ensure(Right::MembersRead)?;
    let organization = view.organization;
    let page = view
        .snapshot
        .list_invitations_page(organization, state, after, most)?;
    page.into_iter()
        .map(|invitation| listed(view.snapshot, invitation))
        .collect()
}

pub fn get(view: &mut View, id: InvitationId) -> Result<ListedInvitation, Refusal> {
    view.ensure(Right::MembersRead)?;
    find(view.snapshot, view.organization, id)
}

/// Whoever asks was asked for their rights before.
fn find(
    snapshot: &mut Snapshot,
    organization: OrganizationId,
    id: InvitationId,
) -> Result<ListedInvitation, Refusal> {
    let invitation = snapshot
        .find_invitation(organization, id)?
        .ok_or(Refusal::NotFound)?;
    listed(snapshot, invitation)
}

fn listed(snapshot: &mut Snapshot, invitation: Invitation) -> Result<ListedInvitation, Refusal> {
    let workspaces = snapshot.list_invitation_workspaces(invitation.id)?;
    Ok(ListedInvitation {
        invitation,
        workspaces,
    })
}

/// Invites an address. Runs behind the organization's lock: what waits is counted.
pub fn create(desk: &mut Desk, new: &NewInvitation) -> Result<ListedInvitation, Refusal> {
    admission::check(desk, &new.grant)?;
    let email = Mailbox::parse(&new.email)
        .map_err(|error| Refusal::Invalid(vec![("email", error.to_string())]))?
        .account_key();
    ensure_uninvited(desk, &email)?;
    let config = &desk.settings.invitations;
    let most = config.max_pending_per_organization;
    let full =
        format!("{most} invitations of this organization wait for an answer. Revoke some first.");
    ensure(
        desk.tx.count_pending_invitations(desk.organization)? < most,
        Refusal::Coded(RefusalCode::InvitationLimitReached, full),
    )?;
    let now = desk.now();
    let invitation = Invitation {
        id: InvitationId::generate(now),
        organization_id: desk.organization,
        email,
        role: new.grant.role,
        licence: new.grant.licence,
        member_ends_at: new.grant.ends_at,
        digest: new.digest.clone(),
        state: InvitationState::Pending,
        created_by: desk.asker.user,
        created_at: now,
        expires_at: now.plus_seconds(config.expire_seconds),
        decided_at: None,
        accepted_by: None,
    };
    desk.tx
        .insert_invitation(&invitation, &new.grant.workspaces)?;
    let detail = format!("{}, {}", invitation.role, invitation.licence);
    desk.record(Event::InvitationCreated, invitation.id.as_str(), &detail)?;
    Ok(ListedInvitation {
        invitation,
        workspaces: new.grant.workspaces.clone(),
    })
}

/// Refuses an address that belongs to a member, or is invited already.
fn ensure_uninvited(desk: &mut Desk, email: &str) -> Result<(), Refusal> {
    let (organization, now) = (desk.organization, desk.now());
    if let Some(user) = desk.tx.find_user_by_email(email)? {
        let there = "This person is a member of the organization already.";
        ensure(
            desk.tx.find_member(organization, user.id, now)?.is_none(),
            Refusal::Coded(RefusalCode::AlreadyMember, there.to_owned()),
        )?;
    }
    if let Some(former) = desk.tx.find_pending_invitation(organization, email)? {
        let open =
            "This address is invited already. Send that invitation again, or revoke it first.";
        let (id, is_open) = (former.id, former.is_open(now));
        let former = listed(desk.tx, former)?;
        ensure(
            !is_open || !is_vouched(desk.tx, desk.settings, &former)?,
            Refusal::Coded(RefusalCode::AlreadyInvited, open.to_owned()),
        )?;
        // it opens nothing: the new one takes its place
        desk.tx
            .decide_invitation(id, InvitationState::Revoked, None)?;
    }
    Ok(())
}

/// What a request that is sent again has made before.
pub fn made(desk: &mut Desk, id: InvitationId) -> Result<ListedInvitation, Refusal> {
    find(desk.tx, desk.organization, id)
}

/// Makes a new link, and lets the time begin anew; the former link opens nothing any more. The asker must be able to grant
/// what it grants, and is the one who invites from now on. Runs behind the organization's lock.
pub fn resend(
    desk: &mut Desk,
    id: InvitationId,
    digest: &Digest,
) -> Result<ListedInvitation, Refusal> {
    desk.ensure(Right::MembersManage)?;
    let found = find(desk.tx, desk.organization, id)?;
    ensure(
        found.invitation.state == InvitationState::Pending,
        Refusal::Coded(
            RefusalCode::NotPending,
            "This invitation was answered or revoked.".to_owned(),
        ),
    )?;
    admission::check(desk, &grant_of(&found))?;
    let expires_at = desk
        .now()
        .plus_seconds(desk.settings.invitations.expire_seconds);
    let by = desk.asker.user;
    desk.tx.renew_invitation(id, by, digest, expires_at)?;
    desk.record(Event::InvitationResent, id.as_str(), "")?;
    find(desk.tx, desk.organization, id)
}

/// Takes it back; one that was answered or revoked stays as it is. Runs behind the organization's lock.
pub fn revoke(desk: &mut Desk, id: InvitationId) -> Result<(), Refusal> {
    desk.ensure(Right::MembersManage)?;
    let found = desk
        .tx
        .find_invitation(desk.organization, id)?
        .ok_or(Refusal::NotFound)?;
    if found.state != InvitationState::Pending {
        return Ok(());
    }
    desk.tx
        .decide_invitation(id, InvitationState::Revoked, None)?;
    Ok(desk.record(Event::InvitationRevoked, id.as_str(), "")?)
}

fn grant_of(listed: &ListedInvitation) -> Grant {
    let Invitation {
        role,
        licence,
        member_ends_at,
        ..
    } = listed.invitation;
    Grant {
        role,
        licence,
        ends_at: member_ends_at,
        workspaces: listed.workspaces.clone(),
    }
}

/// An invitation as the invited person reads it.
#[derive(Debug, Clone)]
pub struct Offer {
    pub invitation: Invitation,
    pub organization: Organization,
    pub inviter_name: String,
    /// The names of the workspaces, with the role in each.
    pub workspaces: Vec<(String, String)>,
}

/// By the link. One that was answered, revoked or has expired reads as unknown.
pub fn find_by_link(
    snapshot: &mut Snapshot,
    candidates: &[Digest],
    now: Timestamp,
) -> Result<Offer, Refusal> {
    let invitation = snapshot
        .find_invitation_by_digest(candidates)?
        .filter(|found| found.is_open(now))
        .ok_or(Refusal::NotFound)?;
    offer(snapshot, invitation)?.ok_or(Refusal::NotFound)
}

/// Those that wait for the person's verified address.
pub fn list_offers(
    snapshot: &mut Snapshot,
    user: &User,
    now: Timestamp,
) -> Result<Vec<Offer>, Refusal> {
    let Some(email) = user
        .email
        .as_deref()
        .filter(|_| user.email_verified_at.is_some())
    else {
        return Ok(Vec::new());
    };
    let mut offers = Vec::new();
    for invitation in snapshot.list_open_invitations_for(email, now, MOST_OFFERED)? {
        offers.extend(offer(snapshot, invitation)?);
    }
    Ok(offers)
}

fn offer(snapshot: &mut Snapshot, invitation: Invitation) -> Result<Option<Offer>, Error> {
    let organization = snapshot.find_organization(invitation.organization_id)?;
    let Some(organization) = organization.filter(|found| found.state == OrganizationState::Active)
    else {
        return Ok(None);
    };
    let inviter_name = snapshot
        .find_user(invitation.created_by)?
        .map(|user| user.name)
        .unwrap_or_default();
    let roles = snapshot.list_roles(organization.id)?;
    let role_name = |role: &str| {
        roles
            .iter()
            .find(|own| own.id.as_str() == role)
            .map_or_else(|| role.to_owned(), |own| own.name.clone())
    };
    let mut workspaces = Vec::new();
    for (id, role) in snapshot.list_invitation_workspaces(invitation.id)? {
        if let Some(workspace) = snapshot.find_workspace(organization.id, id)? {
            workspaces.push((workspace.name, role_name(&role)));
        }
    }
    Ok(Some(Offer {
        invitation,
        organization,
        inviter_name,
        workspaces,
    }))
}

/// How the person comes to the invitation.
#[derive(Debug, Clone)]
pub enum By {
    /// The link's token.
    Link(Vec<Digest>),
    /// Among those for their verified address.
    Id(InvitationId),
}

fn find_for(
    snapshot: &mut Snapshot,
    user: &User,
    by: &By,
    now: Timestamp,
) -> Result<Invitation, Refusal> {
    let own = |invitation: &Invitation| {
        user.email.as_deref().map(addresses::address_in) == Some(invitation.email.as_str())
    };
    let found = match by {
        By::Link(candidates) => snapshot
            .find_invitation_by_digest(candidates)?
            .filter(|found| found.is_open(now)),
        By::Id(id) => list_offers(snapshot, user, now)?
            .into_iter()
            .map(|offer| offer.invitation)
            .find(|found| found.id == *id),
    };
    let found = found.ok_or(Refusal::NotFound)?;
    let other = "This invitation is for another address. Sign out, and sign in with the one that was invited.";
    ensure(
        own(&found),
        Refusal::Coded(RefusalCode::AnotherAddress, other.to_owned()),
    )?;
    Ok(found)
}

/// The organization to lock before [`accept`].
pub fn organization_of(
    snapshot: &mut Snapshot,
    user: UserId,
    by: &By,
    now: Timestamp,
) -> Result<OrganizationId, Refusal> {
    let user = snapshot.find_user(user)?.ok_or(Refusal::NotFound)?;
    Ok(find_for(snapshot, &user, by, now)?.organization_id)
}

/// The asker, who is invited, accepts: everything is judged again. Whoever made the link must still be able to grant what it
/// grants; an operator token that was revoked or has expired grants nothing. Runs behind the organization's lock.
pub fn accept(desk: &mut Desk, by: &By) -> Result<(), Refusal> {
    let now = desk.now();
    let user = desk
        .tx
        .find_user(desk.asker.user)?
        .filter(|user| user.kind == UserKind::Person && user.state == UserState::Active)
        .ok_or(Refusal::NotFound)?;
    accounts::ensure_no_operator(&user)?;
    let invitation = find_for(desk.tx, &user, by, now)?;
    ensure(
        invitation.organization_id == desk.organization,
        Refusal::NotFound,
    )?;
    let found = listed(desk.tx, invitation)?;
    by_inviter(desk.tx, desk.settings, &found, |desk| {
        admission::admit(desk, user.id, &grant_of(&found)).map(drop)
    })?;
    let id = found.invitation.id;
    desk.tx
        .decide_invitation(id, InvitationState::Accepted, Some(user.id))?;
    Ok(desk.record(Event::InvitationAccepted, id.as_str(), "")?)
}

/// Does it as whoever made the link, as they are now.
fn by_inviter(
    tx: &mut Tx,
    settings: &Settings,
    found: &ListedInvitation,
    rule: impl FnOnce(&mut Desk) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let (catalogue, now) = (&settings.catalogue, tx.now);
    let inviter = Asker::of_earlier(tx, catalogue, found.invitation.created_by, now)?;
    let done = rule(&mut Desk {
        tx,
        settings,
        organization: found.invitation.organization_id,
        asker: &inviter,
    });
    done.map_err(|refusal| match refusal {
        Refusal::NotFound | Refusal::Forbidden(_) | Refusal::Invalid(_) => stale(),
        other => other,
    })
}

/// Whether whoever made the link may still grant what it grants.
fn is_vouched(tx: &mut Tx, settings: &Settings, found: &ListedInvitation) -> Result<bool, Refusal> {
    let checked = by_inviter(tx, settings, found, |desk| {
        admission::check(desk, &grant_of(found))
    });
    match checked {
        Ok(()) => Ok(true),
        Err(Refusal::Store(error)) => Err(Refusal::Store(error)),
        Err(_) => Ok(false),
    }
}

fn stale() -> Refusal {
    let message = "What this invitation grants cannot be granted any more by whoever made it. Ask the organization for a new one.";
    Refusal::Coded(RefusalCode::InvitationOutdated, message.to_owned())
}

/// The person wants none of it.
pub fn decline(tx: &mut Tx, user: UserId, by: &By) -> Result<(), Refusal> {
    let now = tx.now;
    let user = tx.find_user(user)?.ok_or(Refusal::NotFound)?;
    let invitation = find_for(tx, &user, by, now)?;
    tx.decide_invitation(invitation.id, InvitationState::Declined, None)?;
    Ok(tx.record(
        Some(invitation.organization_id),
        Some(user.id),
        Event::InvitationDeclined,
        invitation.id.as_str(),
        "",
    )?)
}

/// A new account for the invited address, by the link; under another name when the address is somebody's: the inviter may hold
/// the link, and must not learn whose. The password was hashed outside.
pub fn create_account(
    tx: &mut Tx,
    settings: &Settings,
    candidates: &[Digest],
    name: &str,
    password_hash: &str,
) -> Result<User, Refusal> {
    let now = tx.now;
    let invitation = find_by_link(tx, candidates, now)?.invitation;
    let found = listed(tx, invitation.clone())?;
    ensure(is_vouched(tx, settings, &found)?, stale())?;
    let email = Mailbox::parse(&invitation.email)
        .map_err(|error| Refusal::Invalid(vec![("email", error.to_string())]))?;
    accounts::create_unproven_person(
        tx,
        &NewPerson {
            email,
            name: name.to_owned(),
            password_hash: password_hash.to_owned(),
            operator: false,
        },
    )
}
