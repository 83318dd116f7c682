//! `/v1/applications/{id}/…`: an organization asks that others may use its application, and the vendor decides, stops, resumes.

use schemars::JsonSchema;
use serde::Deserialize;

use super::answer::Answer;
use super::application_views::DetailView;
use super::applications::ApplicationPath;
use super::call::Call;
use super::input::{Input, NoBody, NoQuery};
use crate::domain::Refusal;
use crate::domain::clients::applications;
use crate::domain::clients::approval;
use crate::store::Tx;
use crate::types::id::ApplicationId;
use crate::web::problem::Problem;

/// Why.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Reason", example = serde_json::json!({"reason": "The redirect URIs are not yours."}))]
pub struct ReasonBody {
    /// The organization's people read it.
    #[schemars(length(min = 1, max = 500))]
    reason: String,
}

pub async fn request(
    call: Call,
    input: Input<ApplicationPath, NoQuery, NoBody>,
) -> Result<Answer<DetailView>, Problem> {
    let (organization, caller, id) = (call.organization()?, call.caller, input.path.id);
    call.ensure_for_organization()?;
    then(&call, id, move |tx| {
        approval::request(tx, organization, caller, id)
    })
    .await
}

pub async fn approve(
    call: Call,
    input: Input<ApplicationPath, NoQuery, NoBody>,
) -> Result<Answer<DetailView>, Problem> {
    let (caller, id) = (call.caller, input.path.id);
    then(&call, id, move |tx| approval::approve(tx, caller, id)).await
}

pub async fn refuse(
    call: Call,
    input: Input<ApplicationPath, NoQuery, ReasonBody>,
) -> Result<Answer<DetailView>, Problem> {
    let (caller, id, reason) = (call.caller, input.path.id, input.body.reason);
    then(&call, id, move |tx| {
        approval::refuse(tx, caller, id, &reason)
    })
    .await
}

pub async fn stop(
    call: Call,
    input: Input<ApplicationPath, NoQuery, ReasonBody>,
) -> Result<Answer<DetailView>, Problem> {
    let (caller, id, reason) = (call.caller, input.path.id, input.body.reason);
    then(&call, id, move |tx| approval::stop(tx, caller, id, &reason)).await
}

pub async fn resume(
    call: Call,
    input: Input<ApplicationPath, NoQuery, NoBody>,
) -> Result<Answer<DetailView>, Problem> {
    let (caller, id) = (call.caller, input.path.id);
    then(&call, id, move |tx| approval::resume(tx, caller, id)).await
}

/// Decides about an application of the organization that was named, and shows it.
async fn then(
    call: &Call,
    id: ApplicationId,
    decide: impl FnOnce(&mut Tx) -> Result<(), Refusal> + Send + 'static,
) -> Result<Answer<DetailView>, Problem> {
    let (organization, caller) = (call.organization()?, call.caller);
    let change = move |tx: &mut Tx| {
        applications::find_own(tx, organization, id)?;
        decide(tx)?;
        applications::get(tx, organization, caller, id)
    };
    Ok(Answer::of(call.write(organization, change).await?.into()))
}
