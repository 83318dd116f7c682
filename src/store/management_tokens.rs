//! Management tokens: with one, a program of an organization manages it. No memory holds them: they are read at every request.

use diesel::{
    BoolExpressionMethods, Connection, ExpressionMethods, Insertable, OptionalExtension, QueryDsl,
    Queryable, Selectable, SelectableHelper,
};

use super::conn::Conn;
use super::schema::{management_token_workspaces, management_tokens};
use super::statements::{ReadDsl, WriteDsl};
use super::{Error, Snapshot, Tx};
use crate::crypto::digest::Digest;
use crate::types::id::{ManagementTokenId, OrganizationId, UserId, WorkspaceId};
use crate::types::state::ReachKind;
use crate::types::time::Timestamp;

#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = management_tokens, treat_none_as_default_value = false)]
pub struct ManagementToken {
    pub id: ManagementTokenId,
    pub organization_id: OrganizationId,
    /// Who made it: it acts as that person.
    pub user_id: UserId,
    pub name: String,
    pub digest: Digest,
    /// How it starts, for people.
    pub hint: String,
    /// Names, separated by one space.
    pub permissions: String,
    pub reach: ReachKind,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
}

#[derive(Insertable)]
#[diesel(table_name = management_token_workspaces)]
struct NamedWorkspace {
    management_token_id: ManagementTokenId,
    workspace_id: WorkspaceId,
}

impl Snapshot<'_> {
    /// Revoked and expired ones, too.
    pub fn find_management_token_by_digest(
        &mut self,
        candidates: &[Digest],
    ) -> Result<Option<ManagementToken>, Error> {
        let of_digest =
            management_tokens::table.filter(management_tokens::digest.eq_any(candidates));
        self.run(|conn| {
            of_digest
                .select(ManagementToken::as_select())
                .first(conn)
                .optional()
        })
    }

    /// Revoked and expired ones, too; none of another organization.
    pub fn find_management_token(
        &mut self,
        organization: OrganizationId,
        id: ManagementTokenId,
    ) -> Result<Option<ManagementToken>, Error> {
        let own = management_tokens::table
            .find(id)
            .filter(management_tokens::organization_id.eq(organization));
        self.run(|conn| {
            own.select(ManagementToken::as_select())
                .first(conn)
                .optional()
        })
    }

    /// The organization's that are not revoked, the newest first, at most `most`; those behind `after`.
    pub fn list_management_tokens_page(
        &mut self,
        organization: OrganizationId,
        after: Option<(Timestamp, ManagementTokenId)>,
        most: i64,
    ) -> Result<Vec<ManagementToken>, Error> {
        let mut own = management_tokens::table
            .filter(management_tokens::organization_id.eq(organization))
            .filter(management_tokens::revoked_at.is_null())
            .into_boxed::<<Conn as Connection>::Backend>();
        if let Some((at, id)) = after {
            own = own.filter(
                management_tokens::created_at
                    .lt(at)
                    .or(management_tokens::created_at
                        .eq(at)
                        .and(management_tokens::id.lt(id))),
            );
        }
        let newest_first = own
            .order((
                management_tokens::created_at.desc(),
                management_tokens::id.desc(),
            ))
            .limit(most);
        self.run(|conn| newest_first.select(ManagementToken::as_select()).load(conn))
    }

    /// Those that are neither revoked nor expired.
    pub fn count_live_management_tokens(
        &mut self,
        organization: OrganizationId,
        now: Timestamp,
    ) -> Result<i64, Error> {
        let live = management_tokens::table
            .filter(management_tokens::organization_id.eq(organization))
            .filter(management_tokens::revoked_at.is_null())
            .filter(management_tokens::expires_at.gt(now));
        self.run(|conn| live.count().get_result(conn))
    }

    /// That this person has made and nobody has revoked.
    pub fn count_management_tokens_of(
        &mut self,
        organization: OrganizationId,
        maker: UserId,
    ) -> Result<i64, Error> {
        let made = management_tokens::table
            .filter(management_tokens::organization_id.eq(organization))
            .filter(management_tokens::user_id.eq(maker))
            .filter(management_tokens::revoked_at.is_null());
        self.run(|conn| made.count().get_result(conn))
    }

    /// The workspaces that it was made for; none, too, when it was made for the organization.
    pub fn list_management_token_workspaces(
        &mut self,
        id: ManagementTokenId,
    ) -> Result<Vec<WorkspaceId>, Error> {
        let named = management_token_workspaces::table
            .filter(management_token_workspaces::management_token_id.eq(id))
            .order(management_token_workspaces::workspace_id);
        self.run(|conn| {
            named
                .select(management_token_workspaces::workspace_id)
                .load(conn)
        })
    }
}

