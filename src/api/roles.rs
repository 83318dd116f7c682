//! `/v1/roles`: the organization's own roles for its workspaces.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::{Answer, NoContent};
use super::call::Call;
use super::input::{Input, NoBody, NoPath, NoQuery, present};
use super::page::{Cursor, Limit, Page};
use crate::domain::Refusal;
use crate::domain::desk::{Desk, View};
use crate::domain::people::roles::{self, RoleChange, RoleSettings};
use crate::store::roles::Role;
use crate::types::id::{OrganizationId, RoleId};
use crate::types::time::Timestamp;
use crate::web::problem::Problem;

/// A role that the organization has made.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Role")]
pub struct RoleView {
    pub id: RoleId,
    pub organization: OrganizationId,
    pub name: String,
    pub description: String,
    /// Names of the permission catalogue.
    pub permissions: Vec<String>,
    pub created_at: Timestamp,
}

impl From<Role> for RoleView {
    fn from(role: Role) -> Self {
        Self {
            id: role.id,
            organization: role.organization_id,
            name: role.name,
            description: role.description,
            permissions: role
                .permissions
                .split(' ')
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
            created_at: role.created_at,
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RolePath {
    id: RoleId,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RoleQuery {
    #[serde(default)]
    limit: Limit,
    cursor: Option<Cursor<RoleId>>,
}

/// A role to be made.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewRole")]
pub struct NewRoleBody {
    #[schemars(length(min = 1, max = 100))]
    name: String,
    #[serde(default)]
    #[schemars(length(max = 500))]
    description: String,
    /// What the maker holds, and what can be held in a workspace.
    #[schemars(length(min = 1, max = 200))]
    permissions: Vec<String>,
}

/// What is to change of a role, for everybody who holds it; what is left out stays.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RoleChange")]
pub struct RoleChangeBody {
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "String", length(min = 1, max = 100))]
    name: Option<String>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "String", length(max = 500))]
    description: Option<String>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Vec<String>", length(min = 1, max = 200))]
    permissions: Option<Vec<String>>,
}

pub async fn list(
    call: Call,
    input: Input<NoPath, RoleQuery, NoBody>,
) -> Result<Answer<Page<RoleView>>, Problem> {
    let RoleQuery { limit, cursor } = input.query;
    let list = move |view: &mut View| roles::list(view, Cursor::place(cursor)?, limit.rows());
    let rows = call.ask(call.organization()?, list).await?;
    Ok(Answer::of(Page::of(
        limit,
        rows,
        |row| (row.created_at, row.id),
        RoleView::from,
    )))
}

pub async fn get(
    call: Call,
    input: Input<RolePath, NoQuery, NoBody>,
) -> Result<Answer<RoleView>, Problem> {
    let get = move |view: &mut View| roles::get(view, input.path.id);
    Ok(Answer::of(
        call.ask(call.organization()?, get).await?.into(),
    ))
}

pub async fn create(
    call: Call,
    input: Input<NoPath, NoQuery, NewRoleBody>,
) -> Result<Answer<RoleView>, Problem> {
    let NewRoleBody {
        name,
        description,
        permissions,
    } = input.body;
    let wanted = RoleSettings {
        name,
        description,
        permissions,
    };
    let create = move |desk: &mut Desk| {
        let made = roles::create(desk, &wanted)?;
        Ok((made.id.to_string(), made))
    };
    let again = move |desk: &mut Desk, id: &str| {
        let id = id.parse().map_err(|_| Refusal::NotFound)?;
        desk.tx
            .find_role(desk.organization, id)?
            .ok_or(Refusal::NotFound)
    };
    let made = call.make(call.organization()?, create, again).await?;
    Ok(Answer::made(
        made,
        |row| format!("/v1/roles/{}", row.id),
        RoleView::from,
    ))
}

pub async fn change(
    call: Call,
    input: Input<RolePath, NoQuery, RoleChangeBody>,
) -> Result<Answer<RoleView>, Problem> {
    let RoleChangeBody {
        name,
        description,
        permissions,
    } = input.body;
    let wanted = RoleChange {
        name,
        description,
        permissions,
    };
    let change = move |desk: &mut Desk| roles::change(desk, input.path.id, &wanted);
    Ok(Answer::of(
        call.change(call.organization()?, change).await?.into(),
    ))
}

pub async fn delete(
    call: Call,
    input: Input<RolePath, NoQuery, NoBody>,
) -> Result<Answer<NoContent>, Problem> {
    let delete = move |desk: &mut Desk| roles::delete(desk, input.path.id);
    call.change(call.organization()?, delete).await?;
    Ok(Answer::none())
}
