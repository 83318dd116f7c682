//! Refresh tokens, opaque access tokens, and the ids of access tokens revoked before their time.

use diesel::{ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper};

use super::authorizations::Authorization;
use super::conn::on_inner;
use super::schema::{access_tokens, refresh_tokens, revoked_tokens};
use super::{Conn, Error, Snapshot, Subject, Tx};
use crate::crypto::digest::Digest;
use crate::types::id::{AccessTokenId, AuthorizationId, RefreshTokenId};
use crate::types::scope::Scopes;
use crate::types::state::RefreshTokenState;
use crate::types::time::Timestamp;

#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = refresh_tokens, treat_none_as_default_value = false)]
pub struct RefreshToken {
    pub id: RefreshTokenId,
    pub authorization_id: AuthorizationId,
    pub digest: Digest,
    pub state: RefreshTokenState,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub consumed_at: Option<Timestamp>,
}

/// An opaque access token; a JWT has no row.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = access_tokens)]
pub struct AccessToken {
    pub id: AccessTokenId,
    pub authorization_id: AuthorizationId,
    pub digest: Digest,
    pub scopes: Scopes,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

#[derive(Insertable)]
#[diesel(table_name = revoked_tokens)]
struct RevokedToken {
    id: AccessTokenId,
    expires_at: Timestamp,
}

impl Snapshot<'_> {
    pub fn find_refresh_token_by_digest(&mut self, candidates: &[Digest]) -> Result<Option<RefreshToken>, Error> {
        self.run(|conn| {
            refresh_tokens::table.filter(refresh_tokens::digest.eq_any(candidates)).select(RefreshToken::as_select()).first(conn).optional()
        })
    }

    pub fn find_access_token_by_digest(&mut self, candidates: &[Digest]) -> Result<Option<AccessToken>, Error> {
        self.run(|conn| access_tokens::table.filter(access_tokens::digest.eq_any(candidates)).select(AccessToken::as_select()).first(conn).optional())
    }

    pub fn is_token_revoked(&mut self, id: AccessTokenId) -> Result<bool, Error> {
        let found: Option<AccessTokenId> = self.run(|conn| revoked_tokens::table.find(id).select(revoked_tokens::id).first(conn).optional())?;
        Ok(found.is_some())
    }
}

impl Tx<'_> {
    pub fn insert_refresh_token(&mut self, token: &RefreshToken) -> Result<(), Error> {
        self.run_one(|conn| diesel::insert_into(refresh_tokens::table).values(token).execute(conn))
    }

    /// Compare-and-swap: `NotFound` when another request consumed it first.
    pub fn consume_refresh_token(&mut self, id: RefreshTokenId) -> Result<(), Error> {
        let now = self.now;
        let active = refresh_tokens::table.find(id).filter(refresh_tokens::state.eq(RefreshTokenState::Active));
        self.run_one(|conn| {
            diesel::update(active)
                .set((refresh_tokens::state.eq(RefreshTokenState::Consumed), refresh_tokens::consumed_at.eq(Some(now))))
                .execute(conn)
        })
    }

    pub fn insert_access_token(&mut self, token: &AccessToken) -> Result<(), Error> {
        self.run_one(|conn| diesel::insert_into(access_tokens::table).values(token).execute(conn))
    }

    /// Ends one access token until its expiry would have; one that is revoked already is no error.
    pub fn revoke_access_token(&mut self, authorization: &Authorization, id: AccessTokenId, expires_at: Timestamp) -> Result<(), Error> {
        self.touch(Subject::Organization(authorization.organization_id));
        let row = RevokedToken { id, expires_at };
        let insert = diesel::insert_into(revoked_tokens::table).values(&row).on_conflict_do_nothing();
        self.run(|conn| on_inner!(conn, inner => insert.execute(inner))).map(drop)
    }
}
