//! A person's organizations: those they are in and may leave, those that invite them, those they may ask, and a new one (A5).

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::invitations::{CONFINED, ORGANIZATIONS, accept_by, role_name};
use super::people_pages::{LeavePage, OfferView, OrganizationRow, OrganizationsPage};
use crate::app::App;
use crate::domain::desk::{Desk, View};
use crate::domain::lifecycle::departures;
use crate::domain::people::founding;
use crate::domain::people::invitations::{self, By, Offer};
use crate::domain::people::join_requests;
use crate::domain::{Refusal, ensure};
use crate::store::members::Member;
use crate::store::users::User;
use crate::store::{Snapshot, Tx, Verdict};
use crate::types::id::{JoinRequestId, OrganizationId};
use crate::types::time::Timestamp;
use crate::web::desk;
use crate::web::facts::Facts;
use crate::web::form::Form;
use crate::web::html::{self, PageError};
use crate::web::once;
use crate::web::page::FieldErrors;
use crate::web::refusal::{field_errors, parse_id};
use crate::web::visitor::Visitor;

/// What the page knows of the person.
struct Own {
    organizations: Vec<OrganizationRow>,
    offers: Vec<Offer>,
    joinable: Vec<(OrganizationId, String)>,
    asked: Vec<(JoinRequestId, String)>,
}

fn read(
    snapshot: &mut Snapshot,
    user: &User,
    only: Option<OrganizationId>,
    now: Timestamp,
) -> Result<Own, Refusal> {
    let mut organizations = Vec::new();
    for organization in snapshot.list_organizations_of(user.id, now)? {
        let Some(member) = snapshot.find_member(organization.id, user.id, now)? else {
            continue;
        };
        if only.is_none_or(|only| only == organization.id) {
            organizations.push(row(&member, organization.name));
        }
    }
    if only.is_some() {
        return Ok(Own {
            organizations,
            offers: Vec::new(),
            joinable: Vec::new(),
            asked: Vec::new(),
        });
    }
    let mut asked = Vec::new();
    for request in snapshot.list_join_requests_of(user.id)? {
        let name = snapshot
            .find_organization(request.organization_id)?
            .map(|organization| organization.name);
        asked.extend(name.map(|name| (request.id, request.organization_id, name)));
    }
    let mut joinable = join_requests::list_joinable(snapshot, user, now)?;
    joinable.retain(|(id, _)| asked.iter().all(|(_, asked, _)| asked != id));
    let asked = asked.into_iter().map(|(id, _, name)| (id, name)).collect();
    Ok(Own {
        organizations,
        offers: invitations::list_offers(snapshot, user, now)?,
        joinable,
        asked,
    })
}

fn row(member: &Member, name: String) -> OrganizationRow {
    OrganizationRow {
        name,
        role: role_name(member.role).to_owned(),
        ends: member.ends_at.map(Timestamp::date),
        leave_href: format!("{ORGANIZATIONS}/{}/leave", member.organization_id),
    }
}

/// `GET /account/organizations`.
pub async fn list(
    app: web::Data<App>,
    visitor: Visitor,
    facts: Facts,
) -> Result<HttpResponse, PageError> {
    page(&app, &visitor, &facts, "", FieldErrors::default()).await
}

async fn page(
    app: &App,
    visitor: &Visitor,
    facts: &Facts,
    name: &str,
    errors: FieldErrors,
) -> Result<HttpResponse, PageError> {
    let person = visitor.require()?;
    let (user, only, now) = (person.user.clone(), person.session.confined_to, facts.now);
    let own = app
        .store
        .read(move |snapshot| read(snapshot, &user, only, now))
        .await?;
    let status = if errors.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::UNPROCESSABLE_ENTITY
    };
    let template = OrganizationsPage {
        shell: visitor.shell("Organizations"),
        csrf: visitor.csrf(),
        organizations: own.organizations,
        offers: own.offers.into_iter().map(OfferView::of).collect(),
        joinable: own
            .joinable
            .into_iter()
            .map(|(id, name)| (id.to_string(), name))
            .collect(),
        asked: own
            .asked
            .into_iter()
            .map(|(id, name)| (id.to_string(), name))
            .collect(),
        can_create: only.is_none()
            && person.user.email_verified_at.is_some()
            && app.config.accounts.create_organizations,
        locked: only.map(|_| CONFINED.to_owned()),
        name: name.to_owned(),
        errors,
    };
    Ok(html::page(status, &template, None))
}

