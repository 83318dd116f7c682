//! Whether something new may be made: not in a suspended organization, nor where the plan, the approval or a switch is missing.

use crate::config::{Catalogue, Plan};
use crate::domain::plans::plans;
use crate::domain::words::{Refusal, ensure};
use crate::store::Snapshot;
use crate::store::organizations::Organization;
use crate::types::environment::Environment;
use crate::types::id::OrganizationId;
use crate::types::state::OrganizationState;
use crate::types::time::Timestamp;

/// What a suspended organization's people read.
pub const SUSPENDED: &str =
    "This organization is suspended: nothing new can be created. Ask the vendor.";

/// Refuses what an organization that the vendor has suspended may not do.
pub fn ensure_not_suspended(snapshot: &mut Snapshot, id: OrganizationId) -> Result<(), Refusal> {
    let organization = snapshot.find_organization(id)?.ok_or(Refusal::NotFound)?;
    ensure_active(&organization)
}

fn ensure_active(organization: &Organization) -> Result<(), Refusal> {
    ensure(
        organization.state == OrganizationState::Active,
        Refusal::Blocked(SUSPENDED.to_owned()),
    )
}

/// Whether something new may be made in the environment; tells the plan.
pub fn ensure_open(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    organization: &Organization,
    environment: Environment,
    now: Timestamp,
) -> Result<Plan, Refusal> {
    ensure_active(organization)?;
    let plan = plans::plan_of(snapshot, catalogue, organization.id)?;
    match plans::lock(plan, organization, environment, now) {
        Some(lock) => Err(Refusal::Locked(Box::new(
            lock.unlock(catalogue, environment),
        ))),
        None => Ok(plan.clone()),
    }
}
