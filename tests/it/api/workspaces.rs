//! `/v1/workspaces`.

use countersign::types::state::{OrganizationRole, PermissionLevel};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{Program, problem, text};
use crate::databases::{TestDatabase, both_databases};
use crate::server::Server;
use crate::tenants::{self, Key, admin, join_workspace, key, management_token, member, workspace};

both_databases!(
    a_workspace_is_created_read_changed_and_deleted,
    pages_are_stable_while_workspaces_are_added,
    a_key_with_organization_operations_creates_one_and_manages_nothing_else,
    wrong_fields_are_told_field_by_field,
    a_workspace_in_use_is_not_deleted,
    members_see_their_own_and_foreign_ones_are_not_there,
);

async fn manager(server: &Server) -> Program<'_> {
    let token = management_token(
        server,
        admin(server).await,
        "management:read management:write",
    )
    .await;
    Program::new(server, &token)
}

async fn a_workspace_is_created_read_changed_and_deleted(db: TestDatabase) {
    let server = Server::start(db).await;
    let manager = manager(&server).await;
    let (status, made) = manager
        .post("/v1/workspaces", &json!({"name": " Support "}))
        .await;
    assert_eq!(
        (status, &made["name"], &made["external_id"]),
        (StatusCode::CREATED, &json!("Support"), &Value::Null),
        "{made}"
    );
    assert_eq!(made["organization"], json!(server.planted.organization));
    let path = format!("/v1/workspaces/{}", text(&made, "/id"));
    assert_eq!(manager.get(&path).await, (StatusCode::OK, made.clone()));
    let (status, changed) = manager.patch(&path, &json!({"name": "Help"})).await;
    assert_eq!(
        (status, &changed["name"], &changed["id"]),
        (StatusCode::OK, &json!("Help"), &made["id"])
    );
    assert_eq!(
        manager.patch(&path, &json!({})).await.1,
        changed,
        "what is left out stays"
    );
    assert_eq!(
        manager.delete(&path).await,
        (StatusCode::NO_CONTENT, json!(""))
    );
    assert_eq!(
        problem(manager.get(&path).await),
        (404, "not_found".to_owned())
    );
    assert_eq!(
        problem(manager.delete(&path).await),
        (404, "not_found".to_owned())
    );
    for event in ["workspace.changed", "workspace.deleted"] {
        assert_eq!(server.database.count_events(event), 1, "{event}");
    }
}

async fn pages_are_stable_while_workspaces_are_added(db: TestDatabase) {
    let server = Server::start(db).await;
    let manager = manager(&server).await;
    for number in 0..4 {
        // two of them in the same millisecond
        server.clock.step_seconds(number % 2);
        let (status, body) = manager
            .post(
                "/v1/workspaces",
                &json!({"name": format!("Number {number}")}),
            )
            .await;
        assert_eq!(status, StatusCode::CREATED, "{body}");
    }
    let all = manager.get("/v1/workspaces").await.1;
    assert_eq!(
        (all["data"].as_array().map(Vec::len), &all["next_cursor"]),
        (Some(5), &Value::Null),
        "{all}"
    );
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = manager
            .get(&format!("/v1/workspaces?limit=2{cursor}"))
            .await
            .1;
        seen.extend(page["data"].as_array().expect("rows").clone());
        let Some(next) = page["next_cursor"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
        server.clock.step_seconds(1);
        let added = json!({"name": format!("Added behind {}", seen.len())});
        assert_eq!(
            manager.post("/v1/workspaces", &added).await.0,
            StatusCode::CREATED
        );
    }
    assert_eq!(
        &seen,
        all["data"].as_array().expect("rows"),
        "each once, in order"
    );
    let named = manager.get("/v1/workspaces?name=Number+2").await.1;
    assert_eq!(
        (
            named["data"].as_array().map(Vec::len),
            &named["data"][0]["name"]
        ),
        (Some(1), &json!("Number 2"))
    );
}

/// [25]: the one exception.
async fn a_key_with_organization_operations_creates_one_and_manages_nothing_else(db: TestDatabase) {
    let server = Server::start(db).await;
    let owner = admin(&server).await;
    let able = key(
        &server,
        Key {
            operations: true,
            ..Key::of(&server, owner).for_organization()
        },
    )
    .await;
    let able = Program::new(&server, &able.secret);
    let (status, made) = able
        .post("/v1/workspaces", &json!({"name": "By key"}))
        .await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert_eq!(
        able.get(&format!("/v1/workspaces/{}", text(&made, "/id")))
            .await
            .0,
        StatusCode::OK
    );
    assert_eq!(
        problem(able.get("/v1/organizations").await),
        (403, "insufficient_permission".to_owned()),
        "[24]"
    );
    for weak in [
        Key::of(&server, owner).for_organization(),
        Key {
            operations: true,
            ..Key::of(&server, owner)
        },
        Key {
            operations: true,
            level: PermissionLevel::ReadOnly,
            ..Key::of(&server, owner).for_organization()
        },
    ] {
        let weak = Program::new(&server, &key(&server, weak).await.secret);
        assert_eq!(
            problem(weak.post("/v1/workspaces", &json!({"name": "No"})).await),
            (403, "insufficient_permission".to_owned())
        );
    }
}

