//! authorization_code — RFC 6749 §4.1.3, RFC 7636 §4.6

use std::sync::Arc;

use crate::app::App;
use crate::config::OAuth;
use crate::crypto::digest::{Digest, Purpose};
use crate::crypto::format::{TokenKind, is_token};
use crate::domain::clients::authorizations::{
    self, Entitlement, Issuance, MintedTokens, Terms, TokenExtent,
};
use crate::domain::clients::clients::Client;
use crate::domain::clients::consents;
use crate::domain::ensure;
use crate::domain::settings::Settings;
use crate::oauth::error::{Code, Error};
use crate::oauth::referee::Stored;
use crate::oauth::{pkce, referee, resource, token_response};
use crate::store::authorizations::Authorization;
use crate::store::{self, Tx, Verdict};
use crate::types::grant_types::GrantType;
use crate::types::id::ConsentId;
use crate::types::redirect_uri::RedirectUri;
use crate::types::resource::ResourceUri;
use crate::types::state::AuthorizationState;
use crate::web::facts::Facts;
use crate::web::form::Form;

/// What the request says.
struct Request {
    candidates: Vec<Digest>,
    redirect_uri: Option<String>,
    code_verifier: Option<String>,
    resources: Vec<ResourceUri>,
}

pub async fn exchange(
    app: &App,
    facts: &Facts,
    client: Arc<Client>,
    form: &Form,
) -> Result<Issuance, Error> {
    let code = form
        .one("code")?
        .ok_or_else(|| Code::InvalidRequest.because("code is missing."))?;
    // the checksum refuses typos and garbage before any look-up
    ensure(
        is_token(&app.config.keys.prefix, TokenKind::AuthorizationCode, code),
        Code::InvalidGrant,
    )?;
    let request = Request {
        candidates: app.digester.candidates(Purpose::AuthorizationCode, code),
        redirect_uri: form.one("redirect_uri")?.map(str::to_owned),
        code_verifier: form.one("code_verifier")?.map(str::to_owned),
        resources: resource::asked(form)?,
    };
    let minted = token_response::mint(
        app,
        &client,
        client.application.may_use(GrantType::RefreshToken),
    );
    let settings = Arc::clone(&app.settings);
    app.store
        .write(facts.now, move |tx| {
            redeem(tx, &settings, &client, &request, &minted)
        })
        .await
}

fn redeem(
    tx: &mut Tx,
    settings: &Settings,
    client: &Client,
    request: &Request,
    minted: &MintedTokens,
) -> Result<Verdict<Issuance, Error>, Error> {
    let authorization = tx
        .find_authorization_by_code(&request.candidates)?
        .ok_or(Code::InvalidGrant)?;
    let redirect_uri = request.redirect_uri.as_deref();
    ensure_issued_for(&authorization, client, redirect_uri)?;
    // RFC 6749 §4.1.3: only PKCE lets it be left out (OAuth 2.1 §4.1.3)
    let bound = authorization.code_challenge.is_some() || request.redirect_uri.is_some();
    ensure(
        bound,
        Code::InvalidGrant.because("redirect_uri is missing: without PKCE it must be sent."),
    )?;
    let proven = verify(&authorization, request.code_verifier.as_deref())?;
    if authorization.state == AuthorizationState::Active {
        return replayed(tx, &authorization, proven);
    }
    ensure(
        authorization.state == AuthorizationState::Pending,
        Code::InvalidGrant,
    )?;
    if !proven {
        authorizations::count_wrong_verifier(tx, &authorization)?;
        return Ok(Verdict::Refused(
            Code::InvalidGrant.because("code_verifier does not match the code_challenge."),
        ));
    }
    let now = tx.now;
    let stored = Stored {
        authorization: &authorization,
        expires_at: authorization.code_expires_at,
        now,
    };
    let ours = ensure(
        stored.is_in_time(),
        Code::InvalidGrant.because("The code has expired."),
    );
    referee::authorization_code(client, redirect_uri, &stored, ours)?;
    // 9700-18: bound to the session it was allowed in
    let session = authorization
        .session_id
        .map(|id| tx.is_session_live(id, now))
        .transpose()?;
    ensure(
        session.unwrap_or(true),
        Code::InvalidGrant.because("The person signed out before the code was redeemed."),
    )?;
    let resources = resource::narrow(&authorization.resources, &request.resources)?;
    // what was taken away from the application since is not issued any more
    let scopes = authorization
        .scopes
        .intersection(&client.application.scopes_for(authorization.organization_id));
    ensure(
        !scopes.is_empty() || authorization.scopes.is_empty(),
        Code::InvalidGrant.because("The application may have none of these scopes any more."),
    )?;
    let terms = Terms::of(&settings.oauth, &client.application);
    // before the code: who revokes the consent takes the same order
    if let Some(consent) = authorization.consent_id {
        connect(tx, &settings.oauth, consent)?;
    }
    match tx.redeem_code(authorization.id, terms.row_end(now, &authorization)) {
        Ok(()) => {}
        Err(store::Error::NotFound) => return replayed(tx, &authorization, proven),
        Err(error) => return Err(error.into()),
    }
    let extent = TokenExtent { scopes, resources };
    let entitlement = Entitlement {
        authorization: Authorization {
            state: AuthorizationState::Active,
            ..authorization
        },
        extent,
        generation: 0,
    };
    Ok(Verdict::Done(authorizations::issue(
        tx,
        &settings.catalogue,
        &terms,
        entitlement,
        minted,
    )?))
}

