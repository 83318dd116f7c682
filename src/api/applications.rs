//! `/v1/applications`: OAuth applications of an organization. Their rules are the Dev Centre's (`domain/clients/`).

use schemars::JsonSchema;
use serde::Deserialize;

use super::answer::{Answer, NoContent};
use super::application_views::{
    ApplicationChangeBody, ApplicationView, CreatedView, DetailView, NewApplicationBody, as_fields,
};
use super::call::Call;
use super::input::{Input, NoBody, NoPath, NoQuery};
use super::page::{Cursor, Limit, Page};
use crate::domain::clients::applications::{self, OwnApplication};
use crate::domain::clients::settings;
use crate::domain::desk::{Desk, View};
use crate::domain::{Refusal, ensure};
use crate::store::applications::OwnApplicationFilter;
use crate::types::environment::Environment;
use crate::types::id::ApplicationId;
use crate::types::state::{ApplicationState, Approval, ClientType};
use crate::web::problem::Problem;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApplicationPath {
    pub(super) id: ApplicationId,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApplicationQuery {
    #[serde(default)]
    limit: Limit,
    cursor: Option<Cursor<ApplicationId>>,
    /// Exactly this name.
    name: Option<String>,
    environment: Option<Environment>,
    client_type: Option<ClientType>,
    approval: Option<Approval>,
    /// Whether it registered by itself.
    registered: Option<bool>,
}

pub async fn list(
    call: Call,
    input: Input<NoPath, ApplicationQuery, NoBody>,
) -> Result<Answer<Page<ApplicationView>>, Problem> {
    let ApplicationQuery {
        limit,
        cursor,
        name,
        environment,
        client_type,
        approval,
        registered,
    } = input.query;
    let filter = OwnApplicationFilter {
        name,
        environment,
        client_type,
        approval,
        registered,
    };
    let list = move |view: &mut View| {
        applications::list_page(view, &filter, Cursor::place(cursor)?, limit.rows())
    };
    let rows = call.ask(call.organization()?, list).await?;
    Ok(Answer::of(Page::of(
        limit,
        rows,
        |row| (row.created_at, row.id),
        ApplicationView::from,
    )))
}

pub async fn get(
    call: Call,
    input: Input<ApplicationPath, NoQuery, NoBody>,
) -> Result<Answer<DetailView>, Problem> {
    let get = move |view: &mut View| applications::get(view, input.path.id);
    Ok(Answer::of(
        call.ask(call.organization()?, get).await?.into(),
    ))
}

/// The answer is the only one that ever shows the secret.
pub async fn create(
    call: Call,
    input: Input<NoPath, NoQuery, NewApplicationBody>,
) -> Result<Answer<CreatedView>, Problem> {
    let (secret, stored) = call.app.mint_client_secret();
    let new = input.body.read(stored)?;
    let create = move |desk: &mut Desk| {
        let made = applications::create(desk, &new).map_err(as_fields)?;
        Ok((made.id.to_string(), applications::describe(desk.tx, made)?))
    };
    let again = move |desk: &mut Desk, id: &str| {
        applications::get_made(desk, id.parse().map_err(|_| Refusal::NotFound)?)
    };
    let made = call.make(call.organization()?, create, again).await?;
    let shown = !made.replayed && made.value.application.client_type == ClientType::Confidential;
    let client_secret = shown.then(|| secret.expose().to_owned());
    let location = |own: &OwnApplication| format!("/v1/applications/{}", own.application.id);
    Ok(Answer::made(made, location, |own| CreatedView {
        application: own.into(),
        client_secret,
    }))
}

pub async fn change(
    call: Call,
    input: Input<ApplicationPath, NoQuery, ApplicationChangeBody>,
) -> Result<Answer<DetailView>, Problem> {
    let (id, body) = (input.path.id, input.body);
    let change = move |desk: &mut Desk| {
        let wanted = body.apply(settings::current(&mut desk.view(), id)?)?;
        let changed = settings::change(desk, id, &wanted).map_err(as_fields)?;
        Ok(applications::describe(desk.tx, changed)?)
    };
    Ok(Answer::of(
        call.change(call.organization()?, change).await?.into(),
    ))
}

/// Ends the application, its codes and its tokens at once. One that is deleted already is not found.
pub async fn delete(
    call: Call,
    input: Input<ApplicationPath, NoQuery, NoBody>,
) -> Result<Answer<NoContent>, Problem> {
    let delete = move |desk: &mut Desk| {
        let before = applications::delete(desk, input.path.id)?;
        ensure(before.state == ApplicationState::Active, Refusal::NotFound)
    };
    call.change(call.organization()?, delete).await?;
    Ok(Answer::none())
}
