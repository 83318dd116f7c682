//! Backup, restore, and starts on files that do not belong together.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use countersign::store::{Conn, Database, Error, Store, Verdict};
use countersign::types::event::Event;
use countersign::types::time::Clock;
use diesel::connection::SimpleConnection;
use diesel::sql_types::Text;
use diesel::{QueryableByName, RunQueryDsl};
use futures_util::future::join_all;
use reqwest::header::AUTHORIZATION;
use reqwest::{Client, RequestBuilder, StatusCode};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::api::{Program, manager, manager_of};
use crate::databases::{TestDatabase, block_on, both_databases, offered, sqlite_in};
use crate::process::Process;
use crate::server::{Server, hidden, location, parameter};
use crate::store_contract::{NOW, open, write};
use crate::tenants::{Key, admin, key, made_management_token};

both_databases!(
    nothing_older_than_a_restore_is_good_and_its_keys_wait_for_an_operator,
    a_customer_does_not_lift_what_waits_for_an_operator,
    a_lost_or_foreign_secret_key_is_refused_and_none_is_made,
);

const PROGRAM: &str = env!("CARGO_BIN_EXE_countersign");
/// Steps of 20 ms: a limit that only ends a test which has failed.
const PATIENCE: usize = 1500;

/// One installation: the database, the secret key and the port.
struct Place {
    folder: TempDir,
    /// Its database, when it is in its folder.
    file: PathBuf,
    url: String,
    listen: String,
}

impl Place {
    fn new(url: &str) -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            file: PathBuf::new(),
            url: url.to_owned(),
            listen: "127.0.0.1:0".to_owned(),
        }
    }

    /// With a database file in its folder.
    fn with_file() -> Self {
        let mut place = Self::new("");
        let database = sqlite_in(place.folder.path());
        place.file = path_of(&database);
        place.url = TestDatabase::given(database).url();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self) -> PathBuf {
        self.file.clone()
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("COUNTERSIGN_DATABASE_URL", self.url.clone()),
            (
                "COUNTERSIGN_SECRET_KEY_FILE",
                self.path("secret.key").display().to_string(),
            ),
            ("COUNTERSIGN_SERVER_LISTEN", self.listen.clone()),
        ]
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .args(arguments)
            .env_clear()
            .envs(self.variables())
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("it runs")
    }

    /// What it printed.
    #[track_caller]
    fn done(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// One line, exit status 1, nothing on standard output.
    #[track_caller]
    fn refused(&self, arguments: &[&str], part: &str) {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}: {output:?}");
        assert!(said.contains(part), "{arguments:?}: {part}: {said}");
        // but for what the log tells of every start
        let lines = said.lines().filter(|line| !line.contains(" INFO "));
        assert_eq!(lines.count(), 1, "{arguments:?}: {said}");
    }

    /// Serves, as soon as whoever had its port or its database has let go.
    async fn serve(&self) -> Process {
        let mut last = String::new();
        for _ in 0..PATIENCE / 5 {
            match Process::serve(&self.variables()) {
                Ok(process) => return process,
                Err(ended) => last = ended.output,
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        unreachable!("it does not serve: {last}")
    }

    /// Names and contents of the files in its folder, but for the lock.
    fn files(&self) -> Vec<(String, Vec<u8>)> {
        let entries = std::fs::read_dir(self.folder.path()).expect("the folder");
        let mut files: Vec<_> = entries
            .map(|entry| entry.expect("an entry"))
            .map(|entry| {
                (
                    entry.file_name().into_string().expect("UTF-8"),
                    std::fs::read(entry.path()).expect("a file"),
                )
            })
            .filter(|(name, _)| !name.ends_with(".lock"))
            .collect();
        files.sort();
        files
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(suffix);
    name.into()
}

fn bytes(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |file| file.len())
}

async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..PATIENCE {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    unreachable!("never: {what}")
}

fn path_of(database: &Database) -> PathBuf {
    match database {
        Database::Sqlite(path) => path.into(),
        Database::Postgres(_) => unreachable!("it is a file"),
    }
}

/// The subjects of the audit events in a file.
fn events_in(path: &Path) -> BTreeSet<String> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        subject_id: String,
    }
    let database = Database::Sqlite(path.display().to_string());
    let mut conn = Conn::open(&database).expect("a connection");
    let rows: Vec<Row> = diesel::sql_query("SELECT subject_id FROM audit_events")
        .load(&mut conn)
        .expect("the events");
    rows.into_iter().map(|row| row.subject_id).collect()
}

async fn record(store: &Store, subject: String, bytes: usize) -> Result<(), Error> {
    store
        .write(NOW, move |tx| {
            tx.record(None, None, Event::RoleCreated, &subject, &"x".repeat(bytes))
                .map(Verdict::Done)
        })
        .await
}

// --- a clean stop ---------------------------------------------------------------------------------------------------