/// RFC 6749 §4.1.3: the code was issued to this client, for this redirect URI.
pub(in crate::oauth) fn ensure_issued_for(
    authorization: &Authorization,
    client: &Client,
    redirect_uri: Option<&str>,
) -> Result<(), Error> {
    // 9700-21: another client's code reads like an unknown one, and stays good for its owner
    ensure(
        authorization.application_id == client.application.id,
        Code::InvalidGrant,
    )?;
    // OAuth 2.1 §4.1.3: the parameter may be left out; what is there is compared by the byte
    let stored = authorization.redirect_uri.as_ref().map(RedirectUri::as_str);
    ensure(
        redirect_uri.is_none() || redirect_uri == stored,
        Code::InvalidGrant
            .because("redirect_uri differs from the one of the authorization request."),
    )
}

fn connect(tx: &mut Tx, config: &OAuth, consent: ConsentId) -> Result<(), Error> {
    match consents::connect(tx, config, consent) {
        Err(store::Error::NotFound) => Err(Code::InvalidGrant.into()),
        connected => Ok(connected?),
    }
}

/// RFC 7636 §4.6. A verifier that was not sent is a malformed request; a wrong one is counted.
fn verify(authorization: &Authorization, verifier: Option<&str>) -> Result<bool, Error> {
    let Some(challenge) = authorization.code_challenge.as_deref() else {
        // 9700-20: a verifier without a challenge is a downgrade: somebody took the challenge out of the request
        ensure(
            verifier.is_none(),
            Code::InvalidGrant.because(
                "code_verifier was sent, but the authorization request had no code_challenge.",
            ),
        )?;
        return Ok(true);
    };
    let verifier =
        verifier.ok_or_else(|| Code::InvalidGrant.because("code_verifier is missing."))?;
    Ok(pkce::is_verifier(verifier) && pkce::matches(challenge, verifier))
}

/// RFC 6749 §10.5, committed: a code that comes twice was stolen, once or now. Only who also holds the verifier can end the
/// family: a thief of the code alone must not be able to cut the rightful client off.
fn replayed(
    tx: &mut Tx,
    authorization: &Authorization,
    proven: bool,
) -> Result<Verdict<Issuance, Error>, Error> {
    ensure(proven, Code::InvalidGrant)?;
    authorizations::end(tx, authorization, "the code was redeemed twice")?;
    Ok(Verdict::Refused(Code::InvalidGrant.because(
        "The code was used before. What was issued for it has been revoked.",
    )))
}
