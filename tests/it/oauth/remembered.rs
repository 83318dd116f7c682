//! Consents that are remembered: when the page is skipped, what is shown when scopes grow, and what a revocation ends.

use countersign::domain::clients::consents;
use countersign::domain::lifecycle::quickstart::ADMIN;
use countersign::store::Tx;
use countersign::store::consents::Consent;
use countersign::types::environment::Environment;
use countersign::types::state::{
    AccessTokenFormat, AuthorizationState, ClientType, ProductionAccess,
};
use futures_util::future::join_all;
use reqwest::StatusCode;

use super::{
    Registered, add_organization, allow, assert_invalid_grant, authorize_with, browser_of, consent,
    is_active, refresh, register, text, token_as, token_as_public, user,
};
use crate::databases::{TestDatabase, both_databases};
use crate::server::{Browser, Server, VERIFIER, location, parameter};
use crate::tenants::approve;

both_databases!(
    a_proven_client_is_not_asked_about_again,
    an_unproven_client_is_always_asked_about,
    more_scopes_are_asked_for_and_marked_as_new,
    prompt_decides_whether_the_person_may_be_asked,
    a_changed_situation_is_asked_about,
    a_revoked_consent_ends_everything_that_came_of_it,
    a_revoked_consent_beats_a_silent_authorization,
    one_consent_has_so_many_authorizations_and_no_more,
    the_connection_that_was_unused_for_longest_makes_place,
    a_connection_that_is_used_at_the_same_time_stays_or_was_not_used,
    what_no_page_showed_together_is_asked_about,
    another_redirect_uri_is_asked_about,
    another_name_is_asked_about,
    a_port_of_this_machine_is_no_change,
    what_changes_while_the_page_is_read_is_not_allowed,
    who_was_removed_and_comes_back_is_asked_again,
    a_sign_out_ends_the_code_that_waits,
);

const HTTPS: &str = "https://app.example/cb";

/// A confidential client whose redirect URI only its owner can receive.
async fn proven(server: &Server) -> Registered {
    register(server, |new| {
        new.redirect_uris = vec![HTTPS.parse().expect("a redirect URI")];
        new.access_token_format = AccessTokenFormat::Opaque;
    })
    .await
}

fn path(client: &Registered, changes: &[(&str, Option<&str>)]) -> String {
    let mut all = vec![("redirect_uri", Some(HTTPS))];
    all.extend(changes);
    authorize_with(client.id.as_str(), &all)
}

/// Where the browser is sent without a page; none when it sees one.
async fn silent(browser: &Browser<'_>, path: &str) -> Option<String> {
    let response = browser.get(path).await;
    (response.status() == StatusCode::SEE_OTHER).then(|| location(response.headers()))
}

async fn tokens(server: &Server, client: &Registered, code: &str) -> serde_json::Value {
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", HTTPS),
        ("code_verifier", VERIFIER),
    ];
    let (status, body) = token_as(server, client, &form).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    body
}

async fn consents_of(server: &Server, client: &Registered) -> Vec<Consent> {
    let id = client.id;
    server
        .write(move |tx: &mut Tx| {
            user(tx, ADMIN).and_then(|admin| Ok(tx.list_live_consents(admin, id)?))
        })
        .await
}

async fn a_proven_client_is_not_asked_about_again(db: TestDatabase) {
    let server = Server::start(db).await;
    let client = proven(&server).await;
    let browser = server.signed_in_browser().await;
    let wide = path(&client, &[("scope", Some("read write"))]);
    assert!(silent(&browser, &wide).await.is_none());
    browser.allow(&wide).await;
    // the same, fewer scopes, or none named (the default ones): nothing is left to ask
    for scope in [Some("read write"), Some("write"), None] {
        let target = silent(&browser, &path(&client, &[("scope", scope)]))
            .await
            .expect("no page");
        // 9700-10
        assert_eq!(
            (
                parameter(&target, "state").as_deref(),
                parameter(&target, "iss")
            ),
            (Some("xyz"), Some(server.base.clone()))
        );
        let body = tokens(
            &server,
            &client,
            &parameter(&target, "code").expect("a code"),
        )
        .await;
        assert_eq!(
            body["scope"],
            scope.unwrap_or("read"),
            "exactly what was asked for, not what was remembered"
        );
        assert_eq!(
            server.introspect(text(&body, "access_token")).await["workspaces"][0],
            server.planted.workspace.as_str()
        );
    }
    // another person has not allowed anything
    super::add_workspace_member(&server, "mia@acme.example", "admin").await;
    assert!(
        silent(&browser_of(&server, "mia@acme.example").await, &wide)
            .await
            .is_none()
    );
    assert_eq!(consents_of(&server, &client).await.len(), 1);
}

