//! Access to Production (row 6): an organization requests it with a use case, the operator approves, refuses with a reason, or
//! withdraws it later.
//!
//! Invariant: the transitions are those of `ProductionAccess::after`; each is persisted by compare-and-swap, with its event,
//! and takes effect with its commit.

use crate::config::Catalogue;
use crate::domain::plans::open;
use crate::domain::plans::plans::{self, Lock};
use crate::domain::rights::caller::Caller;
use crate::domain::rights::old_rights as rights;
use crate::domain::{Refusal, ensure};
use crate::store::organizations::Organization;
use crate::store::{Error, Snapshot, Tx};
use crate::types::environment::Environment;
use crate::types::event::Event;
use crate::types::id::OrganizationId;
use crate::types::refusal_code::RefusalCode;
use crate::types::right::Right;
use crate::types::state::{OrganizationState, ProductionAccess, ProductionStep};
use crate::types::text::parse_text;
use crate::types::time::Timestamp;

const READ: Right = Right::OrganizationRead;
const MANAGE: Right = Right::OrganizationManage;
const DECIDE: Right = Right::OperatorApprovals;
pub const MOST_USE_CASE: usize = 2000;
pub const MOST_REASON: usize = 500;
const OVERTAKEN: &str = "Somebody else has just decided about it. Look again.";

/// Where the organization stands, and what keeps Production shut.
#[derive(Debug, Clone)]
pub struct Standing {
    pub organization: Organization,
    pub lock: Option<Lock>,
    /// Whether the organization can request access now.
    pub can_request: bool,
}

pub fn get(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    organization: OrganizationId,
    caller: &Caller,
    now: Timestamp,
) -> Result<Standing, Refusal> {
    rights::ensure_organization(snapshot, catalogue, organization, caller, READ)?;
    see(snapshot, catalogue, organization, now)
}

fn see(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    organization: OrganizationId,
    now: Timestamp,
) -> Result<Standing, Refusal> {
    let organization = snapshot
        .find_organization(organization)?
        .ok_or(Refusal::NotFound)?;
    let plan = plans::plan_of(snapshot, catalogue, organization.id)?;
    let lock = plans::lock(plan, &organization, Environment::Production, now);
    let can_request = lock == Some(Lock::Approval)
        && organization
            .production_access
            .after(ProductionStep::Request)
            .is_some();
    Ok(Standing {
        organization,
        lock,
        can_request,
    })
}

/// An admin asks for Production, telling what for. Needs a plan that has it.
pub fn request(
    tx: &mut Tx,
    catalogue: &Catalogue,
    organization: OrganizationId,
    caller: &Caller,
    use_case: &str,
) -> Result<Standing, Refusal> {
    rights::ensure_organization(tx, catalogue, organization, caller, MANAGE)?;
    let use_case = parse_text(use_case, MOST_USE_CASE)
        .map_err(|error| Refusal::field("use_case", error.to_string()))?;
    let now = tx.now;
    let before = see(tx, catalogue, organization, now)?;
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
                lock.unlock(catalogue, Environment::Production),
            )));
        }
    }
    let mut after = before.organization.clone();
    after.production_use_case = Some(use_case);
    after.production_requested_at = Some(now);
    // once decided, decided: a request alone opens nothing
    if matches!(
        after.production_access,
        ProductionAccess::Refused | ProductionAccess::Withdrawn
    ) {
        after.production_decided_at = after.production_decided_at.or(Some(now));
    }
    take(
        tx,
        caller,
        &before.organization,
        after,
        ProductionStep::Request,
        "",
    )?;
    see(tx, catalogue, organization, now)
}

/// An admin takes the request back.
pub fn cancel(
    tx: &mut Tx,
    catalogue: &Catalogue,
    organization: OrganizationId,
    caller: &Caller,
) -> Result<Standing, Refusal> {
    rights::ensure_organization(tx, catalogue, organization, caller, MANAGE)?;
    let before = tx
        .find_organization(organization)?
        .ok_or(Refusal::NotFound)?;
    take(
        tx,
        caller,
        &before,
        before.clone(),
        ProductionStep::Cancel,
        "",
    )?;
    let now = tx.now;
    see(tx, catalogue, organization, now)
}

/// The operator approves, refuses or withdraws; the latter two with a reason, which the organization reads.
pub fn decide(
    tx: &mut Tx,
    catalogue: &Catalogue,
    organization: OrganizationId,
    caller: &Caller,
    decision: ProductionStep,
    reason: &str,
) -> Result<Standing, Refusal> {
    ensure(caller.operator, Refusal::NotFound)?;
    rights::ensure_organization(tx, catalogue, organization, caller, DECIDE)?;
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
    let before = tx
        .find_organization(organization)?
        .ok_or(Refusal::NotFound)?;
    let mut after = before.clone();
    after.production_decided_at = Some(tx.now);
    after.production_reason.clone_from(&reason);
    take(
        tx,
        caller,
        &before,
        after,
        decision,
        reason.as_deref().unwrap_or_default(),
    )?;
    let now = tx.now;
    see(tx, catalogue, organization, now)
}

fn take(
    tx: &mut Tx,
    caller: &Caller,
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
    match tx.change_production(from, &after) {
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
    Ok(tx.record(
        Some(before.id),
        Some(caller.user),
        event,
        before.id.as_str(),
        detail,
    )?)
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
