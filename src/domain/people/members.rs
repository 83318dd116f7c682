//! Members of an organization and of its workspaces: who may see them, and who may change what they are.
//!
//! Invariants, asked in the transaction that changes something and behind the organization's lock: nobody grants more than
//! they hold; nobody changes whoever stands above them; an organization always keeps an owner who can act.

use crate::config::Catalogue;
use crate::domain::lifecycle::departures;
use crate::domain::people::roles;
use crate::domain::plans::open;
use crate::domain::plans::seats;
use crate::domain::rights::caller::Caller;
use crate::domain::rights::old_rights::{self as rights, Rights};
use crate::domain::{Refusal, ensure};
use crate::store::members::{Member, MemberFilter, WorkspaceMember};
use crate::store::users::User;
use crate::store::{Snapshot, Tx};
use crate::types::event::Event;
use crate::types::id::{OrganizationId, UserId, WorkspaceId};
use crate::types::refusal_code::RefusalCode;
use crate::types::right::Right;
use crate::types::state::{Licence, MemberState, OrganizationRole, UserKind};
use crate::types::time::Timestamp;

/// The right to see them.
pub const READ: Right = Right::MembersRead;
/// The right to change them.
pub const MANAGE: Right = Right::MembersManage;
/// What a suspended member reads.
pub const SUSPENDED: &str = "Your membership in this organization is suspended.";

/// A member with the workspaces that the caller may know of.
#[derive(Debug, Clone)]
pub struct Listed {
    pub member: Member,
    pub user: User,
    /// With the role in each.
    pub workspaces: Vec<(WorkspaceId, String)>,
}

/// What is to change; none stays as it is.
#[derive(Debug, Clone, Default)]
pub struct MemberChange {
    pub role: Option<OrganizationRole>,
    pub licence: Option<Licence>,
    pub state: Option<MemberState>,
    /// `Some(None)`: without an end.
    pub ends_at: Option<Option<Timestamp>>,
}

/// The member, unless they are suspended: who opens the Dev Centre and changes what is in it.
pub(in crate::domain) fn find_acting(
    snapshot: &mut Snapshot,
    organization: OrganizationId,
    user: UserId,
) -> Result<Member, Refusal> {
    let member = snapshot
        .find_member(organization, user)?
        .ok_or(Refusal::NotFound)?;
    ensure(
        member.state == MemberState::Active,
        Refusal::Forbidden(SUSPENDED),
    )?;
    Ok(member)
}

/// Where the caller sees members: everywhere, or in these workspaces.
fn view(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    organization: OrganizationId,
    caller: &Caller,
) -> Result<Option<Vec<WorkspaceId>>, Refusal> {
    let (whole, there) =
        rights::rights(snapshot, catalogue, organization, caller)?.places_of(catalogue, READ);
    ensure(
        whole || !there.is_empty(),
        Refusal::Forbidden("Your role does not allow this."),
    )?;
    Ok((!whole).then_some(there))
}

/// A page of those that the caller may see, at most `most`; of these workspaces only, if `filter` names some.
pub fn list(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    organization: OrganizationId,
    caller: &Caller,
    filter: MemberFilter,
    after: Option<(Timestamp, UserId)>,
    most: i64,
) -> Result<Vec<Listed>, Refusal> {
    let only = narrower(
        view(snapshot, catalogue, organization, caller)?,
        filter.only,
    );
    let filter = MemberFilter {
        only: only.clone(),
        ..filter
    };
    if let Some(workspace) = filter.workspace {
        snapshot
            .find_workspace(organization, workspace)?
            .ok_or(Refusal::NotFound)?;
    }
    let rows = snapshot.list_members_page(organization, &filter, after, most)?;
    rows.into_iter()
        .map(|(member, user)| listed(snapshot, member, user, only.as_deref()))
        .collect()
}

