//! Pages as responses: strict Content-Security-Policy, no store, no framing; and errors as pages.

use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, LOCATION, REFERRER_POLICY, RETRY_AFTER,
};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, ResponseError};
use askama::Template;

use super::body::BodyError;
use super::facts::Facts;
use super::form::FormError;
use super::page::{ErrorPage, Link, Shell, SignedIn};
use super::problem::RETRY_SECONDS;
use super::provider::Provider;
use crate::domain::Refusal;
use crate::store;
use crate::store::identity_providers::IdentityProvider;

/// The product's name on every page.
pub const PRODUCT: &str = "Countersign";

/// That a form's answer leads to places which nobody knows beforehand: Chromium holds `form-action` against every redirect
/// behind a form, also against those of the application that the browser is sent to.
#[derive(Debug, Clone, Copy)]
pub struct LeadsAnywhere;

/// A page. Its forms, and what they redirect to, stay on this server, unless it `leads` anywhere.
pub fn page(
    status: StatusCode,
    template: &impl Template,
    leads: Option<LeadsAnywhere>,
) -> HttpResponse {
    let Ok(body) = template.render() else {
        return HttpResponse::InternalServerError()
            .content_type("text/plain; charset=utf-8")
            .body("The page could not be shown.");
    };
    let form_action = match leads {
        None => " form-action 'self';",
        Some(LeadsAnywhere) => "",
    };
    let policy = format!(
        "default-src 'none'; style-src 'self'; img-src 'self';{form_action} base-uri 'none'; frame-ancestors 'none'"
    );
    HttpResponse::build(status)
        .content_type("text/html; charset=utf-8")
        .insert_header((CONTENT_SECURITY_POLICY, policy))
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((REFERRER_POLICY, "same-origin"))
        .body(body)
}

/// 303: whatever came, the next request is a GET (9700-14).
pub fn see_other(location: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((LOCATION, location))
        .insert_header((CACHE_CONTROL, "no-store"))
        .finish()
}

/// Why a page could not be shown, said to a person.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// To the sign-in page, and back to the path.
    #[error("sign-in required")]
    SignIn { return_to: String },
    /// What was asked for is another path of this server.
    #[error("see {location}")]
    SeeOther { location: String },
    /// To the page on which the person proves again who they are, and back to the path.
    #[error("a fresh proof of who it is is required")]
    Proof { return_to: String },
    #[error("not found")]
    NotFound,
    #[error("{0}")]
    Forbidden(String),
    #[error("{0}")]
    BadRequest(String),
    #[error("{0}")]
    Body(BodyError),
    /// The form is stale or was made elsewhere.
    #[error("the form's token is missing or wrong")]
    Csrf,
    #[error("too many requests")]
    TooMany { retry_after_seconds: i64 },
    /// The organization asks its people to sign in at its own provider.
    #[error("the organization asks for another sign-in")]
    AskedElsewhere { name: String, realm: String },
    #[error("the store failed: {0}")]
    Unavailable(String),
    /// The request came around the middleware: a fault of this program.
    #[error("the request has no facts")]
    WithoutFacts,
}

impl From<store::Error> for PageError {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::NotFound => Self::NotFound,
            other => Self::Unavailable(other.to_string()),
        }
    }
}

impl From<IdentityProvider> for PageError {
    fn from(provider: IdentityProvider) -> Self {
        Self::AskedElsewhere {
            name: provider.name,
            realm: provider.id.to_string(),
        }
    }
}

impl From<Refusal> for PageError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotFound => Self::NotFound,
            Refusal::Forbidden(reason) => Self::Forbidden(reason.to_owned()),
            Refusal::Blocked(reason) | Refusal::Coded(_, reason) => Self::Forbidden(reason),
            Refusal::Invalid(errors) => Self::BadRequest(
                errors
                    .into_iter()
                    .map(|(field, message)| format!("{field}: {message}"))
                    .collect::<Vec<_>>()
                    .join(" "),
            ),
            Refusal::Locked(unlock) => Self::Forbidden(unlock.detail),
            Refusal::Store(error) => error.into(),
        }
    }
}

impl From<FormError> for PageError {
    fn from(error: FormError) -> Self {
        match error {
            FormError::Body(error) => Self::Body(error),
            other => Self::BadRequest(other.to_string()),
        }
    }
}

impl PageError {
    fn words(&self) -> (StatusCode, &'static str, String) {
        match self {
            Self::SignIn { .. } | Self::Proof { .. } | Self::SeeOther { .. } => {
                (StatusCode::SEE_OTHER, "Go on", String::new())
            }
            Self::NotFound => (
                StatusCode::NOT_FOUND,
                "Not found",
                "There is nothing here, or it is not yours to see.".to_owned(),
            ),
            Self::Forbidden(reason) => (StatusCode::FORBIDDEN, "Not allowed", reason.clone()),
            Self::BadRequest(reason) => (StatusCode::BAD_REQUEST, FAILED, reason.clone()),
            Self::Body(error) => (body_status(*error), FAILED, error.to_string()),
            Self::Csrf => (
                StatusCode::FORBIDDEN,
                "This form has expired",
                "Go back, load the page again and send it once more. Nothing was changed."
                    .to_owned(),
            ),
            Self::TooMany {
                retry_after_seconds,
            } => (
                StatusCode::TOO_MANY_REQUESTS,
                "Too many tries",
                format!("Wait {} and try again.", minutes(*retry_after_seconds)),
            ),
            Self::AskedElsewhere { name, .. } => (
                StatusCode::FORBIDDEN,
                "Another sign-in is needed",
                format!("This organization asks you to sign in with {name}."),
            ),
            Self::WithoutFacts => (StatusCode::INTERNAL_SERVER_ERROR, FAILED, BROKEN.to_owned()),
            Self::Unavailable(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "Back in a moment",
                "The service cannot use its database at the moment. Try again soon.".to_owned(),
            ),
        }
    }

