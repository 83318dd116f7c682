//! The `resource` parameter (RFC 8707): which resource servers a grant or token is for.

use super::error::{Code, Error};
use crate::app::App;
use crate::domain::decision::resource_servers::find_targets;
use crate::domain::ensure;
use crate::store;
use crate::types::environment::Environment;
use crate::types::resource::{MOST_RESOURCES, ResourceError, ResourceUri, Resources};
use crate::web::form::Form;

/// What the request names; it may stand several times (RFC 8707 §2).
pub fn asked(form: &Form) -> Result<Vec<ResourceUri>, Error> {
    let named: Vec<&str> = form.all("resource").filter(|uri| !uri.is_empty()).collect();
    let wrong = |error: ResourceError| Code::InvalidTarget.because(format!("resource {error}."));
    ensure(named.len() <= MOST_RESOURCES, wrong(ResourceError::TooMany))?;
    named
        .into_iter()
        .map(str::parse::<ResourceUri>)
        .collect::<Result<_, _>>()
        .map_err(wrong)
}

/// What the request names, as it is registered: so it is answered in `aud`. Refuses what no resource server is called by.
pub async fn registered(
    app: &App,
    asked: Vec<ResourceUri>,
    environment: Environment,
) -> Result<Resources, Error> {
    if asked.is_empty() {
        return Ok(Resources::default());
    }
    let found = app
        .store
        .read(move |snapshot| find_targets(snapshot, &asked, environment))
        .await;
    found
        .map_err(|error: store::Error| Error::from(error))?
        .ok_or_else(|| {
            Code::InvalidTarget.because(
                "resource names one that is not registered here, or not in this environment.",
            )
        })
}

/// RFC 8707 §2.2: some of what was granted; absent inherits all of it.
pub fn narrow(granted: &Resources, asked: &[ResourceUri]) -> Result<Resources, Error> {
    if asked.is_empty() {
        return Ok(granted.clone());
    }
    ensure(
        asked.iter().all(|uri| granted.contains(uri.as_str())),
        Code::InvalidTarget.because("resource names one that was not granted."),
    )?;
    Ok(granted.narrowed_to(&asked.iter().cloned().collect()))
}
