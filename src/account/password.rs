//! A person's own password: changing it.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::pages::PasswordPage;
use super::sign_in;
use crate::app::App;
use crate::domain::people::identities::{self, Denial};
use crate::domain::people::passwords;
use crate::domain::{Refusal, ensure};
use crate::store::users::User;
use crate::store::{Tx, Verdict};
use crate::web::facts::Facts;
use crate::web::form::Form;
use crate::web::html::{self, PageError};
use crate::web::page::FieldErrors;
use crate::web::refusal::field_errors;
use crate::web::visitor::Visitor;

const WRONG: &str = "is not your password";
const SAME: &str = "is the one you have";
/// Where a person whose password was changed goes on.
const DONE: &str = "/account/identity?done=password";

/// `GET /account/password`.
pub async fn show(app: web::Data<App>, visitor: Visitor) -> Result<HttpResponse, PageError> {
    person(&app, &visitor)?;
    page(&visitor, FieldErrors::default())
}

/// `POST /account/password` with `csrf current password`. This browser gets a new session; all others are signed out.
pub async fn change(
    app: web::Data<App>,
    visitor: Visitor,
    facts: Facts,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    let form = Form::read(&request, payload, app.config.server.max_body_bytes).await?;
    visitor.check_csrf(&form)?;
    form.refuse_repeated(&["current", "password"])?;
    let person = person(&app, &visitor)?.clone();
    let (current, password) = (form.field("current"), form.field("password"));
    let email = person.email.clone().unwrap_or_default();
    let invalid = |field, message: &str| Err(Refusal::Invalid(vec![(field, message.to_owned())]));
    // the new one first: a typing error there costs none of the tries that there are for the current one
    let checked = passwords::check_password(password, &[&email, &person.name]).and_then(|()| {
        match password == current {
            true => invalid("password", SAME),
            false => Ok(()),
        }
    });
    if let Err(refusal) = checked {
        return page(&visitor, field_errors(refusal)?);
    }
    let proven = sign_in::prove(&app, &visitor, &facts, &email, current).await?;
    let Some(proven) = proven.filter(|proven| proven.id == person.id) else {
        return page(&visitor, field_errors(Refusal::field("current", WRONG))?);
    };
    match write(&app, &facts, proven, password).await? {
        Ok(changed) => sign_in::start(&app, &visitor, facts.now, &changed, None, DONE).await,
        Err(refusal) => page(&visitor, field_errors(refusal)?),
    }
}

/// The person as they are afterwards.
async fn write(
    app: &App,
    facts: &Facts,
    person: User,
    password: &str,
) -> Result<Result<User, Refusal>, PageError> {
    let hash = app
        .passwords
        .hash(facts.address, password.to_owned())
        .await
        .map_err(|busy| PageError::TooMany {
            retry_after_seconds: busy.retry_after_seconds,
        })?;
    let changed = User {
        password_hash: Some(hash.clone()),
        ..person.clone()
    };
    let write = move |tx: &mut Tx| {
        passwords::change(tx, &person, &hash, Some(person.id)).map(Verdict::Done)
    };
    let written: Result<(), Refusal> = app.store.write(facts.now, write).await;
    Ok(written.map(|()| changed))
}

/// Who may change a password here: somebody who has one, with a session that opens everything.
fn person<'v>(app: &App, visitor: &'v Visitor) -> Result<&'v User, PageError> {
    let person = visitor.require()?;
    ensure(
        person.session.confined_to.is_none(),
        PageError::Forbidden(Denial::Confined.to_string()),
    )?;
    ensure(
        identities::has_password(&app.config.identity, &person.user),
        PageError::BadRequest(
            "Your account has no password: you sign in with a provider.".to_owned(),
        ),
    )?;
    Ok(&person.user)
}

fn page(visitor: &Visitor, errors: FieldErrors) -> Result<HttpResponse, PageError> {
    let status = match errors.is_empty() {
        true => StatusCode::OK,
        false => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let template = PasswordPage {
        shell: visitor.shell("Change your password"),
        csrf: visitor.csrf(),
        email: visitor.require()?.user.email.clone().unwrap_or_default(),
        errors,
    };
    Ok(html::page(status, &template, None))
}
