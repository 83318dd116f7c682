//! "Understanding Organizations, Workspaces, and API Keys": the guide's promises in its order.

use countersign::types::id::{UserId, WorkspaceId};
use countersign::types::state::OrganizationRole;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Guide, path_of};
use crate::api::{Program, json, problem, text};
use crate::databases::{TestDatabase, both_databases};
use crate::tenants::{self, Key, admin, key};

both_databases!(
    an_organization_manages_licenses_custom_roles_and_sso,
    workspaces_isolate_data,
    users_belong_to_several_workspaces_each_with_a_different_role,
    effective_permissions_combine_the_license_and_the_role,
    an_api_key_accesses_entities_in_its_workspace_only,
    the_only_exception_is_an_organization_admins_key,
    the_owner_must_be_admin_at_creation_and_a_later_role_changes_the_key,
    actions_appear_in_audit_logs_under_the_owners_name,
    if_the_owner_is_removed_from_the_workspace_the_key_is_deactivated,
    rate_limits_are_per_user_over_all_workspaces,
    service_accounts_own_keys_so_that_the_owner_is_never_accidentally_removed,
    only_the_org_admin_is_a_member_of_a_service_workspace,
    keys_are_rotated_periodically,
    keys_are_mapped_to_workspaces,
);

async fn start(db: TestDatabase) -> Guide {
    Guide::start(db, "pandadoc").await
}

async fn put_role(guide: &Guide, workspace: WorkspaceId, user: UserId, role: &str) {
    let path = format!("/v1/workspaces/{workspace}/members/{user}");
    let (status, body) = json(
        guide
            .owner()
            .await
            .request(Method::PUT, &path)
            .json(&json!({"role": role})),
    )
    .await;
    assert_eq!(status, StatusCode::NO_CONTENT, "{body}");
}

/// Made by the owner, who becomes its admin: nobody has a role by implication.
async fn workspace(guide: &Guide, name: &str) -> WorkspaceId {
    let (status, made) = guide
        .owner()
        .await
        .post("/v1/workspaces", &json!({"name": name}))
        .await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    text(&made, "/id").parse().expect("an id")
}

/// A role that the organization has made.
async fn custom_role(guide: &Guide, name: &str, permissions: Value) -> String {
    let (status, made) = guide
        .owner()
        .await
        .post(
            "/v1/roles",
            &json!({"name": name, "permissions": permissions}),
        )
        .await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    text(&made, "/id").to_owned()
}

/// "It manages billing, subscriptions, licenses, custom roles, and SSO."
async fn an_organization_manages_licenses_custom_roles_and_sso(db: TestDatabase) {
    // row 26, A5, A6
    let guide = start(db).await;
    let owner = guide.owner().await;
    let role = custom_role(
        &guide,
        "Sender",
        json!(["documents:read", "documents:send"]),
    )
    .await;
    assert!(owner.get("/v1/roles").await.1.to_string().contains(&role));
    let (status, subscription) = owner.get(&guide.of_organization("/subscription")).await;
    assert_eq!(
        (status, &subscription["plan"]),
        (StatusCode::OK, &json!("enterprise")),
        "{subscription}"
    );
    let (_, members) = owner.get("/v1/members").await;
    assert_eq!(members["data"][0]["licence"], "full", "{members}");
    let browser = guide.server.signed_in_browser().await;
    let page = browser
        .get(&format!(
            "/dev-centre/{}/single-sign-on",
            guide.server.planted.organization
        ))
        .await;
    assert_eq!(page.status(), StatusCode::OK);
}

/// "Within an organization you create Workspaces to isolate data."
async fn workspaces_isolate_data(db: TestDatabase) {
    let guide = start(db).await;
    let (status, made) = guide
        .owner()
        .await
        .post("/v1/workspaces", &json!({"name": "Legal"}))
        .await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let cole = guide.member("cole@acme.example", "manager").await;
    let ground = Key {
        environment: guide.environment(),
        ..Key::of(&guide.server, cole)
    };
    let here = key(&guide.server, ground).await.secret;
    let asked =
        json!({"credential": here, "permission": "documents:read", "workspace": made["id"]});
    assert_eq!(guide.server.verify(asked).await["allowed"], false);
}

