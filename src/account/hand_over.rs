//! A hand-over link: somebody outside collects a key's secret, once, with the address that the link is bound to.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::pages::{HandOverClosedPage, HandOverDonePage, HandOverPage};
use super::with_cookies;
use crate::app::App;
use crate::crypto::digest::{Digest, Purpose};
use crate::crypto::format::{TokenKind, is_token, mint_key};
use crate::domain::Refusal;
use crate::domain::keys::api_keys::Minted;
use crate::domain::keys::hand_overs::{self, HandOverLink, LinkStatus, Tried};
use crate::store::{Tx, Verdict};
use crate::types::time::Timestamp;
use crate::web::facts::Facts;
use crate::web::form::Form;
use crate::web::html::{self, PRODUCT, PageError};
use crate::web::page::Shell;
use crate::web::visitor::Visitor;

const WRONG: &str = "The link is not for this address. Enter the one it was made for.";

/// `GET /hand-over/{token}`: what it is; nothing happens yet.
pub async fn show(
    app: web::Data<App>,
    visitor: Visitor,
    facts: Facts,
    path: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let link = look(&app, candidates(&app, &path)?, facts.now).await?;
    match link.status {
        LinkStatus::Open => page(&visitor, &path, link, None),
        closed => Ok(closed_page(closed)),
    }
}

/// `POST /hand-over/{token}` with `csrf email`: makes the secret and shows it.
pub async fn collect(
    app: web::Data<App>,
    visitor: Visitor,
    facts: Facts,
    request: HttpRequest,
    path: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    let form = Form::read(&request, payload, app.config.server.max_body_bytes).await?;
    visitor.check_csrf(&form)?;
    form.refuse_repeated(&["email"])?;
    let candidates = candidates(&app, &path)?;
    let link = look(&app, candidates.clone(), facts.now).await?;
    if link.status != LinkStatus::Open {
        return Ok(closed_page(link.status));
    }
    let (public_id, secret) = mint_key(&link.key.prefix, &link.key.marker);
    let minted = Minted {
        public_id,
        digest: app.digester.digest(Purpose::ApiKey, secret.expose()),
    };
    let (settings, email) = (Arc::clone(&app.settings), form.field("email").to_owned());
    let collect = move |tx: &mut Tx| {
        hand_overs::collect(tx, &settings, &candidates, &email, &minted).map(Verdict::Done)
    };
    match app
        .store
        .write_organization(link.organization, facts.now, collect)
        .await
    {
        Ok(Tried::Collected(key)) => {
            let template = HandOverDonePage {
                shell: shell("Your API key"),
                name: key.title(),
                environment: key.environment,
                secret: secret.expose().to_owned(),
                try_url: format!("{}/v1/whoami", app.issuer.as_str()),
                scheme: app.config.keys.header_scheme.clone(),
            };
            Ok(html::page(StatusCode::OK, &template, None))
        }
        Ok(Tried::WrongAddress) => page(&visitor, &path, link, Some(WRONG.to_owned())),
        // a twin was quicker, or an admin
        Err(Refusal::NotFound | Refusal::Coded(..)) => Ok(closed_page(LinkStatus::Void)),
        Err(other) => Err(other.into()),
    }
}

/// What is no link is not looked up.
fn candidates(app: &App, token: &str) -> Result<Vec<Digest>, PageError> {
    let shaped = is_token(&app.config.keys.prefix, TokenKind::HandOver, token);
    if shaped {
        Ok(app.digester.candidates(Purpose::HandOver, token))
    } else {
        Err(PageError::NotFound)
    }
}

async fn look(app: &App, candidates: Vec<Digest>, now: Timestamp) -> Result<HandOverLink, Refusal> {
    let settings = Arc::clone(&app.settings);
    app.store
        .read(move |snapshot| hand_overs::look(snapshot, &settings, &candidates, now))
        .await
}

/// Whoever is signed in here is not who the link is for: the page says nothing of it.
fn shell(title: &str) -> Shell {
    Shell {
        title: title.to_owned(),
        product_name: PRODUCT.to_owned(),
        signed_in: None,
        active_section: None,
    }
}

fn page(
    visitor: &Visitor,
    token: &str,
    link: HandOverLink,
    error: Option<String>,
) -> Result<HttpResponse, PageError> {
    let status = if error.is_some() {
        StatusCode::UNPROCESSABLE_ENTITY
    } else {
        StatusCode::OK
    };
    let template = HandOverPage {
        shell: shell("An API key for you"),
        csrf: visitor.csrf(),
        token: token.to_owned(),
        organization: link.organization_name,
        name: link.key.title(),
        environment: link.key.environment,
        error,
    };
    with_cookies(html::page(status, &template, None), visitor.cookie())
}

fn closed_page(status: LinkStatus) -> HttpResponse {
    let (title, text) = match status {
        LinkStatus::Used => (
            "This link has been used",
            "It works once: the key was already made, its secret was shown. If that was not you, tell whoever sent it at once: the key can be revoked.",
        ),
        LinkStatus::Expired => (
            "This link has expired",
            "Ask whoever sent it for a new one.",
        ),
        LinkStatus::Open | LinkStatus::Void => (
            "This link does not work any more",
            "It was taken back or replaced. Ask whoever sent it for a new one.",
        ),
    };
    html::page(
        StatusCode::GONE,
        &HandOverClosedPage {
            shell: shell(title),
            title: title.to_owned(),
            text: text.to_owned(),
        },
        None,
    )
}
