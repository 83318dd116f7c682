//! API keys: creating them, and finding one. What changes a key stands in `changes`, `rotation` and `simulation`; what
//! people see of keys in `lists`.

use std::collections::BTreeSet;

use crate::config::{KeyName, OrganizationOperations, Plan};
use crate::crypto::digest::Digest;
use crate::domain::desk::{Desk, View};
use crate::domain::keys::expiry::Expiry;
use crate::domain::keys::owners::{self, Makers};
use crate::domain::keys::places::{KeyPlaces, named};
use crate::domain::keys::secrets;
use crate::domain::plans::open;
use crate::domain::plans::plans;
use crate::domain::{Refusal, ensure};
use crate::store::api_key_secrets::ApiKeySecret;
use crate::store::api_keys::ApiKey;
use crate::store::organizations::Organization;
use crate::types::environment::Environment;
use crate::types::event::Event;
use crate::types::id::{ApiKeyId, UserId, WorkspaceId};
use crate::types::refusal_code::RefusalCode;
use crate::types::right::Right;
use crate::types::state::{ApiKeyState, PermissionLevel, ReachKind};
use crate::types::text::{TextError, parse_text};

const MOST_NAME: usize = 100;
const MOST_DESCRIPTION: usize = 500;

/// Which workspaces a key is to reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    Organization { operations: bool },
    Workspaces(Vec<WorkspaceId>),
}

impl Reach {
    fn kind(&self) -> ReachKind {
        match self {
            Self::Organization { .. } => ReachKind::Organization,
            Self::Workspaces(_) => ReachKind::Workspaces,
        }
    }

    /// The workspaces it names.
    fn workspaces(&self) -> &[WorkspaceId] {
        match self {
            Self::Organization { .. } => &[],
            Self::Workspaces(workspaces) => workspaces,
        }
    }

