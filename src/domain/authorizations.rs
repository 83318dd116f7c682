//! Authorizations: from a person's consent over the code to tokens, and to their end.
//!
//! Invariants: a code is redeemed once, whatever runs at the same time; a replayed code or refresh token ends the whole
//! family; a family's tokens are live only while their authorization is.

use crate::config::{Catalogue, OAuth};
use crate::crypto::Plaintext;
use crate::crypto::digest::Digest;
use crate::domain::clients::Client;
use crate::domain::{Refusal, access, ensure};
use crate::store::applications::Application;
use crate::store::authorization_requests::AuthorizationRequest;
use crate::store::authorizations::Authorization;
use crate::store::organizations::Organization;
use crate::store::tokens::{AccessToken, RefreshToken};
use crate::store::workspaces::Workspace;
use crate::store::{Error, Snapshot, Tx};
use crate::types::environment::Environment;
use crate::types::id::{AccessTokenId, AuthorizationId, OrganizationId, RefreshTokenId, UserId, WorkspaceId};
use crate::types::scope::Scopes;
use crate::types::state::{AccessTokenFormat, AuthorizationState, GrantKind, OrganizationState, ProductionAccess, ReachKind, RefreshTokenState};
use crate::types::time::Timestamp;

/// A code may be tried with this many wrong verifiers before it dies (9700-20).
const MOST_WRONG_VERIFIERS: i64 = 3;
/// Requests that one session may have open: tabs, not a table to fill.
const MOST_REQUESTS: i64 = 20;
/// A workspace can be chosen from at most this many.
pub const MOST_WORKSPACES: usize = 100;

/// The scopes a request gets: what it asked for, or the configured default ones, and never more than the client may have.
/// None when it asked for something that it may not have.
pub fn negotiate_scopes(catalogue: &Catalogue, allowed: &Scopes, asked: Option<&Scopes>) -> Option<Scopes> {
    match asked.filter(|asked| !asked.is_empty()) {
        Some(asked) => asked.is_subset_of(allowed).then(|| asked.clone()),
        None => {
            let defaults: Scopes =
                catalogue.scopes().filter(|scope| scope.default && allowed.contains(&scope.name)).map(|scope| scope.name.as_str()).collect();
            Some(if defaults.is_empty() { allowed.clone() } else { defaults })
        }
    }
}

/// The organizations in which this person may authorize the client.
pub fn eligible_organizations(snapshot: &mut Snapshot, client: &Application, user: UserId) -> Result<Vec<Organization>, Error> {
    let all = snapshot.list_organizations_of(user)?;
    Ok(all.into_iter().filter(|organization| is_eligible(client, organization)).collect())
}

/// A Sandbox application only for members of its own organization; Production only where Production is open.
fn is_eligible(client: &Application, organization: &Organization) -> bool {
    let open = match client.environment {
        Environment::Sandbox => client.organization_id == organization.id,
        Environment::Production => organization.production_access == ProductionAccess::Approved,
    };
    open && organization.state == OrganizationState::Active
}

/// The workspaces of the organization that this person holds a role in.
pub fn own_workspaces(snapshot: &mut Snapshot, organization: OrganizationId, user: UserId) -> Result<(bool, Vec<Workspace>), Error> {
    let Some(member) = snapshot.find_member(organization, user)? else { return Ok((false, Vec::new())) };
    let all = snapshot.list_workspaces(organization)?;
    if member.role.is_admin() {
        return Ok((true, all));
    }
    let roles = snapshot.list_workspace_roles(organization, user)?;
    Ok((false, all.into_iter().filter(|workspace| roles.iter().any(|(id, _)| *id == workspace.id)).collect()))
}

/// Keeps a validated request until the person has decided.
pub fn keep_request(tx: &mut Tx, request: &AuthorizationRequest) -> Result<(), Error> {
    tx.delete_expired_authorization_requests(request.session_id)?;
    tx.insert_authorization_request(request)?;
    tx.delete_oldest_authorization_requests(request.session_id, MOST_REQUESTS).map(drop)
}

/// What the person chose on the consent page.
#[derive(Debug, Clone)]
pub struct Choice {
    pub user: UserId,
    pub organization: OrganizationId,
    /// Empty with `all_workspaces` only.
    pub workspaces: Vec<WorkspaceId>,
    pub all_workspaces: bool,
}

/// The person allowed the request: an authorization whose code waits to be redeemed.
pub fn allow(
    tx: &mut Tx, config: &OAuth, client: &Client, request: &AuthorizationRequest, choice: &Choice, code: Digest,
) -> Result<Authorization, Refusal> {
    take_request(tx, request)?;
    let organization = tx.find_organization(choice.organization)?.ok_or(Refusal::NotFound)?;
    ensure(is_eligible(&client.application, &organization), Refusal::NotFound)?;
    ensure(tx.find_member(choice.organization, choice.user)?.is_some(), Refusal::NotFound)?;
    let (is_admin, own) = own_workspaces(tx, choice.organization, choice.user)?;
    let reach = check_choice(choice, is_admin, &own)?;
    let authorization = Authorization {
        id: AuthorizationId::generate(tx.now),
        kind: GrantKind::AuthorizationCode,
        application_id: client.application.id,
        organization_id: choice.organization,
        user_id: choice.user,
        environment: client.application.environment,
        scopes: request.scopes.clone(),
        reach,
        state: AuthorizationState::Pending,
        redirect_uri: Some(request.redirect_uri.clone()),
        code_challenge: Some(request.code_challenge.clone()),
        code_digest: Some(code),
        code_expires_at: Some(tx.now.plus_seconds(config.code_seconds)),
        wrong_verifiers: 0,
        created_at: tx.now,
        expires_at: Some(tx.now.plus_seconds(config.authorization_seconds)),
        revoked_at: None,
        revoked_because: None,
    };
    let workspaces = if reach == ReachKind::Workspaces { choice.workspaces.as_slice() } else { &[] };
    tx.insert_authorization(&authorization, workspaces)?;
    tx.record(Some(choice.organization), Some(choice.user), "authorization.allowed", authorization.id.as_str(), client.application.id.as_str())?;
    Ok(authorization)
}

