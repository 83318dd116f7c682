//! The authorization endpoint (RFC 6749 §3.1): validates the request in the order that never redirects to a stranger,
//! keeps it, and shows the consent page.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::error::{Code, Error};
use super::{authorization_response, consent, pkce, referee, resource, scope};
use crate::app::App;
use crate::config::OAuth;
use crate::crypto::Plaintext;
use crate::crypto::digest::Purpose;
use crate::crypto::format::{TokenKind, mint_token};
use crate::domain::clients::clients::Client;
use crate::domain::clients::consents::{self, CodeRequest, Destination};
use crate::domain::ensure;
use crate::domain::people::identities::{self, ELSEWHERE};
use crate::domain::people::sessions::SignedIn;
use crate::store::authorization_requests::AuthorizationRequest;
use crate::store::{Tx, Verdict};
use crate::types::grant_types::GrantType;
use crate::types::id::{ApplicationId, AuthorizationRequestId};
use crate::types::redirect_uri::RedirectUri;
use crate::web::facts::Facts;
use crate::web::form::Form;
use crate::web::html::{PageError, error_page};
use crate::web::visitor::Visitor;

/// Parameters that must not stand twice (RFC 6749 §3.1).
const PARAMETERS: [&str; 9] = [
    "response_type",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
    "request",
    "request_uri",
    "response_mode",
    "prompt",
];
/// 9700-15: 2 KB are echoed; far more is refused.
const MOST_STATE_BYTES: usize = 4096;

pub async fn get(
    app: web::Data<App>,
    facts: Facts,
    visitor: Visitor,
    request: HttpRequest,
) -> Result<HttpResponse, PageError> {
    let query = Form::of_query(&request)?;
    // nothing is redirected before the client and its redirect URI are known to be right (9700-5)
    let (client, redirect_uri) = match destination(&app, &facts, &query).await? {
        Ok(destination) => destination,
        Err(reason) => {
            return Ok(error_page(
                StatusCode::BAD_REQUEST,
                "This link cannot be used",
                reason,
                None,
                &facts,
            ));
        }
    };
    // nor before the person is known (9700-6), unless the client asks to be told that they are not
    let person = match visitor.require() {
        Ok(person) => person,
        Err(_) if query.one("prompt").ok().flatten() == Some("none") => {
            let error =
                Code::LoginRequired.because("Nobody is signed in, and prompt=none forbids to ask.");
            return Ok(refuse(&app, &facts, &client, &redirect_uri, &query, &error));
        }
        Err(sign_in) => return Err(sign_in),
    };
    if let Err(entrance) = refuse_entrance(&app, person, &client, &redirect_uri).await {
        let silent = query.one("prompt").ok().flatten() == Some("none");
        let error = Code::LoginRequired.because(
            "The person's organization asks for another sign-in, and prompt=none forbids to ask.",
        );
        // a database that is gone is no reason to sign in again
        let asks = !matches!(entrance, PageError::Unavailable(_));
        return if silent && asks {
            Ok(refuse(&app, &facts, &client, &redirect_uri, &query, &error))
        } else {
            Err(entrance)
        };
    }
    app.note_client_use(&client, facts.now).await?;
    match accept(&app, &facts, person, &client, &redirect_uri, &query).await {
        Ok(Accepted::Ask(kept)) => consent::show(&app, &visitor, &client, &kept, None, None).await,
        Ok(Accepted::Remembered { state, code }) => Ok(authorization_response::code(
            &app,
            &redirect_uri,
            state.as_deref(),
            &code,
        )),
        Err(error) => Ok(refuse(&app, &facts, &client, &redirect_uri, &query, &error)),
    }
}

fn refuse(
    app: &App,
    facts: &Facts,
    client: &Client,
    redirect_uri: &RedirectUri,
    query: &Form,
    error: &Error,
) -> HttpResponse {
    referee::note_difference(&app.metrics, facts.id, error);
    tracing::warn!(request.id = %facts.id, client.id = %client.application.id, "Rejected authorization request: {error}");
    // a state that stands twice or is too long is not carried on
    let state = query
        .one("state")
        .ok()
        .flatten()
        .filter(|state| state.len() <= MOST_STATE_BYTES);
    authorization_response::error(app, redirect_uri, state, error)
}

/// Not why: that is between the operator and the application's makers.
pub(super) const STOPPED: &str = "The operator of this service has stopped this application: nobody can connect it, and what was connected \
    has no access. Ask the application's makers.";

/// What becomes of a valid request.
enum Accepted {
    /// The person is asked.
    Ask(AuthorizationRequest),
    /// The person has allowed this before.
    Remembered {
        state: Option<String>,
        code: Plaintext,
    },
}

