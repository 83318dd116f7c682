//! The signing keys in use, kept as the stored ones are.

use super::{App, BuildError};
use crate::config::OAuth;
use crate::crypto::seal::Sealer;
use crate::domain::operations::signing_keys::{self, Fresh, Schedule};
use crate::store::signing_keys::StoredSigningKey;
use crate::store::{self, Store, Verdict};
use crate::types::clock_watch::ClockWatch;
use crate::types::time::Timestamp;

impl App {
    /// Keeps the signing keys on their schedule, and takes over what another process changed.
    pub async fn tend_signing_keys(&self) -> Result<(), BuildError> {
        let keys = keep(
            &self.store,
            &self.sealer,
            &self.config.oauth,
            &self.clock_watch,
            self.clock.now(),
        )
        .await?;
        self.signer
            .refuse_twins_from(signing_keys::lower_from(&keys));
        if !self
            .signer
            .holds(keys.iter().map(|key| (key.kid.as_str(), key.signs_from)))
        {
            self.signer
                .replace(&signing_keys::open(&keys, &self.sealer)?)?;
            // the tokens of a key that was removed
            self.store.changes().forget_all();
            tracing::info!(keys = keys.len(), "The signing keys have changed");
        }
        Ok(())
    }
}

/// Brings the stored signing keys up to their schedule; the first is made when there is none.
pub(super) async fn keep(
    store: &Store,
    sealer: &Sealer,
    oauth: &OAuth,
    clock_watch: &ClockWatch,
    now: Timestamp,
) -> Result<Vec<StoredSigningKey>, BuildError> {
    let schedule = Schedule::of(oauth);
    let keys = store.read(|snapshot| snapshot.list_signing_keys()).await?;
    if signing_keys::is_on_schedule(&keys, schedule, (now, clock_watch.trusts(now))) {
        return Ok(keys);
    }
    let fresh = Fresh::generate(signing_keys::algorithm(oauth)?, sealer)?;
    match store
        .write(now, move |tx| {
            signing_keys::tend(tx, schedule, &fresh).map(Verdict::Done)
        })
        .await
    {
        // another rotation was first
        Ok(()) | Err(store::Error::Constraint(_) | store::Error::NotFound) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(store.read(|snapshot| snapshot.list_signing_keys()).await?)
}
