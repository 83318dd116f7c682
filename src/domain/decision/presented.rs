//! A presented credential: the access behind it, and what its first presentation writes down.

use std::sync::atomic::Ordering;

use crate::config::Catalogue;
use crate::crypto::digest::Digest;
use crate::crypto::signer::Claims;
use crate::domain::decision::access::{self, Access, PresentedToken};
use crate::store::tokens::AccessToken;
use crate::store::{Error, Snapshot, Tx};
use crate::types::event::Event;
use crate::types::id::{AccessTokenId, ApiKeySecretId, AuthorizationId, OrganizationId};
use crate::types::resource::Resources;
use crate::types::scope::Scopes;
use crate::types::state::{ApiKeySecretState, ApiKeyState, Simulation};
use crate::types::time::Timestamp;

/// What an access token says of itself, by its row or as a JWT.
#[derive(Debug, Clone)]
pub struct TokenClaims {
    id: AccessTokenId,
    authorization: AuthorizationId,
    scopes: Scopes,
    issued_at: Timestamp,
    expires_at: Timestamp,
    resources: Resources,
}

impl TokenClaims {
    /// Of a JWT whose signature was verified. None when it says what we never write.
    pub fn of_jwt(claims: &Claims, issuer: &str) -> Option<Self> {
        Some(Self {
            id: claims.jti.parse().ok()?,
            authorization: claims.authorization,
            scopes: claims.scope.parse().ok()?,
            issued_at: Timestamp::from_seconds(claims.iat),
            expires_at: claims.expires_at(),
            resources: claims.resources(issuer)?,
        })
    }

    fn of_row(row: AccessToken) -> Self {
        Self {
            id: row.id,
            authorization: row.authorization_id,
            scopes: row.scopes,
            issued_at: row.created_at,
            expires_at: row.expires_at,
            resources: row.resources,
        }
    }
}

/// The access of the API key that one of these digests is a secret of. A secret that is paused since a restore finds the key
/// only to say that the key is.
pub fn find_by_api_key(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    candidates: &[Digest],
    now: Timestamp,
) -> Result<Option<Access>, Error> {
    let paused = candidates.iter().map(Digest::paused);
    let candidates: Vec<Digest> = candidates.iter().cloned().chain(paused).collect();
    match snapshot.find_api_key_by_digest(&candidates)? {
        Some((key, secret)) if secret.digest.is_paused() && key.state != ApiKeyState::Paused => {
            Ok(None)
        }
        Some((key, secret)) => access::of_api_key(snapshot, catalogue, &key, &secret, now),
        None => Ok(None),
    }
}

/// The access of the opaque access token with one of these digests.
pub fn find_by_access_token(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    candidates: &[Digest],
    now: Timestamp,
) -> Result<Option<Access>, Error> {
    match snapshot.find_access_token_by_digest(candidates)? {
        Some(row) => find_by_claims(snapshot, catalogue, TokenClaims::of_row(row), now),
        None => Ok(None),
    }
}

/// The access of an access token; none when it was revoked, or what it stands on is gone.
pub fn find_by_claims(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    claims: TokenClaims,
    now: Timestamp,
) -> Result<Option<Access>, Error> {
    if snapshot.is_token_revoked(claims.id)? {
        return Ok(None);
    }
    let Some(authorization) = snapshot.find_authorization(claims.authorization)? else {
        return Ok(None);
    };
    let token = PresentedToken {
        id: claims.id.to_string(),
        scopes: claims.scopes,
        issued_at: claims.issued_at,
        expires_at: claims.expires_at,
        resources: claims.resources,
        unseen: snapshot.is_receipt_open(claims.id)?,
    };
    access::of_token(snapshot, catalogue, &authorization, &token, now)
}

/// Whether an access that was read earlier still stands, as far as time alone tells.
pub fn is_current(access: &Access, now: Timestamp) -> bool {
    access.reload_at.is_none_or(|at| now < at)
}

/// Whether it is a Sandbox key that plays revoked: it reads as unknown.
pub fn plays_unknown(access: &Access) -> bool {
    access.simulation == Some(Simulation::Revoked)
}

/// What the first presentation of a credential writes down, before it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstUse {
    /// An access token that came with a refresh token: its client has both. The refresh rule asks for it.
    Receipt(AccessTokenId),
    /// A secret that a rotation made: the grace of the older one begins.
    Secret(OrganizationId, ApiKeySecretId),
}

impl FirstUse {
    /// None when it was written down before, or this credential has none.
    pub fn of(access: &Access) -> Option<Self> {
        if let Some(key) = &access.credential.key
            && key.pending.load(Ordering::Acquire)
        {
            return Some(Self::Secret(access.organization, key.secret));
        }
        let token = access.credential.token.as_ref()?;
        if !token.unseen.load(Ordering::Acquire) {
            return None;
        }
        access.credential.id.parse().ok().map(Self::Receipt)
    }

    /// False when the credential was replaced or revoked meanwhile, and is dead.
    pub fn write(self, tx: &mut Tx) -> Result<bool, Error> {
        match self {
            Self::Receipt(token) => tx.note_receipt(token),
            Self::Secret(organization, secret) => promote(tx, organization, secret),
        }
    }

    /// It was written down: the remembered access need not ask again.
    pub fn settle(self, access: &Access) {
        if let Some(key) = &access.credential.key {
            key.pending.store(false, Ordering::Release);
        }
        if let Some(token) = &access.credential.token {
            token.unseen.store(false, Ordering::Release);
        }
    }
}

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
