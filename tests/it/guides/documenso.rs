//! "What are API Tokens?" of Documenso: the guide's promises in its order. A team is a workspace.

use countersign::types::id::UserId;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{Guide, path_of};
use crate::api::{Program, json, problem, text};
use crate::databases::{TestDatabase, both_databases};
use crate::tenants;

both_databases!(
    each_token_belongs_to_a_team_and_cannot_access_other_teams,
    tokens_perform_most_api_operations,
    tokens_cannot_create_teams_manage_members_or_modify_settings,
    only_team_admins_create_tokens_managers_view_and_members_see_nothing,
    a_token_name_is_required_and_expiration_is_optional,
    recommended_expiration_periods_are_presets_and_no_expiration_warns,
    the_token_is_sent_as_bearer_and_never_in_urls,
    examples_in_multiple_languages_and_an_interactive_explorer,
    the_list_shows_name_dates_and_who_created_it,
    tokens_are_revoked_independently,
    a_member_asks_the_team_admin_for_a_token,
    after_an_incident_tokens_are_revoked_at_once,
    when_team_members_leave_their_tokens_are_found_and_ended,
    an_unauthorized_answer_for_another_teams_data,
    a_forbidden_answer_names_what_is_missing,
    creation_failures_name_the_role_the_limit_or_the_parameter,
    limits_apply_per_token_and_vary_by_plan,
    rate_limit_headers_indicate_the_remaining_quota,
);

async fn start(db: TestDatabase) -> Guide {
    Guide::start(db, "documenso").await
}

/// The team's admin.
async fn ann(guide: &Guide) -> UserId {
    guide.member("ann@acme.example", "admin").await
}

/// "Each token belongs to a specific team … Cannot access other teams' data."
async fn each_token_belongs_to_a_team_and_cannot_access_other_teams(db: TestDatabase) {
    // rows 23, C1
    let guide = start(db).await;
    let ann = ann(&guide).await;
    let made = guide.create(&guide.by(ann).await, &json!({})).await;
    assert!(text(&made, "/secret").starts_with("api_"), "{made}");
    assert_eq!(
        guide.ask(&made, "documents:read").await["actor"]["kind"],
        "service_account",
        "the team's, not Ann's"
    );
    let (status, body) = guide
        .owner()
        .await
        .delete(&format!("/v1/members/{ann}"))
        .await;
    assert!(status.is_success(), "{status}: {body}");
    assert_eq!(guide.code(&made, "documents:read").await, "valid");
    let other = tenants::workspace(&guide.server, "Other team").await;
    let asked =
        json!({"credential": made["secret"], "permission": "documents:read", "workspace": other});
    assert_eq!(guide.server.verify(asked).await["allowed"], false);
}

/// "Create documents, send documents, retrieve, download, manage recipients, place fields, access templates, webhooks (if admin)."
async fn tokens_perform_most_api_operations(db: TestDatabase) {
    // A12, C5
    let guide = start(db).await;
    let made = guide
        .create(&guide.by(ann(&guide).await).await, &json!({}))
        .await;
    for permission in [
        "documents:write",
        "documents:send",
        "documents:read",
        "documents:download",
        "recipients:write",
        "fields:write",
        "templates:read",
        "webhooks:write",
    ] {
        assert_eq!(guide.code(&made, permission).await, "valid", "{permission}");
    }
    let other = tenants::workspace(&guide.server, "Other team").await;
    let asked =
        json!({"credential": made["secret"], "permission": "webhooks:write", "workspace": other});
    assert_eq!(
        guide.server.verify(asked).await["allowed"],
        false,
        "only the webhooks of its team"
    );
}

/// "API tokens cannot perform administrative actions like creating teams, managing members, or modifying organization settings."
async fn tokens_cannot_create_teams_manage_members_or_modify_settings(db: TestDatabase) {
    // row 24
    let guide = start(db).await;
    let made = guide.create(&guide.owner().await, &json!({})).await;
    let program = Program::new(&guide.server, text(&made, "/secret"));
    assert_eq!(
        problem(
            program
                .post("/v1/workspaces", &json!({"name": "A team"}))
                .await
        )
        .0,
        403
    );
    assert_eq!(problem(program.get("/v1/members").await).0, 403);
    assert_eq!(
        problem(
            program
                .patch(&guide.of_organization(""), &json!({"name": "Mine"}))
                .await
        )
        .0,
        403
    );
}

