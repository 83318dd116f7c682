//! Management tokens: list, create, revoke.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::pages::management_tokens::{
    ManagementTokenCreatedPage, ManagementTokenForm, ManagementTokenRow, ManagementTokensPage,
    PermissionRow,
};
use super::shell::{self, Place, date_or_never, parse_id};
use crate::app::App;
use crate::config::PermissionEntry;
use crate::crypto::Plaintext;
use crate::crypto::digest::Purpose;
use crate::crypto::format::{TokenKind, hint, mint_token};
use crate::domain::Refusal;
use crate::domain::desk::{Desk, View};
use crate::domain::operations::idempotency::Ticket;
use crate::domain::people::management_tokens::{
    self, Choices, ListedManagementToken, MOST_TOKENS, NewManagementToken,
};
use crate::store::management_tokens::ManagementToken;
use crate::store::workspaces::Workspace;
use crate::types::id::{ManagementTokenId, OrganizationId, WorkspaceId};
use crate::types::state::ReachKind;
use crate::types::time::Timestamp;
use crate::web::form::Form;
use crate::web::html::{self, PageError};
use crate::web::once::{self, Once};
use crate::web::page::{Choice, FieldErrors, Link, Section};
use crate::web::visitor::Visitor;

const SINGLE_FIELDS: [&str; 3] = ["name", "reach", "days"];

/// `GET /dev-centre/{organization}/management-tokens`.
pub async fn list(
    app: web::Data<App>,
    visitor: Visitor,
    path: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let template = list_page(
        &app,
        &visitor,
        &path,
        &Form::default(),
        FieldErrors::default(),
    )
    .await?;
    Ok(html::page(StatusCode::OK, &template, None))
}

/// `POST /dev-centre/{organization}/management-tokens`. The answer is the only page that ever shows the token.
pub async fn create(
    app: web::Data<App>,
    visitor: Visitor,
    request: HttpRequest,
    path: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    let form = Form::read(&request, payload, app.config.server.max_body_bytes).await?;
    visitor.check_csrf(&form)?;
    form.refuse_repeated(&SINGLE_FIELDS)?;
    // before the token exists: once it does, nothing may keep its page from being shown
    let (place, _) = shell::ask(&app, &visitor, &path, management_tokens::choices).await?;
    visitor.require_proof(&list_path(place.organization.id))?;
    let ticket = once::ticket(&app, &visitor, &request, &form)?;
    match make(&app, &visitor, &place, &form, ticket).await {
        Ok((Once::MadeBefore(_), _)) => Ok(once::made_before(
            place.shell("Token created", Section::ManagementTokens),
            "The token",
            Link {
                href: list_path(place.organization.id),
                label: "To the tokens".to_owned(),
            },
        )),
        Ok((Once::Made(token), plaintext)) => Ok(html::page(
            StatusCode::OK,
            &created_page(&place, &token, &plaintext),
            None,
        )),
        Err(refusal) => {
            let errors = shell::field_errors(refusal)?;
            let template = list_page(&app, &visitor, &path, &form, errors).await?;
            Ok(html::page(
                StatusCode::UNPROCESSABLE_ENTITY,
                &template,
                None,
            ))
        }
    }
}

/// `POST /dev-centre/{organization}/management-tokens/{id}/revoke`.
pub async fn revoke(
    app: web::Data<App>,
    visitor: Visitor,
    request: HttpRequest,
    path: web::Path<(String, String)>,
    payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    let form = Form::read(&request, payload, app.config.server.max_body_bytes).await?;
    visitor.check_csrf(&form)?;
    let (_, organization) = shell::enter(&app, &visitor, &path.0).await?;
    let id: ManagementTokenId = parse_id(&path.1)?;
    let revoke = move |desk: &mut Desk| management_tokens::revoke(desk, id);
    shell::change(&app, &visitor, organization, revoke).await?;
    Ok(html::see_other(&list_path(organization)))
}

fn list_path(organization: OrganizationId) -> String {
    format!("/dev-centre/{organization}/management-tokens")
}

async fn list_page(
    app: &App,
    visitor: &Visitor,
    path: &str,
    form: &Form,
    errors: FieldErrors,
) -> Result<ManagementTokensPage, PageError> {
    let question = |view: &mut View| {
        Ok((
            management_tokens::choices(view)?,
            management_tokens::list(view, None, MOST_TOKENS)?,
        ))
    };
    let (place, (choices, tokens)) = shell::ask(app, visitor, path, question).await?;
    let (id, now) = (place.organization.id, visitor.now());
    let confirm_href = visitor.require_proof(&list_path(id)).err();
    Ok(ManagementTokensPage {
        shell: place.shell("Management tokens", Section::ManagementTokens),
        csrf: place.csrf(),
        organization: place.link(),
        tokens: tokens
            .iter()
            .map(|listed| row(id, listed, &choices.workspaces, now))
            .collect(),
        confirm_href: confirm_href.and_then(|error| error.proof_href()),
        form: typed(form),
        permissions: permissions(&choices, form),
        workspaces: choices
            .workspaces
            .iter()
            .map(|workspace| choice(workspace, form))
            .collect(),
        errors,
    })
}

