//! `POST /oauth2/introspect` (RFC 7662): who may ask, and how every change shows at once.

use countersign::crypto::digest::Purpose;
use countersign::crypto::format::{TokenKind, mint_token};
use countersign::domain::operations::resource_servers::{self, NewResourceServer};
use countersign::store::application_secrets::NewSecret;
use countersign::types::environment::Environment;
use countersign::types::state::ObligationKind;
use countersign::types::state::{
    AccessTokenFormat, Licence, OrganizationRole, OrganizationState, ProductionAccess, UserState,
};
use reqwest::header::WWW_AUTHENTICATE;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};

use super::{
    Registered, add_organization, add_workspace_member, allow, assert_oauth_error, authorize_with,
    browser_of, consent, is_active, redemption, register, register_in, send, text, token_as,
};
use crate::databases::{TestDatabase, both_databases};
use crate::server::{Server, location, parameter};
use crate::tenants::approve;

both_databases!(
    an_active_token_is_described,
    whatever_is_wrong_with_a_token_reads_the_same,
    an_api_key_is_no_token,
    a_wrong_hint_still_finds_the_token,
    only_a_resource_server_may_ask,
    a_request_without_a_token_is_refused,
    a_resource_server_of_another_environment_sees_nothing,
    a_suspended_user_is_inactive_at_once,
    a_removed_member_is_inactive_at_once,
    a_read_only_licence_takes_the_writing_away_at_once,
    a_demoted_member_loses_the_rights_at_once,
    a_lost_workspace_is_lost_at_once,
    a_suspended_organization_is_inactive_at_once,
    production_withdrawn_is_inactive_at_once,
    the_applications_organization_decides_too,
    garbage_does_not_shut_good_tokens_out,
);

async fn an_active_token_is_described(db: TestDatabase) {
    // RFC 7662 §2.2
    let server = Server::start(db).await;
    let tokens = server.code_flow("read").await;
    let answer = server.introspect(text(&tokens, "access_token")).await;
    let planted = &server.planted;
    assert_eq!(answer["active"], true);
    for (name, value) in [
        ("iss", server.base.as_str()),
        ("aud", &server.base),
        ("client_id", planted.application.as_str()),
        ("token_type", "Bearer"),
        ("scope", "read"),
        ("organization", planted.organization.as_str()),
        ("environment", "sandbox"),
    ] {
        assert_eq!(answer[name], value, "{name}");
    }
    assert_eq!(answer["workspaces"], json!([planted.workspace.as_str()]));
    assert!(text(&answer, "sub").starts_with("usr_"));
}

async fn whatever_is_wrong_with_a_token_reads_the_same(db: TestDatabase) {
    // 9700-41
    let server = Server::start(db).await;
    let tokens = server.code_flow("read").await;
    let opaque = register(&server, |new| {
        new.access_token_format = AccessTokenFormat::Opaque
    })
    .await;
    let own = token_as(&server, &opaque, &[("grant_type", "client_credentials")])
        .await
        .1;
    let changed = |token: &str| {
        format!(
            "{}{}",
            &token[..token.len() - 1],
            if token.ends_with('A') { 'B' } else { 'A' }
        )
    };
    let (jwt, own) = (text(&tokens, "access_token"), text(&own, "access_token"));
    assert!(is_active(&server, jwt).await && is_active(&server, own).await);
    let code = server.code("read").await;
    let foreign = mint_token("cs", TokenKind::AccessToken).expose().to_owned();
    let (long, dots) = ("x".repeat(60_000), ".".repeat(60_000));
    for wrong in [
        "x",
        "a.b.c",
        "\u{e4}\u{1F511}",
        &changed(jwt),
        &changed(own),
        &foreign,
        &code,
        text(&tokens, "refresh_token"),
        &server.secrets.client_secret,
        &long,
        &dots,
    ] {
        assert!(!is_active(&server, wrong).await, "{wrong}");
    }
    server.clock.step_seconds(900);
    assert!(!is_active(&server, jwt).await && !is_active(&server, own).await);
}

async fn an_api_key_is_no_token(db: TestDatabase) {
    let server = Server::start(db).await;
    assert!(!is_active(&server, &server.secrets.sandbox_key).await);
    assert!(!is_active(&server, &server.secrets.production_key).await);
}