/// "Team Admin: can create and manage all team tokens. Team Manager: cannot create; can view tokens. Team Member: cannot access
/// token settings."
async fn only_team_admins_create_tokens_managers_view_and_members_see_nothing(db: TestDatabase) {
    // rows 2, 3, 18, C2
    let guide = start(db).await;
    let admin = guide.by(ann(&guide).await).await;
    let made = guide.create(&admin, &json!({})).await;
    let manager = guide
        .by(guide.member("max@acme.example", "manager").await)
        .await;
    let member = guide
        .by(guide.member("mia@acme.example", "member").await)
        .await;
    for person in [&manager, &member] {
        assert_eq!(guide.refused(person, &json!({})).await.0, 403);
        assert_eq!(problem(person.delete(&path_of(&made)).await).0, 403);
    }
    let (status, list) = manager.get("/v1/api-keys").await;
    assert!(
        status == StatusCode::OK && list.to_string().contains(text(&made, "/id")),
        "{list}"
    );
    assert_eq!(problem(member.get("/v1/api-keys").await).0, 403);
    assert_eq!(
        admin.delete(&path_of(&made)).await.0,
        StatusCode::NO_CONTENT
    );
}

/// "Token Name: descriptive name for the token. Expiration Date (optional)."
async fn a_token_name_is_required_and_expiration_is_optional(db: TestDatabase) {
    let guide = start(db).await;
    let owner = guide.owner().await;
    assert_eq!(
        guide.refused(&owner, &json!({"name": ""})).await.2["errors"][0]["field"],
        "name"
    );
    let made = guide
        .create(
            &owner,
            &json!({"expires_in_days": null, "never_expires": true}),
        )
        .await;
    assert_eq!(made["expires_at"], Value::Null);
}

/// "30 days, 90 days, 1 year; no expiration: not recommended."
async fn recommended_expiration_periods_are_presets_and_no_expiration_warns(db: TestDatabase) {
    // row 13
    let guide = start(db).await;
    let owner = guide.owner().await;
    for (days, end) in [(30, "2026-12-20"), (90, "2027-02-18"), (365, "2027-11-20")] {
        let made = guide
            .create(&owner, &json!({"expires_in_days": days}))
            .await;
        assert!(
            text(&made, "/expires_at").starts_with(end) && made["warnings"] == json!([]),
            "{made}"
        );
    }
    let made = guide
        .create(
            &owner,
            &json!({"expires_in_days": null, "never_expires": true}),
        )
        .await;
    assert_eq!(made["warnings"], json!(["never_expires"]));
}

/// "Ensure Authorization: Bearer TOKEN header is set"; don't "use tokens in URLs or query parameters".
async fn the_token_is_sent_as_bearer_and_never_in_urls(db: TestDatabase) {
    // rows 33, 34
    let guide = start(db).await;
    let made = guide.create(&guide.owner().await, &json!({})).await;
    assert_eq!(
        guide.sent_as("Bearer", text(&made, "/secret")).await,
        StatusCode::OK
    );
    let in_url = guide
        .server
        .get(&format!("/v1/whoami?token={}", text(&made, "/secret")));
    assert_eq!(
        problem(json(in_url).await),
        (400, "credential_in_url".to_owned())
    );
}

/// "Interactive API explorer. Code examples in multiple languages. Complete endpoint reference."
async fn examples_in_multiple_languages_and_an_interactive_explorer(db: TestDatabase) {
    // row 59
    let guide = start(db).await;
    let (status, description) = json(guide.server.get("/v1/openapi.json")).await;
    assert_eq!(
        (status, text(&description, "/openapi")),
        (StatusCode::OK, "3.1.0")
    );
    let create = &description["paths"]["/v1/api-keys"]["post"];
    let languages: Vec<_> = create["x-codeSamples"]
        .as_array()
        .expect("samples")
        .iter()
        .map(|sample| text(sample, "/lang"))
        .collect();
    assert_eq!(
        languages,
        ["Shell", "Python", "JavaScript", "Go", "Rust"],
        "{create}"
    );
    assert_eq!(
        guide
            .server
            .get("/v1/docs")
            .send()
            .await
            .expect("an answer")
            .status()
            .as_u16()
            / 100,
        2
    );
}

