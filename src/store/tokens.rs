//! Refresh tokens, opaque access tokens, and the ids of access tokens revoked before their time.

use diesel::{
    BoolExpressionMethods, ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable,
    Selectable, SelectableHelper,
};

use super::authorizations::Authorization;
use super::conn::on_inner;
use super::schema::{access_tokens, refresh_tokens, revoked_tokens};
use super::statements::{ReadDsl, WriteDsl};
use super::{Conn, Error, Snapshot, Subject, Tx};
use crate::crypto::digest::Digest;
use crate::types::id::{AccessTokenId, AuthorizationId, RefreshTokenId};
use crate::types::resource::Resources;
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
    /// When it was consumed or replaced.
    pub consumed_at: Option<Timestamp>,
    /// How many refreshes came before: tokens of one generation stand in each other's place.
    pub generation: i64,
    /// The access token that came with it.
    pub access_token_id: Option<AccessTokenId>,
    pub access_token_expires_at: Option<Timestamp>,
    /// When the access token was first seen: the client has the answer that carried both.
    pub received_at: Option<Timestamp>,
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
    /// None: the default audience.
    pub resources: Resources,
}

#[derive(Insertable)]
#[diesel(table_name = revoked_tokens)]
struct RevokedToken {
    id: AccessTokenId,
    expires_at: Timestamp,
}

impl Snapshot<'_> {
    pub fn find_refresh_token_by_digest(
        &mut self,
        candidates: &[Digest],
    ) -> Result<Option<RefreshToken>, Error> {
        self.run(|conn| {
            refresh_tokens::table
                .filter(refresh_tokens::digest.eq_any(candidates))
                .select(RefreshToken::as_select())
                .first(conn)
                .optional()
        })
    }

    /// The family's one live refresh token.
    pub fn find_live_refresh_token(
        &mut self,
        authorization: AuthorizationId,
    ) -> Result<Option<RefreshToken>, Error> {
        self.run(|conn| {
            refresh_tokens::table
                .filter(
                    refresh_tokens::authorization_id
                        .eq(authorization)
                        .and(refresh_tokens::state.eq(RefreshTokenState::Active)),
                )
                .select(RefreshToken::as_select())
                .first(conn)
                .optional()
        })
    }

    /// When a refresh made the next generation of the family; none while it is the last one.
    pub fn find_end_of_generation(
        &mut self,
        authorization: AuthorizationId,
        generation: i64,
    ) -> Result<Option<Timestamp>, Error> {
        let consumed = refresh_tokens::table.filter(
            refresh_tokens::authorization_id
                .eq(authorization)
                .and(refresh_tokens::generation.eq(generation))
                .and(refresh_tokens::state.eq(RefreshTokenState::Consumed)),
        );
        self.run(|conn| {
            consumed
                .select(refresh_tokens::consumed_at)
                .first::<Option<Timestamp>>(conn)
                .optional()
        })
        .map(Option::flatten)
    }

    /// Whether the access token came with a refresh token and nobody has seen it since.
    pub fn is_receipt_open(&mut self, access_token: AccessTokenId) -> Result<bool, Error> {
        let open = refresh_tokens::table.filter(
            refresh_tokens::access_token_id
                .eq(access_token)
                .and(refresh_tokens::received_at.is_null()),
        );
        let found: Option<RefreshTokenId> =
            self.run(|conn| open.select(refresh_tokens::id).first(conn).optional())?;
        Ok(found.is_some())
    }

    pub fn find_access_token_by_digest(
        &mut self,
        candidates: &[Digest],
    ) -> Result<Option<AccessToken>, Error> {
        self.run(|conn| {
            access_tokens::table
                .filter(access_tokens::digest.eq_any(candidates))
                .select(AccessToken::as_select())
                .first(conn)
                .optional()
        })
    }

    pub fn is_token_revoked(&mut self, id: AccessTokenId) -> Result<bool, Error> {
        let found: Option<AccessTokenId> = self.run(|conn| {
            revoked_tokens::table
                .find(id)
                .select(revoked_tokens::id)
                .first(conn)
                .optional()
        })?;
        Ok(found.is_some())
    }
}

