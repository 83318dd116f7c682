//! "API Keys" of Penvio: the guide's promises in its order.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Guide, path_of};
use crate::api::{Program, json, problem, text};
use crate::databases::{TestDatabase, both_databases};
use crate::tenants::{self, PASSWORD, admin};
use countersign::types::state::OrganizationRole;

both_databases!(
    keys_are_available_on_business_and_enterprise,
    organization_admins_and_owners_manage_the_organizations_keys,
    a_name_is_required_and_a_description_is_optional,
    an_expiry_date_or_never_expires,
    the_key_format_is_penv,
    the_full_key_is_only_displayed_once,
    the_page_shows_name_prefix_created_last_used_and_expiration,
    the_details_show_the_full_configuration,
    revoking_is_immediate_and_permanent,
    the_key_goes_into_an_authorization_bearer_header,
    business_has_2000_requests_in_15_minutes_and_enterprise_10000,
    exceeding_the_limit_returns_429,
    keys_inherit_organization_level_permissions,
    keys_cannot_modify_settings_manage_keys_or_reach_others,
    key_creation_and_revocation_are_logged,
    the_trouble_shooting_table_is_true,
    a_lost_key_is_replaced_and_then_revoked,
    key_revocation_is_tested_first_by_a_pause,
);

async fn start(db: TestDatabase) -> Guide {
    Guide::start(db, "penvio").await
}

/// A key of the organization.
fn whole() -> Value {
    json!({"scope": "organization", "workspaces": null})
}

async fn key(guide: &Guide) -> Value {
    guide.create(&guide.owner().await, &whole()).await
}

/// "API keys are available on Business and Enterprise plans. Upgrade your plan to access this feature."
async fn keys_are_available_on_business_and_enterprise(db: TestDatabase) {
    // row 5, C8
    let guide = start(db).await;
    let owner = guide.owner().await;
    for plan in ["business", "enterprise"] {
        guide.put_on_plan(plan).await;
        assert_eq!(
            guide
                .code(&guide.create(&owner, &whole()).await, "documents:read")
                .await,
            "valid",
            "{plan}"
        );
    }
    guide.put_on_plan("free").await;
    let (status, _, body) = guide.refused(&owner, &whole()).await;
    assert_eq!(
        (status, text(&body, "/unlock/contact")),
        (403, "Upgrade your plan to access this feature."),
        "{body}"
    );
}

/// "Organization admins and owners can manage API keys." They are the organization's: row C1.
async fn organization_admins_and_owners_manage_the_organizations_keys(db: TestDatabase) {
    // row 2, C1, C2
    let guide = start(db).await;
    let ann = tenants::member(&guide.server, "ann@acme.example", OrganizationRole::Admin).await;
    let made = guide.create(&guide.by(ann).await, &whole()).await;
    assert_eq!(
        guide.ask(&made, "documents:read").await["actor"]["kind"],
        "service_account",
        "{made}"
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
        "it survives its creator"
    );
    let mia = guide.member("mia@acme.example", "member").await;
    assert_eq!(guide.refused(&guide.by(mia).await, &whole()).await.0, 403);
    assert_eq!(
        problem(guide.by(mia).await.get("/v1/api-keys").await).0,
        403
    );
    let browser = guide.server.browser();
    assert_eq!(
        browser
            .sign_in("mia@acme.example", &PASSWORD.0)
            .await
            .status(),
        StatusCode::SEE_OTHER
    );
    let page = browser
        .get(&format!(
            "/dev-centre/{}/api-keys",
            guide.server.planted.organization
        ))
        .await;
    assert_ne!(page.status(), StatusCode::OK);
}

/// "Name: Descriptive name"; "Description: Optional details about the key's purpose".
async fn a_name_is_required_and_a_description_is_optional(db: TestDatabase) {
    // rows 11, 12, C7
    let guide = start(db).await;
    let owner = guide.owner().await;
    for name in [Value::Null, json!(""), json!("  ")] {
        let mut body = whole();
        body["name"] = name.clone();
        let (status, code, body) = guide.refused(&owner, &body).await;
        assert!(
            (status, code.as_str()) == (422, "invalid_fields")
                && body["errors"][0]["field"] == "name",
            "{name}: {body}"
        );
    }
    let mut described = whole();
    described["description"] = json!("CI/CD pipeline");
    assert_eq!(
        guide.create(&owner, &described).await["description"],
        "CI/CD pipeline"
    );
}

