//! Clocks that leap: nothing is removed, and nothing ends for good, by a time that may be wrong.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use countersign::app::App;
use countersign::config::Config;
use countersign::domain::people::endings;
use countersign::jobs;
use countersign::store::{self, Conn, Verdict};
use countersign::types::id::AccessTokenId;
use countersign::types::state::OrganizationRole;
use countersign::types::time::{Clock, Timestamp};
use diesel::sql_types::BigInt;
use diesel::{QueryableByName, RunQueryDsl};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::api::Program;
use crate::databases::{TestDatabase, both_databases};
use crate::people;
use crate::process::Process;
use crate::server::{NOON, Server};

both_databases!(
    a_leap_ahead_and_back_takes_nothing,
    a_leap_is_no_reason_to_end_anything_by_a_request,
    a_restart_hides_no_leap,
    a_clock_behind_the_newest_row_removes_nothing_until_somebody_trusts_it,
    a_leap_while_nobody_served_is_told_by_readyz_and_doctor,
);

const DAY: i64 = 24 * 60 * 60;

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

fn count(db: &TestDatabase, table: &str) -> i64 {
    let mut conn = Conn::open(&db.database).expect("a connection");
    diesel::sql_query(format!("SELECT count(*) AS rows FROM {table}"))
        .get_result::<Count>(&mut conn)
        .expect("a count")
        .rows
}

/// Rows of every table from which time removes something.
fn rows(db: &TestDatabase) -> Vec<(&'static str, i64)> {
    let tables = [
        "members",
        "api_keys",
        "sessions",
        "authorization_requests",
        "authorizations",
        "consents",
        "refresh_tokens",
        "access_tokens",
        "revoked_tokens",
        "signing_keys",
        "idempotency_keys",
        "limit_windows",
        "registrations",
    ];
    tables.map(|table| (table, count(db, table))).into()
}

/// Everything that happens although nobody asks.
async fn all_jobs(app: &App) {
    jobs::clock::round(app).await.expect("a look");
    jobs::sweep::round(app).await.expect("a round");
    jobs::limits::sweep(app).await;
    jobs::domains::round(app).await.expect("a round");
    app.tend_signing_keys().await.expect("looked after");
}

async fn readyz(server: &Server) -> (StatusCode, Value) {
    crate::server::json(server.get("/readyz").send().await.expect("an answer")).await
}

async fn leap_metric(server: &Server) -> String {
    let metrics = server.get("/metrics").send().await.expect("an answer");
    let text = metrics.text().await.expect("text");
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("countersign_clock_leap_seconds "));
    line.expect("the gauge").to_owned()
}

async fn a_leap_ahead_and_back_takes_nothing(db: TestDatabase) {
    let server = Server::start_with(db, |config| config.sweep.every_seconds = 1_000_000).await;
    let tokens = server.code_flow("read").await;
    let token = tokens["access_token"].as_str().expect("a token").to_owned();
    let revoked = server
        .as_application("/oauth2/revoke")
        .form(&[("token", &token)])
        .send()
        .await
        .expect("an answer");
    assert!(revoked.status().is_success());
    server
        .verify(json!({"credential": server.secrets.sandbox_key, "permission": "documents:read"}))
        .await;
    jobs::limits::flush(&server.app).await;
    jobs::clock::round(&server.app).await.expect("a look");
    let before = rows(&server.database);
    for (leap, words) in [
        (40 * DAY, "leapt 40 days ahead"),
        (-40 * DAY, "leapt 40 days back"),
    ] {
        server.clock.leap_seconds(leap);
        all_jobs(&server.app).await;
        assert_eq!(rows(&server.database), before, "{words}");
        // requests are welcome all the same: most leaps are to the right time
        let (status, body) = readyz(&server).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        let warning = body["warnings"][0].as_str().expect("a warning");
        assert!(
            warning.contains(words) && warning.contains("clock accept"),
            "{body}"
        );
        assert_eq!(leap_metric(&server).await, leap.to_string());
        server.clock.leap_seconds(-leap);
        all_jobs(&server.app).await;
        assert_eq!(rows(&server.database), before, "{words}, and back");
        assert_eq!(readyz(&server).await.1, json!({"status": "ready"}));
        assert_eq!(leap_metric(&server).await, "0");
        assert_eq!(server.introspect(&token).await, json!({"active": false}));
    }
    // as time passes they leave
    server.clock.step_seconds(40 * DAY);
    all_jobs(&server.app).await;
    assert_eq!(count(&server.database, "revoked_tokens"), 0);
}

