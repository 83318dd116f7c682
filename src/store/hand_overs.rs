//! One-time links by which somebody outside gets a key's secret. Only digests of the links are here.

use diesel::{
    BoolExpressionMethods, ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable,
    Selectable, SelectableHelper,
};

use super::schema::hand_overs;
use super::statements::{ReadDsl, WriteDsl};
use super::{Error, Snapshot, Tx};
use crate::crypto::digest::Digest;
use crate::types::id::{ApiKeyId, ApiKeySecretId, HandOverId, OrganizationId, UserId};
use crate::types::state::HandOverState;
use crate::types::time::Timestamp;

#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = hand_overs, treat_none_as_default_value = false)]
pub struct HandOver {
    pub id: HandOverId,
    pub organization_id: OrganizationId,
    pub api_key_id: ApiKeyId,
    /// The account key of the address that it is bound to.
    pub email: String,
    pub digest: Digest,
    pub state: HandOverState,
    pub wrong_addresses: i64,
    /// Of the secret in use, once the new one is used.
    pub grace_seconds: i64,
    /// What was made when it was used.
    pub secret_id: Option<ApiKeySecretId>,
    pub created_by: UserId,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub used_at: Option<Timestamp>,
}

impl Snapshot<'_> {
    /// `candidates`: the digests of one presented link under the live secret keys.
    pub fn find_hand_over_by_digest(
        &mut self,
        candidates: &[Digest],
    ) -> Result<Option<HandOver>, Error> {
        let presented = hand_overs::table.filter(hand_overs::digest.eq_any(candidates));
        self.run(|conn| {
            presented
                .select(HandOver::as_select())
                .first(conn)
                .optional()
        })
    }

    pub fn find_hand_over(
        &mut self,
        organization: OrganizationId,
        id: HandOverId,
    ) -> Result<Option<HandOver>, Error> {
        let own = hand_overs::table
            .find(id)
            .filter(hand_overs::organization_id.eq(organization));
        self.run(|conn| own.select(HandOver::as_select()).first(conn).optional())
    }

    /// Of one key: the newest first, at most `most`.
    pub fn list_hand_overs(&mut self, key: ApiKeyId, most: i64) -> Result<Vec<HandOver>, Error> {
        let of_key = hand_overs::table.filter(hand_overs::api_key_id.eq(key));
        let newest_first = of_key
            .order((hand_overs::created_at.desc(), hand_overs::id.desc()))
            .limit(most);
        self.run(|conn| newest_first.select(HandOver::as_select()).load(conn))
    }

    /// Open ones that this person has made.
    pub fn list_open_hand_overs_by(
        &mut self,
        organization: OrganizationId,
        creator: UserId,
    ) -> Result<Vec<HandOver>, Error> {
        let made = hand_overs::table.filter(
            hand_overs::organization_id
                .eq(organization)
                .and(hand_overs::created_by.eq(creator)),
        );
        let open = made.filter(hand_overs::state.eq(HandOverState::Open));
        self.run(|conn| open.select(HandOver::as_select()).load(conn))
    }
}

impl Tx<'_> {
    pub fn insert_hand_over(&mut self, hand_over: &HandOver) -> Result<(), Error> {
        self.run_one_quiet(|conn| {
            diesel::insert_into(hand_overs::table)
                .values(hand_over)
                .execute(conn)
        })
    }

    /// Compare-and-swap: `NotFound` when it is not open any more.
    pub fn redeem_hand_over(
        &mut self,
        id: HandOverId,
        secret: ApiKeySecretId,
    ) -> Result<(), Error> {
        let now = self.now;
        let open = hand_overs::table
            .find(id)
            .filter(hand_overs::state.eq(HandOverState::Open));
        let used = (
            hand_overs::state.eq(HandOverState::Used),
            hand_overs::used_at.eq(Some(now)),
            hand_overs::secret_id.eq(Some(secret)),
        );
        self.run_one_quiet(|conn| diesel::update(open).set(used).execute(conn))
    }

    /// All open ones of a key; how many there were.
    pub fn revoke_hand_overs(&mut self, key: ApiKeyId) -> Result<usize, Error> {
        let open = hand_overs::table.filter(
            hand_overs::api_key_id
                .eq(key)
                .and(hand_overs::state.eq(HandOverState::Open)),
        );
        self.run_quiet(|conn| {
            diesel::update(open)
                .set(hand_overs::state.eq(HandOverState::Revoked))
                .execute(conn)
        })
    }

    pub fn count_wrong_address(&mut self, id: HandOverId) -> Result<(), Error> {
        let more = hand_overs::wrong_addresses.eq(hand_overs::wrong_addresses + 1);
        self.run_one_quiet(|conn| {
            diesel::update(hand_overs::table.find(id))
                .set(more)
                .execute(conn)
        })
    }
}
