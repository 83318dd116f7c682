//! How a person is sent back to the client (RFC 6749 §4.1.2): always with `iss` (RFC 9207), and `state` as it came.

use actix_web::HttpResponse;

use super::error::Error;
use crate::app::App;
use crate::crypto::Plaintext;
use crate::types::redirect_uri::RedirectUri;
use crate::web::html::see_other;

pub fn code(
    app: &App,
    redirect_uri: &RedirectUri,
    state: Option<&str>,
    code: &Plaintext,
) -> HttpResponse {
    send(app, redirect_uri, state, vec![("code", code.expose())])
}

/// RFC 6749 §4.1.2.1.
pub fn error(
    app: &App,
    redirect_uri: &RedirectUri,
    state: Option<&str>,
    error: &Error,
) -> HttpResponse {
    send(
        app,
        redirect_uri,
        state,
        vec![
            ("error", error.code.as_str()),
            ("error_description", error.description.as_ref()),
        ],
    )
}

fn send<'p>(
    app: &'p App,
    redirect_uri: &RedirectUri,
    state: Option<&'p str>,
    mut parameters: Vec<(&'p str, &'p str)>,
) -> HttpResponse {
    parameters.extend(state.map(|state| ("state", state)));
    parameters.push(("iss", app.issuer.as_str()));
    see_other(&redirect_uri.with_parameters(&parameters))
}
