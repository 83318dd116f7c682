//! Resource servers: register, show, change, rotate secrets, delete.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::pages::resource_servers::{
    ResourceServerCreatedPage, ResourceServerDeletePage, ResourceServerDetail, ResourceServerForm,
    ResourceServerListPage, ResourceServerNewPage, ResourceServerPage, ResourceServerRow,
    SecretRow,
};
use super::resource_server_form::{self, parse_obligations};
use super::shell::{self, Operator};
use crate::app::App;
use crate::crypto::Plaintext;
use crate::domain::Refusal;
use crate::domain::decision::resource_servers::enforced;
use crate::domain::operations::idempotency::Ticket;
use crate::domain::operations::resource_servers::{self, RegisteredServer};
use crate::domain::rights::asker::Asker;
use crate::store::resource_servers::{ResourceServer, ResourceServerSecret};
use crate::store::{Snapshot, Tx};
use crate::types::environment::Environment;
use crate::types::id::{ClientSecretId, ResourceServerId};
use crate::types::resource::ResourceUri;
use crate::types::state::ObligationKind;
use crate::web::form::Form;
use crate::web::html::{self, PageError};
use crate::web::once::{self, Once};
use crate::web::page::{FieldErrors, Link};
use crate::web::refusal::{field_errors, parse_id};
use crate::web::visitor::Visitor;

const LIST: &str = "/operator/resource-servers";

/// `GET /operator/resource-servers`.
pub async fn list(app: web::Data<App>, visitor: Visitor) -> Result<HttpResponse, PageError> {
    let operator = shell::enter(&visitor)?;
    let all = shell::ask_everywhere(&app, &operator, resource_servers::list).await?;
    let template = ResourceServerListPage {
        shell: operator.shell("Resource servers"),
        servers: all.iter().map(row).collect(),
    };
    Ok(html::page(StatusCode::OK, &template, None))
}

/// `GET /operator/resource-servers/new`.
pub async fn new(visitor: Visitor) -> Result<HttpResponse, PageError> {
    let operator = shell::enter(&visitor)?;
    Ok(html::page(
        StatusCode::OK,
        &new_page(
            &operator,
            ResourceServerForm::default(),
            FieldErrors::default(),
        ),
        None,
    ))
}

/// `POST /operator/resource-servers`. The answer is the only page that ever shows the secret.
pub async fn create(
    app: web::Data<App>,
    visitor: Visitor,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    let (operator, form) = shell::submitted(&app, &visitor, &request, payload).await?;
    form.refuse_repeated(&resource_server_form::SINGLE_FIELDS)?;
    let ticket = once::ticket(&app, &visitor, &request, &form)?;
    match make(&app, &operator, &form, ticket).await {
        Ok((Once::Made(server), secret)) => Ok(html::page(
            StatusCode::OK,
            &created_page(&operator, &server, &secret, true),
            None,
        )),
        Ok((Once::MadeBefore(id), _)) => Ok(made_before(&operator, "The resource server", &id)),
        Err(refusal) => {
            let template = new_page(
                &operator,
                resource_server_form::typed(&form),
                field_errors(refusal)?,
            );
            Ok(html::page(
                StatusCode::UNPROCESSABLE_ENTITY,
                &template,
                None,
            ))
        }
    }
}

/// `GET /operator/resource-servers/{id}`.
pub async fn show(
    app: web::Data<App>,
    visitor: Visitor,
    path: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let operator = shell::enter(&visitor)?;
    let found = get(&app, &operator, &path).await?;
    Ok(html::page(
        StatusCode::OK,
        &page(&app, &operator, &found),
        None,
    ))
}

/// `POST /operator/resource-servers/{id}` with `csrf change` and `uri`, `secret` or the obligations.
pub async fn change(
    app: web::Data<App>,
    visitor: Visitor,
    request: HttpRequest,
    path: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    let (operator, form) = shell::submitted(&app, &visitor, &request, payload).await?;
    form.refuse_repeated(&["change", "uri", "secret"])?;
    let id: ResourceServerId = parse_id(&path)?;
    form.refuse_repeated(&resource_server_form::SINGLE_FIELDS)?;
    let change = match (form.field("change"), parse_obligations(&form)) {
        ("set_obligations", Ok(obligations)) => Change::SetObligations(obligations),
        ("set_obligations", Err(refusal)) => {
            return refused(&app, &operator, &path, &form, refusal).await;
        }
        _ => Change::read(&app, &form)?,
    };
    let change = move |tx: &mut Tx, asker: &Asker| change.carry_out(tx, asker, id);
    match shell::change_everywhere(&app, &operator, change).await {
        Ok(()) => Ok(html::see_other(&server_path(id))),
        Err(refusal) => refused(&app, &operator, &path, &form, refusal).await,
    }
}

