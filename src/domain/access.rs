//! What a credential may do: the factors of the intersection, as they are now.
//!
//! ```text
//! effective = licence ∩ role the acting user holds NOW ∩ credential's scopes ∩ permission level
//! ```
//!
//! Invariant: rights are intersected at every check and never copied at creation. A workspace the actor has no role in is
//! not reached; a credential that reaches nothing is not live; an empty list of workspaces never means the organization.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::config::{ADMIN_ROLE, Catalogue};
use crate::domain::memory::Depends;
use crate::domain::resource_servers::Server;
use crate::domain::sandbox::Own;
use crate::store::api_keys::ApiKey;
use crate::store::applications::Application;
use crate::store::authorizations::Authorization;
use crate::store::members::Member;
use crate::store::users::User;
use crate::store::{Error, Snapshot, Subject};
use crate::types::email::{Domain, Mailbox};
use crate::types::environment::Environment;
use crate::types::grant_types::GrantType;
use crate::types::id::{ApiKeyId, ApplicationId, AuthorizationId, OrganizationId, UserId, WorkspaceId};
use crate::types::permission::{Permission, PermissionSet};
use crate::types::resource::Resources;
use crate::types::scope::Scopes;
use crate::types::state::{
    ApiKeyState, AuthorizationState, GrantKind, Licence, OrganizationState, PermissionLevel, ProductionAccess, ReachKind, UserKind, UserState,
};
use crate::types::time::Timestamp;

/// What kind of thing was presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialKind {
    ApiKey,
    AccessToken,
}

impl CredentialKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ApiKey => "api_key",
            Self::AccessToken => "access_token",
        }
    }
}

/// The presented credential, by what may be shown of it.
#[derive(Debug, Clone)]
pub struct Credential {
    pub kind: CredentialKind,
    pub id: String,
    /// The key's name, or the application's.
    pub name: String,
    pub issued_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    /// Of an API key.
    pub key: Option<ApiKeyId>,
    /// Of an access token.
    pub token: Option<TokenFacts>,
}

/// What introspection tells of an access token (RFC 7662 §2.2).
#[derive(Debug, Clone)]
pub struct TokenFacts {
    pub application: ApplicationId,
    pub authorization: AuthorizationId,
    pub scopes: Scopes,
    /// Acts as the application itself.
    pub is_own: bool,
    /// What it is for; none: the default audience.
    pub resources: Resources,
    /// While it is true, nobody has seen the token since it was issued with a refresh token: whoever sees it first writes
    /// that down (`domain/refresh.rs`).
    pub unseen: Arc<AtomicBool>,
}

#[derive(Debug, Clone)]
pub struct Actor {
    pub id: UserId,
    pub kind: UserKind,
    pub name: String,
}

/// Everything that decides about a credential, as of one snapshot.
#[derive(Debug, Clone)]
pub struct Access {
    pub credential: Credential,
    pub actor: Actor,
    pub organization: OrganizationId,
    pub environment: Environment,
    /// The organization or the acting user is suspended.
    pub suspended: bool,
    /// Production is not open to an organization that this depends on.
    pub environment_locked: bool,
    /// licence ∩ scopes ∩ level ∩ what a credential of this kind, and its actor's rank, can ever do.
    bound: PermissionSet,
    /// Per workspace that is reached, the permissions of the role the actor holds there. Sorted by id.
    roles: Vec<(WorkspaceId, PermissionSet)>,
    /// The permissions held in the organization itself, whatever the workspace; only for organization reach.
    organization_role: PermissionSet,
    /// Whose addresses are own; only in Sandbox.
    pub own: Own,
    application_organization: Option<OrganizationId>,
}

impl Access {
    /// Whether `permission` is held: in `workspace`, or without one in *all* of the credential's.
    pub fn allows(&self, permission: Permission, workspace: Option<WorkspaceId>) -> bool {
        match workspace {
            Some(workspace) => self.permissions_in(workspace).is_some_and(|held| held.contains(permission)),
            None => self.permissions_everywhere().contains(permission),
        }
    }

    /// The permissions held in one workspace; none when it is not reached.
    pub fn permissions_in(&self, workspace: WorkspaceId) -> Option<PermissionSet> {
        let index = self.roles.binary_search_by_key(&workspace, |(id, _)| *id).ok()?;
        Some(self.bound & (self.roles[index].1 | self.organization_role))
    }

    /// The permissions held in every workspace that is reached.
    pub fn permissions_everywhere(&self) -> PermissionSet {
        let shared = self.roles.iter().map(|(_, role)| *role).reduce(|all, role| all & role);
        self.bound & (shared.unwrap_or(PermissionSet::NONE) | self.organization_role)
    }

