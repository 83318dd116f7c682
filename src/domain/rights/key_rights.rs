//! What an API key can do by its owner's roles, and so what somebody must hold to be given a secret of it.

use super::asker::Extent;
use super::rights::{self, Places, Rights};
use crate::config::{Catalogue, OrganizationOperations};
use crate::store::api_keys::ApiKey;
use crate::store::{Error, Snapshot};
use crate::types::id::{OrganizationId, WorkspaceId};
use crate::types::permission::PermissionSet;
use crate::types::state::{OrganizationRole, PermissionLevel, ReachKind};
use crate::types::time::Timestamp;

/// What a credential was given to reach.
pub struct KeyReach<'r> {
    pub organization: OrganizationId,
    pub reach: ReachKind,
    /// Those that it names.
    pub workspaces: &'r [WorkspaceId],
    /// Switched on to create workspaces and users (row 25).
    pub operations: bool,
}

impl<'r> KeyReach<'r> {
    pub fn of(key: &ApiKey, workspaces: &'r [WorkspaceId]) -> Self {
        Self {
            organization: key.organization_id,
            reach: key.reach,
            workspaces,
            operations: key.organization_operations,
        }
    }

    /// As far as it was given; to the organization itself only where `operates`.
    pub fn extent(&self, operates: bool) -> Extent {
        match self.reach {
            ReachKind::Organization => Extent::Whole,
            ReachKind::Workspaces => Extent::Workspaces {
                only: self.workspaces.to_vec(),
                organization: operates,
            },
        }
    }
}

/// Everything that the key can do while nothing is paused or suspended: the roles that its owner holds now, as far as the key
/// reaches. Nothing when the owner has left. `named`: the workspaces that it names.
pub fn of_key(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    key: &ApiKey,
    named: &[WorkspaceId],
    now: Timestamp,
) -> Result<Rights, Error> {
    let reach = KeyReach::of(key, named);
    let owner = snapshot.find_member(key.organization_id, key.owner_id, now)?;
    let operates = match &owner {
        Some(owner) => may_operate(snapshot, catalogue, &reach, owner.role)?,
        None => false,
    };
    let bound = level(catalogue, key.permission_level) & kind(catalogue, operates);
    rights::of_member(
        snapshot,
        catalogue,
        owner.as_ref(),
        &reach.extent(operates),
        bound,
    )
}

/// Full or read-only.
pub fn level(catalogue: &Catalogue, level: PermissionLevel) -> PermissionSet {
    match level {
        PermissionLevel::Full => catalogue.all(),
        PermissionLevel::ReadOnly => catalogue.read_only(),
    }
}

/// What a key can ever do: it manages nothing (row 24), and does nothing to the organization itself, but for one exception.
fn kind(catalogue: &Catalogue, operates: bool) -> PermissionSet {
    let ever = catalogue.all() & !catalogue.management();
    if operates {
        ever
    } else {
        ever & !catalogue.organization()
    }
}

/// Row 25: only an organization admin's key, and only the way that the profile allows it (C4).
pub fn may_operate(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    reach: &KeyReach,
    owner: OrganizationRole,
) -> Result<bool, Error> {
    if !owner.is_admin() {
        return Ok(false);
    }
    Ok(match catalogue.operations {
        OrganizationOperations::Never => false,
        OrganizationOperations::Switch => {
            reach.operations && reach.reach == ReachKind::Organization
        }
        OrganizationOperations::ServiceWorkspace => {
            let services = snapshot
                .list_workspaces(reach.organization)?
                .into_iter()
                .filter(|workspace| workspace.is_service);
            let services: Vec<WorkspaceId> = services.map(|workspace| workspace.id).collect();
            reach.reach == ReachKind::Workspaces
                && !reach.workspaces.is_empty()
                && reach.workspaces.iter().all(|id| services.contains(id))
        }
    })
}

/// Who holds a right over keys in the organization reaches every key; anybody else only keys that name workspaces, all of them
/// among those in which the right is held.
pub fn reaches(places: &Places, key: &ApiKey, named: &[WorkspaceId]) -> bool {
    places.organization || (key.reach == ReachKind::Workspaces && covers(places, named))
}

/// Whether the right is held in every one of these workspaces of the organization.
pub fn covers(places: &Places, workspaces: &[WorkspaceId]) -> bool {
    let held = |id: &WorkspaceId| places.organization || places.workspaces.contains(id);
    !workspaces.is_empty() && workspaces.iter().all(held)
}
