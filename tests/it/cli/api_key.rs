//! `countersign api-key create`, beside a running server.

use reqwest::StatusCode;

use super::Place;
use crate::databases::{TestDatabase, both_databases};

both_databases!(
    a_key_is_made_beside_the_running_server_and_works_at_once,
    what_cannot_be_made_is_told,
);

async fn whoami(issuer: &str, key: &str) -> StatusCode {
    let request = reqwest::Client::new()
        .get(format!("{issuer}/v1/whoami"))
        .bearer_auth(key);
    request.send().await.expect("an answer").status()
}

async fn a_key_is_made_beside_the_running_server_and_works_at_once(db: TestDatabase) {
    let place = Place::new(&db);
    let mut serving = place.start(&["serve"]);
    let issuer = serving.issuer();
    let owner = ["--name", "Acme", "--owner", "ada@acme.example"];
    let made = place.run(&[&["organization", "create"], &owner[..]].concat());
    assert!(made.succeeded, "{}", made.said);
    for organization in ["Acme", made.output.split(' ').nth(1).expect("an id")] {
        let arguments = [
            "api-key",
            "create",
            "--organization",
            organization,
            "--quiet",
        ];
        let key = place.run(&arguments);
        assert!(key.succeeded, "{}", key.said);
        let key = key.output.trim();
        assert!(key.starts_with("cs_sandbox_"), "{key}");
        assert_eq!(whoami(&issuer, key).await, StatusCode::OK);
    }
}

async fn what_cannot_be_made_is_told(db: TestDatabase) {
    let place = Place::new(&db);
    let owner = ["--name", "Acme", "--owner", "ada@acme.example"];
    let made = place.run(&[&["organization", "create"], &owner[..]].concat());
    assert!(made.succeeded, "{}", made.said);
    for (arguments, part) in [
        (&["--organization", "Nobody"][..], "is not there"),
        (
            &["--organization", "org_0123456789ABCDEFGHIJKL"],
            "is not there",
        ),
        (
            &["--organization", "Acme", "--environment", "staging"],
            "--environment",
        ),
        (
            &["--organization", "Acme", "--expires-days", "0"],
            "--expires-days",
        ),
        // it needs a plan and an approval
        (
            &["--organization", "Acme", "--environment", "production"],
            "",
        ),
    ] {
        place
            .run(&[&["api-key", "create"], arguments].concat())
            .assert_refused(part);
    }
}
