//! Which version of an application people get: its own organization's people the current one, all others the one that the
//! operator approved; at the authorization endpoint, on the page, at the token endpoint, and in every answer about a token.

use countersign::domain::clients::settings::{self, ApplicationSettings};
use countersign::domain::desk::Desk;
use countersign::domain::lifecycle::quickstart::ADMIN;
use countersign::domain::rights::asker::Asker;
use countersign::types::environment::Environment;
use countersign::types::id::{OrganizationId, WorkspaceId};
use countersign::types::state::ProductionAccess;
use reqwest::StatusCode;
use serde_json::Value;

use super::{
    Consent, Registered, add_organization, answer, authorize_with, browser_of, consent, register,
    text, token_as, user,
};
use crate::databases::{TestDatabase, both_databases};
use crate::operator::operator;
use crate::people::at_desk;
use crate::server::{Browser, Server, VERIFIER, hidden, location, parameter};

both_databases!(
    others_get_the_approved_version_at_every_door,
    a_new_path_at_an_approved_host_waits_for_nobody,
    what_its_makers_take_away_is_gone_for_everybody,
    an_operator_approves_the_version_on_the_page,
);

const OLD: &str = "https://invoice-export.example/cb";
const NEW: &str = "https://acme-security.example/cb";
const BEA: &str = "bea@beta.example";

/// A Production application of the planted organization, approved as "Invoice export" at one host with the scope `read`, and
/// another organization whose owner may connect it.
struct Ground {
    client: Registered,
    beta: OrganizationId,
    workspace: WorkspaceId,
}

async fn ground(server: &Server) -> Ground {
    let client = register(server, |new| {
        new.name = "Invoice export".to_owned();
        new.environment = Environment::Production;
        new.redirect_uris = vec![OLD.parse().expect("a redirect URI")];
        new.scopes = "read write".parse().expect("scopes");
    })
    .await;
    let (beta, workspace) = add_organization(server, "Beta", BEA, ProductionAccess::Approved).await;
    let ground = Ground {
        client,
        beta,
        workspace,
    };
    // whatever its makers had before is no part of it
    change(server, &ground, |wanted| {
        wanted.scopes = "read".parse().expect("scopes");
    })
    .await;
    let page = page_of(server, &ground).await;
    approve(server, &ground, &page).await;
    ground
}

/// Its makers change it.
async fn change(server: &Server, ground: &Ground, change: impl FnOnce(&mut ApplicationSettings)) {
    let (id, organization) = (ground.client.id, server.planted.organization);
    let admin = Asker::person(server.write(|tx| user(tx, ADMIN)).await);
    let read = move |desk: &mut Desk| settings::current(&mut desk.view(), id);
    let mut wanted = at_desk(server, organization, admin.clone(), read)
        .await
        .expect("settings");
    change(&mut wanted);
    let write = move |desk: &mut Desk| settings::change(desk, id, &wanted).map(drop);
    at_desk(server, organization, admin, write)
        .await
        .expect("changed");
}

/// The page of the application in the operator's browser.
async fn page_of(server: &Server, ground: &Ground) -> String {
    let path = format!("/operator/applications/{}", ground.client.id);
    let response = operator(server).await.get(&path).await;
    assert_eq!(response.status(), StatusCode::OK);
    response.text().await.expect("text")
}

