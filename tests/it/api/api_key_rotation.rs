//! Rotation without downtime (row 37): `POST /v1/api-keys/{id}/rotate`.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::api_keys::{create, path};
use super::{Program, manager, problem, text};
use crate::databases::{TestDatabase, both_databases};
use crate::server::Server;

both_databases!(
    the_grace_begins_at_the_first_use_of_the_new_secret,
    a_lost_answer_costs_nothing,
    an_expiry_only_ever_comes_earlier,
    a_key_rotates_itself_only_if_that_was_switched_on,
    an_old_secret_does_not_rotate_its_key,
    a_leaked_secret_ends_early_and_the_last_one_does_not,
    twenty_rotations_at_once_leave_two_secrets,
    first_use_rotation_and_revocation_race_and_never_more_than_two_live,
    ending_one_secret_races_with_its_first_use_and_never_kills_the_key,
);

/// A second later, so that the newest secret is told apart.
async fn rotate(program: &Program<'_>, made: &Value, grace_seconds: i64) -> Value {
    program.server.clock.step_seconds(1);
    let (status, rotated) = program
        .post(
            &format!("{}/rotate", path(made)),
            &json!({"grace_seconds": grace_seconds}),
        )
        .await;
    assert_eq!(
        (status, &rotated["id"]),
        (StatusCode::CREATED, &made["id"]),
        "{rotated}"
    );
    rotated
}

async fn code(server: &Server, secret: &Value) -> String {
    server.verify(json!({"credential": secret})).await["code"]
        .as_str()
        .expect("a code")
        .to_owned()
}

async fn states(program: &Program<'_>, made: &Value) -> Vec<String> {
    let (_, detail) = program.get(&path(made)).await;
    detail["secrets"]
        .as_array()
        .expect("secrets")
        .iter()
        .map(|secret| text(secret, "/state").to_owned())
        .collect()
}

async fn the_grace_begins_at_the_first_use_of_the_new_secret(db: TestDatabase) {
    let server = Server::start(db).await;
    let manager = manager(&server).await;
    let made = create(&manager, &server, &json!({})).await;
    let rotated = rotate(&manager, &made, 300).await;
    assert_eq!(
        (&rotated["name"], &rotated["expires_at"]),
        (&made["name"], &made["expires_at"])
    );
    assert_eq!(states(&manager, &made).await, ["pending", "active"]);
    server.clock.step_seconds(3600);
    assert_eq!(
        code(&server, &made["secret"]).await,
        "valid",
        "nobody has used the new one"
    );
    assert_eq!(code(&server, &rotated["secret"]).await, "valid");
    assert_eq!(states(&manager, &made).await, ["active", "retiring"]);
    server.clock.step_seconds(299);
    assert_eq!(code(&server, &made["secret"]).await, "valid");
    server.clock.step_seconds(1);
    assert_eq!(
        (
            code(&server, &made["secret"]).await.as_str(),
            code(&server, &rotated["secret"]).await.as_str()
        ),
        ("not_found", "valid")
    );
    assert_eq!(states(&manager, &made).await, ["active", "revoked"]);
    let (_, detail) = manager.get(&path(&made)).await;
    assert!(
        text(&rotated, "/secret").starts_with(text(&detail, "/display")),
        "lists show the secret in use"
    );
    for grace in [-1, 604_801] {
        assert_eq!(
            problem(
                manager
                    .post(
                        &format!("{}/rotate", path(&made)),
                        &json!({"grace_seconds": grace})
                    )
                    .await
            )
            .0,
            422,
            "{grace}"
        );
    }
}

async fn a_lost_answer_costs_nothing(db: TestDatabase) {
    let server = Server::start(db).await;
    let manager = manager(&server).await;
    let made = create(&manager, &server, &json!({})).await;
    let rotation = format!("{}/rotate", path(&made));
    let send = || {
        manager
            .request(Method::POST, &rotation)
            .header("Idempotency-Key", "r1")
            .json(&json!({"grace_seconds": 0}))
    };
    server.clock.step_seconds(1);
    let (_, lost) = super::json(send()).await;
    let (status, again) = super::json(send()).await;
    assert_eq!(
        (
            status,
            &again["secret"],
            states(&manager, &made).await.len()
        ),
        (StatusCode::CREATED, &Value::Null, 2),
        "{again}"
    );
    let third = rotate(&manager, &made, 0).await;
    assert_eq!(
        states(&manager, &made).await,
        ["pending", "revoked", "active"]
    );
    assert_eq!(
        (
            code(&server, &lost["secret"]).await.as_str(),
            code(&server, &made["secret"]).await.as_str()
        ),
        ("not_found", "valid")
    );
    assert_eq!(
        (
            code(&server, &third["secret"]).await.as_str(),
            code(&server, &made["secret"]).await.as_str()
        ),
        ("valid", "not_found")
    );
}

