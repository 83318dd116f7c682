//! What has expired leaves, a bounded batch at a time: every function removes at most `most` rows of what ended before
//! `before`, and says how many. All of it is quiet: what has ended is in no memory, or is not used from there.

use diesel::dsl::{exists, not};
use diesel::{BoolExpressionMethods, ExpressionMethods, NullableExpressionMethods, QueryDsl};

use super::schema::{
    access_tokens, authorization_requests, authorization_workspaces, authorizations,
    consent_workspaces, consents, refresh_tokens, revoked_tokens, sessions,
};
use super::statements::{ReadDsl, WriteDsl};
use super::{Error, Snapshot, Tx};
use crate::types::id::{
    AccessTokenId, AuthorizationId, AuthorizationRequestId, ConsentId, RefreshTokenId, SessionId,
};
use crate::types::state::{ConsentState, RefreshTokenState};
use crate::types::time::Timestamp;

diesel::alias!(refresh_tokens as live_tokens: LiveTokens);

/// The live token of the same family, one generation on at most: the row it is asked about is its predecessor or its twin.
#[diesel::dsl::auto_type]
fn neighbours(active: RefreshTokenState) -> _ {
    let live = live_tokens.field(refresh_tokens::state).eq(active);
    let family = live_tokens
        .field(refresh_tokens::authorization_id)
        .eq(refresh_tokens::authorization_id);
    let near = live_tokens
        .field(refresh_tokens::generation)
        .le(refresh_tokens::generation + 1_i64);
    live_tokens.filter(live).filter(family).filter(near)
}

impl Snapshot<'_> {
    /// Rows that have ended before `before` and are still there.
    pub fn count_expired(&mut self, before: Timestamp) -> Result<i64, Error> {
        let requests: i64 = self.run(|conn| {
            authorization_requests::table
                .filter(authorization_requests::expires_at.lt(before))
                .count()
                .get_result(conn)
        })?;
        let open: i64 = self.run(|conn| {
            sessions::table
                .filter(sessions::expires_at.lt(before))
                .count()
                .get_result(conn)
        })?;
        let access: i64 = self.run(|conn| {
            access_tokens::table
                .filter(access_tokens::expires_at.lt(before))
                .count()
                .get_result(conn)
        })?;
        let revoked: i64 = self.run(|conn| {
            revoked_tokens::table
                .filter(revoked_tokens::expires_at.lt(before))
                .count()
                .get_result(conn)
        })?;
        let unneeded = refresh_tokens::state
            .eq(RefreshTokenState::Active)
            .or(not(exists(neighbours(RefreshTokenState::Active))));
        let expired = refresh_tokens::table
            .filter(refresh_tokens::expires_at.lt(before))
            .filter(unneeded);
        let refresh: i64 = self.run(|conn| expired.count().get_result(conn))?;
        let ended: i64 = self.run(|conn| {
            authorizations::table
                .filter(authorizations::row_expires_at.lt(before))
                .count()
                .get_result(conn)
        })?;
        Ok(requests + open + access + revoked + refresh + ended)
    }
}

