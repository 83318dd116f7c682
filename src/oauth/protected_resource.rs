//! Protected resource metadata (RFC 9728) of the registered resources, for a vendor whose API does not serve it itself.
//!
//! The proxy in front of `https://api.example/v1` sends `/.well-known/oauth-protected-resource/v1` here with its own `Host`.

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, HOST};
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use crate::app::App;
use crate::store;
use crate::types::resource::ResourceUri;
use crate::web::facts::Facts;
use crate::web::problem::Problem;

/// Where the metadata of a resource without a path is.
pub const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

pub async fn get(app: web::Data<App>, facts: Facts, request: HttpRequest) -> HttpResponse {
    match describe(&app, &request).await {
        Ok(Some(response)) => response,
        Ok(None) => Problem::new(StatusCode::NOT_FOUND, "not_found", "No resource of this name is registered here.").respond(&facts),
        Err(error) => Problem::from(error).respond(&facts),
    }
}

async fn describe(app: &App, request: &HttpRequest) -> Result<Option<HttpResponse>, store::Error> {
    let Some(resource) = named(request) else { return Ok(None) };
    let uri = resource.clone();
    let Some(server) = app.store.read(move |snapshot| snapshot.find_resource_server_by_uri(uri.as_str())).await? else { return Ok(None) };
    let scopes: Vec<&str> = app.catalogue.scopes().map(|scope| scope.name.as_str()).collect();
    Ok(Some(HttpResponse::Ok().insert_header((CACHE_CONTROL, "public, max-age=300")).json(json!({
        "resource": resource.as_str(),
        "authorization_servers": [app.issuer.as_str()],
        "jwks_uri": format!("{}/.well-known/jwks.json", app.issuer.as_str()),
        "scopes_supported": scopes,
        "bearer_methods_supported": ["header"],
        "resource_name": server.name,
    }))))
}

/// RFC 9728 §3.1: the host that was asked, and what stands behind the well-known path.
fn named(request: &HttpRequest) -> Option<ResourceUri> {
    let host = request.headers().get(HOST)?.to_str().ok()?;
    let rest = request.uri().path_and_query()?.as_str().strip_prefix(WELL_KNOWN)?;
    let at = |scheme: &str| format!("{scheme}://{host}{rest}").parse::<ResourceUri>().ok();
    // http only names a resource on a loopback address
    let loopback = at("http");
    loopback.or_else(|| at("https"))
}
