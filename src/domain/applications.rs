//! OAuth applications: creating, listing and deleting them.

use crate::config::{ADMIN_ROLE, Config};
use crate::crypto::digest::Digest;
use crate::domain::{Refusal, accounts, authorizations, ensure};
use crate::store;
use crate::store::applications::Application;
use crate::store::organizations::Organization;
use crate::store::{Snapshot, Tx};
use crate::types::environment::Environment;
use crate::types::grant_types::{GrantType, GrantTypes};
use crate::types::id::{ApplicationId, OrganizationId, UserId};
use crate::types::redirect_uri::RedirectUri;
use crate::types::scope::Scopes;
use crate::types::state::{AccessTokenFormat, ApplicationState, Approval, ClientType, OrganizationState, ProductionAccess};
use crate::types::text::parse_text;

const MOST_NAME: usize = 100;
const MOST_REFRESH_SECONDS: i64 = 10 * 365 * 24 * 60 * 60;
pub const MOST_REDIRECT_URIS: usize = 20;
/// The most applications one page lists.
pub const MOST_LISTED: i64 = 200;

/// What a person asks for. A confidential application's secret was minted at the door; only its digest comes here.
#[derive(Debug, Clone)]
pub struct NewApplication {
    pub name: String,
    pub environment: Environment,
    pub client_type: ClientType,
    pub access_token_format: AccessTokenFormat,
    pub redirect_uris: Vec<RedirectUri>,
    pub scopes: Scopes,
    /// The role of its own service account in every workspace, for client credentials.
    pub role: String,
    pub secret: Digest,
    pub grants: GrantTypes,
    pub refresh: RefreshPolicy,
}

/// How an application's refresh tokens live. Seconds; none: as configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefreshPolicy {
    /// A new refresh token at every refresh; a public application's always rotate.
    pub rotation: bool,
    pub idle_seconds: Option<i64>,
    pub absolute_seconds: Option<i64>,
}

impl Default for RefreshPolicy {
    fn default() -> Self {
        Self { rotation: true, idle_seconds: None, absolute_seconds: None }
    }
}

/// An application with what its page shows.
#[derive(Debug, Clone)]
pub struct Detail {
    pub application: Application,
    pub redirect_uris: Vec<RedirectUri>,
    /// Of its own service account, in the workspaces it has one in.
    pub role: Option<String>,
    pub creator_name: String,
}

/// Applications belong to the organization: its admins manage them.
pub fn ensure_admin(snapshot: &mut Snapshot, organization: OrganizationId, user: UserId) -> Result<(), Refusal> {
    let member = snapshot.find_member(organization, user)?.ok_or(Refusal::NotFound)?;
    ensure(member.role.is_admin(), Refusal::Forbidden("Only owners and admins of the organization can manage applications."))
}

/// Creates an application. Runs behind the organization's lock: the cap is counted.
pub fn create(tx: &mut Tx, config: &Config, organization: &Organization, creator: UserId, new: NewApplication) -> Result<Application, Refusal> {
    ensure_admin(tx, organization.id, creator)?;
    ensure(organization.state == OrganizationState::Active, Refusal::Blocked(super::api_keys::SUSPENDED.to_owned()))?;
    let name = check(config, &new)?;
    let open = new.environment == Environment::Sandbox || organization.production_access == ProductionAccess::Approved;
    ensure(open, Refusal::Blocked(super::api_keys::PRODUCTION_LOCKED.to_owned()))?;
    let cap = config.keys.max_applications_per_organization;
    let full = format!("This organization has reached its limit of {cap} applications. Delete one that is not needed any more.");
    ensure(tx.count_applications(organization.id)? < cap, Refusal::Blocked(full))?;
    let confidential = new.client_type == ClientType::Confidential;
    let service_account = if confidential { Some(create_service_account(tx, organization.id, &name, &new.role)?) } else { None };
    let application = Application {
        id: ApplicationId::generate(tx.now),
        organization_id: organization.id,
        environment: new.environment,
        name,
        client_type: new.client_type,
        access_token_format: new.access_token_format,
        scopes: new.scopes,
        service_account_id: service_account,
        state: ApplicationState::Active,
        created_by: creator,
        created_at: tx.now,
        deleted_at: None,
        grants: if confidential { new.grants } else { new.grants.without(GrantType::ClientCredentials) },
        refresh_rotation: new.refresh.rotation || !confidential,
        refresh_idle_seconds: new.refresh.idle_seconds,
        refresh_absolute_seconds: new.refresh.absolute_seconds,
        approval: Approval::None,
        approval_reason: None,
        verified_at: None,
        stopped_at: None,
        stopped_because: None,
        last_used_at: None,
    };
    tx.insert_application(&application, &new.redirect_uris)?;
    if let Some(account) = service_account {
        tx.insert_application_secret(&application, &new.secret)?;
        authorizations::create_own(tx, &application, account)?;
    }
    tx.record(Some(organization.id), Some(creator), "application.created", application.id.as_str(), application.environment.as_str())?;
    Ok(application)
}

