//! Protected resource metadata (RFC 9728) of the registered resources, for a vendor whose API does not serve it itself.
//!
//! The proxy in front of `https://api.example/v1` sends `/.well-known/oauth-protected-resource/v1` here with its own `Host`.

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, HOST, VARY};
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use super::metadata::scopes_supported;
use crate::app::App;
use crate::store;
use crate::types::resource::ResourceUri;
use crate::web::facts::Facts;
use crate::web::problem::Problem;

/// Where the metadata of a resource without a path is.
pub const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

pub async fn get(app: web::Data<App>, facts: Facts, request: HttpRequest) -> HttpResponse {
    match describe(&app, &facts, &request).await {
        Ok(Some(response)) => response,
        Ok(None) => Problem::new(
            StatusCode::NOT_FOUND,
            "not_found",
            "No resource of this name is registered here.",
        )
        .respond(&facts),
        Err(refusal) => refusal.respond(&facts),
    }
}

async fn describe(
    app: &App,
    facts: &Facts,
    request: &HttpRequest,
) -> Result<Option<HttpResponse>, Problem> {
    let Some(asked) = named(request) else {
        return Ok(None);
    };
    let found = app
        .store
        .read(move |snapshot| snapshot.find_resource_server_by_uri(&asked))
        .await;
    let Some((server, resource)) = found.map_err(|error: store::Error| Problem::from(error))?
    else {
        app.count_unknown(facts.address, facts.now)
            .map_err(Problem::rate_limited)?;
        return Ok(None);
    };
    let scopes = scopes_supported(app);
    // one path tells of as many resources as there are hosts
    let mut response = HttpResponse::Ok();
    response
        .insert_header((CACHE_CONTROL, "public, max-age=300"))
        .insert_header((VARY, "Host"));
    Ok(Some(response.json(json!({
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
    let mut hosts = request.headers().get_all(HOST);
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return None;
    };
    let host = host.to_str().ok()?;
    // RFC 9110 §7.2: a host and a port, and nothing that would begin a path
    if host.contains(['/', '?', '#', '@', '\\']) {
        return None;
    }
    let rest = request
        .uri()
        .path_and_query()?
        .as_str()
        .strip_prefix(WELL_KNOWN)?;
    let at = |scheme: &str| {
        format!("{scheme}://{host}{rest}")
            .parse::<ResourceUri>()
            .ok()
    };
    // http only names a resource on a loopback address
    let loopback = at("http");
    loopback.or_else(|| at("https"))
}
