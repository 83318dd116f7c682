//! What a person may do in an organization: licence ∩ the role held NOW. Asked inside the transaction that acts.
//!
//! Invariant: nobody grants more than they hold, so rights are sets that compare; an operator holds everything.

use crate::config::Catalogue;
use crate::domain::rights::caller::Caller;
use crate::domain::rights::roles_held;
use crate::domain::{Refusal, ensure};
use crate::store::members::Member;
use crate::store::{Snapshot, Tx};
use crate::types::id::{OrganizationId, UserId, WorkspaceId};
use crate::types::permission::PermissionSet;
use crate::types::right::Right;
use crate::types::state::{Licence, MemberState, OrganizationRole, UserState};

const MISSING: &str = "Your role does not allow this.";
/// Whoever would grant more than they hold reads this.
pub const BEYOND: &str = "This would grant more than you hold yourself.";

/// The rights of one caller in one organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rights {
    /// In the organization itself, and so in every workspace.
    pub organization: PermissionSet,
    /// In single workspaces.
    workspaces: Vec<(WorkspaceId, PermissionSet)>,
}

impl Rights {
    const NONE: Self = Self {
        organization: PermissionSet::NONE,
        workspaces: Vec::new(),
    };

    pub fn in_workspace(&self, workspace: WorkspaceId) -> PermissionSet {
        let own = self
            .workspaces
            .iter()
            .find(|(id, _)| *id == workspace)
            .map_or(PermissionSet::NONE, |(_, held)| *held);
        self.organization | own
    }

    /// In the organization, or in any workspace.
    pub fn anywhere(&self) -> PermissionSet {
        self.workspaces
            .iter()
            .fold(self.organization, |all, (_, held)| all | *held)
    }

    /// Whether `granting` holds, at the same place, whatever `self` holds beyond `before`.
    fn gains_only_what(&self, before: &Self, granting: &Self) -> bool {
        let within = |after: PermissionSet, before: PermissionSet, held: PermissionSet| {
            (after & !before).is_subset_of(held)
        };
        let there = |(id, _): &(WorkspaceId, PermissionSet)| {
            within(
                self.in_workspace(*id),
                before.in_workspace(*id),
                granting.in_workspace(*id),
            )
        };
        within(
            self.organization,
            before.organization,
            granting.organization,
        ) && self.workspaces.iter().all(there)
    }

    /// Whether the user has a role in the workspace, whatever it grants.
    pub fn reaches(&self, workspace: WorkspaceId) -> bool {
        self.workspaces.iter().any(|(id, _)| *id == workspace)
    }

    /// Of the permission `name`: whether it is held in the organization, and where else.
    pub fn places_of(&self, catalogue: &Catalogue, right: Right) -> (bool, Vec<WorkspaceId>) {
        let Some(permission) = catalogue.permission(right.name()) else {
            return (false, Vec::new());
        };
        let there = self
            .workspaces
            .iter()
            .filter(|(_, held)| held.contains(permission))
            .map(|(id, _)| *id);
        (self.organization.contains(permission), there.collect())
    }

    /// The workspaces in which the caller holds something; none: all of them.
    pub fn workspaces(&self) -> Option<Vec<WorkspaceId>> {
        self.organization
            .is_empty()
            .then(|| self.workspaces.iter().map(|(id, _)| *id).collect())
    }
}

/// `NotFound` when the organization is not there or the caller is no member of it: the two read the same.
pub fn rights(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    organization: OrganizationId,
    caller: &Caller,
) -> Result<Rights, Refusal> {
    snapshot
        .find_organization(organization)?
        .ok_or(Refusal::NotFound)?;
    if caller.operator {
        return Ok(Rights {
            organization: catalogue.all() | catalogue.operator(),
            workspaces: Vec::new(),
        });
    }
    let active = snapshot
        .find_user(caller.user)?
        .is_some_and(|user| user.state == UserState::Active);
    let stands = |member: &Member| active && member.state == MemberState::Active;
    let member = snapshot
        .find_member(organization, caller.user)?
        .filter(stands)
        .ok_or(Refusal::NotFound)?;
    of_member(snapshot, catalogue, &member)
}

