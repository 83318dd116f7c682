//! API keys: creating, listing and revoking them.

use crate::config::{ADMIN_ROLE, Config, Plan};
use crate::crypto::digest::Digest;
use crate::domain::{Refusal, ensure, plans};
use crate::store;
use crate::store::api_key_secrets::ApiKeySecret;
use crate::store::api_keys::ApiKey;
use crate::store::members::Member;
use crate::store::organizations::Organization;
use crate::store::{Snapshot, Tx};
use crate::types::environment::Environment;
use crate::types::id::{ApiKeyId, OrganizationId, UserId, WorkspaceId};
use crate::types::state::{ApiKeyState, PermissionLevel, ReachKind};
use crate::types::text::{TextError, parse_text};
use crate::types::time::Timestamp;

const MOST_NAME: usize = 100;
const MOST_DESCRIPTION: usize = 500;
/// The most keys one page lists.
pub const MOST_LISTED: i64 = 500;

/// Which workspaces a key is to reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    Organization { operations: bool },
    Workspaces(Vec<WorkspaceId>),
}

/// What a person asks for. The secret was minted at the door; only its digest comes here.
#[derive(Debug, Clone)]
pub struct NewApiKey {
    pub name: String,
    pub description: String,
    pub environment: Environment,
    pub reach: Reach,
    pub permission_level: PermissionLevel,
    pub expires_at: Option<Timestamp>,
    pub public_id: String,
    pub digest: Digest,
}

/// A key as lists show it.
#[derive(Debug, Clone)]
pub struct ListedKey {
    pub key: ApiKey,
    pub owner_name: String,
    pub workspaces: Vec<String>,
    /// False once the owner left, or lost every workspace of it.
    pub has_ground: bool,
}

/// What the person may do with keys here: an organization admin everything, a workspace admin what lies in their workspaces.
pub struct KeyAdmin {
    pub member: Member,
    /// The workspaces in which the person is admin.
    pub workspaces: Vec<WorkspaceId>,
}

impl KeyAdmin {
    pub fn is_organization_admin(&self) -> bool {
        self.member.role.is_admin()
    }

    fn covers(&self, workspaces: &[WorkspaceId]) -> bool {
        !workspaces.is_empty() && workspaces.iter().all(|workspace| self.workspaces.contains(workspace))
    }
}

/// Who `user` is to the keys of `organization`: not found for strangers, forbidden for those who administer nothing.
pub fn key_admin(snapshot: &mut Snapshot, organization: OrganizationId, user: UserId) -> Result<KeyAdmin, Refusal> {
    let member = snapshot.find_member(organization, user)?.ok_or(Refusal::NotFound)?;
    let workspaces: Vec<WorkspaceId> = if member.role.is_admin() {
        snapshot.list_workspaces(organization)?.into_iter().map(|workspace| workspace.id).collect()
    } else {
        let roles = snapshot.list_workspace_roles(organization, user)?;
        roles.into_iter().filter(|(_, role)| role == ADMIN_ROLE).map(|(id, _)| id).collect()
    };
    let admin = KeyAdmin { member, workspaces };
    // row 2: only owners and admins open the Dev Centre
    ensure(admin.is_organization_admin() || !admin.workspaces.is_empty(), Refusal::Forbidden("Only owners and admins can open the Dev Centre."))?;
    Ok(admin)
}

/// Creates a key that acts with its creator's rights. Runs behind the organization's lock: the cap is counted.
pub fn create(tx: &mut Tx, config: &Config, organization: &Organization, creator: UserId, new: NewApiKey) -> Result<ApiKey, Refusal> {
    let admin = key_admin(tx, organization.id, creator)?;
    let (name, description) = check_texts(&new)?;
    check_reach(&admin, &new.reach)?;
    ensure(new.expires_at.is_none_or(|end| end > tx.now), Refusal::Invalid(vec![("expires_on", "must be in the future".to_owned())]))?;
    let now = tx.now;
    let plan = plans::ensure_open(tx, config, organization, new.environment, now)?;
    let cap = plan.entry.max_active_keys.unwrap_or(config.keys.max_active_per_organization);
    // row 19
    ensure(tx.count_active_api_keys(organization.id, now)? < cap, Refusal::Blocked(cap_reached(cap)))?;
    let (reach, operations, workspaces) = match new.reach {
        Reach::Organization { operations } => (ReachKind::Organization, operations, Vec::new()),
        Reach::Workspaces(workspaces) => (ReachKind::Workspaces, false, workspaces),
    };
    let key = ApiKey {
        id: ApiKeyId::generate(now),
        organization_id: organization.id,
        owner_id: creator,
        environment: new.environment,
        prefix: config.keys.prefix.clone(),
        marker: config.keys.marker(new.environment).to_owned(),
        public_id: new.public_id,
        name,
        description,
        reach,
        permission_level: new.permission_level,
        organization_operations: operations,
        self_rotation: false,
        state: ApiKeyState::Active,
        state_reason: None,
        simulates: None,
        simulates_until: None,
        expires_at: new.expires_at,
        last_used_at: None,
        created_by: creator,
        created_at: now,
        revoked_by: None,
        revoked_at: None,
    };
    tx.insert_api_key(&key, &workspaces)?;
    let secret = ApiKeySecret::first(key.id, key.public_id.clone(), new.digest, creator, now);
    tx.insert_api_key_secret(organization.id, &secret)?;
    tx.record_disclosure(secret.id.as_str(), creator)?;
    start_trial(tx, &plan, organization)?;
    tx.record(Some(organization.id), Some(creator), "api_key.created", key.id.as_str(), key.environment.as_str())?;
    Ok(key)
}

