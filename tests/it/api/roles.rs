//! `/v1/roles`: an organization's own roles [26].

use countersign::types::state::OrganizationRole;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{Program, problem, text};
use crate::databases::{TestDatabase, both_databases};
use crate::server::Server;
use crate::tenants::{self, Key, admin, join_workspace, key, member};

both_databases!(
    a_role_is_made_given_changed_and_deleted,
    a_changed_role_counts_at_once_for_whoever_holds_it,
    a_role_in_use_stays_and_the_refusal_says_where,
    wrong_roles_are_told_field_by_field,
    another_organizations_role_is_not_there,
);

async fn owner(server: &Server) -> Program<'_> {
    Program::of(server, admin(server).await).await
}

fn reader() -> Value {
    json!({"name": " Reader ", "permissions": ["templates:read", "documents:read"]})
}

async fn a_role_is_made_given_changed_and_deleted(db: TestDatabase) {
    let server = Server::start(db).await;
    let owner = owner(&server).await;
    let (status, made) = owner.post("/v1/roles", &reader()).await;
    assert_eq!(
        (status, &made["name"], &made["description"]),
        (StatusCode::CREATED, &json!("Reader"), &json!("")),
        "{made}"
    );
    assert_eq!(
        made["permissions"],
        json!(["documents:read", "templates:read"]),
        "in the catalogue's order"
    );
    let path = format!("/v1/roles/{}", text(&made, "/id"));
    assert_eq!(owner.get(&path).await.1, made);
    assert_eq!(owner.get("/v1/roles").await.1["data"], json!([made]));
    let (status, changed) = owner.patch(&path, &json!({"description": "Reads"})).await;
    assert_eq!(
        (status, &changed["description"], &changed["permissions"]),
        (StatusCode::OK, &json!("Reads"), &made["permissions"]),
        "{changed}"
    );
    assert_eq!(owner.delete(&path).await.0, StatusCode::NO_CONTENT);
    assert_eq!(
        problem(owner.get(&path).await),
        (404, "not_found".to_owned())
    );
    for event in ["role.created", "role.changed", "role.deleted"] {
        assert_eq!(server.database.count_events(event), 1, "{event}");
    }
}

async fn a_changed_role_counts_at_once_for_whoever_holds_it(db: TestDatabase) {
    let server = Server::start(db).await;
    let (owner, mia) = (
        owner(&server).await,
        member(&server, "mia@acme.example", OrganizationRole::Member).await,
    );
    let made = owner.post("/v1/roles", &reader()).await.1;
    let given = owner
        .put(
            &format!("/v1/workspaces/{}/members/{mia}", server.planted.workspace),
            &json!({"role": made["id"]}),
        )
        .await;
    assert_eq!(given.0, StatusCode::NO_CONTENT, "{}", given.1);
    let key = key(&server, Key::of(&server, mia)).await;
    let question = json!({"credential": key.secret, "permission": "contacts:read"});
    assert_eq!(server.verify(question.clone()).await["code"], "forbidden");
    let path = format!("/v1/roles/{}", text(&made, "/id"));
    assert_eq!(
        owner
            .patch(&path, &json!({"permissions": ["contacts:read"]}))
            .await
            .0,
        StatusCode::OK
    );
    assert_eq!(server.verify(question).await["code"], "valid");
}

async fn a_role_in_use_stays_and_the_refusal_says_where(db: TestDatabase) {
    let server = Server::start(db).await;
    let (owner, mia) = (
        owner(&server).await,
        member(&server, "mia@acme.example", OrganizationRole::Member).await,
    );
    let made = owner.post("/v1/roles", &reader()).await.1;
    let path = format!("/v1/roles/{}", text(&made, "/id"));
    let at = format!("/v1/workspaces/{}/members/{mia}", server.planted.workspace);
    assert_eq!(
        owner.put(&at, &json!({"role": made["id"]})).await.0,
        StatusCode::NO_CONTENT
    );
    let refused = owner.delete(&path).await;
    assert!(
        text(&refused.1, "/detail").contains("Sales"),
        "{}",
        refused.1
    );
    assert_eq!(problem(refused), (409, "role_in_use".to_owned()));
    assert_eq!(
        owner.put(&at, &json!({"role": "viewer"})).await.0,
        StatusCode::NO_CONTENT
    );
    // an invitation that would give it counts, too
    let workspaces = json!([{"workspace": server.planted.workspace, "role": made["id"]}]);
    let invited = owner
        .post(
            "/v1/invitations",
            &json!({"email": "a@b.example", "workspaces": workspaces}),
        )
        .await;
    assert_eq!(invited.0, StatusCode::CREATED, "{}", invited.1);
    assert_eq!(
        owner.delete(&path).await.0,
        StatusCode::NO_CONTENT,
        "the invitation is judged again when it is accepted"
    );
}

