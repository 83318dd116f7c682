//! `GET /oauth2/authorize` (RFC 6749 §3.1): whom it redirects, whom it tells, and what it shows first.

use countersign::types::environment::Environment;
use countersign::types::state::{ClientType, ProductionAccess};
use reqwest::StatusCode;
use reqwest::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_FRAME_OPTIONS};

use super::{
    add_organization, add_person, assert_error_page, authorize_with, browser_of, consent,
    delete_application, redirected_error, register,
};
use crate::databases::{TestDatabase, both_databases};
use crate::server::{Browser, REDIRECT_URI, Server, hidden, location, parameter};
use crate::tenants::approve;

both_databases!(
    a_signed_in_person_sees_the_consent_page,
    a_stranger_signs_in_and_comes_back_with_the_whole_request,
    one_byte_off_the_registered_uri_is_another_uri,
    a_loopback_uri_matches_on_any_port_and_nothing_else_varies,
    a_link_without_a_known_client_and_uri_redirects_nobody,
    what_is_wrong_is_told_to_the_client_with_state_and_issuer,
    a_parameter_that_stands_twice_is_refused,
    unknown_parameters_are_ignored,
    state_is_echoed_unchanged_and_absent_stays_absent,
    an_oversize_state_is_refused_and_not_echoed,
    what_a_client_may_not_have_is_left_out_of_its_request,
    without_a_scope_the_default_is_asked_and_shown,
    the_consent_page_alone_lets_its_form_lead_anywhere,
    no_page_can_be_framed_or_leaks_where_it_was,
    the_endpoint_has_no_cors,
    a_query_that_is_not_text_is_refused,
    a_sandbox_application_is_for_its_own_organization,
    a_production_application_is_for_where_production_is_open,
);

async fn a_signed_in_person_sees_the_consent_page(db: TestDatabase) {
    let server = Server::start(db).await;
    let page = consent(
        &server.signed_in_browser().await,
        &server.authorize_path("read send"),
    )
    .await;
    for shown in [
        "Example CRM",
        "Acme",
        "http://127.0.0.1:8976",
        "Sandbox",
        "See your documents",
        "Send documents in your name",
        "Sales",
    ] {
        assert!(page.html.contains(shown), "{shown}: {}", page.html);
    }
    assert!(!page.html.contains("Manage webhooks"));
}

async fn a_stranger_signs_in_and_comes_back_with_the_whole_request(db: TestDatabase) {
    // 9700-6, 9700-15
    let server = Server::start(db).await;
    let client = server.planted.application;
    // the longest state that is taken, of a character that is three when it is encoded
    let longest = "\"".repeat(4096);
    for state in ["x y+z&a=b%20/#?", &longest] {
        let path = authorize_with(client.as_str(), &[("state", Some(state))]);
        let browser = server.browser();
        let sign_in = location(browser.get(&path).await.headers());
        assert!(sign_in.starts_with("/login?"), "{sign_in}");
        let html = browser.get(&sign_in).await.text().await.expect("text");
        assert!(html.contains("Example CRM"), "the page says who waits");
        let (csrf, return_to) = (
            hidden(&html, "csrf").expect("a token"),
            hidden(&html, "return_to").expect("the way back"),
        );
        let form = [
            ("csrf", csrf.as_str()),
            ("return_to", &return_to),
            ("email", "admin@acme.example"),
            ("password", &server.secrets.password),
        ];
        let signed_in = browser
            .client
            .post(server.url("/login"))
            .form(&form)
            .send()
            .await
            .expect("an answer");
        // 9700-14
        let onward = path.replacen("/oauth2/authorize?", "/login/continue?", 1);
        assert_eq!(
            (signed_in.status(), location(signed_in.headers())),
            (StatusCode::SEE_OTHER, onward.clone())
        );
        // the chain of redirects ends here, and the page goes on by itself
        let between = browser.get(&onward).await;
        assert_eq!(between.status(), StatusCode::OK);
        assert_eq!(between.headers()["refresh"], format!("0; url={path}"));
        let html = between.text().await.expect("text").replace("&#38;", "&");
        assert!(html.contains(&format!("href=\"{path}\"")), "{html}");
        let target = browser.allow(&path).await;
        assert_eq!(parameter(&target, "state").as_deref(), Some(state));
    }
}

