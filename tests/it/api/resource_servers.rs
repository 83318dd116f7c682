//! `/v1/resource-servers`: the vendor's APIs, by a program.

use reqwest::StatusCode;
use serde_json::json;

use super::{Program, problem, text};
use crate::api::operator_tokens::make;
use crate::databases::{TestDatabase, both_databases};
use crate::server::Server;

both_databases!(
    a_resource_server_is_registered_asks_and_is_deleted,
    its_secrets_are_rotated,
    what_cannot_be_one_is_refused,
    only_a_token_that_was_made_for_it_reaches_them,
);

async fn asks(server: &Server, id: &str, secret: &str) -> StatusCode {
    let request = server.post("/v1/verify").basic_auth(id, Some(secret));
    let question = json!({"credential": server.secrets.sandbox_key});
    let response = request.json(&question).send().await.expect("an answer");
    response.status()
}

async fn a_resource_server_is_registered_asks_and_is_deleted(db: TestDatabase) {
    let server = Server::start(db).await;
    let (_, token) = make(&server, &["operator:resource_servers"], None).await;
    let program = Program::new(&server, &token);
    let wanted = json!({"name": "Documents", "enforces": ["watermark", "document_name"]});
    let (status, made) = program.post("/v1/resource-servers", &wanted).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert_eq!(made["enforces"], json!(["document_name", "watermark"]));
    let (id, secret) = (text(&made, "/id"), text(&made, "/client_secret"));
    assert_eq!(asks(&server, id, secret).await, StatusCode::OK);
    let path = format!("/v1/resource-servers/{id}");
    let resources = format!("{path}/resources");
    let uri = json!({"uri": "https://documents.example/v1"});
    let (status, changed) = program.post(&resources, &uri).await;
    assert_eq!(status, StatusCode::OK, "{changed}");
    assert_eq!(
        changed["resources"],
        json!(["https://documents.example/v1"])
    );
    let (_, changed) = program
        .patch(&path, &json!({"default_audience": false}))
        .await;
    assert_eq!(changed["default_audience"], false);
    assert_eq!(changed["enforces"], json!(["document_name", "watermark"]));
    let (_, changed) = program
        .patch(&path, &json!({"enforces": ["recipients"]}))
        .await;
    assert_eq!(changed["enforces"], json!(["recipients"]));
    let (_, shown) = program.get(&path).await;
    assert_eq!(shown, changed);
    assert!(!shown.to_string().contains(secret));
    let gone = format!("{resources}?uri=https%3A%2F%2Fdocuments.example%2Fv1");
    assert_eq!(program.delete(&gone).await.1["resources"], json!([]));
    let listed = program.get("/v1/resource-servers").await.1;
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(2), "{listed}");
    assert_eq!(program.delete(&path).await.0, StatusCode::NO_CONTENT);
    assert_eq!(program.get(&path).await.0, StatusCode::NOT_FOUND);
    assert_eq!(asks(&server, id, secret).await, StatusCode::UNAUTHORIZED);
}

async fn its_secrets_are_rotated(db: TestDatabase) {
    let server = Server::start(db).await;
    let (_, token) = make(&server, &["operator:resource_servers"], None).await;
    let program = Program::new(&server, &token);
    let id = server.planted.resource_server.to_string();
    let path = format!("/v1/resource-servers/{id}");
    let secrets = format!("{path}/secrets");
    let old = text(&program.get(&path).await.1, "/secrets/0/id").to_owned();
    assert_eq!(
        program.delete(&format!("{secrets}/{old}")).await.0,
        StatusCode::CONFLICT,
        "the last one stays"
    );
    let (status, made) = program.post_empty(&secrets).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let new = text(&made, "/client_secret").to_owned();
    let former = server.secrets.resource_server_secret.clone();
    for secret in [&former, &new] {
        assert_eq!(asks(&server, &id, secret).await, StatusCode::OK);
    }
    assert_eq!(program.post_empty(&secrets).await.0, StatusCode::CONFLICT);
    assert_eq!(
        program.delete(&format!("{secrets}/{old}")).await.0,
        StatusCode::NO_CONTENT
    );
    assert_eq!(asks(&server, &id, &former).await, StatusCode::UNAUTHORIZED);
    assert_eq!(asks(&server, &id, &new).await, StatusCode::OK);
}

async fn what_cannot_be_one_is_refused(db: TestDatabase) {
    let server = Server::start(db).await;
    let program = Program::operator(&server);
    for wanted in [
        json!({"name": "", "enforces": []}),
        json!({"name": "A"}),
        json!({"name": "A", "enforces": ["everything"]}),
        json!({"name": "A", "enforces": ["watermark", "watermark"]}),
        json!({"name": "A", "enforces": [], "environment": "staging"}),
    ] {
        let (status, body) = program.post("/v1/resource-servers", &wanted).await;
        assert!(status.is_client_error(), "{wanted}: {body}");
    }
    let path = format!(
        "/v1/resource-servers/{}/resources",
        server.planted.resource_server
    );
    for uri in ["", "http://elsewhere.example/", "https://a.example/#x"] {
        let (status, body) = program.post(&path, &json!({"uri": uri})).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{uri}: {body}");
    }
    assert_eq!(server.database.count_events("resource_server.created"), 1);
}

async fn only_a_token_that_was_made_for_it_reaches_them(db: TestDatabase) {
    let server = Server::start(db).await;
    let others = [
        "operator:organizations",
        "operator:operators",
        "operator:signing_keys",
    ];
    let (_, token) = make(&server, &others, None).await;
    let program = Program::new(&server, &token);
    for answer in [
        program.get("/v1/resource-servers").await,
        program
            .post(
                "/v1/resource-servers",
                &json!({"name": "A", "enforces": []}),
            )
            .await,
    ] {
        assert_eq!(problem(answer), (403, "insufficient_permission".to_owned()));
    }
}
