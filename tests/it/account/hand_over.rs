//! `/hand-over/{token}`: somebody outside collects a key's secret.

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::api::api_keys::{create, path};
use crate::api::{Program, manager, problem, send, text};
use crate::databases::{TestDatabase, both_databases};
use crate::server::{Browser, Server, hidden};
use crate::tenants;

both_databases!(
    a_link_shows_the_secret_once_to_its_address,
    a_live_key_is_handed_over_by_a_rotation,
    a_link_that_ended_says_so,
    a_wrong_address_counts_and_does_not_burn_the_link,
    a_link_dies_with_its_makers_role,
    bad_links_are_not_made,
    twenty_uses_at_once_make_one_secret,
);

const EMAIL: &str = "Dev@Agency.example";

/// The path of a new link.
async fn link(program: &Program<'_>, made: &Value) -> String {
    let body = json!({"email": EMAIL, "expires_in_seconds": 3600, "grace_seconds": 60});
    let (status, answer) = program
        .post(&format!("{}/hand-over", path(made)), &body)
        .await;
    assert_eq!(
        (status, text(&answer, "/state")),
        (StatusCode::CREATED, "open"),
        "{answer}"
    );
    text(&answer, "/link")
        .split_once("/hand-over/")
        .map(|(_, token)| format!("/hand-over/{token}"))
        .expect("a link")
}

async fn pending(program: &Program<'_>, server: &Server) -> Value {
    create(program, server, &json!({"pending": true, "name": "Agency"})).await
}

/// Opens the page and sends the address.
async fn hand_in(browser: &Browser<'_>, link: &str, email: &str) -> (StatusCode, String) {
    let page = browser.get(link).await;
    assert_eq!(page.status(), StatusCode::OK);
    let csrf = hidden(&page.text().await.expect("a page"), "csrf").expect("a token");
    read(
        browser
            .client
            .post(browser.server.url(link))
            .form(&[("csrf", csrf.as_str()), ("email", email)])
            .send()
            .await
            .expect("an answer"),
    )
    .await
}

async fn read(response: Response) -> (StatusCode, String) {
    assert_eq!(response.headers()["cache-control"], "no-store");
    (response.status(), response.text().await.expect("a page"))
}

/// The key that a page shows.
fn shown(page: &str) -> Option<String> {
    let start = page.find("cs_sandbox_")?;
    Some(
        page[start..]
            .chars()
            .take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '_')
            .collect(),
    )
}

async fn code(server: &Server, secret: &str) -> String {
    server.verify(json!({"credential": secret})).await["code"]
        .as_str()
        .expect("a code")
        .to_owned()
}

async fn a_link_shows_the_secret_once_to_its_address(db: TestDatabase) {
    // A2, S1 "share it through a secure method"
    let server = Server::start(db).await;
    let manager = manager(&server).await;
    let made = pending(&manager, &server).await;
    let link = link(&manager, &made).await;
    let browser = server.browser();
    let (_, page) = read(browser.get(&link).await).await;
    assert!(
        page.contains("Agency") && shown(&page).is_none(),
        "opening it does nothing yet: {page}"
    );
    assert_eq!(manager.get(&path(&made)).await.1["state"], "pending");
    let (status, page) = hand_in(&browser, &link, " dev@agency.example ").await;
    let secret = shown(&page).expect("the key");
    assert_eq!(
        (status, code(&server, &secret).await.as_str()),
        (StatusCode::OK, "valid")
    );
    let (status, page) = read(browser.get(&link).await).await;
    assert!(
        status == StatusCode::GONE && page.contains("has been used") && shown(&page).is_none(),
        "{page}"
    );
    let (_, list) = manager.get(&format!("{}/hand-over", path(&made))).await;
    let (_, detail) = manager.get(&path(&made)).await;
    assert_eq!(
        (&list["data"][0]["state"], &list["data"][0]["secret"]),
        (&json!("used"), &detail["secrets"][0]["id"]),
        "{list}"
    );
    assert_eq!(
        detail["secrets"][0]["shown_to"],
        json!([]),
        "no admin saw it"
    );
    assert!(!list.to_string().contains("hand-over/") && !list.to_string().contains(&secret));
}

