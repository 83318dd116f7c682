//! A real server for a test: its own database, its own port, a clock in the test's hand, and what `quickstart` plants.
//! Typed callers: `anonymous` requests, the resource server, the application, a browser with cookies.
#![expect(clippy::panic, reason = "a test fails by it")]

use std::path::PathBuf;
use std::sync::mpsc;

use countersign::app::App;
use countersign::config::{Config, PROFILE_VARIABLE};
use countersign::crypto::digest::Purpose;
use countersign::crypto::format::{TokenKind, hint, mint_key, mint_token};
use countersign::crypto::password;
use countersign::domain::Refusal;
use countersign::domain::lifecycle::quickstart::{self, ADMIN, Planted, Seed};
use countersign::server::run::start;
use countersign::store::{Database, Error, Tx, Verdict};
use countersign::types::environment::Environment;
use countersign::types::time::{Clock, Timestamp};
use reqwest::header::{HeaderMap, LOCATION};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::Value;

use crate::databases::TestDatabase;

/// RFC 7636 appendix B.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
pub const REDIRECT_URI: &str = "http://127.0.0.1:8976/callback";
/// 2026-11-20 12:00 UTC.
pub const NOON: Timestamp = Timestamp::from_seconds(1_795_176_000);

/// Less than the server keeps a connection open: on a slow machine a request would be sent into one that closes.
const IDLE: std::time::Duration = std::time::Duration::from_secs(2);

/// What was planted, in the clear.
pub struct Secrets {
    pub password: String,
    pub sandbox_key: String,
    pub production_key: String,
    pub client_secret: String,
    pub resource_server_secret: String,
    pub registration_token: String,
    pub operator_token: String,
}

pub struct Server {
    /// `http://127.0.0.1:PORT`, also the issuer.
    pub base: String,
    pub app: actix_web::web::Data<App>,
    pub clock: Clock,
    pub planted: Planted,
    pub secrets: Secrets,
    client: Client,
    handle: actix_web::dev::ServerHandle,
    pub database: TestDatabase,
    _folder: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        // the future is only a receipt: the order is given at once
        drop(self.handle.stop(false));
    }
}

impl Server {
    pub async fn start(database: TestDatabase) -> Self {
        Self::start_with(database, |_| {}).await
    }

    /// `change` sees the configuration before the server starts.
    pub async fn start_with(database: TestDatabase, change: impl FnOnce(&mut Config)) -> Self {
        Self::start_profile(database, "default", change).await
    }

    pub async fn start_profile(
        database: TestDatabase,
        profile: &str,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let chosen = (PROFILE_VARIABLE.to_owned(), profile.to_owned());
        let mut config = Config::load(None, std::iter::once(chosen)).expect("the profile is valid");
        config.server.listen = "127.0.0.1:0".to_owned();
        config.server.workers = 1;
        config.database.connections = 2;
        config.database.url = match &database.database {
            Database::Sqlite(path) => format!("sqlite:{path}"),
            Database::Postgres(url) => url.clone(),
        };
        config.secret.key_file = folder.path().join("secret.key").display().to_string();
        change(&mut config);
        let clock = Clock::manual(NOON);
        let (app, handle, base) = run(config, clock.clone());
        let (planted, secrets) = plant(&app).await;
        let client = Client::builder()
            .pool_idle_timeout(IDLE)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client");
        Self {
            base,
            app,
            clock,
            planted,
            secrets,
            client,
            handle,
            database,
            _folder: folder,
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// A request by nobody.
    pub fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(self.url(path))
    }

    /// A request by nobody.
    pub fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(self.url(path))
    }

    /// A request by the planted resource server.
    pub fn as_resource_server(&self, path: &str) -> RequestBuilder {
        self.post(path).basic_auth(
            self.planted.resource_server,
            Some(&self.secrets.resource_server_secret),
        )
    }

    /// A request by the planted application.
    pub fn as_application(&self, path: &str) -> RequestBuilder {
        self.post(path)
            .basic_auth(self.planted.application, Some(&self.secrets.client_secret))
    }

    /// `POST /v1/verify` by the resource server: the decision.
    pub async fn verify(&self, question: Value) -> Value {
        let response = self
            .as_resource_server("/v1/verify")
            .json(&question)
            .send()
            .await
            .expect("an answer");
        assert_eq!(response.status(), StatusCode::OK);
        response.json().await.expect("JSON")
    }

    /// `POST /oauth2/introspect` by the resource server.
    pub async fn introspect(&self, token: &str) -> Value {
        let response = self
            .as_resource_server("/oauth2/introspect")
            .form(&[("token", token)])
            .send()
            .await
            .expect("an answer");
        assert_eq!(response.status(), StatusCode::OK);
        response.json().await.expect("JSON")
    }

