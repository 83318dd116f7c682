//! `/dev-centre/{organization}/api-keys…`.

use countersign::crypto::digest::Purpose;
use countersign::domain::desk::Desk;
use countersign::domain::keys::api_keys::{self, Minted, NewApiKey, Reach};
use countersign::domain::keys::expiry::Expiry;
use countersign::domain::rights::asker::Asker;
use countersign::types::environment::Environment;
use countersign::types::id::{ApiKeyId, OrganizationId, WorkspaceId};
use countersign::types::state::{OrganizationState, PermissionLevel, ProductionAccess};
use reqwest::{Response, StatusCode};
use serde_json::json;

use super::{MEMBER, WORKSPACE_ADMIN, admin, answer, at_once, csrf, linked, post, read};
use crate::databases::{TestDatabase, both_databases};
use crate::people::{self, OTHER_OWNER};
use crate::server::{Browser, Server, hidden, location};
use crate::tenants;

both_databases!(
    a_key_is_shown_once_and_listed_by_its_public_id,
    a_filter_shows_one_environment_and_one_status,
    revoking_asks_first_and_works_at_once,
    revoking_what_is_revoked_is_a_success,
    revoking_ten_times_at_once_is_a_success_each_time,
    a_key_expires_when_its_form_said,
    production_stays_locked_until_it_is_approved,
    a_suspended_organization_gets_no_new_key,
    the_cap_holds_against_fifty_at_once,
    a_workspace_admin_makes_keys_for_their_workspace_only,
    a_workspace_admin_neither_sees_nor_revokes_other_keys,
    a_member_is_not_let_in,
    what_belongs_to_others_is_not_found,
    a_hostile_name_is_text_or_refused,
    a_broken_form_creates_nothing,
    a_form_needs_its_own_token,
);

fn list_path(server: &Server) -> String {
    format!("/dev-centre/{}/api-keys", server.planted.organization)
}

/// A valid form, but for what `changes` say.
fn fields<'f>(server: &'f Server, changes: &[(&'f str, &'f str)]) -> Vec<(&'f str, &'f str)> {
    let mut fields = vec![
        ("name", "CRM"),
        ("environment", "sandbox"),
        ("scope", "workspaces"),
        ("workspace", server.planted.workspace.as_str()),
        ("permission_level", "full"),
        ("expiry", "never"),
    ];
    fields.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    fields.extend(changes);
    fields
}

async fn create(browser: &Browser<'_>, changes: &[(&str, &str)]) -> Response {
    let list = list_path(browser.server);
    browser
        .submit(
            &format!("{list}/new"),
            &list,
            &fields(browser.server, changes),
        )
        .await
}

/// Creates the key and reads it from the page that shows it.
async fn create_and_copy(browser: &Browser<'_>, changes: &[(&str, &str)]) -> String {
    let (status, html) = answer(create(browser, changes).await).await;
    assert_eq!(status, StatusCode::OK, "{html}");
    copied(&html)
}

fn copied(html: &str) -> String {
    let tag = html
        .split("class=\"secret\"")
        .nth(1)
        .expect("the page shows the key");
    tag.split("value=\"")
        .nth(1)
        .and_then(|value| value.split('"').next())
        .expect("a value")
        .to_owned()
}

async fn code(server: &Server, key: &str) -> serde_json::Value {
    server.verify(json!({"credential": key})).await["code"].clone()
}

/// How many keys there are; the two of quickstart among them.
async fn count(browser: &Browser<'_>) -> usize {
    read(browser, &list_path(browser.server))
        .await
        .matches("role=\"rowheader\"")
        .count()
}

/// The id in the confirmation link of the only key of that name.
async fn id_of(browser: &Browser<'_>, name: &str) -> String {
    let html = read(browser, &list_path(browser.server)).await;
    let row = html
        .split("<tr ")
        .find(|row| row.contains(&format!("<bdi>{name}</bdi>")))
        .expect("a row")
        .to_owned();
    linked(&row, "api-keys", "revoke").to_owned()
}

