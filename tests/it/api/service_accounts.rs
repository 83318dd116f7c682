//! `/v1/service-accounts`: stable owners for keys [28].

use countersign::types::state::OrganizationRole;
use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{Program, problem, text};
use crate::databases::{TestDatabase, both_databases};
use crate::server::Server;
use crate::tenants::{Key, admin, key, member};

both_databases!(
    a_service_account_is_made_renamed_suspended_and_deleted,
    a_create_repeated_with_its_key_makes_one,
    a_person_is_no_service_account,
    wrong_fields_are_told_field_by_field,
);

async fn owner(server: &Server) -> Program<'_> {
    Program::of(server, admin(server).await).await
}

async fn a_service_account_is_made_renamed_suspended_and_deleted(db: TestDatabase) {
    let server = Server::start(db).await;
    let owner = owner(&server).await;
    let wanted = json!({"name": " CRM robot ", "workspaces": [{"workspace": server.planted.workspace, "role": "member"}]});
    let (status, made) = owner.post("/v1/service-accounts", &wanted).await;
    assert_eq!(
        (status, &made["name"], &made["kind"]),
        (
            StatusCode::CREATED,
            &json!("CRM robot"),
            &json!("service_account")
        ),
        "{made}"
    );
    assert_eq!(
        (&made["email"], &made["role"]),
        (&json!(null), &json!("member"))
    );
    let path = format!("/v1/service-accounts/{}", text(&made, "/id"));
    assert_eq!(owner.get(&path).await.1, made);
    let secret = key(
        &server,
        Key::of(&server, text(&made, "/id").parse().expect("an id")),
    )
    .await
    .secret;
    let question = json!({"credential": secret, "permission": "documents:write"});
    let answer = server.verify(question.clone()).await;
    assert_eq!(
        (&answer["actor"]["kind"], &answer["actor"]["name"]),
        (&json!("service_account"), &json!("CRM robot")),
        "{answer}"
    );
    let (status, changed) = owner
        .patch(&path, &json!({"name": "Mailer", "state": "suspended"}))
        .await;
    assert_eq!(
        (status, &changed["name"], &changed["state"]),
        (StatusCode::OK, &json!("Mailer"), &json!("suspended")),
        "{changed}"
    );
    assert_eq!(server.verify(question.clone()).await["code"], "suspended");
    assert_eq!(
        owner.patch(&path, &json!({"state": "active"})).await.0,
        StatusCode::OK
    );
    assert_eq!(server.verify(question.clone()).await["code"], "valid");
    let (status, gone) = owner.delete(&path).await;
    assert_eq!(
        (status, &gone["removed"]["stops"][0]),
        (StatusCode::OK, &json!("1 live sandbox key")),
        "{gone}"
    );
    assert_eq!(server.verify(question).await["code"], "not_found");
    assert_eq!(problem(owner.get(&path).await).0, 404);
}

async fn a_create_repeated_with_its_key_makes_one(db: TestDatabase) {
    let server = Server::start(db).await;
    let owner = owner(&server).await;
    let create = || {
        super::json(
            owner
                .request(Method::POST, "/v1/service-accounts")
                .header("Idempotency-Key", "once")
                .json(&json!({"name": "Robot"})),
        )
    };
    let (first, second) = (create().await, create().await);
    assert_eq!(
        (first.0, &first.1["id"]),
        (StatusCode::CREATED, &second.1["id"]),
        "{} {}",
        first.1,
        second.1
    );
    assert_eq!(server.database.count_events("service_account.created"), 1);
}

async fn a_person_is_no_service_account(db: TestDatabase) {
    let server = Server::start(db).await;
    let (owner, mia) = (
        owner(&server).await,
        member(&server, "mia@acme.example", OrganizationRole::Member).await,
    );
    let path = format!("/v1/service-accounts/{mia}");
    assert_eq!(problem(owner.get(&path).await).0, 404);
    assert_eq!(
        problem(owner.patch(&path, &json!({"name": "Robot"})).await).0,
        404
    );
    assert_eq!(problem(owner.delete(&path).await).0, 404);
    let listed = owner.get("/v1/service-accounts?limit=100").await.1;
    assert!(
        listed["data"]
            .as_array()
            .is_some_and(|rows| rows.iter().all(|row| row["kind"] == "service_account")),
        "{listed}"
    );
}

async fn wrong_fields_are_told_field_by_field(db: TestDatabase) {
    let server = Server::start(db).await;
    let owner = owner(&server).await;
    let here = server.planted.workspace;
    for (field, wrong) in [
        ("name", json!({"name": " "})),
        ("name", json!({"name": "a\u{202e}b"})),
        ("name", json!({"name": "x".repeat(10_000)})),
        ("role", json!({"name": "Robot", "role": "owner"})),
        (
            "role",
            json!({"name": "Robot", "workspaces": [{"workspace": here, "role": "boss"}]}),
        ),
        (
            "workspaces",
            json!({"name": "Robot", "workspaces": [{"workspace": here, "role": "viewer"}, {"workspace": here, "role": "admin"}]}),
        ),
        (
            "workspaces",
            json!({"name": "Robot", "workspaces": [{"workspace": "ws_0123456789ABCDEFGHIJKL", "role": "viewer"}]}),
        ),
    ] {
        let (status, body) = owner.post("/v1/service-accounts", &wrong).await;
        assert_eq!(
            (status, &body["errors"][0]["field"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!(field)),
            "{wrong}: {body}"
        );
    }
    for wrong in [
        json!({}),
        json!({"name": "Robot", "boss": true}),
        json!({"name": ["Robot"]}),
    ] {
        assert_eq!(
            problem(owner.post("/v1/service-accounts", &wrong).await),
            (400, "invalid_body".to_owned()),
            "{wrong}"
        );
    }
    assert_eq!(server.database.count_events("service_account.created"), 0);
}
