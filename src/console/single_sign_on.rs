//! How an organization's people sign in: its own provider, offered or required.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::pages::single_sign_on::{SingleSignOnForm, SingleSignOnPage};
use super::shell::{self, Place};
use crate::app::App;
use crate::domain::Refusal;
use crate::domain::people::identities::{self, Settings, SingleSignOn};
use crate::store::identity_providers::IdentityProvider;
use crate::store::{Tx, Verdict};
use crate::types::id::OrganizationId;
use crate::types::time::Timestamp;
use crate::web::facts::Facts;
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
    facts: Facts,
    request: HttpRequest,
    path: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    let form = Form::read(&request, payload, app.config.server.max_body_bytes).await?;
    visitor.check_csrf(&form)?;
    form.refuse_repeated(&FIELDS)?;
    let (place, found) = shell::ask(&app, &visitor, &path, identities::single_sign_on).await?;
    match save(&app, &place, settings(&form), facts.now).await {
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
    facts: Facts,
    request: HttpRequest,
    path: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    let form = Form::read(&request, payload, app.config.server.max_body_bytes).await?;
    visitor.check_csrf(&form)?;
    let (place, _) = shell::ask(&app, &visitor, &path, identities::single_sign_on).await?;
    let (organization, person) = (place.organization.id, place.person);
    app.store
        .write_organization(organization, facts.now, move |tx| {
            identities::remove(tx, organization, person).map(Verdict::Done)
        })
        .await?;
    Ok(html::see_other(&format!(
        "/dev-centre/{organization}/single-sign-on"
    )))
}

/// Nothing is saved that nobody could sign in by.
async fn save(
    app: &App,
    place: &Place,
    new: Settings,
    now: Timestamp,
) -> Result<IdentityProvider, Refusal> {
    let (organization, person): (OrganizationId, _) = (place.organization.id, place.person);
    let (config, asked) = (Arc::clone(&app.config), new.clone());
    app.store
        .read(move |snapshot| {
            identities::check(snapshot, &config.identity, organization, person, &asked)
        })
        .await?;
    let probed = registration(
        &app.config.identity,
        &new.issuer,
        &new.client_id,
        String::new(),
    );
    if let Err(failure) = app.openid.probe(&probed, now).await {
        tracing::warn!(organization.id = %organization, "Refused single sign-on settings: {failure}");
        return Err(Refusal::Invalid(vec![("issuer", NO_PROVIDER.to_owned())]));
    }
    let (config, sealer) = (Arc::clone(&app.config), Arc::clone(&app.sealer));
    let write = move |tx: &mut Tx| {
        identities::configure(tx, &config.identity, &sealer, organization, person, &new)
            .map(Verdict::Done)
    };
    app.store.write_organization(organization, now, write).await
}

fn settings(form: &Form) -> Settings {
    let text = |name| form.field(name).trim().to_owned();
    // an empty one leaves what is there
    let client_secret = Some(text("client_secret")).filter(|secret| !secret.is_empty());
    Settings {
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
    let Settings {
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