async fn a_key_is_shown_once_and_listed_by_its_public_id(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = admin(&server).await;
    let response = create(&browser, &[("description", "For the shop")]).await;
    assert_eq!(response.headers()["cache-control"], "no-store");
    let key = copied(&response.text().await.expect("text"));
    assert!(key.starts_with("cs_sandbox_"), "{key}");
    assert_eq!(code(&server, &key).await, "valid");
    let html = read(&browser, &list_path(&server)).await;
    let (start, secret) = key.split_at("cs_sandbox_".len() + 12);
    assert!(html.contains(&format!("{start}…")), "{html}");
    assert!(!html.contains(secret), "never again");
    let revoke = format!(
        "{}/{}/revoke",
        list_path(&server),
        id_of(&browser, "CRM").await
    );
    assert!(!read(&browser, &revoke).await.contains(secret), "nor here");
    assert!(
        !server.database.everything_in("api_keys").contains(secret),
        "nor in the database"
    );
}

async fn a_filter_shows_one_environment_and_one_status(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = admin(&server).await;
    create_and_copy(&browser, &[("name", "Short"), ("expiry", "30")]).await;
    create_and_copy(&browser, &[("name", "Gone")]).await;
    let gone = format!(
        "{}/{}/revoke",
        list_path(&server),
        id_of(&browser, "Gone").await
    );
    browser.submit(&gone, &gone, &[]).await;
    server.clock.step_seconds(30 * 24 * 60 * 60);
    let browser = admin(&server).await;
    let all = [
        "Quickstart (Sandbox)",
        "Quickstart (Production)",
        "Short",
        "Gone",
    ];
    // without a status, what was revoked is left out
    for (query, shown) in [
        ("", &all[..3]),
        ("?environment=&status=", &all[..3]),
        ("?environment=nonsense&status=nonsense", &all[..3]),
        ("?environment=production", &all[1..2]),
        ("?environment=sandbox&status=active", &all[..1]),
        ("?status=expired", &all[2..3]),
        ("?status=revoked&environment=sandbox", &all[3..]),
        ("?status=deactivated", &[]),
    ] {
        let html = read(&browser, &format!("{}{query}", list_path(&server))).await;
        for name in all {
            assert_eq!(
                html.contains(&format!("<bdi>{name}</bdi>")),
                shown.contains(&name),
                "{query}: {name}"
            );
        }
    }
    server.clock.step_seconds(30 * 24 * 60 * 60 + 1);
    let browser = admin(&server).await;
    for (query, shown) in [("", false), ("?status=expired", true)] {
        let html = read(&browser, &format!("{}{query}", list_path(&server))).await;
        assert_eq!(html.contains("<bdi>Short</bdi>"), shown, "{query}");
    }
    for query in ["?status=a%00b", "?status=%ff"] {
        assert_eq!(
            browser
                .get(&format!("{}{query}", list_path(&server)))
                .await
                .status(),
            StatusCode::BAD_REQUEST,
            "{query}"
        );
    }
}

async fn revoking_asks_first_and_works_at_once(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = admin(&server).await;
    let key = create_and_copy(&browser, &[]).await;
    assert_eq!(code(&server, &key).await, "valid");
    let revoke = format!(
        "{}/{}/revoke",
        list_path(&server),
        id_of(&browser, "CRM").await
    );
    let html = read(&browser, &revoke).await;
    assert!(
        html.contains("Revoke <bdi>CRM</bdi>?") && html.contains("stops working at once"),
        "{html}"
    );
    assert_eq!(
        code(&server, &key).await,
        "valid",
        "looking changes nothing"
    );
    let response = browser.submit(&revoke, &revoke, &[]).await;
    assert_eq!(
        (response.status(), location(response.headers())),
        (StatusCode::SEE_OTHER, list_path(&server))
    );
    assert_eq!(code(&server, &key).await, "not_found");
    let html = read(&browser, &format!("{}?status=revoked", list_path(&server))).await;
    assert!(
        html.contains("<bdi>CRM</bdi>") && !html.contains("/revoke\""),
        "listed, and not to be revoked again"
    );
}

