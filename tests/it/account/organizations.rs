//! `/account/organizations` and `/invitations/{token}`: how people come to organizations, and leave them.

use countersign::crypto::digest::Purpose;
use countersign::domain::desk::Desk;
use countersign::domain::people::admission::Grant;
use countersign::domain::people::invitations::{self, NewInvitation};
use countersign::domain::rights::asker::Asker;
use countersign::types::id::InvitationId;
use countersign::types::state::{Licence, OrganizationRole};
use reqwest::{Response, StatusCode};

use crate::databases::{TestDatabase, both_databases};
use crate::people;
use crate::server::{Browser, Server, hidden, location};
use crate::tenants::{Key, key};

both_databases!(
    the_invited_person_creates_the_account_and_joins,
    a_person_with_an_account_signs_in_and_comes_back_to_the_invitation,
    an_invitation_is_not_for_whoever_else_holds_the_link,
    an_invitation_is_declined_and_opens_nothing_any_more,
    an_account_made_by_a_link_is_not_taken_for_the_owner_of_its_address,
    invitations_for_a_verified_address_are_offered_without_the_link,
    a_viewer_reads_and_lets_applications_read_and_no_more,
    a_person_asks_to_join_and_takes_it_back,
    a_person_creates_an_organization_as_often_as_the_installation_says,
    a_person_leaves_and_reads_before_what_stops,
    hostile_names_are_text_on_every_page,
);

const LIST: &str = "/account/organizations";
const GUEST: &str = "guest@elsewhere.example";
const PASSWORD: &str = "correct horse battery staple";

struct Invited {
    path: String,
    id: InvitationId,
}

async fn invite(server: &Server, email: &str, edit: impl FnOnce(&mut Grant)) -> Invited {
    let mut grant = Grant {
        role: OrganizationRole::Member,
        licence: Licence::Full,
        ends_at: None,
        workspaces: Vec::new(),
    };
    edit(&mut grant);
    let token = format!("cs_iv_{email}").replace(['@', '.'], "_");
    let new = NewInvitation {
        email: email.to_owned(),
        grant,
        digest: server.app.digester.digest(Purpose::Invitation, &token),
    };
    let admin = people::admin(server).await.id;
    let create = move |desk: &mut Desk| invitations::create(desk, &new);
    let made = people::at_desk(
        server,
        server.planted.organization,
        Asker::person(admin),
        create,
    )
    .await
    .expect("invited");
    Invited {
        path: format!("/invitations/{token}"),
        id: made.invitation.id,
    }
}

async fn text(response: Response) -> (StatusCode, String) {
    (response.status(), response.text().await.expect("text"))
}

async fn read(browser: &Browser<'_>, path: &str) -> String {
    let (status, html) = text(browser.get(path).await).await;
    assert_eq!(status, StatusCode::OK, "{path}: {html}");
    html
}

/// Sends the page's form and is sent back to the list.
async fn done(browser: &Browser<'_>, page: &str, action: &str, fields: &[(&str, &str)]) {
    let response = browser.submit(page, action, fields).await;
    let (status, target) = (
        response.status(),
        response.headers().get("location").cloned(),
    );
    assert_eq!(
        status,
        StatusCode::SEE_OTHER,
        "{action}: {}",
        response.text().await.unwrap_or_default()
    );
    assert_eq!(target.expect("a Location"), LIST, "{action}");
}