    pub fn workspaces(&self) -> impl Iterator<Item = WorkspaceId> {
        self.roles.iter().map(|(id, _)| *id)
    }

    /// Whether the resource server is in the token's audience (RFC 8707 §2.2, 9700-40); a key has none.
    pub fn is_for(&self, server: &Server) -> bool {
        let Some(token) = &self.credential.token else { return true };
        if token.resources.is_empty() { server.default_audience } else { server.resources.iter().any(|uri| token.resources.contains(uri.as_str())) }
    }

    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.credential.expires_at.is_some_and(|end| end <= now)
    }
}

impl Depends for Access {
    fn subjects(&self) -> impl Iterator<Item = Subject> {
        let application = self.application_organization.map(Subject::Organization);
        [Subject::Organization(self.organization), Subject::User(self.actor.id)].into_iter().chain(application)
    }
}

/// The access of a key; none when it is revoked, or its owner lost what it stands on.
pub fn of_api_key(snapshot: &mut Snapshot, catalogue: &Catalogue, key: &ApiKey) -> Result<Option<Access>, Error> {
    if key.state != ApiKeyState::Active {
        return Ok(None);
    }
    let workspaces = snapshot.list_api_key_workspaces(key.id)?.into_iter().map(|(id, _)| id).collect();
    let level = match key.permission_level {
        PermissionLevel::Full => catalogue.all(),
        PermissionLevel::ReadOnly => catalogue.read_only(),
    };
    let operations = key.organization_operations && key.reach == ReachKind::Organization;
    let kind = if operations { catalogue.all() } else { catalogue.all() & !catalogue.organization() };
    let credential = Credential {
        kind: CredentialKind::ApiKey,
        id: key.id.to_string(),
        name: key.name.clone(),
        issued_at: key.created_at,
        expires_at: key.expires_at,
        key: Some(key.id),
        token: None,
    };
    let stand = Stand {
        organization: key.organization_id,
        actor: key.owner_id,
        since: key.created_at,
        environment: key.environment,
        reach: key.reach,
        workspaces,
    };
    assemble(snapshot, catalogue, credential, &stand, level & kind, None)
}

/// An access token as its row or its claims tell it.
#[derive(Debug, Clone)]
pub struct PresentedToken {
    pub id: String,
    pub scopes: Scopes,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
    pub resources: Resources,
    /// See [`TokenFacts::unseen`].
    pub unseen: bool,
}

/// The access of a token; none when its authorization or application is not live.
pub fn of_token(
    snapshot: &mut Snapshot, catalogue: &Catalogue, authorization: &Authorization, token: &PresentedToken,
) -> Result<Option<Access>, Error> {
    let application = snapshot.find_application(authorization.application_id)?;
    // a grant that is taken away stops, from that moment
    let grant = match authorization.kind {
        GrantKind::AuthorizationCode => GrantType::AuthorizationCode,
        GrantKind::ClientCredentials => GrantType::ClientCredentials,
    };
    let may = |application: &Application| application.may_use(grant);
    let live = |application: &Application| application.is_live() && application.is_open_to(authorization.organization_id) && may(application);
    let Some(application) = application.filter(live).filter(|_| authorization.state == AuthorizationState::Active) else {
        return Ok(None);
    };
    let workspaces = snapshot.list_authorization_workspaces(authorization.id)?;
    // RFC 6749 §3.3: never more than was authorized, whatever the token says; applications never operate on the organization
    let granted = catalogue.granted_by(&token.scopes) & catalogue.granted_by(&authorization.scopes) & catalogue.granted_by(&application.scopes);
    let credential = Credential {
        kind: CredentialKind::AccessToken,
        id: token.id.clone(),
        name: application.name.clone(),
        issued_at: token.issued_at,
        expires_at: Some(token.expires_at),
        key: None,
        token: Some(TokenFacts {
            application: application.id,
            authorization: authorization.id,
            scopes: token.scopes.intersection(&authorization.scopes).intersection(&application.scopes),
            is_own: authorization.kind == GrantKind::ClientCredentials,
            resources: token.resources.clone(),
            unseen: Arc::new(AtomicBool::new(token.unseen)),
        }),
    };
    let stand = Stand {
        organization: authorization.organization_id,
        actor: authorization.user_id,
        since: authorization.created_at,
        environment: authorization.environment,
        reach: authorization.reach,
        workspaces,
    };
    assemble(snapshot, catalogue, credential, &stand, granted & !catalogue.organization(), Some(&application))
}

