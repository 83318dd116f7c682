//! What somebody may do in an organization: the only evaluation of it.
//!
//! ```text
//! rights = (licence ∩ role held NOW, while the membership acts | the operator's granted set) ∩ the credential's bound and reach
//! ```
//!
//! Asked inside the transaction that acts. Invariant: nobody grants more than they hold, so rights are sets that compare.

use crate::config::Catalogue;
use crate::domain::words::{Refusal, ensure};
use crate::store::members::{Member, Membership};
use crate::store::{Error, Snapshot};
use crate::types::id::{OrganizationId, UserId, WorkspaceId};
use crate::types::permission::PermissionSet;
use crate::types::right::Right;
use crate::types::state::{Licence, OrganizationRole, UserState};
use crate::types::time::Timestamp;

use super::asker::{Asker, Extent};
use super::roles_held::{self, HeldRoles};

/// Whoever lacks a right reads this.
pub const MISSING: &str = "Your role does not allow this.";
const VENDOR_ONLY: &str = "Only an operator token that was made for it does this.";
/// Whoever would grant more than they hold reads this.
pub const BEYOND: &str = "This would grant more than you hold yourself.";

/// What one asker may do in one organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rights {
    /// In the organization itself, and so in every workspace.
    pub organization: PermissionSet,
    /// In single workspaces.
    workspaces: Vec<(WorkspaceId, PermissionSet)>,
    /// Whether the asker reaches every workspace: an operator has no roles.
    everywhere: bool,
    /// How far up the asker reaches: an operator as far as an owner.
    pub role: OrganizationRole,
}

impl Rights {
    const NONE: Self = Self {
        organization: PermissionSet::NONE,
        workspaces: Vec::new(),
        everywhere: false,
        role: OrganizationRole::Member,
    };

    fn new(roles: HeldRoles, bound: PermissionSet, role: OrganizationRole) -> Self {
        let bounded = |(id, held): (WorkspaceId, PermissionSet)| (id, held & bound);
        Self {
            organization: roles.organization & bound,
            workspaces: roles.workspaces.into_iter().map(bounded).collect(),
            everywhere: false,
            role,
        }
    }

    pub fn in_workspace(&self, workspace: WorkspaceId) -> PermissionSet {
        let own = self.workspaces.iter().find(|(id, _)| *id == workspace);
        self.organization | own.map_or(PermissionSet::NONE, |(_, held)| *held)
    }

    /// In the organization, or in any workspace.
    pub fn anywhere(&self) -> PermissionSet {
        self.workspaces
            .iter()
            .fold(self.organization, |all, (_, held)| all | *held)
    }

    /// Whether the asker has a role in the workspace, whatever it grants.
    pub fn reaches(&self, workspace: WorkspaceId) -> bool {
        self.everywhere || self.workspaces.iter().any(|(id, _)| *id == workspace)
    }

    /// The workspaces that the asker reaches; none: all of them.
    pub fn reached(&self) -> Option<Vec<WorkspaceId>> {
        let single = || self.workspaces.iter().map(|(id, _)| *id).collect();
        (!self.everywhere).then(single)
    }

    /// Where the right is held.
    pub fn places_of(&self, catalogue: &Catalogue, right: Right) -> Places {
        let held = catalogue.right(right);
        let there = self
            .workspaces
            .iter()
            .filter(|(_, set)| held.is_held_in(*set));
        Places {
            organization: held.is_held_in(self.organization),
            workspaces: there.map(|(id, _)| *id).collect(),
        }
    }

    /// Whether `granting` holds, at the same place, whatever `self` holds beyond `before`.
    pub fn gains_only_what(&self, before: &Self, granting: &Self) -> bool {
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

    /// Whether all of it is held, at the same place, by `granting`.
    pub fn is_within(&self, granting: &Self) -> bool {
        self.gains_only_what(&Self::NONE, granting)
    }
}

/// Where somebody holds one right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// In the organization itself, and so everywhere.
    pub organization: bool,
    /// In these workspaces.
    pub workspaces: Vec<WorkspaceId>,
}

impl Places {
    pub fn is_nowhere(&self) -> bool {
        !self.organization && self.workspaces.is_empty()
    }

    /// What lists show: none is everything.
    pub fn only(self) -> Option<Vec<WorkspaceId>> {
        (!self.organization).then_some(self.workspaces)
    }
}

/// What the asker may do there now. `NotFound` when the organization is not there, the asker is no member of it who acts, or the
/// credential was made for another one: they read the same.
pub fn of(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    asker: &Asker,
    organization: OrganizationId,
    now: Timestamp,
) -> Result<Rights, Refusal> {
    ensure(asker.is_for(organization), Refusal::NotFound)?;
    if let Some(granted) = asker.operator_permissions(catalogue) {
        return of_operator(snapshot, asker, organization, granted);
    }
    let held = held(snapshot, catalogue, organization, asker.user, now)?
        .filter(|held| held.membership.acts())
        .ok_or(Refusal::NotFound)?;
    Ok(held.bounded(asker.extent(), asker.bound(), catalogue))
}

