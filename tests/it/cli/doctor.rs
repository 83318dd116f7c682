//! `countersign doctor`: what it finds, beside a running server and without one.

use serde_json::Value;

use super::{Ended, Place};
use crate::databases::{TestDatabase, both_databases};

both_databases!(
    a_running_server_is_well_and_not_disturbed,
    before_the_first_start_nothing_is_made,
    a_database_that_is_gone_is_a_problem_and_no_crash,
    a_database_without_its_schema_names_the_command,
    the_wrong_secret_key_is_a_problem,
    a_database_that_takes_no_writes_is_a_problem,
    a_row_from_the_future_is_a_problem,
    an_overdue_signing_key_is_named,
    operator_pages_that_nobody_reaches_behind_a_proxy_are_named,
);

const KEY: &str = "k1 abababababababababababababababababababababababababababababababab\n";

fn report(place: &Place) -> (Ended, Value) {
    let ended = place.run(&["doctor", "--json"]);
    assert!(!ended.said.contains("panicked"), "{}", ended.said);
    assert_eq!(
        ended.output.lines().count(),
        1,
        "one document: {}",
        ended.output
    );
    let report: Value = serde_json::from_str(&ended.output).expect("JSON");
    let count = |state: &str| {
        report["findings"]
            .as_array()
            .expect("a list")
            .iter()
            .filter(|finding| finding["state"] == state)
            .count()
    };
    assert_eq!(
        (report["problems"].as_u64(), report["warnings"].as_u64()),
        (Some(count("problem") as u64), Some(count("warning") as u64))
    );
    assert_eq!(ended.succeeded, count("problem") == 0, "{report}");
    for finding in report["findings"].as_array().expect("a list") {
        assert_eq!(
            finding["advice"].is_string(),
            finding["state"] != "ok",
            "what is not well says what to do: {finding}"
        );
    }
    (ended, report)
}

/// The state and the text of the findings of one check.
fn findings(report: &Value, check: &str) -> Vec<(String, String)> {
    let of = report["findings"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|finding| finding["check"] == check);
    of.map(|finding| {
        (
            finding["state"].as_str().unwrap_or_default().to_owned(),
            finding["message"].as_str().unwrap_or_default().to_owned(),
        )
    })
    .collect()
}

#[track_caller]
fn assert_found(report: &Value, check: &str, state: &str, part: &str) {
    let found = findings(report, check);
    assert!(
        found
            .iter()
            .any(|(own, message)| own == state && message.contains(part)),
        "{check} {state} {part}: {report}"
    );
}

fn with_key(place: &Place, key: &str) {
    place.write("secret.key", key);
    std::fs::set_permissions(
        place.path().join("secret.key"),
        std::os::unix::fs::PermissionsExt::from_mode(0o600),
    )
    .expect("our file");
}

async fn a_running_server_is_well_and_not_disturbed(db: TestDatabase) {
    let place = Place::new(&db);
    let mut serving = place.start(&["serve"]);
    let issuer = serving.issuer();
    let (_, report) = report(&place);
    assert_eq!(report["problems"], 0, "{report}");
    assert_found(&report, "issuer", "warning", "development only");
    assert_found(&report, "database", "ok", "schema up to date, takes writes");
    assert_found(&report, "clock", "ok", "T");
    assert_found(&report, "secret key", "ok", "secret.key");
    assert_found(&report, "signing keys", "ok", "(ES256) signs since");
    assert_found(&report, "settings", "ok", "none is weak");
    let ready = reqwest::get(format!("{issuer}/readyz"))
        .await
        .expect("an answer");
    assert!(ready.status().is_success());
    let text = place.run(&["doctor"]);
    assert!(
        text.succeeded
            && text.output.contains("warning  issuer: ")
            && text.output.contains("-> Put a proxy"),
        "{}",
        text.output
    );
    assert!(
        text.output.ends_with("0 problems, 1 warning\n"),
        "{}",
        text.output
    );
}

