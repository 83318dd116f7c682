//! Authorization requests that wait for a person's decision.

use countersign::store::Error;
use countersign::store::authorization_requests::AuthorizationRequest;
use countersign::types::id::{ApplicationId, AuthorizationRequestId, SessionId};
use countersign::types::state::RequestAnswer;
use countersign::types::time::Timestamp;

use super::{Acme, EARLIER, LATER, NOW, is_constraint, open, read, redirect_uri, scopes, write};
use crate::databases::{TestDatabase, both_databases};

both_databases!(
    a_request_is_found_by_its_own_session_only,
    a_request_is_decided_once,
    only_the_sessions_expired_requests_are_removed,
    only_the_sessions_newest_requests_stay,
);

fn request(
    session: SessionId,
    application: ApplicationId,
    expires_at: Timestamp,
) -> AuthorizationRequest {
    AuthorizationRequest {
        id: AuthorizationRequestId::generate(NOW),
        session_id: session,
        application_id: application,
        redirect_uri: redirect_uri("http://127.0.0.1:49152/cb"),
        scopes: scopes("documents:read"),
        state: Some("a b&c=é".to_owned()),
        resources: "https://api.example/v1".parse().expect("a resource"),
        code_challenge: Some("challenge".to_owned()),
        expires_at,
        answer: None,
    }
}

async fn a_request_is_found_by_its_own_session_only(db: TestDatabase) {
    let store = open(&db);
    let application = Acme::insert(&store).await.insert_application(&store).await;
    let (own, other) = (SessionId::generate(NOW), SessionId::generate(NOW));
    let written = request(own, application, LATER);
    let (id, copy) = (written.id, written.clone());
    write(&store, move |tx| tx.insert_authorization_request(&copy))
        .await
        .expect("inserted");
    let found = read(&store, move |c| c.find_authorization_request(own, id))
        .await
        .expect("found");
    assert_eq!(format!("{found:?}"), format!("{written:?}"));
    assert!(
        read(&store, move |c| c.find_authorization_request(other, id))
            .await
            .is_none()
    );
    let unknown = request(own, ApplicationId::generate(NOW), LATER);
    assert!(is_constraint(
        &write(&store, move |tx| tx.insert_authorization_request(&unknown)).await
    ));
}

async fn a_request_is_decided_once(db: TestDatabase) {
    let store = open(&db);
    let row = request(
        SessionId::generate(NOW),
        Acme::insert(&store).await.insert_application(&store).await,
        LATER,
    );
    let (session, id) = (row.session_id, row.id);
    write(&store, move |tx| tx.insert_authorization_request(&row))
        .await
        .expect("inserted");
    write(&store, move |tx| {
        tx.answer_authorization_request(id, RequestAnswer::Denied)
    })
    .await
    .expect("decided");
    for answer in [RequestAnswer::Allowed, RequestAnswer::Denied] {
        assert_eq!(
            write(&store, move |tx| tx
                .answer_authorization_request(id, answer))
            .await,
            Err(Error::NotFound)
        );
    }
    let found = read(&store, move |c| c.find_authorization_request(session, id)).await;
    assert_eq!(
        found.and_then(|request| request.answer),
        Some(RequestAnswer::Denied)
    );
}

async fn only_the_sessions_expired_requests_are_removed(db: TestDatabase) {
    let store = open(&db);
    let application = Acme::insert(&store).await.insert_application(&store).await;
    let (own, other) = (SessionId::generate(NOW), SessionId::generate(NOW));
    let rows = [
        request(own, application, EARLIER),
        request(own, application, LATER),
        request(other, application, EARLIER),
    ];
    let [expired, live, foreign] = [rows[0].id, rows[1].id, rows[2].id];
    write(&store, move |tx| {
        rows.iter()
            .try_for_each(|row| tx.insert_authorization_request(row))
    })
    .await
    .expect("inserted");
    assert_eq!(
        write(&store, move |tx| tx
            .delete_expired_authorization_requests(own))
        .await,
        Ok(1)
    );
    for (session, id, stays) in [
        (own, expired, false),
        (own, live, true),
        (other, foreign, true),
    ] {
        assert_eq!(
            read(&store, move |c| c.find_authorization_request(session, id))
                .await
                .is_some(),
            stays
        );
    }
}

async fn only_the_sessions_newest_requests_stay(db: TestDatabase) {
    let store = open(&db);
    let application = Acme::insert(&store).await.insert_application(&store).await;
    let (own, other) = (SessionId::generate(NOW), SessionId::generate(NOW));
    let rows = [
        request(own, application, EARLIER),
        request(own, application, LATER),
        request(other, application, EARLIER),
    ];
    let [old, new, foreign] = [rows[0].id, rows[1].id, rows[2].id];
    write(&store, move |tx| {
        rows.iter()
            .try_for_each(|row| tx.insert_authorization_request(row))
    })
    .await
    .expect("inserted");
    assert_eq!(
        write(&store, move |tx| tx
            .delete_oldest_authorization_requests(own, 1))
        .await,
        Ok(1)
    );
    assert_eq!(
        write(&store, move |tx| tx
            .delete_oldest_authorization_requests(own, 1))
        .await,
        Ok(0)
    );
    for (session, id, stays) in [(own, old, false), (own, new, true), (other, foreign, true)] {
        assert_eq!(
            read(&store, move |c| c.find_authorization_request(session, id))
                .await
                .is_some(),
            stays
        );
    }
}
