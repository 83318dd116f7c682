//! The OAuth endpoints through HTTP: one file per route and per grant. What several of them need stands here.

mod approved;
mod authorization_code;
mod authorize;
mod client_credentials;
mod client_library;
mod consent;
mod cors;
mod hostile;
mod introspect;
mod libraries;
mod lost_rights;
mod matrix;
mod metadata;
mod protected_resource;
mod races;
mod refresh_habits;
mod refresh_token;
mod registration;
mod registration_management;
mod remembered;
mod resource;
mod revoke;
mod signing_keys;
mod sweep;
mod token;
mod twins;

use countersign::config::ADMIN_ROLE;
use countersign::crypto::digest::Purpose;
use countersign::crypto::format::{TokenKind, mint_token};
use countersign::domain::Refusal;
use countersign::domain::clients::applications::{self, NewApplication};
use countersign::domain::clients::settings::RefreshPolicy;
use countersign::domain::desk::Desk;
use countersign::domain::lifecycle::quickstart::ADMIN;
use countersign::domain::people::accounts::{self, NewPerson};
use countersign::domain::rights::asker::Asker;
use countersign::store::Tx;
use countersign::types::email::Mailbox;
use countersign::types::environment::Environment;
use countersign::types::grant_types::GrantTypes;
use countersign::types::id::{ApplicationId, OrganizationId, UserId, WorkspaceId};
use countersign::types::state::{
    AccessTokenFormat, ClientType, OrganizationRole, ProductionAccess,
};
use reqwest::header::{HeaderMap, LOCATION};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::Value;

use crate::people::at_desk;
use crate::server::{
    Browser, CHALLENGE, REDIRECT_URI, Server, VERIFIER, hidden, json, location, parameter,
};

/// Another application of the planted organization, or of a second one.
struct Registered {
    id: ApplicationId,
    secret: String,
}

/// A confidential Sandbox application of the planted organization, `change`d.
async fn register(server: &Server, change: impl FnOnce(&mut NewApplication)) -> Registered {
    register_in(server, server.planted.organization, ADMIN, change).await
}

async fn register_in(
    server: &Server,
    organization: OrganizationId,
    creator: &'static str,
    change: impl FnOnce(&mut NewApplication),
) -> Registered {
    let secret = mint_token("cs", TokenKind::ClientSecret)
        .expose()
        .to_owned();
    let mut new = NewApplication {
        name: "Second application".to_owned(),
        environment: Environment::Sandbox,
        client_type: ClientType::Confidential,
        access_token_format: AccessTokenFormat::Jwt,
        redirect_uris: vec![REDIRECT_URI.parse().expect("a redirect URI")],
        scopes: "read write send webhooks".parse().expect("scopes"),
        role: ADMIN_ROLE.to_owned(),
        secret: server
            .app
            .digester
            .digest(Purpose::ClientSecret, &secret)
            .into(),
        grants: GrantTypes::ALL,
        refresh: RefreshPolicy::default(),
    };
    change(&mut new);
    let creator = Asker::person(server.write(move |tx| user(tx, creator)).await);
    let create = move |desk: &mut Desk| applications::create(desk, &new);
    let made = at_desk(server, organization, creator, create).await;
    Registered {
        id: made.expect("the application is created").id,
        secret,
    }
}

async fn register_public(server: &Server) -> Registered {
    register(server, |new| new.client_type = ClientType::Public).await
}

fn user(tx: &mut Tx, email: &str) -> Result<UserId, Refusal> {
    Ok(tx.find_user_by_email(email)?.ok_or(Refusal::NotFound)?.id)
}

/// A person with the admin's password.
async fn add_person(server: &Server, email: &'static str) -> UserId {
    let create = move |tx: &mut Tx| {
        let password_hash = tx
            .find_user_by_email(ADMIN)?
            .and_then(|admin| admin.password_hash)
            .ok_or(Refusal::NotFound)?;
        let email = Mailbox::parse(email).map_err(|error| Refusal::Blocked(error.to_string()))?;
        accounts::create_person(
            tx,
            &NewPerson {
                email,
                name: "Another Person".to_owned(),
                password_hash,
                operator: false,
            },
        )
    };
    server.write(create).await.id
}

