//! What runs at the same time: a code is redeemed once, a family never forks, nothing outlives a revoke.
#![expect(clippy::panic, reason = "a test fails by it")]

use countersign::crypto::digest::Purpose;
use countersign::crypto::format::{TokenKind, mint_token};
use countersign::domain::clients::consents;
use countersign::domain::lifecycle::quickstart::ADMIN;
use countersign::store::Tx;
use countersign::store::authorizations::Authorization;
use countersign::store::consents::Consent;
use countersign::store::tokens::RefreshToken;
use countersign::types::id::{ApplicationId, AuthorizationId, ConsentId, RefreshTokenId};
use countersign::types::resource::Resources;
use countersign::types::state::{
    AccessTokenFormat, AuthorizationState, ClientType, ConsentState, GrantKind, ReachKind,
    RefreshTokenState, UserState,
};
use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::Value;

use super::{
    Registered, assert_invalid_grant, code_of, is_active, redemption, refresh, register, revoke,
    send, text, token_as, token_as_public, user,
};
use crate::databases::{TestDatabase, both_databases};
use crate::server::Server;

both_databases!(
    of_fifty_redemptions_of_one_code_one_succeeds,
    of_fifty_refreshes_with_one_token_one_successor_lives,
    nothing_outlives_a_revoke_that_races_a_refresh,
    refreshes_race_every_end,
    fifty_revocations_of_one_token_all_succeed,
    guessed_verifiers_at_once_still_kill_the_code,
);

/// The statuses, sorted; each is one of `allowed`.
fn successes(answers: &[(StatusCode, Value)]) -> Vec<&Value> {
    for (status, body) in answers {
        assert!(
            *status == StatusCode::OK || body["error"] == "invalid_grant",
            "{status} {body}"
        );
    }
    answers
        .iter()
        .filter(|(status, _)| *status == StatusCode::OK)
        .map(|(_, body)| body)
        .collect()
}

async fn of_fifty_redemptions_of_one_code_one_succeeds(db: TestDatabase) {
    // RFC 6749 §4.1.2, 9700-19
    let server = Server::start_with(db, |config| {
        (config.server.workers, config.database.connections) = (2, 8)
    })
    .await;
    let code = server.code("read").await;
    let answers = join_all((0..50).map(|_| server.redeem(&code))).await;
    let successes = successes(&answers);
    assert_eq!(successes.len(), 1);
    // the others were replays: what the one got has ended
    assert!(!is_active(&server, text(successes[0], "access_token")).await);
    assert_invalid_grant(&refresh(&server, text(successes[0], "refresh_token")).await);
}

async fn of_fifty_refreshes_with_one_token_one_successor_lives(db: TestDatabase) {
    // 9700-34: the tree never forks, and 9700-36: nobody is locked out by an answer that was lost
    let server = Server::start_with(db, |config| {
        (config.server.workers, config.database.connections) = (2, 8)
    })
    .await;
    let opaque = register(&server, |new| {
        (new.access_token_format, new.client_type) = (AccessTokenFormat::Opaque, ClientType::Public)
    })
    .await;
    for public in [false, true] {
        let first = if public {
            token_as_public(
                &server,
                &opaque,
                &redemption(&code_of(&server, &opaque, "read").await),
            )
            .await
            .1
        } else {
            server.code_flow("read").await
        };
        let ask = async |form: &[(&str, &str)]| {
            if public {
                token_as_public(&server, &opaque, form).await
            } else {
                server.token(form).await
            }
        };
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", text(&first, "refresh_token")),
        ];
        let answers = join_all((0..50).map(|_| ask(&form))).await;
        let successes = successes(&answers);
        assert_eq!(successes.len(), 50, "nobody has shown a successor yet");
        let id = authorization_of(&server, &first).await;
        let live = server
            .app
            .store
            .read(move |c| c.find_live_refresh_token(id))
            .await
            .expect("a read")
            .expect("a live one");
        assert_eq!(live.generation, 1);
        let mut active = Vec::new();
        for tokens in successes {
            if is_active(&server, text(tokens, "access_token")).await {
                active.push(tokens);
            }
        }
        let [winner] = active.as_slice() else {
            panic!("{} successors live", active.len())
        };
        // it has been seen: whoever comes with one of the others after the grace is a thief, or was robbed
        assert_eq!(
            ask(&[
                ("grant_type", "refresh_token"),
                ("refresh_token", text(winner, "refresh_token"))
            ])
            .await
            .0,
            StatusCode::OK
        );
        server.clock.step_seconds(600);
        assert_invalid_grant(&ask(&form).await);
        assert!(!is_active(&server, text(winner, "access_token")).await);
    }
}

