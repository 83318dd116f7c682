//! The refresh token grant (RFC 6749 §6), rotating (RFC 9700 §4.14.2).

use reqwest::StatusCode;

use super::{
    assert_invalid_grant, assert_oauth_error, code_of, is_active, redemption, refresh, register, register_public, text, token_as, token_as_public,
};
use crate::databases::{TestDatabase, both_databases};
use crate::server::Server;

both_databases!(
    each_refresh_rotates,
    a_public_client_refreshes_without_a_secret,
    a_confidential_client_must_authenticate,
    a_replay_kills_the_family,
    a_narrower_scope_narrows_the_access_token_only,
    a_wider_scope_is_refused_and_burns_nothing,
    another_clients_refresh_token_is_refused_and_not_burnt,
    an_unused_refresh_token_expires,
    a_family_ends_however_often_it_refreshes,
    a_missing_or_unknown_refresh_token_is_refused,
);

const DAY: i64 = 24 * 60 * 60;

async fn each_refresh_rotates(db: TestDatabase) {
    // 9700-32
    let server = Server::start(db).await;
    let first = server.code_flow("read write").await;
    let (status, second) = refresh(&server, text(&first, "refresh_token")).await;
    assert_eq!((status, &second["scope"], &second["expires_in"]), (StatusCode::OK, &"read write".into(), &900.into()));
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    assert_ne!(first["access_token"], second["access_token"]);
    assert_eq!(refresh(&server, text(&second, "refresh_token")).await.0, StatusCode::OK);
    // what was issued before lives until its own end
    assert!(is_active(&server, text(&first, "access_token")).await);
}

async fn a_public_client_refreshes_without_a_secret(db: TestDatabase) {
    let server = Server::start(db).await;
    let client = register_public(&server).await;
    let tokens = token_as_public(&server, &client, &redemption(&code_of(&server, &client, "read").await)).await.1;
    let form = [("grant_type", "refresh_token"), ("refresh_token", text(&tokens, "refresh_token"))];
    let (status, refreshed) = token_as_public(&server, &client, &form).await;
    assert_eq!((status, refreshed["refresh_token"] != tokens["refresh_token"]), (StatusCode::OK, true), "{refreshed}");
}

async fn a_confidential_client_must_authenticate(db: TestDatabase) {
    // 9700-39
    let server = Server::start(db).await;
    let tokens = server.code_flow("read").await;
    let refresh_token = text(&tokens, "refresh_token");
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token), ("client_id", server.planted.application.as_str())];
    assert_oauth_error(&super::send(server.post("/oauth2/token").form(&form)).await, StatusCode::UNAUTHORIZED, "invalid_client");
    assert_eq!(refresh(&server, refresh_token).await.0, StatusCode::OK);
}

async fn a_replay_kills_the_family(db: TestDatabase) {
    // RFC 9700 §4.14.2, 9700-35
    let server = Server::start(db).await;
    let bystander = server.code_flow("read").await;
    let first = server.code_flow("read").await;
    let second = refresh(&server, text(&first, "refresh_token")).await.1;
    let third = refresh(&server, text(&second, "refresh_token")).await.1;
    assert_invalid_grant(&refresh(&server, text(&first, "refresh_token")).await);
    for tokens in [&first, &second, &third] {
        assert!(!is_active(&server, text(tokens, "access_token")).await);
        assert_invalid_grant(&refresh(&server, text(tokens, "refresh_token")).await);
    }
    // another family of the same person and application is not concerned
    assert!(is_active(&server, text(&bystander, "access_token")).await);
    assert_eq!(refresh(&server, text(&bystander, "refresh_token")).await.0, StatusCode::OK);
}