/// A person who is a mere member of the planted organization, with this role in its workspace.
async fn add_workspace_member(server: &Server, email: &'static str, role: &'static str) -> UserId {
    let (person, organization, workspace) = (
        add_person(server, email).await,
        server.planted.organization,
        server.planted.workspace,
    );
    let join = move |tx: &mut Tx| {
        accounts::add_member(tx, organization, person, OrganizationRole::Member)?;
        Ok(accounts::add_workspace_member(
            tx,
            organization,
            workspace,
            person,
            role,
        )?)
    };
    server.write(join).await;
    person
}

/// Another organization with an owner and a workspace.
async fn add_organization(
    server: &Server,
    name: &'static str,
    owner: &'static str,
    access: ProductionAccess,
) -> (OrganizationId, WorkspaceId) {
    let person = add_person(server, owner).await;
    let create = move |tx: &mut Tx| {
        let organization = accounts::create_organization(tx, name, access)?;
        accounts::add_member(tx, organization.id, person, OrganizationRole::Owner)?;
        Ok((
            organization.id,
            accounts::create_workspace(tx, organization.id, "Beta workspace")?.id,
        ))
    };
    server.write(create).await
}

async fn browser_of<'s>(server: &'s Server, email: &str) -> Browser<'s> {
    let browser = server.browser();
    let response = browser.sign_in(email, &server.secrets.password).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    browser
}

/// A valid authorization request, with parameters changed, added or (None) taken away.
fn authorize_with(client_id: &str, changes: &[(&str, Option<&str>)]) -> String {
    let mut parameters = vec![
        ("response_type", Some("code")),
        ("client_id", Some(client_id)),
        ("redirect_uri", Some(REDIRECT_URI)),
        ("scope", Some("read")),
        ("state", Some("xyz")),
        ("code_challenge", Some(CHALLENGE)),
        ("code_challenge_method", Some("S256")),
    ];
    for (name, value) in changes {
        parameters.retain(|(own, _)| own != name);
        parameters.push((name, *value));
    }
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(
        parameters
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    format!("/oauth2/authorize?{}", query.finish())
}

/// A consent page in a browser.
struct Consent {
    html: String,
    csrf: String,
    request: String,
    headers: HeaderMap,
}

async fn consent(browser: &Browser<'_>, path: &str) -> Consent {
    let response = browser.get(path).await;
    let (status, headers) = (response.status(), response.headers().clone());
    let html = response.text().await.expect("text");
    assert_eq!(status, StatusCode::OK, "{headers:?} {html}");
    let (csrf, request) = (
        hidden(&html, "csrf").expect("a form token"),
        hidden(&html, "request").expect("a request"),
    );
    Consent {
        html,
        csrf,
        request,
        headers,
    }
}

/// Sends the consent form as it is filled in.
async fn answer(browser: &Browser<'_>, consent: &Consent, fields: &[(&str, &str)]) -> Response {
    let mut form = vec![
        ("csrf", consent.csrf.as_str()),
        ("request", &consent.request),
    ];
    form.extend(fields);
    browser
        .client
        .post(browser.server.url("/oauth2/authorize"))
        .form(&form)
        .send()
        .await
        .expect("an answer")
}

/// Allows the request for the planted workspace.
async fn allow(browser: &Browser<'_>, consent: &Consent) -> Response {
    let planted = &browser.server.planted;
    let fields = [
        ("organization", planted.organization.as_str()),
        ("workspace", planted.workspace.as_str()),
        ("decision", "allow"),
    ];
    answer(browser, consent, &fields).await
}

/// A code for this client, allowed by the admin.
async fn code_of(server: &Server, client: &Registered, scope: &str) -> String {
    let browser = server.signed_in_browser().await;
    let target = browser
        .allow(&authorize_with(
            client.id.as_str(),
            &[("scope", Some(scope))],
        ))
        .await;
    parameter(&target, "code").expect("a code")
}

/// What the client sends to redeem a code.
fn redemption(code: &str) -> [(&'static str, &str); 4] {
    [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", REDIRECT_URI),
        ("code_verifier", VERIFIER),
    ]
}

/// `POST /oauth2/token` by another confidential client.
async fn token_as(
    server: &Server,
    client: &Registered,
    form: &[(&str, &str)],
) -> (StatusCode, Value) {
    send(
        server
            .post("/oauth2/token")
            .basic_auth(client.id, Some(&client.secret))
            .form(form),
    )
    .await
}

/// `POST /oauth2/token` by a public client.
async fn token_as_public(
    server: &Server,
    client: &Registered,
    form: &[(&str, &str)],
) -> (StatusCode, Value) {
    let mut fields = form.to_vec();
    fields.push(("client_id", client.id.as_str()));
    send(server.post("/oauth2/token").form(&fields)).await
}

async fn refresh(server: &Server, refresh_token: &str) -> (StatusCode, Value) {
    server
        .token(&[
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token),
        ])
        .await
}

async fn revoke(server: &Server, token: &str) -> StatusCode {
    server
        .as_application("/oauth2/revoke")
        .form(&[("token", token)])
        .send()
        .await
        .expect("an answer")
        .status()
}

async fn is_active(server: &Server, token: &str) -> bool {
    let answer = server.introspect(token).await;
    let active = answer["active"] == true;
    // RFC 7662 §2.2: nothing else is told of an inactive token
    assert!(
        active || answer == serde_json::json!({"active": false}),
        "{answer}"
    );
    active
}

async fn send(request: RequestBuilder) -> (StatusCode, Value) {
    json(request.send().await.expect("an answer")).await
}

/// The member of a token response.
#[track_caller]
fn text<'v>(body: &'v Value, name: &str) -> &'v str {
    let value = body[name].as_str();
    assert!(value.is_some(), "no {name} in {body}");
    value.unwrap_or_default()
}

