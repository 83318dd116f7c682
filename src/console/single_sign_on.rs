//! How an organization's people sign in: its own provider, offered or required.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::pages::single_sign_on::{SingleSignOnForm, SingleSignOnPage};
use super::shell::{self, Place};
use crate::app::App;
use crate::domain::Refusal;
use crate::domain::desk::{Desk, View};
use crate::domain::people::identities::{self, ProviderSettings, SingleSignOn};
use crate::store::identity_providers::IdentityProvider;
use crate::web::desk;
use crate::web::form::Form;
use crate::web::html::{self, PageError};
use crate::web::page::{FieldErrors, Section};
use crate::web::provider::registration;
use crate::web::visitor::Visitor;

const FIELDS: [&str; 5] = ["issuer", "client_id", "client_secret", "name", "enforced"];
const NO_PROVIDER: &str =
    "There is no OpenID Connect provider at this issuer, or it cannot be reached from here.";

/// `GET /dev-centre/{organization}/single-sign-on`.
pub async fn show(
    app: web::Data<App>,
    visitor: Visitor,
    path: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let (place, found) = shell::ask(&app, &visitor, &path, identities::single_sign_on).await?;
    let form = found.provider.as_ref().map(stored).unwrap_or_default();
    Ok(html::page(
        StatusCode::OK,
        &page(&app, &place, found, form, FieldErrors::default()),
        None,
    ))
}

/// `POST /dev-centre/{organization}/single-sign-on` with `csrf issuer client_id client_secret name enforced`.
pub async fn configure(
    app: web::Data<App>,
    visitor: Visitor,
    request: HttpRequest,
    path: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    let form = Form::read(&request, payload, app.config.server.max_body_bytes).await?;
    visitor.check_csrf(&form)?;
    form.refuse_repeated(&FIELDS)?;
    let (place, found) = shell::ask(&app, &visitor, &path, identities::single_sign_on).await?;
    match save(&app, &visitor, &place, settings(&form)).await {
        Ok(_) => Ok(html::see_other(&format!(
            "/dev-centre/{}/single-sign-on",
            place.organization.id
        ))),
        Err(refusal) => {
            let template = page(
                &app,
                &place,
                found,
                typed(&form),
                shell::field_errors(refusal)?,
            );
            Ok(html::page(
                StatusCode::UNPROCESSABLE_ENTITY,
                &template,
                None,
            ))
        }
    }
}

/// `POST /dev-centre/{organization}/single-sign-on/remove`.
pub async fn remove(
    app: web::Data<App>,
    visitor: Visitor,
    request: HttpRequest,
    path: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    let form = Form::read(&request, payload, app.config.server.max_body_bytes).await?;
    visitor.check_csrf(&form)?;
    let (place, _) = shell::ask(&app, &visitor, &path, identities::single_sign_on).await?;
    let organization = place.organization.id;
    shell::change(&app, &visitor, organization, identities::remove).await?;
    Ok(html::see_other(&format!(
        "/dev-centre/{organization}/single-sign-on"
    )))
}

/// Nothing is saved that nobody could sign in by.
async fn save(
    app: &App,
    visitor: &Visitor,
    place: &Place,
    new: ProviderSettings,
) -> Result<IdentityProvider, Refusal> {
    let (organization, asked) = (place.organization.id, new.clone());
    let check = move |view: &mut View| identities::check(view, &asked);
    desk::ask(app, visitor, organization, check).await?;
    let probed = registration(
        &app.config.identity,
        &new.issuer,
        &new.client_id,
        String::new(),
    );
    if let Err(failure) = app.openid.probe(&probed, visitor.now()).await {
        tracing::warn!(organization.id = %organization, "Refused single sign-on settings: {failure}");
        return Err(Refusal::Invalid(vec![("issuer", NO_PROVIDER.to_owned())]));
    }
    let sealer = Arc::clone(&app.sealer);
    let configure = move |desk: &mut Desk| identities::configure(desk, &sealer, &new);
    shell::change(app, visitor, organization, configure).await
}

fn settings(form: &Form) -> ProviderSettings {
    let text = |name| form.field(name).trim().to_owned();
    // an empty one leaves what is there
    let client_secret = Some(text("client_secret")).filter(|secret| !secret.is_empty());
    ProviderSettings {
        issuer: text("issuer"),
        client_id: text("client_id"),
        client_secret,
        name: text("name"),
        enforced: form.contains("enforced"),
    }
}

fn stored(provider: &IdentityProvider) -> SingleSignOnForm {
    SingleSignOnForm {
        issuer: provider.issuer.clone(),
        client_id: provider.client_id.clone(),
        name: provider.name.clone(),
        enforced: provider.enforced,
    }
}

fn typed(form: &Form) -> SingleSignOnForm {
    let ProviderSettings {
        issuer,
        client_id,
        name,
        enforced,
        ..
    } = settings(form);
    SingleSignOnForm {
        issuer,
        client_id,
        name,
        enforced,
    }
}

fn page(
    app: &App,
    place: &Place,
    found: SingleSignOn,
    form: SingleSignOnForm,
    errors: FieldErrors,
) -> SingleSignOnPage {
    let sign_in =
        |provider: &IdentityProvider| format!("{}/login/oidc/{}", app.issuer.as_str(), provider.id);
    SingleSignOnPage {
        shell: place.shell("Single sign-on", Section::SingleSignOn),
        csrf: place.csrf(),
        organization: place.link(),
        form,
        errors,
        redirect_uri: app.openid.redirect_uri.clone(),
        sign_in: found.provider.as_ref().map(sign_in),
        domains: found.domains,
        can_change: found.is_owner,
    }
}
