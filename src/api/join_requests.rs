//! `/v1/join-requests`: people who ask to join, because their address is in a domain of the organization.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::call::Call;
use super::input::{Input, NoBody, NoPath, NoQuery};
use super::invitations::{full, member};
use super::members::WorkspaceRole;
use super::page::{Cursor, Limit, Page};
use crate::domain::desk::{Desk, View};
use crate::domain::people::admission::Grant;
use crate::domain::people::join_requests;
use crate::store::join_requests::JoinRequest;
use crate::store::users::User;
use crate::types::id::{JoinRequestId, OrganizationId, UserId};
use crate::types::state::{JoinRequestState, Licence, OrganizationRole};
use crate::types::time::Timestamp;
use crate::web::problem::Problem;

/// A request to join.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "JoinRequest")]
pub struct JoinRequestView {
    pub id: JoinRequestId,
    pub organization: OrganizationId,
    pub user: UserId,
    pub name: String,
    pub email: Option<String>,
    /// In the person's words; may be empty.
    pub message: String,
    pub state: JoinRequestState,
    pub created_at: Timestamp,
    pub decided_by: Option<UserId>,
    pub decided_at: Option<Timestamp>,
    pub reason: Option<String>,
}

impl From<(JoinRequest, User)> for JoinRequestView {
    fn from((request, user): (JoinRequest, User)) -> Self {
        Self {
            id: request.id,
            organization: request.organization_id,
            user: user.id,
            name: user.name,
            email: user.email,
            message: request.message,
            state: request.state,
            created_at: request.created_at,
            decided_by: request.decided_by,
            decided_at: request.decided_at,
            reason: request.reason,
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinRequestPath {
    id: JoinRequestId,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinRequestQuery {
    #[serde(default)]
    limit: Limit,
    cursor: Option<Cursor<JoinRequestId>>,
    state: Option<JoinRequestState>,
}

/// As what the person joins.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "JoinApproval")]
pub struct ApprovalBody {
    #[serde(default = "member")]
    role: OrganizationRole,
    #[serde(default = "full")]
    licence: Licence,
    /// When the membership ends by itself.
    member_ends_at: Option<Timestamp>,
    #[serde(default)]
    #[schemars(length(max = 100))]
    workspaces: Vec<WorkspaceRole>,
}

/// Why the person does not join.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "JoinRefusal")]
pub struct RefusalBody {
    /// The person reads it.
    #[serde(default)]
    #[schemars(length(max = 500))]
    reason: String,
}

pub async fn list(
    call: Call,
    input: Input<NoPath, JoinRequestQuery, NoBody>,
) -> Result<Answer<Page<JoinRequestView>>, Problem> {
    let JoinRequestQuery {
        limit,
        cursor,
        state,
    } = input.query;
    let list = move |view: &mut View| {
        join_requests::list(view, state, Cursor::place(cursor)?, limit.rows())
    };
    let rows = call.ask(call.organization()?, list).await?;
    Ok(Answer::of(Page::of(
        limit,
        rows,
        |(row, _)| (row.created_at, row.id),
        JoinRequestView::from,
    )))
}

pub async fn get(
    call: Call,
    input: Input<JoinRequestPath, NoQuery, NoBody>,
) -> Result<Answer<JoinRequestView>, Problem> {
    let get = move |view: &mut View| join_requests::get(view, input.path.id);
    Ok(Answer::of(
        call.ask(call.organization()?, get).await?.into(),
    ))
}

pub async fn approve(
    call: Call,
    input: Input<JoinRequestPath, NoQuery, ApprovalBody>,
) -> Result<Answer<JoinRequestView>, Problem> {
    let ApprovalBody {
        role,
        licence,
        member_ends_at,
        workspaces,
    } = input.body;
    let grant = Grant {
        role,
        licence,
        ends_at: member_ends_at,
        workspaces: WorkspaceRole::pairs(workspaces),
    };
    let approve = move |desk: &mut Desk| join_requests::approve(desk, input.path.id, &grant);
    Ok(Answer::of(
        call.change(call.organization()?, approve).await?.into(),
    ))
}

pub async fn refuse(
    call: Call,
    input: Input<JoinRequestPath, NoQuery, RefusalBody>,
) -> Result<Answer<JoinRequestView>, Problem> {
    let (id, reason) = (input.path.id, input.body.reason);
    let refuse = move |desk: &mut Desk| join_requests::refuse(desk, id, &reason);
    Ok(Answer::of(
        call.change(call.organization()?, refuse).await?.into(),
    ))
}
