//! `/v1/service-accounts`: members that nobody signs in as.

use schemars::JsonSchema;
use serde::Deserialize;

use super::answer::Answer;
use super::call::Call;
use super::input::{Input, NoBody, NoPath, NoQuery, present};
use super::members::{
    self as member_noun, MemberPath, MemberQuery, MemberView, RemovalQuery, RemovalView,
    WorkspaceRole,
};
use super::page::Page;
use crate::domain::people::members::{self, MANAGE, MemberChange, READ};
use crate::domain::people::service_accounts::{self, NewServiceAccount};
use crate::domain::{Refusal, ensure};
use crate::store::Tx;
use crate::types::id::UserId;
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
    member_noun::page(call, input.query, Some(UserKind::ServiceAccount)).await
}

pub async fn get(
    call: Call,
    input: Input<MemberPath, NoQuery, NoBody>,
) -> Result<Answer<MemberView>, Problem> {
    let (organization, caller, catalogue, within) = (
        call.organization()?,
        call.caller,
        call.catalogue(),
        call.places_of(READ),
    );
    let found = call
        .read(move |snapshot| {
            service_accounts::get(
                snapshot,
                &catalogue,
                organization,
                &caller,
                input.path.id,
                within,
            )
        })
        .await?;
    Ok(Answer::of(found.into()))
}

pub async fn create(
    call: Call,
    input: Input<NoPath, NoQuery, NewServiceAccountBody>,
) -> Result<Answer<MemberView>, Problem> {
    let (organization, caller, catalogue) = (call.organization()?, call.caller, call.catalogue());
    call.ensure_in_organization(MANAGE)?;
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
    let shared = call.catalogue();
    let create = move |tx: &mut Tx| {
        let made = service_accounts::create(tx, &catalogue, organization, &caller, &new)?;
        Ok((made.user.id.to_string(), made))
    };
    let again = move |tx: &mut Tx, id: &str| {
        let id: UserId = id.parse().map_err(|_| Refusal::NotFound)?;
        service_accounts::get(tx, &shared, organization, &caller, id, None)
    };
    let made = call.create(organization, create, again).await?;
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
    let (organization, caller, catalogue, id) = (
        call.organization()?,
        call.caller,
        call.catalogue(),
        input.path.id,
    );
    call.ensure_in_organization(MANAGE)?;
    let ServiceAccountChangeBody { name, role, state } = input.body;
    let change = move |tx: &mut Tx| {
        let found = service_accounts::get(tx, &catalogue, organization, &caller, id, None)?;
        ensure(
            found.user.kind == UserKind::ServiceAccount,
            Refusal::NotFound,
        )?;
        if let Some(name) = &name {
            service_accounts::rename(tx, &catalogue, organization, &caller, id, name)?;
        }
        members::change(
            tx,
            &catalogue,
            organization,
            &caller,
            id,
            &MemberChange {
                role,
                state,
                ..MemberChange::default()
            },
        )
    };
    let changed = call.write(organization, change).await?;
    Ok(Answer::of(changed.into()))
}

pub async fn delete(
    call: Call,
    input: Input<MemberPath, RemovalQuery, NoBody>,
) -> Result<Answer<RemovalView>, Problem> {
    member_noun::remove(
        call,
        input.path.id,
        input.query.shown()?,
        Some(UserKind::ServiceAccount),
    )
    .await
}
