//! `/dev-centre/{organization}/applications…`.

use countersign::types::id::{ApplicationId, OrganizationId};
use countersign::types::state::{OrganizationState, ProductionAccess};
use reqwest::{Response, StatusCode};

use super::{MEMBER, WORKSPACE_ADMIN, admin, answer, at_once, csrf, post, read};
use crate::databases::{TestDatabase, both_databases};
use crate::people::{self, OTHER_OWNER};
use crate::server::{Browser, Server, hidden, location};

both_databases!(
    a_client_secret_is_shown_once_and_works,
    a_public_application_has_no_secret,
    a_page_shows_what_an_application_may_do,
    deleting_asks_first_and_ends_its_tokens_at_once,
    deleting_what_is_deleted_is_a_success,
    deleting_ten_times_at_once_is_a_success_each_time,
    production_stays_locked_until_it_is_approved,
    a_suspended_organization_gets_no_new_application,
    the_cap_holds_against_ten_at_once,
    only_organization_admins_are_let_in,
    what_belongs_to_others_is_not_found,
    a_redirect_uri_that_could_be_abused_is_refused_by_line,
    a_form_that_asks_for_what_there_is_not_is_refused,
    a_hostile_name_is_text_or_refused,
    a_broken_form_creates_nothing,
);

pub(super) fn list_path(server: &Server) -> String {
    format!("/dev-centre/{}/applications", server.planted.organization)
}

/// A valid form, but for what `changes` say.
pub(super) fn fields<'f>(changes: &[(&'f str, &'f str)]) -> Vec<(&'f str, &'f str)> {
    let mut fields = vec![
        ("name", "Shop"),
        ("environment", "sandbox"),
        ("client_type", "confidential"),
        ("redirect_uris", "https://shop.example/cb"),
        ("scope", "read"),
        ("access_token_format", "jwt"),
        ("role", "viewer"),
        ("grant", "authorization_code"),
        ("grant", "refresh_token"),
        ("grant", "client_credentials"),
    ];
    fields.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    fields.extend(changes);
    fields
}

async fn create(browser: &Browser<'_>, changes: &[(&str, &str)]) -> Response {
    let list = list_path(browser.server);
    browser
        .submit(&format!("{list}/new"), &list, &fields(changes))
        .await
}

/// What the page after creation shows once.
pub(super) struct Created {
    pub client_id: String,
    pub client_secret: Option<String>,
}

pub(super) async fn created(browser: &Browser<'_>, changes: &[(&str, &str)]) -> Created {
    let response = create(browser, changes).await;
    assert_eq!(response.headers()["cache-control"], "no-store");
    let (status, html) = answer(response).await;
    assert_eq!(status, StatusCode::OK, "{html}");
    Created::read(&html)
}

impl Created {
    pub fn read(html: &str) -> Self {
        let value = |id: &str| {
            let tag = html.split(&format!("id=\"{id}\" value=\"")).nth(1)?;
            tag.split('"').next().map(str::to_owned)
        };
        Self {
            client_id: value("client_id").expect("a client id"),
            client_secret: value("client_secret"),
        }
    }
}

pub(super) async fn token(server: &Server, created: &Created) -> (StatusCode, serde_json::Value) {
    let request = server
        .post("/oauth2/token")
        .basic_auth(&created.client_id, created.client_secret.as_ref());
    crate::server::json(
        request
            .form(&[("grant_type", "client_credentials")])
            .send()
            .await
            .expect("an answer"),
    )
    .await
}

/// How many there are; that of quickstart among them.
async fn count(browser: &Browser<'_>) -> usize {
    read(browser, &list_path(browser.server))
        .await
        .matches("role=\"rowheader\"")
        .count()
}

async fn a_client_secret_is_shown_once_and_works(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = admin(&server).await;
    let created = created(&browser, &[]).await;
    let secret = created.client_secret.clone().expect("a secret");
    assert!(secret.starts_with("cs_cs_"), "{secret}");
    let (status, body) = token(&server, &created).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let page = format!("{}/{}", list_path(&server), created.client_id);
    for path in [list_path(&server), page.clone(), format!("{page}/delete")] {
        let html = read(&browser, &path).await;
        assert!(
            html.contains(&created.client_id) && !html.contains(&secret),
            "{path}"
        );
    }
    assert!(
        !server
            .database
            .everything_in("application_secrets")
            .contains(&secret)
    );
}

