//! OAuth applications: list, create, show, delete.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::application_form::{self, life_in_words};
use super::pages::applications::{
    ApplicationCreatedPage, ApplicationDeletePage, ApplicationDetail, ApplicationForm,
    ApplicationListPage, ApplicationNewPage, ApplicationOffer, ApplicationPage, ApplicationRow,
    ApprovalFacts, RefreshFacts, ScopeChoice, SecretRow,
};
use super::shell::{self, Place, date_or_never, parse_id};
use crate::app::App;
use crate::config::{OAuth, ScopeEntry};
use crate::crypto::Plaintext;
use crate::domain::Refusal;
use crate::domain::clients::applications::{self, OwnApplication};
use crate::domain::clients::approval;
use crate::domain::clients::authorizations::Terms;
use crate::domain::clients::own_applications;
use crate::domain::clients::secrets::MOST_LIVE;
use crate::domain::desk::{Desk, View};
use crate::domain::operations::idempotency::Ticket;
use crate::store::application_secrets::ApplicationSecret;
use crate::store::applications::Application;
use crate::types::environment::Environment;
use crate::types::grant_types::GrantType;
use crate::types::id::{ApplicationId, OrganizationId};
use crate::types::redirect_uri::RedirectUri;
use crate::types::right::Right;
use crate::types::state::{Approval, ClientType};
use crate::types::time::Timestamp;
use crate::web::facts::Facts;
use crate::web::form::Form;
use crate::web::html::{self, PageError};
use crate::web::once::{self, Once};
use crate::web::page::{Choice, FieldErrors, Link, ScopeRow, Section};
use crate::web::visitor::Visitor;

/// `GET /dev-centre/{organization}/applications`.
pub async fn list(
    app: web::Data<App>,
    visitor: Visitor,
    path: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let question = |view: &mut View| {
        Ok((
            applications::list(view)?,
            applications::list_registered(view)?,
            may_manage(view)?,
        ))
    };
    let (place, (created, registered, can_create)) =
        shell::ask(&app, &visitor, &path, question).await?;
    let registered = registered.iter().map(|application| {
        (
            application.environment,
            ApplicationRow {
                registered: true,
                ..row(application)
            },
        )
    });
    let rows = created
        .iter()
        .map(|application| (application.environment, row(application)))
        .chain(registered);
    let (sandbox, production): (Vec<_>, Vec<_>) =
        rows.partition(|(environment, _)| *environment == Environment::Sandbox);
    let template = ApplicationListPage {
        shell: place.shell("Applications", Section::Applications),
        organization: place.link(),
        sandbox: sandbox.into_iter().map(|(_, row)| row).collect(),
        production: production.into_iter().map(|(_, row)| row).collect(),
        production_locked: place.production_locked(),
        production_unlock: place.production_unlock(),
        can_create,
        next_href: None,
    };
    Ok(html::page(StatusCode::OK, &template, None))
}

/// `GET /dev-centre/{organization}/applications/new?environment=`.
pub async fn new(
    app: web::Data<App>,
    visitor: Visitor,
    request: HttpRequest,
    path: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    visitor.require()?;
    let asked = Form::of_query(&request)?;
    let (place, ()) = shell::ask(&app, &visitor, &path, own_applications::ensure_manages).await?;
    let mut form = ApplicationForm::default();
    if asked.field("environment") == Environment::Production.as_str()
        && place.production_locked().is_none()
    {
        form.environment = Environment::Production.to_string();
    }
    let template = new_page(
        &place,
        form,
        offer(
            &app,
            false,
            |scope| scope.default,
            app.settings.catalogue.least_role(),
        ),
    );
    Ok(html::page(StatusCode::OK, &template, None))
}

