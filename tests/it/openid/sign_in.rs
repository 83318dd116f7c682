//! `GET /login/oidc` and back: whom the operator's provider signs in.

use countersign::domain::lifecycle::quickstart::ADMIN;
use countersign::types::state::UserState;
use reqwest::StatusCode;
use serde_json::json;

use super::{count_people, find, leave, refused, sign_in, sign_in_at, start, start_with, verified};
use crate::databases::{TestDatabase, both_databases};
use crate::people;
use crate::server::{location, parameter};

both_databases!(
    somebody_new_with_a_verified_address_becomes_a_person_and_stays_that_person,
    the_provider_is_asked_by_pkce_state_and_nonce,
    an_unverified_address_makes_nobody,
    an_account_that_exists_is_never_taken_over_by_its_address,
    nobody_is_created_where_the_operator_says_so,
    a_suspended_person_does_not_come_in,
    two_first_sign_ins_at_once_make_one_person,
    the_address_may_be_told_at_the_userinfo_endpoint,
    the_way_back_is_kept_and_never_leaves_this_server,
    without_local_accounts_only_operators_have_a_password,
    a_provider_that_is_down_or_denies_is_a_page_with_a_way_back,
    without_a_provider_there_is_no_button_and_no_way_in,
    nobody_is_signed_in_as_somebody_else_unasked,
);

async fn somebody_new_with_a_verified_address_becomes_a_person_and_stays_that_person(
    db: TestDatabase,
) {
    let (server, fake) = start(db).await;
    let browser = server.browser();
    let page = browser.get("/login").await.text().await.expect("text");
    assert!(
        page.contains("Sign in with Vendor ID") && page.contains("name=\"password\""),
        "{page}"
    );
    let response = sign_in(
        &browser,
        &fake,
        verified("s-1", "New.Person@elsewhere.example"),
    )
    .await;
    assert_eq!(
        (response.status(), location(response.headers()).as_str()),
        (StatusCode::SEE_OTHER, "/")
    );
    let person = find(&server, "new.person@elsewhere.example")
        .await
        .expect("created");
    assert!(
        person.name == "Ada Lovelace"
            && !person.operator
            && person.password_hash.is_none()
            && person.email_verified_at.is_some()
    );
    assert_eq!(browser.get("/dev-centre").await.status(), StatusCode::OK);
    // the subject is the person: the provider's address may change, to that of somebody else even
    for email in ["renamed@elsewhere.example", ADMIN] {
        let again = server.browser();
        let response = sign_in(&again, &fake, verified("s-1", email)).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        let html = again.get("/dev-centre").await.text().await.expect("text");
        assert!(
            html.contains("new.person@elsewhere.example") && !html.contains(email),
            "{html}"
        );
    }
    // and so may its name of the address be nobody's
    assert_eq!(
        sign_in(&server.browser(), &fake, json!({"sub": "s-1"}))
            .await
            .status(),
        StatusCode::SEE_OTHER
    );
}

async fn the_provider_is_asked_by_pkce_state_and_nonce(db: TestDatabase) {
    let (server, fake) = start(db).await;
    let browser = server.browser();
    let asked = leave(&browser, "/login/oidc").await;
    let told = |name| parameter(&asked.url, name).unwrap_or_default();
    assert!(
        asked
            .url
            .starts_with(&format!("{}/authorize?", fake.issuer))
    );
    assert_eq!(
        (told("response_type").as_str(), told("client_id").as_str()),
        ("code", "countersign")
    );
    assert_eq!(told("redirect_uri"), server.url("/login/oidc/callback"));
    assert_eq!(
        (
            told("code_challenge_method").as_str(),
            told("code_challenge").len()
        ),
        ("S256", 43)
    );
    let scope = told("scope");
    assert_eq!(
        scope.split(' ').collect::<Vec<_>>(),
        ["openid", "email", "profile"]
    );
    let other = leave(&server.browser(), "/login/oidc").await;
    assert!(
        asked.state.len() >= 22
            && asked.nonce.len() >= 22
            && asked.state != other.state
            && asked.nonce != other.nonce
    );
    fake.vouch(
        &server.clock,
        &asked.nonce,
        verified("s-1", "new@elsewhere.example"),
    );
    assert_eq!(
        super::come_back(&browser, &fake, &asked).await.status(),
        StatusCode::SEE_OTHER
    );
    let sent = fake.get(|answers| answers.token_requests.join("\n"));
    assert!(
        sent.contains("code_verifier=")
            && sent.contains("grant_type=authorization_code")
            && sent.contains(&format!("code={}", asked.nonce)),
        "{sent}"
    );
}

async fn an_unverified_address_makes_nobody(db: TestDatabase) {
    let (server, fake) = start(db).await;
    let before = count_people(&server).await;
    for claims in [
        json!({"email": "new@elsewhere.example", "email_verified": false}),
        json!({"email": "new@elsewhere.example"}),
        json!({"email": "no address", "email_verified": true}),
        json!({}),
    ] {
        fake.set(|answers| answers.userinfo = json!({"sub": "s-1"}));
        let (status, html) = refused(sign_in(&server.browser(), &fake, claims).await).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
        assert!(
            html.contains("does not vouch for your e-mail address"),
            "{html}"
        );
    }
    assert_eq!(count_people(&server).await, before);
}