async fn an_unproven_client_is_always_asked_about(db: TestDatabase) {
    // 9700-17: a public client, one on this machine, and another organization's that the operator has not verified
    let server = Server::start(db).await;
    let browser = server.signed_in_browser().await;
    let public = register(&server, |new| {
        (new.client_type, new.redirect_uris) =
            (ClientType::Public, vec![HTTPS.parse().expect("a URI")])
    })
    .await;
    let (beta, _) = add_organization(
        &server,
        "Beta",
        "bea@beta.example",
        ProductionAccess::Approved,
    )
    .await;
    let foreign = super::register_in(&server, beta, "bea@beta.example", |new| {
        (new.environment, new.redirect_uris) =
            (Environment::Production, vec![HTTPS.parse().expect("a URI")]);
    })
    .await;
    approve(&server, foreign.id).await;
    for request in [
        path(&public, &[]),
        path(&foreign, &[]),
        server.authorize_path("read"),
    ] {
        browser.allow(&request).await;
        consent(&browser, &request).await;
    }
    let id = foreign.id;
    let verify = move |tx: &mut Tx| {
        let application = tx
            .find_application(id)?
            .ok_or(countersign::domain::Refusal::NotFound)?;
        Ok(tx.set_application_verified(&application, true)?)
    };
    server.write(verify).await;
    assert!(silent(&browser, &path(&foreign, &[])).await.is_some());
}

async fn more_scopes_are_asked_for_and_marked_as_new(db: TestDatabase) {
    // MCP-27: only the new ones are new, and the old grant lives on
    let server = Server::start(db).await;
    let client = proven(&server).await;
    let browser = server.signed_in_browser().await;
    let first = tokens(
        &server,
        &client,
        &parameter(&browser.allow(&path(&client, &[])).await, "code").expect("a code"),
    )
    .await;
    let page = consent(&browser, &path(&client, &[("scope", Some("read send"))])).await;
    assert_eq!(page.html.matches(">New<").count(), 1);
    let new = page.html.find(">New<").expect("a mark");
    assert!(
        page.html[..new].rfind("Send documents") > page.html[..new].rfind("See your documents")
    );
    let target = location(allow(&browser, &page).await.headers());
    let second = tokens(
        &server,
        &client,
        &parameter(&target, "code").expect("a code"),
    )
    .await;
    assert_eq!(second["scope"], "read send");
    let [remembered] = consents_of(&server, &client)
        .await
        .try_into()
        .expect("one consent");
    assert_eq!(remembered.scopes.as_str(), "read send");
    // the first family neither grew nor ended
    assert_eq!(
        server.introspect(text(&first, "access_token")).await["scope"],
        "read"
    );
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", text(&first, "refresh_token")),
    ];
    assert_eq!(token_as(&server, &client, &form).await.1["scope"], "read");
    // fewer scopes on the page do not forget the others
    browser
        .allow(&path(
            &client,
            &[("prompt", Some("consent")), ("scope", Some("read"))],
        ))
        .await;
    assert_eq!(
        consents_of(&server, &client).await[0].scopes.as_str(),
        "read send"
    );
}

