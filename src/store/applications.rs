//! OAuth applications (clients), their redirect URIs and secrets.

use diesel::{ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper};

use super::schema::{application_redirect_uris, application_secrets, applications};
use super::{Error, Snapshot, Subject, Tx};
use crate::crypto::digest::Digest;
use crate::types::environment::Environment;
use crate::types::id::{ApplicationId, ClientSecretId, OrganizationId, UserId};
use crate::types::redirect_uri::RedirectUri;
use crate::types::scope::Scopes;
use crate::types::state::{AccessTokenFormat, ApplicationState, ClientType, SecretState};
use crate::types::time::Timestamp;

#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = applications, treat_none_as_default_value = false)]
pub struct Application {
    /// Also its `client_id`.
    pub id: ApplicationId,
    pub organization_id: OrganizationId,
    pub environment: Environment,
    pub name: String,
    pub client_type: ClientType,
    pub access_token_format: AccessTokenFormat,
    /// What it may ask for at most.
    pub scopes: Scopes,
    /// Whom it acts as by client credentials; none for a public one.
    pub service_account_id: Option<UserId>,
    pub state: ApplicationState,
    pub created_by: UserId,
    pub created_at: Timestamp,
    pub deleted_at: Option<Timestamp>,
}

#[derive(Insertable)]
#[diesel(table_name = application_redirect_uris)]
struct ApplicationRedirectUri<'a> {
    application_id: ApplicationId,
    uri: &'a RedirectUri,
}

#[derive(Insertable)]
#[diesel(table_name = application_secrets)]
struct ApplicationSecret<'a> {
    id: ClientSecretId,
    application_id: ApplicationId,
    digest: &'a Digest,
    state: SecretState,
    created_at: Timestamp,
}

impl Snapshot<'_> {
    /// Deleted ones too: their tokens must find out.
    pub fn find_application(&mut self, id: ApplicationId) -> Result<Option<Application>, Error> {
        self.run(|conn| applications::table.find(id).select(Application::as_select()).first(conn).optional())
    }

    /// Those not deleted, the newest first, at most `most`.
    pub fn list_applications(&mut self, organization: OrganizationId, most: i64) -> Result<Vec<Application>, Error> {
        self.run(|conn| {
            applications::table
                .filter(applications::organization_id.eq(organization))
                .filter(applications::state.eq(ApplicationState::Active))
                .order((applications::created_at.desc(), applications::id.desc()))
                .limit(most)
                .select(Application::as_select())
                .load(conn)
        })
    }

    pub fn list_redirect_uris(&mut self, application: ApplicationId) -> Result<Vec<RedirectUri>, Error> {
        self.run(|conn| {
            application_redirect_uris::table
                .filter(application_redirect_uris::application_id.eq(application))
                .order(application_redirect_uris::uri)
                .select(application_redirect_uris::uri)
                .load(conn)
        })
    }

    /// Digests of the live secrets.
    pub fn list_application_secrets(&mut self, application: ApplicationId) -> Result<Vec<Digest>, Error> {
        self.run(|conn| {
            application_secrets::table
                .filter(application_secrets::application_id.eq(application))
                .filter(application_secrets::state.eq(SecretState::Active))
                .select(application_secrets::digest)
                .load(conn)
        })
    }

    pub fn count_applications(&mut self, organization: OrganizationId) -> Result<i64, Error> {
        self.run(|conn| {
            applications::table
                .filter(applications::organization_id.eq(organization))
                .filter(applications::state.eq(ApplicationState::Active))
                .count()
                .get_result(conn)
        })
    }
}

impl Tx<'_> {
    pub fn insert_application(&mut self, application: &Application, redirect_uris: &[RedirectUri]) -> Result<(), Error> {
        self.run_one(|conn| diesel::insert_into(applications::table).values(application).execute(conn))?;
        for uri in redirect_uris {
            let row = ApplicationRedirectUri { application_id: application.id, uri };
            self.run_one(|conn| diesel::insert_into(application_redirect_uris::table).values(&row).execute(conn))?;
        }
        Ok(())
    }

    pub fn insert_application_secret(&mut self, application: &Application, digest: &Digest) -> Result<ClientSecretId, Error> {
        self.touch(Subject::Organization(application.organization_id));
        let id = ClientSecretId::generate(self.now);
        let row = ApplicationSecret { id, application_id: application.id, digest, state: SecretState::Active, created_at: self.now };
        self.run_one(|conn| diesel::insert_into(application_secrets::table).values(&row).execute(conn))?;
        Ok(id)
    }

    /// Compare-and-swap: `NotFound` when it is deleted already, or another organization's.
    pub fn delete_application(&mut self, organization: OrganizationId, id: ApplicationId) -> Result<(), Error> {
        self.touch(Subject::Organization(organization));
        let now = self.now;
        let active = applications::table
            .find(id)
            .filter(applications::organization_id.eq(organization))
            .filter(applications::state.eq(ApplicationState::Active));
        self.run_one(|conn| {
            diesel::update(active).set((applications::state.eq(ApplicationState::Deleted), applications::deleted_at.eq(Some(now)))).execute(conn)
        })
    }
}
