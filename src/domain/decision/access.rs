//! What a credential may do: the factors of the intersection, as they are now.
//!
//! ```text
//! effective = licence ∩ role the acting user holds NOW ∩ credential's scopes ∩ permission level ∩ plan
//! ```
//!
//! Invariant: rights are intersected at every check and never copied at creation. A workspace the actor has no role in is
//! not reached; a credential that reaches nothing is not live; an empty list of workspaces never means the organization.
//! What changes by itself (an end of a trial, of a membership, of a grace) is not remembered beyond `reload_at`.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::config::{Catalogue, Plan};
use crate::domain::decision::memory::Depends;
use crate::domain::decision::resource_servers::Server;
use crate::domain::decision::sandbox::{Own, OwnDomain};
use crate::domain::plans::plans::{self, Lock};
use crate::domain::rights::asker::{Asker, Extent};
use crate::domain::rights::key_rights::{self, KeyReach};
use crate::domain::rights::rights;
use crate::store::api_key_secrets::ApiKeySecret;
use crate::store::api_keys::ApiKey;
use crate::store::applications::Application;
use crate::store::authorizations::Authorization;
use crate::store::members::Membership;
use crate::store::organizations::Organization;
use crate::store::users::User;
use crate::store::{Error, Snapshot, Subject};
use crate::types::email::{Domain, Mailbox};
use crate::types::environment::Environment;
use crate::types::grant_types::GrantType;
use crate::types::id::{
    ApiKeyId, ApiKeySecretId, ApplicationId, AuthorizationId, OrganizationId, UserId, WorkspaceId,
};
use crate::types::permission::{Permission, PermissionSet};
use crate::types::resource::Resources;
use crate::types::scope::Scopes;
pub use crate::types::state::Suspension;
use crate::types::state::{
    ApiKeySecretState, ApiKeyState, AuthorizationState, GrantKind, OrganizationState, ReachKind,
    Simulation, UserKind,
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
    pub key: Option<KeyFacts>,
    /// Of an access token.
    pub token: Option<TokenFacts>,
}

/// Which key, by which of its secrets.
#[derive(Debug, Clone)]
pub struct KeyFacts {
    pub id: ApiKeyId,
    pub secret: ApiKeySecretId,
    /// While it is true, nobody has used this secret: its first use ends the rotation (`domain/rotation.rs`).
    pub pending: Arc<AtomicBool>,
    pub self_rotation: bool,
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

/// What is intersected with the roles. Each stands alone, so that an explanation can name the one that refused.
#[derive(Debug, Clone, Copy)]
pub struct Factors {
    pub licence: PermissionSet,
    /// The scopes of a token; everything for a key.
    pub scopes: PermissionSet,
    /// Full or read-only.
    pub level: PermissionSet,
    /// What a credential of this kind can ever do (row 24).
    pub kind: PermissionSet,
    pub plan: PermissionSet,
}

impl Factors {
    pub fn named(&self) -> [(&'static str, PermissionSet); 5] {
        [
            ("plan", self.plan),
            ("licence", self.licence),
            ("kind", self.kind),
            ("permission_level", self.level),
            ("scopes", self.scopes),
        ]
    }

    fn bound(&self) -> PermissionSet {
        self.licence & self.scopes & self.level & self.kind & self.plan
    }
}

/// Everything that decides about a credential, as of one snapshot.
#[derive(Debug, Clone)]
pub struct Access {
    pub credential: Credential,
    pub actor: Actor,
    pub organization: OrganizationId,
    pub environment: Environment,
    pub suspended: Option<Suspension>,
    /// What keeps the environment shut, for an organization that this depends on.
    pub lock: Option<Lock>,
    /// The name of the plan of the organization whose data is touched.
    pub plan: String,
    /// A Sandbox key that plays dead for some minutes.
    pub simulation: Option<Simulation>,
    /// From then on a factor is another one: what is remembered must be read again.
    pub reload_at: Option<Timestamp>,
    pub factors: Factors,
    /// All factors but the roles.
    bound: PermissionSet,
    /// What the credential was given to reach.
    reach: ReachKind,
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
            Some(workspace) => self
                .permissions_in(workspace)
                .is_some_and(|held| held.contains(permission)),
            None => self.permissions_everywhere().contains(permission),
        }
    }