/// The client and where it may be answered; otherwise the reason, for a person.
async fn destination(
    app: &App,
    facts: &Facts,
    query: &Form,
) -> Result<Result<(Arc<Client>, RedirectUri), &'static str>, PageError> {
    let (Ok(client_id), Ok(asked)) = (query.one("client_id"), query.one("redirect_uri")) else {
        return Ok(Err(
            "The application's link names itself or its address twice. Tell the application's makers.",
        ));
    };
    let Some(id) = client_id.and_then(|id| id.parse::<ApplicationId>().ok()) else {
        return Ok(Err(
            "The application's link does not say which application it is. Tell the application's makers.",
        ));
    };
    let Some(client) = app.client_or_stopped(id).await? else {
        return Ok(Err(
            "This application is not registered here, or was removed. If you came from an application, disconnect it there and connect it again.",
        ));
    };
    if !client.application.is_live() {
        return Ok(Err(STOPPED));
    }
    let ours = match asked.map(str::parse::<RedirectUri>).transpose() {
        Ok(asked) => client.redirect_uri(asked.as_ref()),
        Err(_) => None,
    };
    let ours = ours.ok_or_else(|| Error::from(Code::InvalidRequest));
    match referee::redirect_uri(&client, asked, ours) {
        Ok(redirect_uri) => Ok(Ok((client, redirect_uri))),
        Err(error) => {
            referee::note_difference(&app.metrics, facts.id, &error);
            Ok(Err(
                "The application's link names an address that is not registered for it. You were not sent there.",
            ))
        }
    }
}

/// A page, not an answer to the client, when the person could authorize it after another sign-in.
async fn refuse_entrance(
    app: &App,
    person: &SignedIn,
    client: &Arc<Client>,
    redirect_uri: &RedirectUri,
) -> Result<(), PageError> {
    let (client, redirect_uri) = (Arc::clone(client), redirect_uri.clone());
    let session = person.session.clone();
    let (catalogue, now) = (Arc::clone(&app.settings.catalogue), app.clock.now());
    let (any, entrances) = app
        .store
        .read(move |snapshot| {
            let to = Destination {
                client: &client,
                redirect_uri: &redirect_uri,
            };
            let user = session.user_id;
            let eligible = consents::eligible_organizations(snapshot, &catalogue, to, user, now)?;
            Ok::<_, crate::store::Error>((
                !eligible.is_empty(),
                identities::sort_out(snapshot, &session, eligible)?,
            ))
        })
        .await?;
    match entrances.asking.into_iter().next() {
        _ if !entrances.open.is_empty() => Ok(()),
        Some((_, provider)) => Err(provider.into()),
        None if any => Err(PageError::Forbidden(ELSEWHERE.to_owned())),
        None => Ok(()),
    }
}

/// RFC 6749 §4.1.1, RFC 7636 §4.3: from here on the client may be told what is wrong.
async fn accept(
    app: &App,
    facts: &Facts,
    person: &SignedIn,
    client: &Arc<Client>,
    redirect_uri: &RedirectUri,
    query: &Form,
) -> Result<Accepted, Error> {
    query.refuse_repeated(&PARAMETERS)?;
    ensure(
        query.one("request")?.is_none(),
        Code::RequestNotSupported.because("request objects are not supported."),
    )?;
    ensure(
        query.one("request_uri")?.is_none(),
        Code::RequestUriNotSupported.because("request_uri is not supported."),
    )?;
    let may = client.application.may_use(GrantType::AuthorizationCode);
    ensure(
        may,
        Code::UnauthorizedClient
            .because("This client is not registered for the authorization code grant."),
    )?;
    let response_type = query.one("response_type")?;
    ensure(
        response_type.is_some(),
        Code::InvalidRequest.because("response_type is missing."),
    )?;
    ensure(
        query
            .one("response_mode")?
            .is_none_or(|mode| mode == "query"),
        Code::InvalidRequest.because("response_mode must be query."),
    )?;
    let state = query.one("state")?;
    ensure(
        state.is_none_or(|state| state.len() <= MOST_STATE_BYTES),
        Code::InvalidRequest.because("state is too long."),
    )?;
    let prompt = prompt(query)?;
    let environment = client.application.environment;
    let resources = resource::registered(app, resource::asked(query)?, environment).await?;
    let asked = query.one("scope")?;
    let ours = ensure(
        response_type == Some("code"),
        Code::UnsupportedResponseType.because("response_type must be code."),
    )
    .and_then(|()| scope::negotiate(&app.settings.catalogue, &client.application.scopes, asked));
    let scopes = referee::authorization_request(client, redirect_uri, response_type, asked, ours)?;
    let request = AuthorizationRequest {
        id: AuthorizationRequestId::generate(facts.now),
        session_id: person.session.id,
        application_id: client.application.id,
        redirect_uri: redirect_uri.clone(),
        scopes,
        resources,
        state: state.map(str::to_owned),
        code_challenge: challenge(&app.config.oauth, client, query)?,
        expires_at: facts.now.plus_seconds(app.config.oauth.request_seconds),
        answer: None,
    };
    decide(app, facts, person, client, request, prompt).await
}