/// Two hundred revocations are acknowledged, the server stops, and its file is copied alone. A handle that somebody still
/// holds does not keep the log open.
#[test]
fn a_copy_of_the_file_after_a_clean_stop_knows_every_revocation() {
    block_on(async {
        let place = Place::with_file();
        let database = TestDatabase::given(Database::Sqlite(place.file().display().to_string()));
        let key_file = place.path("secret.key").display().to_string();
        let server = Server::start_with(database, |config| config.secret.key_file = key_file).await;
        let owner = admin(&server).await;
        let mut keys = Vec::new();
        for _ in 0..200 {
            keys.push(key(&server, Key::of(&server, owner)).await);
        }
        let manager = manager_of(&server, owner).await;
        let paths: Vec<String> = keys
            .iter()
            .map(|made| format!("/v1/api-keys/{}", made.id))
            .collect();
        for some in paths.chunks(20) {
            let revoked = join_all(some.iter().map(|path| manager.delete(path))).await;
            assert!(
                revoked
                    .iter()
                    .all(|(status, _)| *status == StatusCode::NO_CONTENT)
            );
        }
        let (server_id, secret) = (
            server.planted.resource_server.to_string(),
            server.secrets.resource_server_secret.clone(),
        );
        let (sandbox_key, still_held) = (server.secrets.sandbox_key.clone(), server.app.clone());
        drop(manager);
        drop(server);
        let log = beside(&place.file(), "-wal");
        eventually("the log is folded in and removed", || !log.exists()).await;
        let copied = Place::with_file();
        std::fs::copy(place.file(), copied.file()).expect("copied");
        std::fs::copy(place.path("secret.key"), copied.path("secret.key")).expect("copied");
        drop(still_held);
        let serving = copied.serve().await;
        let client = Client::new();
        let code = async |credential: &str| -> Value {
            let ask = client
                .post(format!("{}/v1/verify", serving.issuer))
                .basic_auth(&server_id, Some(&secret));
            let answer = ask.json(&json!({"credential": credential})).send().await;
            answer
                .expect("an answer")
                .json::<Value>()
                .await
                .expect("JSON")["code"]
                .clone()
        };
        assert_eq!(code(&sandbox_key).await, "valid");
        for made in &keys {
            assert_eq!(code(&made.secret).await, "not_found");
        }
        // the same by a signal to a process
        let ended = serving.stop();
        assert!(ended.status.success(), "{}", ended.output);
        assert!(!beside(&copied.file(), "-wal").exists());
    });
}

// --- the write-ahead log --------------------------------------------------------------------------------------------

#[test]
fn the_log_is_bounded_and_given_back_when_a_long_reader_has_gone() {
    block_on(async {
        let db = TestDatabase::sqlite();
        let (store, log) = (open(&db), beside(&path_of(&db.database), "-wal"));
        let write_many = async |count: usize| {
            let mut longest = 0;
            for number in 0..count {
                record(&store, number.to_string(), 200_000)
                    .await
                    .expect("written");
                longest = longest.max(bytes(&log));
            }
            longest
        };
        let longest = write_many(100).await;
        assert!(
            longest < 12 << 20,
            "20 MB were written, of which the log held {longest} bytes"
        );
        let mut reader = Conn::open(&db.database).expect("a connection");
        reader
            .batch_execute("BEGIN; SELECT count(*) FROM audit_events")
            .expect("it reads");
        write_many(100).await;
        assert!(
            bytes(&log) > 16 << 20,
            "the reader needs what was overwritten"
        );
        reader.batch_execute("COMMIT").expect("it ends");
        eventually("the log is given back", || bytes(&log) == 0).await;
        drop(store);
        drop(reader);
        assert!(!log.exists());
    });
}

// --- backup ---------------------------------------------------------------------------------------------------------

