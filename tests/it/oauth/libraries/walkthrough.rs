//! docs/oauth-walkthrough.md is true: every program in it runs as it stands there.

use super::script::Script;
use super::start;
use super::walkthrough_client::{Settings, connect, connect_as_itself, disconnect, refresh};
use crate::databases::{TestDatabase, both_databases, is_skipped};
use crate::oauth::client_library::http;
use crate::oauth::is_active;
use crate::server::REDIRECT_URI;
use oauth2::TokenResponse;

both_databases!(
    the_curl_program_runs,
    the_python_program_runs,
    the_javascript_program_runs,
    the_go_program_runs,
    the_rust_program_runs
);

const PAGE: &str = include_str!("../../../../docs/oauth-walkthrough.md");

/// The only block in this language.
fn block(language: &str) -> &'static str {
    let opening = format!("\n```{language}\n");
    let mut blocks = PAGE
        .split(&opening)
        .skip(1)
        .map(|rest| rest.split("```").next().expect("a start"));
    let block = blocks.next().expect("a block in this language");
    assert!(
        blocks.next().is_none(),
        "a second block in {language} would not be run"
    );
    block
}

async fn the_curl_program_runs(db: TestDatabase) {
    if !is_skipped("SHELL_TOOLS") {
        run(db, Some(Script::shell_of(block("bash")))).await;
    }
}

async fn the_python_program_runs(db: TestDatabase) {
    run(db, Script::python_of(block("python"))).await;
}

async fn the_javascript_program_runs(db: TestDatabase) {
    run(db, Script::node_of(block("javascript"))).await;
}

async fn the_go_program_runs(db: TestDatabase) {
    if !is_skipped("GO") {
        run(db, Some(Script::go_of(block("go")))).await;
    }
}

async fn run(db: TestDatabase, script: Option<Script>) {
    let Some(script) = script else { return };
    let server = start(db).await;
    let output = script.run(&server).await;
    let told = |line: &&str| {
        serde_json::from_str(line)
            .is_ok_and(|answer: serde_json::Value| answer["credential"]["kind"] == "access_token")
    };
    assert_eq!(
        output.lines().filter(told).count(),
        2,
        "whoami told of two tokens: {output}"
    );
    assert!(output.ends_with("Revoked.\n"), "{output}");
    // a revocation answers 200 whatever it is given
    assert!(
        server
            .database
            .everything_in("audit_events")
            .contains("authorization.revoked"),
        "nothing was revoked"
    );
}

async fn the_rust_program_runs(db: TestDatabase) {
    assert_eq!(
        block("rust"),
        include_str!("walkthrough_client.rs"),
        "the page shows another program than the one that runs here"
    );
    let server = start(db).await;
    // the library insists on https: `http` plays the proxy in front of a loopback server
    let settings = |issuer: &str| Settings {
        issuer: issuer.to_owned(),
        client_id: server.planted.application.to_string(),
        client_secret: server.secrets.client_secret.clone(),
        redirect_uri: REDIRECT_URI.to_owned(),
    };
    let (plain, secure) = (
        settings(&server.base),
        settings(&server.base.replacen("http:", "https:", 1)),
    );
    let browser = server.signed_in_browser().await;
    let ask = async |url: url::Url| {
        browser
            .allow(url.as_str().strip_prefix(&server.base).expect("it is ours"))
            .await
    };
    let tokens = connect(&plain, &http(), ask).await.expect("connected");
    let refreshed = refresh(&plain, &http(), &tokens).await.expect("refreshed");
    let own = connect_as_itself(&plain, &http()).await.expect("tokens");
    assert!(
        is_active(&server, refreshed.access_token().secret()).await
            && is_active(&server, own.access_token().secret()).await
    );
    disconnect(&secure, &http(), &refreshed)
        .await
        .expect("disconnected");
    assert!(!is_active(&server, refreshed.access_token().secret()).await);
}
