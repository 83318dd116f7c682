//! Request smuggling: what of a connection's bytes is run, and how many answers come back, byte by byte over raw sockets, and
//! behind a real nginx that keeps its connections to us alive.
//!
//! The vectors follow the public corpora: chunked terminators (CVE-2026-134342), chunk extensions ("Funky Chunks", Kestrel
//! CVE-2025-55315, GHSA-9543-cj4x-h76q), spellings of Transfer-Encoding, CL.TE, 0.CL and Expect ("HTTP/1.1 must die", 2025),
//! line folding, doubled lengths, trailers, and a ruler of head sizes. Each is followed by a request that would revoke
//! a token: whether that was run shows in the token.
//!
//! Included by `tests/it/main.rs`, so that tests/run runs it; here, because it is a corpus to grow, as `tests/fuzz`.

mod direct;
pub mod nginx;
mod sender;
mod vectors;

use crate::databases::TestDatabase;
use crate::server::Server;

/// A server on which refusals are no reason to refuse the next request.
async fn start(db: TestDatabase) -> Server {
    Server::start_with(db, |config| {
        config.limits.client_failures.quota = 1_000_000;
    })
    .await
}

/// A request that revokes a live token when it is run.
pub struct Smuggled {
    pub bytes: Vec<u8>,
    token: String,
}

impl Smuggled {
    pub async fn new(server: &Server) -> Self {
        let form = [("grant_type", "client_credentials")];
        let tokens = server.token(&form).await.1;
        let token = tokens["access_token"].as_str().expect("a token").to_owned();
        let host = server.base.strip_prefix("http://").expect("http");
        let secret = &server.secrets.client_secret;
        let credentials = format!("{}:{secret}", server.planted.application);
        let basic = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, credentials);
        let body = format!("token={token}");
        let bytes = format!(
            "POST /oauth2/revoke HTTP/1.1\r\nHost: {host}\r\nAuthorization: Basic {basic}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        Self {
            bytes: bytes.into_bytes(),
            token,
        }
    }

    pub async fn was_run(&self, server: &Server) -> bool {
        server.introspect(&self.token).await["active"] != true
    }
}
