//! `/v1/api-key-requests`: members ask for keys, admins approve or refuse, members collect the secret once.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::{Answer, NoContent};
use super::api_key_views::{KeyWithSecretView, PersonView, word};
use super::api_keys::{self, expiry, listed};
use super::call::Call;
use super::input::{Input, NoBody, NoPath, NoQuery};
use super::page::{Cursor, Limit, Page};
use crate::domain::Refusal;
use crate::domain::desk::{Desk, View};
use crate::domain::keys::requests::{self, ListedRequest, NewKeyRequest};
use crate::types::environment::Environment;
use crate::types::id::{ApiKeyId, ApiKeyRequestId, UserId, WorkspaceId};
use crate::types::state::{KeyRequestState, PermissionLevel};
use crate::types::time::Timestamp;
use crate::web::problem::Problem;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestPath {
    id: ApiKeyRequestId,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestQuery {
    #[serde(default)]
    limit: Limit,
    cursor: Option<Cursor<ApiKeyRequestId>>,
    state: Option<RequestWord>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RequestWord {
    Open,
    Approved,
    Collected,
    Refused,
    Withdrawn,
}

impl From<RequestWord> for KeyRequestState {
    fn from(word: RequestWord) -> Self {
        match word {
            RequestWord::Open => Self::Open,
            RequestWord::Approved => Self::Approved,
            RequestWord::Collected => Self::Collected,
            RequestWord::Refused => Self::Refused,
            RequestWord::Withdrawn => Self::Withdrawn,
        }
    }
}

/// A key that a member asks for. Exactly one of `expires_in_days`, `expires_on`, `expires_at` and `never_expires` says when it ends.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewApiKeyRequest")]
pub struct NewRequestBody {
    #[serde(default)]
    #[schemars(length(max = 100))]
    name: String,
    /// What it is for: admins read it.
    #[schemars(length(min = 1, max = 500))]
    reason: String,
    environment: Environment,
    /// In each of which the member has a role.
    #[schemars(length(min = 1, max = 1000))]
    workspaces: Vec<WorkspaceId>,
    permission_level: PermissionLevel,
    #[schemars(range(min = 1, max = 3650))]
    expires_in_days: Option<i64>,
    expires_on: Option<String>,
    expires_at: Option<Timestamp>,
    #[serde(default)]
    never_expires: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ApiKeyRequestRefusal")]
pub struct RefusalBody {
    /// The member reads it.
    #[schemars(length(min = 1, max = 500))]
    reason: String,
}

/// A key that a member asks for.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ApiKeyRequest")]
pub struct RequestView {
    id: ApiKeyRequestId,
    requester: PersonView,
    name: String,
    reason: String,
    environment: Environment,
    workspaces: Vec<WorkspaceId>,
    permission_level: PermissionLevel,
    expires_at: Option<Timestamp>,
    /// open, approved (the secret waits for the requester), collected, refused or withdrawn.
    #[serde(serialize_with = "word")]
    state: KeyRequestState,
    decided_by: Option<UserId>,
    decided_at: Option<Timestamp>,
    decision_reason: Option<String>,
    /// Once it is approved.
    api_key: Option<ApiKeyId>,
    created_at: Timestamp,
}

impl From<ListedRequest> for RequestView {
    fn from(
        ListedRequest {
            request,
            requester_name,
        }: ListedRequest,
    ) -> Self {
        Self {
            id: request.id,
            requester: PersonView {
                id: request.requester_id,
                name: requester_name,
            },
            workspaces: request.workspaces(),
            name: request.name,
            reason: request.reason,
            environment: request.environment,
            permission_level: request.permission_level,
            expires_at: request.expires_at,
            state: request.state,
            decided_by: request.decided_by,
            decided_at: request.decided_at,
            decision_reason: request.decision_reason,
            api_key: request.api_key_id,
            created_at: request.created_at,
        }
    }
}

pub async fn list(
    call: Call,
    input: Input<NoPath, RequestQuery, NoBody>,
) -> Result<Answer<Page<RequestView>>, Problem> {
    let RequestQuery {
        limit,
        cursor,
        state,
    } = input.query;
    let state = state.map(KeyRequestState::from);
    let list =
        move |view: &mut View| requests::list(view, state, Cursor::place(cursor)?, limit.rows());
    let rows = call.ask(call.organization()?, list).await?;
    Ok(Answer::of(Page::of(
        limit,
        rows,
        |listed| (listed.request.created_at, listed.request.id),
        RequestView::from,
    )))
}

pub async fn get(
    call: Call,
    input: Input<RequestPath, NoQuery, NoBody>,
) -> Result<Answer<RequestView>, Problem> {
    let get = move |view: &mut View| requests::get(view, input.path.id);
    Ok(Answer::of(
        call.ask(call.organization()?, get).await?.into(),
    ))
}

pub async fn create(
    call: Call,
    input: Input<NoPath, NoQuery, NewRequestBody>,
) -> Result<Answer<RequestView>, Problem> {
    let body = input.body;
    let new = NewKeyRequest {
        name: body.name,
        reason: body.reason,
        environment: body.environment,
        workspaces: body.workspaces,
        permission_level: body.permission_level,
        expiry: expiry(
            body.expires_in_days,
            body.expires_on,
            body.expires_at,
            body.never_expires,
        )?,
    };
    let ask = move |desk: &mut Desk| {
        let request = requests::ask(desk, &new)?;
        let id = request.id.to_string();
        Ok((id, requests::with_name(desk.tx, request)?))
    };
    let again = move |desk: &mut Desk, id: &str| {
        let id = id.parse().map_err(|_| Refusal::NotFound)?;
        let request = desk
            .tx
            .find_api_key_request(desk.organization, id)?
            .ok_or(Refusal::NotFound)?;
        requests::with_name(desk.tx, request)
    };
    let made = call.make(call.organization()?, ask, again).await?;
    Ok(Answer::made(
        made,
        |listed| format!("/v1/api-key-requests/{}", listed.request.id),
        RequestView::from,
    ))
}

pub async fn approve(
    call: Call,
    input: Input<RequestPath, NoQuery, NoBody>,
) -> Result<Answer<RequestView>, Problem> {
    let approve = move |desk: &mut Desk| {
        let request = requests::approve(desk, input.path.id)?;
        requests::with_name(desk.tx, request)
    };
    Ok(Answer::of(
        call.change(call.organization()?, approve).await?.into(),
    ))
}

pub async fn refuse(
    call: Call,
    input: Input<RequestPath, NoQuery, RefusalBody>,
) -> Result<Answer<RequestView>, Problem> {
    let refuse = move |desk: &mut Desk| {
        let request = requests::refuse(desk, input.path.id, &input.body.reason)?;
        requests::with_name(desk.tx, request)
    };
    Ok(Answer::of(
        call.change(call.organization()?, refuse).await?.into(),
    ))
}

/// Withdraws it.
pub async fn delete(
    call: Call,
    input: Input<RequestPath, NoQuery, NoBody>,
) -> Result<Answer<NoContent>, Problem> {
    let withdraw = move |desk: &mut Desk| requests::withdraw(desk, input.path.id);
    call.change(call.organization()?, withdraw).await?;
    Ok(Answer::none())
}

/// The key with its secret, which is made now.
pub async fn collect(
    call: Call,
    input: Input<RequestPath, NoQuery, NoBody>,
) -> Result<Answer<KeyWithSecretView>, Problem> {
    let (organization, id) = (call.organization()?, input.path.id);
    let find = move |view: &mut View| {
        let request = view
            .snapshot
            .find_api_key_request(organization, id)?
            .ok_or(Refusal::NotFound)?;
        let key = request
            .api_key_id
            .map(|key| view.snapshot.find_api_key(organization, key))
            .transpose()?
            .flatten();
        Ok((request.environment, key))
    };
    let (environment, key) = call.ask(organization, find).await?;
    let (minted, secret) =
        key.map_or_else(|| call.mint_key(environment), |key| call.mint_for(&key));
    let collect = move |desk: &mut Desk| {
        let key = requests::collect(desk, id, &minted)?;
        listed(desk, key)
    };
    let made = call.make(organization, collect, api_keys::again).await?;
    let (replayed, now) = (made.replayed, call.facts.now);
    let view = |listed| KeyWithSecretView::of(listed, Some(secret), replayed, now);
    Ok(Answer::made(
        made,
        |listed| format!("/v1/api-keys/{}", listed.key.id),
        view,
    ))
}
