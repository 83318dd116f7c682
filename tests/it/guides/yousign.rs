//! "What is an API key?" of Yousign: the guide's promises in its order.

use countersign::types::state::ReachKind;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{Guide, path_of};
use crate::api::{Program, problem, text};
use crate::databases::{TestDatabase, both_databases};
use crate::tenants::{self, Key, admin, key};

both_databases!(
    a_key_is_defined_by_environment_scope_and_permission_level,
    creating_your_first_key_automatically_starts_your_api_trial,
    the_trial_ends_once_and_a_plan_brings_it_back,
    a_description_is_optional,
    sandbox_is_for_who_does_not_yet_have_a_paid_plan,
    production_is_available_only_with_an_api_plan,
    an_organization_key_accesses_all_workspaces_later_ones_too,
    a_workspace_key_accesses_only_the_selected_workspaces,
    one_or_more_workspaces_must_be_selected,
    a_workspace_key_cannot_manage_users_or_workspaces,
    a_read_only_key_only_retrieves_information,
    the_list_shows_environment_permission_level_and_scope,
    filters_quickly_find_specific_keys,
    up_to_200_active_keys_per_organization,
);

async fn start(db: TestDatabase) -> Guide {
    Guide::start(db, "yousign").await
}

/// "Each API key is defined by: an environment, a scope, a permission level."
async fn a_key_is_defined_by_environment_scope_and_permission_level(db: TestDatabase) {
    // rows 10, 16, 17, 39
    let guide = start(db).await;
    let owner = guide.owner().await;
    for environment in ["sandbox", "production"] {
        for (scope, workspaces) in [
            ("organization", Value::Null),
            ("workspaces", json!([guide.server.planted.workspace])),
        ] {
            for level in ["full", "read_only"] {
                let changes = json!({"environment": environment, "scope": scope, "workspaces": workspaces, "permission_level": level});
                let made = guide.create(&owner, &changes).await;
                assert_eq!(
                    guide.ask(&made, "documents:read").await["environment"],
                    environment,
                    "{made}"
                );
            }
        }
    }
}

/// "Creating your first API key automatically starts your API trial period."
async fn creating_your_first_key_automatically_starts_your_api_trial(db: TestDatabase) {
    // row 7
    let guide = start(db).await;
    let (organization, owner, workspace) =
        tenants::organization(&guide.server, "zoe@other.example").await;
    let trial = async || {
        Program::operator(&guide.server)
            .get(&format!("/v1/organizations/{organization}/subscription"))
            .await
            .1["trial_ends_at"]
            .take()
    };
    assert_eq!(trial().await, Value::Null, "not before the first key");
    let made = guide.new_key(&json!({"workspaces": [workspace], "owner": owner}));
    let (status, made) = Program::operator(&guide.server)
        .post(&format!("/v1/api-keys?organization={organization}"), &made)
        .await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert_eq!(trial().await, json!("2026-12-30T12:00:00.000Z"), "40 days");
    assert_eq!(guide.code(&made, "documents:read").await, "valid");
}

/// The end of the trial is enforced; "subscribed to an API plan" brings the keys back. Once per organization ever (C8).
async fn the_trial_ends_once_and_a_plan_brings_it_back(db: TestDatabase) {
    let guide = start(db).await;
    let (organization, owner, workspace) =
        tenants::organization(&guide.server, "zoe@other.example").await;
    let operator = Program::operator(&guide.server);
    let body = guide.new_key(&json!({"workspaces": [workspace], "owner": owner}));
    let keys = format!("/v1/api-keys?organization={organization}");
    let (status, made) = operator.post(&keys, &body).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    guide.server.clock.step_seconds(40 * 24 * 60 * 60);
    assert_ne!(guide.code(&made, "documents:read").await, "valid");
    let refused = operator.post(&keys, &body).await;
    assert!(
        text(&refused.1, "/unlock/contact").contains("API plan"),
        "{}",
        refused.1
    );
    let path = format!("/v1/organizations/{organization}/subscription");
    for (plan, works) in [("api", true), ("trial", false)] {
        let (status, body) = crate::api::json(
            operator
                .request(reqwest::Method::PUT, &path)
                .json(&json!({"plan": plan})),
        )
        .await;
        assert_eq!(status, StatusCode::OK, "{body}");
        assert_eq!(
            guide.code(&made, "documents:read").await == "valid",
            works,
            "{plan}: no second trial"
        );
    }
}

