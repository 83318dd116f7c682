//! `POST /v1/verify` with `"explain": true`: what each factor says, and what the vendor's API should answer.

use std::collections::BTreeMap;

use countersign::app::Lookup;
use countersign::config::{Config, Errors, ForeignWorkspace, Per, QuotaEntry, Rate};
use countersign::domain;
use countersign::domain::decision::access::Access;
use countersign::domain::decision::check::{DecisionCode, Question};
use countersign::domain::decision::factors::{Cause, Factor, Reason};
use countersign::types::id::WorkspaceId;
use countersign::types::state::{
    ApiKeyState, Licence, OrganizationRole, PermissionLevel, ProductionAccess, Simulation,
};
use serde_json::{Value, json};

use crate::databases::{TestDatabase, both_databases};
use crate::server::{NOON, Server};
use crate::tenants::{self, Key, admin, key, member, verify_as};

both_databases!(
    each_factor_is_named_in_order_and_the_first_that_refuses_is_the_cause,
    nothing_is_told_of_a_credential_that_is_not_known,
    explaining_leaves_no_trace,
    a_refusal_says_why_and_what_to_answer,
    a_foreign_workspace_reads_as_the_configuration_says,
    a_simulation_reads_like_the_real_thing_and_is_explained,
    a_limit_without_room_is_named,
);

const FACTORS: [&str; 13] = [
    "credential",
    "suspension",
    "environment",
    "plan",
    "simulation",
    "workspace",
    "licence",
    "role",
    "permission_level",
    "scopes",
    "kind",
    "sandbox_policy",
    "limits",
];

async fn explain(server: &Server, credential: &str, mut question: Value) -> Value {
    question["credential"] = json!(credential);
    question["explain"] = json!(true);
    server.verify(question).await
}

/// The factors that do not allow.
fn refusing(answer: &Value) -> Vec<&str> {
    let steps = answer["explanation"].as_array().expect("a list");
    assert_eq!(
        steps
            .iter()
            .map(|step| step["factor"].as_str().expect("a word"))
            .collect::<Vec<_>>(),
        FACTORS
    );
    assert!(
        steps.iter().all(|step| step["detail"]
            .as_str()
            .is_some_and(|text| text.ends_with('.'))),
        "{steps:?}"
    );
    steps
        .iter()
        .filter(|step| step["allows"] == false)
        .filter_map(|step| step["factor"].as_str())
        .collect()
}

fn why(answer: &Value) -> (&str, &str, u64) {
    let word = |name: &str| answer[name].as_str().unwrap_or_default();
    (
        word("code"),
        word("reason"),
        answer["http_status"].as_u64().unwrap_or_default(),
    )
}

async fn each_factor_is_named_in_order_and_the_first_that_refuses_is_the_cause(db: TestDatabase) {
    let server = Server::start(db).await;
    let answer = explain(
        &server,
        &server.secrets.production_key,
        json!({"permission": "documents:write"}),
    )
    .await;
    assert_eq!(
        (&answer["allowed"], &answer["refused_by"], refusing(&answer)),
        (&json!(true), &Value::Null, vec![])
    );
    assert!(
        answer.get("reason").is_none() && answer.get("http_status").is_none(),
        "{answer}"
    );
    // a viewer with a licence for reading, whose key reads only: four say no, and the licence said it first
    let mia = member(&server, "mia@acme.example", OrganizationRole::Member).await;
    tenants::join_workspace(&server, server.planted.workspace, mia, "viewer").await;
    let (organization, workspace) = (server.planted.organization, server.planted.workspace);
    server
        .write(move |tx| {
            Ok(tx.change_member_licence(organization, mia, Licence::Full, Licence::ReadOnly)?)
        })
        .await;
    let weak = key(
        &server,
        Key {
            level: PermissionLevel::ReadOnly,
            ..Key::of(&server, mia).production()
        },
    )
    .await
    .secret;
    let answer = explain(&server, &weak, json!({"permission": "documents:write"})).await;
    assert_eq!(
        (&answer["refused_by"], why(&answer)),
        (
            &json!("licence"),
            ("forbidden", "insufficient_permission", 403)
        )
    );
    assert_eq!(refusing(&answer), ["licence", "role", "permission_level"]);
    let role = &answer["explanation"][7]["detail"];
    assert!(
        role.as_str()
            .is_some_and(|text| text.contains("mia") && text.contains(workspace.as_str())),
        "{role}"
    );
    // row 24: what no key ever does
    let owner = admin(&server).await;
    let strong = key(
        &server,
        Key::of(&server, owner).production().for_organization(),
    )
    .await
    .secret;
    let answer = explain(&server, &strong, json!({"permission": "api_keys:manage"})).await;
    assert_eq!(
        (&answer["refused_by"], why(&answer)),
        (&json!("kind"), ("forbidden", "admin_only", 403))
    );
    let answer = explain(
        &server,
        &tenants::own_token(&server).await,
        json!({"permission": "webhooks:write"}),
    )
    .await;
    assert!(refusing(&answer).contains(&"scopes"), "{answer}");
}