/// "Users can belong to multiple workspaces, each with a different role."
async fn users_belong_to_several_workspaces_each_with_a_different_role(db: TestDatabase) {
    let guide = start(db).await;
    let (sales, cole) = (
        workspace(&guide, "Legal").await,
        guide.member("cole@acme.example", "viewer").await,
    );
    let sender = custom_role(
        &guide,
        "Sender",
        json!(["documents:read", "documents:send"]),
    )
    .await;
    put_role(&guide, sales, cole, &sender).await;
    let ground = Key {
        workspaces: Some(vec![guide.server.planted.workspace, sales]),
        ..Key::of(&guide.server, cole).production()
    };
    let secret = key(&guide.server, ground).await.secret;
    for (workspace, code) in [
        (guide.server.planted.workspace, "forbidden"),
        (sales, "valid"),
    ] {
        let asked =
            json!({"credential": secret, "permission": "documents:send", "workspace": workspace});
        assert_eq!(guide.server.verify(asked).await["code"], code);
    }
}

/// "Effective permissions come from the combination of their organization-level license and their workspace-level role."
async fn effective_permissions_combine_the_license_and_the_role(db: TestDatabase) {
    // row 22
    let guide = start(db).await;
    let owner = guide.owner().await;
    let ann = guide.member("ann@acme.example", "admin").await;
    let made = guide
        .create(&guide.by(ann).await, &json!({"environment": "production"}))
        .await;
    for (licence, code) in [
        ("full", "valid"),
        ("read_only", "forbidden"),
        ("full", "valid"),
    ] {
        let (status, body) = owner
            .patch(&format!("/v1/members/{ann}"), &json!({"licence": licence}))
            .await;
        assert_eq!(status, StatusCode::OK, "{body}");
        assert_eq!(
            guide.code(&made, "documents:write").await,
            code,
            "{licence}"
        );
        assert_eq!(
            guide.code(&made, "documents:read").await,
            "valid",
            "{licence}"
        );
    }
}

/// "An API key is issued at the workspace level and can only access entities in that workspace."
async fn an_api_key_accesses_entities_in_its_workspace_only(db: TestDatabase) {
    // row 23
    let guide = start(db).await;
    let sales = workspace(&guide, "Legal").await;
    let made = guide.create(&guide.owner().await, &json!({})).await;
    for (workspace, allowed) in [(guide.server.planted.workspace, true), (sales, false)] {
        let asked = json!({"credential": made["secret"], "permission": "documents:read", "workspace": workspace});
        assert_eq!(guide.server.verify(asked).await["allowed"], allowed);
    }
}

/// A workspace in which only the owner is.
async fn service_workspace(guide: &Guide) -> String {
    let owner = admin(&guide.server).await;
    let (status, made) = guide
        .owner()
        .await
        .post(
            "/v1/workspaces",
            &json!({"name": "Service", "is_service": true}),
        )
        .await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    put_role(
        guide,
        text(&made, "/id").parse().expect("an id"),
        owner,
        "admin",
    )
    .await;
    text(&made, "/id").to_owned()
}

/// "The only exception is when the key belongs to an Organization Admin and is used for organization-level operations."
async fn the_only_exception_is_an_organization_admins_key(db: TestDatabase) {
    // row 25, C4
    let guide = start(db).await;
    let (owner, service) = (guide.owner().await, service_workspace(&guide).await);
    let production =
        |workspace: Value| json!({"environment": "production", "workspaces": [workspace]});
    let of_service = guide.create(&owner, &production(json!(service))).await;
    let of_another = guide
        .create(&owner, &production(json!(guide.server.planted.workspace)))
        .await;
    let create = async |made: &Value| {
        Program::new(&guide.server, text(made, "/secret"))
            .post("/v1/workspaces", &json!({"name": "By a key"}))
            .await
            .0
    };
    assert_eq!(create(&of_service).await, StatusCode::CREATED);
    assert_eq!(create(&of_another).await, StatusCode::FORBIDDEN);
    let ann = guide.member("ann@acme.example", "admin").await;
    tenants::join_workspace(&guide.server, service.parse().expect("an id"), ann, "admin").await;
    let no_org_admin = guide
        .create(&guide.by(ann).await, &production(json!(service)))
        .await;
    assert_eq!(create(&no_org_admin).await, StatusCode::FORBIDDEN);
}

