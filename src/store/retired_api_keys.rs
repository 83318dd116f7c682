//! What stays of an API key that ended long ago.

use diesel::{
    ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, Selectable,
    SelectableHelper,
};

use super::api_keys::ApiKey;
use super::schema::{
    api_key_requests, api_key_secrets, api_key_transfers, api_key_workspaces, api_keys, hand_overs,
    retired_api_keys, secret_disclosures,
};
use super::statements::{ReadDsl, WriteDsl};
use super::{Error, Snapshot, Subject, Tx};
use crate::types::environment::Environment;
use crate::types::id::{ApiKeyId, OrganizationId, UserId};
use crate::types::state::ApiKeyState;
use crate::types::time::Timestamp;

#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = retired_api_keys, treat_none_as_default_value = false)]
pub struct RetiredApiKey {
    pub id: ApiKeyId,
    pub organization_id: OrganizationId,
    /// What people called it: [`ApiKey::title`].
    pub name: String,
    pub owner_id: UserId,
    pub environment: Environment,
    pub last_used_at: Option<Timestamp>,
    pub created_at: Timestamp,
    /// When it was revoked or expired, whichever came first.
    pub ended_at: Timestamp,
}

impl RetiredApiKey {
    /// None for a key that has neither been revoked nor ends by itself.
    fn of(key: &ApiKey) -> Option<Self> {
        Some(Self {
            id: key.id,
            organization_id: key.organization_id,
            name: key.title(),
            owner_id: key.owner_id,
            environment: key.environment,
            last_used_at: key.last_used_at,
            created_at: key.created_at,
            ended_at: key.revoked_at.into_iter().chain(key.expires_at).min()?,
        })
    }
}

impl Snapshot<'_> {
    pub fn find_retired_api_key(
        &mut self,
        organization: OrganizationId,
        id: ApiKeyId,
    ) -> Result<Option<RetiredApiKey>, Error> {
        self.run(|conn| {
            retired_api_keys::table
                .find(id)
                .filter(retired_api_keys::organization_id.eq(organization))
                .select(RetiredApiKey::as_select())
                .first(conn)
                .optional()
        })
    }
}

impl Tx<'_> {
    /// Moves at most `most` keys that were revoked or expired before `before` out of the table, with all that refers to
    /// them: how many.
    pub fn retire_api_keys(&mut self, before: Timestamp, most: i64) -> Result<usize, Error> {
        let keys = self.list_long_ended_api_keys(before, most)?;
        if keys.is_empty() {
            return Ok(0);
        }
        let rows: Vec<RetiredApiKey> = keys.iter().filter_map(RetiredApiKey::of).collect();
        for row in &rows {
            self.run_one_quiet(|conn| {
                diesel::insert_into(retired_api_keys::table)
                    .values(row)
                    .execute(conn)
            })?;
        }
        let ids: Vec<ApiKeyId> = rows.iter().map(|row| row.id).collect();
        self.delete_what_refers_to(&ids)?;
        // an expired key may be remembered as expired, and is now unknown
        let subjects = rows
            .iter()
            .map(|row| Subject::Organization(row.organization_id));
        self.run_news(subjects, |conn| {
            diesel::delete(api_keys::table.filter(api_keys::id.eq_any(&ids))).execute(conn)
        })
    }

    /// The revoked ones first: one condition at a time, so that each has its index.
    fn list_long_ended_api_keys(
        &mut self,
        before: Timestamp,
        most: i64,
    ) -> Result<Vec<ApiKey>, Error> {
        let revoked = api_keys::table
            .filter(api_keys::state.eq(ApiKeyState::Revoked))
            .filter(api_keys::revoked_at.lt(before))
            .limit(most);
        let keys: Vec<ApiKey> = self.run(|conn| revoked.select(ApiKey::as_select()).load(conn))?;
        if !keys.is_empty() {
            return Ok(keys);
        }
        let expired = api_keys::table
            .filter(api_keys::expires_at.lt(before))
            .limit(most);
        self.run(|conn| expired.select(ApiKey::as_select()).load(conn))
    }

    /// A request for a key stays, without it.
    fn delete_what_refers_to(&mut self, keys: &[ApiKeyId]) -> Result<(), Error> {
        let requests = api_key_requests::table.filter(api_key_requests::api_key_id.eq_any(keys));
        let none = api_key_requests::api_key_id.eq(None::<ApiKeyId>);
        self.run_quiet(|conn| diesel::update(requests).set(none).execute(conn))?;
        let transfers = api_key_transfers::table.filter(api_key_transfers::api_key_id.eq_any(keys));
        self.run_quiet(|conn| diesel::delete(transfers).execute(conn))?;
        let links = hand_overs::table.filter(hand_overs::api_key_id.eq_any(keys));
        self.run_quiet(|conn| diesel::delete(links).execute(conn))?;
        let secrets = || api_key_secrets::table.filter(api_key_secrets::api_key_id.eq_any(keys));
        let ids = secrets().select(api_key_secrets::id);
        let shown = secret_disclosures::table.filter(secret_disclosures::secret_id.eq_any(ids));
        self.run_quiet(|conn| diesel::delete(shown).execute(conn))?;
        let secrets = secrets();
        self.run_quiet(|conn| diesel::delete(secrets).execute(conn))?;
        let workspaces =
            api_key_workspaces::table.filter(api_key_workspaces::api_key_id.eq_any(keys));
        self.run_quiet(|conn| diesel::delete(workspaces).execute(conn))
            .map(drop)
    }
}
