//! The client credentials grant (RFC 6749 §4.4): the application acts as its own service account.

use countersign::types::state::AccessTokenFormat;
use reqwest::StatusCode;
use serde_json::json;

use super::{
    assert_oauth_error, delete_application, is_active, register, register_public, text, token_as,
    token_as_public,
};
use crate::databases::{TestDatabase, both_databases};
use crate::server::Server;

both_databases!(
    the_application_acts_as_itself,
    a_public_client_cannot_act_as_itself,
    without_a_scope_the_default_is_given,
    a_scope_that_it_may_not_have_is_refused,
    its_rights_are_those_of_its_role,
    a_deleted_applications_own_tokens_end_at_once,
);

const OWN: (&str, &str) = ("grant_type", "client_credentials");

async fn the_application_acts_as_itself(db: TestDatabase) {
    let server = Server::start(db).await;
    let opaque = register(&server, |new| {
        new.access_token_format = AccessTokenFormat::Opaque
    })
    .await;
    let of_planted = (
        server.planted.application,
        server.token(&[OWN, ("scope", "read write")]).await,
    );
    let of_opaque = (
        opaque.id,
        token_as(&server, &opaque, &[OWN, ("scope", "read write")]).await,
    );
    for (id, (status, body)) in [of_planted, of_opaque] {
        assert_eq!(
            (status, &body["scope"]),
            (StatusCode::OK, &"read write".into()),
            "{body}"
        );
        // RFC 6749 §4.4.3
        assert!(body.get("refresh_token").is_none());
        let introspected = server.introspect(text(&body, "access_token")).await;
        // RFC 9068 §2.2, 9700-31: the subject is the client, whose id no person can have
        assert_eq!(
            (&introspected["sub"], &introspected["client_id"]),
            (&id.as_str().into(), &id.as_str().into())
        );
        assert!(text(&introspected, "sub").starts_with("app_"));
    }
}

async fn a_public_client_cannot_act_as_itself(db: TestDatabase) {
    // RFC 6749 §4.4, 9700-29
    let server = Server::start(db).await;
    let public = register_public(&server).await;
    assert_oauth_error(
        &token_as_public(&server, &public, &[OWN]).await,
        StatusCode::BAD_REQUEST,
        "unauthorized_client",
    );
}

async fn without_a_scope_the_default_is_given(db: TestDatabase) {
    // RFC 6749 §3.3
    let server = Server::start(db).await;
    assert_eq!(server.token(&[OWN]).await.1["scope"], "read");
    assert_eq!(server.token(&[OWN, ("scope", "")]).await.1["scope"], "read");
    // one that may not have the default gets what it may have
    let narrow = register(&server, |new| new.scopes = "send".parse().expect("scopes")).await;
    assert_eq!(token_as(&server, &narrow, &[OWN]).await.1["scope"], "send");
}

async fn a_scope_that_it_may_not_have_is_refused(db: TestDatabase) {
    let server = Server::start(db).await;
    let narrow = register(&server, |new| new.scopes = "read".parse().expect("scopes")).await;
    for scope in ["write", "write unknown", "unknown", "re\"ad", "read\twrite"] {
        assert_oauth_error(
            &token_as(&server, &narrow, &[OWN, ("scope", scope)]).await,
            StatusCode::BAD_REQUEST,
            "invalid_scope",
        );
    }
}

async fn its_rights_are_those_of_its_role(db: TestDatabase) {
    let server = Server::start(db).await;
    let viewer = register(&server, |new| new.role = "viewer".to_owned()).await;
    let body = token_as(&server, &viewer, &[OWN, ("scope", "read write")])
        .await
        .1;
    let ask = async |permission: &str| {
        server
            .verify(json!({"credential": text(&body, "access_token"), "permission": permission}))
            .await
    };
    let read = ask("documents:read").await;
    assert_eq!(
        (&read["code"], &read["actor"]["kind"]),
        (&"valid".into(), &"service_account".into()),
        "{read}"
    );
    assert_eq!(ask("documents:write").await["code"], "forbidden");
}

async fn a_deleted_applications_own_tokens_end_at_once(db: TestDatabase) {
    let server = Server::start(db).await;
    for format in [AccessTokenFormat::Jwt, AccessTokenFormat::Opaque] {
        let client = register(&server, |new| new.access_token_format = format).await;
        let body = token_as(&server, &client, &[OWN]).await.1;
        assert!(is_active(&server, text(&body, "access_token")).await);
        delete_application(&server, client.id).await;
        assert!(!is_active(&server, text(&body, "access_token")).await);
        assert_oauth_error(
            &token_as(&server, &client, &[OWN]).await,
            StatusCode::UNAUTHORIZED,
            "invalid_client",
        );
    }
}
