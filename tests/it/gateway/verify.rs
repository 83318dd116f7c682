//! `POST /v1/verify` (DESIGN §5): one answer to every authenticated resource server, and the right error to everybody else.

use countersign::crypto::format::mint_key;
use countersign::domain::people::accounts;
use countersign::types::environment::Environment;
use countersign::types::state::ObligationKind;
use countersign::types::state::{OrganizationRole, OrganizationState, ProductionAccess, UserState};
use reqwest::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::databases::{TestDatabase, both_databases};
use crate::server::{NOON, Server, json};
use crate::tenants::{self, Key, admin, key, member, own_token, verify_as};

both_databases!(
    every_field_of_the_answer_is_as_documented,
    without_a_permission_the_question_is_liveness,
    without_a_workspace_it_must_hold_in_all_of_the_credentials,
    a_workspace_that_is_not_reached_is_forbidden_whether_or_not_it_exists,
    another_environment_is_named,
    a_resource_server_of_one_environment_knows_no_other,
    sending_in_sandbox_needs_the_recipients,
    every_refused_recipient_is_listed_with_its_reason,
    what_the_resource_server_does_not_enforce_refuses,
    production_obliges_to_nothing,
    without_a_name_the_obligation_is_the_prefix,
    ten_sandbox_requests_a_minute_are_shared_over_the_owners_keys,
    a_refused_request_consumes_nothing,
    until_a_domain_is_verified_own_means_the_members_addresses,
    a_suspended_member_is_no_recipient_from_then_on,
    suspension_is_named,
    an_expired_key_is_named,
    a_production_key_waits_while_production_is_withdrawn,
    an_unknown_permission_is_the_callers_mistake,
    a_body_that_is_not_the_question_is_400,
    a_wrong_content_type_is_415_and_a_large_body_413,
    only_a_resource_server_may_ask,
    a_near_miss_of_a_key_is_not_found,
    no_answer_repeats_the_credential,
);

async fn every_field_of_the_answer_is_as_documented(db: TestDatabase) {
    let server = Server::start(db).await;
    let (planted, owner) = (&server.planted, admin(&server).await);
    let question = json!({
        "credential": server.secrets.sandbox_key, "permission": "documents:send", "workspace": planted.workspace, "environment": "sandbox",
        "method": "POST", "path": "/v1/documents/7/send", "client_ip": "192.0.2.7", "document_name": "Offer",
        "recipients": ["bob@acme.example"],
    });
    let mut answer = server.verify(question).await;
    let key_id = answer["credential"]["id"].take();
    assert!(
        key_id.as_str().is_some_and(|id| id.starts_with("key_")),
        "{key_id}"
    );
    let permissions = server.app.settings.catalogue.names(
        server.app.settings.catalogue.all()
            & !server.app.settings.catalogue.management()
            & !server.app.settings.catalogue.organization(),
    );
    let expected = json!({
        "allowed": true, "code": "valid", "credential": {"kind": "api_key", "id": null, "name": "Quickstart (Sandbox)"},
        "environment": "sandbox", "organization": planted.organization, "workspaces": [planted.workspace],
        "actor": {"id": owner, "kind": "person", "name": "Ada Admin"}, "permissions": permissions,
        "obligations": {
            "document_name": "[DEV] Offer", "watermark": {"text": "SANDBOX - NOT FOR PRODUCTION USE"},
            "recipients": {"domains": ["acme.example"], "include_subdomains": false},
        },
        "limits": [{"policy": "owner", "limit": 10, "remaining": 9, "reset_seconds": 60}], "expires_at": null,
    });
    assert_eq!(answer, expected);
    let token = own_token(&server).await;
    let answer = server.verify(json!({"credential": token})).await;
    assert_eq!(
        (&answer["code"], &answer["credential"]["kind"]),
        (&json!("valid"), &json!("access_token"))
    );
    assert_eq!(
        (&answer["actor"]["kind"], &answer["credential"]["name"]),
        (&json!("service_account"), &json!("Example CRM"))
    );
    assert_eq!(
        answer["expires_at"]
            .as_str()
            .map(|end| end > NOON.rfc3339().as_str()),
        Some(true),
        "{answer}"
    );
}