    /// The permissions held in one workspace; none when it is not reached.
    pub fn permissions_in(&self, workspace: WorkspaceId) -> Option<PermissionSet> {
        Some(self.bound & self.role_in(workspace)?)
    }

    /// The permissions held in every workspace that is reached.
    pub fn permissions_everywhere(&self) -> PermissionSet {
        self.bound & self.role_everywhere()
    }

    /// The permissions held in the organization or in any workspace that is reached.
    pub fn permissions_anywhere(&self) -> PermissionSet {
        self.roles
            .iter()
            .fold(self.bound & self.organization_role, |all, (_, role)| {
                all | (self.bound & *role)
            })
    }

    /// Whether it reaches the organization itself, and not only workspaces of it.
    pub fn is_organization_wide(&self) -> bool {
        !self.organization_role.is_empty()
    }

    /// The permissions held in the organization itself.
    pub fn permissions_in_organization(&self) -> PermissionSet {
        self.bound & self.organization_role
    }

    /// Who asks by this credential: it lets through what it was given, where it was given it.
    pub fn asker(&self) -> Asker {
        let extent = match self.reach {
            ReachKind::Organization => Extent::Whole,
            ReachKind::Workspaces => Extent::Workspaces {
                only: self.workspaces().collect(),
                organization: self.is_organization_wide(),
            },
        };
        Asker::credential(self.actor.id, self.organization, self.bound, extent)
    }

    pub fn workspaces(&self) -> impl Iterator<Item = WorkspaceId> {
        self.roles.iter().map(|(id, _)| *id)
    }

    /// Whether the resource server is in the token's audience (RFC 8707 §2.2, 9700-40); a key has none.
    pub fn is_for(&self, server: &Server) -> bool {
        let Some(token) = &self.credential.token else {
            return true;
        };
        if token.resources.is_empty() {
            server.default_audience
        } else {
            server
                .resources
                .iter()
                .any(|uri| token.resources.contains(uri.as_str()))
        }
    }

    /// Whether this server itself is the token's audience: it names no resource (RFC 9068 §3); a key has no audience.
    pub fn is_for_issuer(&self) -> bool {
        let token = self.credential.token.as_ref();
        token.is_none_or(|token| token.resources.is_empty())
    }

    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.simulation == Some(Simulation::Expired)
            || self.credential.expires_at.is_some_and(|end| end <= now)
    }

    /// The permissions that the actor's role grants in one workspace, before anything is intersected with it.
    pub fn role_in(&self, workspace: WorkspaceId) -> Option<PermissionSet> {
        let index = self
            .roles
            .binary_search_by_key(&workspace, |(id, _)| *id)
            .ok()?;
        Some(self.roles[index].1 | self.organization_role)
    }

    /// The permissions that the actor's roles grant in every workspace that is reached.
    pub fn role_everywhere(&self) -> PermissionSet {
        let shared = self
            .roles
            .iter()
            .map(|(_, role)| *role)
            .reduce(|all, role| all & role);
        shared.unwrap_or(PermissionSet::NONE) | self.organization_role
    }
}

impl Depends for Access {
    fn subjects(&self) -> impl Iterator<Item = Subject> {
        let application = self.application_organization.map(Subject::Organization);
        [
            Subject::Organization(self.organization),
            Subject::User(self.actor.id),
        ]
        .into_iter()
        .chain(application)
    }
}

