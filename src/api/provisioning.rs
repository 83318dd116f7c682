//! Provisioning by operator tokens: upserts by `external_id`, one at a time and in bulk. Everything is safe to repeat.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::call::Call;
use super::input::{Input, NoPath, NoQuery, present};
use super::organizations::OrganizationView;
use super::subscriptions::SubscriptionBody;
use super::upsert::{ExternalPath, Put, upsert};
use super::workspaces::WorkspaceView;
use crate::domain::desk::{Desk, VendorDesk, VendorView};
use crate::domain::lifecycle::provisioning::{self, WantedMember, WantedOrganization, WantedUser};
use crate::domain::people::organizations::Effect;
use crate::domain::{Refusal, ensure};
use crate::store;
use crate::types::right::Right;
use crate::types::state::{Licence, OrganizationRole, OrganizationState};
use crate::web::problem::Problem;

/// Organizations, workspaces and users of one bulk request, together.
pub const MOST_ITEMS: usize = 500;

/// An organization as it is to be; what is left out stays. A new one needs a name.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "OrganizationUpsert")]
pub struct OrganizationUpsert {
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "String", length(min = 1, max = 100))]
    name: Option<String>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "String")]
    time_zone: Option<String>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "OrganizationState")]
    state: Option<OrganizationState>,
}

/// A workspace as it is to be. A new one needs a name.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "WorkspaceUpsert")]
pub struct WorkspaceUpsert {
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "String", length(min = 1, max = 100))]
    name: Option<String>,
}

pub async fn put_organization(
    call: Call,
    input: Input<ExternalPath, NoQuery, OrganizationUpsert>,
) -> Result<Answer<Put<OrganizationView>>, Problem> {
    let external_id = input.path.external_id;
    let OrganizationUpsert {
        name,
        time_zone,
        state,
    } = input.body;
    let wanted = WantedOrganization {
        name,
        time_zone,
        state,
        ..WantedOrganization::default()
    };
    let put =
        move |desk: &mut VendorDesk| provisioning::put_organization(desk, &external_id, &wanted);
    let (row, effect) = upsert(&call, put).await?;
    Ok(Answer::of(Put::of(effect, row.into())))
}

/// `?organization=` names whose it is.
pub async fn put_workspace(
    call: Call,
    input: Input<ExternalPath, NoQuery, WorkspaceUpsert>,
) -> Result<Answer<Put<WorkspaceView>>, Problem> {
    let organization = call.organization()?;
    let (external_id, name) = (input.path.external_id, input.body.name);
    let put = move |desk: &mut VendorDesk| {
        desk.tx.advance_generation(organization)?;
        provisioning::put_workspace(&mut desk.at(organization), &external_id, name.as_deref())
    };
    let (row, effect) = upsert(&call, put).await?;
    Ok(Answer::of(Put::of(effect, row.into())))
}

/// Everything of some organizations, at most 500 items together.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Provisioning")]
pub struct ProvisioningBody {
    organizations: Vec<OrganizationItem>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrganizationItem {
    external_id: String,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "String")]
    name: Option<String>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "String")]
    time_zone: Option<String>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "OrganizationState")]
    state: Option<OrganizationState>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "SubscriptionBody")]
    subscription: Option<SubscriptionBody>,
    #[serde(default)]
    workspaces: Vec<WorkspaceItem>,
    #[serde(default)]
    users: Vec<UserItem>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkspaceItem {
    external_id: String,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "String")]
    name: Option<String>,
}

/// A person and their membership in the organization.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UserItem {
    external_id: String,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "String")]
    email: Option<String>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "String")]
    name: Option<String>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "OrganizationRole")]
    role: Option<OrganizationRole>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Licence")]
    licence: Option<Licence>,
    #[serde(default)]
    workspaces: Vec<WorkspaceRole>,
}

/// A workspace of the organization, and the role there.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ProvisionedWorkspaceRole")]
pub struct WorkspaceRole {
    external_id: String,
    role: String,
}