async fn a_public_application_has_no_secret(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = admin(&server).await;
    let created = created(
        &browser,
        &[
            ("client_type", "public"),
            ("redirect_uris", "com.shop.app:/cb"),
        ],
    )
    .await;
    assert_eq!(created.client_secret, None);
    let (status, body) = token(&server, &created).await;
    assert_ne!(status, StatusCode::OK, "{body}");
    let (status, html) = answer(
        create(
            &browser,
            &[("client_type", "public"), ("redirect_uris", "")],
        )
        .await,
    )
    .await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        html.contains("A public application needs at least one redirect URI."),
        "{html}"
    );
}

async fn a_page_shows_what_an_application_may_do(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = admin(&server).await;
    let uris = "https://shop.example/cb\r\nhttp://127.0.0.1/cb";
    let created = created(
        &browser,
        &[
            ("redirect_uris", uris),
            ("scope", "read"),
            ("scope", "write"),
            ("access_token_format", "opaque"),
        ],
    )
    .await;
    let html = read(
        &browser,
        &format!("{}/{}", list_path(&server), created.client_id),
    )
    .await;
    for part in [
        "https://shop.example/cb",
        "http://127.0.0.1/cb",
        "Opaque",
        "viewer",
        "Ada Admin",
        "20 Nov 2026",
        "/oauth2/token",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    assert!(html.contains(&server.url("/oauth2/authorize")), "{html}");
}

async fn deleting_asks_first_and_ends_its_tokens_at_once(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = admin(&server).await;
    let created = created(&browser, &[]).await;
    let (_, body) = token(&server, &created).await;
    let access_token = body["access_token"].as_str().expect("a token");
    assert_eq!(server.introspect(access_token).await["active"], true);
    let delete = format!("{}/{}/delete", list_path(&server), created.client_id);
    assert!(
        read(&browser, &delete)
            .await
            .contains("Delete <bdi>Shop</bdi>?")
    );
    assert_eq!(
        server.introspect(access_token).await["active"],
        true,
        "looking changes nothing"
    );
    let response = browser.submit(&delete, &delete, &[]).await;
    assert_eq!(
        (response.status(), location(response.headers())),
        (StatusCode::SEE_OTHER, list_path(&server))
    );
    assert_eq!(server.introspect(access_token).await["active"], false);
    assert_eq!(token(&server, &created).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(browser.get(&delete).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(count(&browser).await, 1);
}

async fn deleting_what_is_deleted_is_a_success(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = admin(&server).await;
    let created = created(&browser, &[]).await;
    let delete = format!("{}/{}/delete", list_path(&server), created.client_id);
    let csrf = csrf(&browser, &delete).await;
    for _ in 0..2 {
        let response = post(&browser, &delete, format!("csrf={csrf}")).await;
        assert_eq!(
            (response.status(), location(response.headers())),
            (StatusCode::SEE_OTHER, list_path(&server))
        );
    }
}

async fn deleting_ten_times_at_once_is_a_success_each_time(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = admin(&server).await;
    for _ in 0..3 {
        let created = created(&browser, &[]).await;
        let delete = format!("{}/{}/delete", list_path(&server), created.client_id);
        let csrf = csrf(&browser, &delete).await;
        assert_eq!(
            at_once(&browser, &delete, &[("csrf", &csrf)], 10).await,
            [StatusCode::SEE_OTHER; 10]
        );
    }
}

async fn production_stays_locked_until_it_is_approved(db: TestDatabase) {
    let server = Server::start(db).await;
    let (organization, _) = people::other_organization(&server, ProductionAccess::Withdrawn).await;
    let browser = people::browser(&server, OTHER_OWNER).await;
    let list = format!("/dev-centre/{organization}/applications");
    let form = read(&browser, &format!("{list}/new?environment=production")).await;
    assert!(
        form.contains("value=\"production\" disabled")
            && form.contains("value=\"sandbox\" checked"),
        "{form}"
    );
    let (status, html) = answer(
        browser
            .submit(
                &format!("{list}/new"),
                &list,
                &fields(&[("environment", "production")]),
            )
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
    created(&admin(&server).await, &[("environment", "production")]).await;
}

async fn a_suspended_organization_gets_no_new_application(db: TestDatabase) {
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
    assert_eq!(count(&browser).await, 1);
}

async fn the_cap_holds_against_ten_at_once(db: TestDatabase) {
    let server = Server::start_with(db, |config| {
        config.keys.max_applications_per_organization = 3
    })
    .await;
    let browser = admin(&server).await;
    let csrf = csrf(&browser, &list_path(&server)).await;
    let statuses = at_once(
        &browser,
        &list_path(&server),
        &fields(&[("csrf", &csrf)]),
        10,
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
    assert_eq!((created, refused), (2, 8), "{statuses:?}");
    assert_eq!(count(&browser).await, 3);
}

async fn only_organization_admins_are_let_in(db: TestDatabase) {
    let server = Server::start(db).await;
    people::member(&server, MEMBER, Some("viewer")).await;
    people::member(&server, WORKSPACE_ADMIN, Some("admin")).await;
    let (list, own) = (list_path(&server), server.planted.application);
    for (email, page) in [
        (MEMBER, "/dev-centre".to_owned()),
        (
            WORKSPACE_ADMIN,
            format!("/dev-centre/{}/api-keys", server.planted.organization),
        ),
    ] {
        let browser = people::browser(&server, email).await;
        for path in [
            list.clone(),
            format!("{list}/new"),
            format!("{list}/{own}"),
            format!("{list}/{own}/delete"),
        ] {
            let (status, html) = answer(browser.get(&path).await).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{email} {path}");
            assert!(
                html.contains(email) && html.contains("Only owners and admins"),
                "{html}"
            );
        }
        let csrf = csrf(&browser, &page).await;
        let form = fields(&[("csrf", &csrf)]);
        for path in [list.clone(), format!("{list}/{own}/delete")] {
            let request = browser.client.post(server.url(&path)).form(&form);
            assert_eq!(
                request.send().await.expect("an answer").status(),
                StatusCode::FORBIDDEN,
                "{email} {path}"
            );
        }
        let html = read(&browser, &page).await;
        assert!(
            !html.contains(&list),
            "no link to what would be refused: {html}"
        );
    }
    assert_eq!(count(&admin(&server).await).await, 1);
}

async fn what_belongs_to_others_is_not_found(db: TestDatabase) {
    let server = Server::start(db).await;
    let (organization, _) = people::other_organization(&server, ProductionAccess::Approved).await;
    let browser = people::browser(&server, OTHER_OWNER).await;
    let (own, foreign, theirs) = (
        format!("/dev-centre/{organization}/applications"),
        list_path(&server),
        server.planted.application,
    );
    let (unknown, nowhere) = (
        ApplicationId::generate(server.clock.now()),
        OrganizationId::generate(server.clock.now()),
    );
    let csrf = csrf(&browser, &own).await;
    for page in [
        format!("{own}/{theirs}"),
        format!("{foreign}/{theirs}"),
        format!("{own}/{unknown}"),
        format!("{own}/nonsense"),
        format!("/dev-centre/{nowhere}/applications/{theirs}"),
    ] {
        let delete = format!("{page}/delete");
        assert_eq!(
            browser.get(&page).await.status(),
            StatusCode::NOT_FOUND,
            "{page}"
        );
        assert_eq!(
            browser.get(&delete).await.status(),
            StatusCode::NOT_FOUND,
            "{delete}"
        );
        assert_eq!(
            post(&browser, &delete, format!("csrf={csrf}"))
                .await
                .status(),
            StatusCode::NOT_FOUND,
            "{delete}"
        );
    }
    for path in [
        &foreign,
        &format!("{foreign}/new"),
        "/dev-centre/x/applications",
    ] {
        assert_eq!(
            browser.get(path).await.status(),
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
    let request = browser
        .client
        .post(server.url(&foreign))
        .form(&fields(&[("csrf", &csrf)]));
    assert_eq!(
        request.send().await.expect("an answer").status(),
        StatusCode::NOT_FOUND
    );
    assert_eq!(count(&admin(&server).await).await, 1);
}

async fn a_redirect_uri_that_could_be_abused_is_refused_by_line(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = admin(&server).await;
    for uri in [
        "javascript:alert(1)",
        "data:text/html,x",
        "http://shop.example/cb",
        "https://shop.example/cb#x",
        "https://ada@shop.example/cb",
        "https://*.shop.example/cb",
        "https://shop.example;script-src/cb",
        "https://shop.example,evil.example/cb",
        "//shop.example/cb",
        "myapp:/cb",
        "https://shop.example/\u{202e}cb",
        &format!("https://shop.example/{}", "x".repeat(2_000)),
    ] {
        let lines = format!("https://shop.example/ok\r\n{uri}");
        let (status, html) = answer(create(&browser, &[("redirect_uris", &lines)]).await).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{uri}");
        assert!(html.contains("Redirect URI in line 2"), "{uri}: {html}");
    }
    let many: String = (0..21)
        .map(|number| format!("https://shop.example/{number}\r\n"))
        .collect();
    let (status, html) = answer(create(&browser, &[("redirect_uris", &many)]).await).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(html.contains("At most 20 redirect URIs."), "{html}");
    assert_eq!(count(&browser).await, 1);
}

async fn a_form_that_asks_for_what_there_is_not_is_refused(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = admin(&server).await;
    for (field, value) in [
        ("scope", "everything"),
        ("scope", ""),
        ("role", "owner"),
        ("role", ""),
        ("environment", "live"),
        ("client_type", "secret"),
        ("access_token_format", "xml"),
        ("refresh_idle", "0"),
        ("refresh_idle", "1000000000"),
        ("refresh_absolute", "-1"),
        ("refresh_absolute", "99999999999999999999 days"),
    ] {
        let (status, html) = answer(create(&browser, &[(field, value)]).await).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{field}={value}");
        assert!(
            html.contains(&format!("href=\"#{field}\"")),
            "{field}={value}: {html}"
        );
    }
    for grant in [
        "password",
        "implicit",
        "",
        "refresh_token",
        "Authorization_Code",
    ] {
        let (status, html) = answer(create(&browser, &[("grant", grant)]).await).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "grant={grant}");
        assert!(html.contains("href=\"#grants\""), "grant={grant}: {html}");
    }
    assert_eq!(count(&browser).await, 1);
}

async fn a_hostile_name_is_text_or_refused(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = admin(&server).await;
    let created = created(&browser, &[("name", "<script>alert(1)</script>")]).await;
    let page = format!("{}/{}", list_path(&server), created.client_id);
    for path in [list_path(&server), page.clone(), format!("{page}/delete")] {
        let html = read(&browser, &path).await;
        assert!(
            html.contains("&#60;script&#62;alert(1)") && !html.contains("<script"),
            "{path}: {html}"
        );
    }
    for name in ["", "a\u{202e}b", &"x".repeat(10_000)] {
        assert_eq!(
            create(&browser, &[("name", name)]).await.status(),
            StatusCode::UNPROCESSABLE_ENTITY,
            "{name:?}"
        );
    }
    assert_eq!(count(&browser).await, 2);
}

async fn a_broken_form_creates_nothing(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = admin(&server).await;
    let list = list_path(&server);
    let csrf = csrf(&browser, &list).await;
    let valid = format!(
        "csrf={csrf}&environment=sandbox&client_type=confidential&access_token_format=jwt&scope=read&role=viewer&grant=client_credentials"
    );
    for (body, status) in [
        (format!("{valid}&name=a&name=b"), StatusCode::BAD_REQUEST),
        (
            format!("{valid}&name=a&client_type=public"),
            StatusCode::BAD_REQUEST,
        ),
        (
            format!("{valid}&name=a&refresh_idle=1&refresh_idle=2"),
            StatusCode::BAD_REQUEST,
        ),
        (
            format!("{valid}&name=a&keep_refresh_token=true&keep_refresh_token=false"),
            StatusCode::BAD_REQUEST,
        ),
        (format!("{valid}&name=a%00"), StatusCode::BAD_REQUEST),
        (
            format!("{valid}&name=a&redirect_uris={}", "x".repeat(70_000)),
            StatusCode::PAYLOAD_TOO_LARGE,
        ),
        (valid.replace(&csrf, "nonsense"), StatusCode::FORBIDDEN),
        (valid.replace(&csrf, ""), StatusCode::FORBIDDEN),
    ] {
        assert_eq!(post(&browser, &list, body).await.status(), status);
    }
    let multipart = browser
        .client
        .post(server.url(&list))
        .header("content-type", "multipart/form-data; boundary=x")
        .body("--x--");
    assert_eq!(
        multipart.send().await.expect("an answer").status(),
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    );
    assert_eq!(count(&browser).await, 1);
    assert!(hidden(&read(&browser, &list).await, "csrf").is_some());
}
