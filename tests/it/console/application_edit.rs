//! `/dev-centre/{organization}/applications/{id}/edit`: what a change means for what is live.

use countersign::types::id::ApplicationId;
use countersign::types::state::OrganizationState;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use super::applications::{Created, created, list_path, token};
use super::{MEMBER, admin, answer, csrf, post, read};
use crate::databases::{TestDatabase, both_databases};
use crate::people::{self, OTHER_OWNER};
use crate::server::{Browser, REDIRECT_URI, Server, authorize_path, hidden, location};

both_databases!(
    a_change_is_shown_and_told_in_one_event,
    saving_what_is_there_changes_nothing,
    scopes_narrow_live_tokens_at_once_and_widen_again,
    a_redirect_uri_that_is_taken_away_gets_no_more_codes,
    a_grant_that_is_taken_away_stops_and_can_come_back,
    the_role_of_the_service_account_changes_everywhere,
    a_refresh_policy_is_kept_as_it_was_typed,
    another_name_or_host_ends_the_verification,
    what_never_changes_is_refused,
    a_form_that_asks_for_what_there_is_not_changes_nothing,
    a_suspended_organization_changes_nothing,
    only_its_own_admins_change_it,
    ten_changes_at_once_leave_one_of_them_whole,
);

/// The form of [`created`]'s application, but for what `changes` say; a field without a value is left out.
fn fields<'f>(changes: &[(&'f str, &'f str)]) -> Vec<(&'f str, &'f str)> {
    let mut fields = super::applications::fields(changes);
    fields.retain(|(name, value)| {
        !["environment", "client_type", "access_token_format"].contains(name) && *value != "-"
    });
    fields
}

fn page(server: &Server, id: &str) -> String {
    format!("{}/{id}", list_path(server))
}

async fn edit(browser: &Browser<'_>, id: &str, changes: &[(&str, &str)]) -> Response {
    let edit = format!("{}/edit", page(browser.server, id));
    browser.submit(&edit, &edit, &fields(changes)).await
}

async fn edited(browser: &Browser<'_>, id: &str, changes: &[(&str, &str)]) {
    let response = edit(browser, id, changes).await;
    let target = (
        response.status(),
        response
            .headers()
            .get("location")
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned),
    );
    assert_eq!(
        target,
        (StatusCode::SEE_OTHER, Some(page(browser.server, id))),
        "{}",
        response.text().await.unwrap_or_default()
    );
}

fn events(server: &Server) -> i64 {
    server.database.count_events("application.changed")
}

fn access_token(body: &Value) -> String {
    body["access_token"].as_str().expect("a token").to_owned()
}

