//! A form that makes something with a secret is good once: reload, double click, back and send again, two at once.
#![expect(clippy::panic, reason = "a test fails by it")]

use std::collections::BTreeSet;
use std::path::Path;

use reqwest::{Response, StatusCode};

use crate::databases::{TestDatabase, both_databases};
use crate::operator::operator;
use crate::server::{Browser, Server, hidden};

both_databases!(
    a_form_makes_one_thing_however_often_it_is_sent,
    a_refused_form_is_not_used_up,
);

/// A form that makes something, and its answer's template.
struct Door {
    template: &'static str,
    /// Counted in the audit log.
    event: &'static str,
    by_operator: bool,
    kind: Kind,
}

enum Kind {
    /// `page`, `action`, and fields beside `name`.
    Named(String, String, Vec<(&'static str, &'static str)>),
    /// One more secret of a new application, or of a new resource server: at most two live.
    SecretOf(usize),
}

/// In place of an address that nobody has yet.
const FRESH: &str = "fresh";

/// Every form whose answer shows a secret. Whoever adds one adds it here.
fn doors(server: &Server) -> Vec<Door> {
    let own = format!("/dev-centre/{}", server.planted.organization);
    let named = |template, event, by_operator, page: String, action: &str, fields: &[_]| Door {
        template,
        event,
        by_operator,
        kind: Kind::Named(page, action.to_owned(), fields.to_vec()),
    };
    let (keys, applications) = (format!("{own}/api-keys"), format!("{own}/applications"));
    let (registration, servers) = (format!("{own}/registration"), "/operator/resource-servers");
    let tokens = format!("{own}/management-tokens");
    let secret_of = |template, event, by_operator, of| Door {
        template,
        event,
        by_operator,
        kind: Kind::SecretOf(of),
    };
    vec![
        named(
            "console/api_key_created.html",
            "api_key.created",
            false,
            format!("{keys}/new"),
            &keys,
            &[
                ("environment", "sandbox"),
                ("scope", "organization"),
                ("permission_level", "full"),
                ("expiry", "30"),
            ],
        ),
        named(
            "console/application_created.html",
            "application.created",
            false,
            format!("{applications}/new"),
            &applications,
            &[
                ("environment", "sandbox"),
                ("client_type", "confidential"),
                ("access_token_format", "jwt"),
                ("grant", "client_credentials"),
                ("role", "viewer"),
                ("scope", "read"),
            ],
        ),
        named(
            "console/registration_created.html",
            "registration_token.created",
            false,
            registration.clone(),
            &registration,
            &[
                ("environment", "sandbox"),
                ("max_clients", "5"),
                ("expiry", "30"),
            ],
        ),
        named(
            "operator/resource_server_created.html",
            "resource_server.created",
            true,
            format!("{servers}/new"),
            servers,
            &[("environment", "production")],
        ),
        named(
            "console/management_token_created.html",
            "management_token.created",
            false,
            tokens.clone(),
            &tokens,
            &[
                ("permission", "members:read"),
                ("reach", "organization"),
                ("days", "30"),
            ],
        ),
        named(
            "operator/shown_once.html",
            "user.created",
            true,
            "/operator/people".to_owned(),
            "/operator/people",
            &[("email", FRESH)],
        ),
        named(
            "operator/shown_once.html",
            "operator_token.created",
            true,
            "/operator/tokens".to_owned(),
            "/operator/tokens",
            &[("permission", "operator:read"), ("expiry", "30")],
        ),
        named(
            "operator/customer_created.html",
            "organization.created",
            true,
            "/operator/organizations/new".to_owned(),
            "/operator/organizations",
            &[
                ("workspace", "Main"),
                ("owner_email", "hank@globex.example"),
            ],
        ),
        secret_of(
            "console/application_created.html",
            "application_secret.created",
            false,
            1,
        ),
        secret_of(
            "operator/resource_server_created.html",
            "resource_server.secret_created",
            true,
            3,
        ),
    ]
}

/// A form as it lies open in a browser.
struct Open {
    action: String,
    fields: Vec<(&'static str, String)>,
}

impl Open {
    async fn load(browser: &Browser<'_>, doors: &[Door], kind: &Kind, name: &str) -> Self {
        let (page, action, fields) = match kind {
            Kind::Named(page, action, fields) => (page.clone(), action.clone(), fields.as_slice()),
            Kind::SecretOf(of) => {
                let parent = Box::pin(Self::load(browser, doors, &doors[*of].kind, name)).await;
                let html = parent.send(browser).await.text().await.expect("text");
                let id = html.split("id=\"client_id\" value=\"").nth(1);
                let id = id.and_then(|rest| rest.split('"').next()).expect("an id");
                let page = format!("{}/{id}", parent.action);
                (page.clone(), format!("{page}/secrets"), &[][..])
            }
        };
        let html = browser.get(&page).await.text().await.expect("text");
        let csrf = hidden(&html, "csrf").unwrap_or_else(|| panic!("no form on {page}: {html}"));
        let mut own: Vec<_> = fields
            .iter()
            .map(|(name, value)| match *value {
                FRESH => (
                    *name,
                    format!("{:016x}@shop.example", rand::random::<u64>()),
                ),
                value => (*name, value.to_owned()),
            })
            .collect();
        own.extend([("csrf", csrf), ("name", name.to_owned())]);
        Self {
            action,
            fields: own,
        }
    }

