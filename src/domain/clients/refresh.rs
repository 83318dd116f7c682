//! The refresh rule (RFC 9700 §4.14.2) with proof of receipt, instead of a time in which everything is forgiven.
//!
//! Every refresh makes a new generation, and a family has one live refresh token (the database says so, too). A token that
//! was used before and comes back asks whether its answer ever arrived: the live token of the next generation, or the access
//! token that came with it, was seen → somebody has both, so one of them is a thief, and the family ends. Neither was seen →
//! the answer was lost, and the unused pair gives its place to a new one. A twin, whose own answer was given up for lost,
//! counts for [`TWIN_SECONDS`] only: requests that crossed each other. Later it is one of two holders who take turns, and
//! where tokens are checked without this server nobody would ever be seen.
//!
//! Invariants: at most one refresh token and one access token of a generation are live; the tree never forks; what was
//! replaced is dead before its replacement is answered. Runs while the family is held (`Tx::hold_family`).

use crate::domain::clients::authorizations::end;
use crate::store::authorizations::Authorization;
use crate::store::tokens::RefreshToken;
use crate::store::{Error, Tx};
use crate::types::event::Event;
use crate::types::state::RefreshTokenState;
use crate::types::time::Timestamp;

/// Seconds for which requests with one token may cross each other.
const TWIN_SECONDS: i64 = 60;

/// What a presented refresh token turns out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The live one.
    Live,
    /// Its answer, or the answer of one in the same place, was lost.
    Lost,
    /// It, or what came of it, is in two hands.
    Stolen,
}

/// `live` is the family's live token.
pub fn judge(token: &RefreshToken, live: Option<&RefreshToken>, now: Timestamp) -> Standing {
    let Some(live) = live else {
        return Standing::Stolen;
    };
    let next_to = match token.state {
        RefreshTokenState::Active => return Standing::Live,
        RefreshTokenState::Consumed => token.generation + 1 == live.generation,
        // a twin of the lost answer: it arrived after all, before anything else did
        RefreshTokenState::Replaced => {
            token.generation == live.generation
                && token
                    .consumed_at
                    .is_some_and(|at| at.plus_seconds(TWIN_SECONDS) >= now)
        }
    };
    if next_to && !was_received(live) {
        Standing::Lost
    } else {
        Standing::Stolen
    }
}

/// A token from before receipts were kept counts as received.
fn was_received(token: &RefreshToken) -> bool {
    token.received_at.is_some() || token.access_token_id.is_none()
}

/// Takes the presented token for what [`judge`] found it to be beside `live`: the generation of what is issued for it now.
/// None when it was stolen, and the family is ended.
pub fn take(
    tx: &mut Tx,
    authorization: &Authorization,
    token: &RefreshToken,
    standing: Standing,
    live: Option<&RefreshToken>,
) -> Result<Option<i64>, Error> {
    match (standing, live) {
        (Standing::Live, _) => tx
            .consume_refresh_token(token.id)
            .map(|()| Some(token.generation + 1)),
        (Standing::Lost, Some(live)) => replace(tx, authorization, live),
        _ => stolen(tx, authorization, token).map(|()| None),
    }
}

/// Clears the place of a pair that nobody has.
fn replace(
    tx: &mut Tx,
    authorization: &Authorization,
    live: &RefreshToken,
) -> Result<Option<i64>, Error> {
    match tx.replace_refresh_token(live.id) {
        Ok(()) => {}
        // somebody showed the access token between the two statements
        Err(Error::NotFound) => return stolen(tx, authorization, live).map(|()| None),
        Err(error) => return Err(error),
    }
    if let (Some(id), Some(expires_at)) = (live.access_token_id, live.access_token_expires_at) {
        tx.revoke_access_token(authorization, id, expires_at)?;
    }
    tx.record(
        Some(authorization.organization_id),
        None,
        Event::RefreshTokenReplaced,
        live.id.as_str(),
        "the answer that carried it was lost",
    )?;
    Ok(Some(live.generation))
}

/// Who holds what cannot be told: everything that came of the authorization ends.
fn stolen(tx: &mut Tx, authorization: &Authorization, token: &RefreshToken) -> Result<(), Error> {
    let reason = "it came back after what was issued for it had been used";
    tx.record(
        Some(authorization.organization_id),
        None,
        Event::RefreshTokenReused,
        token.id.as_str(),
        reason,
    )?;
    end(tx, authorization, "a refresh token was used twice")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::digest::Digest;
    use crate::types::id::{AccessTokenId, AuthorizationId, RefreshTokenId};

    const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);

    fn token(generation: i64, state: RefreshTokenState, received: bool) -> RefreshToken {
        RefreshToken {
            id: RefreshTokenId::generate(NOW),
            authorization_id: AuthorizationId::generate(NOW),
            digest: Digest(String::new()),
            state,
            created_at: NOW,
            expires_at: NOW,
            consumed_at: (state != RefreshTokenState::Active).then_some(NOW),
            generation,
            access_token_id: Some(AccessTokenId::generate(NOW)),
            access_token_expires_at: Some(NOW),
            received_at: received.then_some(NOW),
        }
    }

    #[test]
    fn only_the_neighbour_of_an_unseen_pair_has_lost_an_answer() {
        // 9700-35, 9700-36
        use RefreshTokenState::{Active, Consumed, Replaced};
        use Standing::{Live, Lost, Stolen};
        let (unseen, seen) = (token(5, Active, false), token(5, Active, true));
        for (presented, generation, live, expected) in [
            (Active, 5, Some(&unseen), Live),
            (Active, 5, Some(&seen), Live),
            (Consumed, 4, Some(&unseen), Lost),
            (Consumed, 4, Some(&seen), Stolen),
            (Consumed, 3, Some(&unseen), Stolen),
            (Consumed, 5, Some(&unseen), Stolen),
            (Replaced, 5, Some(&unseen), Lost),
            (Replaced, 5, Some(&seen), Stolen),
            (Replaced, 4, Some(&unseen), Stolen),
            (Consumed, 4, None, Stolen),
        ] {
            assert_eq!(
                judge(&token(generation, presented, false), live, NOW),
                expected,
                "{presented} {generation}"
            );
        }
        // requests cross each other for a minute; then two take turns. An answer may be lost for longer
        let late = NOW.plus_seconds(TWIN_SECONDS + 1);
        assert_eq!(
            judge(&token(5, Replaced, false), Some(&unseen), late),
            Stolen
        );
        assert_eq!(judge(&token(4, Consumed, false), Some(&unseen), late), Lost);
    }

    #[test]
    fn a_token_from_before_receipts_were_kept_counts_as_received() {
        let old = RefreshToken {
            access_token_id: None,
            ..token(0, RefreshTokenState::Active, false)
        };
        assert_eq!(
            judge(
                &token(-1, RefreshTokenState::Consumed, false),
                Some(&old),
                NOW
            ),
            Standing::Stolen
        );
    }
}
