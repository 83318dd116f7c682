//! The authorization code grant (RFC 6749 §4.1.3, RFC 7636 §4.6).

use countersign::crypto::digest::Purpose;
use countersign::crypto::signer::Claims;
use countersign::domain::Refusal;
use countersign::store::Tx;
use countersign::store::applications::Application;
use countersign::types::id::ApplicationId;
use countersign::types::state::{AccessTokenFormat, ClientType};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use reqwest::StatusCode;
use serde_json::Value;

use super::{
    Registered, assert_invalid_grant, assert_oauth_error, authorize_with, code_of,
    delete_application, is_active, redemption, redirected_error, refresh, register,
    register_public, text, token_as, token_as_public,
};
use crate::databases::{TestDatabase, both_databases};
use crate::server::{NOON, REDIRECT_URI, Server, VERIFIER, parameter};

both_databases!(
    a_code_becomes_tokens,
    the_access_token_is_a_jwt_as_rfc_9068_says,
    an_opaque_token_has_its_own_shape,
    a_public_client_redeems_with_its_verifier_alone,
    a_code_is_for_its_client_alone,
    a_code_lives_a_minute,
    a_replayed_code_kills_the_family,
    a_thief_of_the_code_alone_cannot_kill_the_family,
    a_wrong_verifier_is_counted_and_the_third_kills_the_code,
    a_missing_verifier_is_refused,
    pkce_is_optional_for_a_client_that_is_named_and_for_nobody_else,
    another_redirect_uri_is_refused,
    the_redirect_uri_may_be_left_out,
    a_missing_or_unknown_code_is_refused,
    a_deleted_applications_tokens_end_at_once,
);

async fn a_code_becomes_tokens(db: TestDatabase) {
    let server = Server::start(db).await;
    let (status, body) = server.redeem(&server.code("write read").await).await;
    assert_eq!(status, StatusCode::OK);
    // RFC 6749 §5.1
    assert_eq!(
        (&body["token_type"], &body["expires_in"], &body["scope"]),
        (&"Bearer".into(), &900.into(), &"read write".into())
    );
    assert!(text(&body, "refresh_token").starts_with("cs_rt_"));
    assert!(is_active(&server, text(&body, "access_token")).await);
}

async fn the_access_token_is_a_jwt_as_rfc_9068_says(db: TestDatabase) {
    // 9700-44
    let server = Server::start(db).await;
    let body = server.code_flow("read").await;
    let token = text(&body, "access_token");
    let keys: JwkSet = server
        .get("/.well-known/jwks.json")
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("a key set");
    let header = decode_header(token).expect("a header");
    assert_eq!(
        (header.typ.as_deref(), header.alg),
        (Some("at+jwt"), Algorithm::ES256)
    );
    let key = keys
        .find(&header.kid.expect("a key id"))
        .expect("it is published");
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_issuer(&[&server.base]);
    validation.set_audience(&[&server.base]);
    validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
    // the test's clock stands still
    validation.validate_exp = false;
    let claims = decode::<Claims>(
        token,
        &DecodingKey::from_jwk(key).expect("a key"),
        &validation,
    )
    .expect("it is signed")
    .claims;
    assert_eq!(
        (claims.iat, claims.exp),
        (NOON.seconds(), NOON.seconds() + 900)
    );
    assert_eq!(
        (
            claims.client_id,
            claims.scope.as_str(),
            claims.environment.as_str()
        ),
        (server.planted.application, "read", "sandbox")
    );
    assert_eq!(
        (claims.organization, claims.workspaces.as_slice()),
        (
            server.planted.organization,
            [server.planted.workspace].as_slice()
        )
    );
    assert!(claims.sub.starts_with("usr_"));
    // introspection says the same (RFC 7662 §2.2)
    let introspected = server.introspect(token).await;
    for (name, claim) in serde_json::to_value(&claims)
        .expect("JSON")
        .as_object()
        .expect("an object")
    {
        assert_eq!(&introspected[name], claim, "{name}");
    }
    assert_ne!(text(&server.code_flow("read").await, "access_token"), token);
}

