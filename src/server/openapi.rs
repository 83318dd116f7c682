//! `GET /v1/openapi.json`: the description of the management API, made of the route table; and its examples as a page.

use actix_web::http::StatusCode;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::routes::table;
use crate::api::openapi::{Entry, document};
use crate::api::samples::{self, Language, Words};
use crate::app::App;
use crate::config::KeyOwner;
use crate::domain::lifecycle::quickstart;
use crate::types::environment::Environment;
use crate::web::facts::Facts;
use crate::web::html::{PRODUCT, error_page, page};

fn description(app: &App) -> &web::Bytes {
    app.openapi.get_or_init(|| {
        let entry = |route: super::routes::Route| {
            route.operation.map(|operation| Entry {
                method: route.method,
                path: route.path,
                operation: operation(),
            })
        };
        let entries: Vec<Entry> = table().into_iter().filter_map(entry).collect();
        let mut description = document(&entries, &app.settings.catalogue, &app.issuer);
        samples::add(&mut description, &words(app));
        description.to_string().into()
    })
}

/// What the samples say.
fn words(app: &App) -> Words {
    let catalogue = &app.settings.catalogue;
    let scope = catalogue
        .scopes()
        .find(|scope| !catalogue.is_management(&scope.name));
    let environments = quickstart::environments(catalogue);
    Words {
        environment: *environments.first().unwrap_or(&Environment::Sandbox),
        scope: scope.map(|scope| scope.name.clone()).unwrap_or_default(),
        permission: catalogue
            .names(catalogue.all())
            .first()
            .map(|name| (*name).to_owned())
            .unwrap_or_default(),
        role: catalogue.least_role().to_owned(),
        names_owner: app.config.keys.owner == KeyOwner::User,
    }
}

pub async fn get(app: web::Data<App>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(description(&app).clone())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExamplesQuery {
    #[serde(default)]
    language: Language,
}

/// `GET /v1/docs/examples?language=curl|python|javascript|go|rust`
pub async fn examples(
    app: web::Data<App>,
    query: Result<web::Query<ExamplesQuery>, actix_web::Error>,
    facts: Facts,
) -> HttpResponse {
    let Ok(query) = query else {
        return error_page(
            StatusCode::BAD_REQUEST,
            "Another language",
            "There are curl, python, javascript, go and rust.",
            None,
            &facts,
        );
    };
    let document = serde_json::from_slice(description(&app)).unwrap_or_default();
    page(
        StatusCode::OK,
        &samples::page(PRODUCT.to_owned(), &document, query.language),
        None,
    )
}
