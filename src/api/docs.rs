//! `GET /v1/docs`: the explorer (Swagger UI), served from the binary under a policy of its own. Nothing is loaded from elsewhere.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use actix_web::{HttpResponse, web};
use utoipa_swagger_ui::{Config, serve};

use crate::web::facts::Facts;
use crate::web::html::error_page;

const DOCUMENT: &str = "/v1/openapi.json";
/// Swagger UI draws its icons from `data:` addresses.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const PAGE: &str = r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Management API</title>
<link rel="icon" type="image/png" href="/v1/docs/favicon-32x32.png" sizes="32x32">
<link rel="stylesheet" href="/v1/docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<noscript>The explorer needs JavaScript. The description itself: <a href="/v1/openapi.json">openapi.json</a>.</noscript>
<script src="/v1/docs/swagger-ui-bundle.js"></script>
<script src="/v1/docs/swagger-ui-standalone-preset.js"></script>
<script src="/v1/docs/swagger-initializer.js"></script>
</body>
</html>
"#;

pub async fn page() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(PAGE)
}

/// A file of the explorer.
pub async fn file(name: web::Path<String>, facts: Facts) -> HttpResponse {
    let page = |name: &str| name.ends_with(".html");
    match serve(&name, Arc::new(Config::from(DOCUMENT))) {
        Ok(Some(file)) if !page(&name) => HttpResponse::Ok()
            .content_type(file.content_type)
            .insert_header((CACHE_CONTROL, "no-store"))
            .body(file.bytes.into_owned()),
        _ => error_page(
            StatusCode::NOT_FOUND,
            "Not found",
            "The explorer has no such file.",
            None,
            &facts,
        ),
    }
}
