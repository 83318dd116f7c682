//! Requests of people to join an organization.

use diesel::{
    BoolExpressionMethods, Connection, ExpressionMethods, Insertable, OptionalExtension, QueryDsl,
    Queryable, Selectable, SelectableHelper,
};

use super::conn::Conn;
use super::schema::{join_requests, users};
use super::statements::{ReadDsl, WriteDsl};
use super::users::User;
use super::{Error, Snapshot, Tx};
use crate::types::id::{JoinRequestId, OrganizationId, UserId};
use crate::types::state::JoinRequestState;
use crate::types::time::Timestamp;

#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = join_requests, treat_none_as_default_value = false)]
pub struct JoinRequest {
    pub id: JoinRequestId,
    pub organization_id: OrganizationId,
    pub user_id: UserId,
    /// In the person's words; may be empty.
    pub message: String,
    pub state: JoinRequestState,
    pub created_at: Timestamp,
    pub decided_by: Option<UserId>,
    pub decided_at: Option<Timestamp>,
    /// Why it was refused.
    pub reason: Option<String>,
}

impl Snapshot<'_> {
    /// The organization's own, with who asks.
    pub fn find_join_request(
        &mut self,
        organization: OrganizationId,
        id: JoinRequestId,
    ) -> Result<Option<(JoinRequest, User)>, Error> {
        let own = join_requests::table.inner_join(users::table).filter(
            join_requests::id
                .eq(id)
                .and(join_requests::organization_id.eq(organization)),
        );
        self.run(|conn| {
            own.select((JoinRequest::as_select(), User::as_select()))
                .first(conn)
                .optional()
        })
    }

    /// What the person asks for and nobody has decided, the oldest first.
    pub fn list_join_requests_of(&mut self, user: UserId) -> Result<Vec<JoinRequest>, Error> {
        let pending = join_requests::table.filter(
            join_requests::user_id
                .eq(user)
                .and(join_requests::state.eq(JoinRequestState::Pending)),
        );
        self.run(|conn| {
            pending
                .order((join_requests::created_at, join_requests::id))
                .select(JoinRequest::as_select())
                .load(conn)
        })
    }

    /// The newest first, those behind `after`, at most `most`; in `state`, if one is given.
    pub fn list_join_requests_page(
        &mut self,
        organization: OrganizationId,
        state: Option<JoinRequestState>,
        after: Option<(Timestamp, JoinRequestId)>,
        most: i64,
    ) -> Result<Vec<(JoinRequest, User)>, Error> {
        let of_organization = join_requests::organization_id.eq(organization);
        let mut own = join_requests::table
            .inner_join(users::table)
            .filter(of_organization)
            .into_boxed::<<Conn as Connection>::Backend>();
        if let Some(state) = state {
            own = own.filter(join_requests::state.eq(state));
        }
        if let Some((at, id)) = after {
            own = own.filter(
                join_requests::created_at
                    .lt(at)
                    .or(join_requests::created_at
                        .eq(at)
                        .and(join_requests::id.lt(id))),
            );
        }
        let newest_first = own
            .order((join_requests::created_at.desc(), join_requests::id.desc()))
            .limit(most);
        self.run(|conn| {
            newest_first
                .select((JoinRequest::as_select(), User::as_select()))
                .load(conn)
        })
    }
}

impl Tx<'_> {
    /// `Constraint` when the person asks already.
    pub fn insert_join_request(&mut self, request: &JoinRequest) -> Result<(), Error> {
        self.run_one_quiet(|conn| {
            diesel::insert_into(join_requests::table)
                .values(request)
                .execute(conn)
        })
    }

    /// Compare-and-swap from pending: `NotFound` when somebody has decided meanwhile.
    pub fn decide_join_request(
        &mut self,
        id: JoinRequestId,
        to: JoinRequestState,
        by: UserId,
        reason: Option<&str>,
    ) -> Result<(), Error> {
        let now = self.now;
        let pending = join_requests::table
            .find(id)
            .filter(join_requests::state.eq(JoinRequestState::Pending));
        let decided = (
            join_requests::state.eq(to),
            join_requests::decided_by.eq(Some(by)),
            join_requests::decided_at.eq(Some(now)),
            join_requests::reason.eq(reason),
        );
        self.run_one_quiet(|conn| diesel::update(pending).set(decided).execute(conn))
    }
}
