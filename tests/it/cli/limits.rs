//! Limits survive a restart: all of them when the process is told to stop, and what the last flush wrote when it is killed.

use std::path::PathBuf;

use countersign::app::App;
use countersign::config::Config;
use countersign::domain::lifecycle::quickstart::Planted;
use countersign::store::Conn;
use countersign::types::time::Clock;
use diesel::sql_types::Text;
use diesel::{QueryableByName, RunQueryDsl};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::{Place, Program};
use crate::databases::{TestDatabase, both_databases};
use crate::server::{Secrets, plant};

both_databases!(
    a_process_that_is_told_to_stop_keeps_every_limit,
    a_process_that_is_killed_keeps_what_was_flushed
);

/// Ten a day: no test takes so long.
fn place(db: &TestDatabase) -> Place {
    Place::new(db)
        .with("COUNTERSIGN_LIMITS_SANDBOX", "10/1d")
        .with("COUNTERSIGN_LIMITS_WHOAMI", "10/1d")
}

/// Plants in this process, so that the secrets are known, and leaves the database to the other one.
async fn prepare(db: &TestDatabase, place: &Place) -> (Planted, Secrets) {
    let mut config = Config::load(None, std::iter::empty()).expect("the defaults are valid");
    config.database.url = db.url();
    config.secret.key_file = place.path().join("secret.key").display().to_string();
    let app = App::build(config, Clock::System, PathBuf::from("/no/such/program"))
        .await
        .map_err(|error| error.to_string());
    plant(&app.expect("it opens")).await
}

/// Starts it when the one before has given its lock back.
async fn start(place: &Place) -> (Program, String) {
    loop {
        let mut program = place.start(&["serve"]);
        let said = program
            .log
            .by_ref()
            .map(|line| line.expect("UTF-8"))
            .find(|line| line.contains("Serving") || line.contains("another Countersign"));
        match said {
            Some(line) if line.contains("Serving") => {
                let address = &line[line.find("http://").expect("an address")..];
                let issuer = address
                    .split(['"', ' '])
                    .next()
                    .expect("an address")
                    .to_owned();
                return (program, issuer);
            }
            said => assert!(said.is_some(), "it ended without a word of the lock"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// What remains of the owner's limit behind one more request.
async fn spend(issuer: &str, planted: &Planted, secrets: &Secrets) -> Value {
    let request = reqwest::Client::new().post(format!("{issuer}/v1/verify"));
    let request = request.basic_auth(
        planted.resource_server,
        Some(&secrets.resource_server_secret),
    );
    let response = request
        .json(&json!({"credential": secrets.sandbox_key}))
        .send()
        .await
        .expect("an answer");
    let answer: Value = response.json().await.expect("JSON");
    answer["limits"][0]["remaining"].clone()
}

/// Of one more question about itself.
async fn whoami(issuer: &str, secrets: &Secrets) -> String {
    let response = reqwest::Client::new()
        .get(format!("{issuer}/v1/whoami"))
        .bearer_auth(&secrets.sandbox_key)
        .send()
        .await
        .expect("an answer");
    response.headers()["x-ratelimit-remaining"]
        .to_str()
        .expect("a number")
        .to_owned()
}

/// How much of the owner's limit is written down.
fn written(db: &TestDatabase) -> u64 {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        admissions: String,
    }
    let mut conn = Conn::open(&db.database).expect("a connection");
    let query = diesel::sql_query("SELECT admissions FROM limit_windows WHERE name LIKE 'owner %'");
    let rows: Vec<Row> = query.load(&mut conn).expect("rows");
    let buckets = rows.iter().flat_map(|row| row.admissions.split(' '));
    buckets
        .map(|bucket| {
            bucket
                .split_once(':')
                .expect("a count")
                .1
                .parse::<u64>()
                .expect("a number")
        })
        .sum()
}

async fn a_process_that_is_told_to_stop_keeps_every_limit(db: TestDatabase) {
    let place = place(&db);
    let (planted, secrets) = prepare(&db, &place).await;
    for round in 0..2 {
        let (program, issuer) = start(&place).await;
        for number in 0..3 {
            assert_eq!(
                spend(&issuer, &planted, &secrets).await,
                9 - 3 * round - number
            );
        }
        assert_eq!(whoami(&issuer, &secrets).await, (9 - round).to_string());
        // at once: nothing but the last flush can have written the last request
        program.tell(Signal::TERM);
        assert!(program.end().0, "it ends well");
        assert_eq!(written(&db), 3 * (round + 1));
    }
}

async fn a_process_that_is_killed_keeps_what_was_flushed(db: TestDatabase) {
    let place = place(&db);
    let (planted, secrets) = prepare(&db, &place).await;
    let (program, issuer) = start(&place).await;
    for number in 0..4 {
        assert_eq!(spend(&issuer, &planted, &secrets).await, 9 - number);
    }
    while written(&db) < 4 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    program.tell(Signal::KILL);
    assert!(!program.end().0, "it was killed");
    let (_program, issuer) = start(&place).await;
    assert_eq!(spend(&issuer, &planted, &secrets).await, 5);
}
