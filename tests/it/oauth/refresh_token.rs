//! The refresh token grant (RFC 6749 §6), rotating (RFC 9700 §4.14.2).

use reqwest::StatusCode;

use countersign::domain::clients::settings::RefreshPolicy;
use countersign::types::grant_types::{GrantType, GrantTypes};
use countersign::types::state::{AccessTokenFormat, ClientType};
use serde_json::Value;

use super::{
    assert_invalid_grant, assert_oauth_error, code_of, is_active, redemption, refresh, register,
    register_public, text, token_as, token_as_public,
};
use crate::databases::{TestDatabase, both_databases};
use crate::server::Server;

both_databases!(
    each_refresh_rotates,
    a_public_client_refreshes_without_a_secret,
    a_confidential_client_must_authenticate,
    a_replay_kills_the_family,
    a_lost_answer_is_given_again_as_often_as_it_is_lost,
    a_successor_that_was_seen_makes_a_replay_a_theft,
    a_theft_is_found_even_when_the_thief_came_second,
    two_holders_who_take_turns_are_found_although_nobody_asks_about_their_tokens,
    a_lost_answer_is_given_again_after_the_old_token_would_have_expired,
    a_revoked_access_token_was_received,
    what_comes_back_within_the_grace_is_refused_and_marks_the_connection,
    a_marked_connection_ends_when_the_person_connects_the_application_again,
    presenting_a_twin_is_a_use,
    without_a_grace_what_comes_back_ends_the_connection,
    a_confidential_application_may_keep_its_refresh_token,
    lifetimes_are_the_applications_own,
    without_the_grant_there_is_no_refresh_token,
    what_was_taken_from_the_application_is_minted_no_more,
    a_narrower_scope_narrows_the_access_token_only,
    a_wider_scope_is_refused_and_burns_nothing,
    another_clients_refresh_token_is_refused_and_not_burnt,
    an_unused_refresh_token_expires,
    a_family_ends_however_often_it_refreshes,
    a_missing_or_unknown_refresh_token_is_refused,
);

const DAY: i64 = 24 * 60 * 60;
/// Of clients that authenticate.
const GRACE: i64 = 600;

async fn each_refresh_rotates(db: TestDatabase) {
    // 9700-32
    let server = Server::start(db).await;
    let first = server.code_flow("read write").await;
    let (status, second) = refresh(&server, text(&first, "refresh_token")).await;
    assert_eq!(
        (status, &second["scope"], &second["expires_in"]),
        (StatusCode::OK, &"read write".into(), &900.into())
    );
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    assert_ne!(first["access_token"], second["access_token"]);
    assert_eq!(
        refresh(&server, text(&second, "refresh_token")).await.0,
        StatusCode::OK
    );
    // what was issued before lives until its own end
    assert!(is_active(&server, text(&first, "access_token")).await);
}

async fn a_public_client_refreshes_without_a_secret(db: TestDatabase) {
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
        ("grant_type", "refresh_token"),
        ("refresh_token", text(&tokens, "refresh_token")),
    ];
    let (status, refreshed) = token_as_public(&server, &client, &form).await;
    assert_eq!(
        (
            status,
            refreshed["refresh_token"] != tokens["refresh_token"]
        ),
        (StatusCode::OK, true),
        "{refreshed}"
    );
}

async fn a_confidential_client_must_authenticate(db: TestDatabase) {
    // 9700-39
    let server = Server::start(db).await;
    let tokens = server.code_flow("read").await;
    let refresh_token = text(&tokens, "refresh_token");
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh_token),
        ("client_id", server.planted.application.as_str()),
    ];
    assert_oauth_error(
        &super::send(server.post("/oauth2/token").form(&form)).await,
        StatusCode::UNAUTHORIZED,
        "invalid_client",
    );
    // what was granted is what is left of it (RFC 6749 §3.3): many clients repeat the scopes of their first request
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh_token),
        ("scope", "write read unknown"),
    ];
    let (status, body) = server.token(&form).await;
    assert_eq!((status, &body["scope"]), (StatusCode::OK, &"read".into()));
}