impl Tx<'_> {
    /// With the workspaces that it is made for. `NotFound` when one is not the organization's.
    pub fn insert_management_token(
        &mut self,
        token: &ManagementToken,
        workspaces: &[WorkspaceId],
    ) -> Result<(), Error> {
        self.expect_workspaces(token.organization_id, workspaces)?;
        self.run_one_quiet(|conn| {
            diesel::insert_into(management_tokens::table)
                .values(token)
                .execute(conn)
        })?;
        for workspace in workspaces {
            let named = NamedWorkspace {
                management_token_id: token.id,
                workspace_id: *workspace,
            };
            self.run_one_quiet(|conn| {
                diesel::insert_into(management_token_workspaces::table)
                    .values(named)
                    .execute(conn)
            })?;
        }
        Ok(())
    }

    /// Compare-and-swap: `NotFound` when it is revoked already, or another organization's.
    pub fn revoke_management_token(
        &mut self,
        organization: OrganizationId,
        id: ManagementTokenId,
    ) -> Result<(), Error> {
        let live = management_tokens::table
            .find(id)
            .filter(management_tokens::organization_id.eq(organization))
            .filter(management_tokens::revoked_at.is_null());
        let now = self.now;
        self.run_one_quiet(|conn| {
            diesel::update(live)
                .set(management_tokens::revoked_at.eq(Some(now)))
                .execute(conn)
        })
    }

    /// Ends every token that the user has made in the organization: how many.
    pub fn revoke_management_tokens_by(
        &mut self,
        organization: OrganizationId,
        user: UserId,
    ) -> Result<usize, Error> {
        let live = management_tokens::table
            .filter(
                management_tokens::organization_id
                    .eq(organization)
                    .and(management_tokens::user_id.eq(user)),
            )
            .filter(management_tokens::revoked_at.is_null());
        let now = self.now;
        self.run_quiet(|conn| {
            diesel::update(live)
                .set(management_tokens::revoked_at.eq(Some(now)))
                .execute(conn)
        })
    }

    /// The user's tokens in the organization reach the workspace no more.
    pub fn drop_workspace_from_management_tokens(
        &mut self,
        organization: OrganizationId,
        user: UserId,
        workspace: WorkspaceId,
    ) -> Result<(), Error> {
        self.expect_workspaces(organization, &[workspace])?;
        let made = management_tokens::table
            .filter(
                management_tokens::organization_id
                    .eq(organization)
                    .and(management_tokens::user_id.eq(user)),
            )
            .select(management_tokens::id);
        let named = management_token_workspaces::table
            .filter(management_token_workspaces::workspace_id.eq(workspace))
            .filter(management_token_workspaces::management_token_id.eq_any(made));
        self.run_quiet(|conn| diesel::delete(named).execute(conn))
            .map(drop)
    }

    /// Forward only.
    pub fn record_management_token_use(
        &mut self,
        id: ManagementTokenId,
        at: Timestamp,
    ) -> Result<(), Error> {
        let earlier = management_tokens::table.find(id).filter(
            management_tokens::last_used_at
                .is_null()
                .or(management_tokens::last_used_at.lt(at)),
        );
        self.run_quiet(|conn| {
            diesel::update(earlier)
                .set(management_tokens::last_used_at.eq(Some(at)))
                .execute(conn)
        })
        .map(drop)
    }
}
