//! Service accounts: members that nobody signs in as, for keys that outlive people (row 28).

use crate::config::Catalogue;
use crate::domain::people::accounts::{self, MOST_NAME};
use crate::domain::people::members::{self, Listed, MANAGE, ensure_below, ensure_free_standing};
use crate::domain::people::roles;
use crate::domain::plans::open;
use crate::domain::rights::caller::Caller;
use crate::domain::rights::old_rights as rights;
use crate::domain::{Refusal, ensure};
use crate::store::members::MemberFilter;
use crate::store::{Snapshot, Tx};
use crate::types::event::Event;
use crate::types::id::{OrganizationId, UserId, WorkspaceId};
use crate::types::refusal_code::RefusalCode;
use crate::types::state::{OrganizationRole, UserKind};
use crate::types::text::parse_text;

/// Of one organization, those of applications included.
const MOST_ACCOUNTS: i64 = 500;
/// Roles that one request gives.
pub const MOST_ROLES: usize = 100;

#[derive(Debug, Clone)]
pub struct NewServiceAccount {
    pub name: String,
    /// In the organization: `member` or `admin`.
    pub role: OrganizationRole,
    /// With the role in each.
    pub workspaces: Vec<(WorkspaceId, String)>,
}

pub fn get(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    organization: OrganizationId,
    caller: &Caller,
    id: UserId,
    within: Option<Vec<WorkspaceId>>,
) -> Result<Listed, Refusal> {
    let found = members::get(snapshot, catalogue, organization, caller, id, within)?;
    ensure(
        found.user.kind == UserKind::ServiceAccount,
        Refusal::NotFound,
    )?;
    Ok(found)
}

/// Makes one that holds at most what its maker holds. Runs behind the organization's lock.
pub fn create(
    tx: &mut Tx,
    catalogue: &Catalogue,
    organization: OrganizationId,
    caller: &Caller,
    new: &NewServiceAccount,
) -> Result<Listed, Refusal> {
    rights::ensure_organization(tx, catalogue, organization, caller, MANAGE)?;
    open::ensure_not_suspended(tx, organization)?;
    let name = parse_text(&new.name, MOST_NAME)
        .map_err(|error| Refusal::Invalid(vec![("name", error.to_string())]))?;
    ensure(
        new.role < OrganizationRole::Owner,
        Refusal::Invalid(vec![(
            "role",
            "a service account owns no organization".to_owned(),
        )]),
    )?;
    ensure_below(tx, organization, caller, new.role)?;
    check_workspaces(tx, catalogue, organization, &new.workspaces)?;
    let filter = MemberFilter {
        kind: Some(UserKind::ServiceAccount),
        ..MemberFilter::default()
    };
    let count = tx
        .list_members_page(organization, &filter, None, MOST_ACCOUNTS)?
        .len();
    let full = format!(
        "This organization has reached its limit of {MOST_ACCOUNTS} service accounts. Delete one that is not needed any more."
    );
    ensure(
        i64::try_from(count).is_ok_and(|count| count < MOST_ACCOUNTS),
        Refusal::Coded(RefusalCode::ServiceAccountLimitReached, full),
    )?;
    let user = accounts::create_service_account(tx, organization, &name)?;
    rights::ensure_no_more(tx, catalogue, organization, caller, user.id, |tx| {
        if new.role != OrganizationRole::Member {
            tx.change_member_role(organization, user.id, OrganizationRole::Member, new.role)?;
        }
        for (workspace, role) in &new.workspaces {
            accounts::add_workspace_member(tx, organization, *workspace, user.id, role)?;
        }
        Ok(())
    })?;
    tx.record(
        Some(organization),
        Some(caller.user),
        Event::ServiceAccountCreated,
        user.id.as_str(),
        &user.name,
    )?;
    get(tx, catalogue, organization, caller, user.id, None)
}

/// Workspaces that are to be joined: of this organization, each once, with roles that there are.
pub fn check_workspaces(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    organization: OrganizationId,
    workspaces: &[(WorkspaceId, String)],
) -> Result<(), Refusal> {
    let invalid = |message: &str| Refusal::Invalid(vec![("workspaces", message.to_owned())]);
    ensure(
        workspaces.len() <= MOST_ROLES,
        invalid("must be at most 100"),
    )?;
    for (index, (workspace, role)) in workspaces.iter().enumerate() {
        ensure(
            workspaces[..index]
                .iter()
                .all(|(other, _)| other != workspace),
            invalid("must name each workspace once"),
        )?;
        ensure(
            snapshot.find_workspace(organization, *workspace)?.is_some(),
            invalid("must be workspaces of this organization"),
        )?;
        roles::ensure_exists(snapshot, catalogue, organization, role)?;
    }
    Ok(())
}

/// Runs behind the organization's lock.
pub fn rename(
    tx: &mut Tx,
    catalogue: &Catalogue,
    organization: OrganizationId,
    caller: &Caller,
    id: UserId,
    name: &str,
) -> Result<Listed, Refusal> {
    rights::ensure_organization(tx, catalogue, organization, caller, MANAGE)?;
    let found = get(tx, catalogue, organization, caller, id, None)?;
    ensure_below(tx, organization, caller, found.member.role)?;
    ensure_free_standing(tx, id)?;
    let name = parse_text(name, MOST_NAME)
        .map_err(|error| Refusal::Invalid(vec![("name", error.to_string())]))?;
    if name == found.user.name {
        return Ok(found);
    }
    tx.change_user_name(id, &name)?;
    tx.record(
        Some(organization),
        Some(caller.user),
        Event::ServiceAccountRenamed,
        id.as_str(),
        &name,
    )?;
    get(tx, catalogue, organization, caller, id, None)
}