async fn a_replay_kills_the_family(db: TestDatabase) {
    // RFC 9700 §4.14.2, 9700-35
    let server = Server::start(db).await;
    let bystander = server.code_flow("read").await;
    let first = server.code_flow("read").await;
    let second = refresh(&server, text(&first, "refresh_token")).await.1;
    let third = refresh(&server, text(&second, "refresh_token")).await.1;
    server.clock.step_seconds(GRACE);
    assert_invalid_grant(&refresh(&server, text(&first, "refresh_token")).await);
    for tokens in [&first, &second, &third] {
        assert!(!is_active(&server, text(tokens, "access_token")).await);
        assert_invalid_grant(&refresh(&server, text(tokens, "refresh_token")).await);
    }
    // another family of the same person and application is not concerned
    assert!(is_active(&server, text(&bystander, "access_token")).await);
    assert_eq!(
        refresh(&server, text(&bystander, "refresh_token")).await.0,
        StatusCode::OK
    );
}

async fn a_narrower_scope_narrows_the_access_token_only(db: TestDatabase) {
    // 9700-33
    let server = Server::start(db).await;
    let first = server.code_flow("read write").await;
    let narrow = [
        ("grant_type", "refresh_token"),
        ("refresh_token", text(&first, "refresh_token")),
        ("scope", "read"),
    ];
    let (status, second) = server.token(&narrow).await;
    assert_eq!((status, &second["scope"]), (StatusCode::OK, &"read".into()));
    assert_eq!(
        server.introspect(text(&second, "access_token")).await["scope"],
        "read"
    );
    // absent, empty and blank are all "not asked" (RFC 6749 §3.1)
    let mut last = second;
    for scope in [None, Some(""), Some("  ")] {
        let mut form = vec![
            ("grant_type", "refresh_token"),
            ("refresh_token", text(&last, "refresh_token")),
        ];
        form.extend(scope.map(|scope| ("scope", scope)));
        let (status, next) = server.token(&form).await;
        assert_eq!(
            (status, &next["scope"]),
            (StatusCode::OK, &"read write".into()),
            "{scope:?}"
        );
        last = next;
    }
}

async fn a_wider_scope_is_refused_and_burns_nothing(db: TestDatabase) {
    // RFC 6749 §6, 9700-33
    let server = Server::start(db).await;
    let tokens = server.code_flow("read").await;
    let refresh_token = text(&tokens, "refresh_token");
    for scope in ["write", "unknown", "write unknown", "re\"ad", "read\u{e4}"] {
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token),
            ("scope", scope),
        ];
        assert_oauth_error(
            &server.token(&form).await,
            StatusCode::BAD_REQUEST,
            "invalid_scope",
        );
    }
    assert_eq!(refresh(&server, refresh_token).await.0, StatusCode::OK);
}

async fn another_clients_refresh_token_is_refused_and_not_burnt(db: TestDatabase) {
    // 9700-39
    let server = Server::start(db).await;
    let (other, public) = (
        register(&server, |_| {}).await,
        register_public(&server).await,
    );
    let first = server.code_flow("read").await;
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", text(&first, "refresh_token")),
    ];
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
    let (used, unused) = (
        server.code_flow("read").await,
        server.code_flow("read").await,
    );
    server.clock.step_seconds(30 * DAY - 1);
    let (status, used) = refresh(&server, text(&used, "refresh_token")).await;
    assert_eq!(status, StatusCode::OK);
    server.clock.step_seconds(1);
    assert_invalid_grant(&refresh(&server, text(&unused, "refresh_token")).await);
    assert_eq!(
        refresh(&server, text(&used, "refresh_token")).await.0,
        StatusCode::OK
    );
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
    assert_oauth_error(
        &server.token(&[("grant_type", "refresh_token")]).await,
        StatusCode::BAD_REQUEST,
        "invalid_request",
    );
    let tokens = server.code_flow("read").await;
    let changed = format!("{}x", text(&tokens, "refresh_token"));
    for unknown in [
        "x",
        "cs_rt_",
        changed.as_str(),
        text(&tokens, "access_token"),
    ] {
        assert_invalid_grant(&refresh(&server, unknown).await);
    }
}

/// What happened to the planted organization, the newest first.
async fn events(server: &Server) -> Vec<String> {
    let organization = server.planted.organization;
    let events = server
        .app
        .store
        .read(move |c| c.list_audit_events(organization, 200))
        .await
        .expect("a read");
    events.into_iter().map(|event| event.event).collect()
}

