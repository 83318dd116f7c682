//! Lists of API keys: one statement answers a page with exactly the keys that are asked for.

use diesel::dsl::{exists, not};
use diesel::expression::BoxableExpression;
use diesel::sql_types::{Bool, Nullable};
use diesel::{
    BoolExpressionMethods, Connection, EscapeExpressionMethods, ExpressionMethods, JoinOnDsl,
    NullableExpressionMethods, QueryDsl, SelectableHelper, TextExpressionMethods,
};

use super::api_keys::{ApiKey, fold, has_not_expired};
use super::applications::containing;
use super::conn::Conn;
use super::members::has_not_ended;
use super::schema::{api_key_workspaces, api_keys, members, workspace_members, workspaces};
use super::statements::ReadDsl;
use super::{Error, Snapshot};
use crate::types::environment::Environment;
use crate::types::id::{ApiKeyId, OrganizationId, UserId, WorkspaceId};
use crate::types::state::{ApiKeyState, OrganizationRole, PermissionLevel, ReachKind};
use crate::types::time::Timestamp;

/// Every state but the last: named one by one, because an index finds equal values only.
const LIVE: [ApiKeyState; 4] = [
    ApiKeyState::Pending,
    ApiKeyState::Active,
    ApiKeyState::Paused,
    ApiKeyState::Deactivated,
];
const ADMINS: [OrganizationRole; 2] = [OrganizationRole::Admin, OrganizationRole::Owner];

/// A key's state as people see it at some instant. What is neither revoked, deactivated nor pending may be `Expired`, or
/// `Stored(Deactivated)` without being stored so: then the owner's membership has ended, or the owner has lost every
/// workspace of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyStatus {
    Stored(ApiKeyState),
    Expired,
}

/// Which keys a page holds; none is no condition.
#[derive(Debug, Clone, Default)]
pub struct ApiKeyFilter {
    pub environment: Option<Environment>,
    pub state: Option<ApiKeyState>,
    /// Only those that are not revoked.
    pub live: bool,
    /// Only those that are not revoked and had not expired before this instant.
    pub shown_since: Option<Timestamp>,
    /// Only those that have this status at this instant.
    pub status: Option<(KeyStatus, Timestamp)>,
    /// Letters in the name, in any case.
    pub name: Option<String>,
    pub created_before: Option<Timestamp>,
    /// Neither made nor used since then.
    pub unused_since: Option<Timestamp>,
    pub owner: Option<UserId>,
    pub permission_level: Option<PermissionLevel>,
    pub reach: Option<ReachKind>,
    /// Names this workspace.
    pub workspace: Option<WorkspaceId>,
    /// Only those that name workspaces, all of them among these.
    pub only: Option<Vec<WorkspaceId>>,
}

type Backend = <Conn as Connection>::Backend;
type Condition = Box<dyn BoxableExpression<api_keys::table, Backend, SqlType = Nullable<Bool>>>;

