//! No secret is ever written anywhere (RFC 9700 §4.2.4 and §4.3; field notes, row 62): the real binary at its most talkative,
//! every route driven with real secrets and with marked ones in every place where somebody may put one; then its output, the
//! answers' bodies and the whole database are searched.

use std::collections::HashMap;
use std::path::PathBuf;

use actix_web::http::Method;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use countersign::app::App;
use countersign::config::Config;
use countersign::crypto::format::{TokenKind, mint_key, mint_token};
use countersign::domain::lifecycle::quickstart::{ADMIN, Planted};
use countersign::server::routes::table;
use countersign::store::{Conn, Database};
use countersign::types::text::random_base62;
use countersign::types::time::Clock;
use diesel::sql_types::Text;
use diesel::{QueryableByName, RunQueryDsl};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::databases::{TestDatabase, both_databases};
use crate::process::Process;
use crate::server::{REDIRECT_URI, Secrets, hidden, parameter, plant};

both_databases!(no_secret_is_written_to_the_logs_the_answers_or_the_database);

async fn no_secret_is_written_to_the_logs_the_answers_or_the_database(db: TestDatabase) {
    // 9700-22, 9700-50, 9700-52
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (planted, secrets) = prepare(&db.database, &folder).await;
    for level in ["trace", "info"] {
        let process = serve(&db.database, &folder, level).await;
        let mut used = Used::new(&process.issuer, &planted, &secrets);
        used.live_through_everything().await;
        used.put_secrets_everywhere().await;
        let running = dump(&db.database);
        let ended = process.stop();
        assert!(ended.status.success());
        assert!(
            ended.output.contains("Answered") && ended.output.contains("/v1/verify"),
            "nothing was logged: {}",
            ended.output
        );
        let stopped = dump(&db.database);
        assert!(used.needles.len() > 60, "{}", used.needles.len());
        let starts = used
            .needles
            .iter()
            .map(|(name, needle)| (&needle.as_bytes()[..START], name.as_str()))
            .collect();
        assert_eq!(
            found(ended.output.as_bytes(), &starts),
            None,
            "in the log at {level}"
        );
        for dump in [&running, &stopped] {
            assert_eq!(found(dump, &starts), None, "in the database");
        }
    }
}

/// Thousands of secrets are looked for at once by how they start: half a secret is one too many.
const START: usize = 16;

/// The name of a secret that is in there, and what surrounds it.
fn found<'n>(haystack: &[u8], starts: &HashMap<&[u8], &'n str>) -> Option<(&'n str, String)> {
    let (at, name) = haystack
        .windows(START)
        .enumerate()
        .find_map(|(at, part)| Some((at, *starts.get(part)?)))?;
    let around = &haystack[at.saturating_sub(100)..haystack.len().min(at + 100)];
    Some((name, String::from_utf8_lossy(around).into_owned()))
}

#[test]
fn the_search_finds_what_is_there() {
    let starts = HashMap::from([(&b"0123456789abcdef"[..], "it")]);
    assert_eq!(
        found(b"x0123456789abcdefgh", &starts),
        Some(("it", "x0123456789abcdefgh".to_owned()))
    );
    assert_eq!(found(b"x0123456789abcde", &starts), None);
}

// --- the process ----------------------------------------------------------------------------------------------------

fn url(database: &Database) -> String {
    match database {
        Database::Sqlite(path) => format!("sqlite:{path}"),
        Database::Postgres(url) => url.clone(),
    }
}

/// Plants in this process, so that the secrets are known, and leaves the database to the other one.
async fn prepare(database: &Database, folder: &TempDir) -> (Planted, Secrets) {
    let mut config = Config::load(None, std::iter::empty()).expect("the defaults are valid");
    config.database.url = url(database);
    config.secret.key_file = folder.path().join("secret.key").display().to_string();
    let app = App::build(config, Clock::System, PathBuf::from("/no/such/program"))
        .await
        .map_err(|error| error.to_string());
    plant(&app.expect("it opens")).await
}