async fn an_account_that_exists_is_never_taken_over_by_its_address(db: TestDatabase) {
    let (server, fake) = start(db).await;
    for (sub, email) in [("s-1", ADMIN), ("s-2", "ADMIN@acme.EXAMPLE")] {
        let (status, html) =
            refused(sign_in(&server.browser(), &fake, verified(sub, email)).await).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
        assert!(
            html.contains("There is an account with your e-mail address already"),
            "{html}"
        );
    }
    let unverified = json!({"email": ADMIN, "email_verified": false});
    assert_eq!(
        refused(sign_in(&server.browser(), &fake, unverified).await)
            .await
            .0,
        StatusCode::FORBIDDEN
    );
}

async fn nobody_is_created_where_the_operator_says_so(db: TestDatabase) {
    let (server, fake) = start_with(db, |config| config.identity.create_users = false).await;
    let before = count_people(&server).await;
    let (status, html) = refused(
        sign_in(
            &server.browser(),
            &fake,
            verified("s-1", "new@elsewhere.example"),
        )
        .await,
    )
    .await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(
        html.contains("There is no account for you here yet"),
        "{html}"
    );
    assert_eq!(count_people(&server).await, before);
}

async fn a_suspended_person_does_not_come_in(db: TestDatabase) {
    let (server, fake) = start(db).await;
    let new = verified("s-1", "new@elsewhere.example");
    let browser = server.browser();
    assert_eq!(
        sign_in(&browser, &fake, new.clone()).await.status(),
        StatusCode::SEE_OTHER
    );
    let id = find(&server, "new@elsewhere.example")
        .await
        .expect("created")
        .id;
    server
        .write(move |tx| Ok(tx.change_user_state(id, UserState::Active, UserState::Suspended)?))
        .await;
    let (status, html) = refused(sign_in(&server.browser(), &fake, new).await).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(html.contains("suspended"), "{html}");
    assert!(location(browser.get("/dev-centre").await.headers()).starts_with("/login"));
}

async fn two_first_sign_ins_at_once_make_one_person(db: TestDatabase) {
    let (server, fake) = start(db).await;
    let before = count_people(&server).await;
    for round in 0..20 {
        let claims = verified(
            &format!("s-{round}"),
            &format!("person{round}@elsewhere.example"),
        );
        let browsers = [server.browser(), server.browser(), server.browser()];
        let ways = browsers
            .each_ref()
            .map(|browser| sign_in(browser, &fake, claims.clone()));
        for response in futures_util::future::join_all(ways).await {
            assert_eq!(response.status(), StatusCode::SEE_OTHER);
        }
    }
    assert_eq!(count_people(&server).await, before + 20);
}

async fn the_address_may_be_told_at_the_userinfo_endpoint(db: TestDatabase) {
    let (server, fake) = start(db).await;
    fake.set(|answers| answers.userinfo = verified("s-1", "new@elsewhere.example"));
    assert_eq!(
        sign_in(&server.browser(), &fake, json!({})).await.status(),
        StatusCode::SEE_OTHER
    );
    assert!(find(&server, "new@elsewhere.example").await.is_some());
    // OpenID Connect Core §5.3.2: another subject's answer is nobody's
    fake.set(|answers| answers.userinfo = verified("s-3", "other@elsewhere.example"));
    assert_eq!(
        refused(sign_in(&server.browser(), &fake, json!({"sub": "s-2"})).await)
            .await
            .0,
        StatusCode::FORBIDDEN
    );
    assert!(find(&server, "other@elsewhere.example").await.is_none());
}

