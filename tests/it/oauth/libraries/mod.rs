//! OAuth libraries of others, unchanged and used as their documentation tells: tests/python and tests/npm hold one script
//! for each. It connects from discovery on, and asserts what the library makes of our answers and of our refusals.

mod script;
mod walkthrough;
mod walkthrough_client;

use script::Script;

use super::register_public;
use crate::databases::{TestDatabase, both_databases};
use crate::server::Server;

both_databases!(
    authlib_connects,
    requests_oauthlib_connects,
    openid_client_connects,
    oauth4webapi_connects
);

async fn authlib_connects(db: TestDatabase) {
    connect(db, Script::python("authlib_client.py")).await;
}

async fn requests_oauthlib_connects(db: TestDatabase) {
    connect(db, Script::python("requests_oauthlib_client.py")).await;
}

async fn openid_client_connects(db: TestDatabase) {
    connect(db, Script::node("openid_client.mjs")).await;
}

async fn oauth4webapi_connects(db: TestDatabase) {
    connect(db, Script::node("oauth4webapi_client.mjs")).await;
}

async fn connect(db: TestDatabase, script: Option<Script>) {
    let Some(script) = script else { return };
    let server = start(db).await;
    let public = register_public(&server).await;
    let output = script
        .with("PUBLIC_CLIENT_ID", public.id.as_str())
        .run(&server)
        .await;
    assert!(output.ends_with("All of it was asserted.\n"), "{output}");
}

/// A server of today: libraries judge `exp` by the machine's clock.
async fn start(db: TestDatabase) -> Server {
    let server = Server::start(db).await;
    let today = countersign::types::time::Clock::System.now();
    server
        .clock
        .step_seconds(today.seconds() - server.clock.now().seconds());
    server
}