/// "Token name, creation date, expiration date (if set), last used date (coming soon), created by (which team member)."
async fn the_list_shows_name_dates_and_who_created_it(db: TestDatabase) {
    // row 40
    let guide = start(db).await;
    let ann = ann(&guide).await;
    let made = guide.create(&guide.by(ann).await, &json!({})).await;
    assert_eq!(guide.code(&made, "documents:read").await, "valid");
    countersign::jobs::usage::flush(&guide.server.app).await;
    let (_, list) = guide.owner().await.get("/v1/api-keys").await;
    let row = list["data"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|row| row["id"] == made["id"])
        .expect("the token");
    assert_eq!(
        (&row["name"], &row["created_by"]),
        (&json!("CRM integration"), &json!(ann))
    );
    assert!(
        row["created_at"].is_string()
            && row["expires_at"].is_string()
            && row["last_used_at"].is_string(),
        "{row}"
    );
}

/// "Can be revoked independently."
async fn tokens_are_revoked_independently(db: TestDatabase) {
    let guide = start(db).await;
    let owner = guide.owner().await;
    let (one, two) = (
        guide.create(&owner, &json!({})).await,
        guide.create(&owner, &json!({})).await,
    );
    assert_eq!(owner.delete(&path_of(&one)).await.0, StatusCode::NO_CONTENT);
    assert_eq!(
        (
            guide.code(&one, "documents:read").await,
            guide.code(&two, "documents:read").await
        ),
        ("not_found".to_owned(), "valid".to_owned())
    );
}

/// "If you're a Team Manager or Member and need API access, contact your Team Admin to create a token for your use case."
async fn a_member_asks_the_team_admin_for_a_token(db: TestDatabase) {
    // A2
    let guide = start(db).await;
    let (admin, mia) = (
        guide.by(ann(&guide).await).await,
        guide
            .by(guide.member("mia@acme.example", "member").await)
            .await,
    );
    let wish = json!({
        "name": "Bulk sending", "reason": "Offers from the CRM", "environment": guide.environment(), "permission_level": "full",
        "workspaces": [guide.server.planted.workspace], "expires_in_days": 90,
    });
    let (status, asked) = mia.post("/v1/api-key-requests", &wish).await;
    assert_eq!(status, StatusCode::CREATED, "{asked}");
    let path = format!("/v1/api-key-requests/{}", text(&asked, "/id"));
    let (status, approved) = admin.post_empty(&format!("{path}/approve")).await;
    assert!(
        status.is_success() && approved.get("secret").is_none(),
        "nobody but Mia sees the secret: {approved}"
    );
    assert!(problem(admin.post_empty(&format!("{path}/collect")).await).0 >= 403);
    let (status, collected) = mia.post_empty(&format!("{path}/collect")).await;
    assert!(status.is_success(), "{status}: {collected}");
    assert_eq!(guide.code(&collected, "documents:read").await, "valid");
    assert!(
        problem(mia.post_empty(&format!("{path}/collect")).await).0 >= 400,
        "once"
    );
}

/// "After security incidents: Immediately."
async fn after_an_incident_tokens_are_revoked_at_once(db: TestDatabase) {
    // A4
    let guide = start(db).await;
    let owner = guide.owner().await;
    let (one, two) = (
        guide.create(&owner, &json!({})).await,
        guide.create(&owner, &json!({})).await,
    );
    let which = json!({"workspace": guide.server.planted.workspace, "dry_run": true});
    let (status, counted) = owner.post("/v1/api-keys/bulk-revoke", &which).await;
    assert_eq!(status, StatusCode::OK, "{counted}");
    assert_eq!(
        guide.code(&one, "documents:read").await,
        "valid",
        "only counted"
    );
    let (status, done) = owner
        .post(
            "/v1/api-keys/bulk-revoke",
            &json!({"workspace": guide.server.planted.workspace}),
        )
        .await;
    assert_eq!(status, StatusCode::OK, "{done}");
    for made in [&one, &two] {
        assert_eq!(guide.code(made, "documents:read").await, "not_found");
    }
}

/// "When team members leave: As soon as possible."
async fn when_team_members_leave_their_tokens_are_found_and_ended(db: TestDatabase) {
    // A10
    let guide = start(db).await;
    let ann = ann(&guide).await;
    let made = guide.create(&guide.by(ann).await, &json!({})).await;
    let owner = guide.owner().await;
    let (status, leaving) = owner.get(&format!("/v1/members/{ann}/departure")).await;
    assert!(
        status == StatusCode::OK && leaving.to_string().contains(text(&made, "/id")),
        "Ann was shown it: {leaving}"
    );
    let (status, body) = owner
        .delete(&format!("/v1/members/{ann}?secrets=revoke"))
        .await;
    assert!(status.is_success(), "{status}: {body}");
    assert_ne!(guide.code(&made, "documents:read").await, "valid");
}

