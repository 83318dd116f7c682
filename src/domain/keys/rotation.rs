//! Rotation of an API key without downtime (row 37).
//!
//! Invariants: a key keeps its id, name, limits and expiry; never more than two of its secrets live. The new secret is
//! *pending* until its first use, and only then does the old one's grace begin: an answer that is lost costs nothing. A
//! newer rotation takes the place of one that is pending; the grace is never extended.

use crate::domain::desk::Desk;
use crate::domain::keys::api_keys::{self, Minted};
use crate::domain::keys::changes;
use crate::domain::keys::secrets;
use crate::domain::{Refusal, ensure};
use crate::store::Tx;
use crate::store::api_key_secrets::ApiKeySecret;
use crate::store::api_keys::ApiKey;
use crate::types::event::Event;
use crate::types::id::{ApiKeyId, ApiKeySecretId, UserId};
use crate::types::refusal_code::RefusalCode;
use crate::types::state::{ApiKeySecretState, ApiKeyState};
use crate::types::time::Timestamp;

/// The longest grace: a week.
pub const MOST_GRACE_SECONDS: i64 = 7 * 24 * 60 * 60;

/// Who rotates a key.
#[derive(Debug, Clone, Copy)]
pub enum RotatedBy {
    /// Who manages the key.
    Manager,
    /// The key itself, by this one of its secrets.
    Itself(ApiKeySecretId),
}

/// What a rotation asks for.
#[derive(Debug, Clone)]
pub struct KeyRotation {
    pub grace_seconds: i64,
    /// Only ever earlier.
    pub expires_at: Option<Timestamp>,
    pub minted: Minted,
}

/// Adds a pending secret, which is shown to who asked. Runs behind the organization's lock.
pub fn rotate(
    desk: &mut Desk,
    by: RotatedBy,
    id: ApiKeyId,
    wanted: &KeyRotation,
) -> Result<ApiKey, Refusal> {
    let (mut key, user) = match by {
        RotatedBy::Manager => {
            let key = api_keys::find_managed(desk, id)?;
            secrets::ensure_may_hold(&mut desk.view(), &key)?;
            (key, desk.asker.user)
        }
        RotatedBy::Itself(secret) => {
            let key = find_itself(desk, id, secret)?;
            let owner = key.owner_id;
            (key, owner)
        }
    };
    if let Some(end) = wanted.expires_at {
        changes::narrow_expiry(&mut key, end, desk.now())?;
        desk.tx.change_api_key(&key, None)?;
    }
    let fresh = add_pending(
        desk.tx,
        &key,
        user,
        wanted.grace_seconds,
        wanted.minted.clone(),
    )?;
    desk.tx.record_disclosure(fresh.id.as_str(), user)?;
    Ok(key)
}

/// The key, if it may rotate itself by this one of its secrets.
fn find_itself(desk: &mut Desk, id: ApiKeyId, secret: ApiKeySecretId) -> Result<ApiKey, Refusal> {
    let key = desk
        .tx
        .find_api_key(desk.organization, id)?
        .ok_or(Refusal::NotFound)?;
    let off = "This key may not rotate itself: that is switched on at its creation only.";
    ensure(
        key.self_rotation,
        Refusal::Coded(RefusalCode::SelfRotationOff, off.to_owned()),
    )?;
    // an old secret that has leaked must not get hold of a new one
    let current = desk
        .tx
        .find_api_key_secret(secret)?
        .is_some_and(|secret| secret.state == ApiKeySecretState::Active);
    let old = "Only the secret in use rotates its key.";
    ensure(
        current,
        Refusal::Coded(RefusalCode::NotTheSecretInUse, old.to_owned()),
    )?;
    desk.tx.record(
        Some(desk.organization),
        Some(key.owner_id),
        Event::ApiKeyRotatedItself,
        id.as_str(),
        "",
    )?;
    Ok(key)
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
    desk: &mut Desk,
    id: ApiKeyId,
    secret: ApiKeySecretId,
) -> Result<ApiKey, Refusal> {
    let key = api_keys::find_managed(desk, id)?;
    let secrets = desk.tx.list_api_key_secrets(id)?;
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
    desk.tx.change_api_key_secret_state(
        desk.organization,
        secret,
        ended.state,
        ApiKeySecretState::Revoked,
        ended.expires_at,
    )?;
    if ended.state == ApiKeySecretState::Active {
        desk.tx
            .change_api_key_public_id(desk.organization, id, &heir.public_id)?;
    }
    desk.record(Event::ApiKeySecretRevoked, id.as_str(), &ended.public_id)?;
    Ok(key)
}
