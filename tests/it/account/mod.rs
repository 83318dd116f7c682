//! A person's own account: what a browser sends and gets, cookie by cookie.

mod connected_apps;
mod hand_over;
mod organizations;
mod password;
mod sign_in;
mod sign_out;

use reqwest::Response;
use reqwest::header::{COOKIE, SET_COOKIE};

use crate::server::{Server, hidden};

const SESSION: &str = "countersign_session";
const STRANGER: &str = "countersign_visitor";
const DEVICES: &str = "countersign_devices";

/// A sign-in page as one browser has it: the cookie it brought and the token in its form.
struct Form {
    cookie: String,
    csrf: String,
}

impl Form {
    async fn load(server: &Server) -> Self {
        let response = server.get("/login").send().await.expect("an answer");
        let cookie = format!(
            "{STRANGER}={}",
            cookie(&response, STRANGER).expect("a stranger's cookie")
        );
        let html = response.text().await.expect("text");
        Self {
            cookie,
            csrf: hidden(&html, "csrf").expect("a token"),
        }
    }

    /// Sends it from `address`, as a trusted proxy would say.
    async fn send(&self, server: &Server, address: &str, email: &str, password: &str) -> Response {
        let fields = [
            ("csrf", self.csrf.as_str()),
            ("email", email),
            ("password", password),
            ("return_to", "/"),
        ];
        let request = server
            .post("/login")
            .header(COOKIE, &self.cookie)
            .header("x-forwarded-for", address);
        request.form(&fields).send().await.expect("an answer")
    }
}

/// The value that the answer sets the cookie to.
fn cookie(response: &Response, name: &str) -> Option<String> {
    let line = set_cookie(response, name)?;
    let (pair, _) = line.split_once(';')?;
    Some(pair.split_once('=')?.1.to_owned())
}

/// The whole `Set-Cookie` line of the cookie.
fn set_cookie(response: &Response, name: &str) -> Option<String> {
    let lines = response
        .headers()
        .get_all(SET_COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok());
    lines
        .filter(|line| line.starts_with(&format!("{name}=")))
        .map(str::to_owned)
        .next()
}

/// The session's token after a sign-in of the admin.
async fn session(server: &Server) -> String {
    let form = Form::load(server).await;
    let response = form
        .send(
            server,
            "192.0.2.1",
            countersign::domain::lifecycle::quickstart::ADMIN,
            &server.secrets.password,
        )
        .await;
    cookie(&response, SESSION).expect("a session")
}

/// Whether the session opens the console.
async fn opens(server: &Server, session: &str) -> bool {
    let response = server
        .get("/dev-centre")
        .header(COOKIE, format!("{SESSION}={session}"))
        .send()
        .await
        .expect("an answer");
    let target = crate::server::location(response.headers());
    target.starts_with("/dev-centre/org_")
}