/// "401: token belongs to different team."
async fn an_unauthorized_answer_for_another_teams_data(db: TestDatabase) {
    // C6
    let guide = start(db).await;
    let made = guide.create(&guide.owner().await, &json!({})).await;
    let other = tenants::workspace(&guide.server, "Other team").await;
    let answer = guide.server.verify(json!({"credential": made["secret"], "permission": "documents:read", "workspace": other})).await;
    assert_eq!(
        (
            &answer["allowed"],
            &answer["http_status"],
            &answer["reason"]
        ),
        (&json!(false), &json!(401), &json!("foreign_workspace")),
        "{answer}"
    );
}

/// "403: token lacks necessary permissions; admin-only operations; team doesn't have access to feature."
async fn a_forbidden_answer_names_what_is_missing(db: TestDatabase) {
    // A11
    let guide = start(db).await;
    let made = guide
        .create(
            &guide.owner().await,
            &json!({"permission_level": "read_only"}),
        )
        .await;
    let answer = guide.ask(&made, "documents:write").await;
    assert_eq!(
        (&answer["http_status"], &answer["reason"]),
        (&json!(403), &json!("insufficient_permission")),
        "{answer}"
    );
    let answer = guide.ask(&made, "workspaces:manage").await;
    assert_eq!(
        (&answer["http_status"], &answer["reason"]),
        (&json!(403), &json!("admin_only")),
        "{answer}"
    );
    guide.put_on_plan("free").await;
    let answer = guide.ask(&made, "documents:read").await;
    assert_eq!(answer["http_status"], 403, "{answer}");
}

/// "Not a team admin. Team limit reached. Invalid token parameters."
async fn creation_failures_name_the_role_the_limit_or_the_parameter(db: TestDatabase) {
    // row 20, C10
    let full = |config: &mut countersign::config::Config| {
        config.keys.max_active_per_workspace = 2;
        config.limits.management.quota = 10_000;
    };
    let guide = Guide::of(crate::server::Server::start_profile(db, "documenso", full).await).await;
    let owner = guide.owner().await;
    let mia = guide
        .by(guide.member("mia@acme.example", "member").await)
        .await;
    assert_eq!(guide.refused(&mia, &json!({})).await.0, 403);
    assert_eq!(
        guide
            .refused(&owner, &json!({"name": "x".repeat(10_000)}))
            .await
            .1,
        "invalid_fields"
    );
    guide.create(&owner, &json!({})).await;
    let (status, code, body) = guide.refused(&owner, &json!({})).await;
    assert_eq!(
        (status, code.as_str()),
        (409, "workspace_key_limit_reached"),
        "{body}"
    );
}

/// "Limits apply per token. Vary by subscription plan."
async fn limits_apply_per_token_and_vary_by_plan(db: TestDatabase) {
    // row 46, C11
    let guide = start(db).await;
    let owner = guide.owner().await;
    let (one, two) = (
        guide.create(&owner, &json!({})).await,
        guide.create(&owner, &json!({})).await,
    );
    let limit = async |made: &Value, plan: &str| {
        let answer = guide.ask(made, "documents:read").await;
        let limits = answer["limits"].as_array().expect("a list").clone();
        let own = limits
            .iter()
            .find(|limit| limit["policy"] == plan)
            .unwrap_or_else(|| unreachable!("{plan}: {answer}"));
        (own["limit"].as_u64(), own["remaining"].as_u64())
    };
    let first = limit(&one, "enterprise").await;
    assert_eq!(
        limit(&two, "enterprise").await,
        first,
        "each token has its own"
    );
    guide.put_on_plan("team").await;
    assert!(limit(&one, "team").await.0 < first.0, "the plan's");
}

/// "Exceeded limits return 429 status. Rate limit headers indicate remaining quota."
async fn rate_limit_headers_indicate_the_remaining_quota(db: TestDatabase) {
    // row 48
    let guide = start(db).await;
    let made = guide.create(&guide.owner().await, &json!({})).await;
    let answer = guide
        .server
        .get("/v1/whoami")
        .bearer_auth(text(&made, "/secret"))
        .send()
        .await
        .expect("an answer");
    let left = answer.headers()["x-ratelimit-remaining"]
        .to_str()
        .expect("text")
        .parse::<u64>();
    assert!(
        left.is_ok() && answer.headers().contains_key("x-ratelimit-limit"),
        "{:?}",
        answer.headers()
    );
}
