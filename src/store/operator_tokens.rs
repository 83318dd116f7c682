//! Operator tokens: with one, a program of the vendor manages every organization. No memory holds them: they are read at
//! every request, so a command beside the server may write them.

use diesel::{
    ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, Selectable,
    SelectableHelper,
};

use super::schema::operator_tokens;
use super::statements::{ReadDsl, WriteDsl};
use super::{Error, Snapshot, Tx};
use crate::crypto::digest::Digest;
use crate::types::id::{OperatorTokenId, UserId};
use crate::types::time::Timestamp;

#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = operator_tokens, treat_none_as_default_value = false)]
pub struct OperatorToken {
    pub id: OperatorTokenId,
    pub digest: Digest,
    /// How it starts, for people.
    pub hint: String,
    pub name: String,
    /// Names, separated by one space; `*` is all of them.
    pub permissions: String,
    /// The service account that it acts as.
    pub user_id: UserId,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
}

impl Snapshot<'_> {
    /// Revoked and expired ones, too.
    pub fn find_operator_token_by_digest(
        &mut self,
        candidates: &[Digest],
    ) -> Result<Option<OperatorToken>, Error> {
        let of_digest = operator_tokens::table.filter(operator_tokens::digest.eq_any(candidates));
        self.run(|conn| {
            of_digest
                .select(OperatorToken::as_select())
                .first(conn)
                .optional()
        })
    }

    /// Revoked and expired ones, too.
    pub fn find_operator_token(
        &mut self,
        id: OperatorTokenId,
    ) -> Result<Option<OperatorToken>, Error> {
        let of_id = operator_tokens::table.find(id);
        self.run(|conn| {
            of_id
                .select(OperatorToken::as_select())
                .first(conn)
                .optional()
        })
    }

    /// The token that acts as this service account; revoked and expired ones, too.
    pub fn find_operator_token_of(&mut self, user: UserId) -> Result<Option<OperatorToken>, Error> {
        let of_user = operator_tokens::table.filter(operator_tokens::user_id.eq(user));
        self.run(|conn| {
            of_user
                .select(OperatorToken::as_select())
                .first(conn)
                .optional()
        })
    }

    /// The live ones that this token has made.
    pub fn list_operator_tokens_made_by(
        &mut self,
        maker: OperatorTokenId,
    ) -> Result<Vec<OperatorTokenId>, Error> {
        let made = operator_tokens::table
            .filter(operator_tokens::made_by.eq(maker))
            .filter(operator_tokens::revoked_at.is_null());
        self.run(|conn| made.select(operator_tokens::id).load(conn))
    }

    /// The newest first, revoked ones too, at most `most`.
    pub fn list_operator_tokens(&mut self, most: i64) -> Result<Vec<OperatorToken>, Error> {
        let newest_first = operator_tokens::table
            .order((
                operator_tokens::created_at.desc(),
                operator_tokens::id.desc(),
            ))
            .limit(most);
        self.run(|conn| newest_first.select(OperatorToken::as_select()).load(conn))
    }
}

impl Tx<'_> {
    pub fn insert_operator_token(&mut self, token: &OperatorToken) -> Result<(), Error> {
        self.run_one_quiet(|conn| {
            diesel::insert_into(operator_tokens::table)
                .values(token)
                .execute(conn)
        })
    }

    /// Says which token has made this one: it ends with that.
    pub fn set_operator_token_maker(
        &mut self,
        id: OperatorTokenId,
        maker: OperatorTokenId,
    ) -> Result<(), Error> {
        self.run_one_quiet(|conn| {
            diesel::update(operator_tokens::table.find(id))
                .set(operator_tokens::made_by.eq(Some(maker)))
                .execute(conn)
        })
    }

    /// Compare-and-swap: `NotFound` when it is not there or revoked already.
    pub fn revoke_operator_token(&mut self, id: OperatorTokenId) -> Result<(), Error> {
        let live = operator_tokens::table
            .find(id)
            .filter(operator_tokens::revoked_at.is_null());
        let now = self.now;
        self.run_one_quiet(|conn| {
            diesel::update(live)
                .set(operator_tokens::revoked_at.eq(Some(now)))
                .execute(conn)
        })
    }

    /// Forward only.
    pub fn record_operator_token_use(
        &mut self,
        id: OperatorTokenId,
        at: Timestamp,
    ) -> Result<(), Error> {
        use diesel::BoolExpressionMethods;
        let earlier = operator_tokens::table.find(id).filter(
            operator_tokens::last_used_at
                .is_null()
                .or(operator_tokens::last_used_at.lt(at)),
        );
        self.run_quiet(|conn| {
            diesel::update(earlier)
                .set(operator_tokens::last_used_at.eq(Some(at)))
                .execute(conn)
        })
        .map(drop)
    }
}