async fn nothing_is_told_of_a_credential_that_is_not_known(db: TestDatabase) {
    let server = Server::start(db).await;
    let unknown = countersign::crypto::format::mint_key("cs", "sandbox")
        .1
        .expose()
        .to_owned();
    let told = json!({"allowed": false, "code": "not_found", "reason": "invalid_credential", "http_status": 401, "obligations": {}, "limits": []});
    for credential in [unknown.as_str(), "", "cs_sandbox_", "\u{0}"] {
        assert_eq!(explain(&server, credential, json!({})).await, told);
        assert_eq!(server.verify(json!({"credential": credential})).await, told);
    }
    let wrong = server
        .as_resource_server("/v1/verify")
        .json(&json!({"credential": unknown, "explain": "yes"}))
        .send()
        .await;
    assert_eq!(wrong.expect("an answer").status(), 400);
}

async fn explaining_leaves_no_trace(db: TestDatabase) {
    let quota = QuotaEntry {
        name: "three".to_owned(),
        per: Per::Key,
        environments: Vec::new(),
        plans: Vec::new(),
        class: String::new(),
        rate: Rate {
            quota: 3,
            window_seconds: 60,
        },
    };
    let server = Server::start_with(db, |config| config.quota = vec![quota]).await;
    let made = key(&server, Key::of(&server, admin(&server).await)).await;
    for _ in 0..10 {
        let answer = explain(
            &server,
            &made.secret,
            json!({"permission": "documents:read"}),
        )
        .await;
        assert_eq!(
            (&answer["limits"][1]["remaining"], &answer["allowed"]),
            (&json!(3), &json!(true)),
            "{answer}"
        );
    }
    assert_eq!(
        server.verify(json!({"credential": made.secret})).await["limits"][1]["remaining"],
        2
    );
    let body = server
        .get("/metrics")
        .send()
        .await
        .expect("an answer")
        .text()
        .await
        .expect("text");
    let counted = body
        .lines()
        .find(|line| line.contains("door=\"verify\"") && line.contains("valid"))
        .unwrap_or_default();
    assert!(counted.ends_with(" 1"), "{counted}");
}

async fn a_refusal_says_why_and_what_to_answer(db: TestDatabase) {
    let server = Server::start(db).await;
    let (organization, owner) = (server.planted.organization, admin(&server).await);
    let (sandbox, production) = (
        server.secrets.sandbox_key.clone(),
        server.secrets.production_key.clone(),
    );
    let paused = key(&server, Key::of(&server, owner)).await;
    let id = paused.id;
    server
        .write(move |tx| {
            Ok(tx.change_api_key_state(
                organization,
                id,
                ApiKeyState::Active,
                ApiKeyState::Paused,
                None,
            )?)
        })
        .await;
    let expired = key(
        &server,
        Key {
            expires_at: Some(NOON),
            ..Key::of(&server, owner)
        },
    )
    .await
    .secret;
    let send =
        |recipients: Value| json!({"permission": "documents:send", "recipients": recipients});
    for (credential, question, expected) in [
        (&paused.secret, json!({}), ("suspended", "key_paused", 403)),
        (&expired, json!({}), ("expired", "credential_expired", 401)),
        (
            &sandbox,
            json!({"environment": "production"}),
            ("wrong_environment", "wrong_environment", 403),
        ),
        (
            &sandbox,
            send(json!([])),
            ("recipients_required", "recipients_required", 422),
        ),
        (
            &sandbox,
            send(json!(["eve@evil.example"])),
            ("recipient_not_allowed", "recipient_not_allowed", 403),
        ),
        (
            &sandbox,
            json!({"permission": "api_keys:manage"}),
            ("forbidden", "admin_only", 403),
        ),
    ] {
        let answer = explain(&server, credential, question.clone()).await;
        assert_eq!(why(&answer), expected, "{answer}");
        let mut plain = question;
        plain["credential"] = json!(credential);
        assert_eq!(
            why(&server.verify(plain).await),
            expected,
            "with and without an explanation"
        );
    }
    let strict = tenants::resource_server(&server, None, &[]).await;
    let answer = verify_as(
        &server,
        &strict,
        json!({"credential": sandbox, "explain": true}),
    )
    .await;
    assert_eq!(
        (&answer["refused_by"], why(&answer)),
        (
            &json!("sandbox_policy"),
            ("obligation_not_supported", "obligation_not_supported", 403)
        )
    );
    server
        .write(move |tx| {
            Ok(tx.change_production_access(
                organization,
                ProductionAccess::Approved,
                ProductionAccess::Withdrawn,
            )?)
        })
        .await;
    let answer = explain(&server, &production, json!({})).await;
    assert_eq!(
        (&answer["refused_by"], why(&answer)),
        (
            &json!("plan"),
            ("plan_required", "production_approval", 403)
        )
    );
}