async fn authorization_of(server: &Server, tokens: &Value) -> AuthorizationId {
    // by the database, so that nobody has seen the access token
    let digest = server
        .app
        .digester
        .candidates(Purpose::RefreshToken, text(tokens, "refresh_token"));
    let found = server
        .app
        .store
        .read(move |c| c.find_refresh_token_by_digest(&digest))
        .await
        .expect("a read");
    found.expect("a refresh token").authorization_id
}

async fn nothing_outlives_a_revoke_that_races_a_refresh(db: TestDatabase) {
    // 9700-37
    let server = Server::start_with(db, |config| {
        (config.server.workers, config.database.connections) = (2, 8)
    })
    .await;
    let opaque = register(&server, |new| {
        new.access_token_format = AccessTokenFormat::Opaque
    })
    .await;
    let browser = server.signed_in_browser().await;
    for round in 0..40 {
        let path = super::authorize_with(
            if round % 2 == 0 {
                opaque.id
            } else {
                server.planted.application
            }
            .as_str(),
            &[],
        );
        let code = crate::server::parameter(&browser.allow(&path).await, "code").expect("a code");
        let (id, secret) = if round % 2 == 0 {
            (opaque.id, &opaque.secret)
        } else {
            (server.planted.application, &server.secrets.client_secret)
        };
        let ask = async |form: &[(&str, &str)]| {
            send(
                server
                    .post("/oauth2/token")
                    .basic_auth(id, Some(secret))
                    .form(form),
            )
            .await
        };
        let first = ask(&redemption(&code)).await.1;
        let refresh_token = text(&first, "refresh_token");
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token),
        ];
        let revoking = async || {
            if round % 4 < 2 {
                tokio::task::yield_now().await;
            }
            send(
                server
                    .post("/oauth2/revoke")
                    .basic_auth(id, Some(secret))
                    .form(&[("token", refresh_token)]),
            )
            .await
            .0
        };
        let ((status, second), revoked) = tokio::join!(ask(&form), revoking());
        assert_eq!(revoked, StatusCode::OK);
        assert!(
            status == StatusCode::OK || second["error"] == "invalid_grant",
            "{status} {second}"
        );
        assert!(!is_active(&server, text(&first, "access_token")).await);
        if status == StatusCode::OK {
            assert!(
                !is_active(&server, text(&second, "access_token")).await,
                "round {round}"
            );
            assert_invalid_grant(
                &ask(&[
                    ("grant_type", "refresh_token"),
                    ("refresh_token", text(&second, "refresh_token")),
                ])
                .await,
            );
        }
    }
}

async fn fifty_revocations_of_one_token_all_succeed(db: TestDatabase) {
    // RFC 7009 §2.2
    let server = Server::start_with(db, |config| {
        (config.server.workers, config.database.connections) = (2, 8)
    })
    .await;
    for kind in ["access_token", "refresh_token"].repeat(5) {
        let tokens = server.code_flow("read").await;
        let statuses = join_all((0..50).map(|_| revoke(&server, text(&tokens, kind)))).await;
        assert_eq!(statuses, [StatusCode::OK; 50], "{kind}");
        assert!(!is_active(&server, text(&tokens, "access_token")).await);
    }
}

