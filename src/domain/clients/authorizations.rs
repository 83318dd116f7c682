//! Authorizations: from a code to tokens, and to their end.
//!
//! Invariants: a code is redeemed once, whatever runs at the same time; a replayed code ends the whole family (refresh tokens:
//! `refresh.rs`); a family's tokens are live only while their authorization is.

use crate::config::{Catalogue, OAuth};
use crate::crypto::Plaintext;
use crate::crypto::digest::Digest;
use crate::domain::Refusal;
use crate::domain::decision::access::{self, Prospect};
use crate::store::applications::Application;
use crate::store::authorizations::Authorization;
use crate::store::tokens::{AccessToken, RefreshToken};
use crate::store::{Error, Tx};
use crate::types::event::Event;
use crate::types::grant_types::GrantType;
use crate::types::id::{AccessTokenId, AuthorizationId, RefreshTokenId, UserId, WorkspaceId};
use crate::types::resource::Resources;
use crate::types::scope::Scopes;
use crate::types::state::{
    AccessTokenFormat, AuthorizationState, ClientType, GrantKind, ReachKind, RefreshTokenState,
};
use crate::types::time::Timestamp;

/// A code may be tried with this many wrong verifiers before it dies (9700-20).
const MOST_WRONG_VERIFIERS: i64 = 3;

/// The scopes a request gets: what it asked for, or the configured default ones, and never more than the client may have
/// (RFC 6749 §3.3: what it may not have is left out, and the answer says what was granted). None when it asked, and nothing
/// of it is left.
pub fn negotiate_scopes(
    catalogue: &Catalogue,
    allowed: &Scopes,
    asked: Option<&Scopes>,
) -> Option<Scopes> {
    match asked.filter(|asked| !asked.is_empty()) {
        Some(asked) => Some(asked.intersection(allowed)).filter(|left| !left.is_empty()),
        None => {
            let defaults: Scopes = catalogue
                .scopes()
                .filter(|scope| scope.default && allowed.contains(&scope.name))
                .map(|scope| scope.name.as_str())
                .collect();
            Some(if defaults.is_empty() {
                allowed.clone()
            } else {
                defaults
            })
        }
    }
}

/// The standing authorization by which a confidential application acts as its own service account.
pub fn create_own(
    tx: &mut Tx,
    application: &Application,
    service_account: UserId,
) -> Result<Authorization, Error> {
    let authorization = Authorization {
        id: AuthorizationId::generate(tx.now),
        kind: GrantKind::ClientCredentials,
        application_id: application.id,
        organization_id: application.organization_id,
        user_id: service_account,
        environment: application.environment,
        scopes: application.scopes.clone(),
        reach: ReachKind::Organization,
        state: AuthorizationState::Active,
        redirect_uri: None,
        code_challenge: None,
        code_digest: None,
        code_expires_at: None,
        wrong_verifiers: 0,
        created_at: tx.now,
        expires_at: None,
        revoked_at: None,
        revoked_because: None,
        consent_id: None,
        session_id: None,
        resources: Resources::default(),
        last_used_at: None,
        row_expires_at: None,
        marked_at: None,
    };
    tx.insert_authorization(&authorization, &[])?;
    Ok(authorization)
}

/// How long what an application gets lives, in seconds: its own settings, or the configured ones.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    pub access_token_seconds: i64,
    /// A refresh token that is not used.
    pub idle_seconds: i64,
    /// The whole family.
    pub absolute_seconds: i64,
    /// After its use a refresh token that comes back only marks the family (`refresh.rs`).
    pub grace_seconds: i64,
    pub refreshes: bool,
    pub rotates: bool,
}

impl Terms {
    pub fn of(config: &OAuth, application: &Application) -> Self {
        Self {
            access_token_seconds: config.access_token_seconds,
            idle_seconds: application
                .refresh_idle_seconds
                .unwrap_or(config.refresh_token_seconds),
            absolute_seconds: application
                .refresh_absolute_seconds
                .unwrap_or(config.authorization_seconds),
            grace_seconds: match application.client_type {
                ClientType::Public => config.refresh_grace_seconds,
                ClientType::Confidential => config.refresh_grace_authenticated_seconds,
            },
            refreshes: application.may_use(GrantType::RefreshToken),
            rotates: application.rotates(),
        }
    }

    fn access_token_end(&self, now: Timestamp, authorization: &Authorization) -> Timestamp {
        until(authorization, now.plus_seconds(self.access_token_seconds))
    }

    pub fn refresh_token_end(&self, now: Timestamp, authorization: &Authorization) -> Timestamp {
        until(authorization, now.plus_seconds(self.idle_seconds))
    }

    /// When nothing can come of the authorization any more, should it not be used again.
    pub fn row_end(&self, now: Timestamp, authorization: &Authorization) -> Timestamp {
        let access = self.access_token_end(now, authorization);
        if self.refreshes {
            access.max(self.refresh_token_end(now, authorization))
        } else {
            access
        }
    }
}

/// Nothing outlives its authorization.
fn until(authorization: &Authorization, end: Timestamp) -> Timestamp {
    authorization.expires_at.map_or(end, |last| last.min(end))
}

