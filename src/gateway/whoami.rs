//! `GET /v1/whoami`: the holder of a key or token asks what it is. No secret, a limit of its own.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use crate::app::App;
use crate::domain::decision::access::Access;
use crate::domain::decision::limiter::{Quota, Taken};
use crate::web::credential::credential;
use crate::web::facts::Facts;
use crate::web::holder;
use crate::web::problem::Problem;
use crate::web::rate_limit::add_headers;

pub async fn get(app: web::Data<App>, facts: Facts, request: HttpRequest) -> HttpResponse {
    whoami(&app, &facts, &request)
        .await
        .unwrap_or_else(|problem| problem.respond(&facts))
}

async fn whoami(app: &App, facts: &Facts, request: &HttpRequest) -> Result<HttpResponse, Problem> {
    let presented = credential(request, &app.config.keys.header_scheme)?;
    let access = holder::authenticate(app, facts, &presented).await?;
    let id = &access.credential.id;
    let quota = Quota {
        lasting: true,
        ..Quota::new("whoami", id.as_str(), app.config.limits.whoami)
    };
    match app.limiter.take(id, &[quota], facts.now) {
        Taken::All(standings) => {
            let mut builder = HttpResponse::Ok();
            add_headers(&mut builder, &standings);
            Ok(builder
                .insert_header((CACHE_CONTROL, "no-store"))
                .json(describe(app, &access)))
        }
        Taken::None {
            violated,
            retry_after_seconds,
            ..
        } => Err(Problem::rate_limited(retry_after_seconds.unwrap_or(1))
            .with("violated_policies", json!(violated))),
    }
}

fn describe(app: &App, access: &Access) -> serde_json::Value {
    let token = access.credential.token.as_ref();
    json!({
        "credential": {
            "kind": access.credential.kind.as_str(),
            "id": access.credential.id,
            "name": access.credential.name,
            "created_at": access.credential.issued_at,
            "expires_at": access.credential.expires_at,
            "client_id": token.map(|token| token.application),
            "scope": token.map(|token| token.scopes.as_str()),
        },
        "environment": access.environment,
        "organization": access.organization,
        "workspaces": access.workspaces().collect::<Vec<_>>(),
        "actor": { "id": access.actor.id, "kind": access.actor.kind, "name": access.actor.name },
        "permissions": app.settings.catalogue.names(access.permissions_everywhere()),
    })
}
