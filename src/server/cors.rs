//! Scripts of any origin (Fetch §3.3): for the endpoints that need a secret, or none at all, but never a cookie (9700-12,
//! MCP-5). Which those are is a word in the route table.
//!
//! Invariant: credentials are never allowed, so that `*` gives no script what its own server could not ask for.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ALLOW, CACHE_CONTROL, HeaderValue,
};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse};

/// What OAuth libraries in browsers send; MCP clients name their protocol's version. `*` would not cover `Authorization`.
const REQUEST_HEADERS: &str =
    "accept, authorization, cache-control, content-type, mcp-protocol-version, x-requested-with";
/// What tells a client why, and when to try again.
const ANSWER_HEADERS: HeaderValue =
    HeaderValue::from_static("www-authenticate, retry-after, x-request-id");
/// Browsers cap it themselves (Chromium at two hours).
const MAX_AGE_SECONDS: &str = "7200";

/// Around every answer of such a path, errors included.
pub async fn share(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let mut response = next.call(request).await?;
    let headers = response.headers_mut();
    // the same for everybody, so that no cache has to tell origins apart
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, ANSWER_HEADERS);
    Ok(response)
}

/// The answer to the question a browser asks first.
pub async fn preflight(methods: String) -> HttpResponse {
    HttpResponse::NoContent()
        .insert_header((ALLOW, format!("{methods}, OPTIONS")))
        .insert_header((ACCESS_CONTROL_ALLOW_METHODS, methods))
        .insert_header((ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS))
        .insert_header((ACCESS_CONTROL_MAX_AGE, MAX_AGE_SECONDS))
        .insert_header((CACHE_CONTROL, "no-store"))
        .finish()
}
