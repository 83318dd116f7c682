//! `POST /oauth2/authorize` and `GET /oauth2/authorize/consent`: the person's decision, and whose it is.

use countersign::config::ScopeEntry;
use countersign::domain::clients::consents::MOST_WORKSPACES;
use countersign::domain::lifecycle::quickstart::ADMIN;
use countersign::domain::people::accounts;
use countersign::types::environment::Environment;
use countersign::types::state::{OrganizationRole, ProductionAccess};
use reqwest::{Response, StatusCode};

use super::{
    Consent, add_organization, add_workspace_member, allow, answer, assert_error_page,
    authorize_with, browser_of, consent, delete_application, is_active, register, register_in,
    text,
};
use crate::databases::{TestDatabase, both_databases};
use crate::server::{Browser, REDIRECT_URI, Server, hidden, location, parameter};
use crate::tenants::approve;

both_databases!(
    allowing_sends_a_code_to_the_redirect_uri,
    denying_tells_the_client_and_nothing_else,
    a_registered_query_stays,
    a_form_without_the_browsers_own_token_is_refused,
    another_sessions_request_cannot_be_answered,
    a_double_click_arrives,
    who_allows_what_they_denied_is_asked_again,
    a_form_of_a_session_that_has_ended_leads_back,
    a_request_expires,
    a_request_ends_with_its_application,
    no_workspace_chosen_shows_the_page_again,
    a_workspace_of_somebody_else_cannot_be_chosen,
    an_organization_of_somebody_else_cannot_be_chosen,
    only_an_admin_can_allow_every_workspace,
    another_organization_can_be_chosen,
    as_many_workspaces_as_can_be_chosen_make_a_token_that_works,
    names_are_escaped,
    a_form_that_says_neither_or_both_decides_nothing,
);

async fn allowing_sends_a_code_to_the_redirect_uri(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = server.signed_in_browser().await;
    let page = consent(&browser, &server.authorize_path("read")).await;
    let response = allow(&browser, &page).await;
    // 9700-14
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert_eq!(response.headers()["cache-control"], "no-store");
    let target = location(response.headers());
    assert!(
        target.starts_with(&format!("{REDIRECT_URI}?code=cs_ac_")),
        "{target}"
    );
    assert_eq!(parameter(&target, "state").as_deref(), Some("xyz"));
    assert_eq!(
        parameter(&target, "iss").as_deref(),
        Some(server.base.as_str())
    );
    // the code is in no page and in no cookie
    assert!(response.headers().get("set-cookie").is_none());
}

async fn denying_tells_the_client_and_nothing_else(db: TestDatabase) {
    // RFC 6749 §4.1.2.1
    let server = Server::start(db).await;
    let browser = server.signed_in_browser().await;
    let page = consent(&browser, &server.authorize_path("read")).await;
    let response = answer(&browser, &page, &[("decision", "deny")]).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    let target = location(response.headers());
    assert_eq!(
        parameter(&target, "error").as_deref(),
        Some("access_denied")
    );
    assert_eq!(parameter(&target, "state").as_deref(), Some("xyz"));
    assert_eq!(
        parameter(&target, "iss").as_deref(),
        Some(server.base.as_str())
    );
    assert_eq!(parameter(&target, "code"), None);
    // it is decided: whoever allows it now is asked from the beginning
    asked_again(&browser, allow(&browser, &page).await).await;
}

/// Nothing was decided: the browser is led to the page again, whatever was allowed before.
async fn asked_again(browser: &Browser<'_>, response: Response) -> Consent {
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    let path = location(response.headers());
    assert!(path.starts_with("/oauth2/authorize?"), "{path}");
    consent(browser, &path).await
}

async fn a_registered_query_stays(db: TestDatabase) {
    // RFC 6749 §3.1.2
    let server = Server::start(db).await;
    let client = register(&server, |new| {
        new.redirect_uris = vec![
            "https://app.example/cb?tenant=a%26b"
                .parse()
                .expect("a URI"),
        ]
    })
    .await;
    let path = authorize_with(client.id.as_str(), &[("redirect_uri", None)]);
    let target = server.signed_in_browser().await.allow(&path).await;
    assert!(
        target.starts_with("https://app.example/cb?tenant=a%26b&code="),
        "{target}"
    );
}

