//! Requests that nobody means well: forged tokens, monstrous sizes, wrong methods and names. The right refusal, nothing
//! changed, and a server that still answers.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use reqwest::header::{ALLOW, CONTENT_TYPE, HOST};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{assert_invalid_grant, assert_oauth_error, is_active, redemption, revoke, send, text};
use crate::databases::{TestDatabase, both_databases};
use crate::server::Server;

both_databases!(
    forged_tokens_are_inactive_and_unknown_everywhere,
    an_expired_token_stays_expired,
    a_key_with_one_character_changed_is_unknown,
    monstrous_parameters_are_refused,
    a_megabyte_of_headers_ends_one_connection_only,
    a_request_that_is_not_http_ends_one_connection_only,
    another_method_is_answered_405_with_allow,
    an_unknown_host_is_misdirected,
    a_lying_content_length_hangs_nobody,
);

/// The middle of a token: its claims.
fn claims(token: &str) -> Value {
    let middle = token.split('.').nth(1).expect("three parts");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(middle).expect("base64url")).expect("JSON")
}

fn part(json: &Value) -> String {
    URL_SAFE_NO_PAD.encode(json.to_string())
}

async fn forged_tokens_are_inactive_and_unknown_everywhere(db: TestDatabase) {
    // RFC 8725 §2.1, §3.1; RFC 9068 §4
    let (server, other) = (
        Server::start(db).await,
        Server::start(TestDatabase::sqlite()).await,
    );
    let body = server.code_flow("read").await;
    let token = text(&body, "access_token");
    let [head, middle, signature]: [&str; 3] = token
        .split('.')
        .collect::<Vec<_>>()
        .try_into()
        .expect("three parts");
    let keys: Value = server
        .get("/.well-known/jwks.json")
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    let kid = &keys["keys"][0]["kid"];
    let mut wider = claims(token);
    wider["scope"] = "read write send".into();
    let wider = part(&wider);
    let hmac = |secret: &str| {
        let mut header = Header::new(Algorithm::HS256);
        (header.typ, header.kid) = (Some("at+jwt".to_owned()), kid.as_str().map(str::to_owned));
        encode(
            &header,
            &claims(token),
            &EncodingKey::from_secret(secret.as_bytes()),
        )
        .expect("signed")
    };
    let none = part(&json!({"alg": "none", "typ": "at+jwt", "kid": kid}));
    let foreign = text(&other.code_flow("read").await, "access_token").to_owned();
    let foreign_parts: Vec<&str> = foreign.split('.').collect();
    let jwk = part(&json!({"alg": "ES256", "typ": "at+jwt", "kid": kid, "jwk": keys["keys"][0]}));
    for forged in [
        format!("{none}.{middle}."),
        format!("{none}.{middle}.{signature}"),
        format!(
            "{}.{middle}.",
            part(&json!({"alg": "NONE", "typ": "at+jwt", "kid": kid}))
        ),
        format!("{head}.{middle}."),
        format!("{head}.{wider}.{signature}"),
        // a swapped key id: the other server's key, our id
        format!("{head}.{}.{}", foreign_parts[1], foreign_parts[2]),
        format!("{}.{middle}.{signature}", foreign_parts[0]),
        foreign.clone(),
        format!("{jwk}.{middle}.{signature}"),
        format!(
            "{}.{middle}.{signature}",
            part(&json!({"alg": "ES256", "typ": "JWT", "kid": kid}))
        ),
        format!(
            "{}.{middle}.{signature}",
            part(&json!({"alg": "ES256", "typ": "at+jwt", "kid": ["a"]}))
        ),
        hmac(&keys["keys"][0].to_string()),
        hmac(keys["keys"][0]["x"].as_str().expect("text")),
        format!("{token}."),
        format!("{token}=="),
        token.to_lowercase(),
        format!(
            "{}.{}.{}",
            "x".repeat(20_000),
            "y".repeat(20_000),
            "z".repeat(20_000)
        ),
    ] {
        assert!(!is_active(&server, &forged).await, "{forged}");
        assert_eq!(
            server.verify(json!({"credential": forged})).await["code"],
            "not_found"
        );
        assert_eq!(revoke(&server, &forged).await, StatusCode::OK);
    }
    assert!(
        is_active(&server, token).await,
        "revoking a forged one revoked nothing"
    );
}

