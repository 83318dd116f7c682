//! Who is at the browser: a signed-in person or a stranger, and the token that ties a form to that browser.
//!
//! Invariant: a form's token is an HMAC of the session's (or stranger's) own secret; a form made for one browser is never
//! accepted from another, and a form made before a sign-in never after it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use actix_web::cookie::time::Duration;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::dev::Payload;
use actix_web::http::header::HeaderMap;
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::facts::Facts;
use super::form::Form;
use super::html::{PRODUCT, PageError};
use super::page;
use crate::app::App;
use crate::crypto::digest::Purpose;
use crate::domain::ensure;
use crate::domain::people::sessions::{self, SignedIn};
use crate::domain::rights::asker::Asker;
use crate::store::Verdict;
use crate::types::text::random_base62;
use crate::types::time::Timestamp;

/// 43 base62 characters hold 256 random bits.
const TOKEN_CHARACTERS: usize = 43;

/// The browser behind a request.
pub struct Visitor {
    signed_in: Option<SignedIn>,
    /// Of the session or of the stranger; new when the browser brought none.
    token: String,
    is_new: bool,
    secure: bool,
    csrf: String,
    path: String,
    now: Timestamp,
    /// The address is in `[operations] allowed_networks`.
    in_operations: bool,
}

impl Visitor {
    pub fn signed_in(&self) -> Option<&SignedIn> {
        self.signed_in.as_ref()
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

    /// For the hidden field of a form.
    pub fn csrf(&self) -> String {
        self.csrf.clone()
    }

    /// Refuses a form that was not made by us for this browser.
    pub fn check_csrf(&self, form: &Form) -> Result<(), PageError> {
        let presented = form.one("csrf")?.unwrap_or_default();
        let equal = aws_lc_rs::constant_time::verify_slices_are_equal(
            presented.as_bytes(),
            self.csrf.as_bytes(),
        )
        .is_ok();
        if equal { Ok(()) } else { Err(PageError::Csrf) }
    }

    /// A stranger's cookie, when the browser has none yet: without it no form can be answered.
    pub fn cookie(&self) -> Option<Cookie<'static>> {
        (self.is_new && self.signed_in.is_none())
            .then(|| cookie(STRANGER, self.secure, self.token.clone()))
    }
}

const SESSION: &str = "countersign_session";
const STRANGER: &str = "countersign_visitor";
/// What a browser takes along to a provider and brings back, sealed.
const SIGN_IN: &str = "countersign_sign_in";

/// The tokens in a browser's cookies: each has the shape of one of ours, and is not yet known to be one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Presented {
    pub session: Option<String>,
    pub stranger: Option<String>,
}

impl Presented {
    pub fn of(request: &HttpRequest, secure: bool) -> Self {
        Self {
            session: presented(request, &cookie_name(SESSION, secure)),
            stranger: presented(request, &cookie_name(STRANGER, secure)),
        }
    }
}

/// The token in the one cookie of this name, by the byte: percent-decoded, `%5F_Host-…` would read as a name that browsers
/// let nobody but this host set. Of two such cookies, the order would let another host choose.
fn presented(request: &HttpRequest, name: &str) -> Option<String> {
    let cookies = request.cookies_raw().ok()?;
    let mut tokens = cookies
        .iter()
        .filter(|cookie| cookie.name() == name)
        .map(Cookie::value);
    let (only, second) = (tokens.next()?, tokens.next());
    (second.is_none() && is_token(only)).then(|| only.to_owned())
}

/// A new session's secret, for the cookie; its digest is stored.
pub fn mint_session_token() -> String {
    random_base62(TOKEN_CHARACTERS)
}

pub fn session_cookie(secure: bool, token: String) -> Cookie<'static> {
    cookie(SESSION, secure, token)
}

/// Takes both cookies away, on both kinds of issuer.
pub fn removal_cookies(secure: bool) -> [Cookie<'static>; 2] {
    [SESSION, STRANGER].map(|name| {
        let mut removal = cookie(name, secure, String::new());
        removal.make_removal();
        removal
    })
}

