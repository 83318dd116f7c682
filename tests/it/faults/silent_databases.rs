//! Databases that are away, frozen, or behind a middle box that swallows bytes: every door answers 503 within the time-out
//! of the configuration, no answer comes from a memory that may be wrong, and all is well again without a restart.
#![expect(clippy::panic, reason = "a test fails by it")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use countersign::crypto::format::{TokenKind, mint_key, mint_token};
use countersign::store::{Conn, Database, Error, Store, Verdict, migrate};
use countersign::types::event::Event;
use diesel::connection::SimpleConnection;
use diesel::sql_types::{BigInt, Integer, Text};
use diesel::{QueryableByName, RunQueryDsl};
use futures_util::future::{join, join_all};
use reqwest::header::RETRY_AFTER;
use reqwest::{RequestBuilder, Response, StatusCode};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cluster::{Cluster, on_a_thread};
use crate::databases::{TestDatabase, block_on, offered, on_postgres, on_sqlite, sqlite_in};
use crate::server::{Browser, Server};
use crate::store_contract::NOW;
use crate::tenants::{Key, Made, admin, key};

/// Waits for what must come; the limit only ends a test that has failed.
async fn eventually(what: &str, is_so: impl AsyncFn() -> bool) {
    for _ in 0..1200 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never: {what}");
}

/// What waited for the database for 40 to 60 seconds before there was a time-out. Ours is one second.
const HANGS: Duration = Duration::from_secs(10);

async fn start(db: TestDatabase) -> Server {
    Server::start_with(db, |config| config.database.timeout_seconds = 1).await
}

/// Behind the middle box.
async fn start_behind(middle_box: &MiddleBox, db: TestDatabase, timeout_seconds: u64) -> Server {
    let url = middle_box.url.clone();
    Server::start_with(db, |config| {
        config.database.timeout_seconds = timeout_seconds;
        config.database.url = url;
    })
    .await
}

async fn ask(server: &Server, credential: &str) -> Response {
    server
        .as_resource_server("/v1/verify")
        .json(&json!({"credential": credential}))
        .send()
        .await
        .expect("an answer")
}

/// The decision, or none where the database is needed and away.
async fn code(server: &Server, credential: &str) -> Option<String> {
    let response = ask(server, credential).await;
    if response.status() == StatusCode::SERVICE_UNAVAILABLE {
        assert!(response.headers().contains_key(RETRY_AFTER));
        return None;
    }
    let body: Value = response.json().await.expect("JSON");
    Some(body["code"].as_str().expect("a code").to_owned())
}

async fn ready(server: &Server) -> (StatusCode, String) {
    // a connection of its own: a kept one may have been closed meanwhile
    let response = server.browser().get("/readyz").await;
    let status = response.status();
    (status, response.text().await.expect("text"))
}

async fn is_ready(server: &Server) -> bool {
    ready(server).await.0 == StatusCode::OK
}

async fn live_key(server: &Server) -> Made {
    key(server, Key::of(server, admin(server).await).production()).await
}

/// The key revokes itself.
fn revoke(server: &Server, made: &Made) -> RequestBuilder {
    server
        .browser()
        .client
        .delete(server.url(&format!("/v1/api-keys/{}", made.id)))
        .bearer_auth(&made.secret)
}

async fn metric(server: &Server, name: &str) -> f64 {
    let text = server.browser().get("/metrics").await.text().await;
    let text = text.expect("text");
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .unwrap_or_else(|| panic!("no {name} in {text}"));
    line.trim().parse().expect("a number")
}

