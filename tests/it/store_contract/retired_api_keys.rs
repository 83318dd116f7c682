//! Keys that ended long ago.

use countersign::store::api_key_requests::ApiKeyRequest;
use countersign::store::api_key_secrets::ApiKeySecret;
use countersign::store::api_keys::ApiKey;
use countersign::store::retired_api_keys::RetiredApiKey;
use countersign::store::{Error, Store, Subject};
use countersign::types::state::{ApiKeyState, KeyRequestState};

use super::api_key_requests::request;
use super::api_key_transfers::transfer;
use super::api_keys::key;
use super::hand_overs::hand_over;
use super::{
    Acme, EARLIER, LATER, NOW, ends_what_is_remembered_of, open, read, unique_digest, write,
};
use crate::databases::{TestDatabase, both_databases};

both_databases!(
    a_key_that_ended_long_ago_leaves_a_small_row_and_nothing_else,
    only_what_was_revoked_or_expired_before_is_retired_and_no_more_at_once,
);

async fn a_key_that_ended_long_ago_leaves_a_small_row_and_nothing_else(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let organization = acme.organization;
    let old = ApiKey {
        name: String::new(),
        state: ApiKeyState::Revoked,
        revoked_by: Some(acme.person),
        revoked_at: Some(EARLIER),
        expires_at: Some(NOW),
        last_used_at: Some(EARLIER),
        ..key(&acme)
    };
    let secret = ApiKeySecret::first(
        old.id,
        old.public_id.clone(),
        unique_digest(),
        acme.person,
        NOW,
    );
    let (offer, mut link) = (
        transfer(&acme, old.id),
        hand_over(&acme, old.id, unique_digest()),
    );
    link.secret_id = Some(secret.id);
    let asked = ApiKeyRequest {
        state: KeyRequestState::Collected,
        api_key_id: Some(old.id),
        ..request(&acme)
    };
    let (id, secret_id, title) = (old.id, secret.id, old.title());
    let (person, workspace, request_id) = (acme.person, acme.workspace, asked.id);
    let expected = RetiredApiKey {
        id,
        organization_id: organization,
        name: title,
        owner_id: person,
        environment: old.environment,
        last_used_at: Some(EARLIER),
        created_at: old.created_at,
        ended_at: EARLIER,
    };
    write(&store, move |tx| {
        tx.insert_api_key(&old, &[workspace])?;
        tx.insert_api_key_secret(organization, &secret)?;
        tx.record_disclosure(secret.id.as_str(), person)?;
        tx.insert_api_key_transfer(&offer)?;
        tx.insert_hand_over(&link)?;
        tx.insert_api_key_request(&asked)
    })
    .await
    .expect("a key");
    ends_what_is_remembered_of(&store, Subject::Organization(organization), |tx| {
        match tx.retire_api_keys(NOW, 10)? {
            1 => Ok(()),
            _ => Err(Error::NotFound),
        }
    })
    .await;
    assert!(
        read(&store, move |c| c.find_api_key(organization, id))
            .await
            .is_none()
    );
    assert!(
        read(&store, move |c| c.find_api_key_secret(secret_id))
            .await
            .is_none()
    );
    assert!(
        read(&store, move |c| c.list_secrets_shown_to(person, 9))
            .await
            .is_empty()
    );
    let asked = read(&store, move |c| {
        c.find_api_key_request(organization, request_id)
    });
    assert_eq!(asked.await.expect("it stays").api_key_id, None);
    let find = |organization| read(&store, move |c| c.find_retired_api_key(organization, id));
    assert_eq!(find(organization).await, Some(expected));
    assert_eq!(find(other.organization).await, None);
}

async fn retire(store: &Store, most: i64) -> usize {
    write(store, move |tx| tx.retire_api_keys(NOW, most))
        .await
        .expect("retired")
}

async fn only_what_was_revoked_or_expired_before_is_retired_and_no_more_at_once(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let revoked = |revoked_at| ApiKey {
        state: ApiKeyState::Revoked,
        revoked_at: Some(revoked_at),
        expires_at: None,
        ..key(&acme)
    };
    let expires = |expires_at| ApiKey {
        expires_at,
        ..key(&acme)
    };
    let stay = [
        revoked(NOW),
        expires(Some(NOW)),
        expires(Some(LATER)),
        expires(None),
    ];
    let go = [revoked(EARLIER), revoked(EARLIER), expires(Some(EARLIER))];
    let ids = stay.clone().map(|key| key.id);
    write(&store, move |tx| {
        let all = stay.iter().chain(&go);
        all.into_iter()
            .try_for_each(|key| tx.insert_api_key(key, &[]))
    })
    .await
    .expect("keys");
    assert_eq!(retire(&store, 1).await, 1);
    assert_eq!(retire(&store, 5).await, 1, "the other revoked one");
    assert_eq!(retire(&store, 5).await, 1, "the expired one");
    assert_eq!(retire(&store, 5).await, 0);
    for id in ids {
        let organization = acme.organization;
        let found = read(&store, move |c| c.find_api_key(organization, id)).await;
        assert!(found.is_some(), "{id}");
    }
}
