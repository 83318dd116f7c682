//! `GET /v1/docs`: the explorer (Swagger UI), served from the binary under a policy of its own. Nothing is loaded from elsewhere.

use std::sync::OnceLock;

use actix_web::http::StatusCode;
use actix_web::http::header::{
    AcceptEncoding, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, Encoding, VARY,
};
use actix_web::{HttpResponse, HttpResponseBuilder, web};
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;

use super::archive;
use crate::web::facts::Facts;
use crate::web::html::error_page;

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

/// Where Swagger UI finds the document. A script of its own, because the policy forbids one in the page.
const INITIALIZER: &str = r##"window.onload = function () {
  window.ui = SwaggerUIBundle({
    url: "/v1/openapi.json",
    dom_id: "#swagger-ui",
    deepLinking: true,
    layout: "StandaloneLayout",
    presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
    plugins: [SwaggerUIBundle.plugins.DownloadUrl],
  });
};
"##;
const SCRIPT: &str = "text/javascript; charset=utf-8";
/// What the page loads out of Swagger UI's archive. Each form is made once, and shared by all its answers.
static FILES: [File; 4] = [
    File::new("favicon-32x32.png", "image/png"),
    File::new("swagger-ui.css", "text/css; charset=utf-8"),
    File::new("swagger-ui-bundle.js", SCRIPT),
    File::new("swagger-ui-standalone-preset.js", SCRIPT),
];

struct File {
    name: &'static str,
    content_type: &'static str,
    gzip: OnceLock<Option<web::Bytes>>,
    plain: OnceLock<Option<web::Bytes>>,
}

impl File {
    const fn new(name: &'static str, content_type: &'static str) -> Self {
        Self {
            name,
            content_type,
            gzip: OnceLock::new(),
            plain: OnceLock::new(),
        }
    }

    fn packed(&self) -> Option<archive::Packed<'static>> {
        archive::find(SWAGGER_UI_VENDORED, &format!("dist/{}", self.name))
    }

    /// None where the archive holds it plain.
    fn gzip(&self) -> Option<web::Bytes> {
        let make = || Some(self.packed()?.gzip()?.into());
        self.gzip.get_or_init(make).clone()
    }

    fn plain(&self) -> Option<web::Bytes> {
        let make = || Some(self.packed()?.plain().ok()?.into());
        self.plain.get_or_init(make).clone()
    }
}

pub async fn page() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(PAGE)
}

/// A file of the explorer.
pub async fn file(
    name: web::Path<String>,
    accept: Option<web::Header<AcceptEncoding>>,
    facts: Facts,
) -> HttpResponse {
    if name.as_str() == "swagger-initializer.js" {
        return found(SCRIPT).body(INITIALIZER);
    }
    let gzip = accept.is_some_and(|accept| accepts_gzip(&accept));
    packed(&name, gzip).unwrap_or_else(|| {
        error_page(
            StatusCode::NOT_FOUND,
            "Not found",
            "The explorer has no such file.",
            None,
            &facts,
        )
    })
}

fn packed(name: &str, gzip: bool) -> Option<HttpResponse> {
    let file = FILES.iter().find(|file| file.name == name)?;
    let mut response = found(file.content_type);
    response.insert_header((VARY, "Accept-Encoding"));
    match gzip.then(|| file.gzip()).flatten() {
        Some(body) => Some(
            response
                .insert_header((CONTENT_ENCODING, "gzip"))
                .body(body),
        ),
        None => Some(response.body(file.plain()?)),
    }
}

fn found(content_type: &'static str) -> HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response
        .content_type(content_type)
        .insert_header((CACHE_CONTROL, "no-store"));
    response
}

fn accepts_gzip(accept: &AcceptEncoding) -> bool {
    accept.negotiate([Encoding::gzip(), Encoding::identity()].iter()) == Some(Encoding::gzip())
}