/// The access of a key by one of its secrets; none when either is revoked, or its owner lost what it stands on.
pub fn of_api_key(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    key: &ApiKey,
    secret: &ApiKeySecret,
    now: Timestamp,
) -> Result<Option<Access>, Error> {
    let paused = key.state == ApiKeyState::Paused;
    if !(paused || key.state == ApiKeyState::Active) || !secret.is_live(now) {
        return Ok(None);
    }
    let workspaces = snapshot
        .list_api_key_workspaces(key.id)?
        .into_iter()
        .map(|(id, _)| id)
        .collect();
    let level = key_rights::level(catalogue, key.permission_level);
    let credential = Credential {
        kind: CredentialKind::ApiKey,
        id: key.id.to_string(),
        name: key.title(),
        issued_at: key.created_at,
        expires_at: key.expires_at,
        key: Some(KeyFacts {
            id: key.id,
            secret: secret.id,
            pending: Arc::new(AtomicBool::new(secret.state == ApiKeySecretState::Pending)),
            self_rotation: key.self_rotation,
        }),
        token: None,
    };
    let simulates = key
        .simulates_until
        .filter(|until| *until > now && key.environment == Environment::Sandbox);
    let stand = Stand {
        organization: key.organization_id,
        actor: key.owner_id,
        environment: key.environment,
        reach: key.reach,
        workspaces,
        operations: key.organization_operations,
        paused,
        simulation: key.simulates.filter(|_| simulates.is_some()),
        reload_at: earliest([secret.expires_at, simulates]),
        now,
    };
    // no key ever manages anything (row 24)
    let own = OwnBound {
        scopes: catalogue.all(),
        level,
        kind: catalogue.all() & !catalogue.management(),
    };
    assemble(snapshot, catalogue, credential, &stand, own, None)
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
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    authorization: &Authorization,
    token: &PresentedToken,
    now: Timestamp,
) -> Result<Option<Access>, Error> {
    let application = snapshot.find_application(authorization.application_id)?;
    // a grant that is taken away stops, from that moment
    let grant = match authorization.kind {
        GrantKind::AuthorizationCode => GrantType::AuthorizationCode,
        GrantKind::ClientCredentials => GrantType::ClientCredentials,
    };
    let may = |application: &Application| application.may_use(grant);
    let live = |application: &Application| {
        application.is_live()
            && application.is_open_to(authorization.organization_id)
            && may(application)
    };
    let Some(application) = application
        .filter(live)
        .filter(|_| authorization.state == AuthorizationState::Active)
    else {
        return Ok(None);
    };
    let workspaces = snapshot.list_authorization_workspaces(authorization.id)?;
    // only the vendor's own applications manage anything, and those the organization only when it was opened to them
    let kind = match authorization.reach {
        _ if !application.first_party => !catalogue.organization() & !catalogue.management(),
        ReachKind::Workspaces => !catalogue.organization(),
        ReachKind::Organization => catalogue.all(),
    };
    // what its makers added since the operator's approval is for their own organization
    let scopes = application.scopes_for(authorization.organization_id);
    let allowed = catalogue.open_to(&scopes, application.first_party);
    // RFC 6749 §3.3: never more than was authorized, whatever the token says
    let granted = catalogue.granted_by(&token.scopes)
        & catalogue.granted_by(&authorization.scopes)
        & catalogue.granted_by(&allowed);
    let credential = Credential {
        kind: CredentialKind::AccessToken,
        id: token.id.clone(),
        name: application
            .name_for(authorization.organization_id)
            .to_owned(),
        issued_at: token.issued_at,
        expires_at: Some(token.expires_at),
        key: None,
        token: Some(TokenFacts {
            application: application.id,
            authorization: authorization.id,
            scopes: token
                .scopes
                .intersection(&authorization.scopes)
                .intersection(&allowed),
            is_own: authorization.kind == GrantKind::ClientCredentials,
            resources: token.resources.clone(),
            unseen: Arc::new(AtomicBool::new(token.unseen)),
        }),
    };
    let stand = Stand {
        organization: authorization.organization_id,
        actor: authorization.user_id,
        environment: authorization.environment,
        reach: authorization.reach,
        workspaces,
        operations: false,
        paused: false,
        simulation: None,
        reload_at: None,
        now,
    };
    let own = OwnBound {
        scopes: granted,
        level: catalogue.all(),
        kind: catalogue.all() & kind,
    };
    assemble(
        snapshot,
        catalogue,
        credential,
        &stand,
        own,
        Some(&application),
    )
}

