//! `/v1/api-keys`: list, read, create, change, revoke. What a key goes through in its life stands in `api_key_life`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::{Answer, NoContent};
use super::api_key_views::{KeyDetailView, KeyView, KeyWithSecretView, WorkspaceNameView};
use super::call::Call;
use super::input::{Input, NoBody, NoPath, NoQuery, present};
use super::page::{Cursor, Limit, Page};
use crate::crypto::Plaintext;
use crate::crypto::digest::Purpose;
use crate::crypto::format::mint_key;
use crate::domain::desk::{Desk, View};
use crate::domain::keys::api_keys::{self, Minted, NewApiKey, Reach};
use crate::domain::keys::changes::{self, KeyChange};
use crate::domain::keys::expiry::Expiry;
use crate::domain::keys::lists::{self, ListedKey};
use crate::domain::{Refusal, ensure};
use crate::store::api_keys::{ApiKey, ApiKeyFilter, KeyStatus};
use crate::types::environment::Environment;
use crate::types::id::{ApiKeyId, UserId, WorkspaceId};
use crate::types::state::{ApiKeyState, PermissionLevel, ReachKind};
use crate::types::time::Timestamp;
use crate::web::problem::Problem;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyPath {
    pub id: ApiKeyId,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyQuery {
    #[serde(default)]
    limit: Limit,
    cursor: Option<Cursor<ApiKeyId>>,
    environment: Option<Environment>,
    /// pending, active, paused, deactivated, expired or revoked. Without it, revoked keys are left out, and keys that expired
    /// more than 30 days ago.
    state: Option<StateWord>,
    owner: Option<UserId>,
    /// Keys that name this workspace.
    workspace: Option<WorkspaceId>,
    permission_level: Option<PermissionLevel>,
    /// organization or workspaces.
    scope: Option<ScopeWord>,
    /// Letters in the name, in any case.
    name: Option<String>,
    /// Neither made nor used since then.
    unused_since: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StateWord {
    Pending,
    Active,
    Paused,
    Deactivated,
    Expired,
    Revoked,
}

impl From<StateWord> for KeyStatus {
    fn from(word: StateWord) -> Self {
        match word {
            StateWord::Pending => Self::Stored(ApiKeyState::Pending),
            StateWord::Active => Self::Stored(ApiKeyState::Active),
            StateWord::Paused => Self::Stored(ApiKeyState::Paused),
            StateWord::Deactivated => Self::Stored(ApiKeyState::Deactivated),
            StateWord::Revoked => Self::Stored(ApiKeyState::Revoked),
            StateWord::Expired => Self::Expired,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScopeWord {
    Organization,
    Workspaces,
}

/// An API key to be created. Exactly one of `expires_in_days`, `expires_on`, `expires_at` and `never_expires` says when it ends.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewApiKey")]
pub struct NewKeyBody {
    #[serde(default)]
    #[schemars(length(max = 100))]
    name: String,
    #[serde(default)]
    #[schemars(length(max = 500))]
    description: String,
    environment: Environment,
    scope: ScopeWord,
    /// With the scope workspaces: at least one.
    #[serde(default)]
    #[schemars(length(max = 1000))]
    workspaces: Vec<WorkspaceId>,
    permission_level: PermissionLevel,
    /// With the scope organization: the key may create workspaces and users.
    #[serde(default)]
    organization_operations: bool,
    /// The key may rotate itself.
    #[serde(default)]
    self_rotation: bool,
    /// 30, 90 and 365 are usual.
    #[schemars(range(min = 1, max = 3650))]
    expires_in_days: Option<i64>,
    /// To the end of this day where the organization is: 2026-01-31.
    expires_on: Option<String>,
    expires_at: Option<Timestamp>,
    /// Not recommended.
    #[serde(default)]
    never_expires: bool,
    /// No secret now: it is made when the key is handed over.
    #[serde(default)]
    pending: bool,
    /// Only an operator token names another member.
    owner: Option<UserId>,
}

/// What is to change of an API key; what is left out stays. Scope, permission and expiry only ever narrow.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ApiKeyChange")]
pub struct KeyChangeBody {
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "String", length(max = 100))]
    name: Option<String>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "String", length(max = 500))]
    description: Option<String>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "PermissionLevel")]
    permission_level: Option<PermissionLevel>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Vec<WorkspaceId>", length(min = 1, max = 1000))]
    workspaces: Option<Vec<WorkspaceId>>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Timestamp")]
    expires_at: Option<Timestamp>,
    /// Only off.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "bool")]
    organization_operations: Option<bool>,
    /// Only off.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "bool")]
    self_rotation: Option<bool>,
}