async fn an_opaque_token_has_its_own_shape(db: TestDatabase) {
    let server = Server::start(db).await;
    let client = register(&server, |new| {
        new.access_token_format = AccessTokenFormat::Opaque
    })
    .await;
    let (status, body) = token_as(
        &server,
        &client,
        &redemption(&code_of(&server, &client, "read").await),
    )
    .await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let token = text(&body, "access_token");
    assert!(
        token.starts_with("cs_at_") && !token.contains('.'),
        "{token}"
    );
    let introspected = server.introspect(token).await;
    assert_eq!(
        (
            &introspected["active"],
            &introspected["scope"],
            &introspected["client_id"]
        ),
        (&true.into(), &"read".into(), &client.id.as_str().into())
    );
    assert_eq!(introspected["exp"], NOON.seconds() + 900);
    server.clock.step_seconds(900);
    assert!(!is_active(&server, token).await);
}

async fn a_public_client_redeems_with_its_verifier_alone(db: TestDatabase) {
    let server = Server::start(db).await;
    let client = register_public(&server).await;
    let code = code_of(&server, &client, "read").await;
    let wrong = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", REDIRECT_URI),
        ("code_verifier", CHANGED),
    ];
    assert_invalid_grant(&token_as_public(&server, &client, &wrong).await);
    let (status, body) = token_as_public(&server, &client, &redemption(&code)).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert!(is_active(&server, text(&body, "access_token")).await);
}

/// A verifier with one character changed.
const CHANGED: &str = "eBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

async fn a_code_is_for_its_client_alone(db: TestDatabase) {
    // 9700-21: the same answer as to an unknown code, and the code stays good for its owner
    let server = Server::start(db).await;
    let (other, public) = (
        register(&server, |_| {}).await,
        register_public(&server).await,
    );
    let code = server.code("read").await;
    let foreign = [
        token_as(&server, &other, &redemption(&code)).await,
        token_as_public(&server, &public, &redemption(&code)).await,
    ];
    let unknown = token_as(&server, &other, &redemption("cs_ac_unknown")).await;
    assert_invalid_grant(&unknown);
    for answer in foreign {
        assert_eq!(answer, unknown);
    }
    assert_eq!(server.redeem(&code).await.0, StatusCode::OK);
    // neither does another client's replay end what was issued
    assert_eq!(token_as(&server, &other, &redemption(&code)).await, unknown);
}

async fn a_code_lives_a_minute(db: TestDatabase) {
    // 9700-18
    let server = Server::start(db).await;
    let (in_time, late) = (server.code("read").await, server.code("read").await);
    server.clock.step_seconds(59);
    assert_eq!(server.redeem(&in_time).await.0, StatusCode::OK);
    server.clock.step_seconds(1);
    assert_invalid_grant(&server.redeem(&late).await);
}

async fn a_replayed_code_kills_the_family(db: TestDatabase) {
    // RFC 6749 §4.1.2, §10.5, 9700-19
    let server = Server::start(db).await;
    for later_seconds in [0, 3600] {
        let code = server.code("read").await;
        let first = server.redeem(&code).await.1;
        let second = refresh(&server, text(&first, "refresh_token")).await.1;
        server.clock.step_seconds(later_seconds);
        assert_invalid_grant(&server.redeem(&code).await);
        for tokens in [&first, &second] {
            assert!(!is_active(&server, text(tokens, "access_token")).await);
            assert_invalid_grant(&refresh(&server, text(tokens, "refresh_token")).await);
        }
        assert_invalid_grant(&server.redeem(&code).await);
    }
}

