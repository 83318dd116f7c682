//! `/v1/organizations/{id}/production-access`: requested by an admin, decided by the operator (row 6).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::call::Call;
use super::input::{Input, NoBody, NoQuery};
use super::organizations::{OrganizationPath, reached};
use crate::config::Catalogue;
use crate::domain::plans::production::{self, Standing};
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

fn view(catalogue: &Catalogue, standing: Standing) -> ProductionAccessView {
    let organization = standing.organization;
    let locked = standing
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
    let (id, caller, catalogue, now) = (
        reached(&call, &input.path)?,
        call.caller,
        call.catalogue(),
        call.facts.now,
    );
    let found = call
        .read(move |snapshot| production::get(snapshot, &catalogue, id, &caller, now))
        .await?;
    Ok(Answer::of(view(&call.app.catalogue, found)))
}

pub async fn request(
    call: Call,
    input: Input<OrganizationPath, NoQuery, RequestBody>,
) -> Result<Answer<ProductionAccessView>, Problem> {
    let (id, caller, catalogue, use_case) = (
        reached(&call, &input.path)?,
        call.caller,
        call.catalogue(),
        input.body.use_case,
    );
    let done = call
        .write(id, move |tx| {
            production::request(tx, &catalogue, id, &caller, &use_case)
        })
        .await?;
    Ok(Answer::of(view(&call.app.catalogue, done)))
}

pub async fn cancel(
    call: Call,
    input: Input<OrganizationPath, NoQuery, NoBody>,
) -> Result<Answer<ProductionAccessView>, Problem> {
    let (id, caller, catalogue) = (reached(&call, &input.path)?, call.caller, call.catalogue());
    let done = call
        .write(id, move |tx| {
            production::cancel(tx, &catalogue, id, &caller)
        })
        .await?;
    Ok(Answer::of(view(&call.app.catalogue, done)))
}

pub async fn decide(
    call: Call,
    input: Input<OrganizationPath, NoQuery, DecisionBody>,
) -> Result<Answer<ProductionAccessView>, Problem> {
    let (id, caller, catalogue, reason) = (
        reached(&call, &input.path)?,
        call.caller,
        call.catalogue(),
        input.body.reason,
    );
    let step = match input.body.decision {
        Decision::Approve => ProductionStep::Approve,
        Decision::Refuse => ProductionStep::Refuse,
        Decision::Withdraw => ProductionStep::Withdraw,
    };
    let done = call
        .write(id, move |tx| {
            production::decide(tx, &catalogue, id, &caller, step, &reason)
        })
        .await?;
    Ok(Answer::of(view(&call.app.catalogue, done)))
}
