//! Who holds an API key or access token and presents it to this server itself: `whoami` and the management API.
//!
//! Invariant: every door of ours asks for the audience. A token that was issued for another API opens none of them: whoever
//! runs that API gets it sent (RFC 9068 §4, RFC 9700 §2.3).

use std::sync::Arc;

use actix_web::http::StatusCode;

use super::facts::Facts;
use super::problem::{Challenge, Problem, unknown_credential};
use crate::app::{App, Lookup};
use crate::domain::decision::access::Access;
use crate::domain::ensure;

/// The access behind a credential that is good for something here and now. Unknown, mistyped and revoked ones, and tokens
/// for another API, read the same.
pub async fn authenticate(
    app: &App,
    facts: &Facts,
    presented: &str,
) -> Result<Arc<Access>, Problem> {
    let access = match app
        .access(presented, Some(facts.address), facts.now)
        .await?
    {
        Lookup::Found(access) => access,
        Lookup::Unknown => return Err(unknown_credential()),
        Lookup::Throttled {
            retry_after_seconds,
        } => return Err(Problem::rate_limited(retry_after_seconds)),
    };
    ensure(access.is_for_issuer(), unknown_credential())?;
    ensure(!access.is_expired(facts.now), expired())?;
    ensure(access.suspended.is_none(), suspended())?;
    if let Some(lock) = access.lock {
        return Err(Problem::locked(
            lock.code().as_str(),
            &lock.unlock(&app.settings.catalogue, access.environment),
        ));
    }
    app.note_use(&access, Some(facts.address), facts.now);
    Ok(access)
}

pub fn suspended() -> Problem {
    let detail = "The organization or the account behind this credential is suspended.";
    Problem::new(StatusCode::FORBIDDEN, "suspended", detail)
}

pub fn expired() -> Problem {
    let challenge = Challenge::Credential(Some("invalid_token"));
    Problem::unauthorized(
        "credential_expired",
        "The credential has expired: create a new one.",
        challenge,
    )
}
