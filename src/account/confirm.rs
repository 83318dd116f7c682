//! Proving once more who is at the browser (step-up), by the password or at a provider: for what a session that was left open
//! must not be enough for.
//!
//! Invariant: a proof is of the person who is signed in, and starts a session under a new id, as every sign-in does.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::pages::ConfirmPage;
use super::sign_in;
use crate::app::App;
use crate::domain::people::identities;
use crate::domain::people::sessions::SignedIn;
use crate::web::facts::Facts;
use crate::web::form::Form;
use crate::web::html::{self, PageError};
use crate::web::page::Link;
use crate::web::provider::Provider;
use crate::web::return_to::local_path;
use crate::web::visitor::Visitor;

const WRONG: &str = "The password is wrong.";

/// `GET /account/confirm?return_to=`.
pub async fn form(
    app: web::Data<App>,
    visitor: Visitor,
    request: HttpRequest,
) -> Result<HttpResponse, PageError> {
    let query = Form::of_query(&request)?;
    let return_to = local_path(query.field("return_to"));
    let template = page(&app, &visitor, return_to, None).await?;
    Ok(html::page(StatusCode::OK, &template, None))
}

/// `POST /account/confirm` with `csrf password return_to`.
pub async fn submit(
    app: web::Data<App>,
    visitor: Visitor,
    facts: Facts,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    let form = Form::read(&request, payload, app.config.server.max_body_bytes).await?;
    visitor.check_csrf(&form)?;
    form.refuse_repeated(&["password", "return_to"])?;
    let person = visitor.require()?;
    let return_to = local_path(form.field("return_to"));
    let proven = match person.user.email.as_deref() {
        Some(email) if by_password(&app, person) => {
            sign_in::prove(&app, &visitor, &facts, email, form.field("password")).await?
        }
        _ => None,
    };
    match proven.filter(|proven| proven.id == person.user.id) {
        Some(proven) => sign_in::start(&app, &visitor, facts.now, &proven, None, return_to).await,
        None => {
            let template = page(&app, &visitor, return_to, Some(WRONG.to_owned())).await?;
            Ok(html::page(
                StatusCode::UNPROCESSABLE_ENTITY,
                &template,
                None,
            ))
        }
    }
}

/// A session that an organization's provider made is renewed there: the password would open more than it.
fn by_password(app: &App, person: &SignedIn) -> bool {
    person.session.confined_to.is_none()
        && identities::has_password(&app.config.identity, &person.user)
}

async fn page(
    app: &App,
    visitor: &Visitor,
    return_to: &str,
    error: Option<String>,
) -> Result<ConfirmPage, PageError> {
    let person = visitor.require()?;
    let provider = match person.session.confined_to {
        Some(organization) => Provider::of_organization(app, organization)
            .await?
            .map(|own| (own.id.to_string(), own.name)),
        None => Provider::operator(app).map(|own| (own.realm.as_str().to_owned(), own.name)),
    };
    Ok(ConfirmPage {
        shell: visitor.shell("Confirm who you are"),
        csrf: visitor.csrf(),
        return_to: return_to.to_owned(),
        provider: provider.map(|(realm, name)| Link {
            href: Provider::again_href(&realm, return_to),
            label: format!("Confirm with {name}"),
        }),
        with_password: by_password(app, person),
        error,
    })
}
