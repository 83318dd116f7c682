//! How a command changes what a running server may remember: it writes, and waits until the server has forgotten it.
//!
//! Invariant: a command says done only when no process answers from before its change. While no server runs, that is at once,
//! and no server can start before the command has ended.

use std::time::Duration;

use actix_web::rt::time::sleep;

use super::Failure;
use super::user::words;
use crate::app;
use crate::config::Config;
use crate::crypto::secret_key::SecretKeys;
use crate::domain::Refusal;
use crate::store::{Database, Store, Tx, Verdict};
use crate::types::time::Clock;

/// The server looks every second on PostgreSQL, twice as often on SQLite; a database that is busy may take longer.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Every two seconds: two of the server's looks.
const LOOKS_A_TRY: u128 = 40;

/// The keys under which secrets are stored: made here only for a database that holds nothing yet.
pub(super) fn secret_keys(config: &Config) -> Result<SecretKeys, Failure> {
    let store = Store::open_as_guest(&config.database.url.parse()?)?;
    let keys = actix_web::rt::System::new().block_on(app::secret_keys_of(config, &store));
    Ok(keys?)
}

/// One transaction, known to the server when this returns.
pub(super) fn write<T: Send + 'static>(
    config: &Config,
    rule: impl FnMut(&mut Tx) -> Result<Verdict<T, Refusal>, Refusal> + Send + 'static,
) -> Result<T, Failure> {
    let database: Database = config.database.url.parse()?;
    let store = Store::open_beside(&database)?;
    actix_web::rt::System::new().block_on(async move {
        let done = store.write(Clock::System.now(), rule).await;
        let done = done.map_err(|refusal| words(&refusal))?;
        wait(store, &database).await?;
        Ok(done)
    })
}

async fn wait(store: Store, database: &Database) -> Result<(), Failure> {
    let looks = PATIENCE.as_millis() / LOOK_EVERY.as_millis();
    for look in 1..=looks {
        if store.is_noticed().await? {
            return Ok(());
        }
        // whoever held the lock may have gone: nobody remembers anything then
        if look % LOOKS_A_TRY == 0 && Store::open(database, 1).is_ok() {
            return Ok(());
        }
        sleep(LOOK_EVERY).await;
    }
    let seconds = PATIENCE.as_secs();
    Err(format!(
        "the change is written, but the running server has not said within {seconds} seconds that it knows: until it does, it \
         may answer as before. Look at its log, or start it again."
    )
    .into())
}
