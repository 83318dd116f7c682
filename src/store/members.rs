//! Who belongs to an organization, and to its workspaces, with which role.

use diesel::dsl::auto_type;
use diesel::{
    BoolExpressionMethods, Connection, ExpressionMethods, Insertable, JoinOnDsl, OptionalExtension,
    QueryDsl, Queryable, Selectable, SelectableHelper,
};

use super::conn::Conn;
use super::organizations::Organization;
use super::schema::{members, organizations, users, workspace_members, workspaces};
use super::statements::{ReadDsl, WriteDsl};
use super::users::User;
use super::{Error, Snapshot, Subject, Tx};
use crate::types::id::{OrganizationId, UserId, WorkspaceId};
use crate::types::state::{
    Licence, MemberState, OrganizationRole, OrganizationState, Suspension, UserKind, UserState,
};
use crate::types::time::Timestamp;

#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = members, treat_none_as_default_value = false)]
pub struct Member {
    pub organization_id: OrganizationId,
    pub user_id: UserId,
    pub role: OrganizationRole,
    pub licence: Licence,
    pub created_at: Timestamp,
    pub state: MemberState,
    /// When the membership ends by itself: a viewer's invitation for some weeks.
    pub ends_at: Option<Timestamp>,
    /// When somebody else proved the address that the member was invited by: suspended until an admin confirms it.
    pub address_lost_at: Option<Timestamp>,
}

impl Member {
    /// An active membership without an end.
    pub fn new(
        organization_id: OrganizationId,
        user_id: UserId,
        role: OrganizationRole,
        licence: Licence,
        now: Timestamp,
    ) -> Self {
        Self {
            organization_id,
            user_id,
            role,
            licence,
            created_at: now,
            state: MemberState::Active,
            ends_at: None,
            address_lost_at: None,
        }
    }
}

/// A membership that has not ended, with what else decides whether it acts.
#[derive(Debug, Clone)]
pub struct Membership {
    pub member: Member,
    pub user: User,
    pub organization: Organization,
    /// The widest that is: the organization before the user before the member.
    pub suspended: Option<Suspension>,
}

impl Membership {
    /// Whether neither the person nor their membership is suspended. What a suspended organization may still do, each rule says.
    pub fn acts(&self) -> bool {
        self.user.state == UserState::Active && self.member.state == MemberState::Active
    }

    fn new((member, user, organization): (Member, User, Organization)) -> Self {
        let suspended = if organization.state == OrganizationState::Suspended {
            Some(Suspension::Organization)
        } else if user.state == UserState::Suspended {
            Some(Suspension::User)
        } else if member.state == MemberState::Suspended {
            Some(Suspension::Member)
        } else {
            None
        };
        Self {
            member,
            user,
            organization,
            suspended,
        }
    }
}

/// The membership has ended by itself. As the complement of [`has_not_ended`] it would use no index.
#[auto_type]
fn has_ended(now: Timestamp) -> _ {
    members::ends_at.le(now)
}

#[auto_type]
pub(super) fn has_not_ended(now: Timestamp) -> _ {
    members::ends_at.is_null().or(members::ends_at.gt(now))
}

/// The membership itself acts: neither suspended nor ended.
#[auto_type]
fn stands(now: Timestamp) -> _ {
    let not_ended: has_not_ended = has_not_ended(now);
    let active: MemberState = MemberState::Active;
    members::state.eq(active).and(not_ended)
}

/// It acts, and so does its user. Of the organization's own state nothing is asked.
#[auto_type]
pub(super) fn acts(now: Timestamp) -> _ {
    let stands: stands = stands(now);
    let active: UserState = UserState::Active;
    users::state.eq(active).and(stands)
}

/// `role` names one of the configured roles, or is the id of a custom one.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = workspace_members)]
pub struct WorkspaceMember {
    pub workspace_id: WorkspaceId,
    pub user_id: UserId,
    pub role: String,
    pub created_at: Timestamp,
}