async fn a_wrong_hint_still_finds_the_token(db: TestDatabase) {
    // RFC 7662 §2.1
    let server = Server::start(db).await;
    let tokens = server.code_flow("read").await;
    for hint in ["refresh_token", "access_token", "nonsense"] {
        let form = [
            ("token", text(&tokens, "access_token")),
            ("token_type_hint", hint),
        ];
        assert_eq!(
            send(server.as_resource_server("/oauth2/introspect").form(&form))
                .await
                .1["active"],
            true
        );
    }
}

async fn only_a_resource_server_may_ask(db: TestDatabase) {
    // RFC 7662 §2.1, 9700-41
    let server = Server::start(db).await;
    let tokens = server.code_flow("read").await;
    let token = [("token", text(&tokens, "access_token"))];
    let (id, secret) = (
        server.planted.resource_server,
        server.secrets.resource_server_secret.as_str(),
    );
    let post = || server.post("/oauth2/introspect");
    let requests: [RequestBuilder; 6] = [
        post().form(&token),
        post().basic_auth(id, Some("guess")).form(&token),
        post().basic_auth("rs_unknown", Some(secret)).form(&token),
        post().form(&[
            token[0],
            ("client_id", id.as_str()),
            ("client_secret", secret),
        ]),
        post().bearer_auth(token[0].1).form(&token),
        server.as_application("/oauth2/introspect").form(&token),
    ];
    let mut bodies = Vec::new();
    for request in requests {
        let response = request.send().await.expect("an answer");
        assert!(response.headers().contains_key(WWW_AUTHENTICATE));
        bodies.push(crate::server::json(response).await);
    }
    assert_oauth_error(&bodies[0], StatusCode::UNAUTHORIZED, "invalid_client");
    for body in &bodies {
        assert_eq!(body, &bodies[0]);
    }
}

async fn a_request_without_a_token_is_refused(db: TestDatabase) {
    let server = Server::start(db).await;
    for request in [
        server
            .as_resource_server("/oauth2/introspect")
            .form(&[("token_type_hint", "access_token")]),
        server
            .as_resource_server("/oauth2/introspect")
            .form(&[("token", "x"), ("token", "y")]),
        server
            .as_resource_server("/oauth2/introspect?token=x")
            .form(&[("token", "x")]),
        server
            .as_resource_server("/oauth2/introspect")
            .json(&json!({"token": "x"})),
    ] {
        assert_oauth_error(
            &send(request).await,
            StatusCode::BAD_REQUEST,
            "invalid_request",
        );
    }
}

async fn a_resource_server_of_another_environment_sees_nothing(db: TestDatabase) {
    let server = Server::start(db).await;
    let tokens = server.code_flow("read").await;
    let secret = mint_token("cs", TokenKind::ClientSecret)
        .expose()
        .to_owned();
    let digest = server.app.digester.digest(Purpose::ClientSecret, &secret);
    let create = move |tx: &mut countersign::store::Tx| {
        let new = NewResourceServer {
            name: "Production API".to_owned(),
            environment: Some(Environment::Production),
            obligations: ObligationKind::ALL.to_vec(),
            default_audience: true,
            secret: NewSecret {
                digest: digest.clone(),
                hint: String::new(),
            },
        };
        Ok(resource_servers::create(tx, &new)?)
    };
    let id = server.write(create).await.id;
    let form = [("token", text(&tokens, "access_token"))];
    let answer = send(
        server
            .post("/oauth2/introspect")
            .basic_auth(id, Some(secret))
            .form(&form),
    )
    .await;
    assert_eq!(answer, (StatusCode::OK, json!({"active": false})));
}

/// A member of a workspace, a token that they allowed, and what it may do.
struct Held<'s> {
    server: &'s Server,
    person: countersign::types::id::UserId,
    token: String,
}

impl<'s> Held<'s> {
    async fn new(server: &'s Server, role: &'static str) -> Self {
        let person = add_workspace_member(server, "mia@acme.example", role).await;
        let browser = browser_of(server, "mia@acme.example").await;
        let page = consent(&browser, &server.authorize_path("read write")).await;
        let code =
            parameter(&location(allow(&browser, &page).await.headers()), "code").expect("a code");
        let tokens = server.redeem(&code).await.1;
        let held = Self {
            server,
            person,
            token: text(&tokens, "access_token").to_owned(),
        };
        assert!(is_active(server, &held.token).await);
        held
    }

