//! `/v1/organizations/{id}/production-access`: requested by an admin, decided by the operator (row 6).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::call::Call;
use super::input::{Input, NoBody, NoQuery};
use super::organizations::OrganizationPath;
use crate::config::Catalogue;
use crate::domain::desk::Desk;
use crate::domain::plans::production::{self, ProductionStatus};
use crate::domain::words::Unlock;
use crate::types::environment::Environment;
use crate::types::state::{ProductionAccess, ProductionStep};
use crate::types::time::Timestamp;
use crate::web::problem::Problem;

/// Where an organization stands with Production.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ProductionStanding")]
pub struct ProductionAccessView {
    state: ProductionAccess,
    /// Whether live credentials work: the plan, the Dev Centre and the approval together.
    open: bool,
    use_case: Option<String>,
    requested_at: Option<Timestamp>,
    decided_at: Option<Timestamp>,
    /// Why it was refused or withdrawn.
    reason: Option<String>,
    /// What keeps it shut; null when it is open.
    locked: Option<LockView>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Lock")]
pub struct LockView {
    /// `plan_feature`, `dev_centre_off` or `production_approval`.
    reason: &'static str,
    detail: String,
    /// The plans that open it.
    plans: Vec<String>,
    contact: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ProductionAccessRequest")]
pub struct RequestBody {
    #[schemars(length(min = 1, max = 2000))]
    use_case: String,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ProductionDecision")]
pub enum Decision {
    Approve,
    Refuse,
    Withdraw,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ProductionAccessDecision")]
pub struct DecisionBody {
    decision: Decision,
    /// Needed to refuse and to withdraw. The organization reads it.
    #[serde(default)]
    #[schemars(length(max = 500))]
    reason: String,
}

fn view(catalogue: &Catalogue, status: ProductionStatus) -> ProductionAccessView {
    let organization = status.organization;
    let locked = status
        .lock
        .map(|lock| lock.unlock(catalogue, Environment::Production));
    ProductionAccessView {
        state: organization.production_access,
        open: locked.is_none(),
        use_case: organization.production_use_case,
        requested_at: organization.production_requested_at,
        decided_at: organization.production_decided_at,
        reason: organization.production_reason,
        locked: locked.map(
            |Unlock {
                 reason,
                 plans,
                 contact,
                 detail,
             }| LockView {
                reason,
                detail,
                plans,
                contact,
            },
        ),
    }
}

pub async fn get(
    call: Call,
    input: Input<OrganizationPath, NoQuery, NoBody>,
) -> Result<Answer<ProductionAccessView>, Problem> {
    let found = call.ask(input.path.id, production::get).await?;
    Ok(Answer::of(view(&call.app.settings.catalogue, found)))
}

pub async fn request(
    call: Call,
    input: Input<OrganizationPath, NoQuery, RequestBody>,
) -> Result<Answer<ProductionAccessView>, Problem> {
    let use_case = input.body.use_case;
    let request = move |desk: &mut Desk| production::request(desk, &use_case);
    let done = call.change(input.path.id, request).await?;
    Ok(Answer::of(view(&call.app.settings.catalogue, done)))
}

pub async fn cancel(
    call: Call,
    input: Input<OrganizationPath, NoQuery, NoBody>,
) -> Result<Answer<ProductionAccessView>, Problem> {
    let done = call.change(input.path.id, production::cancel).await?;
    Ok(Answer::of(view(&call.app.settings.catalogue, done)))
}

pub async fn decide(
    call: Call,
    input: Input<OrganizationPath, NoQuery, DecisionBody>,
) -> Result<Answer<ProductionAccessView>, Problem> {
    let DecisionBody { decision, reason } = input.body;
    let step = match decision {
        Decision::Approve => ProductionStep::Approve,
        Decision::Refuse => ProductionStep::Refuse,
        Decision::Withdraw => ProductionStep::Withdraw,
    };
    let decide = move |desk: &mut Desk| production::decide(desk, step, &reason);
    let done = call.change(input.path.id, decide).await?;
    Ok(Answer::of(view(&call.app.settings.catalogue, done)))
}
