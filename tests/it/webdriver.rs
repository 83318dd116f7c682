//! A real Chromium without JavaScript, driven through chromedriver (W3C WebDriver): the dozen commands that the tests use.
//! No crate: reqwest is here already. Both processes end with the value, also when the test panics.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::Method;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::databases::offered;

/// W3C WebDriver §11: the name under which an element's id is sent.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// For a page that is being left: ten seconds in all.
const MOST_TRIES: usize = 100;
const BETWEEN_TRIES: Duration = Duration::from_millis(100);

pub struct Chromium {
    driver: Child,
    port: u16,
    session: String,
    client: reqwest::Client,
    _home: TempDir,
}

impl Chromium {
    /// `None`: this test skips.
    pub async fn start() -> Option<Self> {
        let driver = offered("CHROMEDRIVER", "CHROMEDRIVER")?;
        let home = TempDir::with_prefix("chromium-").expect("a temporary folder");
        let mut driver = Command::new(driver)
            .arg("--port=0")
            .env("HOME", home.path())
            .env("XDG_CONFIG_HOME", home.path())
            .env("XDG_CACHE_HOME", home.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("chromedriver starts");
        let port = port(&mut driver);
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(120))
            .build()
            .expect("a client");
        let mut chromium = Self {
            driver,
            port,
            session: String::new(),
            client,
            _home: home,
        };
        let profile = chromium._home.path().join("profile");
        let session = chromium
            .call(
                Method::POST,
                "/session",
                Some(capabilities(&profile.display().to_string())),
            )
            .await;
        chromium.session = session["sessionId"].as_str().expect("a session").to_owned();
        Some(chromium)
    }

    pub async fn open(&self, url: &str) {
        self.command("/url", json!({ "url": url })).await;
    }

    /// The back button.
    pub async fn back(&self) {
        self.command("/back", json!({})).await;
    }

    /// Where the browser is, as its address bar says.
    pub async fn url(&self) -> String {
        self.ask("/url").await
    }

    /// Opens one more tab, and goes there.
    pub async fn open_tab(&self) -> String {
        let tab = self.command("/window/new", json!({ "type": "tab" })).await;
        let handle = tab["handle"].as_str().expect("a handle").to_owned();
        self.switch_to(&handle).await;
        handle
    }

    pub async fn switch_to(&self, tab: &str) {
        self.command("/window", json!({ "handle": tab })).await;
    }

    /// Two clicks with nothing between them (W3C WebDriver §15.7).
    pub async fn double_click(&self, css: &str) {
        let found = self
            .command("/element", json!({ "using": "css selector", "value": css }))
            .await;
        let press = [
            json!({ "type": "pointerDown", "button": 0 }),
            json!({ "type": "pointerUp", "button": 0 }),
        ];
        let there =
            json!({ "type": "pointerMove", "duration": 0, "origin": found, "x": 0, "y": 0 });
        let actions: Vec<Value> = std::iter::once(there)
            .chain(press.clone())
            .chain(press)
            .collect();
        let mouse = json!({ "type": "pointer", "id": "mouse", "parameters": { "pointerType": "mouse" }, "actions": actions });
        self.command("/actions", json!({ "actions": [mouse] }))
            .await;
    }

    pub async fn title(&self) -> String {
        self.ask("/title").await
    }

    /// Waits until a person reads `part` there: a click only starts what it leads to.
    pub async fn shows(&self, css: &str, part: &str) -> String {
        let mut text = String::new();
        for _ in 0..MOST_TRIES {
            text = self.text(css).await;
            if text.contains(part) {
                return text;
            }
            tokio::time::sleep(BETWEEN_TRIES).await;
        }
        unreachable!("{part} is not in {css}: {text}")
    }

    pub async fn click(&self, css: &str) {
        self.at(
            ("css selector", css),
            Method::POST,
            "/click",
            Some(json!({})),
        )
        .await;
    }

    pub async fn click_link(&self, text: &str) {
        self.at(
            ("partial link text", text),
            Method::POST,
            "/click",
            Some(json!({})),
        )
        .await;
    }

    /// Types into the field; `\u{e009}` is the Control key for the rest of the text, `\u{e000}` releases it.
    pub async fn type_into(&self, css: &str, text: &str) {
        self.at(
            ("css selector", css),
            Method::POST,
            "/value",
            Some(json!({ "text": text })),
        )
        .await;
    }