    async fn permissions(&self) -> Vec<String> {
        let answer = self.server.verify(json!({"credential": self.token})).await;
        assert_eq!(answer["code"], "valid", "{answer}");
        answer["permissions"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|name| name.as_str().expect("a name").to_owned())
            .collect()
    }
}

async fn a_suspended_user_is_inactive_at_once(db: TestDatabase) {
    let server = Server::start(db).await;
    let held = Held::new(&server, "member").await;
    let person = held.person;
    server
        .write(move |tx| {
            Ok(tx.change_user_state(person, UserState::Active, UserState::Suspended)?)
        })
        .await;
    assert!(!is_active(&server, &held.token).await);
    server
        .write(move |tx| {
            Ok(tx.change_user_state(person, UserState::Suspended, UserState::Active)?)
        })
        .await;
    assert!(is_active(&server, &held.token).await);
}

async fn a_removed_member_is_inactive_at_once(db: TestDatabase) {
    let server = Server::start(db).await;
    let held = Held::new(&server, "member").await;
    let (organization, workspace, person) = (
        server.planted.organization,
        server.planted.workspace,
        held.person,
    );
    let leave = move |tx: &mut countersign::store::Tx| {
        tx.delete_workspace_member(organization, workspace, person)?;
        Ok(tx.delete_member(organization, person)?)
    };
    server.write(leave).await;
    assert!(!is_active(&server, &held.token).await);
    assert_eq!(
        server.verify(json!({"credential": held.token})).await["code"],
        "not_found"
    );
}

async fn a_read_only_licence_takes_the_writing_away_at_once(db: TestDatabase) {
    let server = Server::start(db).await;
    let held = Held::new(&server, "member").await;
    assert!(
        held.permissions()
            .await
            .contains(&"documents:write".to_owned())
    );
    let (organization, person) = (server.planted.organization, held.person);
    server
        .write(move |tx| {
            Ok(tx.change_member_licence(organization, person, Licence::Full, Licence::ReadOnly)?)
        })
        .await;
    let left = held.permissions().await;
    assert!(
        left.contains(&"documents:read".to_owned())
            && !left.iter().any(|name| name.ends_with(":write")),
        "{left:?}"
    );
}

async fn a_demoted_member_loses_the_rights_at_once(db: TestDatabase) {
    let server = Server::start(db).await;
    let held = Held::new(&server, "manager").await;
    assert!(
        held.permissions()
            .await
            .contains(&"templates:write".to_owned())
    );
    let (organization, workspace, person) = (
        server.planted.organization,
        server.planted.workspace,
        held.person,
    );
    server
        .write(move |tx| {
            Ok(tx.change_workspace_role(organization, workspace, person, "manager", "viewer")?)
        })
        .await;
    assert!(
        !held
            .permissions()
            .await
            .iter()
            .any(|name| name.ends_with(":write"))
    );
    // a promotion gives no more than was asked for
    server
        .write(move |tx| {
            Ok(tx.change_member_role(
                organization,
                person,
                OrganizationRole::Member,
                OrganizationRole::Owner,
            )?)
        })
        .await;
    let promoted = held.permissions().await;
    assert!(
        promoted.contains(&"documents:write".to_owned())
            && !promoted.contains(&"documents:send".to_owned()),
        "{promoted:?}"
    );
}

async fn a_lost_workspace_is_lost_at_once(db: TestDatabase) {
    let server = Server::start(db).await;
    let held = Held::new(&server, "member").await;
    let (organization, workspace, person) = (
        server.planted.organization,
        server.planted.workspace,
        held.person,
    );
    server
        .write(move |tx| Ok(tx.delete_workspace_member(organization, workspace, person)?))
        .await;
    // an empty list never means the organization
    assert!(!is_active(&server, &held.token).await);
}

async fn a_suspended_organization_is_inactive_at_once(db: TestDatabase) {
    let server = Server::start(db).await;
    let tokens = server.code_flow("read").await;
    assert!(is_active(&server, text(&tokens, "access_token")).await);
    let organization = server.planted.organization;
    server
        .write(move |tx| {
            Ok(tx.change_organization_state(
                organization,
                OrganizationState::Active,
                OrganizationState::Suspended,
            )?)
        })
        .await;
    assert!(!is_active(&server, text(&tokens, "access_token")).await);
    assert_oauth_error(
        &server.token(&[("grant_type", "client_credentials")]).await,
        StatusCode::UNAUTHORIZED,
        "invalid_client",
    );
}