async fn a_narrower_scope_narrows_the_access_token_only(db: TestDatabase) {
    // 9700-33
    let server = Server::start(db).await;
    let first = server.code_flow("read write").await;
    let narrow = [("grant_type", "refresh_token"), ("refresh_token", text(&first, "refresh_token")), ("scope", "read")];
    let (status, second) = server.token(&narrow).await;
    assert_eq!((status, &second["scope"]), (StatusCode::OK, &"read".into()));
    assert_eq!(server.introspect(text(&second, "access_token")).await["scope"], "read");
    // absent, empty and blank are all "not asked" (RFC 6749 §3.1)
    let mut last = second;
    for scope in [None, Some(""), Some("  ")] {
        let mut form = vec![("grant_type", "refresh_token"), ("refresh_token", text(&last, "refresh_token"))];
        form.extend(scope.map(|scope| ("scope", scope)));
        let (status, next) = server.token(&form).await;
        assert_eq!((status, &next["scope"]), (StatusCode::OK, &"read write".into()), "{scope:?}");
        last = next;
    }
}

async fn a_wider_scope_is_refused_and_burns_nothing(db: TestDatabase) {
    // RFC 6749 §6, 9700-33
    let server = Server::start(db).await;
    let tokens = server.code_flow("read").await;
    let refresh_token = text(&tokens, "refresh_token");
    for scope in ["read write", "write", "unknown", "re\"ad", "read\u{e4}"] {
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token), ("scope", scope)];
        assert_oauth_error(&server.token(&form).await, StatusCode::BAD_REQUEST, "invalid_scope");
    }
    assert_eq!(refresh(&server, refresh_token).await.0, StatusCode::OK);
}

async fn another_clients_refresh_token_is_refused_and_not_burnt(db: TestDatabase) {
    // 9700-39
    let server = Server::start(db).await;
    let (other, public) = (register(&server, |_| {}).await, register_public(&server).await);
    let first = server.code_flow("read").await;
    let form = [("grant_type", "refresh_token"), ("refresh_token", text(&first, "refresh_token"))];
    assert_invalid_grant(&token_as(&server, &other, &form).await);
    assert_invalid_grant(&token_as_public(&server, &public, &form).await);
    let (status, second) = refresh(&server, text(&first, "refresh_token")).await;
    assert_eq!(status, StatusCode::OK, "{second}");
    // nor can another client end the family by a used one
    assert_invalid_grant(&token_as(&server, &other, &form).await);
    assert!(is_active(&server, text(&second, "access_token")).await);
}

async fn an_unused_refresh_token_expires(db: TestDatabase) {
    // 9700-38
    let server = Server::start(db).await;
    let (used, unused) = (server.code_flow("read").await, server.code_flow("read").await);
    server.clock.step_seconds(30 * DAY - 1);
    let (status, used) = refresh(&server, text(&used, "refresh_token")).await;
    assert_eq!(status, StatusCode::OK);
    server.clock.step_seconds(1);
    assert_invalid_grant(&refresh(&server, text(&unused, "refresh_token")).await);
    assert_eq!(refresh(&server, text(&used, "refresh_token")).await.0, StatusCode::OK);
}

async fn a_family_ends_however_often_it_refreshes(db: TestDatabase) {
    // 9700-38
    let server = Server::start(db).await;
    let mut tokens = server.code_flow("read").await;
    for _ in 0..12 {
        server.clock.step_seconds(29 * DAY);
        let (status, next) = refresh(&server, text(&tokens, "refresh_token")).await;
        assert_eq!(status, StatusCode::OK, "{next}");
        tokens = next;
    }
    // 348 days are gone; the last day's refresh still works, and what it gives ends with the authorization
    server.clock.step_seconds(17 * DAY - 60);
    let (status, last) = refresh(&server, text(&tokens, "refresh_token")).await;
    assert_eq!(status, StatusCode::OK, "{last}");
    server.clock.step_seconds(60);
    assert_invalid_grant(&refresh(&server, text(&last, "refresh_token")).await);
    assert!(!is_active(&server, text(&last, "access_token")).await);
}

async fn a_missing_or_unknown_refresh_token_is_refused(db: TestDatabase) {
    let server = Server::start(db).await;
    assert_oauth_error(&server.token(&[("grant_type", "refresh_token")]).await, StatusCode::BAD_REQUEST, "invalid_request");
    let tokens = server.code_flow("read").await;
    let changed = format!("{}x", text(&tokens, "refresh_token"));
    for unknown in ["x", "cs_rt_", changed.as_str(), text(&tokens, "access_token")] {
        assert_invalid_grant(&refresh(&server, unknown).await);
    }
}