impl Tx<'_> {
    pub fn sweep_authorization_requests(
        &mut self,
        before: Timestamp,
        most: i64,
    ) -> Result<usize, Error> {
        let old = authorization_requests::table
            .filter(authorization_requests::expires_at.lt(before))
            .limit(most);
        let ids: Vec<AuthorizationRequestId> =
            self.run(|conn| old.select(authorization_requests::id).load(conn))?;
        self.run_quiet(|conn| {
            diesel::delete(
                authorization_requests::table.filter(authorization_requests::id.eq_any(&ids)),
            )
            .execute(conn)
        })
    }

    pub fn sweep_sessions(&mut self, before: Timestamp, most: i64) -> Result<usize, Error> {
        let old = sessions::table
            .filter(sessions::expires_at.lt(before))
            .limit(most);
        let ids: Vec<SessionId> = self.run(|conn| old.select(sessions::id).load(conn))?;
        self.run_quiet(|conn| {
            diesel::delete(sessions::table.filter(sessions::id.eq_any(&ids))).execute(conn)
        })
    }

    pub fn sweep_access_tokens(&mut self, before: Timestamp, most: i64) -> Result<usize, Error> {
        let old = access_tokens::table
            .filter(access_tokens::expires_at.lt(before))
            .limit(most);
        let ids: Vec<AccessTokenId> = self.run(|conn| old.select(access_tokens::id).load(conn))?;
        self.run_quiet(|conn| {
            diesel::delete(access_tokens::table.filter(access_tokens::id.eq_any(&ids)))
                .execute(conn)
        })
    }

    pub fn sweep_revoked_tokens(&mut self, before: Timestamp, most: i64) -> Result<usize, Error> {
        let old = revoked_tokens::table
            .filter(revoked_tokens::expires_at.lt(before))
            .limit(most);
        let ids: Vec<AccessTokenId> = self.run(|conn| old.select(revoked_tokens::id).load(conn))?;
        self.run_quiet(|conn| {
            diesel::delete(revoked_tokens::table.filter(revoked_tokens::id.eq_any(&ids)))
                .execute(conn)
        })
    }

    /// Those next to a live token stay: they tell a lost answer from a theft.
    pub fn sweep_refresh_tokens(&mut self, before: Timestamp, most: i64) -> Result<usize, Error> {
        let expired = refresh_tokens::table.filter(refresh_tokens::expires_at.lt(before));
        let active = refresh_tokens::state.eq(RefreshTokenState::Active);
        let old = expired
            .filter(active.or(not(exists(neighbours(RefreshTokenState::Active)))))
            .limit(most);
        let ids: Vec<RefreshTokenId> =
            self.run(|conn| old.select(refresh_tokens::id).load(conn))?;
        self.run_quiet(|conn| {
            diesel::delete(refresh_tokens::table.filter(refresh_tokens::id.eq_any(&ids)))
                .execute(conn)
        })
    }

    /// Tokens that were consumed or replaced before `before`: their return would be noticed no more. Those next to a live
    /// token stay: they tell a lost answer from a theft.
    pub fn sweep_consumed_refresh_tokens(
        &mut self,
        before: Timestamp,
        most: i64,
    ) -> Result<usize, Error> {
        let consumed = refresh_tokens::consumed_at
            .lt(before)
            .and(refresh_tokens::state.ne(RefreshTokenState::Active));
        let old = refresh_tokens::table
            .filter(consumed)
            .filter(not(exists(neighbours(RefreshTokenState::Active))))
            .limit(most);
        let ids: Vec<RefreshTokenId> =
            self.run(|conn| old.select(refresh_tokens::id).load(conn))?;
        self.run_quiet(|conn| {
            diesel::delete(refresh_tokens::table.filter(refresh_tokens::id.eq_any(&ids)))
                .execute(conn)
        })
    }

    /// Authorizations of which nothing can come any more; the rows that hang off them first.
    pub fn sweep_authorizations(&mut self, before: Timestamp, most: i64) -> Result<usize, Error> {
        let old = authorizations::table
            .filter(authorizations::row_expires_at.lt(before))
            .limit(most);
        let ids: Vec<AuthorizationId> =
            self.run(|conn| old.select(authorizations::id).load(conn))?;
        let tokens = refresh_tokens::table
            .filter(refresh_tokens::authorization_id.eq_any(&ids))
            .limit(most);
        let tokens: Vec<RefreshTokenId> =
            self.run(|conn| tokens.select(refresh_tokens::id).load(conn))?;
        let opaque = access_tokens::table
            .filter(access_tokens::authorization_id.eq_any(&ids))
            .limit(most);
        let opaque: Vec<AccessTokenId> =
            self.run(|conn| opaque.select(access_tokens::id).load(conn))?;
        if !tokens.is_empty() || !opaque.is_empty() {
            let refresh = self.run_quiet(|conn| {
                diesel::delete(refresh_tokens::table.filter(refresh_tokens::id.eq_any(&tokens)))
                    .execute(conn)
            })?;
            let access = self.run_quiet(|conn| {
                diesel::delete(access_tokens::table.filter(access_tokens::id.eq_any(&opaque)))
                    .execute(conn)
            })?;
            return Ok(refresh + access);
        }
        let workspaces = authorization_workspaces::table
            .filter(authorization_workspaces::authorization_id.eq_any(&ids));
        self.run_quiet(|conn| diesel::delete(workspaces).execute(conn))?;
        self.run_quiet(|conn| {
            diesel::delete(authorizations::table.filter(authorizations::id.eq_any(&ids)))
                .execute(conn)
        })
    }

    /// Consents that were revoked before `before` and of which no authorization is left.
    pub fn sweep_consents(&mut self, before: Timestamp, most: i64) -> Result<usize, Error> {
        let left =
            authorizations::table.filter(authorizations::consent_id.eq(consents::id.nullable()));
        let old = consents::table
            .filter(
                consents::state
                    .eq(ConsentState::Revoked)
                    .and(consents::revoked_at.lt(before)),
            )
            .filter(not(exists(left)))
            .limit(most);
        let ids: Vec<ConsentId> = self.run(|conn| old.select(consents::id).load(conn))?;
        self.run_quiet(|conn| {
            diesel::delete(
                consent_workspaces::table.filter(consent_workspaces::consent_id.eq_any(&ids)),
            )
            .execute(conn)
        })?;
        self.run_quiet(|conn| {
            diesel::delete(consents::table.filter(consents::id.eq_any(&ids))).execute(conn)
        })
    }
}
