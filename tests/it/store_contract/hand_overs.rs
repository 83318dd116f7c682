//! One-time links to secrets.

use countersign::crypto::digest::Digest;
use countersign::store::api_key_secrets::ApiKeySecret;
use countersign::store::hand_overs::HandOver;
use countersign::store::{Error, Store, Tx};
use countersign::types::id::{ApiKeyId, ApiKeySecretId, HandOverId};
use countersign::types::state::HandOverState;

use super::api_keys::key;
use super::{Acme, LATER, NOW, is_constraint, open, read, unique_digest, write};
use crate::databases::{TestDatabase, both_databases};

both_databases!(
    a_link_is_used_once,
    links_of_a_key_are_listed_counted_and_revoked,
    open_ones_of_one_maker_are_listed
);

async fn insert_key(store: &Store, acme: &Acme) -> (ApiKeyId, ApiKeySecretId) {
    let written = key(acme);
    let secret = ApiKeySecret::first(
        written.id,
        format!("{:012x}", rand::random::<u64>() >> 16),
        unique_digest(),
        acme.person,
        NOW,
    );
    let (organization, ids) = (acme.organization, (written.id, secret.id));
    let both = move |tx: &mut Tx<'_>| {
        tx.insert_api_key(&written, &[])
            .and_then(|()| tx.insert_api_key_secret(organization, &secret))
    };
    write(store, both).await.expect("a key");
    ids
}

pub fn hand_over(acme: &Acme, api_key_id: ApiKeyId, digest: Digest) -> HandOver {
    HandOver {
        id: HandOverId::generate(NOW),
        organization_id: acme.organization,
        api_key_id,
        email: "dev@agency.example".to_owned(),
        digest,
        state: HandOverState::Open,
        wrong_addresses: 0,
        grace_seconds: 60,
        secret_id: None,
        created_by: acme.person,
        created_at: NOW,
        expires_at: LATER,
        used_at: None,
    }
}

async fn a_link_is_used_once(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let (key, secret) = insert_key(&store, &acme).await;
    let digest = unique_digest();
    let (written, twin) = (
        hand_over(&acme, key, digest.clone()),
        hand_over(&acme, key, digest.clone()),
    );
    let (id, stored) = (written.id, written.clone());
    write(&store, move |tx| tx.insert_hand_over(&stored))
        .await
        .expect("a link");
    assert!(
        is_constraint(&write(&store, move |tx| tx.insert_hand_over(&twin)).await),
        "a digest is one link's"
    );
    assert_eq!(
        read(&store, move |c| c
            .find_hand_over_by_digest(&[unique_digest(), digest]))
        .await,
        Some(written)
    );
    assert_eq!(
        read(&store, move |c| c
            .find_hand_over_by_digest(&[unique_digest()]))
        .await,
        None
    );
    assert_eq!(
        read(&store, move |c| c.find_hand_over(other.organization, id)).await,
        None
    );
    write(&store, move |tx| tx.redeem_hand_over(id, secret))
        .await
        .expect("used");
    assert_eq!(
        write(&store, move |tx| tx.redeem_hand_over(id, secret)).await,
        Err(Error::NotFound)
    );
    let found = read(&store, move |c| c.find_hand_over(acme.organization, id))
        .await
        .expect("found");
    assert_eq!(
        (found.state, found.used_at, found.secret_id),
        (HandOverState::Used, Some(NOW), Some(secret))
    );
}

async fn links_of_a_key_are_listed_counted_and_revoked(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let ((key, _), (other, _)) = (
        insert_key(&store, &acme).await,
        insert_key(&store, &acme).await,
    );
    let (one, two) = (
        hand_over(&acme, key, unique_digest()),
        hand_over(&acme, other, unique_digest()),
    );
    let (id, kept) = (one.id, two.id);
    write(&store, move |tx| {
        tx.insert_hand_over(&one)
            .and_then(|()| tx.insert_hand_over(&two))
    })
    .await
    .expect("two links");
    write(&store, move |tx| tx.count_wrong_address(id))
        .await
        .expect("counted");
    assert_eq!(
        write(&store, move |tx| tx.revoke_hand_overs(key)).await,
        Ok(1)
    );
    assert_eq!(
        write(&store, move |tx| tx.revoke_hand_overs(key)).await,
        Ok(0)
    );
    let listed = read(&store, move |c| c.list_hand_overs(key, 9)).await;
    assert_eq!(
        listed
            .iter()
            .map(|row| (row.id, row.state, row.wrong_addresses))
            .collect::<Vec<_>>(),
        [(id, HandOverState::Revoked, 1)]
    );
    let found = read(&store, move |c| c.find_hand_over(acme.organization, kept))
        .await
        .expect("found");
    assert_eq!(
        (found.state, found.wrong_addresses),
        (HandOverState::Open, 0)
    );
}

async fn open_ones_of_one_maker_are_listed(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let (key, _) = insert_key(&store, &acme).await;
    let (mine, theirs) = (
        hand_over(&acme, key, unique_digest()),
        HandOver {
            created_by: other.person,
            ..hand_over(&acme, key, unique_digest())
        },
    );
    let revoked = HandOver {
        state: HandOverState::Revoked,
        ..hand_over(&acme, key, unique_digest())
    };
    let own = mine.id;
    for row in [mine, theirs, revoked] {
        write(&store, move |tx| tx.insert_hand_over(&row))
            .await
            .expect("a link");
    }
    for (organization, ids) in [
        (acme.organization, vec![own]),
        (other.organization, Vec::new()),
    ] {
        let listed = read(&store, move |c| {
            c.list_open_hand_overs_by(organization, acme.person)
        })
        .await;
        assert_eq!(listed.iter().map(|row| row.id).collect::<Vec<_>>(), ids);
    }
}
