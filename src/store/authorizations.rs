//! Authorizations: what a person allowed an application, or what an application may do as itself. Codes and tokens hang off it.

use diesel::{
    AsChangeset, BoolExpressionMethods, ExpressionMethods, Insertable, OptionalExtension, QueryDsl,
    Queryable, Selectable, SelectableHelper,
};

use super::schema::{authorization_workspaces, authorizations};
use super::statements::{ReadDsl, WriteDsl};
use super::{Error, Snapshot, Subject, Tx};
use crate::crypto::digest::Digest;
use crate::types::environment::Environment;
use crate::types::id::{
    ApplicationId, AuthorizationId, ConsentId, OrganizationId, SessionId, UserId, WorkspaceId,
};
use crate::types::redirect_uri::RedirectUri;
use crate::types::resource::Resources;
use crate::types::scope::Scopes;
use crate::types::state::{AuthorizationState, GrantKind, ReachKind};
use crate::types::time::Timestamp;

#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = authorizations, treat_none_as_default_value = false)]
pub struct Authorization {
    pub id: AuthorizationId,
    pub kind: GrantKind,
    pub application_id: ApplicationId,
    /// Whose data it opens.
    pub organization_id: OrganizationId,
    /// Who acts: the person who allowed it, or the application's service account.
    pub user_id: UserId,
    pub environment: Environment,
    pub scopes: Scopes,
    pub reach: ReachKind,
    pub state: AuthorizationState,
    pub redirect_uri: Option<RedirectUri>,
    pub code_challenge: Option<String>,
    pub code_digest: Option<Digest>,
    pub code_expires_at: Option<Timestamp>,
    pub wrong_verifiers: i64,
    pub created_at: Timestamp,
    /// The end of the family of refresh tokens.
    pub expires_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
    pub revoked_because: Option<String>,
    /// The consent that it came of; none where the application acts as itself.
    pub consent_id: Option<ConsentId>,
    /// The session in which it was allowed.
    pub session_id: Option<SessionId>,
    /// The resources its tokens may be for; none: the default audience.
    pub resources: Resources,
    /// When a token was last issued.
    pub last_used_at: Option<Timestamp>,
    /// When nothing can come of it any more; none for one that stands.
    pub row_expires_at: Option<Timestamp>,
    /// When a used refresh token came back within the grace, the last time.
    pub marked_at: Option<Timestamp>,
}

#[derive(Insertable)]
#[diesel(table_name = authorization_workspaces)]
struct AuthorizationWorkspace {
    authorization_id: AuthorizationId,
    workspace_id: WorkspaceId,
}

#[derive(AsChangeset)]
#[diesel(table_name = authorizations)]
struct Ended<'a> {
    state: AuthorizationState,
    revoked_at: Option<Timestamp>,
    revoked_because: Option<&'a str>,
    row_expires_at: Option<Timestamp>,
}

impl<'a> Ended<'a> {
    fn at(now: Timestamp, because: &'a str) -> Self {
        Self {
            state: AuthorizationState::Revoked,
            revoked_at: Some(now),
            revoked_because: Some(because),
            row_expires_at: Some(now),
        }
    }
}

impl Snapshot<'_> {
    pub fn find_authorization(
        &mut self,
        id: AuthorizationId,
    ) -> Result<Option<Authorization>, Error> {
        self.run(|conn| {
            authorizations::table
                .find(id)
                .select(Authorization::as_select())
                .first(conn)
                .optional()
        })
    }

    pub fn find_authorization_by_code(
        &mut self,
        candidates: &[Digest],
    ) -> Result<Option<Authorization>, Error> {
        self.run(|conn| {
            authorizations::table
                .filter(authorizations::code_digest.eq_any(candidates))
                .select(Authorization::as_select())
                .first(conn)
                .optional()
        })
    }

    /// The standing authorization by which the application acts as itself.
    pub fn find_client_credentials_authorization(
        &mut self,
        application: ApplicationId,
    ) -> Result<Option<Authorization>, Error> {
        self.run(|conn| {
            authorizations::table
                .filter(
                    authorizations::application_id
                        .eq(application)
                        .and(authorizations::kind.eq(GrantKind::ClientCredentials)),
                )
                .filter(authorizations::state.eq(AuthorizationState::Active))
                .select(Authorization::as_select())
                .first(conn)
                .optional()
        })
    }

    /// Of one application in one organization, not revoked.
    pub fn list_live_authorizations(
        &mut self,
        organization: OrganizationId,
        application: ApplicationId,
    ) -> Result<Vec<Authorization>, Error> {
        self.run(|conn| {
            authorizations::table
                .filter(
                    authorizations::organization_id
                        .eq(organization)
                        .and(authorizations::application_id.eq(application)),
                )
                .filter(authorizations::state.ne(AuthorizationState::Revoked))
                .order(authorizations::id)
                .select(Authorization::as_select())
                .load(conn)
        })
    }

    pub fn list_authorization_workspaces(
        &mut self,
        id: AuthorizationId,
    ) -> Result<Vec<WorkspaceId>, Error> {
        self.run(|conn| {
            authorization_workspaces::table
                .filter(authorization_workspaces::authorization_id.eq(id))
                .order(authorization_workspaces::workspace_id)
                .select(authorization_workspaces::workspace_id)
                .load(conn)
        })
    }
}