async fn guessed_verifiers_at_once_still_kill_the_code(db: TestDatabase) {
    // 9700-20
    let server = Server::start_with(db, |config| {
        (config.server.workers, config.database.connections) = (2, 8)
    })
    .await;
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

/// A family as a redeemed code leaves it, without the browser: its consent and its refresh token.
async fn plant_family(server: &Server, application: ApplicationId) -> (ConsentId, String) {
    let token = mint_token("cs", TokenKind::RefreshToken)
        .expose()
        .to_owned();
    let digest = server.app.digester.digest(Purpose::RefreshToken, &token);
    let (organization, workspace, now) = (
        server.planted.organization,
        server.planted.workspace,
        server.clock.now(),
    );
    let (id, end) = (ConsentId::generate(now), Some(now.plus_seconds(1_000_000)));
    let plant = move |tx: &mut Tx| {
        let user_id = user(tx, ADMIN)?;
        for live in tx.list_live_consents(user_id, application)? {
            tx.revoke_consent(live.id)?;
        }
        let consent = Consent {
            id,
            user_id,
            application_id: application,
            organization_id: organization,
            scopes: "read".parse().expect("scopes"),
            reach: ReachKind::Workspaces,
            state: ConsentState::Active,
            created_at: now,
            updated_at: now,
            revoked_at: None,
            application_name: "An application".to_owned(),
            named_at: countersign::types::time::Timestamp::from_millis(0),
        };
        tx.insert_consent(&consent, &[workspace])?;
        let authorization = Authorization {
            id: AuthorizationId::generate(now),
            kind: GrantKind::AuthorizationCode,
            application_id: application,
            organization_id: organization,
            user_id,
            environment: countersign::types::environment::Environment::Sandbox,
            scopes: consent.scopes,
            reach: ReachKind::Workspaces,
            state: AuthorizationState::Active,
            redirect_uri: None,
            code_challenge: None,
            code_digest: None,
            code_expires_at: None,
            wrong_verifiers: 0,
            created_at: now,
            expires_at: end,
            revoked_at: None,
            revoked_because: None,
            consent_id: Some(id),
            session_id: None,
            resources: Resources::default(),
            last_used_at: None,
            row_expires_at: end,
            marked_at: None,
        };
        tx.insert_authorization(&authorization, &[workspace])?;
        tx.insert_refresh_token(&RefreshToken {
            id: RefreshTokenId::generate(now),
            authorization_id: authorization.id,
            digest,
            state: RefreshTokenState::Active,
            created_at: now,
            expires_at: now.plus_seconds(1_000_000),
            consumed_at: None,
            generation: 0,
            access_token_id: None,
            access_token_expires_at: None,
            received_at: None,
        })?;
        Ok(())
    };
    server.write(plant).await;
    (id, token)
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Revoke,
    Consent,
    Application,
    User,
}

/// Ends it as the product does, and returns when the answer is there.
async fn end(
    server: &Server,
    client: &Registered,
    consent: ConsentId,
    refresh_token: &str,
    how: End,
) {
    let id = client.id;
    match how {
        End::Revoke => {
            let answer = send(
                server
                    .post("/oauth2/revoke")
                    .basic_auth(id, Some(&client.secret))
                    .form(&[("token", refresh_token)]),
            )
            .await;
            assert_eq!(answer.0, StatusCode::OK);
        }
        End::Consent => {
            server
                .write(move |tx| {
                    user(tx, ADMIN).and_then(|admin| consents::revoke(tx, admin, consent))
                })
                .await
        }
        End::Application => super::delete_application(server, id).await,
        End::User => set_state(server, UserState::Active, UserState::Suspended).await,
    }
}

async fn set_state(server: &Server, from: UserState, to: UserState) {
    server
        .write(move |tx| {
            user(tx, ADMIN).and_then(|admin| Ok(tx.change_user_state(admin, from, to)?))
        })
        .await;
}

async fn refreshes_race_every_end(db: TestDatabase) {
    // 9700-37, 9700-34: hundreds of rounds; after the end's answer nothing is live, whoever minted it, and nobody sees a 500
    let server = Server::start_with(db, |config| {
        (config.server.workers, config.database.connections) = (2, 8)
    })
    .await;
    let mut client = register(&server, |new| {
        new.access_token_format = AccessTokenFormat::Opaque
    })
    .await;
    let mut minted = 0;
    for round in 0..240 {
        let how = [End::Revoke, End::Consent, End::Application, End::User][round % 4];
        let (consent, token) = plant_family(&server, client.id).await;
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", token.as_str()),
        ];
        let ending = async {
            for _ in 0..(round / 4) % 6 {
                tokio::task::yield_now().await;
            }
            end(&server, &client, consent, &token, how).await;
        };
        let (first, second, ()) = tokio::join!(
            token_as(&server, &client, &form),
            token_as(&server, &client, &form),
            ending
        );
        for (status, body) in [first, second] {
            let refused = ["invalid_grant", "invalid_client"]
                .iter()
                .any(|error| body["error"] == *error);
            assert!(
                status == StatusCode::OK || refused,
                "{how:?} {status} {body}"
            );
            if status == StatusCode::OK {
                minted += 1;
                assert!(
                    !is_active(&server, text(&body, "access_token")).await,
                    "{how:?} in round {round}"
                );
                let again = [
                    ("grant_type", "refresh_token"),
                    ("refresh_token", text(&body, "refresh_token")),
                ];
                assert_ne!(
                    token_as(&server, &client, &again).await.0,
                    StatusCode::OK,
                    "{how:?} in round {round}"
                );
            }
        }
        match how {
            End::Application => {
                client = register(&server, |new| {
                    new.access_token_format = AccessTokenFormat::Opaque
                })
                .await
            }
            End::User => set_state(&server, UserState::Suspended, UserState::Active).await,
            End::Revoke | End::Consent => {}
        }
    }
    assert!(
        minted > 20,
        "only {minted} refreshes came before their end: nothing was raced"
    );
}
