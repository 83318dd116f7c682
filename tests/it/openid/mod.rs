//! Sign-in at providers of others: a real one from npm, and a fake one that says what a real one never would.

mod account;
mod addresses;
mod fake;
mod hostile;
mod organizations;
mod real;
mod sign_in;

use countersign::domain::desk::Desk;
use countersign::domain::people::identities::{self, ProviderSettings};
use countersign::domain::rights::asker::Asker;
use countersign::store::users::User;
use countersign::types::id::UserId;
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};

use crate::databases::TestDatabase;
use crate::people;
use crate::server::{Browser, Server, location, parameter};
use fake::{CLIENT_ID, CLIENT_SECRET, Fake};

/// In the planted organization's verified domain.
const ADA: &str = "ada@acme.example";

/// A server whose operator trusts the fake provider.
async fn start(db: TestDatabase) -> (Server, Fake) {
    start_with(db, |_| {}).await
}

async fn start_with(
    db: TestDatabase,
    change: impl FnOnce(&mut countersign::config::Config),
) -> (Server, Fake) {
    let fake = Fake::start();
    let issuer = fake.issuer.clone();
    let server = Server::start_with(db, move |config| {
        config.identity.issuer = issuer;
        config.identity.client_id = CLIENT_ID.to_owned();
        config.identity.client_secret = CLIENT_SECRET.to_owned();
        config.identity.name = "Vendor ID".to_owned();
        config.identity.allow_private_providers = true;
        change(config);
    })
    .await;
    (server, fake)
}

/// A browser on its way to a provider: what that was asked.
struct Asked {
    state: String,
    nonce: String,
    url: String,
}

async fn leave(browser: &Browser<'_>, path: &str) -> Asked {
    let response = browser.get(path).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER, "{path}");
    asked(location(response.headers()))
}

fn asked(url: String) -> Asked {
    Asked {
        state: parameter(&url, "state").expect("a state"),
        nonce: parameter(&url, "nonce").expect("a nonce"),
        url,
    }
}

/// The browser comes back from the provider.
async fn come_back(browser: &Browser<'_>, fake: &Fake, asked: &Asked) -> Response {
    browser.get(&callback(fake, asked)).await
}

/// The code is the nonce: the fake provider knows by it what to sign.
fn callback(fake: &Fake, asked: &Asked) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([
            ("code", asked.nonce.as_str()),
            ("state", &asked.state),
            ("iss", &fake.issuer),
        ])
        .finish();
    format!("/login/oidc/callback?{query}")
}

/// The whole way, with these claims beside those that every ID token has.
async fn sign_in_at(browser: &Browser<'_>, fake: &Fake, path: &str, claims: Value) -> Response {
    let asked = leave(browser, path).await;
    fake.vouch(&browser.server.clock, &asked.nonce, claims);
    come_back(browser, fake, &asked).await
}

/// At the operator's provider.
async fn sign_in(browser: &Browser<'_>, fake: &Fake, claims: Value) -> Response {
    sign_in_at(browser, fake, "/login/oidc", claims).await
}

fn verified(sub: &str, email: &str) -> Value {
    json!({"sub": sub, "email": email, "email_verified": true, "name": "Ada Lovelace"})
}

fn is_signed_in(response: &Response) -> bool {
    let sets = |value: &reqwest::header::HeaderValue| {
        value
            .to_str()
            .is_ok_and(|line| line.starts_with("countersign_session="))
    };
    response.headers().get_all("set-cookie").iter().any(sets)
}

/// Status and text of an answer that signed nobody in.
async fn refused(response: Response) -> (StatusCode, String) {
    assert!(!is_signed_in(&response));
    let status = response.status();
    assert!(
        status.is_client_error() || status.is_server_error(),
        "{status}"
    );
    (status, response.text().await.expect("text"))
}

async fn find(server: &Server, email: &str) -> Option<User> {
    let email = email.to_owned();
    let found: Result<_, countersign::store::Error> = server
        .app
        .store
        .read(move |snapshot| snapshot.find_user_by_email(&email))
        .await;
    found.expect("the store answers")
}

/// Gives the planted organization the fake provider, by its owner. The path at which its people sign in.
async fn give_provider(server: &Server, fake: &Fake, enforced: bool) -> String {
    configure(
        server,
        server.planted.organization,
        people::admin(server).await.id,
        fake,
        enforced,
    )
    .await
}

async fn configure(
    server: &Server,
    organization: countersign::types::id::OrganizationId,
    owner: UserId,
    fake: &Fake,
    enforced: bool,
) -> String {
    let settings = ProviderSettings {
        issuer: fake.issuer.clone(),
        client_id: CLIENT_ID.to_owned(),
        client_secret: Some(CLIENT_SECRET.to_owned()),
        name: "Acme ID".to_owned(),
        enforced,
    };
    let sealer = std::sync::Arc::clone(&server.app.sealer);
    let configure = move |desk: &mut Desk| identities::configure(desk, &sealer, &settings);
    let provider = people::at_desk(server, organization, Asker::person(owner), configure)
        .await
        .expect("configured");
    format!("/login/oidc/{}", provider.id)
}

/// How many people there are with an address.
async fn count_people(server: &Server) -> i64 {
    use diesel::RunQueryDsl;
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        count: i64,
    }
    let mut conn = countersign::store::Conn::open(&server.database.database).expect("a connection");
    let query = diesel::sql_query("SELECT count(*) AS count FROM users WHERE email IS NOT NULL");
    query.get_result::<Row>(&mut conn).expect("a count").count
}

/// A client that a browser's cookies can be taken from and put into.
fn bare() -> Client {
    Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client")
}
