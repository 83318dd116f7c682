//! `countersign signing-keys`, beside a running server and without one.

use std::path::PathBuf;

use countersign::app::App;
use countersign::config::Config;
use countersign::domain::lifecycle::quickstart::Planted;
use countersign::store::Database;
use countersign::types::time::Clock;
use serde_json::Value;

use super::{Ended, Place};
use crate::databases::{TestDatabase, both_databases};
use crate::server::{Secrets, plant};

both_databases!(
    a_rotation_beside_the_running_server_is_taken_over,
    a_key_that_others_may_have_is_replaced_and_removed,
    without_a_key_or_with_another_secret_nothing_is_rotated,
);

/// What `quickstart` plants, under the place's secret key.
async fn planted(db: &TestDatabase, place: &Place) -> (Planted, Secrets) {
    let mut config = Config::load(None, std::iter::empty()).expect("the defaults are valid");
    config.database.url = db.url();
    config.secret.key_file = place.path().join("secret.key").display().to_string();
    let app = App::build(config, Clock::System, PathBuf::from("/no/such/program"))
        .await
        .map_err(|error| error.to_string())
        .expect("it opens");
    plant(&app).await
}

/// A fast schedule: the default would take a day.
fn quick(db: &TestDatabase) -> Place {
    Place::new(db).with("COUNTERSIGN_OAUTH_SIGNING_KEY_PUBLISH_SECONDS", "1")
}