/// "Expiration: Set an expiry date or Never expires."
async fn an_expiry_date_or_never_expires(db: TestDatabase) {
    // row 13
    let guide = start(db).await;
    let owner = guide.owner().await;
    let mut dated = whole();
    (dated["expires_in_days"], dated["expires_on"]) = (Value::Null, json!("2026-12-24"));
    let made = guide.create(&owner, &dated).await;
    assert!(
        text(&made, "/expires_at").starts_with("2026-12-2"),
        "{made}"
    );
    let mut never = whole();
    (never["expires_in_days"], never["never_expires"]) = (Value::Null, json!(true));
    let made = guide.create(&owner, &never).await;
    assert_eq!(
        (&made["expires_at"], &made["warnings"]),
        (&Value::Null, &json!(["never_expires"])),
        "{made}"
    );
}

/// "The key format: penv_xxxxxxxxxxxxxxxxxxxx."
async fn the_key_format_is_penv(db: TestDatabase) {
    // row 15, C9
    let guide = start(db).await;
    let made = key(&guide).await;
    let secret = text(&made, "/secret");
    assert!(
        secret.starts_with("penv_")
            && secret
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'),
        "{made}"
    );
    assert!(
        secret.starts_with(text(&made, "/display")) && text(&made, "/display").len() >= 8,
        "the list shows more than 8 characters"
    );
}

/// "The full API key is only displayed once when created."
async fn the_full_key_is_only_displayed_once(db: TestDatabase) {
    // row 14
    let guide = start(db).await;
    let (owner, made) = (guide.owner().await, key(&guide).await);
    for path in [path_of(&made), "/v1/api-keys".to_owned()] {
        let (status, body) = owner.get(&path).await;
        assert!(
            status == StatusCode::OK && !body.to_string().contains(text(&made, "/secret")),
            "{path}"
        );
    }
}

/// "The API Keys page shows: key name, key prefix (first 8 characters), created date, last used date, expiration status."
async fn the_page_shows_name_prefix_created_last_used_and_expiration(db: TestDatabase) {
    // row 40
    let guide = start(db).await;
    let (owner, made) = (guide.owner().await, key(&guide).await);
    assert_eq!(guide.code(&made, "documents:read").await, "valid");
    countersign::jobs::usage::flush(&guide.server.app).await;
    let (_, list) = owner.get("/v1/api-keys").await;
    let row = list["data"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|row| row["id"] == made["id"])
        .expect("the key");
    for field in [
        "name",
        "display",
        "created_at",
        "last_used_at",
        "expires_at",
        "state",
    ] {
        assert!(row[field].is_string(), "{field}: {row}");
    }
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
        html.contains("CRM integration") && html.contains(&text(&made, "/secret")[..8]),
        "{html}"
    );
}

/// "Click a key to view: full configuration, usage statistics, activity history."
async fn the_details_show_the_full_configuration(db: TestDatabase) {
    // row 43, the configuration; statistics and history are their own pages
    let guide = start(db).await;
    let (owner, made) = (guide.owner().await, key(&guide).await);
    let (status, detail) = owner.get(&path_of(&made)).await;
    assert_eq!(status, StatusCode::OK);
    for field in [
        "environment",
        "scope",
        "permission_level",
        "owner",
        "secrets",
        "created_by",
    ] {
        assert!(!detail[field].is_null(), "{field}: {detail}");
    }
}

