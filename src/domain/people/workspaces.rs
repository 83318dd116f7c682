//! Workspaces: who may see, create, change and delete them.

use crate::config::{ADMIN_ROLE, AdminRoles, Catalogue};
use crate::domain::people::accounts;
use crate::domain::people::accounts::MOST_NAME;
use crate::domain::plans::open;
use crate::domain::plans::plans;
use crate::domain::rights::caller::Caller;
use crate::domain::rights::old_rights as rights;
use crate::domain::{Refusal, ensure};
use crate::store::workspaces::{Workspace, WorkspaceFilter};
use crate::store::{Snapshot, Tx};
use crate::types::event::Event;
use crate::types::id::{OrganizationId, WorkspaceId};
use crate::types::refusal_code::RefusalCode;
use crate::types::right::Right;
use crate::types::text::parse_text;
use crate::types::time::Timestamp;

/// The right to create, change and delete them, in the organization itself.
const MANAGE: Right = Right::WorkspacesManage;
/// Workspaces of one organization.
const MOST_WORKSPACES: i64 = 1000;

#[derive(Debug, Clone)]
pub struct NewWorkspace {
    pub name: String,
    pub external_id: Option<String>,
    /// For keys of organization admins alone (row 29). Chosen once: it decides what keys that are there may do.
    pub is_service: bool,
}

/// What is to change; none stays as it is.
#[derive(Debug, Clone, Default)]
pub struct WorkspaceChange {
    pub name: Option<String>,
    /// `Some(None)` takes it away.
    pub external_id: Option<Option<String>>,
}

/// A page of those that the caller works in; admins and operators see all of them.
pub fn list(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    organization: OrganizationId,
    caller: &Caller,
    filter: &WorkspaceFilter,
    after: Option<(Timestamp, WorkspaceId)>,
    most: i64,
) -> Result<Vec<Workspace>, Refusal> {
    let own = rights::rights(snapshot, catalogue, organization, caller)?.workspaces();
    let only = match (filter.only.clone(), own) {
        (Some(only), Some(own)) => Some(only.into_iter().filter(|id| own.contains(id)).collect()),
        (only, own) => only.or(own),
    };
    Ok(snapshot.list_workspaces_page(
        organization,
        &WorkspaceFilter {
            only,
            ..filter.clone()
        },
        after,
        most,
    )?)
}

pub fn get(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    organization: OrganizationId,
    caller: &Caller,
    id: WorkspaceId,
) -> Result<Workspace, Refusal> {
    let held = rights::rights(snapshot, catalogue, organization, caller)?;
    ensure(!held.in_workspace(id).is_empty(), Refusal::NotFound)?;
    snapshot
        .find_workspace(organization, id)?
        .ok_or(Refusal::NotFound)
}

/// Creates one. Runs behind the organization's lock: names and the cap are counted.
pub fn create(
    tx: &mut Tx,
    catalogue: &Catalogue,
    organization: OrganizationId,
    caller: &Caller,
    new: NewWorkspace,
) -> Result<Workspace, Refusal> {
    rights::ensure_organization(tx, catalogue, organization, caller, MANAGE)?;
    open::ensure_not_suspended(tx, organization)?;
    let name = parse_name(&new.name)?;
    let external_id = new
        .external_id
        .map(|id| parse_external_id(caller, &id))
        .transpose()?;
    ensure_free_name(tx, organization, &name, None)?;
    if let Some(external_id) = &external_id {
        ensure_free_external_id(tx, external_id, None)?;
    }
    let plan = plans::plan_of(tx, catalogue, organization)?;
    let cap = plan
        .entry
        .max_workspaces
        .map_or(MOST_WORKSPACES, |most| most.min(MOST_WORKSPACES));
    let full = format!("This organization has reached its limit of {cap} workspaces.");
    ensure(
        tx.count_workspaces(organization)? < cap,
        Refusal::Coded(RefusalCode::WorkspaceLimitReached, full),
    )?;
    let workspace = Workspace {
        external_id,
        is_service: new.is_service,
        ..Workspace::new(organization, name, tx.now)
    };
    tx.insert_workspace(&workspace)?;
    tx.record(
        Some(organization),
        Some(caller.user),
        Event::WorkspaceCreated,
        workspace.id.as_str(),
        &workspace.name,
    )?;
    // where nobody has a role by implication, somebody must be able to give the first ones
    if catalogue.admin_roles == AdminRoles::OwnRoles && !caller.operator {
        accounts::add_workspace_member(tx, organization, workspace.id, caller.user, ADMIN_ROLE)?;
    }
    Ok(workspace)
}