async fn prompt_decides_whether_the_person_may_be_asked(db: TestDatabase) {
    // OpenID Connect Core §3.1.2.1, 9700-6
    let server = Server::start(db).await;
    let client = proven(&server).await;
    let none = path(&client, &[("prompt", Some("none"))]);
    let error = async |browser: &Browser<'_>, path: &str| {
        let target = silent(browser, path).await.expect("a redirect");
        assert!(
            target.starts_with(HTTPS) && parameter(&target, "iss") == Some(server.base.clone()),
            "{target}"
        );
        parameter(&target, "error").expect("an error")
    };
    assert_eq!(error(&server.browser(), &none).await, "login_required");
    let browser = server.signed_in_browser().await;
    assert_eq!(error(&browser, &none).await, "consent_required");
    browser.allow(&path(&client, &[])).await;
    assert!(parameter(&silent(&browser, &none).await.expect("no page"), "code").is_some());
    for asked in ["consent", "select_account", "consent select_account"] {
        assert!(
            silent(&browser, &path(&client, &[("prompt", Some(asked))]))
                .await
                .is_none(),
            "{asked}"
        );
    }
    for wrong in ["login", "none consent", "NONE"] {
        assert_eq!(
            error(&browser, &path(&client, &[("prompt", Some(wrong))])).await,
            "invalid_request",
            "{wrong}"
        );
    }
}

async fn a_changed_situation_is_asked_about(db: TestDatabase) {
    let server = Server::start(db).await;
    let client = proven(&server).await;
    let person = super::add_workspace_member(&server, "mia@acme.example", "admin").await;
    let (organization, workspace) = (server.planted.organization, server.planted.workspace);
    let browser = browser_of(&server, "mia@acme.example").await;
    browser.allow(&path(&client, &[])).await;
    assert!(silent(&browser, &path(&client, &[])).await.is_some());
    // another API than the one on the page
    let (server_id, uri) = (server.planted.resource_server, "https://api.example/v1");
    server
        .write(move |tx| Ok(tx.insert_resource(server_id, &uri.parse().expect("a resource"))?))
        .await;
    assert!(
        silent(&browser, &path(&client, &[("resource", Some(uri))]))
            .await
            .is_none()
    );
    let page = consent(&browser, &path(&client, &[("resource", Some(uri))])).await;
    assert!(page.html.contains("Documents API"), "{}", page.html);
    allow(&browser, &page).await;
    assert!(
        silent(&browser, &path(&client, &[("resource", Some(uri))]))
            .await
            .is_some()
    );
    // the workspace that was chosen is not theirs any more
    let leave = move |tx: &mut Tx| {
        let other =
            countersign::domain::people::accounts::create_workspace(tx, organization, "Legal")?;
        countersign::domain::people::accounts::add_workspace_member(
            tx,
            organization,
            other.id,
            person,
            "viewer",
        )?;
        Ok(tx.delete_workspace_member(organization, workspace, person)?)
    };
    server.write(leave).await;
    assert!(silent(&browser, &path(&client, &[])).await.is_none());
}

async fn a_revoked_consent_ends_everything_that_came_of_it(db: TestDatabase) {
    let server = Server::start(db).await;
    let client = proven(&server).await;
    let browser = server.signed_in_browser().await;
    let first = tokens(
        &server,
        &client,
        &parameter(&browser.allow(&path(&client, &[])).await, "code").expect("a code"),
    )
    .await;
    let second = tokens(
        &server,
        &client,
        &parameter(
            &silent(&browser, &path(&client, &[]))
                .await
                .expect("no page"),
            "code",
        )
        .expect("a code"),
    )
    .await;
    let waiting = parameter(
        &silent(&browser, &path(&client, &[]))
            .await
            .expect("no page"),
        "code",
    )
    .expect("a code");
    let bystander = server.code_flow("read").await;
    let [remembered] = consents_of(&server, &client)
        .await
        .try_into()
        .expect("one consent");
    for _ in 0..2 {
        let id = remembered.id;
        server
            .write(move |tx| user(tx, ADMIN).and_then(|admin| consents::revoke(tx, admin, id)))
            .await;
    }
    for body in [&first, &second] {
        assert!(!is_active(&server, text(body, "access_token")).await);
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", text(body, "refresh_token")),
        ];
        assert_invalid_grant(&token_as(&server, &client, &form).await);
    }
    let form = [
        ("grant_type", "authorization_code"),
        ("code", waiting.as_str()),
        ("redirect_uri", HTTPS),
        ("code_verifier", VERIFIER),
    ];
    assert_invalid_grant(&token_as(&server, &client, &form).await);
    assert!(is_active(&server, text(&bystander, "access_token")).await);
    let page = consent(&browser, &path(&client, &[])).await;
    assert!(!page.html.contains("You have connected it before."));
    // nobody else can revoke it, nor learn of it
    super::add_workspace_member(&server, "eve@acme.example", "admin").await;
    let foreign = server
        .app
        .store
        .write(server.clock.now(), move |tx| {
            let eve = user(tx, "eve@acme.example")?;
            consents::revoke(tx, eve, remembered.id).map(countersign::store::Verdict::Done)
        })
        .await;
    assert_eq!(foreign, Err(countersign::domain::Refusal::NotFound));
}