/// Secrets for one token response, minted before the transaction: only their digests go in.
#[derive(Debug, Clone)]
pub struct MintedTokens {
    /// For an opaque access token.
    pub access_token: Option<(Plaintext, Digest)>,
    pub refresh_token: Option<(Plaintext, Digest)>,
}

/// What the access token is for: never more than was authorized.
#[derive(Debug, Clone)]
pub struct TokenExtent {
    pub scopes: Scopes,
    /// None: the default audience.
    pub resources: Resources,
}

/// What tokens are issued for.
#[derive(Debug, Clone)]
pub struct Entitlement {
    pub authorization: Authorization,
    pub extent: TokenExtent,
    /// Of the refresh token, if there is one.
    pub generation: i64,
}

/// What a token response carries; a JWT is signed from it behind the transaction.
#[derive(Debug, Clone)]
pub struct Issuance {
    pub authorization: Authorization,
    pub workspaces: Vec<WorkspaceId>,
    pub extent: TokenExtent,
    pub access_token_id: AccessTokenId,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
    pub minted: MintedTokens,
}

/// Writes what a token response leaves behind: a row for an opaque access token and one for the refresh token. Nothing is issued, and nothing consumed, for who has lost the rights that were authorized.
pub fn issue(
    tx: &mut Tx,
    catalogue: &Catalogue,
    terms: &Terms,
    entitlement: Entitlement,
    minted: &MintedTokens,
) -> Result<Issuance, Refusal> {
    let (now, generation) = (tx.now, entitlement.generation);
    let prospect = access::prospect(tx, catalogue, &entitlement.authorization, now)?
        .ok_or(Refusal::Forbidden(RIGHTS_LOST))?;
    let issuance = draft(now, terms, entitlement, minted.clone(), prospect);
    if let Some((_, digest)) = &issuance.minted.access_token {
        tx.insert_access_token(&AccessToken {
            id: issuance.access_token_id,
            authorization_id: issuance.authorization.id,
            digest: digest.clone(),
            scopes: issuance.extent.scopes.clone(),
            created_at: issuance.issued_at,
            expires_at: issuance.expires_at,
            resources: issuance.extent.resources.clone(),
        })?;
    }
    if let Some((_, digest)) = &issuance.minted.refresh_token {
        tx.insert_refresh_token(&RefreshToken {
            id: RefreshTokenId::generate(now),
            authorization_id: issuance.authorization.id,
            digest: digest.clone(),
            state: RefreshTokenState::Active,
            created_at: now,
            expires_at: terms.refresh_token_end(now, &issuance.authorization),
            consumed_at: None,
            generation,
            access_token_id: Some(issuance.access_token_id),
            access_token_expires_at: Some(issuance.expires_at),
            received_at: None,
        })?;
    }
    let workspaces = tx.list_authorization_workspaces(issuance.authorization.id)?;
    Ok(Issuance {
        workspaces,
        ..issuance
    })
}

const RIGHTS_LOST: &str = "Who authorized this, or the organization, has lost access.";

/// A token response that leaves nothing behind: a JWT without a refresh token has no row. No token outlives its authorization,
/// and no access token an end that comes by itself.
pub fn draft(
    now: Timestamp,
    terms: &Terms,
    entitlement: Entitlement,
    minted: MintedTokens,
    prospect: Prospect,
) -> Issuance {
    let Entitlement {
        authorization,
        extent,
        ..
    } = entitlement;
    let end = terms.access_token_end(now, &authorization);
    Issuance {
        workspaces: Vec::new(),
        extent,
        access_token_id: AccessTokenId::generate(now),
        issued_at: now,
        expires_at: prospect.ends_at.map_or(end, |own| own.min(end)),
        minted,
        authorization,
    }
}

/// Whether this application's access tokens have rows.
pub fn is_opaque(application: &Application) -> bool {
    application.access_token_format == AccessTokenFormat::Opaque
}

/// A wrong verifier counts; after a few the code is dead. Commit it: the next try must find the count.
pub fn count_wrong_verifier(tx: &mut Tx, authorization: &Authorization) -> Result<(), Error> {
    tx.count_wrong_verifier(authorization.id)?;
    // counted again behind the row's lock: others may have guessed at the same time
    let counted = tx
        .find_authorization(authorization.id)?
        .ok_or(Error::NotFound)?;
    if counted.wrong_verifiers >= MOST_WRONG_VERIFIERS {
        end(tx, authorization, "wrong code verifiers")?;
    }
    Ok(())
}

/// Ends the authorization and everything that came of it.
pub fn end(tx: &mut Tx, authorization: &Authorization, because: &str) -> Result<(), Error> {
    tx.revoke_authorization(authorization, because)?;
    ended(tx, authorization, because)
}

/// The same, unless it was used since `authorization` was read: `NotFound`.
pub fn end_unused(tx: &mut Tx, authorization: &Authorization, because: &str) -> Result<(), Error> {
    tx.revoke_unused_authorization(authorization, because)?;
    ended(tx, authorization, because)
}

fn ended(tx: &mut Tx, authorization: &Authorization, because: &str) -> Result<(), Error> {
    tx.record(
        Some(authorization.organization_id),
        None,
        Event::AuthorizationRevoked,
        authorization.id.as_str(),
        because,
    )
}
