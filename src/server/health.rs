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
/// `reasons` in the body. Either way `warnings`, if there are any: what an operator should look at. Answers within a second,
/// whatever the database does.
pub async fn readyz(app: web::Data<App>, facts: Facts) -> HttpResponse {
    App::look_at_database(&app).await;
    let (reasons, warnings) = (app.readiness.reasons(), app.readiness.warnings());
    if reasons.is_empty() {
        let mut body = json!({ "status": "ready" });
        if !warnings.is_empty() {
            body["warnings"] = warnings.into();
        }
        return HttpResponse::Ok()
            .insert_header((CACHE_CONTROL, "no-store"))
            .json(body);
    }
    let mut problem = unavailable().with("reasons", reasons.into());
    if !warnings.is_empty() {
        problem = problem.with("warnings", warnings.into());
    }
    problem.respond(&facts)
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