async fn without_a_permission_the_question_is_liveness(db: TestDatabase) {
    let server = Server::start(db).await;
    let answer = server
        .verify(json!({"credential": server.secrets.sandbox_key}))
        .await;
    assert_eq!(
        (&answer["allowed"], &answer["code"]),
        (&json!(true), &json!("valid"))
    );
    let nulls = json!({"credential": server.secrets.production_key, "permission": null, "workspace": null, "environment": null, "recipients": null});
    assert_eq!(server.verify(nulls).await["code"], "valid");
}

/// A member who manages the planted workspace and only views another, with a key for both.
async fn two_roles(server: &Server) -> (String, countersign::types::id::WorkspaceId) {
    let viewed = tenants::workspace(server, "Archive").await;
    let user = member(server, "mia@acme.example", OrganizationRole::Member).await;
    tenants::join_workspace(server, server.planted.workspace, user, "manager").await;
    tenants::join_workspace(server, viewed, user, "viewer").await;
    let both = Some(vec![server.planted.workspace, viewed]);
    (
        key(
            server,
            Key {
                workspaces: both,
                ..Key::of(server, user).production()
            },
        )
        .await
        .secret,
        viewed,
    )
}

async fn without_a_workspace_it_must_hold_in_all_of_the_credentials(db: TestDatabase) {
    let server = Server::start(db).await;
    let (secret, viewed) = two_roles(&server).await;
    let managed = server.planted.workspace;
    for (permission, workspace, code) in [
        ("documents:read", None, "valid"),
        ("documents:write", None, "forbidden"),
        ("documents:write", Some(managed), "valid"),
        ("documents:write", Some(viewed), "forbidden"),
        ("documents:read", Some(viewed), "valid"),
        ("webhooks:read", None, "forbidden"),
    ] {
        let answer = server
            .verify(json!({"credential": secret, "permission": permission, "workspace": workspace}))
            .await;
        assert_eq!(answer["code"], code, "{permission} in {workspace:?}");
    }
    let answer = server
        .verify(json!({"credential": secret, "workspace": viewed}))
        .await;
    assert_eq!(
        answer["permissions"],
        json!([
            "documents:read",
            "documents:download",
            "recipients:read",
            "templates:read",
            "contacts:read"
        ])
    );
}

async fn a_workspace_that_is_not_reached_is_forbidden_whether_or_not_it_exists(db: TestDatabase) {
    let server = Server::start(db).await;
    let own = tenants::workspace(&server, "Archive").await;
    let (_, _, foreign) = tenants::organization(&server, "zoe@other.example").await;
    let unknown = countersign::types::id::WorkspaceId::generate(NOON);
    let mut answers = Vec::new();
    for workspace in [own, foreign, unknown] {
        let ask = json!({"credential": server.secrets.production_key, "workspace": workspace});
        answers.push(server.verify(ask).await);
        assert_eq!(answers[0]["code"], "forbidden");
        let ask = json!({"credential": server.secrets.production_key, "workspace": workspace, "permission": "documents:read"});
        assert_eq!(server.verify(ask).await["code"], "forbidden");
    }
    assert!(
        answers[0] == answers[1] && answers[1] == answers[2],
        "{answers:?}"
    );
}

async fn another_environment_is_named(db: TestDatabase) {
    let server = Server::start(db).await;
    for (credential, environment) in [
        (&server.secrets.sandbox_key, "production"),
        (&server.secrets.production_key, "sandbox"),
    ] {
        let answer = server
            .verify(json!({"credential": credential, "environment": environment}))
            .await;
        assert_eq!(
            (&answer["allowed"], &answer["code"]),
            (&json!(false), &json!("wrong_environment"))
        );
    }
}

