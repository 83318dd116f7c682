//! `POST /oauth2/token` (RFC 6749 §3.2): what every grant shares — the request's form, who asks, and how it answers.

use std::net::Ipv4Addr;

use countersign::types::state::ClientType;
use reqwest::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::Value;

use super::{
    assert_invalid_grant, assert_oauth_error, authorize_with, delete_application, redemption,
    register, register_public, send, token_as_public,
};
use crate::databases::{TestDatabase, both_databases};
use crate::server::{Server, json, parameter};

both_databases!(
    each_way_of_client_authentication_works,
    another_name_of_the_endpoint_works,
    an_alias_is_the_endpoint_by_another_path,
    no_answer_is_stored,
    two_client_authentications_are_refused,
    a_header_and_a_body_that_disagree_are_refused,
    an_unknown_client_and_a_wrong_secret_read_the_same,
    no_client_authentication_is_invalid_client,
    a_public_client_has_no_secret_and_a_confidential_one_needs_it,
    a_malformed_authorization_header_is_refused,
    guesses_are_throttled_where_they_come_from,
    only_a_form_in_the_body_is_read,
    a_body_that_is_not_text_is_refused,
    a_body_over_the_limit_is_refused,
    a_parameter_that_stands_twice_is_refused,
    a_missing_or_unsupported_grant_type_is_named,
    a_deleted_application_is_no_client,
);

const OWN: (&str, &str) = ("grant_type", "client_credentials");

async fn each_way_of_client_authentication_works(db: TestDatabase) {
    let server = Server::start(db).await;
    let (id, secret) = (
        server.planted.application,
        server.secrets.client_secret.as_str(),
    );
    assert_eq!(server.token(&[OWN]).await.0, StatusCode::OK);
    let (status, body) = send(server.post("/oauth2/token").form(&[
        OWN,
        ("client_id", id.as_str()),
        ("client_secret", secret),
    ]))
    .await;
    assert_eq!(
        (status, &body["token_type"], &body["expires_in"]),
        (StatusCode::OK, &"Bearer".into(), &900.into())
    );
    // the id may stand in both places when it is the same, and an empty parameter counts as absent (RFC 6749 §3.2)
    assert_eq!(
        server
            .token(&[OWN, ("client_id", id.as_str()), ("client_secret", "")])
            .await
            .0,
        StatusCode::OK
    );
    // RFC 6749 §2.3.1: form-encoded
    let encoded: String = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
    assert_eq!(
        send(
            server
                .post("/oauth2/token")
                .basic_auth(id, Some(encoded))
                .form(&[OWN])
        )
        .await
        .0,
        StatusCode::OK
    );
    // `none`
    let public = register_public(&server).await;
    let browser = server.signed_in_browser().await;
    let code = parameter(
        &browser
            .allow(&authorize_with(public.id.as_str(), &[]))
            .await,
        "code",
    )
    .expect("a code");
    assert_eq!(
        token_as_public(&server, &public, &redemption(&code))
            .await
            .0,
        StatusCode::OK
    );
}

async fn another_name_of_the_endpoint_works(db: TestDatabase) {
    let server = Server::start(db).await;
    assert_eq!(
        send(server.as_application("/oauth2/access_token").form(&[OWN]))
            .await
            .0,
        StatusCode::OK
    );
}

async fn an_alias_is_the_endpoint_by_another_path(db: TestDatabase) {
    let server = Server::start_with(db, |config| {
        config.server.aliases = vec![
            "/oauth/token=/oauth2/token"
                .to_owned()
                .try_into()
                .expect("an alias"),
        ]
    })
    .await;
    for path in ["/oauth/token", "/oauth2/token"] {
        assert_eq!(
            send(server.as_application(path).form(&[OWN])).await.0,
            StatusCode::OK,
            "{path}"
        );
        let other = server.get(path).send().await.expect("an answer");
        assert_eq!(
            (other.status(), &other.headers()["allow"]),
            (
                StatusCode::METHOD_NOT_ALLOWED,
                &"POST, OPTIONS".parse().expect("a value")
            )
        );
    }
}

