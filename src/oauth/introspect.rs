//! Token introspection (RFC 7662). Answers only to authenticated resource servers; whatever is wrong with a token reads the same.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::error::{Code, Error};
use super::token::read_form;
use crate::app::{App, Lookup, PAUSED};
use crate::crypto::signer::Audience;
use crate::domain::decision::access::Access;
use crate::domain::decision::check::stands;
use crate::telemetry::metrics::DecisionLabels;
use crate::types::id::{AuthorizationId, OrganizationId, WorkspaceId};
use crate::web::facts::Facts;
use crate::web::resource_server::{self, ServerError};

pub async fn post(
    app: web::Data<App>,
    facts: Facts,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    match introspect(&app, &facts, &request, payload).await {
        Ok(response) => response,
        Err(error) => {
            tracing::warn!(request.id = %facts.id, "Rejected introspection: {error}");
            error.respond()
        }
    }
}

async fn introspect(
    app: &App,
    facts: &Facts,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Error> {
    let server = resource_server::authenticate(app, request.headers(), facts).await?;
    let form = read_form(app, request, payload).await?;
    let token = form
        .one("token")?
        .ok_or_else(|| Code::InvalidRequest.because("token is missing."))?;
    form.one("token_type_hint")?;
    let lookup = app.access(token, None, facts.now).await?;
    let answer = match &lookup {
        Lookup::Found(access)
            if stands(access, &server, &app.settings.catalogue, facts.now).is_ok() =>
        {
            describe(app, access)
        }
        Lookup::Found(_) | Lookup::Unknown => Answer::default(),
        Lookup::Throttled {
            retry_after_seconds,
        } => return Err(Error::throttled(*retry_after_seconds)),
    };
    let code = if answer.active { "active" } else { "inactive" };
    app.metrics
        .decisions
        .get_or_create(&DecisionLabels {
            door: "introspect",
            code,
        })
        .inc();
    Ok(HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(answer))
}

/// RFC 7662 §2.2.
#[derive(Default, Serialize)]
struct Answer<'a> {
    active: bool,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    token: Option<Description<'a>>,
}

#[derive(Serialize)]
struct Description<'a> {
    iss: &'a str,
    aud: Audience,
    sub: String,
    client_id: &'a str,
    token_type: &'static str,
    scope: &'a str,
    exp: i64,
    iat: i64,
    jti: &'a str,
    authorization: AuthorizationId,
    organization: OrganizationId,
    environment: &'static str,
    workspaces: Vec<WorkspaceId>,
}

/// A key is not a token: `verify` is its door.
fn describe<'a>(app: &'a App, access: &'a Access) -> Answer<'a> {
    let Some(token) = &access.credential.token else {
        return Answer::default();
    };
    let description = Description {
        iss: app.issuer.as_str(),
        aud: Audience::of(&token.resources, app.issuer.as_str()),
        sub: if token.is_own {
            token.application.to_string()
        } else {
            access.actor.id.to_string()
        },
        client_id: token.application.as_str(),
        token_type: "Bearer",
        scope: token.scopes.as_str(),
        exp: access.credential.expires_at.map_or(0, |end| end.seconds()),
        iat: access.credential.issued_at.seconds(),
        jti: &access.credential.id,
        authorization: token.authorization,
        organization: access.organization,
        environment: access.environment.as_str(),
        workspaces: access.workspaces().collect(),
    };
    Answer {
        active: true,
        token: Some(description),
    }
}

impl From<ServerError> for Error {
    fn from(error: ServerError) -> Self {
        match error {
            ServerError::Basic(error) => error.into(),
            ServerError::Paused => Code::InvalidClient.because(PAUSED),
            ServerError::Unknown => Code::InvalidClient
                .because("Introspection needs the id and secret of a resource server."),
            ServerError::Throttled {
                retry_after_seconds,
            } => Self::throttled(retry_after_seconds),
            ServerError::Store(error) => error.into(),
        }
    }
}
