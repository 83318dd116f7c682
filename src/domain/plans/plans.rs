//! What an organization's plan opens, and what keeps an environment shut.
//!
//! Invariant: a lock is computed from the plan, the Dev Centre's switch, the approval and the trial as they are now: a
//! downgrade takes effect at once, deletes nothing, and coming back revives.

use crate::config::{Catalogue, DevCentre, Plan};
use crate::domain::words::Unlock;
use crate::domain::words::{DecisionCode, Reason};
use crate::store::organizations::Organization;
use crate::store::{Error, Snapshot, Tx};
use crate::types::environment::Environment;
use crate::types::event::Event;
use crate::types::id::OrganizationId;
use crate::types::state::ProductionAccess;
use crate::types::time::Timestamp;

/// Why an environment is shut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    /// The plan does not have the environment, or no Dev Centre at all.
    Plan,
    /// The Dev Centre is switched off.
    DevCentreOff,
    /// The vendor has not approved Production.
    Approval,
    TrialEnded,
}

impl Lock {
    /// As `/v1/verify` says it.
    pub fn code(self) -> DecisionCode {
        match self {
            Self::DevCentreOff => DecisionCode::Suspended,
            Self::Plan | Self::Approval | Self::TrialEnded => DecisionCode::PlanRequired,
        }
    }

    /// One word for machines.
    pub fn reason(self) -> Reason {
        match self {
            Self::Plan => Reason::PlanFeature,
            Self::DevCentreOff => Reason::DevCentreOff,
            Self::Approval => Reason::ProductionApproval,
            Self::TrialEnded => Reason::TrialEnded,
        }
    }

    /// What unlocks it: the plans that open the environment, whom to ask, and words for the person who meets the lock.
    pub fn unlock(self, catalogue: &Catalogue, environment: Environment) -> Unlock {
        let opens =
            |plan: &&Plan| plan.has(environment) && plan.entry.dev_centre != DevCentre::None;
        let lasts = |plan: &&Plan| self != Self::TrialEnded || plan.entry.trial_seconds == 0;
        let plans: Vec<&Plan> = match self {
            Self::Plan | Self::TrialEnded => {
                catalogue.plans().filter(opens).filter(lasts).collect()
            }
            Self::DevCentreOff | Self::Approval => Vec::new(),
        };
        let part = part_of(environment.title(), &plans);
        let contact = &catalogue.contact;
        let detail = match self {
            Self::Plan => format!("{part} {contact}"),
            Self::DevCentreOff => {
                "The Dev Centre is switched off: an organization admin can switch it on.".to_owned()
            }
            Self::Approval => format!(
                "Production needs the vendor's approval, which an organization admin can request. {contact}"
            ),
            Self::TrialEnded => format!(
                "The API trial of this organization has ended; nothing was deleted. {part} {contact}"
            ),
        };
        let plans = plans.iter().map(|plan| plan.entry.name.clone()).collect();
        Unlock {
            reason: self.reason().as_str(),
            plans,
            contact: contact.clone(),
            detail,
        }
    }
}

/// `Sandbox is part of Business and Enterprise.`
fn part_of(what: &str, plans: &[&Plan]) -> String {
    let titles: Vec<&str> = plans.iter().map(|plan| plan.entry.title.as_str()).collect();
    match titles.as_slice() {
        [] => format!("No plan has {what}."),
        [only] => format!("{what} is part of {only}."),
        [before @ .., last] => format!("{what} is part of {} and {last}.", before.join(", ")),
    }
}

/// The plan the organization is on.
pub fn plan_of<'c>(
    snapshot: &mut Snapshot,
    catalogue: &'c Catalogue,
    organization: OrganizationId,
) -> Result<&'c Plan, Error> {
    let subscription = snapshot.find_subscription(organization)?;
    Ok(catalogue.plan(
        subscription
            .as_ref()
            .map(|subscription| subscription.plan.as_str()),
    ))
}

/// What keeps the environment shut; none when it is open.
pub fn lock(
    plan: &Plan,
    organization: &Organization,
    environment: Environment,
    now: Timestamp,
) -> Option<Lock> {
    match plan.entry.dev_centre {
        DevCentre::None => return Some(Lock::Plan),
        DevCentre::Switch if organization.dev_centre_enabled_at.is_none() => {
            return Some(Lock::DevCentreOff);
        }
        DevCentre::Switch | DevCentre::Included => {}
    }
    environment_lock(plan, organization, environment, now)
}

/// The same without the Dev Centre's switch: for what other organizations' applications do here.
pub fn environment_lock(
    plan: &Plan,
    organization: &Organization,
    environment: Environment,
    now: Timestamp,
) -> Option<Lock> {
    if !plan.has(environment) {
        return Some(Lock::Plan);
    }
    match environment {
        Environment::Sandbox => trial_end(plan, organization)
            .filter(|end| *end <= now)
            .map(|_| Lock::TrialEnded),
        Environment::Production => {
            let access = organization.production_access;
            // once the vendor has decided, only an approval opens it
            let undecided = organization.production_decided_at.is_none()
                && matches!(access, ProductionAccess::None | ProductionAccess::Requested);
            let open = access == ProductionAccess::Approved
                || (!plan.entry.production_approval && undecided);
            (!open).then_some(Lock::Approval)
        }
    }
}

/// When Sandbox shuts by itself (C8): only where the plan is a trial.
pub fn trial_end(plan: &Plan, organization: &Organization) -> Option<Timestamp> {
    organization
        .trial_ends_at
        .filter(|_| plan.entry.trial_seconds > 0)
}

/// The first key, the first application and the first authorization of a Sandbox application start the trial, whichever
/// comes first: once per organization, ever (row 7). Whoever subscribed to a plan without one has none.
pub fn start_trial(tx: &mut Tx, plan: &Plan, organization: OrganizationId) -> Result<(), Error> {
    if plan.entry.trial_seconds == 0 {
        return Ok(());
    }
    let end = tx.now.plus_seconds(plan.entry.trial_seconds);
    match tx.start_trial(organization, end) {
        // there was one before
        Err(Error::NotFound) => Ok(()),
        Err(other) => Err(other),
        Ok(()) => tx.record(
            Some(organization),
            None,
            Event::TrialStarted,
            organization.as_str(),
            &end.rfc3339(),
        ),
    }
}
