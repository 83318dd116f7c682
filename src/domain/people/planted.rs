//! What a member has set up that takes effect later, by their word: invitations, hand-over links, offers of keys, approvals of
//! requests for keys, initial access tokens.
//!
//! Invariant: whoever vouched is asked when it is used, by the rule of each noun: a suspension pauses all of it. What takes
//! rights away for good (the end of the membership, a demotion, a narrower role or licence) ends, in the same transaction, what
//! the member could not set up any more: it does not come back with the rights. An operator token that was revoked or has
//! expired never comes back, so that being asked is enough.

use crate::config::Catalogue;
use crate::domain::Refusal;
use crate::domain::desk::Desk;
use crate::domain::rights::key_rights;
use crate::domain::rights::rights::{self, Rights};
use crate::store::api_key_requests::ApiKeyRequest;
use crate::store::api_key_transfers::ApiKeyTransfer;
use crate::store::hand_overs::HandOver;
use crate::store::invitations::Invitation;
use crate::store::members::Member;
use crate::store::registration_tokens::RegistrationToken;
use crate::store::{Error, Snapshot, Tx};
use crate::types::event::Event;
use crate::types::id::{ApiKeyId, OrganizationId, UserId};
use crate::types::right::Right;
use crate::types::state::{ApiKeyState, InvitationState, KeyRequestState, TransferState};

const LOST: &str = "whoever vouched for it may not any more";

enum Planted {
    Invitation(Invitation),
    HandOver(HandOver),
    Offer(ApiKeyTransfer),
    Request(ApiKeyRequest),
    RegistrationToken(RegistrationToken),
}

/// Ends all that the member has set up, and what waits for their own answer: how much. Runs behind the organization's lock.
pub fn end_all(
    tx: &mut Tx,
    organization: OrganizationId,
    user: UserId,
    by: Option<UserId>,
) -> Result<usize, Error> {
    let mut planted = list(tx, organization, user)?;
    let offers = tx.list_open_api_key_transfers_to(organization, user)?;
    planted.extend(offers.into_iter().map(Planted::Offer));
    let requests = tx.list_waiting_api_key_requests_of(organization, user)?;
    planted.extend(requests.into_iter().map(Planted::Request));
    for one in &planted {
        end(tx, organization, one, by)?;
    }
    Ok(planted.len())
}

/// Ends what the member could not set up any more, after they have lost rights. Whether they are suspended does not matter.
/// Runs behind the organization's lock.
pub fn end_unvouched(desk: &mut Desk, user: UserId) -> Result<(), Refusal> {
    let (organization, by) = (desk.organization, Some(desk.asker.user));
    let held = desk.rights_of(user)?;
    for planted in list(desk.tx, organization, user)? {
        if !is_vouched(desk, user, &held, &planted)? {
            end(desk.tx, organization, &planted, by)?;
        }
    }
    Ok(())
}

fn list(
    snapshot: &mut Snapshot,
    organization: OrganizationId,
    user: UserId,
) -> Result<Vec<Planted>, Error> {
    let invitations = snapshot.list_pending_invitations_by(organization, user)?;
    let hand_overs = snapshot.list_open_hand_overs_by(organization, user)?;
    let offers = snapshot.list_open_api_key_transfers_by(organization, user)?;
    let approved = snapshot.list_api_key_requests_approved_by(organization, user)?;
    let tokens = snapshot.list_registration_tokens_by(organization, user)?;
    let invitations = invitations.into_iter().map(Planted::Invitation);
    let planted = invitations
        .chain(hand_overs.into_iter().map(Planted::HandOver))
        .chain(offers.into_iter().map(Planted::Offer))
        .chain(approved.into_iter().map(Planted::Request))
        .chain(tokens.into_iter().map(Planted::RegistrationToken));
    Ok(planted.collect())
}