async fn an_expired_token_stays_expired(db: TestDatabase) {
    let server = Server::start(db).await;
    let body = server.code_flow("read").await;
    let token = text(&body, "access_token");
    server.clock.step_seconds(899);
    assert!(is_active(&server, token).await);
    // with no write in between: it is remembered, and ends by itself
    server.clock.step_seconds(1);
    assert!(!is_active(&server, token).await);
    assert_eq!(
        server.verify(json!({"credential": token})).await["code"],
        "expired"
    );
    assert_eq!(
        server
            .get("/v1/whoami")
            .bearer_auth(token)
            .send()
            .await
            .expect("an answer")
            .status(),
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(revoke(&server, token).await, StatusCode::OK);
}

async fn a_key_with_one_character_changed_is_unknown(db: TestDatabase) {
    let server = Server::start(db).await;
    let key = &server.secrets.sandbox_key;
    for index in 0..key.len() {
        let mut changed = key.clone();
        changed.replace_range(
            index..=index,
            if &key[index..=index] == "x" { "y" } else { "x" },
        );
        assert_eq!(
            server.verify(json!({"credential": changed})).await["code"],
            "not_found",
            "{index}"
        );
    }
    assert_eq!(
        server.verify(json!({"credential": key})).await["code"],
        "valid"
    );
}

async fn monstrous_parameters_are_refused(db: TestDatabase) {
    let server = Server::start(db).await;
    let monster = "x".repeat(100 * 1024);
    let form = |name: &str| format!("{name}={monster}&grant_type=client_credentials");
    for name in ["client_id", "client_secret", "scope", "code", "token"] {
        for path in ["/oauth2/token", "/oauth2/revoke"] {
            let request = server
                .post(path)
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(form(name));
            assert_oauth_error(
                &send(request).await,
                StatusCode::BAD_REQUEST,
                "invalid_request",
            );
        }
        let request = server
            .as_resource_server("/oauth2/introspect")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form(name));
        assert_oauth_error(
            &send(request).await,
            StatusCode::BAD_REQUEST,
            "invalid_request",
        );
    }
    // within the limit of a body, and still no client's, code or scope
    let (large, half) = ("x".repeat(60 * 1024), "x".repeat(30 * 1024));
    let by_post = [
        ("grant_type", "client_credentials"),
        ("client_id", half.as_str()),
        ("client_secret", &half),
    ];
    assert_oauth_error(
        &send(server.post("/oauth2/token").form(&by_post)).await,
        StatusCode::UNAUTHORIZED,
        "invalid_client",
    );
    assert_invalid_grant(&server.token(&redemption(&large)).await);
    let scope = [
        ("grant_type", "client_credentials"),
        ("scope", large.as_str()),
    ];
    assert_oauth_error(
        &server.token(&scope).await,
        StatusCode::BAD_REQUEST,
        "invalid_scope",
    );
    // in a URL
    let response = server
        .get(&format!("{}&x={monster}", server.authorize_path("read")))
        .send()
        .await;
    assert!(
        response.is_err() || response.is_ok_and(|response| response.status().is_client_error())
    );
    let many = "a=&".repeat(20_000);
    let request = server
        .as_application("/oauth2/token")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(many);
    assert_oauth_error(
        &send(request).await,
        StatusCode::BAD_REQUEST,
        "invalid_request",
    );
    assert_eq!(
        server
            .token(&[("grant_type", "client_credentials")])
            .await
            .0,
        StatusCode::OK
    );
}

/// Writes to the server's socket and reads what comes, until it closes or nothing comes for a while.
async fn raw(server: &Server, request: &[u8]) -> String {
    let address = server.base.strip_prefix("http://").expect("http");
    let mut stream = tokio::net::TcpStream::connect(address)
        .await
        .expect("it listens");
    // the server may close before everything is written
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(
        std::time::Duration::from_secs(1),
        stream.read_to_end(&mut answer),
    )
    .await;
    String::from_utf8_lossy(&answer).into_owned()
}

fn assert_refused_or_closed(answer: &str) {
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
        "{}",
        &answer[..answer.len().min(300)]
    );
}

async fn a_megabyte_of_headers_ends_one_connection_only(db: TestDatabase) {
    let server = Server::start(db).await;
    let host = server.base.strip_prefix("http://").expect("http");
    let megabyte = "x".repeat(1024 * 1024);
    for request in [
        format!("POST /oauth2/token HTTP/1.1\r\nHost: {host}\r\nX-Large: {megabyte}\r\n\r\n"),
        format!("GET /oauth2/authorize?state={megabyte} HTTP/1.1\r\nHost: {host}\r\n\r\n"),
        format!(
            "GET / HTTP/1.1\r\nHost: {host}\r\n{}\r\n",
            "X-Many: 1\r\n".repeat(100_000)
        ),
        format!(
            "POST /oauth2/introspect HTTP/1.1\r\nHost: {host}\r\nAuthorization: Basic {megabyte}\r\n\r\n"
        ),
        format!("GET / HTTP/1.1\r\nHost: {host}\r\nCookie: countersign_session={megabyte}\r\n\r\n"),
    ] {
        assert_refused_or_closed(&raw(&server, request.as_bytes()).await);
        assert_eq!(
            server
                .token(&[("grant_type", "client_credentials")])
                .await
                .0,
            StatusCode::OK
        );
    }
}