#[test]
fn a_backup_under_load_holds_all_that_was_answered_before_it() {
    block_on(async {
        let place = Place::with_file();
        let database = Database::Sqlite(place.file().display().to_string());
        let store = Store::open(&database, 2).expect("the store opens");
        let mut number = 0;
        let mut known = BTreeSet::new();
        for round in 0..3 {
            let target = place.path(&format!("backup-{round}"));
            let mut child = place
                .command(&["backup", &target.display().to_string()])
                .stdout(Stdio::piped())
                .spawn()
                .expect("it starts");
            let (before, mut failed) = (known.clone(), 0);
            while child.try_wait().expect("a child").is_none() {
                let writes = (0..16).map(|_| {
                    number += 1;
                    let subject = number.to_string();
                    async { (subject.clone(), record(&store, subject, 2_000).await) }
                });
                for (subject, answer) in join_all(writes).await {
                    match answer {
                        Ok(()) => failed += usize::from(!known.insert(subject)),
                        Err(_) => failed += 1,
                    }
                }
            }
            let output = child.wait_with_output().expect("it ended");
            let text = String::from_utf8(output.stdout).expect("UTF-8");
            assert!(
                output.status.success() && text.contains("checked"),
                "{text}"
            );
            assert_eq!(failed, 0, "nobody waits for a backup");
            let copied = events_in(&target);
            assert!(before.is_subset(&copied) && copied.is_subset(&known));
            let mode = std::fs::metadata(&target)
                .expect("a file")
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        assert!(!known.is_empty());
        let first = place.path("backup-0").display().to_string();
        place.refused(&["backup", &first], "is there already");
        assert!(
            place
                .done(&["backup", "--force", &first])
                .contains("It needs no secret key")
        );
        place.refused(&["backup", "-"], "not to standard output");
        let own = place.file().display().to_string();
        for name in [own.clone(), format!("{own}-wal"), format!("{own}.lock")] {
            place.refused(&["backup", "--force", &name], "one of its own files");
        }
        place.refused(&["backup", "nowhere/at/all"], "cannot write");
        drop(store);
        let postgres = Place::new("postgres://nobody@127.0.0.1:1/nothing");
        postgres.refused(&["backup", "x"], "pg_dump -Fc");
    });
}

#[test]
fn a_backup_that_is_killed_or_finds_the_disk_full_leaves_nothing_that_passes_for_one() {
    block_on(async {
        let place = Place::with_file();
        let database = Database::Sqlite(place.file().display().to_string());
        let store = Store::open(&database, 2).expect("the store opens");
        for number in 0..60 {
            record(&store, number.to_string(), 500_000)
                .await
                .expect("written");
        }
        let (target, partial) = (place.path("copy"), place.path(".copy.partial"));
        let name = target.display().to_string();
        let mut killed = 0;
        for _ in 0..20 {
            let mut child = place
                .command(&["backup", &name])
                .spawn()
                .expect("it starts");
            while bytes(&partial) == 0 && child.try_wait().expect("a child").is_none() {
                std::thread::yield_now();
            }
            if child.try_wait().expect("a child").is_none() {
                kill_process(Pid::from_child(&child), Signal::KILL).expect("it runs");
            }
            child.wait().expect("it ended");
            if target.exists() {
                assert_eq!(events_in(&target).len(), 60, "it was done before");
                std::fs::remove_file(&target).expect("removed");
            } else {
                killed += 1;
                break;
            }
        }
        assert!(killed > 0, "none was killed in its midst");
        place.done(&["backup", &name]);
        assert_eq!(events_in(&target).len(), 60);
        assert!(!partial.exists());
        if let Some(disk) = offered("SMALL_DISK", "SMALL_DISK") {
            let folder = TempDir::new_in(disk).expect("a folder");
            let full = folder.path().join("copy").display().to_string();
            place.refused(&["backup", &full], "nothing of it is left");
            assert_eq!(
                std::fs::read_dir(folder.path()).expect("a folder").count(),
                0
            );
        }
    });
}

#[test]
fn a_damaged_file_is_found_and_never_backed_up() {
    block_on(async {
        let place = Place::with_file();
        let database = Database::Sqlite(place.file().display().to_string());
        let store = Store::open(&database, 1).expect("the store opens");
        for number in 0..50 {
            record(&store, number.to_string(), 20_000)
                .await
                .expect("written");
        }
        drop(store);
        let report = || {
            let report = place.run(&["doctor"]);
            String::from_utf8_lossy(&report.stdout).into_owned()
        };
        assert!(report().contains("quick_check finds no damage"));
        let mut whole = std::fs::read(place.file()).expect("the file");
        let middle = whole.len() / 2;
        whole[middle..middle + 100_000].fill(0xA5);
        std::fs::write(place.file(), whole).expect("written");
        let damaged = report();
        let found = "problem  integrity: the file is damaged";
        assert!(damaged.contains(found), "{damaged}");
        let target = place.path("copy");
        place.refused(&["backup", &target.display().to_string()], "malformed");
        assert!(!target.exists() && !place.path(".copy.partial").exists());
    });
}

// --- restore --------------------------------------------------------------------------------------------------------

/// Requests to the server that was started on the restored database.
struct After {
    base: String,
    client: Client,
    server: (String, String),
    application: (String, String),
}

impl After {
    async fn json(&self, request: RequestBuilder) -> (StatusCode, Value) {
        crate::server::json(request.send().await.expect("an answer")).await
    }

    async fn introspect(&self, token: &str) -> (StatusCode, Value) {
        let (id, secret) = &self.server;
        let ask = self
            .client
            .post(format!("{}/oauth2/introspect", self.base))
            .basic_auth(id, Some(secret));
        self.json(ask.form(&[("token", token)])).await
    }

    async fn verify(&self, credential: &str) -> (StatusCode, Value) {
        let (id, secret) = &self.server;
        let ask = self
            .client
            .post(format!("{}/v1/verify", self.base))
            .basic_auth(id, Some(secret));
        self.json(ask.json(&json!({"credential": credential})))
            .await
    }

    async fn token(&self, form: &[(&str, &str)]) -> (StatusCode, Value) {
        let (id, secret) = &self.application;
        let ask = self
            .client
            .post(format!("{}/oauth2/token", self.base))
            .basic_auth(id, Some(secret));
        self.json(ask.form(form)).await
    }

    async fn bearer(&self, path: &str, credential: &str) -> StatusCode {
        let ask = self
            .client
            .get(format!("{}{path}", self.base))
            .header(AUTHORIZATION, format!("Bearer {credential}"));
        self.json(ask).await.0
    }
}

/// Copies the database by its own tool.
fn back_up(place: &Place, database: &Database) -> PathBuf {
    let file = place.path("the.backup");
    let name = file.display().to_string();
    match database {
        Database::Sqlite(_) => drop(place.done(&["backup", &name])),
        Database::Postgres(url) => {
            let done = Command::new("pg_dump")
                .args(["-Fc", "-f", &name, url])
                .output();
            let done = done.expect("pg_dump comes with PostgreSQL");
            assert!(done.status.success(), "{done:?}");
        }
    }
    file
}

/// Restores it, as docs/operations.md says: what the command printed.
async fn restore(place: &Place, backup: &Path, database: &Database) -> String {
    let backup = backup.display().to_string();
    match database {
        Database::Sqlite(_) => {
            let command = ["restore", "--force", &backup];
            for _ in 0..PATIENCE {
                let output = place.run(&command);
                if String::from_utf8_lossy(&output.stderr).contains("another Countersign process") {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                }
                assert!(output.status.success(), "{output:?}");
                return String::from_utf8(output.stdout).expect("UTF-8");
            }
            unreachable!("the server does not stop")
        }
        Database::Postgres(url) => {
            let arguments = ["--no-owner", "-d", url, &backup];
            let done = Command::new("pg_restore").args(arguments).output();
            let done = done.expect("pg_restore comes with PostgreSQL");
            assert!(done.status.success(), "{done:?}");
            place.refused(&["restore", &backup], "restore --in-place");
            place.done(&["migrate"]);
            place.done(&["restore", "--in-place"])
        }
    }
}

/// Every kind of credential is made before the backup, some of them are revoked after it, and others are made after it.
async fn nothing_older_than_a_restore_is_good_and_its_keys_wait_for_an_operator(db: TestDatabase) {
    let mut place = Place::new(&db.url());
    let key_file = place.path("secret.key").display().to_string();
    let server = Server::start_with(TestDatabase::given(db.database.clone()), |config| {
        config.secret.key_file = key_file;
    })
    .await;
    let ahead = (Clock::System.now().millis() - server.clock.now().millis()) / 1000;
    server.clock.step_seconds(ahead);
    let owner = admin(&server).await;
    let own = [("grant_type", "client_credentials")];
    let connected = server.code_flow("read").await;
    let code = server.code("read").await;
    let browser = server.signed_in_browser().await;
    let page = browser.get(&server.authorize_path("read write")).await;
    let page = page.text().await.expect("text");
    let pending =
        [hidden(&page, "csrf"), hidden(&page, "request")].map(|field| field.expect("a field"));
    let operator = Program::operator(&server);
    let organization = server.planted.organization;
    let invited = operator
        .post(
            &format!("/v1/invitations?organization={organization}"),
            &json!({"email": "guest@elsewhere.example"}),
        )
        .await;
    assert_eq!(invited.0, StatusCode::CREATED, "{}", invited.1);
    let robot = key(&server, Key::of(&server, owner)).await;
    let handed = manager(&server)
        .await
        .post(
            &format!("/v1/api-keys/{}/hand-over", robot.id),
            &json!({"email": "bob@acme.example", "expires_in_seconds": 3600}),
        )
        .await;
    assert_eq!(handed.0, StatusCode::CREATED, "{}", handed.1);
    let text = |answer: &Value, name: &str| answer[name].as_str().expect("a text").to_owned();
    let links = [text(&invited.1, "link"), text(&handed.1, "link")];
    for link in &links {
        let shown = browser.client.get(link).send().await.expect("an answer");
        assert_eq!(shown.status(), StatusCode::OK, "{link}");
    }
    let managing = made_management_token(&server, owner, "members:read", None)
        .await
        .1;
    let tool = json!({"client_name": "Tool", "redirect_uris": ["http://127.0.0.1/cb"], "token_endpoint_auth_method": "none"});
    let registered = server
        .post("/oauth2/register")
        .bearer_auth(&server.secrets.registration_token)
        .json(&tool);
    let (status, registered) =
        crate::server::json(registered.send().await.expect("an answer")).await;
    assert_eq!(status, StatusCode::CREATED, "{registered}");
    let own_before = server.token(&own).await.1;

    let backup = back_up(&place, &db.database);

    let own_after = server.token(&own).await.1;
    let connected_after = server.code_flow("read").await;
    let revoked = operator
        .delete(&format!(
            "/v1/api-keys/{}?organization={organization}",
            robot.id
        ))
        .await;
    assert_eq!(revoked.0, StatusCode::NO_CONTENT, "{}", revoked.1);
    let tokens = [&own_before, &own_after, &connected, &connected_after]
        .map(|answer| text(answer, "access_token"));
    for token in &tokens {
        assert_eq!(server.introspect(token).await["active"], true);
    }
    let fresh = browser.get(&server.authorize_path("read")).await;
    assert_eq!(fresh.status(), StatusCode::OK);
    let keys_before = server
        .get("/.well-known/jwks.json")
        .send()
        .await
        .expect("an answer");
    let keys_before = keys_before.text().await.expect("text");

    let after = After {
        base: server.base.clone(),
        client: browser.client.clone(),
        server: (
            server.planted.resource_server.to_string(),
            server.secrets.resource_server_secret.clone(),
        ),
        application: (
            server.planted.application.to_string(),
            server.secrets.client_secret.clone(),
        ),
    };
    let workspace = server.planted.workspace.to_string();
    let authorize = server.authorize_path("read");
    let (sandbox_key, production_key) = (
        server.secrets.sandbox_key.clone(),
        server.secrets.production_key.clone(),
    );
    let operator_token = server.secrets.operator_token.clone();
    let registration_token = server.secrets.registration_token.clone();
    place.listen = server.base.replace("http://", "");
    drop((browser, operator));
    drop(server);
    let restored_into = matches!(db.database, Database::Postgres(_)).then(|| {
        let empty = db.another();
        empty.unmigrate();
        place.url = empty.url();
        empty
    });
    let target = restored_into
        .as_ref()
        .map_or(&db.database, |db| &db.database);
    let printed = restore(&place, &backup, target).await;
    assert!(
        printed.contains("countersign restored resume --all"),
        "{printed}"
    );
    let serving = place.serve().await;
    assert_eq!(serving.issuer, after.base, "the same issuer");
    // what is left of the connections to the server before is noticed
    tokio::time::sleep(Duration::from_millis(200)).await;

    // everything waits, and says so to whoever has the secret
    let (status, refused) = after.introspect(&tokens[0]).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "{refused}");
    assert!(
        refused.to_string().contains("countersign restored resume"),
        "{refused}"
    );
    let (status, refused) = after.verify(&sandbox_key).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "{refused}");
    assert!(
        refused.to_string().contains("countersign restored resume"),
        "{refused}"
    );
    let (status, refused) = after.token(&own).await;
    assert_eq!(
        (status, &refused["error"]),
        (StatusCode::UNAUTHORIZED, &json!("invalid_client"))
    );
    assert!(
        refused.to_string().contains("countersign restored resume"),
        "{refused}"
    );
    let members = format!("/v1/members?organization={organization}");
    for (path, credential) in [
        (members.as_str(), &operator_token),
        ("/v1/members", &managing),
    ] {
        assert_eq!(
            after.bearer(path, credential).await,
            StatusCode::UNAUTHORIZED
        );
    }
    let registration_path = registered["registration_client_uri"]
        .as_str()
        .expect("a URI");
    let registration_path = registration_path.replace(&after.base, "");
    let management = text(&registered, "registration_access_token");
    assert_eq!(
        after.bearer(&registration_path, &management).await,
        StatusCode::UNAUTHORIZED
    );
    let register = after.client.post(format!("{}/oauth2/register", after.base));
    let register = register.bearer_auth(&registration_token).json(&tool);
    assert_eq!(after.json(register).await.0, StatusCode::UNAUTHORIZED);

    // people and links
    let page = after
        .client
        .get(format!("{}{authorize}", after.base))
        .send()
        .await
        .expect("an answer");
    assert_eq!(page.status(), StatusCode::SEE_OTHER, "nobody is signed in");
    assert!(location(page.headers()).contains("/login"));
    let form = [
        ("csrf", pending[0].as_str()),
        ("request", &pending[1]),
        ("organization", organization.as_str()),
        ("workspace", &workspace),
        ("decision", "allow"),
    ];
    let answered = after
        .client
        .post(format!("{}/oauth2/authorize", after.base))
        .form(&form);
    let answered = answered.send().await.expect("an answer");
    let target = answered
        .headers()
        .get("location")
        .and_then(|to| to.to_str().ok());
    assert!(
        target.is_none_or(|to| !to.starts_with("http") || parameter(to, "code").is_none()),
        "{answered:?}"
    );
    for link in &links {
        let shown = after.client.get(link).send().await.expect("an answer");
        assert_ne!(shown.status(), StatusCode::OK, "{link}");
    }

    // an operator lifts it for the vendor's API and one application, beside the server
    let listed = place.done(&["restored", "list"]);
    for kind in [
        "api_key ",
        "application_secret",
        "resource_server_secret",
        "registration_access_token",
        "operator_token",
        "management_token",
        "registration_token ",
    ] {
        assert!(listed.contains(kind), "{kind}: {listed}");
    }
    assert!(
        place
            .done(&["doctor"])
            .contains("are paused since the database was restored")
    );
    place.refused(
        &["restored", "resume", &after.server.0, "key_nobody"],
        "names nothing that is paused",
    );
    assert_eq!(
        after.verify(&sandbox_key).await.0,
        StatusCode::UNAUTHORIZED,
        "all or none"
    );
    let lifted = place.done(&["restored", "resume", &after.server.0, &after.application.0]);
    assert!(lifted.starts_with("2 "), "{lifted}");

    // tokens and codes have ended at every door
    for token in &tokens {
        assert_eq!(
            after.introspect(token).await,
            (StatusCode::OK, json!({"active": false}))
        );
        assert_eq!(after.verify(token).await.1["code"], "not_found");
        assert_eq!(
            after.bearer("/v1/whoami", token).await,
            StatusCode::UNAUTHORIZED
        );
        assert_eq!(
            after.bearer("/v1/members", token).await,
            StatusCode::UNAUTHORIZED
        );
    }
    for answer in [&connected, &connected_after] {
        let refresh = text(answer, "refresh_token");
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh.as_str()),
        ];
        assert_eq!(after.token(&form).await.1["error"], "invalid_grant");
    }
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", crate::server::REDIRECT_URI),
        ("code_verifier", crate::server::VERIFIER),
    ];
    assert_eq!(after.token(&form).await.1["error"], "invalid_grant");
    let keys = after
        .client
        .get(format!("{}/.well-known/jwks.json", after.base))
        .send()
        .await;
    let keys = keys.expect("an answer").text().await.expect("text");
    assert_ne!(
        keys, keys_before,
        "nobody verifies what an older key has signed"
    );
    // and what is issued from now on is good
    let (status, issued) = after.token(&own).await;
    assert_eq!(status, StatusCode::OK, "{issued}");
    assert_eq!(
        after.introspect(&text(&issued, "access_token")).await.1["active"],
        true
    );

    // a key that was revoked after the backup waits, and says so
    for waiting in [&robot.secret, &sandbox_key, &production_key] {
        let answer = after.verify(waiting).await.1;
        assert_eq!(answer["code"], "suspended", "{answer}");
        assert!(answer.to_string().contains("key_paused"), "{answer}");
    }
    assert!(
        place
            .done(&["restored", "resume", "--all"])
            .contains("live again")
    );
    assert_eq!(after.verify(&production_key).await.1["code"], "valid");
    assert_eq!(
        after.bearer(&members, &operator_token).await,
        StatusCode::OK
    );
    assert_eq!(place.done(&["restored", "list"]), "Nothing is paused.\n");
    for token in &tokens {
        assert_eq!(after.introspect(token).await.1, json!({"active": false}));
    }
}

