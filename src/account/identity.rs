//! How a person signs in: linking the operator's provider to an account that is there, and unlinking it.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderValue, REFRESH};
use actix_web::{HttpRequest, HttpResponse, web};

use super::pages::IdentityPage;
use super::{openid, with_cookies};
use crate::app::App;
use crate::domain::people::addresses;
use crate::domain::people::identities::{self, Denial, OPERATOR};
use crate::store::Verdict;
use crate::types::time::Timestamp;
use crate::web::facts::Facts;
use crate::web::form::Form;
use crate::web::html::{self, PRODUCT, PageError};
use crate::web::page::{Link, NoticePage, Shell, SignedIn};
use crate::web::provider::Provider;
use crate::web::visitor::Visitor;

const PATH: &str = "/account/identity";
const NO_PROVIDER: &str = "There is no other way to sign in here.";

/// `GET /account/identity?done=`.
pub async fn show(
    app: web::Data<App>,
    visitor: Visitor,
    request: HttpRequest,
) -> Result<HttpResponse, PageError> {
    let query = Form::of_query(&request)?;
    let person = visitor.require()?;
    let (user, issuer) = (person.user.id, app.config.identity.issuer.clone());
    let linked = app
        .store
        .read(move |snapshot| snapshot.list_identities(OPERATOR, &issuer, user))
        .await?;
    let template = IdentityPage {
        shell: shell(&visitor)?,
        csrf: visitor.csrf(),
        sign_in_name: person.user.email.clone().unwrap_or_default(),
        provider: Provider::operator(&app).map(|provider| provider.name),
        linked: linked
            .first()
            .map(|identity| Timestamp::date(identity.created_at)),
        password_changed: query.field("done") == "password",
        with_password: identities::has_password(&app.config.identity, &person.user),
        locked: person
            .session
            .confined_to
            .map(|_| Denial::Confined.to_string()),
    };
    Ok(html::page(StatusCode::OK, &template, None))
}

/// `POST /account/identity/link`. The answer is a page that goes on to the provider: a redirect behind a form would have to be
/// allowed by the page's policy, wherever the provider then sends the browser.
pub async fn link(
    app: web::Data<App>,
    visitor: Visitor,
    facts: Facts,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    let form = Form::read(&request, payload, app.config.server.max_body_bytes).await?;
    visitor.check_csrf(&form)?;
    // another way to sign in, and one that outlives a new password: not for whoever finds an open browser
    let person = visitor.require_proof(PATH)?;
    let provider =
        Provider::operator(&app).ok_or_else(|| PageError::BadRequest(NO_PROVIDER.to_owned()))?;
    if person.session.confined_to.is_some() {
        return Err(PageError::Forbidden(Denial::Confined.to_string()));
    }
    let (url, cookie) =
        match openid::begin(&app, &facts, &provider, PATH, Some(person.session.id)).await? {
            Ok(begun) => begun,
            Err(failure) => return Ok(openid::failed(&facts, OPERATOR, failure)),
        };
    let template = NoticePage {
        shell: shell(&visitor)?,
        heading: "One moment".to_owned(),
        message: format!("You go on to {} and come back here.", provider.name),
        way_out: Some(Link {
            href: url.to_string(),
            label: format!("Go on to {}", provider.name),
        }),
    };
    let mut response = html::page(StatusCode::OK, &template, None);
    let refresh = HeaderValue::try_from(format!("0; url={url}"))
        .map_err(|error| PageError::Unavailable(error.to_string()))?;
    response.headers_mut().insert(REFRESH, refresh);
    with_cookies(response, [cookie])
}

/// `POST /account/identity/unlink`.
pub async fn unlink(
    app: web::Data<App>,
    visitor: Visitor,
    facts: Facts,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    let form = Form::read(&request, payload, app.config.server.max_body_bytes).await?;
    visitor.check_csrf(&form)?;
    let person = visitor.require_proof(PATH)?;
    if app.config.identity.issuer.is_empty() {
        return Err(PageError::BadRequest(NO_PROVIDER.to_owned()));
    }
    let (settings, session, user) = (
        Arc::clone(&app.settings),
        person.session.clone(),
        person.user.clone(),
    );
    app.store
        .write(facts.now, move |tx| {
            identities::unlink(tx, &settings.identity, &session, &user).map(Verdict::Done)
        })
        .await?;
    Ok(html::see_other(PATH))
}

fn shell(visitor: &Visitor) -> Result<Shell, PageError> {
    let name = visitor.require()?.user.email.as_deref();
    let email = addresses::address_in(name.unwrap_or_default()).to_owned();
    let signed_in = Some(SignedIn {
        email,
        csrf: visitor.csrf(),
        ..SignedIn::default()
    });
    Ok(Shell {
        title: "How you sign in".to_owned(),
        product_name: PRODUCT.to_owned(),
        signed_in,
        active_section: None,
    })
}