async fn a_leap_is_no_reason_to_end_anything_by_a_request(db: TestDatabase) {
    let server = Server::start_with(db, |config| config.sweep.every_seconds = 1_000_000).await;
    let organization = server.planted.organization;
    let operator = Program::operator(&server);
    let create = async || {
        let path = format!("/v1/workspaces?organization={organization}");
        let request = operator
            .request(Method::POST, &path)
            .header("Idempotency-Key", "once")
            .json(&json!({"name": "Help"}));
        crate::server::json(request.send().await.expect("an answer")).await
    };
    let (status, made) = create().await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let mia = people::member(&server, "mia@acme.example", None).await;
    let end = server.clock.now().plus_seconds(DAY);
    server
        .write(move |tx| Ok(tx.change_member_end(organization, mia, Some(end))?))
        .await;
    drop(server.signed_in_browser().await);
    let before = rows(&server.database);
    server.clock.leap_seconds(40 * DAY);
    assert_eq!(create().await.1["id"], made["id"], "it is not made again");
    drop(server.signed_in_browser().await);
    let ended: Result<bool, store::Error> = server
        .app
        .store
        .write(server.clock.now(), move |tx| {
            endings::end_if_over(tx, organization, mia).map(Verdict::Done)
        })
        .await;
    assert!(
        matches!(ended, Err(store::Error::Unavailable(_))),
        "{ended:?}"
    );
    server.clock.leap_seconds(-40 * DAY);
    let kept: Vec<_> = rows(&server.database)
        .into_iter()
        .zip(before)
        .filter(|((_, after), (_, before))| after < before)
        .collect();
    assert_eq!(kept, [], "nothing has gone");
    let member = server
        .write(move |tx| {
            let now = tx.now;
            Ok(tx.find_member(organization, mia, now)?)
        })
        .await;
    assert_eq!(member.map(|own| own.role), Some(OrganizationRole::Member));
}

