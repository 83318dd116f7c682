//! `/v1/service-accounts`: members that nobody signs in as.

use schemars::JsonSchema;
use serde::Deserialize;

use super::answer::Answer;
use super::call::Call;
use super::input::{Input, NoBody, NoPath, NoQuery, present};
use super::members::{
    self, MemberPath, MemberQuery, MemberView, RemovalQuery, RemovalView, WorkspaceRole,
};
use super::page::Page;
use crate::domain::Refusal;
use crate::domain::desk::{Desk, View};
use crate::domain::lifecycle::departures;
use crate::domain::people::service_accounts::{self, NewServiceAccount, ServiceAccountChange};
use crate::types::state::{MemberState, OrganizationRole, UserKind};
use crate::web::problem::Problem;

/// A service account to be made. It holds at most what its maker holds.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewServiceAccount")]
pub struct NewServiceAccountBody {
    #[schemars(length(min = 1, max = 100))]
    name: String,
    /// In the organization: `member` (left out) or `admin`.
    #[serde(default = "member")]
    role: OrganizationRole,
    #[serde(default)]
    #[schemars(length(max = 100))]
    workspaces: Vec<WorkspaceRole>,
}

fn member() -> OrganizationRole {
    OrganizationRole::Member
}

/// What is to change of a service account; what is left out stays.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ServiceAccountChange")]
pub struct ServiceAccountChangeBody {
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "String", length(min = 1, max = 100))]
    name: Option<String>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "OrganizationRole")]
    role: Option<OrganizationRole>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "MemberState")]
    state: Option<MemberState>,
}

pub async fn list(
    call: Call,
    input: Input<NoPath, MemberQuery, NoBody>,
) -> Result<Answer<Page<MemberView>>, Problem> {
    members::page(call, input.query, Some(UserKind::ServiceAccount)).await
}

pub async fn get(
    call: Call,
    input: Input<MemberPath, NoQuery, NoBody>,
) -> Result<Answer<MemberView>, Problem> {
    let get = move |view: &mut View| service_accounts::get(view, input.path.id);
    Ok(Answer::of(
        call.ask(call.organization()?, get).await?.into(),
    ))
}

pub async fn create(
    call: Call,
    input: Input<NoPath, NoQuery, NewServiceAccountBody>,
) -> Result<Answer<MemberView>, Problem> {
    let NewServiceAccountBody {
        name,
        role,
        workspaces,
    } = input.body;
    let new = NewServiceAccount {
        name,
        role,
        workspaces: WorkspaceRole::pairs(workspaces),
    };
    let create = move |desk: &mut Desk| {
        let made = service_accounts::create(desk, &new)?;
        Ok((made.user.id.to_string(), made))
    };
    let again = move |desk: &mut Desk, id: &str| {
        service_accounts::made(desk, id.parse().map_err(|_| Refusal::NotFound)?)
    };
    let made = call.make(call.organization()?, create, again).await?;
    Ok(Answer::made(
        made,
        |row| format!("/v1/service-accounts/{}", row.user.id),
        MemberView::from,
    ))
}

pub async fn change(
    call: Call,
    input: Input<MemberPath, NoQuery, ServiceAccountChangeBody>,
) -> Result<Answer<MemberView>, Problem> {
    let ServiceAccountChangeBody { name, role, state } = input.body;
    let wanted = ServiceAccountChange { name, role, state };
    let change = move |desk: &mut Desk| service_accounts::change(desk, input.path.id, &wanted);
    Ok(Answer::of(
        call.change(call.organization()?, change).await?.into(),
    ))
}

pub async fn delete(
    call: Call,
    input: Input<MemberPath, RemovalQuery, NoBody>,
) -> Result<Answer<RemovalView>, Problem> {
    let rule = departures::remove_service_account;
    members::remove(call, input.path.id, input.query, rule).await
}