/// What a token that is minted now would be good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prospect {
    /// When it ends by itself, although nobody does anything: with the membership, or with the trial.
    pub ends_at: Option<Timestamp>,
}

/// None: tokens of this authorization would be good for nothing now. Asked before minting: a resource server that checks
/// a JWT alone would never learn of a suspension, a removal, a withdrawal, or an end that comes by itself.
pub fn prospect(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    authorization: &Authorization,
    now: Timestamp,
) -> Result<Option<Prospect>, Error> {
    let active = Authorization {
        state: AuthorizationState::Active,
        ..authorization.clone()
    };
    let token = PresentedToken {
        id: String::new(),
        scopes: active.scopes.clone(),
        issued_at: now,
        expires_at: now,
        resources: active.resources.clone(),
        unseen: false,
    };
    let access = of_token(snapshot, catalogue, &active, &token, now)?
        .filter(|access| access.suspended.is_none() && access.lock.is_none());
    Ok(access.map(|access| Prospect {
        ends_at: access.reload_at,
    }))
}

/// Where a credential stands: for whom it acts, and what it was given to reach.
struct Stand {
    organization: OrganizationId,
    actor: UserId,
    environment: Environment,
    reach: ReachKind,
    workspaces: Vec<WorkspaceId>,
    /// Switched on to create workspaces and users (row 25).
    operations: bool,
    paused: bool,
    simulation: Option<Simulation>,
    /// When the credential itself changes.
    reload_at: Option<Timestamp>,
    now: Timestamp,
}

/// What the credential itself was given.
struct OwnBound {
    scopes: PermissionSet,
    level: PermissionSet,
    /// What a credential of its kind can ever do.
    kind: PermissionSet,
}

fn assemble(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    credential: Credential,
    stand: &Stand,
    own: OwnBound,
    application: Option<&Application>,
) -> Result<Option<Access>, Error> {
    // what a removed owner left was ended by the removal (people/endings.rs): coming back does not revive it
    let Some(held) = rights::held(
        snapshot,
        catalogue,
        stand.organization,
        stand.actor,
        stand.now,
    )?
    else {
        return Ok(None);
    };
    let Membership {
        member,
        user,
        organization,
        ..
    } = &held.membership;
    let reach = KeyReach {
        organization: stand.organization,
        reach: stand.reach,
        workspaces: &stand.workspaces,
        operations: stand.operations,
    };
    let may_operate =
        application.is_none() && key_rights::may_operate(snapshot, catalogue, &reach, member.role)?;
    let roles = held.within(&reach.extent(may_operate), catalogue);
    if roles.workspaces.is_empty() && roles.organization.is_empty() {
        return Ok(None);
    }
    let plan = plans::plan_of(snapshot, catalogue, stand.organization)?;
    let home = home(snapshot, catalogue, stand, application)?;
    let factors = Factors {
        licence: held.licence,
        scopes: own.scopes,
        level: own.level,
        // row 24: a key does nothing to the organization itself, but for the one exception (row 25)
        kind: if may_operate || application.is_some() {
            own.kind
        } else {
            own.kind & !catalogue.organization()
        },
        plan: sold(catalogue, plan.permissions, application),
    };
    // the Dev Centre's switch is about what was made in it
    let lock = if home.is_some() {
        plans::environment_lock
    } else {
        plans::lock
    };
    // the vendor's own applications manage an organization whatever it has bought
    let pays = !application.is_some_and(|application| application.first_party);
    let trial_end = trial_end(plan, organization, stand).filter(|end| pays && *end > stand.now);
    Ok(Some(Access {
        credential,
        actor: actor(user),
        organization: organization.id,
        environment: stand.environment,
        suspended: suspension(&held.membership, home.as_ref(), stand),
        lock: match pays {
            false => None,
            true => lock(plan, organization, stand.environment, stand.now)
                .or(home.as_ref().and_then(|home| home.lock)),
        },
        plan: plan.entry.name.clone(),
        simulation: stand.simulation,
        reload_at: earliest([
            stand.reload_at,
            member.ends_at,
            trial_end,
            home.as_ref()
                .filter(|_| pays)
                .and_then(|home| home.reload_at),
        ]),
        factors,
        bound: factors.bound(),
        reach: stand.reach,
        roles: roles.workspaces,
        organization_role: roles.organization,
        own: own_addresses(snapshot, stand)?,
        application_organization: home.map(|home| home.id),
    }))
}