/// The form, of a person whose session is not confined to one organization.
async fn form_of_free(
    app: &App,
    visitor: &Visitor,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<(Form, User), PageError> {
    let form = Form::read(request, payload, app.config.server.max_body_bytes).await?;
    visitor.check_csrf(&form)?;
    let person = visitor.require()?;
    ensure(
        person.session.confined_to.is_none(),
        PageError::Forbidden(CONFINED.to_owned()),
    )?;
    Ok((form, person.user.clone()))
}

/// Back to the page: as it is now, or with what was refused.
async fn done(
    app: &App,
    visitor: &Visitor,
    facts: &Facts,
    name: &str,
    answer: Result<(), Refusal>,
) -> Result<HttpResponse, PageError> {
    match answer {
        Ok(()) => Ok(html::see_other(ORGANIZATIONS)),
        Err(refusal) => page(app, visitor, facts, name, field_errors(refusal)?).await,
    }
}

fn id_in<I: std::str::FromStr>(form: &Form, field: &str) -> Result<I, PageError> {
    ensure(
        !form.field(field).is_empty(),
        PageError::BadRequest(format!("The form has no {field}.")),
    )?;
    form.refuse_repeated(&[field])?;
    parse_id(form.field(field))
}

/// `POST /account/organizations` with `csrf name`: a new one, owned by the person.
pub async fn create(
    app: web::Data<App>,
    visitor: Visitor,
    facts: Facts,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    let (form, user) = form_of_free(&app, &visitor, &request, payload).await?;
    form.refuse_repeated(&["name"])?;
    let (settings, wanted) = (Arc::clone(&app.settings), form.field("name").to_owned());
    let ticket = once::ticket(&app, &visitor, &request, &form)?;
    let sent = ticket.clone();
    let found = move |tx: &mut Tx| {
        once::enter(tx, &sent, |tx| {
            let made = founding::found(tx, &settings, user.id, &wanted)?;
            Ok((made.id.to_string(), ()))
        })
        .map(Verdict::Done)
    };
    let made = app.store.write(facts.now, found).await;
    // made before or now: the page shows it
    let answer = once::after_twin(&app, ticket, made).await.map(drop);
    done(&app, &visitor, &facts, form.field("name"), answer).await
}

/// `POST /account/organizations/ask` with `csrf organization message`.
pub async fn ask(
    app: web::Data<App>,
    visitor: Visitor,
    facts: Facts,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    let (form, _) = form_of_free(&app, &visitor, &request, payload).await?;
    form.refuse_repeated(&["message"])?;
    let (organization, message): (OrganizationId, _) = (
        id_in(&form, "organization")?,
        form.field("message").to_owned(),
    );
    let ask = move |desk: &mut Desk| join_requests::ask(desk, &message).map(drop);
    let answer = desk::change(&app, &visitor, organization, ask).await;
    done(&app, &visitor, &facts, "", answer).await
}

/// `POST /account/organizations/withdraw` with `csrf request`.
pub async fn withdraw(
    app: web::Data<App>,
    visitor: Visitor,
    facts: Facts,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    let (form, user) = form_of_free(&app, &visitor, &request, payload).await?;
    let id = id_in(&form, "request")?;
    let answer = app
        .store
        .write(facts.now, move |tx: &mut Tx| {
            join_requests::withdraw(tx, user.id, id).map(Verdict::Done)
        })
        .await;
    done(&app, &visitor, &facts, "", answer).await
}

/// `POST /account/organizations/accept` with `csrf invitation`.
pub async fn accept(
    app: web::Data<App>,
    visitor: Visitor,
    facts: Facts,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    let (form, _) = form_of_free(&app, &visitor, &request, payload).await?;
    let by = By::Id(id_in(&form, "invitation")?);
    let answer = accept_by(&app, &visitor, &facts, by).await;
    done(&app, &visitor, &facts, "", answer).await
}

/// `POST /account/organizations/decline` with `csrf invitation`.
pub async fn decline(
    app: web::Data<App>,
    visitor: Visitor,
    facts: Facts,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    let (form, user) = form_of_free(&app, &visitor, &request, payload).await?;
    let by = By::Id(id_in(&form, "invitation")?);
    let answer = app
        .store
        .write(facts.now, move |tx: &mut Tx| {
            invitations::decline(tx, user.id, &by).map(Verdict::Done)
        })
        .await;
    done(&app, &visitor, &facts, "", answer).await
}

/// `GET /account/organizations/{id}/leave`.
pub async fn confirm_leave(
    app: web::Data<App>,
    visitor: Visitor,
    path: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    leave_page(&app, &visitor, parse_id(&path)?, FieldErrors::default()).await
}

async fn leave_page(
    app: &App,
    visitor: &Visitor,
    id: OrganizationId,
    errors: FieldErrors,
) -> Result<HttpResponse, PageError> {
    let person = visitor.require()?;
    ensure(
        person.session.confined_to.is_none(),
        PageError::Forbidden(CONFINED.to_owned()),
    )?;
    let question = move |view: &mut View| {
        let organization = view.snapshot.find_organization(id)?;
        let name = organization.ok_or(Refusal::NotFound)?.name;
        Ok((name, departures::preview_own(view)?))
    };
    let (name, departure) = desk::ask(app, visitor, id, question).await?;
    let status = if errors.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::UNPROCESSABLE_ENTITY
    };
    let template = LeavePage {
        shell: visitor.shell("Leave an organization"),
        csrf: visitor.csrf(),
        organization: row(&departure.member, name),
        stops: departure.in_words(),
        errors,
    };
    Ok(html::page(status, &template, None))
}

/// `POST /account/organizations/{id}/leave`.
pub async fn leave(
    app: web::Data<App>,
    visitor: Visitor,
    request: HttpRequest,
    path: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    form_of_free(&app, &visitor, &request, payload).await?;
    let id: OrganizationId = parse_id(&path)?;
    match desk::change(&app, &visitor, id, departures::leave).await {
        Ok(()) => Ok(html::see_other(ORGANIZATIONS)),
        Err(refusal) => leave_page(&app, &visitor, id, field_errors(refusal)?).await,
    }
}
