//! Writes when keys, client secrets and applications were last used: once a second, and at shutdown.

use std::time::Duration;

use actix_web::web;

use crate::app::App;
use crate::domain::decision::usage;
use crate::store::{Error, Verdict};

const EVERY: Duration = Duration::from_secs(1);

/// Runs until the server's runtime ends.
pub async fn run(app: web::Data<App>) {
    loop {
        actix_web::rt::time::sleep(EVERY).await;
        flush(&app).await;
    }
}

/// Writes what waits now, once; what cannot be written, or is left when this future is dropped, waits on.
pub async fn flush(app: &App) {
    let _turn = app.usage_flush.lock().await;
    let mut drain = app.usage.drain();
    while !drain.is_empty() {
        let batch = drain.batch();
        let count = batch.len();
        let written = app
            .store
            .write(app.clock.now(), move |tx| {
                usage::record(tx, &batch).map(Verdict::<_, Error>::Done)
            })
            .await;
        if let Err(error) = written {
            tracing::warn!(
                uses = drain.len(),
                "Last uses could not be written and wait: {error}"
            );
            return;
        }
        drain.written(count);
    }
}
