//! The refresh rule (RFC 9700 §4.14.2) with proof of receipt: a lost answer is given again, a theft is noticed.
//!
//! Every refresh makes a new generation. A family has one live refresh token (the database says so, too); every other token
//! of it was *consumed*, by a refresh that made the next generation, or *replaced*, because its answer was taken for lost.
//! Tokens that were issued one after another for the same old token are *twins*: the live one, and those it replaced.
//! A token was *seen* when it was presented, or when the access token that came with it was.
//!
//! | presented | what else was seen | judgement | presented becomes | live becomes | issued | family |
//! |---|---|---|---|---|---|---|
//! | the live token | | `Live` | consumed | | next generation | |
//! | its predecessor | no successor | `Lost` | | replaced | same generation as the live one | |
//! | its twin | no other twin | `Twin` | consumed | replaced | next generation | |
//! | any other, within the grace | | `Returned` | | | nothing | marked |
//! | any other, after the grace | | `Stolen` | | | nothing | ended |
//!
//! The grace begins when a token stopped being good: when it was consumed, or when the generation of a replaced one was left.
//! It lets processes that share a stored token collide without losing the connection. What it costs: a thief who comes
//! within the grace is refused, and the family is marked, not ended. A marked family ends when the same person
//! authorizes the same application again (`consents::authorize`): a victim has to do that, a second tab has not.
//!
//! Invariants: at most one refresh token and one access token of a generation are live; the tree never forks: once a token
//! has made the next generation, no other token of its own or an older generation is accepted; what was replaced is dead
//! before its replacement is answered. Runs while the family is held (`Tx::hold_family`).

use crate::domain::clients::authorizations::end;
use crate::store::authorizations::Authorization;
use crate::store::tokens::RefreshToken;
use crate::store::{Error, Snapshot, Tx};
use crate::types::event::Event;
use crate::types::state::RefreshTokenState;
use crate::types::time::Timestamp;

/// What a presented refresh token turns out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    Live,
    /// Its answer, or the answer of a twin's, was lost: nobody has shown what is live.
    Lost,
    /// Another answer to the same request; this one arrived, and the live one was not seen.
    Twin,
    /// It came back although a successor or a twin of it was seen, soon enough to be an accident.
    Returned,
    /// It came back later: it, or what came of it, is in two hands.
    Stolen,
}

/// What the rule looks at.
#[derive(Debug, Clone)]
pub struct Case {
    pub token: RefreshToken,
    /// The family's live token.
    pub live: Option<RefreshToken>,
    /// When the token stopped being good, if it has.
    pub stopped_at: Option<Timestamp>,
}

impl Case {
    /// Of a token of this family.
    pub fn of(snapshot: &mut Snapshot, token: RefreshToken) -> Result<Self, Error> {
        let live = snapshot.find_live_refresh_token(token.authorization_id)?;
        let left_at = match token.state {
            RefreshTokenState::Replaced => {
                snapshot.find_end_of_generation(token.authorization_id, token.generation)?
            }
            RefreshTokenState::Active | RefreshTokenState::Consumed => None,
        };
        Ok(Self {
            stopped_at: left_at.or(token.consumed_at),
            token,
            live,
        })
    }

    /// Without a grace (zero seconds), every token that comes back was stolen.
    pub fn judge(&self, now: Timestamp, grace_seconds: i64) -> Judgement {
        if self.token.state == RefreshTokenState::Active {
            return Judgement::Live;
        }
        let (token, unseen) = (
            &self.token,
            self.live.as_ref().filter(|live| !was_seen(live)),
        );
        let ahead = unseen.map(|live| live.generation - token.generation);
        match (token.state, ahead) {
            (RefreshTokenState::Consumed, Some(1)) => Judgement::Lost,
            (RefreshTokenState::Replaced, Some(0)) => Judgement::Twin,
            _ if self.is_within(now, grace_seconds) => Judgement::Returned,
            _ => Judgement::Stolen,
        }
    }

    /// A family without a live token has nothing to keep.
    fn is_within(&self, now: Timestamp, grace_seconds: i64) -> bool {
        let stopped_at = self.stopped_at.filter(|_| self.live.is_some());
        stopped_at.is_some_and(|at| now < at.plus_seconds(grace_seconds))
    }

    /// Whether revoking the token ends the family (RFC 7009 §2.1): a client that has shown a successor holds that one, and
    /// only tidies up.
    pub fn ends_by_revocation(&self, now: Timestamp) -> bool {
        self.live.is_none() || self.judge(now, 0) != Judgement::Stolen
    }
}

/// A token from before receipts were kept counts as seen.
fn was_seen(token: &RefreshToken) -> bool {
    token.received_at.is_some() || token.access_token_id.is_none()
}

/// What became of a presented token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// What is issued for it belongs to this generation.
    Generation(i64),
    /// It is refused, and the family is marked.
    Marked,
    /// It is refused, and the family is ended.
    Ended,
}

