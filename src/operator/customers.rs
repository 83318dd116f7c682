//! A new customer: organization, first workspace and owner's invitation in one form.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::pages::organizations::{CustomerCreatedPage, CustomerForm, CustomerPage, PlanChoice};
use super::shell::{self, Operator};
use crate::app::App;
use crate::crypto::Plaintext;
use crate::crypto::digest::Purpose;
use crate::crypto::format::{TokenKind, mint_token};
use crate::domain::Refusal;
use crate::domain::desk::VendorDesk;
use crate::domain::lifecycle::customers::{self, Customer, NewCustomer};
use crate::domain::operations::idempotency::Ticket;
use crate::web::form::Form;
use crate::web::html::{self, PageError};
use crate::web::once::{self, Once};
use crate::web::page::{FieldErrors, Link};
use crate::web::refusal::field_errors;
use crate::web::visitor::Visitor;

const FIELDS: [&str; 4] = ["name", "workspace", "owner_email", "plan"];

/// `GET /operator/organizations/new`.
pub async fn new(app: web::Data<App>, visitor: Visitor) -> Result<HttpResponse, PageError> {
    let operator = shell::enter(&visitor)?;
    let template = page(
        &app,
        &operator,
        CustomerForm::default(),
        FieldErrors::default(),
    );
    Ok(html::page(StatusCode::OK, &template, None))
}

/// `POST /operator/organizations` with `csrf name workspace owner_email plan`. The answer is the only page that ever shows the
/// invitation's link.
pub async fn create(
    app: web::Data<App>,
    visitor: Visitor,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    let (operator, form) = shell::submitted(&app, &visitor, &request, payload).await?;
    form.refuse_repeated(&FIELDS)?;
    let ticket = once::ticket(&app, &visitor, &request, &form)?;
    match make(&app, &operator, &form, ticket).await {
        Ok((Once::MadeBefore(id), _)) => Ok(once::made_before(
            operator.shell("Customer created"),
            "The customer",
            Link {
                href: format!("/operator/organizations/{id}"),
                label: "To the organization".to_owned(),
            },
        )),
        Ok((Once::Made(made), token)) => Ok(html::page(
            StatusCode::OK,
            &created_page(&app, &operator, made, &token),
            None,
        )),
        Err(refusal) => {
            let text = |name| form.field(name).to_owned();
            let typed = CustomerForm {
                name: text("name"),
                workspace: text("workspace"),
                owner_email: text("owner_email"),
                plan: text("plan"),
            };
            let template = page(&app, &operator, typed, field_errors(refusal)?);
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
) -> Result<(Once<Customer>, Plaintext), Refusal> {
    let text = |name| form.field(name).to_owned();
    let token = mint_token(&app.config.keys.prefix, TokenKind::Invitation);
    let new = NewCustomer {
        name: text("name"),
        workspace: text("workspace"),
        owner_email: text("owner_email"),
        plan: Some(text("plan")).filter(|plan| !plan.is_empty()),
        digest: app.digester.digest(Purpose::Invitation, token.expose()),
    };
    let create = move |desk: &mut VendorDesk| {
        customers::create(desk, &new).map(|made| (made.organization.id.to_string(), made))
    };
    let made = shell::make_vendor(app, operator, ticket, create).await?;
    Ok((made, token))
}

fn page(app: &App, operator: &Operator, form: CustomerForm, errors: FieldErrors) -> CustomerPage {
    let catalogue = &app.settings.catalogue;
    let chosen = if form.plan.is_empty() {
        catalogue.plan(None).entry.name.clone()
    } else {
        form.plan.clone()
    };
    CustomerPage {
        shell: operator.shell("New customer"),
        csrf: operator.csrf(),
        plans: catalogue
            .plans()
            .map(|plan| PlanChoice {
                name: plan.entry.name.clone(),
                title: plan.entry.title.clone(),
                chosen: plan.entry.name == chosen,
            })
            .collect(),
        form,
        errors,
    }
}

fn created_page(
    app: &App,
    operator: &Operator,
    made: Customer,
    token: &Plaintext,
) -> CustomerCreatedPage {
    CustomerCreatedPage {
        shell: operator.shell("Customer created"),
        id: made.organization.id.to_string(),
        name: made.organization.name,
        owner_email: made.invitation.invitation.email,
        expires: made.invitation.invitation.expires_at.date(),
        link: format!("{}/invitations/{}", app.issuer.as_str(), token.expose()),
    }
}
