//! A key changes its owner (row 28): offered by who manages it, accepted by who is to own it.
//!
//! Invariants: scope, level and expiry stay; the old secrets die in the transaction that makes the new one. At acceptance both
//! sides manage every workspace of the key, and whoever offered it owns it or holds all that it can do, so nobody transfers
//! more than both hold. The only way to revive a key that was deactivated.

use crate::config::KeyOwner;
use crate::domain::desk::{Desk, View};
use crate::domain::keys::api_keys::{self, Minted};
use crate::domain::keys::lists;
use crate::domain::keys::places::{KeyPlaces, manages};
use crate::domain::keys::secrets;
use crate::domain::rights::asker::Asker;
use crate::domain::{Refusal, ensure};
use crate::store::Snapshot;
use crate::store::api_key_secrets::ApiKeySecret;
use crate::store::api_key_transfers::ApiKeyTransfer;
use crate::store::api_keys::ApiKey;
use crate::types::event::Event;
use crate::types::id::{ApiKeyId, ApiKeyTransferId, UserId};
use crate::types::refusal_code::RefusalCode;
use crate::types::right::Right;
use crate::types::state::{ApiKeyState, TransferState, UserKind};
use crate::types::time::Timestamp;

/// An offer with the names that stand beside it.
#[derive(Debug, Clone)]
pub struct ListedTransfer {
    pub transfer: ApiKeyTransfer,
    pub key_name: String,
    pub from_name: String,
    pub to_name: String,
}

/// Offers the key. Runs behind the organization's lock.
pub fn offer(desk: &mut Desk, id: ApiKeyId, to: UserId) -> Result<ApiKeyTransfer, Refusal> {
    let key = api_keys::find_managed(desk, id)?;
    secrets::ensure_may_hold(&mut desk.view(), &key)?;
    let shared =
        "API keys belong to the organization or the workspace here: nobody else can own one.";
    ensure(
        desk.settings.keys.owner == KeyOwner::User,
        Refusal::Coded(RefusalCode::NotTransferable, shared.to_owned()),
    )?;
    ensure_movable(&key, desk.now())?;
    ensure(
        key.owner_id != to,
        Refusal::field("to", "owns the key already"),
    )?;
    ensure_can_take(desk, &key, to)?;
    let open = "The key is offered to somebody already: withdraw that first.";
    ensure(
        desk.tx.find_open_api_key_transfer(id)?.is_none(),
        Refusal::Coded(RefusalCode::TransferOpen, open.to_owned()),
    )?;
    let transfer = ApiKeyTransfer {
        id: ApiKeyTransferId::generate(desk.now()),
        organization_id: desk.organization,
        api_key_id: id,
        from_id: key.owner_id,
        to_id: to,
        offered_by: desk.asker.user,
        state: TransferState::Open,
        created_at: desk.now(),
        decided_at: None,
    };
    desk.tx.insert_api_key_transfer(&transfer)?;
    desk.record(Event::ApiKeyTransferOffered, id.as_str(), to.as_str())?;
    Ok(transfer)
}

/// Strangers, service accounts and people without the role read the same.
fn ensure_can_take(desk: &mut Desk, key: &ApiKey, to: UserId) -> Result<(), Refusal> {
    let is_person = desk
        .tx
        .find_user(to)?
        .is_some_and(|user| user.kind == UserKind::Person);
    let can_take = is_person && manages(&mut desk.view().by(&Asker::person(to)), key)?;
    let nobody =
        "must be a person who may manage the key: an admin of every workspace that it reaches";
    ensure(can_take, Refusal::field("to", nobody))
}

/// Takes the key with a new secret, shown to its new owner alone. Runs behind the organization's lock.
pub fn accept(desk: &mut Desk, id: ApiKeyTransferId, minted: &Minted) -> Result<ApiKey, Refusal> {
    let transfer = offered_to(desk, id)?;
    let key = desk
        .tx
        .find_api_key(desk.organization, transfer.api_key_id)?
        .ok_or(Refusal::NotFound)?;
    ensure_movable(&key, desk.now())?;
    let stale = "The key has another owner since it was offered.";
    ensure(
        key.owner_id == transfer.from_id,
        Refusal::Coded(RefusalCode::TransferOutdated, stale.to_owned()),
    )?;
    let less = "You do not manage every workspace of this key any more.";
    ensure(manages(&mut desk.view(), &key)?, Refusal::admin_only(less))?;
    // a demotion between offer and acceptance ends the offer
    let (catalogue, now) = (&desk.settings.catalogue, desk.now());
    let giver = Asker::of_earlier(desk.tx, catalogue, transfer.offered_by, now)?;
    let gone = "Who offered the key does not manage it any more: ask for a new offer.";
    ensure(
        secrets::vouches(&mut desk.view().by(&giver), &key)?,
        Refusal::Coded(RefusalCode::TransferOutdated, gone.to_owned()),
    )?;
    desk.tx
        .close_api_key_transfer(desk.organization, id, TransferState::Accepted)?;
    hand(desk, key, minted)
}