async fn revoking_what_is_revoked_is_a_success(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = admin(&server).await;
    create_and_copy(&browser, &[]).await;
    let revoke = format!(
        "{}/{}/revoke",
        list_path(&server),
        id_of(&browser, "CRM").await
    );
    let csrf = csrf(&browser, &revoke).await;
    for _ in 0..2 {
        let response = post(&browser, &revoke, format!("csrf={csrf}")).await;
        assert_eq!(
            (response.status(), location(response.headers())),
            (StatusCode::SEE_OTHER, list_path(&server))
        );
    }
    let page = browser.get(&revoke).await;
    assert_eq!(
        location(page.headers()),
        list_path(&server),
        "there is nothing left to confirm"
    );
}

async fn revoking_ten_times_at_once_is_a_success_each_time(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = admin(&server).await;
    for name in ["One", "Two", "Three"] {
        create_and_copy(&browser, &[("name", name)]).await;
        let revoke = format!(
            "{}/{}/revoke",
            list_path(&server),
            id_of(&browser, name).await
        );
        let csrf = csrf(&browser, &revoke).await;
        assert_eq!(
            at_once(&browser, &revoke, &[("csrf", &csrf)], 10).await,
            [StatusCode::SEE_OTHER; 10]
        );
    }
}

async fn a_key_expires_when_its_form_said(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = admin(&server).await;
    let mut keys = Vec::new();
    for (expiry, shown) in [
        ("30", "20 Dec 2026"),
        ("90", "18 Feb 2027"),
        ("365", "20 Nov 2027"),
        ("date", "25 Nov 2026"),
        ("never", "Never"),
    ] {
        let (_, html) = answer(
            create(
                &browser,
                &[
                    ("name", expiry),
                    ("expiry", expiry),
                    ("expires_on", "2026-11-25"),
                ],
            )
            .await,
        )
        .await;
        assert!(
            html.contains(&format!("Expires: {shown}")),
            "{expiry}: {html}"
        );
        keys.push(copied(&html));
    }
    let days = |days: i64| days * 24 * 60 * 60;
    // 25 November ends at midnight UTC, the others at the hour they were made
    for (step, expired) in [
        (days(5), 0),
        (days(1) / 2, 1),
        (days(30 - 5) - days(1) / 2, 2),
        (days(60), 3),
        (days(365 - 90), 4),
        (days(9000), 4),
    ] {
        server.clock.step_seconds(step);
        let mut codes = Vec::new();
        for key in &keys {
            codes.push(code(&server, key).await);
        }
        assert_eq!(
            codes.iter().filter(|code| *code == "expired").count(),
            expired,
            "{codes:?}"
        );
        assert_eq!(codes[4], "valid", "never is never");
    }
    let browser = admin(&server).await;
    for (expiry, expires_on) in [
        ("date", "2026-11-25"),
        ("date", ""),
        ("date", "tomorrow"),
        ("60", ""),
        ("", ""),
    ] {
        let (status, html) =
            answer(create(&browser, &[("expiry", expiry), ("expires_on", expires_on)]).await).await;
        assert_eq!(
            status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{expiry} {expires_on}"
        );
        assert!(
            html.contains("Please check the form") && html.contains("value=\"CRM\""),
            "what was typed is kept"
        );
    }
}

