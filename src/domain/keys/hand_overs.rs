//! A one-time link by which somebody outside collects a key's secret (A2).
//!
//! Invariants: the secret is made when the link is used and shown to whoever has both the link and the address it is bound to;
//! the admin never sees it. A link works once, for a bounded time, and only while its maker manages the key and may be given a
//! secret of it.

use crate::crypto::digest::Digest;
use crate::domain::desk::{Desk, View};
use crate::domain::keys::api_keys::{self, Minted};
use crate::domain::keys::lists;
use crate::domain::keys::requests;
use crate::domain::keys::rotation::{self, MOST_GRACE_SECONDS};
use crate::domain::keys::secrets;
use crate::domain::rights::asker::Asker;
use crate::domain::settings::Settings;
use crate::domain::{Refusal, ensure};
use crate::store::api_keys::ApiKey;
use crate::store::hand_overs::HandOver;
use crate::store::{Snapshot, Tx};
use crate::types::email::Mailbox;
use crate::types::event::Event;
use crate::types::id::{ApiKeyId, HandOverId, OrganizationId};
use crate::types::refusal_code::RefusalCode;
use crate::types::right::Right;
use crate::types::state::{ApiKeyState, HandOverState, OrganizationState};
use crate::types::time::Timestamp;

pub const LEAST_SECONDS: i64 = 60;
/// A week.
pub const MOST_SECONDS: i64 = 7 * 24 * 60 * 60;
/// Then somebody is guessing.
const MOST_WRONG_ADDRESSES: i64 = 10;
/// What the list of a key holds.
pub const MOST_LISTED: i64 = 100;

#[derive(Debug, Clone)]
pub struct NewHandOver {
    pub email: String,
    pub expires_in_seconds: i64,
    /// Of the secret in use, when the key has one.
    pub grace_seconds: i64,
    pub digest: Digest,
}

/// Whether a link opens now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkStatus {
    Open,
    Used,
    Expired,
    /// Revoked, or replaced, or what it is for has ended.
    Void,
}

/// A link as its page shows it.
#[derive(Debug, Clone)]
pub struct HandOverLink {
    pub status: LinkStatus,
    pub organization: OrganizationId,
    pub organization_name: String,
    pub key: ApiKey,
}

/// What a try gave.
#[derive(Debug, Clone)]
pub enum Tried {
    Collected(Box<ApiKey>),
    WrongAddress,
}

/// Makes a link; an open one of the same key ends. Runs behind the organization's lock.
pub fn create(desk: &mut Desk, id: ApiKeyId, new: &NewHandOver) -> Result<HandOver, Refusal> {
    let key = api_keys::find_managed(desk, id)?;
    secrets::ensure_may_hold(&mut desk.view(), &key)?;
    let email = Mailbox::parse(&new.email)
        .map_err(|error| Refusal::field("email", error.to_string()))?
        .account_key();
    let span = LEAST_SECONDS..=MOST_SECONDS;
    ensure(
        span.contains(&new.expires_in_seconds),
        Refusal::field("expires_in_seconds", "must be 60 to 604800 (7 days)"),
    )?;
    let grace = 0..=MOST_GRACE_SECONDS;
    ensure(
        grace.contains(&new.grace_seconds),
        Refusal::field("grace_seconds", "must be 0 to 604800 (7 days)"),
    )?;
    let now = desk.now();
    ensure(
        can_be_handed(&key, now),
        Refusal::Coded(
            RefusalCode::WrongState,
            "Only a key that lives, or waits to be collected, is handed over.".to_owned(),
        ),
    )?;
    let asked = "The secret of a requested key is for the member who asked.";
    let waits_for_member =
        key.state == ApiKeyState::Pending && desk.tx.find_api_key_request_of_key(id)?.is_some();
    ensure(
        !waits_for_member,
        Refusal::Coded(RefusalCode::WrongState, asked.to_owned()),
    )?;
    desk.tx.revoke_hand_overs(id)?;
    let hand_over = HandOver {
        id: HandOverId::generate(now),
        organization_id: desk.organization,
        api_key_id: id,
        email,
        digest: new.digest.clone(),
        state: HandOverState::Open,
        wrong_addresses: 0,
        grace_seconds: new.grace_seconds,
        secret_id: None,
        created_by: desk.asker.user,
        created_at: now,
        expires_at: now.plus_seconds(new.expires_in_seconds),
        used_at: None,
    };
    desk.tx.insert_hand_over(&hand_over)?;
    desk.record(
        Event::ApiKeyHandOverCreated,
        id.as_str(),
        hand_over.id.as_str(),
    )?;
    Ok(hand_over)
}