    /// Where the person proves again who they are, if that is what is missing.
    pub fn proof_href(&self) -> Option<String> {
        let Self::Proof { return_to } = self else {
            return None;
        };
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("return_to", return_to)
            .finish();
        Some(format!("/account/confirm?{query}"))
    }

    fn retry_after(&self) -> Option<i64> {
        match self {
            Self::TooMany {
                retry_after_seconds,
            } => Some(*retry_after_seconds),
            Self::Unavailable(_) => Some(RETRY_SECONDS),
            _ => None,
        }
    }

    /// The page, or the way to the sign-in page.
    pub fn respond(&self, request: &HttpRequest) -> HttpResponse {
        if let Self::SignIn { return_to } = self {
            let query = url::form_urlencoded::Serializer::new(String::new())
                .append_pair("return_to", return_to)
                .finish();
            return see_other(&format!("/login?{query}"));
        }
        if let Self::SeeOther { location } = self {
            return see_other(location);
        }
        if let Some(href) = self.proof_href() {
            return see_other(&href);
        }
        if let Self::Unavailable(reason) = self {
            tracing::error!("A page could not be shown: {reason}");
        }
        let Some(facts) = Facts::of(request) else {
            return without_facts_page();
        };
        let (status, heading, message) = self.words();
        let signed_in = request.extensions().get::<SignedIn>().cloned();
        page_of_error(
            status,
            heading,
            &message,
            self.retry_after(),
            self.way_out(request),
            facts.id.to_string(),
            signed_in,
        )
    }

    fn way_out(&self, request: &HttpRequest) -> Option<Link> {
        let Self::AskedElsewhere { name, realm } = self else {
            return start_page(self.status_code());
        };
        let path = request
            .uri()
            .path_and_query()
            .map_or("/", |path| path.as_str());
        // what was sent by a form is not sent again
        let return_to = if request.method().is_safe() {
            path
        } else {
            "/"
        };
        Some(Link {
            href: Provider::href(realm, return_to),
            label: format!("Sign in with {name}"),
        })
    }
}

const FAILED: &str = "That did not work";
const BROKEN: &str = "The request could not be answered.";

/// As for programs, see `problem.rs`.
fn body_status(error: BodyError) -> StatusCode {
    match error {
        BodyError::WrongType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        BodyError::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
        BodyError::TooSlow => StatusCode::REQUEST_TIMEOUT,
        BodyError::Broken => StatusCode::BAD_REQUEST,
    }
}

fn minutes(seconds: i64) -> String {
    match (seconds + 59) / 60 {
        ..=1 => "a minute".to_owned(),
        many => format!("{many} minutes"),
    }
}

/// An error for a person, with a way out.
pub fn error_page(
    status: StatusCode,
    heading: &str,
    message: &str,
    retry_after_seconds: Option<i64>,
    facts: &Facts,
) -> HttpResponse {
    page_of_error(
        status,
        heading,
        message,
        retry_after_seconds,
        start_page(status),
        facts.id.to_string(),
        None,
    )
}

/// A fault of this program, for a request that has no id.
pub fn without_facts_page() -> HttpResponse {
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    page_of_error(
        status,
        FAILED,
        BROKEN,
        None,
        start_page(status),
        String::new(),
        None,
    )
}

/// The database is gone, for a request that has no id.
pub fn unavailable_page() -> HttpResponse {
    let unavailable = PageError::Unavailable(String::new());
    let (status, heading, message) = unavailable.words();
    let retry_after = unavailable.retry_after();
    page_of_error(
        status,
        heading,
        &message,
        retry_after,
        start_page(status),
        String::new(),
        None,
    )
}

/// Behind the wrong name there is no start page either.
fn start_page(status: StatusCode) -> Option<Link> {
    (status != StatusCode::MISDIRECTED_REQUEST).then(|| Link {
        href: "/".to_owned(),
        label: "To the start page".to_owned(),
    })
}

fn page_of_error(
    status: StatusCode,
    heading: &str,
    message: &str,
    retry_after_seconds: Option<i64>,
    way_out: Option<Link>,
    request_id: String,
    signed_in: Option<SignedIn>,
) -> HttpResponse {
    let template = ErrorPage {
        shell: Shell {
            title: heading.to_owned(),
            product_name: PRODUCT.to_owned(),
            signed_in,
            active_section: None,
        },
        status: status.as_u16(),
        heading: heading.to_owned(),
        message: message.to_owned(),
        way_out,
        request_id,
    };
    let mut response = page(status, &template, None);
    if let Some(seconds) = retry_after_seconds {
        let value = actix_web::http::header::HeaderValue::from(seconds);
        response.headers_mut().insert(RETRY_AFTER, value);
    }
    response
}

/// So that handlers can use `?`; the error middleware turns it into the page with the request's id.
impl ResponseError for PageError {
    fn status_code(&self) -> StatusCode {
        self.words().0
    }

    fn error_response(&self) -> HttpResponse {
        // no middleware is there to turn it into a page
        if matches!(self, Self::WithoutFacts) {
            return without_facts_page();
        }
        HttpResponse::build(self.status_code()).finish()
    }
}