impl Tx<'_> {
    pub fn insert_refresh_token(&mut self, token: &RefreshToken) -> Result<(), Error> {
        self.run_one_quiet(|conn| {
            diesel::insert_into(refresh_tokens::table)
                .values(token)
                .execute(conn)
        })
    }

    /// Compare-and-swap: `NotFound` when another request consumed it first.
    pub fn consume_refresh_token(&mut self, id: RefreshTokenId) -> Result<(), Error> {
        let now = self.now;
        let active = refresh_tokens::table
            .find(id)
            .filter(refresh_tokens::state.eq(RefreshTokenState::Active));
        self.run_one_quiet(|conn| {
            diesel::update(active)
                .set((
                    refresh_tokens::state.eq(RefreshTokenState::Consumed),
                    refresh_tokens::consumed_at.eq(Some(now)),
                ))
                .execute(conn)
        })
    }

    /// Compare-and-swap: takes a token out of its place whose answer was lost. `NotFound` when the client has shown that it
    /// was not.
    pub fn replace_refresh_token(&mut self, id: RefreshTokenId) -> Result<(), Error> {
        let now = self.now;
        let unused = refresh_tokens::table
            .find(id)
            .filter(refresh_tokens::state.eq(RefreshTokenState::Active))
            .filter(refresh_tokens::received_at.is_null());
        self.run_one_quiet(|conn| {
            diesel::update(unused)
                .set((
                    refresh_tokens::state.eq(RefreshTokenState::Replaced),
                    refresh_tokens::consumed_at.eq(Some(now)),
                ))
                .execute(conn)
        })
    }

    /// Compare-and-swap: a token that was replaced is used after all, since its answer had arrived. `NotFound` when it is
    /// not one that was replaced.
    pub fn use_replaced_refresh_token(&mut self, id: RefreshTokenId) -> Result<(), Error> {
        let now = self.now;
        let replaced = refresh_tokens::table
            .find(id)
            .filter(refresh_tokens::state.eq(RefreshTokenState::Replaced));
        self.run_one_quiet(|conn| {
            diesel::update(replaced)
                .set((
                    refresh_tokens::state.eq(RefreshTokenState::Consumed),
                    refresh_tokens::consumed_at.eq(Some(now)),
                ))
                .execute(conn)
        })
    }

    /// A refresh token that does not rotate lives on from its use.
    pub fn extend_refresh_token(
        &mut self,
        id: RefreshTokenId,
        expires_at: Timestamp,
    ) -> Result<(), Error> {
        let now = self.now;
        let active = refresh_tokens::table
            .find(id)
            .filter(refresh_tokens::state.eq(RefreshTokenState::Active));
        self.run_one_quiet(|conn| {
            diesel::update(active)
                .set((
                    refresh_tokens::expires_at.eq(expires_at),
                    refresh_tokens::received_at.eq(Some(now)),
                ))
                .execute(conn)
        })
    }

    /// The access token was seen: the client has what came with it. False when it was replaced meanwhile, and is dead.
    pub fn note_receipt(&mut self, access_token: AccessTokenId) -> Result<bool, Error> {
        let now = self.now;
        let of_token = refresh_tokens::access_token_id.eq(access_token);
        let open =
            refresh_tokens::table.filter(of_token.and(refresh_tokens::received_at.is_null()));
        self.run_quiet(|conn| {
            diesel::update(open.filter(refresh_tokens::state.ne(RefreshTokenState::Replaced)))
                .set(refresh_tokens::received_at.eq(Some(now)))
                .execute(conn)
        })?;
        Ok(!self.is_receipt_open(access_token)?)
    }

    pub fn insert_access_token(&mut self, token: &AccessToken) -> Result<(), Error> {
        self.run_one_quiet(|conn| {
            diesel::insert_into(access_tokens::table)
                .values(token)
                .execute(conn)
        })
    }

    /// Ends one access token until its expiry would have; one that is revoked already is no error.
    pub fn revoke_access_token(
        &mut self,
        authorization: &Authorization,
        id: AccessTokenId,
        expires_at: Timestamp,
    ) -> Result<(), Error> {
        let row = RevokedToken { id, expires_at };
        let insert = diesel::insert_into(revoked_tokens::table)
            .values(&row)
            .on_conflict_do_nothing();
        self.run_news(
            [Subject::Organization(authorization.organization_id)],
            |conn| on_inner!(conn, inner => diesel::RunQueryDsl::execute(insert, inner)),
        )
        .map(drop)
    }
}