async fn a_resource_server_of_one_environment_knows_no_other(db: TestDatabase) {
    // C12: each environment may have an API of its own
    let server = Server::start(db).await;
    let live = tenants::resource_server(&server, Some(Environment::Production), &[]).await;
    assert_eq!(
        verify_as(
            &server,
            &live,
            json!({"credential": server.secrets.production_key})
        )
        .await["code"],
        "valid"
    );
    // asking for the other one does not open it
    for environment in [None, Some("sandbox")] {
        let ask = json!({"credential": server.secrets.sandbox_key, "environment": environment});
        assert_eq!(
            verify_as(&server, &live, ask).await["code"],
            "wrong_environment"
        );
    }
}

async fn sending_in_sandbox_needs_the_recipients(db: TestDatabase) {
    let server = Server::start(db).await;
    for recipients in [json!(null), json!([])] {
        let ask = |credential: &str| json!({"credential": credential, "permission": "documents:send", "recipients": recipients});
        assert_eq!(
            server.verify(ask(&server.secrets.sandbox_key)).await["code"],
            "recipients_required"
        );
        assert_eq!(
            server.verify(ask(&server.secrets.production_key)).await["code"],
            "valid"
        );
    }
}

async fn every_refused_recipient_is_listed_with_its_reason(db: TestDatabase) {
    let server = Server::start(db).await;
    let recipients = [
        "bob@acme.example",
        "eve@elsewhere.example",
        "x@gmail.com",
        "nobody",
        "mallory@elsewhere.example, bob@acme.example",
        "a\r\nb@acme.example",
    ];
    let ask = json!({"credential": server.secrets.sandbox_key, "permission": "documents:send", "recipients": recipients});
    let answer = server.verify(ask).await;
    assert_eq!(
        (&answer["code"], &answer["obligations"]),
        (&json!("recipient_not_allowed"), &json!({}))
    );
    let refused = answer["refused_recipients"].as_array().expect("a list");
    let addresses: Vec<&str> = refused
        .iter()
        .filter_map(|entry| entry["address"].as_str())
        .collect();
    assert_eq!(
        addresses[..3],
        ["eve@elsewhere.example", "x@gmail.com", "nobody"]
    );
    assert_eq!(
        (refused.len(), &refused[0]["reason"], &refused[1]["reason"]),
        (5, &json!("not_own_domain"), &json!("free_mail_domain"))
    );
    assert!(
        addresses
            .iter()
            .all(|address| !address.contains(['\r', '\n'])),
        "{addresses:?}"
    );
    // whatever the permission: who tells recipients is told about them
    let ask =
        json!({"credential": server.secrets.sandbox_key, "recipients": ["eve@elsewhere.example"]});
    assert_eq!(server.verify(ask).await["code"], "recipient_not_allowed");
    let ask = json!({"credential": server.secrets.production_key, "permission": "documents:send", "recipients": recipients});
    assert_eq!(server.verify(ask).await["code"], "valid");
}

async fn what_the_resource_server_does_not_enforce_refuses(db: TestDatabase) {
    use ObligationKind::{DocumentName, Recipients, Watermark};
    let server = Server::start(db).await;
    let refused = "obligation_not_supported";
    let all = json!(["document_name", "watermark", "recipients"]);
    for (enforces, code, missing) in [
        (&[][..], refused, all),
        (
            &[DocumentName, Watermark][..],
            refused,
            json!(["recipients"]),
        ),
        (
            &[DocumentName, Recipients][..],
            refused,
            json!(["watermark"]),
        ),
        (
            &[Watermark, Recipients][..],
            refused,
            json!(["document_name"]),
        ),
        (
            &[Watermark, Recipients, DocumentName][..],
            "valid",
            json!(null),
        ),
    ] {
        let api = tenants::resource_server(&server, None, enforces).await;
        let answer = verify_as(
            &server,
            &api,
            json!({"credential": server.secrets.sandbox_key, "permission": "documents:read"}),
        )
        .await;
        assert_eq!(answer["code"], code, "{enforces:?}");
        assert_eq!(answer["missing_obligations"], missing, "{answer}");
        assert_eq!(
            answer["obligations"] == json!({}),
            code != "valid",
            "{answer}"
        );
        // Production carries none, so nothing has to be enforced
        let live =
            json!({"credential": server.secrets.production_key, "permission": "documents:send"});
        assert_eq!(verify_as(&server, &api, live).await["code"], "valid");
    }
}

