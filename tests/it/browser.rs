//! The pages in a real browser, without JavaScript.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use countersign::domain::lifecycle::quickstart::ADMIN;
use reqwest::StatusCode;
use serde_json::json;
use tempfile::TempDir;

use crate::databases::{TestDatabase, both_databases, offered};
use crate::server::{Server, VERIFIER, authorize_path, parameter};
use crate::webdriver::Chromium;

both_databases!(
    a_person_signs_in_allows_and_lands_with_a_code_that_is_redeemed,
    a_person_denies_and_lands_with_the_refusal,
    a_person_takes_back_what_was_allowed_and_is_asked_again,
    a_person_creates_copies_and_revokes_a_key,
    a_person_creates_changes_and_deletes_an_application,
    allow_and_deny_lead_on_wherever_the_callback_goes,
    a_double_click_on_allow_lands,
    tabs_end_where_they_were_going,
    the_back_button_leads_to_the_application_again,
);

/// The keys Control+A, and Control+C or Control+V, as WebDriver writes them.
const SELECT_AND_COPY: &str = "\u{e009}ac";
const PASTE: &str = "\u{e009}v";

/// What the application behind the redirect URI gets. Its page would say so if JavaScript ran.
struct Landing {
    redirect_uri: String,
    requests: Receiver<String>,
}

impl Landing {
    fn listen() -> Self {
        Self::that_goes_on_to(None)
    }

    /// `onward`: where its answer sends the browser.
    fn that_goes_on_to(onward: Option<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        // a loopback address matches on any port (RFC 8252 §7.3)
        let redirect_uri = format!(
            "http://{}/callback",
            listener.local_addr().expect("an address")
        );
        let (sender, requests) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.expect("a connection");
                let mut line = String::new();
                BufReader::new(&stream)
                    .read_line(&mut line)
                    .expect("a request");
                let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
                let body = "<!doctype html><title>Landed</title><script>document.title = 'JavaScript ran'</script><p>Welcome back.";
                let status = match &onward {
                    Some(onward) => format!("302 Found\r\nLocation: {onward}"),
                    None => "200 OK".to_owned(),
                };
                let head = format!(
                    "HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                drop(stream.write_all(format!("{head}{body}").as_bytes()));
                if sender.send(path).is_err() {
                    return;
                }
            }
        });
        Self {
            redirect_uri,
            requests,
        }
    }

    /// Where the browser was sent, as it arrived; not what it asks for by itself.
    fn arrived(&self) -> String {
        let next = || {
            self.requests
                .recv_timeout(Duration::from_secs(60))
                .expect("the browser arrives")
        };
        let mut path = next();
        while path == "/favicon.ico" {
            path = next();
        }
        let origin = self
            .redirect_uri
            .strip_suffix("/callback")
            .expect("a callback");
        format!("{origin}{path}")
    }
}

async fn a_person_signs_in_allows_and_lands_with_a_code_that_is_redeemed(db: TestDatabase) {
    let Some(chromium) = Chromium::start().await else {
        return;
    };
    let (server, landing) = (Server::start(db).await, Landing::listen());
    sign_in_to_consent(&chromium, &server, &landing).await;
    let page = chromium.shows("main", "What it may do").await;
    for part in [
        "Example CRM",
        "Acme",
        ADMIN,
        &landing.redirect_uri.replace("/callback", ""),
        "Sandbox",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    chromium.click("button[value=allow]").await;
    let target = landing.arrived();
    chromium.shows("body", "Welcome back.").await;
    assert_eq!(
        chromium.title().await,
        "Landed",
        "and JavaScript did not run"
    );
    assert_eq!(parameter(&target, "state").as_deref(), Some("xyz"));
    assert_eq!(
        parameter(&target, "iss").as_deref(),
        Some(server.base.as_str())
    );
    let code = parameter(&target, "code").expect("a code");
    let redirect_uri = landing.redirect_uri.as_str();
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", redirect_uri),
        ("code_verifier", VERIFIER),
    ];
    let (status, tokens) = server.token(&form).await;
    assert_eq!(status, StatusCode::OK, "{tokens}");
    let access_token = tokens["access_token"].as_str().expect("a token");
    assert_eq!(server.introspect(access_token).await["active"], true);
    assert_no_violation(&chromium).await;
}

/// The https callback of an application that goes on from there: `tests/python/onward_callback.py`.
struct Onward {
    program: Child,
    port: u16,
    requests: Receiver<String>,
    _certificate: TempDir,
}

