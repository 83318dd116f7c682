//! The service account by which an application acts as itself, and its role.
//!
//! Invariant: nobody gives it a role that is stronger than their own, in any workspace.

use crate::domain::clients::authorizations;
use crate::domain::desk::Desk;
use crate::domain::people::accounts;
use crate::domain::{Refusal, ensure};
use crate::store::applications::Application;
use crate::store::{Error, Snapshot, Tx};
use crate::types::id::{OrganizationId, UserId};

/// The role of its service account, in the workspaces it has one in.
pub fn role(snapshot: &mut Snapshot, application: &Application) -> Result<Option<String>, Error> {
    let Some(account) = application.service_account_id else {
        return Ok(None);
    };
    Ok(snapshot
        .list_workspace_roles(application.organization_id, account)?
        .into_iter()
        .next()
        .map(|(_, role)| role))
}

/// Nobody grants more than they hold: the application's own role reaches every workspace.
pub fn ensure_grants(desk: &mut Desk, role: &str) -> Result<(), Refusal> {
    let held = desk.own_rights()?;
    let catalogue = &desk.settings.catalogue;
    let granted = catalogue.role(role) & !catalogue.organization();
    let workspaces = desk.tx.list_workspaces(desk.organization)?;
    let holds = workspaces
        .iter()
        .all(|workspace| granted.is_subset_of(held.in_workspace(workspace.id)));
    ensure(
        holds,
        Refusal::Forbidden(
            "You can give an application no role that is stronger than your own, in any workspace.",
        ),
    )
}

/// The service account by which the application acts as itself from now on.
pub fn give(tx: &mut Tx, application: Application, role: &str) -> Result<Application, Refusal> {
    let account =
        accounts::create_service_account(tx, application.organization_id, &application.name)?.id;
    set_role(tx, application.organization_id, account, role)?;
    authorizations::create_own(tx, &application, account)?;
    Ok(Application {
        service_account_id: Some(account),
        ..application
    })
}

/// In every workspace there is.
pub fn set_role(
    tx: &mut Tx,
    organization: OrganizationId,
    account: UserId,
    role: &str,
) -> Result<(), Error> {
    let held = tx.list_workspace_roles(organization, account)?;
    for workspace in tx.list_workspaces(organization)? {
        match held.iter().find(|(id, _)| *id == workspace.id) {
            Some((_, own)) if own == role => {}
            Some((_, own)) => {
                tx.change_workspace_role(organization, workspace.id, account, own, role)?
            }
            None => accounts::add_workspace_member(tx, organization, workspace.id, account, role)?,
        }
    }
    Ok(())
}