async fn one_byte_off_the_registered_uri_is_another_uri(db: TestDatabase) {
    // 9700-1, 9700-3, 9700-5
    let server = Server::start(db).await;
    let client = register(&server, |new| {
        new.redirect_uris = vec!["https://app.example/cb".parse().expect("a URI")]
    })
    .await;
    let browser = server.signed_in_browser().await;
    let path = |uri: &str| authorize_with(client.id.as_str(), &[("redirect_uri", Some(uri))]);
    consent(&browser, &path("https://app.example/cb")).await;
    for other in [
        "https://app.example/cb/",
        "https://app.example/CB",
        "https://app.example/cb?",
        "https://app.example/cb?x=1",
        "https://app.example/c%62",
        "https://app.example/x/../cb",
        "https://app.example:443/cb",
        "https://APP.example/cb",
        "https://app.example./cb",
        "https://app.example/cb#x",
        "https://user@app.example/cb",
        "https://app.example@evil.example/cb",
        "https://app.example.evil.example/cb",
        "https://app.example\\.evil.example/cb",
        " https://app.example/cb",
        "https://app.example/cb\t",
        "http://app.example/cb",
        "//app.example/cb",
        "javascript:alert(1)",
        "cb",
    ] {
        assert_error_page(browser.get(&path(other)).await, StatusCode::BAD_REQUEST).await;
        // nor for one who is not signed in
        assert_error_page(
            server.get(&path(other)).send().await.expect("an answer"),
            StatusCode::BAD_REQUEST,
        )
        .await;
    }
}

async fn a_loopback_uri_matches_on_any_port_and_nothing_else_varies(db: TestDatabase) {
    // 9700-2, RFC 8252 §7.3
    let server = Server::start(db).await;
    let client = register(&server, |new| {
        new.redirect_uris = ["http://127.0.0.1/cb", "http://[::1]/cb"]
            .map(|uri| uri.parse().expect("a URI"))
            .into();
    })
    .await;
    let browser = server.signed_in_browser().await;
    let path = |uri: &str| authorize_with(client.id.as_str(), &[("redirect_uri", Some(uri))]);
    for port in [
        "http://127.0.0.1:49152/cb",
        "http://[::1]:49152/cb",
        "http://127.0.0.1/cb",
    ] {
        assert!(
            browser
                .allow(&path(port))
                .await
                .starts_with(&format!("{port}?code="))
        );
    }
    for other in [
        "http://x@127.0.0.1:1/cb",
        "http://localhost:1/cb",
        "http://127.0.0.2:1/cb",
        "http://127.0.0.1:1/cb/",
        "https://127.0.0.1:1/cb",
    ] {
        assert_error_page(browser.get(&path(other)).await, StatusCode::BAD_REQUEST).await;
    }
}

async fn a_link_without_a_known_client_and_uri_redirects_nobody(db: TestDatabase) {
    // 9700-5
    let server = Server::start(db).await;
    let client = server.planted.application;
    let two = register(&server, |new| {
        new.redirect_uris = ["https://a.example/", "https://b.example/"]
            .map(|uri| uri.parse().expect("a URI"))
            .into()
    });
    let (two, deleted) = (two.await, register(&server, |_| {}).await);
    delete_application(&server, deleted.id).await;
    let mut other_id = client.as_str().to_owned();
    other_id.replace_range(20..21, if &other_id[20..21] == "a" { "b" } else { "a" });
    let valid = authorize_with(client.as_str(), &[]);
    let browser = server.signed_in_browser().await;
    for path in [
        authorize_with(&other_id, &[]),
        authorize_with("crm", &[]),
        authorize_with("", &[]),
        authorize_with(server.planted.organization.as_str(), &[]),
        authorize_with(deleted.id.as_str(), &[]),
        authorize_with(client.as_str(), &[("client_id", None)]),
        authorize_with(two.id.as_str(), &[("redirect_uri", None)]),
        format!("{valid}&client_id={}", two.id),
        format!("{valid}&redirect_uri=https%3A%2F%2Fevil.example%2F"),
        "/oauth2/authorize".to_owned(),
    ] {
        assert_error_page(browser.get(&path).await, StatusCode::BAD_REQUEST).await;
    }
    // the only registered one may be left out (RFC 6749 §3.1.2.3)
    let target = browser
        .allow(&authorize_with(client.as_str(), &[("redirect_uri", None)]))
        .await;
    assert!(target.starts_with(REDIRECT_URI));
}