/// "The owner must have an Admin role at the time of key creation, but if their role changes later, the key's permission scope
/// changes too."
async fn the_owner_must_be_admin_at_creation_and_a_later_role_changes_the_key(db: TestDatabase) {
    // rows 18, 21
    let guide = start(db).await;
    let ann = guide.member("ann@acme.example", "manager").await;
    assert_eq!(guide.refused(&guide.by(ann).await, &json!({})).await.0, 403);
    put_role(&guide, guide.server.planted.workspace, ann, "admin").await;
    let made = guide
        .create(&guide.by(ann).await, &json!({"environment": "production"}))
        .await;
    for (role, send, read) in [
        ("viewer", "forbidden", "valid"),
        ("manager", "valid", "valid"),
    ] {
        put_role(&guide, guide.server.planted.workspace, ann, role).await;
        assert_eq!(
            (
                guide.code(&made, "documents:send").await.as_str(),
                guide.code(&made, "documents:read").await.as_str()
            ),
            (send, read),
            "{role}"
        );
    }
}

/// "All API actions are executed on behalf of the key owner and appear in audit logs under their name."
async fn actions_appear_in_audit_logs_under_the_owners_name(db: TestDatabase) {
    // row 31
    let guide = start(db).await;
    let service = service_workspace(&guide).await;
    let made = guide
        .create(
            &guide.owner().await,
            &json!({"environment": "production", "workspaces": [service]}),
        )
        .await;
    let program = Program::new(&guide.server, text(&made, "/secret"));
    assert_eq!(
        program
            .post("/v1/workspaces", &json!({"name": "By a key"}))
            .await
            .0,
        StatusCode::CREATED
    );
    let (organization, owner) = (
        guide.server.planted.organization,
        admin(&guide.server).await,
    );
    let events: Result<Vec<countersign::store::audit::AuditEvent>, countersign::store::Error> =
        guide
            .server
            .app
            .store
            .read(move |snapshot| snapshot.list_audit_events(organization, 999))
            .await;
    let by_key = |event: &&countersign::store::audit::AuditEvent| {
        event.event == "workspace.created" && event.actor_id == Some(owner)
    };
    let events = events.expect("events");
    assert!(
        events
            .iter()
            .filter(by_key)
            .any(|event| format!("{event:?}").contains(text(&made, "/id"))),
        "the key and its owner"
    );
    assert_eq!(
        guide.ask(&made, "documents:read").await["actor"]["id"],
        json!(owner)
    );
}

/// "If the owner is removed from the workspace, the API key is automatically deactivated."
async fn if_the_owner_is_removed_from_the_workspace_the_key_is_deactivated(db: TestDatabase) {
    // row 27
    let guide = start(db).await;
    let (owner, ann) = (
        guide.owner().await,
        guide.member("ann@acme.example", "admin").await,
    );
    let made = guide.create(&guide.by(ann).await, &json!({})).await;
    let (status, leaving) = owner.get(&format!("/v1/members/{ann}/departure")).await;
    assert_eq!(status, StatusCode::OK, "{leaving}");
    let (status, body) = owner.delete(&format!("/v1/members/{ann}")).await;
    assert!(status.is_success(), "{status}: {body}");
    assert_ne!(guide.code(&made, "documents:read").await, "valid");
    assert_eq!(owner.get(&path_of(&made)).await.1["state"], "deactivated");
}