impl Onward {
    /// `PORT` in `onward` stands for the callback's own port. None: this test skips.
    fn listen(onward: &str) -> Option<Self> {
        let python = offered("PYTHON", "PYTHON")?;
        let folder = TempDir::with_prefix("certificate-").expect("a temporary folder");
        let file = folder.path().join("both.pem");
        let made = Command::new("openssl")
            .args([
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
            ])
            .args(["-subj", "/CN=crm.example", "-keyout"])
            .arg(&file)
            .arg("-out")
            .arg(folder.path().join("certificate.pem"))
            .stderr(Stdio::null())
            .status()
            .expect("openssl runs");
        assert!(made.success(), "openssl makes a certificate");
        let certificate = std::fs::read(folder.path().join("certificate.pem")).expect("made");
        let mut both = std::fs::read(&file).expect("made");
        both.extend(certificate);
        std::fs::write(&file, both).expect("written");
        let mut program = Command::new(python)
            .arg("tests/python/onward_callback.py")
            .arg(&file)
            .arg(onward)
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python starts");
        let mut lines = BufReader::new(program.stdout.take().expect("piped"))
            .lines()
            .map_while(Result::ok);
        let port = lines.next().and_then(|port| port.parse().ok());
        let (sender, requests) = channel();
        std::thread::spawn(move || lines.try_for_each(|line| sender.send(line)));
        Some(Self {
            program,
            port: port.expect("a port"),
            requests,
            _certificate: folder,
        })
    }

    fn callback(&self) -> String {
        format!("https://crm.example:{}/callback", self.port)
    }

    /// The path of the next request, but for what a browser asks for by itself.
    fn asked(&self) -> String {
        loop {
            let path = self.requests.recv_timeout(Duration::from_secs(60));
            let path = path.expect("the browser arrives");
            if path != "/favicon.ico" {
                return path;
            }
        }
    }
}

impl Drop for Onward {
    fn drop(&mut self) {
        drop(self.program.kill());
        drop(self.program.wait());
    }
}

/// An application with this redirect URI, of the admin's own organization.
async fn application(server: &Server, redirect_uri: &str) -> String {
    let path = format!(
        "/v1/applications?organization={}",
        server.planted.organization
    );
    let body = json!({
        "name": "Example CRM", "environment": "sandbox", "scopes": ["read"], "redirect_uris": [redirect_uri],
    });
    let request = server
        .post(&path)
        .bearer_auth(&server.secrets.operator_token)
        .json(&body);
    let (status, made) = crate::server::json(request.send().await.expect("an answer")).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    made["id"].as_str().expect("an id").to_owned()
}

/// What Chromium holds against a form, its policy counts also behind the redirects of others.
async fn allow_and_deny_lead_on_wherever_the_callback_goes(db: TestDatabase) {
    let Some(chromium) = Chromium::start().await else {
        return;
    };
    let server = Server::start(db).await;
    let mut signed_in = false;
    for (onward, lands) in [
        ("claude://mcp/connected", false),
        ("https://next.example:PORT/landed", true),
    ] {
        let Some(callback) = Onward::listen(onward) else {
            return;
        };
        let loopback =
            Landing::that_goes_on_to(Some(onward.replace("PORT", &callback.port.to_string())));
        let client = application(&server, &callback.callback()).await;
        let hosted = authorize_path(&client, &callback.callback(), "read");
        let own = authorize_path(
            server.planted.application.as_str(),
            &loopback.redirect_uri,
            "read write",
        );
        for (path, decision, answer) in [
            (&hosted, "deny", "error"),
            (&hosted, "allow", "code"),
            (&own, "deny", "error"),
            (&own, "allow", "code"),
        ] {
            // where another program would open, its question may block the tab
            chromium.open_tab().await;
            chromium.open(&server.url(path)).await;
            if !signed_in {
                chromium.shows("main", "to continue to Example CRM").await;
                sign_in(&chromium, &server).await;
                signed_in = true;
            }
            chromium.shows("h1", "Allow Example CRM").await;
            chromium.click(&format!("button[value={decision}]")).await;
            let target = if path == &hosted {
                format!("https://crm.example{}", callback.asked())
            } else {
                loopback.arrived()
            };
            assert!(parameter(&target, answer).is_some(), "{target}");
            arrives_behind(&chromium, &callback, lands).await;
        }
        // a sign-in that leads to what was allowed before: straight on, without a page
        chromium.open_tab().await;
        chromium.open(&server.url("/account/applications")).await;
        chromium.click("details.menu.last > summary").await;
        chromium.click("details.menu.last button").await;
        chromium.shows("h1", "Sign in").await;
        chromium.open(&server.url(&hosted)).await;
        chromium.shows("main", "to continue to Example CRM").await;
        sign_in(&chromium, &server).await;
        let target = format!("https://crm.example{}", callback.asked());
        assert!(parameter(&target, "code").is_some(), "{target}");
        arrives_behind(&chromium, &callback, lands).await;
    }
}

