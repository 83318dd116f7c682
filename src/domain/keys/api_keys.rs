//! API keys: creating, listing and reading them. What changes a key stands in `key_changes`, `rotation` and `simulation`.

use crate::config::{Catalogue, Config, KeyName, KeyOwner, OrganizationOperations, Plan};
use crate::crypto::digest::Digest;
use crate::domain::keys::expiry::Expiry;
use crate::domain::keys::owners::{self, Ground};
use crate::domain::people::members;
use crate::domain::plans::open;
use crate::domain::plans::plans;
use crate::domain::rights::caller::Caller;
use crate::domain::rights::key_admins::{self, KeyAdmin, KeyCaller, READ};
use crate::domain::rights::old_rights as rights;
use crate::domain::{Refusal, ensure};
use crate::store::api_key_secrets::ApiKeySecret;
use crate::store::api_keys::{ApiKey, ApiKeyFilter};
use crate::store::members::Member;
use crate::store::organizations::Organization;
use crate::store::{Snapshot, Tx};
use crate::types::environment::Environment;
use crate::types::event::Event;
use crate::types::id::{ApiKeyId, OrganizationId, UserId, WorkspaceId};
use crate::types::refusal_code::RefusalCode;
use crate::types::right::Right;
use crate::types::state::{ApiKeySecretState, ApiKeyState, PermissionLevel, ReachKind, UserKind};
use crate::types::text::{TextError, parse_text};
use crate::types::time::Timestamp;

const MOST_NAME: usize = 100;
const MOST_DESCRIPTION: usize = 500;
/// Rows that are read at once while a page is filled.
const BATCH: i64 = 200;

/// Which workspaces a key is to reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    Organization { operations: bool },
    Workspaces(Vec<WorkspaceId>),
}

/// A secret that was minted at the door: only its digest comes here.
#[derive(Debug, Clone)]
pub struct Minted {
    pub public_id: String,
    pub digest: Digest,
}

/// What a person asks for.
#[derive(Debug, Clone)]
pub struct NewApiKey {
    /// Another member, whose rights are asked instead: only for an operator.
    pub owner: Option<UserId>,
    pub name: String,
    pub description: String,
    pub environment: Environment,
    pub reach: Reach,
    pub permission_level: PermissionLevel,
    pub expiry: Expiry,
    pub self_rotation: bool,
    /// None: the key is pending until somebody collects its secret.
    pub secret: Option<Minted>,
}

/// A key as lists show it.
#[derive(Debug, Clone)]
pub struct ListedKey {
    pub key: ApiKey,
    pub owner_name: String,
    pub workspaces: Vec<(WorkspaceId, String)>,
    pub status: KeyStatus,
}

/// A key's state as people see it, now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyStatus {
    Stored(ApiKeyState),
    Expired,
}

/// What a list is asked to hold beside the store's conditions.
#[derive(Debug, Clone, Default)]
pub struct ListFilter {
    pub rows: ApiKeyFilter,
    pub status: Option<KeyStatus>,
    /// Letters in the name, in any case.
    pub name: Option<String>,
    /// Neither made nor used since then.
    pub unused_since: Option<Timestamp>,
}

/// One secret, and who was shown it.
#[derive(Debug, Clone)]
pub struct SecretDetail {
    pub secret: ApiKeySecret,
    pub state: ApiKeySecretState,
    pub shown_to: Vec<(UserId, String, Timestamp)>,
}

#[derive(Debug, Clone)]
pub struct KeyDetail {
    pub listed: ListedKey,
    pub creator_name: String,
    /// The newest first.
    pub secrets: Vec<SecretDetail>,
}

/// Creates a key by its owner's hand. Runs behind the organization's lock: the caps are counted.
pub fn create(
    tx: &mut Tx,
    config: &Config,
    organization: &Organization,
    creator: UserId,
    new: NewApiKey,
) -> Result<ApiKey, Refusal> {
    create_by(tx, config, organization, &KeyCaller::person(creator), new)
}

/// The switch is refused where it would switch nothing (C4).
fn check_operations(rule: OrganizationOperations, reach: &Reach) -> Result<(), Refusal> {
    let message = match rule {
        OrganizationOperations::Switch => return Ok(()),
        OrganizationOperations::ServiceWorkspace => {
            "is not needed: keys of service workspaces create workspaces and users"
        }
        OrganizationOperations::Never => "is not possible: here no key creates workspaces or users",
    };
    let wanted = matches!(reach, Reach::Organization { operations: true });
    ensure(
        !wanted,
        Refusal::Invalid(vec![("organization_operations", message.to_owned())]),
    )
}

