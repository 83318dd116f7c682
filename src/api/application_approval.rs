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
use crate::domain::desk::Desk;
use crate::store::applications::Application;
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
    then(&call, move |desk| approval::request(desk, input.path.id)).await
}

pub async fn approve(
    call: Call,
    input: Input<ApplicationPath, NoQuery, NoBody>,
) -> Result<Answer<DetailView>, Problem> {
    then(&call, move |desk| {
        approval::approve(desk, input.path.id, None)
    })
    .await
}

pub async fn refuse(
    call: Call,
    input: Input<ApplicationPath, NoQuery, ReasonBody>,
) -> Result<Answer<DetailView>, Problem> {
    let (id, reason) = (input.path.id, input.body.reason);
    then(&call, move |desk| approval::refuse(desk, id, &reason)).await
}

pub async fn stop(
    call: Call,
    input: Input<ApplicationPath, NoQuery, ReasonBody>,
) -> Result<Answer<DetailView>, Problem> {
    let (id, reason) = (input.path.id, input.body.reason);
    then(&call, move |desk| approval::stop(desk, id, &reason)).await
}

pub async fn resume(
    call: Call,
    input: Input<ApplicationPath, NoQuery, NoBody>,
) -> Result<Answer<DetailView>, Problem> {
    then(&call, move |desk| approval::resume(desk, input.path.id)).await
}

/// Decides about an application of the organization that was named, and shows it.
async fn then(
    call: &Call,
    mut decide: impl FnMut(&mut Desk<'_, '_>) -> Result<Application, Refusal> + Send + 'static,
) -> Result<Answer<DetailView>, Problem> {
    let change = move |desk: &mut Desk| {
        let decided = decide(desk)?;
        Ok(applications::describe(desk.tx, decided)?)
    };
    Ok(Answer::of(
        call.change(call.organization()?, change).await?.into(),
    ))
}
