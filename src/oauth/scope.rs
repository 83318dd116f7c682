//! The `scope` parameter (RFC 6749 §3.3): which scopes a request gets.

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
    negotiate_scopes(catalogue, allowed, asked.as_ref()).ok_or_else(|| {
        Code::InvalidScope
            .because("scope names one that is unknown or not allowed for this client.")
    })
}

/// RFC 6749 §6: some of what was granted; absent inherits all of it.
pub fn narrow(granted: &Scopes, asked: Option<&str>) -> Result<Scopes, Error> {
    let Some(asked) = asked else {
        return Ok(granted.clone());
    };
    let wider =
        || Code::InvalidScope.because("scope is malformed, or wider than what was granted.");
    let asked: Scopes = asked.parse().map_err(|_| wider())?;
    ensure(asked.is_subset_of(granted), wider())?;
    Ok(asked)
}
