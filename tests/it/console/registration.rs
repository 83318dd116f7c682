//! `/dev-centre/{organization}/registration…`: initial access tokens.

use reqwest::{Response, StatusCode};
use serde_json::json;

use super::{admin, answer, at_once, csrf, read};
use crate::databases::{TestDatabase, both_databases};
use crate::server::{Browser, Server};

both_databases!(
    a_token_is_shown_once_and_registers,
    a_revoked_token_registers_nothing_more,
    what_registers_itself_is_listed_and_can_be_deleted,
    a_form_that_asks_for_what_there_is_not_is_refused,
    the_cap_holds_against_many_at_once,
);

fn page(server: &Server) -> String {
    format!("/dev-centre/{}/registration", server.planted.organization)
}

async fn create(browser: &Browser<'_>, changes: &[(&str, &str)]) -> Response {
    let mut fields = vec![
        ("name", "Pipeline"),
        ("environment", "sandbox"),
        ("max_clients", "5"),
        ("expiry", "30"),
    ];
    fields.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    fields.extend(changes);
    let page = page(browser.server);
    browser.submit(&page, &page, &fields).await
}

async fn created(browser: &Browser<'_>, changes: &[(&str, &str)]) -> String {
    let response = create(browser, changes).await;
    assert_eq!(response.headers()["cache-control"], "no-store");
    let (status, html) = answer(response).await;
    assert_eq!(status, StatusCode::OK, "{html}");
    html.split("id=\"secret\" value=\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .expect("a token")
        .to_owned()
}

async fn register(server: &Server, token: &str) -> (StatusCode, serde_json::Value) {
    let metadata = json!({"client_name": "Self-made", "redirect_uris": ["http://127.0.0.1/callback"], "token_endpoint_auth_method": "none"});
    crate::server::json(
        server
            .post("/oauth2/register")
            .bearer_auth(token)
            .json(&metadata)
            .send()
            .await
            .expect("an answer"),
    )
    .await
}

async fn a_token_is_shown_once_and_registers(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = admin(&server).await;
    let token = created(&browser, &[]).await;
    assert!(token.starts_with("cs_rg_"));
    assert_eq!(register(&server, &token).await.0, StatusCode::CREATED);
    let html = read(&browser, &page(&server)).await;
    assert!(html.contains("1 of 5") && !html.contains(&token), "{html}");
    // it ends when it was said to
    server.clock.step_seconds(30 * 24 * 60 * 60);
    assert_eq!(register(&server, &token).await.0, StatusCode::UNAUTHORIZED);
}

async fn a_revoked_token_registers_nothing_more(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = admin(&server).await;
    let html = read(&browser, &page(&server)).await;
    let action = html
        .split("action=\"")
        .find_map(|rest| {
            rest.split('"')
                .next()
                .filter(|action| action.ends_with("/revoke"))
        })
        .expect("a token")
        .to_owned();
    for _ in 0..2 {
        let response = browser.submit(&page(&server), &action, &[]).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
    }
    assert_eq!(
        register(&server, &server.secrets.registration_token)
            .await
            .0,
        StatusCode::UNAUTHORIZED
    );
    assert!(!read(&browser, &page(&server)).await.contains(&action));
}

async fn what_registers_itself_is_listed_and_can_be_deleted(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = admin(&server).await;
    let client = register(&server, &server.secrets.registration_token)
        .await
        .1;
    let id = client["client_id"].as_str().expect("an id");
    let applications = format!("/dev-centre/{}/applications", server.planted.organization);
    let html = read(&browser, &applications).await;
    assert!(
        html.contains("Self-made") && html.matches("Registered itself").count() == 1,
        "{html}"
    );
    let shown = read(&browser, &format!("{applications}/{id}")).await;
    assert!(shown.contains("http://127.0.0.1/callback"), "{shown}");
    let delete = format!("{applications}/{id}/delete");
    assert_eq!(
        browser.submit(&delete, &delete, &[]).await.status(),
        StatusCode::SEE_OTHER
    );
    assert!(!read(&browser, &applications).await.contains("Self-made"));
    let again = register(&server, &server.secrets.registration_token)
        .await
        .1;
    assert_ne!(again["client_id"], client["client_id"]);
}

async fn a_form_that_asks_for_what_there_is_not_is_refused(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = admin(&server).await;
    for (field, value) in [
        ("name", ""),
        ("name", "a\u{202e}b"),
        ("environment", "both"),
        ("max_clients", "0"),
        ("max_clients", "-1"),
        ("max_clients", "many"),
        ("max_clients", "99999999999999999999"),
        ("max_clients", "1001"),
        ("expiry", ""),
        ("expiry", "31"),
    ] {
        let (status, html) = answer(create(&browser, &[(field, value)]).await).await;
        assert_eq!(
            status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{field}={value}: {html}"
        );
        assert!(
            html.contains(&format!("id=\"{field}-error\"")),
            "{field}={value}: {html}"
        );
    }
    assert_eq!(
        read(&browser, &page(&server))
            .await
            .matches("role=\"rowheader\"")
            .count(),
        1
    );
}

async fn the_cap_holds_against_many_at_once(db: TestDatabase) {
    let server = Server::start_with(db, |config| {
        (config.server.workers, config.database.connections) = (2, 8)
    })
    .await;
    let browser = admin(&server).await;
    let token = csrf(&browser, &page(&server)).await;
    let fields = [
        ("csrf", token.as_str()),
        ("name", "Pipeline"),
        ("environment", "production"),
        ("max_clients", "5"),
        ("expiry", "never"),
    ];
    let statuses = at_once(&browser, &page(&server), &fields, 55).await;
    assert_eq!(
        statuses
            .iter()
            .filter(|status| **status == StatusCode::OK)
            .count(),
        49
    );
    assert_eq!(
        statuses
            .iter()
            .filter(|status| **status == StatusCode::UNPROCESSABLE_ENTITY)
            .count(),
        6
    );
}
