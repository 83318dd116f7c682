//! OAuth applications: list, create, show, delete.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::application_form;
use super::pages::applications::{
    ApplicationCreatedPage, ApplicationDeletePage, ApplicationDetail, ApplicationForm, ApplicationListPage, ApplicationNewPage, ApplicationPage,
    ApplicationRow, ScopeChoice,
};
use super::shell::{self, Place, parse_id};
use crate::app::App;
use crate::config::{Catalogue, ScopeEntry};
use crate::crypto::Plaintext;
use crate::crypto::digest::Purpose;
use crate::crypto::format::{TokenKind, mint_token};
use crate::domain::Refusal;
use crate::domain::applications::{self, Detail};
use crate::store::applications::Application;
use crate::store::{self, Snapshot, Verdict};
use crate::types::environment::Environment;
use crate::types::id::{ApplicationId, OrganizationId, UserId};
use crate::types::redirect_uri::RedirectUri;
use crate::types::state::ClientType;
use crate::types::time::Timestamp;
use crate::web::facts::Facts;
use crate::web::form::Form;
use crate::web::html::{self, PageError};
use crate::web::page::{Choice, FieldErrors, ScopeRow, Section};
use crate::web::visitor::Visitor;

/// `GET /dev-centre/{organization}/applications`.
pub async fn list(app: web::Data<App>, visitor: Visitor, path: web::Path<String>) -> Result<HttpResponse, PageError> {
    let (place, all) = shell::ask(&app, &visitor, &path, applications::list).await?;
    let (sandbox, production): (Vec<_>, Vec<_>) = all.iter().partition(|application| application.environment == Environment::Sandbox);
    let template = ApplicationListPage {
        shell: place.shell("Applications", Section::Applications),
        organization: place.link(),
        sandbox: sandbox.into_iter().map(row).collect(),
        production: production.into_iter().map(row).collect(),
        production_locked: place.production_locked(),
        production_unlock: None,
        // who may not create applications may not see the list either
        can_create: true,
        next_href: None,
    };
    Ok(html::page(StatusCode::OK, &template, None))
}

/// `GET /dev-centre/{organization}/applications/new?environment=`.
pub async fn new(app: web::Data<App>, visitor: Visitor, request: HttpRequest, path: web::Path<String>) -> Result<HttpResponse, PageError> {
    visitor.require()?;
    let asked = Form::of_query(&request)?;
    let (place, ()) = shell::ask(&app, &visitor, &path, applications::ensure_admin).await?;
    let mut form = ApplicationForm::default();
    if asked.field("environment") == Environment::Production.as_str() && place.production_locked().is_none() {
        form.environment = Environment::Production.to_string();
    }
    let scopes = scope_choices(&app.catalogue, |scope| scope.default);
    let careful = least_role(&app.catalogue);
    let template = new_page(&place, form, scopes, role_choices(&app, careful));
    Ok(html::page(StatusCode::OK, &template, None))
}

/// `POST /dev-centre/{organization}/applications`. The answer is the only page that ever shows the secret.
pub async fn create(
    app: web::Data<App>, visitor: Visitor, facts: Facts, request: HttpRequest, path: web::Path<String>, payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    let form = Form::read(&request, payload, app.config.server.max_body_bytes).await?;
    visitor.check_csrf(&form)?;
    form.refuse_repeated(&application_form::SINGLE_FIELDS)?;
    // before the secret exists: once it does, nothing may keep its page from being shown
    let (place, ()) = shell::ask(&app, &visitor, &path, applications::ensure_admin).await?;
    match make(&app, &place, &form, facts.now).await {
        Ok((application, secret)) => Ok(html::page(StatusCode::OK, &created_page(&place, &application, &secret), None)),
        Err(refusal) => {
            let scopes = scope_choices(&app.catalogue, |scope| form.all("scope").any(|name| name == scope.name));
            let template = new_page(&place, application_form::typed(&form), scopes, role_choices(&app, form.field("role")));
            let template = ApplicationNewPage { errors: shell::field_errors(refusal)?, ..template };
            Ok(html::page(StatusCode::UNPROCESSABLE_ENTITY, &template, None))
        }
    }
}

/// `GET /dev-centre/{organization}/applications/{id}`.
pub async fn show(app: web::Data<App>, visitor: Visitor, path: web::Path<(String, String)>) -> Result<HttpResponse, PageError> {
    let (place, found) = get(&app, &visitor, &path).await?;
    let issuer = app.issuer.as_str();
    let template = ApplicationPage {
        shell: place.shell("Application", Section::Applications),
        csrf: place.csrf(),
        organization: place.link(),
        delete_href: Some(format!("{}/{}/delete", list_path(place.organization.id), found.application.id)),
        application: detail(&app.catalogue, found),
        secrets: Vec::new(),
        authorization_endpoint: format!("{issuer}/oauth2/authorize"),
        token_endpoint: format!("{issuer}/oauth2/token"),
        new_secret_action: None,
    };
    Ok(html::page(StatusCode::OK, &template, None))
}

/// `GET /dev-centre/{organization}/applications/{id}/delete`.
pub async fn confirm_delete(app: web::Data<App>, visitor: Visitor, path: web::Path<(String, String)>) -> Result<HttpResponse, PageError> {
    let (place, found) = get(&app, &visitor, &path).await?;
    let template = ApplicationDeletePage {
        shell: place.shell("Delete application", Section::Applications),
        csrf: place.csrf(),
        organization: place.link(),
        application: row(&found.application),
        environment: found.application.environment,
        connected: None,
    };
    Ok(html::page(StatusCode::OK, &template, None))
}

