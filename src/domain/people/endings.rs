//! What ends with a membership of an organization, or of one of its workspaces (A10).
//!
//! Invariant: what ends here ends for good, in one transaction: coming back revives nothing.

use crate::domain::Refusal;
use crate::domain::desk::Desk;
use crate::domain::people::planted;
use crate::store::api_keys::ApiKey;
use crate::store::{Error, Tx};
use crate::types::event::Event;
use crate::types::id::{OrganizationId, UserId, WorkspaceId};
use crate::types::state::{ApiKeyState, OrganizationRole, ReachKind};

/// Why a membership ended that had an end.
const MEMBERSHIP_ENDED: &str = "membership_ended";
const WORKSPACES_LOST: &str = "workspaces_lost";
const CLOCK_IN_DOUBT: &str = "the clock has leapt, and a membership with an end cannot be judged";

/// Ends a membership, and everything that stands on it, for good. Runs behind the organization's lock.
pub fn end(
    tx: &mut Tx,
    organization: OrganizationId,
    id: UserId,
    by: Option<UserId>,
    because: &str,
) -> Result<(), Error> {
    let keys = tx.list_api_keys_of_owner(organization, id)?;
    for key in &keys {
        deactivate(tx, key, by, because)?;
    }
    let consents = tx.revoke_consents_in(organization, id)?;
    let authorizations =
        tx.revoke_authorizations_in(organization, id, "the member left the organization")?;
    let sessions = tx.delete_confined_sessions_of(organization, id)?;
    let planted = planted::end_all(tx, organization, id, by)?;
    let management = tx.revoke_management_tokens_by(organization, id)?;
    tx.delete_workspace_memberships(organization, id)?;
    tx.delete_member(organization, id)?;
    let keys = keys.len();
    let detail = format!(
        "{because}: {keys} keys deactivated, {consents} consents, {authorizations} authorizations, {sessions} sessions, {management} management \
         tokens and {planted} things set up for later ended"
    );
    tx.record(
        Some(organization),
        by,
        Event::MemberRemoved,
        id.as_str(),
        &detail,
    )
}

/// Ends a membership that has ended by itself and whose row is still there, before the person joins anew: what stood on it
/// does not revive. Runs behind the organization's lock. `Unavailable` under a clock that has leapt: it may not be over.
pub fn end_if_over(tx: &mut Tx, organization: OrganizationId, id: UserId) -> Result<bool, Error> {
    let now = tx.now;
    let is_over = tx.has_ended_member(organization, id, now)?;
    if is_over && !tx.trusts_clock {
        return Err(Error::Unavailable(CLOCK_IN_DOUBT.to_owned()));
    }
    if is_over {
        end(tx, organization, id, None, MEMBERSHIP_ENDED)?;
    }
    Ok(is_over)
}

/// What an admin made as such ends for good once they are none any more. Runs behind the organization's lock.
pub fn change_role(
    tx: &mut Tx,
    organization: OrganizationId,
    id: UserId,
    (before, after): (OrganizationRole, OrganizationRole),
) -> Result<(), Error> {
    if before.is_admin() && !after.is_admin() {
        tx.revoke_management_tokens_by(organization, id)?;
    }
    Ok(())
}

/// The service account of what is deleted leaves the organization with it.
pub fn end_service_account(
    tx: &mut Tx,
    organization: OrganizationId,
    id: UserId,
    by: UserId,
) -> Result<(), Error> {
    let now = tx.now;
    if tx.find_member(organization, id, now)?.is_none() {
        return Ok(());
    }
    end(tx, organization, id, Some(by), "application_deleted")
}

/// Takes the role in a workspace away. A key of several workspaces loses this one for good; one that has none left is
/// deactivated; so is what applications were allowed there. Runs behind the organization's lock.
pub fn leave_workspace(desk: &mut Desk, workspace: WorkspaceId, id: UserId) -> Result<(), Refusal> {
    let organization = desk.organization;
    desk.tx
        .delete_workspace_member(organization, workspace, id)?;
    desk.record(
        Event::WorkspaceMemberRemoved,
        id.as_str(),
        workspace.as_str(),
    )?;
    planted::end_unvouched(desk, id)?;
    // an admin of the organization reaches it all the same
    let left = desk.rights_of(id)?;
    if left.reaches(workspace) {
        return Ok(());
    }
    for key in desk
        .tx
        .list_api_keys_of_owner_in(organization, id, workspace)?
    {
        let left = desk
            .tx
            .delete_api_key_workspace(organization, key.id, workspace)?;
        desk.record(
            Event::ApiKeyWorkspaceLost,
            key.id.as_str(),
            workspace.as_str(),
        )?;
        if left == 0 && key.reach == ReachKind::Workspaces {
            deactivate(desk.tx, &key, Some(desk.asker.user), WORKSPACES_LOST)?;
        }
    }
    desk.tx
        .drop_workspace_from_management_tokens(organization, id, workspace)?;
    Ok(desk
        .tx
        .drop_workspace_from_consents(organization, id, workspace)?)
}

fn deactivate(tx: &mut Tx, key: &ApiKey, by: Option<UserId>, because: &str) -> Result<(), Error> {
    tx.change_api_key_state(
        key.organization_id,
        key.id,
        key.state,
        ApiKeyState::Deactivated,
        Some(because),
    )?;
    tx.record(
        Some(key.organization_id),
        by,
        Event::ApiKeyDeactivated,
        key.id.as_str(),
        because,
    )
}
