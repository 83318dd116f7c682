//! Audit events.

use countersign::store::{Error, Verdict};
use countersign::types::event::Event;

use super::{Acme, EARLIER, LATER, NOW, open, organization, read, write, write_at};
use crate::databases::{TestDatabase, both_databases};

both_databases!(
    the_newest_events_are_listed_up_to_the_limit,
    an_event_commits_with_its_change_or_not_at_all
);

async fn the_newest_events_are_listed_up_to_the_limit(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let (organization, actor) = (acme.organization, acme.person);
    for (event, at) in [
        (Event::RoleChanged, NOW),
        (Event::RoleCreated, EARLIER),
        (Event::RoleDeleted, LATER),
    ] {
        write_at(&store, at, move |tx| {
            tx.record(Some(organization), Some(actor), event, "key_1", "a detail")
        })
        .await
        .expect("recorded");
    }
    write(&store, move |tx| {
        tx.record(Some(other.organization), None, Event::RoleCreated, "", "")
    })
    .await
    .expect("another organization's");
    write(&store, |tx| {
        tx.record(None, None, Event::SigningKeyCreated, "", "")
    })
    .await
    .expect("nobody's");
    write_at(&store, LATER.plus_seconds(1), move |tx| {
        tx.act_by("key_1");
        tx.record(Some(organization), Some(actor), Event::MemberAdded, "", "")
    })
    .await
    .expect("by a key");
    let events = read(&store, move |c| c.list_audit_events(organization, 9)).await;
    let names: Vec<&str> = events.iter().map(|event| event.event.as_str()).collect();
    assert_eq!(
        names,
        [
            "member.added",
            "role.deleted",
            "role.changed",
            "role.created"
        ]
    );
    assert!(
        events[0].credential_id.as_deref() == Some("key_1") && events[0].actor_id == Some(actor),
        "the key and its owner"
    );
    assert_eq!(events[1].credential_id, None);
    let newest = &events[1];
    assert!(
        newest.created_at == LATER
            && newest.actor_id == Some(actor)
            && newest.subject_id == "key_1"
            && newest.detail == "a detail"
    );
    assert_eq!(
        read(&store, move |c| c.list_audit_events(organization, 2))
            .await
            .len(),
        2
    );
}

async fn an_event_commits_with_its_change_or_not_at_all(db: TestDatabase) {
    let store = open(&db);
    let acme = organization("Acme");
    let (id, copy) = (acme.id, acme.clone());
    let refused: Result<(), Error> = store
        .write(NOW, move |tx| {
            tx.insert_organization(&copy)?;
            tx.record(Some(id), None, Event::OrganizationCreated, id.as_str(), "")?;
            tx.insert_organization(&copy)?;
            Ok(Verdict::Done(()))
        })
        .await;
    assert!(matches!(refused, Err(Error::Constraint(_))));
    assert!(
        read(&store, move |c| c.find_organization(id))
            .await
            .is_none()
    );
    assert!(
        read(&store, move |c| c.list_audit_events(id, 9))
            .await
            .is_empty()
    );
}
