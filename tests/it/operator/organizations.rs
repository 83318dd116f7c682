//! The operator's pages about organizations, and the organization's own page about its plan: [4] [6].

use countersign::types::id::OrganizationId;
use reqwest::StatusCode;
use serde_json::json;

use super::{operator, read};
use crate::databases::{TestDatabase, both_databases};
use crate::people;
use crate::server::{Browser, Server};

both_databases!(
    production_is_asked_for_refused_with_a_reason_approved_and_withdrawn,
    the_dev_centre_is_switched_by_its_admin_and_says_what_stops,
    a_suspended_organization_stops_and_resumes,
    organizations_are_searched_for,
);

fn page(id: OrganizationId) -> String {
    format!("/operator/organizations/{id}")
}

fn plan(id: OrganizationId) -> String {
    format!("/dev-centre/{id}/plan")
}

async fn submit(
    browser: &Browser<'_>,
    page: &str,
    fields: &[(&str, &str)],
) -> (StatusCode, String) {
    let response = browser.submit(page, page, fields).await;
    (response.status(), response.text().await.expect("text"))
}

async fn done(browser: &Browser<'_>, page: &str, fields: &[(&str, &str)]) {
    let (status, html) = submit(browser, page, fields).await;
    assert_eq!(status, StatusCode::SEE_OTHER, "{html}");
}

async fn code(server: &Server, secret: &str) -> String {
    server.verify(json!({"credential": secret})).await["code"]
        .as_str()
        .expect("a code")
        .to_owned()
}

/// [6]
async fn production_is_asked_for_refused_with_a_reason_approved_and_withdrawn(db: TestDatabase) {
    let server = Server::start(db).await;
    let (vendor, admin) = (
        operator(&server).await,
        people::browser(&server, countersign::domain::lifecycle::quickstart::ADMIN).await,
    );
    let id = server.planted.organization;
    let (status, html) = submit(
        &vendor,
        &page(id),
        &[("decision", "withdraw"), ("reason", " ")],
    )
    .await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{html}");
    done(
        &vendor,
        &page(id),
        &[("decision", "withdraw"), ("reason", "Unpaid <b>bills</b>")],
    )
    .await;
    assert_eq!(
        code(&server, &server.secrets.production_key).await,
        "plan_required"
    );
    let seen = read(&admin, &plan(id)).await;
    assert!(
        seen.contains("Unpaid &#60;b&#62;bills") && seen.contains("Request access to Production"),
        "{seen}"
    );
    assert!(
        read(&admin, &format!("/dev-centre/{id}/api-keys"))
            .await
            .contains(&plan(id)),
        "the locked state leads there"
    );
    assert_eq!(
        submit(
            &admin,
            &plan(id),
            &[("action", "request"), ("use_case", "")]
        )
        .await
        .0,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    done(
        &admin,
        &plan(id),
        &[("action", "request"), ("use_case", "Our contracts")],
    )
    .await;
    assert!(
        read(&vendor, "/operator")
            .await
            .contains("1 request for Production waits")
    );
    assert!(
        read(&vendor, "/operator/organizations")
            .await
            .contains("Waiting for Production")
    );
    assert!(read(&vendor, &page(id)).await.contains("Our contracts"));
    done(
        &vendor,
        &page(id),
        &[("decision", "refuse"), ("reason", "Tell us more.")],
    )
    .await;
    assert!(read(&admin, &plan(id)).await.contains("Tell us more."));
    done(
        &admin,
        &plan(id),
        &[
            ("action", "request"),
            ("use_case", "Contracts of our own customers"),
        ],
    )
    .await;
    done(&admin, &plan(id), &[("action", "cancel")]).await;
    done(&vendor, &page(id), &[("decision", "approve")]).await;
    assert_eq!(code(&server, &server.secrets.production_key).await, "valid");
    assert!(read(&admin, &plan(id)).await.contains("It is open."));
    let (status, html) = submit(
        &vendor,
        &page(id),
        &[("decision", "refuse"), ("reason", "Late")],
    )
    .await;
    assert!(
        status == StatusCode::UNPROCESSABLE_ENTITY && html.contains("does not apply"),
        "{html}"
    );
    assert_eq!(
        submit(&vendor, &page(id), &[("decision", "request")])
            .await
            .0,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        submit(&admin, &plan(id), &[("action", "approve")]).await.0,
        StatusCode::BAD_REQUEST
    );
}

/// [4]
async fn the_dev_centre_is_switched_by_its_admin_and_says_what_stops(db: TestDatabase) {
    let server = Server::start(db).await;
    let (vendor, admin) = (
        operator(&server).await,
        people::browser(&server, countersign::domain::lifecycle::quickstart::ADMIN).await,
    );
    let id = server.planted.organization;
    assert_eq!(
        submit(
            &vendor,
            &page(id),
            &[("decision", "subscribe"), ("plan", "gold")]
        )
        .await
        .0,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    done(
        &vendor,
        &page(id),
        &[("decision", "subscribe"), ("plan", "business")],
    )
    .await;
    assert_eq!(
        code(&server, &server.secrets.sandbox_key).await,
        "suspended"
    );
    assert!(read(&admin, &plan(id)).await.contains("Switch it on"));
    done(&admin, &plan(id), &[("action", "enable")]).await;
    assert_eq!(code(&server, &server.secrets.sandbox_key).await, "valid");
    assert!(
        read(&admin, &plan(id))
            .await
            .contains("Production is part of Enterprise. Contact sales.")
    );
    let (status, html) = submit(&admin, &plan(id), &[("action", "disable")]).await;
    assert!(
        status == StatusCode::UNPROCESSABLE_ENTITY && html.contains("1 Sandbox API key"),
        "{html}"
    );
    assert_eq!(code(&server, &server.secrets.sandbox_key).await, "valid");
    done(
        &admin,
        &plan(id),
        &[("action", "disable"), ("confirm", "yes")],
    )
    .await;
    assert_eq!(
        code(&server, &server.secrets.sandbox_key).await,
        "suspended"
    );
}

async fn a_suspended_organization_stops_and_resumes(db: TestDatabase) {
    let server = Server::start(db).await;
    let (vendor, id) = (operator(&server).await, server.planted.organization);
    for (decision, expected) in [("suspend", "suspended"), ("resume", "valid")] {
        done(&vendor, &page(id), &[("decision", decision)]).await;
        assert_eq!(
            code(&server, &server.secrets.sandbox_key).await,
            expected,
            "{decision}"
        );
    }
    let nobody = page(OrganizationId::generate(server.clock.now()));
    assert_eq!(vendor.get(&nobody).await.status(), StatusCode::NOT_FOUND);
}

async fn organizations_are_searched_for(db: TestDatabase) {
    let server = Server::start(db).await;
    let vendor = operator(&server).await;
    for (query, found) in [
        ("search=ACM", true),
        ("search=100%25", false),
        ("production=approved", true),
        ("production=refused", false),
    ] {
        let html = read(&vendor, &format!("/operator/organizations?{query}")).await;
        assert_eq!(
            html.contains(server.planted.organization.as_str()),
            found,
            "{query}"
        );
        assert_eq!(html.contains("Nothing found"), !found, "{query}");
    }
    assert_eq!(
        vendor
            .get("/operator/organizations?search=a%0Ab")
            .await
            .status(),
        StatusCode::BAD_REQUEST
    );
}
