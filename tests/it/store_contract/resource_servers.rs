//! Resource servers.

use countersign::store::resource_servers::ResourceServer;
use countersign::store::{Error, Store, Subject, Tx};
use countersign::types::environment::Environment;
use countersign::types::id::{ClientSecretId, ResourceServerId};
use countersign::types::resource::ResourceUri;

use super::{
    EARLIER, LATER, NOW, digest, ends_what_is_remembered_of, is_constraint, open, read,
    unique_digest, write, write_at,
};
use crate::databases::{TestDatabase, both_databases};

both_databases!(
    a_resource_server_is_found_with_its_secret,
    a_taken_secret_leaves_no_resource_server_behind,
    of_two_resource_servers_of_one_name_the_older_is_found,
    a_resource_names_one_server,
    a_server_leaves_the_default_audience_and_comes_back,
    a_second_secret_lives_beside_the_first_until_one_is_revoked,
    a_server_is_deleted_with_all_that_it_has,
    who_holds_a_server_counts_what_it_has,
);

fn server(name: &str) -> ResourceServer {
    ResourceServer {
        id: ResourceServerId::generate(NOW),
        name: name.to_owned(),
        environment: Some(Environment::Sandbox),
        obligations: "watermark recipients".to_owned(),
        created_at: NOW,
        default_audience: true,
    }
}

async fn a_resource_server_is_found_with_its_secret(db: TestDatabase) {
    let store = open(&db);
    let written = server("Documents");
    let (id, copy) = (written.id, written.clone());
    let before = store.changes().stamp();
    write(&store, move |tx| {
        tx.insert_resource_server(&copy, &digest("secret"), "cs_cs_AbCd")
    })
    .await
    .expect("inserted");
    assert!(
        !store
            .changes()
            .is_current(before, [Subject::ResourceServer(id)])
    );
    let both = ResourceServer {
        environment: None,
        ..server("Other")
    };
    write(&store, move |tx| {
        tx.insert_resource_server(&both, &unique_digest(), "")
    })
    .await
    .expect("another");
    let found = read(&store, move |c| c.find_resource_server(id))
        .await
        .expect("found");
    assert_eq!(format!("{found:?}"), format!("{written:?}"));
    assert_eq!(
        read(&store, |c| c.find_resource_server_by_name("Documents"))
            .await
            .expect("found")
            .id,
        id
    );
    assert_eq!(
        read(&store, |c| c.find_resource_server_by_name("Other"))
            .await
            .expect("found")
            .environment,
        None
    );
    let secrets = read(&store, move |c| c.list_resource_server_secrets(id)).await;
    assert_eq!(
        secrets
            .iter()
            .map(|own| (&own.digest, own.hint.as_str()))
            .collect::<Vec<_>>(),
        [(&digest("secret"), "cs_cs_AbCd")]
    );
    assert!(
        read(&store, |c| c
            .find_resource_server(ResourceServerId::generate(NOW)))
        .await
        .is_none()
    );
    assert!(
        read(&store, |c| c.find_resource_server_by_name("None"))
            .await
            .is_none()
    );
}

async fn a_taken_secret_leaves_no_resource_server_behind(db: TestDatabase) {
    let store = open(&db);
    write(&store, |tx| {
        tx.insert_resource_server(&server("First"), &digest("secret"), "")
    })
    .await
    .expect("inserted");
    assert!(is_constraint(
        &write(&store, |tx| tx.insert_resource_server(
            &server("Second"),
            &digest("secret"),
            ""
        ))
        .await
    ));
    assert!(
        read(&store, |c| c.find_resource_server_by_name("Second"))
            .await
            .is_none()
    );
}

