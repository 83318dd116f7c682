//! "How to create a PandaDoc API key": the guide's promises in its order.

use countersign::domain::lifecycle::quickstart::ADMIN;
use countersign::types::state::OrganizationRole;
use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::{Guide, path_of};
use crate::api::{Program, json, problem, send, text};
use crate::databases::{TestDatabase, both_databases};
use crate::server::{REDIRECT_URI, VERIFIER};
use crate::stamp::build::File;
use crate::stamp::{MARK, judge};
use crate::tenants::{self, PASSWORD, own_token};

both_databases!(
    a_key_lets_a_tool_read_documents_templates_and_contacts_and_send_documents,
    a_sandbox_key_watermarks_pdfs_prefixes_dev_and_sends_to_the_own_domain_only,
    a_sandbox_key_is_limited_in_request_rate,
    a_production_key_is_for_live_work_without_watermarks,
    oauth_applications_stand_beside_keys,
    only_the_owner_or_an_admin_opens_the_dev_centre_and_generates_keys,
    on_business_the_dev_centre_is_switched_on_before_any_keys_appear,
    essentials_has_no_dev_centre_and_says_whom_to_ask,
    a_production_key_requires_enterprise_and_approval,
    keys_inherit_the_permissions_of_the_user_who_creates_them,
    the_key_is_copied_once,
    the_tool_sends_it_as_api_key,
    a_revoked_key_stops_immediately_without_affecting_the_login,
    rotation_without_downtime,
    the_keys_of_a_user_who_is_removed_are_deactivated,
    a_developer_gets_read_only_viewer_access_instead_of_a_key,
);

async fn start(db: TestDatabase) -> Guide {
    Guide::start(db, "pandadoc").await
}

/// "It can read your documents, templates, and contacts and create or send documents on your behalf."
async fn a_key_lets_a_tool_read_documents_templates_and_contacts_and_send_documents(
    db: TestDatabase,
) {
    let guide = start(db).await;
    let key = guide
        .create(&guide.owner().await, &json!({"environment": "production"}))
        .await;
    for permission in [
        "documents:read",
        "templates:read",
        "contacts:read",
        "documents:write",
        "documents:send",
    ] {
        assert_eq!(guide.code(&key, permission).await, "valid", "{permission}");
    }
    // row 24: the key is never a way to more keys or people
    let program = Program::new(&guide.server, text(&key, "/secret"));
    assert_eq!(
        problem(
            program
                .post("/v1/api-keys", &guide.new_key(&json!({})))
                .await
        )
        .0,
        403
    );
    assert_eq!(problem(program.get("/v1/members").await).0, 403);
}

/// "It watermarks PDFs and prefixes documents with [DEV]"; "can only be sent to addresses on your own domain".
async fn a_sandbox_key_watermarks_pdfs_prefixes_dev_and_sends_to_the_own_domain_only(
    db: TestDatabase,
) {
    // rows 49, 50, 51
    let guide = start(db).await;
    let key = guide.create(&guide.owner().await, &json!({})).await;
    let question = |recipient: &str| json!({"credential": key["secret"], "permission": "documents:send", "document_name": "Offer", "recipients": [recipient]});
    let own = guide.server.verify(question("bob@acme.example")).await;
    assert_eq!(
        (&own["code"], &own["obligations"]["document_name"]),
        (&json!("valid"), &json!("[DEV] Offer")),
        "{own}"
    );
    let foreign = guide.server.verify(question("bob@elsewhere.example")).await;
    assert_eq!(foreign["allowed"], false, "{foreign}");
    let pdf = File::hello().bytes();
    let request = guide
        .server
        .as_resource_server("/v1/watermark")
        .header("Countersign-Credential", text(&key, "/secret"));
    let response = send(
        request
            .header(CONTENT_TYPE, "application/pdf")
            .body(pdf.clone()),
    )
    .await;
    assert_eq!(response.status(), StatusCode::OK);
    judge::assert_marked(
        "PandaDoc's Sandbox",
        &pdf,
        &response.bytes().await.expect("a body"),
        MARK,
    );
}

/// "Limited in request rate."
async fn a_sandbox_key_is_limited_in_request_rate(db: TestDatabase) {
    // row 47
    let guide = start(db).await;
    let owner = guide.owner().await;
    let quota = async |environment: &str| {
        let key = guide
            .create(&owner, &json!({"environment": environment}))
            .await;
        guide.ask(&key, "documents:read").await["limits"][0]["limit"]
            .as_u64()
            .expect("a number")
    };
    assert!(quota("sandbox").await < quota("production").await);
    let key = guide.create(&owner, &json!({})).await;
    let mut answer = Value::Null;
    for _ in 0..10 {
        answer = guide.ask(&key, "documents:read").await;
    }
    assert_eq!(answer["code"], "rate_limited", "{answer}");
}