/// `POST /operator/resource-servers/{id}/secrets` with `csrf`. The answer is the only page that ever shows the secret.
pub async fn add_secret(
    app: web::Data<App>,
    visitor: Visitor,
    request: HttpRequest,
    path: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    let (operator, form) = shell::submitted(&app, &visitor, &request, payload).await?;
    let id: ResourceServerId = parse_id(&path)?;
    let (secret, new) = app.mint_client_secret();
    let ticket = once::ticket(&app, &visitor, &request, &form)?;
    let add = move |tx: &mut Tx, asker: &Asker| {
        resource_servers::add_secret(tx, asker, id, &new).map(|server| (id.to_string(), server))
    };
    match shell::make_everywhere(&app, &operator, ticket, add).await {
        Ok(Once::MadeBefore(id)) => Ok(made_before(&operator, "The secret", &id)),
        Ok(Once::Made(server)) => Ok(html::page(
            StatusCode::OK,
            &created_page(&operator, &server, &secret, false),
            None,
        )),
        Err(refusal) => refused(&app, &operator, &path, &form, refusal).await,
    }
}

/// `GET /operator/resource-servers/{id}/delete`.
pub async fn confirm_delete(
    app: web::Data<App>,
    visitor: Visitor,
    path: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let operator = shell::enter(&visitor)?;
    let found = get(&app, &operator, &path).await?;
    let template = ResourceServerDeletePage {
        shell: operator.shell("Delete resource server"),
        csrf: operator.csrf(),
        server: row(&found),
    };
    Ok(html::page(StatusCode::OK, &template, None))
}

/// `POST /operator/resource-servers/{id}/delete` with `csrf`.
pub async fn delete(
    app: web::Data<App>,
    visitor: Visitor,
    request: HttpRequest,
    path: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    let (operator, _) = shell::submitted(&app, &visitor, &request, payload).await?;
    let id = parse_id(&path)?;
    let delete = move |tx: &mut Tx, asker: &Asker| resource_servers::delete(tx, asker, id);
    shell::change_everywhere(&app, &operator, delete).await?;
    Ok(html::see_other(LIST))
}

/// What one button of the page does.
enum Change {
    AddResource { uri: String, issuer: String },
    RemoveResource(ResourceUri),
    SetDefaultAudience(bool),
    SetObligations(Vec<ObligationKind>),
    RevokeSecret(ClientSecretId),
}

impl Change {
    fn read(app: &App, form: &Form) -> Result<Self, PageError> {
        match form.field("change") {
            "add_resource" => Ok(Self::AddResource {
                uri: form.field("uri").to_owned(),
                issuer: app.issuer.as_str().to_owned(),
            }),
            "remove_resource" => form
                .field("uri")
                .parse()
                .map(Self::RemoveResource)
                .map_err(|_| PageError::NotFound),
            "join_default_audience" => Ok(Self::SetDefaultAudience(true)),
            "leave_default_audience" => Ok(Self::SetDefaultAudience(false)),
            "revoke_secret" => parse_id(form.field("secret")).map(Self::RevokeSecret),
            _ => Err(PageError::BadRequest("Choose what to change.".to_owned())),
        }
    }

    fn carry_out(&self, tx: &mut Tx, asker: &Asker, id: ResourceServerId) -> Result<(), Refusal> {
        match self {
            Self::AddResource { uri, issuer } => {
                resource_servers::add_resource(tx, asker, id, uri, issuer)
            }
            Self::RemoveResource(uri) => resource_servers::remove_resource(tx, asker, id, uri),
            Self::SetDefaultAudience(default) => {
                resource_servers::set_default_audience(tx, asker, id, *default)
            }
            Self::SetObligations(obligations) => {
                resource_servers::set_obligations(tx, asker, id, obligations)
            }
            Self::RevokeSecret(secret) => resource_servers::revoke_secret(tx, asker, id, *secret),
        }
    }
}