/// "Description: this field is optional, but recommended."
async fn a_description_is_optional(db: TestDatabase) {
    // rows 11, 12, C7: Yousign's description is the key's name
    let guide = start(db).await;
    let made = guide
        .create(&guide.owner().await, &json!({"name": null}))
        .await;
    assert!(text(&made, "/display").starts_with("ys_"), "{made}");
    let named = guide
        .create(
            &guide.owner().await,
            &json!({"name": "CRM integration – Production"}),
        )
        .await;
    assert_eq!(named["name"], "CRM integration – Production");
}

/// "Select this if you are starting your integration or do not yet have a paid API plan."
async fn sandbox_is_for_who_does_not_yet_have_a_paid_plan(db: TestDatabase) {
    let guide = start(db).await;
    guide.put_on_plan("trial").await;
    let made = guide
        .create(&guide.owner().await, &json!({"environment": "sandbox"}))
        .await;
    assert_eq!(guide.code(&made, "documents:read").await, "valid");
}

/// "Production: available only if you have subscribed to an API plan." Without approval.
async fn production_is_available_only_with_an_api_plan(db: TestDatabase) {
    let guide = start(db).await;
    let (owner, production) = (guide.owner().await, json!({"environment": "production"}));
    guide.put_on_plan("trial").await;
    let (status, _, body) = guide.refused(&owner, &production).await;
    assert!(
        status == 403 && text(&body, "/unlock/contact") == "Subscribe to an API plan.",
        "{body}"
    );
    guide.put_on_plan("api").await;
    assert_eq!(
        guide
            .code(&guide.create(&owner, &production).await, "documents:read")
            .await,
        "valid"
    );
}

/// "The API key can access resources across all workspaces in your organization."
async fn an_organization_key_accesses_all_workspaces_later_ones_too(db: TestDatabase) {
    // C3
    let guide = start(db).await;
    let made = guide
        .create(
            &guide.owner().await,
            &json!({"scope": "organization", "workspaces": null}),
        )
        .await;
    let later = tenants::workspace(&guide.server, "Later").await;
    for workspace in [guide.server.planted.workspace, later] {
        let asked = json!({"credential": made["secret"], "permission": "documents:read", "workspace": workspace});
        assert_eq!(guide.server.verify(asked).await["code"], "valid");
    }
}

/// "Resources outside those workspaces are not accessible."
async fn a_workspace_key_accesses_only_the_selected_workspaces(db: TestDatabase) {
    // row 23
    let guide = start(db).await;
    let (second, third) = (
        tenants::workspace(&guide.server, "Second").await,
        tenants::workspace(&guide.server, "Third").await,
    );
    let made = guide
        .create(
            &guide.owner().await,
            &json!({"workspaces": [guide.server.planted.workspace, second]}),
        )
        .await;
    for (workspace, allowed) in [
        (guide.server.planted.workspace, true),
        (second, true),
        (third, false),
    ] {
        let asked = json!({"credential": made["secret"], "permission": "documents:read", "workspace": workspace});
        let answer = guide.server.verify(asked).await;
        assert_eq!(answer["allowed"], allowed, "{answer}");
    }
}

/// "You must select one or more workspaces during creation."
async fn one_or_more_workspaces_must_be_selected(db: TestDatabase) {
    let guide = start(db).await;
    for none in [json!([]), Value::Null] {
        let (status, code, body) = guide
            .refused(&guide.owner().await, &json!({"workspaces": none}))
            .await;
        assert_eq!((status, code.as_str()), (422, "invalid_fields"), "{body}");
    }
}