fn check_choice(choice: &Choice, is_admin: bool, own: &[Workspace]) -> Result<ReachKind, Refusal> {
    let invalid = |message: &str| Refusal::Invalid(vec![("workspace", message.to_owned())]);
    if choice.all_workspaces {
        ensure(is_admin, invalid("Only an organization admin can allow every workspace."))?;
        return Ok(ReachKind::Organization);
    }
    ensure(!choice.workspaces.is_empty(), invalid("Choose at least one workspace."))?;
    let holds = |id: &WorkspaceId| own.iter().any(|workspace| workspace.id == *id);
    ensure(choice.workspaces.iter().all(holds), invalid("Choose from the workspaces that are listed."))?;
    Ok(ReachKind::Workspaces)
}

/// The person denied the request.
pub fn deny(tx: &mut Tx, request: &AuthorizationRequest, user: UserId) -> Result<(), Refusal> {
    take_request(tx, request)?;
    Ok(tx.record(None, Some(user), "authorization.denied", request.application_id.as_str(), "")?)
}

/// A request is decided once, and in its time.
fn take_request(tx: &mut Tx, request: &AuthorizationRequest) -> Result<(), Refusal> {
    ensure(request.expires_at > tx.now, Refusal::NotFound)?;
    Ok(tx.delete_authorization_request(request.id)?)
}

/// The standing authorization by which a confidential application acts as its own service account.
pub fn create_own(tx: &mut Tx, application: &Application, service_account: UserId) -> Result<Authorization, Error> {
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
    };
    tx.insert_authorization(&authorization, &[])?;
    Ok(authorization)
}

/// Secrets for one token response, minted before the transaction: only their digests go in.
#[derive(Debug, Clone)]
pub struct Minted {
    /// For an opaque access token.
    pub access_token: Option<(Plaintext, Digest)>,
    pub refresh_token: Option<(Plaintext, Digest)>,
}

/// What a token response carries; a JWT is signed from it behind the transaction.
#[derive(Debug, Clone)]
pub struct Issuance {
    pub authorization: Authorization,
    pub workspaces: Vec<WorkspaceId>,
    pub scopes: Scopes,
    pub access_token_id: AccessTokenId,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
    pub minted: Minted,
}

/// Writes what a token response leaves behind: a row for an opaque access token and one for the refresh token. Nothing is
/// issued, and nothing consumed, for who has lost the rights that were authorized.
pub fn issue(
    tx: &mut Tx, catalogue: &Catalogue, config: &OAuth, authorization: Authorization, scopes: Scopes, minted: Minted,
) -> Result<Issuance, Refusal> {
    let now = tx.now;
    ensure(access::is_live(tx, catalogue, &authorization, now)?, Refusal::Forbidden(RIGHTS_LOST))?;
    let issuance = draft(now, config, authorization, scopes, minted);
    if let Some((_, digest)) = &issuance.minted.access_token {
        tx.insert_access_token(&AccessToken {
            id: issuance.access_token_id,
            authorization_id: issuance.authorization.id,
            digest: digest.clone(),
            scopes: issuance.scopes.clone(),
            created_at: issuance.issued_at,
            expires_at: issuance.expires_at,
        })?;
    }
    if let Some((_, digest)) = &issuance.minted.refresh_token {
        let end = tx.now.plus_seconds(config.refresh_token_seconds);
        tx.insert_refresh_token(&RefreshToken {
            id: RefreshTokenId::generate(tx.now),
            authorization_id: issuance.authorization.id,
            digest: digest.clone(),
            state: RefreshTokenState::Active,
            created_at: tx.now,
            expires_at: issuance.authorization.expires_at.map_or(end, |last| last.min(end)),
            consumed_at: None,
        })?;
    }
    let workspaces = tx.list_authorization_workspaces(issuance.authorization.id)?;
    Ok(Issuance { workspaces, ..issuance })
}

const RIGHTS_LOST: &str = "Who authorized this, or the organization, has lost access.";

/// A token response that leaves nothing behind: a JWT without a refresh token has no row. No token outlives its authorization.
pub fn draft(now: Timestamp, config: &OAuth, authorization: Authorization, scopes: Scopes, minted: Minted) -> Issuance {
    let end = now.plus_seconds(config.access_token_seconds);
    Issuance {
        workspaces: Vec::new(),
        scopes,
        access_token_id: AccessTokenId::generate(now),
        issued_at: now,
        expires_at: authorization.expires_at.map_or(end, |last| last.min(end)),
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
    let counted = tx.find_authorization(authorization.id)?.ok_or(Error::NotFound)?;
    if counted.wrong_verifiers >= MOST_WRONG_VERIFIERS {
        end(tx, authorization, "wrong code verifiers")?;
    }
    Ok(())
}

/// Ends the authorization and everything that came of it.
pub fn end(tx: &mut Tx, authorization: &Authorization, because: &str) -> Result<(), Error> {
    tx.revoke_authorization(authorization, because)?;
    tx.record(Some(authorization.organization_id), None, "authorization.revoked", authorization.id.as_str(), because)
}
