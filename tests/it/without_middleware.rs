//! A request that the outermost middleware has not seen has no id, no instant and no address: every door answers 500 in its
//! own form, and nothing is made up.

use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use countersign::server::routes;
use serde_json::Value;

use crate::databases::{TestDatabase, both_databases};
use crate::server::Server;

both_databases!(
    pages_answer_with_a_page,
    oauth_endpoints_answer_with_an_oauth_error,
    interfaces_for_programs_answer_with_a_problem,
);

const HTML: &str = "text/html; charset=utf-8";

/// What the route table answers without the middleware around it.
async fn ask(server: &Server, request: TestRequest) -> (StatusCode, String, String) {
    let app = actix_web::App::new()
        .app_data(server.app.clone())
        .configure(|config| routes::configure(config, &[]));
    let response = call_service(&init_service(app).await, request.to_request()).await;
    let content_type = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let status = response.status();
    let body = read_body(response).await;
    (
        status,
        content_type,
        String::from_utf8_lossy(&body).into_owned(),
    )
}

async fn pages_answer_with_a_page(db: TestDatabase) {
    let server = Server::start(db).await;
    let organization = server.planted.organization;
    for request in [
        TestRequest::get().uri("/"),
        TestRequest::get().uri("/login"),
        TestRequest::post().uri("/login"),
        TestRequest::get().uri("/account/applications"),
        TestRequest::get().uri("/dev-centre"),
        TestRequest::get().uri(&format!("/dev-centre/{organization}/api-keys")),
        TestRequest::get().uri("/operator"),
        TestRequest::post().uri("/operator/resource-servers"),
        TestRequest::get().uri("/hand-over/nobody"),
        TestRequest::get().uri("/oauth2/authorize"),
        TestRequest::get().uri("/v1/docs/nothing"),
        // what no route answers
        TestRequest::get().uri("/nothing"),
        TestRequest::delete().uri("/login"),
    ] {
        let (status, content_type, body) = ask(&server, request).await;
        assert_eq!(
            (status, content_type.as_str()),
            (StatusCode::INTERNAL_SERVER_ERROR, HTML),
            "{body}"
        );
        assert!(body.contains("The request could not be answered."));
        assert!(!body.contains("name this request"), "it has no id: {body}");
    }
}

async fn oauth_endpoints_answer_with_an_oauth_error(db: TestDatabase) {
    let server = Server::start(db).await;
    for request in [
        TestRequest::post().uri("/oauth2/token"),
        TestRequest::post().uri("/oauth2/access_token"),
        TestRequest::post().uri("/oauth2/revoke"),
        TestRequest::post().uri("/oauth2/introspect"),
        TestRequest::post().uri("/oauth2/register"),
        TestRequest::get().uri("/oauth2/register/nobody"),
        TestRequest::get().uri("/oauth2/token"),
    ] {
        let (status, content_type, body) = ask(&server, request).await;
        assert_eq!(
            (status, content_type.as_str()),
            (StatusCode::INTERNAL_SERVER_ERROR, "application/json"),
            "{body}"
        );
        let body: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(body["error"], "server_error");
    }
}

async fn interfaces_for_programs_answer_with_a_problem(db: TestDatabase) {
    let server = Server::start(db).await;
    for request in [
        TestRequest::get().uri("/v1/organizations"),
        TestRequest::post().uri("/v1/api-keys"),
        TestRequest::post().uri("/v1/verify"),
        TestRequest::post().uri("/v1/watermark"),
        TestRequest::get().uri("/v1/whoami"),
        TestRequest::put().uri("/v1/whoami"),
        TestRequest::get().uri("/.well-known/oauth-protected-resource/documents"),
        TestRequest::get().uri("/readyz"),
        TestRequest::get().uri("/metrics"),
    ] {
        let (status, content_type, body) = ask(&server, request).await;
        assert_eq!(
            (status, content_type.as_str()),
            (
                StatusCode::INTERNAL_SERVER_ERROR,
                "application/problem+json"
            ),
            "{body}"
        );
        let body: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(
            (&body["code"], &body["request_id"]),
            (&"internal_error".into(), &Value::Null)
        );
    }
}
