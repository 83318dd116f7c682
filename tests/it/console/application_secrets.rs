//! `/dev-centre/{organization}/applications/{id}/secrets…`: rotation without downtime.

use countersign::jobs::usage;
use countersign::types::id::{ApplicationId, ClientSecretId};
use countersign::types::state::OrganizationState;
use reqwest::StatusCode;

use super::applications::{Created, created, list_path, token};
use super::{MEMBER, admin, answer, at_once, csrf, post, read};
use crate::databases::{TestDatabase, both_databases};
use crate::people::{self, OTHER_OWNER};
use crate::server::{Browser, Server, location};

both_databases!(
    a_second_secret_works_beside_the_first_until_that_is_revoked,
    the_page_tells_the_secrets_apart_and_when_each_was_used,
    a_third_secret_is_refused,
    of_twenty_at_once_one_more_secret_is_made,
    the_last_secret_cannot_be_revoked_not_even_by_two_at_once,
    revoking_what_is_revoked_is_a_success,
    a_public_application_gets_no_secret,
    a_suspended_organization_gets_no_new_secret,
    secrets_of_others_are_not_found,
);

async fn page(browser: &Browser<'_>) -> (Created, String) {
    let created = created(browser, &[]).await;
    let page = format!("{}/{}", list_path(browser.server), created.client_id);
    (created, page)
}

/// One more, a minute younger.
async fn second(browser: &Browser<'_>, page: &str) -> Created {
    browser.server.clock.step_seconds(60);
    let response = browser.submit(page, &format!("{page}/secrets"), &[]).await;
    assert_eq!(response.headers()["cache-control"], "no-store");
    let (status, html) = answer(response).await;
    assert_eq!(status, StatusCode::OK, "{html}");
    Created::read(&html)
}