async fn a_form_without_the_browsers_own_token_is_refused(db: TestDatabase) {
    let server = Server::start(db).await;
    let (browser, other) = (
        server.signed_in_browser().await,
        server.signed_in_browser().await,
    );
    let page = consent(&browser, &server.authorize_path("read")).await;
    let foreign = consent(&other, &server.authorize_path("read")).await.csrf;
    assert_ne!(page.csrf, foreign);
    let stranger = hidden(
        &server
            .browser()
            .get("/login")
            .await
            .text()
            .await
            .expect("text"),
        "csrf",
    )
    .expect("a token");
    for csrf in ["", "x", &foreign, &stranger, &page.csrf.to_uppercase()] {
        let forged = Consent {
            csrf: csrf.to_owned(),
            request: page.request.clone(),
            html: String::new(),
            headers: page.headers.clone(),
        };
        assert_error_page(allow(&browser, &forged).await, StatusCode::FORBIDDEN).await;
    }
    // a page elsewhere that has got hold of the token
    let form = [
        ("csrf", page.csrf.as_str()),
        ("request", &page.request),
        ("decision", "deny"),
    ];
    let elsewhere = browser
        .client
        .post(server.url("/oauth2/authorize"))
        .header("Origin", "https://evil.example")
        .form(&form)
        .send()
        .await;
    assert_error_page(elsewhere.expect("an answer"), StatusCode::FORBIDDEN).await;
    // nothing was changed
    assert_eq!(allow(&browser, &page).await.status(), StatusCode::SEE_OTHER);
}

async fn another_sessions_request_cannot_be_answered(db: TestDatabase) {
    let server = Server::start(db).await;
    add_workspace_member(&server, "eve@acme.example", "admin").await;
    let (victim, attacker) = (
        server.signed_in_browser().await,
        browser_of(&server, "eve@acme.example").await,
    );
    let planted = consent(&attacker, &server.authorize_path("read")).await;
    let own = consent(&victim, &server.authorize_path("read")).await;
    // the attacker's request in the victim's browser, and the victim's in the attacker's: also of one person with two sessions
    let second = server.signed_in_browser().await;
    let third = consent(&second, &server.authorize_path("read")).await;
    for (browser, page, request) in [
        (&victim, &own, &planted),
        (&attacker, &planted, &own),
        (&victim, &own, &third),
    ] {
        let mixed = Consent {
            csrf: page.csrf.clone(),
            request: request.request.clone(),
            html: String::new(),
            headers: page.headers.clone(),
        };
        assert_error_page(allow(browser, &mixed).await, StatusCode::BAD_REQUEST).await;
        let shown = browser
            .get(&format!(
                "/oauth2/authorize/consent?request={}",
                request.request
            ))
            .await;
        assert_error_page(shown, StatusCode::BAD_REQUEST).await;
    }
}