async fn an_expiry_only_ever_comes_earlier(db: TestDatabase) {
    let server = Server::start(db).await;
    let manager = manager(&server).await;
    let made = create(&manager, &server, &json!({})).await;
    let rotation = format!("{}/rotate", path(&made));
    let rotate = async |end: &str| {
        manager
            .post(&rotation, &json!({"grace_seconds": 0, "expires_at": end}))
            .await
    };
    assert_eq!(
        problem(rotate("2028-01-01T00:00:00Z").await),
        (409, "only_narrows".to_owned())
    );
    assert_eq!(problem(rotate("2020-01-01T00:00:00Z").await).0, 422);
    assert_eq!(
        states(&manager, &made).await,
        ["active"],
        "nothing happened"
    );
    let (status, earlier) = rotate("2026-12-01T00:00:00Z").await;
    assert_eq!(
        (status, text(&earlier, "/expires_at")),
        (StatusCode::CREATED, "2026-12-01T00:00:00.000Z")
    );
}

async fn a_key_rotates_itself_only_if_that_was_switched_on(db: TestDatabase) {
    let server = Server::start(db).await;
    let manager = manager(&server).await;
    for (switch, expected) in [(true, 201), (false, 409)] {
        let made = create(&manager, &server, &json!({"self_rotation": switch})).await;
        let holder = Program::new(&server, text(&made, "/secret"));
        let (status, rotated) = holder
            .post(
                &format!("{}/rotate", path(&made)),
                &json!({"grace_seconds": 60}),
            )
            .await;
        assert_eq!(status, expected, "{rotated}");
        if switch {
            assert_eq!(code(&server, &rotated["secret"]).await, "valid");
        }
    }
    assert_eq!(
        server.database.count_events("api_key.rotated_itself"),
        1,
        "the owner finds it in the audit log"
    );
}

async fn an_old_secret_does_not_rotate_its_key(db: TestDatabase) {
    let server = Server::start(db).await;
    let manager = manager(&server).await;
    let made = create(&manager, &server, &json!({"self_rotation": true})).await;
    let rotated = rotate(&manager, &made, 600).await;
    assert_eq!(code(&server, &rotated["secret"]).await, "valid");
    let thief = Program::new(&server, text(&made, "/secret"));
    let refusal = thief
        .post(
            &format!("{}/rotate", path(&made)),
            &json!({"grace_seconds": 0}),
        )
        .await;
    assert_eq!(problem(refusal), (409, "not_the_secret_in_use".to_owned()));
    assert_eq!(code(&server, &rotated["secret"]).await, "valid");
}

async fn a_leaked_secret_ends_early_and_the_last_one_does_not(db: TestDatabase) {
    let server = Server::start(db).await;
    let manager = manager(&server).await;
    let made = create(&manager, &server, &json!({})).await;
    let revoke = async |index: usize| {
        let (_, detail) = manager.get(&path(&made)).await;
        let secret = text(&detail["secrets"][index], "/id").to_owned();
        manager
            .post_empty(&format!("{}/secrets/{secret}/revoke", path(&made)))
            .await
    };
    assert_eq!(problem(revoke(0).await), (409, "last_secret".to_owned()));
    let rotated = rotate(&manager, &made, 600).await;
    assert_eq!(
        revoke(1).await.0,
        StatusCode::OK,
        "the old one, before anybody used the new one"
    );
    assert_eq!(code(&server, &made["secret"]).await, "not_found");
    assert_eq!(problem(revoke(0).await), (409, "last_secret".to_owned()));
    assert_eq!(code(&server, &rotated["secret"]).await, "valid");
    assert_eq!(states(&manager, &made).await, ["active", "revoked"]);
}

async fn twenty_rotations_at_once_leave_two_secrets(db: TestDatabase) {
    let server = Server::start(db).await;
    let manager = manager(&server).await;
    let made = create(&manager, &server, &json!({})).await;
    let (rotation, body) = (
        format!("{}/rotate", path(&made)),
        json!({"grace_seconds": 0}),
    );
    let answers =
        futures_util::future::join_all((0..20).map(|_| manager.post(&rotation, &body))).await;
    assert!(
        answers
            .iter()
            .all(|(status, _)| *status == StatusCode::CREATED),
        "{answers:?}"
    );
    let mut live = Vec::new();
    for (_, rotated) in &answers {
        if code(&server, &rotated["secret"]).await == "valid" {
            live.push(rotated["secret"].clone());
        }
    }
    assert_eq!(live.len(), 1, "one of the twenty won");
    assert_eq!(
        code(&server, &made["secret"]).await,
        "not_found",
        "its use ended the old one"
    );
}