    /// `POST /oauth2/token` by the application.
    pub async fn token(&self, form: &[(&str, &str)]) -> (StatusCode, Value) {
        json(
            self.as_application("/oauth2/token")
                .form(form)
                .send()
                .await
                .expect("an answer"),
        )
        .await
    }

    /// The whole code flow of the planted application: what the token endpoint answered.
    pub async fn code_flow(&self, scope: &str) -> Value {
        let code = self.code(scope).await;
        let (status, body) = self.redeem(&code).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body
    }

    /// A code of the planted application, allowed by the admin in a browser.
    pub async fn code(&self, scope: &str) -> String {
        let browser = self.signed_in_browser().await;
        let target = browser.allow(&self.authorize_path(scope)).await;
        parameter(&target, "code").expect("a code")
    }

    pub async fn redeem(&self, code: &str) -> (StatusCode, Value) {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", REDIRECT_URI),
            ("code_verifier", VERIFIER),
        ];
        self.token(&form).await
    }

    /// A valid authorization request of the planted application.
    pub fn authorize_path(&self, scope: &str) -> String {
        authorize_path(self.planted.application.as_str(), REDIRECT_URI, scope)
    }

    pub fn browser(&self) -> Browser<'_> {
        let cookies = Client::builder()
            .pool_idle_timeout(IDLE)
            .redirect(reqwest::redirect::Policy::none())
            .cookie_store(true)
            .build()
            .expect("a client");
        Browser {
            server: self,
            client: cookies,
        }
    }

    /// The admin's browser.
    pub async fn signed_in_browser(&self) -> Browser<'_> {
        let browser = self.browser();
        let response = browser.sign_in(ADMIN, &self.secrets.password).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        browser
    }

    /// Changes the database by the rules of the store, as some other part of the product would.
    pub async fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Tx) -> Result<T, Refusal> + Send + 'static,
    ) -> T {
        self.app
            .store
            .write(
                self.clock.now(),
                not_rehearsed(move |tx| change(tx).map(Verdict::Done)),
            )
            .await
            .expect("the change is possible")
    }
}

/// For a test's own write, which need not be repeatable: the first of its two runs, which is rolled back, changes nothing.
pub fn not_rehearsed<T, E: From<Error>>(
    change: impl FnOnce(&mut Tx) -> Result<T, E>,
) -> impl FnMut(&mut Tx) -> Result<T, E> {
    let (mut change, mut rehearsed) = (Some(change), false);
    move |tx| match change.take_if(|_| std::mem::replace(&mut rehearsed, true)) {
        Some(change) => change(tx),
        None => Err(E::from(Error::NotFound)),
    }
}

pub fn authorize_path(client_id: &str, redirect_uri: &str, scope: &str) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([
            ("response_type", "code"),
            ("client_id", client_id),
            ("redirect_uri", redirect_uri),
            ("scope", scope),
            ("state", "xyz"),
        ])
        .extend_pairs([
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ])
        .finish();
    format!("/oauth2/authorize?{query}")
}

/// A browser: cookies, forms, no redirects followed unless told.
pub struct Browser<'s> {
    pub server: &'s Server,
    pub client: Client,
}

impl Browser<'_> {
    pub async fn get(&self, path: &str) -> Response {
        self.client
            .get(self.server.url(path))
            .send()
            .await
            .expect("an answer")
    }

    /// Loads the page with the form and sends it with its hidden token and these fields.
    pub async fn submit(&self, page: &str, action: &str, fields: &[(&str, &str)]) -> Response {
        let html = self.get(page).await.text().await.expect("text");
        let csrf =
            hidden(&html, "csrf").unwrap_or_else(|| panic!("no form token on {page}: {html}"));
        let mut form: Vec<(&str, &str)> = vec![("csrf", &csrf)];
        form.extend(fields);
        self.client
            .post(self.server.url(action))
            .form(&form)
            .send()
            .await
            .expect("an answer")
    }

    pub async fn sign_in(&self, email: &str, password: &str) -> Response {
        self.submit(
            "/login",
            "/login",
            &[("email", email), ("password", password), ("return_to", "/")],
        )
        .await
    }

    /// Opens the authorization request, allows it for the only organization and workspace, and tells where it was sent.
    pub async fn allow(&self, authorize_path: &str) -> String {
        self.decide(authorize_path, "allow").await
    }

    pub async fn decide(&self, authorize_path: &str, decision: &str) -> String {
        let page = self.get(authorize_path).await;
        assert_eq!(page.status(), StatusCode::OK);
        let html = page.text().await.expect("text");
        let (csrf, request) = (
            hidden(&html, "csrf").expect("a token"),
            hidden(&html, "request").expect("a request"),
        );
        let planted = &self.server.planted;
        let form = [
            ("csrf", csrf.as_str()),
            ("request", &request),
            ("organization", planted.organization.as_str()),
            ("workspace", planted.workspace.as_str()),
            ("decision", decision),
        ];
        let response = self
            .client
            .post(self.server.url("/oauth2/authorize"))
            .form(&form)
            .send()
            .await
            .expect("an answer");
        assert_eq!(
            response.status(),
            StatusCode::SEE_OTHER,
            "{}",
            response.text().await.unwrap_or_default()
        );
        location(response.headers())
    }
}