async fn production_obliges_to_nothing(db: TestDatabase) {
    let server = Server::start(db).await;
    let ask = json!({
        "credential": server.secrets.production_key, "permission": "documents:send", "document_name": "Offer", "recipients": ["eve@elsewhere.example"],
    });
    let answer = server.verify(ask).await;
    assert_eq!(
        (&answer["code"], &answer["obligations"]),
        (&json!("valid"), &json!({}))
    );
}

async fn without_a_name_the_obligation_is_the_prefix(db: TestDatabase) {
    let server = Server::start(db).await;
    let answer = server
        .verify(json!({"credential": server.secrets.sandbox_key, "permission": "documents:write"}))
        .await;
    assert_eq!(answer["obligations"]["document_name_prefix"], "[DEV] ");
    assert!(answer["obligations"].get("document_name").is_none());
    let answer = server
        .verify(json!({"credential": server.secrets.sandbox_key, "document_name": "[DEV] Offer"}))
        .await;
    assert_eq!(answer["obligations"]["document_name"], "[DEV] Offer");
    assert!(answer["obligations"].get("document_name_prefix").is_none());
}

async fn ten_sandbox_requests_a_minute_are_shared_over_the_owners_keys(db: TestDatabase) {
    // row 45
    let server = Server::start(db).await;
    let owner = admin(&server).await;
    let second = key(&server, Key::of(&server, owner)).await.secret;
    let other_owner = member(&server, "cole@acme.example", OrganizationRole::Admin).await;
    let others = key(&server, Key::of(&server, other_owner)).await.secret;
    let ask = async |credential: &str| {
        server
            .verify(json!({"credential": credential, "permission": "documents:read"}))
            .await
    };
    for number in 0..10 {
        let answer = ask(if number % 2 == 0 {
            &second
        } else {
            &server.secrets.sandbox_key
        })
        .await;
        assert_eq!(
            (&answer["code"], &answer["limits"][0]["remaining"]),
            (&json!("valid"), &json!(9 - number))
        );
        server.clock.step_seconds(1);
    }
    for credential in [&second, &server.secrets.sandbox_key] {
        let answer = ask(credential).await;
        assert_eq!(
            (&answer["allowed"], &answer["code"]),
            (&json!(false), &json!("rate_limited"))
        );
        assert_eq!(
            (&answer["violated_policies"], &answer["retry_after_seconds"]),
            (&json!(["owner"]), &json!(50))
        );
        assert_eq!(answer["obligations"], json!({}));
    }
    // neither another owner's nor Production
    assert_eq!(ask(&others).await["code"], "valid");
    for _ in 0..30 {
        assert_eq!(ask(&server.secrets.production_key).await["code"], "valid");
    }
    // the window slides: one leaves a second
    server.clock.step_seconds(50);
    assert_eq!(ask(&second).await["code"], "valid");
    assert_eq!(ask(&second).await["code"], "rate_limited");
    server.clock.step_seconds(1);
    assert_eq!(ask(&server.secrets.sandbox_key).await["code"], "valid");
}

async fn a_refused_request_consumes_nothing(db: TestDatabase) {
    let server = Server::start(db).await;
    let credential = &server.secrets.sandbox_key;
    for _ in 0..5 {
        for refused in [
            json!({"credential": credential, "permission": "workspaces:manage"}),
            json!({"credential": credential, "permission": "documents:send"}),
            json!({"credential": credential, "recipients": ["eve@elsewhere.example"]}),
            json!({"credential": credential, "environment": "production"}),
        ] {
            assert_eq!(server.verify(refused).await["allowed"], false);
        }
        let wrong = server
            .as_resource_server("/v1/verify")
            .json(&json!({"credential": credential, "permission": "nothing"}))
            .send()
            .await;
        assert_eq!(wrong.expect("an answer").status(), StatusCode::BAD_REQUEST);
    }
    for number in 0..14 {
        let answer = server.verify(json!({"credential": credential})).await;
        assert_eq!(
            answer["code"],
            if number < 10 { "valid" } else { "rate_limited" }
        );
    }
    // of those above the quota nothing was taken either: the ten leave together
    server.clock.step_seconds(60);
    assert_eq!(
        server.verify(json!({"credential": credential})).await["limits"][0]["remaining"],
        9
    );
}

