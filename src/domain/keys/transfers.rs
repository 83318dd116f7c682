//! A key changes its owner (row 28): offered by who manages it, accepted by who is to own it.
//!
//! Invariants: scope, level and expiry stay; the old secrets die in the transaction that makes the new one; both sides manage
//! every workspace of the key at acceptance, so nobody transfers more than both hold. The only way to revive a key that was
//! deactivated.

use crate::config::{Config, KeyOwner};
use crate::domain::keys::api_keys::{self, Minted};
use crate::domain::rights::key_admins::{self, KeyCaller, MANAGE};
use crate::domain::{Refusal, ensure};
use crate::store::api_key_secrets::ApiKeySecret;
use crate::store::api_key_transfers::ApiKeyTransfer;
use crate::store::api_keys::ApiKey;
use crate::store::{Snapshot, Tx};
use crate::types::event::Event;
use crate::types::id::{ApiKeyId, ApiKeyTransferId, OrganizationId, UserId, WorkspaceId};
use crate::types::refusal_code::RefusalCode;
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
pub fn offer(
    tx: &mut Tx,
    config: &Config,
    organization: OrganizationId,
    by: &KeyCaller,
    id: ApiKeyId,
    to: UserId,
) -> Result<ApiKeyTransfer, Refusal> {
    let catalogue = config
        .catalogue()
        .map_err(|error| Refusal::Blocked(error.to_string()))?;
    let (key, _, workspaces) = api_keys::find(tx, &catalogue, organization, by, MANAGE, id)?;
    let shared =
        "API keys belong to the organization or the workspace here: nobody else can own one.";
    ensure(
        config.keys.owner == KeyOwner::User,
        Refusal::Coded(RefusalCode::NotTransferable, shared.to_owned()),
    )?;
    ensure_movable(&key, tx.now)?;
    ensure(
        key.owner_id != to,
        Refusal::field("to", "owns the key already"),
    )?;
    // strangers, service accounts and people without the role read the same
    let nobody = || {
        Refusal::field(
            "to",
            "must be a person who may manage the key: an admin of every workspace that it reaches",
        )
    };
    let is_person = tx
        .find_user(to)?
        .is_some_and(|user| user.kind == UserKind::Person);
    ensure(
        is_person
            && manages(
                tx,
                config,
                organization,
                &KeyCaller::person(to),
                &key,
                &workspaces,
            )?,
        nobody(),
    )?;
    let open = "The key is offered to somebody already: withdraw that first.";
    ensure(
        tx.find_open_api_key_transfer(id)?.is_none(),
        Refusal::Coded(RefusalCode::TransferOpen, open.to_owned()),
    )?;
    let transfer = ApiKeyTransfer {
        id: ApiKeyTransferId::generate(tx.now),
        organization_id: organization,
        api_key_id: id,
        from_id: key.owner_id,
        to_id: to,
        offered_by: by.user(),
        state: TransferState::Open,
        created_at: tx.now,
        decided_at: None,
    };
    tx.insert_api_key_transfer(&transfer)?;
    tx.record(
        Some(organization),
        Some(by.user()),
        Event::ApiKeyTransferOffered,
        id.as_str(),
        to.as_str(),
    )?;
    Ok(transfer)
}

