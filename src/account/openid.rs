//! Sign-in at a provider (OpenID Connect Core §3.1): away, and back with the provider's word.
//!
//! Invariants: what comes back counts in the browser that left only, once, and for a few minutes; it is judged by the provider
//! that the browser left for, whatever it says (mix-up, RFC 9700 §4.4); a link is made for the session that asked for it.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::{claims, sign_in, with_cookies};
use crate::app::App;
use crate::crypto::password::network;
use crate::domain::decision::limiter::Quota;
use crate::domain::ensure;
use crate::domain::people::identities::{self, Answer, Brought, Denial, OPERATOR, Realm};
use crate::outbound::openid::{Answer as ProviderAnswer, Failure, Flow, Proven};
use crate::store::{self, Tx, Verdict};
use crate::types::id::SessionId;
use crate::types::time::Timestamp;
use crate::web::cookies;
use crate::web::facts::Facts;
use crate::web::form::Form;
use crate::web::html::{self, PageError, error_page};
use crate::web::page::{Link, NoticePage, Shell};
use crate::web::provider::Provider;
use crate::web::return_to::local_path;
use crate::web::visitor::Visitor;

/// Seconds a person has at the provider.
const STARTED_SECONDS: i64 = 15 * 60;
/// In whose context the cookie is sealed.
const CONTEXT: &str = "sign-in at a provider";
/// Browsers keep 4096 bytes of a cookie, its name included (RFC 6265 §6.1). A way back that does not fit is forgotten.
const MOST_SEALED: usize = 4096 - "__Host-countersign_sign_in=".len();

/// What the browser takes along, sealed.
#[derive(Serialize, Deserialize)]
struct Started {
    realm: String,
    /// The code of one issuer is never sent to another, although the settings may change in between.
    issuer: String,
    flow: Flow,
    return_to: String,
    /// The session that asked for a link instead of a sign-in.
    link: Option<SessionId>,
    ends_at: i64,
}

