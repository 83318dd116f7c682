//! Access to Production (row 6): an organization requests it with a use case, the operator approves, refuses with a reason, or
//! withdraws it later.
//!
//! Invariant: the transitions are those of `ProductionAccess::after`; each is persisted by compare-and-swap, with its event,
//! and takes effect with its commit.

use crate::domain::desk::{Desk, View};
use crate::domain::plans::open;
use crate::domain::plans::plans::{self, Lock};
use crate::domain::{Refusal, ensure};
use crate::store::Error;
use crate::store::organizations::Organization;
use crate::types::environment::Environment;
use crate::types::event::Event;
use crate::types::refusal_code::RefusalCode;
use crate::types::right::Right;
use crate::types::state::{OrganizationState, ProductionAccess, ProductionStep};
use crate::types::text::parse_text;

const READ: Right = Right::OrganizationRead;
const MANAGE: Right = Right::OrganizationManage;
const DECIDE: Right = Right::OperatorApprovals;
pub const MOST_USE_CASE: usize = 2000;
pub const MOST_REASON: usize = 500;
const OVERTAKEN: &str = "Somebody else has just decided about it. Look again.";

/// Whether Production is open to the organization, and what keeps it shut.
#[derive(Debug, Clone)]
pub struct ProductionStatus {
    pub organization: Organization,
    pub lock: Option<Lock>,
    /// Whether the organization can request access now.
    pub can_request: bool,
}

pub fn get(view: &mut View) -> Result<ProductionStatus, Refusal> {
    view.ensure(READ)?;
    see(view)
}

fn see(view: &mut View) -> Result<ProductionStatus, Refusal> {
    let organization = find(view)?;
    let plan = plans::plan_of(view.snapshot, &view.settings.catalogue, organization.id)?;
    let lock = plans::lock(plan, &organization, Environment::Production, view.now);
    let can_request = lock == Some(Lock::Approval)
        && organization
            .production_access
            .after(ProductionStep::Request)
            .is_some();
    Ok(ProductionStatus {
        organization,
        lock,
        can_request,
    })
}

fn find(view: &mut View) -> Result<Organization, Refusal> {
    view.snapshot
        .find_organization(view.organization)?
        .ok_or(Refusal::NotFound)
}

/// An admin asks for Production, telling what for. Needs a plan that has it.
pub fn request(desk: &mut Desk, use_case: &str) -> Result<ProductionStatus, Refusal> {
    desk.ensure(MANAGE)?;
    let use_case = parse_text(use_case, MOST_USE_CASE)
        .map_err(|error| Refusal::field("use_case", error.to_string()))?;
    let before = see(&mut desk.view())?;
    ensure(
        before.organization.state == OrganizationState::Active,
        Refusal::Blocked(open::SUSPENDED.to_owned()),
    )?;
    match before.lock {
        None => {
            return Err(Refusal::Coded(
                RefusalCode::AlreadyOpen,
                "Production is open for this organization already.".to_owned(),
            ));
        }
        Some(Lock::Approval) => {}
        Some(lock) => {
            return Err(Refusal::Locked(Box::new(
                lock.unlock(&desk.settings.catalogue, Environment::Production),
            )));
        }
    }
    let mut after = before.organization.clone();
    after.production_use_case = Some(use_case);
    after.production_requested_at = Some(desk.now());
    // once decided, decided: a request alone opens nothing
    if matches!(
        after.production_access,
        ProductionAccess::Refused | ProductionAccess::Withdrawn
    ) {
        after.production_decided_at = after.production_decided_at.or(Some(desk.now()));
    }
    take(
        desk,
        &before.organization,
        after,
        ProductionStep::Request,
        "",
    )?;
    see(&mut desk.view())
}

/// An admin takes the request back.
pub fn cancel(desk: &mut Desk) -> Result<ProductionStatus, Refusal> {
    desk.ensure(MANAGE)?;
    let before = find(&mut desk.view())?;
    take(desk, &before, before.clone(), ProductionStep::Cancel, "")?;
    see(&mut desk.view())
}

/// The operator approves, refuses or withdraws; the latter two with a reason, which the organization reads.
pub fn decide(
    desk: &mut Desk,
    decision: ProductionStep,
    reason: &str,
) -> Result<ProductionStatus, Refusal> {
    ensure(desk.asker.is_operator(), Refusal::NotFound)?;
    desk.ensure(DECIDE)?;
    let needs_reason = match decision {
        ProductionStep::Approve => false,
        ProductionStep::Refuse | ProductionStep::Withdraw => true,
        ProductionStep::Request | ProductionStep::Cancel => {
            return Err(Refusal::field(
                "decision",
                "must be approve, refuse or withdraw",
            ));
        }
    };
    let reason = if needs_reason || !reason.trim().is_empty() {
        Some(
            parse_text(reason, MOST_REASON)
                .map_err(|error| Refusal::field("reason", error.to_string()))?,
        )
    } else {
        None
    };
    let before = find(&mut desk.view())?;
    let mut after = before.clone();
    after.production_decided_at = Some(desk.now());
    after.production_reason.clone_from(&reason);
    take(
        desk,
        &before,
        after,
        decision,
        reason.as_deref().unwrap_or_default(),
    )?;
    see(&mut desk.view())
}

fn take(
    desk: &mut Desk,
    before: &Organization,
    mut after: Organization,
    step: ProductionStep,
    detail: &str,
) -> Result<(), Refusal> {
    let from = before.production_access;
    // asked for twice is asked for once
    if reached(step) == Some(from) {
        return Ok(());
    }
    let words = format!("Access to Production is {from}: {step} does not apply.");
    after.production_access = from
        .after(step)
        .ok_or(Refusal::Coded(RefusalCode::WrongState, words))?;
    match desk.tx.change_production(from, &after) {
        Err(Error::NotFound) => {
            return Err(Refusal::Coded(
                RefusalCode::WrongState,
                OVERTAKEN.to_owned(),
            ));
        }
        changed => changed?,
    }
    let event = match step {
        ProductionStep::Request => Event::ProductionAccessRequested,
        ProductionStep::Cancel => Event::ProductionAccessCancelled,
        ProductionStep::Approve => Event::ProductionAccessApproved,
        ProductionStep::Refuse => Event::ProductionAccessRefused,
        ProductionStep::Withdraw => Event::ProductionAccessWithdrawn,
    };
    Ok(desk.record(event, before.id.as_str(), detail)?)
}

/// Where a decision leads, from wherever.
fn reached(step: ProductionStep) -> Option<ProductionAccess> {
    match step {
        ProductionStep::Approve => Some(ProductionAccess::Approved),
        ProductionStep::Refuse => Some(ProductionAccess::Refused),
        ProductionStep::Withdraw => Some(ProductionAccess::Withdrawn),
        ProductionStep::Request | ProductionStep::Cancel => None,
    }
}