/// The pages that revoke, in the order of the list.
async fn revocations(browser: &Browser<'_>, page: &str) -> Vec<String> {
    let html = read(browser, page).await;
    let links = html
        .split("href=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next());
    links
        .filter(|link| link.contains("/secrets/"))
        .map(str::to_owned)
        .collect()
}

async fn a_second_secret_works_beside_the_first_until_that_is_revoked(db: TestDatabase) {
    // 9700-27
    let server = Server::start(db).await;
    let browser = admin(&server).await;
    let (first, page) = page(&browser).await;
    let second = second(&browser, &page).await;
    let secret = second.client_secret.clone().expect("a secret");
    assert_ne!(first.client_secret, second.client_secret);
    for both in [&first, &second] {
        assert_eq!(token(&server, both).await.0, StatusCode::OK);
    }
    assert!(
        !read(&browser, &page).await.contains(&secret),
        "it is shown once"
    );
    assert!(
        !server
            .database
            .everything_in("application_secrets")
            .contains(&secret)
    );
    let [old, _] = revocations(&browser, &page)
        .await
        .try_into()
        .expect("both can be revoked");
    assert!(read(&browser, &old).await.contains("Revoke this secret?"));
    assert_eq!(
        token(&server, &first).await.0,
        StatusCode::OK,
        "looking changes nothing"
    );
    let response = browser.submit(&old, &old, &[]).await;
    assert_eq!(
        (response.status(), location(response.headers())),
        (StatusCode::SEE_OTHER, page.clone())
    );
    assert_eq!(
        token(&server, &first).await.0,
        StatusCode::UNAUTHORIZED,
        "at once"
    );
    assert_eq!(token(&server, &second).await.0, StatusCode::OK);
    assert_eq!(browser.get(&old).await.status(), StatusCode::NOT_FOUND);
    let events = ["application_secret.created", "application_secret.revoked"]
        .map(|event| server.database.count_events(event));
    assert_eq!(events, [1, 1]);
}

async fn the_page_tells_the_secrets_apart_and_when_each_was_used(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = admin(&server).await;
    let (first, page) = page(&browser).await;
    let second = second(&browser, &page).await;
    let start = |created: &Created| {
        created.client_secret.as_ref().expect("a secret")[.."cs_cs_AbC4".len()].to_owned()
    };
    token(&server, &second).await;
    usage::flush(&server.app).await;
    server.clock.step_seconds(120);
    let html = read(&browser, &page).await;
    let row = |created: &Created| {
        html.split(&format!("{}…", start(created)))
            .nth(1)
            .and_then(|rest| rest.split("</li>").next())
            .expect("a row")
    };
    assert!(row(&first).contains("Last used: Never"), "{html}");
    assert!(
        row(&second).contains("20 Nov 2026, 12:01 UTC (2 minutes ago)"),
        "{html}"
    );
    // and the application, which proves itself by either
    assert_eq!(
        html.matches("12:01 UTC (2 minutes ago)").count(),
        2,
        "{html}"
    );
}

async fn a_third_secret_is_refused(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = admin(&server).await;
    let (_, page) = page(&browser).await;
    second(&browser, &page).await;
    assert!(!read(&browser, &page).await.contains("New secret"));
    let csrf = csrf(&browser, &list_path(&server)).await;
    let (status, html) =
        answer(post(&browser, &format!("{page}/secrets"), format!("csrf={csrf}")).await).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(
        html.contains("Revoke the one that is not used any more first."),
        "{html}"
    );
}

async fn of_twenty_at_once_one_more_secret_is_made(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = admin(&server).await;
    let (_, page) = page(&browser).await;
    let csrf = csrf(&browser, &page).await;
    let statuses = at_once(&browser, &format!("{page}/secrets"), &[("csrf", &csrf)], 20).await;
    assert_eq!(
        statuses
            .iter()
            .filter(|status| **status == StatusCode::OK)
            .count(),
        1,
        "{statuses:?}"
    );
    assert_eq!(
        statuses
            .iter()
            .filter(|status| **status == StatusCode::FORBIDDEN)
            .count(),
        19,
        "{statuses:?}"
    );
    assert_eq!(revocations(&browser, &page).await.len(), 2);
}

async fn the_last_secret_cannot_be_revoked_not_even_by_two_at_once(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = admin(&server).await;
    let (_, page) = page(&browser).await;
    assert!(revocations(&browser, &page).await.is_empty());
    second(&browser, &page).await;
    let both = revocations(&browser, &page).await;
    let csrf = csrf(&browser, &page).await;
    let body = format!("csrf={csrf}");
    let (one, other) = tokio::join!(
        post(&browser, &both[0], body.clone()),
        post(&browser, &both[1], body.clone())
    );
    let statuses = [one.status(), other.status()];
    assert!(
        statuses.contains(&StatusCode::SEE_OTHER) && statuses.contains(&StatusCode::FORBIDDEN),
        "{statuses:?}"
    );
    let left = if one.status() == StatusCode::FORBIDDEN {
        &both[0]
    } else {
        &both[1]
    };
    let (status, html) = answer(post(&browser, left, body).await).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(
        html.contains("last secret")
            && html.contains("Create a new one first, or delete the application."),
        "{html}"
    );
}

async fn revoking_what_is_revoked_is_a_success(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = admin(&server).await;
    let (_, page) = page(&browser).await;
    second(&browser, &page).await;
    let [old, _] = revocations(&browser, &page).await.try_into().expect("two");
    let csrf = csrf(&browser, &page).await;
    assert_eq!(
        at_once(&browser, &old, &[("csrf", &csrf)], 10).await,
        [StatusCode::SEE_OTHER; 10]
    );
    assert_eq!(
        server.database.count_events("application_secret.revoked"),
        1
    );
}

async fn a_public_application_gets_no_secret(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = admin(&server).await;
    let public = created(&browser, &[("client_type", "public")]).await;
    let page = format!("{}/{}", list_path(&server), public.client_id);
    assert!(!read(&browser, &page).await.contains("/secrets"));
    let csrf = csrf(&browser, &page).await;
    let (status, html) =
        answer(post(&browser, &format!("{page}/secrets"), format!("csrf={csrf}")).await).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(html.contains("it proves itself with PKCE"), "{html}");
}

async fn a_suspended_organization_gets_no_new_secret(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = admin(&server).await;
    let (_, page) = page(&browser).await;
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
    let (status, html) = answer(browser.submit(&page, &format!("{page}/secrets"), &[]).await).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(html.contains("This organization is suspended"), "{html}");
}

async fn secrets_of_others_are_not_found(db: TestDatabase) {
    let server = Server::start(db).await;
    let (organization, _) = people::other_organization(
        &server,
        countersign::types::state::ProductionAccess::Approved,
    )
    .await;
    people::member(&server, MEMBER, Some("admin")).await;
    let owner = admin(&server).await;
    let ((_, page), other) = (page(&owner).await, created(&owner, &[]).await);
    second(&owner, &page).await;
    let [old, _] = revocations(&owner, &page).await.try_into().expect("two");
    let secret = old.rsplit('/').nth(1).expect("an id").to_owned();
    // another application's page, an unknown secret, nonsense
    let csrf_of_owner = csrf(&owner, &page).await;
    let unknown = ClientSecretId::generate(server.clock.now());
    for wrong in [
        format!(
            "{}/{}/secrets/{secret}/revoke",
            list_path(&server),
            other.client_id
        ),
        format!("{page}/secrets/{unknown}/revoke"),
        format!("{page}/secrets/nonsense/revoke"),
        format!(
            "{}/{}/secrets/{secret}/revoke",
            list_path(&server),
            ApplicationId::generate(server.clock.now())
        ),
    ] {
        assert_eq!(
            owner.get(&wrong).await.status(),
            StatusCode::NOT_FOUND,
            "{wrong}"
        );
        assert_eq!(
            post(&owner, &wrong, format!("csrf={csrf_of_owner}"))
                .await
                .status(),
            StatusCode::NOT_FOUND,
            "{wrong}"
        );
    }
    let stranger = people::browser(&server, OTHER_OWNER).await;
    let csrf_of_stranger = csrf(
        &stranger,
        &format!("/dev-centre/{organization}/applications"),
    )
    .await;
    let foreign = old.replace(server.planted.organization.as_str(), organization.as_str());
    for path in [&old, &foreign, &format!("{page}/secrets")] {
        assert_eq!(
            post(&stranger, path, format!("csrf={csrf_of_stranger}"))
                .await
                .status(),
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
    let member = people::browser(&server, MEMBER).await;
    let csrf_of_member = csrf(
        &member,
        &format!("/dev-centre/{}/api-keys", server.planted.organization),
    )
    .await;
    for path in [&old, &format!("{page}/secrets")] {
        assert_eq!(
            post(&member, path, format!("csrf={csrf_of_member}"))
                .await
                .status(),
            StatusCode::FORBIDDEN,
            "{path}"
        );
    }
    assert_eq!(revocations(&owner, &page).await.len(), 2);
}
