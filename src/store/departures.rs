//! What a person holds in an organization, and how it ends when they leave it or one of its workspaces.

use diesel::dsl::{exists, not};
use diesel::{
    BoolExpressionMethods, ExpressionMethods, JoinOnDsl, NullableExpressionMethods, QueryDsl,
    SelectableHelper,
};

use super::api_keys::ApiKey;
use super::application_secrets::ApplicationSecret;
use super::applications::Application;
use super::schema::{
    api_key_secrets, api_key_workspaces, api_keys, application_secrets, applications,
    authorization_workspaces, authorizations, consent_workspaces, consents, secret_disclosures,
    sessions, workspace_members, workspaces,
};
use super::statements::{ReadDsl, WriteDsl};
use super::{Error, Snapshot, Subject, Tx};
use crate::types::id::{ApiKeyId, OrganizationId, UserId, WorkspaceId};
use crate::types::state::{
    ApiKeySecretState, ApiKeyState, ApplicationState, AuthorizationState, ConsentState, ReachKind,
    SecretState,
};

const ENDED: [ApiKeyState; 2] = [ApiKeyState::Revoked, ApiKeyState::Deactivated];

impl Snapshot<'_> {
    /// The keys that act as this user and have not ended, the oldest first.
    pub fn list_api_keys_of_owner(
        &mut self,
        organization: OrganizationId,
        owner: UserId,
    ) -> Result<Vec<ApiKey>, Error> {
        self.run(|conn| {
            api_keys::table
                .filter(
                    api_keys::organization_id
                        .eq(organization)
                        .and(api_keys::owner_id.eq(owner)),
                )
                .filter(api_keys::state.ne_all(ENDED))
                .order((api_keys::created_at, api_keys::id))
                .select(ApiKey::as_select())
                .load(conn)
        })
    }

    /// Of these, those that name the workspace.
    pub fn list_api_keys_of_owner_in(
        &mut self,
        organization: OrganizationId,
        owner: UserId,
        workspace: WorkspaceId,
    ) -> Result<Vec<ApiKey>, Error> {
        self.run(|conn| {
            api_keys::table
                .inner_join(api_key_workspaces::table)
                .filter(
                    api_keys::organization_id
                        .eq(organization)
                        .and(api_keys::owner_id.eq(owner)),
                )
                .filter(
                    api_keys::state
                        .ne_all(ENDED)
                        .and(api_key_workspaces::workspace_id.eq(workspace)),
                )
                .order((api_keys::created_at, api_keys::id))
                .select(ApiKey::as_select())
                .load(conn)
        })
    }

    /// The organization's keys of which the person was shown a secret that still lives, each once, the oldest first.
    pub fn list_api_keys_shown_to(
        &mut self,
        organization: OrganizationId,
        user: UserId,
    ) -> Result<Vec<ApiKey>, Error> {
        self.run(|conn| {
            let shown = api_key_secrets::table
                .inner_join(
                    secret_disclosures::table
                        .on(secret_disclosures::secret_id.eq(api_key_secrets::id)),
                )
                .filter(
                    secret_disclosures::user_id
                        .eq(user)
                        .and(api_key_secrets::state.ne(ApiKeySecretState::Revoked)),
                )
                .select(api_key_secrets::api_key_id);
            api_keys::table
                .filter(
                    api_keys::organization_id
                        .eq(organization)
                        .and(api_keys::id.eq_any(shown)),
                )
                .filter(api_keys::state.ne_all(ENDED))
                .order((api_keys::created_at, api_keys::id))
                .select(ApiKey::as_select())
                .load(conn)
        })
    }

    /// The live secrets of the organization's applications that the person was shown, the oldest first.
    pub fn list_application_secrets_shown_to(
        &mut self,
        organization: OrganizationId,
        user: UserId,
    ) -> Result<Vec<(Application, ApplicationSecret)>, Error> {
        self.run(|conn| {
            application_secrets::table
                .inner_join(applications::table)
                .inner_join(
                    secret_disclosures::table
                        .on(secret_disclosures::secret_id.eq(application_secrets::id)),
                )
                .filter(
                    secret_disclosures::user_id
                        .eq(user)
                        .and(application_secrets::state.eq(SecretState::Active)),
                )
                .filter(
                    applications::organization_id
                        .eq(organization)
                        .and(applications::state.eq(ApplicationState::Active)),
                )
                .order((application_secrets::created_at, application_secrets::id))
                .select((Application::as_select(), ApplicationSecret::as_select()))
                .load(conn)
        })
    }

    /// What the person lets applications do with the organization's data.
    pub fn count_consents_in(
        &mut self,
        organization: OrganizationId,
        user: UserId,
    ) -> Result<i64, Error> {
        let own = consents::table.filter(
            consents::organization_id
                .eq(organization)
                .and(consents::user_id.eq(user)),
        );
        self.run(|conn| {
            own.filter(consents::state.eq(ConsentState::Active))
                .count()
                .get_result(conn)
        })
    }

    /// Connections of applications that act as the user there.
    pub fn count_authorizations_in(
        &mut self,
        organization: OrganizationId,
        user: UserId,
    ) -> Result<i64, Error> {
        let own = authorizations::table.filter(
            authorizations::organization_id
                .eq(organization)
                .and(authorizations::user_id.eq(user)),
        );
        self.run(|conn| {
            own.filter(authorizations::state.ne(AuthorizationState::Revoked))
                .count()
                .get_result(conn)
        })
    }

    /// The person's sessions that the organization's provider made.
    pub fn count_confined_sessions_of(
        &mut self,
        organization: OrganizationId,
        user: UserId,
    ) -> Result<i64, Error> {
        let own = sessions::table.filter(
            sessions::user_id
                .eq(user)
                .and(sessions::confined_to.eq(organization)),
        );
        self.run(|conn| own.count().get_result(conn))
    }
}

