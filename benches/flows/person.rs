//! A person with a browser, and the application they use: one flow after the other.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::client::{Answer, Client};

/// RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
pub const REDIRECT_URI: &str = "http://127.0.0.1:8976/callback";

/// What `seed` planted for one person.
pub struct Credentials {
    pub session: String,
    pub organization: String,
    pub workspace: String,
    pub client_id: String,
    pub client_secret: String,
}

pub struct Person {
    client: Client,
    credentials: Credentials,
    authorize: String,
    cookie: String,
    basic: String,
    refresh_token: String,
}

/// How long each request took, and how many of them had to be committed.
pub struct Flow {
    pub steps: Vec<Duration>,
    pub commits: usize,
}

impl Person {
    pub fn new(server: SocketAddr, credentials: Credentials) -> Self {
        use base64::Engine;
        let parameters = [
            ("response_type", "code"),
            ("client_id", credentials.client_id.as_str()),
            ("redirect_uri", REDIRECT_URI),
            ("scope", "read write"),
            ("state", "xyz"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(parameters)
            .finish();
        let basic = format!("{}:{}", credentials.client_id, credentials.client_secret);
        Self {
            client: Client::connect(server),
            authorize: format!("/oauth2/authorize?{query}"),
            cookie: format!("Cookie: countersign_session={}", credentials.session),
            basic: format!(
                "Authorization: Basic {}",
                base64::engine::general_purpose::STANDARD.encode(basic)
            ),
            refresh_token: String::new(),
            credentials,
        }
    }

    pub fn code_flow(&mut self) -> Flow {
        let mut steps = Vec::new();
        let mut answer = timed(&mut steps, || {
            self.client.get(&self.authorize, &self.cookie)
        });
        // a remembered consent sends straight back with a code
        if answer.status == 200 {
            let (csrf, request) = (
                hidden(&answer.body, "csrf"),
                hidden(&answer.body, "request"),
            );
            let Credentials {
                organization,
                workspace,
                ..
            } = &self.credentials;
            let form = [
                ("csrf", csrf),
                ("request", request),
                ("organization", organization),
                ("workspace", workspace),
                ("decision", "allow"),
            ];
            answer = timed(&mut steps, || {
                self.client.post("/oauth2/authorize", &self.cookie, &form)
            });
        }
        let location = answer
            .location
            .as_deref()
            .unwrap_or_else(|| panic!("no code: {} {}", answer.status, answer.body));
        let target = url::Url::parse(location).expect("a URL");
        let code = target
            .query_pairs()
            .find(|(name, _)| name == "code")
            .map(|(_, code)| code.into_owned());
        let code = code.unwrap_or_else(|| panic!("no code: {location}"));
        let form = [
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", REDIRECT_URI),
            ("code_verifier", VERIFIER),
        ];
        let answer = timed(&mut steps, || {
            self.client.post("/oauth2/token", &self.basic, &form)
        });
        self.keep_refresh_token(&answer);
        Flow {
            commits: steps.len(),
            steps,
        }
    }

    pub fn refresh(&mut self) -> Flow {
        let mut steps = Vec::new();
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", &self.refresh_token),
        ];
        let answer = timed(&mut steps, || {
            self.client.post("/oauth2/token", &self.basic, &form)
        });
        self.keep_refresh_token(&answer);
        Flow {
            commits: steps.len(),
            steps,
        }
    }

    fn keep_refresh_token(&mut self, answer: &Answer) {
        assert_eq!(answer.status, 200, "{}", answer.body);
        let body: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
        self.refresh_token = body["refresh_token"]
            .as_str()
            .expect("a refresh token")
            .to_owned();
    }
}

fn timed<T>(steps: &mut Vec<Duration>, request: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let answer = request();
    steps.push(start.elapsed());
    answer
}

/// The value of a hidden field.
fn hidden<'h>(html: &'h str, name: &str) -> &'h str {
    let (_, tag) = html
        .split_once(&format!("name=\"{name}\" value=\""))
        .unwrap_or_else(|| panic!("no {name} in {html}"));
    tag.split('"').next().unwrap_or_default()
}
