//! Static API keys and the workspaces they reach.

use diesel::{ExpressionMethods, Insertable, JoinOnDsl, OptionalExtension, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper};

use super::api_key_secrets::ApiKeySecret;
use super::schema::{api_key_workspaces, api_keys, workspaces};
use super::{Error, Snapshot, Subject, Tx};
use crate::crypto::digest::Digest;
use crate::types::environment::Environment;
use crate::types::id::{ApiKeyId, OrganizationId, UserId, WorkspaceId};
use crate::types::state::{ApiKeySecretState, ApiKeyState, PermissionLevel, ReachKind, Simulation};
use crate::types::time::Timestamp;

#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = api_keys, treat_none_as_default_value = false)]
pub struct ApiKey {
    pub id: ApiKeyId,
    pub organization_id: OrganizationId,
    /// Acts with this user's rights, as they are now.
    pub owner_id: UserId,
    pub environment: Environment,
    pub prefix: String,
    pub marker: String,
    /// Twelve characters inside the key that lists, logs and mails show: of the secret in use.
    pub public_id: String,
    pub name: String,
    pub description: String,
    pub reach: ReachKind,
    pub permission_level: PermissionLevel,
    pub organization_operations: bool,
    /// The key may rotate itself.
    pub self_rotation: bool,
    pub state: ApiKeyState,
    /// Why it was deactivated, or what it waits for.
    pub state_reason: Option<String>,
    pub simulates: Option<Simulation>,
    pub simulates_until: Option<Timestamp>,
    pub expires_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
    pub created_by: UserId,
    pub created_at: Timestamp,
    pub revoked_by: Option<UserId>,
    pub revoked_at: Option<Timestamp>,
}

#[derive(Insertable)]
#[diesel(table_name = api_key_workspaces)]
struct ApiKeyWorkspace {
    api_key_id: ApiKeyId,
    workspace_id: WorkspaceId,
}

impl Snapshot<'_> {
    /// The key, and which of its secrets was presented. `candidates`: the digests of one presented key under the live secret keys.
    pub fn find_api_key_by_digest(&mut self, candidates: &[Digest]) -> Result<Option<(ApiKey, ApiKeySecret)>, Error> {
        use super::schema::api_key_secrets;
        self.run(|conn| {
            api_key_secrets::table
                .inner_join(api_keys::table)
                .filter(api_key_secrets::digest.eq_any(candidates))
                .select((ApiKey::as_select(), ApiKeySecret::as_select()))
                .first(conn)
                .optional()
        })
    }

    /// The key, if it is this organization's.
    pub fn find_api_key(&mut self, organization: OrganizationId, id: ApiKeyId) -> Result<Option<ApiKey>, Error> {
        self.run(|conn| {
            api_keys::table.find(id).filter(api_keys::organization_id.eq(organization)).select(ApiKey::as_select()).first(conn).optional()
        })
    }

    /// The newest first, at most `most`.
    pub fn list_api_keys(&mut self, organization: OrganizationId, most: i64) -> Result<Vec<ApiKey>, Error> {
        self.run(|conn| {
            api_keys::table
                .filter(api_keys::organization_id.eq(organization))
                .order((api_keys::created_at.desc(), api_keys::id.desc()))
                .limit(most)
                .select(ApiKey::as_select())
                .load(conn)
        })
    }

    /// Ids and names of the workspaces a key reaches; empty for organization reach.
    pub fn list_api_key_workspaces(&mut self, id: ApiKeyId) -> Result<Vec<(WorkspaceId, String)>, Error> {
        self.run(|conn| {
            api_key_workspaces::table
                .inner_join(workspaces::table.on(workspaces::id.eq(api_key_workspaces::workspace_id)))
                .filter(api_key_workspaces::api_key_id.eq(id))
                .order(workspaces::id)
                .select((workspaces::id, workspaces::name))
                .load(conn)
        })
    }

    /// Keys that count against the organization's cap: pending, paused and deactivated ones too, expired and revoked ones not (C10).
    pub fn count_active_api_keys(&mut self, organization: OrganizationId, now: Timestamp) -> Result<i64, Error> {
        use diesel::BoolExpressionMethods;
        self.run(|conn| {
            api_keys::table
                .filter(api_keys::organization_id.eq(organization))
                .filter(api_keys::state.ne(ApiKeyState::Revoked))
                .filter(api_keys::expires_at.is_null().or(api_keys::expires_at.gt(now)))
                .count()
                .get_result(conn)
        })
    }
}

impl Tx<'_> {
    /// `NotFound` when one of the workspaces is not the organization's.
    pub fn insert_api_key(&mut self, key: &ApiKey, workspaces: &[WorkspaceId]) -> Result<(), Error> {
        self.expect_workspaces(key.organization_id, workspaces)?;
        self.run_one(|conn| diesel::insert_into(api_keys::table).values(key).execute(conn))?;
        for workspace_id in workspaces {
            let row = ApiKeyWorkspace { api_key_id: key.id, workspace_id: *workspace_id };
            self.run_one(|conn| diesel::insert_into(api_key_workspaces::table).values(&row).execute(conn))?;
        }
        Ok(())
    }

    /// With all its secrets. Compare-and-swap: `NotFound` when the key is revoked already.
    pub fn revoke_api_key(&mut self, organization: OrganizationId, id: ApiKeyId, by: UserId) -> Result<(), Error> {
        self.touch(Subject::Organization(organization));
        let now = self.now;
        let live = api_keys::table.find(id).filter(api_keys::organization_id.eq(organization)).filter(api_keys::state.ne(ApiKeyState::Revoked));
        self.run_one(|conn| {
            diesel::update(live)
                .set((api_keys::state.eq(ApiKeyState::Revoked), api_keys::revoked_by.eq(Some(by)), api_keys::revoked_at.eq(Some(now))))
                .execute(conn)
        })?;
        self.change_api_key_secret_states(id, ApiKeySecretState::Revoked)
    }

    /// Compare-and-swap over the states; revocation has a function of its own.
    pub fn change_api_key_state(
        &mut self, organization: OrganizationId, id: ApiKeyId, from: ApiKeyState, to: ApiKeyState, reason: Option<&str>,
    ) -> Result<(), Error> {
        self.touch(Subject::Organization(organization));
        let from_row = api_keys::table.find(id).filter(api_keys::organization_id.eq(organization)).filter(api_keys::state.eq(from));
        self.run_one(|conn| diesel::update(from_row).set((api_keys::state.eq(to), api_keys::state_reason.eq(reason))).execute(conn))
    }

    /// Which secret's public part lists show.
    pub fn change_api_key_public_id(&mut self, organization: OrganizationId, id: ApiKeyId, public_id: &str) -> Result<(), Error> {
        let own = api_keys::table.find(id).filter(api_keys::organization_id.eq(organization));
        self.run_one(|conn| diesel::update(own).set(api_keys::public_id.eq(public_id)).execute(conn))
    }

    /// Forward only; not news for the access cache.
    pub fn record_api_key_use(&mut self, id: ApiKeyId, at: Timestamp) -> Result<(), Error> {
        use diesel::BoolExpressionMethods;
        let earlier = api_keys::table.find(id).filter(api_keys::last_used_at.is_null().or(api_keys::last_used_at.lt(at)));
        self.run(|conn| diesel::update(earlier).set(api_keys::last_used_at.eq(Some(at))).execute(conn)).map(drop)
    }
}
