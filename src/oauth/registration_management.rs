//! Client registration management (RFC 7592): an application reads, changes and ends its own registration, by the
//! registration access token that it got with it.

use std::sync::Arc;

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Map, Value};

use super::error::{Code, Error};
use super::registration::{candidates, information, manage, presented, read_members, refuse_query};
use crate::app::App;
use crate::crypto::digest::{Digest, Purpose};
use crate::crypto::format::TokenKind;
use crate::domain::clients::client_metadata::{ClientMetadata, Members};
use crate::domain::clients::registration::{self, Description, Managed, RegistrationError};
use crate::domain::ensure;
use crate::store::{self, Snapshot, Tx, Verdict};
use crate::types::id::ApplicationId;
use crate::web::credential::credential;
use crate::web::facts::Facts;

/// RFC 7592 §2.2: only the server says these.
const NEVER_SENT: [&str; 4] = [
    "registration_access_token",
    "registration_client_uri",
    "client_secret_expires_at",
    "client_id_issued_at",
];

/// `GET /oauth2/register/{client_id}` (§2.1).
pub async fn get(
    app: web::Data<App>,
    facts: Facts,
    request: HttpRequest,
    path: web::Path<String>,
) -> HttpResponse {
    answer(&facts, read(&app, &facts, &request, &path).await)
}

/// `PUT /oauth2/register/{client_id}` (§2.2).
pub async fn put(
    app: web::Data<App>,
    facts: Facts,
    request: HttpRequest,
    path: web::Path<String>,
    payload: web::Payload,
) -> HttpResponse {
    answer(&facts, update(&app, &facts, &request, &path, payload).await)
}

/// `DELETE /oauth2/register/{client_id}` (§2.3).
pub async fn delete(
    app: web::Data<App>,
    facts: Facts,
    request: HttpRequest,
    path: web::Path<String>,
) -> HttpResponse {
    answer(&facts, end(&app, &facts, &request, &path).await)
}

fn answer(facts: &Facts, result: Result<HttpResponse, Error>) -> HttpResponse {
    result.unwrap_or_else(|error| {
        tracing::warn!(request.id = %facts.id, "Rejected registration management: {error}");
        error.respond()
    })
}

async fn read(
    app: &App,
    facts: &Facts,
    request: &HttpRequest,
    path: &str,
) -> Result<HttpResponse, Error> {
    let (_, managed) = authenticate(app, facts, request, path).await?;
    respond(app, request, &managed)
}

async fn update(
    app: &App,
    facts: &Facts,
    request: &HttpRequest,
    path: &str,
    payload: web::Payload,
) -> Result<HttpResponse, Error> {
    let (token, managed) = authenticate(app, facts, request, path).await?;
    let id = managed.application.id;
    let members = read_members(app, request, payload).await?;
    check(app, &managed, &members).await?;
    let vouched_for = managed.registration.registration_token_id.is_some();
    let metadata = ClientMetadata::new(&members, &registration::offer(&app.settings, vouched_for))?;
    let same = managed
        .identity(&metadata)
        .map(|identity| candidates(app, &identity))
        .unwrap_or_default();
    let description = Description { metadata, same };
    let settings = Arc::clone(&app.settings);
    let change = move |tx: &mut Tx| {
        registration::update(tx, &settings, &token, id, &description).map(Verdict::Done)
    };
    // behind the organization's lock: no other may come to mean the same at the same time
    let changed: Result<Managed, RegistrationError> = app
        .store
        .write_organization(managed.application.organization_id, facts.now, change)
        .await;
    respond(app, request, &changed?)
}

async fn end(
    app: &App,
    facts: &Facts,
    request: &HttpRequest,
    path: &str,
) -> Result<HttpResponse, Error> {
    let (token, managed) = authenticate(app, facts, request, path).await?;
    let id = managed.application.id;
    let end = move |tx: &mut Tx| registration::delete(tx, &token, id).map(Verdict::Done);
    let ended: Result<(), RegistrationError> = app.store.write(facts.now, end).await;
    ended.map_err(|error| match error {
        // a twin of this request was first
        RegistrationError::Store(store::Error::NotFound) => RegistrationError::UnknownToken,
        other => other,
    })?;
    Ok(HttpResponse::NoContent()
        .insert_header((CACHE_CONTROL, "no-store"))
        .finish())
}

/// The application whose token was presented; that of another, and one that has ended, are wrong tokens.
async fn authenticate(
    app: &App,
    facts: &Facts,
    request: &HttpRequest,
    path: &str,
) -> Result<(Vec<Digest>, Managed), Error> {
    refuse_query(request)?;
    let token = presented(
        app,
        request,
        TokenKind::RegistrationAccessToken,
        Purpose::RegistrationAccessToken,
    )?;
    let id: ApplicationId = path.parse().map_err(|_| RegistrationError::UnknownToken)?;
    let candidates = token.clone();
    let found = app
        .store
        .read(move |snapshot| registration::find_managed(snapshot, &candidates, id))
        .await;
    if matches!(found, Err(RegistrationError::UnknownToken)) {
        app.count_unknown(facts.address, facts.now)
            .map_err(Error::throttled)?;
    }
    Ok((token, found?))
}

/// RFC 7592 §2.2: the client names itself, sends its own secret if any, and nothing that only the server says.
async fn check(app: &App, managed: &Managed, members: &Members) -> Result<(), Error> {
    let id = managed.application.id;
    let own = members.text("client_id")? == Some(id.as_str());
    ensure(
        own,
        Code::InvalidClientMetadata.because("client_id must be there, and be that of the URL."),
    )?;
    let sent = NEVER_SENT.into_iter().find(|name| members.contains(name));
    ensure(
        sent.is_none(),
        Code::InvalidClientMetadata.because(format!(
            "{} must not be sent: only the server says it.",
            sent.unwrap_or_default()
        )),
    )?;
    let Some(secret) = members.text("client_secret")? else {
        return Ok(());
    };
    let secrets: Result<_, store::Error> = app
        .store
        .read(move |snapshot: &mut Snapshot| snapshot.list_application_secrets(id))
        .await;
    let proven = secrets?.iter().any(|own| {
        app.digester
            .matches(Purpose::ClientSecret, secret, &own.digest)
    });
    ensure(
        proven,
        Code::InvalidClientMetadata.because(
            "client_secret is not the current one; leave it out, or send the current one.",
        ),
    )
}

/// §3. A secret is never shown twice; the token is the presented one.
fn respond(app: &App, request: &HttpRequest, managed: &Managed) -> Result<HttpResponse, Error> {
    let stored: Map<String, Value> = serde_json::from_str(&managed.registration.metadata)
        .map_err(|error| Error::from(Code::ServerError).caused_by(error))?;
    let mut body = information(
        stored,
        managed.application.id,
        managed.registration.created_at.seconds(),
    );
    if let Ok(token) = credential(request, &app.config.keys.header_scheme) {
        manage(app, &mut body, managed.application.id, &token);
    }
    Ok(HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(body))
}