/// `POST /dev-centre/{organization}/applications`. The answer is the only page that ever shows the secret.
pub async fn create(
    app: web::Data<App>,
    visitor: Visitor,
    request: HttpRequest,
    path: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    let form = Form::read(&request, payload, app.config.server.max_body_bytes).await?;
    visitor.check_csrf(&form)?;
    form.refuse_repeated(&application_form::SINGLE_FIELDS)?;
    // before the secret exists: once it does, nothing may keep its page from being shown
    let (place, ()) = shell::ask(&app, &visitor, &path, own_applications::ensure_manages).await?;
    let ticket = once::ticket(&app, &visitor, &request, &form)?;
    match make(&app, &visitor, &place, &form, ticket).await {
        Ok((Once::Made(application), secret)) => Ok(html::page(
            StatusCode::OK,
            &created_page(&place, &application, &secret),
            None,
        )),
        Ok((Once::MadeBefore(id), _)) => Ok(once::made_before(
            place.shell("Application created", Section::Applications),
            "The application",
            Link {
                href: format!("{}/{id}", list_path(place.organization.id)),
                label: "To the application".to_owned(),
            },
        )),
        Err(refusal) => {
            let template = new_page(
                &place,
                application_form::typed(&form),
                typed_offer(&app, false, &form),
            );
            let template = ApplicationNewPage {
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

/// Whether the page offers to change something.
fn may_manage(view: &mut View) -> Result<bool, Refusal> {
    Ok(view.places_of(Right::ApplicationsManage)?.organization)
}

/// `GET /dev-centre/{organization}/applications/{id}`.
pub async fn show(
    app: web::Data<App>,
    visitor: Visitor,
    facts: Facts,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, PageError> {
    visitor.require()?;
    let id: ApplicationId = parse_id(&path.1)?;
    let question = move |view: &mut View| Ok((applications::get(view, id)?, may_manage(view)?));
    let (place, (found, may_manage)) = shell::ask(&app, &visitor, &path.0, question).await?;
    let (issuer, own) = (
        app.issuer.as_str(),
        own_path(place.organization.id, found.application.id),
    );
    let application = &found.application;
    let may_add = may_manage
        && application.client_type == ClientType::Confidential
        && found.secrets.len() < MOST_LIVE;
    let template = ApplicationPage {
        shell: place.shell("Application", Section::Applications),
        csrf: place.csrf(),
        organization: place.link(),
        secrets: secret_rows(&own, &found.secrets, facts.now)
            .into_iter()
            .map(|row| SecretRow {
                revoke_href: row.revoke_href.filter(|_| may_manage),
                ..row
            })
            .collect(),
        authorization_endpoint: format!("{issuer}/oauth2/authorize"),
        token_endpoint: format!("{issuer}/oauth2/token"),
        new_secret_action: may_add.then(|| format!("{own}/secrets")),
        approval: approval_facts(&own, &found, may_manage),
        stopped: application
            .stopped_at
            .map(|_| application.stopped_because.clone().unwrap_or_default()),
        weak: is_weak(&app.config.oauth, application),
        edit_href: may_manage.then(|| format!("{own}/edit")),
        delete_href: may_manage.then(|| format!("{own}/delete")),
        application: detail(&app, found, facts.now),
    };
    Ok(html::page(StatusCode::OK, &template, None))
}

/// `POST /dev-centre/{organization}/applications/{id}/request-approval`.
pub async fn request_approval(
    app: web::Data<App>,
    visitor: Visitor,
    request: HttpRequest,
    path: web::Path<(String, String)>,
    payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    let form = Form::read(&request, payload, app.config.server.max_body_bytes).await?;
    visitor.check_csrf(&form)?;
    let (_, organization) = shell::enter(&app, &visitor, &path.0).await?;
    let id: ApplicationId = parse_id(&path.1)?;
    let ask = move |desk: &mut Desk| approval::request(desk, id);
    shell::change(&app, &visitor, organization, ask).await?;
    Ok(html::see_other(&own_path(organization, id)))
}

/// `GET /dev-centre/{organization}/applications/{id}/delete`.
pub async fn confirm_delete(
    app: web::Data<App>,
    visitor: Visitor,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, PageError> {
    let (place, found) = get(&app, &visitor, &path).await?;
    let template = ApplicationDeletePage {
        shell: place.shell("Delete application", Section::Applications),
        csrf: place.csrf(),
        organization: place.link(),
        application: row(&found.application),
        environment: found.application.environment,
        connected: Some(people(found.people)),
    };
    Ok(html::page(StatusCode::OK, &template, None))
}

/// `POST /dev-centre/{organization}/applications/{id}/delete`.
pub async fn delete(
    app: web::Data<App>,
    visitor: Visitor,
    request: HttpRequest,
    path: web::Path<(String, String)>,
    payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    let form = Form::read(&request, payload, app.config.server.max_body_bytes).await?;
    visitor.check_csrf(&form)?;
    let (_, organization) = shell::enter(&app, &visitor, &path.0).await?;
    let id: ApplicationId = parse_id(&path.1)?;
    let delete = move |desk: &mut Desk| applications::delete(desk, id);
    shell::change(&app, &visitor, organization, delete).await?;
    Ok(html::see_other(&list_path(organization)))
}

fn list_path(organization: OrganizationId) -> String {
    format!("/dev-centre/{organization}/applications")
}

pub(super) fn own_path(organization: OrganizationId, application: ApplicationId) -> String {
    format!("{}/{application}", list_path(organization))
}

pub(super) async fn get(
    app: &App,
    visitor: &Visitor,
    path: &(String, String),
) -> Result<(Place, OwnApplication), PageError> {
    visitor.require()?;
    let id: ApplicationId = parse_id(&path.1)?;
    let question = move |view: &mut View| applications::get(view, id);
    shell::ask(app, visitor, &path.0, question).await
}

fn row(application: &Application) -> ApplicationRow {
    ApplicationRow {
        id: application.id.to_string(),
        name: application.name.clone(),
        client_id: application.id.to_string(),
        client_type: application.client_type,
        created: application.created_at.date(),
        last_used: date_or_never(application.last_used_at),
        stopped: application.stopped_at.is_some(),
        registered: false,
    }
}

fn detail(app: &App, found: OwnApplication, now: Timestamp) -> ApplicationDetail {
    let application = found.application;
    let acts_as_itself = application.may_use(GrantType::ClientCredentials);
    ApplicationDetail {
        id: application.id.to_string(),
        client_id: application.id.to_string(),
        environment: application.environment,
        client_type: application.client_type,
        access_token_format: application.access_token_format,
        redirect_uris: found
            .redirect_uris
            .iter()
            .map(RedirectUri::to_string)
            .collect(),
        scopes: ScopeRow::list(&app.settings.catalogue, |scope| {
            application.scopes.contains(&scope.name)
        }),
        grants: application.grants.iter().map(grant_title).collect(),
        refresh: application
            .may_use(GrantType::RefreshToken)
            .then(|| refresh_facts(&app.config.oauth, &application)),
        role: found.role.filter(|_| acts_as_itself),
        created: application.created_at.date(),
        created_by: found.creator_name,
        last_used: when(application.last_used_at, now),
        connected: Some(people(found.people)),
        name: application.name,
    }
}

fn grant_title(grant: GrantType) -> &'static str {
    match grant {
        GrantType::AuthorizationCode => "Authorization code",
        GrantType::RefreshToken => "Refresh tokens",
        GrantType::ClientCredentials => "Client credentials",
    }
}

fn refresh_facts(config: &OAuth, application: &Application) -> RefreshFacts {
    let terms = Terms::of(config, application);
    RefreshFacts {
        rotates: terms.rotates,
        idle: life_in_words(terms.idle_seconds),
        absolute: life_in_words(terms.absolute_seconds),
    }
}

fn people(count: i64) -> String {
    match count {
        0 => "Nobody".to_owned(),
        1 => "1 person".to_owned(),
        many => format!("{many} people"),
    }
}

/// The secrets as its page lists them; the last one cannot be revoked.
pub(super) fn secret_rows(
    own: &str,
    secrets: &[ApplicationSecret],
    now: Timestamp,
) -> Vec<SecretRow> {
    let row = |secret: &ApplicationSecret| SecretRow {
        display: if secret.hint.is_empty() {
            "An older secret".to_owned()
        } else {
            format!("{}…", secret.hint)
        },
        created: secret.created_at.date(),
        last_used: when(secret.last_used_at, now),
        revoke_href: (secrets.len() > 1).then(|| format!("{own}/secrets/{}/revoke", secret.id)),
    };
    secrets.iter().map(row).collect()
}

fn when(at: Option<Timestamp>, now: Timestamp) -> String {
    at.map_or_else(
        || "Never".to_owned(),
        |at| format!("{} ({})", at.date_time(), at.ago(now)),
    )
}

fn approval_facts(own: &str, found: &OwnApplication, may_manage: bool) -> Option<ApprovalFacts> {
    let application = &found.application;
    let may_ask = may_manage && matches!(application.approval, Approval::None | Approval::Refused);
    (application.environment == Environment::Production).then(|| ApprovalFacts {
        state: application.approval,
        reason: application.approval_reason.clone(),
        waiting: found.waiting.clone(),
        verified: application.verified_at.is_some(),
        request_action: may_ask.then(|| format!("{own}/request-approval")),
    })
}

/// The operator lets it leave out PKCE (RFC 9700 §2.1.1).
fn is_weak(config: &OAuth, application: &Application) -> bool {
    application.client_type == ClientType::Confidential
        && config
            .pkce_optional_for
            .iter()
            .any(|id| id == application.id.as_str())
}

/// What the form offers, as it was filled in.
pub(super) fn typed_offer(app: &App, first_party: bool, form: &Form) -> ApplicationOffer {
    offer(
        app,
        first_party,
        |scope| form.all("scope").any(|name| name == scope.name),
        form.field("role"),
    )
}

pub(super) fn offer(
    app: &App,
    first_party: bool,
    is_selected: impl Fn(&ScopeEntry) -> bool,
    role: &str,
) -> ApplicationOffer {
    let scope = |scope: &ScopeEntry| ScopeChoice {
        scope: ScopeRow::of(&app.settings.catalogue, scope),
        selected: is_selected(scope),
    };
    let choice = |name: String| Choice {
        selected: name == role,
        id: name.clone(),
        name,
    };
    ApplicationOffer {
        scopes: app
            .settings
            .catalogue
            .scopes()
            .filter(|own| first_party || !app.settings.catalogue.is_management(&own.name))
            .map(scope)
            .collect(),
        roles: applications::roles(&app.settings.catalogue)
            .into_iter()
            .map(choice)
            .collect(),
        default_idle: life_in_words(app.config.oauth.refresh_token_seconds),
        default_absolute: life_in_words(app.config.oauth.authorization_seconds),
    }
}

fn new_page(place: &Place, form: ApplicationForm, offer: ApplicationOffer) -> ApplicationNewPage {
    ApplicationNewPage {
        shell: place.shell("New application", Section::Applications),
        csrf: place.csrf(),
        organization: place.link(),
        form,
        offer,
        errors: FieldErrors::default(),
        production_locked: place.production_locked(),
        production_unlock: place.production_unlock(),
    }
}

/// Mints the secret and stores its digest and how it starts; that of a public application is stored nowhere.
async fn make(
    app: &App,
    visitor: &Visitor,
    place: &Place,
    form: &Form,
    ticket: Ticket,
) -> Result<(Once<Application>, Plaintext), Refusal> {
    let draft = application_form::parse(form, &app.settings.catalogue)?;
    let (secret, stored) = app.mint_client_secret();
    let new = draft.with_secret(stored);
    let create = move |desk: &mut Desk| {
        applications::create(desk, &new).map(|made| (made.id.to_string(), made))
    };
    let made = once::make(app, visitor, place.organization.id, ticket, create).await?;
    Ok((made, secret))
}

pub(super) fn created_page(
    place: &Place,
    application: &Application,
    secret: &Plaintext,
) -> ApplicationCreatedPage {
    let confidential = application.client_type == ClientType::Confidential;
    ApplicationCreatedPage {
        shell: place.shell("Application created", Section::Applications),
        organization: place.link(),
        application_id: application.id.to_string(),
        name: application.name.clone(),
        environment: application.environment,
        client_id: application.id.to_string(),
        client_secret: confidential.then(|| secret.expose().to_owned()),
        is_second: false,
    }
}