async fn a_revoked_consent_beats_a_silent_authorization(db: TestDatabase) {
    // whoever comes second: behind the revocation's answer no code of that consent is worth anything
    let server = Server::start_with(db, |config| {
        (config.server.workers, config.database.connections) = (2, 8)
    })
    .await;
    let client = proven(&server).await;
    let browser = server.signed_in_browser().await;
    let request = path(&client, &[]);
    let mut raced = 0;
    for round in 0..60 {
        // the newest requests of a session stay: let time tell which they are
        server.clock.step_seconds(1);
        browser.allow(&request).await;
        let id = consents_of(&server, &client).await[0].id;
        let revoke = async {
            for _ in 0..round % 30 {
                tokio::task::yield_now().await;
            }
            server
                .write(move |tx| user(tx, ADMIN).and_then(|admin| consents::revoke(tx, admin, id)))
                .await;
        };
        // in every other round one code comes before for certain
        let before = if round % 2 == 0 {
            Some(browser.get(&request).await)
        } else {
            None
        };
        let asks = join_all((0..3).map(|_| browser.get(&request)));
        let (answers, ()) = tokio::join!(asks, revoke);
        for answer in answers.into_iter().chain(before) {
            assert!(!answer.status().is_server_error(), "{}", answer.status());
            if answer.status() != StatusCode::SEE_OTHER {
                continue;
            }
            let target = location(answer.headers());
            if let Some(code) = parameter(&target, "code") {
                raced += 1;
                let form = [
                    ("grant_type", "authorization_code"),
                    ("code", code.as_str()),
                    ("redirect_uri", HTTPS),
                    ("code_verifier", VERIFIER),
                ];
                assert_invalid_grant(&token_as(&server, &client, &form).await);
            }
        }
    }
    assert!(
        raced >= 30,
        "only {raced} codes came before their revocation"
    );
}

async fn one_consent_has_so_many_authorizations_and_no_more(db: TestDatabase) {
    let server = Server::start(db).await;
    let client = proven(&server).await;
    let browser = server.signed_in_browser().await;
    let connect = async || {
        server.clock.step_seconds(1);
        let target = silent(&browser, &path(&client, &[]))
            .await
            .expect("no page");
        tokens(
            &server,
            &client,
            &parameter(&target, "code").expect("a code"),
        )
        .await
    };
    let oldest = tokens(
        &server,
        &client,
        &parameter(&browser.allow(&path(&client, &[])).await, "code").expect("a code"),
    )
    .await;
    let next = connect().await;
    // codes that nobody redeems, as a page elsewhere could make them, cost nobody a connection
    for _ in 0..60 {
        server.clock.step_seconds(1);
        silent(&browser, &path(&client, &[("prompt", Some("none"))]))
            .await
            .expect("no page");
    }
    assert!(is_active(&server, text(&oldest, "access_token")).await);
    for _ in 0..49 {
        connect().await;
    }
    assert!(
        !is_active(&server, text(&oldest, "access_token")).await,
        "the oldest made place"
    );
    assert!(is_active(&server, text(&next, "access_token")).await);
    let [remembered] = consents_of(&server, &client)
        .await
        .try_into()
        .expect("one consent");
    let live = server
        .app
        .store
        .read(move |c| c.list_authorizations_of_consent(remembered.id))
        .await
        .expect("a read");
    let active = live
        .iter()
        .filter(|own| own.state == AuthorizationState::Active)
        .count();
    assert!(
        active == 50 && live.len() - active <= 20,
        "{active} of {}",
        live.len()
    );
}

/// Three connections of one person and application are allowed.
async fn of_three(db: TestDatabase) -> Server {
    Server::start_with(db, |config| config.oauth.max_connections_per_consent = 3).await
}

