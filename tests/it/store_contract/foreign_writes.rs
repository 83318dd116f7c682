//! Writes beside the process that serves.

use std::time::{Duration, Instant};

use countersign::store::{ForeignWrites, Store, Subject};

use super::{Acme, open, read, write};
use crate::databases::{TestDatabase, both_databases};

both_databases!(
    a_write_beside_the_server_ends_what_it_remembers_before_it_is_noticed,
    without_a_server_there_is_nobody_to_notice,
    a_guest_announces_nothing,
    what_is_written_as_a_probe_changes_nothing,
);

async fn a_write_beside_the_server_ends_what_it_remembers_before_it_is_noticed(db: TestDatabase) {
    let serving = open(&db);
    let acme = Acme::insert(&serving).await;
    let beside = Store::open_beside(&db.database).expect("beside the server");
    let before = read(&serving, |c| c.find_foreign_writes()).await;
    for round in 1..=3 {
        let remembered = serving.changes().stamp();
        let (user, name) = (acme.person, format!("Ada {round}"));
        write(&beside, move |tx| tx.change_user_name(user, &name))
            .await
            .expect("written, although the server may remember the name");
        let deadline = Instant::now() + Duration::from_secs(20);
        while !beside.is_noticed().await.expect("an answer") {
            assert!(Instant::now() < deadline, "the server looks every second");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let subject = Subject::Organization(acme.organization);
        assert!(
            !serving.changes().is_current(remembered, [subject]),
            "noticed, and so forgotten"
        );
        let writes = ForeignWrites {
            written: before.written + round,
            noticed: before.written + round,
        };
        assert_eq!(read(&serving, |c| c.find_foreign_writes()).await, writes);
    }
}

async fn without_a_server_there_is_nobody_to_notice(db: TestDatabase) {
    let alone = Store::open_beside(&db.database).expect("with the lock");
    let acme = Acme::insert(&alone).await;
    let user = acme.person;
    write(&alone, move |tx| tx.change_user_name(user, "Ada"))
        .await
        .expect("written");
    assert_eq!(alone.is_noticed().await, Ok(true));
    assert!(
        Store::open(&db.database, 1).is_err(),
        "no server starts meanwhile"
    );
}

async fn a_guest_announces_nothing(db: TestDatabase) {
    let serving = open(&db);
    let acme = Acme::insert(&serving).await;
    let guest = Store::open_as_guest(&db.database).expect("a guest");
    let user = acme.person;
    assert!(
        write(&guest, move |tx| tx.change_user_name(user, "Ada"))
            .await
            .is_err(),
        "the server would go on remembering"
    );
    let writes = read(&serving, |c| c.find_foreign_writes()).await;
    assert_eq!(writes.written, writes.noticed);
}

async fn what_is_written_as_a_probe_changes_nothing(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let before = read(&store, |c| c.find_foreign_writes()).await;
    let remembered = store.changes().stamp();
    write(&store, |tx| tx.touch()).await.expect("written");
    store.probe(super::NOW).await.expect("probed");
    assert_eq!(read(&store, |c| c.find_foreign_writes()).await, before);
    let subject = Subject::Organization(acme.organization);
    assert!(store.changes().is_current(remembered, [subject]));
}