async fn until_a_domain_is_verified_own_means_the_members_addresses(db: TestDatabase) {
    let server = Server::start(db).await;
    let (organization, owner, workspace) =
        tenants::organization(&server, "zoe@other.example").await;
    let secret = key(
        &server,
        Key {
            organization,
            workspaces: Some(vec![workspace]),
            ..Key::of(&server, owner)
        },
    )
    .await
    .secret;
    let ask = |recipients: &[&str]| json!({"credential": secret, "permission": "documents:send", "recipients": recipients});
    let allowed = server.verify(ask(&["Zoe <ZOE@other.example>"])).await;
    assert_eq!(
        (&allowed["code"], &allowed["obligations"]["recipients"]),
        (
            &json!("valid"),
            &json!({"addresses": ["zoe@other.example"]})
        )
    );
    let refused = server
        .verify(ask(&["zoe@other.example", "sam@other.example"]))
        .await;
    assert_eq!(
        refused["refused_recipients"],
        json!([{"address": "sam@other.example", "reason": "no_domain_verified"}])
    );
    let domain = countersign::types::email::Domain::parse("other.example").expect("a domain");
    server
        .write(move |tx| Ok(accounts::add_verified_domain(tx, organization, &domain)?))
        .await;
    assert_eq!(
        server.verify(ask(&["sam@other.example"])).await["code"],
        "valid"
    );
}

async fn a_suspended_member_is_no_recipient_from_then_on(db: TestDatabase) {
    let server = Server::start(db).await;
    let (organization, owner, workspace) =
        tenants::organization(&server, "zoe@other.example").await;
    let sam = tenants::person(&server, "sam@other.example", false).await;
    tenants::join(&server, organization, sam, OrganizationRole::Member).await;
    let secret = key(
        &server,
        Key {
            organization,
            workspaces: Some(vec![workspace]),
            ..Key::of(&server, owner)
        },
    )
    .await
    .secret;
    let ask = || json!({"credential": secret, "permission": "documents:send", "recipients": ["sam@other.example"]});
    assert_eq!(server.verify(ask()).await["code"], "valid");
    server
        .write(move |tx| Ok(tx.change_user_state(sam, UserState::Active, UserState::Suspended)?))
        .await;
    assert_eq!(server.verify(ask()).await["code"], "recipient_not_allowed");
}

async fn suspension_is_named(db: TestDatabase) {
    let server = Server::start(db).await;
    let (organization, owner) = (server.planted.organization, admin(&server).await);
    let code = async || {
        server
            .verify(json!({"credential": server.secrets.production_key}))
            .await["code"]
            .clone()
    };
    assert_eq!(code().await, "valid");
    server
        .write(move |tx| {
            Ok(tx.change_organization_state(
                organization,
                OrganizationState::Active,
                OrganizationState::Suspended,
            )?)
        })
        .await;
    assert_eq!(code().await, "suspended");
    server
        .write(move |tx| {
            Ok(tx.change_organization_state(
                organization,
                OrganizationState::Suspended,
                OrganizationState::Active,
            )?)
        })
        .await;
    assert_eq!(code().await, "valid");
    server
        .write(move |tx| {
            Ok(tx.change_user_state(owner, UserState::Active, UserState::Suspended)?)
        })
        .await;
    assert_eq!(code().await, "suspended");
}

