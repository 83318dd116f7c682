//! `GET /dev-centre` and `GET /dev-centre/{organization}`.

use countersign::domain::lifecycle::quickstart::ADMIN;
use countersign::domain::people::accounts;
use countersign::types::state::{OrganizationRole, ProductionAccess};
use reqwest::StatusCode;

use super::{MEMBER, WORKSPACE_ADMIN, admin, read};
use crate::databases::{TestDatabase, both_databases};
use crate::people::{self, OTHER_OWNER};
use crate::server::{Server, location};

both_databases!(
    a_single_organization_is_not_asked_for,
    several_are_offered_with_the_role_in_each,
    who_administers_nothing_reads_whom_to_ask,
    an_organization_opens_at_its_keys,
    a_stranger_signs_in_first_and_comes_back,
);

async fn a_single_organization_is_not_asked_for(db: TestDatabase) {
    let server = Server::start(db).await;
    let response = admin(&server).await.get("/dev-centre").await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert_eq!(
        location(response.headers()),
        format!("/dev-centre/{}/api-keys", server.planted.organization)
    );
}

async fn several_are_offered_with_the_role_in_each(db: TestDatabase) {
    let server = Server::start(db).await;
    let (organization, _) = people::other_organization(&server, ProductionAccess::None).await;
    let admin_id = people::admin(&server).await.id;
    server
        .write(move |tx| {
            Ok(accounts::add_member(
                tx,
                organization,
                admin_id,
                OrganizationRole::Admin,
            )?)
        })
        .await;
    let html = read(&people::browser(&server, ADMIN).await, "/dev-centre").await;
    for (id, name, role) in [
        (server.planted.organization, "Acme", "Owner"),
        (organization, "Other", "Admin"),
    ] {
        assert!(
            html.contains(&format!("/dev-centre/{id}/api-keys"))
                && html.contains(name)
                && html.contains(role),
            "{html}"
        );
    }
}

async fn who_administers_nothing_reads_whom_to_ask(db: TestDatabase) {
    let server = Server::start(db).await;
    people::member(&server, MEMBER, Some("manager")).await;
    people::person(&server, "nobody@elsewhere.example").await;
    for email in [MEMBER, "nobody@elsewhere.example"] {
        let html = read(&people::browser(&server, email).await, "/dev-centre").await;
        assert!(
            html.contains("Ask one of yours to make you an administrator"),
            "{html}"
        );
        assert!(html.contains(email) && html.contains("Sign out"), "{html}");
    }
}

async fn an_organization_opens_at_its_keys(db: TestDatabase) {
    let server = Server::start(db).await;
    people::member(&server, WORKSPACE_ADMIN, Some("admin")).await;
    let (foreign, _) = people::other_organization(&server, ProductionAccess::None).await;
    let own = server.planted.organization;
    let browser = people::browser(&server, WORKSPACE_ADMIN).await;
    let response = browser.get(&format!("/dev-centre/{own}")).await;
    assert_eq!(
        location(response.headers()),
        format!("/dev-centre/{own}/api-keys")
    );
    assert_eq!(
        browser.get("/dev-centre/org_nonsense").await.status(),
        StatusCode::NOT_FOUND
    );
    let target = location(
        browser
            .get(&format!("/dev-centre/{foreign}"))
            .await
            .headers(),
    );
    assert_eq!(browser.get(&target).await.status(), StatusCode::NOT_FOUND);
    let response = people::browser(&server, OTHER_OWNER)
        .await
        .get(&format!("/dev-centre/{own}/api-keys"))
        .await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
}

async fn a_stranger_signs_in_first_and_comes_back(db: TestDatabase) {
    let server = Server::start(db).await;
    let path = format!(
        "/dev-centre/{}/api-keys?status=active",
        server.planted.organization
    );
    let login = location(server.get(&path).send().await.expect("an answer").headers());
    let browser = server.browser();
    let return_to =
        crate::server::hidden(&read(&browser, &login).await, "return_to").expect("the way back");
    assert_eq!(return_to, path);
    let fields = [
        ("email", ADMIN),
        ("password", server.secrets.password.as_str()),
        ("return_to", &return_to),
    ];
    let response = browser.submit(&login, "/login", &fields).await;
    assert_eq!(location(response.headers()), path);
}
