//! Who is at the browser: a signed-in person or a stranger, and the token that ties a form to that browser.
//!
//! Invariant: a form's token is an HMAC of the session's (or stranger's) own secret behind a number of the page; a form made
//! for one browser is never accepted from another, and a form made before a sign-in never after it. The number is another one on
//! every page: by it a form that is sent again is known (`once.rs`).

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use actix_web::cookie::Cookie;
use actix_web::dev::Payload;
use actix_web::http::header::HeaderMap;
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::cookies::{self, Presented, mint_session_token};
use super::facts::Facts;
use super::form::Form;
use super::html::{PRODUCT, PageError};
use super::page;
use crate::app::App;
use crate::crypto::digest::Purpose;
use crate::domain::ensure;
use crate::domain::people::addresses;
use crate::domain::people::sessions::{self, SignedIn};
use crate::domain::rights::asker::Asker;
use crate::store::Verdict;
use crate::types::text::random_base62;
use crate::types::time::Timestamp;

/// Enough that no two pages of one session share it.
const PAGE_NUMBER_CHARACTERS: usize = 16;

/// The browser behind a request.
pub struct Visitor {
    signed_in: Option<SignedIn>,
    /// Of the session or of the stranger; new when the browser brought none.
    token: String,
    is_new: bool,
    secure: bool,
    csrf: String,
    /// The cookie by which known devices are recognized, as it was sent.
    devices: String,
    page_number: String,
    path: String,
    now: Timestamp,
    /// The address is in `[operations] allowed_networks`.
    in_operations: bool,
}

impl Visitor {
    pub fn signed_in(&self) -> Option<&SignedIn> {
        self.signed_in.as_ref()
    }

    /// What the browser shows of the accounts that it is known to; nothing of it is believed yet.
    pub fn devices(&self) -> &str {
        &self.devices
    }

    /// The instant of the request.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Who asks: the person, confined as the session is.
    pub fn asker(&self) -> Result<Asker, PageError> {
        let person = self.require()?;
        Ok(Asker::session(person.user.id, person.session.confined_to))
    }

    /// Who asks on the operator's pages.
    pub fn operator(&self) -> Result<Asker, PageError> {
        Ok(Asker::operator(self.require_operator()?.user.id))
    }

    /// The person, or the way to the sign-in page and back here.
    pub fn require(&self) -> Result<&SignedIn, PageError> {
        self.signed_in.as_ref().ok_or_else(|| PageError::SignIn {
            return_to: self.path.clone(),
        })
    }

    /// The person, if they have proved lately who they are; or the way to the page on which they do, and on to `return_to`.
    pub fn require_proof(&self, return_to: &str) -> Result<&SignedIn, PageError> {
        let person = self.require()?;
        ensure(
            person.is_proven(self.now),
            PageError::Proof {
                return_to: return_to.to_owned(),
            },
        )?;
        Ok(person)
    }

    /// Whether the operator's pages open to this person, from here.
    pub fn is_operator(&self) -> bool {
        self.in_operations
            && self
                .signed_in
                .as_ref()
                .is_some_and(|person| person.user.operator && person.session.confined_to.is_none())
    }

    /// The operator. From elsewhere, and to everybody else, the operator's pages do not exist; who is not signed in may be one.
    pub fn require_operator(&self) -> Result<&SignedIn, PageError> {
        ensure(self.in_operations, PageError::NotFound)?;
        let person = self.require()?;
        ensure(
            person.user.operator && person.session.confined_to.is_none(),
            PageError::NotFound,
        )?;
        Ok(person)
    }

    /// Around a page that belongs to no organization.
    pub fn shell(&self, title: &str) -> page::Shell {
        let signed_in = account_menu(self).ok();
        page::Shell {
            title: title.to_owned(),
            product_name: PRODUCT.to_owned(),
            signed_in,
            active_section: None,
        }
    }

    /// For the hidden field of a form: `<number of the page>.<HMAC>`.
    pub fn csrf(&self) -> String {
        format!("{}.{}", self.page_number, self.csrf)
    }

