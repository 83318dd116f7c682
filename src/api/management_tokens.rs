//! `/v1/management-tokens`: which there are, and their end. Only a person makes one, in the Dev Centre.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::{Answer, NoContent};
use super::call::Call;
use super::input::{Input, NoBody, NoPath, NoQuery};
use super::page::{Cursor, Limit, Page};
use crate::domain::desk::{Desk, View};
use crate::domain::people::management_tokens::{self, ListedManagementToken};
use crate::types::id::{ManagementTokenId, OrganizationId, UserId, WorkspaceId};
use crate::types::state::ReachKind;
use crate::types::time::Timestamp;
use crate::web::problem::Problem;

/// A management token, by what may be shown of it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ManagementToken")]
pub struct ManagementTokenView {
    pub id: ManagementTokenId,
    pub organization: OrganizationId,
    pub name: String,
    /// How it starts.
    pub hint: String,
    /// Names of the permission catalogue. It never does more than whoever made it may at that moment.
    pub permissions: Vec<String>,
    /// null: the whole organization.
    pub workspaces: Option<Vec<WorkspaceId>>,
    pub created_by: UserId,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
}

impl From<ListedManagementToken> for ManagementTokenView {
    fn from(listed: ListedManagementToken) -> Self {
        let row = listed.token;
        Self {
            id: row.id,
            organization: row.organization_id,
            name: row.name,
            hint: row.hint,
            permissions: row.permissions.split(' ').map(str::to_owned).collect(),
            workspaces: (row.reach == ReachKind::Workspaces).then_some(listed.workspaces),
            created_by: row.user_id,
            created_at: row.created_at,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
            revoked_at: row.revoked_at,
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ManagementTokenPath {
    id: ManagementTokenId,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ManagementTokenQuery {
    #[serde(default)]
    limit: Limit,
    cursor: Option<Cursor<ManagementTokenId>>,
}

/// Those that are not revoked.
pub async fn list(
    call: Call,
    input: Input<NoPath, ManagementTokenQuery, NoBody>,
) -> Result<Answer<Page<ManagementTokenView>>, Problem> {
    let ManagementTokenQuery { limit, cursor } = input.query;
    let list =
        move |view: &mut View| management_tokens::list(view, Cursor::place(cursor)?, limit.rows());
    let rows = call.ask(call.organization()?, list).await?;
    Ok(Answer::of(Page::of(
        limit,
        rows,
        |row| (row.token.created_at, row.token.id),
        ManagementTokenView::from,
    )))
}

pub async fn get(
    call: Call,
    input: Input<ManagementTokenPath, NoQuery, NoBody>,
) -> Result<Answer<ManagementTokenView>, Problem> {
    let get = move |view: &mut View| management_tokens::get(view, input.path.id);
    Ok(Answer::of(
        call.ask(call.organization()?, get).await?.into(),
    ))
}

pub async fn delete(
    call: Call,
    input: Input<ManagementTokenPath, NoQuery, NoBody>,
) -> Result<Answer<NoContent>, Problem> {
    let revoke = move |desk: &mut Desk| management_tokens::revoke(desk, input.path.id);
    call.change(call.organization()?, revoke).await?;
    Ok(Answer::none())
}
