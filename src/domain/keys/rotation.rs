//! Rotation of an API key without downtime (row 37).
//!
//! Invariants: a key keeps its id, name, limits and expiry; never more than two of its secrets live. The new secret is
//! *pending* until its first use, and only then does the old one's grace begin: an answer that is lost costs nothing. A
//! newer rotation takes the place of one that is pending; the grace is never extended.

use crate::config::Catalogue;
use crate::domain::keys::api_keys::{self, Minted};
use crate::domain::keys::changes;
use crate::domain::rights::key_admins::{KeyCaller, MANAGE};
use crate::domain::{Refusal, ensure};
use crate::store::api_key_secrets::ApiKeySecret;
use crate::store::api_keys::ApiKey;
use crate::store::{self, Tx};
use crate::types::event::Event;
use crate::types::id::{ApiKeyId, ApiKeySecretId, OrganizationId, UserId};
use crate::types::refusal_code::RefusalCode;
use crate::types::state::{ApiKeySecretState, ApiKeyState};
use crate::types::time::Timestamp;

/// The longest grace: a week.
pub const MOST_GRACE_SECONDS: i64 = 7 * 24 * 60 * 60;

/// Who rotates.
#[derive(Debug, Clone)]
pub enum By<'b> {
    /// Who manages the key.
    Admin(&'b KeyCaller),
    /// The key itself, by this one of its secrets.
    Itself(ApiKeySecretId),
}

/// What a rotation asks for.
#[derive(Debug, Clone)]
pub struct Rotation {
    pub grace_seconds: i64,
    /// Only ever earlier.
    pub expires_at: Option<Timestamp>,
    pub minted: Minted,
}

/// Adds a pending secret, which is shown to who asked. Runs behind the organization's lock.
pub fn rotate(
    tx: &mut Tx,
    catalogue: &Catalogue,
    organization: OrganizationId,
    by: &By<'_>,
    id: ApiKeyId,
    wanted: Rotation,
) -> Result<(ApiKey, ApiKeySecret), Refusal> {
    let (mut key, user) = match by {
        By::Admin(by) => (
            api_keys::find(tx, catalogue, organization, by, MANAGE, id)?.0,
            by.user(),
        ),
        By::Itself(secret) => {
            let key = tx
                .find_api_key(organization, id)?
                .ok_or(Refusal::NotFound)?;
            let off = "This key may not rotate itself: that is switched on at its creation only.";
            ensure(
                key.self_rotation,
                Refusal::Coded(RefusalCode::SelfRotationOff, off.to_owned()),
            )?;
            // an old secret that has leaked must not get hold of a new one
            let current = tx
                .find_api_key_secret(*secret)?
                .is_some_and(|secret| secret.state == ApiKeySecretState::Active);
            let old = "Only the secret in use rotates its key.";
            ensure(
                current,
                Refusal::Coded(RefusalCode::NotTheSecretInUse, old.to_owned()),
            )?;
            tx.record(
                Some(organization),
                Some(key.owner_id),
                Event::ApiKeyRotatedItself,
                id.as_str(),
                "",
            )?;
            let owner = key.owner_id;
            (key, owner)
        }
    };
    if let Some(end) = wanted.expires_at {
        ensure(
            end > tx.now,
            Refusal::field("expires_at", "must be in the future"),
        )?;
        changes::narrow_expiry(&mut key, end)?;
        tx.change_api_key(&key, None)?;
    }
    let fresh = add_pending(tx, &key, user, wanted.grace_seconds, wanted.minted)?;
    tx.record_disclosure(fresh.id.as_str(), user)?;
    Ok((key, fresh))
}