/// Sends the form of this page: the operator approves what they see.
async fn try_approve(server: &Server, ground: &Ground, page: &str) -> (StatusCode, String) {
    let form = page
        .split("<form")
        .find(|form| form.contains(r#"value="approve""#))
        .expect("a form");
    let version = hidden(form, "version").expect("the version on the page");
    let version = version.replace("&#34;", "\"");
    let fields = [("decision", "approve"), ("version", version.as_str())];
    let path = format!("/operator/applications/{}", ground.client.id);
    let response = operator(server).await.submit(&path, &path, &fields).await;
    (response.status(), response.text().await.expect("text"))
}

async fn approve(server: &Server, ground: &Ground, page: &str) {
    let (status, html) = try_approve(server, ground, page).await;
    assert_eq!(status, StatusCode::SEE_OTHER, "{html}");
}

fn path(ground: &Ground, uri: &str, scope: &str) -> String {
    let id = ground.client.id;
    let changes = [("redirect_uri", Some(uri)), ("scope", Some(scope))];
    authorize_with(id.as_str(), &changes)
}

/// Allows it in the other organization: where the browser is sent.
async fn allow(browser: &Browser<'_>, ground: &Ground, page: &Consent) -> String {
    let fields = [
        ("organization", ground.beta.as_str()),
        ("workspace", ground.workspace.as_str()),
        ("decision", "allow"),
    ];
    let response = answer(browser, page, &fields).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    location(response.headers())
}

async fn redeem(server: &Server, ground: &Ground, uri: &str, target: &str) -> Value {
    let code = parameter(target, "code").expect("a code");
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", uri),
        ("code_verifier", VERIFIER),
    ];
    let (status, tokens) = token_as(server, &ground.client, &form).await;
    assert_eq!(status, StatusCode::OK, "{tokens}");
    tokens
}

/// The error that the browser is sent on with, without a page.
async fn refused(browser: &Browser<'_>, path: &str) -> String {
    let response = browser.get(path).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER, "{path}");
    let target = location(response.headers());
    assert_eq!(parameter(&target, "code"), None, "{target}");
    parameter(&target, "error").unwrap_or_else(|| unreachable!("{target}"))
}

/// What verification and introspection say of a token: the application's name and the scopes.
async fn told(server: &Server, token: &str) -> (String, String) {
    let verified = server
        .verify(serde_json::json!({"credential": token}))
        .await;
    let described = server.introspect(token).await;
    (
        text(&verified["credential"], "name").to_owned(),
        text(&described, "scope").to_owned(),
    )
}

async fn others_get_the_approved_version_at_every_door(db: TestDatabase) {
    // docs/operator.md: what nobody has approved cannot be connected by others
    let server = Server::start(db).await;
    let ground = ground(&server).await;
    let (bea, ada) = (
        browser_of(&server, BEA).await,
        server.signed_in_browser().await,
    );
    let page = consent(&bea, &path(&ground, OLD, "read")).await;
    let target = allow(&bea, &ground, &page).await;
    let before = redeem(&server, &ground, OLD, &target).await;
    change(&server, &ground, |wanted| {
        wanted.name = "Acme SaaS Security Center".to_owned();
        wanted.redirect_uris = vec![OLD.parse().expect("a URI"), NEW.parse().expect("a URI")];
        wanted.scopes = "read write send".parse().expect("scopes");
    })
    .await;
    // authorize: not at a host that nobody has approved, and nothing but what was approved
    assert_eq!(
        refused(&bea, &path(&ground, NEW, "read")).await,
        "access_denied"
    );
    assert_eq!(
        refused(&bea, &path(&ground, OLD, "send")).await,
        "invalid_scope"
    );
    let page = consent(&bea, &path(&ground, OLD, "read write send")).await;
    assert!(page.html.contains("Invoice export"), "{}", page.html);
    for unapproved in ["Security Center", "Send documents", "It has changed"] {
        assert!(
            !page.html.contains(unapproved),
            "{unapproved}: {}",
            page.html
        );
    }
    let target = allow(&bea, &ground, &page).await;
    let after = redeem(&server, &ground, OLD, &target).await;
    assert_eq!(after["scope"], "read");
    let refresh = [
        ("grant_type", "refresh_token"),
        ("refresh_token", text(&before, "refresh_token")),
        ("scope", "read write send"),
    ];
    let (status, again) = token_as(&server, &ground.client, &refresh).await;
    assert_eq!((status, &again["scope"]), (StatusCode::OK, &"read".into()));
    for tokens in [&after, &again] {
        let told = told(&server, text(tokens, "access_token")).await;
        assert_eq!(told, ("Invoice export".to_owned(), "read".to_owned()));
    }
    let connected = bea.get("/account/applications").await;
    let connected = connected.text().await.expect("text");
    assert!(connected.contains("Invoice export") && !connected.contains("Security Center"));
    // its own organization's people get what its makers have now
    let page = consent(&ada, &path(&ground, NEW, "read write send")).await;
    assert!(page.html.contains("Security Center"), "{}", page.html);
    let target = location(super::allow(&ada, &page).await.headers());
    let own = redeem(&server, &ground, NEW, &target).await;
    let told_own = told(&server, text(&own, "access_token")).await;
    assert_eq!(
        told_own,
        (
            "Acme SaaS Security Center".to_owned(),
            "read send write".to_owned()
        )
    );
    // it waits by itself, with what is different
    let list = operator(&server).await.get("/operator/applications").await;
    let list = list.text().await.expect("text");
    assert!(list.contains("Waiting for approval") && list.contains("Changes wait"));
    let page = page_of(&server, &ground).await;
    assert!(
        page.contains(NEW) && page.contains("New scope: send."),
        "{page}"
    );
    approve(&server, &ground, &page).await;
    let list = operator(&server).await.get("/operator/applications").await;
    let list = list.text().await.expect("text");
    assert!(!list.contains("Waiting for approval") && !list.contains("Changes wait"));
    // and is asked about: the name that they allowed is not this one
    let page = consent(&bea, &path(&ground, NEW, "read send")).await;
    for shown in ["Acme SaaS Security Center", "Invoice export", OLD, NEW] {
        assert!(page.html.contains(shown), "{shown}: {}", page.html);
    }
    let target = allow(&bea, &ground, &page).await;
    assert_eq!(
        redeem(&server, &ground, NEW, &target).await["scope"],
        "read send"
    );
}

