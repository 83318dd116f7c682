//! Scripts in browsers (9700-12, MCP-5): which endpoints they reach, and that the others stay closed.

use std::collections::BTreeSet;

use actix_web::http::Method;
use countersign::server::routes::table;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{RequestBuilder, Response, StatusCode};

use crate::databases::{TestDatabase, both_databases};
use crate::server::Server;

both_databases!(
    a_browser_may_ask_first,
    every_answer_of_a_shared_endpoint_can_be_read,
    no_other_path_answers_a_script,
    a_revocation_has_no_content,
);

const TOKEN: &str = "/oauth2/token";

/// From a page of somebody else.
async fn ask(request: RequestBuilder) -> Response {
    request
        .header("Origin", "https://inspector.example")
        .send()
        .await
        .expect("an answer")
}

fn shared() -> BTreeSet<&'static str> {
    table()
        .iter()
        .filter(|route| route.any_origin)
        .map(|route| route.path)
        .collect()
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers
        .get(name)
        .map_or("", |value| value.to_str().expect("text"))
}

#[track_caller]
fn assert_shared(response: &Response, case: &str) {
    let headers = response.headers();
    assert_eq!(
        text(headers, "access-control-allow-origin"),
        "*",
        "{case}: {}",
        response.status()
    );
    assert_eq!(
        headers
            .get_all("access-control-allow-origin")
            .iter()
            .count(),
        1,
        "{case}"
    );
    assert!(
        text(headers, "access-control-expose-headers").contains("www-authenticate, retry-after"),
        "{case}"
    );
    assert!(
        headers.get("access-control-allow-credentials").is_none(),
        "{case}"
    );
}

#[test]
fn only_what_needs_no_cookie_is_shared() {
    // 9700-12: neither the authorization endpoint nor introspection, nor a page, nor the vendor's API
    for path in shared() {
        let fits = ["/oauth2/", "/.well-known/"]
            .iter()
            .any(|start| path.starts_with(start));
        assert!(
            fits && !path.contains("authorize") && !path.contains("introspect"),
            "{path}"
        );
    }
    for path in [
        "/oauth2/token",
        "/oauth2/access_token",
        "/oauth2/revoke",
        "/.well-known/jwks.json",
        "/.well-known/oauth-authorization-server",
    ] {
        assert!(shared().contains(path), "{path}");
    }
    for route in table() {
        assert_eq!(
            route.any_origin,
            shared().contains(route.path),
            "{} {}: a path is shared for all its methods",
            route.method,
            route.path
        );
    }
}

async fn a_browser_may_ask_first(db: TestDatabase) {
    let server = Server::start(db).await;
    for path in shared() {
        let path = path.replace(['{', '}'], "");
        let request = server
            .browser()
            .client
            .request(reqwest::Method::OPTIONS, server.url(&path));
        let request = request.header("Access-Control-Request-Method", "POST");
        let response = ask(request.header(
            "Access-Control-Request-Headers",
            "authorization,content-type,mcp-protocol-version",
        ))
        .await;
        assert_eq!(response.status(), StatusCode::NO_CONTENT, "{path}");
        assert_shared(&response, &path);
        let headers = response.headers();
        for name in ["authorization", "content-type", "mcp-protocol-version"] {
            assert!(
                text(headers, "access-control-allow-headers")
                    .split(", ")
                    .any(|own| own == name),
                "{path}: {name}"
            );
        }
        assert!(
            text(headers, "access-control-max-age")
                .parse::<u32>()
                .is_ok_and(|seconds| seconds > 0),
            "{path}"
        );
        let methods: BTreeSet<&str> = text(headers, "access-control-allow-methods")
            .split(", ")
            .collect();
        let own = table()
            .into_iter()
            .filter(|route| route.path.replace(['{', '}'], "") == path);
        let own: Vec<Method> = own.map(|route| route.method).collect();
        assert_eq!(methods, own.iter().map(Method::as_str).collect(), "{path}");
    }
}