fn narrower(
    one: Option<Vec<WorkspaceId>>,
    other: Option<Vec<WorkspaceId>>,
) -> Option<Vec<WorkspaceId>> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.into_iter().filter(|id| other.contains(id)).collect()),
        (one, other) => one.or(other),
    }
}

/// One of them, as far as `within` these workspaces; none: everywhere.
pub fn get(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    organization: OrganizationId,
    caller: &Caller,
    id: UserId,
    within: Option<Vec<WorkspaceId>>,
) -> Result<Listed, Refusal> {
    let only = narrower(view(snapshot, catalogue, organization, caller)?, within);
    let member = snapshot
        .find_member(organization, id)?
        .ok_or(Refusal::NotFound)?;
    let user = snapshot.find_user(id)?.ok_or(Refusal::NotFound)?;
    let found = listed(snapshot, member, user, only.as_deref())?;
    ensure(
        only.is_none() || !found.workspaces.is_empty(),
        Refusal::NotFound,
    )?;
    Ok(found)
}

fn listed(
    snapshot: &mut Snapshot,
    member: Member,
    user: User,
    only: Option<&[WorkspaceId]>,
) -> Result<Listed, Refusal> {
    let mut workspaces = snapshot.list_workspace_roles(member.organization_id, member.user_id)?;
    workspaces.retain(|(id, _)| only.is_none_or(|only| only.contains(id)));
    Ok(Listed {
        member,
        user,
        workspaces,
    })
}

/// A page of a workspace's own members, at most `most`. Admins of the organization are not among them unless they have a role there.
pub fn list_of_workspace(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    organization: OrganizationId,
    caller: &Caller,
    workspace: WorkspaceId,
    after: Option<(Timestamp, UserId)>,
    most: i64,
) -> Result<Vec<(WorkspaceMember, User)>, Refusal> {
    ensure_in_workspace(snapshot, catalogue, organization, caller, workspace, READ)?;
    Ok(snapshot.list_workspace_members_page(organization, workspace, after, most)?)
}

/// A workspace that the caller does not know is not there.
fn ensure_in_workspace(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    organization: OrganizationId,
    caller: &Caller,
    workspace: WorkspaceId,
    needed: Right,
) -> Result<(), Refusal> {
    let held = rights::rights(snapshot, catalogue, organization, caller)?;
    ensure(!held.in_workspace(workspace).is_empty(), Refusal::NotFound)?;
    snapshot
        .find_workspace(organization, workspace)?
        .ok_or(Refusal::NotFound)?;
    rights::ensure_workspace(snapshot, catalogue, organization, workspace, caller, needed)
}

/// Changes what a member is in the organization. Runs behind the organization's lock.
pub fn change(
    tx: &mut Tx,
    catalogue: &Catalogue,
    organization: OrganizationId,
    caller: &Caller,
    id: UserId,
    wanted: &MemberChange,
) -> Result<Listed, Refusal> {
    rights::ensure_organization(tx, catalogue, organization, caller, MANAGE)?;
    let before = tx.find_member(organization, id)?.ok_or(Refusal::NotFound)?;
    ensure_below(tx, organization, caller, before.role)?;
    let user = tx.find_user(id)?.ok_or(Refusal::NotFound)?;
    ensure_free_standing(tx, id)?;
    let after = wanted.applied(&before);
    check(tx, organization, caller, &user, &before, &after)?;
    keeping_an_owner(tx, organization, |tx| {
        rights::ensure_no_more(tx, catalogue, organization, caller, id, |tx| {
            write(tx, catalogue, &user, &before, &after)
        })
    })?;
    let changed = differences(&before, &after);
    if !changed.is_empty() {
        tx.record(
            Some(organization),
            Some(caller.user),
            Event::MemberChanged,
            id.as_str(),
            &changed.join(", "),
        )?;
    }
    listed(tx, after, user, None)
}