async fn production_stays_locked_until_it_is_approved(db: TestDatabase) {
    let server = Server::start(db).await;
    let (organization, workspace) =
        people::other_organization(&server, ProductionAccess::Requested).await;
    let browser = people::browser(&server, OTHER_OWNER).await;
    let list = format!("/dev-centre/{organization}/api-keys");
    assert!(
        read(&browser, &list)
            .await
            .contains("Production is locked.")
    );
    let form = read(&browser, &format!("{list}/new?environment=production")).await;
    assert!(
        form.contains("value=\"production\" disabled")
            && form.contains("value=\"sandbox\" checked"),
        "{form}"
    );
    let locked = [
        ("environment", "production"),
        ("workspace", workspace.as_str()),
    ];
    let (status, html) = answer(
        browser
            .submit(&format!("{list}/new"), &list, &fields(&server, &locked))
            .await,
    )
    .await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        html.contains("which an organization admin can request. Contact sales."),
        "{html}"
    );
    assert!(
        !read(&browser, &list).await.contains("rowheader"),
        "nothing was created"
    );
    let open = create_and_copy(&admin(&server).await, &[("environment", "production")]).await;
    assert!(open.starts_with("cs_production_"), "{open}");
}

async fn a_suspended_organization_gets_no_new_key(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = admin(&server).await;
    let organization = server.planted.organization;
    server
        .write(move |tx| {
            Ok(tx.change_organization_state(
                organization,
                OrganizationState::Active,
                OrganizationState::Suspended,
            )?)
        })
        .await;
    let (status, html) = answer(create(&browser, &[]).await).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(html.contains("This organization is suspended"), "{html}");
    assert_eq!(count(&browser).await, 2);
}

async fn the_cap_holds_against_fifty_at_once(db: TestDatabase) {
    let server = Server::start(db).await;
    plant_keys(&server, 197).await;
    let browser = admin(&server).await;
    let html = read(&browser, &list_path(&server)).await;
    assert!(html.contains("199 of 200 active keys"));
    let csrf = hidden(&html, "csrf").expect("a token");
    let statuses = at_once(
        &browser,
        &list_path(&server),
        &fields(&server, &[("csrf", &csrf)]),
        50,
    )
    .await;
    let created = statuses
        .iter()
        .filter(|status| **status == StatusCode::OK)
        .count();
    let refused = statuses
        .iter()
        .filter(|status| **status == StatusCode::UNPROCESSABLE_ENTITY)
        .count();
    assert_eq!((created, refused), (1, 49), "{statuses:?}");
    let html = read(&browser, &list_path(&server)).await;
    assert!(html.contains("200 of 200 active keys"));
    assert_eq!(html.matches("role=\"rowheader\"").count(), 100);
    let html_of_list = html.clone();
    let start = html
        .find(&format!("{}?environment=&", list_path(&server)))
        .expect("a second page");
    let href = html[start..]
        .split('"')
        .next()
        .expect("its address")
        .replace("&#38;", "&")
        .replace("&amp;", "&");
    assert_eq!(
        read(&browser, &href)
            .await
            .matches("role=\"rowheader\"")
            .count(),
        100
    );
    let (_, html) = answer(create(&browser, &[]).await).await;
    assert!(html.contains("limit of 200 active API keys"), "{html}");
    let revoke = format!(
        "{}/{}/revoke",
        list_path(&server),
        linked(&html_of_list, "api-keys", "revoke")
    );
    browser.submit(&revoke, &revoke, &[]).await;
    create_and_copy(&browser, &[]).await;
}

/// Keys of the admin, made by the rule behind the form.
async fn plant_keys(server: &Server, count: usize) {
    let (app, creator) = (server.app.clone(), people::admin(server).await.id);
    let (organization, workspace) = (server.planted.organization, server.planted.workspace);
    let insert = move |desk: &mut Desk| {
        for number in 0..count {
            let new = NewApiKey {
                owner: None,
                name: format!("Planted {number}"),
                description: String::new(),
                environment: Environment::Sandbox,
                reach: Reach::Workspaces(vec![workspace]),
                permission_level: PermissionLevel::ReadOnly,
                expiry: Expiry::Never,
                self_rotation: false,
                secret: Some(Minted {
                    public_id: format!("{number:012}"),
                    digest: app.digester.digest(Purpose::ApiKey, &number.to_string()),
                }),
            };
            api_keys::create(desk, &new)?;
        }
        Ok(())
    };
    people::at_desk(server, organization, Asker::person(creator), insert)
        .await
        .expect("planted");
}