async fn wrong_roles_are_told_field_by_field(db: TestDatabase) {
    let server = Server::start(db).await;
    let owner = owner(&server).await;
    assert_eq!(
        owner.post("/v1/roles", &reader()).await.0,
        StatusCode::CREATED
    );
    let read = json!(["documents:read"]);
    for (field, wrong) in [
        ("name", json!({"name": "", "permissions": read})),
        ("name", json!({"name": "a\u{202e}b", "permissions": read})),
        ("name", json!({"name": "a\u{0000}b", "permissions": read})),
        (
            "name",
            json!({"name": "x".repeat(10_000), "permissions": read}),
        ),
        ("name", json!({"name": "Reader", "permissions": read})),
        ("name", json!({"name": "ADMIN", "permissions": read})),
        (
            "description",
            json!({"name": "New", "description": "x".repeat(10_000), "permissions": read}),
        ),
        ("permissions", json!({"name": "New", "permissions": []})),
        (
            "permissions",
            json!({"name": "New", "permissions": ["documents:nothing"]}),
        ),
        ("permissions", json!({"name": "New", "permissions": ["*"]})),
        (
            "permissions",
            json!({"name": "New", "permissions": ["operator:approvals"]}),
        ),
        (
            "permissions",
            json!({"name": "New", "permissions": ["organization:manage"]}),
        ),
    ] {
        let (status, body) = owner.post("/v1/roles", &wrong).await;
        assert_eq!(
            (status, &body["errors"][0]["field"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!(field)),
            "{wrong}: {body}"
        );
    }
    assert_eq!(
        problem(
            owner
                .post(
                    "/v1/roles",
                    &json!({"name": "New", "permissions": "documents:read"})
                )
                .await
        ),
        (400, "invalid_body".to_owned())
    );
    let (one, two) = (
        json!({"name": "Twin", "permissions": read}),
        json!({"name": "Twin", "permissions": read}),
    );
    let (one, two) = tokio::join!(owner.post("/v1/roles", &one), owner.post("/v1/roles", &two));
    let made = [&one, &two]
        .iter()
        .filter(|(status, _)| *status == StatusCode::CREATED)
        .count();
    assert_eq!(made, 1, "{one:?} {two:?}");
    assert_eq!(
        owner.get("/v1/roles").await.1["data"]
            .as_array()
            .map(Vec::len),
        Some(2)
    );
}

async fn another_organizations_role_is_not_there(db: TestDatabase) {
    let server = Server::start(db).await;
    let (owner, mia) = (
        owner(&server).await,
        member(&server, "mia@acme.example", OrganizationRole::Member).await,
    );
    let (foreign, ..) = tenants::organization(&server, "owner@other.example").await;
    let operator = Program::operator(&server);
    let (status, theirs) = operator
        .post(&format!("/v1/roles?organization={foreign}"), &reader())
        .await;
    assert_eq!(status, StatusCode::CREATED, "{theirs}");
    let path = format!("/v1/roles/{}", text(&theirs, "/id"));
    assert_eq!(problem(owner.get(&path).await).0, 404);
    assert_eq!(
        problem(owner.patch(&path, &json!({"name": "Mine"})).await).0,
        404
    );
    assert_eq!(problem(owner.delete(&path).await).0, 404);
    let at = format!("/v1/workspaces/{}/members/{mia}", server.planted.workspace);
    assert_eq!(
        problem(owner.put(&at, &json!({"role": theirs["id"]})).await),
        (422, "invalid_fields".to_owned())
    );
    // who only views sees no roles
    join_workspace(&server, server.planted.workspace, mia, "viewer").await;
    assert_eq!(
        problem(Program::of(&server, mia).await.get("/v1/roles").await).0,
        403
    );
}
