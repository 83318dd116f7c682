//! What `read`, `write` and `write_organization` promise, whatever the noun.

use std::sync::mpsc::channel;

use countersign::store::{
    Conn, Database, Error, ExclusiveError, OpenError, Store, Subject, Tx, Verdict, migrate,
};
use countersign::types::event::Event;
use countersign::types::id::OrganizationId;
use diesel::connection::SimpleConnection;
use futures_util::future::join_all;

use super::api_keys::key;
use super::{Acme, NOW, is_constraint, open, organization, person, read, write};
use crate::databases::{TestDatabase, both_databases, offered};

both_databases!(
    an_err_rolls_back,
    a_refusal_commits_and_is_news,
    a_read_is_no_news,
    every_commit_ends_the_memory_of_what_is_unknown,
    a_write_sees_its_own_changes,
    a_read_is_one_snapshot,
    a_swallowed_constraint_violation_does_not_commit,
    nothing_runs_behind_a_constraint_violation,
    fifty_writers_at_one_hundred_and_ninety_nine_keys_leave_two_hundred,
    a_write_for_an_unknown_organization_is_not_run,
    the_asker_may_go_before_the_answer,
    a_queue_too_long_is_answered_at_once,
    migrations_that_have_run_do_not_run_again,
    a_schema_that_is_not_there_is_not_served,
    a_schema_from_the_future_is_neither_served_nor_migrated,
    a_guest_changes_only_what_nobody_remembers,
    a_rehearsed_write_runs_twice_and_counts_once,
);

async fn an_err_rolls_back(db: TestDatabase) {
    let store = open(&db);
    let acme = organization("Acme");
    let (id, before) = (acme.id, store.changes().stamp());
    let answer: Result<(), Error> = store
        .write(NOW, move |tx| {
            tx.insert_organization(&acme)?;
            Err(Error::NotFound)
        })
        .await;
    assert_eq!(answer, Err(Error::NotFound));
    assert!(
        read(&store, move |c| c.find_organization(id))
            .await
            .is_none()
    );
    let _ = before;
}

/// A replay kills the family although the request fails.
async fn a_refusal_commits_and_is_news(db: TestDatabase) {
    let store = open(&db);
    let authorization = Acme::insert(&store)
        .await
        .insert_authorization(&store)
        .await;
    let (id, subject, before) = (
        authorization.id,
        Subject::Organization(authorization.organization_id),
        store.changes().stamp(),
    );
    let answer: Result<(), Error> = store
        .write(NOW, move |tx| {
            tx.revoke_authorization(&authorization, "replayed")?;
            Ok(Verdict::Refused(Error::NotFound))
        })
        .await;
    assert_eq!(answer, Err(Error::NotFound));
    assert!(!store.changes().is_current(before, [subject]));
    assert_eq!(
        read(&store, move |c| c.find_authorization(id))
            .await
            .expect("found")
            .revoked_at,
        Some(NOW)
    );
}

async fn a_read_is_no_news(db: TestDatabase) {
    let store = open(&db);
    let id = Acme::insert(&store).await.organization;
    let before = store.changes().stamp();
    read(&store, move |c| c.find_organization(id))
        .await
        .expect("found");
    assert!(
        store
            .changes()
            .is_current(before, [Subject::Organization(id)])
            && store.changes().is_unchanged(before)
    );
}

/// A key that did not exist when it was first presented may exist after any write.
async fn every_commit_ends_the_memory_of_what_is_unknown(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let before = store.changes().stamp();
    write(&store, move |tx| tx.insert_api_key(&key(&acme), &[]))
        .await
        .expect("a key");
    assert!(!store.changes().is_unchanged(before));
}

async fn a_write_sees_its_own_changes(db: TestDatabase) {
    let store = open(&db);
    let acme = organization("Acme");
    let found = write(&store, move |tx| {
        tx.insert_organization(&acme)?;
        tx.find_organization(acme.id)
    });
    assert!(found.await.expect("committed").is_some());
}