async fn a_double_click_arrives(db: TestDatabase) {
    // a browser shows the second answer only: whichever it is, it leads to the application
    let server = Server::start_with(db, |config| {
        (config.server.workers, config.database.connections) = (2, 8)
    })
    .await;
    let browser = server.signed_in_browser().await;
    let arrived = |response: &Response| {
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        let target = location(response.headers());
        assert!(target.starts_with(REDIRECT_URI), "{target}");
        assert_eq!(parameter(&target, "state").as_deref(), Some("xyz"));
        (
            parameter(&target, "code"),
            parameter(&target, "error").unwrap_or_default(),
        )
    };
    let page = consent(&browser, &server.authorize_path("read")).await;
    let (lost, _) = arrived(&allow(&browser, &page).await);
    let (shown, _) = arrived(&allow(&browser, &page).await);
    assert!(lost.is_some() && lost != shown, "a code is for one answer");
    let (status, tokens) = server.redeem(&shown.expect("a code")).await;
    assert_eq!(status, StatusCode::OK, "{tokens}");
    // and at once
    let page = consent(&browser, &server.authorize_path("read")).await;
    let (one, other) = tokio::join!(allow(&browser, &page), allow(&browser, &page));
    let codes = [arrived(&one).0, arrived(&other).0];
    for code in codes {
        let (status, tokens) = server.redeem(&code.expect("a code")).await;
        assert_eq!(status, StatusCode::OK, "{tokens}");
    }
    // the other button, too; it is written down once
    let page = consent(&browser, &server.authorize_path("read")).await;
    let deny = || answer(&browser, &page, &[("decision", "deny")]);
    let (one, other) = tokio::join!(deny(), deny());
    for response in [one, other, deny().await] {
        assert_eq!(arrived(&response), (None, "access_denied".to_owned()));
    }
    assert_eq!(server.database.count_events("authorization.denied"), 1);
}

async fn who_allows_what_they_denied_is_asked_again(db: TestDatabase) {
    let server = Server::start_with(db, |config| {
        (config.server.workers, config.database.connections) = (2, 8)
    })
    .await;
    let browser = server.signed_in_browser().await;
    let page = consent(&browser, &server.authorize_path("read write")).await;
    let denied = answer(&browser, &page, &[("decision", "deny")]).await;
    assert!(location(denied.headers()).starts_with(REDIRECT_URI));
    let again = asked_again(&browser, allow(&browser, &page).await).await;
    // also by the choice of another organization
    let other = format!("/oauth2/authorize/consent?request={}", page.request);
    asked_again(&browser, browser.get(&other).await).await;
    assert_eq!(server.database.count_events("authorization.allowed"), 0);
    assert!(again.html.contains("Create and change documents"));
    let target = location(allow(&browser, &again).await.headers());
    let (_, tokens) = server
        .redeem(&parameter(&target, "code").expect("a code"))
        .await;
    assert_eq!(tokens["scope"], "read write");
    // the other way round the application is told: what was allowed stays connected
    let denied = answer(&browser, &again, &[("decision", "deny")]).await;
    let target = location(denied.headers());
    assert_eq!(
        parameter(&target, "error").as_deref(),
        Some("access_denied")
    );
    assert!(is_active(&server, text(&tokens, "access_token")).await);
    // both buttons at once: neither answer is a dead end
    for _ in 0..5 {
        let page = consent(&browser, &server.authorize_path("read")).await;
        let (allowed, denied) = tokio::join!(
            allow(&browser, &page),
            answer(&browser, &page, &[("decision", "deny")])
        );
        let target = location(allowed.headers());
        assert!(
            [REDIRECT_URI, "/oauth2/authorize?"]
                .iter()
                .any(|start| target.starts_with(start)),
            "{target}"
        );
        assert!(location(denied.headers()).starts_with(REDIRECT_URI));
    }
}

async fn a_form_of_a_session_that_has_ended_leads_back(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = server.signed_in_browser().await;
    let page = consent(&browser, &server.authorize_path("read")).await;
    let (_, action) = page
        .html
        .split_once("<form method=\"post\" action=\"/oauth2/authorize?")
        .expect("the form");
    let action = format!(
        "/oauth2/authorize?{}",
        action.split('"').next().expect("a path")
    )
    .replace("&#38;", "&");
    let send = async || {
        let fields = [
            ("csrf", page.csrf.as_str()),
            ("request", &page.request),
            ("organization", server.planted.organization.as_str()),
            ("workspace", server.planted.workspace.as_str()),
            ("decision", "allow"),
        ];
        let request = browser.client.post(server.url(&action)).form(&fields);
        request.send().await.expect("an answer")
    };
    // in another tab
    let signed_out = browser.submit("/account/identity", "/logout", &[]).await;
    assert_eq!(signed_out.status(), StatusCode::SEE_OTHER);
    let way = location(send().await.headers());
    assert!(way.starts_with("/oauth2/authorize?"), "{way}");
    let sign_in = location(browser.get(&way).await.headers());
    assert!(sign_in.starts_with("/login?return_to="), "{sign_in}");
    // and in again: nothing is decided by the old form, and the page is shown whatever was allowed before
    let signed_in = browser.sign_in(ADMIN, &server.secrets.password).await;
    assert_eq!(signed_in.status(), StatusCode::SEE_OTHER);
    let again = asked_again(&browser, send().await).await;
    assert_eq!(server.database.count_events("authorization.allowed"), 0);
    assert!(location(allow(&browser, &again).await.headers()).starts_with(REDIRECT_URI));
}