/// Takes the key with a new secret, shown to its new owner alone. Runs behind the organization's lock.
pub fn accept(
    tx: &mut Tx,
    config: &Config,
    organization: OrganizationId,
    by: &KeyCaller,
    id: ApiKeyTransferId,
    minted: Minted,
) -> Result<ApiKey, Refusal> {
    let transfer = offered_to(tx, organization, by, id)?;
    let key = tx
        .find_api_key(organization, transfer.api_key_id)?
        .ok_or(Refusal::NotFound)?;
    ensure_movable(&key, tx.now)?;
    let stale = "The key has another owner since it was offered.";
    ensure(
        key.owner_id == transfer.from_id,
        Refusal::Coded(RefusalCode::TransferOutdated, stale.to_owned()),
    )?;
    let workspaces: Vec<_> = tx
        .list_api_key_workspaces(key.id)?
        .into_iter()
        .map(|(id, _)| id)
        .collect();
    let less = "You do not manage every workspace of this key any more.";
    ensure(
        manages(tx, config, organization, by, &key, &workspaces)?,
        Refusal::admin_only(less),
    )?;
    // a demotion between offer and acceptance ends the offer
    let giver = key_admins::caller_of(tx, transfer.offered_by)?;
    let gone = "Who offered the key does not manage it any more: ask for a new offer.";
    ensure(
        manages(tx, config, organization, &giver, &key, &workspaces)?,
        Refusal::Coded(RefusalCode::TransferOutdated, gone.to_owned()),
    )?;
    tx.close_api_key_transfer(organization, id, TransferState::Accepted)?;
    hand(tx, key, by.user(), minted)
}

/// The old secrets die, and the key begins anew with its new owner; a pause stays.
fn hand(tx: &mut Tx, key: ApiKey, owner: UserId, minted: Minted) -> Result<ApiKey, Refusal> {
    let (organization, now) = (key.organization_id, tx.now);
    tx.revoke_api_key_secrets(organization, key.id)?;
    tx.revoke_hand_overs(key.id)?;
    let Minted { public_id, digest } = minted;
    let secret = ApiKeySecret::first(key.id, public_id.clone(), digest, owner, now);
    tx.insert_api_key_secret(organization, &secret)?;
    tx.record_disclosure(secret.id.as_str(), owner)?;
    tx.change_api_key_public_id(organization, key.id, &public_id)?;
    let mut after = ApiKey {
        owner_id: owner,
        owned_since: now,
        public_id,
        ..key
    };
    tx.change_api_key(&after, None)?;
    if after.state == ApiKeyState::Deactivated {
        tx.change_api_key_state(
            organization,
            after.id,
            ApiKeyState::Deactivated,
            ApiKeyState::Active,
            None,
        )?;
        (after.state, after.state_reason) = (ApiKeyState::Active, None);
    }
    tx.record(
        Some(organization),
        Some(owner),
        Event::ApiKeyTransferred,
        after.id.as_str(),
        owner.as_str(),
    )?;
    Ok(after)
}

/// Only who it is offered to.
pub fn decline(
    tx: &mut Tx,
    organization: OrganizationId,
    by: &KeyCaller,
    id: ApiKeyTransferId,
) -> Result<ApiKeyTransfer, Refusal> {
    let transfer = offered_to(tx, organization, by, id)?;
    close(
        tx,
        transfer,
        by,
        TransferState::Declined,
        Event::ApiKeyTransferDeclined,
    )
}

/// By who offered it, or by who manages the key.
pub fn withdraw(
    tx: &mut Tx,
    config: &Config,
    organization: OrganizationId,
    by: &KeyCaller,
    id: ApiKeyTransferId,
) -> Result<ApiKeyTransfer, Refusal> {
    let transfer = find(tx, config, organization, by, id)?.transfer;
    ensure_open(&transfer)?;
    if transfer.offered_by != by.user() {
        let catalogue = config
            .catalogue()
            .map_err(|error| Refusal::Blocked(error.to_string()))?;
        api_keys::find(
            tx,
            &catalogue,
            organization,
            by,
            MANAGE,
            transfer.api_key_id,
        )?;
    }
    close(
        tx,
        transfer,
        by,
        TransferState::Withdrawn,
        Event::ApiKeyTransferWithdrawn,
    )
}

