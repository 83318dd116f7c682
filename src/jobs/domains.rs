//! Looks again whether the records of domains are there: each once a day, unless the configuration says otherwise.

use std::time::Duration;

use actix_web::web;

use crate::app::App;
use crate::domain::Refusal;
use crate::store::Error;
use crate::types::state::DomainFinding;

const EVERY: Duration = Duration::from_secs(60);
/// Domains of one round; the others wait for the next.
const MOST: i64 = 100;
/// Look-ups in a row without an answer after which the round ends: it is the name server that is down, not the domains.
const MOST_UNANSWERED: u32 = 3;

/// Runs until the server's runtime ends.
pub async fn run(app: web::Data<App>) {
    loop {
        actix_web::rt::time::sleep(EVERY).await;
        if let Err(error) = round(&app).await {
            tracing::warn!("Domains could not be checked and wait: {error}");
        }
    }
}

/// Looks up what is due, one after the other: how many were looked up. Nothing is due while the clock is in doubt.
pub async fn round(app: &App) -> Result<usize, Error> {
    let Some(now) = app.clock_watch.trusted_now() else {
        return Ok(0);
    };
    let due = app
        .store
        .read(move |snapshot| snapshot.list_due_domains(now, MOST))
        .await?;
    let (mut checked, mut unanswered) = (0, 0);
    for domain in &due {
        let finding = match app.recheck_domain(domain).await {
            Ok(Some(domain)) => domain.last_finding,
            // removed, looked up by hand just now, or somebody else's by now: all of it is written down
            Ok(None) | Err(Refusal::NotFound | Refusal::Blocked(_)) => continue,
            Err(Refusal::Store(error)) => return Err(error),
            Err(other) => {
                tracing::warn!(domain.id = %domain.id, "A domain could not be checked: {other}");
                continue;
            }
        };
        checked += 1;
        unanswered = if finding == Some(DomainFinding::Unanswered) {
            unanswered + 1
        } else {
            0
        };
        if unanswered == MOST_UNANSWERED {
            break;
        }
    }
    Ok(checked)
}
