//! The secrets of confidential applications. Two may live at once, so that one is replaced without an interruption.

use diesel::{
    BoolExpressionMethods, ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable,
    Selectable, SelectableHelper,
};

use super::applications::Application;
use super::schema::{application_secrets, applications};
use super::statements::{ReadDsl, WriteDsl};
use super::{Error, Snapshot, Subject, Tx};
use crate::crypto::digest::Digest;
use crate::types::id::{ApplicationId, ClientSecretId};
use crate::types::state::SecretState;
use crate::types::time::Timestamp;

#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = application_secrets, treat_none_as_default_value = false)]
pub struct ApplicationSecret {
    pub id: ClientSecretId,
    pub application_id: ApplicationId,
    pub digest: Digest,
    pub state: SecretState,
    pub created_at: Timestamp,
    /// How it starts, for people to tell two apart; empty for those of before.
    pub hint: String,
    pub last_used_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
}

/// A secret that was minted and is not stored yet: what may be kept of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSecret {
    pub digest: Digest,
    pub hint: String,
}

impl From<Digest> for NewSecret {
    fn from(digest: Digest) -> Self {
        Self {
            digest,
            hint: String::new(),
        }
    }
}

impl Snapshot<'_> {
    /// The live ones, the oldest first.
    pub fn list_application_secrets(
        &mut self,
        application: ApplicationId,
    ) -> Result<Vec<ApplicationSecret>, Error> {
        self.run(|conn| {
            application_secrets::table
                .filter(
                    application_secrets::application_id
                        .eq(application)
                        .and(application_secrets::state.eq(SecretState::Active)),
                )
                .order((application_secrets::created_at, application_secrets::id))
                .select(ApplicationSecret::as_select())
                .load(conn)
        })
    }

    /// The application's own, live or not.
    pub fn find_application_secret(
        &mut self,
        application: ApplicationId,
        id: ClientSecretId,
    ) -> Result<Option<ApplicationSecret>, Error> {
        let own = application_secrets::table
            .find(id)
            .filter(application_secrets::application_id.eq(application));
        self.run(|conn| {
            own.select(ApplicationSecret::as_select())
                .first(conn)
                .optional()
        })
    }
}

impl Tx<'_> {
    pub fn insert_application_secret(
        &mut self,
        application: &Application,
        secret: &NewSecret,
    ) -> Result<ClientSecretId, Error> {
        let row = ApplicationSecret {
            id: ClientSecretId::generate(self.now),
            application_id: application.id,
            digest: secret.digest.clone(),
            state: SecretState::Active,
            created_at: self.now,
            hint: secret.hint.clone(),
            last_used_at: None,
            revoked_at: None,
        };
        self.run_one_news(
            [Subject::Organization(application.organization_id)],
            |conn| {
                diesel::insert_into(application_secrets::table)
                    .values(&row)
                    .execute(conn)
            },
        )?;
        Ok(row.id)
    }

    /// Compare-and-swap: `NotFound` when it is revoked already, or another application's.
    pub fn revoke_application_secret(
        &mut self,
        application: &Application,
        id: ClientSecretId,
    ) -> Result<(), Error> {
        let now = self.now;
        let live = application_secrets::table.find(id).filter(
            application_secrets::application_id
                .eq(application.id)
                .and(application_secrets::state.eq(SecretState::Active)),
        );
        let revoked = (
            application_secrets::state.eq(SecretState::Revoked),
            application_secrets::revoked_at.eq(Some(now)),
        );
        self.run_one_news(
            [Subject::Organization(application.organization_id)],
            |conn| diesel::update(live).set(revoked).execute(conn),
        )
    }

    /// Forward only; not news for what is remembered of the client.
    pub fn record_application_secret_use(
        &mut self,
        id: ClientSecretId,
        at: Timestamp,
    ) -> Result<(), Error> {
        let earlier = application_secrets::table.find(id).filter(
            application_secrets::last_used_at
                .is_null()
                .or(application_secrets::last_used_at.lt(at)),
        );
        self.run_quiet(|conn| {
            diesel::update(earlier)
                .set(application_secrets::last_used_at.eq(Some(at)))
                .execute(conn)
        })
        .map(drop)
    }

    /// Forward only; not news for what is remembered of the client.
    pub fn record_application_use(
        &mut self,
        id: ApplicationId,
        at: Timestamp,
    ) -> Result<(), Error> {
        let earlier = applications::table.find(id).filter(
            applications::last_used_at
                .is_null()
                .or(applications::last_used_at.lt(at)),
        );
        self.run_quiet(|conn| {
            diesel::update(earlier)
                .set(applications::last_used_at.eq(Some(at)))
                .execute(conn)
        })
        .map(drop)
    }
}
