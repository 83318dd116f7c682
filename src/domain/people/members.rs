//! Members of an organization and of its workspaces: who may see them, and who may change what they are.
//!
//! Invariants, asked in the transaction that changes something and behind the organization's lock: nobody grants more than
//! they hold; nobody changes whoever stands above them; an organization always keeps an owner who can act.

use crate::domain::desk::{Desk, View};
use crate::domain::people::endings;
use crate::domain::people::planted;
use crate::domain::people::roles;
use crate::domain::plans::open;
use crate::domain::plans::seats;
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

/// What a suspended member reads.
pub const SUSPENDED: &str = "Your membership in this organization is suspended.";

/// A member with the workspaces that the asker may know of.
#[derive(Debug, Clone)]
pub struct ListedMember {
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

/// The asker's own membership, unless it is suspended: who opens the Dev Centre and changes what is in it.
pub(in crate::domain) fn find_acting(view: &mut View) -> Result<Member, Refusal> {
    let membership = view
        .snapshot
        .find_membership(view.organization, view.asker.user, view.now)?
        .ok_or(Refusal::NotFound)?;
    ensure(membership.acts(), Refusal::Forbidden(SUSPENDED))?;
    Ok(membership.member)
}

/// A page of those that the asker may see, at most `most`.
pub fn list(
    view: &mut View,
    filter: &MemberFilter,
    after: Option<(Timestamp, UserId)>,
    most: i64,
) -> Result<Vec<ListedMember>, Refusal> {
    let filter = MemberFilter {
        only: view.some_places_of(Right::MembersRead)?.only(),
        ..filter.clone()
    };
    if let Some(workspace) = filter.workspace {
        view.snapshot
            .find_workspace(view.organization, workspace)?
            .ok_or(Refusal::NotFound)?;
    }
    let rows =
        view.snapshot
            .list_members_page(view.organization, &filter, after, most, view.now)?;
    rows.into_iter()
        .map(|(member, user)| listed(view.snapshot, member, user, filter.only.as_deref()))
        .collect()
}

/// One of them, as far as the asker may see.
pub fn get(view: &mut View, id: UserId) -> Result<ListedMember, Refusal> {
    let only = view.some_places_of(Right::MembersRead)?.only();
    let found = find(
        view.snapshot,
        view.organization,
        id,
        only.as_deref(),
        view.now,
    )?;
    ensure(
        only.is_none() || !found.workspaces.is_empty(),
        Refusal::NotFound,
    )?;
    Ok(found)
}

/// The member with their roles in `only` these workspaces; none: in all.
pub(in crate::domain) fn find(
    snapshot: &mut Snapshot,
    organization: OrganizationId,
    id: UserId,
    only: Option<&[WorkspaceId]>,
    now: Timestamp,
) -> Result<ListedMember, Refusal> {
    let member = snapshot
        .find_member(organization, id, now)?
        .ok_or(Refusal::NotFound)?;
    let user = snapshot.find_user(id)?.ok_or(Refusal::NotFound)?;
    listed(snapshot, member, user, only)
}

fn listed(
    snapshot: &mut Snapshot,
    member: Member,
    user: User,
    only: Option<&[WorkspaceId]>,
) -> Result<ListedMember, Refusal> {
    let mut workspaces = snapshot.list_workspace_roles(member.organization_id, member.user_id)?;
    workspaces.retain(|(id, _)| only.is_none_or(|only| only.contains(id)));
    Ok(ListedMember {
        member,
        user,
        workspaces,
    })
}

/// A page of a workspace's own members, at most `most`. Admins of the organization are not among them unless they have a role there.
pub fn list_of_workspace(
    view: &mut View,
    workspace: WorkspaceId,
    after: Option<(Timestamp, UserId)>,
    most: i64,
) -> Result<Vec<(WorkspaceMember, User)>, Refusal> {
    ensure_in_workspace(view, workspace, Right::MembersRead)?;
    let organization = view.organization;
    Ok(view
        .snapshot
        .list_workspace_members_page(organization, workspace, after, most, view.now)?)
}

/// A workspace that the asker does not reach is not there.
fn ensure_in_workspace(
    view: &mut View,
    workspace: WorkspaceId,
    needed: Right,
) -> Result<(), Refusal> {
    ensure(view.rights()?.reaches(workspace), Refusal::NotFound)?;
    view.snapshot
        .find_workspace(view.organization, workspace)?
        .ok_or(Refusal::NotFound)?;
    view.ensure_in(workspace, needed)
}

/// Changes what a member is in the organization. Runs behind the organization's lock.
pub fn change(desk: &mut Desk, id: UserId, wanted: &MemberChange) -> Result<ListedMember, Refusal> {
    desk.ensure(Right::MembersManage)?;
    // one that has ended by itself is over, although its row may still be there: nobody takes that back
    let (organization, now) = (desk.organization, desk.now());
    let before = desk
        .tx
        .find_member(organization, id, now)?
        .ok_or(Refusal::NotFound)?;
    ensure_below(desk, before.role)?;
    let user = desk.tx.find_user(id)?.ok_or(Refusal::NotFound)?;
    ensure_free_standing(desk.tx, id)?;
    let after = wanted.applied(&before);
    check(desk, &user, &before, &after)?;
    keeping_an_owner(desk, |desk| {
        desk.ensure_no_more(id, |desk| write(desk, &user, &before, &after))
    })?;
    if after.role < before.role || after.licence != before.licence {
        planted::end_unvouched(desk, id)?;
    }
    let changed = differences(&before, &after);
    if !changed.is_empty() {
        desk.record(Event::MemberChanged, id.as_str(), &changed.join(", "))?;
    }
    listed(desk.tx, after, user, None)
}

impl MemberChange {
    fn applied(&self, before: &Member) -> Member {
        let state = self.state.unwrap_or(before.state);
        Member {
            role: self.role.unwrap_or(before.role),
            licence: self.licence.unwrap_or(before.licence),
            state,
            // confirmed, whatever became of the address
            address_lost_at: before
                .address_lost_at
                .filter(|_| state == MemberState::Suspended),
            ends_at: self.ends_at.unwrap_or(before.ends_at),
            ..before.clone()
        }
    }
}

fn check(desk: &mut Desk, user: &User, before: &Member, after: &Member) -> Result<(), Refusal> {
    let invalid =
        |field: &'static str, message: &str| Refusal::Invalid(vec![(field, message.to_owned())]);
    if after.role != before.role {
        ensure_below(desk, after.role)?;
        ensure(
            user.kind == UserKind::Person || after.role < OrganizationRole::Owner,
            invalid("role", "a service account owns no organization"),
        )?;
    }
    let begins = before.state == MemberState::Suspended && after.state == MemberState::Active;
    if begins || after.role > before.role {
        open::ensure_not_suspended(desk.tx, desk.organization)?;
    }
    let now = desk.now();
    ensure(
        after.ends_at == before.ends_at || after.ends_at.is_none_or(|end| end > now),
        invalid("ends_at", "must be in the future"),
    )?;
    ensure(
        after.ends_at.is_none() || after.role < OrganizationRole::Owner,
        invalid("ends_at", "an owner's membership has no end"),
    )
}

/// Writes what differs. A seat is taken by whoever becomes active, or changes the licence.
fn write(desk: &mut Desk, user: &User, before: &Member, after: &Member) -> Result<(), Refusal> {
    let (organization, id) = (before.organization_id, before.user_id);
    let takes_a_seat = after.state == MemberState::Active
        && (before.state != MemberState::Active || before.licence != after.licence);
    if takes_a_seat && user.kind == UserKind::Person {
        let catalogue = &desk.settings.catalogue;
        seats::ensure_free(desk.tx, catalogue, organization, after.licence)?;
    }
    if after.role != before.role {
        desk.tx
            .change_member_role(organization, id, before.role, after.role)?;
        endings::change_role(desk.tx, organization, id, (before.role, after.role))?;
    }
    if after.licence != before.licence {
        desk.tx
            .change_member_licence(organization, id, before.licence, after.licence)?;
    }
    if after.state != before.state {
        desk.tx
            .change_member_state(organization, id, before.state, after.state)?;
        if after.state == MemberState::Suspended {
            desk.tx.delete_confined_sessions_of(organization, id)?;
        }
    }
    if after.ends_at != before.ends_at {
        desk.tx.change_member_end(organization, id, after.ends_at)?;
    }
    if after.address_lost_at != before.address_lost_at {
        let lost_at = after.address_lost_at;
        desk.tx
            .change_member_address_loss(organization, id, lost_at)?;
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
    desk: &mut Desk,
    role: OrganizationRole,
) -> Result<(), Refusal> {
    let message = "Only an owner can make, change or remove an owner of the organization.";
    ensure(role <= desk.rights()?.role, Refusal::Forbidden(message))
}

/// Does `change`, unless it would take the organization's last owner who can act.
pub(in crate::domain) fn keeping_an_owner<T>(
    desk: &mut Desk,
    change: impl FnOnce(&mut Desk) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    let (organization, now) = (desk.organization, desk.now());
    let before = desk.tx.count_owners(organization, now)?;
    let done = change(desk)?;
    let message = "This is the organization's last owner. Make somebody else an owner first.";
    ensure(
        before == 0 || desk.tx.count_owners(organization, now)? > 0,
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
    desk: &mut Desk,
    workspace: WorkspaceId,
    id: UserId,
    role: &str,
) -> Result<(), Refusal> {
    let (organization, now) = (desk.organization, desk.now());
    ensure_in_workspace(&mut desk.view(), workspace, Right::MembersManage)?;
    open::ensure_not_suspended(desk.tx, organization)?;
    desk.tx
        .find_member(organization, id, now)?
        .ok_or(Refusal::NotFound)?;
    ensure_free_standing(desk.tx, id)?;
    roles::ensure_exists(desk.tx, &desk.settings.catalogue, organization, role)?;
    ensure_not_stronger(desk, workspace, id)?;
    let held = desk
        .tx
        .list_workspace_roles(organization, id)?
        .into_iter()
        .find(|(place, _)| *place == workspace)
        .map(|(_, role)| role);
    if held.as_deref() == Some(role) {
        return Ok(());
    }
    desk.ensure_no_more(id, |desk| {
        let row = WorkspaceMember {
            workspace_id: workspace,
            user_id: id,
            role: role.to_owned(),
            created_at: desk.now(),
        };
        write_workspace_role(desk.tx, organization, &row, held.as_deref())
    })?;
    planted::end_unvouched(desk, id)?;
    let detail = format!(
        "{workspace}: {} to {role}",
        held.as_deref().unwrap_or("no role")
    );
    Ok(desk.record(Event::WorkspaceMemberChanged, id.as_str(), &detail)?)
}

/// In place of the role that is `held`, if one is.
fn write_workspace_role(
    tx: &mut Tx,
    organization: OrganizationId,
    row: &WorkspaceMember,
    held: Option<&str>,
) -> Result<(), Refusal> {
    let (workspace, id) = (row.workspace_id, row.user_id);
    match held {
        Some(held) => tx.change_workspace_role(organization, workspace, id, held, &row.role)?,
        None => tx.insert_workspace_member(organization, row)?,
    }
    Ok(())
}

/// Takes the role in a workspace away: what was made for that workspace alone ends for good. Runs behind the organization's lock.
pub fn remove_from_workspace(
    desk: &mut Desk,
    workspace: WorkspaceId,
    id: UserId,
) -> Result<(), Refusal> {
    ensure_in_workspace(&mut desk.view(), workspace, Right::MembersManage)?;
    ensure_not_stronger(desk, workspace, id)?;
    ensure_free_standing(desk.tx, id)?;
    endings::leave_workspace(desk, workspace, id)
}

/// In a workspace nobody changes whoever holds more there than they do.
fn ensure_not_stronger(desk: &mut Desk, workspace: WorkspaceId, id: UserId) -> Result<(), Refusal> {
    let own = desk.own_rights()?;
    let theirs = desk.rights_of(id)?;
    let message = "This member holds more in the workspace than you do.";
    ensure(
        theirs
            .in_workspace(workspace)
            .is_subset_of(own.in_workspace(workspace)),
        Refusal::Forbidden(message),
    )
}
