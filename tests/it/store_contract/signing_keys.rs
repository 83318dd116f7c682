//! Signing keys.

use countersign::store::Error;
use countersign::store::signing_keys::StoredSigningKey;
use countersign::types::state::SigningAlgorithm;
use countersign::types::time::Timestamp;

use super::{EARLIER, LATER, NOW, is_constraint, open, read, write};
use crate::databases::{TestDatabase, both_databases};

both_databases!(
    the_key_that_signs_last_comes_first,
    a_kid_names_one_key,
    a_key_is_replaced_by_one_other,
    a_key_is_published_lengthened_and_deleted,
    a_key_begins_once_to_make_lower_signatures,
);

fn signing_key(kid: &str, signs_from: Timestamp) -> StoredSigningKey {
    StoredSigningKey {
        kid: kid.to_owned(),
        algorithm: SigningAlgorithm::EdDsa,
        sealed_private_key: "sealed".to_owned(),
        created_at: NOW,
        signs_from,
        replaces: format!("before {kid}"),
        published_at: None,
        longest_token_seconds: 900,
        lower_from: None,
    }
}

async fn the_key_that_signs_last_comes_first(db: TestDatabase) {
    let store = open(&db);
    assert!(read(&store, |c| c.list_signing_keys()).await.is_empty());
    for (kid, signs_from) in [
        ("now", NOW),
        ("next", LATER),
        ("old", EARLIER),
        ("also now", NOW),
    ] {
        write(&store, move |tx| {
            tx.insert_signing_key(&signing_key(kid, signs_from))
        })
        .await
        .expect("inserted");
    }
    let kids: Vec<String> = read(&store, |c| c.list_signing_keys())
        .await
        .into_iter()
        .map(|key| key.kid)
        .collect();
    assert_eq!(
        kids,
        ["next", "also now", "now", "old"],
        "of two that sign from the same instant always the same one comes first"
    );
}

async fn a_kid_names_one_key(db: TestDatabase) {
    let store = open(&db);
    write(&store, |tx| tx.insert_signing_key(&signing_key("kid", NOW)))
        .await
        .expect("inserted");
    let twin = StoredSigningKey {
        replaces: "another".to_owned(),
        ..signing_key("kid", LATER)
    };
    assert!(is_constraint(
        &write(&store, move |tx| tx.insert_signing_key(&twin)).await
    ));
    assert_eq!(
        read(&store, |c| c.list_signing_keys()).await[0].signs_from,
        NOW
    );
}

async fn a_key_is_replaced_by_one_other(db: TestDatabase) {
    // two rotations at once make one key
    let store = open(&db);
    for replaces in ["", "kid"] {
        let key = |kid: &str| StoredSigningKey {
            replaces: replaces.to_owned(),
            ..signing_key(&format!("{kid}{replaces}"), NOW)
        };
        let (one, other) = (key("one"), key("other"));
        write(&store, move |tx| tx.insert_signing_key(&one))
            .await
            .expect("inserted");
        assert!(
            is_constraint(&write(&store, move |tx| tx.insert_signing_key(&other)).await),
            "{replaces}"
        );
    }
    assert_eq!(read(&store, |c| c.list_signing_keys()).await.len(), 2);
}

async fn a_key_is_published_lengthened_and_deleted(db: TestDatabase) {
    let store = open(&db);
    write(&store, |tx| tx.insert_signing_key(&signing_key("kid", NOW)))
        .await
        .expect("inserted");
    write(&store, |tx| {
        tx.schedule_signing_key("kid", LATER, Some(NOW))
    })
    .await
    .expect("published");
    write(&store, |tx| tx.lengthen_signing_key("kid", 3600))
        .await
        .expect("lengthened");
    let key = read(&store, |c| c.list_signing_keys()).await.remove(0);
    assert_eq!(
        (key.signs_from, key.published_at, key.longest_token_seconds),
        (LATER, Some(NOW), 3600)
    );
    assert_eq!(
        write(&store, |tx| tx.lengthen_signing_key("kid", 3600)).await,
        Err(Error::NotFound),
        "it never shortens"
    );
    write(&store, |tx| tx.delete_signing_key("kid"))
        .await
        .expect("deleted");
    for gone in [
        write(&store, |tx| tx.delete_signing_key("kid")).await,
        write(&store, |tx| tx.schedule_signing_key("kid", NOW, None)).await,
        write(&store, |tx| tx.lengthen_signing_key("kid", 1)).await,
    ] {
        assert_eq!(gone, Err(Error::NotFound));
    }
}

async fn a_key_begins_once_to_make_lower_signatures(db: TestDatabase) {
    let store = open(&db);
    write(&store, |tx| tx.insert_signing_key(&signing_key("kid", NOW)))
        .await
        .expect("inserted");
    write(&store, |tx| tx.begin_lower_signatures("kid"))
        .await
        .expect("begun");
    let keys = read(&store, |c| c.list_signing_keys()).await;
    assert_eq!(keys[0].lower_from, Some(NOW));
    assert_eq!(
        write(&store, |tx| tx.begin_lower_signatures("kid")).await,
        Err(Error::NotFound)
    );
}
