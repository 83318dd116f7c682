//! Workspaces: who may see, create, change and delete them.

use crate::config::{ADMIN_ROLE, AdminRoles};
use crate::domain::desk::{Desk, View};
use crate::domain::people::accounts;
use crate::domain::people::accounts::MOST_NAME;
use crate::domain::plans::open;
use crate::domain::plans::plans;
use crate::domain::rights::asker::Asker;
use crate::domain::{Refusal, ensure};
use crate::store::Tx;
use crate::store::workspaces::{Workspace, WorkspaceFilter};
use crate::types::event::Event;
use crate::types::id::{OrganizationId, WorkspaceId};
use crate::types::refusal_code::RefusalCode;
use crate::types::right::Right;
use crate::types::text::parse_text;
use crate::types::time::Timestamp;

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

/// A page of those that the asker has a role in; operators see all of them.
pub fn list(
    view: &mut View,
    filter: &WorkspaceFilter,
    after: Option<(Timestamp, WorkspaceId)>,
    most: i64,
) -> Result<Vec<Workspace>, Refusal> {
    let filter = WorkspaceFilter {
        only: view.rights()?.reached(),
        ..filter.clone()
    };
    Ok(view
        .snapshot
        .list_workspaces_page(view.organization, &filter, after, most)?)
}

pub fn get(view: &mut View, id: WorkspaceId) -> Result<Workspace, Refusal> {
    ensure(view.rights()?.reaches(id), Refusal::NotFound)?;
    view.snapshot
        .find_workspace(view.organization, id)?
        .ok_or(Refusal::NotFound)
}

/// Creates one. Runs behind the organization's lock: names and the cap are counted.
pub fn create(desk: &mut Desk, new: &NewWorkspace) -> Result<Workspace, Refusal> {
    desk.ensure(Right::WorkspacesManage)?;
    make(desk, new)
}

/// The same, once the asker's rights are known.
pub(in crate::domain) fn make(desk: &mut Desk, new: &NewWorkspace) -> Result<Workspace, Refusal> {
    let organization = desk.organization;
    open::ensure_not_suspended(desk.tx, organization)?;
    let name = parse_name(&new.name)?;
    let external_id = new
        .external_id
        .as_deref()
        .map(|id| parse_external_id(desk.asker, id))
        .transpose()?;
    ensure_free_name(desk.tx, organization, &name, None)?;
    if let Some(external_id) = &external_id {
        ensure_free_external_id(desk.tx, external_id, None)?;
    }
    ensure_below_cap(desk)?;
    let workspace = Workspace {
        external_id,
        is_service: new.is_service,
        ..Workspace::new(organization, name, desk.now())
    };
    desk.tx.insert_workspace(&workspace)?;
    desk.record(
        Event::WorkspaceCreated,
        workspace.id.as_str(),
        &workspace.name,
    )?;
    // where nobody has a role by implication, somebody must be able to give the first ones
    if desk.settings.catalogue.admin_roles == AdminRoles::OwnRoles && !desk.asker.is_operator() {
        let maker = desk.asker.user;
        accounts::add_workspace_member(desk.tx, organization, workspace.id, maker, ADMIN_ROLE)?;
    }
    Ok(workspace)
}

fn ensure_below_cap(desk: &mut Desk) -> Result<(), Refusal> {
    let plan = plans::plan_of(desk.tx, &desk.settings.catalogue, desk.organization)?;
    let cap = plan
        .entry
        .max_workspaces
        .map_or(MOST_WORKSPACES, |most| most.min(MOST_WORKSPACES));
    let full = format!("This organization has reached its limit of {cap} workspaces.");
    ensure(
        desk.tx.count_workspaces(desk.organization)? < cap,
        Refusal::Coded(RefusalCode::WorkspaceLimitReached, full),
    )
}

/// Changes its name or its external id. Runs behind the organization's lock.
pub fn change(
    desk: &mut Desk,
    id: WorkspaceId,
    wanted: &WorkspaceChange,
) -> Result<Workspace, Refusal> {
    ensure_managed(desk, id)?;
    apply(desk, id, wanted)
}

/// The same, once the asker's rights are known.
pub(in crate::domain) fn apply(
    desk: &mut Desk,
    id: WorkspaceId,
    wanted: &WorkspaceChange,
) -> Result<Workspace, Refusal> {
    let organization = desk.organization;
    open::ensure_not_suspended(desk.tx, organization)?;
    let before = desk
        .tx
        .find_workspace(organization, id)?
        .ok_or(Refusal::NotFound)?;
    let mut after = before.clone();
    if let Some(name) = &wanted.name {
        after.name = parse_name(name)?;
        ensure_free_name(desk.tx, organization, &after.name, Some(id))?;
    }
    if let Some(external_id) = &wanted.external_id {
        ensure_may_name(desk.asker)?;
        after.external_id = external_id
            .as_deref()
            .map(|id| parse_external_id(desk.asker, id))
            .transpose()?;
        if let Some(external_id) = &after.external_id {
            ensure_free_external_id(desk.tx, external_id, Some(id))?;
        }
    }
    if (&after.name, &after.external_id) != (&before.name, &before.external_id) {
        desk.tx.change_workspace(&after)?;
        desk.record(Event::WorkspaceChanged, id.as_str(), &after.name)?;
    }
    Ok(after)
}

/// A workspace that the asker does not reach is not there.
fn ensure_managed(desk: &mut Desk, id: WorkspaceId) -> Result<(), Refusal> {
    ensure(desk.rights()?.reaches(id), Refusal::NotFound)?;
    desk.ensure(Right::WorkspacesManage)
}

/// Deletes one that no live key and no consent reaches any more; its members leave it. Runs behind the organization's lock.
pub fn delete(desk: &mut Desk, id: WorkspaceId) -> Result<(), Refusal> {
    ensure_managed(desk, id)?;
    let (organization, now) = (desk.organization, desk.now());
    let workspace = desk
        .tx
        .find_workspace(organization, id)?
        .ok_or(Refusal::NotFound)?;
    let keys = desk.tx.count_api_keys_of_workspace(id, now)?;
    let consents = desk.tx.count_consents_of_workspace(id)?;
    let in_use = format!(
        "The workspace is still reached by {} and {}. Revoke them first.",
        count(keys, "API key"),
        count(consents, "consent")
    );
    ensure(keys == 0 && consents == 0, Refusal::Blocked(in_use))?;
    desk.tx.delete_workspace(organization, id)?;
    Ok(desk.record(Event::WorkspaceDeleted, id.as_str(), &workspace.name)?)
}

fn count(number: i64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

fn parse_name(name: &str) -> Result<String, Refusal> {
    parse_text(name, MOST_NAME).map_err(|error| Refusal::Invalid(vec![("name", error.to_string())]))
}

/// The vendor's own names are unique everywhere: a customer who could choose them would learn of others'.
fn ensure_may_name(asker: &Asker) -> Result<(), Refusal> {
    ensure(
        asker.is_operator(),
        Refusal::Forbidden("Only an operator token sets an external_id."),
    )
}

fn parse_external_id(asker: &Asker, external_id: &str) -> Result<String, Refusal> {
    ensure_may_name(asker)?;
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
