//! An invitation's link: what it offers, an account for who has none, and the answer. The token is the path's; whoever is
//! signed in with another address reads so.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::people_pages::{InvitationPage, OfferView, Visitors};
use super::{sign_in, with_cookies};
use crate::app::App;
use crate::crypto::digest::{Digest, Purpose};
use crate::crypto::password::Busy;
use crate::domain::desk::Desk;
use crate::domain::people::addresses;
use crate::domain::people::invitations::{self, By, Offer};
use crate::domain::people::passwords::check_password;
use crate::domain::{Refusal, ensure};
use crate::store::users::User;
use crate::store::{Snapshot, Tx, Verdict};
use crate::types::refusal_code::RefusalCode;
use crate::types::state::{Licence, OrganizationRole};
use crate::types::time::Timestamp;
use crate::web::desk;
use crate::web::facts::Facts;
use crate::web::form::Form;
use crate::web::html::{self, PageError};
use crate::web::page::FieldErrors;
use crate::web::refusal::field_errors;
use crate::web::visitor::Visitor;

/// Longer ones are nobody's.
const MOST_TOKEN: usize = 200;
pub(super) const ORGANIZATIONS: &str = "/account/organizations";

fn candidates(app: &App, token: &str) -> Result<Vec<Digest>, PageError> {
    ensure(token.len() <= MOST_TOKEN, PageError::NotFound)?;
    Ok(app.digester.candidates(Purpose::Invitation, token))
}

async fn find(app: &App, facts: &Facts, token: &str) -> Result<Offer, PageError> {
    let (candidates, now) = (candidates(app, token)?, facts.now);
    Ok(app
        .store
        .read(move |snapshot| invitations::find_by_link(snapshot, &candidates, now))
        .await?)
}

/// `GET /invitations/{token}`.
pub async fn show(
    app: web::Data<App>,
    visitor: Visitor,
    facts: Facts,
    path: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let offer = find(&app, &facts, &path).await?;
    page(&app, &visitor, &path, offer, "", FieldErrors::default())
}

fn page(
    app: &App,
    visitor: &Visitor,
    token: &str,
    offer: Offer,
    name: &str,
    errors: FieldErrors,
) -> Result<HttpResponse, PageError> {
    let path = format!("/invitations/{token}");
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("return_to", &path)
        .finish();
    let who = match visitor.signed_in() {
        None => Visitors::Nobody,
        Some(person) if is_for(&offer, &person.user) => Visitors::Invited,
        Some(_) => Visitors::Somebody,
    };
    let status = if errors.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::UNPROCESSABLE_ENTITY
    };
    let template = InvitationPage {
        shell: visitor.shell("Invitation"),
        csrf: visitor.csrf(),
        path,
        offer: OfferView::of(offer),
        who,
        sign_in_href: format!("/login?{query}"),
        can_sign_up: app.config.identity.local_accounts,
        name: name.to_owned(),
        errors,
    };
    with_cookies(html::page(status, &template, None), visitor.cookie())
}

fn is_for(offer: &Offer, user: &User) -> bool {
    let address = user.email.as_deref().map(addresses::address_in);
    address == Some(offer.invitation.email.as_str())
}

impl OfferView {
    pub(super) fn of(offer: Offer) -> Self {
        let Offer {
            invitation,
            organization,
            inviter_name,
            workspaces,
        } = offer;
        Self {
            id: invitation.id.to_string(),
            email: invitation.email,
            organization: organization.name,
            invited_by: inviter_name,
            role: role_name(invitation.role).to_owned(),
            licence: match invitation.licence {
                Licence::Full => "full".to_owned(),
                Licence::ReadOnly => "read-only".to_owned(),
            },
            ends: invitation.member_ends_at.map(Timestamp::date),
            workspaces,
            expires: invitation.expires_at.date(),
        }
    }
}

pub(super) fn role_name(role: OrganizationRole) -> &'static str {
    match role {
        OrganizationRole::Owner => "owner",
        OrganizationRole::Admin => "admin",
        OrganizationRole::Member => "member",
    }
}