async fn of_two_resource_servers_of_one_name_the_older_is_found(db: TestDatabase) {
    let store = open(&db);
    let old = ResourceServer {
        created_at: EARLIER,
        ..server("Same")
    };
    let id = old.id;
    write(&store, |tx| {
        tx.insert_resource_server(&server("Same"), &unique_digest(), "")
    })
    .await
    .expect("the younger");
    write(&store, move |tx| {
        tx.insert_resource_server(&old, &unique_digest(), "")
    })
    .await
    .expect("the older");
    assert_eq!(
        read(&store, |c| c.find_resource_server_by_name("Same"))
            .await
            .expect("found")
            .id,
        id
    );
}

fn resource(text: &str) -> ResourceUri {
    text.parse().expect("a resource")
}

/// RFC 8707 §2: a resource says which server is meant.
async fn a_resource_names_one_server(db: TestDatabase) {
    let store = open(&db);
    let (first, second) = (server("First"), server("Second"));
    let (id, other) = (first.id, second.id);
    write(&store, move |tx| {
        tx.insert_resource_server(&first, &unique_digest(), "")
    })
    .await
    .expect("inserted");
    write(&store, move |tx| {
        tx.insert_resource_server(&second, &unique_digest(), "")
    })
    .await
    .expect("inserted");
    let listed: Vec<_> = read(&store, |c| c.list_resource_servers(10))
        .await
        .iter()
        .map(|server| server.id)
        .collect();
    assert!(listed.len() == 2 && listed.contains(&id) && listed.contains(&other));
    let before = store.changes().stamp();
    write(&store, move |tx| {
        tx.insert_resource(id, &resource("https://api.example/v1"))
    })
    .await
    .expect("inserted");
    assert!(
        !store
            .changes()
            .is_current(before, [Subject::ResourceServer(id)])
    );
    assert!(is_constraint(
        &write(&store, move |tx| tx
            .insert_resource(other, &resource("https://API.example/v1")))
        .await
    ));
    // however it is written there, it is told as it was inserted
    let (found, written) = read(&store, |c| {
        c.find_resource_server_by_uri(&resource("HTTPS://API.example/v1"))
    })
    .await
    .expect("found");
    assert_eq!((found.id, written.as_str()), (id, "https://api.example/v1"));
    assert!(
        read(&store, |c| c.find_resource_server_by_uri(&resource(
            "https://api.example/v2"
        )))
        .await
        .is_none()
    );
    assert_eq!(
        read(&store, move |c| c.list_resources(id)).await,
        [resource("https://api.example/v1")]
    );
    assert_eq!(read(&store, move |c| c.list_resources(other)).await, []);
    let foreign = write(&store, move |tx| {
        tx.delete_resource(other, &resource("https://api.example/v1"))
    })
    .await;
    assert_eq!(foreign, Err(Error::NotFound));
    write(&store, move |tx| {
        tx.delete_resource(id, &resource("https://api.example/v1"))
    })
    .await
    .expect("deleted");
    assert_eq!(read(&store, move |c| c.list_resources(id)).await, []);
}

async fn a_server_leaves_the_default_audience_and_comes_back(db: TestDatabase) {
    let store = open(&db);
    let written = server("Documents");
    let id = written.id;
    write(&store, move |tx| {
        tx.insert_resource_server(&written, &unique_digest(), "")
    })
    .await
    .expect("inserted");
    for obligations in ["watermark recipients", ""] {
        let before = store.changes().stamp();
        write(&store, move |tx| tx.set_obligations(id, obligations))
            .await
            .expect("set");
        assert!(
            !store
                .changes()
                .is_current(before, [Subject::ResourceServer(id)])
        );
        assert_eq!(
            read(&store, move |c| c.find_resource_server(id))
                .await
                .expect("found")
                .obligations,
            obligations
        );
    }
    for default_audience in [false, true] {
        let before = store.changes().stamp();
        write(&store, move |tx| {
            tx.set_default_audience(id, default_audience)
        })
        .await
        .expect("set");
        assert!(
            !store
                .changes()
                .is_current(before, [Subject::ResourceServer(id)])
        );
        assert_eq!(
            read(&store, move |c| c.find_resource_server(id))
                .await
                .expect("found")
                .default_audience,
            default_audience
        );
    }
}

