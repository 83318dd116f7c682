//! What the vendor's API should answer its caller with, for a decision.

use crate::config::{Errors, ForeignWorkspace};
use crate::domain::decision::check::DecisionCode;
use crate::domain::decision::factors::{Cause, Reason};

/// A status of RFC 9110; none when the request is allowed.
pub fn http_status(cause: Option<Cause>, errors: &Errors) -> Option<u16> {
    let cause = cause?;
    Some(match (cause.code, cause.reason) {
        (_, Reason::ForeignWorkspace) => match errors.foreign_workspace {
            ForeignWorkspace::NotFound => 404,
            ForeignWorkspace::Unauthorized => 401,
            ForeignWorkspace::Forbidden => 403,
        },
        (DecisionCode::NotFound | DecisionCode::Expired, _) => 401,
        (DecisionCode::RateLimited, _) => 429,
        (DecisionCode::RecipientsRequired, _) => 422,
        // no waiting helps where the request costs too much: 429 would be tried again for ever
        _ => 403,
    })
}
