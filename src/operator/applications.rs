//! Applications of every organization: what waits for approval, and what is decided about each.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::pages::applications::{
    ApplicationDetail, ApplicationPage, ApplicationRow, ApplicationStopPage, ApplicationsPage,
    Status,
};
use super::shell::{self, Operator};
use crate::app::App;
use crate::config::Catalogue;
use crate::domain::Refusal;
use crate::domain::clients::approval::{self, ListedApplication, ReviewedApplication};
use crate::domain::clients::versions::Version;
use crate::domain::desk::{Desk, View};
use crate::domain::rights::asker::Asker;
use crate::store::Snapshot;
use crate::store::applications::{Application, ApplicationFilter};
use crate::types::environment::Environment;
use crate::types::id::{ApplicationId, OrganizationId};
use crate::types::redirect_uri::RedirectUri;
use crate::types::state::{ApplicationStanding, Approval};
use crate::types::text::parse_text;
use crate::web::form::Form;
use crate::web::html::{self, PageError};
use crate::web::page::{FieldErrors, ScopeRow};
use crate::web::refusal::{date_or_never, field_errors, parse_id};
use crate::web::visitor::Visitor;

const MOST_SEARCH: usize = 200;

/// `GET /operator/applications?search=&standing=&after=`.
pub async fn list(
    app: web::Data<App>,
    visitor: Visitor,
    request: HttpRequest,
) -> Result<HttpResponse, PageError> {
    let operator = shell::enter(&visitor)?;
    let filter = filter(&Form::of_query(&request)?)?;
    let asked = filter.clone();
    let question = move |snapshot: &mut Snapshot, asker: &Asker| {
        Ok((
            approval::list_waiting(snapshot, asker)?,
            approval::search(snapshot, asker, &asked)?,
        ))
    };
    let (waiting, (found, more)) = shell::ask_everywhere(&app, &operator, question).await?;
    let next_href = found
        .last()
        .filter(|_| more)
        .map(|last| list_path(&filter, Some(last.application.id)));
    let template = ApplicationsPage {
        shell: operator.shell("Applications"),
        waiting: waiting.iter().map(row).collect(),
        found: found.iter().map(row).collect(),
        search: filter.search,
        standing: filter.standing,
        next_href,
    };
    Ok(html::page(StatusCode::OK, &template, None))
}

/// `GET /operator/applications/{id}`.
pub async fn show(
    app: web::Data<App>,
    visitor: Visitor,
    path: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let operator = shell::enter(&visitor)?;
    let found = get(&app, &operator, &path).await?;
    Ok(html::page(
        StatusCode::OK,
        &page(&app.settings.catalogue, &operator, found),
        None,
    ))
}

/// `POST /operator/applications/{id}` with `csrf decision=approve|refuse|verify|unverify|resume reason`; `approve` with
/// `version`, the one that the page showed.
pub async fn decide(
    app: web::Data<App>,
    visitor: Visitor,
    request: HttpRequest,
    path: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    let (operator, form) = shell::submitted(&app, &visitor, &request, payload).await?;
    form.refuse_repeated(&["decision", "reason", "version"])?;
    let id: ApplicationId = parse_id(&path)?;
    let decision = Decision::read(form.field("decision"))?;
    let (reason, shown) = (form.field("reason").to_owned(), shown(&form)?);
    let decide = move |desk: &mut Desk| decision.carry_out(desk, id, &reason, shown.as_ref());
    match change(&app, &operator, id, decide).await {
        Ok(()) => Ok(html::see_other(&application_path(id))),
        Err(refusal) => {
            let errors = field_errors(refusal)?;
            let found = get(&app, &operator, &path).await?;
            let template = ApplicationPage {
                errors,
                reason: form.field("reason").to_owned(),
                ..page(&app.settings.catalogue, &operator, found)
            };
            Ok(html::page(
                StatusCode::UNPROCESSABLE_ENTITY,
                &template,
                None,
            ))
        }
    }
}

/// `GET /operator/applications/{id}/stop`.
pub async fn confirm_stop(
    app: web::Data<App>,
    visitor: Visitor,
    path: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let operator = shell::enter(&visitor)?;
    let found = get(&app, &operator, &path).await?;
    if found.application.stopped_at.is_some() {
        return Ok(html::see_other(&application_path(found.application.id)));
    }
    Ok(html::page(
        StatusCode::OK,
        &stop_page(&app.settings.catalogue, &operator, found),
        None,
    ))
}

