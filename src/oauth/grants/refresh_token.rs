//! refresh_token — RFC 6749 §6, rotating with proof of receipt (RFC 9700 §4.14.2, `domain/clients/refresh.rs`)

use std::sync::Arc;

use crate::app::App;
use crate::crypto::digest::{Digest, Purpose};
use crate::crypto::format::{TokenKind, is_token};
use crate::domain::clients::authorizations::{
    self, Entitlement, Issuance, MintedTokens, Terms, TokenExtent,
};
use crate::domain::clients::clients::Client;
use crate::domain::clients::refresh::{self, Case, Judgement, Taken};
use crate::domain::ensure;
use crate::domain::settings::Settings;
use crate::oauth::error::{Code, Error};
use crate::oauth::referee::Stored;
use crate::oauth::{referee, resource, scope, token_response};
use crate::store::authorizations::Authorization;
use crate::store::{self, Tx, Verdict};
use crate::types::resource::ResourceUri;
use crate::types::state::AuthorizationState;
use crate::web::facts::Facts;
use crate::web::form::Form;

/// What the request says.
struct Request {
    candidates: Vec<Digest>,
    scope: Option<String>,
    resources: Vec<ResourceUri>,
}

pub async fn exchange(
    app: &App,
    facts: &Facts,
    client: Arc<Client>,
    form: &Form,
) -> Result<Issuance, Error> {
    let refresh_token = form
        .one("refresh_token")?
        .ok_or_else(|| Code::InvalidRequest.because("refresh_token is missing."))?;
    // the checksum refuses typos and garbage before any look-up
    ensure(
        is_token(
            &app.config.keys.prefix,
            TokenKind::RefreshToken,
            refresh_token,
        ),
        Code::InvalidGrant,
    )?;
    let request = Request {
        candidates: app
            .digester
            .candidates(Purpose::RefreshToken, refresh_token),
        // blank asks for nothing: what was granted stays
        scope: form
            .one("scope")?
            .filter(|scope| !scope.trim().is_empty())
            .map(str::to_owned),
        resources: resource::asked(form)?,
    };
    let minted = token_response::mint(app, &client, client.application.rotates());
    let settings = Arc::clone(&app.settings);
    app.store
        .write(facts.now, move |tx| {
            exchange_once(tx, &settings, &client, &request, &minted)
        })
        .await
}

fn exchange_once(
    tx: &mut Tx,
    settings: &Settings,
    client: &Client,
    request: &Request,
    minted: &MintedTokens,
) -> Result<Verdict<Issuance, Error>, Error> {
    let refresh_token = tx
        .find_refresh_token_by_digest(&request.candidates)?
        .ok_or(Code::InvalidGrant)?;
    let authorization = tx
        .find_authorization(refresh_token.authorization_id)?
        .ok_or(Code::InvalidGrant)?;
    // 9700-39: another client's token is refused and not burnt
    ensure(
        authorization.application_id == client.application.id,
        Code::InvalidGrant,
    )?;
    let terms = Terms::of(&settings.oauth, &client.application);
    hold(tx, &terms, &authorization)?;
    // read again: whoever held the family before may have changed it
    let refresh_token = tx
        .find_refresh_token_by_digest(&request.candidates)?
        .ok_or(Code::InvalidGrant)?;
    let case = Case::of(tx, refresh_token)?;
    let now = tx.now;
    let judged = case.judge(now, terms.grace_seconds);
    if matches!(judged, Judgement::Returned | Judgement::Stolen) {
        let taken = refresh::take(tx, &authorization, &case, terms.grace_seconds)?;
        return Ok(refused(taken));
    }
    // a replacement token gets the expiry of the token it replaces
    let lives_as = case
        .live
        .as_ref()
        .filter(|_| judged == Judgement::Lost)
        .unwrap_or(&case.token);
    // no token outlives its family
    let family_end = authorization.expires_at.unwrap_or(lives_as.expires_at);
    let stored = Stored {
        authorization: &authorization,
        expires_at: Some(lives_as.expires_at.min(family_end)),
        now,
    };
    let asked = request.scope.as_deref();
    let ours = ensure(
        stored.is_in_time(),
        Code::InvalidGrant.because("The refresh token has expired."),
    )
    .and_then(|()| scope::narrow(&authorization.scopes, asked));
    // what was taken away from the application is not issued any more
    let scopes = referee::refresh_token(client, asked, &stored, ours)?
        .intersection(&client.application.scopes_for(authorization.organization_id));
    ensure(
        !scopes.is_empty() || authorization.scopes.is_empty(),
        Code::InvalidGrant.because("The application may have none of these scopes any more."),
    )?;
    let resources = resource::narrow(&authorization.resources, &request.resources)?;
    let extent = TokenExtent { scopes, resources };
    let taken = if terms.rotates {
        refresh::take(tx, &authorization, &case, terms.grace_seconds)?
    } else {
        // the application keeps its token: it lives on from here
        ensure(judged == Judgement::Live, Code::InvalidGrant)?;
        tx.extend_refresh_token(case.token.id, terms.refresh_token_end(now, &authorization))?;
        Taken::Generation(case.token.generation)
    };
    let Taken::Generation(generation) = taken else {
        // somebody showed the live pair in between
        return Ok(refused(taken));
    };
    let entitlement = Entitlement {
        authorization,
        extent,
        generation,
    };
    Ok(Verdict::Done(authorizations::issue(
        tx,
        &settings.catalogue,
        &terms,
        entitlement,
        minted,
    )?))
}

/// Whoever else refreshes or revokes the family waits until this is done; one that has ended is refused, with the reason.
fn hold(tx: &mut Tx, terms: &Terms, authorization: &Authorization) -> Result<(), Error> {
    ensure(
        authorization.state == AuthorizationState::Active,
        ended(authorization),
    )?;
    match tx.hold_family(authorization.id, terms.row_end(tx.now, authorization)) {
        // it ended in this moment
        Err(store::Error::NotFound) => Err(tx
            .find_authorization(authorization.id)?
            .map_or_else(|| Code::InvalidGrant.into(), |now| ended(&now))),
        held => Ok(held?),
    }
}

/// Whoever holds a refresh token of the connection and is its client may know why it has ended. RFC 6749 §5.2: the reasons
/// are printable ASCII without quotes.
fn ended(authorization: &Authorization) -> Error {
    match &authorization.revoked_because {
        Some(because) => {
            Code::InvalidGrant.because(format!("The connection has ended: {because}."))
        }
        None => Code::InvalidGrant.into(),
    }
}

/// Committed: what was stolen is dead, and what came back is noted, although the request fails.
fn refused(taken: Taken) -> Verdict<Issuance, Error> {
    Verdict::Refused(match taken {
        Taken::Ended => Code::InvalidGrant
            .because("The refresh token was used before. The authorization has been revoked."),
        Taken::Marked | Taken::Generation(_) => Code::InvalidGrant
            .because("The refresh token was used before. Use the one that was issued for it."),
    })
}
