//! Idempotency keys.

use countersign::store::Error;
use countersign::store::idempotency_keys::IdempotencyKey;
use countersign::types::time::Timestamp;

use super::{EARLIER, LATER, NOW, is_constraint, open, read, unique_digest, write};
use crate::databases::{TestDatabase, both_databases};

both_databases!(
    a_key_stands_once_for_its_caller_and_route,
    old_keys_are_swept_a_batch_at_a_time
);

fn row(caller: &str, key: &str, at: Timestamp) -> IdempotencyKey {
    IdempotencyKey {
        caller: caller.to_owned(),
        route: "POST /v1/things".to_owned(),
        idempotency_key: key.to_owned(),
        fingerprint: unique_digest(),
        subject_id: "thing_1".to_owned(),
        created_at: at,
    }
}

async fn a_key_stands_once_for_its_caller_and_route(db: TestDatabase) {
    let store = open(&db);
    let written = row("a", "k", NOW);
    let (copy, other) = (written.clone(), row("b", "k", NOW));
    write(&store, move |tx| {
        tx.insert_idempotency_key(&copy)
            .and_then(|()| tx.insert_idempotency_key(&other))
    })
    .await
    .expect("inserted");
    assert!(is_constraint(
        &write(&store, |tx| tx
            .insert_idempotency_key(&row("a", "k", LATER)))
        .await
    ));
    let find = |caller: &'static str, route: &'static str| {
        read(&store, move |c| c.find_idempotency_key(caller, route, "k"))
    };
    assert_eq!(
        format!("{:?}", find("a", "POST /v1/things").await),
        format!("{:?}", Some(written))
    );
    assert!(find("a", "POST /v1/others").await.is_none());
    write(&store, |tx| {
        tx.delete_idempotency_key("a", "POST /v1/things", "k")
    })
    .await
    .expect("deleted");
    assert!(
        find("a", "POST /v1/things").await.is_none()
            && find("b", "POST /v1/things").await.is_some()
    );
    assert_eq!(
        write(&store, |tx| tx.delete_idempotency_key(
            "a",
            "POST /v1/things",
            "k"
        ))
        .await,
        Err(Error::NotFound)
    );
}

async fn old_keys_are_swept_a_batch_at_a_time(db: TestDatabase) {
    let store = open(&db);
    for (key, at) in [("1", EARLIER), ("2", EARLIER), ("3", NOW)] {
        write(&store, move |tx| {
            tx.insert_idempotency_key(&row("a", key, at))
        })
        .await
        .expect("inserted");
    }
    assert_eq!(
        write(&store, |tx| tx.sweep_idempotency_keys(NOW, 1)).await,
        Ok(1)
    );
    assert_eq!(
        write(&store, |tx| tx.sweep_idempotency_keys(NOW, 9)).await,
        Ok(1)
    );
    assert_eq!(
        write(&store, |tx| tx.sweep_idempotency_keys(NOW, 9)).await,
        Ok(0)
    );
}