async fn production_withdrawn_is_inactive_at_once(db: TestDatabase) {
    let server = Server::start(db).await;
    let client: Registered =
        register(&server, |new| new.environment = Environment::Production).await;
    let own = token_as(&server, &client, &[("grant_type", "client_credentials")])
        .await
        .1;
    let browser = server.signed_in_browser().await;
    let code = parameter(
        &browser
            .allow(&authorize_with(client.id.as_str(), &[]))
            .await,
        "code",
    )
    .expect("a code");
    let tokens: Value = token_as(&server, &client, &redemption(&code)).await.1;
    for body in [&own, &tokens] {
        assert_eq!(
            server.introspect(text(body, "access_token")).await["environment"],
            "production"
        );
    }
    let organization = server.planted.organization;
    server
        .write(move |tx| {
            Ok(tx.change_production_access(
                organization,
                ProductionAccess::Approved,
                ProductionAccess::Withdrawn,
            )?)
        })
        .await;
    for body in [&own, &tokens] {
        assert!(!is_active(&server, text(body, "access_token")).await);
    }
}

async fn the_applications_organization_decides_too(db: TestDatabase) {
    let server = Server::start(db).await;
    let (beta, _) = add_organization(
        &server,
        "Beta",
        "bea@beta.example",
        ProductionAccess::Approved,
    )
    .await;
    let client = register_in(&server, beta, "bea@beta.example", |new| {
        new.environment = Environment::Production
    })
    .await;
    approve(&server, client.id).await;
    let browser = server.signed_in_browser().await;
    let code = parameter(
        &browser
            .allow(&authorize_with(client.id.as_str(), &[]))
            .await,
        "code",
    )
    .expect("a code");
    let tokens = token_as(&server, &client, &redemption(&code)).await.1;
    let token = text(&tokens, "access_token");
    let ends = async || {
        assert!(!is_active(&server, token).await);
        assert_ne!(
            server.verify(json!({"credential": token})).await["code"],
            "valid"
        );
    };
    assert!(is_active(&server, token).await);
    server
        .write(move |tx| {
            Ok(tx.change_production_access(
                beta,
                ProductionAccess::Approved,
                ProductionAccess::Withdrawn,
            )?)
        })
        .await;
    ends().await;
    server
        .write(move |tx| {
            Ok(tx.change_production_access(
                beta,
                ProductionAccess::Withdrawn,
                ProductionAccess::Approved,
            )?)
        })
        .await;
    assert!(is_active(&server, token).await);
    server
        .write(move |tx| {
            Ok(tx.change_organization_state(
                beta,
                OrganizationState::Active,
                OrganizationState::Suspended,
            )?)
        })
        .await;
    ends().await;
    server
        .write(move |tx| {
            Ok(tx.change_organization_state(
                beta,
                OrganizationState::Suspended,
                OrganizationState::Active,
            )?)
        })
        .await;
    assert!(is_active(&server, token).await);
    server
        .write(move |tx| Ok(tx.delete_application(beta, client.id)?))
        .await;
    ends().await;
}

async fn garbage_does_not_shut_good_tokens_out(db: TestDatabase) {
    // whoever sends garbage to the vendor's API must not end the API for everybody else
    let server = Server::start(db).await;
    let most = server.app.config.limits.unknown_credentials.quota;
    for _ in 0..=most {
        let garbage = mint_token("cs", TokenKind::AccessToken);
        let request = server
            .as_resource_server("/oauth2/introspect")
            .form(&[("token", garbage.expose())]);
        assert_eq!(send(request).await.0, StatusCode::OK);
        assert_eq!(
            server.verify(json!({"credential": garbage.expose()})).await["code"],
            "not_found"
        );
    }
    let tokens = server.code_flow("read").await;
    assert!(is_active(&server, text(&tokens, "access_token")).await);
    assert_eq!(
        server
            .verify(json!({"credential": server.secrets.sandbox_key}))
            .await["code"],
        "valid"
    );
}