async fn an_expired_key_is_named(db: TestDatabase) {
    let server = Server::start(db).await;
    let expires_at = Some(NOON.plus_seconds(60));
    let secret = key(
        &server,
        Key {
            expires_at,
            ..Key::of(&server, admin(&server).await)
        },
    )
    .await
    .secret;
    let answer = server.verify(json!({"credential": secret})).await;
    assert_eq!(
        (&answer["code"], &answer["expires_at"]),
        (&json!("valid"), &json!("2026-11-20T12:01:00.000Z"))
    );
    server.clock.step_seconds(59);
    assert_eq!(
        server.verify(json!({"credential": secret})).await["code"],
        "valid"
    );
    server.clock.step_seconds(1);
    let answer = server.verify(json!({"credential": secret})).await;
    assert_eq!(
        (&answer["allowed"], &answer["code"]),
        (&json!(false), &json!("expired"))
    );
}

async fn a_production_key_waits_while_production_is_withdrawn(db: TestDatabase) {
    let server = Server::start(db).await;
    let organization = server.planted.organization;
    let code = async |credential: &str| {
        server.verify(json!({"credential": credential})).await["code"].clone()
    };
    assert_eq!(code(&server.secrets.production_key).await, "valid");
    server
        .write(move |tx| {
            Ok(tx.change_production_access(
                organization,
                ProductionAccess::Approved,
                ProductionAccess::Withdrawn,
            )?)
        })
        .await;
    assert_eq!(code(&server.secrets.production_key).await, "plan_required");
    assert_eq!(code(&server.secrets.sandbox_key).await, "valid");
    server
        .write(move |tx| {
            Ok(tx.change_production_access(
                organization,
                ProductionAccess::Withdrawn,
                ProductionAccess::Approved,
            )?)
        })
        .await;
    assert_eq!(code(&server.secrets.production_key).await, "valid");
}

async fn an_unknown_permission_is_the_callers_mistake(db: TestDatabase) {
    let server = Server::start(db).await;
    for credential in [server.secrets.sandbox_key.as_str(), "nobody's"] {
        for permission in ["documents:rad", "", "DOCUMENTS:READ", "documents:read "] {
            let response = server
                .as_resource_server("/v1/verify")
                .json(&json!({"credential": credential, "permission": permission}));
            let (status, body) = json(response.send().await.expect("an answer")).await;
            assert_eq!(
                (status, &body["code"]),
                (StatusCode::BAD_REQUEST, &json!("unknown_permission")),
                "{permission:?}"
            );
            assert!(
                body["permissions"]
                    .as_array()
                    .is_some_and(|known| known.contains(&json!("documents:read")))
            );
        }
    }
}

async fn send(server: &Server, content_type: &str, body: impl Into<reqwest::Body>) -> Response {
    server
        .as_resource_server("/v1/verify")
        .header(CONTENT_TYPE, content_type)
        .body(body)
        .send()
        .await
        .expect("an answer")
}

