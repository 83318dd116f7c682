//! refresh_token — RFC 6749 §6, rotating (RFC 9700 §4.14.2)

use std::sync::Arc;

use crate::app::App;
use crate::config::{Catalogue, OAuth};
use crate::crypto::digest::{Digest, Purpose};
use crate::crypto::format::{TokenKind, is_token};
use crate::domain::authorizations::{self, Issuance, Minted};
use crate::domain::clients::Client;
use crate::domain::ensure;
use crate::oauth::error::{Code, Error};
use crate::oauth::{oxide, token_response};
use crate::store::authorizations::Authorization;
use crate::store::{self, Tx, Verdict};
use crate::types::state::{AuthorizationState, RefreshTokenState};
use crate::web::facts::Facts;
use crate::web::form::Form;

/// What the request says.
struct Request {
    candidates: Vec<Digest>,
    scope: Option<String>,
}

pub async fn exchange(app: &App, facts: &Facts, client: Arc<Client>, form: &Form) -> Result<Issuance, Error> {
    let refresh_token = form.one("refresh_token")?.ok_or_else(|| Code::InvalidRequest.because("refresh_token is missing."))?;
    // the checksum refuses typos and garbage before any look-up
    ensure(is_token(&app.config.keys.prefix, TokenKind::RefreshToken, refresh_token), Code::InvalidGrant)?;
    let candidates = app.digester.candidates(Purpose::RefreshToken, refresh_token);
    // blank asks for nothing: what was granted stays
    let scope = form.one("scope")?.filter(|scope| !scope.trim().is_empty()).map(str::to_owned);
    let minted = token_response::mint(app, &client, true);
    let request = Request { candidates, scope };
    let (config, catalogue) = (Arc::clone(&app.config), Arc::clone(&app.catalogue));
    app.store.write(facts.now, move |tx| rotate(tx, &catalogue, &config.oauth, &client, &request, minted)).await
}

fn rotate(
    tx: &mut Tx, catalogue: &Catalogue, config: &OAuth, client: &Client, request: &Request, minted: Minted,
) -> Result<Verdict<Issuance, Error>, Error> {
    let refresh_token = tx.find_refresh_token_by_digest(&request.candidates)?.ok_or(Code::InvalidGrant)?;
    let authorization = tx.find_authorization(refresh_token.authorization_id)?.ok_or(Code::InvalidGrant)?;
    // 9700-39: another client's token is refused and not burnt
    ensure(authorization.application_id == client.application.id, Code::InvalidGrant)?;
    ensure(authorization.state == AuthorizationState::Active, Code::InvalidGrant)?;
    if refresh_token.state == RefreshTokenState::Consumed {
        return replayed(tx, &authorization);
    }
    let now = tx.now;
    let in_time = refresh_token.expires_at > now && authorization.expires_at.is_none_or(|end| end > now);
    ensure(in_time, Code::InvalidGrant.because("The refresh token has expired."))?;
    let scopes = oxide::referee_refresh(client, &authorization, request.scope.as_deref())?;
    match tx.consume_refresh_token(refresh_token.id) {
        Ok(()) => {}
        Err(store::Error::NotFound) => return replayed(tx, &authorization),
        Err(error) => return Err(error.into()),
    }
    Ok(Verdict::Done(authorizations::issue(tx, catalogue, config, authorization, scopes, minted)?))
}

/// RFC 9700 §4.14.2, committed: a refresh token that comes twice ends the family.
fn replayed(tx: &mut Tx, authorization: &Authorization) -> Result<Verdict<Issuance, Error>, Error> {
    authorizations::end(tx, authorization, "a refresh token was used twice")?;
    Ok(Verdict::Refused(Code::InvalidGrant.because("The refresh token was used before. The authorization has been revoked.")))
}