async fn what_is_wrong_is_told_to_the_client_with_state_and_issuer(db: TestDatabase) {
    // RFC 6749 §4.1.2.1, 9700-7, 9700-8, 9700-9, 9700-10
    let server = Server::start(db).await;
    let client = server.planted.application;
    let browser = server.signed_in_browser().await;
    let padded = format!("{}=", crate::server::CHALLENGE);
    for (parameter, value, error) in [
        ("code_challenge", None, "invalid_request"),
        ("code_challenge", Some("too-short"), "invalid_request"),
        ("code_challenge", Some(padded.as_str()), "invalid_request"),
        (
            "code_challenge",
            Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw+cM"),
            "invalid_request",
        ),
        ("code_challenge_method", None, "invalid_request"),
        ("code_challenge_method", Some("plain"), "invalid_request"),
        ("code_challenge_method", Some("s256"), "invalid_request"),
        ("response_type", None, "invalid_request"),
        ("response_type", Some("token"), "unsupported_response_type"),
        (
            "response_type",
            Some("id_token token"),
            "unsupported_response_type",
        ),
        (
            "response_type",
            Some("code token"),
            "unsupported_response_type",
        ),
        ("response_mode", Some("fragment"), "invalid_request"),
        ("scope", Some("everything at once"), "invalid_scope"),
        ("scope", Some("read \"write"), "invalid_scope"),
        ("scope", Some("lesen\u{e4}"), "invalid_scope"),
        (
            "request",
            Some("eyJhbGciOiJub25lIn0.e30."),
            "request_not_supported",
        ),
        (
            "request_uri",
            Some("https://app.example/request"),
            "request_uri_not_supported",
        ),
    ] {
        let answer = redirected_error(
            &browser,
            &authorize_with(client.as_str(), &[(parameter, value)]),
        )
        .await;
        assert_eq!(
            answer,
            (error.to_owned(), Some("xyz".to_owned())),
            "{parameter}={value:?}"
        );
    }
    // a scope that exists, but not for this client
    let narrow = register(&server, |new| new.scopes = "read".parse().expect("scopes")).await;
    let answer = redirected_error(
        &browser,
        &authorize_with(narrow.id.as_str(), &[("scope", Some("write send"))]),
    )
    .await;
    assert_eq!(answer.0, "invalid_scope");
    // a public client without PKCE (9700-7)
    let public = register(&server, |new| new.client_type = ClientType::Public).await;
    let answer = redirected_error(
        &browser,
        &authorize_with(public.id.as_str(), &[("code_challenge", None)]),
    )
    .await;
    assert_eq!(answer.0, "invalid_request");
}

async fn a_parameter_that_stands_twice_is_refused(db: TestDatabase) {
    // RFC 6749 §3.1, 9700-11
    let server = Server::start(db).await;
    let browser = server.signed_in_browser().await;
    let valid = server.authorize_path("read");
    for name in [
        "response_type",
        "scope",
        "code_challenge",
        "code_challenge_method",
    ] {
        assert_eq!(
            redirected_error(&browser, &format!("{valid}&{name}=x")).await,
            ("invalid_request".to_owned(), Some("xyz".to_owned())),
            "{name}"
        );
    }
    // which of two states is the right one cannot be known
    assert_eq!(
        redirected_error(&browser, &format!("{valid}&state=abc")).await,
        ("invalid_request".to_owned(), None)
    );
}

async fn unknown_parameters_are_ignored(db: TestDatabase) {
    // 9700-11
    let server = Server::start(db).await;
    let browser = server.signed_in_browser().await;
    let target = browser
        .allow(&format!(
            "{}&nonce=1&nonce=2&utm_source=x",
            server.authorize_path("read")
        ))
        .await;
    assert!(parameter(&target, "code").is_some());
}

async fn state_is_echoed_unchanged_and_absent_stays_absent(db: TestDatabase) {
    // 9700-10, 9700-15
    let server = Server::start(db).await;
    let (client, browser) = (server.planted.application, server.signed_in_browser().await);
    let long = "~".repeat(2048);
    for state in [
        Some("a b+c&d=e#f%20\u{e4}\u{1F511}"),
        Some(long.as_str()),
        Some("%00\r\nSet-Cookie: x=y"),
        None,
    ] {
        let path = authorize_with(client.as_str(), &[("state", state)]);
        for decision in ["allow", "deny"] {
            let target = browser.decide(&path, decision).await;
            assert_eq!(parameter(&target, "state").as_deref(), state);
            assert_eq!(
                parameter(&target, "iss").as_deref(),
                Some(server.base.as_str())
            );
        }
    }
}