/// Creates a key that acts with its owner's rights. Runs behind the organization's lock: the caps are counted.
pub fn create_by(
    tx: &mut Tx,
    config: &Config,
    organization: &Organization,
    by: &KeyCaller,
    new: NewApiKey,
) -> Result<ApiKey, Refusal> {
    let catalogue = config
        .catalogue()
        .map_err(|error| Refusal::Blocked(error.to_string()))?;
    let (by, acting) = stand_in(tx, &catalogue, config, organization.id, by, new.owner)?;
    let admin = key_admins::key_admin(tx, &catalogue, organization.id, &by, key_admins::MANAGE)?;
    let (name, description) = check_texts(config.keys.key_name, &new.name, &new.description)?;
    check_reach(&admin, &new.reach)?;
    if acting.user != by.user() {
        let owner = key_admins::key_admin(
            tx,
            &catalogue,
            organization.id,
            &KeyCaller::person(acting.user),
            key_admins::MANAGE,
        );
        let none = |_| {
            Refusal::field(
                "owner",
                "The service account must be an admin where the key is to work.",
            )
        };
        check_reach(&owner.map_err(none)?, &new.reach).map_err(none)?;
    }
    check_operations(config.keys.organization_operations, &new.reach)?;
    let now = tx.now;
    let expires_at = new
        .expiry
        .resolve(&config.keys, &organization.time_zone, now)?;
    let plan = open::ensure_open(
        tx,
        &config
            .catalogue()
            .map_err(|error| Refusal::Blocked(error.to_string()))?,
        organization,
        new.environment,
        now,
    )?;
    let (reach, operations, workspaces) = match new.reach {
        Reach::Organization { operations } => (ReachKind::Organization, operations, Vec::new()),
        Reach::Workspaces(workspaces) => (ReachKind::Workspaces, false, workspaces),
    };
    ensure_room(tx, config, &plan, organization.id, &workspaces)?;
    let ground = Ground {
        reach,
        workspaces: &workspaces,
        level: new.permission_level,
    };
    let owner_id = owners::owner(
        tx,
        &catalogue,
        config.keys.owner,
        organization,
        &acting,
        &ground,
    )?;
    let key = ApiKey {
        id: ApiKeyId::generate(now),
        organization_id: organization.id,
        owner_id,
        environment: new.environment,
        prefix: config.keys.prefix.clone(),
        marker: config.keys.marker(new.environment).to_owned(),
        public_id: new
            .secret
            .as_ref()
            .map(|secret| secret.public_id.clone())
            .unwrap_or_default(),
        name,
        description,
        reach,
        permission_level: new.permission_level,
        organization_operations: operations,
        self_rotation: new.self_rotation,
        state: if new.secret.is_some() {
            ApiKeyState::Active
        } else {
            ApiKeyState::Pending
        },
        state_reason: None,
        simulates: None,
        simulates_until: None,
        expires_at,
        last_used_at: None,
        created_by: by.user(),
        created_at: now,
        revoked_by: None,
        revoked_at: None,
        owned_since: now,
    };
    tx.insert_api_key(&key, &workspaces)?;
    if let Some(Minted { public_id, digest }) = new.secret {
        let secret = ApiKeySecret::first(key.id, public_id, digest, by.user(), now);
        tx.insert_api_key_secret(organization.id, &secret)?;
        tx.record_disclosure(secret.id.as_str(), by.user())?;
    }
    plans::start_trial(tx, &plan, organization.id)?;
    tx.record(
        Some(organization.id),
        Some(by.user()),
        Event::ApiKeyCreated,
        key.id.as_str(),
        key.environment.as_str(),
    )?;
    Ok(key)
}

