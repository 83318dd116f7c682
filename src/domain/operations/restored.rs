//! What becomes of a database that was made from a backup. The backup does not know what was revoked after it: so nothing that
//! was issued before the restore is good any more, and what stands until somebody revokes it waits for an operator.

use crate::domain::operations::signing_keys::{self, Fresh, Schedule};
use crate::domain::{Refusal, ensure};
use crate::store::{Error, Tx};
use crate::types::event::Event;

/// The subject of its events.
const DATABASE: &str = "database";

/// Ends every session, code and token, of every form and at every door: their rows end, and the key that has signed JWTs is
/// replaced. Pauses keys, secrets and standing tokens, unless they are to stay live.
pub fn restore(
    tx: &mut Tx,
    schedule: Schedule,
    fresh: &Fresh,
    keeps_keys: bool,
) -> Result<(), Error> {
    tx.end_what_was_issued()?;
    signing_keys::begin_anew(tx, schedule, fresh)?;
    if !keeps_keys {
        tx.pause_standing_secrets()?;
    }
    tx.note_restore()?;
    let detail = if keeps_keys {
        "keys and secrets stay live"
    } else {
        "keys and secrets are paused"
    };
    tx.record(None, None, Event::DatabaseRestored, DATABASE, detail)
}

/// Lifts the pause of these, each by an id that `list_paused_secrets` names; of all of them when none is named. How many are
/// live again. `Err`: one of the ids names nothing that is paused, and nothing was changed.
pub fn resume(tx: &mut Tx, ids: &[String]) -> Result<usize, Refusal> {
    let before = tx.list_paused_secrets()?.len();
    if ids.is_empty() {
        tx.resume_standing_secrets(None)?;
    }
    for id in ids {
        let is_paused = tx.resume_standing_secrets(Some(id))? > 0;
        let unknown = || Refusal::field("ID", format!("{id:?} names nothing that is paused"));
        ensure(is_paused, unknown())?;
    }
    let detail = if ids.is_empty() {
        "all".to_owned()
    } else {
        ids.join(" ")
    };
    tx.record(None, None, Event::DatabaseSecretsResumed, DATABASE, &detail)?;
    Ok(before - tx.list_paused_secrets()?.len())
}
