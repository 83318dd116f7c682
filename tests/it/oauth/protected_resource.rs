//! `/.well-known/oauth-protected-resource…` (RFC 9728) of a registered resource, by its own host and path. MCP-23.

use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::databases::{TestDatabase, both_databases};
use crate::operator::{Api, operator};
use crate::server::Server;

both_databases!(
    a_registered_resource_is_described_under_its_own_name,
    what_is_not_registered_is_not_found,
);

/// As the proxy in front of the resource sends it on.
async fn ask(server: &Server, host: &str, path: &str) -> Response {
    let path = format!("/.well-known/oauth-protected-resource{path}");
    server
        .get(&path)
        .header("Host", host)
        .send()
        .await
        .expect("an answer")
}

async fn a_registered_resource_is_described_under_its_own_name(db: TestDatabase) {
    // RFC 9728 §3.1, §3.2, §3.3: `resource` is the one that was asked for; no host of it is in [server] hosts
    let server = Server::start(db).await;
    let browser = operator(&server).await;
    let local = server.base.replace("http://", "");
    let (v1, mcp) = ("https://files.example/v1", format!("http://{local}/mcp"));
    Api::register(
        &browser,
        "Files API",
        &[
            v1,
            "https://files.example",
            "https://files.example:8443/v1?tenant=a",
            &mcp,
        ],
    )
    .await;
    for (host, path, resource) in [
        ("files.example", "/v1", v1),
        ("FILES.example", "/v1", v1),
        ("files.example", "", "https://files.example"),
        (
            "files.example:8443",
            "/v1?tenant=a",
            "https://files.example:8443/v1?tenant=a",
        ),
        (&local, "/mcp", &mcp),
    ] {
        let response = ask(&server, host, path).await;
        assert_eq!(response.status(), StatusCode::OK, "{host} {path}");
        assert!(
            response.headers()["cache-control"]
                .to_str()
                .expect("text")
                .contains("max-age")
        );
        let described: Value = response.json().await.expect("JSON");
        assert_eq!(described["resource"], resource);
        // RFC 9728 §2: where a client goes next, byte for byte the issuer
        assert_eq!(described["authorization_servers"], json!([server.base]));
        assert_eq!(described["resource_name"], "Files API");
        assert_eq!(described["bearer_methods_supported"], json!(["header"]));
        assert!(
            described["scopes_supported"]
                .as_array()
                .is_some_and(|scopes| scopes.contains(&json!("read")))
        );
    }
}

async fn what_is_not_registered_is_not_found(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = operator(&server).await;
    let api = Api::register(&browser, "Files API", &["https://files.example/v1"]).await;
    for (host, path) in [
        ("files.example", ""),
        ("files.example", "/"),
        ("files.example", "/v1/"),
        ("files.example", "/V1"),
        ("files.example", "/v1?x"),
        ("files.example", "/v1%2f"),
        ("files.example:444", "/v1"),
        ("elsewhere.example", "/v1"),
        ("user@files.example", "/v1"),
        ("files.example/v1", ""),
        ("files example", "/v1"),
    ] {
        let response = ask(&server, host, path).await;
        assert!(
            [StatusCode::NOT_FOUND, StatusCode::BAD_REQUEST].contains(&response.status()),
            "{host} {path}: {}",
            response.status()
        );
    }
    api.change(
        &browser,
        &[
            ("change", "remove_resource"),
            ("uri", "https://files.example/v1"),
        ],
    )
    .await;
    assert_eq!(
        ask(&server, "files.example", "/v1").await.status(),
        StatusCode::NOT_FOUND
    );
    // other paths still know this server's own name only
    let response = server
        .get("/operator")
        .header("Host", "files.example")
        .send()
        .await
        .expect("an answer");
    assert_eq!(response.status(), StatusCode::MISDIRECTED_REQUEST);
}
