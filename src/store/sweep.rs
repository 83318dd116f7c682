//! What has expired leaves, a bounded batch at a time: every function removes at most `most` rows of what ended before
//! `before`, and says how many.

use diesel::{BoolExpressionMethods, ExpressionMethods, NullableExpressionMethods, QueryDsl, RunQueryDsl};

use super::schema::{
    access_tokens, authorization_requests, authorization_workspaces, authorizations, consent_workspaces, consents, refresh_tokens, revoked_tokens,
    sessions,
};
use super::{Error, Snapshot, Tx};
use crate::types::id::{AccessTokenId, AuthorizationId, AuthorizationRequestId, ConsentId, RefreshTokenId, SessionId};
use crate::types::state::{ConsentState, RefreshTokenState};
use crate::types::time::Timestamp;

impl Snapshot<'_> {
    /// Rows that have ended before `before` and are still there.
    pub fn count_expired(&mut self, before: Timestamp) -> Result<i64, Error> {
        let requests: i64 =
            self.run(|conn| authorization_requests::table.filter(authorization_requests::expires_at.lt(before)).count().get_result(conn))?;
        let open: i64 = self.run(|conn| sessions::table.filter(sessions::expires_at.lt(before)).count().get_result(conn))?;
        let access: i64 = self.run(|conn| access_tokens::table.filter(access_tokens::expires_at.lt(before)).count().get_result(conn))?;
        let revoked: i64 = self.run(|conn| revoked_tokens::table.filter(revoked_tokens::expires_at.lt(before)).count().get_result(conn))?;
        let refresh: i64 = self.run(|conn| refresh_tokens::table.filter(refresh_tokens::expires_at.lt(before)).count().get_result(conn))?;
        let ended: i64 = self.run(|conn| authorizations::table.filter(authorizations::row_expires_at.lt(before)).count().get_result(conn))?;
        Ok(requests + open + access + revoked + refresh + ended)
    }
}

impl Tx<'_> {
    pub fn sweep_authorization_requests(&mut self, before: Timestamp, most: i64) -> Result<usize, Error> {
        let old = authorization_requests::table.filter(authorization_requests::expires_at.lt(before)).limit(most);
        let ids: Vec<AuthorizationRequestId> = self.run(|conn| old.select(authorization_requests::id).load(conn))?;
        self.run(|conn| diesel::delete(authorization_requests::table.filter(authorization_requests::id.eq_any(&ids))).execute(conn))
    }

    pub fn sweep_sessions(&mut self, before: Timestamp, most: i64) -> Result<usize, Error> {
        let old = sessions::table.filter(sessions::expires_at.lt(before)).limit(most);
        let ids: Vec<SessionId> = self.run(|conn| old.select(sessions::id).load(conn))?;
        self.run(|conn| diesel::delete(sessions::table.filter(sessions::id.eq_any(&ids))).execute(conn))
    }

    pub fn sweep_access_tokens(&mut self, before: Timestamp, most: i64) -> Result<usize, Error> {
        let old = access_tokens::table.filter(access_tokens::expires_at.lt(before)).limit(most);
        let ids: Vec<AccessTokenId> = self.run(|conn| old.select(access_tokens::id).load(conn))?;
        self.run(|conn| diesel::delete(access_tokens::table.filter(access_tokens::id.eq_any(&ids))).execute(conn))
    }

    pub fn sweep_revoked_tokens(&mut self, before: Timestamp, most: i64) -> Result<usize, Error> {
        let old = revoked_tokens::table.filter(revoked_tokens::expires_at.lt(before)).limit(most);
        let ids: Vec<AccessTokenId> = self.run(|conn| old.select(revoked_tokens::id).load(conn))?;
        self.run(|conn| diesel::delete(revoked_tokens::table.filter(revoked_tokens::id.eq_any(&ids))).execute(conn))
    }

    pub fn sweep_refresh_tokens(&mut self, before: Timestamp, most: i64) -> Result<usize, Error> {
        let old = refresh_tokens::table.filter(refresh_tokens::expires_at.lt(before)).limit(most);
        let ids: Vec<RefreshTokenId> = self.run(|conn| old.select(refresh_tokens::id).load(conn))?;
        self.run(|conn| diesel::delete(refresh_tokens::table.filter(refresh_tokens::id.eq_any(&ids))).execute(conn))
    }

    /// Tokens that were consumed or replaced before `before`: their return would be noticed no more.
    pub fn sweep_consumed_refresh_tokens(&mut self, before: Timestamp, most: i64) -> Result<usize, Error> {
        let consumed = refresh_tokens::consumed_at.lt(before).and(refresh_tokens::state.ne(RefreshTokenState::Active));
        let old = refresh_tokens::table.filter(consumed).limit(most);
        let ids: Vec<RefreshTokenId> = self.run(|conn| old.select(refresh_tokens::id).load(conn))?;
        self.run(|conn| diesel::delete(refresh_tokens::table.filter(refresh_tokens::id.eq_any(&ids))).execute(conn))
    }

    /// Authorizations of which nothing can come any more, with the rows that hang off them.
    pub fn sweep_authorizations(&mut self, before: Timestamp, most: i64) -> Result<usize, Error> {
        let old = authorizations::table.filter(authorizations::row_expires_at.lt(before)).limit(most);
        let ids: Vec<AuthorizationId> = self.run(|conn| old.select(authorizations::id).load(conn))?;
        self.run(|conn| diesel::delete(refresh_tokens::table.filter(refresh_tokens::authorization_id.eq_any(&ids))).execute(conn))?;
        self.run(|conn| diesel::delete(access_tokens::table.filter(access_tokens::authorization_id.eq_any(&ids))).execute(conn))?;
        let workspaces = authorization_workspaces::table.filter(authorization_workspaces::authorization_id.eq_any(&ids));
        self.run(|conn| diesel::delete(workspaces).execute(conn))?;
        self.run(|conn| diesel::delete(authorizations::table.filter(authorizations::id.eq_any(&ids))).execute(conn))
    }

    /// Consents that were revoked before `before` and of which no authorization is left.
    pub fn sweep_consents(&mut self, before: Timestamp, most: i64) -> Result<usize, Error> {
        let left = authorizations::table.filter(authorizations::consent_id.is_not_null()).select(authorizations::consent_id.assume_not_null());
        let old = consents::table
            .filter(consents::state.eq(ConsentState::Revoked).and(consents::revoked_at.lt(before)))
            .filter(consents::id.ne_all(left))
            .limit(most);
        let ids: Vec<ConsentId> = self.run(|conn| old.select(consents::id).load(conn))?;
        self.run(|conn| diesel::delete(consent_workspaces::table.filter(consent_workspaces::consent_id.eq_any(&ids))).execute(conn))?;
        self.run(|conn| diesel::delete(consents::table.filter(consents::id.eq_any(&ids))).execute(conn))
    }
}
