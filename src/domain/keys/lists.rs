//! What people see of API keys: lists, one key with its secrets, and which keys reach which workspace.

use crate::domain::Refusal;
use crate::domain::desk::View;
use crate::domain::keys::api_keys;
use crate::domain::keys::places::KeyPlaces;
use crate::store::api_key_secrets::ApiKeySecret;
use crate::store::api_keys::{ApiKey, ApiKeyFilter, KeyStatus};
use crate::store::{Error, Snapshot};
use crate::types::id::{ApiKeyId, UserId, WorkspaceId};
use crate::types::right::Right;
use crate::types::state::{ApiKeySecretState, ApiKeyState, ReachKind};
use crate::types::time::Timestamp;

/// How long an expired key stays in the list that names no status: 30 days.
const EXPIRED_SHOWN_SECONDS: i64 = 30 * 24 * 60 * 60;

/// A key as lists show it.
#[derive(Debug, Clone)]
pub struct ListedKey {
    pub key: ApiKey,
    pub owner_name: String,
    pub workspaces: Vec<(WorkspaceId, String)>,
    pub status: KeyStatus,
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

/// A page of the keys that the asker may see: the newest first, those behind `after`, at most `most`. Without a status,
/// revoked keys are left out, and so are those that expired a while ago.
pub fn list(
    view: &mut View,
    filter: &ApiKeyFilter,
    after: Option<(Timestamp, ApiKeyId)>,
    most: i64,
) -> Result<Vec<ListedKey>, Refusal> {
    let places = KeyPlaces::some(view, Right::ApiKeysRead)?;
    let since = view.now.plus_seconds(-EXPIRED_SHOWN_SECONDS);
    let rows = ApiKeyFilter {
        only: places.only(),
        shown_since: filter.status.is_none().then_some(since),
        ..filter.clone()
    };
    page(view, &rows, after, most)
}

fn page(
    view: &mut View,
    rows: &ApiKeyFilter,
    after: Option<(Timestamp, ApiKeyId)>,
    most: i64,
) -> Result<Vec<ListedKey>, Refusal> {
    let keys = view
        .snapshot
        .list_api_keys_page(view.organization, rows, after, most)?;
    keys.into_iter().map(|key| listed_key(view, key)).collect()
}

/// Which live keys reach which workspace; their number is bounded by the cap.
#[derive(Debug, Clone, Default)]
pub struct KeyMap {
    pub workspaces: Vec<(WorkspaceId, String, Vec<ListedKey>)>,
    pub organization_wide: Vec<ListedKey>,
}

pub fn map(view: &mut View) -> Result<KeyMap, Refusal> {
    let places = KeyPlaces::some(view, Right::ApiKeysRead)?;
    let live = ApiKeyFilter {
        only: places.only(),
        // what ends at this instant has ended
        shown_since: Some(Timestamp::from_millis(view.now.millis() + 1)),
        ..ApiKeyFilter::default()
    };
    let (organization_wide, named): (Vec<_>, Vec<_>) = page(view, &live, None, i64::MAX)?
        .into_iter()
        .partition(|listed| listed.key.reach == ReachKind::Organization);
    let keys_of = |id: WorkspaceId| {
        let names_it =
            |listed: &&ListedKey| listed.workspaces.iter().any(|(named, _)| *named == id);
        named.iter().filter(names_it).cloned().collect()
    };
    let workspaces = places.workspaces(view)?.into_iter();
    Ok(KeyMap {
        workspaces: workspaces
            .map(|workspace| (workspace.id, workspace.name, keys_of(workspace.id)))
            .collect(),
        organization_wide,
    })
}

/// Everything there is to see of one key.
pub fn detail(view: &mut View, id: ApiKeyId) -> Result<KeyDetail, Refusal> {
    let (key, _) = api_keys::find(view, Right::ApiKeysRead, id)?;
    let listed = listed_key(view, key)?;
    let secrets = view.snapshot.list_api_key_secrets(id)?;
    let ids: Vec<String> = secrets.iter().map(|secret| secret.id.to_string()).collect();
    let mut shown = Vec::new();
    for (secret, user, at) in view.snapshot.list_disclosures_of(&ids)? {
        shown.push((secret, (user, name_of(view.snapshot, user)?, at)));
    }
    let detail = |secret: ApiKeySecret| SecretDetail {
        state: if secret.is_live(view.now) {
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
        creator_name: name_of(view.snapshot, listed.key.created_by)?,
        secrets,
        listed,
    })
}

pub fn name_of(snapshot: &mut Snapshot, user: UserId) -> Result<String, Error> {
    Ok(snapshot
        .find_user(user)?
        .map(|user| user.name)
        .unwrap_or_default())
}

/// The key with what stands beside it in lists.
pub fn listed_key(view: &mut View, key: ApiKey) -> Result<ListedKey, Refusal> {
    let workspaces = view.snapshot.list_api_key_workspaces(key.id)?;
    let owner_name = name_of(view.snapshot, key.owner_id)?;
    let has_ground = has_ground(view.snapshot, &key, &workspaces, view.now)?;
    Ok(ListedKey {
        status: status(&key, has_ground, view.now),
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
pub fn stands(snapshot: &mut Snapshot, key: &ApiKey, now: Timestamp) -> Result<bool, Error> {
    let workspaces = snapshot.list_api_key_workspaces(key.id)?;
    has_ground(snapshot, key, &workspaces, now)
}

/// False once the owner left, or lost every workspace of it.
fn has_ground(
    snapshot: &mut Snapshot,
    key: &ApiKey,
    workspaces: &[(WorkspaceId, String)],
    now: Timestamp,
) -> Result<bool, Error> {
    let owner = snapshot.find_membership(key.organization_id, key.owner_id, now)?;
    let Some(owner) = owner else {
        return Ok(false);
    };
    if owner.member.role.is_admin() {
        return Ok(true);
    }
    let roles = snapshot.list_workspace_roles(key.organization_id, key.owner_id)?;
    Ok(roles.iter().any(|(id, _)| {
        key.reach == ReachKind::Organization || workspaces.iter().any(|(named, _)| named == id)
    }))
}