/// "Revoking a key is immediate and permanent. Any applications using that key will lose access."
async fn revoking_is_immediate_and_permanent(db: TestDatabase) {
    // row 35
    let guide = start(db).await;
    let (owner, made) = (guide.owner().await, key(&guide).await);
    assert_eq!(guide.code(&made, "documents:read").await, "valid");
    assert_eq!(
        owner.delete(&path_of(&made)).await.0,
        StatusCode::NO_CONTENT
    );
    assert_eq!(guide.code(&made, "documents:read").await, "not_found");
    assert_eq!(
        problem(
            owner
                .post(&format!("{}/resume", path_of(&made)), &json!({}))
                .await
        )
        .0 / 100,
        4
    );
    assert_eq!(guide.code(&made, "documents:read").await, "not_found");
}

/// "Authorization: Bearer penv_xxxxxxxxxxxxxxxxxxxx".
async fn the_key_goes_into_an_authorization_bearer_header(db: TestDatabase) {
    // row 33
    let guide = start(db).await;
    let made = key(&guide).await;
    assert_eq!(
        guide.sent_as("Bearer", text(&made, "/secret")).await,
        StatusCode::OK
    );
    assert_eq!(
        guide.sent_as("API-Key", text(&made, "/secret")).await,
        StatusCode::UNAUTHORIZED
    );
}

/// "Business: 2,000 requests per 15 minutes. Enterprise: 10,000 requests per 15 minutes."
async fn business_has_2000_requests_in_15_minutes_and_enterprise_10000(db: TestDatabase) {
    // row 44
    let guide = start(db).await;
    let made = key(&guide).await;
    for (plan, quota) in [("business", 2000), ("enterprise", 10_000)] {
        guide.put_on_plan(plan).await;
        let answer = guide.ask(&made, "documents:read").await;
        let limits = answer["limits"].as_array().expect("a list");
        assert!(
            limits
                .iter()
                .any(|limit| limit["limit"] == quota && limit["policy"] == plan),
            "{plan}: {answer}"
        );
        assert!(
            limits.iter().all(|limit| limit["reset_seconds"]
                .as_i64()
                .is_some_and(|seconds| seconds <= 15 * 60)),
            "{answer}"
        );
    }
}

/// "Exceeding rate limits returns HTTP 429 responses."
async fn exceeding_the_limit_returns_429(db: TestDatabase) {
    // row 48
    let small = |config: &mut countersign::config::Config| {
        config
            .quota
            .iter_mut()
            .for_each(|quota| quota.rate.quota = 3);
        config.limits.management.quota = 10_000;
    };
    let guide = Guide::of(crate::server::Server::start_profile(db, "penvio", small).await).await;
    let made = key(&guide).await;
    for _ in 0..3 {
        assert_eq!(guide.code(&made, "documents:read").await, "valid");
    }
    let answer = guide.ask(&made, "documents:read").await;
    assert_eq!(
        (&answer["code"], &answer["http_status"]),
        (&json!("rate_limited"), &json!(429)),
        "{answer}"
    );
    assert!(
        answer["retry_after_seconds"]
            .as_i64()
            .is_some_and(|seconds| seconds > 0),
        "{answer}"
    );
}

/// "API keys inherit organization-level permissions: access to organization documents, E-Sign API access, document operations."
async fn keys_inherit_organization_level_permissions(db: TestDatabase) {
    let guide = start(db).await;
    let made = key(&guide).await;
    let later = tenants::workspace(&guide.server, "Later").await;
    for workspace in [guide.server.planted.workspace, later] {
        for permission in [
            "documents:read",
            "documents:write",
            "documents:send",
            "documents:download",
        ] {
            let asked = json!({"credential": made["secret"], "permission": permission, "workspace": workspace});
            assert_eq!(
                guide.server.verify(asked).await["code"],
                "valid",
                "{permission}"
            );
        }
    }
}