/// The browser goes on from the callback: to the page there, or out of the browser, and no policy of ours stops it.
async fn arrives_behind(chromium: &Chromium, callback: &Onward, lands: bool) {
    if lands {
        assert_eq!(callback.asked(), "/landed");
        chromium.shows("body", "Welcome back.").await;
        assert_eq!(
            chromium.url().await,
            format!("https://next.example:{}/landed", callback.port)
        );
    } else {
        // another program would open: there is none here, and the page stays
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let complaints = chromium.complaints().await;
    let stopped = complaints
        .iter()
        .find(|line| line.contains("Content Security Policy"));
    assert_eq!(stopped, None);
}

async fn a_double_click_on_allow_lands(db: TestDatabase) {
    let Some(chromium) = Chromium::start().await else {
        return;
    };
    let (server, landing) = (Server::start(db).await, Landing::listen());
    sign_in_to_consent(&chromium, &server, &landing).await;
    chromium.double_click("button[value=allow]").await;
    chromium.shows("body", "Welcome back.").await;
    let code = parameter(&chromium.url().await, "code").expect("a code");
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", &landing.redirect_uri),
        ("code_verifier", VERIFIER),
    ];
    let (status, tokens) = server.token(&form).await;
    assert_eq!(status, StatusCode::OK, "{tokens}");
    assert_no_violation(&chromium).await;
}

/// Five tabs of a browser that was started again, each on its way to an application: one signs in, and every one arrives.
async fn tabs_end_where_they_were_going(db: TestDatabase) {
    let Some(chromium) = Chromium::start().await else {
        return;
    };
    let (server, landing) = (Server::start(db).await, Landing::listen());
    let path = authorize_path(
        server.planted.application.as_str(),
        &landing.redirect_uri,
        "read write",
    );
    let mut tabs = Vec::new();
    for number in 0..5 {
        tabs.push(chromium.open_tab().await);
        let path = path.replace("state=xyz", &format!("state=tab{number}"));
        chromium.open(&server.url(&path)).await;
        chromium.shows("main", "to continue to Example CRM").await;
    }
    for tab in &tabs {
        chromium.switch_to(tab).await;
        sign_in(&chromium, &server).await;
        chromium.shows("h1", "Allow Example CRM").await;
    }
    for (number, tab) in tabs.iter().enumerate() {
        chromium.switch_to(tab).await;
        chromium.click("button[value=allow]").await;
        chromium.shows("body", "Welcome back.").await;
        let target = landing.arrived();
        assert_eq!(
            parameter(&target, "state"),
            Some(format!("tab{number}")),
            "{target}"
        );
        assert!(parameter(&target, "code").is_some(), "{target}");
    }
    assert_no_violation(&chromium).await;
}

async fn the_back_button_leads_to_the_application_again(db: TestDatabase) {
    let Some(chromium) = Chromium::start().await else {
        return;
    };
    let (server, landing) = (Server::start(db).await, Landing::listen());
    sign_in_to_consent(&chromium, &server, &landing).await;
    for decision in ["allow", "deny", "allow"] {
        chromium.click(&format!("button[value={decision}]")).await;
        chromium.shows("body", "Welcome back.").await;
        chromium.back().await;
        chromium.shows("h1", "Allow Example CRM").await;
    }
    // behind the page there is the sign-in, which is done
    chromium.back().await;
    chromium.shows("h1", "Allow Example CRM").await;
    chromium.click("button[value=allow]").await;
    chromium.shows("body", "Welcome back.").await;
    assert!(parameter(&chromium.url().await, "code").is_some());
    assert_no_violation(&chromium).await;
}

