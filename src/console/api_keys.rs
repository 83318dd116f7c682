//! API keys: list, create, revoke.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::api_key_form;
use super::pages::api_keys::{
    ApiKeyCreatedPage, ApiKeyFilter, ApiKeyForm, ApiKeyListPage, ApiKeyNewPage, ApiKeyRevokePage,
    ApiKeyRow, ApiKeyStatus,
};
use super::shell::{self, Place, date_or_never, parse_id};
use crate::app::App;
use crate::crypto::Plaintext;
use crate::crypto::digest::Purpose;
use crate::crypto::format::{key_start, mint_key};
use crate::domain::Refusal;
use crate::domain::desk::{Desk, View};
use crate::domain::keys::api_keys::{self, Minted, NewApiKey};
use crate::domain::keys::changes;
use crate::domain::keys::lists::{self, ListedKey};
use crate::domain::keys::places::KeyPlaces;
use crate::domain::operations::idempotency::Ticket;
use crate::store::api_keys::{self as stored, ApiKey, KeyStatus};
use crate::types::environment::Environment;
use crate::types::id::{ApiKeyId, OrganizationId, WorkspaceId};
use crate::types::right::Right;
use crate::types::state::{ApiKeyState, ReachKind};
use crate::types::time::Timestamp;
use crate::web::form::Form;
use crate::web::html::{self, PageError};
use crate::web::once::{self, Once};
use crate::web::page::{Choice, FieldErrors, Link, Section};
use crate::web::visitor::Visitor;

const ON_A_PAGE: i64 = 100;

/// `GET /dev-centre/{organization}/api-keys?environment=&status=&after=`.
pub async fn list(
    app: web::Data<App>,
    visitor: Visitor,
    request: HttpRequest,
    path: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    visitor.require()?;
    let query = Form::of_query(&request)?;
    let (filter, after) = (filter(&query), place_of(query.field("after")));
    let question = move |view: &mut View| {
        let creates = KeyPlaces::of(view, Right::ApiKeysManage)?;
        let keys = lists::list(view, &rows(filter, view.now), after, ON_A_PAGE + 1)?;
        let active = view
            .snapshot
            .count_active_api_keys(view.organization, view.now)?;
        Ok((keys, active, !creates.is_nowhere()))
    };
    let (place, (mut keys, active, can_create)) =
        shell::ask(&app, &visitor, &path, question).await?;
    let more = i64::try_from(keys.len()).unwrap_or(ON_A_PAGE) > ON_A_PAGE;
    keys.truncate(usize::try_from(ON_A_PAGE).unwrap_or(usize::MAX));
    let next_href = keys
        .last()
        .filter(|_| more)
        .map(|last| next_href(place.organization.id, filter, &last.key));
    let rows = keys.iter().map(|listed| row(listed, can_create));
    let (sandbox, production) = rows.partition(|row| row.environment == Environment::Sandbox);
    let template = ApiKeyListPage {
        shell: place.shell("API keys", Section::ApiKeys),
        organization: place.link(),
        filter,
        sandbox,
        production,
        production_locked: place.production_locked(),
        production_unlock: place.production_unlock(),
        can_create,
        sees_applications: place.sees_applications(),
        allowance: Some(format!(
            "{active} of {} active keys",
            app.config.keys.max_active_per_organization
        )),
        next_href,
    };
    Ok(html::page(StatusCode::OK, &template, None))
}

/// `GET /dev-centre/{organization}/api-keys/new?environment=`.
pub async fn new(
    app: web::Data<App>,
    visitor: Visitor,
    request: HttpRequest,
    path: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    visitor.require()?;
    let asked = Form::of_query(&request)?;
    let (place, choices) = shell::ask(&app, &visitor, &path, Choices::read).await?;
    let mut form = ApiKeyForm::default();
    if asked.field("environment") == Environment::Production.as_str()
        && place.production_locked().is_none()
    {
        form.environment = Environment::Production.to_string();
    }
    let only = if let [only] = choices.workspaces.as_slice() {
        Some(only.0)
    } else {
        None
    };
    let template = new_page(
        &place,
        form,
        choices.workspaces(|id| only == Some(id)),
        choices.organization_scope,
        visitor.now(),
    );
    Ok(html::page(StatusCode::OK, &template, None))
}