async fn a_new_path_at_an_approved_host_waits_for_nobody(db: TestDatabase) {
    let server = Server::start(db).await;
    let ground = ground(&server).await;
    let path_two = "https://invoice-export.example/two";
    change(&server, &ground, |wanted| {
        wanted.redirect_uris = vec![path_two.parse().expect("a URI")];
    })
    .await;
    let bea = browser_of(&server, BEA).await;
    let page = consent(&bea, &path(&ground, path_two, "read")).await;
    allow(&bea, &ground, &page).await;
    let page = page_of(&server, &ground).await;
    assert!(!page.contains("Changes wait"), "{page}");
}

async fn what_its_makers_take_away_is_gone_for_everybody(db: TestDatabase) {
    let server = Server::start(db).await;
    let ground = ground(&server).await;
    let bea = browser_of(&server, BEA).await;
    let page = consent(&bea, &path(&ground, OLD, "read")).await;
    let target = allow(&bea, &ground, &page).await;
    let tokens = redeem(&server, &ground, OLD, &target).await;
    change(&server, &ground, |wanted| {
        wanted.redirect_uris = vec![NEW.parse().expect("a URI")];
        wanted.scopes = "send".parse().expect("scopes");
    })
    .await;
    let response = bea.get(&path(&ground, OLD, "read")).await;
    super::assert_error_page(response, StatusCode::BAD_REQUEST).await;
    assert_eq!(
        refused(&bea, &path(&ground, NEW, "send")).await,
        "access_denied"
    );
    let refresh = [
        ("grant_type", "refresh_token"),
        ("refresh_token", text(&tokens, "refresh_token")),
    ];
    super::assert_invalid_grant(&token_as(&server, &ground.client, &refresh).await);
    let described = server.introspect(text(&tokens, "access_token")).await;
    assert_eq!(described["scope"].as_str().unwrap_or_default(), "");
}

async fn an_operator_approves_the_version_on_the_page(db: TestDatabase) {
    let server = Server::start(db).await;
    let ground = ground(&server).await;
    change(&server, &ground, |wanted| {
        wanted.name = "Invoices & more".to_owned();
    })
    .await;
    let seen = page_of(&server, &ground).await;
    change(&server, &ground, |wanted| {
        wanted.redirect_uris.push(NEW.parse().expect("a URI"));
    })
    .await;
    let (status, html) = try_approve(&server, &ground, &seen).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{html}");
    let told = format!("Look at it again. New redirect URI: {NEW}.");
    assert!(html.contains(&told), "{html}");
    let bea = browser_of(&server, BEA).await;
    let page = consent(&bea, &path(&ground, OLD, "read")).await;
    assert!(page.html.contains("Invoice export"), "{}", page.html);
    // what is there now is approved by the page that shows it
    let seen = page_of(&server, &ground).await;
    approve(&server, &ground, &seen).await;
    let page = consent(&bea, &path(&ground, NEW, "read")).await;
    assert!(page.html.contains("Invoices &#38; more"), "{}", page.html);
}