async fn a_request_expires(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = server.signed_in_browser().await;
    let page = consent(&browser, &server.authorize_path("read")).await;
    server.clock.step_seconds(10 * 60);
    let again = asked_again(&browser, allow(&browser, &page).await).await;
    assert_eq!(server.database.count_events("authorization.allowed"), 0);
    assert!(location(allow(&browser, &again).await.headers()).starts_with(REDIRECT_URI));
}

async fn a_request_ends_with_its_application(db: TestDatabase) {
    let server = Server::start(db).await;
    let client = register(&server, |_| {}).await;
    let browser = server.signed_in_browser().await;
    let page = consent(&browser, &authorize_with(client.id.as_str(), &[])).await;
    delete_application(&server, client.id).await;
    assert_error_page(allow(&browser, &page).await, StatusCode::BAD_REQUEST).await;
}

async fn no_workspace_chosen_shows_the_page_again(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = server.signed_in_browser().await;
    let page = consent(&browser, &server.authorize_path("read")).await;
    let response = answer(
        &browser,
        &page,
        &[
            ("organization", server.planted.organization.as_str()),
            ("decision", "allow"),
        ],
    )
    .await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let html = response.text().await.expect("text");
    assert!(html.contains("Choose at least one workspace."), "{html}");
    // the same request, still to be decided
    assert_eq!(hidden(&html, "request"), Some(page.request.clone()));
    assert_eq!(allow(&browser, &page).await.status(), StatusCode::SEE_OTHER);
}

async fn a_workspace_of_somebody_else_cannot_be_chosen(db: TestDatabase) {
    let server = Server::start(db).await;
    let (_, foreign) = add_organization(
        &server,
        "Beta",
        "bea@beta.example",
        ProductionAccess::Approved,
    )
    .await;
    let organization = server.planted.organization;
    let (workspace, unjoined) = (
        server.planted.workspace,
        server
            .write(move |tx| accounts::create_workspace(tx, organization, "Legal"))
            .await
            .id,
    );
    add_workspace_member(&server, "mia@acme.example", "viewer").await;
    let (admin, member) = (
        server.signed_in_browser().await,
        browser_of(&server, "mia@acme.example").await,
    );
    for (browser, chosen) in [(&admin, foreign), (&member, foreign), (&member, unjoined)] {
        let page = consent(browser, &server.authorize_path("read")).await;
        let fields = [
            ("organization", organization.as_str()),
            ("workspace", workspace.as_str()),
            ("workspace", chosen.as_str()),
            ("decision", "allow"),
        ];
        assert_eq!(
            answer(browser, &page, &fields).await.status(),
            StatusCode::UNPROCESSABLE_ENTITY
        );
    }
    // nor is it shown
    assert!(
        !consent(&member, &server.authorize_path("read"))
            .await
            .html
            .contains("Legal")
    );
    assert!(
        consent(&admin, &server.authorize_path("read"))
            .await
            .html
            .contains("Legal")
    );
}

