//! Admission: what a person gets who joins an organization, by an invitation or by a request that is approved.
//!
//! Invariant: whoever admits holds everything that is granted, at the moment of joining.

use crate::domain::desk::Desk;
use crate::domain::people::accounts;
use crate::domain::people::endings;
use crate::domain::people::members::ensure_below;
use crate::domain::people::service_accounts::check_workspaces;
use crate::domain::plans::open;
use crate::domain::plans::seats;
use crate::domain::rights::rights::{self, BEYOND, Rights};
use crate::domain::{Refusal, ensure};
use crate::store::members::Member;
use crate::types::event::Event;
use crate::types::id::{OrganizationId, UserId, WorkspaceId};
use crate::types::refusal_code::RefusalCode;
use crate::types::right::Right;
use crate::types::state::{Licence, OrganizationRole};
use crate::types::time::Timestamp;

/// What the new member gets.
#[derive(Debug, Clone)]
pub struct Grant {
    pub role: OrganizationRole,
    pub licence: Licence,
    /// When the membership ends by itself.
    pub ends_at: Option<Timestamp>,
    /// With the role in each.
    pub workspaces: Vec<(WorkspaceId, String)>,
}

impl Grant {
    fn member(&self, organization: OrganizationId, user: UserId, now: Timestamp) -> Member {
        Member {
            ends_at: self.ends_at,
            ..Member::new(organization, user, self.role, self.licence, now)
        }
    }
}

/// Refuses a grant that is wrong, or more than the asker may give now.
pub fn check(desk: &mut Desk, grant: &Grant) -> Result<(), Refusal> {
    let granting = granting(desk)?;
    open::ensure_not_suspended(desk.tx, desk.organization)?;
    ensure_below(desk, grant.role)?;
    let (organization, now) = (desk.organization, desk.now());
    let invalid =
        |field: &'static str, message: &str| Refusal::Invalid(vec![(field, message.to_owned())]);
    ensure(
        grant.ends_at.is_none_or(|end| end > now),
        invalid("member_ends_at", "must be in the future"),
    )?;
    let endless_owner = grant.ends_at.is_none() || grant.role < OrganizationRole::Owner;
    ensure(
        endless_owner,
        invalid("member_ends_at", "an owner's membership has no end"),
    )?;
    let catalogue = &desk.settings.catalogue;
    check_workspaces(desk.tx, catalogue, organization, &grant.workspaces)?;
    let member = grant.member(organization, desk.asker.user, now);
    let granted = rights::of_grant(desk.tx, catalogue, &member, &grant.workspaces)?;
    ensure(granted.is_within(&granting), Refusal::Forbidden(BEYOND))
}

/// What the asker may give a new member: all that they hold themselves, if they manage members; by `users:manage` alone, which
/// a key for organization operations holds, no more than the credential lets through.
fn granting(desk: &mut Desk) -> Result<Rights, Refusal> {
    match desk.ensure(Right::MembersManage) {
        Ok(()) => desk.own_rights(),
        Err(Refusal::Forbidden(_)) => {
            desk.ensure(Right::UsersManage)?;
            desk.rights()
        }
        Err(other) => Err(other),
    }
}

/// Makes the person a member. Runs behind the organization's lock: seats are counted.
pub fn admit(desk: &mut Desk, user: UserId, grant: &Grant) -> Result<Member, Refusal> {
    check(desk, grant)?;
    let (organization, now) = (desk.organization, desk.now());
    endings::end_if_over(desk.tx, organization, user)?;
    let there = "This person is a member of the organization already.";
    ensure(
        desk.tx.find_member(organization, user, now)?.is_none(),
        Refusal::Coded(RefusalCode::AlreadyMember, there.to_owned()),
    )?;
    let person = desk.tx.find_user(user)?.ok_or(Refusal::NotFound)?;
    accounts::ensure_no_operator(&person)?;
    seats::ensure_free(
        desk.tx,
        &desk.settings.catalogue,
        organization,
        grant.licence,
    )?;
    let member = grant.member(organization, user, now);
    desk.tx.insert_member(&member)?;
    let detail = format!("{}, {}", grant.role, grant.licence);
    desk.record(Event::MemberAdded, user.as_str(), &detail)?;
    for (workspace, role) in &grant.workspaces {
        accounts::add_workspace_member(desk.tx, organization, *workspace, user, role)?;
    }
    Ok(member)
}
