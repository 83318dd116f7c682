//! `/v1/organizations/{id}/dev-centre`: the switch (row 4), and what switching off would suspend.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::call::Call;
use super::input::{Input, NoBody, NoQuery};
use super::organizations::OrganizationPath;
use super::plans;
use crate::domain::desk::Desk;
use crate::domain::plans::dev_centre::{self, Switch};
use crate::types::environment::Environment;
use crate::types::time::Timestamp;
use crate::web::problem::Problem;

/// The Dev Centre of an organization.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DevCentre")]
pub struct DevCentreView {
    enabled: bool,
    /// What the plan says: `included`, `switch` (an admin switches it on) or `none`.
    offered: &'static str,
    /// When it was switched on.
    enabled_at: Option<Timestamp>,
    /// What works now, and is suspended while the Dev Centre is off.
    suspends: Vec<SuspendsView>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Suspends")]
pub struct SuspendsView {
    environment: Environment,
    api_keys: i64,
    applications: i64,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "DevCentreSwitch")]
pub struct SwitchBody {
    enabled: bool,
    /// Needed to switch it off while something works.
    #[serde(default)]
    confirm: bool,
}

impl From<Switch> for DevCentreView {
    fn from(switch: Switch) -> Self {
        let suspends = switch.suspends.iter().map(|at| SuspendsView {
            environment: at.environment,
            api_keys: at.api_keys,
            applications: at.applications,
        });
        Self {
            enabled: switch.enabled,
            offered: plans::dev_centre(switch.offered),
            enabled_at: switch.enabled_at,
            suspends: suspends.collect(),
        }
    }
}

pub async fn get(
    call: Call,
    input: Input<OrganizationPath, NoQuery, NoBody>,
) -> Result<Answer<DevCentreView>, Problem> {
    let found = call.ask(input.path.id, dev_centre::get).await?;
    Ok(Answer::of(found.into()))
}

pub async fn put(
    call: Call,
    input: Input<OrganizationPath, NoQuery, SwitchBody>,
) -> Result<Answer<DevCentreView>, Problem> {
    let SwitchBody { enabled, confirm } = input.body;
    let switch = move |desk: &mut Desk| dev_centre::switch(desk, enabled, confirm);
    Ok(Answer::of(call.change(input.path.id, switch).await?.into()))
}