async fn a_live_key_is_handed_over_by_a_rotation(db: TestDatabase) {
    let server = Server::start(db).await;
    let manager = manager(&server).await;
    let made = create(&manager, &server, &json!({})).await;
    let link = link(&manager, &made).await;
    let (_, page) = hand_in(&server.browser(), &link, EMAIL).await;
    let (old, new) = (text(&made, "/secret"), shown(&page).expect("the key"));
    assert_eq!(
        (
            code(&server, old).await.as_str(),
            code(&server, &new).await.as_str()
        ),
        ("valid", "valid")
    );
    server.clock.step_seconds(60);
    assert_eq!(
        (
            code(&server, old).await.as_str(),
            code(&server, &new).await.as_str()
        ),
        ("not_found", "valid"),
        "after the grace"
    );
}

async fn a_link_that_ended_says_so(db: TestDatabase) {
    let server = Server::start(db).await;
    let manager = manager(&server).await;
    let made = pending(&manager, &server).await;
    let browser = server.browser();
    let gone = async |link: &str, words: &str| {
        let (status, page) = read(browser.get(link).await).await;
        assert!(
            status == StatusCode::GONE && page.contains(words),
            "{words}: {status} {page}"
        );
    };
    let (first, second) = (link(&manager, &made).await, link(&manager, &made).await);
    gone(&first, "does not work any more").await;
    let page = browser.get(&second).await.text().await.expect("a page");
    assert_eq!(
        manager
            .delete(&format!("{}/hand-over", path(&made)))
            .await
            .0,
        StatusCode::NO_CONTENT
    );
    gone(&second, "does not work any more").await;
    let late = [
        ("csrf", hidden(&page, "csrf").expect("a token")),
        ("email", EMAIL.to_owned()),
    ];
    let late = browser
        .client
        .post(server.url(&second))
        .form(&late)
        .send()
        .await
        .expect("an answer");
    assert_eq!(
        late.status(),
        StatusCode::GONE,
        "a page that was open meanwhile"
    );
    let expired = link(&manager, &made).await;
    server.clock.step_seconds(3600);
    gone(&expired, "has expired").await;
    let of_revoked = link(&manager, &made).await;
    manager.delete(&path(&made)).await;
    gone(&of_revoked, "does not work any more").await;
    for nothing in ["x", "cs_ho_0123", &"a".repeat(5000)] {
        assert_eq!(
            browser.get(&format!("/hand-over/{nothing}")).await.status(),
            StatusCode::NOT_FOUND,
            "{nothing}"
        );
    }
    let other = countersign::crypto::format::mint_token(
        "cs",
        countersign::crypto::format::TokenKind::HandOver,
    );
    assert_eq!(
        browser
            .get(&format!("/hand-over/{}", other.expose()))
            .await
            .status(),
        StatusCode::NOT_FOUND,
        "well-shaped, and nobody's"
    );
}

async fn a_wrong_address_counts_and_does_not_burn_the_link(db: TestDatabase) {
    let server =
        Server::start_with(db, |config| config.sessions.failures_per_address.quota = 5).await;
    let manager = manager(&server).await;
    let made = pending(&manager, &server).await;
    let first = link(&manager, &made).await;
    let browser = server.browser();
    for wrong in [
        "eve@agency.example",
        "dev@agency.example.evil.example",
        "",
        "nobody",
        "dev@agency.exmaple",
    ] {
        let (status, page) = hand_in(&browser, &first, wrong).await;
        assert!(
            status == StatusCode::UNPROCESSABLE_ENTITY && shown(&page).is_none(),
            "{wrong}: {status}"
        );
    }
    let (_, list) = manager.get(&format!("{}/hand-over", path(&made))).await;
    assert_eq!(
        (
            &list["data"][0]["wrong_addresses"],
            &list["data"][0]["state"]
        ),
        (&json!(5), &json!("open"))
    );
    assert_eq!(
        server
            .database
            .count_events("api_key.hand_over_wrong_address"),
        5
    );
    assert_eq!(hand_in(&browser, &first, EMAIL).await.0, StatusCode::OK);
    // somebody who guesses on and on ends it; what was guessed at another link at the same address does not count
    let second = link(&manager, &pending(&manager, &server).await).await;
    for number in 0..10 {
        assert_eq!(
            hand_in(&browser, &second, &format!("guess{number}@agency.example"))
                .await
                .0,
            StatusCode::UNPROCESSABLE_ENTITY
        );
    }
    let ended = browser.get(&second).await;
    assert_eq!(ended.status(), StatusCode::GONE);
}