async fn serve(database: &Database, folder: &TempDir, level: &str) -> Process {
    let variables = [
        ("COUNTERSIGN_DATABASE_URL", url(database)),
        (
            "COUNTERSIGN_SECRET_KEY_FILE",
            folder.path().join("secret.key").display().to_string(),
        ),
        ("COUNTERSIGN_SERVER_LISTEN", "127.0.0.1:0".to_owned()),
        (
            "COUNTERSIGN_SERVER_TRUSTED_PROXIES",
            "127.0.0.0/8".to_owned(),
        ),
        ("COUNTERSIGN_LOGS_LEVEL", level.to_owned()),
        (
            "COUNTERSIGN_LOGS_FORMAT",
            if level == "trace" { "text" } else { "json" }.to_owned(),
        ),
        ("RUST_LOG", "trace".to_owned()),
        ("RUST_BACKTRACE", "1".to_owned()),
    ];
    // the one before gives its lock back within a second
    for _ in 0..200 {
        match Process::serve(&variables) {
            Ok(process) => return process,
            Err(ended) => assert!(
                ended.output.contains("another Countersign process"),
                "{}",
                ended.output
            ),
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    unreachable!("the lock is never given back");
}

/// All bytes: the file and its log, or every row of every table.
fn dump(database: &Database) -> Vec<u8> {
    match database {
        Database::Sqlite(path) => ["", "-wal"]
            .iter()
            .flat_map(|end| std::fs::read(format!("{path}{end}")).unwrap_or_default())
            .collect(),
        Database::Postgres(_) => {
            #[derive(QueryableByName)]
            struct Row {
                #[diesel(sql_type = Text)]
                text: String,
            }
            let mut conn = Conn::open(database).expect("a connection");
            let mut query =
                |sql: String| diesel::sql_query(sql).load::<Row>(&mut conn).expect("rows");
            let tables = query(
                "SELECT tablename::text AS text FROM pg_tables WHERE schemaname = 'public'"
                    .to_owned(),
            );
            assert!(tables.len() > 15);
            let rows = tables.into_iter().flat_map(|table| {
                query(format!(
                    "SELECT row_to_json(t)::text AS text FROM {} t",
                    table.text
                ))
            });
            rows.flat_map(|row| row.text.into_bytes()).collect()
        }
    }
}

// --- what is done to it ---------------------------------------------------------------------------------------------

/// A caller that knows every secret it ever used.
struct Used<'p> {
    base: String,
    client: Client,
    planted: &'p Planted,
    secrets: &'p Secrets,
    /// Name and text.
    needles: Vec<(String, String)>,
}

impl<'p> Used<'p> {
    fn new(base: &str, planted: &'p Planted, secrets: &'p Secrets) -> Self {
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client");
        let mut used = Self {
            base: base.to_owned(),
            client,
            planted,
            secrets,
            needles: Vec::new(),
        };
        for (name, secret) in [
            ("the password", &secrets.password),
            ("the sandbox key", &secrets.sandbox_key),
            ("the production key", &secrets.production_key),
            ("the client secret", &secrets.client_secret),
            (
                "the resource server's secret",
                &secrets.resource_server_secret,
            ),
            ("the initial access token", &secrets.registration_token),
        ] {
            used.hide(name, secret);
        }
        used
    }

    /// From here on this must not be found. Of a key, what follows its public id: that part may be shown.
    fn hide(&mut self, name: &str, secret: &str) {
        let secret = countersign::crypto::format::key_public_id(secret)
            .map_or(secret, |_| &secret[secret.len() - 38..]);
        assert!(secret.len() >= START, "{name} is found by chance: {secret}");
        self.needles.push((name.to_owned(), secret.to_owned()));
    }

    /// A well-formed secret that nobody has.
    fn mark(&mut self, place: &str) -> String {
        let secret = mint_key("cs", "sandbox").1.expose().to_owned();
        self.hide(&format!("the mark in {place}"), &secret);
        secret
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(self.url(path))
    }

    fn as_application(&self, path: &str) -> RequestBuilder {
        self.post(path)
            .basic_auth(self.planted.application, Some(&self.secrets.client_secret))
    }

    fn as_resource_server(&self, path: &str) -> RequestBuilder {
        self.post(path).basic_auth(
            self.planted.resource_server,
            Some(&self.secrets.resource_server_secret),
        )
    }

    /// The main job, with the real secrets.
    async fn live_through_everything(&mut self) {
        for (name, id, secret) in [
            (
                "the application's Basic",
                self.planted.application.to_string(),
                &self.secrets.client_secret,
            ),
            (
                "the resource server's Basic",
                self.planted.resource_server.to_string(),
                &self.secrets.resource_server_secret,
            ),
        ] {
            self.needles.push((
                name.to_owned(),
                STANDARD.encode(format!("{id}:{secret}"))[28..].to_owned(),
            ));
        }
        let (cookie, csrf) = self.sign_in().await;
        let tokens = self.code_flow(&cookie, &csrf).await;
        self.use_credentials(&tokens).await;
        self.use_console(&cookie, &csrf).await;
        self.register_an_application().await;
        self.manage_keys().await;
        let wrong = random_base62(32);
        self.hide("a wrong secret", &wrong);
        for path in ["/oauth2/token", "/oauth2/introspect", "/v1/verify"] {
            let request = self
                .post(path)
                .basic_auth(self.planted.application, Some(&wrong))
                .form(&[("grant_type", "client_credentials")]);
            assert_eq!(text(request).await.0, StatusCode::UNAUTHORIZED);
        }
        let form = [("csrf", csrf.as_str())];
        assert_eq!(
            text(self.post("/logout").header(COOKIE, &cookie).form(&form))
                .await
                .0,
            StatusCode::SEE_OTHER
        );
    }

    /// Makes, rotates and hands over keys by a program.
    async fn manage_keys(&mut self) {
        let (client, base, token) = (
            self.client.clone(),
            self.base.clone(),
            self.secrets.operator_token.clone(),
        );
        let organization = self.planted.organization;
        let at = |path: &str| format!("{base}/v1/api-keys{path}?organization={organization}");
        let json = |body: String| serde_json::from_str::<Value>(&body).expect("JSON");
        let keys = json(text(client.get(at("")).bearer_auth(&token)).await.1);
        let post = async |path: &str, body: Value| {
            let (status, body) = text(client.post(at(path)).bearer_auth(&token).json(&body)).await;
            assert_eq!(status, StatusCode::CREATED, "{body}");
            json(body)
        };
        let new = |pending: bool| {
            json!({"name": "CRM", "environment": "sandbox", "scope": "organization", "permission_level": "full", "expires_in_days": 30,
                   "owner": keys["data"][0]["owner"]["id"], "pending": pending})
        };
        let (made, pending) = (post("", new(false)).await, post("", new(true)).await);
        let path = |key: &Value| format!("/{}", key["id"].as_str().expect("an id"));
        let rotated = post(
            &format!("{}/rotate", path(&made)),
            json!({"grace_seconds": 60}),
        )
        .await;
        let link = post(
            &format!("{}/hand-over", path(&pending)),
            json!({"email": "dev@agency.example", "expires_in_seconds": 60}),
        )
        .await;
        let link = link["link"].as_str().expect("a link").to_owned();
        self.hide(
            "a hand-over link",
            link.rsplit('/').next().expect("its end"),
        );
        for (name, key) in [
            ("a key made by a program", &made),
            ("a rotated key", &rotated),
        ] {
            self.hide(name, key["secret"].as_str().expect("a secret"));
        }
        let page = send(client.get(&link)).await;
        let stranger = self.cookie(&page, "countersign_visitor");
        let csrf = hidden(&page.text().await.expect("text"), "csrf").expect("a token");
        self.hide("the form token of a link", &csrf);
        for (email, expected) in [
            ("eve@agency.example", StatusCode::UNPROCESSABLE_ENTITY),
            ("dev@agency.example", StatusCode::OK),
        ] {
            let form = [("csrf", csrf.as_str()), ("email", email)];
            let (status, html) =
                text(client.post(&link).header(COOKIE, &stranger).form(&form)).await;
            assert_eq!(status, expected, "{html}");
            if status == StatusCode::OK {
                self.hide("a key that was handed over", &word(&html, "cs_sandbox_"));
            }
        }
    }

    /// By itself, and again with the registration access token.
    async fn register_an_application(&mut self) {
        let request = self
            .post("/oauth2/register")
            .bearer_auth(&self.secrets.registration_token);
        let (status, body) =
            text(request.json(&json!({"redirect_uris": ["https://app.example/cb"]}))).await;
        assert_eq!(status, StatusCode::CREATED, "{body}");
        let body: Value = serde_json::from_str(&body).expect("JSON");
        for name in ["client_secret", "registration_access_token"] {
            self.hide(
                &format!("a registered {name}"),
                body[name].as_str().expect("a secret"),
            );
        }
        let address = body["registration_client_uri"]
            .as_str()
            .expect("an address");
        let request = self
            .client
            .get(address)
            .bearer_auth(body["registration_access_token"].as_str().expect("a token"));
        assert_eq!(text(request).await.0, StatusCode::OK);
    }

    /// A session's cookie and the token of its forms; a wrong password first.
    async fn sign_in(&mut self) -> (String, String) {
        let page = send(self.client.get(self.url("/login"))).await;
        let stranger = self.cookie(&page, "countersign_visitor");
        let csrf = hidden(&page.text().await.expect("text"), "csrf").expect("a token");
        self.hide("a stranger's form token", &csrf);
        let wrong = random_base62(24);
        self.hide("a wrong password", &wrong);
        let try_with = |password: &str| {
            let form = [
                ("csrf", csrf.as_str()),
                ("email", ADMIN),
                ("password", password),
                ("return_to", "/"),
            ];
            self.post("/login").header(COOKIE, &stranger).form(&form)
        };
        let (status, body) = text(try_with(&wrong)).await;
        assert_eq!(
            (status, body.contains(&wrong)),
            (StatusCode::UNPROCESSABLE_ENTITY, false)
        );
        let response = send(try_with(&self.secrets.password)).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        let cookie = self.cookie(&response, "countersign_session");
        let page = format!("/dev-centre/{}/api-keys/new", self.planted.organization);
        let (_, html) = text(self.client.get(self.url(&page)).header(COOKIE, &cookie)).await;
        let csrf = hidden(&html, "csrf").expect("a token");
        self.hide("a form token", &csrf);
        (cookie, csrf)
    }

    fn cookie(&mut self, response: &Response, name: &str) -> String {
        let all = response
            .headers()
            .get_all(SET_COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok()?.split(';').next());
        let pair = all
            .rev()
            .find(|pair| pair.starts_with(name))
            .expect("a cookie")
            .to_owned();
        self.hide(name, pair.split_once('=').expect("a value").1);
        pair
    }

    async fn code_flow(&mut self, cookie: &str, csrf: &str) -> Value {
        let verifier = random_base62(43);
        self.hide("a code verifier", &verifier);
        let challenge = URL_SAFE_NO_PAD.encode(aws_lc_rs::digest::digest(
            &aws_lc_rs::digest::SHA256,
            verifier.as_bytes(),
        ));
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([
                ("response_type", "code"),
                ("client_id", self.planted.application.as_str()),
                ("redirect_uri", REDIRECT_URI),
            ])
            .extend_pairs([
                ("scope", "read write"),
                ("code_challenge", &challenge),
                ("code_challenge_method", "S256"),
            ])
            .finish();
        let (status, html) = text(
            self.client
                .get(self.url(&format!("/oauth2/authorize?{query}")))
                .header(COOKIE, cookie),
        )
        .await;
        assert_eq!(status, StatusCode::OK);
        let request = hidden(&html, "request").expect("a request");
        let (organization, workspace) = (
            self.planted.organization.to_string(),
            self.planted.workspace.to_string(),
        );
        let form = [
            ("csrf", csrf),
            ("request", &request),
            ("organization", &organization),
            ("workspace", &workspace),
            ("decision", "allow"),
        ];
        let response = send(
            self.post("/oauth2/authorize")
                .header(COOKIE, cookie)
                .form(&form),
        )
        .await;
        let code = parameter(response.headers()[LOCATION].to_str().expect("text"), "code")
            .expect("a code");
        self.hide("a code", &code);
        let redeem = |verifier: &str| {
            let form = [
                ("grant_type", "authorization_code"),
                ("code", &code),
                ("redirect_uri", REDIRECT_URI),
                ("code_verifier", verifier),
            ];
            self.as_application("/oauth2/token").form(&form)
        };
        let wrong = random_base62(43);
        assert_eq!(text(redeem(&wrong)).await.0, StatusCode::BAD_REQUEST);
        let (status, body) = text(redeem(&verifier)).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        self.hide("a wrong verifier", &wrong);
        let first: Value = serde_json::from_str(&body).expect("JSON");
        self.hide_tokens(&first);
        let form = [
            ("grant_type", "refresh_token"),
            (
                "refresh_token",
                first["refresh_token"].as_str().expect("a token"),
            ),
        ];
        let (_, body) = text(self.as_application("/oauth2/token").form(&form)).await;
        let second: Value = serde_json::from_str(&body).expect("JSON");
        self.hide_tokens(&second);
        second
    }

    /// Of a JWT, the signature: its claims are no secret.
    fn hide_tokens(&mut self, tokens: &Value) {
        let access_token = tokens["access_token"].as_str().expect("a token");
        self.hide(
            "an access token",
            access_token.rsplit('.').next().expect("a signature"),
        );
        self.hide(
            "a refresh token",
            tokens["refresh_token"].as_str().expect("a token"),
        );
    }

    async fn use_credentials(&mut self, tokens: &Value) {
        let access_token = tokens["access_token"].as_str().expect("a token").to_owned();
        for credential in [
            &self.secrets.sandbox_key,
            &self.secrets.production_key,
            &access_token,
        ] {
            assert_eq!(
                text(
                    self.client
                        .get(self.url("/v1/whoami"))
                        .bearer_auth(credential)
                )
                .await
                .0,
                StatusCode::OK
            );
            assert_eq!(
                text(
                    self.client
                        .get(self.url(&format!("/v1/whoami?token={credential}")))
                )
                .await
                .0,
                StatusCode::BAD_REQUEST
            );
            let (status, answer) = text(
                self.as_resource_server("/v1/verify")
                    .json(&json!({"credential": credential})),
            )
            .await;
            assert_eq!(status, StatusCode::OK);
            self.assert_silent("verify", &answer);
            let request = self
                .as_resource_server("/v1/watermark")
                .header("Countersign-Credential", credential);
            text(
                request
                    .header(CONTENT_TYPE, "application/pdf")
                    .body("no PDF"),
            )
            .await;
            assert_eq!(
                text(
                    self.as_resource_server("/oauth2/introspect")
                        .form(&[("token", credential)])
                )
                .await
                .0,
                StatusCode::OK
            );
        }
        for token in ["access_token", "refresh_token"] {
            let form = [("token", tokens[token].as_str().expect("a token"))];
            assert_eq!(
                text(self.as_application("/oauth2/revoke").form(&form))
                    .await
                    .0,
                StatusCode::OK
            );
        }
    }

    /// Makes a key and an application: the answers show their secrets once, and never again.
    async fn use_console(&mut self, cookie: &str, csrf: &str) {
        let (organization, workspace) = (
            self.planted.organization,
            self.planted.workspace.to_string(),
        );
        let (keys, applications) = (
            format!("/dev-centre/{organization}/api-keys"),
            format!("/dev-centre/{organization}/applications"),
        );
        let name = random_base62(12);
        let form = [
            ("csrf", csrf),
            ("name", &name),
            ("environment", "sandbox"),
            ("scope", "workspaces"),
            ("workspace", &workspace),
            ("permission_level", "full"),
            ("expiry", "never"),
        ];
        let (status, html) = text(self.post(&keys).header(COOKIE, cookie).form(&form)).await;
        assert_eq!(status, StatusCode::OK, "{html}");
        let key = word(&html, "cs_sandbox_");
        self.hide("a made key", &key);
        let form = [
            ("csrf", csrf),
            ("name", &name),
            ("environment", "sandbox"),
            ("client_type", "confidential"),
            ("redirect_uris", REDIRECT_URI),
            ("access_token_format", "opaque"),
            ("scope", "read"),
            ("role", "viewer"),
            ("grant", "client_credentials"),
        ];
        let (status, html) =
            text(self.post(&applications).header(COOKIE, cookie).form(&form)).await;
        assert_eq!(status, StatusCode::OK, "{html}");
        let secret = word(&html, "cs_cs_");
        self.hide("a made client secret", &secret);
        let id = word(&html, "app_");
        let form = [("grant_type", "client_credentials")];
        let (_, body) = text(
            self.post("/oauth2/token")
                .basic_auth(&id, Some(&secret))
                .form(&form),
        )
        .await;
        let body: Value = serde_json::from_str(&body).expect("JSON");
        self.hide(
            "an opaque access token",
            body["access_token"].as_str().expect("a token"),
        );
        for page in [keys, applications.clone(), format!("{applications}/{id}")] {
            let (status, html) =
                text(self.client.get(self.url(&page)).header(COOKIE, cookie)).await;
            assert_eq!(status, StatusCode::OK);
            assert!(!html.contains(&key[key.len() - 38..]) && !html.contains(&secret));
        }
    }

    /// Every route, by the right method and with every kind of body, with a secret in every place.
    async fn put_secrets_everywhere(&mut self) {
        for route in table() {
            let bodies: &[&str] = if route.method == Method::GET {
                &["none"]
            } else {
                &["form", "json", "broken"]
            };
            for body in bodies {
                for authorization in ["Bearer", "API-Key", "Basic", "as itself", "nonsense"] {
                    self.put_secrets(&route.method, route.path, body, authorization)
                        .await;
                }
            }
        }
    }

    async fn put_secrets(
        &mut self,
        method: &Method,
        pattern: &str,
        body: &str,
        authorization: &str,
    ) {
        let case = format!("{method} {pattern}, {body}, {authorization}");
        let mut path = pattern.to_owned();
        while let Some((before, rest)) = path.split_once('{') {
            let after = rest.split_once('}').expect("a parameter").1;
            path = format!("{before}{}{after}", mint_key("cs", "sandbox").1.expose());
        }
        // what stands in the address is repeated to the browser that wrote it, and to nobody else
        let in_address = self.mark(&format!("the query of {case}"));
        let address = self.url(&format!("{path}?access_token={in_address}&code={in_address}&return_to=/%3Ftoken={in_address}&x=%ff"));
        if let Some(last) = path.split('/').find(|part| part.starts_with("cs_sandbox_")) {
            self.hide(&format!("the path of {case}"), last);
        }
        let secret = |used: &mut Self, place: &str| used.mark(&format!("{place} of {case}"));
        let mut silent = vec![];
        let mut request = self
            .client
            .request(method.as_str().parse().expect("a method"), address);
        for header in [
            "Cookie",
            "Countersign-Credential",
            "X-Api-Key",
            "Referer",
            "User-Agent",
            "X-Forwarded-For",
            "X-Request-Id",
            "Origin",
        ] {
            let mark = secret(self, header);
            let value = if header == "Cookie" {
                format!("countersign_session={mark}; other={mark}")
            } else {
                mark.clone()
            };
            // an origin that is not ours ends a form's request early: only sometimes
            if header != "Origin" || body == "broken" {
                request = request.header(header, value);
            }
            silent.push(mark);
        }
        let mark = secret(self, "the Authorization");
        request = match authorization {
            "Basic" => request.basic_auth(&mark, Some(&mark)),
            "as itself" if pattern.contains("introspect") || pattern.starts_with("/v1/") => request
                .basic_auth(
                    self.planted.resource_server,
                    Some(&self.secrets.resource_server_secret),
                ),
            "as itself" => {
                request.basic_auth(self.planted.application, Some(&self.secrets.client_secret))
            }
            "nonsense" => request.header(AUTHORIZATION, format!("{mark} {mark}, {mark}")),
            scheme => request.header(AUTHORIZATION, format!("{scheme} {mark}")),
        };
        silent.push(mark);
        let mut fields = Vec::new();
        for field in [
            "csrf",
            "password",
            "client_secret",
            "code",
            "code_verifier",
            "refresh_token",
            "token",
            "credential",
            "permission",
            "workspace",
            "environment",
            "client_ip",
            "method",
            "path",
            "request",
            "organization",
            "decision",
            "token_type_hint",
            "client_id",
            "unknown",
        ] {
            let mark = if field == "token" {
                mint_token("cs", TokenKind::AccessToken).expose().to_owned()
            } else {
                secret(self, field)
            };
            silent.push(mark.clone());
            fields.push((field.to_owned(), mark));
        }
        for field in [
            "email",
            "name",
            "description",
            "redirect_uri",
            "redirect_uris",
            "scope",
            "state",
            "document_name",
            "return_to",
        ] {
            fields.push((field.to_owned(), secret(self, field)));
        }
        let grant_type = if authorization == "Basic" {
            "authorization_code"
        } else {
            "refresh_token"
        };
        fields.push(("grant_type".to_owned(), grant_type.to_owned()));
        let request = match body {
            "form" => request.form(&fields),
            "json" => request.json(&fields.iter().cloned().collect::<HashMap<_, _>>()),
            "broken" => request
                .header(CONTENT_TYPE, "application/json")
                .body(format!(
                    "{{\"credential\": \"{}",
                    secret(self, "a broken body")
                )),
            _ => request,
        };
        let (status, answer) = text(request).await;
        assert!(!status.is_server_error(), "{case}: {status}");
        for mark in silent {
            assert!(
                !answer.contains(&mark[mark.len() - 38..]),
                "{case}: {answer}"
            );
        }
    }

    fn assert_silent(&self, door: &str, answer: &str) {
        for (name, needle) in &self.needles {
            assert!(!answer.contains(needle.as_str()), "{door} repeats {name}");
        }
    }
}

async fn send(request: RequestBuilder) -> Response {
    request.send().await.expect("an answer")
}

async fn text(request: RequestBuilder) -> (StatusCode, String) {
    let response = send(request).await;
    (response.status(), response.text().await.expect("text"))
}

/// The first word on a page that starts so.
fn word(html: &str, start: &str) -> String {
    let rest = &html[html.find(start).expect("it is shown")..];
    rest[..rest
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(rest.len())]
        .to_owned()
}