    async fn send(&self, browser: &Browser<'_>) -> Response {
        let request = browser.client.post(browser.server.url(&self.action));
        request.form(&self.fields).send().await.expect("an answer")
    }
}

/// The secret on the page, if there is one.
fn secret(html: &str) -> Option<&str> {
    let marks = [
        "cs_sandbox_",
        "cs_production_",
        "cs_cs_",
        "cs_rg_",
        "id=\"secret\" value=",
        "id=\"link\" value=",
    ];
    let at = marks.iter().find_map(|mark| html.find(mark))?;
    html[at..].split(['"', '<']).next()
}

/// It was made before: the page says so, shows no secret, and leads to the thing.
async fn assert_made_before(browser: &Browser<'_>, html: &str, event: &str) {
    assert!(
        html.contains("already made, its secret was shown"),
        "{event}: {html}"
    );
    assert_eq!(secret(html), None, "{event}: {html}");
    let main = html.split("<main").nth(1).expect("a page");
    let href = main.split("href=\"").nth(1).expect("a link");
    let href = href.split('"').next().expect("a link");
    assert_eq!(
        browser.get(href).await.status(),
        StatusCode::OK,
        "{event}: {href}"
    );
}

async fn a_form_makes_one_thing_however_often_it_is_sent(db: TestDatabase) {
    let server = Server::start_with(db, |config| {
        (config.server.workers, config.database.connections) = (2, 8)
    })
    .await;
    let (admin, operator) = (server.signed_in_browser().await, operator(&server).await);
    let doors = doors(&server);
    for door in &doors {
        let browser = if door.by_operator { &operator } else { &admin };
        let event = door.event;
        let made = || server.database.count_events(event);
        let open = Open::load(browser, &doors, &door.kind, "Shop").await;
        let before = made();
        let first = open.send(browser).await;
        assert_eq!(first.status(), StatusCode::OK, "{event}");
        let first = first.text().await.expect("text");
        assert!(secret(&first).is_some(), "{event}: {first}");
        // reload, and again much later
        for _ in 0..2 {
            let again = open.send(browser).await;
            assert_eq!(again.status(), StatusCode::OK, "{event}");
            let again = again.text().await.expect("text");
            assert_made_before(browser, &again, event).await;
            server.clock.step_seconds(60);
        }
        assert_eq!(made(), before + 1, "{event}");
        // ten at once: one is shown the secret
        let open = Open::load(browser, &doors, &door.kind, "Store").await;
        let before = made();
        let answers = futures_util::future::join_all((0..10).map(|_| open.send(browser))).await;
        let mut shown = 0;
        for answer in answers {
            assert_eq!(answer.status(), StatusCode::OK, "{event}");
            let html = answer.text().await.expect("text");
            match secret(&html) {
                Some(_) => shown += 1,
                None => assert_made_before(browser, &html, event).await,
            }
        }
        assert_eq!((shown, made()), (1, before + 1), "{event}");
        // the page anew is another wish, also with the same content
        let open = Open::load(browser, &doors, &door.kind, "Store").await;
        let html = open.send(browser).await.text().await.expect("text");
        assert!(secret(&html).is_some(), "{event}: {html}");
    }
    // no page that shows a secret is forgotten above
    let tried: BTreeSet<String> = doors
        .iter()
        .map(|door| door.template.to_owned())
        // its link is good once: account/hand_over.rs
        .chain(["account/hand_over_done.html".to_owned()])
        // the address that a provider sends people back to is no secret
        .chain(["console/single_sign_on.html".to_owned()])
        .collect();
    assert_eq!(templates_with_a_secret(), tried);
}

fn templates_with_a_secret() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for folder in ["account", "console", "oauth", "operator"] {
        let files = std::fs::read_dir(Path::new("templates").join(folder)).expect("a folder");
        for file in files.map(|file| file.expect("a file").path()) {
            let text = std::fs::read_to_string(&file).expect("a template");
            if text.contains("ui::copy_once(") {
                let name = file.file_name().expect("a name").to_string_lossy();
                found.insert(format!("{folder}/{name}"));
            }
        }
    }
    found
}

async fn a_refused_form_is_not_used_up(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = server.signed_in_browser().await;
    let doors = doors(&server);
    let mut open = Open::load(&browser, &doors, &doors[0].kind, &"x".repeat(101)).await;
    for _ in 0..2 {
        let refused = open.send(&browser).await;
        assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
    }
    open.fields.last_mut().expect("the name").1 = "Shop".to_owned();
    let html = open.send(&browser).await.text().await.expect("text");
    assert!(secret(&html).is_some(), "{html}");
    // an organization that somebody founds has no secret: its page shows it, once
    let made = || server.database.count_events("organization.created");
    let before = made();
    let page = "/account/organizations";
    let html = browser.get(page).await.text().await.expect("text");
    let csrf = hidden(&html, "csrf").expect("a token");
    let founds = [("csrf", csrf.as_str()), ("name", "Twice")];
    let send = || browser.client.post(server.url(page)).form(&founds).send();
    let (one, other) = tokio::join!(send(), send());
    for answer in [one, other] {
        assert_eq!(answer.expect("an answer").status(), StatusCode::SEE_OTHER);
    }
    assert_eq!(made(), before + 1);
}
