//! The Dev Centre, as its people and as those who have no business there.

mod api_keys;
mod application_approval;
mod application_edit;
mod application_secrets;
mod applications;
mod management_tokens;
mod organizations;
mod registration;

use countersign::domain::lifecycle::quickstart::ADMIN;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Response, StatusCode};

use crate::people;
use crate::server::{Browser, Server, hidden};

const MEMBER: &str = "member@acme.example";
const WORKSPACE_ADMIN: &str = "wanda@acme.example";

async fn admin(server: &Server) -> Browser<'_> {
    people::browser(server, ADMIN).await
}

/// The page's text, which must be there.
async fn read(browser: &Browser<'_>, path: &str) -> String {
    let response = browser.get(path).await;
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    response.text().await.expect("text")
}

/// The token of the page's forms.
async fn csrf(browser: &Browser<'_>, page: &str) -> String {
    hidden(&read(browser, page).await, "csrf").expect("a token")
}

/// Sends a form's body as it is.
async fn post(browser: &Browser<'_>, path: &str, body: String) -> Response {
    let request = browser
        .client
        .post(browser.server.url(path))
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    request.body(body).send().await.expect("an answer")
}

/// Status and text.
async fn answer(response: Response) -> (StatusCode, String) {
    let status = response.status();
    (status, response.text().await.expect("text"))
}

/// Sends the same form `count` times at once, and counts the answers by status.
async fn at_once(
    browser: &Browser<'_>,
    path: &str,
    fields: &[(&str, &str)],
    count: usize,
) -> Vec<StatusCode> {
    let mut sent = tokio::task::JoinSet::new();
    for _ in 0..count {
        sent.spawn(
            browser
                .client
                .post(browser.server.url(path))
                .form(fields)
                .send(),
        );
    }
    let answers = sent.join_all().await.into_iter();
    answers
        .map(|answer| answer.expect("an answer").status())
        .collect()
}

/// The id of the first row's link that ends with `action`.
fn linked<'h>(html: &'h str, noun: &str, action: &str) -> &'h str {
    let before = html.split(&format!("/{action}\"")).next().expect("a link");
    before.rsplit(&format!("/{noun}/")).next().expect("an id")
}