/// "API rate limits are per user. If the same user owns keys across multiple workspaces, the rate limit is shared."
async fn rate_limits_are_per_user_over_all_workspaces(db: TestDatabase) {
    // row 45
    let guide = start(db).await;
    let (owner, sales) = (guide.owner().await, workspace(&guide, "Legal").await);
    put_role(&guide, sales, admin(&guide.server).await, "admin").await;
    let here = guide.create(&owner, &json!({})).await;
    let there = guide.create(&owner, &json!({"workspaces": [sales]})).await;
    let left = async |made: &Value| {
        guide.ask(made, "documents:read").await["limits"][0]["remaining"]
            .as_u64()
            .expect("a number")
    };
    let first = left(&here).await;
    assert_eq!(left(&there).await, first - 1, "shared");
    let ann = guide.member("ann@acme.example", "admin").await;
    let hers = guide.create(&guide.by(ann).await, &json!({})).await;
    assert_eq!(left(&hers).await, first, "another user has their own");
}

/// "Use dedicated service accounts instead of individual users, so the key owner is never accidentally removed."
async fn service_accounts_own_keys_so_that_the_owner_is_never_accidentally_removed(
    db: TestDatabase,
) {
    // row 28
    let guide = start(db).await;
    let account = json!({"name": "CRM robot", "workspaces": [{"workspace": guide.server.planted.workspace, "role": "admin"}]});
    let (status, robot) = guide
        .owner()
        .await
        .post("/v1/service-accounts", &account)
        .await;
    assert_eq!(status, StatusCode::CREATED, "{robot}");
    let ann = tenants::member(&guide.server, "ann@acme.example", OrganizationRole::Admin).await;
    tenants::join_workspace(&guide.server, guide.server.planted.workspace, ann, "admin").await;
    let made = guide
        .create(&guide.by(ann).await, &json!({"owner": robot["id"]}))
        .await;
    assert_eq!(
        guide.ask(&made, "documents:read").await["actor"]["kind"],
        "service_account"
    );
    let (status, body) = guide
        .owner()
        .await
        .delete(&format!("/v1/members/{ann}"))
        .await;
    assert!(status.is_success(), "{status}: {body}");
    assert_eq!(
        guide.code(&made, "documents:read").await,
        "valid",
        "the creator is gone, the key stays"
    );
}

/// "Create a service workspace where only the Org Admin is a member."
async fn only_the_org_admin_is_a_member_of_a_service_workspace(db: TestDatabase) {
    // row 29
    let guide = start(db).await;
    let service = service_workspace(&guide).await;
    let (status, members) = guide
        .owner()
        .await
        .get(&format!("/v1/workspaces/{service}/members"))
        .await;
    assert_eq!(
        (status, members["data"].as_array().map(Vec::len)),
        (StatusCode::OK, Some(1)),
        "{members}"
    );
    assert_eq!(
        guide
            .owner()
            .await
            .get(&format!("/v1/workspaces/{service}"))
            .await
            .1["is_service"],
        true
    );
}

/// "Rotate keys periodically to maintain security."
async fn keys_are_rotated_periodically(db: TestDatabase) {
    let guide = start(db).await;
    let owner = guide.owner().await;
    let made = guide.create(&owner, &json!({})).await;
    let (status, rotated) = owner
        .post(
            &format!("{}/rotate", path_of(&made)),
            &json!({"grace_seconds": 60}),
        )
        .await;
    assert_eq!(
        (status, &rotated["id"], &rotated["name"]),
        (StatusCode::CREATED, &made["id"], &made["name"]),
        "{rotated}"
    );
    assert_ne!(rotated["secret"], made["secret"]);
    assert_eq!(
        problem(
            owner
                .post(
                    &format!("{}/rotate", path_of(&made)),
                    &json!({"grace_seconds": -1})
                )
                .await
        )
        .0 / 100,
        4
    );
}

/// "Maintain a key-to-workspace mapping so you always know which key accesses which workspace."
async fn keys_are_mapped_to_workspaces(db: TestDatabase) {
    // row 30
    let guide = start(db).await;
    let owner = guide.owner().await;
    let made = guide.create(&owner, &json!({})).await;
    let (status, map) = owner.get("/v1/api-keys/workspaces").await;
    assert_eq!(status, StatusCode::OK, "{map}");
    let row = map["data"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|row| row.to_string().contains(text(&made, "/id")))
        .expect("the key");
    assert!(
        row.to_string()
            .contains(guide.server.planted.workspace.as_str()),
        "{row}"
    );
}