async fn every_answer_of_a_shared_endpoint_can_be_read(db: TestDatabase) {
    let server = Server::start_with(db, |config| config.limits.client_failures.quota = 1).await;
    let own = [("grant_type", "client_credentials")];
    let mut seen = BTreeSet::new();
    let mut see = |response: Response, case: &str| {
        assert_shared(&response, case);
        seen.insert(response.status().as_u16());
    };
    see(
        ask(server.as_application(TOKEN).form(&own)).await,
        "a token",
    );
    see(ask(server.as_application(TOKEN)).await, "no form");
    see(
        ask(server
            .as_application(TOKEN)
            .form(&[("x", "y".repeat(100_000))]))
        .await,
        "a long form",
    );
    see(
        ask(server
            .as_application(&format!("{TOKEN}?client_id=x"))
            .form(&own))
        .await,
        "in the URL",
    );
    see(ask(server.get(TOKEN)).await, "another method");
    for _ in 0..2 {
        see(
            ask(server
                .post(TOKEN)
                .basic_auth(server.planted.application, Some("wrong"))
                .form(&own))
            .await,
            "a wrong secret",
        );
    }
    for path in [
        "/.well-known/jwks.json",
        "/.well-known/oauth-authorization-server",
    ] {
        see(ask(server.get(path)).await, path);
        see(ask(server.post(path)).await, path);
        see(
            ask(server.browser().client.head(server.url(path))).await,
            path,
        );
    }
    server
        .database
        .execute("ALTER TABLE applications RENAME TO gone");
    let unknown = countersign::types::id::ApplicationId::generate(server.clock.now());
    see(
        ask(server.post(TOKEN).basic_auth(unknown, Some("x")).form(&own)).await,
        "no database",
    );
    assert_eq!(seen, BTreeSet::from([200, 400, 401, 405, 429, 503]));
}

async fn no_other_path_answers_a_script(db: TestDatabase) {
    // 9700-12
    let server = Server::start(db).await;
    let closed: BTreeSet<&str> = table()
        .iter()
        .map(|route| route.path)
        .filter(|path| !shared().contains(path))
        .collect();
    assert!(
        closed.contains("/oauth2/authorize")
            && closed.contains("/oauth2/introspect")
            && closed.contains("/v1/verify")
    );
    for path in closed.into_iter().chain(["/nothing", "/oauth2/nothing"]) {
        let path = path.replace(['{', '}'], "");
        let client = server.browser().client;
        for method in [
            reqwest::Method::OPTIONS,
            reqwest::Method::GET,
            reqwest::Method::POST,
        ] {
            let request = client
                .request(method.clone(), server.url(&path))
                .header("Access-Control-Request-Method", "POST");
            let response = ask(request).await;
            let told: Vec<_> = response
                .headers()
                .keys()
                .filter(|name| name.as_str().starts_with("access-control"))
                .collect();
            assert!(told.is_empty(), "{method} {path}: {told:?}");
            assert!(
                method != reqwest::Method::OPTIONS || !response.status().is_success(),
                "{path}"
            );
        }
    }
}

async fn a_revocation_has_no_content(db: TestDatabase) {
    // RFC 7009 §2.2: JSON parsers of clients choke on another type
    let server = Server::start(db).await;
    let response = ask(server
        .as_application("/oauth2/revoke")
        .form(&[("token", "unknown")]))
    .await;
    assert_eq!(
        (response.status(), response.headers().get(CONTENT_TYPE)),
        (StatusCode::OK, None)
    );
    assert_shared(&response, "revoked");
    assert!(response.bytes().await.expect("a body").is_empty());
    let refused = ask(server.post("/oauth2/revoke").form(&[("token", "unknown")])).await;
    assert_eq!(
        (refused.status(), text(refused.headers(), "content-type")),
        (StatusCode::UNAUTHORIZED, "application/json")
    );
    assert_shared(&refused, "refused");
}