/// Why nobody came in by a provider; each is a page.
#[derive(Debug, thiserror::Error)]
pub(super) enum Rejection {
    #[error("the browser did not start this sign-in, or long ago")]
    NotStarted,
    #[error("somebody else is signed in here")]
    SomebodyElse,
    #[error("the provider refused: {0:?}")]
    AtProvider(String),
    #[error(transparent)]
    Failure(#[from] Failure),
    #[error(transparent)]
    Denial(Denial),
    /// Nothing that has to do with signing in.
    #[error(transparent)]
    Page(#[from] PageError),
}

impl From<store::Error> for Rejection {
    fn from(error: store::Error) -> Self {
        Self::Page(error.into())
    }
}

impl From<Denial> for Rejection {
    fn from(denial: Denial) -> Self {
        match denial {
            Denial::Store(error) => Self::Page(error.into()),
            other => Self::Denial(other),
        }
    }
}

/// `GET /login/oidc?return_to=`: to the operator's provider.
pub async fn start(
    app: web::Data<App>,
    facts: Facts,
    request: HttpRequest,
) -> Result<HttpResponse, PageError> {
    leave(&app, &facts, &request, OPERATOR).await
}

/// `GET /login/oidc/{provider}?return_to=`: to an organization's.
pub async fn start_at(
    app: web::Data<App>,
    facts: Facts,
    request: HttpRequest,
    path: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    leave(&app, &facts, &request, &path).await
}

async fn leave(
    app: &App,
    facts: &Facts,
    request: &HttpRequest,
    realm: &str,
) -> Result<HttpResponse, PageError> {
    let query = Form::of_query(request)?;
    let return_to = local_path(query.field("return_to"));
    let Some(provider) = Provider::find(app, realm).await? else {
        return Ok(error_page(
            StatusCode::BAD_REQUEST,
            "This link cannot be used",
            "Nobody can sign in by it, or not any more.",
            None,
            facts,
        ));
    };
    // login CSRF: a link elsewhere must not sign somebody in as somebody else, unasked
    if request
        .headers()
        .get("sec-fetch-site")
        .is_some_and(|site| site == "cross-site")
    {
        return Ok(ask_first(request, &provider));
    }
    match begin(app, facts, &provider, return_to, None).await? {
        Ok((mut url, cookie)) => {
            // OpenID Connect Core §3.1.2.1: the provider asks although it knows the person
            if query.field("again") == "true" {
                url.query_pairs_mut().append_pair("prompt", "login");
            }
            with_cookies(html::see_other(url.as_str()), [cookie])
        }
        Err(failure) => Ok(failed(facts, realm, failure)),
    }
}

/// The same address again, from a page of ours.
fn ask_first(request: &HttpRequest, provider: &Provider) -> HttpResponse {
    let title = format!("Sign in with {}?", provider.name);
    let template = NoticePage {
        shell: Shell {
            title: title.clone(),
            product_name: html::PRODUCT.to_owned(),
            signed_in: None,
            active_section: None,
        },
        heading: title,
        message: "Another site sent you here. Go on only if you meant to sign in.".to_owned(),
        way_out: Some(Link {
            href: request.uri().to_string(),
            label: "Go on".to_owned(),
        }),
    };
    html::page(StatusCode::OK, &template, None)
}

/// Where the browser goes, and what it takes along. A provider that cannot be reached is not asked as often as somebody likes.
pub(super) async fn begin(
    app: &App,
    facts: &Facts,
    provider: &Provider,
    return_to: &str,
    link: Option<SessionId>,
) -> Result<Result<(url::Url, actix_web::cookie::Cookie<'static>), Failure>, PageError> {
    let network = network(facts.address).to_string();
    let failures = Quota::new(
        "provider_failures",
        format!("{} {network}", provider.realm.as_str()),
        app.config.limits.unknown_credentials,
    );
    if let Some(retry_after_seconds) = app.limiter.wait(&network, &failures, facts.now) {
        return Err(PageError::TooMany {
            retry_after_seconds,
        });
    }
    let (url, flow) = match app.openid.begin(&provider.registration, facts.now).await {
        Ok(begun) => begun,
        Err(failure) => {
            app.limiter.take(&network, &[failures], facts.now);
            return Ok(Err(failure));
        }
    };
    let mut started = Started {
        realm: provider.realm.as_str().to_owned(),
        issuer: provider.registration.issuer.clone(),
        flow,
        return_to: return_to.to_owned(),
        link,
        ends_at: facts.now.plus_seconds(STARTED_SECONDS).millis(),
    };
    let mut sealed = seal(app, &started)?;
    if sealed.len() > MOST_SEALED {
        "/".clone_into(&mut started.return_to);
        sealed = seal(app, &started)?;
    }
    Ok(Ok((
        url,
        cookies::sign_in(app.issuer.is_secure(), sealed, STARTED_SECONDS),
    )))
}

fn seal(app: &App, started: &Started) -> Result<String, PageError> {
    let text =
        serde_json::to_vec(started).map_err(|error| PageError::Unavailable(error.to_string()))?;
    Ok(app.sealer.seal(CONTEXT, &text))
}

/// `GET /login/oidc/callback`: every provider sends the browser back to here.
pub async fn callback(
    app: web::Data<App>,
    visitor: Visitor,
    facts: Facts,
    request: HttpRequest,
) -> Result<HttpResponse, PageError> {
    let query = Form::of_query(&request)?;
    query.refuse_repeated(&["code", "state", "iss", "error"])?;
    let Some(started) = started(&app, &request, &query, facts.now) else {
        return Ok(rejected(&facts, "unknown", &Rejection::NotStarted));
    };
    let come = come_back(&app, &visitor, &facts, &query, &started).await;
    let response = answered(&facts, &started.realm, come)?;
    with_cookies(response, [cookies::sign_in_removal(app.issuer.is_secure())])
}

/// What the person reads in the end.
pub(super) fn answered(
    facts: &Facts,
    realm: &str,
    answer: Result<HttpResponse, Rejection>,
) -> Result<HttpResponse, PageError> {
    match answer {
        Err(Rejection::Page(error)) => Err(error),
        Err(rejection) => Ok(rejected(facts, realm, &rejection)),
        Ok(response) => Ok(response),
    }
}

/// What this browser left with, if this is its answer (RFC 9700 §4.7).
fn started(app: &App, request: &HttpRequest, query: &Form, now: Timestamp) -> Option<Started> {
    let sealed = cookies::read_sign_in(request.headers(), app.issuer.is_secure())?;
    let text = app.sealer.open(CONTEXT, sealed).ok()?;
    let started: Started = serde_json::from_slice(&text).ok()?;
    let state = query.one("state").ok()??;
    let equal = aws_lc_rs::constant_time::verify_slices_are_equal(
        state.as_bytes(),
        started.flow.state.as_bytes(),
    )
    .is_ok();
    (equal && Timestamp::from_millis(started.ends_at) > now).then_some(started)
}

async fn come_back(
    app: &App,
    visitor: &Visitor,
    facts: &Facts,
    query: &Form,
    started: &Started,
) -> Result<HttpResponse, Rejection> {
    let provider = Provider::find(app, &started.realm)
        .await?
        .filter(|provider| provider.registration.issuer == started.issuer);
    let provider = provider.ok_or(Rejection::NotStarted)?;
    let redeemed = redeem(app, facts, query, started, &provider).await;
    // a right answer is let in, however many wrong ones came from the same address
    if redeemed.is_err() {
        app.count_unknown(facts.address, facts.now)
            .map_err(|retry_after_seconds| PageError::TooMany {
                retry_after_seconds,
            })?;
    }
    let proven = redeemed?;
    match started.link {
        Some(session) => link(app, visitor, facts, session, proven).await,
        None => {
            sign_in(
                app,
                visitor,
                facts,
                &provider.realm,
                proven,
                None,
                &started.return_to,
            )
            .await
        }
    }
}

async fn redeem(
    app: &App,
    facts: &Facts,
    query: &Form,
    started: &Started,
    provider: &Provider,
) -> Result<Proven, Rejection> {
    if let Some(error) = query.one("error").ok().flatten() {
        return Err(Rejection::AtProvider(error.chars().take(60).collect()));
    }
    let code = query
        .one("code")
        .ok()
        .flatten()
        .ok_or_else(|| Rejection::AtProvider("it sent no code".to_owned()))?;
    let answer = ProviderAnswer {
        code,
        iss: query.one("iss").ok().flatten(),
    };
    Ok(app
        .openid
        .finish(&provider.registration, &started.flow, &answer, facts.now)
        .await?)
}

/// Signs the person in whom the provider has proven; `answer`: to the question whether an account that has not proven the address
/// is theirs.
pub(super) async fn sign_in(
    app: &App,
    visitor: &Visitor,
    facts: &Facts,
    realm: &Realm,
    proven: Proven,
    answer: Option<Answer>,
    return_to: &str,
) -> Result<HttpResponse, Rejection> {
    let mut brought = recognize(app, facts, realm, &proven, answer).await;
    if let Err(Denial::Store(store::Error::Constraint(_))) = brought {
        // the same person's other first sign-in was faster: now there is somebody to find
        brought = recognize(app, facts, realm, &proven, answer).await;
    }
    let own = visitor
        .signed_in()
        .filter(|own| own.session.confined_to.is_none());
    if let Ok(Brought::Asks(holder)) = &brought
        && own.is_some_and(|own| own.user.id == holder.id)
    {
        // who is signed in as that account has shown the password
        let answer = Answer {
            account: holder.id,
            is_theirs: true,
        };
        brought = recognize(app, facts, realm, &proven, Some(answer)).await;
    }
    let user = match brought? {
        Brought::Person(user) => user,
        Brought::Asks(holder) => {
            ensure(visitor.signed_in().is_none(), Rejection::SomebodyElse)?;
            return Ok(claims::ask(
                app, visitor, realm, &proven, &holder, return_to,
            )?);
        }
    };
    // whoever is signed in is not exchanged for somebody else
    ensure(
        visitor.signed_in().is_none_or(|own| own.user.id == user.id),
        Rejection::SomebodyElse,
    )?;
    Ok(sign_in::start(
        app,
        visitor,
        facts.now,
        &user,
        realm.confines_to(),
        return_to,
    )
    .await?)
}

async fn recognize(
    app: &App,
    facts: &Facts,
    realm: &Realm,
    proven: &Proven,
    answer: Option<Answer>,
) -> Result<Brought, Denial> {
    let (shared, proven) = (realm.clone(), proven.clone());
    let settings = Arc::clone(&app.settings);
    let rule = move |tx: &mut Tx| {
        identities::sign_in(tx, &settings, &shared, &proven, answer).map(Verdict::Done)
    };
    match realm.confines_to() {
        Some(organization) => {
            app.store
                .write_organization(organization, facts.now, rule)
                .await
        }
        None => app.store.write(facts.now, rule).await,
    }
}

async fn link(
    app: &App,
    visitor: &Visitor,
    facts: &Facts,
    asked_by: SessionId,
    proven: Proven,
) -> Result<HttpResponse, Rejection> {
    let signed_in = visitor
        .signed_in()
        .filter(|signed_in| signed_in.session.id == asked_by)
        .ok_or(Rejection::NotStarted)?;
    let (session, user) = (signed_in.session.clone(), signed_in.user.id);
    let rule = move |tx: &mut Tx| identities::link(tx, &session, user, &proven).map(Verdict::Done);
    app.store.write(facts.now, rule).await?;
    Ok(html::see_other("/account/identity"))
}

/// The page when the provider cannot be asked.
pub(super) fn failed(facts: &Facts, realm: &str, failure: Failure) -> HttpResponse {
    rejected(facts, realm, &failure.into())
}

/// The page for the person; the cause for the log.
fn rejected(facts: &Facts, realm: &str, rejection: &Rejection) -> HttpResponse {
    tracing::warn!(request.id = %facts.id, identity.realm = realm, "Nobody came in by a provider: {rejection}");
    let (status, heading, message) = words(rejection);
    error_page(status, heading, &message, None, facts)
}

fn words(rejection: &Rejection) -> (StatusCode, &'static str, String) {
    let again = |text: &str| {
        format!("{text} Nothing was changed. Go back to the sign-in page and start again.")
    };
    match rejection {
        Rejection::NotStarted => (
            StatusCode::BAD_REQUEST,
            "This sign-in cannot go on",
            again("It was started in another browser, or a while ago, or has been answered before."),
        ),
        Rejection::SomebodyElse => (
            StatusCode::CONFLICT,
            "Somebody else is signed in",
            "This browser is signed in as another person than the one the provider names. Sign out first, and then sign in again.".to_owned(),
        ),
        Rejection::AtProvider(error) if error == "access_denied" => {
            (StatusCode::FORBIDDEN, "You did not sign in", again("It was cancelled at the provider."))
        }
        Rejection::AtProvider(_) | Rejection::Failure(Failure::CodeRefused(_)) => {
            (StatusCode::BAD_GATEWAY, "You did not sign in", again("The provider could not sign you in."))
        }
        Rejection::Failure(Failure::Unreachable(_)) => {
            (StatusCode::BAD_GATEWAY, "The provider does not answer", again("It cannot be reached, or does not answer as it should."))
        }
        Rejection::Failure(Failure::Clock(_)) => (
            StatusCode::BAD_GATEWAY,
            "The clocks differ",
            again("The provider's clock and this server's differ by more than a minute, or the answer came late."),
        ),
        Rejection::Failure(Failure::OtherIssuer | Failure::NotBelieved(_)) => {
            (StatusCode::BAD_GATEWAY, "The provider's answer is not valid", again("It does not prove who you are."))
        }
        Rejection::Denial(denial) => (StatusCode::FORBIDDEN, "You cannot sign in like this", denial.to_string()),
        Rejection::Page(error) => (StatusCode::SERVICE_UNAVAILABLE, "Back in a moment", error.to_string()),
    }
}