async fn an_oversize_state_is_refused_and_not_echoed(db: TestDatabase) {
    let server = Server::start(db).await;
    let (client, browser) = (server.planted.application, server.signed_in_browser().await);
    let path = authorize_with(client.as_str(), &[("state", Some(&"s".repeat(4097)))]);
    assert_eq!(
        redirected_error(&browser, &path).await,
        ("invalid_request".to_owned(), None)
    );
}

async fn what_a_client_may_not_have_is_left_out_of_its_request(db: TestDatabase) {
    // RFC 6749 §3.3, §5.1: at every door that takes a scope; the page and the answer say what was granted
    let server = Server::start(db).await;
    let narrow = register(&server, |new| {
        new.scopes = "read write".parse().expect("scopes")
    })
    .await;
    let asked = "read send unknown openid";
    let path = authorize_with(narrow.id.as_str(), &[("scope", Some(asked))]);
    let browser = server.signed_in_browser().await;
    let page = consent(&browser, &path).await;
    assert!(page.html.contains("See your documents"), "{}", page.html);
    assert!(!page.html.contains("Send documents"), "{}", page.html);
    let target = location(super::allow(&browser, &page).await.headers());
    let code = parameter(&target, "code").expect("a code");
    let (status, tokens) = super::token_as(&server, &narrow, &super::redemption(&code)).await;
    assert_eq!((status, &tokens["scope"]), (StatusCode::OK, &"read".into()));
    let refresh = [
        ("grant_type", "refresh_token"),
        ("refresh_token", super::text(&tokens, "refresh_token")),
        ("scope", asked),
    ];
    let own = [("grant_type", "client_credentials"), ("scope", asked)];
    for form in [refresh.as_slice(), &own] {
        let (status, body) = super::token_as(&server, &narrow, form).await;
        assert_eq!((status, &body["scope"]), (StatusCode::OK, &"read".into()));
    }
}

async fn without_a_scope_the_default_is_asked_and_shown(db: TestDatabase) {
    // RFC 6749 §3.3, 9700-16
    let server = Server::start(db).await;
    let (client, browser) = (server.planted.application, server.signed_in_browser().await);
    for scope in [None, Some(""), Some(" ")] {
        let path = authorize_with(client.as_str(), &[("scope", scope)]);
        let page = consent(&browser, &path).await;
        assert!(page.html.contains("See your documents"));
        for other in [
            "Create and change documents",
            "Send documents in your name",
            "Manage webhooks",
        ] {
            assert!(!page.html.contains(other), "{other}");
        }
        let code = parameter(&browser.allow(&path).await, "code").expect("a code");
        assert_eq!(server.redeem(&code).await.1["scope"], "read");
    }
}

/// What the page lets forms end at, at whichever redirect; none: anywhere.
async fn form_action(browser: &Browser<'_>, path: &str) -> Option<String> {
    let response = browser.get(path).await;
    let policy = response.headers()[CONTENT_SECURITY_POLICY]
        .to_str()
        .expect("text")
        .to_owned();
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    policy
        .split("; ")
        .find(|directive| directive.starts_with("form-action"))
        .map(str::to_owned)
}

async fn the_consent_page_alone_lets_its_form_lead_anywhere(db: TestDatabase) {
    // Chromium holds form-action against every redirect behind the form, those of the application included
    let server = Server::start(db).await;
    let uris = [
        "https://app.example/cb?x=1",
        "http://127.0.0.1/cb",
        "http://[::1]/cb",
        "com.example.app:/cb",
    ];
    let client = register(&server, |new| {
        new.redirect_uris = uris.map(|uri| uri.parse().expect("a URI")).into()
    })
    .await;
    let (browser, stranger) = (server.signed_in_browser().await, server.browser());
    let own = Some("form-action 'self'".to_owned());
    for uri in uris {
        let path = authorize_with(client.id.as_str(), &[("redirect_uri", Some(uri))]);
        assert_eq!(form_action(&browser, &path).await, None, "consent, {uri}");
        // the sign-in ends at a page of ours before it goes on
        let sign_in = location(stranger.get(&path).await.headers());
        assert_eq!(form_action(&stranger, &sign_in).await, own, "{sign_in}");
        let onward = path.replacen("/oauth2/authorize?", "/login/continue?", 1);
        assert_eq!(form_action(&browser, &onward).await, own, "{onward}");
    }
    let keys = format!("/dev-centre/{}/api-keys/new", server.planted.organization);
    for path in [
        "/login",
        "/account/identity",
        "/account/applications",
        "/oauth2/authorize?client_id=x",
        "/nothing",
        &keys,
    ] {
        let seen = match path {
            "/login" => form_action(&stranger, path).await,
            _ => form_action(&browser, path).await,
        };
        assert_eq!(seen, own, "{path}");
    }
}

