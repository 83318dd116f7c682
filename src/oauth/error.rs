//! OAuth errors (RFC 6749 §4.1.2.1, §5.2): a public text for the developer, another one for the log.

use std::borrow::Cow;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, RETRY_AFTER, WWW_AUTHENTICATE};
use serde_json::json;

use crate::domain::Refusal;
use crate::store;
use crate::types::id::{ApplicationId, AuthorizationId};
use crate::types::state::vocabulary;
use crate::web::basic::BasicError;
use crate::web::body::BodyError;
use crate::web::form::FormError;
use crate::web::problem::RETRY_SECONDS;

vocabulary! {
    pub enum Code {
        InvalidRequest = "invalid_request",
        InvalidClient = "invalid_client",
        InvalidGrant = "invalid_grant",
        InvalidScope = "invalid_scope",
        UnauthorizedClient = "unauthorized_client",
        UnsupportedGrantType = "unsupported_grant_type",
        UnsupportedResponseType = "unsupported_response_type",
        AccessDenied = "access_denied",
        /// RFC 8707 §2.
        InvalidTarget = "invalid_target",
        /// OpenID Connect Core §3.1.2.6, for `prompt=none`.
        LoginRequired = "login_required",
        ConsentRequired = "consent_required",
        /// RFC 9101 §6.3: request objects are not read.
        RequestNotSupported = "request_not_supported",
        RequestUriNotSupported = "request_uri_not_supported",
        /// RFC 7591 §3.2.2.
        InvalidRedirectUri = "invalid_redirect_uri",
        InvalidClientMetadata = "invalid_client_metadata",
        /// RFC 6750 §3.1: an initial access token, or a registration access token.
        InvalidToken = "invalid_token",
        ServerError = "server_error",
        TemporarilyUnavailable = "temporarily_unavailable",
    }
}

/// One refusal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {description}{}", cause.as_ref().map_or_else(String::new, |cause| format!(" ({cause})")))]
pub struct Error {
    pub code: Code,
    /// For the developer: names the cause without telling an attacker more.
    pub description: Cow<'static, str>,
    cause: Option<String>,
    retry_after_seconds: Option<i64>,
    /// Where the status says more than the code does.
    status: Option<StatusCode>,
    /// Why it was refused although one of two judges allowed it.
    pub(super) difference: Option<Box<Difference>>,
}

/// Two verdicts on one request, ours and oxide-auth's, that differ (`referee.rs`). For the log: ids and scopes, no secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub grant: &'static str,
    pub client: ApplicationId,
    /// None where nothing is authorized yet.
    pub authorization: Option<AuthorizationId>,
    pub ours: String,
    pub theirs: String,
}

impl Code {
    pub fn because(self, description: impl Into<Cow<'static, str>>) -> Error {
        Error {
            code: self,
            description: description.into(),
            cause: None,
            retry_after_seconds: None,
            status: None,
            difference: None,
        }
    }
}

impl Error {
    /// For the log only.
    pub fn caused_by(mut self, cause: impl std::fmt::Display) -> Self {
        self.cause = Some(cause.to_string());
        self
    }

    /// Too many wrong guesses.
    pub fn throttled(retry_after_seconds: i64) -> Self {
        let error = Code::TemporarilyUnavailable
            .because("There were too many failed attempts. Wait as long as Retry-After says.");
        Self {
            retry_after_seconds: Some(retry_after_seconds.max(1)),
            status: Some(StatusCode::TOO_MANY_REQUESTS),
            ..error
        }
    }

    /// Too many new ones.
    pub fn too_many(description: &'static str, retry_after_seconds: i64) -> Self {
        let error = Code::TemporarilyUnavailable.because(description);
        Self {
            retry_after_seconds: Some(retry_after_seconds.max(1)),
            status: Some(StatusCode::TOO_MANY_REQUESTS),
            ..error
        }
    }

    /// Where the status says more than the code does.
    pub fn with_status(self, status: StatusCode) -> Self {
        Self {
            status: Some(status),
            ..self
        }
    }

    pub(super) fn with_difference(self, difference: Difference) -> Self {
        Self {
            difference: Some(Box::new(difference)),
            ..self
        }
    }

    pub fn status(&self) -> StatusCode {
        self.status.unwrap_or(match self.code {
            Code::InvalidClient | Code::InvalidToken => StatusCode::UNAUTHORIZED,
            Code::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Code::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        })
    }

    /// As JSON, for everything but the authorization endpoint.
    pub fn respond(&self) -> HttpResponse {
        let status = self.status();
        let mut builder = HttpResponse::build(status);
        builder.insert_header((CACHE_CONTROL, "no-store"));
        // RFC 9110 §15.5.2: every 401; RFC 6749 §5.2 asks for it only when the client tried Basic
        if status == StatusCode::UNAUTHORIZED {
            builder.insert_header((WWW_AUTHENTICATE, self.challenge()));
        }
        if let Some(seconds) = self.retry_after_seconds {
            builder.insert_header((RETRY_AFTER, seconds.to_string()));
        }
        builder.json(json!({ "error": self.code.as_str(), "error_description": self.description }))
    }

    /// With the cause, because libraries show a challenge and leave the body unread. RFC 7617 §2: whoever does not know a
    /// parameter ignores it. RFC 6749 §5.2: nothing in a description needs an escape.
    fn challenge(&self) -> String {
        let Self {
            code, description, ..
        } = self;
        let scheme = if *code == Code::InvalidToken {
            "Bearer realm=\"countersign\""
        } else {
            "Basic realm=\"countersign\", charset=\"UTF-8\""
        };
        format!("{scheme}, error=\"{code}\", error_description=\"{description}\"")
    }
}

impl From<Code> for Error {
    fn from(code: Code) -> Self {
        code.because(match code {
            Code::InvalidClient => "The client is unknown, or its authentication failed.",
            Code::InvalidGrant => {
                "The code or token is invalid, expired, revoked, used before, or another client's."
            }
            _ => "The request was refused.",
        })
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Unavailable(_) => {
                let unavailable = Code::TemporarilyUnavailable
                    .because("The service cannot use its database at the moment. Try again soon.");
                Self {
                    retry_after_seconds: Some(RETRY_SECONDS),
                    ..unavailable.caused_by(error)
                }
            }
            // a row that vanished between two statements: somebody else was first
            store::Error::NotFound | store::Error::Constraint(_) => {
                Self::from(Code::InvalidGrant).caused_by(error)
            }
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Store(error) => error.into(),
            Refusal::Forbidden(reason) => Code::InvalidGrant.because(reason),
            other => Self::from(Code::InvalidGrant).caused_by(other),
        }
    }
}

impl From<FormError> for Error {
    fn from(error: FormError) -> Self {
        let status = matches!(error, FormError::Body(BodyError::TooSlow))
            .then_some(StatusCode::REQUEST_TIMEOUT);
        Self {
            status,
            ..Code::InvalidRequest.because(error.to_string())
        }
    }
}

impl From<BasicError> for Error {
    fn from(error: BasicError) -> Self {
        match error {
            BasicError::Repeated => Code::InvalidRequest.because(error.to_string()),
            BasicError::Malformed => Code::InvalidClient.because(error.to_string()),
        }
    }
}

/// A fault of this program: a request came around the middleware.
pub fn without_facts() -> Error {
    Code::ServerError.because("The request could not be answered.")
}