async fn connection(server: &Server, browser: &Browser<'_>) -> String {
    let target = browser.allow(&server.authorize_path("read")).await;
    let code = parameter(&target, "code").expect("a code");
    server.clock.step_seconds(1);
    let (status, tokens) = server.redeem(&code).await;
    assert_eq!(status, StatusCode::OK, "{tokens}");
    text(&tokens, "refresh_token").to_owned()
}

async fn the_connection_that_was_unused_for_longest_makes_place(db: TestDatabase) {
    let server = of_three(db).await;
    let browser = server.signed_in_browser().await;
    let mut job = connection(&server, &browser).await;
    let mut others = Vec::new();
    for _ in 0..5 {
        others.push(connection(&server, &browser).await);
        server.clock.step_seconds(1);
        let (status, tokens) = refresh(&server, &job).await;
        assert_eq!(status, StatusCode::OK, "the oldest is in use: {tokens}");
        job = text(&tokens, "refresh_token").to_owned();
    }
    for (number, other) in others.iter().enumerate() {
        let answer = refresh(&server, other).await;
        if number < 3 {
            assert_invalid_grant(&answer);
            let why = text(&answer.1, "error_description");
            assert!(
                why.contains("oauth.max_connections_per_consent")
                    && why.contains("unused for longest"),
                "{why}"
            );
        } else {
            assert_eq!(answer.0, StatusCode::OK, "{}", answer.1);
        }
    }
    let ended = server.database.everything_in("audit_events");
    assert!(ended.contains("unused for longest"));
    assert_eq!(server.database.count_events("authorization.revoked"), 3);
}

async fn a_connection_that_is_used_at_the_same_time_stays_or_was_not_used(db: TestDatabase) {
    let server = of_three(db).await;
    let browser = server.signed_in_browser().await;
    let mut live = Vec::new();
    for _ in 0..3 {
        live.push(connection(&server, &browser).await);
    }
    for _ in 0..4 {
        let codes = [
            browser.allow(&server.authorize_path("read")).await,
            browser.allow(&server.authorize_path("read")).await,
        ];
        let codes = codes.map(|target| parameter(&target, "code").expect("a code"));
        server.clock.step_seconds(1);
        let oldest = live.remove(0);
        let ((one, two), used) = futures_util::join!(
            async { futures_util::join!(server.redeem(&codes[0]), server.redeem(&codes[1])) },
            refresh(&server, &oldest)
        );
        assert_eq!((one.0, two.0), (StatusCode::OK, StatusCode::OK));
        live = [&one.1, &two.1]
            .map(|tokens| text(tokens, "refresh_token").to_owned())
            .into();
        if used.0 == StatusCode::OK {
            let again = refresh(&server, text(&used.1, "refresh_token")).await;
            assert_eq!(
                again.0,
                StatusCode::OK,
                "used, and so not unused: {}",
                again.1
            );
            live.insert(0, text(&again.1, "refresh_token").to_owned());
        } else {
            assert_invalid_grant(&used);
            live.insert(0, connection(&server, &browser).await);
        }
    }
    let counted = server.database.count_events("authorization.allowed")
        - server.database.count_events("authorization.revoked");
    assert_eq!(counted, 3, "never more, never fewer");
}