async fn an_organization_of_somebody_else_cannot_be_chosen(db: TestDatabase) {
    let server = Server::start(db).await;
    let (approved, workspace) = add_organization(
        &server,
        "Beta",
        "bea@beta.example",
        ProductionAccess::Approved,
    )
    .await;
    let (closed, _) = add_organization(
        &server,
        "Gamma",
        "gus@gamma.example",
        ProductionAccess::None,
    )
    .await;
    let production = register(&server, |new| new.environment = Environment::Production).await;
    let browser = server.signed_in_browser().await;
    for path in [
        server.authorize_path("read"),
        authorize_with(production.id.as_str(), &[]),
    ] {
        for organization in [
            approved.as_str(),
            closed.as_str(),
            "org_0000000000000000000000",
            "",
            "x",
        ] {
            let page = consent(&browser, &path).await;
            let fields = [
                ("organization", organization),
                ("workspace", workspace.as_str()),
                ("decision", "allow"),
            ];
            // whether there is such an organization, and what it may do, is not told
            assert_error_page(
                answer(&browser, &page, &fields).await,
                StatusCode::NOT_FOUND,
            )
            .await;
            let fields = [
                ("organization", organization),
                ("workspace", "all"),
                ("decision", "allow"),
            ];
            assert_error_page(
                answer(&browser, &page, &fields).await,
                StatusCode::NOT_FOUND,
            )
            .await;
        }
    }
}

async fn only_an_admin_can_allow_every_workspace(db: TestDatabase) {
    let server = Server::start(db).await;
    add_workspace_member(&server, "mia@acme.example", "admin").await;
    let fields = [
        ("organization", server.planted.organization.as_str()),
        ("workspace", "all"),
        ("decision", "allow"),
    ];
    let member = browser_of(&server, "mia@acme.example").await;
    let page = consent(&member, &server.authorize_path("read")).await;
    assert!(!page.html.contains("All workspaces"));
    assert_eq!(
        answer(&member, &page, &fields).await.status(),
        StatusCode::UNPROCESSABLE_ENTITY
    );
    let admin = server.signed_in_browser().await;
    let page = consent(&admin, &server.authorize_path("read")).await;
    assert!(page.html.contains("All workspaces"));
    let target = location(answer(&admin, &page, &fields).await.headers());
    let tokens = server
        .redeem(&parameter(&target, "code").expect("a code"))
        .await
        .1;
    // those that are created later, too
    let organization = server.planted.organization;
    let later = server
        .write(move |tx| accounts::create_workspace(tx, organization, "Legal"))
        .await
        .id;
    let introspected = server.introspect(text(&tokens, "access_token")).await;
    assert!(
        introspected["workspaces"]
            .as_array()
            .expect("a list")
            .contains(&later.as_str().into()),
        "{introspected}"
    );
}

async fn another_organization_can_be_chosen(db: TestDatabase) {
    let server = Server::start(db).await;
    let (beta, workspace) = add_organization(
        &server,
        "Beta",
        "bea@beta.example",
        ProductionAccess::Approved,
    )
    .await;
    let joins = move |tx: &mut countersign::store::Tx| {
        let admin = super::user(tx, ADMIN)?;
        accounts::add_member(tx, beta, admin, OrganizationRole::Member)?;
        Ok(accounts::add_workspace_member(
            tx, beta, workspace, admin, "viewer",
        )?)
    };
    server.write(joins).await;
    let client = register_in(&server, beta, "bea@beta.example", |new| {
        new.environment = Environment::Production
    })
    .await;
    approve(&server, client.id).await;
    let browser = server.signed_in_browser().await;
    let page = consent(&browser, &authorize_with(client.id.as_str(), &[])).await;
    assert!(page.html.contains("Sales") && !page.html.contains("Beta workspace"));
    let other = consent(
        &browser,
        &format!(
            "/oauth2/authorize/consent?request={}&organization={beta}",
            page.request
        ),
    )
    .await;
    assert!(other.html.contains("Beta workspace") && !other.html.contains("Sales"));
    let fields = [
        ("organization", beta.as_str()),
        ("workspace", workspace.as_str()),
        ("decision", "allow"),
    ];
    let target = location(answer(&browser, &other, &fields).await.headers());
    let code = parameter(&target, "code").expect("a code");
    let (status, tokens) = super::token_as(&server, &client, &super::redemption(&code)).await;
    assert_eq!(status, StatusCode::OK, "{tokens}");
    let introspected = server.introspect(text(&tokens, "access_token")).await;
    assert_eq!(
        (&introspected["organization"], &introspected["environment"]),
        (&beta.as_str().into(), &"production".into())
    );
}

