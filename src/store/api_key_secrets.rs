//! The secrets of API keys: one in use, and for a while a second one, newer or older.

use diesel::{
    BoolExpressionMethods, ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable,
    Selectable, SelectableHelper,
};

use super::schema::{api_key_secrets, api_keys};
use super::statements::{ReadDsl, WriteDsl};
use super::{Error, Snapshot, Subject, Tx};
use crate::crypto::digest::Digest;
use crate::types::id::{ApiKeyId, ApiKeySecretId, OrganizationId, UserId};
use crate::types::state::ApiKeySecretState;
use crate::types::time::Timestamp;

#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = api_key_secrets, treat_none_as_default_value = false)]
pub struct ApiKeySecret {
    pub id: ApiKeySecretId,
    pub api_key_id: ApiKeyId,
    /// Twelve characters inside the secret that lists, logs and mails show.
    pub public_id: String,
    pub digest: Digest,
    pub state: ApiKeySecretState,
    /// Seconds that the older secret lives on once this one is used.
    pub grace_seconds: i64,
    pub created_by: UserId,
    pub created_at: Timestamp,
    pub first_used_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
    /// The network of the last request.
    pub last_used_from: Option<String>,
    /// The end of the grace.
    pub expires_at: Option<Timestamp>,
}

impl ApiKeySecret {
    /// The first secret of a key.
    pub fn first(
        key: ApiKeyId,
        public_id: String,
        digest: Digest,
        created_by: UserId,
        now: Timestamp,
    ) -> Self {
        Self {
            id: ApiKeySecretId::generate(now),
            api_key_id: key,
            public_id,
            digest,
            state: ApiKeySecretState::Active,
            grace_seconds: 0,
            created_by,
            created_at: now,
            first_used_at: None,
            last_used_at: None,
            last_used_from: None,
            expires_at: None,
        }
    }

    pub fn is_live(&self, now: Timestamp) -> bool {
        self.state != ApiKeySecretState::Revoked && self.expires_at.is_none_or(|end| end > now)
    }
}

impl Snapshot<'_> {
    /// The newest first.
    pub fn list_api_key_secrets(&mut self, key: ApiKeyId) -> Result<Vec<ApiKeySecret>, Error> {
        let newest_first = (
            api_key_secrets::created_at.desc(),
            api_key_secrets::id.desc(),
        );
        self.run(|conn| {
            let of_key = api_key_secrets::table.filter(api_key_secrets::api_key_id.eq(key));
            of_key
                .order(newest_first)
                .select(ApiKeySecret::as_select())
                .load(conn)
        })
    }

    pub fn find_api_key_secret(
        &mut self,
        id: ApiKeySecretId,
    ) -> Result<Option<ApiKeySecret>, Error> {
        self.run(|conn| {
            api_key_secrets::table
                .find(id)
                .select(ApiKeySecret::as_select())
                .first(conn)
                .optional()
        })
    }
}

impl Tx<'_> {
    /// News for the memory, since the digest may have been unknown. `NotFound` unless the key is this organization's.
    pub fn insert_api_key_secret(
        &mut self,
        organization: OrganizationId,
        secret: &ApiKeySecret,
    ) -> Result<(), Error> {
        let own = api_keys::table
            .find(secret.api_key_id)
            .filter(api_keys::organization_id.eq(organization));
        self.run(|conn| own.select(api_keys::id).first::<ApiKeyId>(conn))?;
        self.run_one_news([Subject::Organization(organization)], |conn| {
            diesel::insert_into(api_key_secrets::table)
                .values(secret)
                .execute(conn)
        })
    }

    /// Compare-and-swap of one secret; `expires_at` is the end of its grace.
    pub fn change_api_key_secret_state(
        &mut self,
        organization: OrganizationId,
        id: ApiKeySecretId,
        from: ApiKeySecretState,
        to: ApiKeySecretState,
        expires_at: Option<Timestamp>,
    ) -> Result<(), Error> {
        let from_row = api_key_secrets::table
            .find(id)
            .filter(api_key_secrets::state.eq(from));
        self.run_one_news([Subject::Organization(organization)], |conn| {
            diesel::update(from_row)
                .set((
                    api_key_secrets::state.eq(to),
                    api_key_secrets::expires_at.eq(expires_at),
                ))
                .execute(conn)
        })
    }

    /// All of a key, whatever they were.
    pub(super) fn change_api_key_secret_states(
        &mut self,
        organization: OrganizationId,
        key: ApiKeyId,
        to: ApiKeySecretState,
    ) -> Result<(), Error> {
        let of_key = api_key_secrets::table.filter(api_key_secrets::api_key_id.eq(key));
        self.run_news([Subject::Organization(organization)], |conn| {
            diesel::update(of_key)
                .set(api_key_secrets::state.eq(to))
                .execute(conn)
        })
        .map(drop)
    }

    /// All of a key at once: it goes to somebody else.
    pub fn revoke_api_key_secrets(
        &mut self,
        organization: OrganizationId,
        key: ApiKeyId,
    ) -> Result<(), Error> {
        self.change_api_key_secret_states(organization, key, ApiKeySecretState::Revoked)
    }

    /// Forward only; not news for the access memory. `from`: the client's network, where it is known.
    pub fn record_api_key_secret_use(
        &mut self,
        id: ApiKeySecretId,
        at: Timestamp,
        from: Option<&str>,
    ) -> Result<(), Error> {
        let earlier = api_key_secrets::last_used_at
            .is_null()
            .or(api_key_secrets::last_used_at.lt(at));
        self.run_quiet(|conn| {
            let row = api_key_secrets::table.find(id).filter(earlier);
            diesel::update(row)
                .set((
                    api_key_secrets::last_used_at.eq(Some(at)),
                    api_key_secrets::last_used_from.eq(from),
                ))
                .execute(conn)
        })
        .map(drop)
    }

    /// Compare-and-swap: `NotFound` when it was used before.
    pub fn record_first_use_of_api_key_secret(&mut self, id: ApiKeySecretId) -> Result<(), Error> {
        let now = self.now;
        let unused = api_key_secrets::table
            .find(id)
            .filter(api_key_secrets::first_used_at.is_null());
        self.run_one_quiet(|conn| {
            diesel::update(unused)
                .set(api_key_secrets::first_used_at.eq(Some(now)))
                .execute(conn)
        })
    }
}
