//! "Run it for real" in README.md: from an empty folder to a verified request, as it is printed.

use std::process::{Command, Stdio};

use countersign::store::Database;

use super::Place;
use crate::databases::{TestDatabase, both_databases};

both_databases!(eight_commands_lead_from_an_empty_folder_to_a_verified_request);

const README: &str = include_str!("../../../README.md");
const PRINTED_ADDRESS: &str = "127.0.0.1:8080";

/// The commands of the first block, in their order.
fn commands() -> Vec<&'static str> {
    let (_, section) = README
        .split_once("## Run it for real")
        .expect("the section");
    let (_, block) = section.split_once("```sh\n").expect("a block");
    let (block, _) = block.split_once("```").expect("its end");
    block
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
        .collect()
}

async fn eight_commands_lead_from_an_empty_folder_to_a_verified_request(db: TestDatabase) {
    let commands = commands();
    assert!(commands.len() <= 8, "{commands:#?}");
    let (install, others) = commands.split_first().expect("commands");
    // what it installs was built for this test
    assert!(install.starts_with("cargo install --path ."), "{install}");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    drop(listener);
    let mut place = Place::empty().with("COUNTERSIGN_SERVER_LISTEN", &address);
    if let Database::Postgres(url) = &db.database {
        db.unmigrate();
        place = place.with("COUNTERSIGN_DATABASE_URL", url);
    }
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_countersign"));
    let folder = binary.parent().expect("a folder").display();
    let script = format!(
        "set -eu\ntrap 'kill $! 2>/dev/null || true' EXIT\nPATH={folder}:$PATH\n{}\n",
        others.join("\n").replace(PRINTED_ADDRESS, &address)
    );
    let mut command = Command::new("sh");
    command
        .args(["-c", &script])
        .current_dir(place.path())
        .envs(place.variables.iter().cloned())
        .stdin(Stdio::null());
    let ended = command.output().expect("a shell");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (output, said) = (text(&ended.stdout), text(&ended.stderr));
    assert!(ended.status.success(), "{output}{said}");
    assert!(
        output.contains("\"allowed\":true") && output.contains("\"environment\":\"sandbox\""),
        "{output}{said}"
    );
}