/// `POST /invitations/{token}/account` with `csrf name password`: an account for the invited address, signed in.
pub async fn create_account(
    app: web::Data<App>,
    visitor: Visitor,
    facts: Facts,
    request: HttpRequest,
    path: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    let form = Form::read(&request, payload, app.config.server.max_body_bytes).await?;
    visitor.check_csrf(&form)?;
    form.refuse_repeated(&["name", "password"])?;
    ensure(
        app.config.identity.local_accounts,
        PageError::Forbidden("Accounts are not made here: sign in with your provider.".to_owned()),
    )?;
    let offer = find(&app, &facts, &path).await?;
    let (name, password) = (form.field("name"), form.field("password"));
    match sign_up(&app, &facts, &path, &offer.invitation.email, name, password).await {
        Ok(person) => {
            sign_in::start(
                &app,
                &visitor,
                facts.now,
                &person,
                None,
                &format!("/invitations/{path}"),
            )
            .await
        }
        Err(SignUp::Refused(refusal)) => {
            page(&app, &visitor, &path, offer, name, field_errors(refusal)?)
        }
        Err(SignUp::Page(error)) => Err(error),
    }
}

/// Why there is no account.
enum SignUp {
    Refused(Refusal),
    Page(PageError),
}

impl From<Refusal> for SignUp {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

async fn sign_up(
    app: &App,
    facts: &Facts,
    token: &str,
    email: &str,
    name: &str,
    password: &str,
) -> Result<User, SignUp> {
    let candidates = candidates(app, token).map_err(SignUp::Page)?;
    check_password(password, &[email, name])?;
    let busy = |busy: Busy| {
        SignUp::Page(PageError::TooMany {
            retry_after_seconds: busy.retry_after_seconds,
        })
    };
    let hash = app
        .passwords
        .hash(facts.address, password.to_owned())
        .await
        .map_err(busy)?;
    let name = name.to_owned();
    let settings = Arc::clone(&app.settings);
    let create = move |tx: &mut Tx| {
        invitations::create_account(tx, &settings, &candidates, &name, &hash).map(Verdict::Done)
    };
    let made: Result<_, Refusal> = app.store.write(facts.now, create).await;
    Ok(made?)
}

/// `POST /invitations/{token}/accept`.
pub async fn accept(
    app: web::Data<App>,
    visitor: Visitor,
    facts: Facts,
    request: HttpRequest,
    path: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    let form = Form::read(&request, payload, app.config.server.max_body_bytes).await?;
    visitor.check_csrf(&form)?;
    visitor.require()?;
    let offer = find(&app, &facts, &path).await?;
    match accept_by(&app, &visitor, &facts, By::Link(candidates(&app, &path)?)).await {
        Ok(()) => Ok(html::see_other(ORGANIZATIONS)),
        Err(refusal) => page(&app, &visitor, &path, offer, "", field_errors(refusal)?),
    }
}

/// The signed-in person accepts, behind the organization's lock.
pub(super) async fn accept_by(
    app: &App,
    visitor: &Visitor,
    facts: &Facts,
    by: By,
) -> Result<(), Refusal> {
    let Some(person) = visitor.signed_in() else {
        return Err(Refusal::NotFound);
    };
    let (user, now, confined) = (person.user.id, facts.now, person.session.confined_to);
    let asked = by.clone();
    let organization = app
        .store
        .read(move |snapshot: &mut Snapshot| {
            invitations::organization_of(snapshot, user, &asked, now)
        })
        .await?;
    ensure(
        confined.is_none_or(|only| only == organization),
        Refusal::Coded(RefusalCode::Confined, CONFINED.to_owned()),
    )?;
    let accept = move |desk: &mut Desk| invitations::accept(desk, &by);
    desk::change(app, visitor, organization, accept).await
}

pub(super) const CONFINED: &str = "You signed in with an organization's login, which opens that organization only. Sign in as usual for others.";

/// `POST /invitations/{token}/decline`.
pub async fn decline(
    app: web::Data<App>,
    visitor: Visitor,
    facts: Facts,
    request: HttpRequest,
    path: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    let form = Form::read(&request, payload, app.config.server.max_body_bytes).await?;
    visitor.check_csrf(&form)?;
    let user = visitor.require()?.user.id;
    let offer = find(&app, &facts, &path).await?;
    let by = By::Link(candidates(&app, &path)?);
    let declined: Result<(), Refusal> = app
        .store
        .write(facts.now, move |tx: &mut Tx| {
            invitations::decline(tx, user, &by).map(Verdict::Done)
        })
        .await;
    match declined {
        Ok(()) => Ok(html::see_other(ORGANIZATIONS)),
        Err(refusal) => page(&app, &visitor, &path, offer, "", field_errors(refusal)?),
    }
}
