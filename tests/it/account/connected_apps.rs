//! `/account/applications`: what a person has connected, and the way to take it back.

use countersign::domain::lifecycle::quickstart::ADMIN;
use countersign::types::environment::Environment;
use countersign::types::id::{ApplicationId, ConsentId};
use countersign::types::state::{ClientType, ProductionAccess};
use reqwest::{Response, StatusCode};

use crate::databases::{TestDatabase, both_databases};
use crate::people::{self, OTHER_OWNER};
use crate::server::{Browser, Server, hidden, location};

both_databases!(
    who_has_connected_nothing_reads_so,
    the_page_shows_what_was_allowed_where_and_when_it_was_used,
    taking_access_back_ends_every_token_at_once_and_asks_again,
    taking_it_back_ten_times_at_once_is_a_success_each_time,
    looking_at_the_confirmation_changes_nothing,
    another_persons_connection_is_not_found,
    a_stopped_application_is_marked_and_can_be_taken_back,
    a_deleted_application_is_not_listed,
    a_connection_that_a_used_token_came_back_to_is_marked,
    a_hostile_name_is_text,
    a_broken_form_takes_nothing_back,
);

const LIST: &str = "/account/applications";

async fn read(browser: &Browser<'_>, path: &str) -> String {
    let response = browser.get(path).await;
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    response.text().await.expect("text")
}

