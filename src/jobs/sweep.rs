//! Sweeps what has expired, a bounded batch a transaction, and tells how much is left.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web;

use crate::app::App;
use crate::domain::sweep;
use crate::store::{Error, Verdict};

/// Between two batches, so that nobody else waits behind them.
const PAUSE: Duration = Duration::from_millis(20);

/// Runs until the server's runtime ends.
pub async fn run(app: web::Data<App>) {
    if !app.config.sweep.enabled {
        return;
    }
    loop {
        actix_web::rt::time::sleep(Duration::from_secs(app.config.sweep.every_seconds.max(1))).await;
        if let Err(error) = round(&app).await {
            tracing::warn!("The sweep could not finish and goes on later: {error}");
        }
    }
}

/// Sweeps until nothing is left: how many rows went.
pub async fn round(app: &App) -> Result<usize, Error> {
    let (mut all, now) = (0, app.clock.now());
    let before = now.plus_seconds(-app.config.sweep.keep_seconds);
    let backlog = app.store.read(move |snapshot| snapshot.count_expired(before)).await?;
    app.metrics.sweep_backlog.set(backlog);
    loop {
        let config = Arc::clone(&app.config);
        let swept = app.store.write(now, move |tx| sweep::batch(tx, &config.sweep, &config.oauth).map(Verdict::<_, Error>::Done)).await?;
        if swept == 0 {
            app.metrics.sweep_backlog.set(0);
            return Ok(all);
        }
        all += swept;
        let swept = u64::try_from(swept).unwrap_or(u64::MAX);
        app.metrics.swept_rows.inc_by(swept);
        app.metrics.sweep_backlog.dec_by(i64::try_from(swept).unwrap_or(i64::MAX).min(app.metrics.sweep_backlog.get()));
        actix_web::rt::time::sleep(PAUSE).await;
    }
}
