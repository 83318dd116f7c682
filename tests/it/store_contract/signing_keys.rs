//! Signing keys.

use countersign::store::signing_keys::StoredSigningKey;
use countersign::types::state::SigningAlgorithm;
use countersign::types::time::Timestamp;

use super::{EARLIER, LATER, NOW, is_constraint, open, read, write};
use crate::databases::{TestDatabase, both_databases};

both_databases!(the_key_that_signs_last_comes_first, a_kid_names_one_key);

fn signing_key(kid: &str, signs_from: Timestamp) -> StoredSigningKey {
    StoredSigningKey { kid: kid.to_owned(), algorithm: SigningAlgorithm::EdDsa, sealed_private_key: "sealed".to_owned(), created_at: NOW, signs_from }
}

async fn the_key_that_signs_last_comes_first(db: TestDatabase) {
    let store = open(&db);
    assert!(read(&store, |c| c.list_signing_keys()).await.is_empty());
    for (kid, signs_from) in [("now", NOW), ("next", LATER), ("old", EARLIER), ("also now", NOW)] {
        write(&store, move |tx| tx.insert_signing_key(&signing_key(kid, signs_from))).await.expect("inserted");
    }
    let kids: Vec<String> = read(&store, |c| c.list_signing_keys()).await.into_iter().map(|key| key.kid).collect();
    assert_eq!(kids, ["next", "also now", "now", "old"], "of two that sign from the same instant always the same one comes first");
}

async fn a_kid_names_one_key(db: TestDatabase) {
    let store = open(&db);
    write(&store, |tx| tx.insert_signing_key(&signing_key("kid", NOW))).await.expect("inserted");
    assert!(is_constraint(&write(&store, |tx| tx.insert_signing_key(&signing_key("kid", LATER))).await));
    assert_eq!(read(&store, |c| c.list_signing_keys()).await[0].signs_from, NOW);
}
