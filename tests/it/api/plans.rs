//! Plans, the Dev Centre's switch, the trial, and access to Production: [4-8], C8.

use countersign::config::{Config, DevCentre};
use countersign::crypto::digest::Purpose;
use countersign::crypto::format::mint_key;
use countersign::domain::Refusal;
use countersign::domain::desk::Desk;
use countersign::domain::keys::api_keys;
use countersign::domain::keys::expiry::Expiry;
use countersign::domain::people::organizations::{self, SubscriptionChange};
use countersign::domain::plans::plans;
use countersign::domain::rights::asker::Asker;
use countersign::types::environment::Environment;
use countersign::types::id::OrganizationId;
use countersign::types::state::PermissionLevel;
use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{Program, problem, text};
use crate::databases::{TestDatabase, both_databases};
use crate::people::at_desk;
use crate::server::Server;
use crate::tenants::{self, admin, management_token};

both_databases!(
    the_dev_centre_is_switched_on_first_and_off_with_a_warning,
    a_downgrade_takes_effect_at_once_deletes_nothing_and_coming_back_revives,
    production_is_requested_approved_and_withdrawn,
    a_refusal_has_a_reason_and_the_request_can_be_taken_back,
    a_locked_answer_says_what_unlocks_it,
    once_withdrawn_a_request_alone_opens_nothing,
    the_first_key_starts_the_trial_once_and_its_end_suspends_sandbox_alone,
    the_first_application_starts_the_trial_and_no_token_outlives_it,
    the_first_authorization_in_sandbox_starts_the_trial,
    of_twenty_first_keys_at_once_one_starts_the_trial,
    whoever_comes_from_a_paid_plan_begins_the_trial_then,
    caps_of_a_plan_bind_after_a_downgrade_and_delete_nothing,
    a_time_zone_is_an_iana_name,
    the_catalogue_of_plans_is_listed,
    what_is_the_operators_is_nobody_elses,
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

fn path(server: &Server, rest: &str) -> String {
    format!("/v1/organizations/{}{rest}", server.planted.organization)
}

async fn subscribe(server: &Server, plan: &str) {
    let (status, body) = Program::operator(server)
        .put(&path(server, "/subscription"), &json!({"plan": plan}))
        .await;
    assert_eq!(
        (status, &body["plan"]),
        (StatusCode::OK, &json!(plan)),
        "{body}"
    );
}

async fn code(server: &Server, secret: &str) -> Value {
    server.verify(json!({"credential": secret})).await["code"].take()
}

/// Sandbox, then Production.
async fn codes(server: &Server) -> (Value, Value) {
    (
        code(server, &server.secrets.sandbox_key).await,
        code(server, &server.secrets.production_key).await,
    )
}

async fn new_key(server: &Server, environment: Environment) -> Result<String, Refusal> {
    let (organization, creator, config) = (
        server.planted.organization,
        admin(server).await,
        server.app.config.clone(),
    );
    let (public_id, plaintext) = mint_key("cs", config.keys.marker(environment));
    let digest = server
        .app
        .digester
        .digest(Purpose::ApiKey, plaintext.expose());
    let new = api_keys::NewApiKey {
        owner: None,
        name: "New".to_owned(),
        description: String::new(),
        environment,
        reach: api_keys::Reach::Workspaces(vec![server.planted.workspace]),
        permission_level: PermissionLevel::Full,
        expiry: Expiry::Never,
        self_rotation: false,
        secret: Some(api_keys::Minted { public_id, digest }),
    };
    let create = move |desk: &mut Desk| api_keys::create(desk, &new);
    at_desk(server, organization, Asker::person(creator), create).await?;
    Ok(plaintext.expose().to_owned())
}

/// [4]
async fn the_dev_centre_is_switched_on_first_and_off_with_a_warning(db: TestDatabase) {
    let server = Server::start(db).await;
    subscribe(&server, "business").await;
    let (manager, at) = (Program::operator(&server), path(&server, "/dev-centre"));
    assert_eq!(
        code(&server, &server.secrets.sandbox_key).await,
        "suspended",
        "Business switches it on first"
    );
    let found = server
        .verify(json!({"credential": server.secrets.sandbox_key}))
        .await;
    assert_eq!(
        (&found["reason"], &found["unlock"]["plans"]),
        (&json!("dev_centre_off"), &json!([])),
        "{found}"
    );
    assert!(
        matches!(new_key(&server, Environment::Sandbox).await, Err(Refusal::Locked(unlock)) if unlock.detail.contains("switch it on"))
    );
    assert_eq!(manager.get(&at).await.1["enabled"], false);
    assert_eq!(
        manager.put(&at, &json!({"enabled": true})).await.0,
        StatusCode::OK
    );
    assert_eq!(
        codes(&server).await,
        (json!("valid"), json!("plan_required"))
    );
    let (_, seen) = manager.get(&at).await;
    assert_eq!(
        seen["suspends"][0],
        json!({"environment": "sandbox", "api_keys": 1, "applications": 1}),
        "{seen}"
    );
    let refused = manager.put(&at, &json!({"enabled": false})).await;
    assert!(
        refused.1["detail"]
            .as_str()
            .is_some_and(|words| words.contains("1 Sandbox API key, 1 Sandbox application")),
        "{}",
        refused.1
    );
    assert_eq!(problem(refused), (409, "confirmation_required".to_owned()));
    assert_eq!(
        code(&server, &server.secrets.sandbox_key).await,
        "valid",
        "nothing happened"
    );
    for _ in 0..2 {
        assert_eq!(
            manager
                .put(&at, &json!({"enabled": false, "confirm": true}))
                .await
                .0,
            StatusCode::OK
        );
        assert_eq!(
            code(&server, &server.secrets.sandbox_key).await,
            "suspended",
            "at once"
        );
    }
    assert_eq!(
        manager.put(&at, &json!({"enabled": true})).await.1["enabled"],
        true
    );
    assert_eq!(
        code(&server, &server.secrets.sandbox_key).await,
        "valid",
        "revived"
    );
    assert_eq!(
        (
            server.database.count_events("dev_centre.enabled"),
            server.database.count_events("dev_centre.disabled")
        ),
        (2, 1)
    );
    subscribe(&server, "enterprise").await;
    assert_eq!(
        problem(
            manager
                .put(&at, &json!({"enabled": false, "confirm": true}))
                .await
        ),
        (409, "dev_centre_included".to_owned())
    );
}

/// [5] [6]
async fn a_downgrade_takes_effect_at_once_deletes_nothing_and_coming_back_revives(
    db: TestDatabase,
) {
    let server = Server::start(db).await;
    assert_eq!(codes(&server).await, (json!("valid"), json!("valid")));
    for plan in ["business", "enterprise", "free", "enterprise"] {
        subscribe(&server, plan).await;
        if plan == "business" {
            let on = Program::operator(&server)
                .put(&path(&server, "/dev-centre"), &json!({"enabled": true}))
                .await;
            assert_eq!(on.0, StatusCode::OK);
        }
        let production = if plan == "enterprise" {
            "valid"
        } else {
            "plan_required"
        };
        assert_eq!(
            codes(&server).await,
            (json!("valid"), json!(production)),
            "{plan}"
        );
    }
    let events = server.database.count_events("subscription.created")
        + server.database.count_events("subscription.changed");
    assert_eq!(events, 4);
    subscribe(&server, "enterprise").await;
    assert_eq!(
        server.database.count_events("subscription.changed"),
        3,
        "what is so already is no event"
    );
    for (body, field) in [
        (json!({"plan": "gold"}), "plan"),
        (json!({"full_seats": -1}), "full_seats"),
        (json!({"read_only_seats": 1_000_001}), "read_only_seats"),
        (json!({"external_id": " x"}), "external_id"),
    ] {
        let (status, answer) = Program::operator(&server)
            .put(&path(&server, "/subscription"), &body)
            .await;
        assert_eq!(
            (status, &answer["errors"][0]["field"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!(field)),
            "{answer}"
        );
    }
}

/// [6]: the plan and the approval.
async fn production_is_requested_approved_and_withdrawn(db: TestDatabase) {
    let server = Server::start(db).await;
    let (manager, operator, at) = (
        manager(&server).await,
        Program::operator(&server),
        path(&server, "/production-access"),
    );
    assert_eq!(
        problem(manager.post(&at, &json!({"use_case": "Contracts"})).await),
        (409, "already_open".to_owned())
    );
    assert_eq!(
        operator
            .put(&at, &json!({"decision": "withdraw", "reason": "Unpaid."}))
            .await
            .1["state"],
        "withdrawn"
    );
    assert_eq!(
        codes(&server).await,
        (json!("valid"), json!("plan_required")),
        "at once, and Sandbox stays"
    );
    let (_, seen) = manager.get(&at).await;
    assert_eq!(
        (&seen["open"], &seen["reason"], &seen["locked"]["reason"]),
        (
            &json!(false),
            &json!("Unpaid."),
            &json!("production_approval")
        )
    );
    let (_, asked) = manager.post(&at, &json!({"use_case": " Contracts "})).await;
    assert_eq!(
        (&asked["state"], &asked["use_case"]),
        (&json!("requested"), &json!("Contracts"))
    );
    assert_eq!(
        problem(manager.post(&at, &json!({"use_case": "Twice"})).await),
        (409, "wrong_state".to_owned())
    );
    for _ in 0..2 {
        assert_eq!(
            operator.put(&at, &json!({"decision": "approve"})).await.1["open"],
            true
        );
    }
    assert_eq!(codes(&server).await, (json!("valid"), json!("valid")));
    for event in ["requested", "approved", "withdrawn"] {
        assert_eq!(
            server
                .database
                .count_events(&format!("production_access.{event}")),
            1,
            "{event}"
        );
    }
    let listed = operator
        .get("/v1/organizations?production_access=approved")
        .await
        .1;
    assert_eq!(
        listed["data"][0]["id"],
        json!(server.planted.organization),
        "{listed}"
    );
}

async fn a_refusal_has_a_reason_and_the_request_can_be_taken_back(db: TestDatabase) {
    let server = Server::start(db).await;
    let (manager, operator, at) = (
        manager(&server).await,
        Program::operator(&server),
        path(&server, "/production-access"),
    );
    operator
        .put(&at, &json!({"decision": "withdraw", "reason": "Unpaid."}))
        .await;
    assert_eq!(
        problem(manager.delete(&at).await),
        (409, "wrong_state".to_owned())
    );
    for use_case in ["", "  ", "a\u{202e}b", &"x".repeat(2001)] {
        assert_eq!(
            problem(manager.post(&at, &json!({"use_case": use_case})).await),
            (422, "invalid_fields".to_owned()),
            "{use_case:?}"
        );
    }
    manager.post(&at, &json!({"use_case": "Contracts"})).await;
    assert_eq!(
        problem(
            operator
                .put(&at, &json!({"decision": "refuse", "reason": " "}))
                .await
        ),
        (422, "invalid_fields".to_owned())
    );
    assert_eq!(
        problem(operator.put(&at, &json!({"decision": "cancel"})).await),
        (400, "invalid_body".to_owned())
    );
    let (_, refused) = operator
        .put(
            &at,
            &json!({"decision": "refuse", "reason": "Tell us more."}),
        )
        .await;
    assert_eq!(
        (&refused["state"], &refused["reason"]),
        (&json!("refused"), &json!("Tell us more."))
    );
    manager
        .post(&at, &json!({"use_case": "Contracts of our customers"}))
        .await;
    let (status, back) = manager.delete(&at).await;
    assert_eq!(
        (status, &back["state"], &back["open"]),
        (StatusCode::OK, &json!("none"), &json!(false))
    );
}

/// [6]: "contact sales".
async fn a_locked_answer_says_what_unlocks_it(db: TestDatabase) {
    let server =
        Server::start_with(db, |config| config.plans.contact = "Call Olga.".to_owned()).await;
    subscribe(&server, "free").await;
    let answer = server
        .verify(json!({"credential": server.secrets.production_key}))
        .await;
    assert_eq!(
        (&answer["code"], &answer["reason"]),
        (&json!("plan_required"), &json!("plan_feature"))
    );
    assert_eq!(
        answer["unlock"],
        json!({"plans": ["enterprise"], "contact": "Call Olga."}),
        "{answer}"
    );
    let whoami = server
        .get("/v1/whoami")
        .bearer_auth(&server.secrets.production_key)
        .send()
        .await
        .expect("an answer");
    let (status, body) = crate::server::json(whoami).await;
    assert_eq!(
        (status, &body["code"], &body["reason"]),
        (
            StatusCode::FORBIDDEN,
            &json!("plan_required"),
            &json!("plan_feature")
        )
    );
    assert_eq!(
        (&body["detail"], &body["unlock"]["plans"]),
        (
            &json!("Production is part of Enterprise. Call Olga."),
            &json!(["enterprise"])
        )
    );
    let (manager, at) = (manager(&server).await, path(&server, "/production-access"));
    let refused = manager.post(&at, &json!({"use_case": "Contracts"})).await;
    assert_eq!(
        (&refused.1["unlock"]["contact"], &refused.1["reason"]),
        (&json!("Call Olga."), &json!("plan_feature"))
    );
    assert_eq!(problem(refused), (403, "plan_feature".to_owned()));
    let valid = server
        .verify(json!({"credential": server.secrets.sandbox_key}))
        .await;
    assert!(valid.get("unlock").is_none(), "{valid}");
}

/// A plan without approval opens Production to whom the vendor has not shut it.
async fn once_withdrawn_a_request_alone_opens_nothing(db: TestDatabase) {
    let open = |config: &mut Config| {
        config
            .plan
            .iter_mut()
            .for_each(|plan| plan.production_approval = false)
    };
    let server = Server::start_with(db, open).await;
    let (manager, operator, at) = (
        manager(&server).await,
        Program::operator(&server),
        path(&server, "/production-access"),
    );
    operator
        .put(&at, &json!({"decision": "withdraw", "reason": "Abuse."}))
        .await;
    let shut = || async {
        assert_eq!(
            code(&server, &server.secrets.production_key).await,
            "plan_required"
        )
    };
    shut().await;
    manager.post(&at, &json!({"use_case": "Please"})).await;
    shut().await;
    manager.delete(&at).await;
    shut().await;
    operator.put(&at, &json!({"decision": "approve"})).await;
    assert_eq!(code(&server, &server.secrets.production_key).await, "valid");
}

/// As if the planted organization had neither keys nor applications when it subscribed to the trial's plan.
async fn on_trial(db: TestDatabase) -> Server {
    let server = Server::start(db).await;
    server.database.execute("DELETE FROM secret_disclosures");
    server.database.execute("DELETE FROM api_key_secrets");
    server.database.execute("DELETE FROM api_key_workspaces");
    server.database.execute("DELETE FROM api_keys");
    server
        .database
        .execute("UPDATE applications SET state = 'deleted'");
    subscribe(&server, "free").await;
    server
        .database
        .execute("UPDATE applications SET state = 'active'");
    server
}

async fn trial(server: &Server) -> (Value, Value) {
    let (_, mut found) = Program::operator(server)
        .get(&path(server, "/subscription"))
        .await;
    (
        found["trial_started_at"].take(),
        found["trial_ends_at"].take(),
    )
}

/// [7], C8
async fn the_first_key_starts_the_trial_once_and_its_end_suspends_sandbox_alone(db: TestDatabase) {
    let server = on_trial(db).await;
    assert_eq!(trial(&server).await, (Value::Null, Value::Null));
    let first = new_key(&server, Environment::Sandbox).await.expect("a key");
    let started = trial(&server).await;
    assert_eq!(
        started,
        (
            json!("2026-11-20T12:00:00.000Z"),
            json!("2026-12-30T12:00:00.000Z")
        ),
        "40 days"
    );
    server.clock.step_seconds(3_456_000 - 1);
    assert_eq!(code(&server, &first).await, "valid");
    server.clock.step_seconds(1);
    let ended = server.verify(json!({"credential": first})).await;
    assert_eq!(
        (&ended["code"], &ended["reason"]),
        (&json!("plan_required"), &json!("trial_ended")),
        "at the instant: {ended}"
    );
    assert_eq!(ended["unlock"]["plans"], json!(["business", "enterprise"]));
    assert!(
        matches!(new_key(&server, Environment::Sandbox).await, Err(Refusal::Locked(unlock)) if unlock.detail.contains("nothing was deleted"))
    );
    subscribe(&server, "enterprise").await;
    assert_eq!(code(&server, &first).await, "valid", "a paid plan revives");
    let live = new_key(&server, Environment::Production)
        .await
        .expect("a key");
    assert_eq!(code(&server, &live).await, "valid");
    subscribe(&server, "free").await;
    assert_eq!(
        code(&server, &first).await,
        "plan_required",
        "a second trial never"
    );
    assert_eq!(trial(&server).await, started);
    assert_eq!(server.database.count_events("trial.started"), 1);
}

/// Who only uses applications has a trial, too; and what ends by itself ends for JWTs as well, which nobody can take back.
async fn the_first_application_starts_the_trial_and_no_token_outlives_it(db: TestDatabase) {
    let server = on_trial(db).await;
    assert_eq!(trial(&server).await, (Value::Null, Value::Null));
    tenants::application(
        &server,
        server.planted.organization,
        admin(&server).await,
        Environment::Sandbox,
        "member",
    )
    .await;
    assert_eq!(
        trial(&server).await.1,
        json!("2026-12-30T12:00:00.000Z"),
        "40 days"
    );
    let own = [("grant_type", "client_credentials")];
    let life = server.token(&own).await.1["expires_in"]
        .as_i64()
        .expect("seconds");
    server.clock.step_seconds(3_456_000 - 100);
    assert!(life > 100);
    let (_, minted) = server.token(&own).await;
    assert_eq!(minted["expires_in"], 100, "{minted}");
    let connection = server.code_flow("read").await;
    assert_eq!(connection["expires_in"], 100, "{connection}");
    server.clock.step_seconds(100);
    let (status, refused) = server.token(&own).await;
    assert_eq!(
        (status, &refused["error"]),
        (StatusCode::BAD_REQUEST, &json!("unauthorized_client")),
        "{refused}"
    );
    let refresh = [
        ("grant_type", "refresh_token"),
        ("refresh_token", text(&connection, "/refresh_token")),
    ];
    let (_, refused) = server.token(&refresh).await;
    assert_eq!(refused["error"], "invalid_grant", "{refused}");
    subscribe(&server, "enterprise").await;
    let (_, revived) = server.token(&refresh).await;
    assert_eq!(
        revived["expires_in"], life,
        "a paid plan revives: {revived}"
    );
    assert_eq!(server.token(&own).await.0, StatusCode::OK);
}

/// An application that was made before trials began with one: the first time that somebody allows it.
async fn the_first_authorization_in_sandbox_starts_the_trial(db: TestDatabase) {
    let server = on_trial(db).await;
    server.code_flow("read").await;
    assert_eq!(trial(&server).await.1, json!("2026-12-30T12:00:00.000Z"));
    server.code_flow("read").await;
    assert_eq!(server.database.count_events("trial.started"), 1);
}

async fn of_twenty_first_keys_at_once_one_starts_the_trial(db: TestDatabase) {
    let server = on_trial(db).await;
    let made = join_all((0..20).map(|_| new_key(&server, Environment::Sandbox))).await;
    assert!(made.iter().all(Result::is_ok), "{made:?}");
    assert_eq!(server.database.count_events("trial.started"), 1);
}

async fn whoever_comes_from_a_paid_plan_begins_the_trial_then(db: TestDatabase) {
    let server = Server::start(db).await;
    assert_eq!(trial(&server).await.0, Value::Null, "none if subscribed");
    subscribe(&server, "free").await;
    assert_eq!(
        trial(&server).await.0,
        json!("2026-11-20T12:00:00.000Z"),
        "or Sandbox would be open for ever"
    );
    server.clock.step_seconds(3_456_000);
    assert_eq!(
        code(&server, &server.secrets.sandbox_key).await,
        "plan_required"
    );
}

/// Over the cap after a downgrade: nothing deleted, nothing new.
async fn caps_of_a_plan_bind_after_a_downgrade_and_delete_nothing(db: TestDatabase) {
    let small = |config: &mut Config| {
        let free = config
            .plan
            .iter_mut()
            .find(|plan| plan.name == "free")
            .expect("a plan");
        (free.max_active_keys, free.max_workspaces) = (Some(1), Some(1));
    };
    let server = Server::start_with(db, small).await;
    let manager = manager(&server).await;
    assert_eq!(
        manager
            .post("/v1/workspaces", &json!({"name": "Second"}))
            .await
            .0,
        StatusCode::CREATED
    );
    subscribe(&server, "free").await;
    assert_eq!(
        problem(
            manager
                .post("/v1/workspaces", &json!({"name": "Third"}))
                .await
        ),
        (409, "workspace_limit_reached".to_owned())
    );
    assert!(
        new_key(&server, Environment::Sandbox).await.is_err(),
        "two are more than one"
    );
    assert_eq!(
        code(&server, &server.secrets.sandbox_key).await,
        "valid",
        "what is there stays"
    );
    assert_eq!(
        manager.get("/v1/workspaces").await.1["data"]
            .as_array()
            .map(Vec::len),
        Some(2)
    );
    subscribe(&server, "enterprise").await;
    new_key(&server, Environment::Sandbox).await.expect("a key");
}

async fn a_time_zone_is_an_iana_name(db: TestDatabase) {
    let server = Server::start(db).await;
    let (manager, at) = (manager(&server).await, path(&server, ""));
    let (status, changed) = manager
        .patch(
            &at,
            &json!({"name": "Acme GmbH", "time_zone": "Europe/Berlin"}),
        )
        .await;
    assert_eq!(
        (status, &changed["name"], &changed["time_zone"]),
        (StatusCode::OK, &json!("Acme GmbH"), &json!("Europe/Berlin")),
        "{changed}"
    );
    for wrong in ["", "Berlin", "+02:00", "Europe/Berlin ", "../../etc/passwd"] {
        let (status, answer) = manager.patch(&at, &json!({"time_zone": wrong})).await;
        assert_eq!(
            (status, &answer["errors"][0]["field"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!("time_zone")),
            "{wrong}: {answer}"
        );
    }
    assert_eq!(manager.get(&at).await.1, changed, "nothing changed");
    assert_eq!(
        manager
            .patch(&at, &json!({"time_zone": "Europe/Berlin"}))
            .await
            .0,
        StatusCode::OK
    );
    assert_eq!(server.database.count_events("organization.changed"), 1);
}

async fn the_catalogue_of_plans_is_listed(db: TestDatabase) {
    let server = Server::start(db).await;
    let (status, listed) = manager(&server).await.get("/v1/plans").await;
    assert_eq!(status, StatusCode::OK, "{listed}");
    let names: Vec<_> = listed["data"]
        .as_array()
        .expect("plans")
        .iter()
        .map(|plan| plan["name"].clone())
        .collect();
    assert_eq!(names, ["free", "business", "enterprise"]);
    assert_eq!(
        (
            &listed["data"][0]["trial_seconds"],
            &listed["data"][2]["default"]
        ),
        (&json!(3_456_000), &json!(true))
    );
    assert_eq!(
        (
            &listed["data"][1]["dev_centre"],
            &listed["data"][1]["max_active_keys"]
        ),
        (&json!("switch"), &json!(200))
    );
}

async fn what_is_the_operators_is_nobody_elses(db: TestDatabase) {
    let server = Server::start(db).await;
    let manager = manager(&server).await;
    for (at, body) in [
        ("/subscription", json!({"plan": "enterprise"})),
        ("/production-access", json!({"decision": "approve"})),
    ] {
        assert_eq!(
            problem(manager.put(&path(&server, at), &body).await),
            (403, "insufficient_permission".to_owned()),
            "{at}"
        );
    }
    let other = OrganizationId::generate(server.clock.now());
    for at in ["", "/dev-centre", "/production-access", "/subscription"] {
        assert_eq!(
            problem(manager.get(&format!("/v1/organizations/{other}{at}")).await),
            (404, "not_found".to_owned()),
            "{at}"
        );
        assert_eq!(
            problem(
                Program::operator(&server)
                    .get(&format!("/v1/organizations/{other}{at}"))
                    .await
            ),
            (404, "not_found".to_owned()),
            "{at}"
        );
    }
    // and by the domain, whatever the door says
    let (organization, user) = (server.planted.organization, admin(&server).await);
    let subscribe = move |desk: &mut Desk| {
        let wanted = SubscriptionChange {
            plan: Some("enterprise".to_owned()),
            ..SubscriptionChange::default()
        };
        organizations::subscribe(desk, &wanted)
    };
    let refused = at_desk(&server, organization, Asker::person(user), subscribe);
    assert!(matches!(refused.await, Err(Refusal::Forbidden(_))));
    let plan = server
        .app
        .settings
        .catalogue
        .plan(Some("a plan that is not configured any more"));
    assert_eq!(
        (
            plan.entry.dev_centre,
            plans::trial_end(
                plan,
                &countersign::store::organizations::Organization::new(
                    organization,
                    String::new(),
                    server.clock.now()
                )
            )
        ),
        (DevCentre::None, None)
    );
}
