//! Invitations, and the workspaces that each opens.

use diesel::{
    BoolExpressionMethods, Connection, ExpressionMethods, Insertable, NullableExpressionMethods,
    OptionalExtension, QueryDsl, Queryable, Selectable, SelectableHelper,
};

use super::conn::Conn;
use super::schema::{invitation_workspaces, invitations, users};
use super::statements::{ReadDsl, WriteDsl};
use super::{Error, Snapshot, Tx};
use crate::crypto::digest::Digest;
use crate::types::id::{InvitationId, OrganizationId, UserId, WorkspaceId};
use crate::types::state::{InvitationState, Licence, OrganizationRole};
use crate::types::time::Timestamp;

#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = invitations, treat_none_as_default_value = false)]
pub struct Invitation {
    pub id: InvitationId,
    pub organization_id: OrganizationId,
    /// `Mailbox::account_key`.
    pub email: String,
    pub role: OrganizationRole,
    pub licence: Licence,
    /// The end of the membership that it grants.
    pub member_ends_at: Option<Timestamp>,
    pub digest: Digest,
    pub state: InvitationState,
    pub created_by: UserId,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub decided_at: Option<Timestamp>,
    pub accepted_by: Option<UserId>,
}

impl Invitation {
    /// Waits for an answer, in its time.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.state == InvitationState::Pending && self.expires_at > now
    }
}

#[derive(Insertable)]
#[diesel(table_name = invitation_workspaces)]
struct InvitationWorkspace<'r> {
    invitation_id: InvitationId,
    workspace_id: WorkspaceId,
    role: &'r str,
}

impl Snapshot<'_> {
    /// The organization's own.
    pub fn find_invitation(
        &mut self,
        organization: OrganizationId,
        id: InvitationId,
    ) -> Result<Option<Invitation>, Error> {
        let own = invitations::table
            .find(id)
            .filter(invitations::organization_id.eq(organization));
        self.run(|conn| own.select(Invitation::as_select()).first(conn).optional())
    }

    pub fn find_invitation_by_digest(
        &mut self,
        candidates: &[Digest],
    ) -> Result<Option<Invitation>, Error> {
        self.run(|conn| {
            invitations::table
                .filter(invitations::digest.eq_any(candidates))
                .select(Invitation::as_select())
                .first(conn)
                .optional()
        })
    }

    /// That nobody has answered, expired or not.
    pub fn find_pending_invitation(
        &mut self,
        organization: OrganizationId,
        email: &str,
    ) -> Result<Option<Invitation>, Error> {
        let pending = invitations::table
            .filter(
                invitations::organization_id
                    .eq(organization)
                    .and(invitations::email.eq(email)),
            )
            .filter(invitations::state.eq(InvitationState::Pending));
        self.run(|conn| {
            pending
                .select(Invitation::as_select())
                .first(conn)
                .optional()
        })
    }

    /// Of any organization, that wait for this address now, the oldest first, at most `most`.
    pub fn list_open_invitations_for(
        &mut self,
        email: &str,
        now: Timestamp,
        most: i64,
    ) -> Result<Vec<Invitation>, Error> {
        let open = invitations::table
            .filter(
                invitations::email
                    .eq(email)
                    .and(invitations::state.eq(InvitationState::Pending)),
            )
            .filter(invitations::expires_at.gt(now));
        let oldest_first = open
            .order((invitations::created_at, invitations::id))
            .limit(most);
        self.run(|conn| oldest_first.select(Invitation::as_select()).load(conn))
    }

    /// Who has accepted an invitation to this address and has proven no address of their own, and of which organization.
    pub fn list_joined_unproven(
        &mut self,
        email: &str,
    ) -> Result<Vec<(OrganizationId, UserId)>, Error> {
        let unproven = users::table
            .filter(users::email_verified_at.is_null())
            .select(users::id.nullable());
        let accepted = invitations::table
            .filter(
                invitations::email
                    .eq(email)
                    .and(invitations::accepted_by.eq_any(unproven)),
            )
            .filter(invitations::state.eq(InvitationState::Accepted))
            .order((invitations::organization_id, invitations::accepted_by))
            .select((
                invitations::organization_id,
                invitations::accepted_by.assume_not_null(),
            ))
            .distinct();
        self.run(|conn| accepted.load(conn))
    }

    /// The newest first, those behind `after`, at most `most`; in `state`, if one is given.
    pub fn list_invitations_page(
        &mut self,
        organization: OrganizationId,
        state: Option<InvitationState>,
        after: Option<(Timestamp, InvitationId)>,
        most: i64,
    ) -> Result<Vec<Invitation>, Error> {
        let mut own = invitations::table
            .filter(invitations::organization_id.eq(organization))
            .into_boxed::<<Conn as Connection>::Backend>();
        if let Some(state) = state {
            own = own.filter(invitations::state.eq(state));
        }
        if let Some((at, id)) = after {
            own = own.filter(
                invitations::created_at
                    .lt(at)
                    .or(invitations::created_at.eq(at).and(invitations::id.lt(id))),
            );
        }
        let newest_first = own
            .order((invitations::created_at.desc(), invitations::id.desc()))
            .limit(most);
        self.run(|conn| newest_first.select(Invitation::as_select()).load(conn))
    }

    /// With the role in each.
    pub fn list_invitation_workspaces(
        &mut self,
        id: InvitationId,
    ) -> Result<Vec<(WorkspaceId, String)>, Error> {
        self.run(|conn| {
            invitation_workspaces::table
                .filter(invitation_workspaces::invitation_id.eq(id))
                .order(invitation_workspaces::workspace_id)
                .select((
                    invitation_workspaces::workspace_id,
                    invitation_workspaces::role,
                ))
                .load(conn)
        })
    }

    /// That nobody has answered.
    pub fn count_pending_invitations(
        &mut self,
        organization: OrganizationId,
    ) -> Result<i64, Error> {
        let pending = invitations::table.filter(invitations::organization_id.eq(organization));
        self.run(|conn| {
            pending
                .filter(invitations::state.eq(InvitationState::Pending))
                .count()
                .get_result(conn)
        })
    }

    /// That this person has made and nobody has answered, the oldest first.
    pub fn list_pending_invitations_by(
        &mut self,
        organization: OrganizationId,
        creator: UserId,
    ) -> Result<Vec<Invitation>, Error> {
        let made = invitations::table.filter(
            invitations::organization_id
                .eq(organization)
                .and(invitations::created_by.eq(creator)),
        );
        let pending = made.filter(invitations::state.eq(InvitationState::Pending));
        let oldest_first = pending.order((invitations::created_at, invitations::id));
        self.run(|conn| oldest_first.select(Invitation::as_select()).load(conn))
    }

    /// That this person has made and nobody has answered.
    pub fn count_invitations_of(
        &mut self,
        organization: OrganizationId,
        creator: UserId,
    ) -> Result<i64, Error> {
        let made = invitations::table.filter(
            invitations::organization_id
                .eq(organization)
                .and(invitations::created_by.eq(creator)),
        );
        self.run(|conn| {
            made.filter(invitations::state.eq(InvitationState::Pending))
                .count()
                .get_result(conn)
        })
    }
}