/// Who is asked for the right to create, and who the key acts as. An operator is no member: it creates in the name of one, or for
/// the organization itself. A person creates for themselves, or for a service account that holds no more than they do (row 28).
fn stand_in(
    tx: &mut Tx,
    catalogue: &Catalogue,
    config: &Config,
    organization: OrganizationId,
    by: &KeyCaller,
    owner: Option<UserId>,
) -> Result<(KeyCaller, Caller), Refusal> {
    match owner {
        Some(owner) if owner != by.user() && by.caller.operator => {
            Ok((KeyCaller::person(owner), Caller::person(owner)))
        }
        Some(owner) if owner != by.user() => {
            ensure(
                config.keys.owner == KeyOwner::User,
                Refusal::field(
                    "owner",
                    "Keys belong to the workspace or the organization here.",
                ),
            )?;
            let account = tx
                .find_user(owner)?
                .filter(|user| user.kind == UserKind::ServiceAccount);
            let member = account.map_or(Ok(None), |user| tx.find_member(organization, user.id))?;
            ensure(
                member.is_some(),
                Refusal::field(
                    "owner",
                    "Keys are created for yourself, or for a service account of the organization.",
                ),
            )?;
            members::ensure_free_standing(tx, owner)?;
            let held = rights::of_user(tx, catalogue, organization, owner)?;
            rights::ensure_holds(tx, catalogue, organization, &by.caller, &held)?;
            Ok((by.clone(), Caller::person(owner)))
        }
        _ if by.caller.operator && config.keys.owner == KeyOwner::User => Err(Refusal::field(
            "owner",
            "An operator token names the owner.",
        )),
        _ => Ok((by.clone(), by.caller)),
    }
}

/// Rows 19 and C10: what is pending, paused or deactivated counts, what is revoked or expired does not.
pub fn ensure_room(
    tx: &mut Tx,
    config: &Config,
    plan: &Plan,
    organization: OrganizationId,
    workspaces: &[WorkspaceId],
) -> Result<(), Refusal> {
    let now = tx.now;
    let cap = plan
        .entry
        .max_active_keys
        .unwrap_or(config.keys.max_active_per_organization);
    let full = format!(
        "This organization has reached its limit of {cap} active API keys. Revoke one that is not needed any more."
    );
    ensure(
        tx.count_active_api_keys(organization, now)? < cap,
        Refusal::Coded(RefusalCode::KeyLimitReached, full),
    )?;
    ensure_workspace_room(tx, config, workspaces)
}

/// C10: the cap of each workspace that a key is to name.
pub fn ensure_workspace_room(
    tx: &mut Tx,
    config: &Config,
    workspaces: &[WorkspaceId],
) -> Result<(), Refusal> {
    let (cap, now) = (config.keys.max_active_per_workspace, tx.now);
    let full = format!(
        "A workspace has reached its limit of {cap} active API keys. Revoke one that is not needed any more."
    );
    for workspace in workspaces.iter().filter(|_| cap > 0) {
        let active = tx.count_active_api_keys_of_workspace(*workspace, now)?;
        ensure(
            active < cap,
            Refusal::Coded(RefusalCode::WorkspaceKeyLimitReached, full.clone()),
        )?;
    }
    Ok(())
}

/// Name and description as they are stored.
pub fn check_texts(
    rule: KeyName,
    name: &str,
    description: &str,
) -> Result<(String, String), Refusal> {
    let mut errors = Vec::new();
    let name = match parse_text(name, MOST_NAME) {
        Err(TextError::Empty) if rule == KeyName::Optional => Ok(String::new()),
        other => other.map_err(|error| errors.push(("name", error.to_string()))),
    };
    let description = match parse_text(description, MOST_DESCRIPTION) {
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
            Refusal::field(
                "scope",
                "An organization-wide key needs an organization admin.",
            ),
        ),
        Reach::Workspaces(workspaces) => {
            ensure(
                !workspaces.is_empty(),
                Refusal::field("workspace", "Choose at least one workspace."),
            )?;
            // a foreign workspace and one without the role read the same
            ensure(
                admin.covers(workspaces),
                Refusal::field(
                    "workspace",
                    "You must be an admin of every workspace that the key reaches.",
                ),
            )
        }
    }
}