async fn a_person_takes_back_what_was_allowed_and_is_asked_again(db: TestDatabase) {
    let Some(chromium) = Chromium::start().await else {
        return;
    };
    let (server, landing) = (Server::start(db).await, Landing::listen());
    sign_in_to_consent(&chromium, &server, &landing).await;
    chromium.click("button[value=allow]").await;
    let code = parameter(&landing.arrived(), "code").expect("a code");
    let redirect_uri = landing.redirect_uri.as_str();
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", redirect_uri),
        ("code_verifier", VERIFIER),
    ];
    let (_, tokens) = server.token(&form).await;
    let access_token = tokens["access_token"].as_str().expect("a token");
    assert_eq!(server.introspect(access_token).await["active"], true);
    chromium.open(&server.url("/")).await;
    chromium.click("details.menu.last > summary").await;
    chromium.click_link("Connected applications").await;
    let page = chromium.shows("main", "Example CRM").await;
    assert!(
        page.contains("just now") && page.contains("Sales"),
        "{page}"
    );
    chromium.click("#main a.danger").await;
    chromium
        .shows("h1", "Take access back from Example CRM?")
        .await;
    chromium.click_link("Keep it connected").await;
    chromium.shows("h1", "Connected applications").await;
    assert_eq!(server.introspect(access_token).await["active"], true);
    chromium.click("#main a.danger").await;
    chromium.shows("h1", "Take access back").await;
    chromium.click("button.danger").await;
    chromium.shows("main", "Access taken back.").await;
    assert_eq!(
        server.introspect(access_token).await,
        json!({"active": false})
    );
    chromium
        .open(&server.url(&authorize_path(
            server.planted.application.as_str(),
            redirect_uri,
            "read write",
        )))
        .await;
    chromium
        .shows("h1", "Allow Example CRM to use your account?")
        .await;
    assert_no_violation(&chromium).await;
}

async fn a_person_denies_and_lands_with_the_refusal(db: TestDatabase) {
    let Some(chromium) = Chromium::start().await else {
        return;
    };
    let (server, landing) = (Server::start(db).await, Landing::listen());
    sign_in_to_consent(&chromium, &server, &landing).await;
    chromium.click("button[value=deny]").await;
    let target = landing.arrived();
    assert_eq!(
        parameter(&target, "error").as_deref(),
        Some("access_denied")
    );
    assert_eq!(parameter(&target, "state").as_deref(), Some("xyz"));
    assert_eq!(
        parameter(&target, "iss").as_deref(),
        Some(server.base.as_str())
    );
    assert_eq!(parameter(&target, "code"), None);
    assert_no_violation(&chromium).await;
}

async fn a_person_creates_copies_and_revokes_a_key(db: TestDatabase) {
    let Some(chromium) = Chromium::start().await else {
        return;
    };
    let server = Server::start(db).await;
    server.clock.step_seconds(60); // newer than what was planted
    chromium.open(&server.url("/")).await;
    sign_in(&chromium, &server).await;
    chromium.click_link("New API key").await;
    chromium.type_into("#name", "Shop").await;
    chromium.click("label[for=scope-workspaces]").await;
    chromium.click("label[for=permission_level-full]").await;
    chromium.click("label[for=expiry-30]").await;
    chromium.click("main button.primary").await;
    chromium.shows("h1", "Your key Shop is ready").await;
    let key = chromium.value("#secret").await;
    assert_eq!(code(&server, &key).await, "valid");
    chromium.type_into("#secret", SELECT_AND_COPY).await;
    chromium.click_link("I have copied the key").await;
    assert!(
        !chromium
            .shows("main", "Which one do I need?")
            .await
            .contains(&key)
    );
    chromium.click_link("New API key").await;
    chromium.type_into("#description", PASTE).await;
    assert_eq!(
        chromium.value("#description").await,
        key,
        "what was copied is the key"
    );
    chromium.click_link("Cancel").await;
    // the newest stands first
    chromium.click("#main tbody tr a.danger").await;
    chromium.shows("h1", "Revoke Shop?").await;
    chromium.click_link("Keep it").await;
    chromium.shows("h1", "API keys").await;
    assert_eq!(code(&server, &key).await, "valid");
    chromium.click("#main tbody tr a.danger").await;
    chromium.click("button.danger").await;
    // the list leaves it out, and shows it when revoked keys are asked for
    assert!(
        !chromium
            .shows("main", "Which one do I need?")
            .await
            .contains("Shop")
    );
    chromium.click("#status option[value=revoked]").await;
    chromium.click("form.filter button").await;
    chromium.shows("tbody", "Shop").await;
    chromium.shows("tbody", "Revoked").await;
    assert_eq!(code(&server, &key).await, "not_found");
    chromium.click("details.menu.last > summary").await;
    chromium.click("details.menu.last button").await;
    chromium.shows("h1", "Sign in").await;
    assert_no_violation(&chromium).await;
}