async fn as_many_workspaces_as_can_be_chosen_make_a_token_that_works(db: TestDatabase) {
    // with a long issuer and long scopes a JWT grows
    let server = Server::start_with(db, |config| {
        let long = ScopeEntry {
            name: "s".repeat(200),
            title: "Long".into(),
            description: "Long".into(),
            permissions: Vec::new(),
            default: true,
        };
        config.scope.push(long);
    })
    .await;
    let organization = server.planted.organization;
    let create = move |tx: &mut countersign::store::Tx| {
        (0..=MOST_WORKSPACES)
            .map(|number| {
                Ok(
                    accounts::create_workspace(tx, organization, &format!("Workspace {number}"))?
                        .id,
                )
            })
            .collect::<Result<Vec<_>, _>>()
    };
    let workspaces = server.write(create).await;
    let browser = server.signed_in_browser().await;
    let page = consent(
        &browser,
        &server.authorize_path(&format!("read write send webhooks {}", "s".repeat(200))),
    )
    .await;
    let mut fields = vec![
        ("organization", organization.as_str()),
        ("decision", "allow"),
    ];
    fields.extend(workspaces.iter().map(|id| ("workspace", id.as_str())));
    assert_error_page(
        answer(&browser, &page, &fields).await,
        StatusCode::BAD_REQUEST,
    )
    .await;
    fields.pop();
    let target = location(answer(&browser, &page, &fields).await.headers());
    let tokens = server
        .redeem(&parameter(&target, "code").expect("a code"))
        .await
        .1;
    assert!(
        is_active(&server, text(&tokens, "access_token")).await,
        "{} bytes",
        text(&tokens, "access_token").len()
    );
}

async fn names_are_escaped(db: TestDatabase) {
    let server = Server::start(db).await;
    let organization = server.planted.organization;
    server
        .write(move |tx| {
            accounts::create_workspace(tx, organization, "<img src=x onerror=alert(1)>")
        })
        .await;
    let client = register(&server, |new| {
        new.name = "<script>alert(1)</script>\"'&".to_owned()
    })
    .await;
    let html = consent(
        &server.signed_in_browser().await,
        &authorize_with(client.id.as_str(), &[]),
    )
    .await
    .html;
    assert!(
        !html.contains("<script") && !html.contains("<img src=x"),
        "{html}"
    );
    assert!(
        html.contains("script&#62;") || html.contains("script&gt;"),
        "{html}"
    );
    let sign_in = location(
        server
            .get(&authorize_with(client.id.as_str(), &[]))
            .send()
            .await
            .expect("an answer")
            .headers(),
    );
    let html = server
        .get(&sign_in)
        .send()
        .await
        .expect("an answer")
        .text()
        .await
        .expect("text");
    assert!(!html.contains("<script"), "{html}");
}

async fn a_form_that_says_neither_or_both_decides_nothing(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser: Browser<'_> = server.signed_in_browser().await;
    let page = consent(&browser, &server.authorize_path("read")).await;
    let organization = ("organization", server.planted.organization.as_str());
    for fields in [
        vec![organization],
        vec![organization, ("decision", "yes")],
        vec![organization, ("decision", "allow"), ("decision", "deny")],
        vec![organization, organization, ("decision", "allow")],
        vec![
            ("request", page.request.as_str()),
            organization,
            ("decision", "allow"),
        ],
    ] {
        assert_error_page(
            answer(&browser, &page, &fields).await,
            StatusCode::BAD_REQUEST,
        )
        .await;
    }
    assert_eq!(allow(&browser, &page).await.status(), StatusCode::SEE_OTHER);
}