async fn before_the_first_start_nothing_is_made(db: TestDatabase) {
    let place = Place::new(&db);
    let (_, report) = report(&place);
    assert_found(&report, "secret key", "warning", "secret.key");
    assert!(!place.path().join("secret.key").exists());
    assert_eq!(report["problems"], 0, "{report}");
    with_key(&place, KEY);
    assert_found(&self::report(&place).1, "signing keys", "ok", "none yet");
}

async fn a_database_that_is_gone_is_a_problem_and_no_crash(db: TestDatabase) {
    for url in [
        "sqlite:nowhere/at/all.db",
        "postgres://nobody:hunter2@127.0.0.1:1/nothing",
        "mysql://u:hunter2@db.example/x",
    ] {
        let place = Place::new(&db).with("COUNTERSIGN_DATABASE_URL", url);
        let (ended, report) = report(&place);
        assert!(
            !findings(&report, "database").is_empty() && !ended.succeeded,
            "{report}"
        );
        assert_eq!(findings(&report, "database")[0].0, "problem", "{report}");
        assert!(
            !place.path().join("nowhere").exists()
                && !ended.output.contains("hunter2")
                && !ended.said.contains("hunter2"),
            "{report}"
        );
    }
}

async fn a_database_without_its_schema_names_the_command(db: TestDatabase) {
    db.unmigrate();
    if let countersign::store::Database::Sqlite(path) = &db.database {
        std::fs::write(path, "").expect("an empty file is an empty database");
    }
    let place = Place::new(&db);
    let (ended, report) = report(&place);
    assert_eq!(findings(&report, "database")[0].0, "problem");
    assert!(
        !ended.succeeded && ended.output.contains("countersign migrate"),
        "{report}"
    );
    db.execute("CREATE TABLE __diesel_schema_migrations (made_by_nobody_else_yet TEXT)");
}

async fn the_wrong_secret_key_is_a_problem(db: TestDatabase) {
    let place = Place::new(&db);
    with_key(&place, KEY);
    place.start(&["serve"]).issuer();
    assert_eq!(report(&place).1["problems"], 0);
    with_key(&place, &KEY.replace("ab", "cd"));
    assert_found(
        &report(&place).1,
        "signing keys",
        "problem",
        "cannot decrypt",
    );
    std::fs::set_permissions(
        place.path().join("secret.key"),
        std::os::unix::fs::PermissionsExt::from_mode(0o640),
    )
    .expect("our file");
    assert_found(
        &report(&place).1,
        "secret key",
        "problem",
        "can be read by others",
    );
    place.write("secret.key", "nonsense");
    std::fs::remove_file(place.path().join("secret.key")).expect("our file");
    assert_found(&report(&place).1, "secret key", "problem", "secret.key");
}

async fn a_database_that_takes_no_writes_is_a_problem(db: TestDatabase) {
    let place = Place::new(&db);
    with_key(&place, KEY);
    // SQLite's owner writes whatever the file says when the tests run as root
    if matches!(db.database, countersign::store::Database::Postgres(_)) {
        db.execute("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$");
        assert_found(&report(&place).1, "database", "problem", "takes no writes");
    }
}

async fn a_row_from_the_future_is_a_problem(db: TestDatabase) {
    let place = Place::new(&db);
    with_key(&place, KEY);
    db.execute("INSERT INTO audit_events (id, event, subject_id, detail, created_at) VALUES ('zzz', 'x', '', '', 99999999999999)");
    let (ended, report) = report(&place);
    assert!(!ended.succeeded);
    assert_found(&report, "clock", "problem", "5138-11-16");
}

async fn an_overdue_signing_key_is_named(db: TestDatabase) {
    let place = Place::new(&db);
    with_key(&place, KEY);
    place.start(&["serve"]).issuer();
    db.execute("UPDATE signing_keys SET signs_from = 0, created_at = 0, published_at = 0");
    assert_found(
        &report(&place).1,
        "signing keys",
        "warning",
        "its time was over at 1970-04-01",
    );
    let place = place
        .with("COUNTERSIGN_OAUTH_SIGNING_ALGORITHM", "EdDSA")
        .with("COUNTERSIGN_OAUTH_SIGNING_KEY_SECONDS", "0");
    let report = report(&place).1;
    assert_found(&report, "signing keys", "ok", "signs since 1970");
    assert_found(
        &report,
        "signing keys",
        "warning",
        "signing_algorithm is EdDSA",
    );
    assert_found(
        &report,
        "weak setting",
        "warning",
        "oauth.signing_key_seconds: ",
    );
}