/// The confirmation page of the only connection.
async fn revocation(browser: &Browser<'_>) -> String {
    let html = read(browser, LIST).await;
    let links: Vec<_> = html
        .split("href=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .filter(|link| link.ends_with("/revoke"))
        .collect();
    let [only] = links.as_slice() else {
        unreachable!("{html}")
    };
    (*only).to_owned()
}

async fn post(browser: &Browser<'_>, path: &str, csrf: &str) -> Response {
    browser
        .client
        .post(browser.server.url(path))
        .form(&[("csrf", csrf)])
        .send()
        .await
        .expect("an answer")
}

async fn who_has_connected_nothing_reads_so(db: TestDatabase) {
    let server = Server::start(db).await;
    people::person(&server, "nobody@elsewhere.example").await;
    let browser = people::browser(&server, "nobody@elsewhere.example").await;
    assert!(read(&browser, LIST).await.contains("Nothing is connected"));
    // the way there, for who opens no Dev Centre: from the start page and from every account menu
    let start = location(browser.get("/").await.headers());
    assert!(read(&browser, &start).await.matches(LIST).count() >= 2);
    let stranger = server.get(LIST).send().await.expect("an answer");
    assert_eq!(
        location(stranger.headers()),
        "/login?return_to=%2Faccount%2Fapplications"
    );
}

async fn the_page_shows_what_was_allowed_where_and_when_it_was_used(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = server.signed_in_browser().await;
    let code = server.code("read send").await;
    let html = read(&browser, LIST).await;
    let scope = |name: &str| {
        server
            .app
            .settings
            .catalogue
            .scope(name)
            .expect("a scope")
            .title
            .clone()
    };
    for part in [
        "Example CRM",
        "Acme",
        "Your organization",
        "Sales",
        "Sandbox",
        "20 Nov 2026, 12:00 UTC",
        "Never",
        &scope("read"),
        &scope("send"),
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    assert!(!html.contains(&scope("webhooks")), "{html}");
    server.clock.step_seconds(30);
    assert_eq!(server.redeem(&code).await.0, StatusCode::OK);
    server.clock.step_seconds(3 * 60);
    let html = read(&browser, LIST).await;
    assert!(
        html.contains("3 minutes ago") && !html.contains("Never"),
        "{html}"
    );
}

async fn taking_access_back_ends_every_token_at_once_and_asks_again(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = server.signed_in_browser().await;
    let (first, second) = (
        server.code_flow("read").await,
        server.code_flow("read write").await,
    );
    let waiting = server.code("read").await;
    let revoke = revocation(&browser).await;
    let response = browser.submit(&revoke, &revoke, &[]).await;
    assert_eq!(
        (response.status(), location(response.headers())),
        (StatusCode::SEE_OTHER, format!("{LIST}?done=revoked"))
    );
    for tokens in [&first, &second] {
        assert_eq!(
            server
                .introspect(tokens["access_token"].as_str().expect("a token"))
                .await,
            serde_json::json!({"active": false})
        );
        let refresh = [
            ("grant_type", "refresh_token"),
            (
                "refresh_token",
                tokens["refresh_token"].as_str().expect("a token"),
            ),
        ];
        assert_eq!(server.token(&refresh).await.1["error"], "invalid_grant");
    }
    assert_eq!(
        server.redeem(&waiting).await.1["error"],
        "invalid_grant",
        "a code that waited"
    );
    let html = read(&browser, &format!("{LIST}?done=revoked")).await;
    assert!(
        html.contains("Access taken back.") && html.contains("Nothing is connected"),
        "{html}"
    );
    assert!(
        read(&browser, &server.authorize_path("read"))
            .await
            .contains("Allow <bdi>Example CRM</bdi>"),
        "it is asked again"
    );
    assert_eq!(server.database.count_events("consent.revoked"), 1);
}

async fn taking_it_back_ten_times_at_once_is_a_success_each_time(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = server.signed_in_browser().await;
    server.code_flow("read").await;
    let revoke = revocation(&browser).await;
    let csrf = hidden(&read(&browser, &revoke).await, "csrf").expect("a token");
    let answers =
        futures_util::future::join_all((0..10).map(|_| post(&browser, &revoke, &csrf))).await;
    assert!(
        answers
            .iter()
            .all(|answer| answer.status() == StatusCode::SEE_OTHER),
        "{answers:?}"
    );
    assert_eq!(server.database.count_events("consent.revoked"), 1);
    assert_eq!(
        browser.get(&revoke).await.status(),
        StatusCode::NOT_FOUND,
        "there is nothing left to confirm"
    );
}

async fn looking_at_the_confirmation_changes_nothing(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = server.signed_in_browser().await;
    let tokens = server.code_flow("read").await;
    let html = read(&browser, &revocation(&browser).await).await;
    assert!(
        html.contains("Take access back from <bdi>Example CRM</bdi>?")
            && html.contains("Keep it connected"),
        "{html}"
    );
    assert_eq!(
        server
            .introspect(tokens["access_token"].as_str().expect("a token"))
            .await["active"],
        true
    );
}

async fn another_persons_connection_is_not_found(db: TestDatabase) {
    let server = Server::start(db).await;
    people::other_organization(&server, ProductionAccess::Approved).await;
    people::member(&server, "mia@acme.example", Some("admin")).await;
    let tokens = server.code_flow("read").await;
    let revoke = revocation(&server.signed_in_browser().await).await;
    for email in [OTHER_OWNER, "mia@acme.example"] {
        let browser = people::browser(&server, email).await;
        let csrf = hidden(&read(&browser, LIST).await, "csrf").expect("a token");
        let unknown = format!("{LIST}/{}/revoke", ConsentId::generate(server.clock.now()));
        for path in [
            revoke.as_str(),
            &unknown,
            "/account/applications/nonsense/revoke",
            "/account/applications/%00/revoke",
        ] {
            assert_eq!(
                browser.get(path).await.status(),
                StatusCode::NOT_FOUND,
                "{email} {path}"
            );
            assert_eq!(
                post(&browser, path, &csrf).await.status(),
                StatusCode::NOT_FOUND,
                "{email} {path}"
            );
        }
        assert!(read(&browser, LIST).await.contains("Nothing is connected"));
    }
    assert_eq!(
        server
            .introspect(tokens["access_token"].as_str().expect("a token"))
            .await["active"],
        true
    );
}

async fn a_stopped_application_is_marked_and_can_be_taken_back(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = server.signed_in_browser().await;
    server.code_flow("read").await;
    let application = server.planted.application;
    server
        .write(move |tx| {
            Ok(tx.find_application(application)?.map_or(Ok(()), |found| {
                tx.set_application_stopped(&found, Some("Spam."))
            })?)
        })
        .await;
    assert!(read(&browser, LIST).await.contains("Stopped"));
    let revoke = revocation(&browser).await;
    assert_eq!(
        browser.submit(&revoke, &revoke, &[]).await.status(),
        StatusCode::SEE_OTHER
    );
    assert!(read(&browser, LIST).await.contains("Nothing is connected"));
}

async fn a_deleted_application_is_not_listed(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = server.signed_in_browser().await;
    server.code_flow("read").await;
    let revoke = revocation(&browser).await;
    let csrf = hidden(&read(&browser, &revoke).await, "csrf").expect("a token");
    let (organization, application) = (server.planted.organization, server.planted.application);
    server
        .write(move |tx| Ok(tx.delete_application(organization, application)?))
        .await;
    assert!(read(&browser, LIST).await.contains("Nothing is connected"));
    assert_eq!(browser.get(&revoke).await.status(), StatusCode::NOT_FOUND);
    // who still had the page open is not shown an error
    assert_eq!(
        post(&browser, &revoke, &csrf).await.status(),
        StatusCode::SEE_OTHER
    );
}

async fn a_connection_that_a_used_token_came_back_to_is_marked(db: TestDatabase) {
    // 9700-35: the person is told, and is shown the way out; connecting again is one, too
    let server = Server::start(db).await;
    let browser = server.signed_in_browser().await;
    let tokens = server.code_flow("read").await;
    let form = [
        ("grant_type", "refresh_token"),
        (
            "refresh_token",
            tokens["refresh_token"].as_str().expect("a token"),
        ),
    ];
    let next = server.token(&form).await.1;
    let token = next["access_token"].as_str().expect("a token");
    assert_eq!(server.introspect(token).await["active"], true);
    let told = "A used token came back";
    assert!(!read(&browser, LIST).await.contains(told));
    server.clock.step_seconds(60);
    assert_eq!(server.token(&form).await.1["error"], "invalid_grant");
    server.clock.step_seconds(3 * 60);
    let html = read(&browser, LIST).await;
    let part = "on 20 Nov 2026, 12:01 UTC <span class=\"hint\">3 minutes ago</span>";
    assert!(html.contains(told) && html.contains(part), "{html}");
    let confirmation = read(&browser, &revocation(&browser).await).await;
    assert!(confirmation.contains(told), "{confirmation}");
    server.code_flow("read").await;
    assert!(!read(&browser, LIST).await.contains(told));
    assert_eq!(server.introspect(token).await["active"], false);
}

async fn a_hostile_name_is_text(db: TestDatabase) {
    let server = Server::start(db).await;
    let (user, organization, workspace) = (
        people::admin(&server).await.id,
        server.planted.organization,
        server.planted.workspace,
    );
    let planted = server.planted.application;
    let plant = move |tx: &mut countersign::store::Tx| {
        let found = tx
            .find_application(planted)?
            .ok_or(countersign::domain::Refusal::NotFound)?;
        let (id, name) = (
            ApplicationId::generate(tx.now),
            "<script>alert(1)</script>".to_owned(),
        );
        let hostile = countersign::store::applications::Application {
            id,
            name,
            client_type: ClientType::Public,
            environment: Environment::Production,
            service_account_id: None,
            ..found
        };
        tx.insert_application(&hostile, &[])?;
        let consent = countersign::store::consents::Consent {
            id: ConsentId::generate(tx.now),
            user_id: user,
            application_id: id,
            organization_id: organization,
            scopes: "read"
                .parse()
                .map_err(|_| countersign::domain::Refusal::NotFound)?,
            reach: countersign::types::state::ReachKind::Workspaces,
            state: countersign::types::state::ConsentState::Active,
            created_at: tx.now,
            updated_at: tx.now,
            revoked_at: None,
            application_name: "An application".to_owned(),
            named_at: countersign::types::time::Timestamp::from_millis(0),
        };
        Ok(tx.insert_consent(&consent, &[workspace])?)
    };
    server.write(plant).await;
    let browser = people::browser(&server, ADMIN).await;
    for path in [LIST.to_owned(), revocation(&browser).await] {
        let html = read(&browser, &path).await;
        assert!(
            html.contains("&#60;script&#62;alert(1)") && !html.contains("<script"),
            "{path}: {html}"
        );
    }
}

async fn a_broken_form_takes_nothing_back(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = server.signed_in_browser().await;
    let tokens = server.code_flow("read").await;
    let revoke = revocation(&browser).await;
    let csrf = hidden(&read(&browser, &revoke).await, "csrf").expect("a token");
    for (body, status) in [
        (String::new(), StatusCode::FORBIDDEN),
        ("csrf=nonsense".to_owned(), StatusCode::FORBIDDEN),
        (format!("csrf={csrf}&csrf={csrf}"), StatusCode::BAD_REQUEST),
        (format!("csrf={csrf}&x=%ff"), StatusCode::BAD_REQUEST),
        (
            format!("csrf={csrf}&x={}", "x".repeat(70_000)),
            StatusCode::PAYLOAD_TOO_LARGE,
        ),
    ] {
        let request = browser
            .client
            .post(server.url(&revoke))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body);
        assert_eq!(request.send().await.expect("an answer").status(), status);
    }
    assert_eq!(
        server
            .introspect(tokens["access_token"].as_str().expect("a token"))
            .await["active"],
        true
    );
}
