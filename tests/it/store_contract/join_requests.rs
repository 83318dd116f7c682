//! Requests to join an organization.

use countersign::store::Error;
use countersign::store::join_requests::JoinRequest;
use countersign::types::id::JoinRequestId;
use countersign::types::state::JoinRequestState;

use super::{Acme, EARLIER, NOW, is_constraint, open, read, write};
use crate::databases::{TestDatabase, both_databases};

both_databases!(
    a_person_asks_an_organization_once_at_a_time,
    a_request_is_decided_once,
    the_newest_are_listed_page_by_page_and_by_state
);

fn request(acme: &Acme, asking: &Acme) -> JoinRequest {
    JoinRequest {
        id: JoinRequestId::generate(NOW),
        organization_id: acme.organization,
        user_id: asking.person,
        message: "Let me in".to_owned(),
        state: JoinRequestState::Pending,
        created_at: NOW,
        decided_by: None,
        decided_at: None,
        reason: None,
    }
}

async fn a_person_asks_an_organization_once_at_a_time(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let (first, twin) = (request(&acme, &other), request(&acme, &other));
    let (id, again, copy) = (first.id, twin.clone(), first.clone());
    write(&store, move |tx| tx.insert_join_request(&first))
        .await
        .expect("the first");
    assert!(is_constraint(
        &write(&store, move |tx| tx.insert_join_request(&twin)).await
    ));
    let (ours, theirs, asking) = (acme.organization, other.organization, other.person);
    let (found, user) = read(&store, move |c| c.find_join_request(ours, id))
        .await
        .expect("found");
    assert_eq!(
        (format!("{found:?}"), user.id),
        (format!("{copy:?}"), asking)
    );
    assert!(
        read(&store, move |c| c.find_join_request(theirs, id))
            .await
            .is_none()
    );
    assert_eq!(
        read(&store, move |c| c.list_join_requests_of(asking))
            .await
            .len(),
        1
    );
    write(&store, move |tx| {
        tx.decide_join_request(id, JoinRequestState::Withdrawn, asking, None)
    })
    .await
    .expect("withdrawn");
    assert_eq!(
        read(&store, move |c| c.list_join_requests_of(asking))
            .await
            .len(),
        0
    );
    write(&store, move |tx| tx.insert_join_request(&again))
        .await
        .expect("again");
}

async fn a_request_is_decided_once(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let row = request(&acme, &other);
    let (id, organization, admin) = (row.id, acme.organization, acme.person);
    write(&store, move |tx| tx.insert_join_request(&row))
        .await
        .expect("asked");
    write(&store, move |tx| {
        tx.decide_join_request(id, JoinRequestState::Refused, admin, Some("Full"))
    })
    .await
    .expect("refused");
    for to in [JoinRequestState::Approved, JoinRequestState::Refused] {
        assert_eq!(
            write(&store, move |tx| tx
                .decide_join_request(id, to, admin, None))
            .await,
            Err(Error::NotFound)
        );
    }
    let (found, _) = read(&store, move |c| c.find_join_request(organization, id))
        .await
        .expect("found");
    assert_eq!(
        (found.state, found.decided_by, found.decided_at),
        (JoinRequestState::Refused, Some(admin), Some(NOW))
    );
    assert_eq!(found.reason.as_deref(), Some("Full"));
}

async fn the_newest_are_listed_page_by_page_and_by_state(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let (organization, admin) = (acme.organization, acme.person);
    let mut rows = Vec::new();
    for at in [EARLIER, NOW, NOW] {
        let row = JoinRequest {
            created_at: at,
            ..request(&acme, &Acme::insert(&store).await)
        };
        rows.push((at, row.id));
        write(&store, move |tx| tx.insert_join_request(&row))
            .await
            .expect("asked");
    }
    let refused = rows[0].1;
    write(&store, move |tx| {
        tx.decide_join_request(refused, JoinRequestState::Refused, admin, None)
    })
    .await
    .expect("refused");
    rows.sort_by(|one, other| other.cmp(one));
    let page = |state, after, most| {
        let store = &store;
        async move {
            let found = read(store, move |c| {
                c.list_join_requests_page(organization, state, after, most)
            })
            .await;
            found
                .into_iter()
                .map(|(row, _)| (row.created_at, row.id))
                .collect::<Vec<_>>()
        }
    };
    assert_eq!(page(None, None, 9).await, rows);
    assert_eq!(page(None, Some(rows[0]), 1).await, rows[1..2]);
    assert_eq!(
        page(Some(JoinRequestState::Pending), None, 9).await,
        rows[..2]
    );
    assert_eq!(
        page(Some(JoinRequestState::Refused), None, 9).await,
        rows[2..]
    );
}
