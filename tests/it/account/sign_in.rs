//! `GET` and `POST /login`.

use countersign::domain::lifecycle::quickstart::ADMIN;
use countersign::store::users::User;
use countersign::types::id::UserId;
use countersign::types::state::{UserKind, UserState};
use reqwest::StatusCode;
use reqwest::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, HeaderMap, ORIGIN, RETRY_AFTER,
};

use super::{DEVICES, Form, SESSION, STRANGER, cookie, opens, session, set_cookie};
use crate::databases::{TestDatabase, both_databases};
use crate::people;
use crate::server::{REDIRECT_URI, Server, authorize_path, hidden, location};

both_databases!(
    signing_in_starts_a_session_that_opens_the_console,
    an_https_issuer_binds_its_cookies_to_the_host,
    every_sign_in_is_a_new_session_and_ends_the_former,
    a_session_chosen_by_somebody_else_is_not_taken_up,
    nobody_learns_which_accounts_exist,
    five_failures_at_an_account_stop_their_own_network_and_nobody_else,
    failures_at_many_accounts_lock_no_neighbour_out,
    a_known_device_goes_on_when_strangers_have_tried_too_many_passwords,
    what_a_device_keeps_is_for_one_account_and_one_password,
    a_forged_forwarding_header_is_no_fresh_start,
    an_idle_session_ends,
    a_busy_session_ends_after_a_day,
    a_suspended_person_is_signed_out_at_once,
    the_database_holds_no_session_token,
    a_form_of_another_browser_is_refused,
    a_form_from_another_site_is_refused,
    a_form_older_than_the_session_leads_on,
    of_tabs_opened_at_once_every_form_ends_in_a_sign_in,
    the_way_back_never_leaves_this_server,
    who_waits_for_the_sign_in_is_named,
    an_application_that_is_not_registered_opens_nothing,
    broken_requests_get_their_status,
    what_was_typed_comes_back_escaped_and_without_the_password,
    nonsense_in_the_cookies_reads_as_a_stranger,
    a_browser_at_the_wrong_name_reads_the_right_one,
);

async fn signing_in_starts_a_session_that_opens_the_console(db: TestDatabase) {
    let server = Server::start(db).await;
    let page = server.get("/login").send().await.expect("an answer");
    assert_eq!(page.status(), StatusCode::OK);
    assert_eq!(page.headers()["cache-control"], "no-store");
    let form = Form::load(&server).await;
    let response = form
        .send(&server, "192.0.2.1", ADMIN, &server.secrets.password)
        .await;
    assert_eq!(
        (response.status(), location(response.headers()).as_str()),
        (StatusCode::SEE_OTHER, "/")
    );
    let line = set_cookie(&response, SESSION).expect("a session cookie");
    for attribute in ["; HttpOnly", "; SameSite=Lax", "; Path=/"] {
        assert!(line.contains(attribute), "{line}");
    }
    for attribute in ["Secure", "Domain", "Expires", "Max-Age"] {
        assert!(!line.contains(attribute), "{line}");
    }
    assert_eq!(
        cookie(&response, STRANGER).as_deref(),
        Some(""),
        "the stranger's cookie goes"
    );
    assert!(opens(&server, &cookie(&response, SESSION).expect("a session")).await);
    let upper_case = form
        .send(
            &server,
            "192.0.2.1",
            " Admin@ACME.example ",
            &server.secrets.password,
        )
        .await;
    assert_eq!(upper_case.status(), StatusCode::SEE_OTHER);
}

async fn an_https_issuer_binds_its_cookies_to_the_host(db: TestDatabase) {
    let server = Server::start_with(db, |config| {
        config.server.issuer = "https://id.example".to_owned()
    })
    .await;
    // the issuer is behind a proxy here; the test is that proxy
    let at = |path: &str| format!("http://{}{path}", server.app.config.server.listen);
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client");
    let page = client
        .get(at("/login"))
        .header("host", "id.example")
        .send()
        .await
        .expect("an answer");
    assert!(page.headers().contains_key("strict-transport-security"));
    let stranger = set_cookie(&page, "__Host-countersign_visitor").expect("a stranger's cookie");
    let pair = stranger.split(';').next().expect("a pair").to_owned();
    let csrf = hidden(&page.text().await.expect("text"), "csrf").expect("a token");
    let fields = [
        ("csrf", csrf.as_str()),
        ("email", ADMIN),
        ("password", &server.secrets.password),
    ];
    let request = client
        .post(at("/login"))
        .header("host", "id.example")
        .header(ORIGIN, "https://id.example")
        .header(COOKIE, &pair);
    let response = request.form(&fields).send().await.expect("an answer");
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    for line in [
        stranger,
        set_cookie(&response, "__Host-countersign_session").expect("a session cookie"),
    ] {
        for attribute in ["; Secure", "; HttpOnly", "; SameSite=Lax", "; Path=/"] {
            assert!(line.contains(attribute), "{line}");
        }
        assert!(!line.contains("Domain"), "{line}");
    }
}