async fn a_change_is_shown_and_told_in_one_event(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = admin(&server).await;
    let created = created(&browser, &[]).await;
    let changes = [
        ("name", "Store"),
        (
            "redirect_uris",
            "https://store.example/cb\r\nhttps://shop.example/cb",
        ),
        ("scope", "write"),
    ];
    edited(&browser, &created.client_id, &changes).await;
    let html = read(&browser, &page(&server, &created.client_id)).await;
    for part in [
        "Store",
        "https://store.example/cb",
        "https://shop.example/cb",
        "<code><bdi>write</bdi></code>",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    assert!(!html.contains("<code><bdi>read</bdi></code>"), "{html}");
    let all = server.database.everything_in("audit_events");
    assert!(all.contains("name redirect_uris scopes"), "{all}");
    assert_eq!(events(&server), 1);
    let form = read(
        &browser,
        &format!("{}/edit", page(&server, &created.client_id)),
    )
    .await;
    assert!(
        form.contains("value=\"Store\"")
            && form.contains("https://shop.example/cb\nhttps://store.example/cb"),
        "{form}"
    );
}

async fn saving_what_is_there_changes_nothing(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = admin(&server).await;
    let created = created(&browser, &[]).await;
    edited(&browser, &created.client_id, &[]).await;
    assert_eq!(events(&server), 0);
}

async fn scopes_narrow_live_tokens_at_once_and_widen_again(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = admin(&server).await;
    let created = created(
        &browser,
        &[("scope", "read"), ("scope", "write"), ("role", "admin")],
    )
    .await;
    let request = server
        .post("/oauth2/token")
        .basic_auth(&created.client_id, created.client_secret.as_ref());
    let form = [
        ("grant_type", "client_credentials"),
        ("scope", "read write"),
    ];
    let (_, body) = crate::server::json(request.form(&form).send().await.expect("an answer")).await;
    let token = access_token(&body);
    let code = async || {
        server
            .verify(json!({"credential": token, "permission": "documents:write"}))
            .await["code"]
            .clone()
    };
    assert_eq!(code().await, "valid");
    edited(
        &browser,
        &created.client_id,
        &[("scope", "read"), ("role", "admin")],
    )
    .await;
    assert_eq!(code().await, "forbidden");
    edited(
        &browser,
        &created.client_id,
        &[("scope", "read"), ("scope", "write"), ("role", "admin")],
    )
    .await;
    assert_eq!(code().await, "valid");
    // what it may do as itself follows: a scope that it never had before
    edited(
        &browser,
        &created.client_id,
        &[("scope", "read"), ("scope", "webhooks"), ("role", "admin")],
    )
    .await;
    let request = server
        .post("/oauth2/token")
        .basic_auth(&created.client_id, created.client_secret.as_ref());
    let form = [("grant_type", "client_credentials"), ("scope", "webhooks")];
    let (status, body) =
        crate::server::json(request.form(&form).send().await.expect("an answer")).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let permissions = server
        .app
        .settings
        .catalogue
        .granted_by(&"webhooks".parse().expect("a scope"));
    let permission = server.app.settings.catalogue.names(permissions)[0].to_owned();
    let answer = server
        .verify(json!({"credential": access_token(&body), "permission": permission}))
        .await;
    assert_eq!(answer["code"], "valid", "{answer}");
}

async fn a_redirect_uri_that_is_taken_away_gets_no_more_codes(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = admin(&server).await;
    let created = created(&browser, &[("redirect_uris", REDIRECT_URI)]).await;
    let path = authorize_path(&created.client_id, REDIRECT_URI, "read");
    let waiting = read(&browser, &path).await;
    edited(&browser, &created.client_id, &[]).await;
    assert_eq!(browser.get(&path).await.status(), StatusCode::BAD_REQUEST);
    // nor does a page that was open already send one
    let (csrf, request) = (
        hidden(&waiting, "csrf").expect("a token"),
        hidden(&waiting, "request").expect("a request"),
    );
    let (organization, workspace) = (server.planted.organization, server.planted.workspace);
    let form = format!(
        "csrf={csrf}&request={request}&organization={organization}&workspace={workspace}&decision=allow"
    );
    assert_eq!(
        post(&browser, "/oauth2/authorize", form).await.status(),
        StatusCode::BAD_REQUEST
    );
}

async fn a_grant_that_is_taken_away_stops_and_can_come_back(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = admin(&server).await;
    let created = created(&browser, &[]).await;
    let (_, body) = token(&server, &created).await;
    assert_eq!(
        server.introspect(&access_token(&body)).await["active"],
        true
    );
    edited(
        &browser,
        &created.client_id,
        &[("grant", "authorization_code")],
    )
    .await;
    assert_eq!(
        server.introspect(&access_token(&body)).await["active"],
        false,
        "it acts as itself no more"
    );
    let (status, refused) = token(&server, &created).await;
    assert_eq!(
        (status, &refused["error"]),
        (StatusCode::BAD_REQUEST, &"unauthorized_client".into())
    );
    assert!(
        !read(&browser, &page(&server, &created.client_id))
            .await
            .contains("Its own role")
    );
    edited(
        &browser,
        &created.client_id,
        &[("grant", "client_credentials")],
    )
    .await;
    assert_eq!(token(&server, &created).await.0, StatusCode::OK);
    // RFC 6749 §4.1.2.1
    let path = authorize_path(&created.client_id, "https://shop.example/cb", "read");
    assert!(location(browser.get(&path).await.headers()).contains("error=unauthorized_client"));
    // one that was made without gets its service account with the grant
    let later =
        super::applications::created(&browser, &[("grant", "authorization_code"), ("role", "")])
            .await;
    assert_eq!(token(&server, &later).await.0, StatusCode::BAD_REQUEST);
    edited(&browser, &later.client_id, &[]).await;
    let (status, body) = token(&server, &later).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(
        server
            .verify(json!({"credential": access_token(&body), "permission": "documents:read"}))
            .await["code"],
        "valid"
    );
}

async fn the_role_of_the_service_account_changes_everywhere(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = admin(&server).await;
    let organization = server.planted.organization;
    let created = created(&browser, &[("scope", "write")]).await;
    // a workspace that came later
    let later = server
        .write(move |tx| {
            countersign::domain::people::accounts::create_workspace(tx, organization, "Legal")
        })
        .await
        .id;
    let (_, body) = token(&server, &created).await;
    let ask = async |workspace: &str| {
        server.verify(json!({"credential": access_token(&body), "permission": "documents:write", "workspace": workspace})).await["code"].clone()
    };
    let planted = server.planted.workspace;
    assert_eq!(
        (ask(planted.as_str()).await, ask(later.as_str()).await),
        (json!("forbidden"), json!("forbidden"))
    );
    edited(
        &browser,
        &created.client_id,
        &[("scope", "write"), ("role", "admin")],
    )
    .await;
    assert_eq!(
        (ask(planted.as_str()).await, ask(later.as_str()).await),
        (json!("valid"), json!("valid"))
    );
    assert!(
        server
            .database
            .everything_in("audit_events")
            .contains("role")
    );
}

async fn a_refresh_policy_is_kept_as_it_was_typed(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = admin(&server).await;
    let created = created(
        &browser,
        &[("refresh_idle", "7"), ("refresh_absolute", "90 days")],
    )
    .await;
    let html = read(&browser, &page(&server, &created.client_id)).await;
    assert!(
        html.contains("ends unused after 7 days; people allow it again after 90 days"),
        "{html}"
    );
    edited(
        &browser,
        &created.client_id,
        &[("refresh_idle", "12 hours"), ("keep_refresh_token", "true")],
    )
    .await;
    let html = read(&browser, &page(&server, &created.client_id)).await;
    assert!(
        html.contains("The same one every time")
            && html.contains("12 hours; people allow it again after 365 days"),
        "{html}"
    );
    let form = read(
        &browser,
        &format!("{}/edit", page(&server, &created.client_id)),
    )
    .await;
    assert!(
        form.contains("value=\"12 hours\"")
            && form.contains("name=\"keep_refresh_token\" value=\"true\" checked"),
        "{form}"
    );
    // RFC 9700 §2.2.2: a public one rotates, whatever is sent
    let public = super::applications::created(
        &browser,
        &[("client_type", "public"), ("keep_refresh_token", "true")],
    )
    .await;
    assert!(
        read(&browser, &page(&server, &public.client_id))
            .await
            .contains("A new one at every refresh")
    );
    edited(
        &browser,
        &public.client_id,
        &[("keep_refresh_token", "true")],
    )
    .await;
    let html = read(&browser, &page(&server, &public.client_id)).await;
    assert!(
        html.contains("A new one at every refresh") && !html.contains("Client credentials"),
        "{html}"
    );
}

async fn another_name_or_host_ends_the_verification(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = admin(&server).await;
    let created = created(&browser, &[("environment", "production")]).await;
    let id: ApplicationId = created.client_id.parse().expect("an id");
    for (changes, kept) in [
        (vec![("redirect_uris", "https://shop.example/other")], true),
        (vec![("scope", "write")], true),
        (
            vec![(
                "redirect_uris",
                "https://shop.example/cb\nhttps://evil.example/cb",
            )],
            false,
        ),
        (vec![("name", "Your Bank")], false),
    ] {
        edited(&browser, &created.client_id, &[]).await;
        server
            .write(move |tx| {
                Ok(tx
                    .find_application(id)?
                    .map_or(Ok(()), |found| tx.set_application_verified(&found, true))?)
            })
            .await;
        edited(&browser, &created.client_id, &changes).await;
        let html = read(&browser, &page(&server, &created.client_id)).await;
        assert_eq!(html.contains(">Verified<"), kept, "{changes:?}: {html}");
    }
}

async fn what_never_changes_is_refused(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = admin(&server).await;
    let created = created(&browser, &[]).await;
    let edit = format!("{}/edit", page(&server, &created.client_id));
    for fixed in [
        ("environment", "production"),
        ("client_type", "public"),
        ("access_token_format", "opaque"),
    ] {
        let mut form = fields(&[("name", "Other")]);
        form.push(fixed);
        let (status, html) = answer(browser.submit(&edit, &edit, &form).await).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{fixed:?}");
        assert!(
            html.contains("Environment, client type and token format stay."),
            "{html}"
        );
    }
    assert_eq!(events(&server), 0);
}

async fn a_form_that_asks_for_what_there_is_not_changes_nothing(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = admin(&server).await;
    let created = created(&browser, &[]).await;
    for (field, value, shown_at) in [
        ("name", "", "name"),
        ("name", "a\u{202e}b", "name"),
        ("scope", "everything", "scope"),
        ("scope", "-", "scope"),
        ("role", "owner", "role"),
        ("grant", "password", "grants"),
        ("grant", "-", "grants"),
        ("grant", "refresh_token", "grants"),
        ("redirect_uris", "javascript:alert(1)", "redirect_uris"),
        ("refresh_idle", "0", "refresh_idle"),
        ("refresh_idle", "1000000000", "refresh_idle"),
        ("refresh_idle", "30 seconds", "refresh"),
        ("refresh_absolute", "for ever", "refresh_absolute"),
    ] {
        let (status, html) =
            answer(edit(&browser, &created.client_id, &[(field, value)]).await).await;
        assert_eq!(
            status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{field}={value}: {html}"
        );
        assert!(
            html.contains(&format!("href=\"#{shown_at}\"")),
            "{field}={value}: {html}"
        );
    }
    let edit_path = format!("{}/edit", page(&server, &created.client_id));
    let csrf = csrf(&browser, &edit_path).await;
    let valid = format!("csrf={csrf}&scope=read&role=viewer&grant=client_credentials");
    for (body, status) in [
        (format!("{valid}&name=a&name=b"), StatusCode::BAD_REQUEST),
        (
            format!("{valid}&name=a&role=admin"),
            StatusCode::BAD_REQUEST,
        ),
        (
            format!("{valid}&name=a&refresh_absolute=1&refresh_absolute=2"),
            StatusCode::BAD_REQUEST,
        ),
        (format!("{valid}&name=a%ff"), StatusCode::BAD_REQUEST),
        (
            format!("{valid}&name=a&redirect_uris={}", "x".repeat(70_000)),
            StatusCode::PAYLOAD_TOO_LARGE,
        ),
        (valid.replace(&csrf, "nonsense"), StatusCode::FORBIDDEN),
    ] {
        assert_eq!(post(&browser, &edit_path, body).await.status(), status);
    }
    assert_eq!(events(&server), 0);
}

async fn a_suspended_organization_changes_nothing(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = admin(&server).await;
    let created = created(&browser, &[]).await;
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
    let (status, html) =
        answer(edit(&browser, &created.client_id, &[("name", "Other")]).await).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(html.contains("This organization is suspended"), "{html}");
}

async fn only_its_own_admins_change_it(db: TestDatabase) {
    let server = Server::start(db).await;
    let (organization, _) = people::other_organization(
        &server,
        countersign::types::state::ProductionAccess::Approved,
    )
    .await;
    people::member(&server, MEMBER, Some("admin")).await;
    let created: Created = created(&admin(&server).await, &[]).await;
    let edit = format!("{}/edit", page(&server, &created.client_id));
    let foreign = edit.replace(server.planted.organization.as_str(), organization.as_str());
    let own_page = format!("/dev-centre/{organization}/applications");
    let keys = format!("/dev-centre/{}/api-keys", server.planted.organization);
    for (email, page, path, expected) in [
        (OTHER_OWNER, &own_page, &edit, StatusCode::NOT_FOUND),
        (OTHER_OWNER, &own_page, &foreign, StatusCode::NOT_FOUND),
        (MEMBER, &keys, &edit, StatusCode::FORBIDDEN),
    ] {
        let browser = people::browser(&server, email).await;
        assert_eq!(browser.get(path).await.status(), expected, "{email} {path}");
        let csrf = csrf(&browser, page).await;
        let body = format!("csrf={csrf}&name=Mine&scope=read&role=viewer&grant=client_credentials");
        assert_eq!(
            post(&browser, path, body).await.status(),
            expected,
            "{email} {path}"
        );
    }
    assert_eq!(events(&server), 0);
}

async fn ten_changes_at_once_leave_one_of_them_whole(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = admin(&server).await;
    let created = created(&browser, &[]).await;
    let edit = format!("{}/edit", page(&server, &created.client_id));
    let csrf = csrf(&browser, &edit).await;
    let mut sent = tokio::task::JoinSet::new();
    for number in 0..10 {
        let uri = format!("https://shop{number}.example/cb");
        let name = format!("Shop {number}");
        let form = fields(&[("csrf", &csrf), ("name", &name), ("redirect_uris", &uri)]);
        sent.spawn(browser.client.post(server.url(&edit)).form(&form).send());
    }
    for answer in sent.join_all().await {
        assert_eq!(answer.expect("an answer").status(), StatusCode::SEE_OTHER);
    }
    let html = read(&browser, &page(&server, &created.client_id)).await;
    let number = html
        .split("Shop ")
        .nth(1)
        .and_then(|rest| rest.chars().next())
        .expect("a number");
    assert!(
        html.contains(&format!("https://shop{number}.example/cb")),
        "{html}"
    );
    assert_eq!(html.matches(".example/cb").count(), 1, "{html}");
    assert_eq!(events(&server), 10);
}
