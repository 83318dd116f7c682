//! `/v1/organizations`: a credential sees its own; an operator token all of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::call::Call;
use super::input::{Input, NoBody, NoPath, NoQuery, present};
use super::page::{Cursor, Limit, Page};
use crate::domain::desk::{Desk, VendorView, View};
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
    let filter = OrganizationFilter {
        external_id,
        name,
        state,
        production_access,
        plan,
        ..OrganizationFilter::default()
    };
    let (after, most) = (Cursor::place(cursor), limit.rows());
    let rows = match call.organization {
        Some(own) => {
            let list = move |view: &mut View| organizations::list(view, &filter, after, most);
            call.ask(own, list).await?
        }
        None => {
            let list =
                move |view: &mut VendorView| organizations::list_all(view, &filter, after, most);
            call.ask_vendor(list).await?
        }
    };
    Ok(Answer::of(Page::of(
        limit,
        rows,
        |row| (row.created_at, row.id),
        OrganizationView::from,
    )))
}

/// The organization of the path, if it is the credential's own: nobody takes another one's lock.
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
    let found = call.ask(input.path.id, organizations::get).await?;
    Ok(Answer::of(found.into()))
}

pub async fn change(
    call: Call,
    input: Input<OrganizationPath, NoQuery, OrganizationChangeBody>,
) -> Result<Answer<OrganizationView>, Problem> {
    let id = reached(&call, &input.path)?;
    let wanted = OrganizationChange {
        name: input.body.name,
        time_zone: input.body.time_zone,
    };
    let change = move |desk: &mut Desk| organizations::change(desk, &wanted);
    Ok(Answer::of(call.change(id, change).await?.into()))
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
    let id = reached(&call, path)?;
    let set = move |desk: &mut Desk| organizations::set_state(desk, to);
    Ok(Answer::of(call.change(id, set).await?.into()))
}
