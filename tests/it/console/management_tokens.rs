//! `/dev-centre/{organization}/management-tokens…`, and the proof that making one needs.

use countersign::types::state::OrganizationRole;
use reqwest::{Response, StatusCode};
use serde_json::json;

use super::{admin, answer, read};
use crate::api::{Program, problem};
use crate::databases::{TestDatabase, both_databases};
use crate::people;
use crate::server::{Browser, Server, location};
use crate::tenants;

both_databases!(
    an_admin_makes_a_token_that_is_shown_once,
    making_one_needs_a_proof_of_the_last_quarter_of_an_hour,
    a_wrong_password_proves_nothing,
    a_form_that_asks_for_more_than_there_is_is_refused,
    a_token_is_revoked_on_the_page,
);

const MINUTE: i64 = 60;
const DAY: i64 = 24 * 60 * MINUTE;

fn page(server: &Server) -> String {
    format!(
        "/dev-centre/{}/management-tokens",
        server.planted.organization
    )
}

async fn create(browser: &Browser<'_>, changes: &[(&str, &str)]) -> Response {
    let mut fields = vec![
        ("name", "Directory sync"),
        ("permission", "members:read"),
        ("reach", "organization"),
        ("days", "30"),
    ];
    fields.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    fields.extend(changes);
    let page = page(browser.server);
    browser.submit(&page, &page, &fields).await
}

