//! `/account/identity`: linking the operator's provider to an account that is there, and unlinking it.

use countersign::domain::lifecycle::quickstart::ADMIN;
use reqwest::{Response, StatusCode};

use super::{
    Asked, Fake, asked, come_back, give_provider, refused, sign_in, sign_in_at, start, verified,
};
use crate::databases::{TestDatabase, both_databases};
use crate::people;
use crate::server::{Browser, Server, location};

both_databases!(
    an_account_is_linked_by_its_signed_in_person_and_unlinked_again,
    linking_and_unlinking_need_a_fresh_proof,
    a_link_belongs_to_the_session_that_asked_for_it,
    an_identity_is_one_accounts_and_an_account_has_one,
    the_last_way_to_sign_in_stays,
    a_session_of_an_organizations_provider_changes_nothing,
    without_a_provider_there_is_nothing_to_link,
);

const PAGE: &str = "/account/identity";

async fn ask_for_link(browser: &Browser<'_>) -> Response {
    browser.submit(PAGE, "/account/identity/link", &[]).await
}

/// The answer to the form is a page that goes on by itself.
async fn leave_for_link(browser: &Browser<'_>) -> Asked {
    let response = ask_for_link(browser).await;
    assert_eq!(response.status(), StatusCode::OK);
    let refresh = response.headers()["refresh"]
        .to_str()
        .expect("text")
        .to_owned();
    let html = response.text().await.expect("text");
    assert!(html.contains("Go on to Vendor ID"), "{html}");
    asked(refresh.strip_prefix("0; url=").expect("a URL").to_owned())
}

async fn link(browser: &Browser<'_>, fake: &Fake, sub: &str) -> Response {
    let asked = leave_for_link(browser).await;
    // the address plays no part in it, verified or not
    fake.vouch(
        &browser.server.clock,
        &asked.nonce,
        serde_json::json!({"sub": sub, "email": "somebody@elsewhere.example"}),
    );
    come_back(browser, fake, &asked).await
}

async fn text(browser: &Browser<'_>) -> String {
    browser.get(PAGE).await.text().await.expect("text")
}

async fn an_account_is_linked_by_its_signed_in_person_and_unlinked_again(db: TestDatabase) {
    let (server, fake) = start(db).await;
    let admin = server.signed_in_browser().await;
    assert!(
        text(&admin)
            .await
            .contains("link your identity there to this account")
    );
    let response = link(&admin, &fake, "s-admin").await;
    assert_eq!(
        (response.status(), location(response.headers()).as_str()),
        (StatusCode::SEE_OTHER, PAGE)
    );
    assert!(text(&admin).await.contains("linked on 20 Nov 2026"));
    let by_provider = server.browser();
    assert_eq!(
        sign_in(
            &by_provider,
            &fake,
            verified("s-admin", "new@elsewhere.example")
        )
        .await
        .status(),
        StatusCode::SEE_OTHER
    );
    assert!(text(&by_provider).await.contains(ADMIN));
    assert!(
        location(by_provider.get("/dev-centre").await.headers()).starts_with("/dev-centre/org_")
    );
    let response = admin.submit(PAGE, "/account/identity/unlink", &[]).await;
    assert_eq!(
        (response.status(), location(response.headers()).as_str()),
        (StatusCode::SEE_OTHER, PAGE)
    );
    // from here on it is somebody unknown, whose address is taken
    assert_eq!(
        refused(sign_in(&server.browser(), &fake, verified("s-admin", ADMIN)).await)
            .await
            .0,
        StatusCode::FORBIDDEN
    );
}

/// Another way to sign in outlives the session, and a new password: whoever finds an open browser adds none.
async fn linking_and_unlinking_need_a_fresh_proof(db: TestDatabase) {
    let (server, _fake) = start(db).await;
    let admin = server.signed_in_browser().await;
    server.clock.step_seconds(16 * 60);
    for action in ["/account/identity/link", "/account/identity/unlink"] {
        let response = admin.submit(PAGE, action, &[]).await;
        assert!(
            location(response.headers()).starts_with("/account/confirm?return_to="),
            "{action}"
        );
    }
}