async fn no_page_can_be_framed_or_leaks_where_it_was(db: TestDatabase) {
    // 9700-13
    let server = Server::start(db).await;
    let browser = server.signed_in_browser().await;
    let stranger = server.browser();
    for response in [
        browser.get(&server.authorize_path("read")).await,
        stranger.get("/login").await,
        browser.get("/oauth2/authorize").await,
        browser.get("/oauth2/authorize/consent?request=x").await,
        stranger.get("/nothing/here").await,
    ] {
        let headers = response.headers().clone();
        let policy = headers[CONTENT_SECURITY_POLICY].to_str().expect("text");
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(headers[X_FRAME_OPTIONS], "DENY");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["cache-control"], "no-store");
        // `same-origin` tells other origins nothing either, and keeps `Origin` on our own forms
        assert!(
            ["no-referrer", "same-origin"]
                .contains(&headers[REFERRER_POLICY].to_str().expect("text"))
        );
        let html = response.text().await.expect("text");
        assert!(
            !html.contains("<script") && !html.contains("src=\"http"),
            "{html}"
        );
    }
}

async fn the_endpoint_has_no_cors(db: TestDatabase) {
    // 9700-12
    let server = Server::start(db).await;
    let response = server
        .get(&server.authorize_path("read"))
        .header("Origin", "https://evil.example")
        .send()
        .await
        .expect("an answer");
    assert!(
        response
            .headers()
            .get("access-control-allow-origin")
            .is_none()
    );
}

async fn a_query_that_is_not_text_is_refused(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = server.signed_in_browser().await;
    for bad in ["&state2=%ff", "&x=%00", &"&x".repeat(600)] {
        assert_error_page(
            browser
                .get(&format!("{}{bad}", server.authorize_path("read")))
                .await,
            StatusCode::BAD_REQUEST,
        )
        .await;
    }
}

async fn a_sandbox_application_is_for_its_own_organization(db: TestDatabase) {
    let server = Server::start(db).await;
    add_organization(
        &server,
        "Beta",
        "bea@beta.example",
        ProductionAccess::Approved,
    )
    .await;
    add_person(&server, "nobody@nowhere.example").await;
    for stranger in ["bea@beta.example", "nobody@nowhere.example"] {
        let browser = browser_of(&server, stranger).await;
        let answer = redirected_error(&browser, &server.authorize_path("read")).await;
        assert_eq!(answer, ("access_denied".to_owned(), Some("xyz".to_owned())));
    }
}

async fn a_production_application_is_for_where_production_is_open(db: TestDatabase) {
    let server = Server::start(db).await;
    let client = register(&server, |new| new.environment = Environment::Production).await;
    add_organization(
        &server,
        "Beta",
        "bea@beta.example",
        ProductionAccess::Approved,
    )
    .await;
    for (index, access) in [
        ProductionAccess::None,
        ProductionAccess::Requested,
        ProductionAccess::Refused,
        ProductionAccess::Withdrawn,
    ]
    .into_iter()
    .enumerate()
    {
        let (name, owner) = [
            ("C", "c@c.example"),
            ("D", "d@d.example"),
            ("E", "e@e.example"),
            ("F", "f@f.example"),
        ][index];
        add_organization(&server, name, owner, access).await;
        let browser = browser_of(&server, owner).await;
        assert_eq!(
            redirected_error(&browser, &authorize_with(client.id.as_str(), &[]))
                .await
                .0,
            "access_denied"
        );
    }
    // and in other organizations only once the operator has approved it
    let stranger = browser_of(&server, "bea@beta.example").await;
    assert_eq!(
        redirected_error(&stranger, &authorize_with(client.id.as_str(), &[]))
            .await
            .0,
        "access_denied"
    );
    consent(
        &server.signed_in_browser().await,
        &authorize_with(client.id.as_str(), &[]),
    )
    .await;
    approve(&server, client.id).await;
    // another organization's application introduces itself
    let page = consent(
        &browser_of(&server, "bea@beta.example").await,
        &authorize_with(client.id.as_str(), &[]),
    )
    .await;
    assert!(
        page.html
            .contains("Nobody has checked who made this application.")
            && page.html.contains("Acme"),
        "{}",
        page.html
    );
    assert!(
        page.html.contains(">Production<") && page.html.contains("Live."),
        "{}",
        page.html
    );
}
