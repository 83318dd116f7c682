//! The service account by which an application acts as itself, and its role.
//!
//! Invariant: nobody gives it a role that is stronger than their own, in any workspace; and nobody sees a secret of the
//! application, adds one, or changes where its codes go, unless they hold now all that it may do as itself. To take something
//! away from it, or to end it, needs no more than to manage applications. What people allowed it is protected by their consent.

use crate::domain::clients::authorizations;
use crate::domain::desk::{Desk, View};
use crate::domain::people::accounts;
use crate::domain::rights::rights;
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
    ensure(
        grants(&mut desk.view(), role)?,
        Refusal::Forbidden(
            "You can give an application no role that is stronger than your own, in any workspace.",
        ),
    )
}

/// The same as an answer.
pub fn grants(view: &mut View, role: &str) -> Result<bool, Refusal> {
    let held = view.own_rights()?;
    let catalogue = &view.settings.catalogue;
    let granted = catalogue.role(role) & !catalogue.organization();
    let workspaces = view.snapshot.list_workspaces(view.organization)?;
    Ok(workspaces
        .iter()
        .all(|workspace| granted.is_subset_of(held.in_workspace(workspace.id))))
}

/// Refuses whoever does not hold all that the application may do as itself.
pub fn ensure_may_hold(desk: &mut Desk, application: &Application) -> Result<(), Refusal> {
    ensure(
        may_hold(&mut desk.view(), application)?,
        Refusal::Forbidden(
            "This application may do more, as itself, than you may: you get no secret of it, and add nothing to it. You can take things away from it, or delete it.",
        ),
    )
}

/// The same as an answer.
pub fn may_hold(view: &mut View, application: &Application) -> Result<bool, Refusal> {
    let Some(account) = application.service_account_id else {
        return Ok(true);
    };
    let catalogue = &view.settings.catalogue;
    let (organization, now) = (view.organization, view.now);
    let granted = rights::of_user(view.snapshot, catalogue, organization, account, now)?;
    Ok(granted.is_within(&view.own_rights()?))
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
