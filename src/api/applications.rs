//! `/v1/applications`: OAuth applications of an organization. Their rules are the Dev Centre's (`domain/applications.rs`).

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::answer::{Answer, NoContent};
use super::application_views::{
    ApplicationChangeBody, ApplicationView, CreatedView, DetailView, NewApplicationBody, as_fields,
};
use super::call::Call;
use super::input::{Input, NoBody, NoPath, NoQuery};
use super::page::{Cursor, Limit, Page};
use crate::domain::Refusal;
use crate::domain::clients::applications::{self, Detail};
use crate::domain::clients::settings;
use crate::store::Tx;
use crate::store::applications::OwnApplicationFilter;
use crate::types::environment::Environment;
use crate::types::id::ApplicationId;
use crate::types::state::{Approval, ClientType};
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
    let (organization, caller) = (call.organization()?, call.caller);
    call.ensure_for_organization()?;
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
    let rows = call
        .read(move |snapshot| {
            applications::list_page(
                snapshot,
                organization,
                caller,
                &filter,
                Cursor::place(cursor),
                limit.rows(),
            )
        })
        .await?;
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
    let (organization, caller, id) = (call.organization()?, call.caller, input.path.id);
    call.ensure_for_organization()?;
    Ok(Answer::of(
        call.read(move |snapshot| applications::get(snapshot, organization, caller, id))
            .await?
            .into(),
    ))
}

/// The answer is the only one that ever shows the secret.
pub async fn create(
    call: Call,
    input: Input<NoPath, NoQuery, NewApplicationBody>,
) -> Result<Answer<CreatedView>, Problem> {
    let (organization, caller) = (call.organization()?, call.caller);
    call.ensure_for_organization()?;
    let (secret, stored) = call.app.mint_client_secret();
    let config = Arc::clone(&call.app.config);
    let new = input.body.read(stored)?;
    let create = move |tx: &mut Tx| {
        let owner = tx
            .find_organization(organization)?
            .ok_or(Refusal::NotFound)?;
        let made = applications::create(tx, &config, &owner, caller, new).map_err(as_fields)?;
        Ok((
            made.id.to_string(),
            applications::get(tx, organization, caller, made.id)?,
        ))
    };
    let again = move |tx: &mut Tx, id: &str| {
        let id = id.parse().map_err(|_| Refusal::NotFound)?;
        applications::get(tx, organization, caller, id)
    };
    let made = call.create(organization, create, again).await?;
    let shown = !made.replayed && made.value.application.client_type == ClientType::Confidential;
    let client_secret = shown.then(|| secret.expose().to_owned());
    let location = |detail: &Detail| format!("/v1/applications/{}", detail.application.id);
    Ok(Answer::made(made, location, |detail| CreatedView {
        application: detail.into(),
        client_secret,
    }))
}

pub async fn change(
    call: Call,
    input: Input<ApplicationPath, NoQuery, ApplicationChangeBody>,
) -> Result<Answer<DetailView>, Problem> {
    let (organization, caller, id) = (call.organization()?, call.caller, input.path.id);
    call.ensure_for_organization()?;
    let (config, body) = (Arc::clone(&call.app.config), input.body);
    let change = move |tx: &mut Tx| {
        applications::ensure_manager(tx, organization, caller)?;
        let application = applications::find_own(tx, organization, id)?;
        let wanted = body.apply(settings::current(tx, &application)?)?;
        settings::change(tx, &config, organization, caller, id, wanted).map_err(as_fields)?;
        applications::get(tx, organization, caller, id)
    };
    Ok(Answer::of(call.write(organization, change).await?.into()))
}

/// Ends the application, its codes and its tokens at once.
pub async fn delete(
    call: Call,
    input: Input<ApplicationPath, NoQuery, NoBody>,
) -> Result<Answer<NoContent>, Problem> {
    let (organization, caller, id) = (call.organization()?, call.caller, input.path.id);
    call.ensure_for_organization()?;
    let delete = move |tx: &mut Tx| {
        applications::get(tx, organization, caller, id)?;
        applications::delete(tx, organization, caller, id).map(drop)
    };
    call.write(organization, delete).await?;
    Ok(Answer::none())
}
