//! Signing keys, sealed under the key outside the database.

use diesel::{ExpressionMethods, Insertable, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper};

use super::schema::signing_keys;
use super::{Error, Snapshot, Tx};
use crate::types::state::SigningAlgorithm;
use crate::types::time::Timestamp;

#[derive(Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = signing_keys)]
pub struct StoredSigningKey {
    /// RFC 7638 thumbprint of the public key.
    pub kid: String,
    pub algorithm: SigningAlgorithm,
    /// PKCS #8, sealed.
    pub sealed_private_key: String,
    pub created_at: Timestamp,
    /// Published from its creation, used from here.
    pub signs_from: Timestamp,
}

impl Snapshot<'_> {
    /// The one that signs last comes first.
    pub fn list_signing_keys(&mut self) -> Result<Vec<StoredSigningKey>, Error> {
        self.run(|conn| {
            signing_keys::table.order((signing_keys::signs_from.desc(), signing_keys::kid)).select(StoredSigningKey::as_select()).load(conn)
        })
    }
}

impl Tx<'_> {
    pub fn insert_signing_key(&mut self, key: &StoredSigningKey) -> Result<(), Error> {
        self.run_one(|conn| diesel::insert_into(signing_keys::table).values(key).execute(conn))
    }
}
