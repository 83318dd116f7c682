//! Errors of everything that is neither OAuth nor HTML: `application/problem+json` (RFC 9457) with a stable `code`.

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, HttpResponseBuilder};
use serde_json::{Value, json};

use super::basic::BasicError;
use super::body::BodyError;
use super::credential::CredentialError;
use super::facts::Facts;
use crate::domain::Refusal;
use crate::domain::words::Unlock;
use crate::store;
use crate::types::id::RequestId;

/// Seconds after which a client may try again when the database is away.
pub const RETRY_SECONDS: i64 = 2;

/// One error, before it knows its request.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    retry_after_seconds: Option<i64>,
    challenge: Option<Challenge>,
    extensions: Vec<(&'static str, Value)>,
}

/// What a 401 asks for (RFC 9110 §11.6.1: every 401 carries it).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Challenge {
    /// A key or token; the error of RFC 6750 §3.1, absent when nothing was presented.
    Credential(Option<&'static str>),
    /// A resource server's id and secret.
    Basic,
}

impl Problem {
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            retry_after_seconds: None,
            challenge: None,
            extensions: Vec::new(),
        }
    }

    pub fn bad_request(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    pub fn unauthorized(
        code: &'static str,
        detail: impl Into<String>,
        challenge: Challenge,
    ) -> Self {
        Self {
            challenge: Some(challenge),
            ..Self::new(StatusCode::UNAUTHORIZED, code, detail)
        }
    }

    pub fn rate_limited(retry_after_seconds: i64) -> Self {
        let detail = "There were too many requests. Wait as long as Retry-After says.";
        Self {
            retry_after_seconds: Some(retry_after_seconds.max(1)),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail)
        }
    }

    /// RFC 9457 §3.2: a member of its own.
    pub fn with(mut self, name: &'static str, value: Value) -> Self {
        self.extensions.push((name, value));
        self
    }

    /// 403, with what unlocks it.
    pub fn locked(code: &'static str, unlock: &Unlock) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, unlock.detail.clone())
            .with("reason", json!(unlock.reason))
            .with("unlock", json!(unlock))
    }

    pub fn retry_after(mut self, seconds: i64) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }

    pub fn code(&self) -> &'static str {
        self.code
    }

    pub fn status(&self) -> StatusCode {
        self.status
    }

    pub fn respond(&self, facts: &Facts) -> HttpResponse {
        self.builder().body(self.body(Some(facts.id)))
    }

    /// For a request that has no id.
    pub fn respond_without_facts(&self) -> HttpResponse {
        self.builder().body(self.body(None))
    }

    fn builder(&self) -> HttpResponseBuilder {
        let mut builder = HttpResponse::build(self.status);
        builder
            .content_type("application/problem+json")
            .insert_header((CACHE_CONTROL, "no-store"));
        if let Some(seconds) = self.retry_after_seconds {
            builder.insert_header((RETRY_AFTER, seconds.to_string()));
        }
        match self.challenge {
            Some(Challenge::Credential(error)) => {
                let error = error.map_or_else(String::new, |error| format!(", error=\"{error}\""));
                builder.append_header((
                    WWW_AUTHENTICATE,
                    format!("Bearer realm=\"countersign\"{error}"),
                ));
            }
            Some(Challenge::Basic) => {
                builder.append_header((
                    WWW_AUTHENTICATE,
                    "Basic realm=\"countersign\", charset=\"UTF-8\"",
                ));
            }
            None => {}
        }
        builder
    }

    fn body(&self, request_id: Option<RequestId>) -> String {
        let mut body = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "detail": self.detail,
            "code": self.code,
        });
        if let Value::Object(members) = &mut body {
            members.extend(request_id.map(|id| ("request_id".to_owned(), json!(id))));
            members.extend(
                self.extensions
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), value.clone())),
            );
        }
        body.to_string()
    }
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        tracing::error!("The store failed: {error}");
        unavailable()
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let detail = refusal.to_string();
        match refusal {
            Refusal::NotFound => Self::new(
                StatusCode::NOT_FOUND,
                "not_found",
                "It is not there, or it is not yours to see.",
            ),
            Refusal::Forbidden(_) => {
                Self::new(StatusCode::FORBIDDEN, "insufficient_permission", detail)
            }
            Refusal::Invalid(errors) => {
                let errors: Vec<Value> = errors
                    .iter()
                    .map(|(field, message)| json!({"field": field, "message": message}))
                    .collect();
                let detail = "Some fields are wrong: see errors.";
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_fields", detail)
                    .with("errors", json!(errors))
            }
            Refusal::Blocked(_) => Self::new(StatusCode::CONFLICT, "blocked", detail),
            Refusal::Coded(code, _) => {
                let status = if code.is_forbidden() {
                    StatusCode::FORBIDDEN
                } else {
                    StatusCode::CONFLICT
                };
                Self::new(status, code.as_str(), detail)
            }
            Refusal::Locked(unlock) => Self::locked("plan_feature", &unlock),
            // two requests at once wanted the same place
            Refusal::Store(store::Error::Constraint(_)) => Self::new(
                StatusCode::CONFLICT,
                "conflict",
                "Another request changed the same thing at the same time. Try again.",
            ),
            Refusal::Store(error) => error.into(),
        }
    }
}

/// A fault of this program.
pub fn internal_error() -> Problem {
    Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "internal_error",
        "The request could not be answered.",
    )
}

/// The database is gone: the request may be sent again.
pub fn unavailable() -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "unavailable",
        "The service cannot use its database at the moment. Try again soon.",
    )
    .retry_after(RETRY_SECONDS)
}

impl From<BodyError> for Problem {
    fn from(error: BodyError) -> Self {
        let (status, code) = match error {
            BodyError::WrongType(_) => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type")
            }
            BodyError::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large"),
            BodyError::TooSlow => (StatusCode::REQUEST_TIMEOUT, "request_timeout"),
            BodyError::Broken => (StatusCode::BAD_REQUEST, "invalid_request"),
        };
        Self::new(status, code, error.to_string())
    }
}

impl From<BasicError> for Problem {
    fn from(error: BasicError) -> Self {
        Self::bad_request("invalid_request", error.to_string())
    }
}

impl From<CredentialError> for Problem {
    fn from(error: CredentialError) -> Self {
        let detail = error.to_string();
        match error {
            CredentialError::Missing => {
                Self::unauthorized("credential_required", detail, Challenge::Credential(None))
            }
            CredentialError::InUrl => Self::bad_request("credential_in_url", detail),
            CredentialError::Repeated | CredentialError::Malformed => {
                Self::bad_request("invalid_request", detail)
            }
        }
    }
}

/// The one answer to every credential that is not known: RFC 6750 §3.1.
pub fn unknown_credential() -> Problem {
    let detail = "The credential is not valid: it is unknown, mistyped or revoked.";
    Problem::unauthorized(
        "invalid_credential",
        detail,
        Challenge::Credential(Some("invalid_token")),
    )
}
