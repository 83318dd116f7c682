//! The question to whoever has proven an address that another account has without a proof: is that account theirs?
//!
//! Invariant: what the provider has proven is sealed into the form, in the browser whose token the form carries, for a few
//! minutes; the password is asked for once, since either answer changes who has the address.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::openid::{self, Rejection};
use super::pages::ClaimPage;
use super::{sign_in, with_cookies};
use crate::app::App;
use crate::domain::ensure;
use crate::domain::people::identities::{Answer, Realm};
use crate::outbound::openid::Proven;
use crate::store::users::User;
use crate::types::email::Mailbox;
use crate::types::id::UserId;
use crate::types::time::Timestamp;
use crate::web::facts::Facts;
use crate::web::form::Form;
use crate::web::html::{self, PageError};
use crate::web::provider::Provider;
use crate::web::return_to::local_path;
use crate::web::visitor::Visitor;

/// Seconds a person has to answer.
const OPEN_SECONDS: i64 = 15 * 60;
/// In whose context it is sealed.
const CONTEXT: &str = "claim of an address";

#[derive(Serialize, Deserialize)]
struct Claim {
    realm: String,
    issuer: String,
    subject: String,
    email: String,
    name: Option<String>,
    /// That has the address.
    account: UserId,
    return_to: String,
    ends_at: i64,
}

/// The page that asks.
pub(super) fn ask(
    app: &App,
    visitor: &Visitor,
    realm: &Realm,
    proven: &Proven,
    holder: &User,
    return_to: &str,
) -> Result<HttpResponse, PageError> {
    let email = proven
        .verified_email
        .as_ref()
        .map(Mailbox::account_key)
        .unwrap_or_default();
    let claim = Claim {
        realm: realm.as_str().to_owned(),
        issuer: proven.issuer.clone(),
        subject: proven.subject.clone(),
        email: email.clone(),
        name: proven.name.clone(),
        account: holder.id,
        return_to: return_to.to_owned(),
        ends_at: visitor.now().plus_seconds(OPEN_SECONDS).millis(),
    };
    let text =
        serde_json::to_vec(&claim).map_err(|error| PageError::Unavailable(error.to_string()))?;
    let template = ClaimPage {
        shell: visitor.shell("Is this account yours?"),
        csrf: visitor.csrf(),
        email,
        claim: app.sealer.seal(CONTEXT, &text),
    };
    with_cookies(
        html::page(StatusCode::OK, &template, None),
        visitor.cookie(),
    )
}

/// `POST /login/oidc/claim` with `csrf claim answer password`; `answer` is `mine` or `not_mine`.
pub async fn answer(
    app: web::Data<App>,
    visitor: Visitor,
    facts: Facts,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    let form = Form::read(&request, payload, app.config.server.max_body_bytes).await?;
    visitor.check_csrf(&form)?;
    form.refuse_repeated(&["claim", "answer", "password"])?;
    let claim = open(&app, form.field("claim"), facts.now);
    let realm = claim.as_ref().map_or("unknown", |claim| &claim.realm);
    let answered = match &claim {
        Some(claim) => decide(&app, &visitor, &facts, &form, claim).await,
        None => Err(Rejection::NotStarted),
    };
    openid::answered(&facts, realm, answered)
}

fn open(app: &App, sealed: &str, now: Timestamp) -> Option<Claim> {
    let text = app.sealer.open(CONTEXT, sealed).ok()?;
    let claim: Claim = serde_json::from_slice(&text).ok()?;
    (Timestamp::from_millis(claim.ends_at) > now).then_some(claim)
}

async fn decide(
    app: &App,
    visitor: &Visitor,
    facts: &Facts,
    form: &Form,
    claim: &Claim,
) -> Result<HttpResponse, Rejection> {
    ensure(visitor.signed_in().is_none(), Rejection::SomebodyElse)?;
    let provider = Provider::find(app, &claim.realm)
        .await?
        .filter(|provider| provider.registration.issuer == claim.issuer)
        .ok_or(Rejection::NotStarted)?;
    let is_theirs = match form.field("answer") {
        "mine" => is_right(app, visitor, facts, claim.account, form.field("password")).await?,
        "not_mine" => false,
        _ => return Err(PageError::BadRequest("Choose one of the two answers.".to_owned()).into()),
    };
    let proven = Proven {
        issuer: claim.issuer.clone(),
        subject: claim.subject.clone(),
        verified_email: Mailbox::parse(&claim.email).ok(),
        name: claim.name.clone(),
    };
    let answer = Answer {
        account: claim.account,
        is_theirs,
    };
    let return_to = local_path(&claim.return_to);
    openid::sign_in(
        app,
        visitor,
        facts,
        &provider.realm,
        proven,
        Some(answer),
        return_to,
    )
    .await
}

/// Judged, counted and bounded as at the sign-in page.
async fn is_right(
    app: &App,
    visitor: &Visitor,
    facts: &Facts,
    account: UserId,
    password: &str,
) -> Result<bool, PageError> {
    let holder = app
        .store
        .read(move |snapshot| snapshot.find_user(account))
        .await?;
    let Some(name) = holder.and_then(|holder| holder.email) else {
        return Ok(false);
    };
    let proven = sign_in::prove(app, visitor, facts, &name, password).await?;
    Ok(proven.is_some_and(|person| person.id == account))
}
