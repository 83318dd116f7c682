//! `/v1/organizations`: a credential sees its own; an operator token all of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::call::Call;
use super::input::{Input, NoBody, NoPath, NoQuery, present};
use super::invitations::{self, InvitationView};
use super::page::{Cursor, Limit, Page};
use super::workspaces::WorkspaceView;
use crate::domain::desk::{Desk, VendorDesk, VendorView, View};
use crate::domain::lifecycle::customers::{self, Customer, NewCustomer};
use crate::domain::people::accounts::FIRST_WORKSPACE;
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
    let (after, most) = (Cursor::place(cursor)?, limit.rows());
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

/// A customer to be made.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewOrganization", example = serde_json::json!({"name": "Acme", "owner_email": "ada@acme.example"}))]
pub struct NewOrganizationBody {
    #[schemars(length(min = 1, max = 100))]
    name: String,
    /// The name of its first workspace.
    #[serde(default = "first_workspace")]
    #[schemars(length(min = 1, max = 100))]
    workspace: String,
    /// Who is invited to own it.
    #[schemars(length(min = 3, max = 320))]
    owner_email: String,
    /// The name of a plan; left out: the default one.
    #[schemars(length(min = 1, max = 100))]
    plan: Option<String>,
}

fn first_workspace() -> String {
    FIRST_WORKSPACE.to_owned()
}

/// What a create answers with: the only time that the invitation's link is shown.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CreatedOrganization")]
pub struct CreatedOrganizationView {
    #[serde(flatten)]
    organization: OrganizationView,
    workspace: WorkspaceView,
    invitation: InvitationView,
}

pub async fn create(
    call: Call,
    input: Input<NoPath, NoQuery, NewOrganizationBody>,
) -> Result<Answer<CreatedOrganizationView>, Problem> {
    let NewOrganizationBody {
        name,
        workspace,
        owner_email,
        plan,
    } = input.body;
    let (token, digest) = invitations::mint(&call);
    let new = NewCustomer {
        name,
        workspace,
        owner_email,
        plan,
        digest,
    };
    let create = move |desk: &mut VendorDesk| {
        let made = customers::create(desk, &new)?;
        Ok((made.organization.id.to_string(), made))
    };
    let again = |desk: &mut VendorDesk, id: &str| {
        customers::made(desk, id.parse().map_err(|_| Refusal::NotFound)?)
    };
    let made = call.make_vendor(create, again).await?;
    let link = (!made.replayed).then(|| invitations::link(&call, &token));
    let location = |made: &Customer| format!("/v1/organizations/{}", made.organization.id);
    Ok(Answer::made(made, location, |made| {
        CreatedOrganizationView {
            organization: made.organization.into(),
            workspace: made.workspace.into(),
            invitation: InvitationView {
                link,
                ..made.invitation.into()
            },
        }
    }))
}
