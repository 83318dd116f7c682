//! The limits of requests through HTTP (rows 44 to 48): who shares a quota, what falls under it, what is told.

use countersign::config::{Config, Per, QuotaEntry, Rate};
use countersign::jobs::limits;
use countersign::types::environment::Environment;
use countersign::types::state::OrganizationRole;
use serde_json::{Value, json};

use crate::databases::{TestDatabase, both_databases};
use crate::server::Server;
use crate::tenants::{self, Key, admin, key, member, own_token};

both_databases!(
    two_keys_of_one_owner_share_and_two_owners_do_not,
    sandbox_and_production_are_apart_and_a_ceiling_spans_both,
    a_key_has_a_limit_of_its_own_and_a_new_token_no_fresh_one,
    an_organization_shares_one_pool_and_another_has_its_own,
    a_class_is_limited_by_itself_and_a_cost_taken_whole,
    a_cost_above_the_limit_is_refused_for_good,
    every_violated_policy_is_named_and_nothing_is_taken,
    the_limits_of_a_plan_spare_who_has_none,
    a_failed_flush_loses_nothing,
    what_has_run_out_leaves_the_database,
);

fn quota(name: &str, per: Per, quota: u64) -> QuotaEntry {
    let rate = Rate {
        quota,
        window_seconds: 60,
    };
    QuotaEntry {
        name: name.to_owned(),
        per,
        environments: Vec::new(),
        plans: Vec::new(),
        class: String::new(),
        rate,
    }
}

async fn start(db: TestDatabase, quotas: &[QuotaEntry]) -> Server {
    Server::start_with(db, |config| config.quota = quotas.to_vec()).await
}

async fn ask(server: &Server, credential: &str) -> Value {
    server
        .verify(json!({"credential": credential, "permission": "documents:read"}))
        .await
}

/// The policies that the answer tells of, each with what remains.
fn remaining(answer: &Value) -> Vec<(&str, u64)> {
    let limits = answer["limits"].as_array().expect("a list");
    limits
        .iter()
        .map(|limit| {
            (
                limit["policy"].as_str().expect("a name"),
                limit["remaining"].as_u64().expect("a number"),
            )
        })
        .collect()
}

async fn second_key(server: &Server) -> String {
    key(server, Key::of(server, admin(server).await))
        .await
        .secret
}

async fn colleagues_key(server: &Server) -> String {
    let colleague = member(server, "cole@acme.example", OrganizationRole::Admin).await;
    key(server, Key::of(server, colleague)).await.secret
}

async fn two_keys_of_one_owner_share_and_two_owners_do_not(db: TestDatabase) {
    // row 45
    let server = start(db, &[quota("user", Per::Owner, 3)]).await;
    let (second, colleague) = (second_key(&server).await, colleagues_key(&server).await);
    for (credential, left) in [
        (&server.secrets.sandbox_key, 2),
        (&second, 1),
        (&server.secrets.sandbox_key, 0),
    ] {
        let answer = ask(&server, credential).await;
        assert_eq!(
            (&answer["code"], remaining(&answer)),
            (&json!("valid"), vec![("owner", left + 7), ("user", left)])
        );
    }
    for credential in [&second, &server.secrets.sandbox_key] {
        let answer = ask(&server, credential).await;
        assert_eq!(
            (&answer["code"], &answer["violated_policies"]),
            (&json!("rate_limited"), &json!(["user"]))
        );
        assert_eq!(remaining(&answer), [("owner", 7), ("user", 0)]);
    }
    assert_eq!(
        remaining(&ask(&server, &colleague).await),
        [("owner", 9), ("user", 2)]
    );
}

async fn sandbox_and_production_are_apart_and_a_ceiling_spans_both(db: TestDatabase) {
    // row 47: reads through Sandbox are no way around the limit of Production
    let live = QuotaEntry {
        environments: vec![Environment::Production],
        ..quota("live", Per::Owner, 4)
    };
    let server = start(db, &[quota("ceiling", Per::Owner, 5), live]).await;
    let (sandbox, production) = (&server.secrets.sandbox_key, &server.secrets.production_key);
    for left in [4, 3, 2] {
        assert_eq!(
            remaining(&ask(&server, sandbox).await),
            [("owner", left + 5), ("ceiling", left)]
        );
    }
    assert_eq!(
        remaining(&ask(&server, production).await),
        [("owner", 9999), ("ceiling", 1), ("live", 3)]
    );
    assert_eq!(
        remaining(&ask(&server, production).await),
        [("owner", 9998), ("ceiling", 0), ("live", 2)]
    );
    for credential in [sandbox, production] {
        assert_eq!(
            ask(&server, credential).await["violated_policies"],
            json!(["ceiling"])
        );
    }
    server.clock.step_seconds(60);
    assert_eq!(
        remaining(&ask(&server, production).await),
        [("owner", 9997), ("ceiling", 4), ("live", 3)]
    );
}

