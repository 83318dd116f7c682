//! Who has seen which secret: what a removal has to rotate or revoke (A10).

use diesel::{ExpressionMethods, Insertable, QueryDsl};

use super::schema::secret_disclosures;
use super::statements::{ReadDsl, WriteDsl};
use super::{Error, Snapshot, Tx};
use crate::types::id::UserId;
use crate::types::time::Timestamp;

#[derive(Insertable)]
#[diesel(table_name = secret_disclosures)]
struct SecretDisclosure<'s> {
    secret_id: &'s str,
    user_id: UserId,
    shown_at: Timestamp,
}

impl Snapshot<'_> {
    /// The ids of the secrets of keys and applications that the person was shown, at most `most`, the newest first.
    pub fn list_secrets_shown_to(&mut self, user: UserId, most: i64) -> Result<Vec<String>, Error> {
        self.run(|conn| {
            secret_disclosures::table
                .filter(secret_disclosures::user_id.eq(user))
                .order((
                    secret_disclosures::shown_at.desc(),
                    secret_disclosures::secret_id,
                ))
                .limit(most)
                .select(secret_disclosures::secret_id)
                .load(conn)
        })
    }

    /// Who was shown these secrets, and when; the earliest first.
    pub fn list_disclosures_of(
        &mut self,
        secrets: &[String],
    ) -> Result<Vec<(String, UserId, Timestamp)>, Error> {
        self.run(|conn| {
            secret_disclosures::table
                .filter(secret_disclosures::secret_id.eq_any(secrets))
                .order((
                    secret_disclosures::shown_at,
                    secret_disclosures::secret_id,
                    secret_disclosures::user_id,
                ))
                .select((
                    secret_disclosures::secret_id,
                    secret_disclosures::user_id,
                    secret_disclosures::shown_at,
                ))
                .load(conn)
        })
    }
}

impl Tx<'_> {
    /// `secret`: the id of an API key's or an application's secret.
    pub fn record_disclosure(&mut self, secret: &str, user: UserId) -> Result<(), Error> {
        let row = SecretDisclosure {
            secret_id: secret,
            user_id: user,
            shown_at: self.now,
        };
        self.run_one_quiet(|conn| {
            diesel::insert_into(secret_disclosures::table)
                .values(&row)
                .execute(conn)
        })
    }
}