async fn what_no_page_showed_together_is_asked_about(db: TestDatabase) {
    // the page is the promise: scopes of one workspace, or of one API, are not those of another
    let server = Server::start(db).await;
    let client = proven(&server).await;
    let (organization, resource_server) =
        (server.planted.organization, server.planted.resource_server);
    let legal = server
        .write(move |tx| {
            countersign::domain::people::accounts::create_workspace(tx, organization, "Legal")
        })
        .await
        .id;
    let browser = server.signed_in_browser().await;
    browser
        .allow(&path(&client, &[("scope", Some("send"))]))
        .await;
    // another workspace for reading: sending there was never allowed
    let page = consent(&browser, &path(&client, &[])).await;
    let fields = [
        ("organization", organization.as_str()),
        ("workspace", legal.as_str()),
        ("decision", "allow"),
    ];
    assert_eq!(
        super::answer(&browser, &page, &fields).await.status(),
        StatusCode::SEE_OTHER
    );
    assert!(
        silent(&browser, &path(&client, &[("scope", Some("send"))]))
            .await
            .is_none()
    );
    assert!(silent(&browser, &path(&client, &[])).await.is_some());
    // nor do scopes wander from one API to another
    let (one, other) = ("https://one.example", "https://other.example");
    server
        .write(move |tx| {
            for uri in [one, other] {
                tx.insert_resource(resource_server, &uri.parse().expect("a resource"))?;
            }
            Ok(())
        })
        .await;
    for (scope, uri) in [("read", one), ("write", other)] {
        let page = consent(
            &browser,
            &path(
                &client,
                &[
                    ("scope", Some(scope)),
                    ("resource", Some(uri)),
                    ("prompt", Some("consent")),
                ],
            ),
        )
        .await;
        super::answer(&browser, &page, &fields).await;
        assert!(
            silent(
                &browser,
                &path(&client, &[("scope", Some(scope)), ("resource", Some(uri))])
            )
            .await
            .is_some()
        );
    }
    assert!(
        silent(
            &browser,
            &path(
                &client,
                &[("scope", Some("write")), ("resource", Some(one))]
            )
        )
        .await
        .is_none()
    );
}

/// Its makers change what people are shown of it.
async fn change(server: &Server, client: &Registered, name: &'static str, uris: &[&str]) {
    let (id, uris) = (client.id, uris.iter());
    let uris: Vec<_> = uris.map(|uri| uri.parse().expect("a URI")).collect();
    let write = move |tx: &mut Tx| {
        let found = tx.find_application(id)?.expect("there is one");
        let changed = countersign::store::applications::Application {
            name: name.to_owned(),
            ..found
        };
        tx.change_application(&changed)?;
        Ok(tx.change_redirect_uris(&changed, &uris)?)
    };
    server.write(write).await;
}

async fn another_redirect_uri_is_asked_about(db: TestDatabase) {
    // RFC 6749 §10.2: what was allowed is bound to where it sends people, and to what was shown together with that
    const OTHER: &str = "https://ben-at-home.example/cb";
    let server = Server::start(db).await;
    let client = proven(&server).await;
    let browser = server.signed_in_browser().await;
    let at = |uri: &'static str, scope: &'static str| {
        path(
            &client,
            &[("redirect_uri", Some(uri)), ("scope", Some(scope))],
        )
    };
    browser.allow(&at(HTTPS, "read write")).await;
    assert!(silent(&browser, &at(HTTPS, "read write")).await.is_some());
    change(&server, &client, "Second application", &[HTTPS, OTHER]).await;
    let none = at(OTHER, "read") + "&prompt=none";
    let target = silent(&browser, &none).await.expect("a redirect");
    assert_eq!(
        parameter(&target, "error").as_deref(),
        Some("consent_required")
    );
    let page = consent(&browser, &at(OTHER, "read")).await;
    for shown in [
        "It has changed since you connected it",
        OTHER,
        HTTPS,
        ">New<",
    ] {
        assert!(page.html.contains(shown), "{shown}: {}", page.html);
    }
    assert!(silent(&browser, &at(HTTPS, "read write")).await.is_some());
    allow(&browser, &page).await;
    assert!(silent(&browser, &at(OTHER, "read")).await.is_some());
    assert!(silent(&browser, &at(HTTPS, "read write")).await.is_some());
    // no page has shown more than reading there
    assert!(silent(&browser, &at(OTHER, "write")).await.is_none());
    // the same host with another path is another redirect URI
    let other_path = "https://app.example/cb2";
    change(&server, &client, "Second application", &[HTTPS, other_path]).await;
    assert!(silent(&browser, &at(other_path, "read")).await.is_none());
}

