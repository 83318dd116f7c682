//! An application's secrets: one more, and the end of one.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::applications::{created_page, get, own_path, secret_rows};
use super::pages::application_settings::ApplicationSecretRevokePage;
use super::pages::applications::ApplicationCreatedPage;
use super::shell::{self, parse_id};
use crate::app::App;
use crate::domain::clients::secrets::{self, Others};
use crate::domain::desk::Desk;
use crate::types::id::{ApplicationId, ClientSecretId};
use crate::web::facts::Facts;
use crate::web::form::Form;
use crate::web::html::{self, PageError};
use crate::web::once::{self, Once};
use crate::web::page::{Link, Section};
use crate::web::visitor::Visitor;

/// `POST /dev-centre/{organization}/applications/{id}/secrets`. The answer is the only page that ever shows the secret.
pub async fn create(
    app: web::Data<App>,
    visitor: Visitor,
    request: HttpRequest,
    path: web::Path<(String, String)>,
    payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    let form = Form::read(&request, payload, app.config.server.max_body_bytes).await?;
    visitor.check_csrf(&form)?;
    // before the secret exists: once it does, nothing may keep its page from being shown
    let (place, found) = get(&app, &visitor, &path).await?;
    let (secret, stored) = app.mint_client_secret();
    let (organization, id) = (place.organization.id, found.application.id);
    let ticket = once::ticket(&app, &visitor, &request, &form)?;
    let create = move |desk: &mut Desk| {
        secrets::create(desk, id, &stored, Others::Keep).map(|(made, _)| (id.to_string(), made))
    };
    let made = once::make(&app, &visitor, organization, ticket, create).await?;
    let Once::Made(application) = made else {
        return Ok(once::made_before(
            place.shell("Secret created", Section::Applications),
            "The secret",
            Link {
                href: own_path(organization, id),
                label: "To the application".to_owned(),
            },
        ));
    };
    let template = ApplicationCreatedPage {
        is_second: true,
        shell: place.shell("Secret created", Section::Applications),
        ..created_page(&place, &application, &secret)
    };
    Ok(html::page(StatusCode::OK, &template, None))
}

/// `GET /dev-centre/{organization}/applications/{id}/secrets/{secret}/revoke`.
pub async fn confirm_revoke(
    app: web::Data<App>,
    visitor: Visitor,
    facts: Facts,
    path: web::Path<(String, String, String)>,
) -> Result<HttpResponse, PageError> {
    let (organization, id, secret) = path.into_inner();
    let (place, mut found) = get(&app, &visitor, &(organization, id)).await?;
    let secret: ClientSecretId = parse_id(&secret)?;
    found.secrets.retain(|live| live.id == secret);
    let own = own_path(place.organization.id, found.application.id);
    let Some(row) = secret_rows(&own, &found.secrets, facts.now).pop() else {
        return Err(PageError::NotFound);
    };
    let template = ApplicationSecretRevokePage {
        shell: place.shell("Revoke secret", Section::Applications),
        csrf: place.csrf(),
        organization: place.link(),
        application_id: found.application.id.to_string(),
        name: found.application.name,
        environment: found.application.environment,
        secret: row,
        action: format!("{own}/secrets/{secret}/revoke"),
    };
    Ok(html::page(StatusCode::OK, &template, None))
}

/// `POST /dev-centre/{organization}/applications/{id}/secrets/{secret}/revoke`.
pub async fn revoke(
    app: web::Data<App>,
    visitor: Visitor,
    request: HttpRequest,
    path: web::Path<(String, String, String)>,
    payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    let form = Form::read(&request, payload, app.config.server.max_body_bytes).await?;
    visitor.check_csrf(&form)?;
    let (_, organization) = shell::enter(&app, &visitor, &path.0).await?;
    let id: ApplicationId = parse_id(&path.1)?;
    let secret: ClientSecretId = parse_id(&path.2)?;
    let revoke = move |desk: &mut Desk| secrets::revoke(desk, id, secret);
    shell::change(&app, &visitor, organization, revoke).await?;
    Ok(html::see_other(&own_path(organization, id)))
}
