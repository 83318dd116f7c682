//! The examples in five languages run as they are printed (row 59).

use std::path::Path;
use std::process::Command;

use reqwest::StatusCode;
use serde_json::Value;

use super::{Program, send, text};
use crate::databases::{TestDatabase, both_databases, offered};
use crate::server::Server;
use crate::tenants::{admin, management_token};

both_databases!(
    every_operation_has_five_examples,
    the_examples_run_as_they_are_printed,
    the_page_shows_them_in_each_language
);

async fn document(server: &Server) -> Value {
    super::json(server.get("/v1/openapi.json")).await.1
}

fn samples(document: &Value, path: &str, method: &str) -> Vec<(String, String)> {
    let samples = document["paths"][path][method]["x-codeSamples"]
        .as_array()
        .expect("samples");
    samples
        .iter()
        .map(|sample| {
            (
                text(sample, "/lang").to_owned(),
                text(sample, "/source").to_owned(),
            )
        })
        .collect()
}

async fn every_operation_has_five_examples(db: TestDatabase) {
    // row 59
    let server = Server::start(db).await;
    let document = document(&server).await;
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for method in methods.as_object().expect("methods").keys() {
            let samples = samples(&document, path, method);
            let languages: Vec<_> = samples
                .iter()
                .map(|(language, _)| language.as_str())
                .collect();
            assert_eq!(
                languages,
                ["Shell", "Python", "JavaScript", "Go", "Rust"],
                "{method} {path}"
            );
            for (language, source) in samples {
                assert!(
                    !source.contains(['{', '}']) || language != "Shell" || source.contains("-d '{"),
                    "{method} {path}: {source}"
                );
                assert!(
                    source.contains("COUNTERSIGN_TOKEN") && source.contains(&server.base),
                    "{method} {path}: {source}"
                );
            }
        }
    }
}

/// Runs one of them in a folder of its own: whether it went well, and what it said. None: the language is not here.
fn run(language: &str, source: &str, token: &str, folder: &Path) -> Option<(bool, String)> {
    let file = |name: &str| {
        let path = folder.join(name);
        std::fs::write(&path, source).expect("written");
        path
    };
    let mut command = match language {
        "Shell" => Command::new("sh"),
        "Python" => Command::new(offered("PYTHON", "PYTHON")?),
        "JavaScript" => offered("NPM", "NPM").map(|_| Command::new("node"))?,
        "Go" => Command::new("go"),
        // without its crates it is only read
        _ => Command::new("rustfmt"),
    };
    match language {
        "Shell" => command.args(["-ec"]).arg(source),
        "Python" => command.arg(file("sample.py")),
        "JavaScript" => command.arg(file("sample.mjs")),
        "Go" => command.arg("run").arg(file("sample.go")),
        _ => command
            .args(["--edition", "2024", "--emit", "stdout"])
            .arg(file("sample.rs")),
    };
    let output = command.env("COUNTERSIGN_TOKEN", token).output().ok()?;
    Some((
        output.status.success(),
        format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        ),
    ))
}

async fn the_examples_run_as_they_are_printed(db: TestDatabase) {
    // row 59
    let server = Server::start(db).await;
    let token = management_token(
        &server,
        admin(&server).await,
        "management:read management:write",
    )
    .await;
    let document = document(&server).await;
    let mut created = 1;
    for (method, said) in [("post", "Example"), ("get", "next_cursor")] {
        for (language, source) in samples(&document, "/v1/workspaces", method) {
            let (folder, token) = (tempfile::tempdir().expect("a folder"), token.clone());
            let place = folder.path().to_owned();
            // two workspaces never share a name, and the id of zeros stands for one's own
            let own = source
                .replace("\"Example\"", &format!("\"Example {language}\""))
                .replace(
                    &format!("org_{}", "0".repeat(22)),
                    server.planted.organization.as_str(),
                );
            let (of, sent) = (language.clone(), own);
            let ran = tokio::task::spawn_blocking(move || run(&of, &sent, &token, &place))
                .await
                .expect("it ran");
            let Some((went_well, output)) = ran else {
                continue;
            };
            assert!(went_well, "{language}: {output}\n{source}");
            if language != "Rust" {
                assert!(output.contains(said), "{language}: {output}\n{source}");
                created += usize::from(method == "post");
            }
        }
    }
    let (_, all) = Program::new(&server, &token).get("/v1/workspaces").await;
    assert_eq!(all["data"].as_array().map(Vec::len), Some(created), "{all}");
}

async fn the_page_shows_them_in_each_language(db: TestDatabase) {
    let server = Server::start(db).await;
    for (language, part) in [
        ("", "curl -X POST"),
        ("?language=python", "import requests"),
        ("?language=go", "package main"),
        ("?language=rust", "fn main"),
    ] {
        let page = send(server.get(&format!("/v1/docs/examples{language}"))).await;
        assert_eq!(page.status(), StatusCode::OK);
        assert!(
            page.text().await.expect("text").contains(part),
            "{language}"
        );
    }
    for wrong in [
        "?language=cobol",
        "?language=go&language=rust",
        "?tongue=go",
    ] {
        assert_eq!(
            send(server.get(&format!("/v1/docs/examples{wrong}")))
                .await
                .status(),
            StatusCode::BAD_REQUEST,
            "{wrong}"
        );
    }
}