async fn a_person_creates_changes_and_deletes_an_application(db: TestDatabase) {
    let Some(chromium) = Chromium::start().await else {
        return;
    };
    let server = Server::start(db).await;
    chromium.open(&server.url("/")).await;
    sign_in(&chromium, &server).await;
    chromium.click_link("Applications").await;
    chromium.click_link("New application").await;
    chromium.type_into("#name", "Shop").await;
    chromium
        .type_into("#redirect_uris", "http://shop.example/cb")
        .await;
    chromium.click("main button.primary").await;
    let page = chromium.shows("main", "Please check the form").await;
    assert!(page.contains("must use https"), "{page}");
    chromium
        .type_into("#redirect_uris", "\u{e009}a\u{e000}https://shop.example/cb")
        .await;
    chromium.click("main button.primary").await;
    chromium.shows("main", "Keep the secret safe").await;
    let (id, secret) = (
        chromium.value("#client_id").await,
        chromium.value("#client_secret").await,
    );
    assert_eq!(own_token(&server, &id, &secret).await, StatusCode::OK);
    chromium.click_link("I have copied the secret").await;
    // a second secret beside the first, which is older
    server.clock.step_seconds(60);
    chromium.click("#secrets ~ form button").await;
    chromium.shows("h1", "A new secret for Shop").await;
    let second = chromium.value("#client_secret").await;
    chromium.click_link("I have copied the secret").await;
    chromium.click("a[href*='/secrets/']").await;
    chromium.click("button.danger").await;
    chromium.shows("main", "New secret").await;
    assert_eq!(
        own_token(&server, &id, &secret).await,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(own_token(&server, &id, &second).await, StatusCode::OK);
    chromium.click_link("Edit").await;
    chromium.type_into("#name", " 2").await;
    chromium.click("label[for=grant-client_credentials]").await;
    chromium.click("main button.primary").await;
    chromium.shows("h1", "Shop 2").await;
    assert_eq!(
        own_token(&server, &id, &second).await,
        StatusCode::BAD_REQUEST
    );
    chromium.click_link("Delete").await;
    chromium.shows("h1", "Delete Shop 2?").await;
    chromium.click("button.danger").await;
    assert!(!chromium.shows("main", "Example CRM").await.contains("Shop"));
    assert_no_violation(&chromium).await;
}

/// Opens the authorization request signed out, and signs in: the consent page.
async fn sign_in_to_consent(chromium: &Chromium, server: &Server, landing: &Landing) {
    let path = authorize_path(
        server.planted.application.as_str(),
        &landing.redirect_uri,
        "read write",
    );
    chromium.open(&server.url(&path)).await;
    chromium.shows("main", "to continue to Example CRM").await;
    sign_in(chromium, server).await;
    chromium
        .shows("h1", "Allow Example CRM to use your account?")
        .await;
}

async fn sign_in(chromium: &Chromium, server: &Server) {
    chromium.type_into("#email", ADMIN).await;
    chromium
        .type_into("#password", &server.secrets.password)
        .await;
    chromium.click("button[type=submit]").await;
}

/// What the token endpoint answers the application for itself.
async fn own_token(server: &Server, id: &str, secret: &str) -> StatusCode {
    let request = server
        .post("/oauth2/token")
        .basic_auth(id, Some(secret))
        .form(&[("grant_type", "client_credentials")]);
    request.send().await.expect("an answer").status()
}

async fn code(server: &Server, key: &str) -> serde_json::Value {
    server.verify(json!({"credential": key})).await["code"].clone()
}

/// The browser met nothing on our pages that their policy forbids.
async fn assert_no_violation(chromium: &Chromium) {
    let complaints = chromium.complaints().await;
    // of the application behind the redirect URI, and of forms that were to be refused
    let is_expected =
        |line: &&String| line.contains("favicon.ico") || line.contains("status of 422");
    let ours: Vec<_> = complaints
        .iter()
        .filter(|line| !is_expected(line))
        .collect();
    assert!(ours.is_empty(), "{ours:?}");
}
