//! `POST /oauth2/revoke` (RFC 7009).

use countersign::types::state::AccessTokenFormat;
use reqwest::StatusCode;
use serde_json::json;

use super::{
    assert_invalid_grant, assert_oauth_error, code_of, is_active, redemption, refresh, register,
    register_public, revoke, send, text, token_as, token_as_public,
};
use crate::databases::{TestDatabase, both_databases};
use crate::server::Server;

both_databases!(
    an_access_token_ends_and_its_refresh_token_lives,
    a_refresh_token_takes_its_access_tokens_along,
    an_opaque_token_ends,
    an_own_token_ends_and_the_next_one_works,
    a_wrong_hint_still_finds_the_token,
    an_unknown_token_is_a_success,
    another_clients_token_stays,
    revoking_twice_is_a_success,
    a_public_client_revokes_its_own,
    who_does_not_authenticate_revokes_nothing,
    a_request_without_a_token_is_refused,
    a_used_refresh_token_takes_the_family_along,
    a_client_that_tidies_up_its_old_refresh_token_stays_connected,
);

async fn an_access_token_ends_and_its_refresh_token_lives(db: TestDatabase) {
    let server = Server::start(db).await;
    let tokens = server.code_flow("read").await;
    let token = text(&tokens, "access_token");
    assert!(is_active(&server, token).await);
    assert_eq!(revoke(&server, token).await, StatusCode::OK);
    // the first request after the answer is refused, at every door
    assert!(!is_active(&server, token).await);
    assert_eq!(
        server.verify(json!({"credential": token})).await["code"],
        "not_found"
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
    assert_eq!(
        refresh(&server, text(&tokens, "refresh_token")).await.0,
        StatusCode::OK
    );
}

async fn a_refresh_token_takes_its_access_tokens_along(db: TestDatabase) {
    // RFC 7009 §2.1, 9700-42
    let server = Server::start(db).await;
    let (first, other) = (
        server.code_flow("read").await,
        server.code_flow("read").await,
    );
    let second = refresh(&server, text(&first, "refresh_token")).await.1;
    assert!(is_active(&server, text(&second, "access_token")).await);
    assert_eq!(
        revoke(&server, text(&second, "refresh_token")).await,
        StatusCode::OK
    );
    for tokens in [&first, &second] {
        assert!(!is_active(&server, text(tokens, "access_token")).await);
    }
    assert_invalid_grant(&refresh(&server, text(&second, "refresh_token")).await);
    assert!(is_active(&server, text(&other, "access_token")).await);
}

async fn an_opaque_token_ends(db: TestDatabase) {
    let server = Server::start(db).await;
    let client = register(&server, |new| {
        new.access_token_format = AccessTokenFormat::Opaque
    })
    .await;
    let tokens = token_as(
        &server,
        &client,
        &redemption(&code_of(&server, &client, "read").await),
    )
    .await
    .1;
    let token = text(&tokens, "access_token");
    assert!(is_active(&server, token).await);
    let request = server
        .post("/oauth2/revoke")
        .basic_auth(client.id, Some(&client.secret))
        .form(&[("token", token)]);
    assert_eq!(send(request).await.0, StatusCode::OK);
    assert!(!is_active(&server, token).await);
}

async fn an_own_token_ends_and_the_next_one_works(db: TestDatabase) {
    let server = Server::start(db).await;
    let own = async || {
        text(
            &server
                .token(&[("grant_type", "client_credentials")])
                .await
                .1,
            "access_token",
        )
        .to_owned()
    };
    let (token, other) = (own().await, own().await);
    assert_eq!(revoke(&server, &token).await, StatusCode::OK);
    assert!(!is_active(&server, &token).await);
    assert!(is_active(&server, &other).await && is_active(&server, &own().await).await);
}

async fn a_wrong_hint_still_finds_the_token(db: TestDatabase) {
    // RFC 7009 §2.1, 9700-42
    let server = Server::start(db).await;
    for (token, hint) in [
        ("access_token", "refresh_token"),
        ("refresh_token", "access_token"),
        ("access_token", "nonsense"),
        ("refresh_token", ""),
    ] {
        let tokens = server.code_flow("read").await;
        let request = server
            .as_application("/oauth2/revoke")
            .form(&[("token", text(&tokens, token)), ("token_type_hint", hint)]);
        assert_eq!(send(request).await.0, StatusCode::OK);
        assert!(
            !is_active(&server, text(&tokens, "access_token")).await,
            "{token} as {hint}"
        );
    }
}

async fn an_unknown_token_is_a_success(db: TestDatabase) {
    // RFC 7009 §2.2, 9700-42
    let server = Server::start(db).await;
    let long = "x".repeat(60_000);
    for token in [
        "x",
        "a.b.c",
        "cs_rt_x",
        server.secrets.sandbox_key.as_str(),
        long.as_str(),
    ] {
        assert_eq!(revoke(&server, token).await, StatusCode::OK);
    }
    // a key is no token: it lives
    assert_eq!(
        server
            .verify(json!({"credential": server.secrets.sandbox_key}))
            .await["code"],
        "valid"
    );
}

async fn another_clients_token_stays(db: TestDatabase) {
    // RFC 7009 §2.1, 9700-42
    let server = Server::start(db).await;
    let other = register(&server, |new| {
        new.access_token_format = AccessTokenFormat::Opaque
    })
    .await;
    let tokens = token_as(
        &server,
        &other,
        &redemption(&code_of(&server, &other, "read").await),
    )
    .await
    .1;
    for kind in ["access_token", "refresh_token"] {
        assert_eq!(revoke(&server, text(&tokens, kind)).await, StatusCode::OK);
        assert!(is_active(&server, text(&tokens, "access_token")).await);
    }
    let tokens = server.code_flow("read").await;
    for kind in ["access_token", "refresh_token"] {
        let request = server
            .post("/oauth2/revoke")
            .basic_auth(other.id, Some(&other.secret))
            .form(&[("token", text(&tokens, kind))]);
        assert_eq!(send(request).await.0, StatusCode::OK);
    }
    assert!(is_active(&server, text(&tokens, "access_token")).await);
    assert_eq!(
        refresh(&server, text(&tokens, "refresh_token")).await.0,
        StatusCode::OK
    );
}

async fn revoking_twice_is_a_success(db: TestDatabase) {
    let server = Server::start(db).await;
    let tokens = server.code_flow("read").await;
    for token in [
        "access_token",
        "access_token",
        "refresh_token",
        "refresh_token",
        "access_token",
    ] {
        assert_eq!(revoke(&server, text(&tokens, token)).await, StatusCode::OK);
    }
}

async fn a_public_client_revokes_its_own(db: TestDatabase) {
    let server = Server::start(db).await;
    let client = register_public(&server).await;
    let tokens = token_as_public(
        &server,
        &client,
        &redemption(&code_of(&server, &client, "read").await),
    )
    .await
    .1;
    let form = [
        ("token", text(&tokens, "refresh_token")),
        ("client_id", client.id.as_str()),
    ];
    assert_eq!(
        send(server.post("/oauth2/revoke").form(&form)).await.0,
        StatusCode::OK
    );
    assert!(!is_active(&server, text(&tokens, "access_token")).await);
}

async fn who_does_not_authenticate_revokes_nothing(db: TestDatabase) {
    let server = Server::start(db).await;
    let tokens = server.code_flow("read").await;
    let token = ("token", text(&tokens, "access_token"));
    for request in [
        server.post("/oauth2/revoke").form(&[token]),
        server
            .post("/oauth2/revoke")
            .form(&[token, ("client_id", server.planted.application.as_str())]),
        server
            .post("/oauth2/revoke")
            .basic_auth(server.planted.application, Some("guess"))
            .form(&[token]),
        server.as_resource_server("/oauth2/revoke").form(&[token]),
    ] {
        assert_oauth_error(
            &send(request).await,
            StatusCode::UNAUTHORIZED,
            "invalid_client",
        );
    }
    assert!(is_active(&server, token.1).await);
}

async fn a_request_without_a_token_is_refused(db: TestDatabase) {
    let server = Server::start(db).await;
    let tokens = server.code_flow("read").await;
    let token = text(&tokens, "access_token");
    for request in [
        server
            .as_application("/oauth2/revoke")
            .form(&[("token_type_hint", "access_token")]),
        server
            .as_application("/oauth2/revoke")
            .form(&[("token", "")]),
        server
            .as_application("/oauth2/revoke")
            .form(&[("token", token), ("token", token)]),
        server
            .as_application(&format!("/oauth2/revoke?token={token}"))
            .form(&[("token", token)]),
        server
            .as_application("/oauth2/revoke")
            .json(&json!({"token": token})),
    ] {
        assert_oauth_error(
            &send(request).await,
            StatusCode::BAD_REQUEST,
            "invalid_request",
        );
    }
    assert!(is_active(&server, token).await);
}

async fn a_used_refresh_token_takes_the_family_along(db: TestDatabase) {
    // a client that crashed behind a refresh holds the old one only
    let server = Server::start(db).await;
    let first = server.code_flow("read").await;
    let second = refresh(&server, text(&first, "refresh_token")).await.1;
    assert_eq!(
        revoke(&server, text(&first, "refresh_token")).await,
        StatusCode::OK
    );
    assert!(!is_active(&server, text(&second, "access_token")).await);
}

async fn a_client_that_tidies_up_its_old_refresh_token_stays_connected(db: TestDatabase) {
    // RFC 7009 §2.2: whoever has shown the successor holds it, and what they revoke is invalid already
    let server = Server::start(db).await;
    let first = server.code_flow("read").await;
    let second = refresh(&server, text(&first, "refresh_token")).await.1;
    assert!(is_active(&server, text(&second, "access_token")).await);
    let third = refresh(&server, text(&second, "refresh_token")).await.1;
    for _ in 0..2 {
        server.clock.step_seconds(400);
        let old = text(&first, "refresh_token");
        assert_eq!(revoke(&server, old).await, StatusCode::OK);
        assert!(is_active(&server, text(&third, "access_token")).await);
    }
    // the twin of one that was seen, too
    let own = server.code_flow("read").await;
    let twin = refresh(&server, text(&own, "refresh_token")).await.1;
    let live = refresh(&server, text(&own, "refresh_token")).await.1;
    assert!(is_active(&server, text(&live, "access_token")).await);
    let twin = text(&twin, "refresh_token");
    assert_eq!(revoke(&server, twin).await, StatusCode::OK);
    assert!(is_active(&server, text(&live, "access_token")).await);
    // and a twin of one that nobody has seen ends the connection
    let own = server.code_flow("read").await;
    let twin = refresh(&server, text(&own, "refresh_token")).await.1;
    let live = refresh(&server, text(&own, "refresh_token")).await.1;
    let twin = text(&twin, "refresh_token");
    assert_eq!(revoke(&server, twin).await, StatusCode::OK);
    assert_invalid_grant(&refresh(&server, text(&live, "refresh_token")).await);
}
