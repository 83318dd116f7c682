//! Changing an application: everything but its environment and client type.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::application_form::{self, life_in_words};
use super::applications::{get, offer, own_path, typed_offer};
use super::pages::application_settings::ApplicationEditPage;
use super::pages::applications::{ApplicationForm, ApplicationOffer};
use super::shell::{self, Place};
use crate::app::App;
use crate::domain::clients::applications::OwnApplication;
use crate::domain::clients::settings;
use crate::domain::desk::Desk;
use crate::domain::{Refusal, ensure};
use crate::store::applications::Application;
use crate::types::redirect_uri::RedirectUri;
use crate::web::form::Form;
use crate::web::html::{self, PageError};
use crate::web::page::{FieldErrors, Section};
use crate::web::visitor::Visitor;

/// `GET /dev-centre/{organization}/applications/{id}/edit`.
pub async fn form(
    app: web::Data<App>,
    visitor: Visitor,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, PageError> {
    let (place, found) = get(&app, &visitor, &path).await?;
    let role = found
        .role
        .as_deref()
        .unwrap_or_else(|| app.settings.catalogue.least_role());
    let offer = offer(
        &app,
        found.application.first_party,
        |scope| found.application.scopes.contains(&scope.name),
        role,
    );
    Ok(html::page(
        StatusCode::OK,
        &page(&place, &found.application, as_typed(&found), offer),
        None,
    ))
}

/// `POST /dev-centre/{organization}/applications/{id}/edit`.
pub async fn save(
    app: web::Data<App>,
    visitor: Visitor,
    request: HttpRequest,
    path: web::Path<(String, String)>,
    payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    let form = Form::read(&request, payload, app.config.server.max_body_bytes).await?;
    visitor.check_csrf(&form)?;
    form.refuse_repeated(&application_form::SINGLE_FIELDS)?;
    let (place, found) = get(&app, &visitor, &path).await?;
    match change(&app, &visitor, &found.application, &form).await {
        Ok(changed) => Ok(html::see_other(&own_path(
            place.organization.id,
            changed.id,
        ))),
        Err(refusal) => {
            let fixed = as_typed(&found);
            let (environment, client_type) = (fixed.environment, fixed.client_type);
            let typed = ApplicationForm {
                environment,
                client_type,
                ..application_form::typed(&form)
            };
            let template = page(
                &place,
                &found.application,
                typed,
                typed_offer(&app, found.application.first_party, &form),
            );
            let template = ApplicationEditPage {
                errors: shell::field_errors(refusal)?,
                ..template
            };
            Ok(html::page(
                StatusCode::UNPROCESSABLE_ENTITY,
                &template,
                None,
            ))
        }
    }
}

async fn change(
    app: &App,
    visitor: &Visitor,
    application: &Application,
    form: &Form,
) -> Result<Application, Refusal> {
    // who sends these means to change them, and is told that they stay
    let fixed = ["environment", "client_type", "access_token_format"]
        .into_iter()
        .any(|name| form.contains(name));
    ensure(
        !fixed,
        Refusal::Blocked(
            "Environment, client type and token format stay. Create another application."
                .to_owned(),
        ),
    )?;
    let settings = application_form::parse_settings(form, &app.settings.catalogue)?;
    let id = application.id;
    let change = move |desk: &mut Desk| settings::change(desk, id, &settings);
    shell::change(app, visitor, application.organization_id, change).await
}

/// The application as its form shows it.
fn as_typed(found: &OwnApplication) -> ApplicationForm {
    let application = &found.application;
    let life = |seconds: Option<i64>| seconds.map(life_in_words).unwrap_or_default();
    ApplicationForm {
        name: application.name.clone(),
        environment: application.environment.to_string(),
        client_type: application.client_type.to_string(),
        redirect_uris: found
            .redirect_uris
            .iter()
            .map(RedirectUri::as_str)
            .collect::<Vec<_>>()
            .join("\n"),
        access_token_format: application.access_token_format.to_string(),
        grants: application.grants,
        keep_refresh_token: !application.rotates(),
        refresh_idle: life(application.refresh_idle_seconds),
        refresh_absolute: life(application.refresh_absolute_seconds),
    }
}

fn page(
    place: &Place,
    application: &Application,
    form: ApplicationForm,
    offer: ApplicationOffer,
) -> ApplicationEditPage {
    ApplicationEditPage {
        shell: place.shell("Edit application", Section::Applications),
        csrf: place.csrf(),
        organization: place.link(),
        application_id: application.id.to_string(),
        environment: application.environment,
        form,
        offer,
        errors: FieldErrors::default(),
        verified: application.verified_at.is_some(),
    }
}