/// One request to each kind of door that needs the database.
fn doors(server: &Server, browser: &Browser<'_>) -> Vec<(&'static str, RequestBuilder)> {
    let unknown = mint_key("cs", "production").1;
    let token = mint_token("cs", TokenKind::AccessToken);
    let authorization_code = mint_token("cs", TokenKind::AuthorizationCode);
    let redemption = [
        ("grant_type", "authorization_code"),
        ("code", authorization_code.expose()),
        ("redirect_uri", crate::server::REDIRECT_URI),
        ("code_verifier", crate::server::VERIFIER),
    ];
    vec![
        (
            "verify",
            server
                .as_resource_server("/v1/verify")
                .json(&json!({"credential": unknown.expose()})),
        ),
        (
            "token",
            server.as_application("/oauth2/token").form(&redemption),
        ),
        (
            "introspection",
            server
                .as_resource_server("/oauth2/introspect")
                .form(&[("token", token.expose())]),
        ),
        (
            "management",
            server
                .get("/v1/api-keys")
                .bearer_auth(&server.secrets.operator_token),
        ),
        ("page", browser.client.get(server.url("/dev-centre"))),
    ]
}

/// Each several times, so that they are more than there are database threads.
async fn assert_closed(server: &Server, browser: &Browser<'_>) {
    let requests = (0..4).flat_map(|_| doors(server, browser));
    let answers = requests.map(async |(door, request)| {
        let asked = Instant::now();
        let response = request.send().await.expect("an answer");
        assert!(asked.elapsed() < HANGS, "{door} hangs");
        assert_eq!(
            response.status(),
            StatusCode::SERVICE_UNAVAILABLE,
            "{door}: {}",
            response.text().await.unwrap_or_default()
        );
        assert!(response.headers().contains_key(RETRY_AFTER), "{door}");
    });
    join_all(answers).await;
}

// --- frozen ---------------------------------------------------------------------------------------------------------

#[test]
fn a_frozen_postgres_holds_up_no_request_and_is_used_again_when_it_thaws() {
    let Some(ctl) = offered("POSTGRES_CTL", "POSTGRES") else {
        return;
    };
    let cluster = Arc::new(Cluster::create(ctl));
    let database = cluster.start();
    migrate(&database).expect("migrated");
    block_on(async {
        let server = start(TestDatabase::given(database)).await;
        let (browser, made) = (server.signed_in_browser().await, live_key(&server).await);
        assert_eq!(code(&server, &made.secret).await.as_deref(), Some("valid"));
        assert!(is_ready(&server).await);
        cluster.freeze();
        let asked = Instant::now();
        assert_closed(&server, &browser).await;
        assert_closed(&server, &browser).await;
        let alive = server.get("/healthz").send().await.expect("an answer");
        assert_eq!(alive.status(), StatusCode::OK);
        // what is remembered, only as long as the lock counts as proven
        eventually("memory is not used", async || {
            code(&server, &made.secret).await.is_none()
        })
        .await;
        assert!(asked.elapsed() < HANGS * 2, "memory outlives its proof");
        let asked = Instant::now();
        let (status, body) = ready(&server).await;
        assert!(asked.elapsed() < HANGS / 2, "readyz hangs");
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        let port = body.contains("127.0.0.1");
        assert!(body.contains("reasons") && !port, "{body}");
        assert!(metric(&server, "countersign_database_connections_dropped_total").await > 0.0);
        assert_eq!(metric(&server, "countersign_database_lock_held").await, 0.0);
        cluster.thaw();
        eventually("it is ready again", async || is_ready(&server).await).await;
        eventually("the key is valid again", async || {
            code(&server, &made.secret).await.as_deref() == Some("valid")
        })
        .await;
        let revoked = revoke(&server, &made).send().await.expect("an answer");
        assert_eq!(revoked.status(), StatusCode::NO_CONTENT);
        assert_ne!(code(&server, &made.secret).await.as_deref(), Some("valid"));
        assert_eq!(metric(&server, "countersign_database_lock_held").await, 1.0);
    });
}