async fn a_customer_does_not_lift_what_waits_for_an_operator(db: TestDatabase) {
    let server = Server::start(db).await;
    let owner = admin(&server).await;
    let made = key(&server, Key::of(&server, owner)).await;
    let theirs = manager_of(&server, owner).await;
    server.write(|tx| Ok(tx.pause_standing_secrets()?)).await;
    server.app.store.changes().forget_all();
    let path = format!("/v1/api-keys/{}", made.id);
    let (status, shown) = theirs.get(&path).await;
    assert_eq!(
        (status, &shown["state"], &shown["state_reason"]),
        (StatusCode::OK, &json!("paused"), &json!("restored"))
    );
    let (status, refused) = theirs.post_empty(&format!("{path}/resume")).await;
    assert_eq!(status, StatusCode::CONFLICT, "{refused}");
    assert!(
        refused.to_string().contains("an operator lifts that"),
        "{refused}"
    );
    let token = server.secrets.operator_token.clone();
    let digest = server
        .app
        .digester
        .digest(countersign::crypto::digest::Purpose::OperatorToken, &token);
    let paused = digest.paused();
    let found = server
        .app
        .store
        .read(move |c| c.find_operator_token_by_digest(&[paused]))
        .await;
    let id = found
        .expect("an answer")
        .expect("it is paused")
        .id
        .to_string();
    server
        .write(move |tx| Ok(tx.resume_standing_secrets(Some(&id))?))
        .await;
    let organization = server.planted.organization;
    let (status, resumed) = Program::operator(&server)
        .post_empty(&format!("{path}/resume?organization={organization}"))
        .await;
    assert_eq!(
        (status, &resumed["state"]),
        (StatusCode::OK, &json!("active")),
        "{resumed}"
    );
    let (key_id, secret) = (made.id, made.secret);
    let own = server
        .app
        .digester
        .candidates(countersign::crypto::digest::Purpose::ApiKey, &secret);
    let found = server
        .app
        .store
        .read(move |c| c.find_api_key_by_digest(&own))
        .await;
    assert_eq!(
        found.expect("an answer").map(|(key, _)| key.id),
        Some(key_id)
    );
}

