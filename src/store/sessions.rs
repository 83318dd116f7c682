//! Signed-in browsers. A session's token is stored as its digest only.

use diesel::{
    ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, Selectable,
    SelectableHelper,
};

use super::schema::sessions;
use super::statements::{ReadDsl, WriteDsl};
use super::users::User;
use super::{Error, Snapshot, Tx};
use crate::crypto::digest::Digest;
use crate::types::id::{OrganizationId, SessionId, UserId};
use crate::types::time::Timestamp;

#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = sessions, treat_none_as_default_value = false)]
pub struct Session {
    pub id: SessionId,
    pub digest: Digest,
    pub user_id: UserId,
    pub created_at: Timestamp,
    pub last_seen_at: Timestamp,
    /// Absolute; the idle limit is the configuration's.
    pub expires_at: Timestamp,
    /// The organization whose provider vouched for the person: the session opens that one alone.
    pub confined_to: Option<OrganizationId>,
    /// When the person last proved who they are, by a password or at a provider.
    pub proven_at: Timestamp,
}

impl Snapshot<'_> {
    pub fn find_session_by_digest(
        &mut self,
        candidates: &[Digest],
    ) -> Result<Option<(Session, User)>, Error> {
        use super::schema::users;
        self.run(|conn| {
            sessions::table
                .inner_join(users::table)
                .filter(sessions::digest.eq_any(candidates))
                .select((Session::as_select(), User::as_select()))
                .first(conn)
                .optional()
        })
    }
}

impl Snapshot<'_> {
    /// Whether the session has neither ended nor expired.
    pub fn is_session_live(&mut self, id: SessionId, now: Timestamp) -> Result<bool, Error> {
        let live = sessions::table
            .find(id)
            .filter(sessions::expires_at.gt(now));
        let found: Option<SessionId> =
            self.run(|conn| live.select(sessions::id).first(conn).optional())?;
        Ok(found.is_some())
    }
}

impl Tx<'_> {
    pub fn insert_session(&mut self, session: &Session) -> Result<(), Error> {
        self.run_one_quiet(|conn| {
            diesel::insert_into(sessions::table)
                .values(session)
                .execute(conn)
        })
    }

    pub fn record_session_use(&mut self, id: SessionId) -> Result<(), Error> {
        let now = self.now;
        self.run_quiet(|conn| {
            diesel::update(sessions::table.find(id))
                .set(sessions::last_seen_at.eq(now))
                .execute(conn)
        })
        .map(drop)
    }

    /// Ends the session; one that has ended already is no error.
    pub fn delete_session(&mut self, id: SessionId) -> Result<(), Error> {
        self.run_quiet(|conn| diesel::delete(sessions::table.find(id)).execute(conn))
            .map(drop)
    }

    /// Ends every session that the organization's provider made: whoever controls it now is somebody else.
    pub fn delete_confined_sessions(
        &mut self,
        organization: OrganizationId,
    ) -> Result<usize, Error> {
        self.run_quiet(|conn| {
            diesel::delete(sessions::table.filter(sessions::confined_to.eq(organization)))
                .execute(conn)
        })
    }

    /// Ends every session of the user, whoever vouched for it.
    pub fn delete_sessions_of(&mut self, user: UserId) -> Result<usize, Error> {
        let own = sessions::table.filter(sessions::user_id.eq(user));
        self.run_quiet(|conn| diesel::delete(own).execute(conn))
    }

    /// Removes the user's sessions that are past their absolute expiry.
    pub fn delete_expired_sessions(&mut self, user: UserId) -> Result<usize, Error> {
        let now = self.now;
        let expired = sessions::table
            .filter(sessions::user_id.eq(user))
            .filter(sessions::expires_at.lt(now));
        self.run_quiet(|conn| diesel::delete(expired).execute(conn))
    }
}