async fn a_body_that_is_not_the_question_is_400(db: TestDatabase) {
    let server = Server::start(db).await;
    let key = &server.secrets.sandbox_key;
    let mut bodies: Vec<Vec<u8>> = [
        String::new(),
        "{".to_owned(),
        "null".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        format!("\"{key}\""),
        format!(r#"{{"credential": "{key}""#),
        format!(r#"{{"credential": "{key}"}} x"#),
        format!(r#"{{"credential": "{key}", "credential": "{key}"}}"#),
        format!(r#"{{"credential": "{key}", "permission": "documents:read", "permission": "documents:send"}}"#),
        format!(r#"{{"credential": "{key}", "permisson": "documents:read"}}"#),
        format!(r#"{{"credential": ["{key}"]}}"#),
        r#"{"credential": 1}"#.to_owned(),
        r#"{"credential": null}"#.to_owned(),
        format!(r#"{{"credential": "{key}", "permission": ["documents:read"]}}"#),
        format!(r#"{{"credential": "{key}", "recipients": "bob@acme.example"}}"#),
        format!(r#"{{"credential": "{key}", "recipients": [null]}}"#),
        format!(r#"{{"credential": "{key}", "workspace": "{}"}}"#, server.planted.organization),
        format!(r#"{{"credential": "{key}", "workspace": ""}}"#),
        format!(r#"{{"credential": "{key}", "environment": "Sandbox"}}"#),
        format!(r#"{{"credential": "{key}", "client_ip": "localhost"}}"#),
        format!(r#"{{"credential": "{key}", "document_name": "{}"}}"#, "x".repeat(9 * 1024)),
        format!(r#"{{"credential": "{key}", "recipients": [{}"a@acme.example"]}}"#, r#""a@acme.example", "#.repeat(500)),
        format!(r#"{{"credential": "{key}", "document_name": {}}}"#, "[".repeat(10_000)),
    ]
    .into_iter()
    .map(String::into_bytes)
    .collect();
    // invalid UTF-8, a lone surrogate, a NUL between the tokens
    bodies.push(b"{\"credential\": \"\xff\xfe\"}".to_vec());
    bodies.push(br#"{"credential": "\ud800"}"#.to_vec());
    bodies.push(b"{\"credential\":\0 \"x\"}".to_vec());
    for body in bodies {
        let shown = String::from_utf8_lossy(&body[..body.len().min(120)]).into_owned();
        let (status, answer) = json(send(&server, "application/json", body).await).await;
        assert_eq!(
            (status, &answer["code"]),
            (StatusCode::BAD_REQUEST, &json!("invalid_request")),
            "{shown}"
        );
        assert_eq!(answer["status"], 400);
        assert!(
            answer["request_id"]
                .as_str()
                .is_some_and(|id| id.starts_with("req_")),
            "{answer}"
        );
    }
    // a NUL inside a value is a value, and nobody's
    assert_eq!(
        server
            .verify(json!({"credential": format!("{key}\0")}))
            .await["code"],
        "not_found"
    );
    // nothing of all that was counted
    assert_eq!(
        server.verify(json!({"credential": key})).await["limits"][0]["remaining"],
        9
    );
}

async fn a_wrong_content_type_is_415_and_a_large_body_413(db: TestDatabase) {
    let server = Server::start(db).await;
    let question = json!({"credential": server.secrets.sandbox_key}).to_string();
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonp",
        "application/json, text/plain",
    ] {
        let (status, body) = json(send(&server, content_type, question.clone()).await).await;
        assert_eq!(
            (status, &body["code"]),
            (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                &json!("unsupported_media_type")
            ),
            "{content_type}"
        );
    }
    let bare = server
        .as_resource_server("/v1/verify")
        .body(question.clone())
        .send()
        .await
        .expect("an answer");
    assert_eq!(bare.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let two = server
        .as_resource_server("/v1/verify")
        .header(CONTENT_TYPE, "application/json")
        .header(CONTENT_TYPE, "text/plain");
    assert_eq!(
        two.body(question.clone())
            .send()
            .await
            .expect("an answer")
            .status(),
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    );
    for content_type in ["Application/JSON", "application/json; charset=utf-8"] {
        assert_eq!(
            send(&server, content_type, question.clone()).await.status(),
            StatusCode::OK,
            "{content_type}"
        );
    }
    let padded = format!(
        "{question}{}",
        " ".repeat(server.app.config.server.max_body_bytes)
    );
    let (status, body) = json(send(&server, "application/json", padded).await).await;
    assert_eq!(
        (status, &body["code"]),
        (StatusCode::PAYLOAD_TOO_LARGE, &json!("payload_too_large"))
    );
}

async fn only_a_resource_server_may_ask(db: TestDatabase) {
    let server = Server::start(db).await;
    let (id, secret) = (
        server.planted.resource_server,
        server.secrets.resource_server_secret.clone(),
    );
    let question = json!({"credential": server.secrets.sandbox_key});
    let unknown = countersign::types::id::ResourceServerId::generate(NOON);
    let changed = format!(
        "{}{}",
        &secret[..secret.len() - 1],
        if secret.ends_with('a') { 'b' } else { 'a' }
    );
    let basics = [
        (id.to_string(), changed),
        (id.to_string(), String::new()),
        (unknown.to_string(), secret.clone()),
        ("nobody".to_owned(), secret.clone()),
        (
            server.planted.application.to_string(),
            server.secrets.client_secret.clone(),
        ),
        (format!("{id}\0"), secret.clone()),
    ];
    let mut requests: Vec<_> = basics
        .iter()
        .map(|(id, secret)| server.post("/v1/verify").basic_auth(id, Some(secret)))
        .collect();
    requests.push(server.post("/v1/verify"));
    requests.push(
        server
            .post("/v1/verify")
            .bearer_auth(&server.secrets.sandbox_key),
    );
    requests.push(server.post("/v1/verify").header("Authorization", "Basic !"));
    for request in requests {
        let response = request.json(&question).send().await.expect("an answer");
        assert_eq!(
            response
                .headers()
                .get(WWW_AUTHENTICATE)
                .expect("a challenge"),
            "Basic realm=\"countersign\", charset=\"UTF-8\""
        );
        let (status, body) = json(response).await;
        assert_eq!(
            (status, &body["code"]),
            (StatusCode::UNAUTHORIZED, &json!("resource_server_required"))
        );
    }
    // a credential of another kind beside it
    let two = server
        .as_resource_server("/v1/verify")
        .bearer_auth(&server.secrets.sandbox_key)
        .json(&question)
        .send()
        .await
        .expect("an answer");
    assert_eq!(two.status(), StatusCode::BAD_REQUEST);
}

async fn a_near_miss_of_a_key_is_not_found(db: TestDatabase) {
    let server = Server::start(db).await;
    let key = &server.secrets.production_key;
    let mut misses: Vec<String> = (0..key.len())
        .map(|at| {
            let other = if &key[at..=at] == "x" { "y" } else { "x" };
            format!("{}{other}{}", &key[..at], &key[at + 1..])
        })
        .collect();
    misses.extend([
        key[..key.len() - 1].to_owned(),
        format!("{key}0"),
        format!(" {key}"),
        format!("{key}\n"),
        key.to_uppercase(),
        String::new(),
    ]);
    misses.push(key.replacen("cs_production", "cs_sandbox", 1));
    // well-formed, with a right checksum, and nobody's
    misses.extend(
        ["cs", "sk", "cs_x"].map(|prefix| mint_key(prefix, "production").1.expose().to_owned()),
    );
    misses.extend([
        "a.b.c".to_owned(),
        "cs_at_".to_owned(),
        "ä".repeat(40),
        "x".repeat(20_000),
    ]);
    let unknown = server.verify(json!({"credential": "nobody's"})).await;
    let told = json!({"allowed": false, "code": "not_found", "reason": "invalid_credential", "http_status": 401, "obligations": {}, "limits": []});
    assert_eq!(unknown, told);
    for miss in misses {
        assert_eq!(
            server.verify(json!({"credential": miss})).await,
            unknown,
            "{miss}"
        );
    }
    assert_eq!(
        server.verify(json!({"credential": key})).await["code"],
        "valid"
    );
}

async fn no_answer_repeats_the_credential(db: TestDatabase) {
    // field notes, row 62
    let server = Server::start(db).await;
    let key = server.secrets.sandbox_key.as_str();
    let secret = &key[key.len() - 38..];
    let misplaced: [Value; 9] = [
        json!({"credential": key}),
        json!({ "credential": [key] }),
        json!({"credential": "x", "environment": key}),
        json!({"credential": "x", "workspace": key}),
        json!({"credential": "x", "client_ip": key}),
        json!({"credential": "x", "permission": key}),
        json!({"credential": "x", "recipients": {key: key}}),
        json!({key: "credential"}),
        json!(key),
    ];
    for body in misplaced {
        let answer = send(&server, "application/json", body.to_string())
            .await
            .text()
            .await
            .expect("text");
        assert!(!answer.contains(secret), "{answer}");
    }
    let in_url = server
        .as_resource_server(&format!("/v1/verify?credential={key}"))
        .json(&json!({"credential": key}));
    assert!(
        !in_url
            .send()
            .await
            .expect("an answer")
            .text()
            .await
            .expect("text")
            .contains(secret)
    );
}