/// What `restore` refuses, and that nothing is touched by it.
#[test]
fn a_restore_refuses_what_does_not_fit_and_touches_nothing() {
    block_on(async {
        let place = Place::with_file();
        let serving = place.serve().await;
        let backup = place.path("the.backup").display().to_string();
        let printed = place.done(&["backup", &backup]);
        let key = std::fs::read_to_string(place.path("secret.key")).expect("the key");
        let line = key
            .lines()
            .find(|line| !line.starts_with('#'))
            .expect("a key");
        let (id, digits) = line.split_once(' ').expect("a key");
        assert!(
            printed.contains(&format!("the secret key {id},")),
            "{printed}"
        );
        let content = std::fs::read(&backup).expect("the backup");
        assert!(
            !content
                .windows(digits.len())
                .any(|part| part == digits.as_bytes())
        );
        place.refused(
            &["restore", "--force", &backup],
            "another Countersign process",
        );
        assert!(serving.stop().status.success());
        assert!(
            place
                .done(&["doctor"])
                .contains("`countersign backup` last made one at")
        );
        place.refused(&["restore", &backup], "say --force");
        let before = place.files();
        let broken = place.path("broken");
        let (half, name) = (&content[..content.len() / 2], broken.display().to_string());
        for (bad, part) in [
            (half.to_vec(), "no whole Countersign database"),
            (Vec::new(), "no whole Countersign database"),
            (
                b"not a database at all, and longer than a header is".repeat(9),
                "no whole Countersign database",
            ),
        ] {
            std::fs::write(&broken, bad).expect("written");
            place.refused(&["restore", "--force", &name], part);
        }
        std::fs::copy(&backup, &broken).expect("copied");
        std::fs::write(beside(&broken, "-wal"), b"something").expect("written");
        place.refused(&["restore", "--force", &name], "write-ahead log");
        std::fs::remove_file(beside(&broken, "-wal")).expect("removed");
        let newer = Database::Sqlite(name.clone());
        Conn::open(&newer)
            .expect("a connection")
            .batch_execute(
                "INSERT INTO __diesel_schema_migrations (version) VALUES ('20991231000000')",
            )
            .expect("inserted");
        place.refused(&["restore", "--force", &name], "newer than this program");
        std::fs::remove_file(&broken).expect("removed");
        let other = format!("other {}\n", "ab".repeat(32));
        std::fs::write(place.path("secret.key"), other).expect("written");
        place.refused(
            &["restore", "--force", &backup],
            "Is this the secret key that belongs to this",
        );
        std::fs::remove_file(place.path("secret.key")).expect("removed");
        place.refused(&["restore", "--force", &backup], "secret.key");
        assert!(!place.path("secret.key").exists());
        std::fs::write(place.path("secret.key"), &key).expect("written");
        private(&place.path("secret.key"));
        assert_eq!(place.files(), before);
        // and what it does: the old files are kept, an older schema is brought up to date
        let printed = place.done(&["restore", "--force", "--keep-keys", &backup]);
        assert!(
            printed.contains("What was there is kept") && printed.contains("stay live"),
            "{printed}"
        );
        let kept = place
            .files()
            .iter()
            .filter(|(name, _)| name.contains(".before-restore-"))
            .count();
        assert_eq!(kept, 1);
        assert!(place.serve().await.stop().status.success());
    });
}

