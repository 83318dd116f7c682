//! Organizations: their plan, their access to Production, and whether they are suspended.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::pages::organizations::{
    OrganizationDetail, OrganizationPage, OrganizationRow, OrganizationsPage, PlanChoice,
};
use super::shell::{self, Operator};
use crate::app::App;
use crate::config::{Catalogue, DevCentre};
use crate::domain::Refusal;
use crate::domain::desk::{Desk, View};
use crate::domain::people::organizations::{self, SubscriptionChange};
use crate::domain::plans::dev_centre;
use crate::domain::plans::plans;
use crate::domain::plans::production;
use crate::domain::rights::asker::Asker;
use crate::domain::rights::rights;
use crate::store::Snapshot;
use crate::store::organizations::{Organization, OrganizationFilter};
use crate::types::environment::Environment;
use crate::types::id::OrganizationId;
use crate::types::state::{OrganizationState, ProductionAccess, ProductionStep};
use crate::types::text::parse_text;
use crate::web::form::Form;
use crate::web::html::{self, PageError};
use crate::web::page::FieldErrors;
use crate::web::refusal::{field_errors, parse_id};
use crate::web::visitor::Visitor;

const MOST_SEARCH: usize = 200;
/// Organizations on one page.
const PAGE: i64 = 50;

/// `GET /operator/organizations?search=&production=&after=`.
pub async fn list(
    app: web::Data<App>,
    visitor: Visitor,
    request: HttpRequest,
) -> Result<HttpResponse, PageError> {
    let operator = shell::enter(&visitor)?;
    let query = Form::of_query(&request)?;
    let (search, after) = (search_of(&query)?, query.field("after").parse().ok());
    let production: Option<ProductionAccess> = query.field("production").parse().ok();
    let (settings, is_filtered) = (
        app.settings.clone(),
        !search.is_empty() || production.is_some(),
    );
    let filter = OrganizationFilter {
        search: Some(search.clone()).filter(|text| !text.is_empty()),
        production_access: production,
        ..Default::default()
    };
    let question = move |snapshot: &mut Snapshot, asker: &Asker| {
        rights::ensure_operates(snapshot, asker)?;
        let catalogue = &settings.catalogue;
        let waiting = OrganizationFilter {
            production_access: Some(ProductionAccess::Requested),
            ..Default::default()
        };
        let waiting = if is_filtered || after.is_some() {
            Vec::new()
        } else {
            rows(snapshot, catalogue, &waiting, None)?.0
        };
        Ok((waiting, rows(snapshot, catalogue, &filter, after)?))
    };
    let (waiting, (found, next)) = shell::ask_everywhere(&app, &operator, question).await?;
    let next_href = next.map(|after| list_path(&search, production, after));
    let template = OrganizationsPage {
        shell: operator.shell("Organizations"),
        waiting,
        found,
        search,
        production,
        next_href,
    };
    Ok(html::page(StatusCode::OK, &template, None))
}

/// `GET /operator/organizations/{id}`.
pub async fn show(
    app: web::Data<App>,
    visitor: Visitor,
    path: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let operator = shell::enter(&visitor)?;
    Ok(html::page(
        StatusCode::OK,
        &page(&app, &operator, parse_id(&path)?).await?,
        None,
    ))
}

