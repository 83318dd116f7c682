//! `/operator/applications…`: what the operator sees and decides, and how at once it holds.

use countersign::domain::clients::approval;
use countersign::domain::desk::Desk;
use countersign::domain::lifecycle::quickstart::ADMIN;
use countersign::domain::rights::asker::Asker;
use countersign::store;
use countersign::types::environment::Environment;
use countersign::types::id::ApplicationId;
use countersign::types::state::ProductionAccess;
use reqwest::StatusCode;

use super::{decide, operator, read, stop};
use crate::databases::{TestDatabase, both_databases};
use crate::people;
use crate::server::{Server, hidden, parameter};
use crate::tenants;

both_databases!(
    a_request_waits_until_it_is_approved_or_refused,
    a_page_shows_who_is_behind_an_application,
    applications_are_searched_for,
    a_stopped_application_is_stopped_everywhere_at_once,
    an_answer_to_a_consent_page_comes_too_late_for_a_stopped_application,
    a_refusal_needs_a_reason_that_can_be_read,
    a_broken_form_decides_nothing,
    what_is_deleted_or_never_was_is_not_found,
);

async fn production(server: &Server) -> ApplicationId {
    let (organization, admin) = (server.planted.organization, tenants::admin(server).await);
    tenants::application(
        server,
        organization,
        admin,
        Environment::Production,
        "viewer",
    )
    .await
    .id
}

async fn ask(server: &Server, id: ApplicationId) {
    let (organization, admin) = (server.planted.organization, tenants::admin(server).await);
    let request = move |desk: &mut Desk| approval::request(desk, id);
    people::at_desk(server, organization, Asker::person(admin), request)
        .await
        .expect("the organization asks");
}

fn page(id: ApplicationId) -> String {
    format!("/operator/applications/{id}")
}

async fn a_request_waits_until_it_is_approved_or_refused(db: TestDatabase) {
    let server = Server::start(db).await;
    let (id, browser) = (production(&server).await, operator(&server).await);
    assert!(
        read(&browser, "/operator")
            .await
            .contains("No request waits")
    );
    ask(&server, id).await;
    assert!(
        read(&browser, "/operator")
            .await
            .contains("1 request waits")
    );
    assert!(
        read(&browser, "/operator/applications")
            .await
            .contains("Waiting for approval")
    );
    decide(
        &browser,
        id,
        &[("decision", "refuse"), ("reason", "Who are you?")],
    )
    .await;
    let html = read(&browser, &page(id)).await;
    assert!(
        html.contains("Refused: <bdi>Who are you?</bdi>") && !html.contains("value=\"refuse\""),
        "{html}"
    );
    decide(&browser, id, &[("decision", "approve")]).await;
    let html = read(&browser, &page(id)).await;
    assert!(
        html.contains("Take the approval back") && !html.contains("Who are you?"),
        "{html}"
    );
    assert!(
        read(&browser, "/operator")
            .await
            .contains("No request waits")
    );
    for (decision, shown) in [
        ("verify", "Take the verification back"),
        ("unverify", "I have checked who is behind it"),
    ] {
        decide(&browser, id, &[("decision", decision)]).await;
        assert!(
            read(&browser, &page(id)).await.contains(shown),
            "{decision}"
        );
    }
}

async fn a_page_shows_who_is_behind_an_application(db: TestDatabase) {
    let server = Server::start(db).await;
    server.code_flow("read").await;
    let html = read(&operator(&server).await, &page(server.planted.application)).await;
    for shown in [
        "Example CRM",
        "Acme",
        ADMIN,
        "http://127.0.0.1:8976/callback",
        "1 consent<",
        "Sandbox",
        server.planted.organization.as_str(),
    ] {
        assert!(html.contains(shown), "{shown}: {html}");
    }
    // nothing to approve in Sandbox
    assert!(
        !html.contains("value=\"approve\"") && !html.contains("value=\"refuse\""),
        "{html}"
    );
}

