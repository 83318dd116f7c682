//! Signing keys, sealed under the key outside the database.

use diesel::{ExpressionMethods, Insertable, QueryDsl, Queryable, Selectable, SelectableHelper};

use super::schema::signing_keys;
use super::statements::{ReadDsl, WriteDsl};
use super::{Error, Snapshot, Tx};
use crate::types::state::SigningAlgorithm;
use crate::types::time::Timestamp;

#[derive(Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = signing_keys, treat_none_as_default_value = false)]
pub struct StoredSigningKey {
    /// RFC 7638 thumbprint of the public key.
    pub kid: String,
    pub algorithm: SigningAlgorithm,
    /// PKCS #8, sealed.
    pub sealed_private_key: String,
    pub created_at: Timestamp,
    /// It signs from here until the next one does.
    pub signs_from: Timestamp,
    /// The newest key when this one was made; empty for the first. Unique, so that two rotations at once make one key.
    pub replaces: String,
    /// When the server first put it into its key set.
    pub published_at: Option<Timestamp>,
    /// The longest lifetime of a token that it may have signed.
    pub longest_token_seconds: i64,
    /// Tokens issued from here on carry the lower of two signatures (`crypto/low_s.rs`). None: a key from before that rule,
    /// and no server has run since.
    pub lower_from: Option<Timestamp>,
}

impl Snapshot<'_> {
    /// The one that signs last comes first.
    pub fn list_signing_keys(&mut self) -> Result<Vec<StoredSigningKey>, Error> {
        self.run(|conn| {
            signing_keys::table
                .order((signing_keys::signs_from.desc(), signing_keys::kid))
                .select(StoredSigningKey::as_select())
                .load(conn)
        })
    }
}

// No memory depends on these rows: the server reads them again every few seconds, so that a guest may write them.
impl Tx<'_> {
    pub fn insert_signing_key(&mut self, key: &StoredSigningKey) -> Result<(), Error> {
        self.run_one_quiet(|conn| {
            diesel::insert_into(signing_keys::table)
                .values(key)
                .execute(conn)
        })
    }

    pub fn schedule_signing_key(
        &mut self,
        kid: &str,
        signs_from: Timestamp,
        published_at: Option<Timestamp>,
    ) -> Result<(), Error> {
        let set = (
            signing_keys::signs_from.eq(signs_from),
            signing_keys::published_at.eq(published_at),
        );
        self.run_one_quiet(|conn| {
            diesel::update(signing_keys::table.find(kid))
                .set(set)
                .execute(conn)
        })
    }

    /// It signs tokens that live so long.
    pub fn lengthen_signing_key(
        &mut self,
        kid: &str,
        longest_token_seconds: i64,
    ) -> Result<(), Error> {
        let shorter = signing_keys::table
            .find(kid)
            .filter(signing_keys::longest_token_seconds.lt(longest_token_seconds));
        self.run_one_quiet(|conn| {
            diesel::update(shorter)
                .set(signing_keys::longest_token_seconds.eq(longest_token_seconds))
                .execute(conn)
        })
    }

    /// From now on it makes the lower of two signatures.
    pub fn begin_lower_signatures(&mut self, kid: &str) -> Result<(), Error> {
        let now = self.now;
        let before = signing_keys::table
            .find(kid)
            .filter(signing_keys::lower_from.is_null());
        self.run_one_quiet(|conn| {
            diesel::update(before)
                .set(signing_keys::lower_from.eq(Some(now)))
                .execute(conn)
        })
    }

    pub fn delete_signing_key(&mut self, kid: &str) -> Result<(), Error> {
        self.run_one_quiet(|conn| diesel::delete(signing_keys::table.find(kid)).execute(conn))
    }
}
