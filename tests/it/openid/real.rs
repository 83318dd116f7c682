//! Against a real provider: `oidc-provider` from npm, on a loopback port.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use countersign::domain::lifecycle::quickstart::ADMIN;
use countersign::types::time::Clock;
use reqwest::header::LOCATION;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use super::{find, refused};
use crate::databases::{TestDatabase, both_databases, offered};
use crate::people;
use crate::server::{Browser, Server, location};

both_databases!(
    a_real_provider_signs_people_in,
    a_real_provider_is_linked_to_an_account_that_exists,
    a_real_provider_signs_an_organizations_people_in,
    a_sign_in_that_is_cancelled_at_a_real_provider_is_a_page,
);

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/npm/provider.mjs");

/// It ends with its standard input, and so with this process in any case.
struct Provider {
    child: Child,
    issuer: String,
    /// Kept open: who writes to a closed one ends.
    _output: BufReader<ChildStdout>,
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Provider {
    fn start(npm: &str) -> Self {
        let mut command = Command::new("node");
        command
            .arg(SCRIPT)
            .env("COUNTERSIGN_TEST_NPM", npm)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().expect("node starts");
        let (mut line, mut output) = (
            String::new(),
            BufReader::new(child.stdout.take().expect("piped")),
        );
        output.read_line(&mut line).expect("it speaks");
        let told: Value = serde_json::from_str(&line).expect("one line of JSON");
        Self {
            child,
            issuer: told["issuer"].as_str().expect("an issuer").to_owned(),
            _output: output,
        }
    }

    async fn tell(&self, path: &str, what: Value) {
        let response = super::bare()
            .post(format!("{}{path}", self.issuer))
            .json(&what)
            .send()
            .await
            .expect("an answer");
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
    }

    async fn person(&self, sub: &str, email: &str, is_verified: bool) {
        self.tell("/test/person", json!({"sub": sub, "email": email, "email_verified": is_verified, "name": "Grace Hopper"})).await;
    }
}

/// None: skipped.
async fn start(db: TestDatabase) -> Option<(Server, Provider)> {
    let provider = Provider::start(&offered("NPM", "NPM")?);
    let issuer = provider.issuer.clone();
    let server = Server::start_with(db, move |config| {
        config.identity.issuer = issuer;
        config.identity.client_id = "countersign".to_owned();
        config.identity.client_secret = "secret-of-countersign-0123456789".to_owned();
        config.identity.name = "Vendor ID".to_owned();
        config.identity.allow_private_providers = true;
    })
    .await;
    provider
        .tell(
            "/test/clients",
            json!({"redirect_uri": server.url("/login/oidc/callback")}),
        )
        .await;
    // the provider keeps the real time
    server
        .clock
        .step_seconds(Clock::System.now().seconds() - server.clock.now().seconds());
    Some((server, provider))
}

/// Follows the provider's redirects until it sends the browser back, and there once.
async fn through(browser: &Browser<'_>, provider: &Provider, mut url: String) -> Response {
    for _ in 0..10 {
        let response = browser.client.get(&url).send().await.expect("an answer");
        if url.starts_with(&browser.server.base) {
            return response;
        }
        let Some(next) = response
            .headers()
            .get(LOCATION)
            .and_then(|value| value.to_str().ok())
        else {
            unreachable!("{url}: {}", response.text().await.unwrap_or_default());
        };
        url = url::Url::parse(&provider.issuer)
            .and_then(|base| base.join(next))
            .expect("a URL")
            .to_string();
    }
    unreachable!("the provider goes round in circles");
}

async fn sign_in(browser: &Browser<'_>, provider: &Provider, path: &str) -> Response {
    let response = browser.get(path).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    through(browser, provider, location(response.headers())).await
}

async fn a_real_provider_signs_people_in(db: TestDatabase) {
    let Some((server, provider)) = start(db).await else {
        return;
    };
    provider
        .person("grace", "grace@elsewhere.example", true)
        .await;
    for _ in 0..2 {
        let browser = server.browser();
        let response = sign_in(&browser, &provider, "/login/oidc?return_to=/dev-centre").await;
        assert_eq!(
            (response.status(), location(response.headers()).as_str()),
            (StatusCode::SEE_OTHER, "/dev-centre")
        );
        assert!(
            browser
                .get("/dev-centre")
                .await
                .text()
                .await
                .expect("text")
                .contains("grace@elsewhere.example")
        );
    }
    assert_eq!(
        find(&server, "grace@elsewhere.example")
            .await
            .expect("created")
            .name,
        "Grace Hopper"
    );
    for (sub, email, is_verified) in [
        ("unverified", "other@elsewhere.example", false),
        ("admin", ADMIN, true),
        ("admin", ADMIN, false),
    ] {
        provider.person(sub, email, is_verified).await;
        let (status, _) = refused(sign_in(&server.browser(), &provider, "/login/oidc").await).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{email} {is_verified}");
    }
    // the address changes at the provider; the person does not
    provider.person("grace", ADMIN, true).await;
    let browser = server.browser();
    assert_eq!(
        sign_in(&browser, &provider, "/login/oidc").await.status(),
        StatusCode::SEE_OTHER
    );
    assert!(
        browser
            .get("/dev-centre")
            .await
            .text()
            .await
            .expect("text")
            .contains("grace@elsewhere.example")
    );
}

async fn a_real_provider_is_linked_to_an_account_that_exists(db: TestDatabase) {
    let Some((server, provider)) = start(db).await else {
        return;
    };
    provider.person("admin", ADMIN, true).await;
    // the session of before has ended: the clock went on
    let admin = server.signed_in_browser().await;
    let response = admin
        .submit("/account/identity", "/account/identity/link", &[])
        .await;
    let refresh = response.headers()["refresh"]
        .to_str()
        .expect("text")
        .trim_start_matches("0; url=")
        .to_owned();
    let response = through(&admin, &provider, refresh).await;
    assert_eq!(
        (response.status(), location(response.headers()).as_str()),
        (StatusCode::SEE_OTHER, "/account/identity")
    );
    let browser = server.browser();
    assert_eq!(
        sign_in(&browser, &provider, "/login/oidc").await.status(),
        StatusCode::SEE_OTHER
    );
    assert!(location(browser.get("/dev-centre").await.headers()).starts_with("/dev-centre/org_"));
}

async fn a_real_provider_signs_an_organizations_people_in(db: TestDatabase) {
    let Some((server, provider)) = start(db).await else {
        return;
    };
    people::member(&server, super::ADA, Some("admin")).await;
    let organization = server.planted.organization;
    let page = format!("/dev-centre/{organization}/single-sign-on");
    let owner = server.signed_in_browser().await;
    let form = [
        ("issuer", provider.issuer.as_str()),
        ("client_id", "acme"),
        ("client_secret", "secret-of-acme-0123456789"),
        ("name", "Acme ID"),
        ("enforced", "yes"),
    ];
    assert_eq!(
        owner.submit(&page, &page, &form).await.status(),
        StatusCode::SEE_OTHER
    );
    let html = owner.get(&page).await.text().await.expect("text");
    let start = html.find("/login/oidc/idp_").expect("an address");
    let path: String = html[start..].chars().take_while(|c| *c != '"').collect();
    provider.person("ada", super::ADA, true).await;
    let browser = server.browser();
    assert_eq!(
        sign_in(&browser, &provider, &path).await.status(),
        StatusCode::SEE_OTHER
    );
    assert_eq!(
        browser
            .get(&format!("/dev-centre/{organization}/api-keys"))
            .await
            .status(),
        StatusCode::OK
    );
    provider
        .person("mallory", "mallory@elsewhere.example", true)
        .await;
    assert_eq!(
        refused(sign_in(&server.browser(), &provider, &path).await)
            .await
            .0,
        StatusCode::FORBIDDEN
    );
}

async fn a_sign_in_that_is_cancelled_at_a_real_provider_is_a_page(db: TestDatabase) {
    let Some((server, provider)) = start(db).await else {
        return;
    };
    provider.tell("/test/person", Value::Null).await;
    let (status, html) = refused(sign_in(&server.browser(), &provider, "/login/oidc").await).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(html.contains("It was cancelled at the provider"), "{html}");
}
