//! OAuth applications, their redirect URIs and secrets.

use countersign::store::applications::Application;
use countersign::store::{Error, Subject, Tx};
use countersign::types::id::ApplicationId;
use countersign::types::state::ApplicationState;

use super::{Acme, EARLIER, LATER, NOW, digest, ends_what_is_remembered_of, is_constraint, open, read, redirect_uri, unique_digest, write, write_at};
use crate::databases::{TestDatabase, both_databases};

both_databases!(
    an_application_is_found_as_it_was_written,
    its_redirect_uris_are_listed_as_they_were_written,
    a_redirect_uri_twice_leaves_no_application_behind,
    its_live_secrets_are_listed,
    the_newest_applications_are_listed_up_to_the_limit,
    an_application_is_deleted_once_and_still_found,
);

async fn an_application_is_found_as_it_was_written(db: TestDatabase) {
    let store = open(&db);
    let written = Acme::insert(&store).await.application();
    let (id, copy) = (written.id, written.clone());
    write(&store, move |tx| tx.insert_application(&copy, &[])).await.expect("inserted");
    let found = read(&store, move |c| c.find_application(id)).await.expect("found");
    assert_eq!(format!("{found:?}"), format!("{written:?}"));
    assert!(read(&store, |c| c.find_application(ApplicationId::generate(NOW))).await.is_none());
}

async fn its_redirect_uris_are_listed_as_they_were_written(db: TestDatabase) {
    let store = open(&db);
    let application = Acme::insert(&store).await.application();
    let id = application.id;
    let uris = ["com.example.app:/cb", "https://crm.example/cb", "https://crm.example/cb?x=%2F"].map(redirect_uri);
    let given = uris.clone();
    write(&store, move |tx| tx.insert_application(&application, &given)).await.expect("inserted");
    assert_eq!(read(&store, move |c| c.list_redirect_uris(id)).await, uris);
}

async fn a_redirect_uri_twice_leaves_no_application_behind(db: TestDatabase) {
    let store = open(&db);
    let application = Acme::insert(&store).await.application();
    let id = application.id;
    let uris = [redirect_uri("https://crm.example/cb"), redirect_uri("https://crm.example/cb")];
    assert!(is_constraint(&write(&store, move |tx| tx.insert_application(&application, &uris)).await));
    assert!(read(&store, move |c| c.find_application(id)).await.is_none());
}

async fn its_live_secrets_are_listed(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let (organization, id, other) = (acme.organization, acme.insert_application(&store).await, acme.insert_application(&store).await);
    let application = Application { id, ..acme.application() };
    let before = store.changes().stamp();
    write(&store, move |tx| tx.insert_application_secret(&application, &digest("secret"))).await.expect("a secret");
    assert!(!store.changes().is_current(before, [Subject::Organization(organization)]));
    let second = Application { id: other, ..acme.application() };
    write(&store, move |tx| tx.insert_application_secret(&second, &unique_digest())).await.expect("another's secret");
    assert_eq!(read(&store, move |c| c.list_application_secrets(id)).await, [digest("secret")]);
    let third = Application { id: other, ..acme.application() };
    assert!(is_constraint(&write(&store, move |tx| tx.insert_application_secret(&third, &digest("secret"))).await));
}

async fn the_newest_applications_are_listed_up_to_the_limit(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let organization = acme.organization;
    let (deleted, _) = (acme.insert_application(&store).await, other.insert_application(&store).await);
    write(&store, move |tx| tx.delete_application(organization, deleted)).await.expect("deleted");
    for at in [NOW, EARLIER, LATER] {
        let application = Application { id: ApplicationId::generate(at), created_at: at, ..acme.application() };
        write(&store, move |tx| tx.insert_application(&application, &[])).await.expect("inserted");
    }
    let listed = |most| read(&store, move |c| c.list_applications(organization, most));
    let times = |applications: Vec<Application>| applications.into_iter().map(|found| found.created_at).collect::<Vec<_>>();
    assert_eq!(times(listed(9).await), [LATER, NOW, EARLIER]);
    assert_eq!(times(listed(1).await), [LATER]);
    assert_eq!(read(&store, move |c| c.count_applications(organization)).await, 3);
}

async fn an_application_is_deleted_once_and_still_found(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let (organization, id) = (acme.organization, acme.insert_application(&store).await);
    assert_eq!(write(&store, move |tx| tx.delete_application(other.organization, id)).await, Err(Error::NotFound));
    let delete = move |tx: &mut Tx| tx.delete_application(organization, id);
    ends_what_is_remembered_of(&store, Subject::Organization(organization), delete).await;
    assert_eq!(write_at(&store, LATER, delete).await, Err(Error::NotFound));
    let found = read(&store, move |c| c.find_application(id)).await.expect("found");
    assert!(found.state == ApplicationState::Deleted && found.deleted_at == Some(NOW));
    assert_eq!(read(&store, move |c| c.count_applications(organization)).await, 0);
}
