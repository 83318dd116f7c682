//! Who may see and manage API keys: by permissions of roles, held now (rows 2, 3, 18; C2).
//!
//! Invariant: an organization admin reaches every key; anybody else only keys that name workspaces, all of them workspaces in
//! which that person's role holds the permission, and which the credential that asks reaches, too.

use crate::config::{ADMIN_ROLE, Catalogue};
use crate::domain::rights::caller::Caller;
use crate::domain::rights::roles_held;
use crate::domain::{Refusal, ensure};
use crate::store::Snapshot;
use crate::store::api_keys::ApiKey;
use crate::types::id::{OrganizationId, UserId, WorkspaceId};
use crate::types::permission::PermissionSet;
use crate::types::right::Right;
use crate::types::state::{Licence, MemberState, OrganizationRole, ReachKind, UserKind, UserState};

/// Sees keys, never secrets.
pub const READ: Right = Right::ApiKeysRead;
pub const MANAGE: Right = Right::ApiKeysManage;
const CLOSED: &str = "Only owners and admins can open the Dev Centre.";

/// Who asks, and how far the credential that carries the question reaches.
#[derive(Debug, Clone)]
pub struct KeyCaller {
    pub caller: Caller,
    /// None: as far as the person.
    pub within: Option<Vec<WorkspaceId>>,
}

impl KeyCaller {
    pub fn person(user: UserId) -> Self {
        Self {
            caller: Caller::person(user),
            within: None,
        }
    }

    pub fn user(&self) -> UserId {
        self.caller.user
    }
}

/// Where the caller holds the permission.
#[derive(Debug, Clone)]
pub struct KeyAdmin {
    /// In the organization; none for an operator.
    pub role: Option<OrganizationRole>,
    organization: bool,
    /// Sorted by id.
    pub workspaces: Vec<WorkspaceId>,
}

impl KeyAdmin {
    pub fn is_organization_admin(&self) -> bool {
        self.organization
    }

    /// What lists show: none is everything.
    pub fn only(&self) -> Option<Vec<WorkspaceId>> {
        (!self.organization).then(|| self.workspaces.clone())
    }

    pub fn covers(&self, workspaces: &[WorkspaceId]) -> bool {
        !workspaces.is_empty()
            && workspaces
                .iter()
                .all(|workspace| self.workspaces.contains(workspace))
    }

    pub fn reaches(&self, key: &ApiKey, workspaces: &[WorkspaceId]) -> bool {
        self.organization || (key.reach == ReachKind::Workspaces && self.covers(workspaces))
    }
}

/// As whoever did something earlier: an operator token's user has the flag.
pub fn caller_of(snapshot: &mut Snapshot, user: UserId) -> Result<KeyCaller, Refusal> {
    let operator = snapshot
        .find_user(user)?
        .is_some_and(|user| user.operator && user.kind == UserKind::ServiceAccount);
    Ok(KeyCaller {
        caller: Caller { user, operator },
        within: None,
    })
}

/// Not found for strangers, admin-only for those who hold `needed` nowhere.
pub fn key_admin(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    organization: OrganizationId,
    by: &KeyCaller,
    needed: Right,
) -> Result<KeyAdmin, Refusal> {
    let admin = find(snapshot, catalogue, organization, by, needed)?;
    ensure(
        admin.organization || !admin.workspaces.is_empty(),
        Refusal::admin_only(CLOSED),
    )?;
    Ok(admin)
}

/// The same, for a member who may hold it nowhere.
pub fn find(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    organization: OrganizationId,
    by: &KeyCaller,
    needed: Right,
) -> Result<KeyAdmin, Refusal> {
    let all = |snapshot: &mut Snapshot| -> Result<Vec<WorkspaceId>, Refusal> {
        let mut ids: Vec<WorkspaceId> = snapshot
            .list_workspaces(organization)?
            .into_iter()
            .map(|workspace| workspace.id)
            .collect();
        ids.sort_unstable();
        Ok(ids)
    };
    if by.caller.operator {
        snapshot
            .find_organization(organization)?
            .ok_or(Refusal::NotFound)?;
        return Ok(KeyAdmin {
            role: None,
            organization: true,
            workspaces: all(snapshot)?,
        });
    }
    let active = snapshot
        .find_user(by.user())?
        .is_some_and(|user| user.state == UserState::Active);
    let member = snapshot
        .find_member(organization, by.user())?
        .filter(|member| active && member.state == MemberState::Active);
    let member = member.ok_or(Refusal::NotFound)?;
    let licence = match member.licence {
        Licence::Full => catalogue.all(),
        Licence::ReadOnly => catalogue.read_only(),
    };
    // a catalogue that does not name the permission leaves keys to the role `admin`
    let holds = |role: PermissionSet| match catalogue.permission(needed.name()) {
        Some(permission) => (role & licence).contains(permission),
        None => role == catalogue.role(ADMIN_ROLE),
    };
    let is_admin = member.role.is_admin() && holds(catalogue.role(ADMIN_ROLE));
    let mut workspaces = if is_admin {
        all(snapshot)?
    } else {
        let held = roles_held::held(snapshot, catalogue, &member)?.workspaces;
        held.into_iter()
            .filter(|(_, role)| holds(*role))
            .map(|(id, _)| id)
            .collect()
    };
    if let Some(within) = &by.within {
        workspaces.retain(|id| within.contains(id));
    }
    Ok(KeyAdmin {
        role: Some(member.role),
        organization: is_admin && by.within.is_none(),
        workspaces,
    })
}

/// The permissions that a person holds in one workspace now.
pub fn held_in(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    organization: OrganizationId,
    user: UserId,
    workspace: WorkspaceId,
) -> Result<PermissionSet, Refusal> {
    let Some(member) = snapshot.find_member(organization, user)? else {
        return Ok(PermissionSet::NONE);
    };
    let licence = if member.licence == Licence::Full {
        catalogue.all()
    } else {
        catalogue.read_only()
    };
    let held = roles_held::held(snapshot, catalogue, &member)?;
    let own = held
        .workspaces
        .iter()
        .find(|(id, _)| *id == workspace)
        .map_or(PermissionSet::NONE, |(_, role)| *role);
    Ok((own | held.organization) & licence)
}
