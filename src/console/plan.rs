//! What the organization's plan opens: the Dev Centre's switch, and access to Production (rows 4, 6).

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::pages::plan::{DevCentreState, PlanPage};
use super::shell;
use crate::app::App;
use crate::config::DevCentre;
use crate::domain::Refusal;
use crate::domain::desk::{Desk, View};
use crate::domain::plans::dev_centre;
use crate::domain::plans::dev_centre::Switch;
use crate::domain::plans::plans;
use crate::domain::plans::plans::Lock;
use crate::domain::plans::production;
use crate::types::environment::Environment;
use crate::types::right::Right;
use crate::types::state::{ProductionAccess, ProductionStep};
use crate::web::form::Form;
use crate::web::html::{self, PageError};
use crate::web::page::{FieldErrors, Section};
use crate::web::refusal::field_errors;
use crate::web::visitor::Visitor;

/// `GET /dev-centre/{organization}/plan`.
pub async fn show(
    app: web::Data<App>,
    visitor: Visitor,
    path: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    Ok(html::page(
        StatusCode::OK,
        &page(&app, &visitor, &path).await?,
        None,
    ))
}

/// `POST /dev-centre/{organization}/plan` with `csrf action=enable|disable|request|cancel use_case confirm`.
pub async fn change(
    app: web::Data<App>,
    visitor: Visitor,
    request: HttpRequest,
    path: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    let form = Form::read(&request, payload, app.config.server.max_body_bytes).await?;
    visitor.check_csrf(&form)?;
    form.refuse_repeated(&["action", "use_case", "confirm"])?;
    // who may not learns nothing of the form
    let may = |view: &mut View| view.ensure(Right::OrganizationManage);
    let (place, ()) = shell::ask(&app, &visitor, &path, may).await?;
    let organization = place.organization.id;
    let action = Action::read(&form)?;
    let change = move |desk: &mut Desk| action.carry_out(desk);
    match shell::change(&app, &visitor, organization, change).await {
        Ok(()) => Ok(html::see_other(&format!("/dev-centre/{organization}/plan"))),
        Err(refusal) => {
            let (errors, use_case) = (field_errors(refusal)?, form.field("use_case").to_owned());
            let template = PlanPage {
                errors,
                use_case,
                ..page(&app, &visitor, &path).await?
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
enum Action {
    Switch { enabled: bool, confirm: bool },
    Request(String),
    Cancel,
}

impl Action {
    fn read(form: &Form) -> Result<Self, PageError> {
        match form.field("action") {
            "enable" => Ok(Self::Switch {
                enabled: true,
                confirm: false,
            }),
            "disable" => Ok(Self::Switch {
                enabled: false,
                confirm: form.field("confirm") == "yes",
            }),
            // it is one line wherever it is shown
            "request" => Ok(Self::Request(
                form.field("use_case")
                    .split_whitespace()
                    .collect::<Vec<_>>()
                    .join(" "),
            )),
            "cancel" => Ok(Self::Cancel),
            _ => Err(PageError::BadRequest("Choose what to do.".to_owned())),
        }
    }

    fn carry_out(&self, desk: &mut Desk) -> Result<(), Refusal> {
        match self {
            Self::Switch { enabled, confirm } => {
                dev_centre::switch(desk, *enabled, *confirm).map(|_| ())
            }
            Self::Request(use_case) => production::request(desk, use_case).map(|_| ()),
            Self::Cancel => production::cancel(desk).map(|_| ()),
        }
    }
}

async fn page(app: &App, visitor: &Visitor, path: &str) -> Result<PlanPage, PageError> {
    let now = visitor.now();
    let question = |view: &mut View| {
        let status = production::get(view)?;
        let switch = dev_centre::get(view)?;
        let plan = plans::plan_of(view.snapshot, &view.settings.catalogue, view.organization)?;
        let trial_end = plans::trial_end(plan, &status.organization);
        Ok((status, switch, plan.entry.title.clone(), trial_end))
    };
    let (place, (status, switch, plan, trial_end)) =
        shell::ask(app, visitor, path, question).await?;
    let organization = status.organization;
    let access = organization.production_access;
    // an approval that is missing is what the form below asks for
    let shown = status.lock.filter(|lock| {
        *lock != Lock::Approval || !status.can_request && access != ProductionAccess::Requested
    });
    Ok(PlanPage {
        shell: place.shell("Plan", Section::Plan),
        csrf: place.csrf(),
        organization: place.link(),
        plan,
        trial_end: trial_end.map(|end| end.date()),
        trial_over: trial_end.is_some_and(|end| end <= now),
        contact: app.settings.catalogue.contact.clone(),
        dev_centre: state_of(&switch),
        stops: switch.stops_something().then(|| switch.warning()),
        production: access,
        open: status.lock.is_none(),
        locked: shown.map(|lock| {
            lock.unlock(&app.settings.catalogue, Environment::Production)
                .detail
        }),
        can_request: status.can_request,
        can_cancel: access.after(ProductionStep::Cancel).is_some(),
        requested: organization.production_requested_at.map(|at| at.date()),
        reason: organization.production_reason.unwrap_or_default(),
        use_case: organization.production_use_case.unwrap_or_default(),
        errors: FieldErrors::default(),
    })
}

fn state_of(switch: &Switch) -> DevCentreState {
    match (switch.offered, switch.enabled) {
        (DevCentre::None, _) => DevCentreState::NotOnThisPlan,
        (DevCentre::Included, _) => DevCentreState::Included,
        (DevCentre::Switch, true) => DevCentreState::On,
        (DevCentre::Switch, false) => DevCentreState::Off,
    }
}
