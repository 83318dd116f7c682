//! `countersign organization create`, beside a running server and without one.

use super::Place;
use super::user::signs_in;
use crate::databases::{TestDatabase, both_databases};

both_databases!(
    a_customer_is_made_beside_the_running_server,
    an_owner_who_is_there_owns_it,
    what_cannot_be_made_is_told,
);

const CREATE: [&str; 2] = ["organization", "create"];

async fn a_customer_is_made_beside_the_running_server(db: TestDatabase) {
    let place = Place::new(&db);
    let mut serving = place.start(&["serve"]);
    let issuer = serving.issuer();
    let arguments = ["--name", "Acme", "--owner", "ada@acme.example"];
    let made = place.run(&[&CREATE[..], &arguments].concat());
    assert!(made.succeeded, "{}", made.said);
    assert!(
        made.output.contains("(Acme) with the workspace ws_") && made.output.contains("(Main)"),
        "{}",
        made.output
    );
    let password = made
        .output
        .lines()
        .find_map(|line| line.strip_prefix("Password: "))
        .expect("a password");
    assert!(signs_in(&issuer, "ada@acme.example", password).await);
}

async fn an_owner_who_is_there_owns_it(db: TestDatabase) {
    let place = Place::new(&db);
    for name in ["Acme", "Globex"] {
        let arguments = ["--name", name, "--owner", "Ada@acme.example"];
        let made = place.run(&[&CREATE[..], &arguments].concat());
        assert!(made.succeeded, "{}", made.said);
        assert_eq!(
            made.output.contains("Password: "),
            name == "Acme",
            "{}",
            made.output
        );
    }
    let listed = place.run(&["user", "list"]);
    assert_eq!(
        listed.output.matches("ada@acme.example").count(),
        1,
        "{}",
        listed.output
    );
}

async fn what_cannot_be_made_is_told(db: TestDatabase) {
    let place = Place::new(&db);
    let good = ["--name", "Acme", "--owner", "ada@acme.example"];
    for (changed, value, part) in [(1, "", "name must not be empty"), (3, "nobody", "--owner")] {
        let mut arguments = good;
        arguments[changed] = value;
        place
            .run(&[&CREATE[..], &arguments].concat())
            .assert_refused(part);
    }
    assert!(!place.run(&["user", "list"]).output.contains('@'));
}