async fn applications_are_searched_for(db: TestDatabase) {
    let server = Server::start(db).await;
    let (id, browser) = (production(&server).await, operator(&server).await);
    for (query, shown) in [
        ("", true),
        ("search=robo", true),
        ("search=ACME&standing=unverified", true),
        (&format!("search={id}"), true),
        ("search=robots&standing=stopped", false),
        ("search=%25", false),
        ("standing=nonsense&after=nonsense", true),
        (&format!("after={id}"), false),
    ] {
        assert_eq!(
            read(&browser, &format!("/operator/applications?{query}"))
                .await
                .contains(&page(id)),
            shown,
            "{query}"
        );
    }
    for query in [
        "search=%00",
        "search=a%0Ab",
        &format!("search={}", "x".repeat(300)),
    ] {
        assert_eq!(
            browser
                .get(&format!("/operator/applications?{query}"))
                .await
                .status(),
            StatusCode::BAD_REQUEST,
            "{query}"
        );
    }
}

async fn a_stopped_application_is_stopped_everywhere_at_once(db: TestDatabase) {
    let server = Server::start(db).await;
    let (browser, person) = (operator(&server).await, server.signed_in_browser().await);
    let tokens = server.code_flow("read").await;
    let own = tenants::own_token(&server).await;
    let organization = server.planted.organization;
    let key = tenants::key(
        &server,
        tenants::Key::of(&server, tenants::admin(&server).await),
    )
    .await;
    let access = tokens["access_token"].as_str().expect("a token").to_owned();
    let refresh = [
        ("grant_type", "refresh_token"),
        (
            "refresh_token",
            tokens["refresh_token"].as_str().expect("a token"),
        ),
    ];
    let code = server.code("read").await;
    let id = server.planted.application;
    // everything is remembered before
    assert!(
        server.introspect(&access).await["active"] == true
            && server.introspect(&own).await["active"] == true
    );
    let confirm = read(&browser, &format!("{}/stop", page(id))).await;
    assert!(confirm.contains("1 consent<"), "{confirm}");
    stop(&browser, id, "Abuse was reported").await;
    for token in [&access, &own] {
        assert_eq!(
            server.introspect(token).await,
            serde_json::json!({"active": false})
        );
        assert_eq!(
            server
                .verify(serde_json::json!({"credential": token}))
                .await["code"],
            "not_found"
        );
        let whoami = server
            .get("/v1/whoami")
            .bearer_auth(token)
            .send()
            .await
            .expect("an answer");
        assert_eq!(whoami.status(), StatusCode::UNAUTHORIZED);
    }
    let redemption = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", crate::server::REDIRECT_URI),
        ("code_verifier", crate::server::VERIFIER),
    ];
    for form in [
        &refresh[..],
        &[("grant_type", "client_credentials")],
        &redemption,
    ] {
        let (status, body) = server.token(form).await;
        assert_eq!(
            (status, &body["error"]),
            (StatusCode::UNAUTHORIZED, &"invalid_client".into()),
            "{body}"
        );
    }
    // a page, and no redirect; it says who, and neither why nor what the application is
    for browser in [&person, &server.browser()] {
        let response = browser.get(&server.authorize_path("read")).await;
        let (status, headers) = (response.status(), response.headers().clone());
        let html = response.text().await.expect("text");
        assert_eq!(
            (status, headers.get("location")),
            (StatusCode::BAD_REQUEST, None)
        );
        assert!(
            html.contains("The operator of this service has stopped this application"),
            "{html}"
        );
        assert!(
            !html.contains("Abuse")
                && !html.contains("Example CRM")
                && !html.contains("not registered"),
            "{html}"
        );
    }
    // others go on
    assert_eq!(
        server
            .verify(serde_json::json!({"credential": key.secret}))
            .await["code"],
        "valid"
    );
    let html = read(&browser, &page(id)).await;
    assert!(
        html.contains("Abuse was reported") && html.contains("Resume"),
        "{html}"
    );
    let events: Result<Vec<_>, store::Error> = server
        .app
        .store
        .read(move |snapshot| snapshot.list_audit_events(organization, 1000))
        .await;
    let told = events
        .expect("the store answers")
        .into_iter()
        .find(|own| own.event == "application.stopped")
        .expect("an event");
    assert_eq!(
        (
            told.subject_id.as_str(),
            told.detail.as_str(),
            told.actor_id.is_some()
        ),
        (id.as_str(), "Abuse was reported", true)
    );
    decide(&browser, id, &[("decision", "resume")]).await;
    assert!(
        server.introspect(&access).await["active"] == true
            && server.introspect(&own).await["active"] == true
    );
    assert_eq!(server.token(&refresh).await.0, StatusCode::OK);
}

