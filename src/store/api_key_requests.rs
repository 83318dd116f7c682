//! Members ask admins for keys.

use diesel::{
    BoolExpressionMethods, Connection, ExpressionMethods, Insertable, OptionalExtension, QueryDsl,
    Queryable, Selectable, SelectableHelper,
};

use super::conn::Conn;
use super::schema::api_key_requests;
use super::statements::{ReadDsl, WriteDsl};
use super::{Error, Snapshot, Tx};
use crate::types::environment::Environment;
use crate::types::id::{ApiKeyId, ApiKeyRequestId, OrganizationId, UserId, WorkspaceId};
use crate::types::state::{KeyRequestState, PermissionLevel, ReachKind};
use crate::types::time::Timestamp;

#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = api_key_requests, treat_none_as_default_value = false)]
pub struct ApiKeyRequest {
    pub id: ApiKeyRequestId,
    pub organization_id: OrganizationId,
    pub requester_id: UserId,
    pub name: String,
    pub reason: String,
    pub environment: Environment,
    pub reach: ReachKind,
    /// Ids, separated by spaces: see [`ApiKeyRequest::workspaces`].
    pub workspaces: String,
    pub permission_level: PermissionLevel,
    pub expires_at: Option<Timestamp>,
    pub state: KeyRequestState,
    pub decided_by: Option<UserId>,
    pub decided_at: Option<Timestamp>,
    pub decision_reason: Option<String>,
    /// Once it is approved.
    pub api_key_id: Option<ApiKeyId>,
    pub created_at: Timestamp,
}

impl ApiKeyRequest {
    pub fn workspaces(&self) -> Vec<WorkspaceId> {
        self.workspaces
            .split(' ')
            .filter_map(|id| id.parse().ok())
            .collect()
    }
}

impl Snapshot<'_> {
    pub fn find_api_key_request(
        &mut self,
        organization: OrganizationId,
        id: ApiKeyRequestId,
    ) -> Result<Option<ApiKeyRequest>, Error> {
        let own = api_key_requests::table
            .find(id)
            .filter(api_key_requests::organization_id.eq(organization));
        self.run(|conn| {
            own.select(ApiKeyRequest::as_select())
                .first(conn)
                .optional()
        })
    }

    /// Which request a key was made for.
    pub fn find_api_key_request_of_key(
        &mut self,
        key: ApiKeyId,
    ) -> Result<Option<ApiKeyRequest>, Error> {
        let of_key = api_key_requests::table.filter(api_key_requests::api_key_id.eq(key));
        self.run(|conn| {
            of_key
                .select(ApiKeyRequest::as_select())
                .first(conn)
                .optional()
        })
    }

    /// The newest first, those behind `after`, at most `most`.
    pub fn list_api_key_requests_page(
        &mut self,
        organization: OrganizationId,
        requester: Option<UserId>,
        state: Option<KeyRequestState>,
        after: Option<(Timestamp, ApiKeyRequestId)>,
        most: i64,
    ) -> Result<Vec<ApiKeyRequest>, Error> {
        let mut found = api_key_requests::table
            .filter(api_key_requests::organization_id.eq(organization))
            .into_boxed::<<Conn as Connection>::Backend>();
        if let Some(requester) = requester {
            found = found.filter(api_key_requests::requester_id.eq(requester));
        }
        if let Some(state) = state {
            found = found.filter(api_key_requests::state.eq(state));
        }
        if let Some((at, id)) = after {
            let earlier = api_key_requests::created_at
                .eq(at)
                .and(api_key_requests::id.lt(id));
            found = found.filter(api_key_requests::created_at.lt(at).or(earlier));
        }
        let newest_first = found
            .order((
                api_key_requests::created_at.desc(),
                api_key_requests::id.desc(),
            ))
            .limit(most);
        self.run(|conn| newest_first.select(ApiKeyRequest::as_select()).load(conn))
    }

    /// Approved ones that nobody has collected, by who approved them.
    pub fn list_api_key_requests_approved_by(
        &mut self,
        organization: OrganizationId,
        decided_by: UserId,
    ) -> Result<Vec<ApiKeyRequest>, Error> {
        let own = api_key_requests::table
            .filter(api_key_requests::organization_id.eq(organization))
            .filter(api_key_requests::state.eq(KeyRequestState::Approved));
        let approved = own.filter(api_key_requests::decided_by.eq(Some(decided_by)));
        self.run(|conn| approved.select(ApiKeyRequest::as_select()).load(conn))
    }

    /// What this person asked for and has not got yet, decided or not, by others than themselves.
    pub fn list_waiting_api_key_requests_of(
        &mut self,
        organization: OrganizationId,
        requester: UserId,
    ) -> Result<Vec<ApiKeyRequest>, Error> {
        let own = api_key_requests::table
            .filter(api_key_requests::organization_id.eq(organization))
            .filter(api_key_requests::requester_id.eq(requester));
        let waiting = [KeyRequestState::Open, KeyRequestState::Approved];
        let waiting = own.filter(api_key_requests::state.eq_any(waiting));
        let by_others = api_key_requests::decided_by
            .is_null()
            .or(api_key_requests::decided_by.ne(Some(requester)));
        let found = waiting.filter(by_others);
        self.run(|conn| found.select(ApiKeyRequest::as_select()).load(conn))
    }

    pub fn count_open_api_key_requests(
        &mut self,
        organization: OrganizationId,
        requester: UserId,
    ) -> Result<i64, Error> {
        let own = api_key_requests::organization_id
            .eq(organization)
            .and(api_key_requests::requester_id.eq(requester));
        let open = api_key_requests::table
            .filter(own)
            .filter(api_key_requests::state.eq(KeyRequestState::Open));
        self.run(|conn| open.count().get_result(conn))
    }
}

impl Tx<'_> {
    pub fn insert_api_key_request(&mut self, request: &ApiKeyRequest) -> Result<(), Error> {
        self.run_one_quiet(|conn| {
            diesel::insert_into(api_key_requests::table)
                .values(request)
                .execute(conn)
        })
    }

    /// Writes the state, the decision and the key. Compare-and-swap: `NotFound` when it is not in `from` any more.
    pub fn change_api_key_request(
        &mut self,
        request: &ApiKeyRequest,
        from: KeyRequestState,
    ) -> Result<(), Error> {
        let own = api_key_requests::table
            .find(request.id)
            .filter(api_key_requests::organization_id.eq(request.organization_id));
        let from_row = own.filter(api_key_requests::state.eq(from));
        let changed = (
            api_key_requests::state.eq(request.state),
            api_key_requests::decided_by.eq(request.decided_by),
            api_key_requests::decided_at.eq(request.decided_at),
            api_key_requests::decision_reason.eq(request.decision_reason.as_deref()),
            api_key_requests::api_key_id.eq(request.api_key_id),
        );
        self.run_one_quiet(|conn| diesel::update(from_row).set(changed).execute(conn))
    }
}