async fn no_answer_is_stored(db: TestDatabase) {
    // RFC 6749 §5.1, 9700-23
    let server = Server::start(db).await;
    for request in [
        server.as_application("/oauth2/token").form(&[OWN]),
        server
            .as_application("/oauth2/token")
            .form(&[("grant_type", "x")]),
        server
            .post("/oauth2/token")
            .basic_auth("x", Some("y"))
            .form(&[OWN]),
        server
            .as_application("/oauth2/revoke")
            .form(&[("token", "x")]),
        server
            .as_resource_server("/oauth2/introspect")
            .form(&[("token", "x")]),
        server.post("/oauth2/introspect").form(&[("token", "x")]),
    ] {
        let response = request.send().await.expect("an answer");
        assert_eq!(
            response.headers()[CACHE_CONTROL],
            "no-store",
            "{}",
            response.status()
        );
    }
}

async fn two_client_authentications_are_refused(db: TestDatabase) {
    // RFC 6749 §2.3, 9700-24
    let server = Server::start(db).await;
    let (id, secret) = (
        server.planted.application,
        server.secrets.client_secret.as_str(),
    );
    for form in [
        vec![OWN, ("client_secret", secret)],
        vec![OWN, ("client_id", id.as_str()), ("client_secret", secret)],
    ] {
        assert_oauth_error(
            &server.token(&form).await,
            StatusCode::BAD_REQUEST,
            "invalid_request",
        );
    }
    let twice = server
        .as_application("/oauth2/token")
        .basic_auth(id, Some(secret))
        .form(&[OWN]);
    assert_oauth_error(
        &send(twice).await,
        StatusCode::BAD_REQUEST,
        "invalid_request",
    );
}

async fn a_header_and_a_body_that_disagree_are_refused(db: TestDatabase) {
    // 9700-24
    let server = Server::start(db).await;
    let other = register_public(&server).await;
    assert_oauth_error(
        &server.token(&[OWN, ("client_id", other.id.as_str())]).await,
        StatusCode::BAD_REQUEST,
        "invalid_request",
    );
}

async fn an_unknown_client_and_a_wrong_secret_read_the_same(db: TestDatabase) {
    // RFC 6749 §5.2, 9700-25, 9700-26
    let server = Server::start(db).await;
    let (id, secret) = (
        server.planted.application,
        server.secrets.client_secret.as_str(),
    );
    let unknown = id.as_str().replace(&id.as_str()[20..], "000000");
    let mut mistyped = secret.to_owned();
    mistyped.replace_range(10..11, if &secret[10..11] == "x" { "y" } else { "x" });
    let public = register_public(&server).await;
    let mut answers = Vec::new();
    for (id, secret) in [
        (id.as_str(), mistyped.as_str()),
        (id.as_str(), ""),
        (unknown.as_str(), secret),
        ("crm", secret),
        ("", secret),
        (public.id.as_str(), secret),
        (
            server.planted.resource_server.as_str(),
            server.secrets.resource_server_secret.as_str(),
        ),
    ] {
        let response = server
            .post("/oauth2/token")
            .basic_auth(id, Some(secret))
            .form(&[OWN])
            .send()
            .await
            .expect("an answer");
        let challenge = response.headers()[WWW_AUTHENTICATE]
            .to_str()
            .expect("text")
            .to_owned();
        assert!(challenge.starts_with("Basic realm=\"countersign\", charset=\"UTF-8\", error=\"invalid_client\", error_description=\"The client "));
        answers.push(json(response).await);
        if !id.is_empty() {
            answers.push(
                send(server.post("/oauth2/token").form(&[
                    OWN,
                    ("client_id", id),
                    ("client_secret", secret),
                ]))
                .await,
            );
        }
    }
    assert_oauth_error(&answers[0], StatusCode::UNAUTHORIZED, "invalid_client");
    for answer in &answers {
        assert_eq!(answer, &answers[0]);
    }
}

async fn no_client_authentication_is_invalid_client(db: TestDatabase) {
    let server = Server::start(db).await;
    assert_oauth_error(
        &send(server.post("/oauth2/token").form(&[OWN])).await,
        StatusCode::UNAUTHORIZED,
        "invalid_client",
    );
}

