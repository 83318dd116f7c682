//! What was created by which idempotency key.

use diesel::{
    ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, Selectable,
    SelectableHelper,
};

use super::schema::idempotency_keys;
use super::statements::{ReadDsl, WriteDsl};
use super::{Error, Snapshot, Tx};
use crate::crypto::digest::Digest;
use crate::types::time::Timestamp;

#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = idempotency_keys)]
pub struct IdempotencyKey {
    pub caller: String,
    pub route: String,
    pub idempotency_key: String,
    /// Of what was asked.
    pub fingerprint: Digest,
    pub subject_id: String,
    pub created_at: Timestamp,
}

impl Snapshot<'_> {
    /// Old ones too.
    pub fn find_idempotency_key(
        &mut self,
        caller: &str,
        route: &str,
        key: &str,
    ) -> Result<Option<IdempotencyKey>, Error> {
        let row = idempotency_keys::table.find((caller, route, key));
        self.run(|conn| {
            row.select(IdempotencyKey::as_select())
                .first(conn)
                .optional()
        })
    }
}

impl Tx<'_> {
    /// `Constraint` when a twin was first.
    pub fn insert_idempotency_key(&mut self, key: &IdempotencyKey) -> Result<(), Error> {
        self.run_one_quiet(|conn| {
            diesel::insert_into(idempotency_keys::table)
                .values(key)
                .execute(conn)
        })
    }

    pub fn delete_idempotency_key(
        &mut self,
        caller: &str,
        route: &str,
        key: &str,
    ) -> Result<(), Error> {
        self.run_one_quiet(|conn| {
            diesel::delete(idempotency_keys::table.find((caller, route, key))).execute(conn)
        })
    }

    /// At most `most` of those made before `before`.
    pub fn sweep_idempotency_keys(&mut self, before: Timestamp, most: i64) -> Result<usize, Error> {
        let old = idempotency_keys::table
            .filter(idempotency_keys::created_at.lt(before))
            .limit(most);
        let old: Vec<IdempotencyKey> =
            self.run(|conn| old.select(IdempotencyKey::as_select()).load(conn))?;
        for row in &old {
            self.delete_idempotency_key(&row.caller, &row.route, &row.idempotency_key)?;
        }
        Ok(old.len())
    }
}
