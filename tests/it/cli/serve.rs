//! `countersign serve`: what it refuses to start on, and how it stops.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;

use super::Place;
use crate::databases::{TestDatabase, both_databases};

both_databases!(
    a_fresh_database_is_refused_and_the_command_for_it_is_named,
    a_newer_schema_is_refused,
    a_signal_lets_a_running_request_finish,
    a_secret_key_of_another_database_is_refused,
);

async fn a_fresh_database_is_refused_and_the_command_for_it_is_named(db: TestDatabase) {
    db.unmigrate();
    Place::new(&db)
        .run(&["serve"])
        .assert_refused("run `countersign migrate`");
}

async fn a_newer_schema_is_refused(db: TestDatabase) {
    db.execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('20991231000000')");
    let place = Place::new(&db);
    for arguments in [
        &["serve"][..],
        &["migrate"],
        &[
            "user",
            "create",
            "--email",
            "ada@acme.example",
            "--name",
            "Ada",
        ],
    ] {
        place
            .run(arguments)
            .assert_refused("newer than this program: it has 20991231000000");
    }
}

async fn a_signal_lets_a_running_request_finish(db: TestDatabase) {
    let place = Place::new(&db);
    for signal in [Signal::TERM, Signal::INT] {
        let mut serving = place.start(&["serve"]);
        let address = serving.issuer().replace("http://", "");
        let mut stream = TcpStream::connect(&address).expect("it serves");
        let body = "grant_type=client_credentials";
        let head = format!(
            "POST /oauth2/token HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        );
        write!(
            stream,
            "{head}Content-Length: {}\r\nConnection: close\r\n\r\n{}",
            body.len(),
            &body[..10]
        )
        .expect("it reads");
        // answered behind the first, by every worker in turn, so that the first is being handled
        for _ in 0..2 * std::thread::available_parallelism().map_or(1, usize::from) {
            let mut probe = TcpStream::connect(&address).expect("it serves");
            write!(
                probe,
                "GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
            )
            .expect("it reads");
            probe
                .read_to_string(&mut String::new())
                .expect("it answers");
        }
        serving.tell(signal);
        serving.logged("Stopping");
        write!(stream, "{}", &body[10..]).expect("it still reads");
        let mut answer = String::new();
        stream
            .read_to_string(&mut answer)
            .expect("it still answers");
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
        assert_eq!(
            serving.end(),
            (true, Vec::new()),
            "it ends well and wrote nothing more"
        );
    }
}

async fn a_secret_key_of_another_database_is_refused(db: TestDatabase) {
    let place = Place::new(&db);
    place.start(&["serve"]).issuer();
    let key = place.path().join("secret.key");
    assert_eq!(
        std::fs::metadata(&key)
            .expect("it was made")
            .permissions()
            .mode()
            & 0o777,
        0o600
    );
    std::fs::remove_file(&key).expect("it was made");
    place
        .run(&["serve"])
        .assert_refused("bring it back from your copy");
    assert!(!key.exists(), "no other one was made");
    place.write("secret.key", &format!("other {}\n", "ab".repeat(32)));
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).expect("our file");
    place
        .run(&["serve"])
        .assert_refused("Is this the secret key that belongs to this database?");
}

#[test]
fn a_secret_key_that_cannot_be_read_is_refused() {
    let db = TestDatabase::sqlite();
    let place = Place::new(&db);
    let key = place.path().join("secret.key");
    std::fs::create_dir(&key).expect("a folder");
    let refused = place.run(&["serve"]);
    assert!(
        !refused.succeeded && refused.said.contains("secret.key"),
        "{}",
        refused.said
    );
    std::fs::remove_dir(&key).expect("a folder");
    place.write("secret.key", "nonsense\n");
    place.run(&["serve"]).assert_refused("chmod 600");
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).expect("our file");
    place.run(&["serve"]).assert_refused("line 1 is not");
    place.write("secret.key", "");
    place.run(&["serve"]).assert_refused("it must hold one");
}

#[test]
fn a_second_process_on_the_data_directory_is_refused() {
    let db = TestDatabase::sqlite();
    let place = Place::new(&db);
    let mut serving = place.start(&["serve"]);
    serving.issuer();
    place
        .run(&["serve"])
        .assert_refused("another Countersign process uses");
    let folder = place.path().join("data").display().to_string();
    let mut quick = place.start(&[
        "quickstart",
        "--json",
        "--listen",
        "127.0.0.1:0",
        "--data-dir",
        &folder,
    ]);
    quick.line();
    place
        .run(&[
            "quickstart",
            "--json",
            "--listen",
            "127.0.0.1:0",
            "--data-dir",
            &folder,
        ])
        .assert_refused("another Countersign process uses");
}

#[test]
fn a_port_that_is_taken_is_refused_by_name() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let db = TestDatabase::sqlite();
    Place::new(&db)
        .with("COUNTERSIGN_SERVER_LISTEN", &address)
        .run(&["serve"])
        .assert_refused(&address);
}

#[test]
fn an_unknown_database_is_refused() {
    let place = Place::empty().with(
        "COUNTERSIGN_DATABASE_URL",
        "mysql://root:hunter2@db.example/x",
    );
    let refused = place.run(&["serve"]);
    refused.assert_refused("sqlite: or postgres://");
    assert!(!refused.said.contains("hunter2"), "{}", refused.said);
}