async fn a_link_dies_with_its_makers_role(db: TestDatabase) {
    use countersign::types::state::OrganizationRole;
    let server = Server::start(db).await;
    let maker = tenants::member(&server, "max@acme.example", OrganizationRole::Admin).await;
    let theirs = crate::api::manager_of(&server, maker).await;
    let made = pending(&manager(&server).await, &server).await;
    let link = link(&theirs, &made).await;
    let organization = server.planted.organization;
    server
        .write(move |tx| {
            Ok(tx.change_member_role(
                organization,
                maker,
                OrganizationRole::Admin,
                OrganizationRole::Member,
            )?)
        })
        .await;
    assert_eq!(server.browser().get(&link).await.status(), StatusCode::GONE);
}

async fn bad_links_are_not_made(db: TestDatabase) {
    let server = Server::start(db).await;
    let manager = manager(&server).await;
    let made = pending(&manager, &server).await;
    let post = async |body: Value| {
        manager
            .post(&format!("{}/hand-over", path(&made)), &body)
            .await
    };
    for (body, field) in [
        (
            json!({"email": "nobody", "expires_in_seconds": 60}),
            "email",
        ),
        (
            json!({"email": "a@b.example, c@d.example", "expires_in_seconds": 60}),
            "email",
        ),
        (
            json!({"email": EMAIL, "expires_in_seconds": 59}),
            "expires_in_seconds",
        ),
        (
            json!({"email": EMAIL, "expires_in_seconds": 604_801}),
            "expires_in_seconds",
        ),
        (
            json!({"email": EMAIL, "expires_in_seconds": 60, "grace_seconds": -1}),
            "grace_seconds",
        ),
    ] {
        let (status, answer) = post(body.clone()).await;
        assert_eq!(
            (status, answer["errors"][0]["field"].as_str()),
            (StatusCode::UNPROCESSABLE_ENTITY, Some(field)),
            "{body}: {answer}"
        );
    }
    let hand_over = format!("{}/hand-over", path(&made));
    let send = || {
        send(
            manager
                .request(Method::POST, &hand_over)
                .header("Idempotency-Key", "h")
                .json(&json!({"email": EMAIL, "expires_in_seconds": 60})),
        )
    };
    let first: Value = send().await.json().await.expect("JSON");
    let again: Value = send().await.json().await.expect("JSON");
    assert_eq!(
        (&again["id"], &again["link"], first["link"].is_string()),
        (&first["id"], &Value::Null, true),
        "shown once"
    );
    let dead = create(&manager, &server, &json!({})).await;
    manager.delete(&path(&dead)).await;
    let body = json!({"email": EMAIL, "expires_in_seconds": 60});
    assert_eq!(
        problem(
            manager
                .post(&format!("{}/hand-over", path(&dead)), &body)
                .await
        ),
        (409, "wrong_state".to_owned())
    );
}

async fn twenty_uses_at_once_make_one_secret(db: TestDatabase) {
    let server = Server::start(db).await;
    let manager = manager(&server).await;
    let made = pending(&manager, &server).await;
    let link = link(&manager, &made).await;
    let browser = server.browser();
    let csrf = hidden(
        &browser.get(&link).await.text().await.expect("a page"),
        "csrf",
    )
    .expect("a token");
    let form = [("csrf", csrf.as_str()), ("email", EMAIL)];
    let post = || async {
        read(
            browser
                .client
                .post(server.url(&link))
                .form(&form)
                .send()
                .await
                .expect("an answer"),
        )
        .await
    };
    let answers = futures_util::future::join_all((0..20).map(|_| post())).await;
    let secrets: Vec<_> = answers.iter().filter_map(|(_, page)| shown(page)).collect();
    assert_eq!(secrets.len(), 1, "{secrets:?}");
    assert_eq!(code(&server, &secrets[0]).await, "valid");
    assert_eq!(
        manager.get(&path(&made)).await.1["secrets"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
}