/// `POST /dev-centre/{organization}/api-keys`. The answer is the only page that ever shows the key.
pub async fn create(
    app: web::Data<App>,
    visitor: Visitor,
    request: HttpRequest,
    path: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    let form = Form::read(&request, payload, app.config.server.max_body_bytes).await?;
    visitor.check_csrf(&form)?;
    form.refuse_repeated(&api_key_form::SINGLE_FIELDS)?;
    // before the key exists: once it does, nothing may keep its page from being shown
    let (place, choices) = shell::ask(&app, &visitor, &path, Choices::read).await?;
    let ticket = once::ticket(&app, &visitor, &request, &form)?;
    match make(&app, &visitor, &place, &form, ticket).await {
        Ok((Once::Made(key), secret)) => Ok(html::page(
            StatusCode::OK,
            &created_page(&app, &place, &key, &secret),
            None,
        )),
        Ok((Once::MadeBefore(_), _)) => Ok(once::made_before(
            place.shell("API key created", Section::ApiKeys),
            "The API key",
            Link {
                href: list_path(place.organization.id),
                label: "To the API keys".to_owned(),
            },
        )),
        Err(refusal) => {
            let chosen =
                choices.workspaces(|id| form.all("workspace").any(|text| text == id.as_str()));
            let template = new_page(
                &place,
                api_key_form::typed(&form),
                chosen,
                choices.organization_scope,
                visitor.now(),
            );
            let template = ApiKeyNewPage {
                errors: shell::field_errors(refusal)?,
                ..template
            };
            Ok(html::page(
                StatusCode::UNPROCESSABLE_ENTITY,
                &template,
                None,
            ))
        }
    }
}

/// `GET /dev-centre/{organization}/api-keys/{id}/revoke`.
pub async fn confirm_revoke(
    app: web::Data<App>,
    visitor: Visitor,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, PageError> {
    visitor.require()?;
    let id: ApiKeyId = parse_id(&path.1)?;
    let question = move |view: &mut View| {
        let (key, _) = api_keys::find(view, Right::ApiKeysManage, id)?;
        lists::listed_key(view, key)
    };
    let (place, listed) = shell::ask(&app, &visitor, &path.0, question).await?;
    if listed.key.state == ApiKeyState::Revoked {
        return Ok(html::see_other(&list_path(place.organization.id)));
    }
    let template = ApiKeyRevokePage {
        shell: place.shell("Revoke API key", Section::ApiKeys),
        csrf: place.csrf(),
        organization: place.link(),
        key: row(&listed, true),
    };
    Ok(html::page(StatusCode::OK, &template, None))
}

/// `POST /dev-centre/{organization}/api-keys/{id}/revoke`.
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
    let id: ApiKeyId = parse_id(&path.1)?;
    let revoke = move |desk: &mut Desk| changes::revoke(desk, id);
    shell::change(&app, &visitor, organization, revoke).await?;
    Ok(html::see_other(&list_path(organization)))
}

fn list_path(organization: OrganizationId) -> String {
    format!("/dev-centre/{organization}/api-keys")
}

fn filter(query: &Form) -> ApiKeyFilter {
    let status = ApiKeyStatus::ALL
        .into_iter()
        .find(|status| status.as_str() == query.field("status"));
    ApiKeyFilter {
        environment: query.field("environment").parse().ok(),
        status,
    }
}

/// The same as the store asks for it.
fn rows(filter: ApiKeyFilter, now: Timestamp) -> stored::ApiKeyFilter {
    let status = filter.status.map(|status| match status {
        ApiKeyStatus::Active => KeyStatus::Stored(ApiKeyState::Active),
        ApiKeyStatus::Expired => KeyStatus::Expired,
        ApiKeyStatus::Revoked => KeyStatus::Stored(ApiKeyState::Revoked),
        ApiKeyStatus::Deactivated => KeyStatus::Stored(ApiKeyState::Deactivated),
        ApiKeyStatus::Paused => KeyStatus::Stored(ApiKeyState::Paused),
        ApiKeyStatus::Pending => KeyStatus::Stored(ApiKeyState::Pending),
    });
    stored::ApiKeyFilter {
        environment: filter.environment,
        status: status.map(|status| (status, now)),
        ..stored::ApiKeyFilter::default()
    }
}

/// Where the page before ended: `1795176000000.key_…`. Anything else is the beginning.
fn place_of(after: &str) -> Option<(Timestamp, ApiKeyId)> {
    let (millis, id) = after.split_once('.')?;
    Some((
        Timestamp::from_millis(millis.parse().ok()?),
        id.parse().ok()?,
    ))
}

fn next_href(organization: OrganizationId, filter: ApiKeyFilter, last: &ApiKey) -> String {
    let environment = filter
        .environment
        .map(|environment| environment.to_string())
        .unwrap_or_default();
    let status = filter.status.map(ApiKeyStatus::as_str).unwrap_or_default();
    format!(
        "{}?environment={environment}&status={status}&after={}.{}",
        list_path(organization),
        last.created_at.millis(),
        last.id
    )
}