async fn a_workspace_admin_makes_keys_for_their_workspace_only(db: TestDatabase) {
    let server = Server::start(db).await;
    people::member(&server, WORKSPACE_ADMIN, Some("admin")).await;
    let not_theirs = tenants::workspace(&server, "Human resources").await;
    let (_, foreign) = people::other_organization(&server, ProductionAccess::Approved).await;
    let browser = people::browser(&server, WORKSPACE_ADMIN).await;
    let form = read(&browser, &format!("{}/new", list_path(&server))).await;
    assert!(
        !form.contains("Whole organization") && !form.contains("Human resources"),
        "{form}"
    );
    let applications = format!("{}/applications", server.planted.organization);
    assert!(
        !form.contains(&applications),
        "no link to what is not theirs"
    );
    let unknown = WorkspaceId::generate(server.clock.now());
    for changes in [
        &[("scope", "organization")][..],
        &[
            ("scope", "organization"),
            ("organization_operations", "true"),
        ],
        &[("workspace", not_theirs.as_str())],
        &[("workspace", foreign.as_str())],
        &[("workspace", unknown.as_str())],
        &[("workspace", "ws_nonsense")],
        &[
            ("workspace", server.planted.workspace.as_str()),
            ("workspace", foreign.as_str()),
        ],
    ] {
        assert_eq!(
            create(&browser, changes).await.status(),
            StatusCode::UNPROCESSABLE_ENTITY,
            "{changes:?}"
        );
    }
    assert_eq!(count(&admin(&server).await).await, 2, "nothing was created");
    let key = create_and_copy(&browser, &[]).await;
    assert_eq!(code(&server, &key).await, "valid");
}

async fn a_workspace_admin_neither_sees_nor_revokes_other_keys(db: TestDatabase) {
    let server = Server::start(db).await;
    people::member(&server, WORKSPACE_ADMIN, Some("admin")).await;
    let second = tenants::workspace(&server, "Human resources").await;
    let owner = admin(&server).await;
    let wide = create_and_copy(&owner, &[("name", "Wide"), ("scope", "organization")]).await;
    let second = [
        ("name", "Both"),
        ("workspace", server.planted.workspace.as_str()),
        ("workspace", second.as_str()),
    ];
    let both = create_and_copy(&owner, &second).await;
    let browser = people::browser(&server, WORKSPACE_ADMIN).await;
    let html = read(&browser, &list_path(&server)).await;
    assert!(
        !html.contains("Wide") && !html.contains("Both") && html.contains("Quickstart (Sandbox)"),
        "{html}"
    );
    let csrf = hidden(&html, "csrf").expect("a token");
    for name in ["Wide", "Both"] {
        let revoke = format!(
            "{}/{}/revoke",
            list_path(&server),
            id_of(&owner, name).await
        );
        assert_eq!(browser.get(&revoke).await.status(), StatusCode::NOT_FOUND);
        assert_eq!(
            post(&browser, &revoke, format!("csrf={csrf}"))
                .await
                .status(),
            StatusCode::NOT_FOUND
        );
    }
    assert_eq!(
        (code(&server, &wide).await, code(&server, &both).await),
        (json!("valid"), json!("valid"))
    );
}