/// "The key cannot manage users or workspaces."
async fn a_workspace_key_cannot_manage_users_or_workspaces(db: TestDatabase) {
    // row 25, C4
    let guide = start(db).await;
    let owner = guide.owner().await;
    let create = async |made: &Value| {
        Program::new(&guide.server, text(made, "/secret"))
            .post("/v1/workspaces", &json!({"name": "By a key"}))
            .await
    };
    let narrow = guide.create(&owner, &json!({})).await;
    assert_eq!(problem(create(&narrow).await).0, 403);
    assert_eq!(
        guide
            .refused(&owner, &json!({"organization_operations": true}))
            .await
            .0,
        422
    );
    let whole = json!({"scope": "organization", "workspaces": null, "environment": "production"});
    assert_eq!(
        problem(create(&guide.create(&owner, &whole).await).await).0,
        403,
        "not without its switch"
    );
    let mut switched = whole;
    switched["organization_operations"] = json!(true);
    assert_eq!(
        create(&guide.create(&owner, &switched).await).await.0,
        StatusCode::CREATED
    );
}

/// "Read-only: can only retrieve information via API requests."
async fn a_read_only_key_only_retrieves_information(db: TestDatabase) {
    // row 17
    let guide = start(db).await;
    let owner = guide.owner().await;
    for (level, write) in [("full", "valid"), ("read_only", "forbidden")] {
        let made = guide
            .create(
                &owner,
                &json!({"permission_level": level, "environment": "production"}),
            )
            .await;
        assert_eq!(guide.code(&made, "documents:write").await, write, "{level}");
        assert_eq!(
            guide.code(&made, "documents:read").await,
            "valid",
            "{level}"
        );
    }
}

/// "The API key list, where you can view its: environment, permission level, scope."
async fn the_list_shows_environment_permission_level_and_scope(db: TestDatabase) {
    // row 41
    let guide = start(db).await;
    let made = guide
        .create(
            &guide.owner().await,
            &json!({"permission_level": "read_only"}),
        )
        .await;
    let (_, list) = guide.owner().await.get("/v1/api-keys").await;
    let row = list["data"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|row| row["id"] == made["id"])
        .expect("the key");
    assert_eq!(
        (
            text(row, "/environment"),
            text(row, "/permission_level"),
            text(row, "/scope")
        ),
        ("sandbox", "read_only", "workspaces")
    );
    let page = guide
        .server
        .signed_in_browser()
        .await
        .get(&format!(
            "/dev-centre/{}/api-keys",
            guide.server.planted.organization
        ))
        .await;
    let html = page.text().await.expect("text");
    assert!(
        html.contains("Sandbox") && html.contains("Read-only"),
        "{html}"
    );
}

/// "Use filters and navigation options on the API keys page to quickly find specific keys."
async fn filters_quickly_find_specific_keys(db: TestDatabase) {
    // row 42
    let guide = start(db).await;
    let owner = guide.owner().await;
    let wanted = guide.create(&owner, &json!({"permission_level": "read_only", "environment": "production", "name": "Needle"})).await;
    for _ in 0..3 {
        guide.create(&owner, &json!({})).await;
    }
    for filter in [
        "permission_level=read_only",
        "environment=production&name=needle",
        "name=NEED",
    ] {
        let (_, list) = owner.get(&format!("/v1/api-keys?{filter}")).await;
        let ids: Vec<_> = list["data"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|row| &row["id"])
            .collect();
        assert_eq!(ids, [&wanted["id"]], "{filter}");
    }
    let (_, first) = owner.get("/v1/api-keys?limit=2").await;
    let (_, second) = owner
        .get(&format!(
            "/v1/api-keys?limit=2&cursor={}",
            text(&first, "/next_cursor")
        ))
        .await;
    assert_ne!(first["data"][0]["id"], second["data"][0]["id"]);
}

/// "You can create up to 200 active API keys per organization."
async fn up_to_200_active_keys_per_organization(db: TestDatabase) {
    // row 19
    let guide = start(db).await;
    let (owner, user) = (guide.owner().await, admin(&guide.server).await);
    let mut newest = None;
    // the planted two count
    for _ in 0..198 {
        newest = Some(key(&guide.server, Key::of(&guide.server, user)).await.id);
    }
    assert_eq!(
        guide.refused(&owner, &json!({})).await.1,
        "key_limit_reached"
    );
    let path = path_of(&json!({"id": newest.expect("a key").as_str()}));
    assert_eq!(owner.delete(&path).await.0, StatusCode::NO_CONTENT);
    guide.create(&owner, &json!({})).await;
    assert_eq!(
        guide.refused(&owner, &json!({})).await.1,
        "key_limit_reached"
    );
    assert_eq!(ReachKind::Organization.as_str(), "organization");
}
