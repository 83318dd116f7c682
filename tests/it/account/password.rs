//! `GET` and `POST /account/password`, `POST /logout/everywhere`: what ends all sessions (NIST SP 800-63B §3.1.1, §5.1).

use countersign::domain::lifecycle::quickstart::ADMIN;
use reqwest::StatusCode;

use super::{SESSION, cookie, opens, session, set_cookie};
use crate::api::Program;
use crate::databases::{TestDatabase, both_databases};
use crate::people;
use crate::server::{Browser, Server, location};

both_databases!(
    a_new_password_ends_every_other_session_and_the_old_password,
    what_is_no_new_password_changes_nothing,
    of_two_changes_at_once_one_counts,
    wrong_current_passwords_are_bounded,
    signing_out_everywhere_ends_every_session,
    a_suspension_ends_sessions_for_good,
);

const PAGE: &str = "/account/password";
const NEW: &str = "monkeys eat my porridge";

async fn change(browser: &Browser<'_>, current: &str, password: &str) -> reqwest::Response {
    let fields = [("current", current), ("password", password)];
    browser.submit(PAGE, PAGE, &fields).await
}

async fn signs_in(server: &Server, password: &str) -> bool {
    let answer = server.browser().sign_in(ADMIN, password).await;
    answer.status() == StatusCode::SEE_OTHER
}

async fn a_new_password_ends_every_other_session_and_the_old_password(db: TestDatabase) {
    let server = Server::start(db).await;
    let (here, there) = (
        people::browser(&server, ADMIN).await,
        session(&server).await,
    );
    let old = &server.secrets.password;
    let changed = change(&here, old, NEW).await;
    assert_eq!(
        (changed.status(), location(changed.headers()).as_str()),
        (StatusCode::SEE_OTHER, "/account/identity?done=password")
    );
    assert!(set_cookie(&changed, SESSION).is_some(), "a new session");
    let page = here.get("/account/identity?done=password").await;
    let text = page.text().await.expect("text");
    assert!(text.contains("Your password was changed."), "{text}");
    assert!(!opens(&server, &there).await, "signed out elsewhere");
    assert!(!signs_in(&server, old).await && signs_in(&server, NEW).await);
    assert_eq!(server.database.count_events("user.password_changed"), 1);
}

async fn what_is_no_new_password_changes_nothing(db: TestDatabase) {
    let server = Server::start(db).await;
    let (here, there) = (
        people::browser(&server, ADMIN).await,
        session(&server).await,
    );
    let old = server.secrets.password.clone();
    for (current, password, message) in [
        ("wrong wrong wrong", NEW, "is not your password"),
        ("", NEW, "is not your password"),
        (old.as_str(), old.as_str(), "is the one you have"),
        (&old, "short", "must be at least 12 characters"),
        (&old, "Password1234", "is easy to guess"),
        (&old, ADMIN, "is easy to guess"),
        (&old, &"x7".repeat(513), "must be at most 1024 bytes"),
    ] {
        let answer = change(&here, current, password).await;
        assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
        let text = answer.text().await.expect("text");
        assert!(text.contains(message), "{message}: {text}");
        let shown = [NEW, &old, "Password1234"]
            .iter()
            .any(|typed| text.contains(typed));
        assert!(!shown, "never shown again");
    }
    let forged = here
        .client
        .post(server.url(PAGE))
        .form(&[("csrf", "x"), ("current", &old), ("password", NEW)])
        .send()
        .await
        .expect("an answer");
    assert_eq!(forged.status(), StatusCode::FORBIDDEN);
    assert!(opens(&server, &there).await && signs_in(&server, &old).await);
    assert_eq!(server.database.count_events("user.password_changed"), 0);
}

async fn of_two_changes_at_once_one_counts(db: TestDatabase) {
    let server = Server::start(db).await;
    let (one, other) = (
        people::browser(&server, ADMIN).await,
        people::browser(&server, ADMIN).await,
    );
    let (old, second) = (&server.secrets.password, "die Katze von nebenan");
    let (first, twin) =
        futures_util::future::join(change(&one, old, NEW), change(&other, old, second)).await;
    let won = [&first, &twin].map(|answer| answer.status() == StatusCode::SEE_OTHER);
    // the loser is refused, or has been signed out by then
    assert_eq!(won.iter().filter(|won| **won).count(), 1, "{won:?}");
    assert_eq!(signs_in(&server, NEW).await, won[0]);
    assert_eq!(signs_in(&server, second).await, won[1]);
}

/// A stolen session does not try passwords without an end.
async fn wrong_current_passwords_are_bounded(db: TestDatabase) {
    let server = Server::start(db).await;
    let here = people::browser(&server, ADMIN).await;
    for _ in 0..5 {
        let answer = change(&here, "wrong wrong wrong", NEW).await;
        assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
    }
    let answer = change(&here, "wrong wrong wrong", NEW).await;
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(answer.headers().contains_key("retry-after"));
}

async fn signing_out_everywhere_ends_every_session(db: TestDatabase) {
    let server = Server::start(db).await;
    let (here, there) = (
        people::browser(&server, ADMIN).await,
        session(&server).await,
    );
    people::person(&server, "mia@acme.example").await;
    let theirs = people::browser(&server, "mia@acme.example").await;
    let left = here
        .submit("/account/identity", "/logout/everywhere", &[])
        .await;
    assert_eq!(
        (left.status(), location(left.headers()).as_str()),
        (StatusCode::SEE_OTHER, "/login")
    );
    assert_eq!(cookie(&left, SESSION).as_deref(), Some(""));
    assert!(!opens(&server, &there).await);
    let page = theirs.get("/account/identity").await;
    assert_eq!(page.status(), StatusCode::OK, "still signed in");
    assert!(signs_in(&server, &server.secrets.password).await);
}

async fn a_suspension_ends_sessions_for_good(db: TestDatabase) {
    let server = Server::start(db).await;
    let id = people::person(&server, "mia@acme.example").await;
    let mia = people::browser(&server, "mia@acme.example").await;
    let operator = Program::operator(&server);
    for what in ["suspend", "resume"] {
        let path = format!("/v1/users/{id}/{what}");
        let (status, answer) = operator.post_empty(&path).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }
    let page = mia.get("/account/identity").await;
    assert_eq!(page.status(), StatusCode::SEE_OTHER, "signed out");
}
