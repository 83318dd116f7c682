//! The `resource` parameter (RFC 8707): which resource servers a grant or token is for.

use super::error::{Code, Error};
use crate::app::App;
use crate::domain::decision::resource_servers::find_wrong_target;
use crate::domain::ensure;
use crate::store;
use crate::types::environment::Environment;
use crate::types::resource::{MOST_RESOURCES, ResourceError, ResourceUri, Resources};
use crate::web::form::Form;

/// What the request names; it may stand several times (RFC 8707 §2).
pub fn asked(form: &Form) -> Result<Resources, Error> {
    let named: Vec<&str> = form.all("resource").filter(|uri| !uri.is_empty()).collect();
    let wrong = |error: ResourceError| Code::InvalidTarget.because(format!("resource {error}."));
    ensure(named.len() <= MOST_RESOURCES, wrong(ResourceError::TooMany))?;
    named
        .into_iter()
        .map(str::parse::<ResourceUri>)
        .collect::<Result<Resources, _>>()
        .map_err(wrong)
}

/// Refuses what no resource server is called by.
pub async fn ensure_known(
    app: &App,
    asked: &Resources,
    environment: Environment,
) -> Result<(), Error> {
    if asked.is_empty() {
        return Ok(());
    }
    let resources = asked.clone();
    let wrong = app
        .store
        .read(move |snapshot| find_wrong_target(snapshot, &resources, environment))
        .await;
    match wrong.map_err(|error: store::Error| Error::from(error))? {
        Some(_) => Err(Code::InvalidTarget.because(
            "resource names one that is not registered here, or not in this environment.",
        )),
        None => Ok(()),
    }
}

/// RFC 8707 §2.2: some of what was granted; absent inherits all of it.
pub fn narrow(granted: &Resources, asked: &Resources) -> Result<Resources, Error> {
    if asked.is_empty() {
        return Ok(granted.clone());
    }
    ensure(
        asked.is_subset_of(granted),
        Code::InvalidTarget.because("resource names one that was not granted."),
    )?;
    Ok(asked.clone())
}
