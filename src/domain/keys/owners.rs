//! Who a new key belongs to (C1): its creator, its workspace or the organization. The last two act as a built-in service
//! account, made on first need, that survives the creator.

use crate::config::{ADMIN_ROLE, Catalogue, KeyOwner};
use crate::domain::people::accounts;
use crate::domain::rights::caller::Caller;
use crate::domain::rights::key_admins;
use crate::domain::{Refusal, ensure};
use crate::store::Tx;
use crate::store::organizations::Organization;
use crate::types::id::{UserId, WorkspaceId};
use crate::types::permission::PermissionSet;
use crate::types::refusal_code::RefusalCode;
use crate::types::state::{OrganizationRole, PermissionLevel, ReachKind};

/// What the key will reach.
pub struct Ground<'g> {
    pub reach: ReachKind,
    pub workspaces: &'g [WorkspaceId],
    pub level: PermissionLevel,
}

/// The owner; nobody's key can do more than its creator may.
pub fn owner(
    tx: &mut Tx,
    catalogue: &Catalogue,
    kind: KeyOwner,
    organization: &Organization,
    caller: &Caller,
    ground: &Ground,
) -> Result<UserId, Refusal> {
    match (kind, ground.reach, ground.workspaces) {
        (KeyOwner::User, ..) => Ok(caller.user),
        (KeyOwner::Workspace, ReachKind::Workspaces, [workspace]) => {
            ensure_holds_all(tx, catalogue, organization, caller, ground)?;
            of_workspace(tx, organization, *workspace)
        }
        (KeyOwner::Workspace, ReachKind::Workspaces, _) => Err(Refusal::field(
            "workspaces",
            "A key belongs to one workspace here: choose one.",
        )),
        (KeyOwner::Organization, ReachKind::Workspaces, _) => {
            ensure_holds_all(tx, catalogue, organization, caller, ground)?;
            of_organization(tx, organization)
        }
        (KeyOwner::Workspace | KeyOwner::Organization, ReachKind::Organization, _) => {
            of_organization(tx, organization)
        }
    }
}

/// The service account acts as an admin: a creator with a smaller role would gain by it.
fn ensure_holds_all(
    tx: &mut Tx,
    catalogue: &Catalogue,
    organization: &Organization,
    caller: &Caller,
    ground: &Ground,
) -> Result<(), Refusal> {
    if caller.operator {
        return Ok(());
    }
    let level = match ground.level {
        PermissionLevel::Full => catalogue.all(),
        PermissionLevel::ReadOnly => catalogue.read_only(),
    };
    // what a key can hold at all
    let granted: PermissionSet =
        catalogue.role(ADMIN_ROLE) & level & !catalogue.management() & !catalogue.organization();
    for workspace in ground.workspaces {
        let held = key_admins::held_in(tx, catalogue, organization.id, caller.user, *workspace)?;
        let more = "The key could do more in this workspace than you may.".to_owned();
        ensure(
            granted.is_subset_of(held),
            Refusal::Coded(RefusalCode::InsufficientPermission, more),
        )?;
    }
    Ok(())
}

fn of_organization(tx: &mut Tx, organization: &Organization) -> Result<UserId, Refusal> {
    // as it is now: the key before may have made the account
    let organization = tx
        .find_organization(organization.id)?
        .ok_or(Refusal::NotFound)?;
    if let Some(account) = organization.service_account_id {
        return Ok(account);
    }
    let account = accounts::create_service_account(tx, organization.id, &organization.name)?;
    tx.change_member_role(
        organization.id,
        account.id,
        OrganizationRole::Member,
        OrganizationRole::Admin,
    )?;
    tx.set_organization_service_account(organization.id, account.id)?;
    Ok(account.id)
}

fn of_workspace(
    tx: &mut Tx,
    organization: &Organization,
    workspace: WorkspaceId,
) -> Result<UserId, Refusal> {
    let workspace = tx
        .find_workspace(organization.id, workspace)?
        .ok_or(Refusal::NotFound)?;
    if let Some(account) = workspace.service_account_id {
        return Ok(account);
    }
    let account = accounts::create_service_account(tx, organization.id, &workspace.name)?;
    accounts::add_workspace_member(tx, organization.id, workspace.id, account.id, ADMIN_ROLE)?;
    tx.set_workspace_service_account(organization.id, workspace.id, account.id)?;
    Ok(account.id)
}