/// The old secrets die, and the key begins anew with its new owner; a pause stays.
fn hand(desk: &mut Desk, key: ApiKey, minted: &Minted) -> Result<ApiKey, Refusal> {
    let (organization, owner, now) = (desk.organization, desk.asker.user, desk.now());
    desk.tx.revoke_api_key_secrets(organization, key.id)?;
    desk.tx.revoke_hand_overs(key.id)?;
    let Minted { public_id, digest } = minted.clone();
    let secret = ApiKeySecret::first(key.id, public_id.clone(), digest, owner, now);
    desk.tx.insert_api_key_secret(organization, &secret)?;
    desk.tx.record_disclosure(secret.id.as_str(), owner)?;
    desk.tx
        .change_api_key_public_id(organization, key.id, &public_id)?;
    let mut after = ApiKey {
        owner_id: owner,
        owned_since: now,
        public_id,
        ..key
    };
    desk.tx.change_api_key(&after, None)?;
    if after.state == ApiKeyState::Deactivated {
        desk.tx.change_api_key_state(
            organization,
            after.id,
            ApiKeyState::Deactivated,
            ApiKeyState::Active,
            None,
        )?;
        (after.state, after.state_reason) = (ApiKeyState::Active, None);
    }
    desk.record(Event::ApiKeyTransferred, after.id.as_str(), owner.as_str())?;
    Ok(after)
}

/// Only who it is offered to.
pub fn decline(desk: &mut Desk, id: ApiKeyTransferId) -> Result<ApiKeyTransfer, Refusal> {
    let transfer = offered_to(desk, id)?;
    close(
        desk,
        transfer,
        TransferState::Declined,
        Event::ApiKeyTransferDeclined,
    )
}

/// By who offered it, or by who manages the key.
pub fn withdraw(desk: &mut Desk, id: ApiKeyTransferId) -> Result<ApiKeyTransfer, Refusal> {
    let transfer = find(&mut desk.view(), id)?.transfer;
    ensure_open(&transfer)?;
    if transfer.offered_by != desk.asker.user {
        api_keys::find_managed(desk, transfer.api_key_id)?;
    }
    close(
        desk,
        transfer,
        TransferState::Withdrawn,
        Event::ApiKeyTransferWithdrawn,
    )
}

fn close(
    desk: &mut Desk,
    transfer: ApiKeyTransfer,
    to: TransferState,
    event: Event,
) -> Result<ApiKeyTransfer, Refusal> {
    desk.tx
        .close_api_key_transfer(desk.organization, transfer.id, to)?;
    desk.record(event, transfer.api_key_id.as_str(), "")?;
    Ok(ApiKeyTransfer {
        state: to,
        decided_at: Some(desk.now()),
        ..transfer
    })
}

/// A page of the offers that the asker has to do with; an organization admin sees all.
pub fn list(
    view: &mut View,
    after: Option<(Timestamp, ApiKeyTransferId)>,
    most: i64,
) -> Result<Vec<ListedTransfer>, Refusal> {
    let only = only(view)?;
    let rows = view
        .snapshot
        .list_api_key_transfers_page(view.organization, only, after, most)?;
    rows.into_iter()
        .map(|transfer| listed(view.snapshot, transfer))
        .collect()
}

pub fn find(view: &mut View, id: ApiKeyTransferId) -> Result<ListedTransfer, Refusal> {
    let only = only(view)?;
    let transfer = view
        .snapshot
        .find_api_key_transfer(view.organization, id)?
        .ok_or(Refusal::NotFound)?;
    let is_party =
        |user: UserId| [transfer.from_id, transfer.to_id, transfer.offered_by].contains(&user);
    ensure(only.is_none_or(is_party), Refusal::NotFound)?;
    listed(view.snapshot, transfer)
}

/// Whose offers the asker sees; none: everybody's.
fn only(view: &mut View) -> Result<Option<UserId>, Refusal> {
    let places = KeyPlaces::of(view, Right::ApiKeysManage)?;
    Ok((!places.is_everywhere()).then_some(view.asker.user))
}

pub fn listed(
    snapshot: &mut Snapshot,
    transfer: ApiKeyTransfer,
) -> Result<ListedTransfer, Refusal> {
    let key = snapshot
        .find_api_key(transfer.organization_id, transfer.api_key_id)?
        .ok_or(Refusal::NotFound)?;
    let from_name = lists::name_of(snapshot, transfer.from_id)?;
    let to_name = lists::name_of(snapshot, transfer.to_id)?;
    Ok(ListedTransfer {
        key_name: key.title(),
        from_name,
        to_name,
        transfer,
    })
}

/// The open offer, for whom it is meant; for others it is not there.
fn offered_to(desk: &mut Desk, id: ApiKeyTransferId) -> Result<ApiKeyTransfer, Refusal> {
    let transfer = desk
        .tx
        .find_api_key_transfer(desk.organization, id)?
        .ok_or(Refusal::NotFound)?;
    ensure(desk.asker.is(transfer.to_id), Refusal::NotFound)?;
    ensure_open(&transfer)?;
    Ok(transfer)
}

fn ensure_open(transfer: &ApiKeyTransfer) -> Result<(), Refusal> {
    let closed = format!("The offer is {}.", transfer.state);
    ensure(
        transfer.state == TransferState::Open,
        Refusal::Coded(RefusalCode::TransferClosed, closed),
    )
}

/// What has ended, and what nobody has collected yet, stays where it is.
fn ensure_movable(key: &ApiKey, now: Timestamp) -> Result<(), Refusal> {
    let lives = matches!(
        key.state,
        ApiKeyState::Active | ApiKeyState::Paused | ApiKeyState::Deactivated
    ) && key.expires_at.is_none_or(|end| end > now);
    ensure(
        lives,
        Refusal::Coded(
            RefusalCode::WrongState,
            "A key that has ended, or waits to be collected, is not transferred.".to_owned(),
        ),
    )
}
