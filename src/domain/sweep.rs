//! Removes what has ended: requests, sessions, codes, tokens, authorizations and consents.
//!
//! Invariant: nothing that could still decide anything is removed. A token that is gone reads like one that never was; a
//! consumed refresh token stays for as long as its return is to be noticed as a theft.

use crate::config::{OAuth, Sweep};
use crate::store::{Error, Tx};

/// One bounded batch of every kind: how many rows left. Zero: nothing is left to do.
pub fn batch(tx: &mut Tx, config: &Sweep, oauth: &OAuth) -> Result<usize, Error> {
    let (before, most) = (tx.now.plus_seconds(-config.keep_seconds), config.batch_rows);
    let replays = tx.now.plus_seconds(-oauth.refresh_replay_seconds);
    let mut removed = tx.sweep_authorization_requests(tx.now, most)?;
    removed += tx.sweep_sessions(before, most)?;
    removed += tx.sweep_access_tokens(before, most)?;
    removed += tx.sweep_revoked_tokens(before, most)?;
    removed += tx.sweep_consumed_refresh_tokens(replays, most)?;
    removed += tx.sweep_refresh_tokens(before, most)?;
    removed += tx.sweep_authorizations(before, most)?;
    removed += tx.sweep_consents(before, most)?;
    Ok(removed)
}