async fn a_foreign_workspace_reads_as_the_configuration_says(db: TestDatabase) {
    // conflict C6
    let profile = |name: &str| {
        let variables = [("COUNTERSIGN_PROFILE".to_owned(), name.to_owned())].into_iter();
        Config::load(None, variables)
            .expect("an embedded profile")
            .errors
    };
    assert_eq!(
        Errors::default().foreign_workspace,
        ForeignWorkspace::NotFound
    );
    assert_eq!(
        profile("documenso").foreign_workspace,
        ForeignWorkspace::Unauthorized
    );
    assert_eq!(
        profile("penvio").foreign_workspace,
        ForeignWorkspace::Forbidden
    );
    let server = Server::start_with(db, |config| {
        config.errors.foreign_workspace = ForeignWorkspace::Unauthorized
    })
    .await;
    let (_, _, foreign) = tenants::organization(&server, "zoe@other.example").await;
    for workspace in [foreign, WorkspaceId::generate(NOON)] {
        let ask = json!({"workspace": workspace, "permission": "documents:read"});
        let answer = explain(&server, &server.secrets.production_key, ask).await;
        assert_eq!(
            (&answer["refused_by"], why(&answer)),
            (&json!("workspace"), ("forbidden", "foreign_workspace", 401))
        );
    }
}

async fn a_simulation_reads_like_the_real_thing_and_is_explained(db: TestDatabase) {
    let server = Server::start(db).await;
    let (app, id) = (&server.app, server.planted.resource_server);
    let api = app
        .resource_server(id)
        .await
        .expect("the store answers")
        .expect("planted");
    let found = app
        .peek(&server.secrets.sandbox_key, None, NOON)
        .await
        .expect("the store answers");
    let Lookup::Found(found) = found else {
        unreachable!("planted")
    };
    let question = Question {
        permission: app.settings.catalogue.permission("documents:read"),
        ..Question::default()
    };
    for (simulation, code, reason, factor) in [
        (
            Simulation::Forbidden,
            DecisionCode::Forbidden,
            Reason::InsufficientPermission,
            Factor::Simulation,
        ),
        (
            Simulation::RateLimited,
            DecisionCode::RateLimited,
            Reason::RateLimited,
            Factor::Simulation,
        ),
        (
            Simulation::Expired,
            DecisionCode::Expired,
            Reason::CredentialExpired,
            Factor::Credential,
        ),
    ] {
        let mut access = Access::clone(&found);
        access.simulation = Some(simulation);
        let (decision, steps) = domain::decision::explain::explain(
            &access,
            &question,
            &api,
            &app.rules(),
            &app.limiter,
            NOON,
        );
        assert_eq!(
            decision.cause,
            Some(Cause::new(factor, code, reason)),
            "{simulation}"
        );
        let first = steps.iter().find(|step| !step.allows).expect("one refuses");
        assert!(
            first.factor == factor && first.detail.contains("simulates"),
            "{first:?}"
        );
    }
}

async fn a_limit_without_room_is_named(db: TestDatabase) {
    let server = Server::start_with(db, |config| {
        config.limits.sandbox = Rate {
            quota: 1,
            window_seconds: 60,
        }
    })
    .await;
    let sandbox = &server.secrets.sandbox_key;
    assert_eq!(
        server.verify(json!({"credential": sandbox})).await["code"],
        "valid"
    );
    let answer = explain(&server, sandbox, json!({})).await;
    assert_eq!(
        (refusing(&answer), why(&answer)),
        (vec!["limits"], ("rate_limited", "rate_limited", 429))
    );
    assert_eq!(
        (
            &answer["refused_by"],
            &answer["violated_policies"],
            &answer["retry_after_seconds"]
        ),
        (&json!("limits"), &json!(["owner"]), &json!(60))
    );
}

/// docs/verify.md has a row for every reason, and for no other.
#[test]
fn the_page_lists_every_reason() {
    let page = include_str!("../../../docs/verify.md");
    let cells = |line: &str| {
        line.split('|')
            .map(|cell| cell.trim().trim_matches('`').to_owned())
            .collect::<Vec<_>>()
    };
    let rows: Vec<Vec<String>> = page
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(cells)
        .filter(|row| row.len() == 6 && row[1] != "code")
        .collect();
    let mut listed: BTreeMap<String, u32> = BTreeMap::new();
    for row in &rows {
        let reason: Reason = row[2].parse().expect("a reason");
        row[1].parse::<DecisionCode>().expect("a code");
        *listed.entry(reason.to_string()).or_default() += 1;
    }
    let source = include_str!("../../../src/domain/words.rs");
    let words = source
        .split_once("pub enum Reason {")
        .and_then(|(_, rest)| rest.split_once('}'))
        .expect("the vocabulary")
        .0;
    let every: Vec<&str> = words.split('"').skip(1).step_by(2).collect();
    assert_eq!(listed.len(), every.len(), "{listed:?}");
    assert!(
        every.iter().all(|word| listed.contains_key(*word)),
        "{listed:?}"
    );
}
