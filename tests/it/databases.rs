//! Both databases, always: a test listed in `both_databases!` runs on a fresh SQLite file and on a fresh PostgreSQL
//! database, both migrated. What a test needs from outside is `offered` by tests/run, or the test is skipped aloud.
#![expect(clippy::panic, reason = "a test fails by it")]

use std::collections::BTreeSet;
use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

use countersign::store::{Conn, Database, migrate};
use diesel::connection::SimpleConnection;
use diesel::sql_types::{BigInt, Text};
use diesel::{Connection, PgConnection, QueryableByName, RunQueryDsl};
use tempfile::TempDir;
use url::Url;

/// `both_databases!(a_sentence, another_one);` makes the tests `a_sentence::sqlite`, `a_sentence::postgres` … of
/// `async fn a_sentence(db: TestDatabase)`. One that is not listed is dead code, and clippy says so.
macro_rules! both_databases {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            #[test]
            fn sqlite() {
                crate::databases::on_sqlite(super::$name);
            }

            #[test]
            fn postgres() {
                crate::databases::on_postgres(super::$name);
            }
        }
    )*};
}
pub(crate) use both_databases;

/// An empty, migrated database of the test's own. It ends with the value.
pub struct TestDatabase {
    pub database: Database,
    _owned: Owned,
}

/// What has to be removed at the end.
enum Owned {
    File {
        _folder: TempDir,
    },
    Database {
        server: Url,
        name: String,
    },
    /// Somebody else removes it.
    Nothing,
}

pub fn on_sqlite<F: Future<Output = ()>>(test: impl FnOnce(TestDatabase) -> F) {
    block_on(test(TestDatabase::sqlite()));
}

pub fn on_postgres<F: Future<Output = ()>>(test: impl FnOnce(TestDatabase) -> F) {
    if let Some(server) = offered("POSTGRES", "POSTGRES") {
        block_on(test(TestDatabase::postgres(&server)));
    }
}

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(future)
}

/// Held by whoever fills the small disk: others find it full meanwhile.
pub static SMALL_DISK: Mutex<()> = Mutex::new(());

/// The value of `COUNTERSIGN_TEST_<variable>`. `None` says that this test skips: then that was written down, with the reason
/// in `COUNTERSIGN_TEST_SKIP_<kind>` under tests/run, and once for the kind under plain `cargo test`.
pub fn offered(variable: &str, kind: &str) -> Option<String> {
    let value = std::env::var(format!("COUNTERSIGN_TEST_{variable}"));
    if value.is_err() && !is_skipped(kind) {
        if is_under_tests_run() {
            panic!(
                "tests/run gives neither COUNTERSIGN_TEST_{variable} nor a reason to skip {kind}"
            );
        }
        leave_out(kind);
    }
    value.ok()
}

/// Whether tests of this kind skip: tests/run gives the reason; plain `cargo test` looks into PATH itself.
pub fn is_skipped(kind: &str) -> bool {
    if let Ok(reason) = std::env::var(format!("COUNTERSIGN_TEST_SKIP_{kind}")) {
        record_skipped(&reason);
        return true;
    }
    let tools: &[&str] = match kind {
        "PDF_TOOLS" => &["pdfinfo", "pdftotext", "pdftoppm", "qpdf"],
        "SHELL_TOOLS" => &["curl", "jq", "xxd"],
        "GO" => &["go"],
        "NGINX" => &["nginx"],
        _ => &[],
    };
    let lacks = !is_under_tests_run() && !tools.iter().all(|tool| is_in_path(tool));
    if lacks {
        leave_out(kind);
    }
    lacks
}

fn is_under_tests_run() -> bool {
    std::env::var_os("COUNTERSIGN_TEST_SKIPPED").is_some()
}

fn is_in_path(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(tool).is_file())
}

/// Says once for each kind what `cargo test` leaves out. Written past the capture of libtest, which catches only macros.
fn leave_out(kind: &str) {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    if said.insert(kind.to_owned()) {
        let line = format!(
            "LEFT OUT: the tests of the kind {kind}. tests/run runs them, and everything else.\n"
        );
        std::io::stderr()
            .write_all(line.as_bytes())
            .expect("a line fits");
    }
}

fn record_skipped(reason: &str) {
    let Ok(path) = std::env::var("COUNTERSIGN_TEST_SKIPPED") else {
        return;
    };
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .expect("COUNTERSIGN_TEST_SKIPPED names a file");
    file.write_all(format!("{test}: {reason}\n").as_bytes())
        .expect("a line fits");
}

impl TestDatabase {
    /// A file in a folder of its own.
    pub fn sqlite() -> Self {
        let folder = TempDir::with_prefix("countersign-").expect("a temporary folder");
        let database = sqlite_in(folder.path());
        Self {
            database,
            _owned: Owned::File { _folder: folder },
        }
    }

    /// A database on the server whose URL is given: the copy of a migrated one.
    pub fn postgres(server: &str) -> Self {
        let server = Url::parse(server).expect("COUNTERSIGN_TEST_POSTGRES is a URL");
        let template = postgres_template(&server);
        let name = format!("countersign_{:016x}", rand::random::<u64>());
        execute(
            &server,
            &format!("CREATE DATABASE {name} TEMPLATE {template}"),
        );
        Self {
            database: named(&server, &name),
            _owned: Owned::Database { server, name },
        }
    }
}

impl TestDatabase {
    /// A migrated database that ends elsewhere.
    pub fn given(database: Database) -> Self {
        Self {
            database,
            _owned: Owned::Nothing,
        }
    }

