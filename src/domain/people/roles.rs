//! The organization's own roles.
//!
//! Invariant: nobody puts into a role what they do not hold themselves, wherever somebody holds the role.

use crate::config::Catalogue;
use crate::domain::desk::{Desk, View};
use crate::domain::people::planted;
use crate::domain::plans::open;
use crate::domain::rights::rights::BEYOND;
use crate::domain::{Refusal, ensure};
use crate::store::Snapshot;
use crate::store::roles::Role;
use crate::types::event::Event;
use crate::types::id::{OrganizationId, RoleId};
use crate::types::permission::PermissionSet;
use crate::types::refusal_code::RefusalCode;
use crate::types::right::Right;
use crate::types::text::{TextError, parse_text};
use crate::types::time::Timestamp;

const MOST_NAME: usize = 100;
const MOST_DESCRIPTION: usize = 500;
/// Own roles of one organization.
const MOST_ROLES: usize = 100;
/// Names that one request lists.
const MOST_PERMISSIONS: usize = 200;

/// A role to be made, or how one is to be.
#[derive(Debug, Clone)]
pub struct RoleSettings {
    pub name: String,
    pub description: String,
    /// Names of the catalogue.
    pub permissions: Vec<String>,
}

/// What is to change of a role; what is left out stays.
#[derive(Debug, Clone)]
pub struct RoleChange {
    pub name: Option<String>,
    pub description: Option<String>,
    pub permissions: Option<Vec<String>>,
}

/// A page of the organization's own.
pub fn list(
    view: &mut View,
    after: Option<(Timestamp, RoleId)>,
    most: i64,
) -> Result<Vec<Role>, Refusal> {
    view.some_places_of(Right::MembersRead)?;
    Ok(view
        .snapshot
        .list_roles_page(view.organization, after, most)?)
}

pub fn get(view: &mut View, id: RoleId) -> Result<Role, Refusal> {
    view.some_places_of(Right::MembersRead)?;
    view.snapshot
        .find_role(view.organization, id)?
        .ok_or(Refusal::NotFound)
}

/// Makes a role. Runs behind the organization's lock: names and the cap are counted.
pub fn create(desk: &mut Desk, wanted: &RoleSettings) -> Result<Role, Refusal> {
    desk.ensure(Right::RolesManage)?;
    open::ensure_not_suspended(desk.tx, desk.organization)?;
    let full = format!(
        "This organization has reached its limit of {MOST_ROLES} roles of its own. Delete one that nobody holds."
    );
    ensure(
        desk.tx.list_roles(desk.organization)?.len() < MOST_ROLES,
        Refusal::Coded(RefusalCode::RoleLimitReached, full),
    )?;
    let checked = check(desk, wanted, None)?;
    let held = desk.own_rights()?.anywhere();
    ensure(
        checked.permissions.is_subset_of(held),
        Refusal::Forbidden(BEYOND),
    )?;
    let id = RoleId::generate(desk.now());
    let role = Role {
        id,
        organization_id: desk.organization,
        name: checked.name,
        description: checked.description,
        permissions: desk.settings.catalogue.names(checked.permissions).join(" "),
        created_at: desk.now(),
    };
    desk.tx.insert_role(&role)?;
    desk.record(Event::RoleCreated, id.as_str(), &role.permissions)?;
    Ok(role)
}

/// Changes a role for everybody who holds it, at once. Runs behind the organization's lock.
pub fn change(desk: &mut Desk, id: RoleId, wanted: &RoleChange) -> Result<Role, Refusal> {
    desk.ensure(Right::RolesManage)?;
    open::ensure_not_suspended(desk.tx, desk.organization)?;
    let before = desk
        .tx
        .find_role(desk.organization, id)?
        .ok_or(Refusal::NotFound)?;
    let checked = check(desk, &wanted.applied(&before), Some(id))?;
    let added = checked.permissions
        & !desk
            .settings
            .catalogue
            .of_names(before.permissions.split(' '));
    let held = desk.own_rights()?;
    ensure(
        added.is_subset_of(held.anywhere()),
        Refusal::Forbidden(BEYOND),
    )?;
    for (workspace, _) in desk.tx.list_workspaces_of_role(desk.organization, id)? {
        ensure(
            added.is_subset_of(held.in_workspace(workspace)),
            Refusal::Forbidden(BEYOND),
        )?;
    }
    let after = Role {
        name: checked.name,
        description: checked.description,
        permissions: desk.settings.catalogue.names(checked.permissions).join(" "),
        ..before.clone()
    };
    if after != before {
        desk.tx.change_role(&after)?;
        desk.record(Event::RoleChanged, id.as_str(), &after.permissions)?;
        for holder in desk.tx.list_holders_of_role(desk.organization, id)? {
            planted::end_unvouched(desk, holder)?;
        }
    }
    Ok(after)
}

