//! The organization's own applications: who sees and manages them, and finding one.

use crate::domain::desk::View;
use crate::domain::words::Refusal;
use crate::store::Snapshot;
use crate::store::applications::Application;
use crate::types::id::{ApplicationId, OrganizationId};
use crate::types::right::Right;
use crate::types::state::ApplicationState;

const CLOSED: &str = "Only owners and admins of the organization see its applications, and only with a full licence they manage them.";

/// Refuses whoever may not see the organization's applications.
pub fn ensure_sees(view: &mut View) -> Result<(), Refusal> {
    ensure_holds(view, Right::ApplicationsRead)
}

/// Refuses whoever may not create and change them.
pub fn ensure_manages(view: &mut View) -> Result<(), Refusal> {
    ensure_holds(view, Right::ApplicationsManage)
}

fn ensure_holds(view: &mut View, needed: Right) -> Result<(), Refusal> {
    match view.ensure(needed) {
        Err(Refusal::Forbidden(_)) => Err(Refusal::Forbidden(CLOSED)),
        held => held,
    }
}

/// The organization's own application, not deleted.
pub fn find(
    snapshot: &mut Snapshot,
    organization: OrganizationId,
    id: ApplicationId,
) -> Result<Application, Refusal> {
    let own = |application: &Application| {
        application.organization_id == organization && application.state == ApplicationState::Active
    };
    snapshot
        .find_application(id)?
        .filter(own)
        .ok_or(Refusal::NotFound)
}