async fn created(browser: &Browser<'_>, changes: &[(&str, &str)]) -> String {
    let response = create(browser, changes).await;
    assert_eq!(response.headers()["cache-control"], "no-store");
    let (status, html) = answer(response).await;
    assert_eq!(status, StatusCode::OK, "{html}");
    html.split("id=\"secret\" value=\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .expect("a token")
        .to_owned()
}

async fn an_admin_makes_a_token_that_is_shown_once(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = admin(&server).await;
    let token = created(&browser, &[]).await;
    assert!(token.starts_with("cs_mt_"));
    let program = Program::new(&server, &token);
    assert_eq!(program.get("/v1/members").await.0, StatusCode::OK);
    countersign::jobs::usage::flush(&server.app).await;
    let html = read(&browser, &page(&server)).await;
    assert!(
        html.contains("Directory sync") && html.contains("members:read") && !html.contains(&token),
        "{html}"
    );
    assert!(!html.contains(">Never<"), "its last use is shown: {html}");
    // it ends when it was said to
    server.clock.step_seconds(30 * DAY);
    assert_eq!(
        problem(program.get("/v1/members").await),
        (401, "credential_expired".to_owned())
    );
    // somebody who administers nothing, and one who administers a workspace only
    people::member(&server, "wanda@acme.example", Some("admin")).await;
    let wanda = people::browser(&server, "wanda@acme.example").await;
    assert_eq!(
        wanda.get(&page(&server)).await.status(),
        StatusCode::FORBIDDEN
    );
}

async fn making_one_needs_a_proof_of_the_last_quarter_of_an_hour(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = admin(&server).await;
    server.clock.step_seconds(15 * MINUTE - 1);
    created(&browser, &[]).await;
    server.clock.step_seconds(1);
    // the form is not there, and one from before leads to the proof and makes nothing
    let html = read(&browser, &page(&server)).await;
    let confirm = format!("/account/confirm?return_to={}", page(&server)).replace('/', "%2F");
    let confirm = confirm.replacen("%2Faccount%2Fconfirm", "/account/confirm", 1);
    assert!(
        html.contains(&confirm) && !html.contains("name=\"days\""),
        "{html}"
    );
    let refused = create(&browser, &[("name", "Late")]).await;
    assert_eq!(refused.status(), StatusCode::SEE_OTHER);
    assert_eq!(location(refused.headers()), confirm);
    assert!(!read(&browser, &page(&server)).await.contains("Late"));
    // the proof begins a new session, so that an old cookie proves nothing
    let fields = [
        ("password", server.secrets.password.as_str()),
        ("return_to", &page(&server)),
    ];
    let proven = browser.submit(&confirm, "/account/confirm", &fields).await;
    assert_eq!(proven.status(), StatusCode::SEE_OTHER);
    assert_eq!(location(proven.headers()), page(&server));
    assert!(proven.headers().get_all("set-cookie").iter().count() >= 2);
    created(&browser, &[("name", "In time")]).await;
}

async fn a_wrong_password_proves_nothing(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = admin(&server).await;
    server.clock.step_seconds(15 * MINUTE);
    people::person(&server, "stranger@elsewhere.example").await;
    for password in ["", "wrong horse battery staple"] {
        let fields = [("password", password), ("return_to", "/")];
        let (status, html) = answer(
            browser
                .submit("/account/confirm", "/account/confirm", &fields)
                .await,
        )
        .await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(html.contains("The password is wrong."), "{html}");
    }
    assert_eq!(
        create(&browser, &[]).await.status(),
        StatusCode::SEE_OTHER,
        "still unproven"
    );
    // and nobody is sent elsewhere by it
    let fields = [
        ("password", server.secrets.password.as_str()),
        ("return_to", "https://evil.example/"),
    ];
    let proven = browser
        .submit("/account/confirm", "/account/confirm", &fields)
        .await;
    assert_eq!(location(proven.headers()), "/");
}

async fn a_form_that_asks_for_more_than_there_is_is_refused(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = admin(&server).await;
    let (_, _, foreign) = tenants::organization(&server, "owner@other.example").await;
    for (changes, field) in [
        (vec![("name", "")], "name"),
        (vec![("name", "a\u{202e}b")], "name"),
        (vec![("permission", "")], "permission"),
        (vec![("permission", "documents:send")], "permission"),
        (vec![("permission", "operator:organizations")], "permission"),
        (vec![("permission", "*")], "permission"),
        (
            vec![("permission", "members:read operator:read")],
            "permission",
        ),
        (vec![("days", "")], "days"),
        (vec![("days", "0")], "days"),
        (vec![("days", "-1")], "days"),
        (vec![("days", "366")], "days"),
        (vec![("days", "9223372036854775807")], "days"),
        (vec![("reach", "everything")], "reach"),
        (vec![("reach", "workspaces")], "workspace"),
        (
            vec![("reach", "workspaces"), ("workspace", foreign.as_str())],
            "workspace",
        ),
        (
            vec![("reach", "workspaces"), ("workspace", "nonsense")],
            "workspace",
        ),
    ] {
        let (status, html) = answer(create(&browser, &changes).await).await;
        assert_eq!(
            status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{changes:?}: {html}"
        );
        assert!(
            html.contains(&format!("id=\"{field}-error\"")),
            "{changes:?}: {html}"
        );
    }
    assert!(
        read(&browser, &page(&server))
            .await
            .contains("No tokens yet")
    );
    // what the maker does not hold, although the catalogue has it
    let owner = tenants::member(&server, "admin2@acme.example", OrganizationRole::Admin).await;
    let (_, token) =
        tenants::made_management_token(&server, owner, "members:manage members:read", None).await;
    let program = Program::new(&server, &token);
    let wanted = json!({"email": "boss@acme.example", "role": "owner"});
    assert_eq!(
        program.post("/v1/invitations", &wanted).await.0,
        StatusCode::FORBIDDEN,
        "an admin makes no owner"
    );
}

async fn a_token_is_revoked_on_the_page(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = admin(&server).await;
    let token = created(&browser, &[]).await;
    let program = Program::new(&server, &token);
    let html = read(&browser, &page(&server)).await;
    let action = html
        .split("action=\"")
        .find_map(|rest| {
            rest.split('"')
                .next()
                .filter(|action| action.ends_with("/revoke"))
        })
        .expect("a token")
        .to_owned();
    // long after the last proof: ending something needs none
    server.clock.step_seconds(60 * MINUTE);
    for _ in 0..2 {
        let response = browser.submit(&page(&server), &action, &[]).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
    }
    assert_eq!(
        problem(program.get("/v1/members").await),
        (401, "invalid_credential".to_owned())
    );
}