    /// What a person reads.
    pub async fn text(&self, css: &str) -> String {
        self.at(("css selector", css), Method::GET, "/text", None)
            .await
            .as_str()
            .expect("text")
            .to_owned()
    }

    /// What stands in a field now.
    pub async fn value(&self, css: &str) -> String {
        self.at(("css selector", css), Method::GET, "/property/value", None)
            .await
            .as_str()
            .expect("text")
            .to_owned()
    }

    /// What the browser itself complained about since the last call.
    pub async fn complaints(&self) -> Vec<String> {
        let log = self.command("/se/log", json!({ "type": "browser" })).await;
        let entries = log.as_array().expect("a log").iter();
        entries
            .map(|entry| entry["message"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    /// A command at an element; again, if the page under it was just being left.
    async fn at(
        &self,
        (using, value): (&str, &str),
        method: Method,
        command: &str,
        body: Option<Value>,
    ) -> Value {
        let mut refusal = String::new();
        for _ in 0..MOST_TRIES {
            match self.try_at(using, value, &method, command, &body).await {
                Ok(answer) => return answer,
                Err(refused) => refusal = refused,
            }
            tokio::time::sleep(BETWEEN_TRIES).await;
        }
        unreachable!("{value}{command}: {refusal}")
    }

    async fn try_at(
        &self,
        using: &str,
        value: &str,
        method: &Method,
        command: &str,
        body: &Option<Value>,
    ) -> Result<Value, String> {
        let session = format!("/session/{}", self.session);
        let found = self
            .try_call(
                Method::POST,
                &format!("{session}/element"),
                Some(json!({ "using": using, "value": value })),
            )
            .await?;
        let element = found[ELEMENT].as_str().ok_or_else(|| found.to_string())?;
        self.try_call(
            method.clone(),
            &format!("{session}/element/{element}{command}"),
            body.clone(),
        )
        .await
    }

    async fn ask(&self, path: &str) -> String {
        let answer = self
            .call(
                Method::GET,
                &format!("/session/{}{path}", self.session),
                None,
            )
            .await;
        answer.as_str().expect("text").to_owned()
    }

    async fn command(&self, path: &str, body: Value) -> Value {
        self.call(
            Method::POST,
            &format!("/session/{}{path}", self.session),
            Some(body),
        )
        .await
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        self.try_call(method, path, body)
            .await
            .unwrap_or_else(|refusal| unreachable!("{path}: {refusal}"))
    }

    async fn try_call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, String> {
        let mut request = self
            .client
            .request(method, format!("http://127.0.0.1:{}{path}", self.port));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.expect("chromedriver answers");
        let status = response.status();
        let answer: Value = response.json().await.expect("JSON");
        if status.is_success() {
            Ok(answer["value"].clone())
        } else {
            Err(answer["value"]["message"].to_string())
        }
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // ends the browser; a browser that hangs goes with the group
        drop(end_session(self.port, &self.session));
        kill_process_group(Pid::from_child(&self.driver), Signal::KILL).unwrap_or_default();
        drop(self.driver.wait());
    }
}

fn end_session(port: u16, session: &str) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(
        stream,
        "DELETE /session/{session} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
    )?;
    stream.read_to_end(&mut Vec::new())?;
    Ok(())
}

/// "ChromeDriver was started successfully on port 40123."
fn port(driver: &mut Child) -> u16 {
    let mut lines = BufReader::new(driver.stdout.take().expect("piped"))
        .lines()
        .map(|line| line.expect("text"));
    let line = lines
        .find(|line| line.contains("started successfully on port"))
        .expect("chromedriver says its port");
    // it goes on writing: somebody has to read
    std::thread::spawn(move || lines.for_each(drop));
    line.trim_end_matches('.')
        .rsplit(' ')
        .next()
        .and_then(|port| port.parse().ok())
        .expect("a port")
}

fn capabilities(profile: &str) -> Value {
    let arguments = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        // applications under names of their own
        "--host-resolver-rules=MAP *.example 127.0.0.1",
    ];
    let arguments: Vec<String> = arguments
        .iter()
        .map(|own| (*own).to_owned())
        .chain([format!("--user-data-dir={profile}")])
        .collect();
    let without_javascript = json!({ "profile.managed_default_content_settings.javascript": 2 });
    json!({ "capabilities": { "alwaysMatch": {
        "acceptInsecureCerts": true,
        "goog:chromeOptions": { "args": arguments, "prefs": without_javascript },
        "goog:loggingPrefs": { "browser": "ALL" },
    } } })
}