#[test]
fn settings_that_open_a_door_are_named() {
    let db = TestDatabase::sqlite();
    let place = Place::new(&db).with("COUNTERSIGN_SERVER_ISSUER", "https://id.example");
    assert_found(&report(&place).1, "issuer", "ok", "https://id.example");
    assert_found(
        &report(&place).1,
        "proxy headers",
        "warning",
        "counts from nobody",
    );
    let place = place
        .with("COUNTERSIGN_SERVER_TRUSTED_PROXIES", "10.0.0.0/8,::/0")
        .with("COUNTERSIGN_SERVER_HOSTS", "https://other.example");
    let found = report(&place).1;
    assert_found(&found, "proxy headers", "problem", "::/0");
    assert_found(&found, "hosts", "problem", "https://other.example");
    assert_found(
        &found,
        "weak setting",
        "warning",
        "server.trusted_proxies: ",
    );
    let place = place
        .with("COUNTERSIGN_SERVER_TRUSTED_PROXIES", "127.0.0.0/8")
        .with("COUNTERSIGN_SERVER_HOSTS", "internal:8080");
    let found = report(&place).1;
    assert_found(&found, "proxy headers", "ok", "127.0.0.0/8");
    assert_found(&found, "hosts", "ok", "id.example, internal:8080");
    // `config check` names them too, and still prints a configuration
    let place = place.with("COUNTERSIGN_OAUTH_CODE_SECONDS", "300");
    let checked = place.run(&["config", "check"]);
    assert!(
        checked.succeeded
            && checked
                .output
                .contains("# Weak: oauth.code_seconds: a stolen code"),
        "{}",
        checked.output
    );
}

#[test]
fn a_configuration_that_cannot_be_read_is_one_problem() {
    let place = Place::empty();
    place.write("countersign.toml", "[server]\nlisen = \"x\"\n");
    let (ended, report) = report(&place);
    assert!(!ended.succeeded);
    assert_found(
        &report,
        "configuration",
        "problem",
        "did you mean `server.listen`?",
    );
    assert_eq!(report["findings"].as_array().map(Vec::len), Some(1));
}

async fn operator_pages_that_nobody_reaches_behind_a_proxy_are_named(db: TestDatabase) {
    let plain = Place::new(&db);
    let opens = "/operator opens from 127.0.0.0/8";
    assert_found(&report(&plain).1, "operator pages", "ok", opens);
    let https = || {
        Place::new(&db)
            .with("COUNTERSIGN_SERVER_ISSUER", "https://dev.example.com")
            .with("COUNTERSIGN_SERVER_TRUSTED_PROXIES", "127.0.0.0/8")
    };
    let nobody = "behind the proxy nobody reaches it";
    assert_found(&report(&https()).1, "operator pages", "warning", nobody);
    let elsewhere = https()
        .with("COUNTERSIGN_SERVER_TRUSTED_PROXIES", "")
        .with("COUNTERSIGN_SERVER_LISTEN", "192.0.2.1:8080");
    assert_found(&report(&elsewhere).1, "operator pages", "warning", nobody);
    let open = https().with("COUNTERSIGN_SERVER_TRUSTED_PROXIES", "");
    let everybody = "whoever the proxy lets through";
    assert_found(&report(&open).1, "operator pages", "warning", everybody);
    let networks = "COUNTERSIGN_OPERATIONS_ALLOWED_NETWORKS";
    let office = https().with(networks, "192.0.2.0/24");
    let opens = "/operator opens from 192.0.2.0/24";
    assert_found(&report(&office).1, "operator pages", "ok", opens);
    let none = https().with(networks, "");
    assert_found(&report(&none).1, "operator pages", "warning", "is empty");
}
