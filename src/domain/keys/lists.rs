//! What people see of API keys: lists, one key with its secrets, and which keys reach which workspace.

use crate::domain::Refusal;
use crate::domain::desk::View;
use crate::domain::keys::api_keys;
use crate::domain::keys::places::KeyPlaces;
use crate::store::api_key_secrets::ApiKeySecret;
use crate::store::api_keys::{ApiKey, ApiKeyFilter};
use crate::store::members::Member;
use crate::store::{Error, Snapshot};
use crate::types::id::{ApiKeyId, UserId, WorkspaceId};
use crate::types::right::Right;
use crate::types::state::{ApiKeySecretState, ApiKeyState, ReachKind};
use crate::types::time::Timestamp;

/// Rows that are read at once while a page is filled.
const BATCH: i64 = 200;

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

/// A page of the keys that the asker may see: the newest first, those behind `after`, at most `most`.
pub fn list(
    view: &mut View,
    filter: &ListFilter,
    after: Option<(Timestamp, ApiKeyId)>,
    most: i64,
) -> Result<Vec<ListedKey>, Refusal> {
    let places = KeyPlaces::some(view, Right::ApiKeysRead)?;
    let (state, live) = rows_of(filter.status);
    let rows = ApiKeyFilter {
        only: places.only(),
        state,
        live: live || filter.rows.live,
        ..filter.rows.clone()
    };
    let (mut listed, mut after) = (Vec::new(), after);
    loop {
        let batch = view
            .snapshot
            .list_api_keys_page(view.organization, &rows, after, BATCH)?;
        after = batch.last().map(|key| (key.created_at, key.id));
        let is_last = i64::try_from(batch.len()).unwrap_or(BATCH) < BATCH;
        for key in batch.into_iter().filter(|key| is_wanted(key, filter)) {
            let key = listed_key(view, key)?;
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

pub fn map(view: &mut View) -> Result<KeyMap, Refusal> {
    let places = KeyPlaces::some(view, Right::ApiKeysRead)?;
    let live = ListFilter {
        rows: ApiKeyFilter {
            live: true,
            ..ApiKeyFilter::default()
        },
        ..ListFilter::default()
    };
    let (organization_wide, named): (Vec<_>, Vec<_>) = list(view, &live, None, i64::MAX)?
        .into_iter()
        .filter(|listed| listed.status != KeyStatus::Expired)
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