/// Every write is there once if it was answered as done, and at most once if not.
#[test]
fn a_postgres_that_freezes_amid_writes_loses_no_answered_one_and_doubles_none() {
    let Some(ctl) = offered("POSTGRES_CTL", "POSTGRES") else {
        return;
    };
    let cluster = Arc::new(Cluster::create(ctl));
    let database = cluster.start();
    migrate(&database).expect("migrated");
    block_on(async {
        let store = Store::open_within(&database, 4, Duration::from_secs(1)).expect("it opens");
        let (next, enough) = (AtomicUsize::new(0), AtomicBool::new(false));
        let kept = Mutex::new(Vec::new());
        let writer = async || {
            while !enough.load(Ordering::SeqCst) {
                let number = next.fetch_add(1, Ordering::SeqCst);
                let written: Result<(), Error> = store
                    .write(NOW, move |tx| {
                        tx.record(None, None, Event::RoleCreated, &number.to_string(), "")
                            .map(Verdict::Done)
                    })
                    .await;
                match written {
                    Ok(()) => kept.lock().expect("no panic").push(number.to_string()),
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        };
        let count = || kept.lock().expect("no panic").len();
        let freezes = async {
            for _ in 0..2 {
                let before = count();
                eventually("writes are answered", async || count() > before + 100).await;
                on_a_thread(&cluster, Cluster::freeze).await;
                tokio::time::sleep(Duration::from_millis(2000)).await;
                on_a_thread(&cluster, Cluster::thaw).await;
            }
            let before = count();
            eventually("writes are answered again", async || count() > before + 100).await;
            enough.store(true, Ordering::SeqCst);
        };
        join(freezes, join_all((0..8).map(|_| writer()))).await;
        let found = found(&database);
        for number in kept.lock().expect("no panic").iter() {
            assert!(
                found.contains_key(number),
                "answered as done and lost: {number}"
            );
        }
        assert!(found.values().all(|times| *times == 1), "done twice");
        let changes = store.changes();
        eventually("memory is used again", async || {
            changes.is_current(changes.stamp(), [])
        })
        .await;
    });
}

/// How often each number is there.
fn found(database: &Database) -> BTreeMap<String, i64> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        subject_id: String,
        #[diesel(sql_type = BigInt)]
        times: i64,
    }
    let mut conn = Conn::open(database).expect("a connection");
    let rows: Vec<Row> = diesel::sql_query(
        "SELECT subject_id, count(*) AS times FROM audit_events GROUP BY subject_id",
    )
    .load(&mut conn)
    .expect("the events");
    rows.into_iter()
        .map(|row| (row.subject_id, row.times))
        .collect()
}

// --- behind a middle box --------------------------------------------------------------------------------------------

/// Between the server and PostgreSQL. It acknowledges whatever it is sent, as the kernel does for it.
struct MiddleBox {
    /// The database's, through it.
    url: String,
    links: Arc<Mutex<Vec<Arc<Link>>>>,
    swallows_all: Arc<AtomicBool>,
}

/// One connection through it.
#[derive(Default)]
struct Link {
    /// From which PostgreSQL sees it come.
    port: u16,
    swallows_questions: AtomicBool,
    swallows_answers: AtomicBool,
}

impl MiddleBox {
    fn before(database: &Database) -> Self {
        let Database::Postgres(url) = database else {
            panic!("only PostgreSQL is reached through a network");
        };
        let mut url: url::Url = url.parse().expect("a URL");
        let behind = (
            url.host_str().expect("a host").to_owned(),
            url.port().expect("a port"),
        );
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        url.set_port(Some(port)).expect("a host");
        let middle_box = Self {
            url: url.into(),
            links: Arc::default(),
            swallows_all: Arc::default(),
        };
        let links = Arc::clone(&middle_box.links);
        let swallows_all = Arc::clone(&middle_box.swallows_all);
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let Ok(far) = TcpStream::connect((behind.0.as_str(), behind.1)) else {
                    continue;
                };
                let port = far.local_addr().expect("an address").port();
                let link = Arc::new(Link {
                    port,
                    ..Link::default()
                });
                if swallows_all.load(Ordering::SeqCst) {
                    link.swallow();
                }
                links.lock().expect("no panic").push(Arc::clone(&link));
                pass(&near, &far, Arc::clone(&link), |link| {
                    &link.swallows_questions
                });
                pass(&far, &near, link, |link| &link.swallows_answers);
            }
        });
        middle_box
    }

    /// The connections there are now. New ones work.
    fn swallow(&self) {
        self.each(Link::swallow);
    }

    /// What PostgreSQL answers to this port is lost, and what it is asked arrives.
    fn swallow_answers_to(&self, port: i32) {
        self.each(|link| {
            let is_it = i32::from(link.port) == port;
            link.swallows_answers.fetch_or(is_it, Ordering::SeqCst);
        });
    }

    /// Those that come, too, until it is told otherwise.
    fn swallow_all(&self, swallows: bool) {
        self.swallows_all.store(swallows, Ordering::SeqCst);
        if swallows {
            self.swallow();
        }
    }

    fn each(&self, change: impl Fn(&Link)) {
        for link in self.links.lock().expect("no panic").iter() {
            change(link);
        }
    }
}