    fn has_operations(&self) -> bool {
        matches!(self, Self::Organization { operations: true })
    }
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
    /// Another member, whose rights are asked instead: only for an operator. Or a service account.
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

/// Creates a key that acts with its owner's rights. Runs behind the organization's lock: the caps are counted.
pub fn create(desk: &mut Desk, new: &NewApiKey) -> Result<ApiKey, Refusal> {
    let organization = desk
        .tx
        .find_organization(desk.organization)?
        .ok_or(Refusal::NotFound)?;
    let makers = owners::makers(desk, new.owner)?;
    let mut view = desk.view();
    let mut view = view.by(&makers.creator);
    let places = KeyPlaces::some(&mut view, Right::ApiKeysManage)?;
    let (name, description) =
        check_texts(view.settings.keys.key_name, &new.name, &new.description)?;
    check_reach(&mut view, &places, &new.reach)?;
    check_owner(desk, &makers, &new.reach)?;
    check_operations(desk.settings.keys.organization_operations, &new.reach)?;
    let now = desk.now();
    let expires_at = new
        .expiry
        .resolve(&desk.settings.keys, &organization.time_zone, now)?;
    let plan = open::ensure_open(
        desk.tx,
        &desk.settings.catalogue,
        &organization,
        new.environment,
        now,
    )?;
    ensure_room(desk, &plan, new.reach.workspaces())?;
    let key = ApiKey {
        name,
        description,
        expires_at,
        ..row(desk, &organization, &makers, new)?
    };
    ensure_may_hold(desk, &makers, &key, new.reach.workspaces())?;
    insert(desk, &key, new)?;
    plans::start_trial(desk.tx, &plan, desk.organization)?;
    desk.tx.record(
        Some(desk.organization),
        Some(makers.creator.user),
        Event::ApiKeyCreated,
        key.id.as_str(),
        key.environment.as_str(),
    )?;
    Ok(key)
}

/// The key belongs to somebody else: its first secret shows whoever made it no more than they hold.
fn ensure_may_hold(
    desk: &mut Desk,
    makers: &Makers,
    key: &ApiKey,
    named: &[WorkspaceId],
) -> Result<(), Refusal> {
    let more = "The key could do more than you may.";
    let too_much = || Refusal::Coded(RefusalCode::InsufficientPermission, more.to_owned());
    let mut view = desk.view();
    ensure(
        secrets::may_hold(&mut view.by(&makers.creator), key, named)?,
        too_much(),
    )?;
    ensure(secrets::may_hold(&mut view, key, named)?, too_much())
}

/// What is stored of a new key, but for what was checked.
fn row(
    desk: &mut Desk,
    organization: &Organization,
    makers: &Makers,
    new: &NewApiKey,
) -> Result<ApiKey, Refusal> {
    let (reach, named) = (new.reach.kind(), new.reach.workspaces());
    let owner_id = owners::owner(desk, organization, &makers.owner, reach, named)?;
    let (keys, now) = (&desk.settings.keys, desk.now());
    let (state, public_id) = match &new.secret {
        Some(secret) => (ApiKeyState::Active, secret.public_id.clone()),
        None => (ApiKeyState::Pending, String::new()),
    };
    Ok(ApiKey {
        id: ApiKeyId::generate(now),
        organization_id: organization.id,
        owner_id,
        environment: new.environment,
        prefix: keys.prefix.clone(),
        marker: keys.marker(new.environment).to_owned(),
        public_id,
        name: String::new(),
        description: String::new(),
        reach,
        permission_level: new.permission_level,
        organization_operations: new.reach.has_operations(),
        self_rotation: new.self_rotation,
        state,
        state_reason: None,
        simulates: None,
        simulates_until: None,
        expires_at: None,
        last_used_at: None,
        created_by: makers.creator.user,
        created_at: now,
        revoked_by: None,
        revoked_at: None,
        owned_since: now,
    })
}

/// The key with its first secret, which its creator is shown.
fn insert(desk: &mut Desk, key: &ApiKey, new: &NewApiKey) -> Result<(), Refusal> {
    desk.tx.insert_api_key(key, new.reach.workspaces())?;
    let Some(Minted { public_id, digest }) = new.secret.clone() else {
        return Ok(());
    };
    let secret = ApiKeySecret::first(key.id, public_id, digest, key.created_by, desk.now());
    desk.tx
        .insert_api_key_secret(key.organization_id, &secret)?;
    Ok(desk
        .tx
        .record_disclosure(secret.id.as_str(), key.created_by)?)
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

fn check_reach(view: &mut View, places: &KeyPlaces, reach: &Reach) -> Result<(), Refusal> {
    let Reach::Workspaces(wanted) = reach else {
        let admin = "An organization-wide key needs an organization admin.";
        return ensure(places.is_everywhere(), Refusal::field("scope", admin));
    };
    ensure(
        !wanted.is_empty(),
        Refusal::field("workspace", "Choose at least one workspace."),
    )?;
    let held: BTreeSet<WorkspaceId> = places
        .workspaces(view)?
        .into_iter()
        .map(|workspace| workspace.id)
        .collect();
    // a foreign workspace and one without the role read the same
    let all = "You must be an admin of every workspace that the key reaches.";
    ensure(
        wanted.iter().all(|id| held.contains(id)),
        Refusal::field("workspace", all),
    )
}

/// A service account manages keys itself where its key is to work.
fn check_owner(desk: &mut Desk, makers: &Makers, reach: &Reach) -> Result<(), Refusal> {
    if makers.owner.user == makers.creator.user {
        return Ok(());
    }
    let mut view = desk.view();
    let mut view = view.by(&makers.owner);
    KeyPlaces::some(&mut view, Right::ApiKeysManage)
        .and_then(|places| check_reach(&mut view, &places, reach))
        .map_err(|_| {
            Refusal::field(
                "owner",
                "The service account must be an admin where the key is to work.",
            )
        })
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
    ensure(
        !reach.has_operations(),
        Refusal::field("organization_operations", message),
    )
}

/// Rows 19 and C10: what is pending, paused or deactivated counts, what is revoked or expired does not.
pub fn ensure_room(
    desk: &mut Desk,
    plan: &Plan,
    workspaces: &[WorkspaceId],
) -> Result<(), Refusal> {
    let (organization, now) = (desk.organization, desk.now());
    let cap = plan
        .entry
        .max_active_keys
        .unwrap_or(desk.settings.keys.max_active_per_organization);
    let full = format!(
        "This organization has reached its limit of {cap} active API keys. Revoke one that is not needed any more."
    );
    ensure(
        desk.tx.count_active_api_keys(organization, now)? < cap,
        Refusal::Coded(RefusalCode::KeyLimitReached, full),
    )?;
    ensure_workspace_room(desk, workspaces)
}

/// C10: the cap of each workspace that a key is to name.
pub fn ensure_workspace_room(desk: &mut Desk, workspaces: &[WorkspaceId]) -> Result<(), Refusal> {
    let (cap, now) = (desk.settings.keys.max_active_per_workspace, desk.now());
    let full = format!(
        "A workspace has reached its limit of {cap} active API keys. Revoke one that is not needed any more."
    );
    for workspace in workspaces.iter().filter(|_| cap > 0) {
        let active = desk
            .tx
            .count_active_api_keys_of_workspace(*workspace, now)?;
        ensure(
            active < cap,
            Refusal::Coded(RefusalCode::WorkspaceKeyLimitReached, full.clone()),
        )?;
    }
    Ok(())
}

/// One key and the workspaces that it names, if the asker holds `needed` for it.
pub fn find(
    view: &mut View,
    needed: Right,
    id: ApiKeyId,
) -> Result<(ApiKey, Vec<WorkspaceId>), Refusal> {
    let places = KeyPlaces::some(view, needed)?;
    let key = view
        .snapshot
        .find_api_key(view.organization, id)?
        .ok_or(Refusal::NotFound)?;
    let workspaces = named(view.snapshot, id)?;
    if places.reaches(&key, &workspaces) {
        return Ok((key, workspaces));
    }
    // who may see it, and not do this, is told so
    let sees = KeyPlaces::of(view, Right::ApiKeysRead)?.reaches(&key, &workspaces);
    Err(if sees {
        Refusal::admin_only("Your role may see this key, not change it.")
    } else {
        Refusal::NotFound
    })
}

/// One key that the asker manages.
pub fn find_managed(desk: &mut Desk, id: ApiKeyId) -> Result<ApiKey, Refusal> {
    Ok(find(&mut desk.view(), Right::ApiKeysManage, id)?.0)
}