async fn a_member_is_not_let_in(db: TestDatabase) {
    let server = Server::start(db).await;
    people::member(&server, MEMBER, Some("manager")).await;
    let key = id_of(&admin(&server).await, "Quickstart (Sandbox)").await;
    let browser = people::browser(&server, MEMBER).await;
    let list = list_path(&server);
    for path in [
        list.clone(),
        format!("{list}/new"),
        format!("{list}/{key}/revoke"),
    ] {
        let (status, html) = answer(browser.get(&path).await).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{path}");
        assert!(
            html.contains(MEMBER) && html.contains("Sign out"),
            "the page knows who reads it: {html}"
        );
    }
    let csrf = csrf(&browser, "/dev-centre").await;
    let mut form = fields(&server, &[]);
    form.push(("csrf", &csrf));
    for path in [list.clone(), format!("{list}/{key}/revoke")] {
        let request = browser.client.post(server.url(&path)).form(&form);
        assert_eq!(
            request.send().await.expect("an answer").status(),
            StatusCode::FORBIDDEN,
            "{path}"
        );
    }
    assert_eq!(code(&server, &server.secrets.sandbox_key).await, "valid");
    assert_eq!(count(&admin(&server).await).await, 2);
}

async fn what_belongs_to_others_is_not_found(db: TestDatabase) {
    let server = Server::start(db).await;
    let (organization, workspace) =
        people::other_organization(&server, ProductionAccess::Approved).await;
    let key = id_of(&admin(&server).await, "Quickstart (Sandbox)").await;
    let browser = people::browser(&server, OTHER_OWNER).await;
    let own = format!("/dev-centre/{organization}/api-keys");
    let csrf = csrf(&browser, &own).await;
    let (unknown_key, unknown) = (
        ApiKeyId::generate(server.clock.now()),
        OrganizationId::generate(server.clock.now()),
    );
    let foreign = list_path(&server);
    // their key by our path, by theirs, ids of nobody, and no ids at all
    for path in [
        format!("{own}/{key}/revoke"),
        format!("{foreign}/{key}/revoke"),
        format!("{own}/{unknown_key}/revoke"),
        format!("{own}/nonsense/revoke"),
        format!("/dev-centre/{unknown}/api-keys/{key}/revoke"),
        format!("/dev-centre/{key}/api-keys/{key}/revoke"),
    ] {
        assert_eq!(
            browser.get(&path).await.status(),
            StatusCode::NOT_FOUND,
            "{path}"
        );
        assert_eq!(
            post(&browser, &path, format!("csrf={csrf}")).await.status(),
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
    for path in [
        foreign.clone(),
        format!("{foreign}/new"),
        format!("/dev-centre/{unknown}/api-keys"),
        "/dev-centre/x/api-keys".to_owned(),
    ] {
        assert_eq!(
            browser.get(&path).await.status(),
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
    let mut form = fields(&server, &[("workspace", workspace.as_str())]);
    form.push(("csrf", &csrf));
    let request = browser.client.post(server.url(&foreign)).form(&form);
    assert_eq!(
        request.send().await.expect("an answer").status(),
        StatusCode::NOT_FOUND
    );
    assert_eq!(code(&server, &server.secrets.sandbox_key).await, "valid");
}

async fn a_hostile_name_is_text_or_refused(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = admin(&server).await;
    for (name, escaped) in [
        (
            "<script>alert(1)</script>",
            "&#60;script&#62;alert(1)&#60;/script&#62;",
        ),
        ("\"><img src=x onerror=alert(1)>", "&#34;&#62;&#60;img"),
        ("{{ 7 * 7 }} ' OR 1=1; --", "{{ 7 * 7 }} &#39; OR 1=1; --"),
        ("מפתח עברי", "מפתח עברי"),
        ("👩‍🚀 café", "👩"),
    ] {
        let (status, html) =
            answer(create(&browser, &[("name", name), ("description", name)]).await).await;
        if name.contains('\u{200d}') {
            // a zero-width joiner could also hide inside a word
            assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{name}");
            continue;
        }
        assert_eq!(status, StatusCode::OK, "{name}");
        for page in [html, read(&browser, &list_path(&server)).await] {
            assert!(
                page.contains(escaped) && !page.contains("<script") && !page.contains("<img src=x"),
                "{name}: {page}"
            );
        }
    }
    let long = "x".repeat(10_000);
    for name in [
        "",
        "   ",
        &long,
        &"x".repeat(101),
        "a\u{202e}b",
        "a\u{200b}b",
        "a\nb",
        "a\u{7}b",
    ] {
        let (status, html) = answer(create(&browser, &[("name", name)]).await).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{name:?}");
        assert!(html.contains("id=\"name-error\""), "{html}");
    }
    let (status, html) = answer(create(&browser, &[("description", &long)]).await).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        html.contains("Description must be at most 500 characters."),
        "{html}"
    );
    assert_eq!(count(&browser).await, 2 + 4);
}

async fn a_broken_form_creates_nothing(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = admin(&server).await;
    let list = list_path(&server);
    let csrf = csrf(&browser, &list).await;
    let workspace = server.planted.workspace;
    let valid = format!(
        "csrf={csrf}&environment=sandbox&scope=workspaces&workspace={workspace}&permission_level=full&expiry=never"
    );
    for (body, status) in [
        (format!("{valid}&name=a&name=b"), StatusCode::BAD_REQUEST),
        (
            format!("{valid}&name=a&environment=production"),
            StatusCode::BAD_REQUEST,
        ),
        (
            format!("{valid}&name=a&permission_level=read_only"),
            StatusCode::BAD_REQUEST,
        ),
        (
            format!("{valid}&name=a&csrf={csrf}"),
            StatusCode::BAD_REQUEST,
        ),
        (format!("{valid}&name=a%00b"), StatusCode::BAD_REQUEST),
        (format!("{valid}&name=%ff"), StatusCode::BAD_REQUEST),
        (
            format!("{valid}&name=a{}", "&x=".repeat(600)),
            StatusCode::BAD_REQUEST,
        ),
        (
            format!("{valid}&name={}", "x".repeat(70_000)),
            StatusCode::PAYLOAD_TOO_LARGE,
        ),
        (
            format!("csrf={csrf}&name=a"),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
    ] {
        assert_eq!(post(&browser, &list, body).await.status(), status);
    }
    let json = browser
        .client
        .post(server.url(&list))
        .json(&json!({"csrf": csrf, "name": "a"}))
        .send()
        .await
        .expect("an answer");
    assert_eq!(json.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let delete = browser
        .client
        .delete(server.url(&list))
        .send()
        .await
        .expect("an answer");
    assert_eq!(
        (delete.status(), delete.headers()["allow"].as_bytes()),
        (StatusCode::METHOD_NOT_ALLOWED, &b"GET, POST"[..])
    );
    assert_eq!(count(&browser).await, 2);
    // the same workspace twice is one workspace
    let (status, _) = answer(
        post(
            &browser,
            &list,
            format!("{valid}&name=a&workspace={workspace}"),
        )
        .await,
    )
    .await;
    assert_eq!(status, StatusCode::OK);
}

async fn a_form_needs_its_own_token(db: TestDatabase) {
    let server = Server::start(db).await;
    let (browser, other) = (admin(&server).await, admin(&server).await);
    let list = list_path(&server);
    let foreign = csrf(&other, &list).await;
    let revoke = format!(
        "{list}/{}/revoke",
        id_of(&browser, "Quickstart (Sandbox)").await
    );
    for token in ["", "nonsense", &foreign] {
        let mut form = fields(&server, &[]);
        form.push(("csrf", token));
        for path in [&list, &revoke] {
            let request = browser.client.post(server.url(path)).form(&form);
            assert_eq!(
                request.send().await.expect("an answer").status(),
                StatusCode::FORBIDDEN,
                "{path} {token}"
            );
        }
    }
    assert_eq!(count(&browser).await, 2);
    assert_eq!(code(&server, &server.secrets.sandbox_key).await, "valid");
}
