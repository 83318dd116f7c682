//! `GET /v1/openapi.json`: the description of the management API, made of the route table.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpResponse, web};

use super::routes::table;
use crate::api::openapi::{Entry, document};
use crate::app::App;

pub async fn get(app: web::Data<App>) -> HttpResponse {
    let text = app.openapi.get_or_init(|| {
        let entry =
            |route: super::routes::Route| route.operation.map(|operation| Entry { method: route.method, path: route.path, operation: operation() });
        let entries: Vec<Entry> = table().into_iter().filter_map(entry).collect();
        document(&entries, &app.catalogue, &app.issuer).to_string()
    });
    HttpResponse::Ok().content_type("application/json").insert_header((CACHE_CONTROL, "no-store")).body(text.clone())
}