/// What a membership gives, before a credential bounds it. Rights and the access of a credential are made of it alike.
pub struct Held {
    pub membership: Membership,
    pub licence: PermissionSet,
    roles: HeldRoles,
}

/// None without a membership at `now`. Whether it is suspended, the membership tells.
pub fn held(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    organization: OrganizationId,
    user: UserId,
    now: Timestamp,
) -> Result<Option<Held>, Error> {
    let Some(membership) = snapshot.find_membership(organization, user, now)? else {
        return Ok(None);
    };
    let roles = roles_held::held(snapshot, catalogue, &membership.member)?;
    let licence = licensed(catalogue, &membership.member);
    Ok(Some(Held {
        membership,
        licence,
        roles,
    }))
}

impl Held {
    /// The roles as far as a credential of this extent reaches.
    pub fn within(&self, extent: &Extent, catalogue: &Catalogue) -> HeldRoles {
        self.roles.within(extent, catalogue)
    }

    fn bounded(&self, extent: &Extent, bound: PermissionSet, catalogue: &Catalogue) -> Rights {
        let roles = self.within(extent, catalogue);
        Rights::new(roles, self.licence & bound, self.membership.member.role)
    }
}

fn of_operator(
    snapshot: &mut Snapshot,
    asker: &Asker,
    organization: OrganizationId,
    granted: PermissionSet,
) -> Result<Rights, Refusal> {
    snapshot
        .find_organization(organization)?
        .ok_or(Refusal::NotFound)?;
    ensure(operates(snapshot, asker.user)?, Refusal::NotFound)?;
    Ok(Rights {
        organization: granted & asker.bound(),
        workspaces: Vec::new(),
        everywhere: true,
        role: OrganizationRole::Owner,
    })
}

/// Whether the account is the vendor's, and not suspended.
fn operates(snapshot: &mut Snapshot, user: UserId) -> Result<bool, Error> {
    let account = snapshot.find_user(user)?;
    Ok(account.is_some_and(|user| user.operator && user.state == UserState::Active))
}

/// Refuses an asker who does not hold the operator's right across organizations: for everybody else there is nothing here.
pub fn ensure_vendor(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    asker: &Asker,
    needed: Right,
) -> Result<(), Refusal> {
    let granted = asker
        .operator_permissions(catalogue)
        .ok_or(Refusal::NotFound)?;
    ensure(operates(snapshot, asker.user)?, Refusal::NotFound)?;
    let holds = catalogue.right(needed).is_held_in(granted & asker.bound());
    ensure(holds, Refusal::Forbidden(VENDOR_ONLY))
}

/// Refuses everybody but a person who operates the installation: for what belongs to no organization. To others it is not there.
pub fn ensure_operates(snapshot: &mut Snapshot, asker: &Asker) -> Result<(), Refusal> {
    let acts = asker.operates_in_person() && operates(snapshot, asker.user)?;
    ensure(acts, Refusal::NotFound)
}

fn licensed(catalogue: &Catalogue, member: &Member) -> PermissionSet {
    match member.licence {
        Licence::Full => catalogue.all(),
        Licence::ReadOnly => catalogue.read_only(),
    }
}

/// What the user's membership gives while nothing is suspended; nothing without one.
pub fn of_user(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    organization: OrganizationId,
    user: UserId,
    now: Timestamp,
) -> Result<Rights, Error> {
    let member = snapshot.find_member(organization, user, now)?;
    let (extent, bound) = (Extent::Whole, PermissionSet::ALL);
    of_member(snapshot, catalogue, member.as_ref(), &extent, bound)
}

/// The same by a credential of this extent and bound.
pub fn of_member(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    member: Option<&Member>,
    extent: &Extent,
    bound: PermissionSet,
) -> Result<Rights, Error> {
    let Some(member) = member else {
        return Ok(Rights::NONE);
    };
    let roles = roles_held::held(snapshot, catalogue, member)?.within(extent, catalogue);
    let bound = licensed(catalogue, member) & bound;
    Ok(Rights::new(roles, bound, member.role))
}

/// What a membership would give with these roles, in place of those that it has in the same workspaces: before it is written.
pub fn of_grant(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    member: &Member,
    workspaces: &[(WorkspaceId, String)],
) -> Result<Rights, Error> {
    let mut roles = roles_held::held(snapshot, catalogue, member)?;
    let given = |id: &WorkspaceId| workspaces.iter().any(|(given, _)| given == id);
    roles.workspaces.retain(|(id, _)| !given(id));
    for (workspace, role) in workspaces {
        let role = roles_held::permissions(snapshot, catalogue, member.organization_id, role)?;
        roles
            .workspaces
            .push((*workspace, role & !catalogue.organization()));
    }
    Ok(Rights::new(roles, licensed(catalogue, member), member.role))
}
