//! The organization's own roles.
//!
//! Invariant: nobody puts into a role what they do not hold themselves, wherever somebody holds the role.

use crate::config::Catalogue;
use crate::domain::clients::applications;
use crate::domain::rights::caller::Caller;
use crate::domain::rights::old_rights as rights;
use crate::domain::{Refusal, ensure};
use crate::store::roles::Role;
use crate::store::{Snapshot, Tx};
use crate::types::event::Event;
use crate::types::id::{OrganizationId, RoleId};
use crate::types::permission::PermissionSet;
use crate::types::refusal_code::RefusalCode;
use crate::types::right::Right;
use crate::types::text::{TextError, parse_text};
use crate::types::time::Timestamp;

/// The right to make them, in the organization itself.
const MANAGE: Right = Right::RolesManage;
/// The right to see them, anywhere.
const READ: Right = Right::MembersRead;
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

/// A page of the organization's own.
pub fn list(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    organization: OrganizationId,
    caller: &Caller,
    after: Option<(Timestamp, RoleId)>,
    most: i64,
) -> Result<Vec<Role>, Refusal> {
    ensure_may_read(snapshot, catalogue, organization, caller)?;
    Ok(snapshot.list_roles_page(organization, after, most)?)
}

pub fn get(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    organization: OrganizationId,
    caller: &Caller,
    id: RoleId,
) -> Result<Role, Refusal> {
    ensure_may_read(snapshot, catalogue, organization, caller)?;
    snapshot
        .find_role(organization, id)?
        .ok_or(Refusal::NotFound)
}

fn ensure_may_read(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    organization: OrganizationId,
    caller: &Caller,
) -> Result<(), Refusal> {
    let (whole, there) =
        rights::rights(snapshot, catalogue, organization, caller)?.places_of(catalogue, READ);
    ensure(
        whole || !there.is_empty(),
        Refusal::Forbidden("Your role does not allow this."),
    )
}

/// Makes a role. Runs behind the organization's lock: names and the cap are counted.
pub fn create(
    tx: &mut Tx,
    catalogue: &Catalogue,
    organization: OrganizationId,
    caller: &Caller,
    wanted: RoleSettings,
) -> Result<Role, Refusal> {
    rights::ensure_organization(tx, catalogue, organization, caller, MANAGE)?;
    applications::ensure_not_suspended(tx, organization)?;
    let full = format!(
        "This organization has reached its limit of {MOST_ROLES} roles of its own. Delete one that nobody holds."
    );
    ensure(
        tx.list_roles(organization)?.len() < MOST_ROLES,
        Refusal::Coded(RefusalCode::RoleLimitReached, full),
    )?;
    let (name, description, permissions) = check(tx, catalogue, organization, &wanted, None)?;
    let held = rights::rights(tx, catalogue, organization, caller)?.anywhere();
    ensure(
        permissions.is_subset_of(held),
        Refusal::Forbidden(rights::BEYOND),
    )?;
    let id = RoleId::generate(tx.now);
    let role = Role {
        id,
        organization_id: organization,
        name,
        description,
        permissions: catalogue.names(permissions).join(" "),
        created_at: tx.now,
    };
    tx.insert_role(&role)?;
    tx.record(
        Some(organization),
        Some(caller.user),
        Event::RoleCreated,
        id.as_str(),
        &role.permissions,
    )?;
    Ok(role)
}

/// Changes a role for everybody who holds it, at once. Runs behind the organization's lock.
pub fn change(
    tx: &mut Tx,
    catalogue: &Catalogue,
    organization: OrganizationId,
    caller: &Caller,
    id: RoleId,
    wanted: RoleSettings,
) -> Result<Role, Refusal> {
    rights::ensure_organization(tx, catalogue, organization, caller, MANAGE)?;
    applications::ensure_not_suspended(tx, organization)?;
    let before = tx.find_role(organization, id)?.ok_or(Refusal::NotFound)?;
    let (name, description, permissions) = check(tx, catalogue, organization, &wanted, Some(id))?;
    let added = permissions & !catalogue.of_names(before.permissions.split(' '));
    let held = rights::rights(tx, catalogue, organization, caller)?;
    ensure(
        added.is_subset_of(held.anywhere()),
        Refusal::Forbidden(rights::BEYOND),
    )?;
    for (workspace, _) in tx.list_workspaces_of_role(organization, id)? {
        ensure(
            added.is_subset_of(held.in_workspace(workspace)),
            Refusal::Forbidden(rights::BEYOND),
        )?;
    }
    let after = Role {
        name,
        description,
        permissions: catalogue.names(permissions).join(" "),
        ..before.clone()
    };
    if after != before {
        tx.change_role(&after)?;
        tx.record(
            Some(organization),
            Some(caller.user),
            Event::RoleChanged,
            id.as_str(),
            &after.permissions,
        )?;
    }
    Ok(after)
}

/// Deletes a role that nobody holds. Runs behind the organization's lock.
pub fn delete(
    tx: &mut Tx,
    catalogue: &Catalogue,
    organization: OrganizationId,
    caller: &Caller,
    id: RoleId,
) -> Result<(), Refusal> {
    rights::ensure_organization(tx, catalogue, organization, caller, MANAGE)?;
    let role = tx.find_role(organization, id)?.ok_or(Refusal::NotFound)?;
    let places: Vec<String> = tx
        .list_workspaces_of_role(organization, id)?
        .into_iter()
        .map(|(_, name)| name)
        .collect();
    let shown = places
        .iter()
        .take(10)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    let in_use = format!(
        "Somebody still holds this role in {} workspace(s): {shown}. Give them another role first.",
        places.len()
    );
    ensure(
        places.is_empty(),
        Refusal::Coded(RefusalCode::RoleInUse, in_use),
    )?;
    tx.delete_role(organization, id)?;
    Ok(tx.record(
        Some(organization),
        Some(caller.user),
        Event::RoleDeleted,
        id.as_str(),
        &role.name,
    )?)
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

type Checked = (String, String, PermissionSet);

fn check(
    tx: &mut Tx,
    catalogue: &Catalogue,
    organization: OrganizationId,
    wanted: &RoleSettings,
    own: Option<RoleId>,
) -> Result<Checked, Refusal> {
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
        || tx
            .find_role_by_name(organization, &name)?
            .is_some_and(|found| Some(found.id) != own);
    if taken {
        errors.push(("name", "is taken by another role".to_owned()));
    }
    let permissions = check_permissions(catalogue, &wanted.permissions)
        .map_err(|message| errors.push(("permissions", message)));
    match permissions {
        Ok(permissions) if errors.is_empty() => Ok((name, description, permissions)),
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