impl Tx<'_> {
    /// `NotFound` when one of the workspaces is not the organization's.
    pub fn insert_invitation(
        &mut self,
        invitation: &Invitation,
        workspaces: &[(WorkspaceId, String)],
    ) -> Result<(), Error> {
        let ids: Vec<WorkspaceId> = workspaces.iter().map(|(id, _)| *id).collect();
        self.expect_workspaces(invitation.organization_id, &ids)?;
        self.run_one_quiet(|conn| {
            diesel::insert_into(invitations::table)
                .values(invitation)
                .execute(conn)
        })?;
        workspaces.iter().try_for_each(|(workspace_id, role)| {
            let row = InvitationWorkspace {
                invitation_id: invitation.id,
                workspace_id: *workspace_id,
                role,
            };
            self.run_one_quiet(|conn| {
                diesel::insert_into(invitation_workspaces::table)
                    .values(&row)
                    .execute(conn)
            })
        })
    }

    /// Compare-and-swap from pending: `NotFound` when it was answered or revoked meanwhile.
    pub fn decide_invitation(
        &mut self,
        id: InvitationId,
        to: InvitationState,
        accepted_by: Option<UserId>,
    ) -> Result<(), Error> {
        let now = self.now;
        let pending = invitations::table
            .find(id)
            .filter(invitations::state.eq(InvitationState::Pending));
        let decided = (
            invitations::state.eq(to),
            invitations::decided_at.eq(Some(now)),
            invitations::accepted_by.eq(accepted_by),
        );
        self.run_one_quiet(|conn| diesel::update(pending).set(decided).execute(conn))
    }

    /// Another link in place of the former one, which opens nothing any more: it is this person's from now on. `NotFound` when it
    /// is not pending.
    pub fn renew_invitation(
        &mut self,
        id: InvitationId,
        by: UserId,
        digest: &Digest,
        expires_at: Timestamp,
    ) -> Result<(), Error> {
        let pending = invitations::table
            .find(id)
            .filter(invitations::state.eq(InvitationState::Pending));
        self.run_one_quiet(|conn| {
            diesel::update(pending)
                .set((
                    invitations::created_by.eq(by),
                    invitations::digest.eq(digest),
                    invitations::expires_at.eq(expires_at),
                ))
                .execute(conn)
        })
    }
}
