//! Sessions: who is signed in, for how long.

use crate::config::Sessions;
use crate::crypto::digest::Digest;
use crate::store::sessions::Session;
use crate::store::users::User;
use crate::store::{Error, Snapshot, Tx};
use crate::types::event::Event;
use crate::types::id::{OrganizationId, SessionId, UserId};
use crate::types::state::UserState;
use crate::types::time::Timestamp;

/// How old `last_seen_at` may be before a request writes it again.
const SEEN_EVERY_SECONDS: i64 = 60;
/// How long a proof of who somebody is stands for what needs one again (step-up).
pub const PROOF_SECONDS: i64 = 15 * 60;

/// A person and the session they came with.
#[derive(Debug, Clone)]
pub struct SignedIn {
    pub session: Session,
    pub user: User,
}

impl SignedIn {
    /// Whether this request should record that the session was used.
    pub fn wants_recording(&self, now: Timestamp) -> bool {
        self.session.last_seen_at.plus_seconds(SEEN_EVERY_SECONDS) < now
    }

    /// Whether the person has proved who they are within [`PROOF_SECONDS`].
    pub fn is_proven(&self, now: Timestamp) -> bool {
        self.session.proven_at.plus_seconds(PROOF_SECONDS) > now
    }
}

/// The live session behind a presented token, if its person may still use it.
pub fn find(
    snapshot: &mut Snapshot,
    config: &Sessions,
    candidates: &[Digest],
    now: Timestamp,
) -> Result<Option<SignedIn>, Error> {
    let found = snapshot.find_session_by_digest(candidates)?;
    let live = |(session, user): &(Session, User)| {
        session.expires_at > now
            && session.last_seen_at.plus_seconds(config.idle_seconds) > now
            && user.state == UserState::Active
    };
    Ok(found
        .filter(live)
        .map(|(session, user)| SignedIn { session, user }))
}

/// Starts a session: always a new id and a new token, so that nobody can fix them beforehand. `confined_to`: the only
/// organization that it opens, when that one's provider vouched for the person.
pub fn start(
    tx: &mut Tx,
    config: &Sessions,
    user: UserId,
    digest: &Digest,
    confined_to: Option<OrganizationId>,
) -> Result<Session, Error> {
    if tx.trusts_clock {
        tx.delete_expired_sessions(user)?;
    }
    let session = Session {
        id: SessionId::generate(tx.now),
        digest: digest.clone(),
        user_id: user,
        created_at: tx.now,
        last_seen_at: tx.now,
        expires_at: tx.now.plus_seconds(config.absolute_seconds),
        confined_to,
        proven_at: tx.now,
    };
    tx.insert_session(&session)?;
    tx.record(
        confined_to,
        Some(user),
        Event::SessionStarted,
        session.id.as_str(),
        "",
    )?;
    Ok(session)
}

/// Ends every session of the person, in whatever browser.
pub fn end_all(tx: &mut Tx, user: UserId) -> Result<(), Error> {
    tx.delete_sessions_of(user)?;
    tx.record(
        None,
        Some(user),
        Event::UserSignedOut,
        user.as_str(),
        "everywhere",
    )
}

pub fn end(tx: &mut Tx, session: &Session) -> Result<(), Error> {
    tx.delete_session(session.id)?;
    tx.record(
        None,
        Some(session.user_id),
        Event::SessionEnded,
        session.id.as_str(),
        "",
    )
}
