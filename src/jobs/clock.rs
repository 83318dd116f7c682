//! Watches the clock every few seconds, so that a leap is seen between two sweeps, too, and keeps the record of it.

use std::time::Duration;

use actix_web::web;

use crate::app::App;
use crate::app::readiness::Part;
use crate::domain::operations::clock;
use crate::store::{Error, Tx, Verdict};
use crate::types::clock_watch::Doubt;

/// Also how late the server learns that an operator trusts the clock.
const EVERY: Duration = Duration::from_secs(2);

/// Runs until the server's runtime ends.
pub async fn run(app: web::Data<App>) {
    loop {
        if let Err(error) = round(&app).await {
            tracing::warn!("The record of the clock could not be written and waits: {error}");
        }
        actix_web::rt::time::sleep(EVERY).await;
    }
}

/// Looks once, says what it sees, and writes what the next start has to know.
pub async fn round(app: &App) -> Result<(), Error> {
    let watch = &app.clock_watch;
    let doubt = watch.observe();
    tell(app, doubt);
    let (knows, due) = (watch.recorded(), watch.due_record());
    let now = app.clock.now();
    if doubt.is_some() {
        let wanted = due.clone();
        let exchange = move |tx: &mut Tx| {
            let found = clock::record_doubt(tx, knows.as_ref(), wanted.as_ref())?;
            let newest = tx.find_newest_instant()?;
            Ok(Verdict::<_, Error>::Done((found, newest)))
        };
        match (app.store.write(now, exchange).await?, due) {
            ((Some(accepted), newest), _) => tell(app, watch.accept(Some(accepted), newest)),
            ((None, _), Some(written)) => watch.is_recorded(written),
            ((None, _), None) => {}
        }
    } else if let Some(due) = due {
        let written = due.clone();
        let put = move |tx: &mut Tx| tx.put_clock_record(&due).map(Verdict::<_, Error>::Done);
        app.store.write(now, put).await?;
        watch.is_recorded(written);
    }
    Ok(())
}

fn tell(app: &App, doubt: Option<Doubt>) {
    let words = doubt.map(|doubt| doubt.to_string());
    app.metrics
        .clock_leap_seconds
        .set(doubt.map_or(0, Doubt::seconds));
    if !app.readiness.warn(Part::Clock, words.clone()) {
        return;
    }
    match words {
        Some(words) => tracing::error!("Nothing is removed by time: {words}"),
        None => tracing::info!("The clock is trusted again: what has ended is removed"),
    }
}