/// The page, or a code at once where the person has allowed all of it before.
async fn decide(
    app: &App,
    facts: &Facts,
    person: &SignedIn,
    client: &Arc<Client>,
    request: AuthorizationRequest,
    prompt: Prompt,
) -> Result<Accepted, Error> {
    let (client, session) = (Arc::clone(client), person.session.clone());
    let settings = Arc::clone(&app.settings);
    let code = mint_token(&app.config.keys.prefix, TokenKind::AuthorizationCode);
    let digest = app
        .digester
        .digest(Purpose::AuthorizationCode, code.expose());
    let decide = move |tx: &mut Tx| -> Result<_, Error> {
        let (user, now, catalogue) = (session.user_id, tx.now, &settings.catalogue);
        let to = Destination {
            client: &client,
            redirect_uri: &request.redirect_uri,
        };
        let eligible = consents::eligible_organizations(tx, catalogue, to, user, now)?;
        let mut eligible = identities::sort_out(tx, &session, eligible)?.open;
        ensure(
            !eligible.is_empty(),
            Code::AccessDenied.because(NOT_ELIGIBLE),
        )?;
        eligible.retain(|own| consents::request_in(&client, &request, own.id).is_some());
        ensure(!eligible.is_empty(), scope::nothing_left())?;
        let asked = CodeRequest {
            client: &client,
            request: &request,
            code: &digest,
        };
        if prompt != Prompt::Consent
            && consents::allow_again(tx, &settings.oauth, &asked, user, &eligible)?
        {
            return Ok(Verdict::Done(Accepted::Remembered {
                state: request.state.clone(),
                code: code.clone(),
            }));
        }
        ensure(
            prompt != Prompt::None,
            Code::ConsentRequired.because("The person must be asked, and prompt=none forbids to."),
        )?;
        consents::keep_request(tx, &request)?;
        Ok(Verdict::Done(Accepted::Ask(request.clone())))
    };
    app.store.write(facts.now, decide).await
}

const NOT_ELIGIBLE: &str = "The person belongs to no organization that can authorize this application: a Sandbox application works in its own \
    organization only, a Production one in others once the operator has approved it.";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prompt {
    AsNeeded,
    Consent,
    None,
}

/// OpenID Connect Core §3.1.2.1: several words may stand together, `none` only alone.
fn prompt(query: &Form) -> Result<Prompt, Error> {
    let words: Vec<&str> = query
        .one("prompt")?
        .unwrap_or_default()
        .split(' ')
        .filter(|word| !word.is_empty())
        .collect();
    match words.as_slice() {
        [] => Ok(Prompt::AsNeeded),
        ["none"] => Ok(Prompt::None),
        words
            if words
                .iter()
                .all(|word| ["consent", "select_account"].contains(word)) =>
        {
            Ok(Prompt::Consent)
        }
        _ => Err(Code::InvalidRequest.because("prompt must be none, consent or select_account.")),
    }
}

/// 9700-7, 9700-8: every client proves itself by S256; a missing method would mean `plain`. The operator may let single
/// confidential clients do without.
fn challenge(config: &OAuth, client: &Client, query: &Form) -> Result<Option<String>, Error> {
    let method = query.one("code_challenge_method")?;
    let Some(challenge) = query.one("code_challenge")? else {
        let optional = client.is_confidential()
            && config
                .pkce_optional_for
                .iter()
                .any(|id| *id == client.application.id.as_str());
        ensure(
            optional && method.is_none(),
            Code::InvalidRequest.because("code_challenge is missing: PKCE is required."),
        )?;
        return Ok(None);
    };
    ensure(
        method == Some("S256"),
        Code::InvalidRequest.because("code_challenge_method must be S256."),
    )?;
    ensure(
        pkce::is_challenge(challenge),
        Code::InvalidRequest.because("code_challenge is not 43 characters of base64url."),
    )?;
    Ok(Some(challenge.to_owned()))
}