async fn a_lost_answer_is_given_again_as_often_as_it_is_lost(db: TestDatabase) {
    // 9700-36: an answer that never arrived must not cost the person their connection, however long it takes to notice
    let server = Server::start(db).await;
    let opaque = register(&server, |new| {
        new.access_token_format = AccessTokenFormat::Opaque
    })
    .await;
    for client in [None, Some(&opaque)] {
        let ask = async |form: &[(&str, &str)]| match client {
            None => server.token(form).await,
            Some(client) => token_as(&server, client, form).await,
        };
        let first = match client {
            None => server.code_flow("read write").await,
            Some(client) => {
                token_as(
                    &server,
                    client,
                    &redemption(&code_of(&server, client, "read write").await),
                )
                .await
                .1
            }
        };
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", text(&first, "refresh_token")),
        ];
        let mut lost: Vec<Value> = Vec::new();
        for _ in 0..3 {
            server.clock.step_seconds(3600);
            let (status, answer) = ask(&form).await;
            assert_eq!(status, StatusCode::OK, "{answer}");
            lost.push(answer);
        }
        let arrived = lost.pop().expect("the last");
        assert!(is_active(&server, text(&arrived, "access_token")).await);
        for dead in &lost {
            assert!(
                !is_active(&server, text(dead, "access_token")).await,
                "what was replaced is dead"
            );
        }
        let next = [
            ("grant_type", "refresh_token"),
            ("refresh_token", text(&arrived, "refresh_token")),
        ];
        assert_eq!(ask(&next).await.0, StatusCode::OK);
        assert!(
            events(&server)
                .await
                .iter()
                .any(|event| event == "refresh_token.replaced")
        );
        assert!(
            !events(&server)
                .await
                .iter()
                .any(|event| event == "refresh_token.reused")
        );
    }
}

async fn a_successor_that_was_seen_makes_a_replay_a_theft(db: TestDatabase) {
    // 9700-35: seen is: introspected, verified, or asked about by its holder; at once, with no write to wait for
    let server = Server::start(db).await;
    let opaque = register(&server, |new| {
        new.access_token_format = AccessTokenFormat::Opaque
    })
    .await;
    for way in 0..3 {
        let first = token_as(
            &server,
            &opaque,
            &redemption(&code_of(&server, &opaque, "read").await),
        )
        .await
        .1;
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", text(&first, "refresh_token")),
        ];
        let second = token_as(&server, &opaque, &form).await.1;
        let token = text(&second, "access_token");
        match way {
            0 => assert!(is_active(&server, token).await),
            1 => assert_eq!(
                server
                    .verify(serde_json::json!({"credential": token}))
                    .await["code"],
                "valid"
            ),
            _ => assert_eq!(
                server
                    .get("/v1/whoami")
                    .bearer_auth(token)
                    .send()
                    .await
                    .expect("an answer")
                    .status(),
                StatusCode::OK
            ),
        }
        server.clock.step_seconds(GRACE);
        assert_invalid_grant(&token_as(&server, &opaque, &form).await);
        assert!(!is_active(&server, token).await);
        let next = [
            ("grant_type", "refresh_token"),
            ("refresh_token", text(&second, "refresh_token")),
        ];
        assert_invalid_grant(&token_as(&server, &opaque, &next).await);
        // the audit log tells why
        let events = events(&server).await;
        let times = |event: &str| events.iter().filter(|own| *own == event).count();
        assert_eq!(
            (
                times("refresh_token.reused"),
                times("authorization.revoked")
            ),
            (way + 1, way + 1),
            "{events:?}"
        );
    }
}

async fn a_theft_is_found_even_when_the_thief_came_second(db: TestDatabase) {
    // 9700-35: the thief refreshes a copied token whose answer seems lost; the client's own answer shows the theft. Within
    // the grace it is refused and shown to the person; a client that comes back later ends it
    let server = Server::start(db).await;
    let first = server.code_flow("read").await;
    let client = refresh(&server, text(&first, "refresh_token")).await.1;
    let thief = refresh(&server, text(&first, "refresh_token")).await.1;
    assert!(is_active(&server, text(&thief, "access_token")).await);
    assert_invalid_grant(&refresh(&server, text(&client, "refresh_token")).await);
    assert_eq!(server.database.count_events("authorization.marked"), 1);
    server.clock.step_seconds(GRACE);
    assert_invalid_grant(&refresh(&server, text(&client, "refresh_token")).await);
    assert!(!is_active(&server, text(&thief, "access_token")).await);
    assert_invalid_grant(&refresh(&server, text(&thief, "refresh_token")).await);
}