async fn wrong_fields_are_told_field_by_field(db: TestDatabase) {
    let server = Server::start(db).await;
    let (manager, operator) = (manager(&server).await, Program::operator(&server));
    for name in [
        json!(""),
        json!("  "),
        json!("x".repeat(101)),
        json!("a\u{202e}b"),
        json!("a\u{0007}b"),
        json!("Sales"),
    ] {
        let (status, body) = manager.post("/v1/workspaces", &json!({"name": name})).await;
        assert_eq!(
            (status, &body["code"], &body["errors"][0]["field"]),
            (
                StatusCode::UNPROCESSABLE_ENTITY,
                &json!("invalid_fields"),
                &json!("name")
            )
        );
    }
    let refused = manager
        .post(
            "/v1/workspaces",
            &json!({"name": "Mine", "external_id": "crm-7"}),
        )
        .await;
    assert_eq!(
        problem(refused),
        (403, "insufficient_permission".to_owned()),
        "the vendor's names are the vendor's"
    );
    let path = format!(
        "/v1/workspaces?organization={}",
        server.planted.organization
    );
    let (status, made) = operator
        .post(&path, &json!({"name": "Mine", "external_id": "crm-7"}))
        .await;
    assert_eq!(
        (status, &made["external_id"]),
        (StatusCode::CREATED, &json!("crm-7")),
        "{made}"
    );
    let (status, body) = operator
        .post(&path, &json!({"name": "Other", "external_id": "crm-7"}))
        .await;
    assert_eq!(
        (status, &body["errors"][0]["field"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("external_id"))
    );
    let one = format!(
        "/v1/workspaces/{}?organization={}",
        text(&made, "/id"),
        server.planted.organization
    );
    assert_eq!(
        operator.patch(&one, &json!({"external_id": null})).await.1["external_id"],
        Value::Null
    );
    assert_eq!(
        problem(operator.patch(&one, &json!({"name": null})).await),
        (400, "invalid_body".to_owned())
    );
}

async fn a_workspace_in_use_is_not_deleted(db: TestDatabase) {
    let server = Server::start(db).await;
    let manager = manager(&server).await;
    let (status, body) = manager
        .delete(&format!("/v1/workspaces/{}", server.planted.workspace))
        .await;
    assert_eq!(
        (status, &body["code"]),
        (StatusCode::CONFLICT, &json!("blocked"))
    );
    assert!(
        text(&body, "/detail").contains("2 API keys and 0 consents"),
        "{body}"
    );
    let empty = workspace(&server, "Left").await;
    let mate = member(&server, "mate@acme.example", OrganizationRole::Member).await;
    join_workspace(&server, empty, mate, "viewer").await;
    assert_eq!(
        manager.delete(&format!("/v1/workspaces/{empty}")).await.0,
        StatusCode::NO_CONTENT
    );
}

async fn members_see_their_own_and_foreign_ones_are_not_there(db: TestDatabase) {
    let server = Server::start(db).await;
    let (_, _, foreign) = tenants::organization(&server, "owner@other.example").await;
    let manager = manager(&server).await;
    for path in [
        format!("/v1/workspaces/{foreign}"),
        "/v1/workspaces/ws_x".to_owned(),
        "/v1/workspaces/%ff".to_owned(),
    ] {
        assert_eq!(
            problem(manager.get(&path).await),
            (404, "not_found".to_owned()),
            "{path}"
        );
        assert_eq!(
            problem(manager.patch(&path, &json!({"name": "Mine"})).await),
            (404, "not_found".to_owned()),
            "{path}"
        );
        assert_eq!(
            problem(manager.delete(&path).await),
            (404, "not_found".to_owned()),
            "{path}"
        );
    }
    // a token for one workspace sees one, and cannot make another
    let narrow = tenants::application(
        &server,
        server.planted.organization,
        admin(&server).await,
        server_environment(),
        "viewer",
    )
    .await;
    tenants::make_first_party(&server, narrow.id).await;
    let other = workspace(&server, "Other").await;
    let token = tenants::token(
        &server,
        narrow.id,
        Key::of(&server, admin(&server).await),
        "management:read management:write",
    )
    .await;
    let narrow = Program::new(&server, &token.token);
    assert_eq!(
        problem(narrow.get("/v1/workspaces").await),
        (403, "insufficient_permission".to_owned())
    );
    assert_eq!(
        problem(narrow.post("/v1/workspaces", &json!({"name": "No"})).await),
        (403, "insufficient_permission".to_owned())
    );
    assert_eq!(
        manager.get(&format!("/v1/workspaces/{other}")).await.0,
        StatusCode::OK
    );
}

fn server_environment() -> countersign::types::environment::Environment {
    countersign::types::environment::Environment::Sandbox
}
