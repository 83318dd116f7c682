//! The authorization endpoint (RFC 6749 §3.1): validates the request in the order that never redirects to a stranger,
//! keeps it, and shows the consent page.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::error::{Code, Error};
use super::{authorization_response, consent, oxide, pkce};
use crate::app::App;
use crate::domain::authorizations::{self, negotiate_scopes};
use crate::domain::clients::Client;
use crate::domain::ensure;
use crate::domain::sessions::SignedIn;
use crate::store::Verdict;
use crate::store::authorization_requests::AuthorizationRequest;
use crate::types::id::{ApplicationId, AuthorizationRequestId};
use crate::types::redirect_uri::RedirectUri;
use crate::web::facts::Facts;
use crate::web::form::Form;
use crate::web::html::{PageError, error_page};
use crate::web::visitor::Visitor;

/// Parameters that must not stand twice (RFC 6749 §3.1).
const PARAMETERS: [&str; 8] =
    ["response_type", "scope", "state", "code_challenge", "code_challenge_method", "request", "request_uri", "response_mode"];
/// 9700-15: 2 KB are echoed; far more is refused.
const MOST_STATE_BYTES: usize = 4096;

pub async fn get(app: web::Data<App>, facts: Facts, visitor: Visitor, request: HttpRequest) -> Result<HttpResponse, PageError> {
    let query = Form::of_query(&request)?;
    // nothing is redirected before the client and its redirect URI are known to be right (9700-5)
    let (client, redirect_uri) = match destination(&app, &query).await? {
        Ok(destination) => destination,
        Err(reason) => return Ok(error_page(StatusCode::BAD_REQUEST, "This link cannot be used", reason, None, &facts)),
    };
    // nor before the person is known (9700-6)
    let person = visitor.require()?;
    match accept(&app, &facts, person, &client, &redirect_uri, &query).await {
        Ok(kept) => consent::show(&app, &visitor, &client, &kept, None, None).await,
        Err(error) => {
            tracing::warn!(request.id = %facts.id, client.id = %client.application.id, "Rejected authorization request: {error}");
            // a state that stands twice or is too long is not carried on
            let state = query.one("state").ok().flatten().filter(|state| state.len() <= MOST_STATE_BYTES);
            Ok(authorization_response::error(&app, &redirect_uri, state, &error))
        }
    }
}

/// The client and where it may be answered; otherwise the reason, for a person.
async fn destination(app: &App, query: &Form) -> Result<Result<(Arc<Client>, RedirectUri), &'static str>, PageError> {
    let (Ok(client_id), Ok(asked)) = (query.one("client_id"), query.one("redirect_uri")) else {
        return Ok(Err("The application's link names itself or its address twice. Tell the application's makers."));
    };
    let Some(id) = client_id.and_then(|id| id.parse::<ApplicationId>().ok()) else {
        return Ok(Err("The application's link does not say which application it is. Tell the application's makers."));
    };
    let Some(client) = app.client(id).await? else {
        return Ok(Err(
            "This application is not registered here, or was removed. If you came from an application, disconnect it there and connect it again.",
        ));
    };
    let redirect_uri = match asked.map(str::parse::<RedirectUri>).transpose() {
        Ok(asked) => client.redirect_uri(asked.as_ref()),
        Err(_) => None,
    };
    Ok(redirect_uri.map(|uri| (client, uri)).ok_or("The application's link names an address that is not registered for it. You were not sent there."))
}

/// RFC 6749 §4.1.1, RFC 7636 §4.3: from here on the client may be told what is wrong.
async fn accept(
    app: &App, facts: &Facts, person: &SignedIn, client: &Client, redirect_uri: &RedirectUri, query: &Form,
) -> Result<AuthorizationRequest, Error> {
    query.refuse_repeated(&PARAMETERS)?;
    ensure(query.one("request")?.is_none(), Code::RequestNotSupported.because("request objects are not supported."))?;
    ensure(query.one("request_uri")?.is_none(), Code::RequestUriNotSupported.because("request_uri is not supported."))?;
    let response_type = query.one("response_type")?;
    ensure(response_type.is_some(), Code::InvalidRequest.because("response_type is missing."))?;
    ensure(query.one("response_mode")?.is_none_or(|mode| mode == "query"), Code::InvalidRequest.because("response_mode must be query."))?;
    let state = query.one("state")?;
    ensure(state.is_none_or(|state| state.len() <= MOST_STATE_BYTES), Code::InvalidRequest.because("state is too long."))?;
    let allowed = &client.application.scopes;
    let negotiate = |asked: Option<&_>| negotiate_scopes(&app.catalogue, allowed, asked);
    let scopes = oxide::referee_authorization(client, redirect_uri, response_type, query.one("scope")?, negotiate)?;
    let request = AuthorizationRequest {
        id: AuthorizationRequestId::generate(facts.now),
        session_id: person.session.id,
        application_id: client.application.id,
        redirect_uri: redirect_uri.clone(),
        scopes,
        state: state.map(str::to_owned),
        code_challenge: challenge(query)?,
        expires_at: facts.now.plus_seconds(app.config.oauth.request_seconds),
    };
    let (application, user, kept) = (client.application.clone(), person.user.id, request.clone());
    app.store
        .write(facts.now, move |tx| {
            let eligible = authorizations::eligible_organizations(tx, &application, user)?;
            ensure(!eligible.is_empty(), Code::AccessDenied.because(NOT_ELIGIBLE))?;
            authorizations::keep_request(tx, &kept)?;
            Ok::<_, Error>(Verdict::Done(()))
        })
        .await?;
    Ok(request)
}

const NOT_ELIGIBLE: &str =
    "The person belongs to no organization that can authorize this application: Sandbox applications work in their own organization only.";

/// 9700-7, 9700-8: every client proves itself by S256; a missing method would mean `plain`.
fn challenge(query: &Form) -> Result<String, Error> {
    let challenge = query.one("code_challenge")?.ok_or_else(|| Code::InvalidRequest.because("code_challenge is missing: PKCE is required."))?;
    let method = query.one("code_challenge_method")?;
    ensure(method == Some("S256"), Code::InvalidRequest.because("code_challenge_method must be S256."))?;
    ensure(pkce::is_challenge(challenge), Code::InvalidRequest.because("code_challenge is not 43 characters of base64url."))?;
    Ok(challenge.to_owned())
}
