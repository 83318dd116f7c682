//! Which plan an organization has bought.

use countersign::store::Subject;
use countersign::store::subscriptions::Subscription;
use countersign::types::id::OrganizationId;

use super::{Acme, NOW, ends_what_is_remembered_of, is_constraint, open, read, write};
use crate::databases::{TestDatabase, both_databases};

both_databases!(
    a_subscription_is_inserted_and_then_replaced,
    an_external_id_belongs_to_one_subscription
);

fn subscription(organization: OrganizationId, external_id: &str) -> Subscription {
    let seats = (Some(3), Some(0));
    let new = Subscription::new(organization, "business", NOW);
    Subscription {
        external_id: Some(external_id.to_owned()),
        full_seats: seats.0,
        read_only_seats: seats.1,
        ..new
    }
}

async fn a_subscription_is_inserted_and_then_replaced(db: TestDatabase) {
    let store = open(&db);
    let id = Acme::insert(&store).await.organization;
    assert!(
        read(&store, move |c| c.find_subscription(id))
            .await
            .is_none()
    );
    ends_what_is_remembered_of(&store, Subject::Organization(id), move |tx| {
        tx.put_subscription(&subscription(id, "sub-1"))
    })
    .await;
    let found = read(&store, move |c| c.find_subscription(id))
        .await
        .expect("found");
    assert_eq!(found, subscription(id, "sub-1"));
    let replaced = Subscription {
        external_id: None,
        full_seats: None,
        plan: "enterprise".to_owned(),
        ..found
    };
    let copy = replaced.clone();
    write(&store, move |tx| tx.put_subscription(&copy))
        .await
        .expect("replaced");
    assert_eq!(
        read(&store, move |c| c.find_subscription(id)).await,
        Some(replaced),
        "what is none is taken away"
    );
    let nobody = OrganizationId::generate(NOW);
    assert!(is_constraint(
        &write(&store, move |tx| tx
            .put_subscription(&subscription(nobody, "sub-2")))
        .await
    ));
}

async fn an_external_id_belongs_to_one_subscription(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (
        Acme::insert(&store).await.organization,
        Acme::insert(&store).await.organization,
    );
    write(&store, move |tx| {
        tx.put_subscription(&subscription(acme, "same"))
    })
    .await
    .expect("the first");
    assert!(is_constraint(
        &write(&store, move |tx| tx
            .put_subscription(&subscription(other, "same")))
        .await
    ));
    let found = read(&store, |c| c.find_subscription_by_external_id("same"))
        .await
        .expect("found");
    assert_eq!(found.organization_id, acme);
    assert!(
        read(&store, |c| c.find_subscription_by_external_id("Same"))
            .await
            .is_none()
    );
}
