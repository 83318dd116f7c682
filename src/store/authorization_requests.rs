//! Authorization requests that wait for a person's decision, or have it, bound to the session that asked.

use diesel::{
    ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, Selectable,
    SelectableHelper,
};

use super::schema::authorization_requests;
use super::statements::{ReadDsl, WriteDsl};
use super::{Error, Snapshot, Tx};
use crate::types::id::{ApplicationId, AuthorizationRequestId, SessionId};
use crate::types::redirect_uri::RedirectUri;
use crate::types::resource::Resources;
use crate::types::scope::Scopes;
use crate::types::state::RequestAnswer;
use crate::types::time::Timestamp;

#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = authorization_requests, treat_none_as_default_value = false)]
pub struct AuthorizationRequest {
    pub id: AuthorizationRequestId,
    pub session_id: SessionId,
    pub application_id: ApplicationId,
    /// As the request wrote it: a loopback port included.
    pub redirect_uri: RedirectUri,
    pub scopes: Scopes,
    pub resources: Resources,
    pub state: Option<String>,
    /// RFC 7636, method S256; none only for a client that may leave it out.
    pub code_challenge: Option<String>,
    pub expires_at: Timestamp,
    /// What the person decided; none while it waits.
    pub answer: Option<RequestAnswer>,
}

impl Snapshot<'_> {
    /// The request, if this session made it.
    pub fn find_authorization_request(
        &mut self,
        session: SessionId,
        id: AuthorizationRequestId,
    ) -> Result<Option<AuthorizationRequest>, Error> {
        self.run(|conn| {
            authorization_requests::table
                .find(id)
                .filter(authorization_requests::session_id.eq(session))
                .select(AuthorizationRequest::as_select())
                .first(conn)
                .optional()
        })
    }
}

impl Tx<'_> {
    /// Removes all but the session's newest `most`; those that were answered go first.
    pub fn delete_oldest_authorization_requests(
        &mut self,
        session: SessionId,
        most: i64,
    ) -> Result<usize, Error> {
        let of_session =
            authorization_requests::table.filter(authorization_requests::session_id.eq(session));
        let newest = of_session.order((
            authorization_requests::answer.is_null().desc(),
            authorization_requests::expires_at.desc(),
            authorization_requests::id.desc(),
        ));
        let old: Vec<AuthorizationRequestId> = self.run(|conn| {
            newest
                .offset(most)
                .limit(1000)
                .select(authorization_requests::id)
                .load(conn)
        })?;
        self.run_quiet(|conn| {
            diesel::delete(
                authorization_requests::table.filter(authorization_requests::id.eq_any(&old)),
            )
            .execute(conn)
        })
    }

    pub fn insert_authorization_request(
        &mut self,
        request: &AuthorizationRequest,
    ) -> Result<(), Error> {
        self.run_one_quiet(|conn| {
            diesel::insert_into(authorization_requests::table)
                .values(request)
                .execute(conn)
        })
    }

    /// Decides the request: `NotFound` when it was decided before.
    pub fn answer_authorization_request(
        &mut self,
        id: AuthorizationRequestId,
        answer: RequestAnswer,
    ) -> Result<(), Error> {
        let waiting = authorization_requests::table
            .find(id)
            .filter(authorization_requests::answer.is_null());
        self.run_one_quiet(|conn| {
            diesel::update(waiting)
                .set(authorization_requests::answer.eq(Some(answer)))
                .execute(conn)
        })
    }

    /// Removes what this session left behind.
    pub fn delete_expired_authorization_requests(
        &mut self,
        session: SessionId,
    ) -> Result<usize, Error> {
        let now = self.now;
        let expired = authorization_requests::table
            .filter(authorization_requests::session_id.eq(session))
            .filter(authorization_requests::expires_at.lt(now));
        self.run_quiet(|conn| diesel::delete(expired).execute(conn))
    }
}
