//! `POST /dev-centre/{organization}/applications/{id}/request-approval`, and what the page says of the operator's word.

use countersign::types::id::ApplicationId;
use countersign::types::state::Approval;
use reqwest::StatusCode;

use super::applications::{Created, created, list_path};
use super::{admin, answer, csrf, post, read};
use crate::databases::{TestDatabase, both_databases};
use crate::server::{Server, location};

both_databases!(
    an_admin_asks_once_and_the_page_tells_what_the_operator_says,
    a_stopped_application_says_so_and_why,
    a_sandbox_application_has_nothing_to_ask,
    what_may_connect_without_pkce_is_weak,
    the_page_counts_the_people_who_connected_it,
);

fn page(server: &Server, created: &Created) -> String {
    format!("{}/{}", list_path(server), created.client_id)
}

async fn decide(server: &Server, created: &Created, to: Approval, reason: Option<&'static str>) {
    let id: ApplicationId = created.client_id.parse().expect("an id");
    server
        .write(move |tx| {
            let found = tx.find_application(id)?.expect("there is one");
            if to == Approval::Approved {
                let uris = tx.list_redirect_uris(id)?;
                return Ok(tx.approve_application(&found, &uris)?);
            }
            Ok(tx.change_approval(&found, to, reason)?)
        })
        .await;
}

async fn an_admin_asks_once_and_the_page_tells_what_the_operator_says(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = admin(&server).await;
    let created = created(&browser, &[("environment", "production")]).await;
    let page = page(&server, &created);
    let ask = format!("{page}/request-approval");
    assert!(read(&browser, &page).await.contains("Ask for approval"));
    let response = browser.submit(&page, &ask, &[]).await;
    assert_eq!(
        (response.status(), location(response.headers())),
        (StatusCode::SEE_OTHER, page.clone())
    );
    let html = read(&browser, &page).await;
    assert!(
        html.contains("the operator decides") && !html.contains("request-approval"),
        "{html}"
    );
    let csrf = csrf(&browser, &page).await;
    let (status, html) = answer(post(&browser, &ask, format!("csrf={csrf}")).await).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(html.contains("or waits for the operator"), "{html}");
    assert_eq!(
        server
            .database
            .count_events("application.approval_requested"),
        1
    );
    decide(
        &server,
        &created,
        Approval::Refused,
        Some("No <b>privacy</b> policy."),
    )
    .await;
    let html = read(&browser, &page).await;
    assert!(
        html.contains("No &#60;b&#62;privacy&#60;/b&#62; policy.") && html.contains("Ask again"),
        "{html}"
    );
    assert_eq!(
        browser.submit(&page, &ask, &[]).await.status(),
        StatusCode::SEE_OTHER
    );
    decide(&server, &created, Approval::Approved, None).await;
    let html = read(&browser, &page).await;
    assert!(
        html.contains("People of any organization") && html.contains("nobody has checked"),
        "{html}"
    );
    let id: ApplicationId = created.client_id.parse().expect("an id");
    server
        .write(move |tx| {
            Ok(tx
                .find_application(id)?
                .map_or(Ok(()), |found| tx.set_application_verified(&found, true))?)
        })
        .await;
    assert!(read(&browser, &page).await.contains("Verified"));
}

async fn a_stopped_application_says_so_and_why(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = admin(&server).await;
    let created = created(&browser, &[]).await;
    let id: ApplicationId = created.client_id.parse().expect("an id");
    server
        .write(move |tx| {
            Ok(tx.find_application(id)?.map_or(Ok(()), |found| {
                tx.set_application_stopped(&found, Some("Spam."))
            })?)
        })
        .await;
    let html = read(&browser, &page(&server, &created)).await;
    assert!(
        html.contains("The operator has stopped this application.") && html.contains("Spam."),
        "{html}"
    );
    assert!(
        read(&browser, &list_path(&server))
            .await
            .contains("Stopped")
    );
}

async fn a_sandbox_application_has_nothing_to_ask(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = admin(&server).await;
    let page = page(&server, &created(&browser, &[]).await);
    assert!(!read(&browser, &page).await.contains("request-approval"));
    assert_eq!(
        browser
            .submit(&page, &format!("{page}/request-approval"), &[])
            .await
            .status(),
        StatusCode::FORBIDDEN
    );
}

async fn what_may_connect_without_pkce_is_weak(db: TestDatabase) {
    // RFC 9700 §2.1.1: named, and shown
    let weak = ApplicationId::generate(crate::server::NOON);
    let server = Server::start_with(db, |config| {
        config.oauth.pkce_optional_for = vec![weak.to_string()]
    })
    .await;
    let browser = admin(&server).await;
    let planted = format!("{}/{}", list_path(&server), server.planted.application);
    assert!(!read(&browser, &planted).await.contains("without PKCE"));
    let application = server.planted.application;
    let copy = move |tx: &mut countersign::store::Tx| {
        let planted = tx
            .find_application(application)?
            .ok_or(countersign::domain::Refusal::NotFound)?;
        Ok(tx.insert_application(
            &countersign::store::applications::Application {
                id: weak,
                ..planted
            },
            &[],
        )?)
    };
    server.write(copy).await;
    assert!(
        read(&browser, &format!("{}/{weak}", list_path(&server)))
            .await
            .contains("Weak: may connect without PKCE")
    );
}

async fn the_page_counts_the_people_who_connected_it(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = admin(&server).await;
    let page = format!("{}/{}", list_path(&server), server.planted.application);
    for (path, count) in [(&page, "Nobody"), (&format!("{page}/delete"), "Nobody")] {
        assert!(read(&browser, path).await.contains(count), "{path}");
    }
    server.code_flow("read").await;
    for path in [&page, &format!("{page}/delete")] {
        assert!(read(&browser, path).await.contains("1 person"), "{path}");
    }
}