async fn a_key_has_a_limit_of_its_own_and_a_new_token_no_fresh_one(db: TestDatabase) {
    // row 46
    let server = start(db, &[quota("token", Per::Key, 2)]).await;
    let second = second_key(&server).await;
    for (credential, left) in [
        (&server.secrets.sandbox_key, 1),
        (&server.secrets.sandbox_key, 0),
        (&second, 1),
    ] {
        assert_eq!(
            remaining(&ask(&server, credential).await)[1],
            ("token", left)
        );
    }
    assert_eq!(
        ask(&server, &server.secrets.sandbox_key).await["violated_policies"],
        json!(["token"])
    );
    for left in [1, 0] {
        assert_eq!(
            remaining(&ask(&server, &own_token(&server).await).await)[1],
            ("token", left)
        );
    }
    assert_eq!(
        ask(&server, &own_token(&server).await).await["violated_policies"],
        json!(["token"])
    );
}

async fn an_organization_shares_one_pool_and_another_has_its_own(db: TestDatabase) {
    // row 44
    let server = start(
        db,
        &[
            quota("all", Per::Organization, 3),
            quota("each", Per::Environment, 2),
        ],
    )
    .await;
    let colleague = colleagues_key(&server).await;
    let (organization, owner, workspace) =
        tenants::organization(&server, "zoe@other.example").await;
    let stranger = key(
        &server,
        Key {
            organization,
            workspaces: Some(vec![workspace]),
            ..Key::of(&server, owner)
        },
    )
    .await
    .secret;
    assert_eq!(
        remaining(&ask(&server, &colleague).await)[1..],
        [("all", 2), ("each", 1)]
    );
    assert_eq!(
        remaining(&ask(&server, &server.secrets.sandbox_key).await)[1..],
        [("all", 1), ("each", 0)]
    );
    assert_eq!(
        ask(&server, &colleague).await["violated_policies"],
        json!(["each"])
    );
    assert_eq!(
        remaining(&ask(&server, &server.secrets.production_key).await)[1..],
        [("all", 0), ("each", 1)]
    );
    assert_eq!(
        ask(&server, &server.secrets.production_key).await["violated_policies"],
        json!(["all"])
    );
    assert_eq!(
        remaining(&ask(&server, &stranger).await)[1..],
        [("all", 2), ("each", 1)]
    );
}

/// Downloads are a class of their own and cost three.
fn with_downloads(config: &mut Config) {
    let download = config
        .permission
        .iter_mut()
        .find(|entry| entry.name == "documents:download")
        .expect("of the default profile");
    (download.class, download.cost) = ("downloads".to_owned(), 3);
}

async fn download(server: &Server) -> Value {
    server
        .verify(
            json!({"credential": server.secrets.sandbox_key, "permission": "documents:download"}),
        )
        .await
}

async fn a_class_is_limited_by_itself_and_a_cost_taken_whole(db: TestDatabase) {
    let change = |config: &mut Config| {
        with_downloads(config);
        config.quota = vec![QuotaEntry {
            class: "downloads".to_owned(),
            ..quota("downloads", Per::Owner, 5)
        }];
    };
    let server = Server::start_with(db, change).await;
    assert_eq!(
        remaining(&download(&server).await),
        [("owner", 7), ("downloads", 2)]
    );
    server.clock.step_seconds(10);
    let refused = download(&server).await;
    assert_eq!(
        (&refused["code"], &refused["violated_policies"]),
        (&json!("rate_limited"), &json!(["downloads"]))
    );
    assert_eq!(
        (&refused["retry_after_seconds"], remaining(&refused)),
        (&json!(50), vec![("owner", 7), ("downloads", 2)])
    );
    // neither another class nor a question of liveness
    assert_eq!(
        remaining(&ask(&server, &server.secrets.sandbox_key).await),
        [("owner", 6)]
    );
    assert_eq!(
        remaining(
            &server
                .verify(json!({"credential": server.secrets.sandbox_key}))
                .await
        ),
        [("owner", 5)]
    );
    server.clock.step_seconds(50);
    assert_eq!(
        remaining(&download(&server).await),
        [("owner", 5), ("downloads", 2)]
    );
}

