//! The operator's pages through HTTP, and the rules behind them.

mod applications;
mod approval;
mod customers;
mod organizations;
mod resource_servers;

use countersign::domain::lifecycle::quickstart::OPERATOR;
use countersign::types::id::{ApplicationId, ResourceServerId};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::databases::{TestDatabase, both_databases};
use crate::people;
use crate::server::{Browser, Server, hidden, location};

both_databases!(
    the_pages_are_for_operators_in_their_networks,
    an_operator_lands_at_what_is_theirs,
);

/// The planted operator's browser.
pub async fn operator(server: &Server) -> Browser<'_> {
    people::browser(server, OPERATOR).await
}

async fn read(browser: &Browser<'_>, path: &str) -> String {
    let response = browser.get(path).await;
    let (status, html) = (response.status(), response.text().await.expect("text"));
    assert_eq!(status, StatusCode::OK, "{path}: {html}");
    html
}

/// Sends the application's form; the answer is the way back to its page.
pub async fn decide(browser: &Browser<'_>, id: ApplicationId, fields: &[(&str, &str)]) {
    let page = format!("/operator/applications/{id}");
    let response = browser.submit(&page, &page, fields).await;
    assert_eq!(
        (response.status(), location(response.headers())),
        (StatusCode::SEE_OTHER, page)
    );
}

pub async fn stop(browser: &Browser<'_>, id: ApplicationId, reason: &str) {
    let page = format!("/operator/applications/{id}/stop");
    let response = browser.submit(&page, &page, &[("reason", reason)]).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
}

/// A resource server, registered through the pages.
pub struct Api {
    pub id: ResourceServerId,
    pub secret: String,
}

impl Api {
    fn shown(html: &str) -> Self {
        let value = |id: &str| {
            html.split(&format!("id=\"{id}\" value=\""))
                .nth(1)
                .and_then(|tag| tag.split('"').next())
                .expect("a value")
        };
        Self {
            id: value("client_id").parse().expect("an id"),
            secret: value("client_secret").to_owned(),
        }
    }

    /// Registers one that is called `resources`.
    pub async fn register(browser: &Browser<'_>, name: &str, resources: &[&str]) -> Self {
        let list = "/operator/resource-servers";
        let form = [
            ("name", name),
            ("environment", "both"),
            ("default_audience", "true"),
        ];
        let obligations = [
            ("obligation_document_name", "enforced"),
            ("obligation_watermark", "enforced"),
            ("obligation_recipients", "enforced"),
        ];
        let response = browser
            .submit(
                &format!("{list}/new"),
                list,
                &[form.as_slice(), &obligations].concat(),
            )
            .await;
        assert_eq!(
            (response.status(), &response.headers()["cache-control"]),
            (StatusCode::OK, &"no-store".parse().expect("a value"))
        );
        let api = Self::shown(&response.text().await.expect("text"));
        for uri in resources {
            api.change(browser, &[("change", "add_resource"), ("uri", uri)])
                .await;
        }
        api
    }

    pub fn page(&self) -> String {
        format!("/operator/resource-servers/{}", self.id)
    }

    pub async fn try_change(&self, browser: &Browser<'_>, fields: &[(&str, &str)]) -> Response {
        browser.submit(&self.page(), &self.page(), fields).await
    }

    pub async fn change(&self, browser: &Browser<'_>, fields: &[(&str, &str)]) {
        let response = self.try_change(browser, fields).await;
        assert_eq!(
            (
                response.status(),
                response.headers().get("location").is_some()
            ),
            (StatusCode::SEE_OTHER, true),
            "{fields:?}"
        );
    }

    /// `POST /oauth2/introspect` by this server.
    pub async fn introspect(&self, server: &Server, token: &str) -> Value {
        let request = server
            .post("/oauth2/introspect")
            .basic_auth(self.id, Some(&self.secret))
            .form(&[("token", token)]);
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), StatusCode::OK);
        response.json().await.expect("JSON")
    }

    /// The code of `POST /v1/verify` by this server.
    pub async fn verify(&self, server: &Server, token: &str) -> String {
        let request = server
            .post("/v1/verify")
            .basic_auth(self.id, Some(&self.secret))
            .json(&json!({"credential": token}));
        let answer: Value = request
            .send()
            .await
            .expect("an answer")
            .json()
            .await
            .expect("JSON");
        answer["code"].as_str().expect("a code").to_owned()
    }
}

async fn the_pages_are_for_operators_in_their_networks(db: TestDatabase) {
    let change = |config: &mut countersign::config::Config| {
        config.operations.allowed_networks = vec!["192.0.2.0/24".parse().expect("a network")];
        config.server.trusted_proxies = vec!["127.0.0.0/8".parse().expect("a network")];
    };
    let server = Server::start_with(db, change).await;
    let (operator, admin, nobody) = (
        operator(&server).await,
        server.signed_in_browser().await,
        server.browser(),
    );
    let from = async |browser: &Browser<'_>, path: &str, address: &str| {
        let response = browser
            .client
            .get(server.url(path))
            .header("X-Forwarded-For", address)
            .send()
            .await
            .expect("an answer");
        (response.status(), response.text().await.expect("text"))
    };
    let missing = from(&nobody, "/nothing", "203.0.113.9").await;
    for (browser, address, expected) in [
        (&operator, "192.0.2.7", StatusCode::OK),
        (&operator, "203.0.113.9", StatusCode::NOT_FOUND),
        (&operator, "192.0.2.7, 203.0.113.9", StatusCode::NOT_FOUND),
        (&admin, "192.0.2.7", StatusCode::NOT_FOUND),
        (&admin, "203.0.113.9", StatusCode::NOT_FOUND),
        // who is not signed in may be an operator, and nobody is one elsewhere
        (&nobody, "192.0.2.7", StatusCode::SEE_OTHER),
        (&nobody, "203.0.113.9", StatusCode::NOT_FOUND),
    ] {
        assert_eq!(
            from(browser, "/operator", address).await.0,
            expected,
            "{address}"
        );
    }
    // it reads like what there never was, but for the id of the request
    let hidden_page = from(&nobody, "/operator", "203.0.113.9").await;
    let without_id = |html: &str| html.split("req_").next().map(str::to_owned);
    assert_eq!(
        (hidden_page.0, without_id(&hidden_page.1)),
        (missing.0, without_id(&missing.1))
    );
    // the way there is shown to whom it leads
    for (browser, path, address, shown) in [
        (&operator, "/operator", "192.0.2.7", true),
        (&operator, "/dev-centre", "203.0.113.9", false),
        (&operator, "/nothing-at-all/api-keys", "192.0.2.7", false),
    ] {
        assert_eq!(
            from(browser, path, address)
                .await
                .1
                .contains("href=\"/operator\""),
            shown,
            "{path} {address}"
        );
    }
    let keys = format!("/dev-centre/{}/api-keys", server.planted.organization);
    assert!(
        !from(&admin, &keys, "192.0.2.7")
            .await
            .1
            .contains("href=\"/operator\"")
    );
}

async fn an_operator_lands_at_what_is_theirs(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = operator(&server).await;
    let response = browser.get("/dev-centre").await;
    assert_eq!(
        (response.status(), location(response.headers())),
        (StatusCode::SEE_OTHER, "/operator".to_owned())
    );
    let html = read(&browser, "/operator").await;
    assert!(
        html.contains("No request waits") && html.contains(OPERATOR),
        "{html}"
    );
    assert!(hidden(&html, "csrf").is_some());
}
