//! Rotation of an API key without downtime (row 37).
//!
//! Invariants: a key keeps its id, name, limits and expiry; never more than two of its secrets live. The new secret is
//! *pending* until its first use, and only then does the old one's grace begin: an answer that is lost costs nothing. A
//! newer rotation takes the place of one that is pending; the grace is never extended.

use crate::crypto::digest::Digest;
use crate::domain::{Refusal, ensure};
use crate::store::api_key_secrets::ApiKeySecret;
use crate::store::api_keys::ApiKey;
use crate::store::{self, Tx};
use crate::types::id::{ApiKeySecretId, OrganizationId, UserId};
use crate::types::state::{ApiKeySecretState, ApiKeyState};
use crate::types::time::Timestamp;

/// The longest grace: a week.
pub const MOST_GRACE_SECONDS: i64 = 7 * 24 * 60 * 60;

/// Adds a pending secret to the key; whoever calls has asked whether the caller may. `expires_at`: may only come earlier.
pub fn rotate(tx: &mut Tx, key: &ApiKey, by: UserId, grace_seconds: i64, public_id: String, digest: Digest) -> Result<ApiKeySecret, Refusal> {
    let invalid = |message: &str| Refusal::Invalid(vec![("grace_seconds", message.to_owned())]);
    ensure((0..=MOST_GRACE_SECONDS).contains(&grace_seconds), invalid("must be 0 to 604800 (7 days)"))?;
    ensure(matches!(key.state, ApiKeyState::Active | ApiKeyState::Paused), Refusal::Blocked("Only a live key can be rotated.".to_owned()))?;
    let now = tx.now;
    for older in tx.list_api_key_secrets(key.id)? {
        // never more than two: what is pending makes room, and so does what still had a grace
        if matches!(older.state, ApiKeySecretState::Pending | ApiKeySecretState::Retiring) {
            tx.change_api_key_secret_state(key.organization_id, older.id, older.state, ApiKeySecretState::Revoked, older.expires_at)?;
        }
    }
    let fresh = ApiKeySecret { state: ApiKeySecretState::Pending, grace_seconds, ..ApiKeySecret::first(key.id, public_id, digest, by, now) };
    tx.insert_api_key_secret(key.organization_id, &fresh)?;
    tx.record_disclosure(fresh.id.as_str(), by)?;
    tx.record(Some(key.organization_id), Some(by), "api_key.rotated", key.id.as_str(), &format!("grace {grace_seconds} s"))?;
    Ok(fresh)
}

/// The first use of a pending secret: it is the one in use, and the grace of the older one begins. False when it was
/// revoked meanwhile. A twin that was quicker has done it already.
pub fn promote(tx: &mut Tx, organization: OrganizationId, id: ApiKeySecretId) -> Result<bool, store::Error> {
    let Some(fresh) = tx.find_api_key_secret(id)? else { return Ok(false) };
    match fresh.state {
        ApiKeySecretState::Pending => {}
        ApiKeySecretState::Active => return Ok(true),
        ApiKeySecretState::Retiring | ApiKeySecretState::Revoked => return Ok(false),
    }
    let now = tx.now;
    for older in tx.list_api_key_secrets(fresh.api_key_id)? {
        if older.state == ApiKeySecretState::Active {
            let end = now.plus_seconds(fresh.grace_seconds);
            tx.change_api_key_secret_state(organization, older.id, older.state, ApiKeySecretState::Retiring, Some(end))?;
        }
    }
    tx.change_api_key_secret_state(organization, id, ApiKeySecretState::Pending, ApiKeySecretState::Active, None)?;
    tx.record_first_use_of_api_key_secret(id)?;
    tx.change_api_key_public_id(organization, fresh.api_key_id, &fresh.public_id)?;
    tx.record(Some(organization), None, "api_key.rotation_completed", fresh.api_key_id.as_str(), &fresh.public_id)?;
    Ok(true)
}

/// When the older secret dies; for lists and details.
pub fn grace_end(secrets: &[ApiKeySecret]) -> Option<Timestamp> {
    secrets.iter().find(|secret| secret.state == ApiKeySecretState::Retiring).and_then(|secret| secret.expires_at)
}
