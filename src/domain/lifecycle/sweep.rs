//! Removes what has ended: requests, sessions, codes, tokens, authorizations, consents and keys.
//!
//! Invariant: nothing that could still decide anything is removed. A token that is gone reads like one that never was; a
//! consumed refresh token stays for as long as its return is to be noticed as a theft, and longer next to a live one. Under
//! a clock that has leapt nothing is removed.

use crate::config::Config;
use crate::domain::clients::registration;
use crate::domain::lifecycle::departures;
use crate::domain::operations::idempotency;
use crate::store::{Error, Tx};

/// Memberships that one transaction ends: each with everything that stands on it.
const MOST_DEPARTURES: i64 = 20;
/// How long a key stays in the database once it was revoked or has expired.
const KEYS_KEPT_SECONDS: i64 = 400 * 24 * 60 * 60;

/// What is swept, in an order in which nothing hangs off what is removed.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Memberships that have ended by themselves: they end for good, with what stands on them.
    EndedMemberships,
    Requests,
    Sessions,
    AccessTokens,
    RevokedTokens,
    ConsumedRefreshTokens,
    RefreshTokens,
    Authorizations,
    Consents,
    /// Registered applications that nobody has used: they end.
    UnusedRegistrations,
    /// Those that have ended: they leave.
    EndedRegistrations,
    IdempotencyKeys,
    /// Keys that were revoked or expired long ago: a small row stays of each.
    EndedApiKeys,
}

impl Kind {
    pub const ALL: [Self; 13] = [
        Self::EndedMemberships,
        Self::Requests,
        Self::Sessions,
        Self::AccessTokens,
        Self::RevokedTokens,
        Self::ConsumedRefreshTokens,
        Self::RefreshTokens,
        Self::Authorizations,
        Self::Consents,
        Self::UnusedRegistrations,
        Self::EndedRegistrations,
        Self::IdempotencyKeys,
        Self::EndedApiKeys,
    ];
}

/// One bounded batch: how many rows left. Zero: nothing of this kind is left to do.
pub fn batch(tx: &mut Tx, kind: Kind, config: &Config) -> Result<usize, Error> {
    if !tx.trusts_clock {
        return Ok(0);
    }
    let (before, most) = (
        tx.now.plus_seconds(-config.sweep.keep_seconds),
        config.sweep.batch_rows,
    );
    match kind {
        Kind::EndedMemberships => departures::end_ended(tx, most.min(MOST_DEPARTURES)),
        Kind::Requests => tx.sweep_authorization_requests(tx.now, most),
        Kind::Sessions => tx.sweep_sessions(before, most),
        Kind::AccessTokens => tx.sweep_access_tokens(before, most),
        Kind::RevokedTokens => tx.sweep_revoked_tokens(before, most),
        Kind::ConsumedRefreshTokens => tx.sweep_consumed_refresh_tokens(
            tx.now.plus_seconds(-config.oauth.refresh_replay_seconds),
            most,
        ),
        Kind::RefreshTokens => tx.sweep_refresh_tokens(before, most),
        Kind::Authorizations => tx.sweep_authorizations(before, most),
        Kind::Consents => tx.sweep_consents(before, most),
        Kind::UnusedRegistrations => registration::end_unused(
            tx,
            tx.now.plus_seconds(-config.registration.unused_seconds),
            most,
        ),
        Kind::EndedRegistrations => tx.sweep_ended_registrations(before, most),
        Kind::IdempotencyKeys => {
            tx.sweep_idempotency_keys(tx.now.plus_seconds(-idempotency::REMEMBERED_SECONDS), most)
        }
        Kind::EndedApiKeys => tx.retire_api_keys(tx.now.plus_seconds(-KEYS_KEPT_SECONDS), most),
    }
}
