//! What the presentation of a credential changes: a secret that a rotation made comes into use with its first request.

use crate::store::{Error, Tx};
use crate::types::event::Event;
use crate::types::id::{ApiKeySecretId, OrganizationId};
use crate::types::state::ApiKeySecretState;

/// The first use of a pending secret: it is the one in use, and the grace of the older one begins. False when it was
/// revoked meanwhile. A twin that was quicker has done it already.
pub fn promote(
    tx: &mut Tx,
    organization: OrganizationId,
    id: ApiKeySecretId,
) -> Result<bool, Error> {
    let Some(fresh) = tx.find_api_key_secret(id)? else {
        return Ok(false);
    };
    match fresh.state {
        ApiKeySecretState::Pending => {}
        ApiKeySecretState::Active => return Ok(true),
        ApiKeySecretState::Retiring | ApiKeySecretState::Revoked => return Ok(false),
    }
    let grace_end = tx.now.plus_seconds(fresh.grace_seconds);
    for older in tx.list_api_key_secrets(fresh.api_key_id)? {
        if older.state == ApiKeySecretState::Active {
            tx.change_api_key_secret_state(
                organization,
                older.id,
                older.state,
                ApiKeySecretState::Retiring,
                Some(grace_end),
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