/// A page of the keys that the caller may see: the newest first, those behind `after`, at most `most`.
pub fn list(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    organization: OrganizationId,
    by: &KeyCaller,
    filter: &ListFilter,
    (after, most): (Option<(Timestamp, ApiKeyId)>, i64),
    now: Timestamp,
) -> Result<Vec<ListedKey>, Refusal> {
    let admin = key_admins::key_admin(snapshot, catalogue, organization, by, READ)?;
    let (state, live) = rows_of(filter.status);
    let rows = ApiKeyFilter {
        only: admin.only(),
        state,
        live: live || filter.rows.live,
        ..filter.rows.clone()
    };
    let (mut listed, mut after) = (Vec::new(), after);
    loop {
        let batch = snapshot.list_api_keys_page(organization, &rows, after, BATCH)?;
        after = batch.last().map(|key| (key.created_at, key.id));
        let is_last = i64::try_from(batch.len()).unwrap_or(BATCH) < BATCH;
        for key in batch.into_iter().filter(|key| is_wanted(key, filter)) {
            let key = listed_key(snapshot, key, now)?;
            if filter.status.is_none_or(|status| status == key.status) {
                listed.push(key);
            }
            if i64::try_from(listed.len()).unwrap_or(most) >= most {
                return Ok(listed);
            }
        }
        if is_last {
            return Ok(listed);
        }
    }
}

/// What the store can tell of a status: the state, or that the key is not revoked.
fn rows_of(status: Option<KeyStatus>) -> (Option<ApiKeyState>, bool) {
    match status {
        None => (None, false),
        Some(KeyStatus::Expired | KeyStatus::Stored(ApiKeyState::Deactivated)) => (None, true),
        Some(KeyStatus::Stored(state)) => (Some(state), false),
    }
}

fn is_wanted(key: &ApiKey, filter: &ListFilter) -> bool {
    let named = filter
        .name
        .as_ref()
        .is_none_or(|part| key.name.to_lowercase().contains(&part.to_lowercase()));
    named
        && filter
            .unused_since
            .is_none_or(|since| is_unused_since(key, since))
}

/// Neither made nor used since then.
pub fn is_unused_since(key: &ApiKey, since: Timestamp) -> bool {
    key.created_at < since && key.last_used_at.is_none_or(|used| used < since)
}

/// Which live keys reach which workspace; their number is bounded by the cap.
#[derive(Debug, Clone, Default)]
pub struct KeyMap {
    pub workspaces: Vec<(WorkspaceId, String, Vec<ListedKey>)>,
    pub organization_wide: Vec<ListedKey>,
}

pub fn map(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    organization: OrganizationId,
    by: &KeyCaller,
    now: Timestamp,
) -> Result<KeyMap, Refusal> {
    let admin = key_admins::key_admin(snapshot, catalogue, organization, by, READ)?;
    let live = ListFilter {
        rows: ApiKeyFilter {
            live: true,
            ..ApiKeyFilter::default()
        },
        ..ListFilter::default()
    };
    let all = list(
        snapshot,
        catalogue,
        organization,
        by,
        &live,
        (None, i64::MAX),
        now,
    )?
    .into_iter();
    let (organization_wide, named): (Vec<_>, Vec<_>) = all
        .filter(|listed| listed.status != KeyStatus::Expired)
        .partition(|listed| listed.key.reach == ReachKind::Organization);
    let mut workspaces = Vec::new();
    for workspace in snapshot
        .list_workspaces(organization)?
        .into_iter()
        .filter(|workspace| admin.workspaces.contains(&workspace.id))
    {
        let names_it =
            |listed: &&ListedKey| listed.workspaces.iter().any(|(id, _)| *id == workspace.id);
        let keys = named.iter().filter(names_it).cloned().collect();
        workspaces.push((workspace.id, workspace.name, keys));
    }
    Ok(KeyMap {
        workspaces,
        organization_wide,
    })
}

/// One key, if the caller holds `needed` for it.
pub fn find(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    organization: OrganizationId,
    by: &KeyCaller,
    needed: Right,
    id: ApiKeyId,
) -> Result<(ApiKey, KeyAdmin, Vec<WorkspaceId>), Refusal> {
    let admin = key_admins::key_admin(snapshot, catalogue, organization, by, needed)?;
    let key = snapshot
        .find_api_key(organization, id)?
        .ok_or(Refusal::NotFound)?;
    let workspaces: Vec<WorkspaceId> = snapshot
        .list_api_key_workspaces(id)?
        .into_iter()
        .map(|(id, _)| id)
        .collect();
    if admin.reaches(&key, &workspaces) {
        return Ok((key, admin, workspaces));
    }
    // who may see it, and not do this, is told so
    let sees =
        key_admins::find(snapshot, catalogue, organization, by, READ)?.reaches(&key, &workspaces);
    Err(if sees {
        Refusal::admin_only("Your role may see this key, not change it.")
    } else {
        Refusal::NotFound
    })
}