#[track_caller]
fn assert_oauth_error((status, body): &(StatusCode, Value), expected: StatusCode, error: &str) {
    assert_eq!(
        (*status, body["error"].as_str()),
        (expected, Some(error)),
        "{body}"
    );
    assert_describes(text(body, "error_description"));
}

/// RFC 6749 §5.2: printable ASCII without quotes and backslashes.
#[track_caller]
fn assert_describes(description: &str) {
    let fits = |byte: u8| matches!(byte, 0x20..=0x21 | 0x23..=0x5B | 0x5D..=0x7E);
    assert!(
        !description.is_empty() && description.bytes().all(fits),
        "{description}"
    );
}

#[track_caller]
fn assert_invalid_grant(answer: &(StatusCode, Value)) {
    assert_oauth_error(answer, StatusCode::BAD_REQUEST, "invalid_grant");
}

/// The error that a client is redirected with; every such redirect names the issuer (RFC 9207, 9700-10).
async fn redirected_error(browser: &Browser<'_>, path: &str) -> (String, Option<String>) {
    let response = browser.get(path).await;
    let (status, headers) = (response.status(), response.headers().clone());
    assert_eq!(
        status,
        StatusCode::SEE_OTHER,
        "{path}: {}",
        response.text().await.unwrap_or_default()
    );
    let target = location(&headers);
    assert!(target.starts_with(REDIRECT_URI), "{target}");
    assert_eq!(
        parameter(&target, "iss").as_deref(),
        Some(browser.server.base.as_str()),
        "{target}"
    );
    assert_eq!(parameter(&target, "code"), None);
    assert_describes(&parameter(&target, "error_description").expect("a description"));
    (
        parameter(&target, "error").expect("an error"),
        parameter(&target, "state"),
    )
}

/// A page that tells a person; the browser is sent nowhere (9700-5).
async fn assert_error_page(response: Response, expected: StatusCode) -> String {
    let (status, headers) = (response.status(), response.headers().clone());
    let html = response.text().await.expect("text");
    assert_eq!(status, expected, "{html}");
    assert!(headers.get(LOCATION).is_none(), "{headers:?}");
    assert!(html.starts_with("<!doctype html>"), "{html}");
    html
}

/// Ends an application as its organization's admin does.
async fn delete_application(server: &Server, id: ApplicationId) {
    let admin = Asker::person(server.write(|tx| user(tx, ADMIN)).await);
    let delete = move |desk: &mut Desk| applications::delete(desk, id);
    at_desk(server, server.planted.organization, admin, delete)
        .await
        .expect("the application is deleted");
}

/// Ways in which every member loses `applications:manage`: the membership ends, is suspended, or gets a read-only licence.
fn lost_management(server: &Server) -> [String; 4] {
    let now = server.clock.now().millis();
    [
        format!("UPDATE members SET ends_at = {now}"),
        "UPDATE members SET state = 'suspended'".to_owned(),
        "UPDATE members SET licence = 'read_only'".to_owned(),
        "UPDATE users SET state = 'suspended'".to_owned(),
    ]
}

const FULL_MEMBERSHIPS: &str = "UPDATE members SET ends_at = NULL, state = 'active', licence = 'full'; UPDATE users SET state = 'active'";
