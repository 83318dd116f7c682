//! `/v1/organizations`: a credential sees its own; an operator token all of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::call::Call;
use super::input::{Input, NoBody, NoPath, NoQuery, present};
use super::page::{Cursor, Limit, Page};
use crate::domain::people::organizations::{self, OrganizationChange};
use crate::domain::{Refusal, ensure};
use crate::store::organizations::{Organization, OrganizationFilter};
use crate::types::id::OrganizationId;
use crate::types::state::{OrganizationState, ProductionAccess};
use crate::types::time::Timestamp;
use crate::web::problem::Problem;

/// An organization.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Organization")]
pub struct OrganizationView {
    pub id: OrganizationId,
    pub name: String,
    /// The vendor's own name for it.
    pub external_id: Option<String>,
    pub state: OrganizationState,
    pub production_access: ProductionAccess,
    /// An IANA name: in which a date without a time ends.
    pub time_zone: String,
    pub created_at: Timestamp,
}

impl From<Organization> for OrganizationView {
    fn from(row: Organization) -> Self {
        let Organization {
            id,
            name,
            external_id,
            state,
            production_access,
            time_zone,
            created_at,
            ..
        } = row;
        Self {
            id,
            name,
            external_id,
            state,
            production_access,
            time_zone,
            created_at,
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrganizationPath {
    pub(super) id: OrganizationId,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrganizationQuery {
    #[serde(default)]
    limit: Limit,
    cursor: Option<Cursor<OrganizationId>>,
    external_id: Option<String>,
    /// Exactly this name.
    name: Option<String>,
    state: Option<OrganizationState>,
    production_access: Option<ProductionAccess>,
    /// The name of a plan.
    plan: Option<String>,
}

/// What is to change of an organization; what is left out stays.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "OrganizationChange")]
pub struct OrganizationChangeBody {
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "String", length(min = 1, max = 100))]
    name: Option<String>,
    /// An IANA name such as Europe/Berlin.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "String", length(min = 1, max = 100))]
    time_zone: Option<String>,
}

pub async fn list(
    call: Call,
    input: Input<NoPath, OrganizationQuery, NoBody>,
) -> Result<Answer<Page<OrganizationView>>, Problem> {
    let OrganizationQuery {
        limit,
        cursor,
        external_id,
        name,
        state,
        production_access,
        plan,
    } = input.query;
    let plan_is_default =
        plan.as_deref() == Some(call.app.catalogue.plan(None).entry.name.as_str());
    let filter = OrganizationFilter {
        external_id,
        name,
        state,
        production_access,
        plan,
        plan_is_default,
        search: None,
    };
    let own = call.organization;
    let rows = call
        .read(move |snapshot| {
            let Some(own) = own else {
                return Ok(snapshot.list_organizations_page(
                    &filter,
                    Cursor::place(cursor),
                    limit.rows(),
                )?);
            };
            // one is a page
            if cursor.is_some() {
                return Ok(Vec::new());
            }
            let subscription = snapshot.find_subscription(own)?;
            let on_plan = filter.plan.is_none()
                || subscription.map_or(filter.plan_is_default, |subscription| {
                    Some(subscription.plan) == filter.plan
                });
            let wanted = |row: &Organization| {
                on_plan
                    && (filter.external_id.is_none() || row.external_id == filter.external_id)
                    && filter.name.as_ref().is_none_or(|name| row.name == *name)
                    && filter.state.is_none_or(|state| row.state == state)
                    && filter
                        .production_access
                        .is_none_or(|access| row.production_access == access)
            };
            Ok::<_, Refusal>(
                snapshot
                    .find_organization(own)?
                    .filter(wanted)
                    .into_iter()
                    .collect(),
            )
        })
        .await?;
    Ok(Answer::of(Page::of(
        limit,
        rows,
        |row| (row.created_at, row.id),
        OrganizationView::from,
    )))
}

/// The organization of the path, if it is the credential's own.
pub(super) fn reached(call: &Call, path: &OrganizationPath) -> Result<OrganizationId, Problem> {
    ensure(
        call.organization.is_none_or(|own| own == path.id),
        Problem::from(Refusal::NotFound),
    )?;
    Ok(path.id)
}

pub async fn get(
    call: Call,
    input: Input<OrganizationPath, NoQuery, NoBody>,
) -> Result<Answer<OrganizationView>, Problem> {
    let id = reached(&call, &input.path)?;
    let found = call
        .read(move |snapshot| snapshot.find_organization(id)?.ok_or(Refusal::NotFound))
        .await?;
    Ok(Answer::of(found.into()))
}

pub async fn change(
    call: Call,
    input: Input<OrganizationPath, NoQuery, OrganizationChangeBody>,
) -> Result<Answer<OrganizationView>, Problem> {
    let (id, caller, catalogue) = (reached(&call, &input.path)?, call.caller, call.catalogue());
    let wanted = OrganizationChange {
        name: input.body.name,
        time_zone: input.body.time_zone,
    };
    let changed = call
        .write(id, move |tx| {
            organizations::change(tx, &catalogue, id, &caller, &wanted)
        })
        .await?;
    Ok(Answer::of(changed.into()))
}

pub async fn suspend(
    call: Call,
    input: Input<OrganizationPath, NoQuery, NoBody>,
) -> Result<Answer<OrganizationView>, Problem> {
    set_state(call, &input.path, OrganizationState::Suspended).await
}

pub async fn resume(
    call: Call,
    input: Input<OrganizationPath, NoQuery, NoBody>,
) -> Result<Answer<OrganizationView>, Problem> {
    set_state(call, &input.path, OrganizationState::Active).await
}

async fn set_state(
    call: Call,
    path: &OrganizationPath,
    to: OrganizationState,
) -> Result<Answer<OrganizationView>, Problem> {
    let (id, caller, catalogue) = (reached(&call, path)?, call.caller, call.catalogue());
    let changed = call
        .write(id, move |tx| {
            organizations::set_state(tx, &catalogue, id, &caller, to)
        })
        .await?;
    Ok(Answer::of(changed.into()))
}
