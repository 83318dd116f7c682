//! Static API keys and the workspaces they reach.

use diesel::dsl::auto_type;
use diesel::{
    BoolExpressionMethods, ExpressionMethods, Insertable, JoinOnDsl, OptionalExtension, QueryDsl,
    Queryable, Selectable, SelectableHelper,
};

pub use super::api_key_lists::{ApiKeyFilter, KeyStatus};
use super::api_key_secrets::ApiKeySecret;
use super::schema::{api_key_workspaces, api_keys, workspaces};
use super::statements::{ReadDsl, WriteDsl};
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
    /// Since when the owner has it: a membership that began later does not carry it.
    pub owned_since: Timestamp,
}

impl ApiKey {
    /// What people call it: an unnamed key by its environment and public id (C7).
    pub fn title(&self) -> String {
        if self.name.is_empty() {
            format!("{} {}", self.environment, self.public_id)
        } else {
            self.name.clone()
        }
    }
}

#[derive(Insertable)]
#[diesel(table_name = api_key_workspaces)]
struct ApiKeyWorkspace {
    api_key_id: ApiKeyId,
    workspace_id: WorkspaceId,
}

#[auto_type]
pub(super) fn has_not_expired(now: Timestamp) -> _ {
    api_keys::expires_at
        .is_null()
        .or(api_keys::expires_at.gt(now))
}

/// The letters of a name, whatever their case. Not SQL's lower(), which changes other letters on each database.
pub(super) fn fold(name: &str) -> String {
    name.to_lowercase()
}

impl Snapshot<'_> {
    /// The key, and which of its secrets was presented. `candidates`: the digests of one presented key under the live secret keys.
    pub fn find_api_key_by_digest(
        &mut self,
        candidates: &[Digest],
    ) -> Result<Option<(ApiKey, ApiKeySecret)>, Error> {
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
    pub fn find_api_key(
        &mut self,
        organization: OrganizationId,
        id: ApiKeyId,
    ) -> Result<Option<ApiKey>, Error> {
        self.run(|conn| {
            api_keys::table
                .find(id)
                .filter(api_keys::organization_id.eq(organization))
                .select(ApiKey::as_select())
                .first(conn)
                .optional()
        })
    }

    /// Keys that name the workspace and count against its cap.
    pub fn count_active_api_keys_of_workspace(
        &mut self,
        workspace: WorkspaceId,
        now: Timestamp,
    ) -> Result<i64, Error> {
        self.run(|conn| {
            api_keys::table
                .inner_join(
                    api_key_workspaces::table.on(api_key_workspaces::api_key_id.eq(api_keys::id)),
                )
                .filter(api_key_workspaces::workspace_id.eq(workspace))
                .filter(api_keys::state.ne(ApiKeyState::Revoked))
                .filter(has_not_expired(now))
                .count()
                .get_result(conn)
        })
    }

    /// Ids and names of the workspaces a key reaches; empty for organization reach.
    pub fn list_api_key_workspaces(
        &mut self,
        id: ApiKeyId,
    ) -> Result<Vec<(WorkspaceId, String)>, Error> {
        self.run(|conn| {
            api_key_workspaces::table
                .inner_join(
                    workspaces::table.on(workspaces::id.eq(api_key_workspaces::workspace_id)),
                )
                .filter(api_key_workspaces::api_key_id.eq(id))
                .order(workspaces::id)
                .select((workspaces::id, workspaces::name))
                .load(conn)
        })
    }

    /// Those that work: active, and not expired.
    pub fn count_working_api_keys(
        &mut self,
        organization: OrganizationId,
        environment: Environment,
        now: Timestamp,
    ) -> Result<i64, Error> {
        let working = api_keys::table
            .filter(
                api_keys::organization_id
                    .eq(organization)
                    .and(api_keys::environment.eq(environment)),
            )
            .filter(api_keys::state.eq(ApiKeyState::Active))
            .filter(has_not_expired(now));
        self.run(|conn| working.count().get_result(conn))
    }

    /// Keys that count against the organization's cap: pending, paused and deactivated ones too, expired and revoked ones not (C10).
    pub fn count_active_api_keys(
        &mut self,
        organization: OrganizationId,
        now: Timestamp,
    ) -> Result<i64, Error> {
        self.run(|conn| {
            api_keys::table
                .filter(api_keys::organization_id.eq(organization))
                .filter(api_keys::state.ne(ApiKeyState::Revoked))
                .filter(has_not_expired(now))
                .count()
                .get_result(conn)
        })
    }
}