/// Whether tokens of this authorization would be good for anything now. Asked before minting: a resource server that checks
/// a JWT alone would never learn of a suspension, a removal or a withdrawal.
pub fn is_live(snapshot: &mut Snapshot, catalogue: &Catalogue, authorization: &Authorization, now: Timestamp) -> Result<bool, Error> {
    let active = Authorization { state: AuthorizationState::Active, ..authorization.clone() };
    let token = PresentedToken {
        id: String::new(),
        scopes: active.scopes.clone(),
        issued_at: now,
        expires_at: now,
        resources: active.resources.clone(),
        unseen: false,
    };
    Ok(of_token(snapshot, catalogue, &active, &token)?.is_some_and(|access| !access.suspended && !access.environment_locked))
}

/// Where a credential stands: for whom it acts, and what it was given to reach.
struct Stand {
    organization: OrganizationId,
    actor: UserId,
    since: Timestamp,
    environment: Environment,
    reach: ReachKind,
    workspaces: Vec<WorkspaceId>,
}

fn assemble(
    snapshot: &mut Snapshot, catalogue: &Catalogue, credential: Credential, stand: &Stand, own_bound: PermissionSet,
    application: Option<&Application>,
) -> Result<Option<Access>, Error> {
    let Some(organization) = snapshot.find_organization(stand.organization)? else { return Ok(None) };
    let Some(user) = snapshot.find_user(stand.actor)? else { return Ok(None) };
    // a removed owner's keys stop, and coming back does not revive them
    let since = |member: &Member| member.created_at <= stand.since;
    let Some(member) = snapshot.find_member(stand.organization, stand.actor)?.filter(since) else { return Ok(None) };
    let roles = reached_roles(snapshot, catalogue, stand, member.role.is_admin())?;
    let organization_role = match stand.reach {
        ReachKind::Organization if member.role.is_admin() => catalogue.role(ADMIN_ROLE),
        _ => PermissionSet::NONE,
    };
    if roles.is_empty() && organization_role.is_empty() {
        return Ok(None);
    }
    let licence = match member.licence {
        Licence::Full => catalogue.all(),
        Licence::ReadOnly => catalogue.read_only(),
    };
    // no role in a workspace reaches beyond it
    let rank = if member.role.is_admin() { catalogue.all() } else { !catalogue.organization() };
    let home = application.map(|application| application.organization_id).filter(|home| *home != stand.organization);
    let home_organization = home.map(|home| snapshot.find_organization(home)).transpose()?.flatten();
    let locked = |access: ProductionAccess| stand.environment == Environment::Production && access != ProductionAccess::Approved;
    let suspended = |state: OrganizationState| state == OrganizationState::Suspended;
    Ok(Some(Access {
        credential,
        actor: actor(&user),
        organization: organization.id,
        environment: stand.environment,
        suspended: suspended(organization.state)
            || user.state == UserState::Suspended
            || home_organization.as_ref().is_some_and(|home| suspended(home.state)),
        environment_locked: locked(organization.production_access) || home_organization.as_ref().is_some_and(|home| locked(home.production_access)),
        bound: own_bound & licence & rank,
        roles,
        organization_role,
        own: own_addresses(snapshot, stand)?,
        application_organization: home,
    }))
}

fn actor(user: &User) -> Actor {
    Actor { id: user.id, kind: user.kind, name: user.name.clone() }
}

/// The workspaces that the credential was given *and* the actor has a role in now.
fn reached_roles(snapshot: &mut Snapshot, catalogue: &Catalogue, stand: &Stand, is_admin: bool) -> Result<Vec<(WorkspaceId, PermissionSet)>, Error> {
    let held: Vec<(WorkspaceId, PermissionSet)> = if is_admin {
        let admin = catalogue.role(ADMIN_ROLE);
        snapshot.list_workspaces(stand.organization)?.into_iter().map(|workspace| (workspace.id, admin)).collect()
    } else {
        let roles = snapshot.list_workspace_roles(stand.organization, stand.actor)?;
        roles.into_iter().map(|(id, role)| (id, catalogue.role(&role))).collect()
    };
    let given = |id: &WorkspaceId| stand.reach == ReachKind::Organization || stand.workspaces.contains(id);
    let mut reached: Vec<_> = held.into_iter().filter(|(id, _)| given(id)).collect();
    reached.sort_unstable_by_key(|(id, _)| *id);
    Ok(reached)
}

/// Until a domain is verified, own addresses are the verified ones of active members.
fn own_addresses(snapshot: &mut Snapshot, stand: &Stand) -> Result<Own, Error> {
    if stand.environment == Environment::Production {
        return Ok(Own::Domains(Vec::new()));
    }
    let domains = snapshot.list_verified_domains(stand.organization)?;
    if !domains.is_empty() {
        return Ok(Own::Domains(domains.iter().filter_map(|name| Domain::parse(name).ok()).collect()));
    }
    let addresses = snapshot.list_verified_member_addresses(stand.organization)?;
    Ok(Own::Addresses(addresses.iter().filter_map(|address| Mailbox::parse(address).ok()).collect()))
}