/// As a process would; the one before has ended, or is about to.
async fn build(db: &TestDatabase, folder: &TempDir, clock: &Clock) -> App {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let mut config = Config::load(None, std::iter::empty()).expect("the defaults");
        config.database.url = db.url();
        config.secret.key_file = folder.path().join("secret.key").display().to_string();
        match App::build(config, clock.clone(), PathBuf::from("/no/such/program")).await {
            Ok(app) => return app,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Puts a revocation there whose token is over a quarter of an hour later.
fn revoke_at(db: &TestDatabase, at: Timestamp) {
    let (id, end) = (
        AccessTokenId::generate(at),
        at.plus_seconds(15 * 60).millis(),
    );
    db.execute(&format!(
        "INSERT INTO revoked_tokens (id, expires_at) VALUES ('{id}', {end})"
    ));
}

async fn a_restart_hides_no_leap(db: TestDatabase) {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = Clock::manual(NOON);
    revoke_at(&db, NOON);
    let first = build(&db, &folder, &clock).await;
    all_jobs(&first).await;
    drop(first);
    clock.step_seconds(60);
    clock.leap_seconds(40 * DAY);
    let leapt = build(&db, &folder, &clock).await;
    all_jobs(&leapt).await;
    assert_eq!(count(&db, "revoked_tokens"), 1);
    assert!(leapt.readiness.warnings()[0].contains("leapt 40 days ahead"));
    drop(leapt);
    // the machine starts again, and its clock is as wrong as before: time proves nothing
    let rebooted = Clock::manual(clock.now().plus_seconds(60));
    let app = build(&db, &folder, &rebooted).await;
    for _ in 0..3 {
        all_jobs(&app).await;
        assert!(app.readiness.warnings()[0].contains("leapt 40 days ahead"));
        rebooted.step_seconds(60 * 60);
    }
    assert_eq!(count(&db, "revoked_tokens"), 1);
    drop(app);
    // once it is right nothing is in the way
    let right = Clock::manual(NOON.plus_seconds(10 * 60));
    let app = build(&db, &folder, &right).await;
    all_jobs(&app).await;
    assert_eq!(app.readiness.warnings(), [""; 0]);
    assert_eq!(count(&db, "revoked_tokens"), 1, "its token is alive");
    drop(app);
    // after a long stop it waits for an hour
    let later = Clock::manual(NOON.plus_seconds(9 * DAY));
    let app = build(&db, &folder, &later).await;
    all_jobs(&app).await;
    assert!(app.readiness.warnings()[0].contains("9 days ahead of when"));
    assert_eq!(count(&db, "revoked_tokens"), 1);
    later.step_seconds(60 * 60);
    all_jobs(&app).await;
    assert_eq!(app.readiness.warnings(), [""; 0]);
    assert_eq!(count(&db, "revoked_tokens"), 0);
}

/// The real binary: its variables, and its folder.
struct Place {
    folder: TempDir,
    variables: Vec<(&'static str, String)>,
}

impl Place {
    fn new(db: &TestDatabase) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let key = folder.path().join("secret.key").display().to_string();
        let variables = vec![
            ("COUNTERSIGN_DATABASE_URL", db.url()),
            ("COUNTERSIGN_SECRET_KEY_FILE", key),
            ("COUNTERSIGN_SERVER_LISTEN", "127.0.0.1:0".to_owned()),
            ("COUNTERSIGN_SWEEP_EVERY_SECONDS", "1".to_owned()),
        ];
        Self { folder, variables }
    }

    fn serve(&self) -> Process {
        Process::serve(&self.variables).unwrap_or_else(|ended| unreachable!("{}", ended.output))
    }

    fn run(&self, arguments: &[&str]) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_countersign"))
            .args(arguments)
            .current_dir(self.folder.path())
            .envs(self.variables.iter().cloned())
            .output()
            .expect("it runs");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// What `doctor` says of the clock: the state, and the words.
    fn doctor(&self) -> (String, String) {
        let report: Value = serde_json::from_str(&self.run(&["doctor", "--json"])).expect("JSON");
        let findings = report["findings"].as_array().expect("a list");
        let clock = findings
            .iter()
            .find(|finding| finding["check"] == "clock")
            .expect("it looks at the clock");
        let words = format!("{} {}", clock["message"], clock["advice"]);
        (clock["state"].as_str().expect("a state").to_owned(), words)
    }
}

/// Asks until it holds.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds().await {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn warning(issuer: &str) -> String {
    let ready = reqwest::get(format!("{issuer}/readyz")).await;
    let body: Value = ready.expect("an answer").json().await.expect("JSON");
    body["warnings"][0].as_str().unwrap_or_default().to_owned()
}

async fn a_clock_behind_the_newest_row_removes_nothing_until_somebody_trusts_it(db: TestDatabase) {
    let now = Clock::System.now();
    let newest = now.plus_seconds(40 * DAY).millis();
    db.execute(&format!(
        "INSERT INTO audit_events (id, event, subject_id, detail, created_at) VALUES ('zzz', 'x', '', '', {newest})"
    ));
    revoke_at(&db, now.plus_seconds(-3 * DAY));
    let place = Place::new(&db);
    let server = place.serve();
    until("the server says so", async || {
        warning(&server.issuer)
            .await
            .contains("behind the newest row")
    })
    .await;
    let (state, words) = place.doctor();
    assert_eq!(state, "problem", "{words}");
    assert!(words.contains("countersign clock accept"), "{words}");
    // three sweeps would have come
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(count(&db, "revoked_tokens"), 1);
    assert!(
        place
            .run(&["clock", "accept"])
            .starts_with("Trusted: it is ")
    );
    until("the server goes on", async || {
        count(&db, "revoked_tokens") == 0
    })
    .await;
    assert_eq!(warning(&server.issuer).await, "");
    assert_eq!(place.doctor().0, "ok");
    server.stop();
    let again = place.serve();
    until("it is remembered", async || {
        warning(&again.issuer).await.is_empty() && count(&db, "clock_records") == 1
    })
    .await;
}

async fn a_leap_while_nobody_served_is_told_by_readyz_and_doctor(db: TestDatabase) {
    let reading = Clock::System.read();
    revoke_at(&db, reading.at.plus_seconds(-3 * DAY));
    db.execute(&format!(
        "INSERT INTO clock_records (name, trusted_at, boot, uptime_millis, dated_until) VALUES ('server', {}, '{}', {}, 0)",
        reading.at.plus_seconds(-40 * DAY).millis(),
        Clock::System.boot(),
        reading.uptime_millis
    ));
    let place = Place::new(&db);
    let server = place.serve();
    until("the server says so", async || {
        warning(&server.issuer)
            .await
            .contains("leapt 40 days ahead")
    })
    .await;
    let (state, words) = place.doctor();
    assert!(
        state == "problem" && words.contains("leapt 40 days ahead"),
        "{words}"
    );
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(count(&db, "revoked_tokens"), 1);
    place.run(&["clock", "accept"]);
    until("the server goes on", async || {
        count(&db, "revoked_tokens") == 0
    })
    .await;
}
