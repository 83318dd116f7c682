//! Who may be given a secret of a key.
//!
//! Invariant: nobody sees a secret of a key, adds one, resumes a key or changes whose it is, unless they own the key, or hold
//! now, themselves, all that it can do. An operator token holds what it was made for. To narrow, pause or end a key needs no
//! more than to manage it.

use crate::domain::desk::View;
use crate::domain::keys::places::{self, named};
use crate::domain::rights::key_rights;
use crate::domain::{Refusal, ensure};
use crate::store::api_keys::ApiKey;
use crate::types::id::WorkspaceId;

const STRONGER: &str = "This key can do more than you may: only its owner, or somebody who holds all of that, gets a secret of it, resumes it or passes it on. You can pause or revoke it.";

/// Refuses whoever neither owns the key nor holds all that it can do.
pub fn ensure_may_hold(view: &mut View, key: &ApiKey) -> Result<(), Refusal> {
    let named = named(view.snapshot, key.id)?;
    ensure(may_hold(view, key, &named)?, Refusal::Forbidden(STRONGER))
}

/// The same as an answer, for a key that names these workspaces.
pub fn may_hold(view: &mut View, key: &ApiKey, named: &[WorkspaceId]) -> Result<bool, Refusal> {
    if view.asker.is(key.owner_id) {
        return Ok(true);
    }
    let (catalogue, now) = (&view.settings.catalogue, view.now);
    let granted = key_rights::of_key(view.snapshot, catalogue, key, named, now)?;
    Ok(granted.is_within(&view.own_rights()?))
}

/// Whether the asker may still pass the key on: manages it, and may be given a secret of it. Asked of whoever made a link or an
/// offer when somebody uses it; a stranger may not.
pub fn vouches(view: &mut View, key: &ApiKey) -> Result<bool, Refusal> {
    if !places::manages(view, key)? {
        return Ok(false);
    }
    let named = named(view.snapshot, key.id)?;
    may_hold(view, key, &named)
}