/// "A Production key is for live work with no watermarks."
async fn a_production_key_is_for_live_work_without_watermarks(db: TestDatabase) {
    let guide = start(db).await;
    let key = guide
        .create(&guide.owner().await, &json!({"environment": "production"}))
        .await;
    let question = json!({"credential": key["secret"], "permission": "documents:send", "document_name": "Offer", "recipients": ["eve@elsewhere.example"]});
    let answer = guide.server.verify(question).await;
    assert_eq!(
        (&answer["code"], &answer["obligations"]["watermark"]),
        (&json!("valid"), &Value::Null),
        "{answer}"
    );
    assert_ne!(
        answer["obligations"]["document_name"], "[DEV] Offer",
        "{answer}"
    );
}

/// "OAuth 2.0 application (client id and secret) is available as an alternative", "in the same Configuration page".
async fn oauth_applications_stand_beside_keys(db: TestDatabase) {
    // rows 1, 8
    let guide = start(db).await;
    let browser = guide.server.signed_in_browser().await;
    let page = browser
        .get(&format!(
            "/dev-centre/{}/api-keys",
            guide.server.planted.organization
        ))
        .await
        .text()
        .await
        .expect("text");
    for words in ["API keys", "Applications"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    // PandaDoc's applications redeem codes at /oauth2/access_token
    let code = guide.server.code("read").await;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", REDIRECT_URI),
        ("code_verifier", VERIFIER),
    ];
    let (status, token) = json(
        guide
            .server
            .as_application("/oauth2/access_token")
            .form(&form),
    )
    .await;
    assert_eq!(status, StatusCode::OK, "{token}");
    assert_eq!(
        guide.sent_as("Bearer", text(&token, "/access_token")).await,
        StatusCode::OK
    );
}

/// "Only owners and Admins can see this area."
async fn only_the_owner_or_an_admin_opens_the_dev_centre_and_generates_keys(db: TestDatabase) {
    // rows 2, 18, 20
    let guide = start(db).await;
    let admin = guide.member("ann@acme.example", "admin").await;
    assert_eq!(
        guide.create(&guide.by(admin).await, &json!({})).await["state"],
        "active"
    );
    let keys = format!("/dev-centre/{}/api-keys", guide.server.planted.organization);
    for role in ["manager", "member", "viewer"] {
        let email = format!("{role}@acme.example");
        let user = guide.member(&email, role).await;
        let person = guide.by(user).await;
        assert_eq!(guide.refused(&person, &json!({})).await.0, 403, "{role}");
        assert_eq!(problem(person.get("/v1/api-keys").await).0, 403, "{role}");
        let browser = guide.server.browser();
        assert_eq!(
            browser.sign_in(&email, &PASSWORD.0).await.status(),
            StatusCode::SEE_OTHER
        );
        let page = browser.get(&keys).await;
        assert!(
            [StatusCode::FORBIDDEN, StatusCode::NOT_FOUND].contains(&page.status()),
            "{role}: {}",
            page.status()
        );
    }
    let browser = guide.server.signed_in_browser().await;
    assert_eq!(browser.get(&keys).await.status(), StatusCode::OK);
}

/// "On a Business plan you first have to enable the Dev Centre under Settings before any keys appear."
async fn on_business_the_dev_centre_is_switched_on_before_any_keys_appear(db: TestDatabase) {
    // rows 4, 5
    let guide = start(db).await;
    let owner = guide.owner().await;
    let switch = async |enabled: bool| {
        let path = guide.of_organization("/dev-centre");
        let (status, body) = json(
            owner
                .request(reqwest::Method::PUT, &path)
                .json(&json!({"enabled": enabled, "confirm": true})),
        )
        .await;
        assert_eq!(status, StatusCode::OK, "{body}");
    };
    guide.put_on_plan("business").await;
    switch(false).await;
    let (status, code, body) = guide.refused(&owner, &json!({})).await;
    assert!(
        status == 403 && text(&body, "/detail").contains("Dev Centre"),
        "{code}: {body}"
    );
    switch(true).await;
    let key = guide.create(&owner, &json!({})).await;
    assert_eq!(guide.code(&key, "documents:read").await, "valid");
}

/// "If you are on a plan that does not expose the Dev Centre … contact your PandaDoc account manager or their sales team."
async fn essentials_has_no_dev_centre_and_says_whom_to_ask(db: TestDatabase) {
    let guide = start(db).await;
    guide.put_on_plan("essentials").await;
    let (status, _, body) = guide.refused(&guide.owner().await, &json!({})).await;
    assert_eq!(status, 403, "{body}");
    assert!(
        text(&body, "/unlock/contact").contains("account manager or sales"),
        "{body}"
    );
    assert_eq!(
        body["unlock"]["plans"],
        json!(["business", "enterprise"]),
        "{body}"
    );
}