async fn a_cost_above_the_limit_is_refused_for_good(db: TestDatabase) {
    let change = |config: &mut Config| {
        with_downloads(config);
        config.quota = vec![quota("user", Per::Owner, 2)];
    };
    let server = Server::start_with(db, change).await;
    for _ in 0..3 {
        let refused = download(&server).await;
        assert_eq!(
            (
                &refused["allowed"],
                &refused["code"],
                &refused["violated_policies"]
            ),
            (&json!(false), &json!("cost_above_limit"), &json!(["user"]))
        );
        assert_eq!(
            (refused.get("retry_after_seconds"), remaining(&refused)),
            (None, vec![("owner", 10), ("user", 2)])
        );
    }
    assert_eq!(
        remaining(&ask(&server, &server.secrets.sandbox_key).await),
        [("owner", 9), ("user", 1)]
    );
}

async fn every_violated_policy_is_named_and_nothing_is_taken(db: TestDatabase) {
    let server = start(
        db,
        &[
            quota("first", Per::Owner, 1),
            quota("second", Per::Key, 1),
            quota("third", Per::Organization, 9),
        ],
    )
    .await;
    assert_eq!(
        ask(&server, &server.secrets.sandbox_key).await["code"],
        "valid"
    );
    server.clock.step_seconds(1);
    for _ in 0..12 {
        let refused = ask(&server, &server.secrets.sandbox_key).await;
        assert_eq!(
            (
                &refused["violated_policies"],
                &refused["retry_after_seconds"]
            ),
            (&json!(["first", "second"]), &json!(59))
        );
        assert_eq!(
            remaining(&refused),
            [("owner", 9), ("first", 0), ("second", 0), ("third", 8)]
        );
    }
    // 429 semantics elsewhere are as they were
    let whoami = server
        .get("/v1/whoami")
        .bearer_auth(&server.secrets.sandbox_key)
        .send()
        .await
        .expect("an answer");
    assert_eq!(
        (
            whoami.headers()["ratelimit-policy"].as_bytes(),
            whoami.headers()["x-ratelimit-remaining"].as_bytes()
        ),
        (&b"\"whoami\";q=60;w=60"[..], &b"59"[..])
    );
}

async fn the_limits_of_a_plan_spare_who_has_none(db: TestDatabase) {
    let server = start(
        db,
        &[QuotaEntry {
            plans: vec!["starter".to_owned()],
            ..quota("starter", Per::Organization, 1)
        }],
    )
    .await;
    assert_eq!(
        remaining(&ask(&server, &server.secrets.sandbox_key).await),
        [("owner", 9)]
    );
}

async fn a_failed_flush_loses_nothing(db: TestDatabase) {
    let server = start(db, &[quota("user", Per::Owner, 5)]).await;
    server
        .database
        .execute("ALTER TABLE limit_windows RENAME TO elsewhere");
    assert_eq!(
        ask(&server, &server.secrets.sandbox_key).await["code"],
        "valid"
    );
    limits::flush(&server.app).await;
    server
        .database
        .execute("ALTER TABLE elsewhere RENAME TO limit_windows");
    limits::flush(&server.app).await;
    let now = server.clock.now();
    let rows = server
        .app
        .store
        .read(move |snapshot| snapshot.list_limit_windows("", now, 10))
        .await;
    let rows: Result<_, countersign::store::Error> = rows;
    let policies: Vec<String> = rows
        .expect("rows")
        .iter()
        .map(|row| row.name.split(' ').next().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(policies, ["owner", "user"]);
    assert_eq!(
        remaining(&ask(&server, &server.secrets.sandbox_key).await),
        [("owner", 8), ("user", 3)]
    );
}

async fn what_has_run_out_leaves_the_database(db: TestDatabase) {
    let server = start(db, &[]).await;
    for credential in [&server.secrets.sandbox_key, &server.secrets.production_key] {
        assert_eq!(ask(&server, credential).await["code"], "valid");
    }
    limits::flush(&server.app).await;
    assert_eq!(limits::sweep(&server.app).await, 0);
    server.clock.step_seconds(60);
    assert_eq!(limits::sweep(&server.app).await, 1, "that of Sandbox");
    server.clock.step_seconds(14 * 60);
    assert_eq!(limits::sweep(&server.app).await, 1);
}
