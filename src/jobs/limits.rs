//! Writes down the windows of lasting limits, once a second and at shutdown, and removes those that have run out: a restart
//! forgets nothing that is older than the last flush.

use std::time::Duration;

use actix_web::web;
use tokio::time::{MissedTickBehavior, interval};

use crate::app::App;
use crate::store::limit_windows::LimitWindow;
use crate::store::{Error, Tx, Verdict};

/// From the start of one flush to that of the next.
const EVERY: Duration = Duration::from_secs(1);
/// Rows written in one transaction.
const MOST_IN_BATCH: usize = 256;
/// Flushes between two looks for rows that have run out.
const SWEEP_EVERY: u64 = 60;

/// Runs until the server's runtime ends.
pub async fn run(app: web::Data<App>) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for round in 1_u64.. {
        ticks.tick().await;
        let app = app.clone();
        // on its own: it is not given up half-way when this ends, and the last flush waits for it
        let flushed = actix_web::rt::spawn(async move {
            flush(&app).await;
            if round.is_multiple_of(SWEEP_EVERY) {
                sweep(&app).await;
            }
        });
        if let Err(error) = flushed.await {
            tracing::error!("Limits were not written: {error}");
        }
    }
}

/// Writes what has changed; what cannot be written now waits on.
pub async fn flush(app: &App) {
    let _turn = app.limits_flush.lock().await;
    let changed = app.limiter.take_changed();
    for (number, batch) in changed.chunks(MOST_IN_BATCH).enumerate() {
        let rows = batch.to_vec();
        let written = app
            .store
            .write(app.clock.now(), move |tx| {
                replace(tx, &rows).map(Verdict::<_, Error>::Done)
            })
            .await;
        if let Err(error) = written {
            let waiting = &changed[number * MOST_IN_BATCH..];
            tracing::warn!(
                windows = waiting.len(),
                "Limits could not be written and wait: {error}"
            );
            app.limiter.put_back(waiting);
            return;
        }
    }
}

fn replace(tx: &mut Tx, rows: &[LimitWindow]) -> Result<(), Error> {
    let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    tx.delete_limit_windows(&names)?;
    tx.insert_limit_windows(rows)
}

/// Removes the rows that have run out: how many. None while the clock is in doubt.
pub async fn sweep(app: &App) -> usize {
    let (most, mut all) = (app.config.sweep.batch_rows, 0);
    loop {
        let Some(now) = app.clock_watch.trusted_now() else {
            return all;
        };
        match app
            .store
            .write_unhurried(now, move |tx| {
                tx.sweep_limit_windows(most).map(Verdict::<_, Error>::Done)
            })
            .await
        {
            Ok(0) => return all,
            Ok(swept) => all += swept,
            Err(error) => {
                tracing::warn!("Limits that have run out could not be removed and wait: {error}");
                return all;
            }
        }
    }
}