async fn a_read_is_one_snapshot(db: TestDatabase) {
    let store = open(&db);
    let id = Acme::insert(&store).await.organization;
    let (asked, wait_for_first) = channel();
    let (release, wait_for_release) = channel();
    let question = store.read(move |c| {
        let first = c.find_organization(id)?.map(|found| found.generation);
        asked.send(()).expect("the test listens");
        wait_for_release.recv().expect("the test sends");
        let second = c.find_organization(id)?.map(|found| found.generation);
        Ok::<_, Error>((first, second))
    });
    let change = async {
        tokio::task::spawn_blocking(move || wait_for_first.recv())
            .await
            .expect("a thread")
            .expect("the closure runs");
        write(&store, move |tx| tx.advance_generation(id))
            .await
            .expect("writers do not wait for readers");
        release.send(()).expect("the closure waits");
    };
    let (answer, ()) = futures_util::future::join(question, change).await;
    assert_eq!(answer, Ok((Some(0), Some(0))));
    assert_eq!(
        read(&store, move |c| c.find_organization(id))
            .await
            .expect("found")
            .generation,
        1
    );
}

/// PostgreSQL answers COMMIT with success although it rolls back what met an error.
async fn a_swallowed_constraint_violation_does_not_commit(db: TestDatabase) {
    let store = open(&db);
    let (acme, user) = (organization("Acme"), person());
    let id = acme.id;
    let before = store.changes().stamp();
    let answer = write(&store, move |tx| {
        tx.insert_organization(&acme)?;
        tx.insert_user(&user)?;
        let _ = tx.insert_user(&user);
        Ok(())
    });
    let answer = answer.await;
    assert!(is_constraint(&answer), "{answer:?}");
    assert!(
        read(&store, move |c| c.find_organization(id))
            .await
            .is_none()
    );
    let _ = before;
}

async fn nothing_runs_behind_a_constraint_violation(db: TestDatabase) {
    let store = open(&db);
    let (user, acme) = (person(), organization("Acme"));
    let id = acme.id;
    let answer = write(&store, move |tx| {
        tx.insert_user(&user)?;
        let _ = tx.insert_user(&user);
        assert!(
            is_constraint(&tx.find_user(user.id)),
            "both databases say the same"
        );
        tx.insert_organization(&acme)
    });
    let answer = answer.await;
    assert!(is_constraint(&answer), "{answer:?}");
    assert!(
        read(&store, move |c| c.find_organization(id))
            .await
            .is_none()
    );
}

async fn fifty_writers_at_one_hundred_and_ninety_nine_keys_leave_two_hundred(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let organization = acme.organization;
    let owner = acme.clone();
    write(&store, move |tx| {
        (0..199).try_for_each(|_| tx.insert_api_key(&key(&owner), &[]))
    })
    .await
    .expect("199 keys");
    let create = |acme: Acme| {
        store.write_organization(organization, NOW, move |tx| {
            if tx.count_active_api_keys(organization, NOW)? >= 200 {
                return Ok(Verdict::Refused(Error::NotFound));
            }
            tx.insert_api_key(&key(&acme), &[])?;
            Ok::<_, Error>(Verdict::Done(()))
        })
    };
    let answers = join_all((0..50).map(|_| create(acme.clone()))).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer, Ok(()) | Err(Error::NotFound))),
        "{answers:?}"
    );
    assert_eq!(
        read(&store, move |c| c.count_active_api_keys(organization, NOW)).await,
        200
    );
}

async fn a_write_for_an_unknown_organization_is_not_run(db: TestDatabase) {
    let store = open(&db);
    let user = person();
    let id = user.id;
    let answer: Result<(), Error> = store
        .write_organization(OrganizationId::generate(NOW), NOW, move |tx| {
            tx.insert_user(&user)?;
            Ok(Verdict::Done(()))
        })
        .await;
    assert_eq!(answer, Err(Error::NotFound));
    assert!(read(&store, move |c| c.find_user(id)).await.is_none());
}

async fn the_asker_may_go_before_the_answer(db: TestDatabase) {
    let store = open(&db);
    let (acme, (started, wait_for_start), (release, wait_for_release)) =
        (organization("Acme"), channel(), channel());
    let id = acme.id;
    {
        let asking = store.write(NOW, move |tx| {
            started.send(()).expect("the test listens");
            wait_for_release.recv().expect("the test sends");
            tx.insert_organization(&acme)?;
            Ok::<_, Error>(Verdict::Done(()))
        });
        let waiting = tokio::task::spawn_blocking(move || wait_for_start.recv());
        futures_util::future::select(Box::pin(asking), Box::pin(waiting)).await;
    }
    release.send(()).expect("the closure still waits");
    while read(&store, move |c| c.find_organization(id))
        .await
        .is_none()
    {
        tokio::task::yield_now().await;
    }
}