/// The first key starts the trial: once per organization, ever (row 7). Whoever subscribed has none.
fn start_trial(tx: &mut Tx, plan: &Plan, organization: &Organization) -> Result<(), Refusal> {
    if plan.entry.trial_seconds == 0 || organization.trial_started_at.is_some() {
        return Ok(());
    }
    let end = tx.now.plus_seconds(plan.entry.trial_seconds);
    tx.start_trial(organization.id, end)?;
    Ok(tx.record(Some(organization.id), None, "trial.started", organization.id.as_str(), &end.rfc3339())?)
}

fn cap_reached(cap: i64) -> String {
    format!("This organization has reached its limit of {cap} active API keys. Revoke one that is not needed any more.")
}

fn check_texts(new: &NewApiKey) -> Result<(String, String), Refusal> {
    let mut errors = Vec::new();
    let name = parse_text(&new.name, MOST_NAME).map_err(|error| errors.push(("name", error.to_string())));
    let description = match parse_text(&new.description, MOST_DESCRIPTION) {
        Err(TextError::Empty) => Ok(String::new()),
        other => other.map_err(|error| errors.push(("description", error.to_string()))),
    };
    match (name, description) {
        (Ok(name), Ok(description)) => Ok((name, description)),
        _ => Err(Refusal::Invalid(errors)),
    }
}

fn check_reach(admin: &KeyAdmin, reach: &Reach) -> Result<(), Refusal> {
    match reach {
        Reach::Organization { .. } => ensure(
            admin.is_organization_admin(),
            Refusal::Invalid(vec![("scope", "An organization-wide key needs an organization admin.".to_owned())]),
        ),
        Reach::Workspaces(workspaces) => {
            ensure(!workspaces.is_empty(), Refusal::Invalid(vec![("workspace", "Choose at least one workspace.".to_owned())]))?;
            // a foreign workspace and one without the role read the same
            ensure(
                admin.covers(workspaces),
                Refusal::Invalid(vec![("workspace", "You must be an admin of every workspace that the key reaches.".to_owned())]),
            )
        }
    }
}

/// The keys that this person may see.
pub fn list(snapshot: &mut Snapshot, organization: OrganizationId, user: UserId) -> Result<Vec<ListedKey>, Refusal> {
    let admin = key_admin(snapshot, organization, user)?;
    let mut listed = Vec::new();
    for key in snapshot.list_api_keys(organization, MOST_LISTED)? {
        listed.extend(see(snapshot, &admin, key)?);
    }
    Ok(listed)
}

/// One key, if this person may see it.
pub fn get(snapshot: &mut Snapshot, organization: OrganizationId, user: UserId, id: ApiKeyId) -> Result<ListedKey, Refusal> {
    let admin = key_admin(snapshot, organization, user)?;
    let key = snapshot.find_api_key(organization, id)?.ok_or(Refusal::NotFound)?;
    see(snapshot, &admin, key)?.ok_or(Refusal::NotFound)
}

/// The key with what stands beside it in lists; none for who may not see it.
fn see(snapshot: &mut Snapshot, admin: &KeyAdmin, key: ApiKey) -> Result<Option<ListedKey>, Refusal> {
    let (ids, workspaces): (Vec<WorkspaceId>, Vec<String>) = snapshot.list_api_key_workspaces(key.id)?.into_iter().unzip();
    let visible = admin.is_organization_admin() || (key.reach == ReachKind::Workspaces && admin.covers(&ids));
    if !visible {
        return Ok(None);
    }
    let owner_name = snapshot.find_user(key.owner_id)?.map(|owner| owner.name).unwrap_or_default();
    let has_ground = has_ground(snapshot, &key, &ids)?;
    Ok(Some(ListedKey { key, owner_name, workspaces, has_ground }))
}

fn has_ground(snapshot: &mut Snapshot, key: &ApiKey, workspaces: &[WorkspaceId]) -> Result<bool, Refusal> {
    let since = |member: &Member| member.created_at <= key.created_at;
    let Some(member) = snapshot.find_member(key.organization_id, key.owner_id)?.filter(since) else { return Ok(false) };
    if member.role.is_admin() {
        return Ok(true);
    }
    let roles = snapshot.list_workspace_roles(key.organization_id, key.owner_id)?;
    Ok(roles.iter().any(|(id, _)| key.reach == ReachKind::Organization || workspaces.contains(id)))
}

/// Revokes at once and for good; one that is revoked already stays so.
pub fn revoke(tx: &mut Tx, organization: OrganizationId, user: UserId, id: ApiKeyId) -> Result<ApiKey, Refusal> {
    let key = get(tx, organization, user, id)?.key;
    if key.state != ApiKeyState::Revoked {
        match tx.revoke_api_key(organization, id, user) {
            Ok(()) => tx.record(Some(organization), Some(user), "api_key.revoked", id.as_str(), "")?,
            // somebody else was quicker: it is revoked, as asked
            Err(store::Error::NotFound) => {}
            Err(other) => return Err(other.into()),
        }
    }
    Ok(key)
}