/// The store of `planted` gives its lock back within a second.
async fn serve(place: &Place) -> (super::Program, String) {
    for _ in 0..100 {
        let mut serving = place.start(&["serve"]);
        let line = serving
            .log
            .by_ref()
            .map(|line| line.expect("UTF-8"))
            .find(|line| line.contains("Serving") || line.contains("another Countersign"));
        if let Some(start) = line.as_ref().and_then(|line| line.find("http://")) {
            let issuer = line.as_deref().unwrap_or_default()[start..]
                .split(['"', ' '])
                .next()
                .unwrap_or_default()
                .to_owned();
            return (serving, issuer);
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    unreachable!("the lock is never given back");
}

struct Client<'a> {
    issuer: &'a str,
    planted: &'a Planted,
    secrets: &'a Secrets,
    http: reqwest::Client,
}

impl Client<'_> {
    async fn token(&self) -> String {
        let request = self
            .http
            .post(format!("{}/oauth2/token", self.issuer))
            .basic_auth(self.planted.application, Some(&self.secrets.client_secret));
        let body: Value = request
            .form(&[("grant_type", "client_credentials")])
            .send()
            .await
            .expect("an answer")
            .json()
            .await
            .expect("JSON");
        body["access_token"].as_str().expect("a token").to_owned()
    }

    async fn published(&self) -> Vec<String> {
        let set: Value = self
            .http
            .get(format!("{}/.well-known/jwks.json", self.issuer))
            .send()
            .await
            .expect("an answer")
            .json()
            .await
            .expect("JSON");
        set["keys"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|key| key["kid"].as_str().expect("a kid").to_owned())
            .collect()
    }

    async fn is_active(&self, token: &str) -> bool {
        let request = self.http.post(format!("{}/oauth2/introspect", self.issuer));
        let request = request.basic_auth(
            self.planted.resource_server,
            Some(&self.secrets.resource_server_secret),
        );
        let body: Value = request
            .form(&[("token", token)])
            .send()
            .await
            .expect("an answer")
            .json()
            .await
            .expect("JSON");
        body["active"] == true
    }

    /// Until tokens are signed by this key, which the server finds out by itself.
    async fn token_signed_by(&self, kid: &str) -> String {
        for _ in 0..600 {
            let token = self.token().await;
            if kid_of(&token) == kid {
                return token;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        unreachable!("{kid} never signs");
    }
}

fn kid_of(token: &str) -> String {
    jsonwebtoken::decode_header(token)
        .expect("a JWT")
        .kid
        .expect("a kid")
}

/// The kid in `Made KID (ES256)`.
fn made(ended: &Ended) -> String {
    assert!(ended.succeeded, "{}", ended.said);
    ended
        .output
        .strip_prefix("Made ")
        .and_then(|rest| rest.split(' ').next())
        .expect("a key was made")
        .to_owned()
}

async fn a_rotation_beside_the_running_server_is_taken_over(db: TestDatabase) {
    // 9700-44
    let place = quick(&db);
    let (planted, secrets) = planted(&db, &place).await;
    let (_serving, issuer) = serve(&place).await;
    let client = Client {
        issuer: &issuer,
        planted: &planted,
        secrets: &secrets,
        http: reqwest::Client::new(),
    };
    let old = client.token().await;
    let rotated = place.run(&["signing-keys", "rotate"]);
    let kid = made(&rotated);
    assert!(rotated.output.contains("signs from"), "{}", rotated.output);
    let again = place.run(&["signing-keys", "rotate"]);
    assert!(
        again.succeeded && again.output.contains("Nothing was made") && again.output.contains(&kid),
        "{}",
        again.output
    );
    let new = client.token_signed_by(&kid).await;
    assert_eq!(client.published().await, [kid.clone(), kid_of(&old)]);
    assert!(client.is_active(&old).await && client.is_active(&new).await);
    let listed = place.run(&["signing-keys", "list"]).output;
    let line = |kid: &str| {
        listed
            .lines()
            .find(|line| line.starts_with(kid))
            .unwrap_or_default()
            .to_owned()
    };
    assert!(
        line(&kid).contains("ES256      signs")
            && line(&kid_of(&old)).contains("ES256      verifies"),
        "{listed}"
    );
    assert!(line(&kid_of(&old)).contains("kept until"), "{listed}");
}

async fn a_key_that_others_may_have_is_replaced_and_removed(db: TestDatabase) {
    let place = Place::new(&db);
    let (planted, secrets) = planted(&db, &place).await;
    let (_serving, issuer) = serve(&place).await;
    let client = Client {
        issuer: &issuer,
        planted: &planted,
        secrets: &secrets,
        http: reqwest::Client::new(),
    };
    let old = client.token().await;
    let old_kid = kid_of(&old);
    place
        .run(&["signing-keys", "remove", &old_kid])
        .assert_refused("it signs: run `signing-keys rotate --now` first");
    for unknown in ["nobody", "-Jbc", "--", ""] {
        place
            .run(&["signing-keys", "remove", unknown])
            .assert_refused(if unknown == "--" {
                "<KID>"
            } else {
                "there is no such key"
            });
    }
    let rotated = place.run(&["signing-keys", "rotate", "--now"]);
    let kid = made(&rotated);
    for part in [
        "within 10 seconds",
        "Resource servers do not have it yet",
        "signing-keys remove KID",
    ] {
        assert!(rotated.output.contains(part), "{part}: {}", rotated.output);
    }
    let new = client.token_signed_by(&kid).await;
    assert!(
        client.is_active(&old).await,
        "until somebody says otherwise"
    );
    let removed = place.run(&["signing-keys", "remove", &old_kid]);
    assert!(removed.succeeded, "{}", removed.said);
    for _ in 0..600 {
        if !client.is_active(&old).await {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(!client.is_active(&old).await && client.is_active(&new).await);
    assert_eq!(client.published().await, [kid]);
}

async fn without_a_key_or_with_another_secret_nothing_is_rotated(db: TestDatabase) {
    let place = quick(&db);
    place
        .run(&["signing-keys", "rotate"])
        .assert_refused("secret.key");
    assert!(
        !place.path().join("secret.key").exists(),
        "a command makes no secret"
    );
    place.write("secret.key", &format!("k1 {}\n", "ab".repeat(32)));
    std::fs::set_permissions(
        place.path().join("secret.key"),
        std::os::unix::fs::PermissionsExt::from_mode(0o600),
    )
    .expect("our file");
    place
        .run(&["signing-keys", "rotate"])
        .assert_refused("There is no signing key yet");
    assert!(
        place
            .run(&["signing-keys", "list"])
            .output
            .contains("There is no signing key yet")
    );
    drop(serve(&place).await);
    place.write("secret.key", &format!("k2 {}\n", "cd".repeat(32)));
    for arguments in [
        &["signing-keys", "rotate"][..],
        &["signing-keys", "rotate", "--now"],
    ] {
        place
            .run(arguments)
            .assert_refused("Is this the secret key that belongs to this database?");
    }
    assert_eq!(
        place.run(&["signing-keys", "list"]).output.lines().count(),
        2,
        "a heading and the one key"
    );
    db.unmigrate();
    // a file that is gone where a server has run is not to be made anew
    let advice = match &db.database {
        Database::Sqlite(_) => "bring it back",
        Database::Postgres(_) => "countersign migrate",
    };
    place.run(&["signing-keys", "list"]).assert_refused(advice);
}