async fn a_public_client_has_no_secret_and_a_confidential_one_needs_it(db: TestDatabase) {
    let server = Server::start(db).await;
    let public = register_public(&server).await;
    let with_secret = [
        OWN,
        ("client_id", public.id.as_str()),
        ("client_secret", public.secret.as_str()),
    ];
    assert_oauth_error(
        &send(server.post("/oauth2/token").form(&with_secret)).await,
        StatusCode::UNAUTHORIZED,
        "invalid_client",
    );
    let confidential = server
        .post("/oauth2/token")
        .form(&[OWN, ("client_id", server.planted.application.as_str())]);
    assert_oauth_error(
        &send(confidential).await,
        StatusCode::UNAUTHORIZED,
        "invalid_client",
    );
    // RFC 6749 §2.3.1: an empty secret is none; it gets a public client as far as its own grant, which has no tokens for it
    let basic = |id: &str| {
        server
            .post("/oauth2/token")
            .basic_auth(id, Some(""))
            .form(&[("grant_type", "refresh_token"), ("refresh_token", "x")])
    };
    assert_oauth_error(
        &send(basic(public.id.as_str())).await,
        StatusCode::BAD_REQUEST,
        "invalid_grant",
    );
    assert_oauth_error(
        &send(basic(server.planted.application.as_str())).await,
        StatusCode::UNAUTHORIZED,
        "invalid_client",
    );
}

async fn a_malformed_authorization_header_is_refused(db: TestDatabase) {
    let server = Server::start(db).await;
    for value in [
        "Basic !",
        "Basic eA==",
        "Basic /w==",
        "Basic OiU=",
        "Basic",
        "Bearer x",
        "Digest x",
    ] {
        let (status, body) = send(
            server
                .post("/oauth2/token")
                .header(AUTHORIZATION, value)
                .form(&[OWN]),
        )
        .await;
        assert!(
            matches!(status, StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED),
            "{value}: {status} {body}"
        );
        assert!(
            body["error"] == "invalid_client" || body["error"] == "invalid_request",
            "{value}: {body}"
        );
    }
}

async fn guesses_are_throttled_where_they_come_from(db: TestDatabase) {
    // RFC 6749 §2.3.1, 9700-26: per client and network, so that nobody can lock the client's own servers out
    let server = Server::start_with(db, |config| {
        config.server.trusted_proxies = vec![(Ipv4Addr::LOCALHOST, 32)]
            .into_iter()
            .map(|(ip, bits)| format!("{ip}/{bits}").parse().expect("a network"))
            .collect();
    })
    .await;
    let (id, secret) = (
        server.planted.application,
        server.secrets.client_secret.as_str(),
    );
    let other = register(&server, |_| {}).await;
    let from = |address: &str, id: &str, secret: &str| -> RequestBuilder {
        server
            .post("/oauth2/token")
            .header("X-Forwarded-For", address)
            .basic_auth(id, Some(secret))
            .form(&[OWN])
    };
    let attempt = async |address: &str, id: &str, secret: &str| -> Response {
        from(address, id, secret).send().await.expect("an answer")
    };
    for _ in 0..30 {
        assert_eq!(
            attempt("192.0.2.1", id.as_str(), "guess").await.status(),
            StatusCode::UNAUTHORIZED
        );
    }
    // over the limit a guess is told to wait; the right one of a sister at the same address is let in
    for guess in ["guess", "another guess"] {
        let response = attempt("192.0.2.1", id.as_str(), guess).await;
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        let seconds: i64 = response.headers()[RETRY_AFTER]
            .to_str()
            .expect("text")
            .parse()
            .expect("seconds");
        assert!((1..=60).contains(&seconds));
        let body: Value = response.json().await.expect("JSON");
        assert_eq!(body["error"], "temporarily_unavailable");
    }
    for address in ["192.0.2.1", "192.0.2.77"] {
        assert_eq!(
            attempt(address, id.as_str(), secret).await.status(),
            StatusCode::OK
        );
    }
    assert_eq!(
        attempt("192.0.2.1", other.id.as_str(), &other.secret)
            .await
            .status(),
        StatusCode::OK
    );
    // and it passes
    server.clock.step_seconds(60);
    assert_eq!(
        attempt("192.0.2.1", id.as_str(), secret).await.status(),
        StatusCode::OK
    );
}