/// One key as lists show it.
pub fn get(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    organization: OrganizationId,
    by: &KeyCaller,
    id: ApiKeyId,
    now: Timestamp,
) -> Result<ListedKey, Refusal> {
    let (key, ..) = find(snapshot, catalogue, organization, by, READ, id)?;
    listed_key(snapshot, key, now)
}

/// Everything there is to see of one key.
pub fn detail(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    organization: OrganizationId,
    by: &KeyCaller,
    id: ApiKeyId,
    now: Timestamp,
) -> Result<KeyDetail, Refusal> {
    let listed = get(snapshot, catalogue, organization, by, id, now)?;
    let secrets = snapshot.list_api_key_secrets(id)?;
    let ids: Vec<String> = secrets.iter().map(|secret| secret.id.to_string()).collect();
    let mut shown = Vec::new();
    for (secret, user, at) in snapshot.list_disclosures_of(&ids)? {
        shown.push((secret, (user, name_of(snapshot, user)?, at)));
    }
    let detail = |secret: ApiKeySecret| SecretDetail {
        state: if secret.is_live(now) {
            secret.state
        } else {
            ApiKeySecretState::Revoked
        },
        shown_to: shown
            .iter()
            .filter(|(id, _)| id == secret.id.as_str())
            .map(|(_, to)| to.clone())
            .collect(),
        secret,
    };
    let secrets = secrets.into_iter().map(detail).collect();
    Ok(KeyDetail {
        creator_name: name_of(snapshot, listed.key.created_by)?,
        secrets,
        listed,
    })
}

pub fn name_of(snapshot: &mut Snapshot, user: UserId) -> Result<String, Refusal> {
    Ok(snapshot
        .find_user(user)?
        .map(|user| user.name)
        .unwrap_or_default())
}

/// The key with what stands beside it in lists.
pub fn listed_key(
    snapshot: &mut Snapshot,
    key: ApiKey,
    now: Timestamp,
) -> Result<ListedKey, Refusal> {
    let workspaces = snapshot.list_api_key_workspaces(key.id)?;
    let owner_name = name_of(snapshot, key.owner_id)?;
    let has_ground = has_ground(snapshot, &key, &workspaces, now)?;
    Ok(ListedKey {
        status: status(&key, has_ground, now),
        key,
        owner_name,
        workspaces,
    })
}

/// What has ended for good first.
fn status(key: &ApiKey, has_ground: bool, now: Timestamp) -> KeyStatus {
    let expired = key.expires_at.is_some_and(|end| end <= now);
    match key.state {
        ended @ (ApiKeyState::Revoked | ApiKeyState::Deactivated | ApiKeyState::Pending) => {
            KeyStatus::Stored(ended)
        }
        _ if expired => KeyStatus::Expired,
        _ if !has_ground => KeyStatus::Stored(ApiKeyState::Deactivated),
        other => KeyStatus::Stored(other),
    }
}

/// Whether the owner still has what the key stands on.
pub fn stands(snapshot: &mut Snapshot, key: &ApiKey, now: Timestamp) -> Result<bool, Refusal> {
    let workspaces = snapshot.list_api_key_workspaces(key.id)?;
    has_ground(snapshot, key, &workspaces, now)
}

/// False once the owner left, or lost every workspace of it.
fn has_ground(
    snapshot: &mut Snapshot,
    key: &ApiKey,
    workspaces: &[(WorkspaceId, String)],
    now: Timestamp,
) -> Result<bool, Refusal> {
    let stands = |member: &Member| !member.has_ended(now);
    let Some(member) = snapshot
        .find_member(key.organization_id, key.owner_id)?
        .filter(stands)
    else {
        return Ok(false);
    };
    if member.role.is_admin() {
        return Ok(true);
    }
    let roles = snapshot.list_workspace_roles(key.organization_id, key.owner_id)?;
    Ok(roles.iter().any(|(id, _)| {
        key.reach == ReachKind::Organization || workspaces.iter().any(|(named, _)| named == id)
    }))
}
