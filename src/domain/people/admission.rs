//! Admission: what a person gets who joins an organization, by an invitation or by a request that is approved.
//!
//! Invariant: whoever admits holds everything that is granted, at the moment of joining.

use crate::config::Catalogue;
use crate::domain::people::accounts;
use crate::domain::people::members::{MANAGE, ensure_below};
use crate::domain::people::service_accounts::check_workspaces;
use crate::domain::plans::open;
use crate::domain::plans::seats;
use crate::domain::rights::caller::Caller;
use crate::domain::rights::old_rights as rights;
use crate::domain::{Refusal, ensure};
use crate::store::members::Member;
use crate::store::{Snapshot, Tx};
use crate::types::event::Event;
use crate::types::id::{OrganizationId, UserId, WorkspaceId};
use crate::types::refusal_code::RefusalCode;
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

/// Refuses a grant that is wrong, or more than the caller may give now.
pub fn check(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    organization: OrganizationId,
    caller: &Caller,
    grant: &Grant,
    now: Timestamp,
) -> Result<(), Refusal> {
    rights::ensure_organization(snapshot, catalogue, organization, caller, MANAGE)?;
    open::ensure_not_suspended(snapshot, organization)?;
    ensure_below(snapshot, organization, caller, grant.role)?;
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
    check_workspaces(snapshot, catalogue, organization, &grant.workspaces)?;
    let granted = rights::of_grant(
        snapshot,
        catalogue,
        &grant.member(organization, caller.user, now),
        &grant.workspaces,
    )?;
    rights::ensure_holds(snapshot, catalogue, organization, caller, &granted)
}

/// Makes the person a member. Runs behind the organization's lock: seats are counted.
pub fn admit(
    tx: &mut Tx,
    catalogue: &Catalogue,
    organization: OrganizationId,
    caller: &Caller,
    user: UserId,
    grant: &Grant,
) -> Result<Member, Refusal> {
    let now = tx.now;
    check(tx, catalogue, organization, caller, grant, now)?;
    let there = "This person is a member of the organization already.";
    ensure(
        tx.find_member(organization, user)?.is_none(),
        Refusal::Coded(RefusalCode::AlreadyMember, there.to_owned()),
    )?;
    seats::ensure_free(tx, catalogue, organization, grant.licence)?;
    let member = grant.member(organization, user, now);
    tx.insert_member(&member)?;
    tx.record(
        Some(organization),
        Some(caller.user),
        Event::MemberAdded,
        user.as_str(),
        &format!("{}, {}", grant.role, grant.licence),
    )?;
    for (workspace, role) in &grant.workspaces {
        accounts::add_workspace_member(tx, organization, *workspace, user, role)?;
    }
    Ok(member)
}
