//! `GET /v1/whoami`: the holder of a key or token asks what it is (field notes, rows 32-34, 61, 91).

use countersign::types::state::{OrganizationState, ProductionAccess};
use reqwest::header::{AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use crate::databases::{TestDatabase, both_databases};
use crate::server::{NOON, Server, json};
use crate::tenants::{Key, admin, key, own_token};

both_databases!(
    both_schemes_in_any_case_for_keys_and_tokens,
    the_answer_says_everything_but_the_secret,
    a_credential_in_the_url_is_refused,
    two_credentials_are_refused,
    a_401_names_both_schemes,
    keys_are_sent_by_the_configured_scheme_or_as_bearer,
    unknown_mistyped_and_revoked_read_the_same,
    an_expired_credential_is_named,
    what_cannot_be_used_now_is_named,
    it_has_a_limit_of_its_own,
    unknown_credentials_are_limited_by_address,
);

fn ask(server: &Server, authorization: &str) -> RequestBuilder {
    server
        .get("/v1/whoami")
        .header(AUTHORIZATION, authorization)
}

async fn answer(request: RequestBuilder) -> Response {
    request.send().await.expect("an answer")
}

async fn both_schemes_in_any_case_for_keys_and_tokens(db: TestDatabase) {
    // rows 32, 33
    let server = Server::start(db).await;
    let token = own_token(&server).await;
    for credential in [
        &server.secrets.sandbox_key,
        &server.secrets.production_key,
        &token,
    ] {
        for scheme in [
            "Bearer", "bearer", "BEARER", "API-Key", "api-key", "Api-KEY",
        ] {
            assert_eq!(
                answer(ask(&server, &format!("{scheme} {credential}")))
                    .await
                    .status(),
                StatusCode::OK,
                "{scheme}"
            );
        }
    }
}

async fn the_answer_says_everything_but_the_secret(db: TestDatabase) {
    // row 91
    let server = Server::start(db).await;
    let key = &server.secrets.production_key;
    let response = answer(ask(&server, &format!("API-Key {key}"))).await;
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(response.headers()["x-ratelimit-remaining"], "59");
    let (_, mut body) = json(response).await;
    assert!(!body.to_string().contains(&key[key.len() - 38..]));
    assert!(
        body["credential"]["id"]
            .take()
            .as_str()
            .is_some_and(|id| id.starts_with("key_"))
    );
    let catalogue = &server.app.settings.catalogue;
    let expected = json!({
        "credential": {
            "kind": "api_key", "id": null, "name": "Quickstart (Production)", "created_at": NOON.rfc3339(), "expires_at": null, "client_id": null,
            "scope": null,
        },
        "environment": "production", "organization": server.planted.organization, "workspaces": [server.planted.workspace],
        "actor": {"id": admin(&server).await, "kind": "person", "name": "Ada Admin"},
        "permissions": catalogue.names(catalogue.all() & !catalogue.management() & !catalogue.organization()),
    });
    assert_eq!(body, expected);
    let (_, body) = json(
        answer(ask(
            &server,
            &format!("Bearer {}", own_token(&server).await),
        ))
        .await,
    )
    .await;
    assert_eq!(
        (
            &body["credential"]["client_id"],
            &body["credential"]["scope"]
        ),
        (&json!(server.planted.application), &json!("read"))
    );
    assert_eq!(body["environment"], "sandbox");
}

async fn a_credential_in_the_url_is_refused(db: TestDatabase) {
    // 9700-47
    // row 34, RFC 9700 §4.3.2
    let server = Server::start(db).await;
    let key = &server.secrets.sandbox_key;
    for query in [
        "access_token",
        "api_key",
        "apikey",
        "api-key",
        "token",
        "key",
    ] {
        for path in [
            format!("/v1/whoami?{query}={key}"),
            format!("/v1/whoami?x=1&{query}={key}&y=%ff"),
        ] {
            for request in [server.get(&path), server.get(&path).bearer_auth(key)] {
                let (status, body) = json(answer(request).await).await;
                assert_eq!(
                    (status, &body["code"]),
                    (StatusCode::BAD_REQUEST, &json!("credential_in_url")),
                    "{path}"
                );
                assert!(!body.to_string().contains(key.as_str()));
            }
        }
    }
    // a harmless query is nobody's business
    assert_eq!(
        answer(server.get("/v1/whoami?verbose=1").bearer_auth(key))
            .await
            .status(),
        StatusCode::OK
    );
}

async fn two_credentials_are_refused(db: TestDatabase) {
    let server = Server::start(db).await;
    let key = &server.secrets.sandbox_key;
    for request in [
        ask(&server, &format!("Bearer {key}")).header(AUTHORIZATION, format!("API-Key {key}")),
        ask(&server, &format!("Bearer {key}")).header(AUTHORIZATION, format!("Bearer {key}")),
        ask(&server, &format!("Bearer {key}, API-Key {key}")),
        ask(&server, &format!("Bearer {key} {key}")),
        ask(&server, &format!("Bearer {key}")).basic_auth("x", Some("y")),
        ask(&server, "Bearer"),
        ask(&server, "Bearer "),
        ask(&server, "API-Key"),
    ] {
        let (status, body) = json(answer(request).await).await;
        assert_eq!(
            (status, &body["code"]),
            (StatusCode::BAD_REQUEST, &json!("invalid_request"))
        );
    }
}

async fn a_401_names_both_schemes(db: TestDatabase) {
    // RFC 9110 §11.6.1, RFC 6750 §3
    let server = Server::start(db).await;
    let basic = server.get("/v1/whoami").basic_auth(
        server.planted.resource_server,
        Some(&server.secrets.resource_server_secret),
    );
    let cases = [
        (
            server.get("/v1/whoami"),
            "Bearer realm=\"countersign\"",
            "credential_required",
        ),
        (basic, "Bearer realm=\"countersign\"", "credential_required"),
        (
            ask(&server, "Digest x"),
            "Bearer realm=\"countersign\"",
            "credential_required",
        ),
        (
            ask(&server, "Bearer x"),
            "Bearer realm=\"countersign\", error=\"invalid_token\"",
            "invalid_credential",
        ),
    ];
    for (request, bearer, code) in cases {
        let response = answer(request).await;
        let challenges: Vec<_> = response
            .headers()
            .get_all(WWW_AUTHENTICATE)
            .iter()
            .cloned()
            .collect();
        assert_eq!(challenges, [bearer, "API-Key realm=\"countersign\""]);
        let (status, body) = json(response).await;
        assert_eq!(
            (status, &body["code"]),
            (StatusCode::UNAUTHORIZED, &json!(code))
        );
    }
}

async fn keys_are_sent_by_the_configured_scheme_or_as_bearer(db: TestDatabase) {
    // rows 32, 33: the guides have two, and a vendor may have a third
    let server =
        Server::start_with(db, |config| config.keys.header_scheme = "Token".to_owned()).await;
    let key = &server.secrets.sandbox_key;
    for (scheme, status) in [
        ("Token", 200),
        ("token", 200),
        ("Bearer", 200),
        ("API-Key", 401),
    ] {
        let response = answer(ask(&server, &format!("{scheme} {key}"))).await;
        assert_eq!(response.status(), status, "{scheme}");
        if status == 401 {
            let challenges: Vec<_> = response
                .headers()
                .get_all(WWW_AUTHENTICATE)
                .iter()
                .cloned()
                .collect();
            assert_eq!(
                challenges,
                [
                    "Bearer realm=\"countersign\"",
                    "Token realm=\"countersign\""
                ]
            );
        }
    }
}

async fn unknown_mistyped_and_revoked_read_the_same(db: TestDatabase) {
    let server = Server::start(db).await;
    let owner = admin(&server).await;
    let made = key(&server, Key::of(&server, owner)).await;
    assert_eq!(
        answer(ask(&server, &format!("Bearer {}", made.secret)))
            .await
            .status(),
        StatusCode::OK
    );
    let organization = server.planted.organization;
    server
        .write(move |tx| Ok(tx.revoke_api_key(organization, made.id, owner)?))
        .await;
    let unknown = countersign::crypto::format::mint_key("cs", "sandbox")
        .1
        .expose()
        .to_owned();
    let mut answers: Vec<Value> = Vec::new();
    for credential in [
        made.secret.as_str(),
        &unknown,
        &made.secret[1..],
        "x",
        "eyJh.e30.x",
    ] {
        let (status, mut body) =
            json(answer(ask(&server, &format!("Bearer {credential}"))).await).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        body["request_id"].take();
        answers.push(body);
    }
    assert!(
        answers.iter().all(|answer| *answer == answers[0]),
        "{answers:?}"
    );
}

async fn an_expired_credential_is_named(db: TestDatabase) {
    // row 61
    let server = Server::start(db).await;
    let expires_at = Some(NOON.plus_seconds(3600));
    let secret = key(
        &server,
        Key {
            expires_at,
            ..Key::of(&server, admin(&server).await)
        },
    )
    .await
    .secret;
    let token = own_token(&server).await;
    server.clock.step_seconds(3600);
    for credential in [secret, token] {
        let response = answer(ask(&server, &format!("API-Key {credential}"))).await;
        assert!(response.headers().contains_key(WWW_AUTHENTICATE));
        let (status, body) = json(response).await;
        assert_eq!(
            (status, &body["code"]),
            (StatusCode::UNAUTHORIZED, &json!("credential_expired"))
        );
    }
}

async fn what_cannot_be_used_now_is_named(db: TestDatabase) {
    let server = Server::start(db).await;
    let organization = server.planted.organization;
    let code = async |credential: &str| {
        let (status, body) =
            json(answer(ask(&server, &format!("Bearer {credential}"))).await).await;
        (status, body["code"].clone())
    };
    server
        .write(move |tx| {
            Ok(tx.change_production_access(
                organization,
                ProductionAccess::Approved,
                ProductionAccess::Withdrawn,
            )?)
        })
        .await;
    assert_eq!(
        code(&server.secrets.production_key).await,
        (StatusCode::FORBIDDEN, json!("plan_required"))
    );
    assert_eq!(code(&server.secrets.sandbox_key).await.0, StatusCode::OK);
    server
        .write(move |tx| {
            Ok(tx.change_organization_state(
                organization,
                OrganizationState::Active,
                OrganizationState::Suspended,
            )?)
        })
        .await;
    assert_eq!(
        code(&server.secrets.sandbox_key).await,
        (StatusCode::FORBIDDEN, json!("suspended"))
    );
}

async fn it_has_a_limit_of_its_own(db: TestDatabase) {
    let server = Server::start(db).await;
    let owner = admin(&server).await;
    let second = key(&server, Key::of(&server, owner)).await.secret;
    let bearer = format!("Bearer {}", server.secrets.sandbox_key);
    for left in (0..60).rev() {
        let response = answer(ask(&server, &bearer)).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(
            response.headers()["x-ratelimit-remaining"],
            left.to_string()
        );
    }
    let response = answer(ask(&server, &bearer)).await;
    assert_eq!(
        (response.status(), &response.headers()[RETRY_AFTER]),
        (
            StatusCode::TOO_MANY_REQUESTS,
            &"60".parse().expect("a value")
        )
    );
    let (_, body) = json(response).await;
    assert_eq!(
        (&body["code"], &body["violated_policies"]),
        (&json!("rate_limited"), &json!(["whoami"]))
    );
    // neither another key's, nor that of verify
    assert_eq!(
        answer(ask(&server, &format!("Bearer {second}")))
            .await
            .status(),
        StatusCode::OK
    );
    assert_eq!(
        server
            .verify(json!({"credential": server.secrets.sandbox_key}))
            .await["limits"][0]["remaining"],
        9
    );
    server.clock.step_seconds(60);
    assert_eq!(answer(ask(&server, &bearer)).await.status(), StatusCode::OK);
}

async fn unknown_credentials_are_limited_by_address(db: TestDatabase) {
    let rate = countersign::config::Rate {
        quota: 3,
        window_seconds: 60,
    };
    let change = move |config: &mut countersign::config::Config| {
        config.limits.unknown_credentials = rate;
        config.server.trusted_proxies = vec!["127.0.0.0/8".parse().expect("a network")];
    };
    let server = Server::start_with(db, change).await;
    let from = |address: &str, credential: &str| {
        ask(&server, &format!("Bearer {credential}")).header("X-Forwarded-For", address)
    };
    let fresh = || {
        countersign::crypto::format::mint_key("cs", "sandbox")
            .1
            .expose()
            .to_owned()
    };
    for _ in 0..3 {
        assert_eq!(
            answer(from("192.0.2.7", &fresh())).await.status(),
            StatusCode::UNAUTHORIZED
        );
    }
    let response = answer(from("192.0.2.7", &fresh())).await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(response.headers().contains_key(RETRY_AFTER));
    assert_eq!(
        answer(from("192.0.2.8", &fresh())).await.status(),
        StatusCode::UNAUTHORIZED
    );
    // one customer's IPv6 network is one address
    for host in 1..=3 {
        assert_eq!(
            answer(from(&format!("2001:db8::{host}"), &fresh()))
                .await
                .status(),
            StatusCode::UNAUTHORIZED
        );
    }
    assert_eq!(
        answer(from("2001:db8::ffff", &fresh())).await.status(),
        StatusCode::TOO_MANY_REQUESTS
    );
    // a mistyped credential is no look-up, and a remembered one needs none
    assert_eq!(
        answer(from("192.0.2.7", "cs_sandbox_x")).await.status(),
        StatusCode::UNAUTHORIZED
    );
    server.clock.step_seconds(60);
    assert_eq!(
        answer(from("192.0.2.7", &fresh())).await.status(),
        StatusCode::UNAUTHORIZED
    );
}
