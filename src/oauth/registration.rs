//! Dynamic client registration (RFC 7591 §3): with an initial access token, or by anybody where `[registration]` is open.
//!
//! A public client that registers the same again gets the same `client_id`, and that is free. Where anybody may register,
//! several share it: nobody gets a registration access token for it.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, CACHE_CONTROL};
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Map, Value, json};

use super::error::{Code, Error};
use crate::app::App;
use crate::crypto::Plaintext;
use crate::crypto::digest::{Digest, Purpose};
use crate::crypto::format::{TokenKind, is_token, mint_token};
use crate::crypto::password::network;
use crate::domain::clients::client_metadata::{ClientMetadata, MOST_BYTES, Members, MetadataError};
use crate::domain::clients::registration::{
    self, Description, NewRegistration, Registered, Registrant, RegistrationError,
};
use crate::domain::decision::limiter::{Quota, Taken};
use crate::domain::ensure;
use crate::store::{self, Tx, Verdict};
use crate::types::id::ApplicationId;
use crate::types::state::ClientType;
use crate::web::body;
use crate::web::credential::{CredentialError, credential};
use crate::web::facts::Facts;
use crate::web::form::FormError;

pub async fn post(
    app: web::Data<App>,
    facts: Facts,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    match register(&app, &facts, &request, payload).await {
        Ok(response) => response,
        Err(error) => {
            tracing::warn!(request.id = %facts.id, "Rejected registration: {error}");
            error.respond()
        }
    }
}

