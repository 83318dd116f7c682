//! What a token response carries (RFC 6749 §5.1): minted before the transaction, signed behind it.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, PRAGMA};
use serde_json::{Map, Value, json};

use super::error::{Code, Error};
use crate::app::App;
use crate::crypto::digest::Purpose;
use crate::crypto::format::{TokenKind, mint_token};
use crate::crypto::signer::{Audience, Claims};
use crate::domain::clients::authorizations::{Issuance, MintedTokens, is_opaque};
use crate::domain::clients::clients::Client;
use crate::types::state::GrantKind;

/// Mints what the response will carry, before any transaction. A refresh token only where one is to be used.
pub fn mint(app: &App, client: &Client, with_refresh_token: bool) -> MintedTokens {
    let prefix = &app.config.keys.prefix;
    let fresh = |kind, purpose| {
        let token = mint_token(prefix, kind);
        let digest = app.digester.digest(purpose, token.expose());
        (token, digest)
    };
    MintedTokens {
        access_token: is_opaque(&client.application)
            .then(|| fresh(TokenKind::AccessToken, Purpose::AccessToken)),
        refresh_token: with_refresh_token
            .then(|| fresh(TokenKind::RefreshToken, Purpose::RefreshToken)),
    }
}

/// RFC 6749 §5.1.
pub fn respond(app: &App, issuance: &Issuance) -> Result<HttpResponse, Error> {
    let access_token = match &issuance.minted.access_token {
        Some((token, _)) => token.expose().to_owned(),
        None => app
            .signer
            .sign(&claims(app, issuance))
            .map_err(|error| Error::from(Code::ServerError).caused_by(error))?,
    };
    let mut body = Map::new();
    body.insert("access_token".to_owned(), Value::from(access_token));
    body.insert("token_type".to_owned(), json!("Bearer"));
    body.insert(
        "expires_in".to_owned(),
        json!(issuance.expires_at.seconds() - issuance.issued_at.seconds()),
    );
    body.insert("scope".to_owned(), json!(issuance.extent.scopes.as_str()));
    if let Some((token, _)) = &issuance.minted.refresh_token {
        body.insert("refresh_token".to_owned(), json!(token.expose()));
    }
    Ok(HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((PRAGMA, "no-cache"))
        .json(body))
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
        aud: Audience::of(&issuance.extent.resources, app.issuer.as_str()),
        client_id: authorization.application_id,
        exp: issuance.expires_at.seconds(),
        iat: issuance.issued_at.seconds(),
        jti: issuance.access_token_id.to_string(),
        scope: issuance.extent.scopes.to_string(),
        authorization: authorization.id,
        organization: authorization.organization_id,
        environment: authorization.environment.as_str().to_owned(),
        workspaces: issuance.workspaces.clone(),
    }
}
