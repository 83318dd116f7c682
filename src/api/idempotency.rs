//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): 1 to 255 visible ASCII characters, on every create.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use serde_json::Value;

use crate::crypto::digest::Purpose;
use crate::domain::operations::idempotency::{Held, Ticket};
use crate::web::problem::Problem;

use super::call::Call;

pub const HEADER: &str = "Idempotency-Key";
const MOST_BYTES: usize = 255;

/// A request that may be sent again; no other with its ticket is worked on while it is held.
#[derive(Debug)]
pub struct Repeatable {
    pub ticket: Ticket,
    _held: Held,
}

/// The key that the request carries. A header that stands twice is no key.
pub fn key(request: &HttpRequest) -> Result<Option<String>, Problem> {
    let wrong = |detail: &str| Problem::bad_request("invalid_idempotency_key", detail);
    let mut values = request.headers().get_all(HEADER);
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(wrong("There is more than one Idempotency-Key header."));
    }
    let bytes = value.as_bytes();
    let visible = bytes.iter().all(|byte| matches!(byte, 0x21..=0x7E));
    if bytes.is_empty() || bytes.len() > MOST_BYTES || !visible {
        return Err(wrong(
            "An Idempotency-Key is 1 to 255 visible ASCII characters.",
        ));
    }
    Ok(Some(String::from_utf8_lossy(bytes).into_owned()))
}

/// Refuses a twin of a request that is being worked on.
pub fn begin(
    call: &Call,
    request: &HttpRequest,
    key: String,
    body: &[u8],
) -> Result<Repeatable, Problem> {
    let route = format!(
        "{} {}",
        request.method(),
        request.match_pattern().unwrap_or_default()
    );
    // the same body, whatever its spaces and the order of its fields
    let body = serde_json::from_slice::<Value>(body).map_or_else(
        |_| String::from_utf8_lossy(body).into_owned(),
        |body| body.to_string(),
    );
    let asked = format!("{}?{}\n{body}", request.path(), request.query_string());
    let organization = call
        .organization
        .map(|id| id.to_string())
        .unwrap_or_default();
    let ticket = Ticket {
        caller: format!("{} {organization}", call.name),
        route,
        key,
        fingerprints: call.app.digester.candidates(Purpose::Request, &asked),
    };
    let held = call.app.in_flight.enter(&ticket).ok_or_else(in_flight)?;
    Ok(Repeatable {
        ticket,
        _held: held,
    })
}

fn in_flight() -> Problem {
    let detail =
        "A request with this Idempotency-Key is still being worked on. Try again in a moment.";
    Problem::new(StatusCode::CONFLICT, "idempotency_in_flight", detail).retry_after(1)
}

pub fn reused() -> Problem {
    let detail = "This Idempotency-Key came with another request before. Use a new one for every new request.";
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "idempotency_key_reused",
        detail,
    )
}
