//! Resource servers.

use countersign::store::resource_servers::ResourceServer;
use countersign::store::{Error, Subject};
use countersign::types::environment::Environment;
use countersign::types::id::ResourceServerId;
use countersign::types::resource::ResourceUri;

use super::{EARLIER, NOW, digest, is_constraint, open, read, unique_digest, write};
use crate::databases::{TestDatabase, both_databases};

both_databases!(
    a_resource_server_is_found_with_its_secret,
    a_taken_secret_leaves_no_resource_server_behind,
    of_two_resource_servers_of_one_name_the_older_is_found,
    a_resource_names_one_server,
    a_server_leaves_the_default_audience_and_comes_back,
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
    write(&store, move |tx| tx.insert_resource_server(&copy, &digest("secret"))).await.expect("inserted");
    assert!(!store.changes().is_current(before, [Subject::ResourceServer(id)]));
    let both = ResourceServer { environment: None, ..server("Other") };
    write(&store, move |tx| tx.insert_resource_server(&both, &unique_digest())).await.expect("another");
    let found = read(&store, move |c| c.find_resource_server(id)).await.expect("found");
    assert_eq!(format!("{found:?}"), format!("{written:?}"));
    assert_eq!(read(&store, |c| c.find_resource_server_by_name("Documents")).await.expect("found").id, id);
    assert_eq!(read(&store, |c| c.find_resource_server_by_name("Other")).await.expect("found").environment, None);
    assert_eq!(read(&store, move |c| c.list_resource_server_secrets(id)).await, [digest("secret")]);
    assert!(read(&store, |c| c.find_resource_server(ResourceServerId::generate(NOW))).await.is_none());
    assert!(read(&store, |c| c.find_resource_server_by_name("None")).await.is_none());
}

async fn a_taken_secret_leaves_no_resource_server_behind(db: TestDatabase) {
    let store = open(&db);
    write(&store, |tx| tx.insert_resource_server(&server("First"), &digest("secret"))).await.expect("inserted");
    assert!(is_constraint(&write(&store, |tx| tx.insert_resource_server(&server("Second"), &digest("secret"))).await));
    assert!(read(&store, |c| c.find_resource_server_by_name("Second")).await.is_none());
}

async fn of_two_resource_servers_of_one_name_the_older_is_found(db: TestDatabase) {
    let store = open(&db);
    let old = ResourceServer { created_at: EARLIER, ..server("Same") };
    let id = old.id;
    write(&store, |tx| tx.insert_resource_server(&server("Same"), &unique_digest())).await.expect("the younger");
    write(&store, move |tx| tx.insert_resource_server(&old, &unique_digest())).await.expect("the older");
    assert_eq!(read(&store, |c| c.find_resource_server_by_name("Same")).await.expect("found").id, id);
}

fn resource(text: &str) -> ResourceUri {
    text.parse().expect("a resource")
}

/// RFC 8707 §2: a resource says which server is meant.
async fn a_resource_names_one_server(db: TestDatabase) {
    let store = open(&db);
    let (first, second) = (server("First"), server("Second"));
    let (id, other) = (first.id, second.id);
    write(&store, move |tx| tx.insert_resource_server(&first, &unique_digest())).await.expect("inserted");
    write(&store, move |tx| tx.insert_resource_server(&second, &unique_digest())).await.expect("inserted");
    let listed: Vec<_> = read(&store, |c| c.list_resource_servers(10)).await.iter().map(|server| server.id).collect();
    assert!(listed.len() == 2 && listed.contains(&id) && listed.contains(&other));
    let before = store.changes().stamp();
    write(&store, move |tx| tx.insert_resource(id, &resource("https://api.example/v1"))).await.expect("inserted");
    assert!(!store.changes().is_current(before, [Subject::ResourceServer(id)]));
    assert!(is_constraint(&write(&store, move |tx| tx.insert_resource(other, &resource("https://api.example/v1"))).await));
    assert_eq!(read(&store, |c| c.find_resource_server_by_uri("https://api.example/v1")).await.expect("found").id, id);
    assert!(read(&store, |c| c.find_resource_server_by_uri("https://api.example/v2")).await.is_none());
    assert_eq!(read(&store, move |c| c.list_resources(id)).await, [resource("https://api.example/v1")]);
    assert_eq!(read(&store, move |c| c.list_resources(other)).await, []);
    let foreign = write(&store, move |tx| tx.delete_resource(other, &resource("https://api.example/v1"))).await;
    assert_eq!(foreign, Err(Error::NotFound));
    write(&store, move |tx| tx.delete_resource(id, &resource("https://api.example/v1"))).await.expect("deleted");
    assert_eq!(read(&store, move |c| c.list_resources(id)).await, []);
}

async fn a_server_leaves_the_default_audience_and_comes_back(db: TestDatabase) {
    let store = open(&db);
    let written = server("Documents");
    let id = written.id;
    write(&store, move |tx| tx.insert_resource_server(&written, &unique_digest())).await.expect("inserted");
    for default_audience in [false, true] {
        let before = store.changes().stamp();
        write(&store, move |tx| tx.set_default_audience(id, default_audience)).await.expect("set");
        assert!(!store.changes().is_current(before, [Subject::ResourceServer(id)]));
        assert_eq!(read(&store, move |c| c.find_resource_server(id)).await.expect("found").default_audience, default_audience);
    }
}
