//! Links between people and subjects at issuers.

use countersign::store::identities::Identity;
use countersign::store::{Error, Store};
use countersign::types::id::UserId;

use super::{Acme, LATER, NOW, is_constraint, open, read, write, write_at};
use crate::databases::{TestDatabase, both_databases};

both_databases!(
    a_subject_is_found_with_its_person_by_realm_and_issuer_only,
    a_subject_is_one_persons,
    its_last_use_is_recorded,
    links_go_by_person_and_by_realm,
);

const ISSUER: &str = "https://id.example";

fn identity(realm: &str, issuer: &str, subject: &str, user: UserId) -> Identity {
    Identity {
        realm: realm.into(),
        issuer: issuer.into(),
        subject: subject.into(),
        user_id: user,
        created_at: NOW,
        last_used_at: NOW,
    }
}

async fn insert(store: &Store, row: Identity) -> Result<(), Error> {
    write(store, move |tx| tx.insert_identity(&row)).await
}

async fn owner(
    store: &Store,
    realm: &'static str,
    issuer: &'static str,
    subject: &'static str,
) -> Option<UserId> {
    read(store, move |c| c.find_identity(realm, issuer, subject))
        .await
        .map(|(identity, user)| {
            assert_eq!(identity.user_id, user.id);
            user.id
        })
}

async fn a_subject_is_found_with_its_person_by_realm_and_issuer_only(db: TestDatabase) {
    let store = open(&db);
    let user = Acme::insert(&store).await.person;
    insert(&store, identity("operator", ISSUER, "Ada", user))
        .await
        .expect("inserted");
    assert_eq!(owner(&store, "operator", ISSUER, "Ada").await, Some(user));
    for (realm, issuer, subject) in [
        ("idp_1", ISSUER, "Ada"),
        ("operator", "https://id.example/", "Ada"),
        ("operator", ISSUER, "ada"),
        ("operator", ISSUER, ""),
    ] {
        assert_eq!(
            owner(&store, realm, issuer, subject).await,
            None,
            "{realm} {issuer} {subject}"
        );
    }
}

async fn a_subject_is_one_persons(db: TestDatabase) {
    let store = open(&db);
    let (user, other) = (
        Acme::insert(&store).await.person,
        Acme::insert(&store).await.person,
    );
    insert(&store, identity("operator", ISSUER, "1", user))
        .await
        .expect("inserted");
    assert!(is_constraint(
        &insert(&store, identity("operator", ISSUER, "1", other)).await
    ));
    assert!(is_constraint(
        &insert(
            &store,
            identity("operator", ISSUER, "2", UserId::generate(NOW))
        )
        .await
    ));
    insert(&store, identity("idp_1", ISSUER, "1", other))
        .await
        .expect("another realm, another link");
    assert_eq!(owner(&store, "operator", ISSUER, "1").await, Some(user));
}

async fn its_last_use_is_recorded(db: TestDatabase) {
    let store = open(&db);
    let row = identity("operator", ISSUER, "1", Acme::insert(&store).await.person);
    insert(&store, row.clone()).await.expect("inserted");
    write_at(&store, LATER, move |tx| tx.record_identity_use(&row))
        .await
        .expect("recorded");
    let (found, _) = read(&store, |c| c.find_identity("operator", ISSUER, "1"))
        .await
        .expect("found");
    assert!(found.last_used_at == LATER && found.created_at == NOW);
    let gone = Identity {
        subject: "2".into(),
        ..found
    };
    assert_eq!(
        write(&store, move |tx| tx.record_identity_use(&gone)).await,
        Err(Error::NotFound)
    );
}

async fn links_go_by_person_and_by_realm(db: TestDatabase) {
    let store = open(&db);
    let (user, other) = (
        Acme::insert(&store).await.person,
        Acme::insert(&store).await.person,
    );
    for (realm, subject, person) in [
        ("operator", "1", user),
        ("operator", "2", other),
        ("idp_1", "1", user),
        ("idp_2", "1", user),
    ] {
        insert(&store, identity(realm, ISSUER, subject, person))
            .await
            .expect("inserted");
    }
    let listed = read(&store, move |c| c.list_identities("operator", ISSUER, user)).await;
    assert_eq!(
        listed
            .iter()
            .map(|identity| identity.subject.as_str())
            .collect::<Vec<_>>(),
        ["1"]
    );
    assert_eq!(
        write(&store, move |tx| tx.delete_identities(
            "operator",
            "https://other.example",
            user
        ))
        .await,
        Ok(0)
    );
    assert_eq!(
        write(&store, move |tx| tx
            .delete_identities("operator", ISSUER, user))
        .await,
        Ok(1)
    );
    assert_eq!(write(&store, |tx| tx.delete_realm("idp_1")).await, Ok(1));
    assert_eq!(owner(&store, "operator", ISSUER, "2").await, Some(other));
    assert_eq!(owner(&store, "idp_2", ISSUER, "1").await, Some(user));
    assert_eq!(owner(&store, "idp_1", ISSUER, "1").await, None);
    let has = async || read(&store, move |c| c.has_identities(user)).await;
    assert!(has().await, "whichever provider it is");
    write(&store, |tx| tx.delete_realm("idp_2"))
        .await
        .expect("removed");
    assert!(!has().await);
}
