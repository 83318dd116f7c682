//! The secrets of applications.

use countersign::store::application_secrets::NewSecret;
use countersign::store::applications::Application;
use countersign::store::{Error, Store, Subject};
use countersign::types::id::{ApplicationId, ClientSecretId};
use countersign::types::state::SecretState;

use super::{
    Acme, EARLIER, LATER, NOW, digest, is_constraint, open, read, unique_digest, write, write_at,
};
use crate::databases::{TestDatabase, both_databases};

both_databases!(
    the_live_secrets_are_listed_the_oldest_first,
    a_secret_twice_is_refused,
    a_secret_is_revoked_once,
    a_use_of_a_secret_only_moves_forward_and_is_no_news,
);

async fn application(store: &Store, acme: &Acme) -> Application {
    Application {
        id: acme.insert_application(store).await,
        ..acme.application()
    }
}

async fn insert(store: &Store, application: &Application, hint: &str) -> ClientSecretId {
    let (application, secret) = (
        application.clone(),
        NewSecret {
            digest: unique_digest(),
            hint: hint.to_owned(),
        },
    );
    write(store, move |tx| {
        tx.insert_application_secret(&application, &secret)
    })
    .await
    .expect("a secret")
}

async fn hints(store: &Store, id: ApplicationId) -> Vec<String> {
    read(store, move |c| c.list_application_secrets(id))
        .await
        .into_iter()
        .map(|secret| secret.hint)
        .collect()
}

async fn the_live_secrets_are_listed_the_oldest_first(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let (own, other) = (
        application(&store, &acme).await,
        application(&store, &acme).await,
    );
    let (late, secret) = (
        own.clone(),
        NewSecret {
            digest: digest("late"),
            hint: "cs_cs_late".to_owned(),
        },
    );
    write_at(&store, LATER, move |tx| {
        tx.insert_application_secret(&late, &secret)
    })
    .await
    .expect("a secret");
    let stamp = store.changes().stamp();
    let first = insert(&store, &own, "cs_cs_AbC4").await;
    assert!(
        !store
            .changes()
            .is_current(stamp, [Subject::Organization(acme.organization)])
    );
    insert(&store, &other, "another's").await;
    assert_eq!(hints(&store, own.id).await, ["cs_cs_AbC4", "cs_cs_late"]);
    let found = read(&store, move |c| c.find_application_secret(own.id, first))
        .await
        .expect("found");
    assert_eq!(
        (
            found.state,
            found.created_at,
            found.last_used_at,
            found.revoked_at
        ),
        (SecretState::Active, NOW, None, None)
    );
    assert!(
        read(&store, move |c| c.find_application_secret(other.id, first))
            .await
            .is_none()
    );
    assert!(
        read(&store, move |c| c.find_application_secret(
            own.id,
            ClientSecretId::generate(NOW)
        ))
        .await
        .is_none()
    );
}

async fn a_secret_twice_is_refused(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let (first, second) = (
        application(&store, &acme).await,
        application(&store, &acme).await,
    );
    write(&store, move |tx| {
        tx.insert_application_secret(&first, &digest("secret").into())
    })
    .await
    .expect("a secret");
    assert!(is_constraint(
        &write(&store, move |tx| tx
            .insert_application_secret(&second, &digest("secret").into()))
        .await
    ));
}

async fn a_secret_is_revoked_once(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let (own, other) = (
        application(&store, &acme).await,
        application(&store, &acme).await,
    );
    let (secret, kept) = (
        insert(&store, &own, "old").await,
        insert(&store, &own, "new").await,
    );
    assert_eq!(
        write(&store, move |tx| tx
            .revoke_application_secret(&other, secret))
        .await,
        Err(Error::NotFound)
    );
    let (organization, id) = (acme.organization, own.id);
    let (of_it, again) = (own.clone(), own.clone());
    let answers = futures_util::future::join_all((0..10).map(|_| {
        let own = of_it.clone();
        write_at(&store, LATER, move |tx| {
            tx.revoke_application_secret(&own, secret)
        })
    }))
    .await;
    assert_eq!(
        answers.iter().filter(|answer| answer.is_ok()).count(),
        1,
        "{answers:?}"
    );
    assert_eq!(hints(&store, id).await, ["new"]);
    let found = read(&store, move |c| c.find_application_secret(id, secret))
        .await
        .expect("still found");
    assert_eq!(
        (found.state, found.revoked_at),
        (SecretState::Revoked, Some(LATER))
    );
    let stamp = store.changes().stamp();
    write(&store, move |tx| tx.revoke_application_secret(&again, kept))
        .await
        .expect("revoked");
    assert!(
        !store
            .changes()
            .is_current(stamp, [Subject::Organization(organization)]),
        "what is remembered of the client ends"
    );
}

async fn a_use_of_a_secret_only_moves_forward_and_is_no_news(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let own = application(&store, &acme).await;
    let (id, secret) = (own.id, insert(&store, &own, "cs_cs_AbC4").await);
    let stamp = store.changes().stamp();
    for (at, kept) in [(NOW, NOW), (LATER, LATER), (EARLIER, LATER)] {
        write(&store, move |tx| {
            tx.record_application_secret_use(secret, at)
        })
        .await
        .expect("recorded, or known to be older");
        let found = read(&store, move |c| c.find_application_secret(id, secret))
            .await
            .expect("found");
        assert_eq!(found.last_used_at, Some(kept));
    }
    assert!(
        store
            .changes()
            .is_current(stamp, [Subject::Organization(acme.organization)])
    );
}