async fn insert(store: &Store) -> ResourceServerId {
    let written = server("Documents");
    let id = written.id;
    write(store, move |tx| {
        tx.insert_resource_server(&written, &unique_digest(), "")
    })
    .await
    .expect("inserted");
    id
}

async fn secrets(store: &Store, id: ResourceServerId) -> Vec<ClientSecretId> {
    read(store, move |c| c.list_resource_server_secrets(id))
        .await
        .iter()
        .map(|secret| secret.id)
        .collect()
}

async fn a_second_secret_lives_beside_the_first_until_one_is_revoked(db: TestDatabase) {
    let store = open(&db);
    let (id, other) = (insert(&store).await, insert(&store).await);
    let first = secrets(&store, id).await[0];
    let before = store.changes().stamp();
    let second = write_at(&store, LATER, move |tx| {
        tx.insert_resource_server_secret(id, &unique_digest(), "cs_cs_2nd")
    })
    .await
    .expect("a second");
    assert!(
        !store
            .changes()
            .is_current(before, [Subject::ResourceServer(id)])
    );
    assert_eq!(
        secrets(&store, id).await,
        [first, second],
        "the oldest first"
    );
    assert_eq!(
        write(&store, move |tx| tx
            .revoke_resource_server_secret(other, first))
        .await,
        Err(Error::NotFound)
    );
    ends_what_is_remembered_of(&store, Subject::ResourceServer(id), move |tx: &mut Tx| {
        tx.revoke_resource_server_secret(id, first)
    })
    .await;
    assert_eq!(secrets(&store, id).await, [second]);
    assert_eq!(
        write(&store, move |tx| tx
            .revoke_resource_server_secret(id, first))
        .await,
        Err(Error::NotFound)
    );
    assert!(is_constraint(
        &write(&store, move |tx| tx.insert_resource_server_secret(
            ResourceServerId::generate(NOW),
            &unique_digest(),
            ""
        ))
        .await
    ));
}

async fn a_server_is_deleted_with_all_that_it_has(db: TestDatabase) {
    let store = open(&db);
    let (id, other) = (insert(&store).await, insert(&store).await);
    write(&store, move |tx| {
        tx.insert_resource(id, &resource("https://api.example"))
    })
    .await
    .expect("inserted");
    ends_what_is_remembered_of(&store, Subject::ResourceServer(id), move |tx: &mut Tx| {
        tx.delete_resource_server(id)
    })
    .await;
    assert!(
        read(&store, move |c| c.find_resource_server(id))
            .await
            .is_none()
    );
    assert_eq!(secrets(&store, id).await, []);
    assert!(
        read(&store, |c| c.find_resource_server_by_uri(&resource(
            "https://api.example/"
        )))
        .await
        .is_none()
    );
    assert_eq!(secrets(&store, other).await.len(), 1);
    assert_eq!(
        write(&store, move |tx| tx.delete_resource_server(id)).await,
        Err(Error::NotFound)
    );
}

async fn who_holds_a_server_counts_what_it_has(db: TestDatabase) {
    let store = open(&db);
    let id = insert(&store).await;
    let add = move |tx: &mut Tx| {
        tx.hold_resource_server(id)?;
        let room = tx.list_resource_server_secrets(id)?.len() < 2;
        if room {
            tx.insert_resource_server_secret(id, &unique_digest(), "")
                .map(drop)
        } else {
            Err(Error::NotFound)
        }
    };
    let answers = futures_util::future::join_all((0..10).map(|_| write(&store, add))).await;
    assert_eq!(
        answers.iter().filter(|answer| answer.is_ok()).count(),
        1,
        "{answers:?}"
    );
    assert_eq!(secrets(&store, id).await.len(), 2);
    assert_eq!(
        write(&store, |tx| tx
            .hold_resource_server(ResourceServerId::generate(NOW)))
        .await,
        Err(Error::NotFound)
    );
}