async fn an_answer_to_a_consent_page_comes_too_late_for_a_stopped_application(db: TestDatabase) {
    let server = Server::start(db).await;
    let (browser, person) = (operator(&server).await, server.signed_in_browser().await);
    let html = person
        .get(&server.authorize_path("read"))
        .await
        .text()
        .await
        .expect("text");
    let (csrf, request) = (
        hidden(&html, "csrf").expect("a token"),
        hidden(&html, "request").expect("a request"),
    );
    stop(&browser, server.planted.application, "Abuse").await;
    let planted = &server.planted;
    let form = [
        ("csrf", csrf.as_str()),
        ("request", &request),
        ("organization", planted.organization.as_str()),
        ("workspace", planted.workspace.as_str()),
        ("decision", "allow"),
    ];
    let response = person
        .client
        .post(server.url("/oauth2/authorize"))
        .form(&form)
        .send()
        .await
        .expect("an answer");
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert!(
        response
            .text()
            .await
            .expect("text")
            .contains("has stopped this application")
    );
    decide(&browser, planted.application, &[("decision", "resume")]).await;
    let response = person
        .client
        .post(server.url("/oauth2/authorize"))
        .form(&form)
        .send()
        .await
        .expect("an answer");
    let target = crate::server::location(response.headers());
    assert!(
        parameter(&target, "code").is_some(),
        "the same page still waits: {target}"
    );
}

async fn a_refusal_needs_a_reason_that_can_be_read(db: TestDatabase) {
    let server = Server::start(db).await;
    let (id, browser) = (production(&server).await, operator(&server).await);
    ask(&server, id).await;
    let long = "x".repeat(501);
    for reason in ["", "  ", "a\nb", "\u{202e}ab", &long] {
        let response = browser
            .submit(
                &page(id),
                &page(id),
                &[("decision", "refuse"), ("reason", reason)],
            )
            .await;
        assert_eq!(
            response.status(),
            StatusCode::UNPROCESSABLE_ENTITY,
            "{reason}"
        );
        assert!(
            response
                .text()
                .await
                .expect("text")
                .contains("reason-error"),
            "{reason}"
        );
        let confirm = format!("{}/stop", page(id));
        let response = browser
            .submit(&confirm, &confirm, &[("reason", reason)])
            .await;
        assert_eq!(
            response.status(),
            StatusCode::UNPROCESSABLE_ENTITY,
            "{reason}"
        );
    }
    assert!(
        read(&browser, "/operator")
            .await
            .contains("1 request waits")
    );
    let script = "<script>alert(1)</script>";
    decide(&browser, id, &[("decision", "refuse"), ("reason", script)]).await;
    assert!(!read(&browser, &page(id)).await.contains(script));
}

async fn a_broken_form_decides_nothing(db: TestDatabase) {
    let server = Server::start(db).await;
    let (id, browser) = (production(&server).await, operator(&server).await);
    ask(&server, id).await;
    for fields in [
        &[][..],
        &[("decision", "")],
        &[("decision", "APPROVE")],
        &[("decision", "stop")],
        &[("decision", "approve"), ("decision", "approve")],
        &[("decision", "refuse"), ("reason", "a"), ("reason", "b")],
    ] {
        let response = browser.submit(&page(id), &page(id), fields).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{fields:?}");
    }
    assert!(
        read(&browser, "/operator")
            .await
            .contains("1 request waits")
    );
}

async fn what_is_deleted_or_never_was_is_not_found(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = operator(&server).await;
    let (organization, _) = people::other_organization(&server, ProductionAccess::Approved).await;
    let id = production(&server).await;
    let (own, admin) = (server.planted.organization, tenants::admin(&server).await);
    let delete =
        move |desk: &mut Desk| countersign::domain::clients::applications::delete(desk, id);
    people::at_desk(&server, own, Asker::person(admin), delete)
        .await
        .expect("deleted");
    for id in [
        id.as_str(),
        organization.as_str(),
        "app_0000000000000000000000",
        "x",
        "%00",
    ] {
        for path in [
            format!("/operator/applications/{id}"),
            format!("/operator/applications/{id}/stop"),
        ] {
            assert_eq!(
                browser.get(&path).await.status(),
                StatusCode::NOT_FOUND,
                "{path}"
            );
            let response = browser
                .submit(
                    "/operator",
                    &path,
                    &[("decision", "approve"), ("reason", "x")],
                )
                .await;
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        }
    }
}