async fn the_invited_person_creates_the_account_and_joins(db: TestDatabase) {
    let server = Server::start(db).await;
    let place = server.planted.workspace;
    let ends = server.clock.now().plus_seconds(40 * 86_400);
    let invited = invite(&server, GUEST, |grant| {
        (grant.ends_at, grant.workspaces) = (Some(ends), vec![(place, "viewer".to_owned())]);
    })
    .await;
    let browser = server.browser();
    let html = read(&browser, &invited.path).await;
    for part in [
        "Acme",
        GUEST,
        "member",
        "Sales",
        "viewer",
        &ends.date(),
        "Create the account",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    assert_eq!(
        hidden(&html, "name").as_deref(),
        Some(""),
        "nothing is typed yet"
    );
    let action = format!("{}/account", invited.path);
    for (name, password, message) in [
        ("", PASSWORD, "Name "),
        ("Guest", "short", "at least"),
        // NIST SP 800-63B §3.1.1.2
        ("Guest", "P@ssw0rd1234", "easy to guess"),
        ("Guest", GUEST, "easy to guess"),
        ("Ada Lovelace", "Lovelace-1815", "easy to guess"),
        ("a\u{202e}b", PASSWORD, "Name "),
    ] {
        let (status, html) = text(
            browser
                .submit(
                    &invited.path,
                    &action,
                    &[("name", name), ("password", password)],
                )
                .await,
        )
        .await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{html}");
        assert!(
            html.contains(message) && !html.contains(PASSWORD),
            "{message}: {html}"
        );
        assert_eq!(
            hidden(&html, "name").as_deref(),
            Some(name),
            "what was typed stays"
        );
    }
    let made = browser
        .submit(
            &invited.path,
            &action,
            &[("name", "Guest"), ("password", PASSWORD)],
        )
        .await;
    assert_eq!(
        (made.status(), location(made.headers())),
        (StatusCode::SEE_OTHER, invited.path.clone()),
        "signed in, and back"
    );
    done(
        &browser,
        &invited.path,
        &format!("{}/accept", invited.path),
        &[],
    )
    .await;
    let html = read(&browser, LIST).await;
    assert!(
        html.contains("Acme") && html.contains(&ends.date()),
        "{html}"
    );
    assert_eq!(
        browser.get(&invited.path).await.status(),
        StatusCode::NOT_FOUND,
        "a link is good once"
    );
    let again = server.browser();
    assert_eq!(
        again.sign_in(GUEST, PASSWORD).await.status(),
        StatusCode::SEE_OTHER,
        "the password is theirs"
    );
}

async fn a_person_with_an_account_signs_in_and_comes_back_to_the_invitation(db: TestDatabase) {
    let server = Server::start(db).await;
    people::person(&server, GUEST).await;
    let invited = invite(&server, GUEST, |_| {}).await;
    let stranger = server.browser();
    let html = read(&stranger, &invited.path).await;
    assert!(
        html.contains(&format!(
            "/login?return_to={}",
            invited.path.replace('/', "%2F")
        )),
        "{html}"
    );
    let browser = people::browser(&server, GUEST).await;
    done(
        &browser,
        &invited.path,
        &format!("{}/accept", invited.path),
        &[],
    )
    .await;
    assert_eq!(server.database.count_events("invitation.accepted"), 1);
}

async fn an_invitation_is_not_for_whoever_else_holds_the_link(db: TestDatabase) {
    let server = Server::start(db).await;
    people::person(&server, "other@elsewhere.example").await;
    let invited = invite(&server, GUEST, |_| {}).await;
    let other = people::browser(&server, "other@elsewhere.example").await;
    assert!(
        read(&other, &invited.path)
            .await
            .contains("signed in with another address")
    );
    for answer in ["accept", "decline"] {
        let (status, html) = text(
            other
                .submit(&invited.path, &format!("{}/{answer}", invited.path), &[])
                .await,
        )
        .await;
        assert!(
            status == StatusCode::UNPROCESSABLE_ENTITY && html.contains("for another address"),
            "{answer}: {html}"
        );
    }
    let (status, _) = text(
        other
            .submit(
                LIST,
                &format!("{LIST}/accept"),
                &[("invitation", invited.id.as_str())],
            )
            .await,
    )
    .await;
    assert_eq!(status, StatusCode::NOT_FOUND, "nor by its id");
    for path in [
        "/invitations/x".to_owned(),
        format!("/invitations/{}", "x".repeat(5000)),
        format!("{}x", invited.path),
    ] {
        assert_eq!(
            other.get(&path).await.status(),
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
    assert_eq!(server.database.count_events("invitation.accepted"), 0);
}

async fn an_invitation_is_declined_and_opens_nothing_any_more(db: TestDatabase) {
    let server = Server::start(db).await;
    people::person(&server, GUEST).await;
    let invited = invite(&server, GUEST, |_| {}).await;
    let browser = people::browser(&server, GUEST).await;
    done(
        &browser,
        &invited.path,
        &format!("{}/decline", invited.path),
        &[],
    )
    .await;
    assert_eq!(
        browser.get(&invited.path).await.status(),
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        (
            server.database.count_events("invitation.declined"),
            server.database.count_events("invitation.accepted")
        ),
        (1, 0)
    );
}

async fn an_account_made_by_a_link_is_not_taken_for_the_owner_of_its_address(db: TestDatabase) {
    let server = Server::start(db).await;
    // of the planted organization's own domain: who had proven it could ask to join, and would be offered other invitations
    let invited = invite(&server, "new@acme.example", |_| {}).await;
    let browser = server.browser();
    let made = browser
        .submit(
            &invited.path,
            &format!("{}/account", invited.path),
            &[("name", "New"), ("password", PASSWORD)],
        )
        .await;
    assert_eq!(made.status(), StatusCode::SEE_OTHER);
    let html = read(&browser, LIST).await;
    for offer in ["Ask to join", "No, thank you", "Create an organization"] {
        assert!(!html.contains(offer), "{offer}: {html}");
    }
    let (status, _) = text(
        browser
            .submit(
                LIST,
                &format!("{LIST}/accept"),
                &[("invitation", invited.id.as_str())],
            )
            .await,
    )
    .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let organization = server.planted.organization.to_string();
    let (status, _) = text(
        browser
            .submit(
                LIST,
                &format!("{LIST}/ask"),
                &[("organization", &organization)],
            )
            .await,
    )
    .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, _) = text(browser.submit(LIST, LIST, &[("name", "Mine")]).await).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
}

async fn invitations_for_a_verified_address_are_offered_without_the_link(db: TestDatabase) {
    let server = Server::start(db).await;
    people::person(&server, GUEST).await;
    let browser = people::browser(&server, GUEST).await;
    assert!(!read(&browser, LIST).await.contains("No, thank you"));
    let invited = invite(&server, GUEST, |_| {}).await;
    assert!(read(&browser, LIST).await.contains("No, thank you"));
    done(
        &browser,
        LIST,
        &format!("{LIST}/accept"),
        &[("invitation", invited.id.as_str())],
    )
    .await;
    assert!(!read(&browser, LIST).await.contains("No, thank you"));
    let (status, _) = text(
        browser
            .submit(
                LIST,
                &format!("{LIST}/decline"),
                &[("invitation", invited.id.as_str())],
            )
            .await,
    )
    .await;
    assert_eq!(status, StatusCode::NOT_FOUND, "it was answered");
    for field in ["", "inv_x"] {
        let response = browser
            .submit(LIST, &format!("{LIST}/accept"), &[("invitation", field)])
            .await;
        assert!(response.status().is_client_error(), "{field}");
    }
}

/// A1, [9]
async fn a_viewer_reads_and_lets_applications_read_and_no_more(db: TestDatabase) {
    let server = Server::start(db).await;
    people::person(&server, GUEST).await;
    let (place, ends) = (
        server.planted.workspace,
        server.clock.now().plus_seconds(86_400),
    );
    let invited = invite(&server, GUEST, |grant| {
        (grant.licence, grant.ends_at, grant.workspaces) = (
            Licence::ReadOnly,
            Some(ends),
            vec![(place, "member".to_owned())],
        );
    })
    .await;
    let browser = people::browser(&server, GUEST).await;
    done(
        &browser,
        &invited.path,
        &format!("{}/accept", invited.path),
        &[],
    )
    .await;
    let keys = format!("/dev-centre/{}/api-keys", server.planted.organization);
    assert_eq!(
        browser.get(&keys).await.status(),
        StatusCode::FORBIDDEN,
        "no Dev Centre"
    );
    let code = crate::server::parameter(
        &browser.allow(&server.authorize_path("read send")).await,
        "code",
    )
    .expect("a code");
    let (status, token) = server.redeem(&code).await;
    assert_eq!(
        (status, &token["scope"]),
        (StatusCode::OK, &serde_json::json!("read")),
        "narrowed: {token}"
    );
    let html = browser
        .get(&server.authorize_path("send"))
        .await
        .text()
        .await
        .expect("text");
    let (csrf, request) = (hidden(&html, "csrf"), hidden(&html, "request"));
    let form = [
        ("csrf", csrf.expect("a token")),
        ("request", request.expect("a request")),
        ("organization", server.planted.organization.to_string()),
        ("workspace", place.to_string()),
        ("decision", "allow".to_owned()),
    ];
    let refused = browser
        .client
        .post(server.url("/oauth2/authorize"))
        .form(&form)
        .send()
        .await
        .expect("an answer");
    let (status, html) = text(refused).await;
    assert!(
        status.is_client_error() && html.contains("for reading only"),
        "{status} {html}"
    );
}

async fn a_person_asks_to_join_and_takes_it_back(db: TestDatabase) {
    let server = Server::start(db).await;
    people::person(&server, "new@acme.example").await;
    let browser = people::browser(&server, "new@acme.example").await;
    let organization = server.planted.organization.to_string();
    assert!(read(&browser, LIST).await.contains("Ask to join"));
    done(
        &browser,
        LIST,
        &format!("{LIST}/ask"),
        &[("organization", &organization), ("message", "Hello")],
    )
    .await;
    let html = read(&browser, LIST).await;
    assert!(
        html.contains("Take it back") && !html.contains("Ask to join"),
        "{html}"
    );
    let request = hidden(&html, "request").expect("its id");
    let (status, html) = text(
        browser
            .submit(
                LIST,
                &format!("{LIST}/ask"),
                &[("organization", &organization)],
            )
            .await,
    )
    .await;
    assert!(
        status == StatusCode::UNPROCESSABLE_ENTITY
            && html.contains("You have asked this organization already"),
        "{html}"
    );
    let long = "x".repeat(10_000);
    people::person(&server, "other@acme.example").await;
    let other = people::browser(&server, "other@acme.example").await;
    for message in [long.as_str(), "a\u{0007}b"] {
        let response = other
            .submit(
                LIST,
                &format!("{LIST}/ask"),
                &[("organization", &organization), ("message", message)],
            )
            .await;
        assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    }
    let stolen = other
        .submit(LIST, &format!("{LIST}/withdraw"), &[("request", &request)])
        .await;
    assert_eq!(stolen.status(), StatusCode::NOT_FOUND);
    done(
        &browser,
        LIST,
        &format!("{LIST}/withdraw"),
        &[("request", &request)],
    )
    .await;
    assert!(read(&browser, LIST).await.contains("Ask to join"));
}

async fn a_person_creates_an_organization_as_often_as_the_installation_says(db: TestDatabase) {
    let server = Server::start_with(db, |config| config.accounts.max_owned_organizations = 2).await;
    people::person(&server, GUEST).await;
    let browser = people::browser(&server, GUEST).await;
    for name in ["", "a\u{202e}b", &"x".repeat(10_000)] {
        assert_eq!(
            browser.submit(LIST, LIST, &[("name", name)]).await.status(),
            StatusCode::UNPROCESSABLE_ENTITY
        );
    }
    done(&browser, LIST, LIST, &[("name", "Guest & Sons")]).await;
    assert!(read(&browser, LIST).await.contains("owner"));
    // three at once, and place for one
    let (one, two, three) = tokio::join!(
        browser.submit(LIST, LIST, &[("name", "Second")]),
        browser.submit(LIST, LIST, &[("name", "Second")]),
        browser.submit(LIST, LIST, &[("name", "Second")])
    );
    let made = [one, two, three]
        .iter()
        .filter(|answer| answer.status() == StatusCode::SEE_OTHER)
        .count();
    assert_eq!(
        (made, server.database.count_events("organization.founded")),
        (1, 2)
    );
}

async fn a_person_leaves_and_reads_before_what_stops(db: TestDatabase) {
    let server = Server::start(db).await;
    let mia = people::member(&server, "mia@acme.example", Some("viewer")).await;
    let made = key(&server, Key::of(&server, mia).production()).await;
    let browser = people::browser(&server, "mia@acme.example").await;
    let path = format!("{LIST}/{}/leave", server.planted.organization);
    assert!(
        read(&browser, &path)
            .await
            .contains("1 live production key")
    );
    done(&browser, &path, &path, &[]).await;
    assert_eq!(
        server
            .verify(serde_json::json!({"credential": made.secret}))
            .await["code"],
        "not_found"
    );
    assert_eq!(browser.get(&path).await.status(), StatusCode::NOT_FOUND);
    // the last owner stays
    let owner = server.signed_in_browser().await;
    let (status, html) = text(owner.submit(&path, &path, &[]).await).await;
    assert!(
        status == StatusCode::UNPROCESSABLE_ENTITY && html.contains("last owner"),
        "{html}"
    );
}

async fn hostile_names_are_text_on_every_page(db: TestDatabase) {
    let server = Server::start(db).await;
    people::person(&server, GUEST).await;
    let browser = people::browser(&server, GUEST).await;
    let hostile = "<script>alert(1)</script>";
    done(&browser, LIST, LIST, &[("name", hostile)]).await;
    let html = read(&browser, LIST).await;
    assert!(
        !html.contains(hostile) && html.contains("alert(1)"),
        "{html}"
    );
}