// --- starts on files that do not belong together --------------------------------------------------------------------

fn private(path: &Path) {
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(path, mode).expect("our file");
}

async fn a_lost_or_foreign_secret_key_is_refused_and_none_is_made(db: TestDatabase) {
    let place = Place::new(&db.url());
    // one that was made by hand is taken at the first start
    std::fs::write(
        place.path("secret.key"),
        format!("mine {}\n", "ab".repeat(32)),
    )
    .expect("written");
    private(&place.path("secret.key"));
    assert!(place.serve().await.stop().status.success());
    let key = std::fs::read(place.path("secret.key")).expect("the key");
    std::fs::remove_file(place.path("secret.key")).expect("removed");
    for command in [
        &["serve"][..],
        &["operator", "token", "create", "--name", "x"],
        &["user", "create", "--email", "a@acme.example", "--name", "A"],
    ] {
        place.refused(command, "holds what was made under the key mine");
        assert!(!place.path("secret.key").exists());
    }
    for foreign in ["other", "mine"] {
        std::fs::write(
            place.path("secret.key"),
            format!("{foreign} {}\n", "cd".repeat(32)),
        )
        .expect("written");
        private(&place.path("secret.key"));
        place.refused(
            &["serve"],
            "Is this the secret key that belongs to this database?",
        );
    }
    std::fs::write(place.path("secret.key"), key).expect("written");
    assert!(place.serve().await.stop().status.success());
}