fn row(
    organization: OrganizationId,
    listed: &ListedManagementToken,
    workspaces: &[Workspace],
    now: Timestamp,
) -> ManagementTokenRow {
    let token = &listed.token;
    let names = workspaces
        .iter()
        .filter(|workspace| listed.workspaces.contains(&workspace.id))
        .map(|workspace| workspace.name.clone());
    ManagementTokenRow {
        name: token.name.clone(),
        hint: format!("{}…", token.hint),
        maker: listed.maker_name.clone(),
        permissions: token.permissions.split(' ').map(str::to_owned).collect(),
        workspaces: match token.reach {
            ReachKind::Organization => None,
            ReachKind::Workspaces => Some(names.collect()),
        },
        created: token.created_at.date(),
        expires: if token.expires_at <= now {
            "Expired".to_owned()
        } else {
            token.expires_at.date()
        },
        last_used: date_or_never(token.last_used_at),
        revoke_action: format!("{}/{}/revoke", list_path(organization), token.id),
    }
}

fn typed(form: &Form) -> ManagementTokenForm {
    let default = ManagementTokenForm::default();
    let text = |name, default: String| match form.contains(name) {
        true => form.field(name).to_owned(),
        false => default,
    };
    ManagementTokenForm {
        name: text("name", default.name),
        reach: text("reach", default.reach),
        days: text("days", default.days),
    }
}

fn permissions(choices: &Choices, form: &Form) -> Vec<PermissionRow> {
    let row = |entry: &PermissionEntry| PermissionRow {
        name: entry.name.clone(),
        title: entry.title.clone(),
        description: entry.description.clone(),
        risk: entry.risk,
        selected: form.all("permission").any(|own| own == entry.name),
    };
    choices.permissions.iter().map(row).collect()
}

fn choice(workspace: &Workspace, form: &Form) -> Choice {
    Choice {
        id: workspace.id.to_string(),
        name: workspace.name.clone(),
        selected: form
            .all("workspace")
            .any(|own| own == workspace.id.as_str()),
    }
}

async fn make(
    app: &App,
    visitor: &Visitor,
    place: &Place,
    form: &Form,
    ticket: Ticket,
) -> Result<(Once<ManagementToken>, Plaintext), Refusal> {
    let plaintext = mint_token(&app.config.keys.prefix, TokenKind::ManagementToken);
    let proven_at = visitor
        .signed_in()
        .ok_or(Refusal::NotFound)?
        .session
        .proven_at;
    let new = NewManagementToken {
        digest: app
            .digester
            .digest(Purpose::ManagementToken, plaintext.expose()),
        hint: hint(&plaintext),
        name: form.field("name").to_owned(),
        permissions: form.all("permission").map(str::to_owned).collect(),
        workspaces: workspaces(form)?,
        // what is no number is not one of those that are allowed
        days: form.field("days").trim().parse().unwrap_or(0),
        proven_at,
    };
    let create = move |desk: &mut Desk| {
        management_tokens::create(desk, &new).map(|made| (made.id.to_string(), made))
    };
    let made = once::make(app, visitor, place.organization.id, ticket, create).await?;
    Ok((made, plaintext))
}

/// None: the whole organization. What belongs to the other choice is not looked at.
fn workspaces(form: &Form) -> Result<Option<Vec<WorkspaceId>>, Refusal> {
    match form.field("reach").parse() {
        Ok(ReachKind::Organization) => Ok(None),
        Ok(ReachKind::Workspaces) => {
            let mut named: Vec<WorkspaceId> = form
                .all("workspace")
                .map(str::parse)
                .collect::<Result<_, _>>()
                .map_err(|_| {
                    Refusal::field("workspace", "Choose workspaces of this organization.")
                })?;
            named.sort_unstable();
            named.dedup();
            Ok(Some(named))
        }
        Err(_) => Err(Refusal::field("reach", "Choose what it reaches.")),
    }
}

fn created_page(
    place: &Place,
    token: &ManagementToken,
    plaintext: &Plaintext,
) -> ManagementTokenCreatedPage {
    ManagementTokenCreatedPage {
        shell: place.shell("Token created", Section::ManagementTokens),
        organization: place.link(),
        name: token.name.clone(),
        secret: plaintext.expose().to_owned(),
        expires: token.expires_at.date(),
    }
}
