//! Initial access tokens: list, create, revoke.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::pages::registration::{RegistrationPage, TokenCreatedPage, TokenForm, TokenRow};
use super::shell::{self, Place, date_or_never, parse_id};
use crate::app::App;
use crate::crypto::Plaintext;
use crate::crypto::digest::Purpose;
use crate::crypto::format::{TokenKind, mint_token};
use crate::domain::Refusal;
use crate::domain::clients::own_applications;
use crate::domain::clients::registration_tokens::{self, ListedToken, NewRegistrationToken};
use crate::domain::desk::Desk;
use crate::domain::operations::idempotency::Ticket;
use crate::store::registration_tokens::RegistrationToken;
use crate::types::id::{OrganizationId, RegistrationTokenId};
use crate::types::time::Timestamp;
use crate::web::facts::Facts;
use crate::web::form::Form;
use crate::web::html::{self, PageError};
use crate::web::once::{self, Once};
use crate::web::page::{FieldErrors, Link, Section};
use crate::web::visitor::Visitor;

const FIELDS: [&str; 4] = ["name", "environment", "max_clients", "expiry"];

/// `GET /dev-centre/{organization}/registration`.
pub async fn list(
    app: web::Data<App>,
    visitor: Visitor,
    facts: Facts,
    path: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let template = list_page(
        &app,
        &visitor,
        &path,
        TokenForm::default(),
        FieldErrors::default(),
        facts.now,
    )
    .await?;
    Ok(html::page(StatusCode::OK, &template, None))
}

/// `POST /dev-centre/{organization}/registration`. The answer is the only page that ever shows the token.
pub async fn create(
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
    // before the token exists: once it does, nothing may keep its page from being shown
    let (place, ()) = shell::ask(&app, &visitor, &path, own_applications::ensure_manages).await?;
    let ticket = once::ticket(&app, &visitor, &request, &form)?;
    match make(&app, &visitor, &place, &form, ticket).await {
        Ok((Once::Made(token), plaintext)) => Ok(html::page(
            StatusCode::OK,
            &created_page(&app, &place, &token, &plaintext),
            None,
        )),
        Ok((Once::MadeBefore(_), _)) => Ok(once::made_before(
            place.shell("Token created", Section::Applications),
            "The token",
            Link {
                href: list_path(place.organization.id),
                label: "To the tokens".to_owned(),
            },
        )),
        Err(refusal) => {
            let template = list_page(
                &app,
                &visitor,
                &path,
                typed(&form),
                shell::field_errors(refusal)?,
                facts.now,
            )
            .await?;
            Ok(html::page(
                StatusCode::UNPROCESSABLE_ENTITY,
                &template,
                None,
            ))
        }
    }
}

/// `POST /dev-centre/{organization}/registration/{id}/revoke`.
pub async fn revoke(
    app: web::Data<App>,
    visitor: Visitor,
    request: HttpRequest,
    path: web::Path<(String, String)>,
    payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    let form = Form::read(&request, payload, app.config.server.max_body_bytes).await?;
    visitor.check_csrf(&form)?;
    let (_, organization) = shell::enter(&app, &visitor, &path.0).await?;
    let id: RegistrationTokenId = parse_id(&path.1)?;
    let revoke = move |desk: &mut Desk| registration_tokens::revoke(desk, id);
    shell::change(&app, &visitor, organization, revoke).await?;
    Ok(html::see_other(&list_path(organization)))
}

fn list_path(organization: OrganizationId) -> String {
    format!("/dev-centre/{organization}/registration")
}

async fn list_page(
    app: &App,
    visitor: &Visitor,
    path: &str,
    form: TokenForm,
    errors: FieldErrors,
    now: Timestamp,
) -> Result<RegistrationPage, PageError> {
    let (place, tokens) = shell::ask(app, visitor, path, registration_tokens::list).await?;
    Ok(RegistrationPage {
        shell: place.shell("Registration", Section::Applications),
        csrf: place.csrf(),
        organization: place.link(),
        registration_endpoint: endpoint(app),
        tokens: tokens
            .iter()
            .map(|listed| row(place.organization.id, listed, now))
            .collect(),
        form,
        errors,
        production_locked: place.production_locked(),
        production_unlock: place.production_unlock(),
    })
}

fn row(organization: OrganizationId, listed: &ListedToken, now: Timestamp) -> TokenRow {
    let token = &listed.token;
    let expired = token.expires_at.is_some_and(|end| end <= now);
    TokenRow {
        name: token.name.clone(),
        environment: token.environment,
        clients: format!("{} of {}", listed.clients, token.max_clients),
        created: token.created_at.date(),
        expires: if expired {
            "Expired".to_owned()
        } else {
            date_or_never(token.expires_at)
        },
        last_used: date_or_never(token.last_used_at),
        revoke_action: format!("{}/{}/revoke", list_path(organization), token.id),
    }
}

fn endpoint(app: &App) -> String {
    format!("{}/oauth2/register", app.issuer.as_str())
}

fn typed(form: &Form) -> TokenForm {
    let text = |name| form.field(name).to_owned();
    TokenForm {
        name: text("name"),
        environment: text("environment"),
        max_clients: text("max_clients"),
        expiry: text("expiry"),
    }
}

async fn make(
    app: &App,
    visitor: &Visitor,
    place: &Place,
    form: &Form,
    ticket: Ticket,
) -> Result<(Once<RegistrationToken>, Plaintext), Refusal> {
    let plaintext = mint_token(&app.config.keys.prefix, TokenKind::InitialAccessToken);
    let digest = app
        .digester
        .digest(Purpose::InitialAccessToken, plaintext.expose());
    let new = parse(form, visitor.now(), digest)?;
    let create = move |desk: &mut Desk| {
        registration_tokens::create(desk, &new).map(|made| (made.id.to_string(), made))
    };
    let made = once::make(app, visitor, place.organization.id, ticket, create).await?;
    Ok((made, plaintext))
}

fn parse(
    form: &Form,
    now: Timestamp,
    digest: crate::crypto::digest::Digest,
) -> Result<NewRegistrationToken, Refusal> {
    let mut errors = Vec::new();
    let environment = form
        .field("environment")
        .parse()
        .map_err(|_| errors.push(("environment", "Choose an environment.".to_owned())));
    let max_clients = form
        .field("max_clients")
        .trim()
        .parse()
        .map_err(|_| errors.push(("max_clients", "Type a number.".to_owned())));
    let expires_at = match form.field("expiry") {
        "never" => Some(None),
        days => ["30", "90", "365"].contains(&days).then(|| {
            days.parse()
                .ok()
                .map(|days: i64| now.plus_seconds(days * 24 * 60 * 60))
        }),
    };
    if expires_at.is_none() {
        errors.push(("expiry", "Choose when it expires.".to_owned()));
    }
    match (environment, max_clients, expires_at) {
        (Ok(environment), Ok(max_clients), Some(expires_at)) => Ok(NewRegistrationToken {
            name: form.field("name").to_owned(),
            environment,
            max_clients,
            expires_at,
            digest,
        }),
        _ => Err(Refusal::Invalid(errors)),
    }
}

fn created_page(
    app: &App,
    place: &Place,
    token: &RegistrationToken,
    plaintext: &Plaintext,
) -> TokenCreatedPage {
    TokenCreatedPage {
        shell: place.shell("Token created", Section::Applications),
        organization: place.link(),
        name: token.name.clone(),
        environment: token.environment,
        secret: plaintext.expose().to_owned(),
        registration_endpoint: endpoint(app),
    }
}