#[test]
fn a_file_that_is_gone_or_empty_is_refused_where_a_server_has_run() {
    block_on(async {
        let place = Place::with_file();
        place.serve().await.stop();
        let whole = std::fs::read(place.file()).expect("the file");
        let commands = [
            &["serve"][..],
            &["migrate"],
            &["user", "list"],
            &["backup", "x"],
            &["operator", "token", "list"],
        ];
        std::fs::remove_file(place.file()).expect("removed");
        let without = place.files();
        for command in commands {
            place.refused(command, "although a server has run on it");
            assert_eq!(place.files(), without, "{command:?}");
        }
        std::fs::write(place.file(), b"").expect("written");
        let empty = place.files();
        for command in commands {
            place.refused(command, "although a server has run on it");
            assert_eq!(place.files(), empty, "{command:?}");
        }
        // the lock is gone as well: the key tells
        std::fs::remove_file(beside(&place.file(), ".lock")).expect("removed");
        place.refused(
            &["migrate"],
            "the secret key of a database is there already",
        );
        assert_eq!(place.files(), empty);
        std::fs::write(place.file(), whole).expect("written");
        place.serve().await.stop();
        // and quickstart's own folder
        let quick = Place::new("");
        let data = quick.path("data").display().to_string();
        let start = [
            "quickstart",
            "--json",
            "--listen",
            "127.0.0.1:0",
            "--data-dir",
            &data,
        ];
        let mut child = quick
            .command(&start)
            .env_remove("COUNTERSIGN_DATABASE_URL")
            .env_remove("COUNTERSIGN_SECRET_KEY_FILE")
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let file = quick.path("data").join("countersign.db");
        eventually("it serves", || {
            quick.path("data").join("secret.key").exists()
        })
        .await;
        let log = beside(&file, ".lock");
        eventually("the lock names its marks", || bytes(&log) > 0).await;
        kill_process(Pid::from_child(&child), Signal::TERM).expect("it runs");
        child.wait().expect("it ends");
        std::fs::write(&file, b"").expect("written");
        let again = quick
            .command(&start)
            .env_remove("COUNTERSIGN_DATABASE_URL")
            .env_remove("COUNTERSIGN_SECRET_KEY_FILE")
            .output()
            .expect("it runs");
        assert_eq!(again.status.code(), Some(1), "{again:?}");
        assert!(String::from_utf8_lossy(&again.stderr).contains("although a server has run on it"));
        assert_eq!(bytes(&file), 0);
    });
}