fn close(
    tx: &mut Tx,
    transfer: ApiKeyTransfer,
    by: &KeyCaller,
    to: TransferState,
    event: Event,
) -> Result<ApiKeyTransfer, Refusal> {
    tx.close_api_key_transfer(transfer.organization_id, transfer.id, to)?;
    tx.record(
        Some(transfer.organization_id),
        Some(by.user()),
        event,
        transfer.api_key_id.as_str(),
        "",
    )?;
    Ok(ApiKeyTransfer {
        state: to,
        decided_at: Some(tx.now),
        ..transfer
    })
}

/// A page of the offers that the caller has to do with; an organization admin sees all.
pub fn list(
    snapshot: &mut Snapshot,
    config: &Config,
    organization: OrganizationId,
    by: &KeyCaller,
    after: Option<(Timestamp, ApiKeyTransferId)>,
    most: i64,
) -> Result<Vec<ListedTransfer>, Refusal> {
    let only = only(snapshot, config, organization, by)?;
    let rows = snapshot.list_api_key_transfers_page(organization, only, after, most)?;
    rows.into_iter()
        .map(|transfer| listed(snapshot, transfer))
        .collect()
}

pub fn find(
    snapshot: &mut Snapshot,
    config: &Config,
    organization: OrganizationId,
    by: &KeyCaller,
    id: ApiKeyTransferId,
) -> Result<ListedTransfer, Refusal> {
    let only = only(snapshot, config, organization, by)?;
    let transfer = snapshot
        .find_api_key_transfer(organization, id)?
        .ok_or(Refusal::NotFound)?;
    let is_party =
        |user: UserId| [transfer.from_id, transfer.to_id, transfer.offered_by].contains(&user);
    ensure(only.is_none_or(is_party), Refusal::NotFound)?;
    listed(snapshot, transfer)
}

/// Whose offers the caller sees; none: everybody's.
fn only(
    snapshot: &mut Snapshot,
    config: &Config,
    organization: OrganizationId,
    by: &KeyCaller,
) -> Result<Option<UserId>, Refusal> {
    let catalogue = config
        .catalogue()
        .map_err(|error| Refusal::Blocked(error.to_string()))?;
    let admin = key_admins::find(snapshot, &catalogue, organization, by, MANAGE)?;
    Ok((!admin.is_organization_admin()).then_some(by.user()))
}

pub fn listed(
    snapshot: &mut Snapshot,
    transfer: ApiKeyTransfer,
) -> Result<ListedTransfer, Refusal> {
    let key = snapshot
        .find_api_key(transfer.organization_id, transfer.api_key_id)?
        .ok_or(Refusal::NotFound)?;
    let from_name = api_keys::name_of(snapshot, transfer.from_id)?;
    let to_name = api_keys::name_of(snapshot, transfer.to_id)?;
    Ok(ListedTransfer {
        key_name: key.title(),
        from_name,
        to_name,
        transfer,
    })
}

/// The open offer, for whom it is meant; for others it is not there.
fn offered_to(
    snapshot: &mut Snapshot,
    organization: OrganizationId,
    by: &KeyCaller,
    id: ApiKeyTransferId,
) -> Result<ApiKeyTransfer, Refusal> {
    let transfer = snapshot
        .find_api_key_transfer(organization, id)?
        .ok_or(Refusal::NotFound)?;
    ensure(
        transfer.to_id == by.user() && !by.caller.operator,
        Refusal::NotFound,
    )?;
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

/// As a creator of the same key.
fn manages(
    snapshot: &mut Snapshot,
    config: &Config,
    organization: OrganizationId,
    by: &KeyCaller,
    key: &ApiKey,
    workspaces: &[WorkspaceId],
) -> Result<bool, Refusal> {
    let catalogue = config
        .catalogue()
        .map_err(|error| Refusal::Blocked(error.to_string()))?;
    match key_admins::find(snapshot, &catalogue, organization, by, MANAGE) {
        Ok(admin) => Ok(admin.reaches(key, workspaces)),
        Err(Refusal::NotFound) => Ok(false),
        Err(other) => Err(other),
    }
}