/// Whether the member, who holds these rights, could set it up now.
fn is_vouched(
    desk: &mut Desk,
    user: UserId,
    held: &Rights,
    planted: &Planted,
) -> Result<bool, Error> {
    let catalogue = &desk.settings.catalogue;
    let holds = |right: Right| catalogue.right(right).is_held_in(held.organization);
    match planted {
        Planted::Invitation(invitation) => {
            let grants = granted_by(desk.tx, catalogue, invitation)?;
            let within = invitation.role <= held.role && grants.is_within(held);
            Ok(holds(Right::MembersManage) && within)
        }
        Planted::HandOver(link) => passes_on(desk, user, held, link.api_key_id),
        Planted::Offer(offer) => passes_on(desk, user, held, offer.api_key_id),
        Planted::Request(request) => {
            let places = held.places_of(catalogue, Right::ApiKeysManage);
            Ok(key_rights::covers(&places, &request.workspaces()))
        }
        Planted::RegistrationToken(_) => Ok(holds(Right::ApplicationsManage)),
    }
}

fn granted_by(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    invitation: &Invitation,
) -> Result<Rights, Error> {
    let workspaces = snapshot.list_invitation_workspaces(invitation.id)?;
    let Invitation {
        organization_id,
        created_by,
        role,
        licence,
        created_at,
        ..
    } = *invitation;
    let member = Member::new(organization_id, created_by, role, licence, created_at);
    rights::of_grant(snapshot, catalogue, &member, &workspaces)
}

/// Whether the member may pass the key on: manages it, and owns it or holds all that it can do.
fn passes_on(desk: &mut Desk, user: UserId, held: &Rights, key: ApiKeyId) -> Result<bool, Error> {
    let (catalogue, now) = (&desk.settings.catalogue, desk.now());
    let Some(key) = desk.tx.find_api_key(desk.organization, key)? else {
        return Ok(false);
    };
    let named = desk.tx.list_api_key_workspaces(key.id)?.into_iter();
    let named: Vec<_> = named.map(|(id, _)| id).collect();
    let places = held.places_of(catalogue, Right::ApiKeysManage);
    if !key_rights::reaches(&places, &key, &named) {
        return Ok(false);
    }
    let is_own = key.owner_id == user;
    Ok(is_own || key_rights::of_key(desk.tx, catalogue, &key, &named, now)?.is_within(held))
}

fn end(
    tx: &mut Tx,
    organization: OrganizationId,
    planted: &Planted,
    by: Option<UserId>,
) -> Result<(), Error> {
    let (event, subject) = match planted {
        Planted::Invitation(invitation) => {
            tx.decide_invitation(invitation.id, InvitationState::Revoked, None)?;
            (Event::InvitationRevoked, invitation.id.to_string())
        }
        Planted::HandOver(link) => {
            tx.revoke_hand_overs(link.api_key_id)?;
            (Event::ApiKeyHandOverRevoked, link.api_key_id.to_string())
        }
        Planted::Offer(offer) => {
            tx.close_api_key_transfer(organization, offer.id, TransferState::Withdrawn)?;
            (Event::ApiKeyTransferWithdrawn, offer.api_key_id.to_string())
        }
        Planted::Request(request) => {
            withdraw(tx, request, by)?;
            (Event::ApiKeyRequestWithdrawn, request.id.to_string())
        }
        Planted::RegistrationToken(token) => {
            tx.revoke_registration_token(organization, token.id)?;
            (Event::RegistrationTokenRevoked, token.id.to_string())
        }
    };
    tx.record(Some(organization), by, event, &subject, LOST)
}

/// The key that waits to be collected ends with the request.
fn withdraw(tx: &mut Tx, request: &ApiKeyRequest, by: Option<UserId>) -> Result<(), Error> {
    let organization = request.organization_id;
    let key = match request.api_key_id {
        Some(key) => tx.find_api_key(organization, key)?,
        None => None,
    };
    if let Some(key) = key.filter(|key| key.state == ApiKeyState::Pending) {
        tx.revoke_api_key(organization, key.id, by.unwrap_or(request.requester_id))?;
        let revoked = Event::ApiKeyRevoked;
        tx.record(Some(organization), by, revoked, key.id.as_str(), LOST)?;
    }
    let withdrawn = ApiKeyRequest {
        state: KeyRequestState::Withdrawn,
        ..request.clone()
    };
    tx.change_api_key_request(&withdrawn, request.state)
}
