//! `/operator/organizations/new`, `/operator/people` and `/operator/tokens`: what an operator makes without stopping anything.

use reqwest::{Response, StatusCode};

use super::{operator, read};
use crate::api::Program;
use crate::databases::{TestDatabase, both_databases};
use crate::people;
use crate::server::{Browser, Server, location};

both_databases!(
    a_customer_is_one_form_and_its_owner_comes_in_by_the_link,
    a_customer_that_cannot_be_is_told_at_its_fields,
    an_operator_makes_another_and_takes_it_away,
    an_operator_makes_and_revokes_a_token,
    accounts_and_tokens_need_a_fresh_proof,
);

const ORGANIZATIONS: &str = "/operator/organizations";
const NEW: &str = "/operator/organizations/new";
const PEOPLE: &str = "/operator/people";
const TOKENS: &str = "/operator/tokens";

async fn answer(response: Response) -> (StatusCode, String) {
    let status = response.status();
    (status, response.text().await.expect("text"))
}

fn shown(html: &str, id: &str) -> String {
    let (_, rest) = html
        .split_once(&format!("id=\"{id}\" value=\""))
        .expect("a value");
    rest.split('"').next().expect("its end").to_owned()
}

async fn customer(browser: &Browser<'_>, changes: &[(&str, &str)]) -> (StatusCode, String) {
    let mut fields = vec![
        ("name", "Globex"),
        ("workspace", "Main"),
        ("owner_email", "hank@globex.example"),
        ("plan", "enterprise"),
    ];
    fields.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    fields.extend(changes);
    answer(browser.submit(NEW, ORGANIZATIONS, &fields).await).await
}

async fn a_customer_is_one_form_and_its_owner_comes_in_by_the_link(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = operator(&server).await;
    assert!(read(&browser, ORGANIZATIONS).await.contains(NEW));
    let (status, html) = customer(&browser, &[]).await;
    assert_eq!(status, StatusCode::OK, "{html}");
    let link = shown(&html, "link");
    let path = link.strip_prefix(&server.base).expect("a link to here");
    people::person(&server, "hank@globex.example").await;
    let hank = people::browser(&server, "hank@globex.example").await;
    let accepted = hank.submit(path, &format!("{path}/accept"), &[]).await;
    assert_eq!(accepted.status(), StatusCode::SEE_OTHER);
    let console = hank.get("/dev-centre").await;
    let keys = location(console.headers());
    assert!(read(&hank, &keys).await.contains("Globex"));
    let tokens = keys.replace("/api-keys", "/management-tokens");
    assert!(
        read(&hank, &tokens).await.contains("Main"),
        "the owner of an organization with a workspace"
    );
    assert!(read(&browser, ORGANIZATIONS).await.contains("Enterprise"));
}

async fn a_customer_that_cannot_be_is_told_at_its_fields(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = operator(&server).await;
    for (field, value) in [
        ("name", ""),
        ("name", "a\u{202e}b"),
        ("workspace", ""),
        ("owner_email", "nobody"),
        ("plan", "golden"),
    ] {
        let (status, html) = customer(&browser, &[(field, value)]).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{field}: {html}");
        assert!(html.contains(&format!("id=\"{field}-error\"")), "{html}");
    }
    assert!(!read(&browser, ORGANIZATIONS).await.contains("Globex"));
}

async fn an_operator_makes_another_and_takes_it_away(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = operator(&server).await;
    let fields = [
        ("email", "olga@vendor.example"),
        ("name", "Olga"),
        ("operator", "true"),
    ];
    let (status, html) = answer(browser.submit(PEOPLE, PEOPLE, &fields).await).await;
    assert_eq!(status, StatusCode::OK, "{html}");
    let password = shown(&html, "secret");
    let olga = server.browser();
    let signed_in = olga.sign_in("olga@vendor.example", &password).await;
    assert_eq!(signed_in.status(), StatusCode::SEE_OTHER);
    read(&olga, PEOPLE).await;
    let html = read(&browser, PEOPLE).await;
    assert!(!html.contains(&password));
    let (before, _) = html.split_once("olga@vendor.example").expect("listed");
    let (_, id) = before.rsplit_once("<code>").expect("an id");
    let id = id.split('<').next().expect("an id");
    let action = format!("{PEOPLE}/{id}/remove-operator");
    // each of two may take it from the other; the last one keeps it
    let removed = browser.submit(PEOPLE, &action, &[]).await;
    assert_eq!(removed.status(), StatusCode::SEE_OTHER);
    assert_eq!(olga.get("/operator").await.status(), StatusCode::NOT_FOUND);
    let html = read(&browser, PEOPLE).await;
    let (_, rest) = html.split_once("/remove-operator").expect("the last one");
    assert!(!rest.contains("/remove-operator"));
    let (before, _) = html.split_once("/remove-operator").expect("the last one");
    let (_, own) = before.rsplit_once("action=\"").expect("an action");
    let last = format!("{own}/remove-operator");
    let (status, html) = answer(browser.submit(PEOPLE, &last, &[]).await).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(html.contains("This is the last operator."), "{html}");
}

async fn an_operator_makes_and_revokes_a_token(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = operator(&server).await;
    let fields = [
        ("name", "Billing"),
        ("permission", "organization:read"),
        ("permission", "operator:read"),
        ("expiry", "30"),
    ];
    let (status, html) = answer(browser.submit(TOKENS, TOKENS, &fields).await).await;
    assert_eq!(status, StatusCode::OK, "{html}");
    let token = shown(&html, "secret");
    let program = Program::new(&server, &token);
    assert_eq!(program.get("/v1/organizations").await.0, StatusCode::OK);
    let html = read(&browser, TOKENS).await;
    assert!(html.contains("Billing") && !html.contains(&token));
    let action = html
        .split("action=\"")
        .find_map(|rest| {
            let action = rest.split('"').next()?;
            let before = html.split(action).next()?;
            (action.ends_with("/revoke") && before.contains("Billing")).then_some(action)
        })
        .expect("an action")
        .to_owned();
    let revoked = browser.submit(TOKENS, &action, &[]).await;
    assert_eq!(revoked.status(), StatusCode::SEE_OTHER);
    assert_eq!(
        program.get("/v1/organizations").await.0,
        StatusCode::UNAUTHORIZED
    );
    for (wrong, field) in [
        (("name", ""), "name"),
        (("permission", "nothing"), "permissions"),
        (("expiry", "31"), "expiry"),
    ] {
        let mut fields = fields.to_vec();
        fields.retain(|(name, _)| *name != wrong.0);
        fields.push(wrong);
        let (status, html) = answer(browser.submit(TOKENS, TOKENS, &fields).await).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong:?}");
        assert!(html.contains(&format!("id=\"{field}-error\"")), "{html}");
    }
}

async fn accounts_and_tokens_need_a_fresh_proof(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = operator(&server).await;
    server.clock.step_seconds(15 * 60);
    for page in [PEOPLE, TOKENS] {
        assert!(
            read(&browser, page)
                .await
                .contains("/account/confirm?return_to=")
        );
        let fields = [
            ("email", "olga@vendor.example"),
            ("name", "Olga"),
            ("permission", "operator:read"),
            ("expiry", "30"),
        ];
        let refused = browser.submit(page, page, &fields).await;
        assert_eq!(refused.status(), StatusCode::SEE_OTHER);
        assert!(location(refused.headers()).starts_with("/account/confirm?"));
    }
    assert!(!read(&browser, PEOPLE).await.contains("olga@vendor.example"));
}