fn server_path(id: ResourceServerId) -> String {
    format!("{LIST}/{id}")
}

async fn get(app: &App, operator: &Operator, path: &str) -> Result<RegisteredServer, PageError> {
    let id = parse_id(path)?;
    let get =
        move |snapshot: &mut Snapshot, asker: &Asker| resource_servers::get(snapshot, asker, id);
    Ok(shell::ask_everywhere(app, operator, get).await?)
}

/// The page again, with what is wrong and what was typed.
async fn refused(
    app: &App,
    operator: &Operator,
    path: &str,
    form: &Form,
    refusal: Refusal,
) -> Result<HttpResponse, PageError> {
    let errors = field_errors(refusal)?;
    let found = get(app, operator, path).await?;
    let template = ResourceServerPage {
        errors,
        uri: form.field("uri").to_owned(),
        ..page(app, operator, &found)
    };
    Ok(html::page(
        StatusCode::UNPROCESSABLE_ENTITY,
        &template,
        None,
    ))
}

/// Mints the secret and stores its digest.
async fn make(
    app: &App,
    operator: &Operator,
    form: &Form,
    ticket: Ticket,
) -> Result<(Once<ResourceServer>, Plaintext), Refusal> {
    let (secret, stored) = app.mint_client_secret();
    let new = resource_server_form::parse(form, stored)?;
    let register = move |tx: &mut Tx, asker: &Asker| {
        resource_servers::register(tx, asker, &new).map(|server| (server.id.to_string(), server))
    };
    let server = shell::make_everywhere(app, operator, ticket, register).await?;
    Ok((server, secret))
}

fn made_before(operator: &Operator, what: &str, id: &str) -> HttpResponse {
    let way = Link {
        href: format!("{LIST}/{id}"),
        label: "To the resource server".to_owned(),
    };
    once::made_before(operator.shell("Secret created"), what, way)
}

fn row(found: &RegisteredServer) -> ResourceServerRow {
    ResourceServerRow {
        id: found.server.id.to_string(),
        name: found.server.name.clone(),
        environment: found.server.environment,
        resources: found.resources.iter().map(ResourceUri::to_string).collect(),
        default_audience: found.server.default_audience,
        created: found.server.created_at.date(),
    }
}

fn page(app: &App, operator: &Operator, found: &RegisteredServer) -> ResourceServerPage {
    let server = &found.server;
    let obligations = (server.environment != Some(Environment::Production))
        .then(|| resource_server_form::chosen(&enforced(server)));
    ResourceServerPage {
        shell: operator.shell("Resource server"),
        csrf: operator.csrf(),
        server: ResourceServerDetail {
            row: row(found),
            obligations,
            metadata_urls: found
                .resources
                .iter()
                .map(ResourceUri::metadata_url)
                .collect(),
        },
        issuer: app.issuer.as_str().to_owned(),
        secrets: found
            .secrets
            .iter()
            .map(|secret| secret_row(secret, found.secrets.len() > 1))
            .collect(),
        can_add_secret: found.secrets.len() < 2,
        uri: String::new(),
        errors: FieldErrors::default(),
    }
}

fn secret_row(secret: &ResourceServerSecret, can_revoke: bool) -> SecretRow {
    let hint = if secret.hint.is_empty() {
        "Secret".to_owned()
    } else {
        format!("{}…", secret.hint)
    };
    SecretRow {
        id: secret.id.to_string(),
        display: hint,
        created: secret.created_at.date(),
        can_revoke,
    }
}

fn new_page(
    operator: &Operator,
    form: ResourceServerForm,
    errors: FieldErrors,
) -> ResourceServerNewPage {
    ResourceServerNewPage {
        shell: operator.shell("New resource server"),
        csrf: operator.csrf(),
        form,
        errors,
    }
}

fn created_page(
    operator: &Operator,
    server: &ResourceServer,
    secret: &Plaintext,
    is_new: bool,
) -> ResourceServerCreatedPage {
    ResourceServerCreatedPage {
        shell: operator.shell("Secret created"),
        client_id: server.id.to_string(),
        name: server.name.clone(),
        secret: secret.expose().to_owned(),
        is_new,
    }
}