impl Link {
    fn swallow(&self) {
        self.swallows_questions.store(true, Ordering::SeqCst);
        self.swallows_answers.store(true, Ordering::SeqCst);
    }
}

fn pass(from: &TcpStream, to: &TcpStream, link: Arc<Link>, swallows: fn(&Link) -> &AtomicBool) {
    let mut from = from.try_clone().expect("a socket");
    let mut to = to.try_clone().expect("a socket");
    std::thread::spawn(move || {
        let mut buffer = [0; 16 * 1024];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            if !swallows(&link).load(Ordering::SeqCst) && to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        // whoever swallows bytes tells nobody that the other side has gone
        if !swallows(&link).load(Ordering::SeqCst) {
            let _ = to.shutdown(Shutdown::Write);
        }
    });
}

#[test]
fn behind_a_middle_box_that_swallows_bytes_no_request_hangs_and_new_connections_are_used() {
    on_postgres(async |db: TestDatabase| {
        let middle_box = MiddleBox::before(&db.database);
        let server = start_behind(&middle_box, db, 1).await;
        let (browser, made) = (server.signed_in_browser().await, live_key(&server).await);
        assert_eq!(code(&server, &made.secret).await.as_deref(), Some("valid"));
        middle_box.swallow_all(true);
        assert_closed(&server, &browser).await;
        eventually("it says so", async || !is_ready(&server).await).await;
        middle_box.swallow_all(false);
        // the old connections stay as they are, also the one that held the lock
        eventually("it is ready again", async || is_ready(&server).await).await;
        assert_eq!(code(&server, &made.secret).await.as_deref(), Some("valid"));
        let revoked = revoke(&server, &made).send().await.expect("an answer");
        assert_eq!(revoked.status(), StatusCode::NO_CONTENT);
        assert_ne!(code(&server, &made.secret).await.as_deref(), Some("valid"));
    });
}

/// The one that had lost its lock said valid for two minutes after another process had revoked the key.
#[test]
fn a_node_that_lost_its_lock_behind_a_silent_middle_box_does_not_answer_from_memory() {
    on_postgres(async |db: TestDatabase| {
        let (direct, middle_box) = (db.database.clone(), MiddleBox::before(&db.database));
        let server = start_behind(&middle_box, db, 1).await;
        let made = live_key(&server).await;
        assert_eq!(code(&server, &made.secret).await.as_deref(), Some("valid"));
        middle_box.swallow_all(true);
        let asked = Instant::now();
        // PostgreSQL has noticed that nobody is there
        execute(
            &direct,
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        );
        let other = Store::open(&direct, 1).expect("the lock is free");
        execute(&direct, "UPDATE api_keys SET state = 'revoked'");
        eventually("memory is not used", async || {
            code(&server, &made.secret).await.is_none()
        })
        .await;
        assert!(asked.elapsed() < HANGS, "memory outlives its proof");
        middle_box.swallow_all(false);
        eventually("it reads the database", async || {
            code(&server, &made.secret).await.is_some()
        })
        .await;
        assert_ne!(code(&server, &made.secret).await.as_deref(), Some("valid"));
        drop(other);
        eventually("it has the lock again", async || is_ready(&server).await).await;
        assert_ne!(code(&server, &made.secret).await.as_deref(), Some("valid"));
    });
}

