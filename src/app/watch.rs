//! Whether the database is well, for `/readyz`: from what requests have met, and from a probe where they say too little.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::web;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::App;
use super::readiness::Part;
use crate::store::{Lane, Trouble};

/// `/readyz` waits for a probe at most so long: it answers within a second, whatever the database does.
const PATIENCE: Duration = Duration::from_millis(800);
/// What went well less than this ago needs no probe. So a probe, which is a COMMIT, comes at most as often, and only while
/// somebody asks and nothing else is written.
const FRESH: Duration = Duration::from_secs(3);
/// A database that is well answers a probe long before this.
const SLOW: Duration = Duration::from_secs(2);

/// One probe at a time.
#[derive(Default)]
pub struct Probe {
    is_running: AtomicBool,
    ended: Notify,
}

impl App {
    /// Looks at the database and notes in [`App::readiness`] what is wrong with it.
    pub async fn look_at_database(app: &web::Data<Self>) {
        let is_fresh = [Lane::Reads, Lane::Writes].into_iter().all(|lane| {
            let seen = app.store.seen(lane);
            seen.trouble.is_none() && seen.well_since().is_some_and(|since| since < FRESH)
        });
        if !is_fresh {
            let ended = app.probe.ended.notified();
            if !app.probe.is_running.swap(true, Ordering::SeqCst) {
                actix_web::rt::spawn(probe(app.clone()));
            }
            let _ = timeout(PATIENCE, ended).await;
        }
        let is_trusted = app.store.changes().is_trusted();
        // a database that cannot be reached has taken the lock with it
        let database = app
            .trouble(Lane::Reads)
            .or((!is_trusted).then_some(Trouble::LockLost));
        let writes = app.trouble(Lane::Writes).filter(|_| database.is_none());
        for (part, trouble) in [(Part::Database, database), (Part::Writes, writes)] {
            let reason = trouble.map(|trouble| trouble.words().to_owned());
            if app.readiness.set(part, reason.clone()) {
                match reason {
                    Some(reason) => tracing::error!("Not ready: {reason}"),
                    None => tracing::info!("Ready again: {part:?}"),
                }
            }
        }
    }

    /// A probe that has not ended yet tells nothing, until the last good news is so old that it must have.
    fn trouble(&self, lane: Lane) -> Option<Trouble> {
        let seen = self.store.seen(lane);
        let is_silent = seen.well_since().is_none_or(|since| since > FRESH + SLOW);
        seen.trouble.or(is_silent.then_some(Trouble::Silent))
    }
}

async fn probe(app: web::Data<App>) {
    // what went wrong is noted where it did
    if let Err(error) = app.store.probe(app.clock.now()).await {
        tracing::debug!("The probe of the database failed: {error}");
    }
    app.probe.is_running.store(false, Ordering::SeqCst);
    app.probe.ended.notify_waiters();
}