/// "A Production API key requires an active Enterprise (API) plan and approval from PandaDoc."
async fn a_production_key_requires_enterprise_and_approval(db: TestDatabase) {
    // row 6
    let guide = start(db).await;
    let (owner, operator) = (guide.owner().await, Program::operator(&guide.server));
    let (access, production) = (
        guide.of_organization("/production-access"),
        json!({"environment": "production"}),
    );
    let decide = async |decision: &str| {
        let put = operator
            .request(reqwest::Method::PUT, &access)
            .json(&json!({"decision": decision, "reason": "Your use case"}));
        let (status, body) = json(put).await;
        assert_eq!(status, StatusCode::OK, "{body}");
    };
    let live = guide.create(&owner, &production).await;
    guide.put_on_plan("business").await;
    let on = owner
        .request(reqwest::Method::PUT, &guide.of_organization("/dev-centre"))
        .json(&json!({"enabled": true}));
    assert_eq!(json(on).await.0, StatusCode::OK);
    let (status, _, body) = guide.refused(&owner, &production).await;
    assert!(
        status == 403 && text(&body, "/detail").contains("Enterprise"),
        "{body}"
    );
    assert_ne!(
        guide.code(&live, "documents:read").await,
        "valid",
        "what the plan had, it takes away"
    );
    guide.put_on_plan("enterprise").await;
    assert_eq!(
        guide.code(&live, "documents:read").await,
        "valid",
        "coming back revives"
    );
    decide("withdraw").await;
    assert_eq!(guide.refused(&owner, &production).await.0, 403);
    let (status, body) = owner
        .post(
            &access,
            &json!({"use_case": "We send offers from our CRM."}),
        )
        .await;
    assert!(status.is_success(), "{status}: {body}");
    assert_eq!(
        guide.refused(&owner, &production).await.0,
        403,
        "a request alone opens nothing"
    );
    decide("approve").await;
    assert_eq!(
        guide
            .code(&guide.create(&owner, &production).await, "documents:read")
            .await,
        "valid"
    );
}

/// "Keys inherit the permissions of the user who creates them."
async fn keys_inherit_the_permissions_of_the_user_who_creates_them(db: TestDatabase) {
    // row 21
    let guide = start(db).await;
    let ann = guide.member("ann@acme.example", "admin").await;
    let key = guide
        .create(&guide.by(ann).await, &json!({"environment": "production"}))
        .await;
    assert_eq!(guide.code(&key, "webhooks:write").await, "valid");
    let path = format!(
        "/v1/workspaces/{}/members/{ann}",
        guide.server.planted.workspace
    );
    let (status, body) = json(
        guide
            .owner()
            .await
            .request(reqwest::Method::PUT, &path)
            .json(&json!({"role": "viewer"})),
    )
    .await;
    assert_eq!(status, StatusCode::NO_CONTENT, "{body}");
    assert_eq!(guide.code(&key, "webhooks:write").await, "forbidden");
    assert_eq!(guide.code(&key, "documents:read").await, "valid");
}

/// "You create the key …, copy it once, and paste it into the tool."
async fn the_key_is_copied_once(db: TestDatabase) {
    // row 14
    let guide = start(db).await;
    let owner = guide.owner().await;
    let key = guide.create(&owner, &json!({})).await;
    for path in [path_of(&key), "/v1/api-keys".to_owned()] {
        let (status, body) = owner.get(&path).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        assert!(!body.to_string().contains(text(&key, "/secret")), "{path}");
    }
}

/// "The tool sends it on every request as an Authorization header in the form API-Key {your-key}."
async fn the_tool_sends_it_as_api_key(db: TestDatabase) {
    // row 32
    let guide = start(db).await;
    let key = guide.create(&guide.owner().await, &json!({})).await;
    for scheme in ["API-Key", "api-key"] {
        assert_eq!(
            guide.sent_as(scheme, text(&key, "/secret")).await,
            StatusCode::OK,
            "{scheme}"
        );
    }
}

/// "You can revoke it at any time, which immediately cuts off the tool using it without affecting your login."
async fn a_revoked_key_stops_immediately_without_affecting_the_login(db: TestDatabase) {
    // rows 35, 36
    let guide = start(db).await;
    let (owner, browser) = (guide.owner().await, guide.server.signed_in_browser().await);
    let key = guide.create(&owner, &json!({})).await;
    assert_eq!(guide.code(&key, "documents:read").await, "valid");
    assert_eq!(owner.delete(&path_of(&key)).await.0, StatusCode::NO_CONTENT);
    assert_eq!(guide.code(&key, "documents:read").await, "not_found");
    assert_eq!(
        browser.get("/account/applications").await.status(),
        StatusCode::OK,
        "still signed in"
    );
    assert_eq!(
        guide
            .server
            .browser()
            .sign_in(ADMIN, &guide.server.secrets.password)
            .await
            .status(),
        StatusCode::SEE_OTHER
    );
}