/// What the plan sells. Management is not for sale: whoever may do it, may whatever was bought.
fn sold(
    catalogue: &Catalogue,
    permissions: PermissionSet,
    application: Option<&Application>,
) -> PermissionSet {
    match application {
        Some(application) if application.first_party => {
            permissions | catalogue.management() | catalogue.organization()
        }
        _ => permissions,
    }
}

/// The organization of a token's application, when it is another one: it decides whether the application may exist.
struct Home {
    id: OrganizationId,
    suspended: bool,
    lock: Option<Lock>,
    reload_at: Option<Timestamp>,
}

fn home(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    stand: &Stand,
    application: Option<&Application>,
) -> Result<Option<Home>, Error> {
    let Some(id) = application
        .map(|application| application.organization_id)
        .filter(|home| *home != stand.organization)
    else {
        return Ok(None);
    };
    let Some(organization) = snapshot.find_organization(id)? else {
        return Ok(None);
    };
    let plan = plans::plan_of(snapshot, catalogue, id)?;
    Ok(Some(Home {
        id,
        suspended: organization.state == OrganizationState::Suspended,
        lock: plans::lock(plan, &organization, stand.environment, stand.now),
        reload_at: trial_end(plan, &organization, stand).filter(|end| *end > stand.now),
    }))
}

/// When the trial shuts the environment that the credential is for.
fn trial_end(plan: &Plan, organization: &Organization, stand: &Stand) -> Option<Timestamp> {
    plans::trial_end(plan, organization).filter(|_| stand.environment == Environment::Sandbox)
}

fn suspension(membership: &Membership, home: Option<&Home>, stand: &Stand) -> Option<Suspension> {
    if home.is_some_and(|home| home.suspended) {
        return Some(Suspension::Organization);
    }
    membership
        .suspended
        .or(stand.paused.then_some(Suspension::Key))
}

fn earliest<const N: usize>(instants: [Option<Timestamp>; N]) -> Option<Timestamp> {
    instants.into_iter().flatten().min()
}

fn actor(user: &User) -> Actor {
    Actor {
        id: user.id,
        kind: user.kind,
        name: user.name.clone(),
    }
}

/// Until a domain is verified, own addresses are the verified ones of active members.
fn own_addresses(snapshot: &mut Snapshot, stand: &Stand) -> Result<Own, Error> {
    if stand.environment == Environment::Production {
        return Ok(Own::Domains(Vec::new()));
    }
    let domains = snapshot.list_own_domains(stand.organization)?;
    if !domains.is_empty() {
        let own = |(name, include_subdomains): &(String, Option<bool>)| {
            Some(OwnDomain {
                name: Domain::parse(name).ok()?,
                include_subdomains: *include_subdomains,
            })
        };
        return Ok(Own::Domains(domains.iter().filter_map(own).collect()));
    }
    let addresses = snapshot.list_verified_member_addresses(stand.organization, stand.now)?;
    Ok(Own::Addresses(
        addresses
            .iter()
            .filter_map(|address| Mailbox::parse(address).ok())
            .collect(),
    ))
}