/// `POST /operator/applications/{id}/stop` with `csrf reason`.
pub async fn stop(
    app: web::Data<App>,
    visitor: Visitor,
    request: HttpRequest,
    path: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    let (operator, form) = shell::submitted(&app, &visitor, &request, payload).await?;
    form.refuse_repeated(&["reason"])?;
    let id: ApplicationId = parse_id(&path)?;
    let reason = form.field("reason").to_owned();
    let stop = move |desk: &mut Desk| approval::stop(desk, id, &reason);
    match change(&app, &operator, id, stop).await {
        Ok(_) => Ok(html::see_other(&application_path(id))),
        Err(refusal) => {
            let errors = field_errors(refusal)?;
            let found = get(&app, &operator, &path).await?;
            let template = ApplicationStopPage {
                errors,
                reason: form.field("reason").to_owned(),
                ..stop_page(&app.settings.catalogue, &operator, found)
            };
            Ok(html::page(
                StatusCode::UNPROCESSABLE_ENTITY,
                &template,
                None,
            ))
        }
    }
}

/// What one button of the page does.
#[derive(Clone, Copy)]
enum Decision {
    Approve,
    Refuse,
    Verify,
    Unverify,
    FirstParty,
    ThirdParty,
    Resume,
}

impl Decision {
    fn read(word: &str) -> Result<Self, PageError> {
        match word {
            "approve" => Ok(Self::Approve),
            "refuse" => Ok(Self::Refuse),
            "verify" => Ok(Self::Verify),
            "unverify" => Ok(Self::Unverify),
            "first_party" => Ok(Self::FirstParty),
            "third_party" => Ok(Self::ThirdParty),
            "resume" => Ok(Self::Resume),
            _ => Err(PageError::BadRequest(
                "Choose what to do with the application.".to_owned(),
            )),
        }
    }

    fn carry_out(
        self,
        desk: &mut Desk,
        id: ApplicationId,
        reason: &str,
        shown: Option<&Version>,
    ) -> Result<(), Refusal> {
        match self {
            Self::Approve => approval::approve(desk, id, shown).map(drop),
            Self::Refuse => approval::refuse(desk, id, reason).map(drop),
            Self::Verify => approval::set_verified(desk, id, true),
            Self::Unverify => approval::set_verified(desk, id, false),
            Self::FirstParty => approval::set_first_party(desk, id, true),
            Self::ThirdParty => approval::set_first_party(desk, id, false),
            Self::Resume => approval::resume(desk, id).map(drop),
        }
    }
}

/// The version that the page showed; none where the form does not say.
fn shown(form: &Form) -> Result<Option<Version>, PageError> {
    let wrong = || PageError::BadRequest("The form is not the one of this page.".to_owned());
    let version = form.one("version")?;
    version
        .map(|text| Version::of_text(text).ok_or_else(wrong))
        .transpose()
}

/// What cannot be searched for is told; a standing that there is not is any.
fn filter(query: &Form) -> Result<ApplicationFilter, PageError> {
    let search = query.field("search").trim();
    if !search.is_empty() {
        parse_text(search, MOST_SEARCH)
            .map_err(|error| PageError::BadRequest(format!("What to search for {error}.")))?;
    }
    let standing: Option<ApplicationStanding> = query.field("standing").parse().ok();
    Ok(ApplicationFilter {
        search: search.to_owned(),
        standing,
        after: query.field("after").parse().ok(),
    })
}

fn list_path(filter: &ApplicationFilter, after: Option<ApplicationId>) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("search", &filter.search).append_pair(
        "standing",
        filter.standing.map_or("", |standing| standing.as_str()),
    );
    if let Some(after) = after {
        query.append_pair("after", after.as_str());
    }
    format!("/operator/applications?{}", query.finish())
}

fn application_path(id: ApplicationId) -> String {
    format!("/operator/applications/{id}")
}

/// Looks at an application in the organization that it belongs to.
async fn get(app: &App, operator: &Operator, path: &str) -> Result<ReviewedApplication, PageError> {
    let id: ApplicationId = parse_id(path)?;
    let (settings, now) = (Arc::clone(&app.settings), operator.now);
    let read = move |snapshot: &mut Snapshot, asker: &Asker| {
        let organization = find_organization(snapshot, id)?;
        let mut view = View {
            snapshot,
            settings: &settings,
            organization,
            asker,
            now,
        };
        approval::get(&mut view, id)
    };
    Ok(shell::ask_everywhere(app, operator, read).await?)
}

/// Changes an application at the desk of the organization that it belongs to, behind that organization's lock: what is decided
/// about is of one piece.
async fn change<T: Send + 'static>(
    app: &App,
    operator: &Operator,
    id: ApplicationId,
    change: impl FnMut(&mut Desk<'_, '_>) -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let find = move |snapshot: &mut Snapshot, _: &Asker| find_organization(snapshot, id);
    let organization = shell::ask_everywhere(app, operator, find).await?;
    shell::change(app, operator, organization, change).await
}