/// Which members a list holds.
#[derive(Debug, Clone, Default)]
pub struct MemberFilter {
    pub role: Option<OrganizationRole>,
    pub state: Option<MemberState>,
    pub licence: Option<Licence>,
    pub kind: Option<UserKind>,
    /// Those that have a role in this workspace.
    pub workspace: Option<WorkspaceId>,
    /// Those that have a role in one of these; none: all.
    pub only: Option<Vec<WorkspaceId>>,
    /// Exactly this address, as [`crate::types::email::Mailbox::account_key`] writes it.
    pub email: Option<String>,
    /// Those who were invited by an address that somebody else has proven since.
    pub address_lost: bool,
}

impl Snapshot<'_> {
    /// The newest first, those behind `after`, at most `most`.
    pub fn list_members_page(
        &mut self,
        organization: OrganizationId,
        filter: &MemberFilter,
        after: Option<(Timestamp, UserId)>,
        most: i64,
        now: Timestamp,
    ) -> Result<Vec<(Member, User)>, Error> {
        let named = filter.workspace.map(|workspace| vec![workspace]);
        let of_organization = members::organization_id.eq(organization);
        let mut found = members::table
            .inner_join(users::table)
            .filter(of_organization.and(has_not_ended(now)))
            .into_boxed::<<Conn as Connection>::Backend>();
        if let Some(role) = filter.role {
            found = found.filter(members::role.eq(role));
        }
        if let Some(state) = filter.state {
            found = found.filter(members::state.eq(state));
        }
        if let Some(licence) = filter.licence {
            found = found.filter(members::licence.eq(licence));
        }
        if let Some(kind) = filter.kind {
            found = found.filter(users::kind.eq(kind));
        }
        if let Some(email) = &filter.email {
            found = found.filter(users::email.eq(email));
        }
        if filter.address_lost {
            found = found.filter(members::address_lost_at.is_not_null());
        }
        for only in named.iter().chain(&filter.only) {
            let there = workspace_members::table
                .filter(workspace_members::workspace_id.eq_any(only))
                .select(workspace_members::user_id);
            found = found.filter(members::user_id.eq_any(there));
        }
        if let Some((at, id)) = after {
            found = found.filter(
                members::created_at
                    .lt(at)
                    .or(members::created_at.eq(at).and(members::user_id.lt(id))),
            );
        }
        let newest_first = found
            .order((members::created_at.desc(), members::user_id.desc()))
            .limit(most);
        self.run(|conn| {
            newest_first
                .select((Member::as_select(), User::as_select()))
                .load(conn)
        })
    }

    /// Of a workspace, the newest first, those behind `after`, at most `most`.
    pub fn list_workspace_members_page(
        &mut self,
        organization: OrganizationId,
        workspace: WorkspaceId,
        after: Option<(Timestamp, UserId)>,
        most: i64,
        now: Timestamp,
    ) -> Result<Vec<(WorkspaceMember, User)>, Error> {
        let own = workspaces::id
            .eq(workspace_members::workspace_id)
            .and(workspaces::organization_id.eq(organization));
        let member = members::user_id
            .eq(workspace_members::user_id)
            .and(members::organization_id.eq(organization));
        let mut found = workspace_members::table
            .inner_join(users::table)
            .inner_join(workspaces::table.on(own))
            .inner_join(members::table.on(member))
            .filter(workspace_members::workspace_id.eq(workspace))
            .filter(has_not_ended(now))
            .into_boxed::<<Conn as Connection>::Backend>();
        if let Some((at, id)) = after {
            let behind = workspace_members::created_at
                .eq(at)
                .and(workspace_members::user_id.lt(id));
            found = found.filter(workspace_members::created_at.lt(at).or(behind));
        }
        let newest_first = found
            .order((
                workspace_members::created_at.desc(),
                workspace_members::user_id.desc(),
            ))
            .limit(most);
        self.run(|conn| {
            newest_first
                .select((WorkspaceMember::as_select(), User::as_select()))
                .load(conn)
        })
    }

    /// Seats of a licence that are taken: by people whose membership is active and has not ended.
    pub fn count_seats(
        &mut self,
        organization: OrganizationId,
        licence: Licence,
        now: Timestamp,
    ) -> Result<i64, Error> {
        self.run(|conn| {
            members::table
                .inner_join(users::table)
                .filter(
                    members::organization_id
                        .eq(organization)
                        .and(members::licence.eq(licence)),
                )
                .filter(stands(now).and(users::kind.eq(UserKind::Person)))
                .count()
                .get_result(conn)
        })
    }

    /// Memberships that have ended by themselves and are still there, at most `most`.
    pub fn list_ended_members(&mut self, now: Timestamp, most: i64) -> Result<Vec<Member>, Error> {
        let ended = members::table
            .filter(has_ended(now))
            .order(members::ends_at)
            .limit(most);
        self.run(|conn| ended.select(Member::as_select()).load(conn))
    }

    /// Organizations that the person owns.
    pub fn count_organizations_owned_by(
        &mut self,
        user: UserId,
        now: Timestamp,
    ) -> Result<i64, Error> {
        let owned = members::table.filter(
            members::user_id
                .eq(user)
                .and(members::role.eq(OrganizationRole::Owner))
                .and(has_not_ended(now)),
        );
        self.run(|conn| owned.count().get_result(conn))
    }

    /// The membership as it acts at `now`; none when there is none or it has ended.
    pub fn find_membership(
        &mut self,
        organization: OrganizationId,
        user: UserId,
        now: Timestamp,
    ) -> Result<Option<Membership>, Error> {
        let found = self.run(|conn| {
            members::table
                .inner_join(users::table)
                .inner_join(organizations::table)
                .filter(
                    members::organization_id
                        .eq(organization)
                        .and(members::user_id.eq(user)),
                )
                .filter(has_not_ended(now))
                .select((
                    Member::as_select(),
                    User::as_select(),
                    Organization::as_select(),
                ))
                .first(conn)
                .optional()
        })?;
        Ok(found.map(Membership::new))
    }

    /// The row of a membership that has not ended, whether or not it acts.
    pub fn find_member(
        &mut self,
        organization: OrganizationId,
        user: UserId,
        now: Timestamp,
    ) -> Result<Option<Member>, Error> {
        self.run(|conn| {
            members::table
                .find((organization, user))
                .filter(has_not_ended(now))
                .select(Member::as_select())
                .first(conn)
                .optional()
        })
    }

    /// Whether a membership has ended by itself, and its row is still there.
    pub fn has_ended_member(
        &mut self,
        organization: OrganizationId,
        user: UserId,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let ended = members::table
            .find((organization, user))
            .filter(has_ended(now));
        let found: Option<UserId> =
            self.run(|conn| ended.select(members::user_id).first(conn).optional())?;
        Ok(found.is_some())
    }

    /// The user's workspaces in the organization, each with the role there.
    pub fn list_workspace_roles(
        &mut self,
        organization: OrganizationId,
        user: UserId,
    ) -> Result<Vec<(WorkspaceId, String)>, Error> {
        self.run(|conn| {
            workspace_members::table
                .inner_join(
                    workspaces::table.on(workspaces::id.eq(workspace_members::workspace_id)),
                )
                .filter(
                    workspaces::organization_id
                        .eq(organization)
                        .and(workspace_members::user_id.eq(user)),
                )
                .order(workspaces::id)
                .select((workspace_members::workspace_id, workspace_members::role))
                .load(conn)
        })
    }

    /// The owner who has been there the longest.
    pub fn find_oldest_owner(
        &mut self,
        organization: OrganizationId,
    ) -> Result<Option<UserId>, Error> {
        self.run(|conn| {
            members::table
                .filter(
                    members::organization_id
                        .eq(organization)
                        .and(members::role.eq(OrganizationRole::Owner)),
                )
                .order((members::created_at, members::user_id))
                .select(members::user_id)
                .first(conn)
                .optional()
        })
    }

    /// Owners who can act: people, neither suspended nor ended.
    pub fn count_owners(
        &mut self,
        organization: OrganizationId,
        now: Timestamp,
    ) -> Result<i64, Error> {
        self.run(|conn| {
            members::table
                .inner_join(users::table)
                .filter(
                    members::organization_id
                        .eq(organization)
                        .and(members::role.eq(OrganizationRole::Owner)),
                )
                .filter(acts(now).and(users::kind.eq(UserKind::Person)))
                .count()
                .get_result(conn)
        })
    }
}