impl Tx<'_> {
    /// News when the application acts as itself by it, since a remembered client holds that. `NotFound` when one of the
    /// workspaces is not the organization's.
    pub fn insert_authorization(
        &mut self,
        authorization: &Authorization,
        workspaces: &[WorkspaceId],
    ) -> Result<(), Error> {
        self.expect_workspaces(authorization.organization_id, workspaces)?;
        let own = authorization.kind == GrantKind::ClientCredentials;
        let subject = own.then_some(Subject::Organization(authorization.organization_id));
        self.run_one_news(subject, |conn| {
            diesel::insert_into(authorizations::table)
                .values(authorization)
                .execute(conn)
        })?;
        for workspace_id in workspaces {
            let row = AuthorizationWorkspace {
                authorization_id: authorization.id,
                workspace_id: *workspace_id,
            };
            self.run_one_quiet(|conn| {
                diesel::insert_into(authorization_workspaces::table)
                    .values(&row)
                    .execute(conn)
            })?;
        }
        Ok(())
    }

    /// RFC 6749 §4.1.2: a code is redeemed once. `NotFound` when another request was first, or it was revoked.
    pub fn redeem_code(
        &mut self,
        id: AuthorizationId,
        row_expires_at: Timestamp,
    ) -> Result<(), Error> {
        let now = self.now;
        let pending = authorizations::table
            .find(id)
            .filter(authorizations::state.eq(AuthorizationState::Pending));
        let active = (
            authorizations::state.eq(AuthorizationState::Active),
            authorizations::last_used_at.eq(Some(now)),
            authorizations::row_expires_at.eq(Some(row_expires_at)),
        );
        // quiet: it has no token yet
        self.run_one_quiet(|conn| diesel::update(pending).set(active).execute(conn))
    }

    /// Holds the family until this transaction ends: whoever else refreshes or revokes it waits. `NotFound` when it is not
    /// live any more.
    pub fn hold_family(
        &mut self,
        id: AuthorizationId,
        row_expires_at: Timestamp,
    ) -> Result<(), Error> {
        let now = self.now;
        let live = authorizations::table
            .find(id)
            .filter(authorizations::state.eq(AuthorizationState::Active));
        let used = (
            authorizations::last_used_at.eq(Some(now)),
            authorizations::row_expires_at.eq(Some(row_expires_at)),
        );
        self.run_one_quiet(|conn| diesel::update(live).set(used).execute(conn))
    }

    /// A used refresh token came back. Quiet: no access depends on it. `NotFound` when the family is not live any more.
    pub fn mark_authorization(&mut self, id: AuthorizationId) -> Result<(), Error> {
        let now = self.now;
        let live = authorizations::table
            .find(id)
            .filter(authorizations::state.eq(AuthorizationState::Active));
        self.run_one_quiet(|conn| {
            diesel::update(live)
                .set(authorizations::marked_at.eq(Some(now)))
                .execute(conn)
        })
    }

    pub fn count_wrong_verifier(&mut self, id: AuthorizationId) -> Result<(), Error> {
        let row = authorizations::table.find(id);
        self.run_one_quiet(|conn| {
            diesel::update(row)
                .set(authorizations::wrong_verifiers.eq(authorizations::wrong_verifiers + 1))
                .execute(conn)
        })
    }

    /// What an application may do as itself follows what it may ask for. None that stands is no error.
    pub fn change_own_scopes(
        &mut self,
        application: ApplicationId,
        organization: OrganizationId,
        scopes: &Scopes,
    ) -> Result<(), Error> {
        let own = authorizations::table
            .filter(
                authorizations::application_id
                    .eq(application)
                    .and(authorizations::kind.eq(GrantKind::ClientCredentials)),
            )
            .filter(authorizations::state.eq(AuthorizationState::Active));
        self.run_news([Subject::Organization(organization)], |conn| {
            diesel::update(own)
                .set(authorizations::scopes.eq(scopes))
                .execute(conn)
        })
        .map(drop)
    }

    /// Ends the authorization and with it every code, refresh token and access token of it. One that has ended is no error.
    pub fn revoke_authorization(
        &mut self,
        authorization: &Authorization,
        because: &str,
    ) -> Result<(), Error> {
        let ended = Ended::at(self.now, because);
        let live = authorizations::table
            .find(authorization.id)
            .filter(authorizations::state.ne(AuthorizationState::Revoked));
        self.run_news(
            [Subject::Organization(authorization.organization_id)],
            |conn| diesel::update(live).set(&ended).execute(conn),
        )
        .map(drop)
    }

    /// Compare-and-swap: the same for one that was not used since it was read. `NotFound` when it was, or has ended.
    pub fn revoke_unused_authorization(
        &mut self,
        authorization: &Authorization,
        because: &str,
    ) -> Result<(), Error> {
        let ended = Ended::at(self.now, because);
        let unused = authorizations::table
            .find(authorization.id)
            .filter(authorizations::state.ne(AuthorizationState::Revoked))
            .filter(
                authorizations::last_used_at
                    .is_null()
                    .or(authorizations::last_used_at.eq(authorization.last_used_at)),
            );
        self.run_one_news(
            [Subject::Organization(authorization.organization_id)],
            |conn| diesel::update(unused).set(&ended).execute(conn),
        )
    }
}
