//! What runs at the same time: a code is redeemed once, a family never forks, nothing outlives a revoke.

use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::Value;

use super::{assert_invalid_grant, code_of, is_active, redemption, refresh, register, revoke, send, text, token_as, token_as_public};
use crate::databases::{TestDatabase, both_databases};
use crate::server::Server;

use countersign::types::state::{AccessTokenFormat, ClientType};

both_databases!(
    of_fifty_redemptions_of_one_code_one_succeeds,
    of_fifty_refreshes_with_one_token_at_most_one_succeeds,
    nothing_outlives_a_revoke_that_races_a_refresh,
    fifty_revocations_of_one_token_all_succeed,
    guessed_verifiers_at_once_still_kill_the_code,
);

/// The statuses, sorted; each is one of `allowed`.
fn successes(answers: &[(StatusCode, Value)]) -> Vec<&Value> {
    for (status, body) in answers {
        assert!(*status == StatusCode::OK || body["error"] == "invalid_grant", "{status} {body}");
    }
    answers.iter().filter(|(status, _)| *status == StatusCode::OK).map(|(_, body)| body).collect()
}

async fn of_fifty_redemptions_of_one_code_one_succeeds(db: TestDatabase) {
    // RFC 6749 §4.1.2, 9700-19
    let server = Server::start_with(db, |config| (config.server.workers, config.database.connections) = (2, 8)).await;
    let code = server.code("read").await;
    let answers = join_all((0..50).map(|_| server.redeem(&code))).await;
    let successes = successes(&answers);
    assert_eq!(successes.len(), 1);
    // the others were replays: what the one got has ended
    assert!(!is_active(&server, text(successes[0], "access_token")).await);
    assert_invalid_grant(&refresh(&server, text(successes[0], "refresh_token")).await);
}

async fn of_fifty_refreshes_with_one_token_at_most_one_succeeds(db: TestDatabase) {
    // 9700-34
    let server = Server::start_with(db, |config| (config.server.workers, config.database.connections) = (2, 8)).await;
    let opaque = register(&server, |new| (new.access_token_format, new.client_type) = (AccessTokenFormat::Opaque, ClientType::Public)).await;
    for public in [false, true] {
        let first = if public {
            token_as_public(&server, &opaque, &redemption(&code_of(&server, &opaque, "read").await)).await.1
        } else {
            server.code_flow("read").await
        };
        let form = [("grant_type", "refresh_token"), ("refresh_token", text(&first, "refresh_token"))];
        let answers = match public {
            true => join_all((0..50).map(|_| token_as_public(&server, &opaque, &form))).await,
            false => join_all((0..50).map(|_| server.token(&form))).await,
        };
        let successes = successes(&answers);
        assert!(successes.len() <= 1);
        // the tree never forks: there is no live successor, or one
        for tokens in successes {
            assert!(!is_active(&server, text(tokens, "access_token")).await);
        }
        assert!(!is_active(&server, text(&first, "access_token")).await);
    }
}

async fn nothing_outlives_a_revoke_that_races_a_refresh(db: TestDatabase) {
    // 9700-37
    let server = Server::start_with(db, |config| (config.server.workers, config.database.connections) = (2, 8)).await;
    let opaque = register(&server, |new| new.access_token_format = AccessTokenFormat::Opaque).await;
    let browser = server.signed_in_browser().await;
    for round in 0..40 {
        let path = super::authorize_with(if round % 2 == 0 { opaque.id } else { server.planted.application }.as_str(), &[]);
        let code = crate::server::parameter(&browser.allow(&path).await, "code").expect("a code");
        let (id, secret) = if round % 2 == 0 { (opaque.id, &opaque.secret) } else { (server.planted.application, &server.secrets.client_secret) };
        let ask = async |form: &[(&str, &str)]| send(server.post("/oauth2/token").basic_auth(id, Some(secret)).form(form)).await;
        let first = ask(&redemption(&code)).await.1;
        let refresh_token = text(&first, "refresh_token");
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
        let revoking = async || {
            if round % 4 < 2 {
                tokio::task::yield_now().await;
            }
            send(server.post("/oauth2/revoke").basic_auth(id, Some(secret)).form(&[("token", refresh_token)])).await.0
        };
        let ((status, second), revoked) = tokio::join!(ask(&form), revoking());
        assert_eq!(revoked, StatusCode::OK);
        assert!(status == StatusCode::OK || second["error"] == "invalid_grant", "{status} {second}");
        assert!(!is_active(&server, text(&first, "access_token")).await);
        if status == StatusCode::OK {
            assert!(!is_active(&server, text(&second, "access_token")).await, "round {round}");
            assert_invalid_grant(&ask(&[("grant_type", "refresh_token"), ("refresh_token", text(&second, "refresh_token"))]).await);
        }
    }
}

async fn fifty_revocations_of_one_token_all_succeed(db: TestDatabase) {
    // RFC 7009 §2.2
    let server = Server::start_with(db, |config| (config.server.workers, config.database.connections) = (2, 8)).await;
    for kind in ["access_token", "refresh_token"].repeat(5) {
        let tokens = server.code_flow("read").await;
        let statuses = join_all((0..50).map(|_| revoke(&server, text(&tokens, kind)))).await;
        assert_eq!(statuses, [StatusCode::OK; 50], "{kind}");
        assert!(!is_active(&server, text(&tokens, "access_token")).await);
    }
}

async fn guessed_verifiers_at_once_still_kill_the_code(db: TestDatabase) {
    // 9700-20
    let server = Server::start_with(db, |config| (config.server.workers, config.database.connections) = (2, 8)).await;
    let client = register(&server, |_| {}).await;
    let code = code_of(&server, &client, "read").await;
    let guess = "eBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let mut form = redemption(&code);
    form[3].1 = guess;
    // as many as can count at the same time
    for answer in join_all((0..3).map(|_| token_as(&server, &client, &form))).await {
        assert_invalid_grant(&answer);
    }
    assert_invalid_grant(&token_as(&server, &client, &redemption(&code)).await);
}