async fn only_a_form_in_the_body_is_read(db: TestDatabase) {
    // RFC 6749 §3.2, 9700-23
    let server = Server::start(db).await;
    let body = "grant_type=client_credentials";
    for content_type in [
        "application/json",
        "text/plain",
        "multipart/form-data",
        "application/x-www-form-urlencoded-not",
        "",
    ] {
        let request = server
            .as_application("/oauth2/token")
            .header(CONTENT_TYPE, content_type)
            .body(body);
        assert_oauth_error(
            &send(request).await,
            StatusCode::BAD_REQUEST,
            "invalid_request",
        );
    }
    assert_oauth_error(
        &send(server.as_application("/oauth2/token").body(body)).await,
        StatusCode::BAD_REQUEST,
        "invalid_request",
    );
    let with_charset = server
        .as_application("/oauth2/token")
        .header(
            CONTENT_TYPE,
            "Application/X-WWW-Form-Urlencoded; charset=UTF-8",
        )
        .body(body);
    assert_eq!(send(with_charset).await.0, StatusCode::OK);
    let in_url = format!(
        "client_id={}&client_secret={}&grant_type=client_credentials",
        server.planted.application, server.secrets.client_secret
    );
    let request = server
        .post(&format!("/oauth2/token?{in_url}"))
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    assert_oauth_error(
        &send(request).await,
        StatusCode::BAD_REQUEST,
        "invalid_request",
    );
    let request = server
        .as_application("/oauth2/token?grant_type=client_credentials")
        .form(&[OWN]);
    assert_oauth_error(
        &send(request).await,
        StatusCode::BAD_REQUEST,
        "invalid_request",
    );
}

async fn a_body_that_is_not_text_is_refused(db: TestDatabase) {
    let server = Server::start(db).await;
    for body in [
        &b"grant_type=client_credentials&x=\xff"[..],
        b"grant_type=client_credentials%00",
        b"grant_type=client_credentials&scope=%c3%28",
        b"\0",
    ] {
        let request = server
            .as_application("/oauth2/token")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body.to_vec());
        assert_oauth_error(
            &send(request).await,
            StatusCode::BAD_REQUEST,
            "invalid_request",
        );
    }
}

async fn a_body_over_the_limit_is_refused(db: TestDatabase) {
    let server = Server::start(db).await;
    let filled =
        |bytes: usize| format!("grant_type=client_credentials&x={}", "x".repeat(bytes - 32));
    let sized = |bytes| {
        server
            .as_application("/oauth2/token")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(filled(bytes))
    };
    assert_eq!(send(sized(64 * 1024)).await.0, StatusCode::OK);
    for bytes in [64 * 1024 + 1, 100 * 1024] {
        assert_oauth_error(
            &send(sized(bytes)).await,
            StatusCode::BAD_REQUEST,
            "invalid_request",
        );
    }
}

async fn a_parameter_that_stands_twice_is_refused(db: TestDatabase) {
    // RFC 6749 §3.2, 9700-11
    let server = Server::start(db).await;
    let names = [
        "grant_type",
        "code",
        "redirect_uri",
        "client_id",
        "code_verifier",
        "refresh_token",
        "scope",
        "client_secret",
    ];
    for name in names {
        let answer = server
            .token(&[
                OWN,
                (name, "client_credentials"),
                (name, "client_credentials"),
            ])
            .await;
        assert_oauth_error(&answer, StatusCode::BAD_REQUEST, "invalid_request");
    }
    assert_eq!(
        server.token(&[OWN, ("nonce", "1"), ("nonce", "2")]).await.0,
        StatusCode::OK
    );
}

async fn a_missing_or_unsupported_grant_type_is_named(db: TestDatabase) {
    // RFC 6749 §5.2, 9700-30
    let server = Server::start(db).await;
    assert_oauth_error(
        &server.token(&[("scope", "read")]).await,
        StatusCode::BAD_REQUEST,
        "invalid_request",
    );
    for grant_type in [
        "password",
        "implicit",
        "Client_Credentials",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "x\u{e4}",
    ] {
        let form = [
            ("grant_type", grant_type),
            ("username", "admin@acme.example"),
            ("password", server.secrets.password.as_str()),
        ];
        assert_oauth_error(
            &server.token(&form).await,
            StatusCode::BAD_REQUEST,
            "unsupported_grant_type",
        );
    }
}

async fn a_deleted_application_is_no_client(db: TestDatabase) {
    // MCP-19: the one answer from which clients recover
    let server = Server::start(db).await;
    for client_type in [ClientType::Confidential, ClientType::Public] {
        let client = register(&server, |new| new.client_type = client_type).await;
        let request = || match client_type {
            ClientType::Confidential => server
                .post("/oauth2/token")
                .basic_auth(client.id, Some(&client.secret))
                .form(&redemption("x")),
            ClientType::Public => {
                let form = [
                    redemption("x").as_slice(),
                    &[("client_id", client.id.as_str())],
                ]
                .concat();
                server.post("/oauth2/token").form(&form)
            }
        };
        assert_invalid_grant(&send(request()).await);
        delete_application(&server, client.id).await;
        assert_oauth_error(
            &send(request()).await,
            StatusCode::UNAUTHORIZED,
            "invalid_client",
        );
    }
}
