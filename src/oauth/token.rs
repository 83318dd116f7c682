//! The token endpoint (RFC 6749 §3.2): reads the form, authenticates the client, chooses the grant, answers.

use actix_web::http::header::{CACHE_CONTROL, PRAGMA};
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Map, Value, json};

use super::client_authentication::authenticate;
use super::error::{Code, Error};
use super::grants;
use crate::app::App;
use crate::crypto::digest::Purpose;
use crate::crypto::format::{TokenKind, mint_token};
use crate::crypto::signer::Claims;
use crate::domain::authorizations::{Issuance, Minted, is_opaque};
use crate::domain::clients::Client;
use crate::domain::ensure;
use crate::types::state::GrantKind;
use crate::web::facts::Facts;
use crate::web::form::Form;

/// Parameters that must not stand twice (RFC 6749 §3.2).
const PARAMETERS: [&str; 8] = ["grant_type", "code", "redirect_uri", "client_id", "client_secret", "code_verifier", "refresh_token", "scope"];

pub async fn post(app: web::Data<App>, facts: Facts, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    match exchange(&app, &facts, &request, payload).await {
        Ok(response) => response,
        Err(error) => {
            tracing::warn!(request.id = %facts.id, "Rejected token request: {error}");
            error.respond()
        }
    }
}

async fn exchange(app: &App, facts: &Facts, request: &HttpRequest, payload: web::Payload) -> Result<HttpResponse, Error> {
    let form = read_form(app, request, payload).await?;
    let client = authenticate(app, request.headers(), &form, facts).await?;
    let issuance = match form.one("grant_type")? {
        Some("authorization_code") => grants::authorization_code::exchange(app, facts, client, &form).await?,
        Some("refresh_token") => grants::refresh_token::exchange(app, facts, client, &form).await?,
        Some("client_credentials") => grants::client_credentials::exchange(app, facts, client, &form).await?,
        Some(_) => return Err(Code::UnsupportedGrantType.because("grant_type must be authorization_code, refresh_token or client_credentials.")),
        None => return Err(Code::InvalidRequest.because("grant_type is missing.")),
    };
    respond(app, &issuance)
}

/// The body's form; parameters in the URL are refused: they would be logged (9700-23).
pub(super) async fn read_form(app: &App, request: &HttpRequest, payload: web::Payload) -> Result<Form, Error> {
    ensure(request.query_string().is_empty(), Code::InvalidRequest.because("Parameters belong into the body, not into the URL."))?;
    let form = Form::read(request, payload, app.config.server.max_body_bytes).await?;
    form.refuse_repeated(&PARAMETERS)?;
    Ok(form)
}

/// Mints what the response will carry, before any transaction.
pub(super) fn mint(app: &App, client: &Client, with_refresh_token: bool) -> Minted {
    let prefix = &app.config.keys.prefix;
    let fresh = |kind, purpose| {
        let token = mint_token(prefix, kind);
        let digest = app.digester.digest(purpose, token.expose());
        (token, digest)
    };
    Minted {
        access_token: is_opaque(&client.application).then(|| fresh(TokenKind::AccessToken, Purpose::AccessToken)),
        refresh_token: with_refresh_token.then(|| fresh(TokenKind::RefreshToken, Purpose::RefreshToken)),
    }
}

/// RFC 6749 §5.1.
fn respond(app: &App, issuance: &Issuance) -> Result<HttpResponse, Error> {
    let access_token = match &issuance.minted.access_token {
        Some((token, _)) => token.expose().to_owned(),
        None => app.signer.sign(&claims(app, issuance)).map_err(|error| Error::from(Code::ServerError).caused_by(error))?,
    };
    let mut body = Map::new();
    body.insert("access_token".to_owned(), Value::from(access_token));
    body.insert("token_type".to_owned(), json!("Bearer"));
    body.insert("expires_in".to_owned(), json!(issuance.expires_at.seconds() - issuance.issued_at.seconds()));
    body.insert("scope".to_owned(), json!(issuance.scopes.as_str()));
    if let Some((token, _)) = &issuance.minted.refresh_token {
        body.insert("refresh_token".to_owned(), json!(token.expose()));
    }
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).insert_header((PRAGMA, "no-cache")).json(body))
}

/// RFC 9068 §2.2; `sub` is the client itself when it acts as itself.
fn claims(app: &App, issuance: &Issuance) -> Claims {
    let authorization = &issuance.authorization;
    let sub = match authorization.kind {
        GrantKind::AuthorizationCode => authorization.user_id.to_string(),
        GrantKind::ClientCredentials => authorization.application_id.to_string(),
    };
    Claims {
        iss: app.issuer.as_str().to_owned(),
        sub,
        aud: app.issuer.as_str().to_owned(),
        client_id: authorization.application_id,
        exp: issuance.expires_at.seconds(),
        iat: issuance.issued_at.seconds(),
        jti: issuance.access_token_id.to_string(),
        scope: issuance.scopes.to_string(),
        authorization: authorization.id,
        organization: authorization.organization_id,
        environment: authorization.environment.as_str().to_owned(),
        workspaces: issuance.workspaces.clone(),
    }
}