impl Tx<'_> {
    /// `NotFound` when one of the workspaces is not the organization's.
    pub fn insert_api_key(
        &mut self,
        key: &ApiKey,
        workspaces: &[WorkspaceId],
    ) -> Result<(), Error> {
        self.expect_workspaces(key.organization_id, workspaces)?;
        self.run_one_quiet(|conn| {
            diesel::insert_into(api_keys::table)
                .values((key, api_keys::name_folded.eq(fold(&key.name))))
                .execute(conn)
        })?;
        for workspace_id in workspaces {
            let row = ApiKeyWorkspace {
                api_key_id: key.id,
                workspace_id: *workspace_id,
            };
            self.run_one_quiet(|conn| {
                diesel::insert_into(api_key_workspaces::table)
                    .values(&row)
                    .execute(conn)
            })?;
        }
        Ok(())
    }

    /// With all its secrets. Compare-and-swap: `NotFound` when the key is revoked already.
    pub fn revoke_api_key(
        &mut self,
        organization: OrganizationId,
        id: ApiKeyId,
        by: UserId,
    ) -> Result<(), Error> {
        let now = self.now;
        let live = api_keys::table
            .find(id)
            .filter(api_keys::organization_id.eq(organization))
            .filter(api_keys::state.ne(ApiKeyState::Revoked));
        self.run_one_news([Subject::Organization(organization)], |conn| {
            diesel::update(live)
                .set((
                    api_keys::state.eq(ApiKeyState::Revoked),
                    api_keys::revoked_by.eq(Some(by)),
                    api_keys::revoked_at.eq(Some(now)),
                ))
                .execute(conn)
        })?;
        self.change_api_key_secret_states(organization, id, ApiKeySecretState::Revoked)
    }

    /// Compare-and-swap over the states; revocation has a function of its own.
    pub fn change_api_key_state(
        &mut self,
        organization: OrganizationId,
        id: ApiKeyId,
        from: ApiKeyState,
        to: ApiKeyState,
        reason: Option<&str>,
    ) -> Result<(), Error> {
        let from_row = api_keys::table
            .find(id)
            .filter(api_keys::organization_id.eq(organization))
            .filter(api_keys::state.eq(from));
        self.run_one_news([Subject::Organization(organization)], |conn| {
            diesel::update(from_row)
                .set((api_keys::state.eq(to), api_keys::state_reason.eq(reason)))
                .execute(conn)
        })
    }

    /// Writes what may change of a key: texts, level, expiry, reach, its switches, its owner. `workspaces`: what it names from
    /// now on, if that changes. `NotFound` when it is revoked.
    pub fn change_api_key(
        &mut self,
        key: &ApiKey,
        workspaces: Option<&[WorkspaceId]>,
    ) -> Result<(), Error> {
        let own = api_keys::table
            .find(key.id)
            .filter(api_keys::organization_id.eq(key.organization_id));
        let live = own.filter(api_keys::state.ne(ApiKeyState::Revoked));
        let changed = (
            api_keys::name.eq(&key.name),
            api_keys::name_folded.eq(fold(&key.name)),
            api_keys::description.eq(&key.description),
            api_keys::permission_level.eq(key.permission_level),
            api_keys::reach.eq(key.reach),
            api_keys::organization_operations.eq(key.organization_operations),
            api_keys::self_rotation.eq(key.self_rotation),
            api_keys::expires_at.eq(key.expires_at),
            api_keys::owner_id.eq(key.owner_id),
            api_keys::owned_since.eq(key.owned_since),
        );
        self.run_one_news([Subject::Organization(key.organization_id)], |conn| {
            diesel::update(live).set(changed).execute(conn)
        })?;
        let Some(workspaces) = workspaces else {
            return Ok(());
        };
        self.expect_workspaces(key.organization_id, workspaces)?;
        self.run_news([Subject::Organization(key.organization_id)], |conn| {
            diesel::delete(
                api_key_workspaces::table.filter(api_key_workspaces::api_key_id.eq(key.id)),
            )
            .execute(conn)
        })?;
        for workspace_id in workspaces {
            let row = ApiKeyWorkspace {
                api_key_id: key.id,
                workspace_id: *workspace_id,
            };
            self.run_one_news([Subject::Organization(key.organization_id)], |conn| {
                diesel::insert_into(api_key_workspaces::table)
                    .values(&row)
                    .execute(conn)
            })?;
        }
        Ok(())
    }

    /// None ends a simulation. `NotFound` unless the key is this organization's.
    pub fn change_api_key_simulation(
        &mut self,
        organization: OrganizationId,
        id: ApiKeyId,
        simulation: Option<(Simulation, Timestamp)>,
    ) -> Result<(), Error> {
        let own = api_keys::table
            .find(id)
            .filter(api_keys::organization_id.eq(organization));
        let (what, until) = simulation.unzip();
        self.run_one_news([Subject::Organization(organization)], |conn| {
            diesel::update(own)
                .set((
                    api_keys::simulates.eq(what),
                    api_keys::simulates_until.eq(until),
                ))
                .execute(conn)
        })
    }

    /// Which secret's public part lists show, and the remembered title of a key without a name.
    pub fn change_api_key_public_id(
        &mut self,
        organization: OrganizationId,
        id: ApiKeyId,
        public_id: &str,
    ) -> Result<(), Error> {
        let own = api_keys::table
            .find(id)
            .filter(api_keys::organization_id.eq(organization));
        self.run_one_news([Subject::Organization(organization)], |conn| {
            diesel::update(own)
                .set(api_keys::public_id.eq(public_id))
                .execute(conn)
        })
    }

    /// Forward only; not news for the access cache.
    pub fn record_api_key_use(&mut self, id: ApiKeyId, at: Timestamp) -> Result<(), Error> {
        let earlier = api_keys::table.find(id).filter(
            api_keys::last_used_at
                .is_null()
                .or(api_keys::last_used_at.lt(at)),
        );
        self.run_quiet(|conn| {
            diesel::update(earlier)
                .set(api_keys::last_used_at.eq(Some(at)))
                .execute(conn)
        })
        .map(drop)
    }
}