async fn a_queue_too_long_is_answered_at_once(db: TestDatabase) {
    let store = Store::open(&db.database, 1).expect("the store opens");
    let (release, wait_for_release) = channel::<()>();
    let (started, wait_for_start) = channel();
    let holding = store.write(NOW, move |_| {
        started.send(()).expect("the test listens");
        let _ = wait_for_release.recv();
        Ok::<_, Error>(Verdict::Done(()))
    });
    let asking = async {
        tokio::task::spawn_blocking(move || wait_for_start.recv())
            .await
            .expect("a thread")
            .expect("the closure runs");
        let mut waiting = Vec::new();
        // each is polled once, which puts it into the queue
        let refused = loop {
            let mut asked = Box::pin(write(&store, |tx| {
                tx.find_organization(OrganizationId::generate(NOW))
            }));
            match std::future::poll_fn(|context| {
                std::task::Poll::Ready(asked.as_mut().poll(context))
            })
            .await
            {
                std::task::Poll::Pending => waiting.push(asked),
                std::task::Poll::Ready(answer) => break answer,
            }
        };
        assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
        assert!(waiting.len() >= 1000, "{} waited", waiting.len());
        release.send(()).expect("the closure waits");
        assert!(
            join_all(waiting)
                .await
                .iter()
                .all(|answer| matches!(answer, Ok(None))),
            "who was let in is served"
        );
    };
    let (held, ()) = futures_util::future::join(holding, asking).await;
    held.expect("committed");
}

async fn migrations_that_have_run_do_not_run_again(db: TestDatabase) {
    assert_eq!(
        migrate(&db.database).expect("nothing to do"),
        Vec::<String>::new()
    );
    drop(open(&db));
}

fn change_schema(database: &Database, sql: &str) {
    Conn::open(database)
        .expect("a connection")
        .batch_execute(sql)
        .expect("the schema changes");
}

async fn a_schema_that_is_not_there_is_not_served(db: TestDatabase) {
    change_schema(&db.database, "DELETE FROM __diesel_schema_migrations");
    let refused = Store::open(&db.database, 1).err().expect("refused");
    assert!(
        matches!(
            refused,
            OpenError::Schema(countersign::store::SchemaError::Pending(_))
        ),
        "{refused}"
    );
    assert!(
        refused.to_string().contains("countersign migrate"),
        "{refused}"
    );
}

async fn a_schema_from_the_future_is_neither_served_nor_migrated(db: TestDatabase) {
    change_schema(
        &db.database,
        "INSERT INTO __diesel_schema_migrations (version) VALUES ('99991231000000')",
    );
    let refused = Store::open(&db.database, 1).err().expect("refused");
    assert!(
        matches!(
            refused,
            OpenError::Schema(countersign::store::SchemaError::Unknown(_))
        ),
        "{refused}"
    );
    assert!(
        migrate(&db.database)
            .expect_err("refused")
            .to_string()
            .contains("99991231000000")
    );
}

/// The installations' databases are seldom created with the C collation, and ids are base62: capitals before small letters.
#[test]
fn postgres_lists_the_newest_first_under_every_collation() {
    let Some(server) = offered("POSTGRES", "POSTGRES") else {
        return;
    };
    crate::databases::block_on(async {
        let db = TestDatabase::postgres_with(&server, "LOCALE_PROVIDER icu ICU_LOCALE 'en-US'");
        let store = open(&db);
        let organization = Acme::insert(&store).await.organization;
        let instants: Vec<_> = (0..62).map(|step| NOW.plus_seconds(step * 7)).collect();
        for at in instants.clone() {
            super::write_at(&store, at, move |tx| {
                tx.record(Some(organization), None, Event::RoleCreated, "", "")
            })
            .await
            .expect("recorded");
        }
        let listed: Vec<_> = read(&store, move |c| c.list_audit_events(organization, 99))
            .await
            .into_iter()
            .map(|event| event.created_at)
            .collect();
        assert_eq!(listed, instants.into_iter().rev().collect::<Vec<_>>());
    });
}