fn row(listed: &ListedKey, can_revoke: bool) -> ApiKeyRow {
    let key = &listed.key;
    let status = status(listed);
    let may_still_be_used =
        can_revoke && !matches!(status, ApiKeyStatus::Revoked | ApiKeyStatus::Expired);
    ApiKeyRow {
        id: key.id.to_string(),
        name: key.title(),
        display: format!("{}{}…", key_start(&key.prefix, &key.marker), key.public_id),
        environment: key.environment,
        permission_level: key.permission_level,
        scope: match key.reach {
            ReachKind::Organization => "Organization".to_owned(),
            ReachKind::Workspaces => listed
                .workspaces
                .iter()
                .map(|(_, name)| name.as_str())
                .collect::<Vec<_>>()
                .join(", "),
        },
        owner: listed.owner_name.clone(),
        created: key.created_at.date(),
        expires: date_or_never(key.expires_at),
        last_used: date_or_never(key.last_used_at),
        status,
        revoke_href: may_still_be_used
            .then(|| format!("{}/{}/revoke", list_path(key.organization_id), key.id)),
    }
}

fn status(listed: &ListedKey) -> ApiKeyStatus {
    match listed.status {
        KeyStatus::Expired => ApiKeyStatus::Expired,
        KeyStatus::Stored(state) => match state {
            ApiKeyState::Revoked => ApiKeyStatus::Revoked,
            ApiKeyState::Deactivated => ApiKeyStatus::Deactivated,
            ApiKeyState::Pending => ApiKeyStatus::Pending,
            ApiKeyState::Paused => ApiKeyStatus::Paused,
            ApiKeyState::Active => ApiKeyStatus::Active,
        },
    }
}

/// What this person may choose for a new key.
struct Choices {
    workspaces: Vec<(WorkspaceId, String)>,
    organization_scope: bool,
}

impl Choices {
    fn read(view: &mut View) -> Result<Self, Refusal> {
        let places = KeyPlaces::some(view, Right::ApiKeysManage)?;
        let workspaces = places.workspaces(view)?.into_iter();
        Ok(Self {
            workspaces: workspaces
                .map(|workspace| (workspace.id, workspace.name))
                .collect(),
            organization_scope: places.is_everywhere(),
        })
    }

    fn workspaces(&self, is_selected: impl Fn(WorkspaceId) -> bool) -> Vec<Choice> {
        let choice = |(id, name): &(WorkspaceId, String)| Choice {
            id: id.to_string(),
            name: name.clone(),
            selected: is_selected(*id),
        };
        self.workspaces.iter().map(choice).collect()
    }
}

fn new_page(
    place: &Place,
    form: ApiKeyForm,
    workspaces: Vec<Choice>,
    organization_scope: bool,
    now: Timestamp,
) -> ApiKeyNewPage {
    ApiKeyNewPage {
        shell: place.shell("New API key", Section::ApiKeys),
        csrf: place.csrf(),
        organization: place.link(),
        form,
        workspaces,
        errors: FieldErrors::default(),
        production_locked: place.production_locked(),
        production_unlock: place.production_unlock(),
        organization_scope_possible: organization_scope,
        organization_operations_possible: organization_scope,
        // a key lasts to the end of its last day: today is the first
        earliest_expires_on: now.rfc3339().chars().take("2026-11-21".len()).collect(),
    }
}

/// Mints the key and stores its digest.
async fn make(
    app: &App,
    visitor: &Visitor,
    place: &Place,
    form: &Form,
    ticket: Ticket,
) -> Result<(Once<ApiKey>, Plaintext), Refusal> {
    let wanted = api_key_form::parse(form)?;
    let keys = &app.config.keys;
    let (public_id, secret) = mint_key(&keys.prefix, keys.marker(wanted.environment));
    let digest = app.digester.digest(Purpose::ApiKey, secret.expose());
    let new = NewApiKey {
        secret: Some(Minted { public_id, digest }),
        ..wanted
    };
    let create =
        move |desk: &mut Desk| api_keys::create(desk, &new).map(|key| (key.id.to_string(), key));
    let key = once::make(app, visitor, place.organization.id, ticket, create).await?;
    Ok((key, secret))
}

fn created_page(app: &App, place: &Place, key: &ApiKey, secret: &Plaintext) -> ApiKeyCreatedPage {
    ApiKeyCreatedPage {
        shell: place.shell("API key created", Section::ApiKeys),
        organization: place.link(),
        name: key.title(),
        environment: key.environment,
        secret: secret.expose().to_owned(),
        expires: date_or_never(key.expires_at),
        try_url: format!("{}/v1/whoami", app.issuer.as_str()),
        scheme: app.config.keys.header_scheme.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_is_none_shows_all() {
        let filter = |query| filter(&Form::parse(query).expect("parses"));
        let both = filter("environment=production&status=deactivated");
        assert_eq!(
            (both.environment, both.status),
            (
                Some(Environment::Production),
                Some(ApiKeyStatus::Deactivated)
            )
        );
        for query in ["", "environment=&status=", "environment=live&status=Active"] {
            let none = filter(query);
            assert!(
                none.environment.is_none() && none.status.is_none(),
                "{query}"
            );
        }
    }
}