async fn a_confidential_application_may_keep_its_refresh_token(db: TestDatabase) {
    // rotation is a policy of the application (FAPI 2.0 §5.3.2.1), and a public one has no choice (9700-32)
    let server = Server::start(db).await;
    let fixed = register(&server, |new| {
        new.refresh = RefreshPolicy {
            rotation: false,
            idle_seconds: Some(2 * DAY),
            absolute_seconds: None,
        }
    })
    .await;
    let first = token_as(
        &server,
        &fixed,
        &redemption(&code_of(&server, &fixed, "read write").await),
    )
    .await
    .1;
    let mut form = vec![
        ("grant_type", "refresh_token"),
        ("refresh_token", text(&first, "refresh_token")),
    ];
    for _ in 0..4 {
        server.clock.step_seconds(DAY + 3600);
        let (status, next) = token_as(&server, &fixed, &form).await;
        assert_eq!(
            (status, next.get("refresh_token")),
            (StatusCode::OK, None),
            "{next}"
        );
        assert!(is_active(&server, text(&next, "access_token")).await);
    }
    form.push(("scope", "read"));
    assert_eq!(token_as(&server, &fixed, &form).await.1["scope"], "read");
    server.clock.step_seconds(2 * DAY);
    assert_invalid_grant(&token_as(&server, &fixed, &form).await);
    let public = register(&server, |new| {
        (new.client_type, new.refresh) = (
            ClientType::Public,
            RefreshPolicy {
                rotation: false,
                ..RefreshPolicy::default()
            },
        );
    })
    .await;
    let first = token_as_public(
        &server,
        &public,
        &redemption(&code_of(&server, &public, "read").await),
    )
    .await
    .1;
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", text(&first, "refresh_token")),
    ];
    assert!(token_as_public(&server, &public, &form).await.1["refresh_token"].is_string());
}

async fn lifetimes_are_the_applications_own(db: TestDatabase) {
    // 9700-38
    let server = Server::start(db).await;
    let policy = RefreshPolicy {
        rotation: true,
        idle_seconds: Some(600),
        absolute_seconds: Some(1500),
    };
    let short = register(&server, |new| new.refresh = policy).await;
    let ask = async |tokens: &Value| {
        token_as(
            &server,
            &short,
            &[
                ("grant_type", "refresh_token"),
                ("refresh_token", text(tokens, "refresh_token")),
            ],
        )
        .await
    };
    let fresh = async || {
        token_as(
            &server,
            &short,
            &redemption(&code_of(&server, &short, "read").await),
        )
        .await
        .1
    };
    let idle = fresh().await;
    server.clock.step_seconds(600);
    assert_invalid_grant(&ask(&idle).await);
    let mut tokens = fresh().await;
    for _ in 0..2 {
        server.clock.step_seconds(599);
        tokens = ask(&tokens).await.1;
    }
    // 302 seconds are left: the access token does not outlive them
    assert_eq!(tokens["expires_in"], 302);
    server.clock.step_seconds(302);
    assert_invalid_grant(&ask(&tokens).await);
}

async fn without_the_grant_there_is_no_refresh_token(db: TestDatabase) {
    // 9700-29
    let server = Server::start(db).await;
    let client = register(&server, |new| {
        new.grants = GrantTypes::from_iter([GrantType::AuthorizationCode])
    })
    .await;
    let (status, tokens) = token_as(
        &server,
        &client,
        &redemption(&code_of(&server, &client, "read").await),
    )
    .await;
    assert_eq!(
        (status, tokens.get("refresh_token")),
        (StatusCode::OK, None)
    );
    for grant in ["refresh_token", "client_credentials"] {
        let form = [("grant_type", grant), ("refresh_token", "x")];
        assert_oauth_error(
            &token_as(&server, &client, &form).await,
            StatusCode::BAD_REQUEST,
            "unauthorized_client",
        );
    }
    let machine = register(&server, |new| {
        new.grants = GrantTypes::from_iter([GrantType::ClientCredentials])
    })
    .await;
    let browser = server.signed_in_browser().await;
    let answer =
        super::redirected_error(&browser, &super::authorize_with(machine.id.as_str(), &[])).await;
    assert_eq!(answer.0, "unauthorized_client");
}

