//! `GET /v1/plans`: what the vendor sells.

use schemars::JsonSchema;
use serde::Serialize;

use super::answer::Answer;
use super::call::Call;
use super::input::{Input, NoBody, NoPath, NoQuery};
use crate::config::{DevCentre, Plan};
use crate::types::environment::Environment;
use crate::web::problem::Problem;

/// A plan.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Plan")]
pub struct PlanView {
    name: String,
    title: String,
    /// Organizations without a subscription are on it.
    default: bool,
    /// `included`, `switch` or `none`.
    dev_centre: &'static str,
    environments: Vec<Environment>,
    production_approval: bool,
    /// 0: Sandbox is open as long as the plan lasts.
    trial_seconds: i64,
    full_seats: Option<i64>,
    read_only_seats: Option<i64>,
    max_active_keys: i64,
    max_workspaces: Option<i64>,
}

/// All plans, in the order of the configuration.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Plans {
    data: Vec<PlanView>,
}

pub async fn list(call: Call, _: Input<NoPath, NoQuery, NoBody>) -> Result<Answer<Plans>, Problem> {
    let settings = &call.app.settings;
    let default = &settings.catalogue.plan(None).entry.name;
    let cap = settings.keys.max_active_per_organization;
    let data = settings
        .catalogue
        .plans()
        .map(|plan| view(plan, plan.entry.name == *default, cap))
        .collect();
    Ok(Answer::of(Plans { data }))
}

fn view(plan: &Plan, default: bool, cap: i64) -> PlanView {
    let entry = &plan.entry;
    PlanView {
        name: entry.name.clone(),
        title: entry.title.clone(),
        default,
        dev_centre: dev_centre(entry.dev_centre),
        environments: entry.environments.clone(),
        production_approval: entry.production_approval,
        trial_seconds: entry.trial_seconds,
        full_seats: entry.full_seats,
        read_only_seats: entry.read_only_seats,
        max_active_keys: entry.max_active_keys.unwrap_or(cap),
        max_workspaces: entry.max_workspaces,
    }
}

pub(super) fn dev_centre(offered: DevCentre) -> &'static str {
    match offered {
        DevCentre::Included => "included",
        DevCentre::Switch => "switch",
        DevCentre::None => "none",
    }
}