/// "Keys cannot: modify organization settings, manage other API keys, access other organizations."
async fn keys_cannot_modify_settings_manage_keys_or_reach_others(db: TestDatabase) {
    // rows 24, 25
    let guide = start(db).await;
    let made = key(&guide).await;
    let program = Program::new(&guide.server, text(&made, "/secret"));
    assert_eq!(
        problem(
            program
                .patch(&guide.of_organization(""), &json!({"name": "Mine"}))
                .await
        )
        .0,
        403
    );
    assert_eq!(
        problem(program.post("/v1/api-keys", &guide.new_key(&whole())).await).0,
        403
    );
    assert_eq!(
        problem(
            program
                .post("/v1/workspaces", &json!({"name": "By a key"}))
                .await
        )
        .0,
        403
    );
    let mut operations = whole();
    operations["organization_operations"] = json!(true);
    assert_eq!(
        guide.refused(&guide.owner().await, &operations).await.0,
        422,
        "no key ever administers"
    );
    let (_, _, foreign) = tenants::organization(&guide.server, "zoe@other.example").await;
    let answer = guide.server.verify(json!({"credential": made["secret"], "permission": "documents:read", "workspace": foreign})).await;
    assert_eq!(
        (&answer["allowed"], &answer["http_status"]),
        (&json!(false), &json!(403)),
        "{answer}"
    );
}

/// "All API key activity is logged: key creation, key revocation …".
async fn key_creation_and_revocation_are_logged(db: TestDatabase) {
    let guide = start(db).await;
    let (owner, made) = (guide.owner().await, key(&guide).await);
    assert_eq!(
        owner.delete(&path_of(&made)).await.0,
        StatusCode::NO_CONTENT
    );
    assert!(guide.server.database.count_events("api_key.created") >= 1);
    assert_eq!(guide.server.database.count_events("api_key.revoked"), 1);
}

/// "401: verify key is correct and not revoked. 403: check key has required permissions. 429 … Key expired: create a new key."
async fn the_trouble_shooting_table_is_true(db: TestDatabase) {
    // row 61
    let guide = start(db).await;
    let owner = guide.owner().await;
    let mut short = whole();
    (short["permission_level"], short["expires_in_days"]) = (json!("read_only"), json!(1));
    let made = guide.create(&owner, &short).await;
    let status = |answer: Value| {
        (
            text(&answer, "/code").to_owned(),
            answer["http_status"].as_u64(),
        )
    };
    let wrong = guide
        .server
        .verify(json!({"credential": "penv_xxxxxxxxxxxxxxxxxxxx", "permission": "documents:read"}))
        .await;
    assert_eq!(status(wrong), ("not_found".to_owned(), Some(401)));
    assert_eq!(
        status(guide.ask(&made, "documents:write").await),
        ("forbidden".to_owned(), Some(403))
    );
    guide.server.clock.step_seconds(2 * 24 * 60 * 60);
    assert_eq!(
        status(guide.ask(&made, "documents:read").await),
        ("expired".to_owned(), Some(401))
    );
}

/// "If you've lost an API key: create a new key, update your applications with the new key, revoke the old key."
async fn a_lost_key_is_replaced_and_then_revoked(db: TestDatabase) {
    // row 38
    let guide = start(db).await;
    let (owner, lost) = (guide.owner().await, key(&guide).await);
    let next = key(&guide).await;
    assert_eq!(
        (
            guide.code(&lost, "documents:read").await,
            guide.code(&next, "documents:read").await
        ),
        ("valid".to_owned(), "valid".to_owned())
    );
    assert_eq!(
        owner.delete(&path_of(&lost)).await.0,
        StatusCode::NO_CONTENT
    );
    assert_eq!(guide.code(&next, "documents:read").await, "valid");
    assert_eq!(
        admin(&guide.server).await.as_str().len(),
        lost["created_by"].as_str().expect("an id").len()
    );
}

/// "Test key revocation in staging first." There is one environment: any key is paused before it is revoked.
async fn key_revocation_is_tested_first_by_a_pause(db: TestDatabase) {
    // row 63, A3
    let guide = start(db).await;
    let (owner, made) = (guide.owner().await, key(&guide).await);
    for (step, works) in [("pause", false), ("resume", true)] {
        let (status, body) =
            json(owner.request(Method::POST, &format!("{}/{step}", path_of(&made)))).await;
        assert_eq!(status, StatusCode::OK, "{step}: {body}");
        assert_eq!(
            guide.code(&made, "documents:read").await == "valid",
            works,
            "{step}"
        );
    }
}