/// Takes the presented token for what [`Case::judge`] finds it to be.
pub fn take(
    tx: &mut Tx,
    authorization: &Authorization,
    case: &Case,
    grace_seconds: i64,
) -> Result<Taken, Error> {
    let (judged, token) = (case.judge(tx.now, grace_seconds), &case.token);
    match (judged, &case.live) {
        (Judgement::Live, _) => {
            tx.consume_refresh_token(token.id)?;
            Ok(Taken::Generation(token.generation + 1))
        }
        (Judgement::Lost | Judgement::Twin, Some(live)) => {
            if !replace(tx, authorization, live, judged)? {
                // somebody has shown its access token since it was read
                let mut seen = case.clone();
                seen.live = Some(RefreshToken {
                    received_at: Some(tx.now),
                    ..live.clone()
                });
                return take(tx, authorization, &seen, grace_seconds);
            }
            if judged == Judgement::Lost {
                return Ok(Taken::Generation(live.generation));
            }
            tx.use_replaced_refresh_token(token.id)?;
            Ok(Taken::Generation(token.generation + 1))
        }
        (Judgement::Returned, _) => mark(tx, authorization, case),
        _ => stolen(tx, authorization, token),
    }
}

/// Clears the place of a pair that nobody has shown. False when somebody has.
fn replace(
    tx: &mut Tx,
    authorization: &Authorization,
    live: &RefreshToken,
    judged: Judgement,
) -> Result<bool, Error> {
    match tx.replace_refresh_token(live.id) {
        Ok(()) => {}
        Err(Error::NotFound) => return Ok(false),
        Err(error) => return Err(error),
    }
    if let (Some(id), Some(expires_at)) = (live.access_token_id, live.access_token_expires_at) {
        tx.revoke_access_token(authorization, id, expires_at)?;
    }
    let because = match judged {
        Judgement::Twin => "another answer to the same request was used",
        _ => "the answer that carried it was lost",
    };
    tx.record(
        Some(authorization.organization_id),
        None,
        Event::RefreshTokenReplaced,
        live.id.as_str(),
        because,
    )?;
    Ok(true)
}

/// Two holders, or one that looked into its store too early: the person is told. One event, however many come back with
/// what one refresh made old.
fn mark(tx: &mut Tx, authorization: &Authorization, case: &Case) -> Result<Taken, Error> {
    // read again: it was read before the family was held
    let marked_at = tx
        .find_authorization(authorization.id)?
        .and_then(|own| own.marked_at);
    if marked_at >= case.stopped_at {
        return Ok(Taken::Marked);
    }
    tx.mark_authorization(authorization.id)?;
    tx.record(
        Some(authorization.organization_id),
        None,
        Event::AuthorizationMarked,
        authorization.id.as_str(),
        "a used refresh token came back within the grace",
    )?;
    Ok(Taken::Marked)
}

/// Who holds what cannot be told: everything that came of the authorization ends.
fn stolen(
    tx: &mut Tx,
    authorization: &Authorization,
    token: &RefreshToken,
) -> Result<Taken, Error> {
    let reason = "it came back after what was issued for it had been used";
    tx.record(
        Some(authorization.organization_id),
        None,
        Event::RefreshTokenReused,
        token.id.as_str(),
        reason,
    )?;
    end(tx, authorization, "a refresh token was used twice")?;
    Ok(Taken::Ended)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::digest::Digest;
    use crate::types::id::{AccessTokenId, AuthorizationId, RefreshTokenId};

    const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);
    const GRACE: i64 = 60;

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

    fn case(token: RefreshToken, live: Option<&RefreshToken>) -> Case {
        Case {
            stopped_at: token.consumed_at,
            token,
            live: live.cloned(),
        }
    }

    #[test]
    fn only_the_neighbour_of_an_unseen_pair_has_lost_an_answer() {
        // 9700-35, 9700-36: for good, however late; all others come back, within the grace or after it
        use Judgement::{Live, Lost, Returned, Stolen, Twin};
        use RefreshTokenState::{Active, Consumed, Replaced};
        let (unseen, seen) = (token(5, Active, false), token(5, Active, true));
        let soon = NOW.plus_seconds(GRACE - 1);
        for (presented, generation, live, expected) in [
            (Active, 5, Some(&unseen), [Live, Live]),
            (Active, 5, Some(&seen), [Live, Live]),
            (Consumed, 4, Some(&unseen), [Lost, Lost]),
            (Consumed, 4, Some(&seen), [Returned, Stolen]),
            (Consumed, 3, Some(&unseen), [Returned, Stolen]),
            (Consumed, 5, Some(&unseen), [Returned, Stolen]),
            (Replaced, 5, Some(&unseen), [Twin, Twin]),
            (Replaced, 5, Some(&seen), [Returned, Stolen]),
            (Replaced, 4, Some(&unseen), [Returned, Stolen]),
            (Consumed, 4, None, [Stolen, Stolen]),
        ] {
            let case = case(token(generation, presented, false), live);
            let judged = [soon, NOW.plus_seconds(GRACE)].map(|now| case.judge(now, GRACE));
            assert_eq!(judged, expected, "{presented} {generation}");
        }
    }

    #[test]
    fn without_a_grace_what_comes_back_was_stolen() {
        let live = token(5, RefreshTokenState::Active, true);
        let back = case(token(4, RefreshTokenState::Consumed, false), Some(&live));
        assert_eq!(back.judge(NOW, 0), Judgement::Stolen);
    }

    #[test]
    fn a_token_from_before_receipts_were_kept_counts_as_seen() {
        let old = RefreshToken {
            access_token_id: None,
            ..token(0, RefreshTokenState::Active, false)
        };
        let back = case(token(-1, RefreshTokenState::Consumed, false), Some(&old));
        assert_eq!(
            back.judge(NOW.plus_seconds(GRACE), GRACE),
            Judgement::Stolen
        );
    }
}