async fn first_use_rotation_and_revocation_race_and_never_more_than_two_live(db: TestDatabase) {
    let server = Server::start(db).await;
    let manager = manager(&server).await;
    for round in 0..12 {
        server.clock.step_seconds(60);
        let made = create(&manager, &server, &json!({})).await;
        let first = rotate(&manager, &made, 3600).await;
        let (rotation, body, own) = (
            format!("{}/rotate", path(&made)),
            json!({"grace_seconds": 3600}),
            path(&made),
        );
        let use_new = code(&server, &first["secret"]);
        let use_old = code(&server, &made["secret"]);
        let rotate_again = manager.post(&rotation, &body);
        let revoke = async {
            if round % 3 == 0 {
                Some(manager.delete(&own).await)
            } else {
                None
            }
        };
        let (new, old, (status, again), revoked) =
            futures_util::future::join4(use_new, use_old, rotate_again, revoke).await;
        assert!(
            ["valid", "not_found"].contains(&new.as_str())
                && ["valid", "not_found"].contains(&old.as_str()),
            "{new} {old}"
        );
        let live = states(&manager, &made)
            .await
            .into_iter()
            .filter(|state| state != "revoked")
            .count();
        if revoked.is_some() {
            assert_eq!(live, 0, "round {round}");
            for secret in [&made["secret"], &first["secret"], &again["secret"]] {
                assert!(
                    secret.is_null() || code(&server, secret).await == "not_found",
                    "round {round}"
                );
            }
            continue;
        }
        assert_eq!(
            (status, live),
            (StatusCode::CREATED, 2),
            "round {round}: {again}"
        );
        assert_eq!(
            code(&server, &again["secret"]).await,
            "valid",
            "round {round}"
        );
        let answers = [
            code(&server, &made["secret"]).await,
            code(&server, &first["secret"]).await,
        ];
        assert_eq!(
            answers.iter().filter(|code| *code == "valid").count(),
            1,
            "round {round}: the one in use before has its grace"
        );
    }
}

async fn ending_one_secret_races_with_its_first_use_and_never_kills_the_key(db: TestDatabase) {
    let server = Server::start(db).await;
    let manager = manager(&server).await;
    for round in 0..12 {
        server.clock.step_seconds(60);
        let made = create(&manager, &server, &json!({})).await;
        let first = rotate(&manager, &made, 3600).await;
        let (_, detail) = manager.get(&path(&made)).await;
        // the one that is in use, or the one that nobody has used yet
        let secret = text(&detail["secrets"][usize::from(round % 2 == 0)], "/id").to_owned();
        let (rotation, body) = (
            format!("{}/rotate", path(&made)),
            json!({"grace_seconds": 3600}),
        );
        let (end, again) = (
            format!("{}/secrets/{secret}/revoke", path(&made)),
            round % 3 == 0,
        );
        let use_new = code(&server, &first["secret"]);
        let end_one = manager.post_empty(&end);
        let rotate_again = async {
            if again {
                Some(manager.post(&rotation, &body).await)
            } else {
                None
            }
        };
        let (new, ended, rotated) =
            futures_util::future::join3(use_new, end_one, rotate_again).await;
        assert!(
            ["valid", "not_found"].contains(&new.as_str()),
            "round {round}: {new}"
        );
        assert!(
            ended.0 == StatusCode::OK || problem(ended).1 == "last_secret",
            "round {round}"
        );
        let states = states(&manager, &made).await;
        let live = states.iter().filter(|state| *state != "revoked").count();
        let lasting = states
            .iter()
            .filter(|state| ["active", "pending"].contains(&state.as_str()))
            .count();
        assert!(
            (1..=2).contains(&live) && lasting >= 1,
            "round {round}: {states:?}"
        );
        let mut secrets = vec![&made["secret"], &first["secret"]];
        secrets.extend(rotated.iter().map(|(_, body)| &body["secret"]));
        let mut valid = 0;
        for secret in secrets {
            valid += usize::from(code(&server, secret).await == "valid");
        }
        assert!((1..=2).contains(&valid), "round {round}: {valid}");
    }
}
