//! `countersign operator token`, beside a running server.

use reqwest::StatusCode;

use super::Place;
use crate::databases::{TestDatabase, both_databases};

both_databases!(
    a_token_is_made_and_ended_beside_the_running_server,
    what_cannot_be_made_is_told
);

async fn status(issuer: &str, token: &str) -> StatusCode {
    let request = reqwest::Client::new()
        .get(format!("{issuer}/v1/organizations"))
        .bearer_auth(token);
    request.send().await.expect("an answer").status()
}

async fn a_token_is_made_and_ended_beside_the_running_server(db: TestDatabase) {
    let place = Place::new(&db);
    let mut serving = place.start(&["serve"]);
    let issuer = serving.issuer();
    let made = place.run(&[
        "operator",
        "token",
        "create",
        "--name",
        "Billing",
        "--permissions",
        "organization:read,operator:read",
    ]);
    assert!(made.succeeded, "{}", made.said);
    let token = made
        .output
        .split_whitespace()
        .last()
        .expect("a token")
        .to_owned();
    assert!(
        token.starts_with("cs_ot_") && made.output.contains("(Billing), which expires "),
        "{}",
        made.output
    );
    assert_eq!(status(&issuer, &token).await, StatusCode::OK, "at once");
    let id = made
        .output
        .split_whitespace()
        .find(|word| word.starts_with("opt_"))
        .expect("an id");
    let listed = place.run(&["operator", "token", "list"]).output;
    assert!(
        listed.contains(id) && listed.contains("active") && !listed.contains(&token),
        "{listed}"
    );
    assert!(place.run(&["operator", "token", "revoke", id]).succeeded);
    assert_eq!(
        status(&issuer, &token).await,
        StatusCode::UNAUTHORIZED,
        "at once"
    );
    assert!(
        place
            .run(&["operator", "token", "list"])
            .output
            .contains("revoked")
    );
}

async fn what_cannot_be_made_is_told(db: TestDatabase) {
    let place = Place::new(&db);
    drop(place.start(&["serve"]).issuer());
    for (arguments, part) in [
        (&["create", "--name", ""][..], "name must not be empty"),
        (
            &["create", "--name", "A", "--permissions", "nothing"],
            "permissions must be known ones",
        ),
        (
            &["create", "--name", "A", "--expires-days", "9999"],
            "--expires-days",
        ),
        (
            &["revoke", "opt_0123456789ABCDEFGHIJKL"],
            "There is no operator token",
        ),
        (
            &["revoke", "nonsense"],
            "There is no operator token nonsense",
        ),
    ] {
        let ended = place.run(&[&["operator", "token"], arguments].concat());
        assert!(
            !ended.succeeded && ended.said.contains(part),
            "{arguments:?}: {}",
            ended.said
        );
    }
}