impl Tx<'_> {
    pub fn insert_member(&mut self, member: &Member) -> Result<(), Error> {
        self.run_one_news([Subject::Organization(member.organization_id)], |conn| {
            diesel::insert_into(members::table)
                .values(member)
                .execute(conn)
        })
    }

    pub fn change_member_role(
        &mut self,
        organization: OrganizationId,
        user: UserId,
        from: OrganizationRole,
        to: OrganizationRole,
    ) -> Result<(), Error> {
        let from_row = members::table
            .find((organization, user))
            .filter(members::role.eq(from));
        self.run_one_news([Subject::Organization(organization)], |conn| {
            diesel::update(from_row)
                .set(members::role.eq(to))
                .execute(conn)
        })
    }

    pub fn change_member_licence(
        &mut self,
        organization: OrganizationId,
        user: UserId,
        from: Licence,
        to: Licence,
    ) -> Result<(), Error> {
        let from_row = members::table
            .find((organization, user))
            .filter(members::licence.eq(from));
        self.run_one_news([Subject::Organization(organization)], |conn| {
            diesel::update(from_row)
                .set(members::licence.eq(to))
                .execute(conn)
        })
    }

    pub fn change_member_state(
        &mut self,
        organization: OrganizationId,
        user: UserId,
        from: MemberState,
        to: MemberState,
    ) -> Result<(), Error> {
        let from_row = members::table
            .find((organization, user))
            .filter(members::state.eq(from));
        self.run_one_news([Subject::Organization(organization)], |conn| {
            diesel::update(from_row)
                .set(members::state.eq(to))
                .execute(conn)
        })
    }

    /// What a list shows; the membership acts by its state.
    pub fn change_member_address_loss(
        &mut self,
        organization: OrganizationId,
        user: UserId,
        lost_at: Option<Timestamp>,
    ) -> Result<(), Error> {
        self.run_one_quiet(|conn| {
            diesel::update(members::table.find((organization, user)))
                .set(members::address_lost_at.eq(lost_at))
                .execute(conn)
        })
    }

    pub fn change_member_end(
        &mut self,
        organization: OrganizationId,
        user: UserId,
        ends_at: Option<Timestamp>,
    ) -> Result<(), Error> {
        self.run_one_news([Subject::Organization(organization)], |conn| {
            diesel::update(members::table.find((organization, user)))
                .set(members::ends_at.eq(ends_at))
                .execute(conn)
        })
    }

    /// Removes the user from the organization; workspaces are left one by one with [`Tx::delete_workspace_member`].
    pub fn delete_member(
        &mut self,
        organization: OrganizationId,
        user: UserId,
    ) -> Result<(), Error> {
        self.run_one_news([Subject::Organization(organization)], |conn| {
            diesel::delete(members::table.find((organization, user))).execute(conn)
        })
    }

    /// `NotFound` when the workspace is another organization's, as for the two below.
    pub fn insert_workspace_member(
        &mut self,
        organization: OrganizationId,
        member: &WorkspaceMember,
    ) -> Result<(), Error> {
        self.expect_workspaces(organization, &[member.workspace_id])?;
        self.run_one_news([Subject::Organization(organization)], |conn| {
            diesel::insert_into(workspace_members::table)
                .values(member)
                .execute(conn)
        })
    }

    pub fn change_workspace_role(
        &mut self,
        organization: OrganizationId,
        workspace: WorkspaceId,
        user: UserId,
        from: &str,
        to: &str,
    ) -> Result<(), Error> {
        self.expect_workspaces(organization, &[workspace])?;
        let from_row = workspace_members::table
            .find((workspace, user))
            .filter(workspace_members::role.eq(from));
        self.run_one_news([Subject::Organization(organization)], |conn| {
            diesel::update(from_row)
                .set(workspace_members::role.eq(to))
                .execute(conn)
        })
    }

    pub fn delete_workspace_member(
        &mut self,
        organization: OrganizationId,
        workspace: WorkspaceId,
        user: UserId,
    ) -> Result<(), Error> {
        self.expect_workspaces(organization, &[workspace])?;
        self.run_one_news([Subject::Organization(organization)], |conn| {
            diesel::delete(workspace_members::table.find((workspace, user))).execute(conn)
        })
    }
}
