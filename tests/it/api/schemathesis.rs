//! A fuzzer of somebody else reads `/v1/openapi.json`, sends what it says and what it forbids, and finds nothing: no 5xx, no
//! status, header, content type or body that is not described, no bad input that is accepted, no good one that is unreadable.

use std::process::Command;

use countersign::config::Rate;

use crate::databases::{TestDatabase, both_databases, offered};
use crate::domains::name_server::NameServer;
use crate::server::Server;

both_databases!(a_fuzzer_of_somebody_else_finds_nothing);

/// For one operation and phase: bounded, and the same each time.
const EXAMPLES: &str = "15";
const SEED: &str = "1";

async fn a_fuzzer_of_somebody_else_finds_nothing(db: TestDatabase) {
    let Some(python) = offered("PYTHON", "PYTHON") else {
        return;
    };
    let names = NameServer::start();
    let address = names.address;
    let server = Server::start_with(db, move |config| {
        config.limits.management = Rate::NONE;
        config.domains.nameservers = vec![address];
    })
    .await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write =
        |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
    let (_, mut document) = super::json(server.get("/v1/openapi.json")).await;
    // it would revoke the token that it is let in by
    let tokens = document["paths"]["/v1/operator-tokens/{id}"].as_object_mut();
    tokens.expect("a path").remove("delete");
    write("openapi.json", &document.to_string());
    write("schemathesis.toml", &settings(&server));
    let output = Command::new(python)
        .current_dir(folder.path())
        .args([
            "-m",
            "schemathesis.cli",
            "run",
            "openapi.json",
            "--url",
            &server.base,
            "--seed",
            SEED,
            "--max-examples",
            EXAMPLES,
        ])
        .args([
            "--phases",
            "examples,coverage,fuzzing,stateful",
            "--continue-on-failure",
            "--generation-database",
            "none",
            "--no-color",
        ])
        .env("PYTHONUTF8", "1")
        .output()
        .expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The operator's token reaches everything. What the rules refuse (422) is described; what cannot be read (400) is a finding.
fn settings(server: &Server) -> String {
    format!(
        "headers = {{ Authorization = 'Bearer {}' }}\n[parameters]\n'query.organization' = '{}'\n\
         [checks.positive_data_acceptance]\nexpected-statuses = ['2xx', 401, 403, 404, 409, 422]\n",
        server.secrets.operator_token, server.planted.organization
    )
}