impl RoleChange {
    fn applied(&self, before: &Role) -> RoleSettings {
        let permissions = || before.permissions.split(' ').map(str::to_owned).collect();
        RoleSettings {
            name: self.name.clone().unwrap_or_else(|| before.name.clone()),
            description: self
                .description
                .clone()
                .unwrap_or_else(|| before.description.clone()),
            permissions: self.permissions.clone().unwrap_or_else(permissions),
        }
    }
}

/// Deletes a role that nobody holds. Runs behind the organization's lock.
pub fn delete(desk: &mut Desk, id: RoleId) -> Result<(), Refusal> {
    desk.ensure(Right::RolesManage)?;
    let role = desk
        .tx
        .find_role(desk.organization, id)?
        .ok_or(Refusal::NotFound)?;
    let places = desk.tx.list_workspaces_of_role(desk.organization, id)?;
    let shown: Vec<&str> = places
        .iter()
        .take(10)
        .map(|(_, name)| name.as_str())
        .collect();
    let in_use = format!(
        "Somebody still holds this role in {} workspace(s): {}. Give them another role first.",
        places.len(),
        shown.join(", ")
    );
    ensure(
        places.is_empty(),
        Refusal::Coded(RefusalCode::RoleInUse, in_use),
    )?;
    desk.tx.delete_role(desk.organization, id)?;
    Ok(desk.record(Event::RoleDeleted, id.as_str(), &role.name)?)
}

/// Whether it can be given: one of the configured ones, or the organization's own.
pub fn ensure_exists(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    organization: OrganizationId,
    role: &str,
) -> Result<(), Refusal> {
    let own = match role.parse::<RoleId>() {
        Ok(id) => snapshot.find_role(organization, id)?.is_some(),
        Err(_) => catalogue.roles().any(|name| name == role),
    };
    let known: Vec<&str> = catalogue.roles().collect();
    let message = format!(
        "must be one of {}, or the id of a role of this organization",
        known.join(", ")
    );
    ensure(own, Refusal::Invalid(vec![("role", message)]))
}

/// What is stored of a role.
struct Checked {
    name: String,
    description: String,
    permissions: PermissionSet,
}

fn check(desk: &mut Desk, wanted: &RoleSettings, own: Option<RoleId>) -> Result<Checked, Refusal> {
    let catalogue = &desk.settings.catalogue;
    let mut errors = Vec::new();
    let name = parse_text(&wanted.name, MOST_NAME).unwrap_or_else(|error| {
        errors.push(("name", error.to_string()));
        String::new()
    });
    let description = match parse_text(&wanted.description, MOST_DESCRIPTION) {
        Ok(text) => text,
        Err(error) => {
            if error != TextError::Empty {
                errors.push(("description", error.to_string()));
            }
            String::new()
        }
    };
    // two roles of one name could not be told apart, nor one from the vendor's
    let taken = catalogue
        .roles()
        .any(|known| known.eq_ignore_ascii_case(&name))
        || desk
            .tx
            .find_role_by_name(desk.organization, &name)?
            .is_some_and(|found| Some(found.id) != own);
    if taken {
        errors.push(("name", "is taken by another role".to_owned()));
    }
    let permissions = check_permissions(catalogue, &wanted.permissions)
        .map_err(|message| errors.push(("permissions", message)));
    match permissions {
        Ok(permissions) if errors.is_empty() => Ok(Checked {
            name,
            description,
            permissions,
        }),
        _ => Err(Refusal::Invalid(errors)),
    }
}

fn check_permissions(catalogue: &Catalogue, names: &[String]) -> Result<PermissionSet, String> {
    ensure(
        !names.is_empty(),
        "must name at least one permission".to_owned(),
    )?;
    ensure(
        names.len() <= MOST_PERMISSIONS,
        format!("must be at most {MOST_PERMISSIONS}"),
    )?;
    let mut set = PermissionSet::NONE;
    for name in names {
        let known = catalogue
            .permission(name)
            .map(PermissionSet::of)
            .filter(|one| one.is_subset_of(catalogue.all()));
        let one = known.ok_or_else(|| "must be permissions of the catalogue".to_owned())?;
        ensure(
            (one & catalogue.organization()).is_empty(),
            format!("{name} is done to the organization itself: no role in a workspace holds it"),
        )?;
        set |= one;
    }
    Ok(set)
}