impl From<ScopeWord> for ReachKind {
    fn from(word: ScopeWord) -> Self {
        match word {
            ScopeWord::Organization => Self::Organization,
            ScopeWord::Workspaces => Self::Workspaces,
        }
    }
}

impl Call {
    /// A new key, and what is stored of it.
    pub fn mint_key(&self, environment: Environment) -> (Minted, Plaintext) {
        let keys = &self.app.config.keys;
        let (public_id, secret) = mint_key(&keys.prefix, keys.marker(environment));
        (
            Minted {
                public_id,
                digest: self.app.digester.digest(Purpose::ApiKey, secret.expose()),
            },
            secret,
        )
    }

    /// Another secret of a key that there is: it begins as the key's others do.
    pub fn mint_for(&self, key: &ApiKey) -> (Minted, Plaintext) {
        let (public_id, secret) = mint_key(&key.prefix, &key.marker);
        (
            Minted {
                public_id,
                digest: self.app.digester.digest(Purpose::ApiKey, secret.expose()),
            },
            secret,
        )
    }
}

pub async fn list(
    call: Call,
    input: Input<NoPath, KeyQuery, NoBody>,
) -> Result<Answer<Page<KeyView>>, Problem> {
    let query = input.query;
    let filter = ApiKeyFilter {
        environment: query.environment,
        status: query.state.map(|state| (state.into(), call.facts.now)),
        name: query.name,
        unused_since: query.unused_since,
        owner: query.owner,
        permission_level: query.permission_level,
        reach: query.scope.map(ReachKind::from),
        workspace: query.workspace,
        ..ApiKeyFilter::default()
    };
    let (after, limit) = (Cursor::place(query.cursor)?, query.limit);
    let list = move |view: &mut View| lists::list(view, &filter, after, limit.rows());
    let listed = call.ask(call.organization()?, list).await?;
    let now = call.facts.now;
    Ok(Answer::of(Page::of(
        limit,
        listed,
        |listed| (listed.key.created_at, listed.key.id),
        |listed| KeyView::of(listed, now),
    )))
}

pub async fn get(
    call: Call,
    input: Input<KeyPath, NoQuery, NoBody>,
) -> Result<Answer<KeyDetailView>, Problem> {
    let detail = move |view: &mut View| lists::detail(view, input.path.id);
    let detail = call.ask(call.organization()?, detail).await?;
    Ok(Answer::of(KeyDetailView::of(detail, call.facts.now)))
}

pub async fn create(
    call: Call,
    input: Input<NoPath, NoQuery, NewKeyBody>,
) -> Result<Answer<KeyWithSecretView>, Problem> {
    let (minted, secret) = call.mint_key(input.body.environment);
    let (minted, secret) = if input.body.pending {
        (None, None)
    } else {
        (Some(minted), Some(secret))
    };
    let new = new_key(input.body, minted)?;
    let create = move |desk: &mut Desk| {
        let key = api_keys::create(desk, &new)?;
        listed(desk, key)
    };
    let made = call.make(call.organization()?, create, again).await?;
    let (replayed, now) = (made.replayed, call.facts.now);
    Ok(Answer::made(
        made,
        |listed| format!("/v1/api-keys/{}", listed.key.id),
        |listed| KeyWithSecretView::of(listed, secret, replayed, now),
    ))
}

/// What a create gives.
pub fn listed(desk: &mut Desk, key: ApiKey) -> Result<(String, ListedKey), Refusal> {
    Ok((
        key.id.to_string(),
        lists::listed_key(&mut desk.view(), key)?,
    ))
}

/// What a repeated create gives: the key that the first one made.
pub fn again(desk: &mut Desk, id: &str) -> Result<ListedKey, Refusal> {
    let id = id.parse().map_err(|_| Refusal::NotFound)?;
    let key = desk
        .tx
        .find_api_key(desk.organization, id)?
        .ok_or(Refusal::NotFound)?;
    lists::listed_key(&mut desk.view(), key)
}

