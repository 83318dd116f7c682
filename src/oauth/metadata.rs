//! Authorization server metadata (RFC 8414). Names only what works.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpResponse, web};
use serde_json::json;

use crate::app::App;
use crate::domain::clients::registration;

/// What a reader can get: one that registers here by itself no more than [registration] lets it have (RFC 8414 §2: a server
/// need not name every scope).
pub(super) fn scopes_supported(app: &App) -> Vec<&str> {
    let open = app.config.registration.is_open();
    let offered = registration::offer(&app.settings, false).scopes;
    let public = app.settings.catalogue.public_scopes();
    public
        .map(|scope| scope.name.as_str())
        .filter(|name| !open || offered.contains(name))
        .collect()
}

pub async fn get(app: web::Data<App>) -> HttpResponse {
    let issuer = app.issuer.as_str();
    let at = |path: &str| format!("{issuer}{path}");
    let scopes = scopes_supported(&app);
    let mut metadata = json!({
        "issuer": issuer,
        "authorization_endpoint": at("/oauth2/authorize"),
        "token_endpoint": at("/oauth2/token"),
        "revocation_endpoint": at("/oauth2/revoke"),
        "introspection_endpoint": at("/oauth2/introspect"),
        "jwks_uri": at("/.well-known/jwks.json"),
        "scopes_supported": scopes,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "revocation_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
    });
    // MCP clients take it as an invitation: who needs a token knows the address already
    if app.config.registration.is_open() {
        metadata["registration_endpoint"] = at("/oauth2/register").into();
    }
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "public, max-age=300"))
        .json(metadata)
}
