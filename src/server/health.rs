//! For operators and their tools: alive, ready, metrics.

use actix_web::http::StatusCode;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpResponse, web};
use serde_json::json;

use crate::app::App;
use crate::web::facts::Facts;
use crate::web::problem::{Problem, unavailable};

/// The process runs.
pub async fn healthz() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(json!({ "status": "ok" }))
}

/// The process can do its work: its database answers and keeps what is written, and nothing is unwell. Otherwise 503 with
/// `reasons` in the body. Answers within a second, whatever the database does.
pub async fn readyz(app: web::Data<App>, facts: Facts) -> HttpResponse {
    App::look_at_database(&app).await;
    let reasons = app.readiness.reasons();
    if reasons.is_empty() {
        return HttpResponse::Ok()
            .insert_header((CACHE_CONTROL, "no-store"))
            .json(json!({ "status": "ready" }));
    }
    unavailable()
        .with("reasons", reasons.into())
        .respond(&facts)
}

/// Prometheus' text format, for allowed networks.
pub async fn metrics(app: web::Data<App>, facts: Facts) -> HttpResponse {
    if !app.config.operations.allows(facts.address) {
        return Problem::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            "Metrics are for the networks in [operations] allowed_networks.",
        )
        .respond(&facts);
    }
    app.store.measure();
    match app.metrics.text() {
        Ok(text) => HttpResponse::Ok()
            .content_type("application/openmetrics-text; version=1.0.0; charset=utf-8")
            .insert_header((CACHE_CONTROL, "no-store"))
            .body(text),
        Err(error) => {
            tracing::error!("Cannot write metrics: {error}");
            Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal_error",
                "The metrics could not be written.",
            )
            .respond(&facts)
        }
    }
}