async fn a_thief_of_the_code_alone_cannot_kill_the_family(db: TestDatabase) {
    let server = Server::start(db).await;
    let client = register_public(&server).await;
    let code = code_of(&server, &client, "read").await;
    let tokens = token_as_public(&server, &client, &redemption(&code))
        .await
        .1;
    let mut theft = redemption(&code);
    theft[3].1 = CHANGED;
    let answer = token_as_public(&server, &client, &theft).await;
    assert_invalid_grant(&answer);
    assert!(is_active(&server, text(&tokens, "access_token")).await);
    // and is not told that it did
    assert!(
        !text(&answer.1, "error_description").contains("revoked."),
        "{}",
        answer.1
    );
}

async fn a_wrong_verifier_is_counted_and_the_third_kills_the_code(db: TestDatabase) {
    // 9700-20
    let server = Server::start(db).await;
    let guess = async |code: &str| {
        let mut form = redemption(code);
        form[3].1 = CHANGED;
        assert_invalid_grant(&server.token(&form).await);
    };
    let code = server.code("read").await;
    guess(&code).await;
    guess(&code).await;
    assert_eq!(server.redeem(&code).await.0, StatusCode::OK);
    let code = server.code("read").await;
    for _ in 0..3 {
        guess(&code).await;
    }
    assert_invalid_grant(&server.redeem(&code).await);
}

async fn a_missing_verifier_is_refused(db: TestDatabase) {
    // 9700-20
    let server = Server::start(db).await;
    let code = server.code("read").await;
    let too_long = "a".repeat(129);
    for verifier in [
        None,
        Some(""),
        Some("short"),
        Some(too_long.as_str()),
        Some("dBjftJeZ4CVP mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
    ] {
        let code = if verifier.is_none_or(str::is_empty) {
            code.clone()
        } else {
            server.code("read").await
        };
        let mut form = redemption(&code)[..3].to_vec();
        form.extend(verifier.map(|verifier| ("code_verifier", verifier)));
        assert_invalid_grant(&server.token(&form).await);
    }
    assert_eq!(server.redeem(&code).await.0, StatusCode::OK);
}

async fn another_redirect_uri_is_refused(db: TestDatabase) {
    // RFC 6749 §4.1.3, 9700-18: by the byte, a loopback port included
    let server = Server::start(db).await;
    let code = server.code("read").await;
    for uri in [
        "http://127.0.0.1:8976/callback/",
        "http://127.0.0.1:8977/callback",
        "http://127.0.0.1:8976/call%62ack",
        "https://evil.example/",
    ] {
        let mut form = redemption(&code);
        form[2].1 = uri;
        assert_invalid_grant(&server.token(&form).await);
    }
    assert_eq!(server.redeem(&code).await.0, StatusCode::OK);
}

async fn the_redirect_uri_may_be_left_out(db: TestDatabase) {
    // OAuth 2.1 §4.1.3: PKCE does its work
    let server = Server::start(db).await;
    let code = server.code("read").await;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("code_verifier", VERIFIER),
    ];
    assert_eq!(server.token(&form).await.0, StatusCode::OK);
}

async fn a_missing_or_unknown_code_is_refused(db: TestDatabase) {
    let server = Server::start(db).await;
    let form = [
        ("grant_type", "authorization_code"),
        ("code_verifier", VERIFIER),
    ];
    assert_oauth_error(
        &server.token(&form).await,
        StatusCode::BAD_REQUEST,
        "invalid_request",
    );
    let code = server.code("read").await;
    let long = "x".repeat(60_000);
    for unknown in [
        "x",
        "cs_ac_",
        &code.to_uppercase(),
        &format!("{code} "),
        &long,
    ] {
        assert_invalid_grant(&server.redeem(unknown).await);
    }
    // a token of another kind is no code
    let tokens = server.redeem(&code).await.1;
    for other in ["access_token", "refresh_token"] {
        assert_invalid_grant(&server.redeem(text(&tokens, other)).await);
    }
}