async fn every_sign_in_is_a_new_session_and_ends_the_former(db: TestDatabase) {
    let server = Server::start(db).await;
    let former = session(&server).await;
    let with_former = format!("{SESSION}={former}");
    let organization = server.planted.organization;
    let page = server
        .get(&format!("/dev-centre/{organization}/api-keys"))
        .header(COOKIE, &with_former)
        .send()
        .await
        .expect("an answer");
    let csrf = hidden(&page.text().await.expect("text"), "csrf").expect("a token");
    let form = Form {
        cookie: with_former,
        csrf,
    };
    let response = form
        .send(&server, "192.0.2.1", ADMIN, &server.secrets.password)
        .await;
    let next = cookie(&response, SESSION).expect("a session");
    assert_ne!(next, former);
    assert!(opens(&server, &next).await);
    assert!(
        !opens(&server, &former).await,
        "the former session has ended"
    );
}

async fn a_session_chosen_by_somebody_else_is_not_taken_up(db: TestDatabase) {
    let server = Server::start(db).await;
    let chosen = "x".repeat(43);
    let mut form = Form::load(&server).await;
    form.cookie = format!("{}; {SESSION}={chosen}", form.cookie);
    let response = form
        .send(&server, "192.0.2.1", ADMIN, &server.secrets.password)
        .await;
    assert_ne!(cookie(&response, SESSION).expect("a session"), chosen);
    assert!(!opens(&server, &chosen).await);
}

async fn nobody_learns_which_accounts_exist(db: TestDatabase) {
    let server = Server::start_with(db, trust_loopback).await;
    let suspended = people::person(&server, "suspended@acme.example").await;
    server
        .write(move |tx| {
            Ok(tx.change_user_state(suspended, UserState::Active, UserState::Suspended)?)
        })
        .await;
    let robot = User {
        id: UserId::generate(server.clock.now()),
        kind: UserKind::ServiceAccount,
        ..people::admin(&server).await
    };
    let robot = User {
        email: Some("robot@acme.example".to_owned()),
        ..robot
    };
    server.write(move |tx| Ok(tx.insert_user(&robot)?)).await;
    let (right, wrong) = (server.secrets.password.as_str(), "not the password");
    let tries = [
        (ADMIN, wrong),
        ("nobody@acme.example", right),
        ("suspended@acme.example", right),
        ("robot@acme.example", right),
        ("no address", right),
        (ADMIN, ""),
    ];
    let form = Form::load(&server).await;
    let mut answers = Vec::new();
    for (number, (email, password)) in tries.into_iter().enumerate() {
        let response = form
            .send(&server, &format!("192.0.2.{number}"), email, password)
            .await;
        assert!(cookie(&response, SESSION).is_none(), "{email}");
        let status = response.status();
        answers.push((
            status,
            response.text().await.expect("text").replace(email, "EMAIL"),
        ));
    }
    assert_eq!(answers[0].0, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        answers[0]
            .1
            .contains("The e-mail address or the password is wrong.")
    );
    for ((email, _), answer) in tries.iter().zip(&answers) {
        assert_eq!(*answer, answers[0], "{email}");
    }
}