pub fn location(headers: &HeaderMap) -> String {
    headers
        .get(LOCATION)
        .and_then(|value| value.to_str().ok())
        .expect("a Location")
        .to_owned()
}

/// The value of a query parameter.
pub fn parameter(url: &str, name: &str) -> Option<String> {
    let url = url::Url::parse(url).expect("a URL");
    url.query_pairs()
        .find(|(own, _)| own == name)
        .map(|(_, value)| value.into_owned())
}

/// The value of a hidden field.
pub fn hidden(html: &str, name: &str) -> Option<String> {
    let start = html.find(&format!("name=\"{name}\""))?;
    let tag_start = html[..start].rfind('<')?;
    let tag = &html[tag_start..tag_start + html[tag_start..].find('>')?];
    let value = tag.split_once("value=\"")?.1;
    Some(
        value[..value.find('"')?]
            .replace("&amp;", "&")
            .replace("&#38;", "&"),
    )
}

/// Status and body.
pub async fn json(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    let text = response.text().await.expect("text");
    (
        status,
        serde_json::from_str(&text).unwrap_or(Value::String(text)),
    )
}

/// Runs the server on a thread of its own, which ends with the server.
fn run(
    config: Config,
    clock: Clock,
) -> (
    actix_web::web::Data<App>,
    actix_web::dev::ServerHandle,
    String,
) {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let program = PathBuf::from(env!("CARGO_BIN_EXE_countersign"));
            let running = start(config, clock, program)
                .await
                .expect("the server starts");
            running.app.store.rehearse_writes();
            let base = running.app.issuer.as_str().to_owned();
            sender
                .send((running.app.clone(), running.handle.clone(), base))
                .expect("the test waits");
            running.serve().await.expect("the server runs");
        });
    });
    receiver.recv().expect("the server started")
}

/// Plants what `quickstart` plants.
pub async fn plant(app: &App) -> (Planted, Secrets) {
    // hashing is slow by design, and the same for every test
    static PASSWORD: std::sync::LazyLock<(String, String)> = std::sync::LazyLock::new(|| {
        let password = password::generate();
        let hash = password::hash(&password);
        (password, hash)
    });
    let key = |environment| {
        let (public_id, plaintext) =
            mint_key(&app.config.keys.prefix, app.config.keys.marker(environment));
        let digest = app.digester.digest(Purpose::ApiKey, plaintext.expose());
        (plaintext.expose().to_owned(), (public_id, digest))
    };
    let secret = || {
        let plaintext = mint_token(&app.config.keys.prefix, TokenKind::ClientSecret)
            .expose()
            .to_owned();
        let digest = app.digester.digest(Purpose::ClientSecret, &plaintext);
        (plaintext, digest)
    };
    let (sandbox_key, sandbox) = key(Environment::Sandbox);
    let (production_key, production) = key(Environment::Production);
    let planted = quickstart::environments(&app.settings.catalogue);
    let keys = [
        (Environment::Sandbox, sandbox),
        (Environment::Production, production),
    ]
    .into_iter();
    let keys = keys
        .filter(|(environment, _)| planted.contains(environment))
        .map(|(environment, (id, digest))| (environment, id, digest))
        .collect();
    let ((client_secret, client), (resource_server_secret, server)) = (secret(), secret());
    let registration_token = mint_token(&app.config.keys.prefix, TokenKind::InitialAccessToken)
        .expose()
        .to_owned();
    let operator_token = mint_token(&app.config.keys.prefix, TokenKind::OperatorToken);
    let seed = Seed {
        password_hash: PASSWORD.1.clone(),
        operator_password_hash: PASSWORD.1.clone(),
        keys,
        client_secret: client.into(),
        resource_server_secret: server,
        registration_token: app
            .digester
            .digest(Purpose::InitialAccessToken, &registration_token),
        operator_token: (
            app.digester
                .digest(Purpose::OperatorToken, operator_token.expose()),
            hint(&operator_token),
        ),
        redirect_uri: REDIRECT_URI.parse().expect("a redirect URI"),
    };
    let config = std::sync::Arc::clone(&app.config);
    let settings = std::sync::Arc::clone(&app.settings);
    let planted: Result<Planted, Refusal> = app
        .store
        .write(app.clock.now(), move |tx: &mut Tx| {
            quickstart::plant(tx, &config, &settings, &seed).map(Verdict::Done)
        })
        .await;
    let secrets = Secrets {
        password: PASSWORD.0.clone(),
        sandbox_key,
        production_key,
        client_secret,
        resource_server_secret,
        registration_token,
        operator_token: operator_token.expose().to_owned(),
    };
    (planted.expect("planted"), secrets)
}