/// `POST /dev-centre/{organization}/applications/{id}/delete`.
pub async fn delete(
    app: web::Data<App>, visitor: Visitor, facts: Facts, request: HttpRequest, path: web::Path<(String, String)>, payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    let form = Form::read(&request, payload, app.config.server.max_body_bytes).await?;
    visitor.check_csrf(&form)?;
    let (person, organization) = shell::enter(&app, &visitor, &path.0).await?;
    let id: ApplicationId = parse_id(&path.1)?;
    app.store.write(facts.now, move |tx| applications::delete(tx, organization, person, id).map(Verdict::Done)).await?;
    Ok(html::see_other(&list_path(organization)))
}

fn list_path(organization: OrganizationId) -> String {
    format!("/dev-centre/{organization}/applications")
}

async fn get(app: &App, visitor: &Visitor, path: &(String, String)) -> Result<(Place, Detail), PageError> {
    visitor.require()?;
    let id: ApplicationId = parse_id(&path.1)?;
    let question = move |snapshot: &mut Snapshot, organization: OrganizationId, person: UserId| applications::get(snapshot, organization, person, id);
    shell::ask(app, visitor, &path.0, question).await
}

fn row(application: &Application) -> ApplicationRow {
    ApplicationRow {
        id: application.id.to_string(),
        name: application.name.clone(),
        client_id: application.id.to_string(),
        client_type: application.client_type,
        created: application.created_at.date(),
    }
}

fn detail(catalogue: &Catalogue, found: Detail) -> ApplicationDetail {
    let application = found.application;
    ApplicationDetail {
        id: application.id.to_string(),
        client_id: application.id.to_string(),
        environment: application.environment,
        client_type: application.client_type,
        access_token_format: application.access_token_format,
        redirect_uris: found.redirect_uris.iter().map(RedirectUri::to_string).collect(),
        scopes: catalogue.scopes().filter(|scope| application.scopes.contains(&scope.name)).map(|scope| scope_row(catalogue, scope)).collect(),
        role: found.role,
        created: application.created_at.date(),
        created_by: found.creator_name,
        connected: None,
        name: application.name,
    }
}

fn scope_row(catalogue: &Catalogue, scope: &ScopeEntry) -> ScopeRow {
    let (name, title, description) = (scope.name.clone(), scope.title.clone(), scope.description.clone());
    ScopeRow { name, title, description, risk: catalogue.risk(scope) }
}

fn scope_choices(catalogue: &Catalogue, is_selected: impl Fn(&ScopeEntry) -> bool) -> Vec<ScopeChoice> {
    catalogue.scopes().map(|scope| ScopeChoice { scope: scope_row(catalogue, scope), selected: is_selected(scope) }).collect()
}

fn role_choices(app: &App, selected: &str) -> Vec<Choice> {
    let choice = |role: String| Choice { selected: role == selected, id: role.clone(), name: role };
    applications::roles(&app.config).into_iter().map(choice).collect()
}

/// The role with the fewest permissions: the careful choice.
fn least_role(catalogue: &Catalogue) -> &str {
    catalogue.roles().min_by_key(|role| catalogue.names(catalogue.role(role)).len()).unwrap_or_default()
}

fn new_page(place: &Place, form: ApplicationForm, scopes: Vec<ScopeChoice>, roles: Vec<Choice>) -> ApplicationNewPage {
    ApplicationNewPage {
        shell: place.shell("New application", Section::Applications),
        csrf: place.csrf(),
        organization: place.link(),
        form,
        scopes,
        roles,
        errors: FieldErrors::default(),
        production_locked: place.production_locked(),
        production_unlock: None,
    }
}

/// Mints the secret and stores its digest; that of a public application is stored nowhere.
async fn make(app: &App, place: &Place, form: &Form, now: Timestamp) -> Result<(Application, Plaintext), Refusal> {
    let wanted = application_form::parse(form, &app.catalogue)?;
    let secret = mint_token(&app.config.keys.prefix, TokenKind::ClientSecret);
    let new = wanted.with_secret(app.digester.digest(Purpose::ClientSecret, secret.expose()));
    let (config, organization, person) = (Arc::clone(&app.config), place.organization.id, place.person);
    let insert = move |tx: &mut store::Tx| -> Result<_, Refusal> {
        let organization = tx.find_organization(organization)?.ok_or(Refusal::NotFound)?;
        applications::create(tx, &config, &organization, person, new).map(Verdict::Done)
    };
    Ok((app.store.write_organization(organization, now, insert).await?, secret))
}

fn created_page(place: &Place, application: &Application, secret: &Plaintext) -> ApplicationCreatedPage {
    let confidential = application.client_type == ClientType::Confidential;
    ApplicationCreatedPage {
        shell: place.shell("Application created", Section::Applications),
        organization: place.link(),
        application_id: application.id.to_string(),
        name: application.name.clone(),
        environment: application.environment,
        client_id: application.id.to_string(),
        client_secret: confidential.then(|| secret.expose().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn the_role_offered_first_is_the_weakest() {
        let config = Config::load(None, std::iter::empty()).expect("the defaults");
        assert_eq!(least_role(&config.catalogue().expect("the defaults")), "viewer");
    }
}