impl Tx<'_> {
    /// Everything that the person let applications do with the organization's data ends: how many consents.
    pub fn revoke_consents_in(
        &mut self,
        organization: OrganizationId,
        user: UserId,
    ) -> Result<usize, Error> {
        let now = self.now;
        let own = consents::table
            .filter(
                consents::organization_id
                    .eq(organization)
                    .and(consents::user_id.eq(user)),
            )
            .filter(consents::state.eq(ConsentState::Active));
        let revoked = (
            consents::state.eq(ConsentState::Revoked),
            consents::revoked_at.eq(Some(now)),
        );
        self.run_news([Subject::Organization(organization)], |conn| {
            diesel::update(own).set(revoked).execute(conn)
        })
    }

    /// Every authorization by which something acts as the user there ends, and with it its codes and tokens: how many.
    pub fn revoke_authorizations_in(
        &mut self,
        organization: OrganizationId,
        user: UserId,
        because: &str,
    ) -> Result<usize, Error> {
        let now = self.now;
        let own = authorizations::table
            .filter(
                authorizations::organization_id
                    .eq(organization)
                    .and(authorizations::user_id.eq(user)),
            )
            .filter(authorizations::state.ne(AuthorizationState::Revoked));
        let revoked = (
            authorizations::state.eq(AuthorizationState::Revoked),
            authorizations::revoked_at.eq(Some(now)),
            authorizations::revoked_because.eq(Some(because)),
            authorizations::row_expires_at.eq(Some(now)),
        );
        self.run_news([Subject::Organization(organization)], |conn| {
            diesel::update(own).set(revoked).execute(conn)
        })
    }

    /// The person's sessions that the organization's provider made end.
    pub fn delete_confined_sessions_of(
        &mut self,
        organization: OrganizationId,
        user: UserId,
    ) -> Result<usize, Error> {
        let own = sessions::table.filter(
            sessions::user_id
                .eq(user)
                .and(sessions::confined_to.eq(organization)),
        );
        self.run_quiet(|conn| diesel::delete(own).execute(conn))
    }

    /// The user leaves every workspace of the organization.
    pub fn delete_workspace_memberships(
        &mut self,
        organization: OrganizationId,
        user: UserId,
    ) -> Result<usize, Error> {
        let own = workspaces::table
            .filter(workspaces::organization_id.eq(organization))
            .select(workspaces::id);
        let there = workspace_members::table.filter(
            workspace_members::user_id
                .eq(user)
                .and(workspace_members::workspace_id.eq_any(own)),
        );
        self.run_news([Subject::Organization(organization)], |conn| {
            diesel::delete(there).execute(conn)
        })
    }

    /// The key reaches the workspace no more: how many it still names. `NotFound` when it did not.
    pub fn delete_api_key_workspace(
        &mut self,
        organization: OrganizationId,
        id: ApiKeyId,
        workspace: WorkspaceId,
    ) -> Result<i64, Error> {
        self.expect_workspaces(organization, &[workspace])?;
        self.run_one_news([Subject::Organization(organization)], |conn| {
            diesel::delete(api_key_workspaces::table.find((id, workspace))).execute(conn)
        })?;
        self.run(|conn| {
            api_key_workspaces::table
                .filter(api_key_workspaces::api_key_id.eq(id))
                .count()
                .get_result(conn)
        })
    }

    /// What the person let applications do there reaches the workspace no more; what reaches none then ends.
    pub fn drop_workspace_from_consents(
        &mut self,
        organization: OrganizationId,
        user: UserId,
        workspace: WorkspaceId,
    ) -> Result<(), Error> {
        self.expect_workspaces(organization, &[workspace])?;
        let consents_of = consents::table.filter(
            consents::organization_id
                .eq(organization)
                .and(consents::user_id.eq(user)),
        );
        let named = consent_workspaces::table
            .filter(consent_workspaces::workspace_id.eq(workspace))
            .filter(consent_workspaces::consent_id.eq_any(consents_of.select(consents::id)));
        self.run_news([Subject::Organization(organization)], |conn| {
            diesel::delete(named).execute(conn)
        })?;
        let allowed = authorizations::table.filter(
            authorizations::organization_id
                .eq(organization)
                .and(authorizations::user_id.eq(user)),
        );
        let named = authorization_workspaces::table
            .filter(authorization_workspaces::workspace_id.eq(workspace))
            .filter(
                authorization_workspaces::authorization_id
                    .eq_any(allowed.select(authorizations::id)),
            );
        self.run_news([Subject::Organization(organization)], |conn| {
            diesel::delete(named).execute(conn)
        })?;
        self.revoke_what_reaches_nothing(organization, user)
    }

    fn revoke_what_reaches_nothing(
        &mut self,
        organization: OrganizationId,
        user: UserId,
    ) -> Result<(), Error> {
        let now = self.now;
        let left =
            consent_workspaces::table.filter(consent_workspaces::consent_id.eq(consents::id));
        let empty = consents::table
            .filter(
                consents::organization_id
                    .eq(organization)
                    .and(consents::user_id.eq(user)),
            )
            .filter(
                consents::state
                    .eq(ConsentState::Active)
                    .and(consents::reach.eq(ReachKind::Workspaces)),
            )
            .filter(not(exists(left)));
        let revoked = (
            consents::state.eq(ConsentState::Revoked),
            consents::revoked_at.eq(Some(now)),
        );
        let subject = Subject::Organization(organization);
        self.run_news([subject], |conn| {
            diesel::update(empty).set(revoked).execute(conn)
        })?;
        let left = authorization_workspaces::table
            .filter(authorization_workspaces::authorization_id.eq(authorizations::id));
        let ended = consents::table
            .filter(consents::state.eq(ConsentState::Revoked))
            .select(consents::id.nullable());
        let empty = authorizations::table
            .filter(
                authorizations::organization_id
                    .eq(organization)
                    .and(authorizations::user_id.eq(user)),
            )
            .filter(
                authorizations::state
                    .ne(AuthorizationState::Revoked)
                    .and(authorizations::reach.eq(ReachKind::Workspaces)),
            )
            .filter(not(exists(left)).or(authorizations::consent_id.eq_any(ended)));
        let revoked = (
            authorizations::state.eq(AuthorizationState::Revoked),
            authorizations::revoked_at.eq(Some(now)),
            authorizations::revoked_because.eq(Some("the workspace was left")),
            authorizations::row_expires_at.eq(Some(now)),
        );
        self.run_news([subject], |conn| {
            diesel::update(empty).set(revoked).execute(conn)
        })
        .map(drop)
    }
}
