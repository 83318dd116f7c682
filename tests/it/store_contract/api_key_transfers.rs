//! Offers of keys to other owners.

use countersign::store::api_key_transfers::ApiKeyTransfer;
use countersign::store::{Error, Store};
use countersign::types::id::{ApiKeyId, ApiKeyTransferId};
use countersign::types::state::TransferState;

use super::api_keys::key;
use super::{Acme, LATER, NOW, is_constraint, open, person, read, write, write_at};
use crate::databases::{TestDatabase, both_databases};

both_databases!(
    an_offer_is_open_once_and_closed_once,
    offers_are_listed_for_those_who_have_to_do_with_them
);

async fn insert_key(store: &Store, acme: &Acme) -> ApiKeyId {
    let written = key(acme);
    let id = written.id;
    write(store, move |tx| tx.insert_api_key(&written, &[]))
        .await
        .expect("a key");
    id
}

pub fn transfer(acme: &Acme, api_key_id: ApiKeyId) -> ApiKeyTransfer {
    ApiKeyTransfer {
        id: ApiKeyTransferId::generate(NOW),
        organization_id: acme.organization,
        api_key_id,
        from_id: acme.person,
        to_id: acme.person,
        offered_by: acme.person,
        state: TransferState::Open,
        created_at: NOW,
        decided_at: None,
    }
}

async fn an_offer_is_open_once_and_closed_once(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let key = insert_key(&store, &acme).await;
    let (first, twin, next) = (
        transfer(&acme, key),
        transfer(&acme, key),
        transfer(&acme, key),
    );
    let (id, written) = (first.id, first.clone());
    write(&store, move |tx| tx.insert_api_key_transfer(&written))
        .await
        .expect("an offer");
    assert!(is_constraint(
        &write(&store, move |tx| tx.insert_api_key_transfer(&twin)).await
    ));
    assert_eq!(
        read(&store, move |c| c.find_open_api_key_transfer(key)).await,
        Some(first.clone())
    );
    assert_eq!(
        read(&store, move |c| c
            .find_api_key_transfer(acme.organization, id))
        .await,
        Some(first)
    );
    assert_eq!(
        read(&store, move |c| c
            .find_api_key_transfer(other.organization, id))
        .await,
        None
    );
    let close = |organization| {
        write_at(&store, LATER, move |tx| {
            tx.close_api_key_transfer(organization, id, TransferState::Accepted)
        })
    };
    assert_eq!(close(other.organization).await, Err(Error::NotFound));
    close(acme.organization).await.expect("closed");
    assert_eq!(close(acme.organization).await, Err(Error::NotFound));
    let found = read(&store, move |c| {
        c.find_api_key_transfer(acme.organization, id)
    })
    .await
    .expect("found");
    assert_eq!(
        (found.state, found.decided_at),
        (TransferState::Accepted, Some(LATER))
    );
    assert_eq!(
        read(&store, move |c| c.find_open_api_key_transfer(key)).await,
        None
    );
    write(&store, move |tx| tx.insert_api_key_transfer(&next))
        .await
        .expect("another one");
}

async fn offers_are_listed_for_those_who_have_to_do_with_them(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let receiver = person();
    let to_id = receiver.id;
    write(&store, move |tx| tx.insert_user(&receiver))
        .await
        .expect("a person");
    let mut ids = Vec::new();
    for _ in 0..3 {
        let written = ApiKeyTransfer {
            to_id,
            ..transfer(&acme, insert_key(&store, &acme).await)
        };
        ids.push(written.id);
        write(&store, move |tx| tx.insert_api_key_transfer(&written))
            .await
            .expect("an offer");
    }
    ids.sort_unstable();
    ids.reverse();
    let page = |of, after, most| {
        read(&store, move |c| {
            c.list_api_key_transfers_page(acme.organization, of, after, most)
        })
    };
    let listed = async |of, after, most| {
        page(of, after, most)
            .await
            .into_iter()
            .map(|row| row.id)
            .collect::<Vec<_>>()
    };
    for of in [None, Some(acme.person), Some(to_id)] {
        assert_eq!(listed(of, None, 9).await, ids);
    }
    // the open ones, by who makes and who gets them
    let closed = ids[0];
    write(&store, move |tx| {
        tx.close_api_key_transfer(acme.organization, closed, TransferState::Declined)
    })
    .await
    .expect("declined");
    let open = async |organization, of| {
        let (made, got) = read(&store, move |c| {
            let made = c.list_open_api_key_transfers_by(organization, of)?;
            Ok((made, c.list_open_api_key_transfers_to(organization, of)?))
        })
        .await;
        (made.len(), got.len())
    };
    assert_eq!(open(acme.organization, acme.person).await, (2, 0));
    assert_eq!(open(acme.organization, to_id).await, (0, 2));
    assert_eq!(open(other.organization, acme.person).await, (0, 0));
    assert!(listed(Some(other.person), None, 9).await.is_empty());
    assert_eq!(listed(None, Some((NOW, ids[0])), 1).await, ids[1..2]);
    assert!(
        read(&store, move |c| c.list_api_key_transfers_page(
            other.organization,
            None,
            None,
            9
        ))
        .await
        .is_empty()
    );
}