async fn five_failures_at_an_account_stop_their_own_network_and_nobody_else(db: TestDatabase) {
    let server = Server::start_with(db, trust_loopback).await;
    people::person(&server, "ben@acme.example").await;
    let form = Form::load(&server).await;
    for _ in 0..5 {
        assert_eq!(
            form.send(&server, "192.0.2.66", ADMIN, "a guess")
                .await
                .status(),
            StatusCode::UNPROCESSABLE_ENTITY
        );
    }
    let right = server.secrets.password.as_str();
    let stopped = form.send(&server, "192.0.2.66", ADMIN, right).await;
    assert_eq!(stopped.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(stopped.headers()[RETRY_AFTER], "900");
    assert!(cookie(&stopped, SESSION).is_none());
    let written_otherwise = form
        .send(&server, "192.0.2.66", "ADMIN@acme.example", right)
        .await;
    assert_eq!(written_otherwise.status(), StatusCode::TOO_MANY_REQUESTS);
    let neighbour = form
        .send(&server, "192.0.2.66", "ben@acme.example", right)
        .await;
    assert_eq!(
        neighbour.status(),
        StatusCode::SEE_OTHER,
        "another account behind the same address"
    );
    let owner = form.send(&server, "198.51.100.7", ADMIN, right).await;
    assert_eq!(
        owner.status(),
        StatusCode::SEE_OTHER,
        "the owner at another address"
    );
    server.clock.step_seconds(15 * 60 + 1);
    assert_eq!(
        form.send(&server, "192.0.2.66", ADMIN, right)
            .await
            .status(),
        StatusCode::SEE_OTHER,
        "after the window"
    );
}

async fn failures_at_many_accounts_lock_no_neighbour_out(db: TestDatabase) {
    let server = Server::start_with(db, |config| {
        trust_loopback(config);
        config.sessions.failures_per_address.quota = 3;
    })
    .await;
    let form = Form::load(&server).await;
    // one IPv6 network of 64 bits is one customer
    for number in 0..3 {
        let address = format!("2001:db8:0:1::{number}");
        let response = form
            .send(
                &server,
                &address,
                &format!("user{number}@acme.example"),
                "a guess",
            )
            .await;
        assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    }
    let right = server.secrets.password.as_str();
    people::person(&server, "ben@acme.example").await;
    let from = async |email: &str, password: &str| {
        let address = "2001:db8:0:1::9";
        form.send(&server, address, email, password).await
    };
    let neighbour = from("ben@acme.example", right).await;
    assert_eq!(neighbour.status(), StatusCode::SEE_OTHER);
    // each account is tried once from there
    server.clock.step_seconds(100);
    assert_eq!(
        from(ADMIN, "a guess").await.status(),
        StatusCode::UNPROCESSABLE_ENTITY
    );
    let stopped = from(ADMIN, right).await;
    assert_eq!(stopped.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(stopped.headers()[RETRY_AFTER], "800", "the true wait");
    assert_eq!(
        form.send(&server, "2001:db8:0:2::9", ADMIN, right)
            .await
            .status(),
        StatusCode::SEE_OTHER
    );
}

/// A new browser's page, with the cookie of known devices that another answer set.
async fn known(server: &Server, devices: &str) -> Form {
    let mut form = Form::load(server).await;
    form.cookie = format!("{}; {DEVICES}={devices}", form.cookie);
    form
}

async fn a_known_device_goes_on_when_strangers_have_tried_too_many_passwords(db: TestDatabase) {
    // NIST SP 800-63B §3.2.2: no more than 100 in a row
    let server = Server::start_with(db, trust_loopback).await;
    let right = server.secrets.password.as_str();
    let stranger = Form::load(&server).await;
    let first = stranger.send(&server, "192.0.2.1", ADMIN, right).await;
    let line = set_cookie(&first, DEVICES).expect("the browser is known from now on");
    for attribute in ["; HttpOnly", "; SameSite=Lax", "; Path=/", "Max-Age"] {
        assert!(line.contains(attribute), "{line}");
    }
    let devices = cookie(&first, DEVICES).expect("a device");
    for number in 0..100 {
        let address = format!("198.51.100.{number}");
        let guess = stranger.send(&server, &address, ADMIN, "a guess").await;
        assert_eq!(guess.status(), StatusCode::UNPROCESSABLE_ENTITY);
    }
    assert_eq!(server.database.count_events("user.password_locked"), 1);
    // the password alone opens nothing elsewhere, and reads as a wrong one
    let text = async |form: &Form, password: &str| {
        let response = form.send(&server, "203.0.113.1", ADMIN, password).await;
        let (status, new) = (response.status(), cookie(&response, SESSION));
        (status, new, response.text().await.expect("text"))
    };
    let (refused, wrong) = (
        text(&stranger, right).await,
        text(&stranger, "a guess").await,
    );
    assert_eq!(refused, wrong);
    assert!(refused.0 == StatusCode::UNPROCESSABLE_ENTITY && refused.1.is_none());
    // where many others fail, too
    for number in 0..40 {
        let other = format!("user{number}@acme.example");
        stranger
            .send(&server, "192.0.2.66", &other, "a guess")
            .await;
    }
    for _ in 0..6 {
        stranger.send(&server, "192.0.2.66", ADMIN, "a guess").await;
    }
    let own = known(&server, &devices).await;
    let back = own.send(&server, "192.0.2.66", ADMIN, right).await;
    assert_eq!(back.status(), StatusCode::SEE_OTHER);
    // it was right: the row is broken
    let anywhere = stranger.send(&server, "203.0.113.2", ADMIN, right).await;
    assert_eq!(anywhere.status(), StatusCode::SEE_OTHER);
    // a device has five tries of its own, wherever it is carried
    for number in 0..5 {
        let address = format!("203.0.113.{}", 10 + number);
        let wrong = own.send(&server, &address, ADMIN, "a guess").await;
        assert_eq!(wrong.status(), StatusCode::UNPROCESSABLE_ENTITY);
    }
    let stopped = own.send(&server, "203.0.113.20", ADMIN, right).await;
    assert_eq!(stopped.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(stopped.headers()[RETRY_AFTER], "900");
}

async fn what_a_device_keeps_is_for_one_account_and_one_password(db: TestDatabase) {
    let server = Server::start_with(db, trust_loopback).await;
    let ben = people::person(&server, "ben@acme.example").await;
    let right = server.secrets.password.as_str();
    let form = Form::load(&server).await;
    let admins = form.send(&server, "192.0.2.1", ADMIN, right).await;
    let admins = cookie(&admins, DEVICES).expect("a device");
    let both = known(&server, &admins).await;
    let both = both
        .send(&server, "192.0.2.1", "ben@acme.example", right)
        .await;
    let both = cookie(&both, DEVICES).expect("both accounts' device");
    for number in 0..100 {
        for email in [ADMIN, "ben@acme.example"] {
            let address = format!("198.51.100.{number}");
            form.send(&server, &address, email, "a guess").await;
        }
    }
    let tries = async |devices: &str, email: &str, address: &str| {
        let form = known(&server, devices).await;
        form.send(&server, address, email, right).await.status()
    };
    let (open, shut) = (StatusCode::SEE_OTHER, StatusCode::UNPROCESSABLE_ENTITY);
    let ben_at = "ben@acme.example";
    assert_eq!(tries(&admins, ben_at, "203.0.113.1").await, shut);
    let spoilt = both.replace('|', "x");
    assert_eq!(tries(&spoilt, ben_at, "203.0.113.2").await, shut);
    let sealed_for_a_provider = server.app.sealer.seal("sign-in at a provider", b"{}");
    assert_eq!(
        tries(&sealed_for_a_provider, ben_at, "203.0.113.3").await,
        shut
    );
    // another password: whoever knew the former one is a stranger
    let hash = countersign::crypto::password::hash(right);
    let stored = hash.clone();
    server.database.execute(&format!(
        "UPDATE users SET password_hash = '{stored}' WHERE id = '{ben}'"
    ));
    assert_eq!(tries(&both, ben_at, "203.0.113.4").await, shut);
    assert_eq!(tries(&both, ADMIN, "203.0.113.5").await, open);
    // a new password lets everybody in again who knows it
    server
        .write(move |tx| Ok(tx.forget_wrong_passwords(ben)?))
        .await;
    assert_eq!(tries("", ben_at, "203.0.113.6").await, open);
}

async fn a_forged_forwarding_header_is_no_fresh_start(db: TestDatabase) {
    // 9700-51
    let server = Server::start(db).await;
    let form = Form::load(&server).await;
    for number in 0..5 {
        form.send(&server, &format!("192.0.2.{number}"), ADMIN, "a guess")
            .await;
    }
    let stopped = form
        .send(&server, "192.0.2.99", ADMIN, &server.secrets.password)
        .await;
    assert_eq!(
        stopped.status(),
        StatusCode::TOO_MANY_REQUESTS,
        "nobody is a trusted proxy here"
    );
}

async fn an_idle_session_ends(db: TestDatabase) {
    let server = Server::start(db).await;
    let session = session(&server).await;
    server.clock.step_seconds(2 * 60 * 60 - 1);
    assert!(opens(&server, &session).await);
    server.clock.step_seconds(2 * 60 * 60 - 1);
    assert!(opens(&server, &session).await, "each request counts anew");
    server.clock.step_seconds(2 * 60 * 60);
    assert!(!opens(&server, &session).await);
}

async fn a_busy_session_ends_after_a_day(db: TestDatabase) {
    let server = Server::start(db).await;
    let session = session(&server).await;
    for _ in 0..23 {
        server.clock.step_seconds(60 * 60);
        assert!(opens(&server, &session).await);
    }
    server.clock.step_seconds(60 * 60);
    assert!(!opens(&server, &session).await);
}

async fn a_suspended_person_is_signed_out_at_once(db: TestDatabase) {
    let server = Server::start(db).await;
    let (session, admin) = (session(&server).await, people::admin(&server).await.id);
    server
        .write(move |tx| {
            Ok(tx.change_user_state(admin, UserState::Active, UserState::Suspended)?)
        })
        .await;
    assert!(!opens(&server, &session).await);
}

async fn the_database_holds_no_session_token(db: TestDatabase) {
    let server = Server::start(db).await;
    let session = session(&server).await;
    let stored = server.database.everything_in("sessions");
    assert!(stored.contains("ses_"), "the session is stored");
    assert!(!stored.contains(&session), "its token is not");
}

async fn a_form_of_another_browser_is_refused(db: TestDatabase) {
    let server = Server::start(db).await;
    let (own, foreign) = (Form::load(&server).await, Form::load(&server).await);
    let mixed = Form {
        cookie: own.cookie,
        csrf: foreign.csrf,
    };
    let without_cookie = Form {
        cookie: String::new(),
        csrf: mixed.csrf.clone(),
    };
    let empty = Form {
        cookie: mixed.cookie.clone(),
        csrf: String::new(),
    };
    for form in [mixed, without_cookie, empty] {
        let response = form
            .send(&server, "192.0.2.1", ADMIN, &server.secrets.password)
            .await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        assert!(
            cookie(&response, SESSION).is_none(),
            "login CSRF signs nobody in"
        );
        let html = response.text().await.expect("text");
        assert!(html.contains("no longer up to date"), "{html}");
    }
}

async fn a_form_from_another_site_is_refused(db: TestDatabase) {
    let server = Server::start(db).await;
    let form = Form::load(&server).await;
    let fields = [
        ("csrf", form.csrf.as_str()),
        ("email", ADMIN),
        ("password", &server.secrets.password),
    ];
    let (own, foreign) = (server.base.clone(), "https://evil.example".to_owned());
    for (origin, status) in [
        (foreign, StatusCode::FORBIDDEN),
        ("garbage".to_owned(), StatusCode::FORBIDDEN),
        (own, StatusCode::SEE_OTHER),
    ] {
        let request = server
            .post("/login")
            .header(COOKIE, &form.cookie)
            .header(ORIGIN, &origin);
        let response = request.form(&fields).send().await.expect("an answer");
        assert_eq!(response.status(), status, "{origin}");
    }
}

async fn a_form_older_than_the_session_leads_on(db: TestDatabase) {
    // another tab has signed in meanwhile: this one goes where it was going, and nobody is exchanged for somebody else
    let server = Server::start(db).await;
    let mut form = Form::load(&server).await;
    form.cookie = format!("{}; {SESSION}={}", form.cookie, session(&server).await);
    let response = form
        .send(&server, "192.0.2.1", "eve@acme.example", "wrong")
        .await;
    assert_eq!(
        (response.status(), location(response.headers()).as_str()),
        (StatusCode::SEE_OTHER, "/")
    );
    assert!(cookie(&response, SESSION).is_none(), "nobody signed in");
}

async fn of_tabs_opened_at_once_every_form_ends_in_a_sign_in(db: TestDatabase) {
    // both were asked for before any cookie was there, and the second answer's cookie stays
    let server = Server::start(db).await;
    let browser = server.browser();
    let path = server.authorize_path("read");
    let login = location(browser.get(&path).await.headers());
    let first = server.get(&login).send().await.expect("an answer");
    let first = first.text().await.expect("text");
    browser.get(&login).await;
    let send = async |html: &str| {
        let (csrf, return_to) = (
            hidden(html, "csrf").expect("a token"),
            hidden(html, "return_to").expect("the way back"),
        );
        let fields = [
            ("csrf", csrf.as_str()),
            ("return_to", &return_to),
            ("email", ADMIN),
            ("password", &server.secrets.password),
        ];
        let request = browser.client.post(server.url("/login")).form(&fields);
        request.send().await.expect("an answer")
    };
    let again = send(&first).await;
    assert_eq!(again.status(), StatusCode::FORBIDDEN, "login CSRF");
    assert!(cookie(&again, SESSION).is_none());
    let again = again.text().await.expect("text");
    assert!(
        again.contains("Enter your password once more") && again.contains(ADMIN),
        "{again}"
    );
    assert_eq!(hidden(&again, "return_to").as_deref(), Some(path.as_str()));
    let signed_in = send(&again).await;
    let onward = path.replacen("/oauth2/authorize?", "/login/continue?", 1);
    assert_eq!(
        (signed_in.status(), location(signed_in.headers())),
        (StatusCode::SEE_OTHER, onward.clone())
    );
    // and the tab that still shows the first form goes on, too
    let stale = send(&first).await;
    assert_eq!(
        (stale.status(), location(stale.headers())),
        (StatusCode::SEE_OTHER, onward)
    );
}

async fn the_way_back_never_leaves_this_server(db: TestDatabase) {
    let server = Server::start(db).await;
    let elsewhere = [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "javascript:alert(1)",
        "/ü",
        "dev-centre",
    ];
    for target in elsewhere {
        let page = server
            .get("/login")
            .query(&[("return_to", target)])
            .send()
            .await
            .expect("an answer");
        let html = page.text().await.expect("text");
        assert_eq!(hidden(&html, "return_to").as_deref(), Some("/"), "{target}");
        let form = Form::load(&server).await;
        let fields = [
            ("csrf", form.csrf.as_str()),
            ("email", ADMIN),
            ("password", &server.secrets.password),
            ("return_to", target),
        ];
        let response = server
            .post("/login")
            .header(COOKIE, &form.cookie)
            .form(&fields)
            .send()
            .await
            .expect("an answer");
        assert_eq!(
            (response.status(), location(response.headers()).as_str()),
            (StatusCode::SEE_OTHER, "/"),
            "{target}"
        );
    }
    let session = format!("{SESSION}={}", session(&server).await);
    for (target, kept) in [
        ("//evil.example", "/"),
        ("/dev-centre?x=1", "/dev-centre?x=1"),
    ] {
        let response = server
            .get("/login")
            .query(&[("return_to", target)])
            .header(COOKIE, &session)
            .send()
            .await
            .expect("an answer");
        assert_eq!(
            location(response.headers()),
            kept,
            "a person who is signed in goes on"
        );
    }
}

async fn who_waits_for_the_sign_in_is_named(db: TestDatabase) {
    let server = Server::start(db).await;
    let authorize = server.authorize_path("read");
    let redirected = server.get(&authorize).send().await.expect("an answer");
    let login = location(redirected.headers());
    let page = server.get(&login).send().await.expect("an answer");
    assert!(
        policy(page.headers()).contains("form-action 'self';"),
        "{}",
        policy(page.headers())
    );
    let html = page.text().await.expect("text");
    assert!(html.contains("Example CRM"), "who waits is named");
    assert_eq!(hidden(&html, "return_to"), Some(authorize));
}

async fn an_application_that_is_not_registered_opens_nothing(db: TestDatabase) {
    let server = Server::start(db).await;
    let own = server.planted.application.as_str();
    for (client, redirect_uri) in [
        (own, "https://evil.example/cb"),
        (own, "https://evil.example;script-src"),
        ("app_0123456789ABCDEFGHIJKL", REDIRECT_URI),
    ] {
        let return_to = authorize_path(client, redirect_uri, "read");
        let page = server
            .get("/login")
            .query(&[("return_to", return_to)])
            .send()
            .await
            .expect("an answer");
        assert!(
            policy(page.headers()).contains("form-action 'self';"),
            "{}",
            policy(page.headers())
        );
        assert!(
            !page.text().await.expect("text").contains("to continue to"),
            "{client}"
        );
    }
}

async fn broken_requests_get_their_status(db: TestDatabase) {
    let server = Server::start(db).await;
    let form = Form::load(&server).await;
    let csrf = &form.csrf;
    let cases = [
        (
            format!("csrf={csrf}&email=a%40acme.example&email=b%40acme.example&password=x"),
            StatusCode::BAD_REQUEST,
        ),
        (
            format!("csrf={csrf}&csrf={csrf}&email=a&password=x"),
            StatusCode::BAD_REQUEST,
        ),
        (
            format!("csrf={csrf}&email=a%00b&password=x"),
            StatusCode::BAD_REQUEST,
        ),
        (
            format!("csrf={csrf}&email=%ff&password=x"),
            StatusCode::BAD_REQUEST,
        ),
        (
            format!("csrf={csrf}&email=a&password={}", "x".repeat(70_000)),
            StatusCode::PAYLOAD_TOO_LARGE,
        ),
        (
            format!("csrf={csrf}&email={}&password=x", "a".repeat(10_000)),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
    ];
    for (body, status) in cases {
        let request = server
            .post("/login")
            .header(COOKIE, &form.cookie)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let response = request.body(body).send().await.expect("an answer");
        assert_eq!(response.status(), status);
        assert!(cookie(&response, SESSION).is_none());
        assert!(
            response
                .text()
                .await
                .expect("text")
                .contains("<!doctype html>"),
            "{status}: a page for a person"
        );
    }
    let json = server
        .post("/login")
        .header(COOKIE, &form.cookie)
        .json(&serde_json::json!({"csrf": csrf}))
        .send()
        .await
        .expect("an answer");
    assert_eq!(json.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let put = server
        .get("/login")
        .header("x-http-method-override", "DELETE")
        .send()
        .await
        .expect("an answer");
    assert_eq!(put.status(), StatusCode::OK);
}

async fn what_was_typed_comes_back_escaped_and_without_the_password(db: TestDatabase) {
    let server = Server::start(db).await;
    let form = Form::load(&server).await;
    let response = form
        .send(
            &server,
            "192.0.2.1",
            "\"><script>alert(1)</script>",
            "hunter2-hunter2",
        )
        .await;
    let html = response.text().await.expect("text");
    assert!(html.contains("&#60;script&#62;alert(1)"), "{html}");
    assert!(
        !html.contains("<script") && !html.contains("hunter2"),
        "{html}"
    );
}

async fn nonsense_in_the_cookies_reads_as_a_stranger(db: TestDatabase) {
    let server = Server::start(db).await;
    for value in ["", "x", &"x".repeat(5_000), "ö", "a;b=c", &"0".repeat(43)] {
        let header = reqwest::header::HeaderValue::from_bytes(
            format!("{SESSION}={value}; {STRANGER}={value}").as_bytes(),
        )
        .expect("a header");
        let response = server
            .get("/login")
            .header(COOKIE, header)
            .send()
            .await
            .expect("an answer");
        assert_eq!(response.status(), StatusCode::OK, "{value}");
    }
}

async fn a_browser_at_the_wrong_name_reads_the_right_one(db: TestDatabase) {
    let server = Server::start(db).await;
    let response = server
        .get("/login")
        .header("host", "localhost:8080")
        .send()
        .await
        .expect("an answer");
    assert_eq!(response.status(), StatusCode::MISDIRECTED_REQUEST);
    let html = response.text().await.expect("text");
    assert!(
        html.contains("<!doctype html>") && html.contains(&server.base),
        "{html}"
    );
    let style = server
        .get("/static/countersign.css")
        .header("host", "localhost:8080")
        .send()
        .await
        .expect("an answer");
    assert_eq!(style.status(), StatusCode::OK);
}

fn trust_loopback(config: &mut countersign::config::Config) {
    config.server.trusted_proxies = vec!["127.0.0.0/8".parse().expect("a network")];
}

fn policy(headers: &HeaderMap) -> &str {
    headers[CONTENT_SECURITY_POLICY].to_str().expect("text")
}