/// What the membership gives while nothing is suspended.
fn of_member(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    member: &Member,
) -> Result<Rights, Refusal> {
    let licence = match member.licence {
        Licence::Full => catalogue.all(),
        Licence::ReadOnly => catalogue.read_only(),
    };
    let held = roles_held::held(snapshot, catalogue, member)?;
    let workspaces = held
        .workspaces
        .iter()
        .map(|(id, role)| (*id, *role & licence))
        .collect();
    Ok(Rights {
        organization: held.organization & licence,
        workspaces,
    })
}

/// What the user's membership gives while nothing is suspended; nothing without one.
pub fn of_user(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    organization: OrganizationId,
    user: UserId,
) -> Result<Rights, Refusal> {
    let member = snapshot.find_member(organization, user)?;
    member.map_or(Ok(Rights::NONE), |member| {
        of_member(snapshot, catalogue, &member)
    })
}

/// What a membership that is not there yet would give.
pub fn of_grant(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    member: &Member,
    workspaces: &[(WorkspaceId, String)],
) -> Result<Rights, Refusal> {
    let mut granted = of_member(snapshot, catalogue, member)?;
    let licence = match member.licence {
        Licence::Full => catalogue.all(),
        Licence::ReadOnly => catalogue.read_only(),
    };
    for (workspace, role) in workspaces {
        let role = roles_held::permissions(snapshot, catalogue, member.organization_id, role)?;
        granted
            .workspaces
            .push((*workspace, role & licence & !catalogue.organization()));
    }
    Ok(granted)
}

/// Refuses a grant of more than the caller holds.
pub fn ensure_holds(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    organization: OrganizationId,
    caller: &Caller,
    granted: &Rights,
) -> Result<(), Refusal> {
    let granting = rights(snapshot, catalogue, organization, caller)?;
    ensure(
        granted.gains_only_what(&Rights::NONE, &granting),
        Refusal::Forbidden(BEYOND),
    )
}

/// How far up the caller reaches: an operator as far as an owner.
pub fn rank(
    snapshot: &mut Snapshot,
    organization: OrganizationId,
    caller: &Caller,
) -> Result<OrganizationRole, Refusal> {
    if caller.operator {
        return Ok(OrganizationRole::Owner);
    }
    Ok(snapshot
        .find_member(organization, caller.user)?
        .ok_or(Refusal::NotFound)?
        .role)
}

/// Changes the user's membership by `change`, and refuses it where the user then holds something new that the caller does not
/// hold there. A refusal rolls the transaction back.
pub fn ensure_no_more<T>(
    tx: &mut Tx,
    catalogue: &Catalogue,
    organization: OrganizationId,
    caller: &Caller,
    user: UserId,
    change: impl FnOnce(&mut Tx) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    let granting = rights(tx, catalogue, organization, caller)?;
    let before = of_user(tx, catalogue, organization, user)?;
    let changed = change(tx)?;
    let after = of_user(tx, catalogue, organization, user)?;
    ensure(
        after.gains_only_what(&before, &granting),
        Refusal::Forbidden(BEYOND),
    )?;
    Ok(changed)
}

/// Refuses a caller without the right `needed` in the organization itself. A right that is not configured is nobody's.
pub fn ensure_organization(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    organization: OrganizationId,
    caller: &Caller,
    needed: Right,
) -> Result<(), Refusal> {
    let held = rights(snapshot, catalogue, organization, caller)?.organization;
    let holds = catalogue.right(needed).is_held_in(held);
    ensure(holds, Refusal::Forbidden(MISSING))
}

/// The same in one workspace.
pub fn ensure_workspace(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    organization: OrganizationId,
    workspace: WorkspaceId,
    caller: &Caller,
    needed: Right,
) -> Result<(), Refusal> {
    let held = rights(snapshot, catalogue, organization, caller)?.in_workspace(workspace);
    let holds = catalogue.right(needed).is_held_in(held);
    ensure(holds, Refusal::Forbidden(MISSING))
}
