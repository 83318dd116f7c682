//! `/v1/roles`: the organization's own roles for its workspaces.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::{Answer, NoContent};
use super::call::Call;
use super::input::{Input, NoBody, NoPath, NoQuery, present};
use super::page::{Cursor, Limit, Page};
use crate::domain::Refusal;
use crate::domain::people::roles::{self, RoleSettings};
use crate::store::Tx;
use crate::store::roles::Role;
use crate::types::id::{OrganizationId, RoleId};
use crate::types::right::Right;
use crate::types::time::Timestamp;
use crate::web::problem::Problem;

const MANAGE: Right = Right::RolesManage;

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
    let (organization, caller, catalogue) = (call.organization()?, call.caller, call.catalogue());
    let RoleQuery { limit, cursor } = input.query;
    let rows = call
        .read(move |snapshot| {
            roles::list(
                snapshot,
                &catalogue,
                organization,
                &caller,
                Cursor::place(cursor),
                limit.rows(),
            )
        })
        .await?;
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
    let (organization, caller, catalogue) = (call.organization()?, call.caller, call.catalogue());
    let found = call
        .read(move |snapshot| {
            roles::get(snapshot, &catalogue, organization, &caller, input.path.id)
        })
        .await?;
    Ok(Answer::of(found.into()))
}

pub async fn create(
    call: Call,
    input: Input<NoPath, NoQuery, NewRoleBody>,
) -> Result<Answer<RoleView>, Problem> {
    let (organization, caller, catalogue) = (call.organization()?, call.caller, call.catalogue());
    call.ensure_in_organization(MANAGE)?;
    let NewRoleBody {
        name,
        description,
        permissions,
    } = input.body;
    let create = move |tx: &mut Tx| {
        let made = roles::create(
            tx,
            &catalogue,
            organization,
            &caller,
            RoleSettings {
                name,
                description,
                permissions,
            },
        )?;
        Ok((made.id.to_string(), made))
    };
    let again = move |tx: &mut Tx, id: &str| {
        let id = id.parse().map_err(|_| Refusal::NotFound)?;
        tx.find_role(organization, id)?.ok_or(Refusal::NotFound)
    };
    let made = call.create(organization, create, again).await?;
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
    let (organization, caller, catalogue, id) = (
        call.organization()?,
        call.caller,
        call.catalogue(),
        input.path.id,
    );
    call.ensure_in_organization(MANAGE)?;
    let RoleChangeBody {
        name,
        description,
        permissions,
    } = input.body;
    let change = move |tx: &mut Tx| {
        let before = RoleView::from(tx.find_role(organization, id)?.ok_or(Refusal::NotFound)?);
        let wanted = RoleSettings {
            name: name.unwrap_or(before.name),
            description: description.unwrap_or(before.description),
            permissions: permissions.unwrap_or(before.permissions),
        };
        roles::change(tx, &catalogue, organization, &caller, id, wanted)
    };
    let changed = call.write(organization, change).await?;
    Ok(Answer::of(changed.into()))
}

pub async fn delete(
    call: Call,
    input: Input<RolePath, NoQuery, NoBody>,
) -> Result<Answer<NoContent>, Problem> {
    let (organization, caller, catalogue) = (call.organization()?, call.caller, call.catalogue());
    call.ensure_in_organization(MANAGE)?;
    call.write(organization, move |tx| {
        roles::delete(tx, &catalogue, organization, &caller, input.path.id)
    })
    .await?;
    Ok(Answer::none())
}