fn check(config: &Config, new: &NewApplication) -> Result<String, Refusal> {
    let mut errors = Vec::new();
    let name = parse_text(&new.name, MOST_NAME).map_err(|error| errors.push(("name", error.to_string())));
    if new.client_type == ClientType::Public && new.redirect_uris.is_empty() {
        errors.push(("redirect_uris", "A public application needs at least one redirect URI.".to_owned()));
    }
    if new.redirect_uris.len() > MOST_REDIRECT_URIS {
        errors.push(("redirect_uris", format!("At most {MOST_REDIRECT_URIS} redirect URIs.")));
    }
    if new.grants.is_empty() || new.grants == GrantTypes::from_iter([GrantType::RefreshToken]) {
        errors.push(("grants", "Choose the code flow, client credentials, or both.".to_owned()));
    }
    if new.grants.contains(GrantType::AuthorizationCode)
        && new.redirect_uris.is_empty()
        && new.client_type == ClientType::Confidential
        && !new.grants.contains(GrantType::ClientCredentials)
    {
        errors.push(("redirect_uris", "The code flow needs at least one redirect URI.".to_owned()));
    }
    let (idle, absolute) = (new.refresh.idle_seconds, new.refresh.absolute_seconds);
    if [idle, absolute].into_iter().flatten().any(|seconds| !(60..=MOST_REFRESH_SECONDS).contains(&seconds)) {
        errors.push(("refresh", "A refresh token lives between a minute and ten years.".to_owned()));
    }
    if new.scopes.is_empty() {
        errors.push(("scope", "Choose at least one scope.".to_owned()));
    }
    let known = |name: &str| config.scope.iter().any(|scope| scope.name == name);
    errors.extend(new.scopes.iter().filter(|name| !known(name)).map(|name| ("scope", format!("Unknown scope {name}."))));
    let needs_role = new.client_type == ClientType::Confidential;
    if needs_role && !config.role.iter().any(|role| role.name == new.role) {
        errors.push(("role", "Choose one of the roles.".to_owned()));
    }
    match name {
        Ok(name) if errors.is_empty() => Ok(name),
        _ => Err(Refusal::Invalid(errors)),
    }
}

/// Whom the application acts as by client credentials: a member with the chosen role in every workspace there is.
fn create_service_account(tx: &mut Tx, organization: OrganizationId, name: &str, role: &str) -> Result<UserId, Refusal> {
    let account = accounts::create_service_account(tx, organization, name)?;
    for workspace in tx.list_workspaces(organization)? {
        accounts::add_workspace_member(tx, organization, workspace.id, account.id, role)?;
    }
    Ok(account.id)
}

pub fn list(snapshot: &mut Snapshot, organization: OrganizationId, user: UserId) -> Result<Vec<Application>, Refusal> {
    ensure_admin(snapshot, organization, user)?;
    Ok(snapshot.list_applications(organization, MOST_LISTED)?)
}

pub fn get(snapshot: &mut Snapshot, organization: OrganizationId, user: UserId, id: ApplicationId) -> Result<Detail, Refusal> {
    ensure_admin(snapshot, organization, user)?;
    let own = |application: &Application| application.organization_id == organization && application.state == ApplicationState::Active;
    let application = snapshot.find_application(id)?.filter(own).ok_or(Refusal::NotFound)?;
    let redirect_uris = snapshot.list_redirect_uris(id)?;
    let role = match application.service_account_id {
        Some(account) => snapshot.list_workspace_roles(organization, account)?.into_iter().next().map(|(_, role)| role),
        None => None,
    };
    let creator_name = snapshot.find_user(application.created_by)?.map(|creator| creator.name).unwrap_or_default();
    Ok(Detail { application, redirect_uris, role, creator_name })
}

/// Ends the application, its codes and its tokens at once; one that is deleted already stays so.
pub fn delete(tx: &mut Tx, organization: OrganizationId, user: UserId, id: ApplicationId) -> Result<Application, Refusal> {
    ensure_admin(tx, organization, user)?;
    let application = tx.find_application(id)?.filter(|own| own.organization_id == organization).ok_or(Refusal::NotFound)?;
    if application.state == ApplicationState::Active {
        match tx.delete_application(organization, id) {
            Ok(()) => tx.record(Some(organization), Some(user), "application.deleted", id.as_str(), "")?,
            // somebody else was quicker: it is deleted, as asked
            Err(store::Error::NotFound) => {}
            Err(other) => return Err(other.into()),
        }
    }
    Ok(application)
}

/// What an organization's application may be called by: the roles that the configuration knows, the powerful ones first.
pub fn roles(config: &Config) -> Vec<String> {
    let mut roles: Vec<String> = config.role.iter().map(|role| role.name.clone()).collect();
    roles.sort_by_key(|role| role != ADMIN_ROLE);
    roles
}