impl MemberChange {
    fn applied(&self, before: &Member) -> Member {
        Member {
            role: self.role.unwrap_or(before.role),
            licence: self.licence.unwrap_or(before.licence),
            state: self.state.unwrap_or(before.state),
            ends_at: self.ends_at.unwrap_or(before.ends_at),
            ..before.clone()
        }
    }
}

fn check(
    tx: &mut Tx,
    organization: OrganizationId,
    caller: &Caller,
    user: &User,
    before: &Member,
    after: &Member,
) -> Result<(), Refusal> {
    let invalid =
        |field: &'static str, message: &str| Refusal::Invalid(vec![(field, message.to_owned())]);
    if after.role != before.role {
        ensure_below(tx, organization, caller, after.role)?;
        ensure(
            user.kind == UserKind::Person || after.role < OrganizationRole::Owner,
            invalid("role", "a service account owns no organization"),
        )?;
    }
    let begins = before.state == MemberState::Suspended && after.state == MemberState::Active;
    if begins || after.role > before.role {
        open::ensure_not_suspended(tx, organization)?;
    }
    ensure(
        after.ends_at == before.ends_at || after.ends_at.is_none_or(|end| end > tx.now),
        invalid("ends_at", "must be in the future"),
    )?;
    ensure(
        after.ends_at.is_none() || after.role < OrganizationRole::Owner,
        invalid("ends_at", "an owner's membership has no end"),
    )
}

/// Writes what differs. A seat is taken by whoever becomes active, or changes the licence.
fn write(
    tx: &mut Tx,
    catalogue: &Catalogue,
    user: &User,
    before: &Member,
    after: &Member,
) -> Result<(), Refusal> {
    let (organization, id) = (before.organization_id, before.user_id);
    let takes_a_seat = after.state == MemberState::Active
        && (before.state != MemberState::Active || before.licence != after.licence);
    if takes_a_seat && user.kind == UserKind::Person {
        seats::ensure_free(tx, catalogue, organization, after.licence)?;
    }
    if after.role != before.role {
        tx.change_member_role(organization, id, before.role, after.role)?;
    }
    if after.licence != before.licence {
        tx.change_member_licence(organization, id, before.licence, after.licence)?;
    }
    if after.state != before.state {
        tx.change_member_state(organization, id, before.state, after.state)?;
    }
    if after.ends_at != before.ends_at {
        tx.change_member_end(organization, id, after.ends_at)?;
    }
    Ok(())
}

fn differences(before: &Member, after: &Member) -> Vec<String> {
    let end = |member: &Member| {
        member
            .ends_at
            .map_or_else(|| "never".to_owned(), Timestamp::rfc3339)
    };
    let all = [
        ("role", before.role.to_string(), after.role.to_string()),
        (
            "licence",
            before.licence.to_string(),
            after.licence.to_string(),
        ),
        ("state", before.state.to_string(), after.state.to_string()),
        ("ends", end(before), end(after)),
    ];
    all.into_iter()
        .filter(|(_, old, new)| old != new)
        .map(|(field, old, new)| format!("{field}: {old} to {new}"))
        .collect()
}

/// Nobody touches whoever stands above them, nor lifts anybody above themselves.
pub(in crate::domain) fn ensure_below(
    snapshot: &mut Snapshot,
    organization: OrganizationId,
    caller: &Caller,
    role: OrganizationRole,
) -> Result<(), Refusal> {
    let message = "Only an owner can make, change or remove an owner of the organization.";
    ensure(
        role <= rights::rank(snapshot, organization, caller)?,
        Refusal::Forbidden(message),
    )
}

/// Does `change`, unless it would take the organization's last owner who can act.
pub(in crate::domain) fn keeping_an_owner<T>(
    tx: &mut Tx,
    organization: OrganizationId,
    change: impl FnOnce(&mut Tx) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    let now = tx.now;
    let before = tx.count_owners(organization, now)?;
    let done = change(tx)?;
    let message = "This is the organization's last owner. Make somebody else an owner first.";
    ensure(
        before == 0 || tx.count_owners(organization, now)? > 0,
        Refusal::Coded(RefusalCode::LastOwner, message.to_owned()),
    )?;
    Ok(done)
}