impl Snapshot<'_> {
    /// The newest first, those behind `after`, at most `most`.
    pub fn list_api_keys_page(
        &mut self,
        organization: OrganizationId,
        filter: &ApiKeyFilter,
        after: Option<(Timestamp, ApiKeyId)>,
        most: i64,
    ) -> Result<Vec<ApiKey>, Error> {
        let mut found = api_keys::table
            .filter(api_keys::organization_id.eq(organization))
            .into_boxed::<Backend>();
        if let Some(environment) = filter.environment {
            found = found.filter(api_keys::environment.eq(environment));
        }
        if let Some(state) = filter.state {
            found = found.filter(api_keys::state.eq(state));
        }
        if filter.live || filter.shown_since.is_some() {
            found = found.filter(api_keys::state.eq_any(LIVE));
        }
        if let Some(since) = filter.shown_since {
            found = found.filter(
                api_keys::expires_at
                    .is_null()
                    .or(api_keys::expires_at.ge(since)),
            );
        }
        if let Some((status, now)) = filter.status {
            found = found.filter(has_status(status, now));
        }
        if let Some(name) = &filter.name {
            let part = containing(&fold(name));
            found = found.filter(api_keys::name_folded.like(part).escape('\\'));
        }
        if let Some(before) = filter.created_before {
            found = found.filter(api_keys::created_at.lt(before));
        }
        if let Some(since) = filter.unused_since {
            let unused = api_keys::last_used_at
                .is_null()
                .or(api_keys::last_used_at.lt(since));
            found = found.filter(api_keys::created_at.lt(since).and(unused));
        }
        if let Some(owner) = filter.owner {
            found = found.filter(api_keys::owner_id.eq(owner));
        }
        if let Some(level) = filter.permission_level {
            found = found.filter(api_keys::permission_level.eq(level));
        }
        if let Some(reach) = filter.reach {
            found = found.filter(api_keys::reach.eq(reach));
        }
        let named =
            || api_key_workspaces::table.filter(api_key_workspaces::api_key_id.eq(api_keys::id));
        if let Some(workspace) = filter.workspace {
            found = found.filter(exists(
                named().filter(api_key_workspaces::workspace_id.eq(workspace)),
            ));
        }
        if let Some(only) = &filter.only {
            found = found
                .filter(api_keys::reach.eq(ReachKind::Workspaces))
                .filter(exists(named()));
            found = found.filter(not(exists(
                named().filter(not(api_key_workspaces::workspace_id.eq_any(only))),
            )));
        }
        if let Some((at, id)) = after {
            found = found.filter(
                api_keys::created_at
                    .lt(at)
                    .or(api_keys::created_at.eq(at).and(api_keys::id.lt(id))),
            );
        }
        let newest_first = found
            .order((api_keys::created_at.desc(), api_keys::id.desc()))
            .limit(most);
        self.run(|conn| newest_first.select(ApiKey::as_select()).load(conn))
    }
}

/// What has ended for good decides first, then the key's own end, then its owner.
fn has_status(status: KeyStatus, now: Timestamp) -> Condition {
    let acting = api_keys::state.eq_any([ApiKeyState::Active, ApiKeyState::Paused]);
    match status {
        KeyStatus::Stored(state @ (ApiKeyState::Pending | ApiKeyState::Revoked)) => {
            Box::new(api_keys::state.eq(state).nullable())
        }
        KeyStatus::Stored(ApiKeyState::Deactivated) => Box::new(
            api_keys::state
                .eq(ApiKeyState::Deactivated)
                .or(acting.and(has_not_expired(now)).and(not(has_ground(now)))),
        ),
        KeyStatus::Stored(state @ (ApiKeyState::Active | ApiKeyState::Paused)) => Box::new(
            api_keys::state
                .eq(state)
                .and(has_not_expired(now))
                .and(has_ground(now)),
        ),
        KeyStatus::Expired => Box::new(acting.and(api_keys::expires_at.le(now))),
    }
}

/// The owner is a member whose membership has not ended, and an admin or with a role where the key reaches.
fn has_ground(now: Timestamp) -> Condition {
    let member = members::table
        .filter(members::organization_id.eq(api_keys::organization_id))
        .filter(members::user_id.eq(api_keys::owner_id))
        .filter(has_not_ended(now));
    let anywhere = workspace_members::table
        .inner_join(workspaces::table)
        .filter(workspaces::organization_id.eq(api_keys::organization_id))
        .filter(workspace_members::user_id.eq(api_keys::owner_id));
    let both = api_key_workspaces::workspace_id.eq(workspace_members::workspace_id);
    let named = workspace_members::table
        .inner_join(api_key_workspaces::table.on(both))
        .filter(api_key_workspaces::api_key_id.eq(api_keys::id))
        .filter(workspace_members::user_id.eq(api_keys::owner_id));
    let everywhere = api_keys::reach.eq(ReachKind::Organization);
    let reached = everywhere.and(exists(anywhere)).or(exists(named));
    let admin = member.filter(members::role.eq_any(ADMINS));
    Box::new(exists(admin).or(exists(member).and(reached)).nullable())
}
