//! Token revocation (RFC 7009). An unknown token, and one of another client, is a success without effect (§2.2).

use std::sync::Arc;

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, web};

use super::client_authentication::authenticate;
use super::error::{Code, Error};
use super::token::read_form;
use crate::app::App;
use crate::crypto::digest::{Digest, Purpose};
use crate::crypto::format::{TokenKind, is_token};
use crate::domain::clients::authorizations;
use crate::domain::clients::clients::Client;
use crate::domain::clients::refresh::Case;
use crate::store::{self, Tx, Verdict};
use crate::types::event::Event;
use crate::types::id::{AccessTokenId, AuthorizationId};
use crate::types::time::Timestamp;
use crate::web::facts::Facts;

pub async fn post(
    app: web::Data<App>,
    facts: Facts,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    match revoke(&app, &facts, &request, payload).await {
        Ok(()) => HttpResponse::Ok()
            .insert_header((CACHE_CONTROL, "no-store"))
            .finish(),
        Err(error) => {
            tracing::warn!(request.id = %facts.id, "Rejected revocation: {error}");
            error.respond()
        }
    }
}

async fn revoke(
    app: &App,
    facts: &Facts,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<(), Error> {
    let form = read_form(app, request, payload).await?;
    let client = authenticate(app, request.headers(), &form, facts).await?;
    let token = form
        .one("token")?
        .ok_or_else(|| Code::InvalidRequest.because("token is missing."))?;
    // §2.1: token_type_hint may be wrong, so all kinds are looked for in any case
    form.one("token_type_hint")?;
    let refresh = app.digester.candidates(Purpose::RefreshToken, token);
    let opaque = app.digester.candidates(Purpose::AccessToken, token);
    let jwt = app.signer.verify(token).ok().and_then(|claims| {
        Some(Presented {
            id: claims.jti.parse().ok()?,
            authorization: claims.authorization,
            expires_at: claims.expires_at(),
        })
    });
    let prefix = &app.config.keys.prefix;
    let shaped = is_token(prefix, TokenKind::RefreshToken, token)
        || is_token(prefix, TokenKind::AccessToken, token);
    if !shaped && jwt.is_none() {
        // §2.2: nothing of ours, so nothing to end
        return Ok(());
    }
    Ok(app
        .store
        .write(facts.now, move |tx| {
            end(tx, &client, &refresh, &opaque, jwt.as_ref()).map(Verdict::<_, store::Error>::Done)
        })
        .await?)
}

struct Presented {
    id: AccessTokenId,
    authorization: AuthorizationId,
    expires_at: Timestamp,
}

fn end(
    tx: &mut Tx,
    client: &Arc<Client>,
    refresh: &[Digest],
    opaque: &[Digest],
    jwt: Option<&Presented>,
) -> Result<(), store::Error> {
    if let Some(token) = tx.find_refresh_token_by_digest(refresh)? {
        let own = tx
            .find_authorization(token.authorization_id)?
            .filter(|own| own.application_id == client.application.id);
        return match own {
            // §2.1: with the refresh token, the access tokens of the same authorization
            Some(own) if Case::of(tx, token)?.ends_by_revocation(tx.now) => {
                authorizations::end(tx, &own, "revoked by the client")
            }
            // §2.2: another client's, or one that has rotated and whose successor was seen
            _ => Ok(()),
        };
    }
    let row = tx.find_access_token_by_digest(opaque)?;
    let row = row.map(|row| Presented {
        id: row.id,
        authorization: row.authorization_id,
        expires_at: row.expires_at,
    });
    let Some(token) = row.as_ref().or(jwt) else {
        return Ok(());
    };
    let Some(authorization) = tx.find_authorization(token.authorization)? else {
        return Ok(());
    };
    if authorization.application_id != client.application.id {
        return Ok(());
    }
    // who shows it has what came with it, too
    tx.note_receipt(token.id)?;
    tx.revoke_access_token(&authorization, token.id, token.expires_at)?;
    tx.record(
        Some(authorization.organization_id),
        None,
        Event::AccessTokenRevoked,
        token.id.as_str(),
        "revoked by the client",
    )
}
