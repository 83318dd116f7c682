//! Whose subject at which issuer: the links by which people sign in at somebody else's provider.

use diesel::{
    ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, Selectable,
    SelectableHelper,
};

use super::schema::identities;
use super::statements::{ReadDsl, WriteDsl};
use super::users::User;
use super::{Error, Snapshot, Tx};
use crate::types::id::UserId;
use crate::types::time::Timestamp;

#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = identities)]
pub struct Identity {
    /// Who vouched: `operator`, or the id of an organization's provider.
    pub realm: String,
    pub issuer: String,
    pub subject: String,
    pub user_id: UserId,
    pub created_at: Timestamp,
    pub last_used_at: Timestamp,
}

impl Snapshot<'_> {
    /// The link and its person, whatever their state.
    pub fn find_identity(
        &mut self,
        realm: &str,
        issuer: &str,
        subject: &str,
    ) -> Result<Option<(Identity, User)>, Error> {
        use super::schema::users;
        self.run(|conn| {
            identities::table
                .inner_join(users::table)
                .filter(identities::realm.eq(realm))
                .filter(identities::issuer.eq(issuer))
                .filter(identities::subject.eq(subject))
                .select((Identity::as_select(), User::as_select()))
                .first(conn)
                .optional()
        })
    }

    /// Whether any provider signs the person in.
    pub fn has_identities(&mut self, user: UserId) -> Result<bool, Error> {
        let own = identities::table.filter(identities::user_id.eq(user));
        let found: Option<UserId> =
            self.run(|conn| own.select(identities::user_id).first(conn).optional())?;
        Ok(found.is_some())
    }

    /// The person's links at one issuer, the oldest first.
    pub fn list_identities(
        &mut self,
        realm: &str,
        issuer: &str,
        user: UserId,
    ) -> Result<Vec<Identity>, Error> {
        self.run(|conn| {
            identities::table
                .filter(identities::user_id.eq(user))
                .filter(identities::realm.eq(realm))
                .filter(identities::issuer.eq(issuer))
                .order((identities::created_at, identities::subject))
                .select(Identity::as_select())
                .load(conn)
        })
    }
}

impl Tx<'_> {
    /// `Constraint` when the subject is somebody's already.
    pub fn insert_identity(&mut self, identity: &Identity) -> Result<(), Error> {
        self.run_one_quiet(|conn| {
            diesel::insert_into(identities::table)
                .values(identity)
                .execute(conn)
        })
    }

    pub fn record_identity_use(&mut self, identity: &Identity) -> Result<(), Error> {
        let now = self.now;
        let row = identities::table.find((&identity.realm, &identity.issuer, &identity.subject));
        self.run_one_quiet(|conn| {
            diesel::update(row)
                .set(identities::last_used_at.eq(now))
                .execute(conn)
        })
    }

    /// Removes the person's links at one issuer.
    pub fn delete_identities(
        &mut self,
        realm: &str,
        issuer: &str,
        user: UserId,
    ) -> Result<usize, Error> {
        let own = identities::table
            .filter(identities::user_id.eq(user))
            .filter(identities::realm.eq(realm))
            .filter(identities::issuer.eq(issuer));
        self.run_quiet(|conn| diesel::delete(own).execute(conn))
    }

    /// Removes everything that one provider vouched for.
    pub fn delete_realm(&mut self, realm: &str) -> Result<usize, Error> {
        self.run_quiet(|conn| {
            diesel::delete(identities::table.filter(identities::realm.eq(realm))).execute(conn)
        })
    }
}
