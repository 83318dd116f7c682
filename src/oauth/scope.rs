//! The `scope` parameter (RFC 6749 §3.3): which scopes a request gets.
//!
//! What a client may not have is left out: it asks for what the metadata name, for what another server had, or for what it
//! was granted before its makers narrowed it. The answer names what was granted. Only a request of which nothing is left is
//! `invalid_scope`.

use super::error::{Code, Error};
use crate::config::Catalogue;
use crate::domain::clients::authorizations::negotiate_scopes;
use crate::domain::ensure;
use crate::types::scope::Scopes;

/// What was asked for, or the default scopes; never more than the client may have.
pub fn negotiate(
    catalogue: &Catalogue,
    allowed: &Scopes,
    asked: Option<&str>,
) -> Result<Scopes, Error> {
    let asked = asked
        .map(str::parse::<Scopes>)
        .transpose()
        .map_err(|_| Code::InvalidScope.because("scope is malformed."))?;
    negotiate_scopes(catalogue, allowed, asked.as_ref()).ok_or_else(nothing_left)
}

/// Of the request.
pub fn nothing_left() -> Error {
    Code::InvalidScope.because("scope names none that this client may have.")
}

/// RFC 6749 §6: what of it was granted, never more; absent inherits all of it.
pub fn narrow(granted: &Scopes, asked: Option<&str>) -> Result<Scopes, Error> {
    let Some(asked) = asked else {
        return Ok(granted.clone());
    };
    let asked: Scopes = asked
        .parse()
        .map_err(|_| Code::InvalidScope.because("scope is malformed."))?;
    let left = asked.intersection(granted);
    ensure(
        !left.is_empty() || asked.is_empty(),
        Code::InvalidScope.because("scope names none that was granted."),
    )?;
    Ok(left)
}
