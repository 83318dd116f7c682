//! Who a new key belongs to (C1): its creator, its workspace or the organization. The last two act as a built-in service
//! account, made on first need, that survives the creator.

use crate::config::{ADMIN_ROLE, KeyOwner};
use crate::domain::desk::Desk;
use crate::domain::people::accounts;
use crate::domain::people::members::ensure_free_standing;
use crate::domain::rights::asker::Asker;
use crate::domain::{Refusal, ensure};
use crate::store::Tx;
use crate::store::organizations::Organization;
use crate::types::id::{UserId, WorkspaceId};
use crate::types::right::Right;
use crate::types::state::{OrganizationRole, ReachKind, UserKind};

/// Whose rights a new key is measured by.
#[derive(Debug, Clone)]
pub struct Makers {
    /// Has to manage keys where the key is to work; recorded as its creator.
    pub creator: Asker,
    /// Whom the key acts as, where keys belong to users.
    pub owner: Asker,
}

/// An operator is no member: it creates in the name of one, or for the organization itself. A person creates for
/// themselves, or for a service account that holds no more than they do (row 28).
pub fn makers(desk: &mut Desk, named: Option<UserId>) -> Result<Makers, Refusal> {
    let asker = desk.asker.clone();
    let owned_by_users = desk.settings.keys.owner == KeyOwner::User;
    match named.filter(|named| *named != asker.user) {
        None if asker.is_operator() && owned_by_users => Err(Refusal::field(
            "owner",
            "An operator token names the owner.",
        )),
        None => Ok(Makers {
            owner: asker.clone(),
            creator: asker,
        }),
        Some(member) if asker.is_operator() => {
            desk.ensure(Right::ApiKeysManage)?;
            Ok(Makers {
                creator: Asker::person(member),
                owner: Asker::person(member),
            })
        }
        Some(account) => {
            let shared = "Keys belong to the workspace or the organization here.";
            ensure(owned_by_users, Refusal::field("owner", shared))?;
            ensure_service_account(desk, account)?;
            Ok(Makers {
                owner: Asker::person(account),
                creator: asker,
            })
        }
    }
}

/// Refuses everybody but a service account of the organization that holds no more than the asker.
fn ensure_service_account(desk: &mut Desk, id: UserId) -> Result<(), Refusal> {
    let is_account = desk
        .tx
        .find_user(id)?
        .is_some_and(|user| user.kind == UserKind::ServiceAccount);
    let (organization, now) = (desk.organization, desk.now());
    let is_member = desk.tx.find_member(organization, id, now)?.is_some();
    let other = "Keys are created for yourself, or for a service account of the organization.";
    ensure(is_account && is_member, Refusal::field("owner", other))?;
    ensure_free_standing(desk.tx, id)?;
    let held = desk.rights_of(id)?;
    desk.ensure_holds(&held)
}

/// The owner. What the key can do then is measured by who makes it (`secrets::may_hold`).
pub fn owner(
    desk: &mut Desk,
    organization: &Organization,
    asked: &Asker,
    reach: ReachKind,
    workspaces: &[WorkspaceId],
) -> Result<UserId, Refusal> {
    match (desk.settings.keys.owner, reach, workspaces) {
        (KeyOwner::User, ..) => Ok(asked.user),
        (KeyOwner::Workspace, ReachKind::Workspaces, [workspace]) => {
            of_workspace(desk.tx, organization, *workspace)
        }
        (KeyOwner::Workspace, ReachKind::Workspaces, _) => Err(Refusal::field(
            "workspaces",
            "A key belongs to one workspace here: choose one.",
        )),
        (KeyOwner::Workspace, ReachKind::Organization, _) | (KeyOwner::Organization, ..) => {
            of_organization(desk.tx, organization)
        }
    }
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
