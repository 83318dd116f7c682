//! People: who there is, who operates the installation, and new accounts.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::pages::ShownOncePage;
use super::pages::people::{PeoplePage, PersonForm, PersonRow};
use super::shell::{self, Operator};
use crate::app::App;
use crate::crypto::password;
use crate::domain::Refusal;
use crate::domain::desk::{VendorDesk, VendorView};
use crate::domain::operations::idempotency::Ticket;
use crate::domain::people::accounts::NewPerson;
use crate::domain::people::operators;
use crate::store::users::User;
use crate::types::email::Mailbox;
use crate::types::state::UserState;
use crate::web::form::Form;
use crate::web::html::{self, PageError};
use crate::web::once::{self, Once};
use crate::web::page::{FieldErrors, Link};
use crate::web::refusal::{field_errors, parse_id};
use crate::web::visitor::Visitor;

const LIST: &str = "/operator/people";

/// `GET /operator/people`.
pub async fn list(app: web::Data<App>, visitor: Visitor) -> Result<HttpResponse, PageError> {
    let operator = shell::enter(&visitor)?;
    let form = PersonForm::default();
    let template = page(&app, &visitor, &operator, form, FieldErrors::default()).await?;
    Ok(html::page(StatusCode::OK, &template, None))
}

/// `POST /operator/people` with `csrf email name operator`. The answer is the only page that ever shows the password.
pub async fn create(
    app: web::Data<App>,
    visitor: Visitor,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    let (operator, form) = shell::submitted(&app, &visitor, &request, payload).await?;
    form.refuse_repeated(&["email", "name", "operator"])?;
    visitor.require_proof(LIST)?;
    let ticket = once::ticket(&app, &visitor, &request, &form)?;
    match make(&app, &operator, &form, ticket).await? {
        Ok((Once::MadeBefore(_), _)) => Ok(once::made_before(
            operator.shell("Account created"),
            "The account",
            Link {
                href: LIST.to_owned(),
                label: "To the people".to_owned(),
            },
        )),
        Ok((Once::Made(user), password)) => {
            let template = ShownOncePage {
                shell: operator.shell("Account created"),
                heading: "The account is ready".to_owned(),
                about: user.email.unwrap_or_default(),
                kind: "Password".to_owned(),
                secret: password,
                advice: "Give it to the person, who changes it after signing in.".to_owned(),
                back: LIST.to_owned(),
            };
            Ok(html::page(StatusCode::OK, &template, None))
        }
        Err(refusal) => {
            let typed = PersonForm {
                email: form.field("email").to_owned(),
                name: form.field("name").to_owned(),
                operator: form.field("operator") == "true",
            };
            let errors = field_errors(refusal)?;
            let template = page(&app, &visitor, &operator, typed, errors).await?;
            Ok(html::page(
                StatusCode::UNPROCESSABLE_ENTITY,
                &template,
                None,
            ))
        }
    }
}

/// `POST /operator/people/{id}/remove-operator` with `csrf`.
pub async fn remove_operator(
    app: web::Data<App>,
    visitor: Visitor,
    request: HttpRequest,
    path: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    let (operator, _) = shell::submitted(&app, &visitor, &request, payload).await?;
    let id = parse_id(&path)?;
    let remove = move |desk: &mut VendorDesk| operators::remove(desk, id);
    match shell::change_vendor(&app, &operator, remove).await {
        Ok(()) => Ok(html::see_other(LIST)),
        Err(refusal) => {
            let errors = field_errors(refusal)?;
            let template = page(&app, &visitor, &operator, PersonForm::default(), errors).await?;
            Ok(html::page(
                StatusCode::UNPROCESSABLE_ENTITY,
                &template,
                None,
            ))
        }
    }
}

async fn make(
    app: &App,
    operator: &Operator,
    form: &Form,
    ticket: Ticket,
) -> Result<Result<(Once<User>, String), Refusal>, PageError> {
    let email = match Mailbox::parse(form.field("email")) {
        Ok(email) => email,
        Err(error) => return Ok(Err(Refusal::field("email", error.to_string()))),
    };
    let password = password::generate();
    let plain = password.clone();
    // off this thread: it takes a while by design
    let password_hash = web::block(move || password::hash(&plain))
        .await
        .map_err(|error| PageError::Unavailable(error.to_string()))?;
    let person = NewPerson {
        email,
        name: form.field("name").to_owned(),
        password_hash,
        operator: form.field("operator") == "true",
    };
    let create = move |desk: &mut VendorDesk| {
        operators::create_person(desk, &person).map(|made| (made.id.to_string(), made))
    };
    let made = shell::make_vendor(app, operator, ticket, create).await;
    Ok(made.map(|user| (user, password)))
}

async fn page(
    app: &App,
    visitor: &Visitor,
    operator: &Operator,
    form: PersonForm,
    errors: FieldErrors,
) -> Result<PeoplePage, PageError> {
    let people =
        |view: &mut VendorView| Ok((operators::list(view)?, operators::list_people(view)?));
    let (operators, people) = shell::ask_vendor(app, operator, people).await?;
    let confirm = visitor.require_proof(LIST).err();
    Ok(PeoplePage {
        shell: operator.shell("People"),
        csrf: operator.csrf(),
        operators: operators.into_iter().map(row).collect(),
        people: people
            .into_iter()
            .filter(|user| !user.operator)
            .map(row)
            .collect(),
        confirm_href: confirm.and_then(|error| error.proof_href()),
        form,
        errors,
    })
}

fn row(user: User) -> PersonRow {
    PersonRow {
        remove_action: format!("{LIST}/{}/remove-operator", user.id),
        id: user.id.to_string(),
        name: user.name,
        email: user.email.unwrap_or_default(),
        created: user.created_at.date(),
        suspended: user.state == UserState::Suspended,
    }
}
