//! `/v1/signing-keys`: the keys that sign, by a program.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{Program, problem, text};
use crate::api::operator_tokens::make;
use crate::databases::{TestDatabase, both_databases};
use crate::server::Server;

both_databases!(
    a_key_is_rotated_and_removed_without_a_restart,
    only_a_token_that_was_made_for_it_rotates,
);

async fn published(server: &Server) -> Vec<String> {
    let response = server.get("/.well-known/jwks.json").send().await;
    let set: Value = response.expect("an answer").json().await.expect("JSON");
    let keys = set["keys"].as_array().expect("keys").clone();
    keys.iter()
        .map(|key| text(key, "/kid").to_owned())
        .collect()
}

async fn a_key_is_rotated_and_removed_without_a_restart(db: TestDatabase) {
    let server = Server::start(db).await;
    let (_, token) = make(&server, &["operator:signing_keys"], None).await;
    let program = Program::new(&server, &token);
    let old = published(&server).await.remove(0);
    let (status, made) = program.post("/v1/signing-keys/rotate", &json!({})).await;
    assert_eq!((status, text(&made, "/outcome")), (StatusCode::OK, "made"));
    let next = text(&made, "/kid").to_owned();
    assert!(published(&server).await.contains(&next), "at once");
    let (_, again) = program.post("/v1/signing-keys/rotate", &json!({})).await;
    assert_eq!(
        (text(&again, "/outcome"), text(&again, "/kid")),
        ("waiting", next.as_str())
    );
    let (_, listed) = program.get("/v1/signing-keys").await;
    let states: Vec<_> = listed["data"].as_array().expect("keys").clone();
    let states: Vec<_> = states.iter().map(|key| text(key, "/state")).collect();
    assert_eq!(states, ["next", "signs"], "{listed}");
    assert!(!listed.to_string().contains("sealed"));
    // the one that signs stays, and what it signed is good
    let token = server.code_flow("read").await;
    let token = text(&token, "/access_token");
    let path = format!("/v1/signing-keys/{old}");
    assert_eq!(program.delete(&path).await.0, StatusCode::CONFLICT);
    assert_eq!(server.introspect(token).await["active"], true);
    let urgent = program
        .post("/v1/signing-keys/rotate", &json!({"now": true}))
        .await
        .1;
    assert_eq!(text(&urgent, "/outcome"), "made", "{urgent}");
    assert!(!published(&server).await.contains(&next), "it was suspect");
    server.clock.step_seconds(1);
    assert_eq!(program.delete(&path).await.0, StatusCode::NO_CONTENT);
    assert_eq!(server.introspect(token).await, json!({"active": false}));
    assert_eq!(program.delete(&path).await.0, StatusCode::NOT_FOUND);
}

async fn only_a_token_that_was_made_for_it_rotates(db: TestDatabase) {
    let server = Server::start(db).await;
    let (_, token) = make(&server, &["operator:resource_servers"], None).await;
    let program = Program::new(&server, &token);
    for answer in [
        program.get("/v1/signing-keys").await,
        program.post("/v1/signing-keys/rotate", &json!({})).await,
        program.delete("/v1/signing-keys/x").await,
    ] {
        assert_eq!(problem(answer), (403, "insufficient_permission".to_owned()));
    }
}
