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

/// Sends the form `count` times at once, each from a page of its own: the answers' statuses.
async fn at_once(
    browser: &Browser<'_>,
    path: &str,
    fields: &[(&str, &str)],
    count: usize,
) -> Vec<StatusCode> {
    let mut sent = tokio::task::JoinSet::new();
    for number in 0..count {
        let own = |(name, value): &(&str, &str)| match *name {
            "csrf" => ("csrf".to_owned(), of_page(value, number)),
            name => (name.to_owned(), (*value).to_owned()),
        };
        let fields: Vec<_> = fields.iter().map(own).collect();
        sent.spawn(
            browser
                .client
                .post(browser.server.url(path))
                .form(&fields)
                .send(),
        );
    }
    let answers = sent.join_all().await.into_iter();
    answers
        .map(|answer| answer.expect("an answer").status())
        .collect()
}

/// The token of a form as another page of the same browser has it: the number before the point is the page's.
fn of_page(csrf: &str, number: usize) -> String {
    let (page, own) = csrf.split_once('.').expect("a number and an HMAC");
    format!("{number:0width$}.{own}", width = page.len())
}

/// The id of the first row's link that ends with `action`.
fn linked<'h>(html: &'h str, noun: &str, action: &str) -> &'h str {
    let before = html.split(&format!("/{action}\"")).next().expect("a link");
    before.rsplit(&format!("/{noun}/")).next().expect("an id")
}