async fn a_request_that_is_not_http_ends_one_connection_only(db: TestDatabase) {
    let server = Server::start(db).await;
    let host = server.base.strip_prefix("http://").expect("http");
    for request in [
        b"\0\0\0\0\r\n\r\n".to_vec(),
        b"GET / HTTP/9.9\r\n\r\n".to_vec(),
        format!("POST /oauth2/token HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").into_bytes(),
        format!("POST /oauth2/token HTTP/1.1\r\nHost: {host}\r\nContent-Length: -1\r\n\r\n").into_bytes(),
        format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\nHost: evil.example\r\n\r\n").into_bytes(),
        format!("GET /login HTTP/1.1\r\nHost: {host}\r\nHost: evil.example\r\nConnection: close\r\n\r\n").into_bytes(),
        b"GET /login HTTP/1.1\r\nConnection: close\r\n\r\n".to_vec(),
    ] {
        let answer = raw(&server, &request).await;
        // a probe answers whatever the Host
        assert!(request.starts_with(b"GET /healthz") || answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    assert_eq!(
        server
            .token(&[("grant_type", "client_credentials")])
            .await
            .0,
        StatusCode::OK
    );
}

async fn a_lying_content_length_hangs_nobody(db: TestDatabase) {
    let server = Server::start(db).await;
    let host = server.base.strip_prefix("http://").expect("http");
    let head = format!(
        "POST /oauth2/token HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    );
    for length in [
        "Content-Length: 1000",
        "Content-Length: 99999999999",
        "Content-Length: 18446744073709551616",
        "Transfer-Encoding: chunked",
    ] {
        // it waits for the rest, or refuses; others are served in the meantime
        let (answer, other) = tokio::join!(
            raw_owned(&server, format!("{head}{length}\r\n\r\ngrant_type=")),
            server.token(&[("grant_type", "client_credentials")])
        );
        assert_refused_or_closed(&answer);
        assert_eq!(other.0, StatusCode::OK);
    }
}

async fn raw_owned(server: &Server, request: String) -> String {
    raw(server, request.as_bytes()).await
}

async fn another_method_is_answered_405_with_allow(db: TestDatabase) {
    // RFC 9110 §15.5.6
    let server = Server::start(db).await;
    let client = reqwest::Client::new();
    for (path, allow) in [
        ("/oauth2/token", "POST"),
        ("/oauth2/revoke", "POST"),
        ("/oauth2/introspect", "POST"),
        ("/oauth2/authorize", "GET, POST"),
        ("/.well-known/jwks.json", "GET"),
        ("/.well-known/oauth-authorization-server", "GET"),
    ] {
        for method in [
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PUT,
            Method::DELETE,
            Method::PATCH,
            Method::TRACE,
        ] {
            let allowed = allow.contains(method.as_str())
                || (method == Method::HEAD && allow.contains("GET"));
            if allowed {
                continue;
            }
            let response = client
                .request(method.clone(), server.url(path))
                .send()
                .await
                .expect("an answer");
            assert_eq!(
                response.status(),
                StatusCode::METHOD_NOT_ALLOWED,
                "{method} {path}"
            );
            assert!(
                response.headers()[ALLOW]
                    .to_str()
                    .expect("text")
                    .contains(allow),
                "{method} {path}"
            );
        }
    }
    let head = client
        .head(server.url("/.well-known/jwks.json"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(
        (head.status(), head.text().await.expect("text").len()),
        (StatusCode::OK, 0)
    );
}

async fn an_unknown_host_is_misdirected(db: TestDatabase) {
    // RFC 9110 §15.5.20
    let server = Server::start(db).await;
    let port = server.base.rsplit(':').next().expect("a port").to_owned();
    for host in [
        "evil.example",
        "127.0.0.1",
        &format!("evil.example:{port}"),
        &format!("127.0.0.1.evil.example:{port}"),
        &format!("localhost:{port}"),
    ] {
        for path in [
            "/oauth2/authorize",
            "/login",
            "/.well-known/oauth-authorization-server",
        ] {
            let response = server
                .get(path)
                .header(HOST, host)
                .send()
                .await
                .expect("an answer");
            assert_eq!(
                response.status(),
                StatusCode::MISDIRECTED_REQUEST,
                "{host} {path}"
            );
        }
        let form = [("grant_type", "client_credentials")];
        let response = server
            .as_application("/oauth2/token")
            .header(HOST, host)
            .form(&form)
            .send()
            .await
            .expect("an answer");
        assert_eq!(response.status(), StatusCode::MISDIRECTED_REQUEST, "{host}");
    }
}
