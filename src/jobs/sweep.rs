//! Sweeps what has expired, a bounded batch a transaction, and tells how much is left. While the clock is in doubt it stops:
//! every batch has an instant of its own, which is trusted.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web;

use crate::app::App;
use crate::domain::lifecycle::sweep::{self, Kind};
use crate::store::{Error, Tx, Verdict};

/// Between two batches, so that nobody else waits behind them.
const PAUSE: Duration = Duration::from_millis(20);

/// Runs until the server's runtime ends.
pub async fn run(app: web::Data<App>) {
    if !app.config.sweep.enabled {
        return;
    }
    loop {
        actix_web::rt::time::sleep(Duration::from_secs(app.config.sweep.every_seconds.max(1)))
            .await;
        if let Err(error) = round(&app).await {
            tracing::warn!("The sweep could not finish and goes on later: {error}");
        }
    }
}

/// Sweeps until nothing is left: how many rows went. None go while the clock is in doubt.
pub async fn round(app: &App) -> Result<usize, Error> {
    let Some(now) = app.clock_watch.trusted_now() else {
        return Ok(0);
    };
    let mut all = 0;
    let before = now.plus_seconds(-app.config.sweep.keep_seconds);
    let backlog = app
        .store
        .read_unhurried(move |snapshot| snapshot.count_expired(before))
        .await?;
    app.metrics.sweep_backlog.set(backlog);
    for kind in Kind::ALL {
        loop {
            let Some(now) = app.clock_watch.trusted_now() else {
                return Ok(all);
            };
            let config = Arc::clone(&app.config);
            let sweep =
                move |tx: &mut Tx| sweep::batch(tx, kind, &config).map(Verdict::<_, Error>::Done);
            let swept = app.store.write_unhurried(now, sweep).await?;
            if swept == 0 {
                break;
            }
            all += swept;
            app.metrics
                .swept_rows
                .inc_by(u64::try_from(swept).unwrap_or(u64::MAX));
            actix_web::rt::time::sleep(PAUSE).await;
        }
    }
    let left = app
        .store
        .read_unhurried(move |snapshot| snapshot.count_expired(before))
        .await?;
    app.metrics.sweep_backlog.set(left);
    Ok(all)
}