/// `POST /operator/organizations/{id}` with `csrf decision=approve|refuse|withdraw|suspend|resume|subscribe reason plan`.
pub async fn decide(
    app: web::Data<App>,
    visitor: Visitor,
    request: HttpRequest,
    path: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    let (operator, form) = shell::submitted(&app, &visitor, &request, payload).await?;
    form.refuse_repeated(&["decision", "reason", "plan"])?;
    let id: OrganizationId = parse_id(&path)?;
    let decision = Decision::read(&form)?;
    let change = move |desk: &mut Desk| decision.carry_out(desk);
    match shell::change(&app, &operator, id, change).await {
        Ok(()) => Ok(html::see_other(&format!("/operator/organizations/{id}"))),
        Err(refusal) => {
            let (errors, reason) = (field_errors(refusal)?, form.field("reason").to_owned());
            let template = OrganizationPage {
                errors,
                reason,
                ..page(&app, &operator, id).await?
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
enum Decision {
    Production(ProductionStep, String),
    State(OrganizationState),
    Subscribe(String),
}

impl Decision {
    fn read(form: &Form) -> Result<Self, PageError> {
        let reason = || form.field("reason").to_owned();
        match form.field("decision") {
            "approve" => Ok(Self::Production(ProductionStep::Approve, String::new())),
            "refuse" => Ok(Self::Production(ProductionStep::Refuse, reason())),
            "withdraw" => Ok(Self::Production(ProductionStep::Withdraw, reason())),
            "suspend" => Ok(Self::State(OrganizationState::Suspended)),
            "resume" => Ok(Self::State(OrganizationState::Active)),
            "subscribe" => Ok(Self::Subscribe(form.field("plan").to_owned())),
            _ => Err(PageError::BadRequest(
                "Choose what to do with the organization.".to_owned(),
            )),
        }
    }

    fn carry_out(&self, desk: &mut Desk) -> Result<(), Refusal> {
        match self {
            Self::Production(step, reason) => production::decide(desk, *step, reason).map(|_| ()),
            Self::State(state) => organizations::set_state(desk, *state).map(|_| ()),
            Self::Subscribe(plan) => {
                let wanted = SubscriptionChange {
                    plan: Some(plan.clone()),
                    ..SubscriptionChange::default()
                };
                organizations::subscribe(desk, &wanted).map(|_| ())
            }
        }
    }
}

fn search_of(query: &Form) -> Result<String, PageError> {
    let search = query.field("search").trim();
    if !search.is_empty() {
        parse_text(search, MOST_SEARCH)
            .map_err(|error| PageError::BadRequest(format!("What to search for {error}.")))?;
    }
    Ok(search.to_owned())
}

fn list_path(search: &str, production: Option<ProductionAccess>, after: OrganizationId) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query
        .append_pair("search", search)
        .append_pair("production", production.map_or("", |state| state.as_str()));
    query.append_pair("after", after.as_str());
    format!("/operator/organizations?{}", query.finish())
}

/// A page of rows, and behind which the next one begins.
fn rows(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    filter: &OrganizationFilter,
    after: Option<OrganizationId>,
) -> Result<(Vec<OrganizationRow>, Option<OrganizationId>), Refusal> {
    let after = match after {
        Some(id) => snapshot
            .find_organization(id)?
            .map(|organization| (organization.created_at, organization.id)),
        None => None,
    };
    let mut found = snapshot.list_organizations_page(filter, after, PAGE + 1)?;
    let more = found.len() > usize::try_from(PAGE).unwrap_or(usize::MAX);
    found.truncate(usize::try_from(PAGE).unwrap_or(usize::MAX));
    let next = found.last().filter(|_| more).map(|last| last.id);
    let row = |organization: Organization| -> Result<_, Refusal> {
        let plan = plans::plan_of(snapshot, catalogue, organization.id)?
            .entry
            .title
            .clone();
        Ok(OrganizationRow {
            id: organization.id.to_string(),
            name: organization.name,
            external_id: organization.external_id.unwrap_or_default(),
            plan,
            created: organization.created_at.date(),
            production: organization.production_access,
            suspended: organization.state == OrganizationState::Suspended,
        })
    };
    Ok((found.into_iter().map(row).collect::<Result<_, _>>()?, next))
}

async fn page(
    app: &App,
    operator: &Operator,
    id: OrganizationId,
) -> Result<OrganizationPage, PageError> {
    let question = |view: &mut View| {
        let status = production::get(view)?;
        let switch = dev_centre::get(view)?;
        let plan = plans::plan_of(view.snapshot, &view.settings.catalogue, view.organization)?;
        Ok((status, switch, plan.entry.clone()))
    };
    let (status, switch, plan) = shell::ask(app, operator, id, question).await?;
    let organization = status.organization;
    let working = |count: fn(&dev_centre::Suspends) -> i64| switch.suspends.iter().map(count).sum();
    let choice = |entry: &crate::config::Plan| PlanChoice {
        name: entry.entry.name.clone(),
        title: entry.entry.title.clone(),
        chosen: entry.entry.name == plan.name,
    };
    let access = organization.production_access;
    Ok(OrganizationPage {
        shell: operator.shell("Organization"),
        csrf: operator.csrf(),
        can_approve: access.after(ProductionStep::Approve).is_some(),
        can_refuse: access.after(ProductionStep::Refuse).is_some(),
        can_withdraw: access.after(ProductionStep::Withdraw).is_some(),
        plans: app.settings.catalogue.plans().map(choice).collect(),
        organization: OrganizationDetail {
            id: organization.id.to_string(),
            name: organization.name,
            external_id: organization.external_id.unwrap_or_default(),
            created: organization.created_at.date(),
            suspended: organization.state == OrganizationState::Suspended,
            plan: plan.title,
            dev_centre: dev_centre_words(switch.offered, switch.enabled).to_owned(),
            trial_end: organization.trial_ends_at.map(|end| end.date()),
            api_keys: working(|at| at.api_keys),
            applications: working(|at| at.applications),
            production: access,
            use_case: organization.production_use_case.unwrap_or_default(),
            requested: organization.production_requested_at.map(|at| at.date()),
            decided: organization.production_decided_at.map(|at| at.date()),
            reason: organization.production_reason.unwrap_or_default(),
            locked: status.lock.map(|lock| {
                lock.unlock(&app.settings.catalogue, Environment::Production)
                    .detail
            }),
        },
        reason: String::new(),
        errors: FieldErrors::default(),
    })
}

fn dev_centre_words(offered: DevCentre, enabled: bool) -> &'static str {
    match (offered, enabled) {
        (DevCentre::None, _) => "Not on this plan",
        (DevCentre::Included, _) => "Included",
        (DevCentre::Switch, true) => "Switched on",
        (DevCentre::Switch, false) => "Switched off",
    }
}
