//! The token endpoint (RFC 6749 §3.2): reads the form, authenticates the client, chooses the grant, answers.

use actix_web::{HttpRequest, HttpResponse, web};

use super::client_authentication::authenticate;
use super::error::{Code, Error};
use super::{grants, referee, token_response};
use crate::app::App;
use crate::domain::ensure;
use crate::types::grant_types::GrantType;
use crate::web::facts::Facts;
use crate::web::form::Form;

/// Parameters that must not stand twice (RFC 6749 §3.2).
const PARAMETERS: [&str; 8] = [
    "grant_type",
    "code",
    "redirect_uri",
    "client_id",
    "client_secret",
    "code_verifier",
    "refresh_token",
    "scope",
];

pub async fn post(
    app: web::Data<App>,
    facts: Facts,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    match exchange(&app, &facts, &request, payload).await {
        Ok(response) => response,
        Err(error) => {
            referee::note_difference(&app.metrics, facts.id, &error);
            tracing::warn!(request.id = %facts.id, "Rejected token request: {error}");
            error.respond()
        }
    }
}

async fn exchange(
    app: &App,
    facts: &Facts,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Error> {
    let form = read_form(app, request, payload).await?;
    let client = authenticate(app, request.headers(), &form, facts).await?;
    app.note_client_use(&client, facts.now).await?;
    let public = !client.is_confidential();
    let grant_type = grant_type(&form)?;
    // 9700-29
    ensure(
        client.application.may_use(grant_type),
        Code::UnauthorizedClient.because("This client is not registered for this grant_type."),
    )?;
    let issuance = match grant_type {
        GrantType::AuthorizationCode => {
            grants::authorization_code::exchange(app, facts, client, &form).await?
        }
        GrantType::RefreshToken => {
            grants::refresh_token::exchange(app, facts, client, &form).await?
        }
        GrantType::ClientCredentials => {
            grants::client_credentials::exchange(app, facts, client, &form).await?
        }
    };
    if public {
        // a confidential client was noted with its secret
        app.note_client(issuance.authorization.application_id, None, facts.now);
    }
    token_response::respond(app, &issuance)
}

fn grant_type(form: &Form) -> Result<GrantType, Error> {
    let name = form
        .one("grant_type")?
        .ok_or_else(|| Code::InvalidRequest.because("grant_type is missing."))?;
    name.parse().map_err(|_| {
        Code::UnsupportedGrantType
            .because("grant_type must be authorization_code, refresh_token or client_credentials.")
    })
}

/// The body's form; parameters in the URL are refused: they would be logged (9700-23).
pub(super) async fn read_form(
    app: &App,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<Form, Error> {
    ensure(
        request.query_string().is_empty(),
        Code::InvalidRequest.because("Parameters belong into the body, not into the URL."),
    )?;
    let form = Form::read(request, payload, app.config.server.max_body_bytes).await?;
    form.refuse_repeated(&PARAMETERS)?;
    Ok(form)
}