async fn a_deleted_applications_tokens_end_at_once(db: TestDatabase) {
    let server = Server::start(db).await;
    for (client_type, format) in [
        (ClientType::Confidential, AccessTokenFormat::Jwt),
        (ClientType::Public, AccessTokenFormat::Opaque),
    ] {
        let client = register(&server, |new| {
            (new.client_type, new.access_token_format) = (client_type, format)
        })
        .await;
        let (redeemed, waiting) = (
            code_of(&server, &client, "read").await,
            code_of(&server, &client, "read").await,
        );
        let ask = async |form: &[(&str, &str)]| -> (StatusCode, Value) {
            match client_type {
                ClientType::Confidential => token_as(&server, &client, form).await,
                ClientType::Public => token_as_public(&server, &client, form).await,
            }
        };
        let tokens = ask(&redemption(&redeemed)).await.1;
        assert!(is_active(&server, text(&tokens, "access_token")).await);
        delete_application(&server, client.id).await;
        assert!(!is_active(&server, text(&tokens, "access_token")).await);
        for form in [
            redemption(&waiting).as_slice(),
            &[
                ("grant_type", "refresh_token"),
                ("refresh_token", text(&tokens, "refresh_token")),
            ],
        ] {
            assert_oauth_error(&ask(form).await, StatusCode::UNAUTHORIZED, "invalid_client");
        }
    }
}

async fn pkce_is_optional_for_a_client_that_is_named_and_for_nobody_else(db: TestDatabase) {
    // 9700-7, 9700-20: by name, for a single confidential client; what came with a challenge still needs its verifier
    let named: ApplicationId = "app_0000000000000000000001".parse().expect("an id");
    let server = Server::start_with(db, move |config| {
        config.oauth.pkce_optional_for = vec![named.to_string()]
    })
    .await;
    let template = register(&server, |_| {}).await;
    let digest = server
        .app
        .digester
        .digest(Purpose::ClientSecret, "the secret of the named one");
    let (uri, id) = (REDIRECT_URI.parse().expect("a URI"), template.id);
    let copy = move |tx: &mut Tx| {
        let application = tx.find_application(id)?.ok_or(Refusal::NotFound)?;
        let application = Application {
            id: named,
            ..application
        };
        tx.insert_application(&application, &[uri])?;
        Ok(tx
            .insert_application_secret(&application, &digest.into())
            .map(drop)?)
    };
    server.write(copy).await;
    let client = Registered {
        id: named,
        secret: "the secret of the named one".to_owned(),
    };
    let bare = [("code_challenge", None), ("code_challenge_method", None)];
    let browser = server.signed_in_browser().await;
    let code = async |changes: &[(&str, Option<&str>)]| {
        let target = browser
            .allow(&authorize_with(named.as_str(), changes))
            .await;
        parameter(&target, "code").expect("a code")
    };
    let without = async |code: String| token_as(&server, &client, &redemption(&code)[..3]).await;
    assert_eq!(without(code(&bare).await).await.0, StatusCode::OK);
    // RFC 6749 §4.1.3: then the redirect URI must be sent
    let bare_code = code(&bare).await;
    assert_invalid_grant(&token_as(&server, &client, &redemption(&bare_code)[..2]).await);
    assert_eq!(
        token_as(&server, &client, &redemption(&bare_code)[..3])
            .await
            .0,
        StatusCode::OK
    );
    // a verifier without a challenge: somebody took the challenge out of the request
    let downgraded = code(&bare).await;
    assert_invalid_grant(&token_as(&server, &client, &redemption(&downgraded)).await);
    // a challenge without a verifier
    assert_invalid_grant(&without(code(&[]).await).await);
    let proven = code(&[]).await;
    assert_eq!(
        token_as(&server, &client, &redemption(&proven)).await.0,
        StatusCode::OK
    );
    // half a challenge is none
    for change in [
        ("code_challenge", None),
        ("code_challenge_method", None),
        ("code_challenge_method", Some("plain")),
    ] {
        assert_eq!(
            redirected_error(&browser, &authorize_with(named.as_str(), &[change]))
                .await
                .0,
            "invalid_request"
        );
    }
    for other in [template.id, register_public(&server).await.id] {
        assert_eq!(
            redirected_error(&browser, &authorize_with(other.as_str(), &bare))
                .await
                .0,
            "invalid_request"
        );
    }
}