fn can_be_handed(key: &ApiKey, now: Timestamp) -> bool {
    matches!(
        key.state,
        ApiKeyState::Pending | ApiKeyState::Active | ApiKeyState::Paused
    ) && key.expires_at.is_none_or(|end| end > now)
}

/// Ends the open link of a key; none is no error.
pub fn revoke(desk: &mut Desk, id: ApiKeyId) -> Result<(), Refusal> {
    api_keys::find_managed(desk, id)?;
    if desk.tx.revoke_hand_overs(id)? > 0 {
        desk.record(Event::ApiKeyHandOverRevoked, id.as_str(), "")?;
    }
    Ok(())
}

/// The newest first.
pub fn list(view: &mut View, id: ApiKeyId) -> Result<Vec<HandOver>, Refusal> {
    api_keys::find(view, Right::ApiKeysManage, id)?;
    Ok(view.snapshot.list_hand_overs(id, MOST_LISTED)?)
}

/// What the holder of a link is shown before the address. `NotFound` for a link that never was.
pub fn look(
    snapshot: &mut Snapshot,
    settings: &Settings,
    candidates: &[Digest],
    now: Timestamp,
) -> Result<HandOverLink, Refusal> {
    let hand_over = snapshot
        .find_hand_over_by_digest(candidates)?
        .ok_or(Refusal::NotFound)?;
    let organization = snapshot
        .find_organization(hand_over.organization_id)?
        .ok_or(Refusal::NotFound)?;
    let key = snapshot
        .find_api_key(organization.id, hand_over.api_key_id)?
        .ok_or(Refusal::NotFound)?;
    let maker = Asker::of_earlier(snapshot, &settings.catalogue, hand_over.created_by, now)?;
    let mut view = View {
        snapshot,
        settings,
        organization: organization.id,
        asker: &maker,
        now,
    };
    let status = match organization.state {
        OrganizationState::Active => status(&mut view, &hand_over, &key)?,
        OrganizationState::Suspended => LinkStatus::Void,
    };
    Ok(HandOverLink {
        status,
        organization: organization.id,
        organization_name: organization.name,
        key,
    })
}

/// The maker of the link asks: whoever lost the role can hand nothing over, also by a link from before.
fn status(view: &mut View, hand_over: &HandOver, key: &ApiKey) -> Result<LinkStatus, Refusal> {
    match hand_over.state {
        HandOverState::Used => return Ok(LinkStatus::Used),
        HandOverState::Revoked => return Ok(LinkStatus::Void),
        HandOverState::Open if hand_over.expires_at <= view.now => return Ok(LinkStatus::Expired),
        HandOverState::Open => {}
    }
    let opens = hand_over.wrong_addresses < MOST_WRONG_ADDRESSES
        && can_be_handed(key, view.now)
        && lists::stands(view.snapshot, key, view.now)?
        && secrets::vouches(view, key)?;
    Ok(if opens {
        LinkStatus::Open
    } else {
        LinkStatus::Void
    })
}

/// Uses the link. Runs behind the organization's lock. A wrong address is counted, and does not burn the link.
pub fn collect(
    tx: &mut Tx,
    settings: &Settings,
    candidates: &[Digest],
    email: &str,
    minted: &Minted,
) -> Result<Tried, Refusal> {
    let now = tx.now;
    let link = look(tx, settings, candidates, now)?;
    let hand_over = tx
        .find_hand_over_by_digest(candidates)?
        .ok_or(Refusal::NotFound)?;
    ensure(
        link.status == LinkStatus::Open,
        Refusal::Coded(
            RefusalCode::HandOverClosed,
            "The link does not work any more.".to_owned(),
        ),
    )?;
    if Mailbox::parse(email)
        .map(|mailbox| mailbox.account_key())
        .ok()
        .as_deref()
        != Some(hand_over.email.as_str())
    {
        tx.count_wrong_address(hand_over.id)?;
        tx.record(
            Some(hand_over.organization_id),
            None,
            Event::ApiKeyHandOverWrongAddress,
            hand_over.api_key_id.as_str(),
            hand_over.id.as_str(),
        )?;
        return Ok(Tried::WrongAddress);
    }
    let (key, maker) = (link.key, hand_over.created_by);
    let (key, secret) = if key.state == ApiKeyState::Pending {
        requests::begin(tx, key, maker, None, minted)?
    } else {
        let secret =
            rotation::add_pending(tx, &key, maker, hand_over.grace_seconds, minted.clone())?;
        (key, secret)
    };
    tx.redeem_hand_over(hand_over.id, secret.id)?;
    tx.record(
        Some(hand_over.organization_id),
        None,
        Event::ApiKeyHandedOver,
        hand_over.api_key_id.as_str(),
        hand_over.id.as_str(),
    )?;
    Ok(Tried::Collected(Box::new(key)))
}