    /// Refuses a form that was not made by us for this browser.
    pub fn check_csrf(&self, form: &Form) -> Result<(), PageError> {
        let presented = form.one("csrf")?.unwrap_or_default();
        let (page_number, presented) = presented.split_once('.').unwrap_or_default();
        let equal = aws_lc_rs::constant_time::verify_slices_are_equal(
            presented.as_bytes(),
            self.csrf.as_bytes(),
        )
        .is_ok();
        ensure(
            equal && page_number.len() == PAGE_NUMBER_CHARACTERS,
            PageError::Csrf,
        )
    }

    /// A stranger's cookie, when the browser has none yet: without it no form can be answered.
    pub fn cookie(&self) -> Option<Cookie<'static>> {
        (self.is_new && self.signed_in.is_none())
            .then(|| cookies::stranger(self.secure, self.token.clone()))
    }
}

impl FromRequest for Visitor {
    type Error = PageError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, PageError>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { recognize(&request).await })
    }
}

async fn recognize(request: &HttpRequest) -> Result<Visitor, PageError> {
    let app = request
        .app_data::<web::Data<App>>()
        .map(|data| Arc::clone(data))
        .ok_or(PageError::NotFound)?;
    refuse_foreign_origin(request.headers(), app.issuer.as_str())?;
    let facts = Facts::of(request).ok_or(PageError::WithoutFacts)?;
    let secure = app.issuer.is_secure();
    let presented = Presented::of(request.headers(), secure);
    let devices = cookies::read_devices(request.headers(), secure)
        .unwrap_or_default()
        .to_owned();
    let in_operations = app.config.operations.allows(facts.address);
    let page_number = random_base62(PAGE_NUMBER_CHARACTERS);
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str())
        .to_owned();
    if let Some(token) = presented.session
        && let Some(signed_in) = find_session(&app, &token, &facts).await?
    {
        let csrf = csrf(&app, &token);
        let visitor = Visitor {
            signed_in: Some(signed_in),
            token,
            is_new: false,
            secure,
            csrf,
            devices,
            page_number,
            path,
            now: facts.now,
            in_operations,
        };
        request.extensions_mut().insert(account_menu(&visitor)?);
        return Ok(visitor);
    }
    let (is_new, token) = (
        presented.stranger.is_none(),
        presented.stranger.unwrap_or_else(mint_session_token),
    );
    let csrf = csrf(&app, &token);
    Ok(Visitor {
        signed_in: None,
        token,
        is_new,
        secure,
        csrf,
        devices,
        page_number,
        path,
        now: facts.now,
        in_operations,
    })
}

/// Also for the error page, should it come to one: it knows the request only.
fn account_menu(visitor: &Visitor) -> Result<page::SignedIn, PageError> {
    let name = visitor.require()?.user.email.as_deref();
    Ok(page::SignedIn {
        email: addresses::address_in(name.unwrap_or_default()).to_owned(),
        csrf: visitor.csrf(),
        operator: visitor.is_operator(),
        ..page::SignedIn::default()
    })
}

fn csrf(app: &App, token: &str) -> String {
    URL_SAFE_NO_PAD.encode(app.digester.fingerprint(Purpose::Csrf, token))
}

/// Nothing is counted: whoever is signed in pays nothing, and whoever is not any more goes on as a stranger.
async fn find_session(
    app: &App,
    token: &str,
    facts: &Facts,
) -> Result<Option<SignedIn>, PageError> {
    let candidates = app.digester.candidates(Purpose::Session, token);
    let (settings, now) = (Arc::clone(&app.settings), facts.now);
    let found = app
        .store
        .read(move |snapshot| sessions::find(snapshot, &settings.sessions, &candidates, now))
        .await?;
    if let Some(signed_in) = &found
        && signed_in.wants_recording(now)
    {
        let id = signed_in.session.id;
        app.store
            .write(now, move |tx| {
                tx.record_session_use(id)
                    .map(Verdict::<(), crate::store::Error>::Done)
            })
            .await?;
    }
    Ok(found)
}

/// A second wall beside the form's token: browsers name the origin that sends a form.
fn refuse_foreign_origin(headers: &HeaderMap, issuer: &str) -> Result<(), PageError> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let foreign = text("origin").is_some_and(|origin| origin != "null" && origin != issuer);
    if foreign {
        Err(PageError::Csrf)
    } else {
        Ok(())
    }
}
