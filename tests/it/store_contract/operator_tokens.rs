//! Operator tokens.

use countersign::store::operator_tokens::OperatorToken;
use countersign::store::{Error, Subject};
use countersign::types::id::{OperatorTokenId, UserId};
use countersign::types::time::Timestamp;

use super::{Acme, EARLIER, LATER, NOW, is_constraint, open, read, unique_digest, write};
use crate::databases::{TestDatabase, both_databases};

both_databases!(
    a_token_is_found_by_its_digest_and_listed,
    a_token_is_revoked_once,
    a_token_knows_which_it_has_made,
    a_use_only_moves_forward_and_is_no_news
);

fn token(acme: &Acme, at: Timestamp) -> OperatorToken {
    OperatorToken {
        id: OperatorTokenId::generate(at),
        digest: unique_digest(),
        hint: "cs_ot_ab12".to_owned(),
        name: "Billing".to_owned(),
        permissions: "*".to_owned(),
        user_id: acme.person,
        created_at: at,
        expires_at: Some(LATER),
        last_used_at: None,
        revoked_at: None,
    }
}

async fn a_token_is_found_by_its_digest_and_listed(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let (old, young) = (token(&acme, EARLIER), token(&acme, NOW));
    for row in [old.clone(), young.clone()] {
        write(&store, move |tx| tx.insert_operator_token(&row))
            .await
            .expect("inserted");
    }
    let digest = young.digest.clone();
    let found = read(&store, move |c| {
        c.find_operator_token_by_digest(&[unique_digest(), digest])
    })
    .await;
    assert_eq!(format!("{found:?}"), format!("{:?}", Some(young.clone())));
    assert!(
        read(&store, |c| c
            .find_operator_token_by_digest(&[unique_digest()]))
        .await
        .is_none()
    );
    let id = young.id;
    let found = read(&store, move |c| c.find_operator_token(id)).await;
    assert_eq!(found.map(|row| row.id), Some(young.id));
    let nobodys = OperatorTokenId::generate(NOW);
    assert!(
        read(&store, move |c| c.find_operator_token(nobodys))
            .await
            .is_none()
    );
    let person = acme.person;
    let acting = read(&store, move |c| c.find_operator_token_of(person)).await;
    assert_eq!(acting.map(|row| row.user_id), Some(person));
    let nobody = UserId::generate(NOW);
    assert!(
        read(&store, move |c| c.find_operator_token_of(nobody))
            .await
            .is_none()
    );
    let listed = |most| read(&store, move |c| c.list_operator_tokens(most));
    assert_eq!(
        listed(9).await.iter().map(|row| row.id).collect::<Vec<_>>(),
        [young.id, old.id]
    );
    assert_eq!(listed(1).await.len(), 1);
    let twin = OperatorToken {
        id: OperatorTokenId::generate(NOW),
        ..young
    };
    assert!(is_constraint(
        &write(&store, move |tx| tx.insert_operator_token(&twin)).await
    ));
}

async fn a_token_is_revoked_once(db: TestDatabase) {
    let store = open(&db);
    let row = token(&Acme::insert(&store).await, NOW);
    let id = row.id;
    write(&store, move |tx| tx.insert_operator_token(&row))
        .await
        .expect("inserted");
    write(&store, move |tx| tx.revoke_operator_token(id))
        .await
        .expect("revoked");
    assert_eq!(
        read(&store, |c| c.list_operator_tokens(1)).await[0].revoked_at,
        Some(NOW)
    );
    assert_eq!(
        write(&store, move |tx| tx.revoke_operator_token(id)).await,
        Err(Error::NotFound)
    );
}

async fn a_use_only_moves_forward_and_is_no_news(db: TestDatabase) {
    let store = open(&db);
    let row = token(&Acme::insert(&store).await, NOW);
    let (id, user) = (row.id, row.user_id);
    write(&store, move |tx| tx.insert_operator_token(&row))
        .await
        .expect("inserted");
    let stamp = store.changes().stamp();
    for (at, kept) in [(NOW, NOW), (LATER, LATER), (EARLIER, LATER)] {
        write(&store, move |tx| tx.record_operator_token_use(id, at))
            .await
            .expect("recorded, or known to be older");
        assert_eq!(
            read(&store, |c| c.list_operator_tokens(1)).await[0].last_used_at,
            Some(kept)
        );
    }
    assert!(store.changes().is_current(stamp, [Subject::User(user)]));
}

async fn a_token_knows_which_it_has_made(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let (maker, made, other) = (token(&acme, NOW), token(&acme, NOW), token(&acme, NOW));
    let (maker_id, made_id) = (maker.id, made.id);
    for row in [maker, made, other] {
        write(&store, move |tx| tx.insert_operator_token(&row))
            .await
            .expect("inserted");
    }
    write(&store, move |tx| {
        tx.set_operator_token_maker(made_id, maker_id)
    })
    .await
    .expect("said");
    let of = |id| read(&store, move |c| c.list_operator_tokens_made_by(id));
    assert_eq!(of(maker_id).await, [made_id]);
    assert!(of(made_id).await.is_empty());
    write(&store, move |tx| tx.revoke_operator_token(made_id))
        .await
        .expect("revoked");
    assert!(of(maker_id).await.is_empty(), "the live ones");
}
