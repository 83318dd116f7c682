//! `/.well-known/oauth-authorization-server` (RFC 8414) and `/.well-known/jwks.json` (RFC 7517 §5).

use reqwest::StatusCode;
use reqwest::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde_json::{Value, json};

use super::{assert_oauth_error, authorize_with, send};
use crate::databases::{TestDatabase, both_databases};
use crate::server::Server;

both_databases!(
    the_issuer_is_equal_by_the_byte,
    what_is_advertised_is_there,
    what_is_not_advertised_does_not_work,
    the_keys_are_public_keys_only,
    the_metadata_name_the_scopes_that_their_reader_can_get,
);

async fn document(server: &Server, path: &str) -> Value {
    let response = server.get(path).send().await.expect("an answer");
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
    assert!(
        response.headers()[CACHE_CONTROL]
            .to_str()
            .expect("text")
            .contains("max-age")
    );
    response.json().await.expect("JSON")
}

async fn the_issuer_is_equal_by_the_byte(db: TestDatabase) {
    // RFC 8414 §3.3, 9700-10, 9700-48
    let server = Server::start(db).await;
    let metadata = document(&server, "/.well-known/oauth-authorization-server").await;
    assert_eq!(metadata["issuer"], server.base.as_str());
    let tokens = server.code_flow("read").await;
    assert_eq!(
        server
            .introspect(super::text(&tokens, "access_token"))
            .await["iss"],
        metadata["issuer"]
    );
    // RFC 8414 §3.1, MCP-1: an issuer with a path cannot be configured, so nobody finds one by inserting its path
    let with_path = format!("{}/t1", server.base);
    assert!(countersign::config::Issuer::parse(&with_path).is_err());
    for path in [
        "/.well-known/oauth-authorization-server/t1",
        "/t1/.well-known/oauth-authorization-server",
        "/.well-known/oauth-authorization-server/",
    ] {
        assert_eq!(
            server.get(path).send().await.expect("an answer").status(),
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
}

async fn what_is_advertised_is_there(db: TestDatabase) {
    // 9700-49; each method and grant has its own tests in token.rs and beside it
    let server = Server::start(db).await;
    let metadata = document(&server, "/.well-known/oauth-authorization-server").await;
    for (name, expected) in [
        ("response_types_supported", json!(["code"])),
        ("response_modes_supported", json!(["query"])),
        (
            "grant_types_supported",
            json!(["authorization_code", "refresh_token", "client_credentials"]),
        ),
        (
            "token_endpoint_auth_methods_supported",
            json!(["client_secret_basic", "client_secret_post", "none"]),
        ),
        (
            "revocation_endpoint_auth_methods_supported",
            json!(["client_secret_basic", "client_secret_post", "none"]),
        ),
        (
            "introspection_endpoint_auth_methods_supported",
            json!(["client_secret_basic"]),
        ),
        ("code_challenge_methods_supported", json!(["S256"])),
        (
            "scopes_supported",
            json!(["read", "write", "send", "webhooks"]),
        ),
        (
            "authorization_response_iss_parameter_supported",
            json!(true),
        ),
    ] {
        assert_eq!(metadata[name], expected, "{name}");
    }
    for name in [
        "authorization_endpoint",
        "token_endpoint",
        "revocation_endpoint",
        "introspection_endpoint",
        "jwks_uri",
    ] {
        let path = super::text(&metadata, name)
            .strip_prefix(&server.base)
            .expect("it is ours")
            .to_owned();
        let status = if name.ends_with("uri") || name.starts_with("authorization") {
            server.get(&path).send().await.expect("an answer").status()
        } else {
            server.post(&path).send().await.expect("an answer").status()
        };
        assert!(
            status != StatusCode::NOT_FOUND
                && status != StatusCode::METHOD_NOT_ALLOWED
                && !status.is_server_error(),
            "{name}: {status}"
        );
    }
    let endpoints: Vec<&String> = metadata
        .as_object()
        .expect("an object")
        .keys()
        .filter(|name| name.ends_with("_endpoint"))
        .collect();
    assert_eq!(endpoints.len(), 4, "{endpoints:?}");
    for scope in metadata["scopes_supported"].as_array().expect("a list") {
        let answer = server
            .token(&[
                ("grant_type", "client_credentials"),
                ("scope", scope.as_str().expect("text")),
            ])
            .await;
        assert_eq!((answer.0, &answer.1["scope"]), (StatusCode::OK, scope));
    }
}

async fn the_metadata_name_the_scopes_that_their_reader_can_get(db: TestDatabase) {
    // RFC 8414 §2, RFC 9728 §2: MCP clients register in the open and ask for every scope that they read here
    let server = super::registration::open(db, |config| {
        config.registration.scopes = vec!["read".to_owned()];
    })
    .await;
    let (id, uri) = (
        server.planted.resource_server,
        format!("{}/mcp", server.base),
    );
    server
        .write(move |tx| Ok(tx.insert_resource(id, &uri.parse().expect("a resource"))?))
        .await;
    for path in [
        "/.well-known/oauth-authorization-server",
        "/.well-known/oauth-protected-resource/mcp",
    ] {
        let metadata = document(&server, path).await;
        assert_eq!(metadata["scopes_supported"], json!(["read"]), "{path}");
    }
}

async fn what_is_not_advertised_does_not_work(db: TestDatabase) {
    // 9700-49
    let server = Server::start(db).await;
    let (id, secret) = (
        server.planted.resource_server,
        server.secrets.resource_server_secret.as_str(),
    );
    let by_post = server.post("/oauth2/introspect").form(&[
        ("token", "x"),
        ("client_id", id.as_str()),
        ("client_secret", secret),
    ]);
    assert_oauth_error(
        &send(by_post).await,
        StatusCode::UNAUTHORIZED,
        "invalid_client",
    );
    for response_type in ["token", "id_token", "none"] {
        let path = authorize_with(
            server.planted.application.as_str(),
            &[("response_type", Some(response_type))],
        );
        let browser = server.signed_in_browser().await;
        assert_eq!(
            super::redirected_error(&browser, &path).await.0,
            "unsupported_response_type"
        );
    }
    for path in [
        "/oauth2/device_authorization",
        "/oauth2/par",
        "/.well-known/openid-configuration",
        "/oauth2/userinfo",
    ] {
        assert_eq!(
            server.post(path).send().await.expect("an answer").status(),
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
}

async fn the_keys_are_public_keys_only(db: TestDatabase) {
    // RFC 7517 §4
    let server = Server::start(db).await;
    let set = document(&server, "/.well-known/jwks.json").await;
    let keys = set["keys"].as_array().expect("a list");
    assert_eq!(keys.len(), 1);
    for key in keys {
        assert_eq!(
            (&key["kty"], &key["crv"], &key["use"], &key["alg"]),
            (
                &"EC".into(),
                &"P-256".into(),
                &"sig".into(),
                &"ES256".into()
            ),
            "{key}"
        );
        assert!(key["kid"].as_str().is_some_and(|kid| kid.len() == 43));
        for private in ["d", "p", "q", "k", "dp", "dq", "qi"] {
            assert!(key.get(private).is_none(), "{private}");
        }
    }
}
