//! What a person may do in an organization: licence ∩ the role held NOW. Asked inside the transaction that acts.
//!
//! Invariant: nobody grants more than they hold, so rights are sets that compare; an operator holds everything.

use crate::config::Catalogue;
use crate::domain::caller::Caller;
use crate::domain::{Refusal, ensure, roles};
use crate::store::Snapshot;
use crate::store::members::Member;
use crate::types::id::{OrganizationId, WorkspaceId};
use crate::types::permission::PermissionSet;
use crate::types::state::{Licence, MemberState, UserState};

const MISSING: &str = "Your role does not allow this.";

/// The rights of one caller in one organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rights {
    /// In the organization itself, and so in every workspace.
    pub organization: PermissionSet,
    /// In single workspaces.
    workspaces: Vec<(WorkspaceId, PermissionSet)>,
}

impl Rights {
    pub fn in_workspace(&self, workspace: WorkspaceId) -> PermissionSet {
        let own = self.workspaces.iter().find(|(id, _)| *id == workspace).map_or(PermissionSet::NONE, |(_, held)| *held);
        self.organization | own
    }

    /// In the organization, or in any workspace.
    pub fn anywhere(&self) -> PermissionSet {
        self.workspaces.iter().fold(self.organization, |all, (_, held)| all | *held)
    }

    /// The workspaces in which the caller holds something; none: all of them.
    pub fn workspaces(&self) -> Option<Vec<WorkspaceId>> {
        self.organization.is_empty().then(|| self.workspaces.iter().map(|(id, _)| *id).collect())
    }
}

/// `NotFound` when the organization is not there or the caller is no member of it: the two read the same.
pub fn rights(snapshot: &mut Snapshot, catalogue: &Catalogue, organization: OrganizationId, caller: &Caller) -> Result<Rights, Refusal> {
    snapshot.find_organization(organization)?.ok_or(Refusal::NotFound)?;
    if caller.operator {
        return Ok(Rights { organization: catalogue.all() | catalogue.operator(), workspaces: Vec::new() });
    }
    let active = snapshot.find_user(caller.user)?.is_some_and(|user| user.state == UserState::Active);
    let stands = |member: &Member| active && member.state == MemberState::Active;
    let member = snapshot.find_member(organization, caller.user)?.filter(stands).ok_or(Refusal::NotFound)?;
    let licence = match member.licence {
        Licence::Full => catalogue.all(),
        Licence::ReadOnly => catalogue.read_only(),
    };
    let held = roles::held(snapshot, catalogue, &member)?;
    let workspaces = held.workspaces.into_iter().map(|(id, role)| (id, role & licence)).collect();
    Ok(Rights { organization: held.organization & licence, workspaces })
}

/// Refuses a caller without the right `needed` in the organization itself. A right that is not configured is nobody's.
pub fn ensure_organization(
    snapshot: &mut Snapshot, catalogue: &Catalogue, organization: OrganizationId, caller: &Caller, needed: &str,
) -> Result<(), Refusal> {
    let held = rights(snapshot, catalogue, organization, caller)?.organization;
    let holds = catalogue.permission(needed).is_some_and(|permission| held.contains(permission));
    ensure(holds, Refusal::Forbidden(MISSING))
}

/// The same in one workspace.
pub fn ensure_workspace(
    snapshot: &mut Snapshot, catalogue: &Catalogue, organization: OrganizationId, workspace: WorkspaceId, caller: &Caller, needed: &str,
) -> Result<(), Refusal> {
    let held = rights(snapshot, catalogue, organization, caller)?.in_workspace(workspace);
    let holds = catalogue.permission(needed).is_some_and(|permission| held.contains(permission));
    ensure(holds, Refusal::Forbidden(MISSING))
}