/// One result per item, in the order of the request.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ProvisioningResults")]
pub struct Results {
    organizations: Vec<OrganizationResult>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct OrganizationResult {
    #[serde(flatten)]
    result: ItemResult,
    workspaces: Vec<ItemResult>,
    users: Vec<ItemResult>,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ItemResult {
    external_id: String,
    /// `created`, `updated`, `unchanged`, `refused`, or `skipped`, when the organization itself was refused.
    outcome: &'static str,
    id: Option<String>,
    /// Of a refusal, as in problems.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl ItemResult {
    fn done(external_id: &str, id: &str, effect: Effect) -> Self {
        Self {
            external_id: external_id.to_owned(),
            outcome: effect.as_str(),
            id: Some(id.to_owned()),
            code: None,
            detail: None,
        }
    }

    fn skipped(external_id: &str) -> Self {
        Self {
            external_id: external_id.to_owned(),
            outcome: "skipped",
            id: None,
            code: None,
            detail: None,
        }
    }

    fn refused(external_id: &str, refusal: &Refusal) -> Self {
        let detail = match refusal {
            Refusal::Invalid(errors) => errors
                .iter()
                .map(|(field, message)| format!("{field} {message}"))
                .collect::<Vec<_>>()
                .join("; "),
            other => other.to_string(),
        };
        let code = Problem::from(refusal.clone()).code();
        Self {
            external_id: external_id.to_owned(),
            outcome: "refused",
            id: None,
            code: Some(code),
            detail: Some(detail),
        }
    }
}

/// One transaction per organization. An item that is refused changes nothing and leaves the others alone.
pub async fn bulk(
    call: Call,
    input: Input<NoPath, NoQuery, ProvisioningBody>,
) -> Result<Answer<Results>, Problem> {
    let items = input.body.organizations;
    let count: usize = items
        .iter()
        .map(|item| 1 + item.workspaces.len() + item.users.len())
        .sum();
    let detail = format!("There are {count} items; at most {MOST_ITEMS} fit into one request.");
    ensure(
        count <= MOST_ITEMS,
        Problem::bad_request("too_many_items", detail),
    )?;
    if items.iter().any(|item| item.subscription.is_some()) {
        let may = |view: &mut VendorView| view.ensure(Right::OperatorSubscriptions);
        call.ask_vendor(may).await?;
    }
    let mut organizations = Vec::new();
    for item in items {
        organizations.push(provision(&call, item).await?);
    }
    Ok(Answer::of(Results { organizations }))
}

async fn provision(call: &Call, item: OrganizationItem) -> Result<OrganizationResult, Problem> {
    let wanted = item.clone();
    match upsert(call, move |desk| put_all(desk, &wanted)).await {
        Ok(result) => Ok(result),
        // the database is away: whatever was done is safe to repeat
        Err(Refusal::Store(error @ store::Error::Unavailable(_))) => Err(error.into()),
        Err(refusal) => Ok(OrganizationResult {
            result: ItemResult::refused(&item.external_id, &refusal),
            workspaces: item
                .workspaces
                .iter()
                .map(|item| ItemResult::skipped(&item.external_id))
                .collect(),
            users: item
                .users
                .iter()
                .map(|item| ItemResult::skipped(&item.external_id))
                .collect(),
        }),
    }
}

fn put_all(desk: &mut VendorDesk, item: &OrganizationItem) -> Result<OrganizationResult, Refusal> {
    let wanted = WantedOrganization {
        name: item.name.clone(),
        time_zone: item.time_zone.clone(),
        // nothing can be made in a suspended organization: that comes last, resuming first
        state: item
            .state
            .filter(|state| *state == OrganizationState::Active),
        subscription: item.subscription.clone().map(SubscriptionBody::wanted),
        names_workspaces: !item.workspaces.is_empty(),
    };
    let (organization, mut effect) =
        provisioning::put_organization(desk, &item.external_id, &wanted)?;
    let mut own = desk.at(organization.id);
    let mut workspaces = Vec::new();
    for item in &item.workspaces {
        workspaces.push(put_workspace_item(&mut own, item)?);
    }
    if effect == Effect::Created {
        provisioning::ensure_workspace(&mut own)?;
    }
    let mut users = Vec::new();
    for item in &item.users {
        let founds = effect == Effect::Created;
        users.push(put_user_item(&mut own, item, founds)?);
    }
    if item.state == Some(OrganizationState::Suspended) {
        let suspend = WantedOrganization {
            state: item.state,
            ..WantedOrganization::default()
        };
        let done = provisioning::put_organization(desk, &item.external_id, &suspend)?.1;
        effect = effect.max(done);
    }
    Ok(OrganizationResult {
        result: ItemResult::done(&item.external_id, organization.id.as_str(), effect),
        workspaces,
        users,
    })
}

/// A refusal is told of the item; a failing database ends the transaction.
fn told(external_id: &str, done: Result<ItemResult, Refusal>) -> Result<ItemResult, Refusal> {
    match done {
        Err(Refusal::Store(error)) => Err(Refusal::Store(error)),
        Err(refusal) => Ok(ItemResult::refused(external_id, &refusal)),
        Ok(result) => Ok(result),
    }
}

fn put_workspace_item(desk: &mut Desk, item: &WorkspaceItem) -> Result<ItemResult, Refusal> {
    let done = provisioning::put_workspace(desk, &item.external_id, item.name.as_deref());
    told(
        &item.external_id,
        done.map(|(row, effect)| ItemResult::done(&item.external_id, row.id.as_str(), effect)),
    )
}

fn put_user_item(desk: &mut Desk, item: &UserItem, founds: bool) -> Result<ItemResult, Refusal> {
    let user = WantedUser {
        email: item.email.clone(),
        name: item.name.clone(),
        state: None,
    };
    let roles = item
        .workspaces
        .iter()
        .map(|at| (at.external_id.clone(), at.role.clone()))
        .collect();
    let member = WantedMember {
        role: item.role,
        licence: item.licence,
        workspaces: roles,
        founds,
    };
    let done = provisioning::put_person(desk, &item.external_id, &user, &member);
    told(
        &item.external_id,
        done.map(|(row, effect)| ItemResult::done(&item.external_id, row.id.as_str(), effect)),
    )
}
