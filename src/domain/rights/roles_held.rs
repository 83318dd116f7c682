//! Which permissions the roles of a member grant, and where: as they are now.

use super::asker::Extent;
use crate::config::{ADMIN_ROLE, AdminRoles, Catalogue};
use crate::store::members::Member;
use crate::store::{Error, Snapshot};
use crate::types::id::{OrganizationId, RoleId, WorkspaceId};
use crate::types::permission::PermissionSet;

/// What the member's roles grant.
#[derive(Debug, Clone)]
pub struct HeldRoles {
    /// Done to the organization itself; none for members.
    pub organization: PermissionSet,
    /// Per workspace that the member has a role in, sorted by id.
    pub workspaces: Vec<(WorkspaceId, PermissionSet)>,
}

impl HeldRoles {
    /// As far as a credential of this extent reaches: a workspace without a role in it is not reached.
    pub fn within(&self, extent: &Extent, catalogue: &Catalogue) -> Self {
        match extent {
            Extent::Whole => self.clone(),
            Extent::Workspaces { only, organization } => Self {
                organization: if *organization {
                    self.organization & catalogue.organization()
                } else {
                    PermissionSet::NONE
                },
                workspaces: self
                    .workspaces
                    .iter()
                    .filter(|(id, _)| only.contains(id))
                    .copied()
                    .collect(),
            },
        }
    }
}

/// The permissions of a role by its stored name: one of the configured ones, or the id of the organization's own.
pub fn permissions(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    organization: OrganizationId,
    role: &str,
) -> Result<PermissionSet, Error> {
    let Ok(id) = role.parse::<RoleId>() else {
        return Ok(catalogue.role(role));
    };
    let own = snapshot.find_role(organization, id)?;
    Ok(own.map_or(PermissionSet::NONE, |role| {
        catalogue.of_names(role.permissions.split(' ')) & catalogue.all()
    }))
}

/// The roles the member holds now. No role in a workspace reaches beyond it.
pub fn held(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    member: &Member,
) -> Result<HeldRoles, Error> {
    let is_admin = member.role.is_admin();
    let admin = catalogue.role(ADMIN_ROLE);
    let organization = match (is_admin, catalogue.admin_roles) {
        (false, _) => PermissionSet::NONE,
        (true, AdminRoles::AdminEverywhere) => admin,
        // who administers manages, whatever they may do with documents
        (true, AdminRoles::OwnRoles) => admin & (catalogue.organization() | catalogue.management()),
    };
    let mut workspaces = Vec::new();
    if is_admin && catalogue.admin_roles == AdminRoles::AdminEverywhere {
        workspaces.extend(
            snapshot
                .list_workspaces(member.organization_id)?
                .into_iter()
                .map(|workspace| (workspace.id, admin)),
        );
    } else {
        let beyond = if is_admin {
            PermissionSet::NONE
        } else {
            catalogue.organization()
        };
        for (id, role) in snapshot.list_workspace_roles(member.organization_id, member.user_id)? {
            workspaces.push((
                id,
                permissions(snapshot, catalogue, member.organization_id, &role)? & !beyond,
            ));
        }
    }
    workspaces.sort_unstable_by_key(|(id, _)| *id);
    Ok(HeldRoles {
        organization,
        workspaces,
    })
}
