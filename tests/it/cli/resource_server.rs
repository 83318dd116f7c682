//! `countersign resource-server create`, beside a running server.

use reqwest::StatusCode;
use serde_json::json;

use super::Place;
use crate::databases::{TestDatabase, both_databases};

both_databases!(
    an_api_is_registered_beside_the_running_server_and_asks_at_once,
    what_cannot_be_registered_is_told,
);

const CREATE: [&str; 2] = ["resource-server", "create"];

async fn ask(issuer: &str, api: &str) -> StatusCode {
    let (id, secret) = api.split_once(':').expect("id:secret");
    let request = reqwest::Client::new()
        .post(format!("{issuer}/v1/verify"))
        .basic_auth(id, Some(secret))
        .json(&json!({"credential": "nobody's"}));
    request.send().await.expect("an answer").status()
}

/// A server that has refused the id before remembers that it is unknown.
async fn an_api_is_registered_beside_the_running_server_and_asks_at_once(db: TestDatabase) {
    let place = Place::new(&db);
    let mut serving = place.start(&["serve"]);
    let issuer = serving.issuer();
    let unknown = "rs_0123456789ABCDEFGHIJKL:cs_cs_nothing";
    assert_eq!(ask(&issuer, unknown).await, StatusCode::UNAUTHORIZED);
    for rules in ["all", "none", "watermark,document_name"] {
        let arguments = ["--name", "My API", "--enforces", rules, "--quiet"];
        let made = place.run(&[&CREATE[..], &arguments].concat());
        assert!(made.succeeded, "{}", made.said);
        assert_eq!(
            ask(&issuer, made.output.trim()).await,
            StatusCode::OK,
            "done is done"
        );
    }
}

async fn what_cannot_be_registered_is_told(db: TestDatabase) {
    let place = Place::new(&db);
    for (arguments, part) in [
        (
            &["--name", "", "--enforces", "all"][..],
            "name must not be empty",
        ),
        (&["--name", "A"], "--enforces"),
        (&["--name", "A", "--enforces", "everything"], "--enforces"),
        (
            &[
                "--name",
                "A",
                "--enforces",
                "all",
                "--environment",
                "staging",
            ],
            "--environment",
        ),
    ] {
        place
            .run(&[&CREATE[..], arguments].concat())
            .assert_refused(part);
    }
}
