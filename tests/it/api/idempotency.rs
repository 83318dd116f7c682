//! A create that is sent again (draft-ietf-httpapi-idempotency-key-header).

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use super::{Program, problem, send};
use crate::databases::{TestDatabase, both_databases};
use crate::server::Server;
use crate::tenants::{admin, management_token};

both_databases!(
    a_retry_gives_the_same_resource,
    another_request_with_the_same_key_is_refused,
    a_key_is_its_callers_and_its_routes_and_lasts_a_day,
    a_failed_create_leaves_no_key_behind,
    a_key_that_is_none_is_refused,
    twenty_at_once_make_one_resource,
);

fn path(server: &Server) -> String {
    format!(
        "/v1/workspaces?organization={}",
        server.planted.organization
    )
}

fn keyed(program: &Program<'_>, path: &str, key: &str, body: &Value) -> RequestBuilder {
    program
        .request(Method::POST, path)
        .header("Idempotency-Key", key)
        .json(body)
}

/// Status, whether it says that it was replayed, and the body.
async fn create(request: RequestBuilder) -> (StatusCode, bool, Value) {
    let response = send(request).await;
    let replayed = response
        .headers()
        .get("idempotency-replayed")
        .is_some_and(|value| value == "true");
    let (status, body) = crate::server::json(response).await;
    (status, replayed, body)
}

async fn a_retry_gives_the_same_resource(db: TestDatabase) {
    let server = Server::start(db).await;
    let (operator, path) = (Program::operator(&server), path(&server));
    let (status, replayed, made) = create(keyed(
        &operator,
        &path,
        "try-1",
        &json!({"name": "Help", "external_id": "x"}),
    ))
    .await;
    assert_eq!((status, replayed), (StatusCode::CREATED, false), "{made}");
    server.clock.step_seconds(60);
    // spaces and the order of fields say nothing
    let again = operator
        .request(Method::POST, &path)
        .header("Idempotency-Key", "try-1")
        .header("Content-Type", "application/json");
    let again = create(again.body(r#"{ "external_id": "x",  "name": "Help" }"#)).await;
    assert_eq!(again, (StatusCode::CREATED, true, made));
    assert_eq!(
        operator.get(&format!("{path}&name=Help")).await.1["data"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
}

async fn another_request_with_the_same_key_is_refused(db: TestDatabase) {
    let server = Server::start(db).await;
    let (operator, path) = (Program::operator(&server), path(&server));
    assert_eq!(
        create(keyed(&operator, &path, "k", &json!({"name": "Help"})))
            .await
            .0,
        StatusCode::CREATED
    );
    let other = super::json(keyed(&operator, &path, "k", &json!({"name": "Other"}))).await;
    assert_eq!(problem(other), (422, "idempotency_key_reused".to_owned()));
    assert_eq!(
        operator.get(&format!("{path}&name=Other")).await.1["data"]
            .as_array()
            .map(Vec::len),
        Some(0)
    );
}

async fn a_key_is_its_callers_and_its_routes_and_lasts_a_day(db: TestDatabase) {
    let server = Server::start(db).await;
    let (operator, path) = (Program::operator(&server), path(&server));
    assert_eq!(
        create(keyed(&operator, &path, "k", &json!({"name": "Help"})))
            .await
            .0,
        StatusCode::CREATED
    );
    let token = management_token(
        &server,
        admin(&server).await,
        "management:read management:write",
    )
    .await;
    let (status, replayed, body) = create(keyed(
        &Program::new(&server, &token),
        "/v1/workspaces",
        "k",
        &json!({"name": "Mine"}),
    ))
    .await;
    assert_eq!((status, replayed), (StatusCode::CREATED, false), "{body}");
    server.clock.step_seconds(24 * 60 * 60);
    let (status, replayed, _) =
        create(keyed(&operator, &path, "k", &json!({"name": "Next day"}))).await;
    assert_eq!((status, replayed), (StatusCode::CREATED, false));
}

async fn a_failed_create_leaves_no_key_behind(db: TestDatabase) {
    let server = Server::start(db).await;
    let (operator, path) = (Program::operator(&server), path(&server));
    assert_eq!(
        create(keyed(&operator, &path, "k", &json!({"name": ""})))
            .await
            .0,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    let (status, replayed, _) =
        create(keyed(&operator, &path, "k", &json!({"name": "Help"}))).await;
    assert_eq!((status, replayed), (StatusCode::CREATED, false));
}

async fn a_key_that_is_none_is_refused(db: TestDatabase) {
    let server = Server::start(db).await;
    let (operator, path) = (Program::operator(&server), path(&server));
    let body = json!({"name": "Help"});
    for key in ["", "two words", "\u{e4}", &"x".repeat(256)] {
        let refused = operator
            .request(Method::POST, &path)
            .header("Idempotency-Key", key.as_bytes())
            .json(&body);
        assert_eq!(
            problem(super::json(refused).await),
            (400, "invalid_idempotency_key".to_owned()),
            "{key}"
        );
    }
    let twice = keyed(&operator, &path, "a", &body).header("Idempotency-Key", "a");
    assert_eq!(
        problem(super::json(twice).await),
        (400, "invalid_idempotency_key".to_owned())
    );
    assert_eq!(
        server.database.count_events("workspace.created"),
        1,
        "the planted one"
    );
    assert_eq!(
        create(keyed(&operator, &path, &"x".repeat(255), &body))
            .await
            .0,
        StatusCode::CREATED
    );
}

async fn twenty_at_once_make_one_resource(db: TestDatabase) {
    let server = Server::start_with(db, |config| config.server.workers = 2).await;
    let (operator, path) = (Program::operator(&server), path(&server));
    let body = json!({"name": "Help"});
    let answers = futures_util::future::join_all(
        (0..20).map(|_| create(keyed(&operator, &path, "k", &body))),
    )
    .await;
    let made: Vec<_> = answers
        .iter()
        .filter(|(status, replayed, _)| *status == StatusCode::CREATED && !replayed)
        .collect();
    assert_eq!(made.len(), 1, "{answers:?}");
    for (status, replayed, body) in &answers {
        match status.as_u16() {
            201 => assert_eq!(body, &made[0].2),
            409 => assert!(
                !replayed && body["code"] == "idempotency_in_flight",
                "{body}"
            ),
            other => unreachable!("{other}: {body}"),
        }
    }
    assert_eq!(
        create(keyed(&operator, &path, "k", &body)).await,
        (StatusCode::CREATED, true, made[0].2.clone())
    );
    assert_eq!(
        server.database.count_events("workspace.created"),
        2,
        "the planted one and this"
    );
}