/// The COMMIT arrives and is done; its answer is lost. The asker was told 503, which says that it may have happened: but what
/// is remembered must not go on saying that it has not.
#[test]
fn a_revocation_whose_answer_was_lost_ends_what_is_remembered() {
    on_postgres(async |db: TestDatabase| {
        let (direct, middle_box) = (db.database.clone(), MiddleBox::before(&db.database));
        let server = start_behind(&middle_box, db, 2).await;
        let made = live_key(&server).await;
        assert_eq!(code(&server, &made.secret).await.as_deref(), Some("valid"));
        execute(
            &direct,
            "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(1); RETURN NEW; END $$;
             CREATE CONSTRAINT TRIGGER dawdles AFTER UPDATE ON api_keys DEFERRABLE INITIALLY DEFERRED
                 FOR EACH ROW WHEN (NEW.state = 'revoked') EXECUTE FUNCTION dawdle()",
        );
        let revoked = async { revoke(&server, &made).send().await.expect("an answer") };
        // every other connection goes on, also the one that proves the lock
        let lost = async {
            eventually("the COMMIT has arrived", async || {
                let port = committing(&direct);
                port.into_iter()
                    .for_each(|port| middle_box.swallow_answers_to(port));
                port.is_some()
            })
            .await;
            eventually("it is done", async || committing(&direct).is_none()).await;
        };
        let (revoked, ()) = join(revoked, lost).await;
        assert_eq!(revoked.status(), StatusCode::SERVICE_UNAVAILABLE);
        for _ in 0..20 {
            assert_ne!(code(&server, &made.secret).await.as_deref(), Some("valid"));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        eventually("it is ready again", async || is_ready(&server).await).await;
        assert_ne!(code(&server, &made.secret).await.as_deref(), Some("valid"));
    });
}

/// From which port a COMMIT of this database came that is not done.
fn committing(database: &Database) -> Option<i32> {
    #[derive(QueryableByName)]
    struct Client {
        #[diesel(sql_type = Integer)]
        client_port: i32,
    }
    let mut conn = Conn::open(database).expect("a connection");
    let clients: Vec<Client> = diesel::sql_query(
        "SELECT client_port FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query = 'COMMIT'
         AND datname = current_database()",
    )
    .load(&mut conn)
    .expect("rows");
    clients.first().map(|client| client.client_port)
}

fn execute(database: &Database, sql: &str) {
    let mut conn = Conn::open(database).expect("a connection");
    conn.batch_execute(sql)
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
}

// --- away at the start ----------------------------------------------------------------------------------------------

/// `serve` as a process that need not come to serving. It is killed with the value.
struct Waiting {
    child: Child,
    base: String,
    _folder: TempDir,
}

impl Waiting {
    fn start(url: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = port.local_addr().expect("an address").to_string();
        drop(port);
        let child = Command::new(env!("CARGO_BIN_EXE_countersign"))
            .arg("serve")
            .env_clear()
            .env("COUNTERSIGN_DATABASE_URL", url)
            .env("COUNTERSIGN_DATABASE_TIMEOUT_SECONDS", "1")
            .env("COUNTERSIGN_SECRET_KEY_FILE", folder.path().join("key"))
            .env("COUNTERSIGN_SERVER_LISTEN", &address)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.path().join("log")).expect("a file"))
            .spawn()
            .expect("the binary starts");
        Self {
            child,
            base: format!("http://{address}"),
            _folder: folder,
        }
    }

    async fn get(&self, path: &str) -> Option<(StatusCode, Response)> {
        let client = reqwest::Client::builder().pool_max_idle_per_host(0).build();
        let request = client
            .expect("a client")
            .get(format!("{}{path}", self.base));
        let response = request.send().await.ok()?;
        Some((response.status(), response))
    }

    async fn answers(&self, path: &str, status: StatusCode) {
        eventually(path, async || {
            self.get(path)
                .await
                .is_some_and(|(answered, _)| answered == status)
        })
        .await;
    }

    fn stop(mut self) -> bool {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("it runs");
        self.child.wait().expect("it ends").success()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn serve_waits_for_a_postgres_that_is_away_and_says_so_at_every_door() {
    let Some(ctl) = offered("POSTGRES_CTL", "POSTGRES") else {
        return;
    };
    let cluster = Cluster::create(ctl);
    let database = cluster.start();
    migrate(&database).expect("migrated");
    cluster.stop();
    let Database::Postgres(url) = &database else {
        panic!("it is one");
    };
    block_on(async {
        let (waiting, stopped) = (Waiting::start(url), Waiting::start(url));
        for process in [&waiting, &stopped] {
            process.answers("/healthz", StatusCode::OK).await;
        }
        for (path, content) in [
            ("/readyz", "application/problem+json"),
            ("/v1/whoami", "application/problem+json"),
            ("/oauth2/token", "application/json"),
            ("/login", "text/html; charset=utf-8"),
        ] {
            let (status, response) = waiting.get(path).await.expect("an answer");
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
            assert!(response.headers().contains_key(RETRY_AFTER), "{path}");
            assert_eq!(response.headers()["content-type"], content, "{path}");
            let body = response.text().await.expect("text");
            assert_eq!(body.contains("reasons"), path == "/readyz", "{body}");
        }
        assert!(stopped.stop(), "SIGTERM ends it while it waits");
        cluster.start();
        waiting.answers("/readyz", StatusCode::OK).await;
        waiting.answers("/login", StatusCode::OK).await;
        assert!(waiting.stop());
        // a wrong name is no reason to wait
        let mut wrong = Waiting::start(&url.replace("/postgres", "/nothing"));
        let ended = tokio::task::spawn_blocking(move || wrong.child.wait());
        let status = ended.await.expect("a thread").expect("it ends");
        assert!(!status.success());
    });
}

// --- a database that takes no writes --------------------------------------------------------------------------------

/// One write at a door.
async fn write(server: &Server) -> Response {
    server
        .browser()
        .sign_in(
            countersign::domain::lifecycle::quickstart::ADMIN,
            &server.secrets.password,
        )
        .await
}

#[test]
fn a_foreign_writer_on_sqlite_costs_the_timeout_once_and_reads_go_on() {
    on_sqlite(async |db: TestDatabase| {
        let server = start(db).await;
        let made = live_key(&server).await;
        assert!(is_ready(&server).await);
        let mut foreign = Conn::open(&server.database.database).expect("a connection");
        foreign.batch_execute("BEGIN IMMEDIATE").expect("the lock");
        let asked = Instant::now();
        let answers = join_all((0..6).map(|_| write(&server))).await;
        let again = write(&server).await;
        assert!(asked.elapsed() < HANGS, "writes wait one after the other");
        for response in answers.into_iter().chain([again]) {
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert!(response.headers().contains_key(RETRY_AFTER));
        }
        assert_eq!(code(&server, &made.secret).await.as_deref(), Some("valid"));
        let (status, body) = ready(&server).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(body.contains("another program holds the lock"), "{body}");
        let locked = r#"countersign_database_errors_total{kind="locked"}"#;
        assert!(metric(&server, locked).await > 0.0);
        assert!(metric(&server, "countersign_database_writes_failed_total").await > 0.0);
        assert!(metric(&server, "countersign_database_wal_bytes").await > 0.0);
        foreign.batch_execute("ROLLBACK").expect("released");
        assert_eq!(write(&server).await.status(), StatusCode::SEE_OTHER);
        assert!(is_ready(&server).await);
    });
}

/// A write that was answered as failed while another program held the lock is never done.
#[test]
fn what_gave_up_waiting_for_a_foreign_writer_on_sqlite_is_not_done_later() {
    on_sqlite(async |db: TestDatabase| {
        let store = Store::open_within(&db.database, 2, Duration::from_millis(700));
        let store = store.expect("it opens");
        let record = async |number: usize| -> Result<(), Error> {
            store
                .write(NOW, move |tx| {
                    tx.record(None, None, Event::RoleCreated, &number.to_string(), "")
                        .map(Verdict::Done)
                })
                .await
        };
        let mut foreign = Conn::open(&db.database).expect("a connection");
        let mut kept = Vec::new();
        for round in 0..3 {
            foreign.batch_execute("BEGIN IMMEDIATE").expect("the lock");
            let held = async {
                // about when the first ones give up
                tokio::time::sleep(Duration::from_millis(500 + 100 * round)).await;
                foreign.batch_execute("ROLLBACK").expect("released");
            };
            let numbers = (0..10).map(|number| round as usize * 100 + number);
            let writes = join_all(numbers.map(async |number| (number, record(number).await)));
            let (answers, ()) = join(writes, held).await;
            for (number, answer) in answers {
                if answer.is_ok() {
                    kept.push(number.to_string());
                }
            }
        }
        assert_eq!(record(999).await, Ok(()), "it works again at once");
        kept.push("999".to_owned());
        kept.sort();
        let found: Vec<String> = found(&db.database).into_keys().collect();
        assert_eq!(found, kept);
    });
}

#[test]
fn a_full_disk_is_seen_although_nobody_writes() {
    if offered("SMALL_DISK", "SMALL_DISK").is_none() {
        return;
    }
    let disk = Disk::mount();
    block_on(async {
        let server = start(TestDatabase::given(sqlite_in(disk.folder.path()))).await;
        assert!(is_ready(&server).await);
        disk.fill();
        eventually("it is not ready", async || !is_ready(&server).await).await;
        let (_, body) = ready(&server).await;
        assert!(body.contains("disk is full"), "{body}");
        std::fs::remove_file(disk.folder.path().join("ballast")).expect("removed");
        eventually("it is ready again", async || is_ready(&server).await).await;
    });
}

/// A disk of the test's own: others fill the one that is offered.
struct Disk {
    folder: TempDir,
}

impl Disk {
    fn mount() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        run(
            "mount",
            &["-t", "tmpfs", "-o", "size=6m", "countersign-tests"],
            folder.path(),
        );
        Self { folder }
    }

    fn fill(&self) {
        let file = std::fs::File::create(self.folder.path().join("ballast"));
        let mut file = file.expect("a file");
        for bytes in [64 * 1024, 1024] {
            while file.write_all(&vec![1; bytes]).is_ok() {}
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        run("umount", &["-l"], self.folder.path());
    }
}

fn run(program: &str, arguments: &[&str], path: &Path) {
    let status = Command::new(program).args(arguments).arg(path).status();
    assert!(status.expect("it runs").success(), "{program}");
}

#[test]
fn a_postgres_that_turned_read_only_is_not_ready_until_it_takes_writes() {
    on_postgres(async |db: TestDatabase| {
        let direct = db.database.clone();
        let server = start(db).await;
        assert!(is_ready(&server).await);
        let turn = |to: &str| {
            execute(
                &direct,
                &format!(
                    "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = {to}', current_database()); END $$"
                ),
            );
            execute(
                &direct,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
            );
        };
        turn("on");
        eventually("it says so", async || {
            ready(&server).await.1.contains("read-only")
        })
        .await;
        assert_eq!(
            write(&server).await.status(),
            StatusCode::SERVICE_UNAVAILABLE
        );
        execute(
            &direct,
            "BEGIN READ WRITE; DO $$ BEGIN EXECUTE format('ALTER DATABASE %I RESET default_transaction_read_only', current_database()); END $$; COMMIT;
             SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
        );
        eventually("it is ready again", async || is_ready(&server).await).await;
        assert_eq!(write(&server).await.status(), StatusCode::SEE_OTHER);
    });
}