async fn two_holders_who_take_turns_are_found_although_nobody_asks_about_their_tokens(
    db: TestDatabase,
) {
    // 9700-35: where resource servers check JWTs alone, no token is ever seen here
    let server = Server::start(db).await;
    let stolen = server.code_flow("read").await;
    let thief = refresh(&server, text(&stolen, "refresh_token")).await.1;
    server.clock.step_seconds(600);
    let client = refresh(&server, text(&stolen, "refresh_token")).await.1;
    server.clock.step_seconds(600);
    // the thief's twin is a use: the family moves on, and that was the last turn
    let (status, thief) = refresh(&server, text(&thief, "refresh_token")).await;
    assert_eq!(status, StatusCode::OK, "{thief}");
    assert_invalid_grant(&refresh(&server, text(&client, "refresh_token")).await);
    assert_eq!(server.database.count_events("authorization.marked"), 1);
    server.clock.step_seconds(600);
    assert_invalid_grant(&refresh(&server, text(&client, "refresh_token")).await);
    assert_invalid_grant(&refresh(&server, text(&thief, "refresh_token")).await);
}

async fn presenting_a_twin_is_a_use(db: TestDatabase) {
    // 9700-34: requests that cross each other are no theft; whichever answer is used, the others are dead
    let server = Server::start(db).await;
    let own = server.code_flow("read").await;
    let mut twins = Vec::new();
    for _ in 0..3 {
        twins.push(refresh(&server, text(&own, "refresh_token")).await.1);
    }
    server.clock.step_seconds(10 * 60);
    let (status, next) = refresh(&server, text(&twins[0], "refresh_token")).await;
    assert_eq!(status, StatusCode::OK, "{next}");
    // their grace begins here: until now they were good
    for dead in &twins[1..] {
        assert!(!is_active(&server, text(dead, "access_token")).await);
        assert_invalid_grant(&refresh(&server, text(dead, "refresh_token")).await);
    }
    assert!(is_active(&server, text(&next, "access_token")).await);
    // the answer to the twin can be lost, too
    let lost = server.code_flow("read").await;
    let twin = refresh(&server, text(&lost, "refresh_token")).await.1;
    refresh(&server, text(&lost, "refresh_token")).await;
    for _ in 0..2 {
        let again = refresh(&server, text(&twin, "refresh_token")).await;
        assert_eq!(again.0, StatusCode::OK, "{}", again.1);
    }
}

async fn what_comes_back_within_the_grace_is_refused_and_marks_the_connection(db: TestDatabase) {
    // 9700-35: tabs and workers that share a stored token collide; afterwards it is a theft as before
    let server = Server::start(db).await;
    let public = register_public(&server).await;
    for (grace, is_public) in [(60, true), (GRACE, false)] {
        let ask = async |form: &[(&str, &str)]| match is_public {
            true => token_as_public(&server, &public, form).await,
            false => server.token(form).await,
        };
        let first = match is_public {
            true => {
                let code = code_of(&server, &public, "read").await;
                ask(&redemption(&code)).await.1
            }
            false => server.code_flow("read").await,
        };
        let old = [
            ("grant_type", "refresh_token"),
            ("refresh_token", text(&first, "refresh_token")),
        ];
        let second = ask(&old).await.1;
        assert!(is_active(&server, text(&second, "access_token")).await);
        let marks = server.database.count_events("authorization.marked");
        server.clock.step_seconds(grace - 1);
        for _ in 0..3 {
            let answer = ask(&old).await;
            assert_invalid_grant(&answer);
            let description = text(&answer.1, "error_description");
            assert!(!description.contains("revoked"), "{description}");
        }
        // one event, however many come back with it
        let counted = server.database.count_events("authorization.marked");
        assert_eq!(counted, marks + 1);
        assert!(is_active(&server, text(&second, "access_token")).await);
        let next = [
            ("grant_type", "refresh_token"),
            ("refresh_token", text(&second, "refresh_token")),
        ];
        server.clock.step_seconds(1);
        let third = ask(&next).await;
        assert_eq!(third.0, StatusCode::OK, "{}", third.1);
        // the next collision is another event
        assert!(is_active(&server, text(&third.1, "access_token")).await);
        assert_invalid_grant(&ask(&next).await);
        let counted = server.database.count_events("authorization.marked");
        assert_eq!(counted, marks + 2);
        // a second old token, after the grace
        server.clock.step_seconds(grace);
        assert_invalid_grant(&ask(&next).await);
        assert!(!is_active(&server, text(&third.1, "access_token")).await);
    }
}

