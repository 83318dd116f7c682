//! Writes when keys, client secrets and applications were last used: once a second, and at shutdown.

use std::time::Duration;

use actix_web::web;

use crate::app::App;
use crate::domain::usage;
use crate::store::{Error, Verdict};

const EVERY: Duration = Duration::from_secs(1);

/// Runs until the server's runtime ends.
pub async fn run(app: web::Data<App>) {
    loop {
        actix_web::rt::time::sleep(EVERY).await;
        flush(&app).await;
    }
}

/// Writes everything that waits; what cannot be written now waits on.
pub async fn flush(app: &App) {
    loop {
        let uses = app.usage.take();
        if uses.is_empty() {
            return;
        }
        let batch = uses.clone();
        let written = app.store.write(app.clock.now(), move |tx| usage::record(tx, &batch).map(Verdict::<_, Error>::Done)).await;
        if let Err(error) = written {
            tracing::warn!(uses = uses.len(), "Last uses could not be written and wait: {error}");
            app.usage.put_back(uses);
            return;
        }
    }
}