/// For a sign-in at a provider: it ends by itself.
pub fn sign_in_cookie(secure: bool, sealed: String, seconds: i64) -> Cookie<'static> {
    let mut cookie = cookie(SIGN_IN, secure, sealed);
    cookie.set_max_age(Duration::seconds(seconds));
    cookie
}

pub fn sign_in_removal(secure: bool) -> Cookie<'static> {
    let mut removal = cookie(SIGN_IN, secure, String::new());
    removal.make_removal();
    removal
}

pub fn read_sign_in(request: &HttpRequest, secure: bool) -> Option<String> {
    request
        .cookie(&cookie_name(SIGN_IN, secure))
        .map(|cookie| cookie.value().to_owned())
}

/// `__Host-` and Secure for an https issuer; a plain name only for http on a loopback address.
fn cookie(name: &str, secure: bool, value: String) -> Cookie<'static> {
    Cookie::build(cookie_name(name, secure), value)
        .path("/")
        .http_only(true)
        .secure(secure)
        .same_site(SameSite::Lax)
        .finish()
}

fn cookie_name(name: &str, secure: bool) -> String {
    if secure {
        format!("__Host-{name}")
    } else {
        name.to_owned()
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
    let presented = Presented::of(request, secure);
    let in_operations = app.config.operations.allows(facts.address);
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
        path,
        now: facts.now,
        in_operations,
    })
}

/// Also for the error page, should it come to one: it knows the request only.
fn account_menu(visitor: &Visitor) -> Result<page::SignedIn, PageError> {
    let email = visitor.require()?.user.email.clone().unwrap_or_default();
    Ok(page::SignedIn {
        email,
        csrf: visitor.csrf(),
        operator: visitor.is_operator(),
        ..page::SignedIn::default()
    })
}

fn is_token(text: &str) -> bool {
    text.len() == TOKEN_CHARACTERS && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn csrf(app: &App, token: &str) -> String {
    URL_SAFE_NO_PAD.encode(app.digester.fingerprint(Purpose::Csrf, token))
}

async fn find_session(
    app: &App,
    token: &str,
    facts: &Facts,
) -> Result<Option<SignedIn>, PageError> {
    let budget = app
        .admit_stranger(facts.address, facts.now)
        .map_err(|retry_after_seconds| PageError::TooMany {
            retry_after_seconds,
        })?;
    let candidates = app.digester.candidates(Purpose::Session, token);
    let (settings, now) = (Arc::clone(&app.settings), facts.now);
    let found = app
        .store
        .read(move |snapshot| sessions::find(snapshot, &settings.sessions, &candidates, now))
        .await?;
    if found.is_none() {
        app.count_stranger(budget, now);
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::COOKIE;
    use actix_web::test::TestRequest;

    fn session(header: &str, secure: bool) -> Option<String> {
        Presented::of(
            &TestRequest::default()
                .insert_header((COOKIE, header))
                .to_http_request(),
            secure,
        )
        .session
    }

    #[test]
    fn a_cookie_is_read_by_the_byte_and_once() {
        // RFC 6265bis §4.1.3.2: browsers guard the prefix as it is written, and no other spelling of it
        let (own, planted) = ("a".repeat(TOKEN_CHARACTERS), "b".repeat(TOKEN_CHARACTERS));
        let guarded = format!("__Host-countersign_session={own}");
        assert_eq!(session(&guarded, true), Some(own.clone()));
        for name in [
            "%5F%5FHost-countersign_session",
            "countersign_session",
            "__host-countersign_session",
            "__Host-countersign%5Fsession",
        ] {
            assert_eq!(session(&format!("{name}={planted}"), true), None, "{name}");
            assert_eq!(
                session(&format!("{name}={planted}; {guarded}"), true),
                Some(own.clone()),
                "{name}"
            );
        }
        assert_eq!(
            session(
                &format!("countersign_session={planted}; countersign_session={own}"),
                false
            ),
            None
        );
        assert_eq!(
            session(&format!("countersign_session=%61{}", &own[1..]), false),
            None
        );
        assert_eq!(
            session(&format!("=; junk; countersign_session={own}"), false),
            Some(own)
        );
    }
}