fn find_organization(
    snapshot: &mut Snapshot,
    id: ApplicationId,
) -> Result<OrganizationId, Refusal> {
    let application = snapshot.find_application(id)?.ok_or(Refusal::NotFound)?;
    Ok(application.organization_id)
}

fn row(listed: &ListedApplication) -> ApplicationRow {
    let application = &listed.application;
    ApplicationRow {
        id: application.id.to_string(),
        name: application.name.clone(),
        organization: listed.organization_name.clone(),
        created: application.created_at.date(),
        last_used: date_or_never(application.last_used_at),
        status: status(application, listed.changed),
    }
}

fn status(application: &Application, changed: bool) -> Status {
    Status {
        sandbox: application.environment == Environment::Sandbox,
        approval: application.approval,
        changed,
        verified: application.verified_at.is_some(),
        stopped: application.stopped_at.is_some(),
    }
}

fn page(catalogue: &Catalogue, operator: &Operator, found: ReviewedApplication) -> ApplicationPage {
    let application = detail(catalogue, found);
    let (can_approve, can_refuse) = match application.status.approval {
        _ if application.status.sandbox => (false, false),
        Approval::None | Approval::Refused => (true, false),
        Approval::Requested => (true, true),
        Approval::Approved => (application.status.changed, true),
    };
    ApplicationPage {
        shell: operator.shell("Application"),
        csrf: operator.csrf(),
        application,
        can_approve,
        can_refuse,
        reason: String::new(),
        errors: FieldErrors::default(),
    }
}

fn stop_page(
    catalogue: &Catalogue,
    operator: &Operator,
    found: ReviewedApplication,
) -> ApplicationStopPage {
    ApplicationStopPage {
        shell: operator.shell("Stop application"),
        csrf: operator.csrf(),
        application: detail(catalogue, found),
        reason: String::new(),
        errors: FieldErrors::default(),
    }
}

fn detail(catalogue: &Catalogue, found: ReviewedApplication) -> ApplicationDetail {
    let application = found.application;
    let scope = |scope: &crate::config::ScopeEntry| ScopeRow {
        name: scope.name.clone(),
        title: scope.title.clone(),
        description: scope.description.clone(),
        risk: catalogue.risk(scope),
    };
    ApplicationDetail {
        id: application.id.to_string(),
        status: status(&application, found.changed),
        environment: application.environment,
        client_type: application.client_type,
        organization: found.organization_name,
        organization_id: application.organization_id.to_string(),
        redirect_uris: found
            .current
            .redirect_uris()
            .iter()
            .map(RedirectUri::to_string)
            .collect(),
        changes: match &found.approved {
            Some(approved) if found.changed => found.current.changes_since(approved),
            _ => Vec::new(),
        },
        version: found.current.to_text(),
        scopes: catalogue
            .scopes()
            .filter(|own| application.scopes.contains(&own.name))
            .map(scope)
            .collect(),
        created: application.created_at.date(),
        created_by: found.creator_name,
        created_by_email: found.creator_email.unwrap_or_default(),
        last_used: date_or_never(application.last_used_at),
        connected: connected(found.consents),
        approval_reason: application
            .approval_reason
            .filter(|_| application.approval == Approval::Refused),
        first_party: application.first_party,
        verified: application.verified_at.map(|at| at.date()),
        stopped: application.stopped_at.map(|at| at.date()),
        stopped_because: application.stopped_because.unwrap_or_default(),
        name: application.name,
    }
}

/// A person who connected it in two organizations gave two.
fn connected(consents: i64) -> String {
    match consents {
        0 => "Nobody".to_owned(),
        1 => "1 consent".to_owned(),
        many => format!("{many} consents"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_stays_in_the_address_of_the_next_page() {
        let filter =
            filter(&Form::parse("search=+a%26b+&standing=stopped&after=nonsense").expect("parses"))
                .expect("a filter");
        assert_eq!(
            (filter.search.as_str(), filter.standing, filter.after),
            ("a&b", Some(ApplicationStanding::Stopped), None)
        );
        assert_eq!(
            list_path(&filter, None),
            "/operator/applications?search=a%26b&standing=stopped"
        );
    }

    #[test]
    fn what_no_name_holds_is_not_searched_for() {
        for search in ["a%0Ab", "%E2%80%AE", &"x".repeat(201)] {
            let refused = filter(&Form::parse(&format!("search={search}")).expect("parses"));
            assert!(matches!(refused, Err(PageError::BadRequest(_))), "{search}");
        }
    }
}
