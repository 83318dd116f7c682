//! The secrets of API keys, and who was shown them.

use countersign::store::api_key_secrets::ApiKeySecret;
use countersign::store::{Error, Store, Subject, Tx};
use countersign::types::id::{ApiKeyId, ApiKeySecretId};
use countersign::types::state::ApiKeySecretState;

use super::api_keys::key;
use super::{
    Acme, EARLIER, LATER, NOW, ends_what_is_remembered_of, is_constraint, open, read,
    unique_digest, write,
};
use crate::databases::{TestDatabase, both_databases};

both_databases!(
    a_secret_is_found_and_changes_by_compare_and_swap,
    there_is_one_secret_in_use_and_one_pending_at_most,
    the_last_use_of_a_secret_moves_forward_with_its_network,
    a_secret_is_used_for_the_first_time_once,
    who_was_shown_a_secret_is_told_both_ways,
    all_secrets_of_a_key_end_at_once,
);

fn secret(id: ApiKeyId, acme: &Acme) -> ApiKeySecret {
    ApiKeySecret::first(
        id,
        format!("{:012x}", rand::random::<u64>() >> 16),
        unique_digest(),
        acme.person,
        NOW,
    )
}

async fn insert(store: &Store, acme: &Acme) -> (ApiKeyId, ApiKeySecretId) {
    let written = key(acme);
    let first = secret(written.id, acme);
    let (organization, ids) = (acme.organization, (written.id, first.id));
    let both = move |tx: &mut Tx<'_>| {
        tx.insert_api_key(&written, &[])
            .and_then(|()| tx.insert_api_key_secret(organization, &first))
    };
    write(store, both).await.expect("a key");
    ids
}

async fn a_secret_is_found_and_changes_by_compare_and_swap(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let (organization, (_, id)) = (acme.organization, insert(&store, &acme).await);
    let retire = move |tx: &mut Tx<'_>| {
        tx.change_api_key_secret_state(
            organization,
            id,
            ApiKeySecretState::Active,
            ApiKeySecretState::Retiring,
            Some(LATER),
        )
    };
    ends_what_is_remembered_of(&store, Subject::Organization(organization), retire).await;
    assert_eq!(write(&store, retire).await, Err(Error::NotFound));
    let found = read(&store, move |c| c.find_api_key_secret(id))
        .await
        .expect("found");
    assert_eq!(
        (
            found.state,
            found.expires_at,
            found.is_live(NOW),
            found.is_live(LATER)
        ),
        (ApiKeySecretState::Retiring, Some(LATER), true, false)
    );
    let foreign = secret(found.api_key_id, &other);
    assert_eq!(
        write(&store, move |tx| tx
            .insert_api_key_secret(other.organization, &foreign))
        .await,
        Err(Error::NotFound)
    );
}

async fn there_is_one_secret_in_use_and_one_pending_at_most(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let (organization, (id, _)) = (acme.organization, insert(&store, &acme).await);
    let pending = || ApiKeySecret {
        state: ApiKeySecretState::Pending,
        ..secret(id, &acme)
    };
    let (one, two, active) = (pending(), pending(), secret(id, &acme));
    write(&store, move |tx| {
        tx.insert_api_key_secret(organization, &one)
    })
    .await
    .expect("a pending one");
    for extra in [two, active] {
        assert!(is_constraint(
            &write(&store, move |tx| tx
                .insert_api_key_secret(organization, &extra))
            .await
        ));
    }
    assert_eq!(
        read(&store, move |c| c.list_api_key_secrets(id))
            .await
            .len(),
        2
    );
}

async fn all_secrets_of_a_key_end_at_once(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let (organization, (id, _), (_, kept)) = (
        acme.organization,
        insert(&store, &acme).await,
        insert(&store, &acme).await,
    );
    let pending = ApiKeySecret {
        state: ApiKeySecretState::Pending,
        ..secret(id, &acme)
    };
    write(&store, move |tx| {
        tx.insert_api_key_secret(organization, &pending)
    })
    .await
    .expect("a pending one");
    ends_what_is_remembered_of(&store, Subject::Organization(organization), move |tx| {
        tx.revoke_api_key_secrets(organization, id)
    })
    .await;
    assert!(
        read(&store, move |c| c.list_api_key_secrets(id))
            .await
            .iter()
            .all(|secret| secret.state == ApiKeySecretState::Revoked)
    );
    assert_eq!(
        read(&store, move |c| c.find_api_key_secret(kept))
            .await
            .expect("found")
            .state,
        ApiKeySecretState::Active
    );
}

async fn the_last_use_of_a_secret_moves_forward_with_its_network(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let (organization, (_, id)) = (acme.organization, insert(&store, &acme).await);
    let before = store.changes().stamp();
    for (at, from) in [
        (NOW, "192.0.2.0/24"),
        (LATER, "198.51.100.0/24"),
        (EARLIER, "203.0.113.0/24"),
    ] {
        write(&store, move |tx| {
            tx.record_api_key_secret_use(id, at, Some(from))
        })
        .await
        .expect("recorded, or known to be older");
    }
    let found = read(&store, move |c| c.find_api_key_secret(id))
        .await
        .expect("found");
    assert_eq!(
        (found.last_used_at, found.last_used_from.as_deref()),
        (Some(LATER), Some("198.51.100.0/24"))
    );
    assert!(
        store
            .changes()
            .is_current(before, [Subject::Organization(organization)]),
        "no news"
    );
}

async fn a_secret_is_used_for_the_first_time_once(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let (_, id) = insert(&store, &acme).await;
    write(&store, move |tx| tx.record_first_use_of_api_key_secret(id))
        .await
        .expect("the first time");
    assert_eq!(
        write(&store, move |tx| tx.record_first_use_of_api_key_secret(id)).await,
        Err(Error::NotFound)
    );
    assert_eq!(
        read(&store, move |c| c.find_api_key_secret(id))
            .await
            .expect("found")
            .first_used_at,
        Some(NOW)
    );
}

async fn who_was_shown_a_secret_is_told_both_ways(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let ((_, first), (_, second)) = (insert(&store, &acme).await, insert(&store, &acme).await);
    for (secret, person) in [
        (first, acme.person),
        (first, other.person),
        (second, acme.person),
    ] {
        write(&store, move |tx| {
            tx.record_disclosure(secret.as_str(), person)
        })
        .await
        .expect("recorded");
    }
    assert_eq!(
        read(&store, move |c| c.list_secrets_shown_to(acme.person, 9))
            .await
            .len(),
        2
    );
    assert_eq!(
        read(&store, move |c| c.list_secrets_shown_to(other.person, 9)).await,
        [first.to_string()]
    );
    let shown = read(&store, move |c| c.list_disclosures_of(&[first.to_string()])).await;
    assert!(
        shown.len() == 2
            && shown
                .iter()
                .all(|(secret, _, at)| secret == first.as_str() && *at == NOW)
    );
}