/// What belongs to an application, a workspace or the organization follows that.
pub(in crate::domain) fn ensure_free_standing(
    snapshot: &mut Snapshot,
    id: UserId,
) -> Result<(), Refusal> {
    let Some(of) = snapshot.find_holder_of_service_account(id)? else {
        return Ok(());
    };
    Err(Refusal::Coded(
        RefusalCode::BuiltIn,
        format!("This service account belongs to {of}, and changes with it."),
    ))
}

/// Gives a member of the organization a role in a workspace, in place of one that is there. Runs behind the organization's lock.
pub fn put_workspace_role(
    tx: &mut Tx,
    catalogue: &Catalogue,
    organization: OrganizationId,
    caller: &Caller,
    workspace: WorkspaceId,
    id: UserId,
    role: &str,
) -> Result<(), Refusal> {
    ensure_in_workspace(tx, catalogue, organization, caller, workspace, MANAGE)?;
    open::ensure_not_suspended(tx, organization)?;
    tx.find_member(organization, id)?.ok_or(Refusal::NotFound)?;
    ensure_free_standing(tx, id)?;
    roles::ensure_exists(tx, catalogue, organization, role)?;
    ensure_not_stronger(tx, catalogue, organization, caller, workspace, id)?;
    let held = tx
        .list_workspace_roles(organization, id)?
        .into_iter()
        .find(|(place, _)| *place == workspace)
        .map(|(_, role)| role);
    if held.as_deref() == Some(role) {
        return Ok(());
    }
    let now = tx.now;
    rights::ensure_no_more(tx, catalogue, organization, caller, id, |tx| match &held {
        Some(held) => Ok(tx.change_workspace_role(organization, workspace, id, held, role)?),
        None => {
            let row = WorkspaceMember {
                workspace_id: workspace,
                user_id: id,
                role: role.to_owned(),
                created_at: now,
            };
            Ok(tx.insert_workspace_member(organization, &row)?)
        }
    })?;
    let detail = format!(
        "{workspace}: {} to {role}",
        held.as_deref().unwrap_or("no role")
    );
    Ok(tx.record(
        Some(organization),
        Some(caller.user),
        Event::WorkspaceMemberChanged,
        id.as_str(),
        &detail,
    )?)
}

/// Takes the role in a workspace away: what was made for that workspace alone ends for good. Runs behind the organization's lock.
pub fn remove_from_workspace(
    tx: &mut Tx,
    catalogue: &Catalogue,
    organization: OrganizationId,
    caller: &Caller,
    workspace: WorkspaceId,
    id: UserId,
) -> Result<(), Refusal> {
    let is_self = !caller.operator && caller.user == id;
    if !is_self {
        ensure_in_workspace(tx, catalogue, organization, caller, workspace, MANAGE)?;
        ensure_not_stronger(tx, catalogue, organization, caller, workspace, id)?;
    }
    ensure_free_standing(tx, id)?;
    tx.find_workspace(organization, workspace)?
        .ok_or(Refusal::NotFound)?;
    departures::leave_workspace(tx, catalogue, organization, workspace, id, caller.user)
}

/// In a workspace nobody changes whoever holds more there than they do.
fn ensure_not_stronger(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    organization: OrganizationId,
    caller: &Caller,
    workspace: WorkspaceId,
    id: UserId,
) -> Result<(), Refusal> {
    let own: Rights = rights::rights(snapshot, catalogue, organization, caller)?;
    let theirs = rights::of_user(snapshot, catalogue, organization, id)?;
    let message = "This member holds more in the workspace than you do.";
    ensure(
        theirs
            .in_workspace(workspace)
            .is_subset_of(own.in_workspace(workspace)),
        Refusal::Forbidden(message),
    )
}