/// "To rotate without downtime, generate a new key, update the tool to use it, then delete the old one."
async fn rotation_without_downtime(db: TestDatabase) {
    // row 37
    let guide = start(db).await;
    let owner = guide.owner().await;
    let old = guide
        .create(&owner, &json!({"environment": "production"}))
        .await;
    let new = guide
        .create(
            &owner,
            &json!({"environment": "production", "name": "The next"}),
        )
        .await;
    for key in [&old, &new] {
        assert_eq!(
            guide.code(key, "documents:read").await,
            "valid",
            "both work while the tool is updated"
        );
    }
    assert_eq!(owner.delete(&path_of(&old)).await.0, StatusCode::NO_CONTENT);
    assert_eq!(
        (
            guide.code(&old, "documents:read").await,
            guide.code(&new, "documents:read").await
        ),
        ("not_found".to_owned(), "valid".to_owned())
    );
    let (status, rotated) = owner
        .post(
            &format!("{}/rotate", path_of(&new)),
            &json!({"grace_seconds": 600}),
        )
        .await;
    assert_eq!(
        (status, &rotated["id"]),
        (StatusCode::CREATED, &new["id"]),
        "{rotated}"
    );
    for key in [&new, &rotated] {
        assert_eq!(
            guide.code(key, "documents:read").await,
            "valid",
            "the old secret has its grace"
        );
    }
    guide.server.clock.step_seconds(601);
    assert_ne!(guide.code(&new, "documents:read").await, "valid");
    assert_eq!(guide.code(&rotated, "documents:read").await, "valid");
}

/// "PandaDoc automatically deactivates any keys a user created if that user is removed from the workspace."
async fn the_keys_of_a_user_who_is_removed_are_deactivated(db: TestDatabase) {
    // row 27
    let guide = start(db).await;
    let (owner, ann) = (
        guide.owner().await,
        guide.member("ann@acme.example", "admin").await,
    );
    let key = guide.create(&guide.by(ann).await, &json!({})).await;
    let path = format!(
        "/v1/workspaces/{}/members/{ann}",
        guide.server.planted.workspace
    );
    let (status, body) = owner.delete(&path).await;
    assert!(status.is_success(), "{status}: {body}");
    assert_ne!(guide.code(&key, "documents:read").await, "valid");
    assert_eq!(owner.get(&path_of(&key)).await.1["state"], "deactivated");
    tenants::join_workspace(&guide.server, guide.server.planted.workspace, ann, "admin").await;
    assert_ne!(
        guide.code(&key, "documents:read").await,
        "valid",
        "coming back does not revive"
    );
}

/// "You can give the developer read-only viewer access to your workspace."
async fn a_developer_gets_read_only_viewer_access_instead_of_a_key(db: TestDatabase) {
    // row 9, A1
    let guide = start(db).await;
    let invitation = json!({
        "email": "dev@partner.example", "role": "member", "licence": "read_only", "member_ends_at": "2026-12-20T00:00:00Z",
        "workspaces": [{"workspace": guide.server.planted.workspace, "role": "viewer"}],
    });
    let (status, invited) = guide
        .owner()
        .await
        .post("/v1/invitations", &invitation)
        .await;
    assert_eq!(
        (status, &invited["licence"]),
        (StatusCode::CREATED, &json!("read_only")),
        "{invited}"
    );
    assert!(
        text(&invited, "/link").starts_with(&guide.server.base),
        "{invited}"
    );
    let dev = tenants::member(
        &guide.server,
        "dev@partner.example",
        OrganizationRole::Member,
    )
    .await;
    tenants::join_workspace(&guide.server, guide.server.planted.workspace, dev, "viewer").await;
    let refused = guide.refused(&guide.by(dev).await, &json!({})).await;
    assert_eq!(refused.0, 403, "a viewer makes no keys");
    let ground = tenants::Key {
        environment: guide.environment(),
        ..tenants::Key::of(&guide.server, dev)
    };
    let token = tenants::token(
        &guide.server,
        guide.server.planted.application,
        ground,
        "read write",
    )
    .await
    .token;
    for (permission, code) in [
        ("documents:read", "valid"),
        ("documents:write", "forbidden"),
    ] {
        assert_eq!(
            guide
                .server
                .verify(json!({"credential": token, "permission": permission}))
                .await["code"],
            code,
            "{permission}"
        );
    }
    assert_eq!(
        guide
            .server
            .verify(json!({"credential": own_token(&guide.server).await}))
            .await["code"],
        "valid",
        "an application is as it was"
    );
}