async fn a_marked_connection_ends_when_the_person_connects_the_application_again(db: TestDatabase) {
    // 9700-35: the victim of a theft has to connect again, a second tab has not
    let server = Server::start(db).await;
    let (other, untouched) = (
        register(&server, |_| {}).await,
        server.code_flow("read").await,
    );
    let first = server.code_flow("read").await;
    let thief = refresh(&server, text(&first, "refresh_token")).await.1;
    assert!(is_active(&server, text(&thief, "access_token")).await);
    assert_invalid_grant(&refresh(&server, text(&first, "refresh_token")).await);
    // another application changes nothing
    let code = code_of(&server, &other, "read").await;
    assert_eq!(
        token_as(&server, &other, &redemption(&code)).await.0,
        StatusCode::OK
    );
    assert!(is_active(&server, text(&thief, "access_token")).await);
    let again = server.code_flow("read").await;
    assert!(!is_active(&server, text(&thief, "access_token")).await);
    assert_invalid_grant(&refresh(&server, text(&thief, "refresh_token")).await);
    // what was not marked goes on
    for tokens in [&untouched, &again] {
        assert!(is_active(&server, text(tokens, "access_token")).await);
        let status = refresh(&server, text(tokens, "refresh_token")).await.0;
        assert_eq!(status, StatusCode::OK);
    }
}

async fn without_a_grace_what_comes_back_ends_the_connection(db: TestDatabase) {
    let none = |config: &mut countersign::config::Config| {
        config.oauth.refresh_grace_authenticated_seconds = 0
    };
    let server = Server::start_with(db, none).await;
    let first = server.code_flow("read").await;
    let second = refresh(&server, text(&first, "refresh_token")).await.1;
    assert!(is_active(&server, text(&second, "access_token")).await);
    assert_invalid_grant(&refresh(&server, text(&first, "refresh_token")).await);
    assert!(!is_active(&server, text(&second, "access_token")).await);
    assert_eq!(server.database.count_events("authorization.marked"), 0);
}

async fn a_lost_answer_is_given_again_after_the_old_token_would_have_expired(db: TestDatabase) {
    // 9700-36: the answer that was lost would have lived on, and the sweep leaves what tells of it
    let server = Server::start_with(db, |config| config.sweep.every_seconds = 1_000_000).await;
    let first = server.code_flow("read").await;
    server.clock.step_seconds(29 * DAY);
    assert_eq!(
        refresh(&server, text(&first, "refresh_token")).await.0,
        StatusCode::OK
    );
    server.clock.step_seconds(20 * DAY);
    countersign::jobs::sweep::round(&server.app)
        .await
        .expect("a round");
    assert_eq!(
        refresh(&server, text(&first, "refresh_token")).await.0,
        StatusCode::OK
    );
}

async fn a_revoked_access_token_was_received(db: TestDatabase) {
    // 9700-35: who shows it to us, shows it
    let server = Server::start(db).await;
    let first = server.code_flow("read").await;
    let second = refresh(&server, text(&first, "refresh_token")).await.1;
    assert_eq!(
        super::revoke(&server, text(&second, "access_token")).await,
        StatusCode::OK
    );
    server.clock.step_seconds(GRACE);
    assert_invalid_grant(&refresh(&server, text(&first, "refresh_token")).await);
    assert_invalid_grant(&refresh(&server, text(&second, "refresh_token")).await);
}

async fn what_was_taken_from_the_application_is_minted_no_more(db: TestDatabase) {
    // RFC 9068 §2.2.3: a resource server that reads the token alone obeys its scope
    let server = Server::start(db).await;
    let client = register(&server, |_| {}).await;
    let waiting = code_of(&server, &client, "read send").await;
    let tokens = token_as(
        &server,
        &client,
        &redemption(&code_of(&server, &client, "read send").await),
    )
    .await
    .1;
    let (id, narrow) = (client.id, "read write".parse().expect("scopes"));
    let change = move |tx: &mut countersign::store::Tx| {
        let application = tx
            .find_application(id)?
            .ok_or(countersign::domain::Refusal::NotFound)?;
        Ok(
            tx.change_application(&countersign::store::applications::Application {
                scopes: narrow,
                ..application
            })?,
        )
    };
    server.write(change).await;
    assert_eq!(
        server.introspect(text(&tokens, "access_token")).await["scope"],
        "read",
        "what was issued before is narrower, too"
    );
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", text(&tokens, "refresh_token")),
    ];
    assert_eq!(token_as(&server, &client, &form).await.1["scope"], "read");
    assert_eq!(
        token_as(&server, &client, &redemption(&waiting)).await.1["scope"],
        "read"
    );
}
