//! `POST /logout`.

use countersign::domain::lifecycle::quickstart::ADMIN;
use reqwest::StatusCode;
use reqwest::header::{COOKIE, ORIGIN};

use super::{SESSION, STRANGER, cookie, opens, session};
use crate::databases::{TestDatabase, both_databases};
use crate::people;
use crate::server::{Server, hidden, location};

both_databases!(
    signing_out_ends_the_session_on_the_server,
    signing_out_here_leaves_other_browsers_signed_in,
    another_site_signs_nobody_out,
    signing_out_twice_ends_at_the_sign_in_page,
);

async fn csrf(server: &Server, session: &str) -> String {
    let path = format!("/dev-centre/{}/api-keys", server.planted.organization);
    let page = server
        .get(&path)
        .header(COOKIE, format!("{SESSION}={session}"))
        .send()
        .await
        .expect("an answer");
    hidden(&page.text().await.expect("text"), "csrf").expect("a token")
}

async fn signing_out_ends_the_session_on_the_server(db: TestDatabase) {
    let server = Server::start(db).await;
    let session = session(&server).await;
    let csrf = csrf(&server, &session).await;
    let request = server
        .post("/logout")
        .header(COOKIE, format!("{SESSION}={session}"));
    let response = request
        .form(&[("csrf", &csrf)])
        .send()
        .await
        .expect("an answer");
    assert_eq!(
        (response.status(), location(response.headers()).as_str()),
        (StatusCode::SEE_OTHER, "/login")
    );
    for name in [SESSION, STRANGER] {
        assert_eq!(
            cookie(&response, name).as_deref(),
            Some(""),
            "{name} is taken away"
        );
    }
    assert!(
        !opens(&server, &session).await,
        "a copy of the cookie is worth nothing"
    );
}

async fn signing_out_here_leaves_other_browsers_signed_in(db: TestDatabase) {
    let server = Server::start(db).await;
    let (here, there) = (
        people::browser(&server, ADMIN).await,
        session(&server).await,
    );
    let page = format!("/dev-centre/{}/api-keys", server.planted.organization);
    assert_eq!(
        here.submit(&page, "/logout", &[]).await.status(),
        StatusCode::SEE_OTHER
    );
    assert!(opens(&server, &there).await);
}

async fn another_site_signs_nobody_out(db: TestDatabase) {
    let server = Server::start(db).await;
    let session = session(&server).await;
    let csrf = csrf(&server, &session).await;
    let post = || {
        server
            .post("/logout")
            .header(COOKIE, format!("{SESSION}={session}"))
    };
    let answers = [
        post()
            .form(&[("csrf", "")])
            .send()
            .await
            .expect("an answer"),
        post()
            .form(&[("csrf", "x")])
            .send()
            .await
            .expect("an answer"),
        post()
            .header(ORIGIN, "https://evil.example")
            .form(&[("csrf", &csrf)])
            .send()
            .await
            .expect("an answer"),
    ];
    for answer in answers {
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    }
    let link = server
        .get("/logout")
        .header(COOKIE, format!("{SESSION}={session}"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(link.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert!(opens(&server, &session).await);
}

async fn signing_out_twice_ends_at_the_sign_in_page(db: TestDatabase) {
    let server = Server::start(db).await;
    let session = session(&server).await;
    let csrf = csrf(&server, &session).await;
    for _ in 0..2 {
        let request = server
            .post("/logout")
            .header(COOKIE, format!("{SESSION}={session}"));
        let response = request
            .form(&[("csrf", &csrf)])
            .send()
            .await
            .expect("an answer");
        assert_eq!(
            (response.status(), location(response.headers()).as_str()),
            (StatusCode::SEE_OTHER, "/login")
        );
    }
}