async fn register(
    app: &App,
    facts: &Facts,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Error> {
    refuse_query(request)?;
    let token = initial_access_token(app, request)?;
    ensure(
        token.is_some() || app.config.registration.is_open(),
        Error::from(RegistrationError::TokenRequired),
    )?;
    let registrant = find_registrant(app, token.clone(), facts).await?;
    let members = read_members(app, request, payload).await?;
    let metadata = ClientMetadata::new(
        &members,
        &registration::offer(&app.settings, registrant.lets_act_as_itself),
    )?;
    let (secret, new_secret) = app.mint_client_secret();
    let management = mint_token(&app.config.keys.prefix, TokenKind::RegistrationAccessToken);
    let same = registration::identity(&registrant, &metadata)
        .map(|identity| candidates(app, &identity))
        .unwrap_or_default();
    let registered = match find_same(app, &registrant, &same, facts).await? {
        Some(registered) => registered,
        None => {
            take_place(app, &registrant, &same, facts).await?;
            let new = NewRegistration {
                description: Description {
                    metadata: metadata.clone(),
                    same,
                },
                secret: new_secret,
                management: app
                    .digester
                    .digest(Purpose::RegistrationAccessToken, management.expose()),
            };
            write(app, &registrant, token, new, facts).await?
        }
    };
    Ok(respond(app, &metadata, &registered, &secret, &management))
}

/// The digests under which this may be stored, the current one first.
pub(super) fn candidates(app: &App, identity: &str) -> Vec<Digest> {
    let current = app.digester.digest(Purpose::ClientMetadata, identity);
    let others = app
        .digester
        .candidates(Purpose::ClientMetadata, identity)
        .into_iter()
        .filter(|other| *other != current);
    std::iter::once(current.clone()).chain(others).collect()
}

/// Parameters in a URL would be logged (9700-23).
pub(super) fn refuse_query(request: &HttpRequest) -> Result<(), Error> {
    ensure(
        request.query_string().is_empty(),
        Code::InvalidRequest
            .because("The metadata belongs into the body, as JSON, and nothing into the URL."),
    )
}

/// RFC 7591 §3.1: one JSON object.
pub(super) async fn read_members(
    app: &App,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<Members, Error> {
    let most = MOST_BYTES.min(app.config.server.max_body_bytes);
    let bytes = body::read(request, payload, "application/json", most)
        .await
        .map_err(FormError::Body)?;
    Ok(Members::parse(&bytes)?)
}

/// The digests of the presented token; none when nothing was presented. What cannot be one is refused like an unknown one.
fn initial_access_token(app: &App, request: &HttpRequest) -> Result<Option<Vec<Digest>>, Error> {
    if !request.headers().contains_key(AUTHORIZATION) {
        return Ok(None);
    }
    presented(
        app,
        request,
        TokenKind::InitialAccessToken,
        Purpose::InitialAccessToken,
    )
    .map(Some)
}

pub(super) fn presented(
    app: &App,
    request: &HttpRequest,
    kind: TokenKind,
    purpose: Purpose,
) -> Result<Vec<Digest>, Error> {
    let token =
        credential(request, &app.config.keys.header_scheme).map_err(|error| match error {
            CredentialError::Missing => {
                Code::InvalidToken.because("Send the token as Authorization: Bearer.")
            }
            other => Code::InvalidRequest.because(other.to_string()),
        })?;
    ensure(
        is_token(&app.config.keys.prefix, kind, &token),
        Error::from(RegistrationError::UnknownToken),
    )?;
    Ok(app.digester.candidates(purpose, &token))
}

/// A look-up that anybody can provoke: unknown tokens use up the address's budget.
async fn find_registrant(
    app: &App,
    token: Option<Vec<Digest>>,
    facts: &Facts,
) -> Result<Registrant, Error> {
    let (settings, now) = (Arc::clone(&app.settings), facts.now);
    let found = app
        .store
        .read(move |snapshot| {
            registration::find_registrant(snapshot, &settings, token.as_deref(), now)
        })
        .await;
    if matches!(found, Err(RegistrationError::UnknownToken)) {
        app.count_unknown(facts.address, facts.now)
            .map_err(Error::throttled)?;
    }
    Ok(found?)
}

/// Without a token a repetition writes nothing, most of the time.
async fn find_same(
    app: &App,
    registrant: &Registrant,
    same: &[Digest],
    facts: &Facts,
) -> Result<Option<Registered>, Error> {
    if registrant.token.is_some() || same.is_empty() {
        return Ok(None);
    }
    let (same, now) = (same.to_vec(), facts.now);
    Ok(app
        .store
        .read(move |snapshot| registration::find_same(snapshot, &same, now))
        .await?)
}

/// New applications are counted by address, or by token; one that is there already is not new.
async fn take_place(
    app: &App,
    registrant: &Registrant,
    same: &[Digest],
    facts: &Facts,
) -> Result<(), Error> {
    let known = same.to_vec();
    let find = move |snapshot: &mut store::Snapshot| {
        if known.is_empty() {
            Ok(None)
        } else {
            snapshot.find_registration_by_metadata(&known)
        }
    };
    let found: Result<_, store::Error> = app.store.read(find).await;
    if found?.is_some() {
        return Ok(());
    }
    let subject = registrant.token.as_ref().map_or_else(
        || network(facts.address).to_string(),
        |token| token.id.to_string(),
    );
    let quota = Quota::new(
        "registrations",
        subject.as_str(),
        app.config.limits.registrations,
    );
    match app.limiter.take(&subject, &[quota], facts.now) {
        Taken::All(_) => Ok(()),
        Taken::None {
            retry_after_seconds,
            ..
        } => Err(Error::too_many(
            "Too many new applications were registered. Wait as long as Retry-After says.",
            retry_after_seconds.unwrap_or(1),
        )),
    }
}

async fn write(
    app: &App,
    registrant: &Registrant,
    token: Option<Vec<Digest>>,
    new: NewRegistration,
    facts: &Facts,
) -> Result<Registered, Error> {
    let settings = Arc::clone(&app.settings);
    let register = move |tx: &mut Tx| {
        registration::register(tx, &settings, token.as_deref(), &new).map(Verdict::Done)
    };
    let written: Result<Registered, RegistrationError> = app
        .store
        .write_organization(registrant.organization, facts.now, register)
        .await;
    Ok(written?)
}

/// RFC 7591 §3.2.1.
fn respond(
    app: &App,
    metadata: &ClientMetadata,
    registered: &Registered,
    secret: &Plaintext,
    management: &Plaintext,
) -> HttpResponse {
    let mut body = information(
        metadata.to_json(),
        registered.application,
        registered.issued_at.seconds(),
    );
    if metadata.auth_method.client_type() == ClientType::Confidential {
        body.insert("client_secret".into(), secret.expose().into());
        // §3.2.1: it does not expire
        body.insert("client_secret_expires_at".into(), 0.into());
    }
    if registered.managed {
        manage(app, &mut body, registered.application, management.expose());
    }
    HttpResponse::Created()
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(body)
}

pub(super) fn information(
    mut metadata: Map<String, Value>,
    id: ApplicationId,
    issued_at: i64,
) -> Map<String, Value> {
    metadata.insert("client_id".into(), json!(id));
    metadata.insert("client_id_issued_at".into(), issued_at.into());
    metadata
}

/// RFC 7592 §3.
pub(super) fn manage(app: &App, body: &mut Map<String, Value>, id: ApplicationId, token: &str) {
    body.insert("registration_access_token".into(), token.into());
    body.insert(
        "registration_client_uri".into(),
        format!("{}/oauth2/register/{id}", app.issuer.as_str()).into(),
    );
}

impl From<MetadataError> for Error {
    fn from(error: MetadataError) -> Self {
        match error {
            MetadataError::RedirectUri(text) => Code::InvalidRedirectUri.because(text),
            MetadataError::Metadata(text) => Code::InvalidClientMetadata.because(text),
        }
    }
}

impl From<RegistrationError> for Error {
    fn from(error: RegistrationError) -> Self {
        match error {
            RegistrationError::Metadata(error) => error.into(),
            RegistrationError::UnknownToken => Code::InvalidToken
                .because("The token is unknown, expired or revoked, or what it was for has ended."),
            RegistrationError::TokenRequired => Code::InvalidToken.because(
                "Registration needs an initial access token: send it as Authorization: Bearer.",
            ),
            RegistrationError::Blocked(text) => Code::AccessDenied
                .because(text)
                .with_status(StatusCode::FORBIDDEN),
            // somebody else was quicker: the next try finds what is there
            RegistrationError::Store(store::Error::NotFound | store::Error::Constraint(_)) => {
                Error::from(store::Error::Unavailable(
                    "a row changed meanwhile".to_owned(),
                ))
            }
            RegistrationError::Store(error) => error.into(),
        }
    }
}
