//! The Dev Centre's switch (row 4): where a plan has it, an organization admin switches the Dev Centre on before there are keys.
//!
//! Invariant: switching off suspends what works and deletes nothing; switching on again revives it. Which credentials stop is
//! decided by the lock (`domain/plans.rs`), not written anywhere.

use crate::config::DevCentre;
use crate::domain::desk::{Desk, View};
use crate::domain::plans::open;
use crate::domain::plans::plans::{self, Lock};
use crate::domain::{Refusal, ensure};
use crate::store::organizations::Organization;
use crate::types::environment::Environment;
use crate::types::event::Event;
use crate::types::refusal_code::RefusalCode;
use crate::types::right::Right;
use crate::types::state::OrganizationState;
use crate::types::time::Timestamp;

const READ: Right = Right::OrganizationRead;
const MANAGE: Right = Right::OrganizationManage;

/// The switch, and what hangs on it.
#[derive(Debug, Clone)]
pub struct Switch {
    /// What the plan says of the Dev Centre.
    pub offered: DevCentre,
    pub enabled: bool,
    /// Since when it is switched on.
    pub enabled_at: Option<Timestamp>,
    /// What would stop, or has stopped, per environment of the plan.
    pub suspends: Vec<Suspends>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suspends {
    pub environment: Environment,
    pub api_keys: i64,
    pub applications: i64,
}

pub fn get(view: &mut View) -> Result<Switch, Refusal> {
    view.ensure(READ)?;
    let organization = find(view)?;
    see(view, &organization)
}

fn find(view: &mut View) -> Result<Organization, Refusal> {
    view.snapshot
        .find_organization(view.organization)?
        .ok_or(Refusal::NotFound)
}

fn see(view: &mut View, organization: &Organization) -> Result<Switch, Refusal> {
    let (catalogue, now) = (&view.settings.catalogue, view.now);
    let offered = plans::plan_of(view.snapshot, catalogue, organization.id)?
        .entry
        .dev_centre;
    let mut suspends = Vec::new();
    for environment in Environment::ALL {
        let api_keys = view
            .snapshot
            .count_working_api_keys(organization.id, environment, now)?;
        let applications = view
            .snapshot
            .count_working_applications(organization.id, environment)?;
        suspends.push(Suspends {
            environment,
            api_keys,
            applications,
        });
    }
    let enabled = match offered {
        DevCentre::Included => true,
        DevCentre::Switch => organization.dev_centre_enabled_at.is_some(),
        DevCentre::None => false,
    };
    Ok(Switch {
        offered,
        enabled,
        enabled_at: organization.dev_centre_enabled_at,
        suspends,
    })
}

/// Switches it. Off needs `confirm` while something works. Runs behind the organization's lock.
pub fn switch(desk: &mut Desk, enabled: bool, confirm: bool) -> Result<Switch, Refusal> {
    desk.ensure(MANAGE)?;
    let mut organization = find(&mut desk.view())?;
    ensure(
        organization.state == OrganizationState::Active,
        Refusal::Blocked(open::SUSPENDED.to_owned()),
    )?;
    let before = see(&mut desk.view(), &organization)?;
    match before.offered {
        DevCentre::None => {
            return Err(Refusal::Locked(Box::new(
                Lock::Plan.unlock(&desk.settings.catalogue, Environment::Sandbox),
            )));
        }
        DevCentre::Included if !enabled => {
            let detail = "The Dev Centre is included in the plan: it cannot be switched off.";
            return Err(Refusal::Coded(
                RefusalCode::DevCentreIncluded,
                detail.to_owned(),
            ));
        }
        DevCentre::Included | DevCentre::Switch => {}
    }
    if before.enabled == enabled {
        return Ok(before);
    }
    if !enabled {
        ensure(
            confirm || !before.stops_something(),
            Refusal::Coded(RefusalCode::ConfirmationRequired, before.warning()),
        )?;
    }
    organization.dev_centre_enabled_at = enabled.then_some(desk.now());
    desk.tx
        .change_dev_centre(organization.id, organization.dev_centre_enabled_at)?;
    let event = if enabled {
        Event::DevCentreEnabled
    } else {
        Event::DevCentreDisabled
    };
    desk.record(event, organization.id.as_str(), "")?;
    see(&mut desk.view(), &organization)
}

impl Switch {
    pub fn stops_something(&self) -> bool {
        self.suspends
            .iter()
            .any(|stops| stops.api_keys + stops.applications > 0)
    }

    /// `This suspends 3 Production API keys and 1 Sandbox application. … Confirm it.`
    pub fn warning(&self) -> String {
        let counted = |count: i64, environment: Environment, noun: &str| {
            (count > 0).then(|| {
                format!(
                    "{count} {} {noun}{}",
                    environment.title(),
                    if count == 1 { "" } else { "s" }
                )
            })
        };
        let parts = self.suspends.iter().rev();
        let parts = parts.flat_map(|at| {
            [
                counted(at.api_keys, at.environment, "API key"),
                counted(at.applications, at.environment, "application"),
            ]
        });
        let parts: Vec<String> = parts.flatten().collect();
        format!(
            "This suspends {} until the Dev Centre is switched on again. Confirm it.",
            parts.join(", ")
        )
    }
}
