//! Service accounts: members that nobody signs in as, for keys that outlive people (row 28).

use crate::config::Catalogue;
use crate::domain::desk::{Desk, View};
use crate::domain::people::accounts::{self, MOST_NAME};
use crate::domain::people::members::{
    self, ListedMember, MemberChange, ensure_below, ensure_free_standing,
};
use crate::domain::people::roles;
use crate::domain::plans::open;
use crate::domain::{Refusal, ensure};
use crate::store::Snapshot;
use crate::store::members::MemberFilter;
use crate::types::event::Event;
use crate::types::id::{OrganizationId, UserId, WorkspaceId};
use crate::types::refusal_code::RefusalCode;
use crate::types::right::Right;
use crate::types::state::{MemberState, OrganizationRole, UserKind};
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

/// What is to change; none stays as it is.
#[derive(Debug, Clone, Default)]
pub struct ServiceAccountChange {
    pub name: Option<String>,
    pub role: Option<OrganizationRole>,
    pub state: Option<MemberState>,
}

pub fn get(view: &mut View, id: UserId) -> Result<ListedMember, Refusal> {
    service_account(members::get(view, id)?)
}

/// What a request that is sent again has made before.
pub fn made(desk: &mut Desk, id: UserId) -> Result<ListedMember, Refusal> {
    let now = desk.now();
    service_account(members::find(desk.tx, desk.organization, id, None, now)?)
}

fn service_account(found: ListedMember) -> Result<ListedMember, Refusal> {
    let is_one = found.user.kind == UserKind::ServiceAccount;
    ensure(is_one, Refusal::NotFound)?;
    Ok(found)
}

/// Makes one that holds at most what its maker holds. Runs behind the organization's lock.
pub fn create(desk: &mut Desk, new: &NewServiceAccount) -> Result<ListedMember, Refusal> {
    desk.ensure(Right::MembersManage)?;
    let organization = desk.organization;
    open::ensure_not_suspended(desk.tx, organization)?;
    let name = parse_name(&new.name)?;
    ensure(
        new.role < OrganizationRole::Owner,
        Refusal::Invalid(vec![(
            "role",
            "a service account owns no organization".to_owned(),
        )]),
    )?;
    ensure_below(desk, new.role)?;
    check_workspaces(
        desk.tx,
        &desk.settings.catalogue,
        organization,
        &new.workspaces,
    )?;
    ensure_free_place(desk)?;
    let user = accounts::create_service_account(desk.tx, organization, &name)?;
    desk.ensure_no_more(user.id, |desk| {
        if new.role != OrganizationRole::Member {
            let before = OrganizationRole::Member;
            desk.tx
                .change_member_role(organization, user.id, before, new.role)?;
        }
        for (workspace, role) in &new.workspaces {
            accounts::add_workspace_member(desk.tx, organization, *workspace, user.id, role)?;
        }
        Ok(())
    })?;
    desk.record(Event::ServiceAccountCreated, user.id.as_str(), &user.name)?;
    made(desk, user.id)
}

fn ensure_free_place(desk: &mut Desk) -> Result<(), Refusal> {
    let filter = MemberFilter {
        kind: Some(UserKind::ServiceAccount),
        ..MemberFilter::default()
    };
    let (organization, now) = (desk.organization, desk.now());
    let count = desk
        .tx
        .list_members_page(organization, &filter, None, MOST_ACCOUNTS, now)?
        .len();
    let full = format!(
        "This organization has reached its limit of {MOST_ACCOUNTS} service accounts. Delete one that is not needed any more."
    );
    ensure(
        i64::try_from(count).is_ok_and(|count| count < MOST_ACCOUNTS),
        Refusal::Coded(RefusalCode::ServiceAccountLimitReached, full),
    )
}

fn parse_name(name: &str) -> Result<String, Refusal> {
    parse_text(name, MOST_NAME).map_err(|error| Refusal::Invalid(vec![("name", error.to_string())]))
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
pub fn change(
    desk: &mut Desk,
    id: UserId,
    wanted: &ServiceAccountChange,
) -> Result<ListedMember, Refusal> {
    desk.ensure(Right::MembersManage)?;
    let found = made(desk, id)?;
    if let Some(name) = &wanted.name {
        rename(desk, &found, name)?;
    }
    let wanted = MemberChange {
        role: wanted.role,
        state: wanted.state,
        ..MemberChange::default()
    };
    members::change(desk, id, &wanted)
}

fn rename(desk: &mut Desk, found: &ListedMember, name: &str) -> Result<(), Refusal> {
    ensure_below(desk, found.member.role)?;
    ensure_free_standing(desk.tx, found.user.id)?;
    let name = parse_name(name)?;
    if name == found.user.name {
        return Ok(());
    }
    desk.tx.change_user_name(found.user.id, &name)?;
    Ok(desk.record(Event::ServiceAccountRenamed, found.user.id.as_str(), &name)?)
}