fn new_key(body: NewKeyBody, secret: Option<Minted>) -> Result<NewApiKey, Refusal> {
    let reach = match body.scope {
        ScopeWord::Organization => {
            ensure(
                body.workspaces.is_empty(),
                Refusal::field("workspaces", "belongs to the scope workspaces"),
            )?;
            Reach::Organization {
                operations: body.organization_operations,
            }
        }
        ScopeWord::Workspaces => {
            let own = "belongs to the scope organization";
            ensure(
                !body.organization_operations,
                Refusal::field("organization_operations", own),
            )?;
            let mut workspaces = body.workspaces;
            workspaces.sort_unstable();
            workspaces.dedup();
            Reach::Workspaces(workspaces)
        }
    };
    Ok(NewApiKey {
        owner: body.owner,
        expiry: expiry(
            body.expires_in_days,
            body.expires_on,
            body.expires_at,
            body.never_expires,
        )?,
        name: body.name,
        description: body.description,
        environment: body.environment,
        reach,
        permission_level: body.permission_level,
        self_rotation: body.self_rotation,
        secret,
    })
}

/// An end is never guessed.
pub fn expiry(
    in_days: Option<i64>,
    on: Option<String>,
    at: Option<Timestamp>,
    never: bool,
) -> Result<Expiry, Refusal> {
    let one = "Say exactly one of expires_in_days, expires_on, expires_at and never_expires.";
    match (in_days, on, at, never) {
        (Some(days), None, None, false) => Ok(Expiry::InDays(days)),
        (None, Some(date), None, false) => Ok(Expiry::OnDate(date)),
        (None, None, Some(end), false) => Ok(Expiry::At(end)),
        (None, None, None, true) => Ok(Expiry::Never),
        _ => Err(Refusal::field("expires_in_days", one)),
    }
}

pub async fn change(
    call: Call,
    input: Input<KeyPath, NoQuery, KeyChangeBody>,
) -> Result<Answer<KeyView>, Problem> {
    let KeyChangeBody {
        name,
        description,
        permission_level,
        workspaces,
        expires_at,
        organization_operations,
        self_rotation,
    } = input.body;
    let wanted = KeyChange {
        name,
        description,
        permission_level,
        workspaces,
        expires_at,
        organization_operations,
        self_rotation,
    };
    let change = move |desk: &mut Desk| {
        let key = changes::change(desk, input.path.id, &wanted)?;
        lists::listed_key(&mut desk.view(), key)
    };
    let changed = call.change(call.organization()?, change).await?;
    Ok(Answer::of(KeyView::of(changed, call.facts.now)))
}

/// By who manages it, or by the key itself.
pub async fn delete(
    call: Call,
    input: Input<KeyPath, NoQuery, NoBody>,
) -> Result<Answer<NoContent>, Problem> {
    let id = input.path.id;
    let is_itself = call.own_key(id)?.is_some();
    let end = move |desk: &mut Desk| {
        if is_itself {
            changes::revoke_itself(desk, id)
        } else {
            changes::revoke(desk, id)
        }
    };
    call.change(call.organization()?, end).await?;
    Ok(Answer::none())
}

/// Which keys name a workspace.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "WorkspaceKeys")]
pub struct WorkspaceKeysView {
    workspace: WorkspaceNameView,
    api_keys: Vec<KeyView>,
}

/// Which live keys reach which workspace (row 30).
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ApiKeyMap")]
pub struct KeyMapView {
    data: Vec<WorkspaceKeysView>,
    /// They reach every workspace.
    organization_wide: Vec<KeyView>,
}

pub async fn workspaces(
    call: Call,
    _: Input<NoPath, NoQuery, NoBody>,
) -> Result<Answer<KeyMapView>, Problem> {
    let map = call.ask(call.organization()?, lists::map).await?;
    let views = |keys: Vec<ListedKey>| {
        keys.into_iter()
            .map(|listed| KeyView::of(listed, call.facts.now))
            .collect()
    };
    let row = |(id, name, keys)| WorkspaceKeysView {
        workspace: WorkspaceNameView { id, name },
        api_keys: views(keys),
    };
    Ok(Answer::of(KeyMapView {
        data: map.workspaces.into_iter().map(row).collect(),
        organization_wide: views(map.organization_wide),
    }))
}