/// The pending secret; whoever calls has asked whether the caller may, and tells who is shown it.
pub fn add_pending(
    tx: &mut Tx,
    key: &ApiKey,
    by: UserId,
    grace_seconds: i64,
    minted: Minted,
) -> Result<ApiKeySecret, Refusal> {
    ensure(
        (0..=MOST_GRACE_SECONDS).contains(&grace_seconds),
        Refusal::field("grace_seconds", "must be 0 to 604800 (7 days)"),
    )?;
    let now = tx.now;
    let live = matches!(key.state, ApiKeyState::Active | ApiKeyState::Paused)
        && key.expires_at.is_none_or(|end| end > now);
    ensure(
        live,
        Refusal::Coded(
            RefusalCode::WrongState,
            "Only a live key can be rotated.".to_owned(),
        ),
    )?;
    for older in tx.list_api_key_secrets(key.id)? {
        // never more than two: what is pending makes room, and so does what still had a grace
        if matches!(
            older.state,
            ApiKeySecretState::Pending | ApiKeySecretState::Retiring
        ) {
            tx.change_api_key_secret_state(
                key.organization_id,
                older.id,
                older.state,
                ApiKeySecretState::Revoked,
                older.expires_at,
            )?;
        }
    }
    let first = ApiKeySecret::first(key.id, minted.public_id, minted.digest, by, now);
    let fresh = ApiKeySecret {
        state: ApiKeySecretState::Pending,
        grace_seconds,
        ..first
    };
    tx.insert_api_key_secret(key.organization_id, &fresh)?;
    tx.record(
        Some(key.organization_id),
        Some(by),
        Event::ApiKeyRotated,
        key.id.as_str(),
        &format!("grace {grace_seconds} s"),
    )?;
    Ok(fresh)
}

/// Ends one secret early: an old one, a leaked one, or one that never arrived. Not the last that lives on.
pub fn revoke_secret(
    tx: &mut Tx,
    catalogue: &Catalogue,
    organization: OrganizationId,
    by: &KeyCaller,
    id: ApiKeyId,
    secret: ApiKeySecretId,
) -> Result<ApiKey, Refusal> {
    let (key, ..) = api_keys::find(tx, catalogue, organization, by, MANAGE, id)?;
    let secrets = tx.list_api_key_secrets(id)?;
    let ended = secrets
        .iter()
        .find(|row| row.id == secret)
        .ok_or(Refusal::NotFound)?;
    if ended.state == ApiKeySecretState::Revoked {
        return Ok(key);
    }
    let lives_on = |row: &&ApiKeySecret| {
        row.id != secret
            && matches!(
                row.state,
                ApiKeySecretState::Active | ApiKeySecretState::Pending
            )
    };
    let last = "This is the key's last secret: rotate the key first, or revoke it.";
    let heir = secrets
        .iter()
        .find(lives_on)
        .ok_or_else(|| Refusal::Coded(RefusalCode::LastSecret, last.to_owned()))?;
    tx.change_api_key_secret_state(
        organization,
        secret,
        ended.state,
        ApiKeySecretState::Revoked,
        ended.expires_at,
    )?;
    if ended.state == ApiKeySecretState::Active {
        tx.change_api_key_public_id(organization, id, &heir.public_id)?;
    }
    tx.record(
        Some(organization),
        Some(by.user()),
        Event::ApiKeySecretRevoked,
        id.as_str(),
        &ended.public_id,
    )?;
    Ok(key)
}

/// The first use of a pending secret: it is the one in use, and the grace of the older one begins. False when it was
/// revoked meanwhile. A twin that was quicker has done it already.
pub fn promote(
    tx: &mut Tx,
    organization: OrganizationId,
    id: ApiKeySecretId,
) -> Result<bool, store::Error> {
    let Some(fresh) = tx.find_api_key_secret(id)? else {
        return Ok(false);
    };
    match fresh.state {
        ApiKeySecretState::Pending => {}
        ApiKeySecretState::Active => return Ok(true),
        ApiKeySecretState::Retiring | ApiKeySecretState::Revoked => return Ok(false),
    }
    let now = tx.now;
    for older in tx.list_api_key_secrets(fresh.api_key_id)? {
        if older.state == ApiKeySecretState::Active {
            let end = now.plus_seconds(fresh.grace_seconds);
            tx.change_api_key_secret_state(
                organization,
                older.id,
                older.state,
                ApiKeySecretState::Retiring,
                Some(end),
            )?;
        }
    }
    tx.change_api_key_secret_state(
        organization,
        id,
        ApiKeySecretState::Pending,
        ApiKeySecretState::Active,
        None,
    )?;
    tx.record_first_use_of_api_key_secret(id)?;
    tx.change_api_key_public_id(organization, fresh.api_key_id, &fresh.public_id)?;
    tx.record(
        Some(organization),
        None,
        Event::ApiKeyRotationCompleted,
        fresh.api_key_id.as_str(),
        &fresh.public_id,
    )?;
    Ok(true)
}

/// When the older secret dies; for lists and details.
pub fn grace_end(secrets: &[ApiKeySecret]) -> Option<Timestamp> {
    secrets
        .iter()
        .find(|secret| secret.state == ApiKeySecretState::Retiring)
        .and_then(|secret| secret.expires_at)
}