async fn a_link_belongs_to_the_session_that_asked_for_it(db: TestDatabase) {
    let (server, fake) = start(db).await;
    people::person(&server, "victim@elsewhere.example").await;
    // the attacker leaves for a link, and another session comes back in the same browser
    let browser = people::browser(&server, ADMIN).await;
    let asked = leave_for_link(&browser).await;
    fake.vouch(
        &server.clock,
        &asked.nonce,
        verified("s-evil", "evil@elsewhere.example"),
    );
    browser.submit(PAGE, "/logout", &[]).await;
    assert_eq!(
        browser
            .sign_in("victim@elsewhere.example", &server.secrets.password)
            .await
            .status(),
        StatusCode::SEE_OTHER
    );
    assert_eq!(
        refused(come_back(&browser, &fake, &asked).await).await.0,
        StatusCode::BAD_REQUEST
    );
    // or in the victim's own browser
    let (attacker, victim) = (
        people::browser(&server, ADMIN).await,
        people::browser(&server, "victim@elsewhere.example").await,
    );
    let asked = leave_for_link(&attacker).await;
    fake.vouch(
        &server.clock,
        &asked.nonce,
        verified("s-evil", "evil@elsewhere.example"),
    );
    assert_eq!(
        refused(come_back(&victim, &fake, &asked).await).await.0,
        StatusCode::BAD_REQUEST
    );
    assert!(
        text(&victim)
            .await
            .contains("link your identity there to this account")
    );
    // and nobody asks for it from elsewhere
    for path in ["/account/identity/link", "/account/identity/unlink"] {
        let response = victim
            .client
            .post(server.url(path))
            .form(&[("csrf", "x")])
            .send()
            .await
            .expect("an answer");
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
    }
}

async fn an_identity_is_one_accounts_and_an_account_has_one(db: TestDatabase) {
    let (server, fake) = start(db).await;
    people::person(&server, "second@elsewhere.example").await;
    let (admin, second) = (
        server.signed_in_browser().await,
        people::browser(&server, "second@elsewhere.example").await,
    );
    assert_eq!(
        link(&admin, &fake, "s-1").await.status(),
        StatusCode::SEE_OTHER
    );
    let (status, html) = refused(link(&second, &fake, "s-1").await).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(html.contains("belongs to another account"), "{html}");
    assert_eq!(
        link(&admin, &fake, "s-1").await.status(),
        StatusCode::SEE_OTHER,
        "again is no error"
    );
    let (status, html) = refused(link(&admin, &fake, "s-2").await).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(html.contains("Unlink that one first"), "{html}");
}

async fn the_last_way_to_sign_in_stays(db: TestDatabase) {
    let (server, fake) = start(db).await;
    let browser = server.browser();
    assert_eq!(
        sign_in(&browser, &fake, verified("s-1", "new@elsewhere.example"))
            .await
            .status(),
        StatusCode::SEE_OTHER
    );
    assert!(text(&browser).await.contains("your only way to sign in"));
    let html = browser.get(PAGE).await.text().await.expect("text");
    let csrf = crate::server::hidden(&html, "csrf").expect("a token");
    let response = browser
        .client
        .post(server.url("/account/identity/unlink"))
        .form(&[("csrf", csrf)])
        .send()
        .await
        .expect("an answer");
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert_eq!(
        sign_in(
            &server.browser(),
            &fake,
            verified("s-1", "new@elsewhere.example")
        )
        .await
        .status(),
        StatusCode::SEE_OTHER
    );
}

async fn a_session_of_an_organizations_provider_changes_nothing(db: TestDatabase) {
    let (server, fake) = start(db).await;
    people::member(&server, super::ADA, None).await;
    let path = give_provider(&server, &fake, false).await;
    let confined = server.browser();
    assert_eq!(
        sign_in_at(&confined, &fake, &path, verified("s-ada", super::ADA))
            .await
            .status(),
        StatusCode::SEE_OTHER
    );
    assert!(
        text(&confined)
            .await
            .contains("opens that organization only")
    );
    for path in ["/account/identity/link", "/account/identity/unlink"] {
        assert_eq!(
            refused(confined.submit(PAGE, path, &[]).await).await.0,
            StatusCode::FORBIDDEN,
            "{path}"
        );
    }
}

async fn without_a_provider_there_is_nothing_to_link(db: TestDatabase) {
    let server: Server = Server::start(db).await;
    let admin = server.signed_in_browser().await;
    assert!(
        text(&admin)
            .await
            .contains("There is no other way to sign in here")
    );
    for path in ["/account/identity/link", "/account/identity/unlink"] {
        assert_eq!(
            refused(admin.submit(PAGE, path, &[]).await).await.0,
            StatusCode::BAD_REQUEST,
            "{path}"
        );
    }
}