async fn another_name_is_asked_about(db: TestDatabase) {
    let server = Server::start(db).await;
    let client = proven(&server).await;
    let browser = server.signed_in_browser().await;
    let asked = |scope: &'static str| path(&client, &[("scope", Some(scope))]);
    browser.allow(&asked("read write")).await;
    server.clock.step_seconds(1);
    change(&server, &client, "Security Center", &[HTTPS]).await;
    let page = consent(&browser, &asked("read")).await;
    for shown in [
        "Security Center",
        "Then it was called",
        "Second application",
    ] {
        assert!(page.html.contains(shown), "{shown}: {}", page.html);
    }
    allow(&browser, &page).await;
    assert!(silent(&browser, &asked("read")).await.is_some());
    // what the old name was allowed, the new one was not
    let page = consent(&browser, &asked("write")).await;
    assert!(!page.html.contains("Then it was called"), "{}", page.html);
    // nor at this redirect URI what it was allowed at another one
    let other = "https://app.example/other";
    change(&server, &client, "Security Center", &[HTTPS, other]).await;
    browser
        .allow(&path(
            &client,
            &[("redirect_uri", Some(other)), ("scope", Some("write"))],
        ))
        .await;
    assert!(silent(&browser, &asked("write")).await.is_none());
}

async fn a_port_of_this_machine_is_no_change(db: TestDatabase) {
    // RFC 8252 §7.3: a native application listens at another port every time
    let server = Server::start(db).await;
    let client = register(&server, |new| {
        new.client_type = ClientType::Public;
        new.redirect_uris = ["http://127.0.0.1/cb", "http://127.0.0.1/other"]
            .map(|uri| uri.parse().expect("a URI"))
            .to_vec();
    })
    .await;
    let browser = server.signed_in_browser().await;
    let at = |uri: &'static str| path(&client, &[("redirect_uri", Some(uri))]);
    browser.allow(&at("http://127.0.0.1:1111/cb")).await;
    for (uri, changed) in [
        ("http://127.0.0.1:2222/cb", false),
        ("http://127.0.0.1:1111/other", true),
    ] {
        let page = consent(&browser, &at(uri)).await;
        assert_eq!(page.html.contains("It has changed"), changed, "{uri}");
    }
}

async fn what_changes_while_the_page_is_read_is_not_allowed(db: TestDatabase) {
    // the page is the promise: what was allowed is what it showed
    let server = Server::start(db).await;
    let client = proven(&server).await;
    let browser = server.signed_in_browser().await;
    let page = consent(&browser, &path(&client, &[])).await;
    change(&server, &client, "Security Center", &[HTTPS]).await;
    let response = allow(&browser, &page).await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let html = response.text().await.expect("text");
    assert!(
        html.contains("has changed since this page was made") && html.contains("Security Center"),
        "{html}"
    );
    assert_eq!(consents_of(&server, &client).await.len(), 0);
    let again = super::Consent {
        request: crate::server::hidden(&html, "request").expect("a request"),
        ..page
    };
    let response = allow(&browser, &again).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    let [remembered] = consents_of(&server, &client)
        .await
        .try_into()
        .expect("one consent");
    assert_eq!(remembered.application_name, "Security Center");
}

async fn who_was_removed_and_comes_back_is_asked_again(db: TestDatabase) {
    let server = Server::start(db).await;
    let client = proven(&server).await;
    let person = super::add_workspace_member(&server, "mia@acme.example", "admin").await;
    let organization = server.planted.organization;
    let browser = browser_of(&server, "mia@acme.example").await;
    browser.allow(&path(&client, &[])).await;
    assert!(silent(&browser, &path(&client, &[])).await.is_some());
    server.clock.step_seconds(1);
    let returns = move |tx: &mut Tx| {
        countersign::domain::people::endings::end(tx, organization, person, None, "a test")?;
        Ok(countersign::domain::people::accounts::add_member(
            tx,
            organization,
            person,
            countersign::types::state::OrganizationRole::Member,
        )?)
    };
    server.write(returns).await;
    assert!(silent(&browser, &path(&client, &[])).await.is_none());
}

async fn a_sign_out_ends_the_code_that_waits(db: TestDatabase) {
    // 9700-18: a code is bound to the session it was allowed in
    let server = Server::start(db).await;
    let client = super::register_public(&server).await;
    let browser = server.signed_in_browser().await;
    let code = parameter(
        &browser
            .allow(&authorize_with(client.id.as_str(), &[]))
            .await,
        "code",
    )
    .expect("a code");
    assert_eq!(
        browser
            .submit(
                &format!("/dev-centre/{}/api-keys", server.planted.organization),
                "/logout",
                &[]
            )
            .await
            .status(),
        StatusCode::SEE_OTHER
    );
    assert_invalid_grant(&token_as_public(&server, &client, &super::redemption(&code)).await);
}