/// One command beside the process that serves, which answers from memory.
async fn a_guest_changes_only_what_nobody_remembers(db: TestDatabase) {
    let serving = open(&db);
    let acme = Acme::insert(&serving).await;
    assert!(
        matches!(Store::open(&db.database, 1), Err(OpenError::Exclusive(_))),
        "the lock is the server's"
    );
    let guest = Store::open_as_guest(&db.database).expect("a guest");
    assert!(
        read(&guest, move |c| c.find_organization(acme.organization))
            .await
            .is_some()
    );
    let newcomer = super::workspace(acme.organization, "Another");
    let organization = acme.organization;
    let refused = write(&guest, move |tx| tx.insert_workspace(&newcomer)).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    assert_eq!(
        read(&guest, move |c| c.list_workspaces(organization))
            .await
            .len(),
        1,
        "it was rolled back"
    );
    write(&guest, |tx| {
        tx.record(None, None, Event::RoleCreated, "", "")
    })
    .await
    .expect("an audit event");
    // the server goes on meanwhile, and the guest's end leaves its lock alone
    write(&serving, |tx| {
        tx.record(None, None, Event::RoleCreated, "", "")
    })
    .await
    .expect("served");
    drop(guest);
    assert!(matches!(
        Store::open(&db.database, 1),
        Err(OpenError::Exclusive(_))
    ));
    db.unmigrate();
    drop(serving);
    assert!(matches!(
        Store::open_as_guest(&db.database),
        Err(OpenError::Schema(_) | OpenError::Exclusive(ExclusiveError::Files(_)))
    ));
}

/// How often it ran, and what it was answered.
async fn runs(
    store: &Store,
    rule: impl Fn(&mut Tx, usize) -> Result<Verdict<(), Error>, Error> + Send + 'static,
) -> (usize, Result<(), Error>) {
    let (count, counted) = channel();
    let mut run = 0;
    let answer = store.write(NOW, move |tx| {
        run += 1;
        count.send(()).expect("the test listens");
        rule(tx, run)
    });
    let answer = answer.await;
    (counted.try_iter().count(), answer)
}

fn record(tx: &mut Tx, event: Event) -> Result<(), Error> {
    tx.record(None, None, event, "1", "")
}

async fn a_rehearsed_write_runs_twice_and_counts_once(db: TestDatabase) {
    let store = open(&db);
    let count = |event: Event| db.count_events(event.as_str());
    let [first, second] = [Event::RoleCreated, Event::RoleChanged];
    let done = move |tx: &mut Tx, run| {
        let event = if run == 1 { first } else { second };
        record(tx, event).map(Verdict::Done)
    };
    assert_eq!(runs(&store, done).await, (1, Ok(())));
    assert_eq!(count(first), 1, "only where it is switched on");
    store.rehearse_writes();
    assert_eq!(runs(&store, done).await, (2, Ok(())));
    assert_eq!((count(first), count(second)), (1, 1));
    let refused =
        |tx: &mut Tx, _| record(tx, Event::RoleDeleted).map(|()| Verdict::Refused(Error::NotFound));
    assert_eq!(runs(&store, refused).await, (2, Err(Error::NotFound)));
    assert_eq!(count(Event::RoleDeleted), 1);
    let undone = |tx: &mut Tx, _| record(tx, Event::WorkspaceCreated).and(Err(Error::NotFound));
    assert_eq!(runs(&store, undone).await, (2, Err(Error::NotFound)));
    assert_eq!(count(Event::WorkspaceCreated), 0);
    let acme = organization("Acme");
    let (id, twin) = (acme.id, acme.clone());
    let insert = move |tx: &mut Tx| tx.insert_organization(&acme).map(Verdict::Done);
    let inserted: Result<(), Error> = store.write(NOW, insert).await;
    inserted.expect("inserted");
    let violates = move |tx: &mut Tx, _| tx.insert_organization(&twin).map(Verdict::Done);
    let (attempts, answer) = runs(&store, violates).await;
    assert!(attempts == 2 && is_constraint(&answer), "{answer:?}");
    let organization = read(&store, move |c| c.find_organization(id)).await;
    let generation = organization.expect("found").generation;
    store
        .write_organization(id, NOW, |_| Ok(Verdict::<_, Error>::Done(())))
        .await
        .expect("done");
    let organization = read(&store, move |c| c.find_organization(id)).await;
    assert_eq!(organization.expect("found").generation, generation + 1);
}