    /// As `postgres`, made with other options than the server's own, and migrated by itself.
    pub fn postgres_with(server: &str, options: &str) -> Self {
        let server = Url::parse(server).expect("COUNTERSIGN_TEST_POSTGRES is a URL");
        let name = format!("countersign_{:016x}", rand::random::<u64>());
        execute(
            &server,
            &format!("CREATE DATABASE {name} TEMPLATE template0 {options}"),
        );
        let made = Self {
            database: named(&server, &name),
            _owned: Owned::Database { server, name },
        };
        migrate(&made.database).expect("the migrations run on PostgreSQL");
        made
    }
}

impl TestDatabase {
    /// As `[database] url` names it.
    pub fn url(&self) -> String {
        match &self.database {
            Database::Sqlite(path) => format!("sqlite:{path}"),
            Database::Postgres(url) => url.clone(),
        }
    }

    /// Runs SQL behind everybody's back.
    pub fn execute(&self, sql: &str) {
        let mut conn = Conn::open(&self.database).expect("a connection");
        conn.batch_execute(sql)
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// Takes the schema away: what a database is before its first migration.
    pub fn unmigrate(&self) {
        match &self.database {
            Database::Sqlite(path) => std::fs::remove_file(path).expect("the file was there"),
            Database::Postgres(_) => {
                self.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
            }
        }
    }

    /// Another one on the same kind of database.
    pub fn another(&self) -> Self {
        match &self.database {
            Database::Sqlite(_) => Self::sqlite(),
            Database::Postgres(_) => {
                Self::postgres(&offered("POSTGRES", "POSTGRES").expect("this one is there"))
            }
        }
    }

    /// How many audit events there are.
    pub fn count_all_events(&self) -> i64 {
        self.count("SELECT count(*) AS count FROM audit_events")
    }

    /// How many audit events of this name there are.
    pub fn count_events(&self, event: &str) -> i64 {
        self.count(&format!(
            "SELECT count(*) AS count FROM audit_events WHERE event = '{event}'"
        ))
    }

    fn count(&self, query: &str) -> i64 {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = BigInt)]
            count: i64,
        }
        let mut conn = Conn::open(&self.database).expect("a connection");
        diesel::sql_query(query)
            .get_result::<Row>(&mut conn)
            .expect("a count")
            .count
    }

    /// What somebody reads who steals the table: on PostgreSQL its rows, on SQLite the files.
    pub fn everything_in(&self, table: &str) -> String {
        match &self.database {
            Database::Postgres(url) => {
                #[derive(QueryableByName)]
                struct Row {
                    #[diesel(sql_type = Text)]
                    row: String,
                }
                let mut conn = PgConnection::establish(url).expect("PostgreSQL answers");
                let rows: Vec<Row> =
                    diesel::sql_query(format!("SELECT t::text AS row FROM {table} t"))
                        .load(&mut conn)
                        .expect("rows");
                rows.into_iter().map(|row| row.row).collect()
            }
            Database::Sqlite(path) => {
                let files = [path.clone(), format!("{path}-wal")]
                    .map(|file| std::fs::read(file).unwrap_or_default());
                String::from_utf8_lossy(&files.concat()).into_owned()
            }
        }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        if let Self::Database { server, name } = self {
            // FORCE: the store's threads end a moment after the store
            execute(
                server,
                &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
            );
        }
    }
}

/// A migrated SQLite file in an existing folder.
pub fn sqlite_in(folder: &Path) -> Database {
    static MIGRATED: OnceLock<Vec<u8>> = OnceLock::new();
    let migrated = MIGRATED.get_or_init(|| {
        let folder = TempDir::with_prefix("countersign-").expect("a temporary folder");
        let path = folder.path().join("template.db");
        migrate(&Database::Sqlite(path.display().to_string()))
            .expect("the migrations run on SQLite");
        std::fs::read(path).expect("the last connection has put everything into the file")
    });
    let path = folder.join("countersign.db");
    std::fs::write(&path, migrated).expect("the folder takes a file");
    Database::Sqlite(path.display().to_string())
}

/// The database's URL on the server.
fn named(server: &Url, name: &str) -> Database {
    let mut url = server.clone();
    url.set_path(name);
    Database::Postgres(url.into())
}

/// The name of a migrated database to copy: made once per server and set of migrations, whichever process needs it first.
fn postgres_template(server: &Url) -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| {
        let name = format!("countersign_template_{:016x}", hash_of_migrations());
        let mut conn = PgConnection::establish(server.as_str()).expect("PostgreSQL answers");
        // held until `conn` is gone
        conn.batch_execute("SELECT pg_advisory_lock(1)")
            .expect("another process migrates in finite time");
        if count(
            &mut conn,
            "SELECT count(*) AS count FROM pg_database WHERE datname = $1",
            &name,
        ) == 0
        {
            conn.batch_execute(&format!("CREATE DATABASE {name}"))
                .expect("a superuser's URL");
        }
        migrate(&named(server, &name)).expect("the migrations run on PostgreSQL");
        name
    })
}

fn hash_of_migrations() -> u64 {
    let mut files: Vec<_> = std::fs::read_dir("migrations")
        .expect("migrations/")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    let mut hasher = DefaultHasher::new();
    for folder in files {
        folder.hash(&mut hasher);
        std::fs::read(folder.join("up.sql"))
            .expect("up.sql")
            .hash(&mut hasher);
    }
    hasher.finish()
}

fn count(conn: &mut PgConnection, sql: &str, name: &str) -> i64 {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        count: i64,
    }
    diesel::sql_query(sql)
        .bind::<Text, _>(name)
        .get_result::<Row>(conn)
        .expect("a count")
        .count
}

fn execute(server: &Url, sql: &str) {
    let mut conn = PgConnection::establish(server.as_str()).expect("PostgreSQL answers");
    conn.batch_execute(sql)
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
}