/// Changes its name or its external id. Runs behind the organization's lock.
pub fn change(
    tx: &mut Tx,
    catalogue: &Catalogue,
    organization: OrganizationId,
    caller: &Caller,
    id: WorkspaceId,
    wanted: WorkspaceChange,
) -> Result<Workspace, Refusal> {
    rights::ensure_organization(tx, catalogue, organization, caller, MANAGE)?;
    open::ensure_not_suspended(tx, organization)?;
    let before = tx
        .find_workspace(organization, id)?
        .ok_or(Refusal::NotFound)?;
    let mut after = before.clone();
    if let Some(name) = &wanted.name {
        after.name = parse_name(name)?;
        ensure_free_name(tx, organization, &after.name, Some(id))?;
    }
    if let Some(external_id) = wanted.external_id {
        ensure_may_name(caller)?;
        after.external_id = external_id
            .map(|id| parse_external_id(caller, &id))
            .transpose()?;
        if let Some(external_id) = &after.external_id {
            ensure_free_external_id(tx, external_id, Some(id))?;
        }
    }
    if (&after.name, &after.external_id) != (&before.name, &before.external_id) {
        tx.change_workspace(&after)?;
        tx.record(
            Some(organization),
            Some(caller.user),
            Event::WorkspaceChanged,
            id.as_str(),
            &after.name,
        )?;
    }
    Ok(after)
}

/// Deletes one that no live key and no consent reaches any more; its members leave it. Runs behind the organization's lock.
pub fn delete(
    tx: &mut Tx,
    catalogue: &Catalogue,
    organization: OrganizationId,
    caller: &Caller,
    id: WorkspaceId,
) -> Result<(), Refusal> {
    rights::ensure_organization(tx, catalogue, organization, caller, MANAGE)?;
    let workspace = tx
        .find_workspace(organization, id)?
        .ok_or(Refusal::NotFound)?;
    let now = tx.now;
    let keys = tx.count_api_keys_of_workspace(id, now)?;
    let consents = tx.count_consents_of_workspace(id)?;
    let in_use = format!(
        "The workspace is still reached by {} and {}. Revoke them first.",
        count(keys, "API key"),
        count(consents, "consent")
    );
    ensure(keys == 0 && consents == 0, Refusal::Blocked(in_use))?;
    tx.delete_workspace(organization, id)?;
    Ok(tx.record(
        Some(organization),
        Some(caller.user),
        Event::WorkspaceDeleted,
        id.as_str(),
        &workspace.name,
    )?)
}

fn count(number: i64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

fn parse_name(name: &str) -> Result<String, Refusal> {
    parse_text(name, MOST_NAME).map_err(|error| Refusal::Invalid(vec![("name", error.to_string())]))
}

/// The vendor's own names are unique everywhere: a customer who could choose them would learn of others'.
fn ensure_may_name(caller: &Caller) -> Result<(), Refusal> {
    ensure(
        caller.operator,
        Refusal::Forbidden("Only an operator token sets an external_id."),
    )
}

fn parse_external_id(caller: &Caller, external_id: &str) -> Result<String, Refusal> {
    ensure_may_name(caller)?;
    parse_text(external_id, MOST_NAME)
        .map_err(|error| Refusal::Invalid(vec![("external_id", error.to_string())]))
}

fn ensure_free_name(
    tx: &mut Tx,
    organization: OrganizationId,
    name: &str,
    own: Option<WorkspaceId>,
) -> Result<(), Refusal> {
    let taken = tx
        .find_workspace_by_name(organization, name)?
        .is_some_and(|found| Some(found.id) != own);
    ensure(
        !taken,
        Refusal::Invalid(vec![("name", "is taken by another workspace".to_owned())]),
    )
}

fn ensure_free_external_id(
    tx: &mut Tx,
    external_id: &str,
    own: Option<WorkspaceId>,
) -> Result<(), Refusal> {
    let taken = tx
        .find_workspace_by_external_id(external_id)?
        .is_some_and(|found| Some(found.id) != own);
    ensure(
        !taken,
        Refusal::Invalid(vec![(
            "external_id",
            "is taken by another workspace".to_owned(),
        )]),
    )
}