/// An older copy of the file is put beside the log of a server that was killed.
#[test]
fn a_file_that_is_older_than_its_log_is_refused() {
    block_on(async {
        let place = Place::with_file();
        let database = Database::Sqlite(place.file().display().to_string());
        let log = beside(&place.file(), "-wal");
        let serving = place.serve().await;
        eventually("the log is folded in", || bytes(&log) == 0).await;
        let older = std::fs::read(place.file()).expect("the file");
        // another program's writes, as the server's own would be
        let mut foreign = Conn::open(&database).expect("a connection");
        let insert = "INSERT INTO upkeep (name, at) VALUES ('test', 1) ON CONFLICT (name) DO UPDATE SET at = upkeep.at + 1";
        foreign.batch_execute(insert).expect("written");
        eventually("that is folded in", || bytes(&log) == 0).await;
        let newer = std::fs::read(place.file()).expect("the file");
        assert_ne!(older, newer);
        // a reader keeps the next write in the log
        let mut reader = Conn::open(&database).expect("a connection");
        reader
            .batch_execute("BEGIN; SELECT count(*) FROM upkeep")
            .expect("it reads");
        foreign.batch_execute(insert).expect("written");
        drop(serving); // kill -9
        let copy = std::fs::read(&log).expect("the log");
        assert!(copy.len() > 32);
        drop((reader, foreign));
        // as the crash left it, whatever the connections of this test did
        let crashed = std::fs::read(place.file()).expect("the file");
        for (file, is_right) in [(&older, false), (&newer, true)] {
            std::fs::write(place.file(), file).expect("written");
            std::fs::write(&log, &copy).expect("written");
            let _ = std::fs::remove_file(beside(&place.file(), "-shm"));
            let before = place.files();
            if is_right {
                let serving = place.serve().await;
                assert!(serving.stop().status.success());
            } else {
                for command in [&["serve"][..], &["user", "list"], &["backup", "x"]] {
                    place.refused(command, "-wal belongs to");
                    assert_eq!(place.files(), before);
                }
                let report = place.run(&["doctor"]);
                assert!(String::from_utf8_lossy(&report.stdout).contains("-wal belongs to"));
                assert_eq!(place.files(), before);
            }
        }
        assert!(!crashed.is_empty());
        // without a log it is a whole state, and an older one than ran here last
        std::fs::write(place.file(), &older).expect("written");
        for command in [&["serve"][..], &["user", "list"], &["backup", "x"]] {
            place.refused(command, "restore --in-place");
        }
        place.done(&["restore", "--in-place"]);
        assert!(place.serve().await.stop().status.success());
    });
}

#[test]
fn a_restore_of_an_older_schema_brings_it_up_to_date() {
    let place = Place::with_file();
    block_on(async { place.serve().await.stop() });
    let old = place.path("old.backup");
    let database = TestDatabase::given(Database::Sqlite(old.display().to_string()));
    std::fs::copy(place.file(), &old).expect("copied");
    database.execute("DROP TABLE upkeep; DELETE FROM __diesel_schema_migrations WHERE version = '20261130070000'; PRAGMA journal_mode = DELETE");
    let printed = place.done(&["restore", "--force", &old.display().to_string()]);
    assert!(
        printed.contains("as of an instant that it does not tell"),
        "{printed}"
    );
    block_on(async {
        assert!(place.serve().await.stop().status.success());
        let store = Store::open(&Database::Sqlite(place.file().display().to_string()), 1)
            .expect("it opens");
        assert!(
            write(&store, |tx| tx.find_restore())
                .await
                .expect("an answer")
                .is_some()
        );
    });
}
