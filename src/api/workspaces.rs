//! `/v1/workspaces`: the pattern of every noun.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::{Answer, NoContent};
use super::call::Call;
use super::input::{Change, Input, NoBody, NoPath, NoQuery, present};
use super::page::{Cursor, Limit, Page};
use crate::domain::Refusal;
use crate::domain::desk::{Desk, View};
use crate::domain::people::workspaces::{self, NewWorkspace, WorkspaceChange};
use crate::store::workspaces::{Workspace, WorkspaceFilter};
use crate::types::id::{OrganizationId, WorkspaceId};
use crate::types::time::Timestamp;
use crate::web::problem::Problem;

/// A workspace.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Workspace")]
pub struct WorkspaceView {
    pub id: WorkspaceId,
    pub organization: OrganizationId,
    pub name: String,
    /// The vendor's own name for it.
    pub external_id: Option<String>,
    /// For keys of organization admins.
    pub is_service: bool,
    pub created_at: Timestamp,
}

impl From<Workspace> for WorkspaceView {
    fn from(row: Workspace) -> Self {
        Self {
            id: row.id,
            organization: row.organization_id,
            name: row.name,
            external_id: row.external_id,
            is_service: row.is_service,
            created_at: row.created_at,
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkspacePath {
    id: WorkspaceId,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkspaceQuery {
    #[serde(default)]
    limit: Limit,
    cursor: Option<Cursor<WorkspaceId>>,
    /// Exactly this name.
    name: Option<String>,
    external_id: Option<String>,
}

/// A workspace to be created.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewWorkspace")]
pub struct NewWorkspaceBody {
    #[schemars(length(min = 1, max = 100))]
    name: String,
    /// Only an operator token sets it.
    #[schemars(length(min = 1, max = 100))]
    external_id: Option<String>,
    /// For keys of organization admins: where the vendor says so, only keys of such workspaces do organization operations.
    #[serde(default)]
    is_service: bool,
}

/// What is to change of a workspace; what is left out stays.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "WorkspaceChange")]
pub struct WorkspaceChangeBody {
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "String", length(min = 1, max = 100))]
    name: Option<String>,
    /// null takes it away. Only an operator token sets it.
    #[serde(default)]
    external_id: Change<String>,
}

pub async fn list(
    call: Call,
    input: Input<NoPath, WorkspaceQuery, NoBody>,
) -> Result<Answer<Page<WorkspaceView>>, Problem> {
    let WorkspaceQuery {
        limit,
        cursor,
        name,
        external_id,
    } = input.query;
    let filter = WorkspaceFilter {
        name,
        external_id,
        only: None,
    };
    let list = move |view: &mut View| {
        workspaces::list(view, &filter, Cursor::place(cursor)?, limit.rows())
    };
    let rows = call.ask(call.organization()?, list).await?;
    Ok(Answer::of(Page::of(
        limit,
        rows,
        |row| (row.created_at, row.id),
        WorkspaceView::from,
    )))
}

pub async fn get(
    call: Call,
    input: Input<WorkspacePath, NoQuery, NoBody>,
) -> Result<Answer<WorkspaceView>, Problem> {
    let get = move |view: &mut View| workspaces::get(view, input.path.id);
    Ok(Answer::of(
        call.ask(call.organization()?, get).await?.into(),
    ))
}

pub async fn create(
    call: Call,
    input: Input<NoPath, NoQuery, NewWorkspaceBody>,
) -> Result<Answer<WorkspaceView>, Problem> {
    let NewWorkspaceBody {
        name,
        external_id,
        is_service,
    } = input.body;
    let new = NewWorkspace {
        name,
        external_id,
        is_service,
    };
    let create = move |desk: &mut Desk| {
        let made = workspaces::create(desk, &new)?;
        Ok((made.id.to_string(), made))
    };
    let again = move |desk: &mut Desk, id: &str| {
        let id = id.parse().map_err(|_| Refusal::NotFound)?;
        desk.tx
            .find_workspace(desk.organization, id)?
            .ok_or(Refusal::NotFound)
    };
    let made = call.make(call.organization()?, create, again).await?;
    Ok(Answer::made(
        made,
        |row| format!("/v1/workspaces/{}", row.id),
        WorkspaceView::from,
    ))
}

pub async fn change(
    call: Call,
    input: Input<WorkspacePath, NoQuery, WorkspaceChangeBody>,
) -> Result<Answer<WorkspaceView>, Problem> {
    let wanted = WorkspaceChange {
        name: input.body.name,
        external_id: input.body.external_id.into_option(),
    };
    let change = move |desk: &mut Desk| workspaces::change(desk, input.path.id, &wanted);
    Ok(Answer::of(
        call.change(call.organization()?, change).await?.into(),
    ))
}

pub async fn delete(
    call: Call,
    input: Input<WorkspacePath, NoQuery, NoBody>,
) -> Result<Answer<NoContent>, Problem> {
    let delete = move |desk: &mut Desk| workspaces::delete(desk, input.path.id);
    call.change(call.organization()?, delete).await?;
    Ok(Answer::none())
}