async fn the_way_back_is_kept_and_never_leaves_this_server(db: TestDatabase) {
    let (server, fake) = start(db).await;
    let claims = verified("s-1", "new@elsewhere.example");
    for (asked, reached) in [
        (
            "/oauth2/authorize?client_id=x%26y",
            "/login/continue?client_id=x%26y",
        ),
        ("https://evil.example", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("", "/"),
    ] {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("return_to", asked)
            .finish();
        let response = sign_in_at(
            &server.browser(),
            &fake,
            &format!("/login/oidc?{query}"),
            claims.clone(),
        )
        .await;
        assert_eq!(
            (response.status(), location(response.headers()).as_str()),
            (StatusCode::SEE_OTHER, reached),
            "{asked}"
        );
    }
    // RFC 6265 §6.1: browsers keep 4096 bytes of a cookie
    let longest = format!("/login/oidc?return_to=/{}", "x".repeat(2599));
    let response = server.get(&longest).send().await.expect("an answer");
    let cookie = response.headers()["set-cookie"]
        .to_str()
        .expect("text")
        .split(';')
        .next()
        .expect("a pair")
        .len();
    assert!((3600..=4096).contains(&cookie), "{cookie}");
    // one that no cookie could hold is forgotten, and the sign-in goes on
    let long = format!("/login/oidc?return_to=/{}", "x".repeat(8000));
    let response = sign_in_at(&server.browser(), &fake, &long, claims).await;
    assert_eq!(
        (response.status(), location(response.headers()).as_str()),
        (StatusCode::SEE_OTHER, "/")
    );
}

async fn without_local_accounts_only_operators_have_a_password(db: TestDatabase) {
    let (server, fake) = start_with(db, |config| config.identity.local_accounts = false).await;
    let browser = server.browser();
    let html = browser.get("/login").await.text().await.expect("text");
    assert!(
        !html.contains("name=\"password\"") && html.contains("Sign in with Vendor ID"),
        "{html}"
    );
    // the way back for operators, when the provider is down
    assert!(
        html.contains("href=\"/login?with=password&#38;return_to=%2F\""),
        "{html}"
    );
    let operator = crate::tenants::person(&server, "operator@vendor.example", true).await;
    let with_password = async |email: &str, password: &str| {
        let browser = server.browser();
        browser
            .submit(
                "/login?with=password",
                "/login",
                &[("email", email), ("password", password)],
            )
            .await
            .status()
    };
    assert_eq!(
        with_password(ADMIN, &server.secrets.password).await,
        StatusCode::UNPROCESSABLE_ENTITY,
        "right, but of no use"
    );
    assert_eq!(
        with_password("operator@vendor.example", &crate::tenants::PASSWORD.0).await,
        StatusCode::SEE_OTHER,
        "{operator}"
    );
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

async fn a_provider_that_is_down_or_denies_is_a_page_with_a_way_back(db: TestDatabase) {
    let (server, fake) = start(db).await;
    let browser = server.browser();
    let asked = leave(&browser, "/login/oidc").await;
    let denied = browser
        .get(&format!(
            "/login/oidc/callback?error=access_denied&state={}&iss={}",
            asked.state, fake.issuer
        ))
        .await;
    let (status, html) = refused(denied).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(
        html.contains("You did not sign in") && html.contains("href=\"/\""),
        "{html}"
    );
    for (status, broken) in [(400, "invalid_grant"), (503, "invalid_grant")] {
        let asked = leave(&browser, "/login/oidc").await;
        fake.set(|answers| answers.token_status = status);
        let (status, html) = refused(super::come_back(&browser, &fake, &asked).await).await;
        assert_eq!(status, StatusCode::BAD_GATEWAY);
        assert!(!html.contains(broken), "{html}");
    }
    let down = people::person(&server, "somebody@elsewhere.example").await;
    drop(fake);
    server.clock.step_seconds(2 * 60 * 60);
    let (status, html) = refused(server.browser().get("/login/oidc").await).await;
    assert_eq!(status, StatusCode::BAD_GATEWAY, "{down}");
    assert!(
        html.contains("The provider does not answer") && html.contains("href=\"/\""),
        "{html}"
    );
}

async fn without_a_provider_there_is_no_button_and_no_way_in(db: TestDatabase) {
    let server = crate::server::Server::start(db).await;
    let html = server
        .browser()
        .get("/login")
        .await
        .text()
        .await
        .expect("text");
    assert!(!html.contains("/login/oidc"), "{html}");
    for path in [
        "/login/oidc",
        "/login/oidc/operator",
        "/login/oidc/idp_0123456789ABCDEFGHIJKL",
        "/login/oidc/callback?code=x&state=y",
    ] {
        assert_eq!(
            refused(server.browser().get(path).await).await.0,
            StatusCode::BAD_REQUEST,
            "{path}"
        );
    }
}

async fn nobody_is_signed_in_as_somebody_else_unasked(db: TestDatabase) {
    // login CSRF: a link elsewhere, and a browser in which another person is signed in
    let (server, fake) = start(db).await;
    let browser = server.browser();
    let elsewhere = browser
        .client
        .get(server.url("/login/oidc?return_to=/dev-centre"))
        .header("Sec-Fetch-Site", "cross-site")
        .send()
        .await;
    let elsewhere = elsewhere.expect("an answer");
    assert_eq!(elsewhere.status(), StatusCode::OK);
    let html = elsewhere.text().await.expect("text");
    assert!(
        html.contains("Another site sent you here.")
            && html.contains("href=\"/login/oidc?return_to="),
        "{html}"
    );
    let own = browser
        .client
        .get(server.url("/login/oidc"))
        .header("Sec-Fetch-Site", "same-origin")
        .send()
        .await
        .expect("an answer");
    assert_eq!(own.status(), StatusCode::SEE_OTHER);
    let admin = server.signed_in_browser().await;
    let response = sign_in(&admin, &fake, verified("s-9", "somebody@elsewhere.example")).await;
    assert_eq!(response.status(), StatusCode::CONFLICT);
    let still = admin
        .get("/account/identity")
        .await
        .text()
        .await
        .expect("text");
    assert!(still.contains(ADMIN), "{still}");
}
