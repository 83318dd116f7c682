//! The store when things break: full disks, panics, swallowed errors, a database that goes away, a process that is killed.
//! The law is that no write answered as failed is ever found and none answered as done is ever lost; only a COMMIT whose
//! answer PostgreSQL could not give any more may have happened or not.
#![expect(clippy::panic, reason = "a test fails by it")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

use countersign::store::{
    Conn, Database, Error, ExclusiveError, OpenError, Store, Subject, Verdict, migrate,
};
use countersign::types::event::Event;
use countersign::types::id::OrganizationId;
use diesel::connection::SimpleConnection;
use diesel::sql_types::Text;
use diesel::{QueryableByName, RunQueryDsl};
use futures_util::future::{join, join_all};
use tempfile::TempDir;

use crate::cluster::{Cluster, on_a_thread};
use crate::databases::{
    SMALL_DISK, TestDatabase, block_on, both_databases, offered, on_postgres, sqlite_in,
};
use crate::store_contract::{Acme, NOW, open, organization, person, read, write};

both_databases!(
    a_panic_in_a_write_is_answered_503_and_undone,
    a_panic_in_a_read_is_answered_503,
    a_swallowed_database_error_does_not_commit,
    a_second_store_is_refused_until_the_first_is_gone,
    what_was_acknowledged_survives_kill_9,
);

// --- what was answered, and what is found ---------------------------------------------------------------------------

/// What the rule of a write does behind its one insertion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    Done,
    Refused,
    RollsBack,
    /// Ignores whatever the insertion answers.
    Swallows,
}

/// Writes of numbered audit events, and what became of them.
#[derive(Default)]
struct Ledger {
    next: AtomicUsize,
    kept: Mutex<BTreeSet<usize>>,
    undone: Mutex<BTreeSet<usize>>,
    unknown: Mutex<BTreeSet<usize>>,
}

impl Ledger {
    /// One write of some `bytes`; says whether the database was there for it.
    async fn write(&self, store: &Store, bytes: usize) -> bool {
        let number = self.next.fetch_add(1, Ordering::SeqCst);
        let rule = [Rule::Done, Rule::Refused, Rule::RollsBack, Rule::Swallows][number % 4];
        let (failed, inserted) = channel();
        let answer = store.write(NOW, move |tx| {
            let recorded = tx.record(
                None,
                None,
                Event::RoleCreated,
                &number.to_string(),
                &"x".repeat(bytes),
            );
            if recorded.is_err() {
                failed.send(()).expect("the test listens");
            }
            match rule {
                Rule::Done => recorded.map(|()| Verdict::Done(())),
                Rule::Refused => recorded.map(|()| Verdict::Refused(Error::NotFound)),
                Rule::RollsBack => recorded.and(Err(Error::NotFound)),
                Rule::Swallows => Ok(Verdict::Done(())),
            }
        });
        let answer = answer.await;
        let failed_before_commit = inserted.try_recv().is_ok();
        let (fate, available) = match (rule, &answer) {
            (Rule::Done | Rule::Swallows, Ok(())) | (Rule::Refused, Err(Error::NotFound)) => {
                (&self.kept, true)
            }
            (Rule::RollsBack, Err(Error::NotFound)) => (&self.undone, true),
            (_, Err(Error::Unavailable(_))) if failed_before_commit || rule == Rule::RollsBack => {
                (&self.undone, false)
            }
            (_, Err(Error::Unavailable(_))) => (&self.unknown, false),
            _ => panic!("{rule:?} was answered {answer:?}"),
        };
        assert!(
            !(failed_before_commit && answer.is_ok()),
            "a swallowed error was answered as done"
        );
        fate.lock().expect("no panic").insert(number);
        available
    }

    async fn write_many(&self, store: &Store, count: usize, bytes: usize) -> bool {
        join_all((0..count).map(|_| self.write(store, bytes)))
            .await
            .into_iter()
            .all(|available| available)
    }

    fn kept(&self) -> BTreeSet<usize> {
        self.kept.lock().expect("no panic").clone()
    }

    /// SQLite answers every failure before or instead of the commit: what failed is not there.
    fn assert_strict(&self, database: &Database) {
        assert_eq!(found(database), self.kept());
    }

    /// PostgreSQL may have done what it could not answer any more.
    fn assert_nothing_lost(&self, database: &Database) {
        let (found, kept) = (found(database), self.kept());
        assert!(
            kept.is_subset(&found),
            "answered as done and lost: {:?}",
            kept.difference(&found)
        );
        let undone = self.undone.lock().expect("no panic").clone();
        assert!(
            undone.is_disjoint(&found),
            "failed before its COMMIT and found: {:?}",
            undone.intersection(&found)
        );
    }
}

/// The numbers of the events there are, as another program sees them.
fn found(database: &Database) -> BTreeSet<usize> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        subject_id: String,
    }
    let mut conn = Conn::open(database).expect("a connection");
    let rows: Vec<Row> = diesel::sql_query("SELECT subject_id FROM audit_events")
        .load(&mut conn)
        .expect("the events");
    rows.into_iter()
        .map(|row| row.subject_id.parse().expect("a number"))
        .collect()
}

fn execute(database: &Database, sql: &str) {
    Conn::open(database)
        .expect("a connection")
        .batch_execute(sql)
        .expect("the statement runs");
}

/// Waits for what must come; the limit only ends a test that has failed.
async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..3000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never: {what}");
}

// --- a full disk ----------------------------------------------------------------------------------------------------

/// Small rows fill the disk in a COMMIT; large ones in the midst of a batch, when SQLite's page cache spills: there it
/// rolls back the whole transaction by itself, and every later savepoint would commit alone.
#[test]
fn a_full_disk_keeps_no_refused_write_and_loses_no_answered_one() {
    let Some(disk) = offered("SMALL_DISK", "SMALL_DISK") else {
        return;
    };
    let alone = SMALL_DISK.lock();
    for bytes in [300, 3_000, 60_000] {
        block_on(fill(Path::new(&disk), bytes));
    }
    drop(alone);
}

async fn fill(disk: &Path, bytes: usize) {
    let folder = TempDir::new_in(disk).expect("a folder");
    let database = sqlite_in(folder.path());
    let ballast = folder.path().join("ballast");
    std::fs::write(&ballast, vec![1; 1_500_000]).expect("room for the ballast");
    let store = Store::open(&database, 2).expect("the store opens");
    let ledger = Ledger::default();
    while ledger.write_many(&store, 100, bytes).await {}
    ledger.write_many(&store, 100, bytes).await;
    ledger.assert_strict(&database);
    std::fs::remove_file(&ballast).expect("removed");
    assert!(
        ledger.write_many(&store, 4, bytes).await,
        "the writer works again without a restart"
    );
    ledger.assert_strict(&database);
    drop(store);
    ledger.assert_strict(&database);
    // a removed file that is still open would take room from the next round
    eventually("its threads end", || !holds_open(folder.path())).await;
}

fn holds_open(folder: &Path) -> bool {
    let files = std::fs::read_dir("/proc/self/fd").expect("Linux").flatten();
    files
        .filter_map(|file| std::fs::read_link(file.path()).ok())
        .any(|path| path.starts_with(folder))
}

// --- panics and swallowed errors ------------------------------------------------------------------------------------

/// As a panic, but quiet.
fn unwind() -> ! {
    std::panic::resume_unwind(Box::new("a panic"))
}

async fn a_panic_in_a_write_is_answered_503_and_undone(db: TestDatabase) {
    let store = open(&db);
    let acme = organization("Acme");
    let id = acme.id;
    let answer = write::<()>(&store, move |tx| {
        tx.insert_organization(&acme)?;
        unwind()
    });
    let answer = answer.await;
    assert!(matches!(answer, Err(Error::Unavailable(_))), "{answer:?}");
    assert!(
        read(&store, move |c| c.find_organization(id))
            .await
            .is_none()
    );
    for _ in 0..9 {
        write(&store, |tx| tx.insert_organization(&organization("Next")))
            .await
            .expect("the next write works");
    }
}

#[test]
fn a_panic_undoes_the_whole_batch_around_it() {
    block_on(async {
        let db = TestDatabase::sqlite();
        let store = open(&db);
        let ledger = Ledger::default();
        let ((started, wait_for_start), (release, wait_for_release)) = (channel(), channel());
        let first = write(&store, move |_| {
            started.send(()).expect("the test listens");
            wait_for_release.recv().expect("the test sends");
            Ok(())
        });
        let batch = async {
            tokio::task::spawn_blocking(move || wait_for_start.recv())
                .await
                .expect("a thread")
                .expect("the first runs");
            // polled in this order, so queued in this order while the first still runs
            let panics = async {
                let answer = write::<()>(&store, |_| unwind()).await;
                assert!(matches!(answer, Err(Error::Unavailable(_))));
                false
            };
            let all = join(
                join(ledger.write_many(&store, 20, 10), panics),
                ledger.write_many(&store, 20, 10),
            );
            let released = async { release.send(()).expect("the first waits") };
            join(all, released).await.0
        };
        let (first, ((before, panicked), after)) = join(first, batch).await;
        assert_eq!(first, Ok(()), "the batch before it is kept");
        assert!(
            !before && !panicked && !after,
            "everybody in the batch is told"
        );
        assert_eq!(found(&db.database), BTreeSet::new());
        assert!(
            ledger.write_many(&store, 20, 10).await,
            "the next batch works"
        );
        ledger.assert_strict(&db.database);
    });
}

async fn a_panic_in_a_read_is_answered_503(db: TestDatabase) {
    let store = Store::open(&db.database, 1).expect("the store opens");
    let answer: Result<(), Error> = store.read(|_| unwind()).await;
    assert!(matches!(answer, Err(Error::Unavailable(_))), "{answer:?}");
    let id = Acme::insert(&store).await.organization;
    assert!(
        read(&store, move |c| c.find_organization(id))
            .await
            .is_some(),
        "the next read works, on the only thread"
    );
}

async fn a_swallowed_database_error_does_not_commit(db: TestDatabase) {
    let store = open(&db);
    execute(
        &db.database,
        "ALTER TABLE revoked_tokens RENAME TO elsewhere",
    );
    for refuses in [false, true] {
        let (acme, user) = (organization("Acme"), person());
        let (id, user_id) = (acme.id, user.id);
        let answer: Result<(), Error> = store
            .write(NOW, move |tx| {
                tx.insert_organization(&acme)?;
                let _ = tx.is_token_revoked(countersign::types::id::AccessTokenId::generate(NOW));
                assert!(tx.insert_user(&user).is_err(), "nothing runs behind it");
                Ok(if refuses {
                    Verdict::Refused(Error::NotFound)
                } else {
                    Verdict::Done(())
                })
            })
            .await;
        assert!(matches!(answer, Err(Error::Unavailable(_))), "{answer:?}");
        assert!(
            read(&store, move |c| c.find_organization(id))
                .await
                .is_none()
        );
        assert!(read(&store, move |c| c.find_user(user_id)).await.is_none());
    }
    let answer: Result<(), Error> = store
        .read(|c| {
            let _ = c.is_token_revoked(countersign::types::id::AccessTokenId::generate(NOW));
            Ok(())
        })
        .await;
    assert!(
        matches!(answer, Err(Error::Unavailable(_))),
        "half an answer is none: {answer:?}"
    );
    execute(
        &db.database,
        "ALTER TABLE elsewhere RENAME TO revoked_tokens",
    );
    write(&store, |tx| tx.insert_organization(&organization("Next")))
        .await
        .expect("the next write works");
}

/// Another program in the midst of a write: the batch waits, is refused as a whole, and is not done later.
#[test]
fn a_locked_sqlite_file_refuses_the_batch_and_forgets_it() {
    block_on(async {
        let db = TestDatabase::sqlite();
        let (store, ledger) = (open(&db), Ledger::default());
        let mut foreign = Conn::open(&db.database).expect("a connection");
        foreign.batch_execute("BEGIN IMMEDIATE").expect("the lock");
        assert!(!ledger.write_many(&store, 20, 10).await);
        foreign.batch_execute("ROLLBACK").expect("released");
        assert!(
            ledger.write_many(&store, 20, 10).await,
            "the writer works again"
        );
        ledger.assert_strict(&db.database);
    });
}

// --- one process per database ---------------------------------------------------------------------------------------

async fn a_second_store_is_refused_until_the_first_is_gone(db: TestDatabase) {
    let first = open(&db);
    assert!(is_taken(&db.database));
    Acme::insert(&first).await;
    drop(first);
    eventually("the lock is given back", || !is_taken(&db.database)).await;
}

fn is_taken(database: &Database) -> bool {
    match Store::open(database, 1) {
        Ok(_) => false,
        Err(OpenError::Exclusive(ExclusiveError::Taken(_))) => true,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_sqlite_file_is_one_whatever_it_is_called_and_never_its_neighbour() {
    block_on(async {
        let folder = TempDir::new().expect("a folder");
        let database = sqlite_in(folder.path());
        let [link, neighbour] =
            ["link.db", "countersign.sqlite"].map(|name| folder.path().join(name));
        std::os::unix::fs::symlink("countersign.db", &link).expect("a link");
        std::fs::copy(folder.path().join("countersign.db"), &neighbour).expect("a copy");
        let _store = Store::open(&database, 1).expect("the store opens");
        assert!(
            is_taken(&Database::Sqlite(link.display().to_string())),
            "a link names the same file"
        );
        assert!(
            !is_taken(&Database::Sqlite(neighbour.display().to_string())),
            "another file is another database"
        );
    });
}

#[test]
fn a_foreign_write_to_the_sqlite_file_ends_what_is_remembered() {
    block_on(async {
        let db = TestDatabase::sqlite();
        let store = open(&db);
        let subject = Subject::Organization(Acme::insert(&store).await.organization);
        let foreign_write_is_noticed = async |when: &str| {
            let before = store.changes().stamp();
            execute(
                &db.database,
                "UPDATE organizations SET generation = generation + 1",
            );
            eventually(when, || !store.changes().is_current(before, [subject])).await;
        };
        foreign_write_is_noticed("noticed by an idle writer").await;
        let _ = write::<()>(&store, |_| unwind()).await;
        for _ in 0..2 {
            foreign_write_is_noticed("noticed behind a failed batch").await;
        }
        let before = store.changes().stamp();
        write(&store, |tx| tx.insert_organization(&organization("Own")))
            .await
            .expect("written");
        read(&store, |c| c.find_organization_by_name("Own"))
            .await
            .expect("found");
        assert!(
            store.changes().is_current(before, [subject]),
            "an own write is not foreign"
        );
    });
}

/// Who has lost the lock must not write: another process may hold it, and answer from a memory that this one cannot end.
#[test]
fn a_store_that_lost_its_lock_in_postgres_reads_but_neither_remembers_nor_writes() {
    const LOCK: &str = "7165074649430321006";
    let Some(server) = offered("POSTGRES", "POSTGRES") else {
        return;
    };
    block_on(async {
        let db = TestDatabase::postgres(&server);
        let store = open(&db);
        let id = Acme::insert(&store).await.organization;
        let database = db.database.clone();
        let ((taken, wait_until_taken), (release, wait_for_release)) = (channel(), channel::<()>());
        let rival = std::thread::spawn(move || {
            let mut conn = Conn::open(&database).expect("a connection");
            conn.batch_execute(&format!("SELECT pg_advisory_lock({LOCK})"))
                .expect("the lock is given away");
            taken.send(()).expect("the test listens");
            let _ = wait_for_release.recv();
        });
        let in_this_database = "locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        eventually("the rival has the lock", || {
            // only once the rival stands in the queue, so that the keeper cannot be faster
            execute(
                &db.database,
                &format!(
                    "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE granted AND {in_this_database}
                     AND EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted AND {in_this_database})"
                ),
            );
            wait_until_taken.try_recv().is_ok()
        })
        .await;
        let changes = store.changes();
        eventually("nothing is remembered", || {
            !changes.is_current(changes.stamp(), [])
        })
        .await;
        assert!(
            read(&store, move |c| c.find_organization(id))
                .await
                .is_some(),
            "questions are answered from the database"
        );
        let refused = write(&store, move |tx| tx.advance_generation(id)).await;
        assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
        let before = changes.stamp();
        release.send(()).expect("the rival waits");
        rival.join().expect("the rival ends");
        eventually("the lock is held again", || {
            changes.is_current(changes.stamp(), [])
        })
        .await;
        assert!(
            !changes.is_current(before, []),
            "what was read in between is not remembered"
        );
        write(&store, move |tx| tx.advance_generation(id))
            .await
            .expect("written");
        assert_eq!(
            read(&store, move |c| c.find_organization(id))
                .await
                .expect("found")
                .generation,
            1
        );
    });
}

// --- a PostgreSQL that goes away ------------------------------------------------------------------------------------

#[test]
fn a_postgres_that_crashes_amid_writes_loses_no_answered_one_and_is_used_again() {
    let Some(ctl) = offered("POSTGRES_CTL", "POSTGRES") else {
        return;
    };
    let cluster = Arc::new(Cluster::create(ctl));
    let database = cluster.start();
    migrate(&database).expect("migrated");
    block_on(async {
        let store = Store::open(&database, 4).expect("the store opens");
        let (ledger, enough) = (Ledger::default(), AtomicBool::new(false));
        let writer = async || {
            while !enough.load(Ordering::SeqCst) {
                if !ledger.write(&store, 100).await {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        };
        let crashes = async {
            for _ in 0..2 {
                let (before, written) = (store.changes().stamp(), ledger.kept().len());
                eventually("writes are answered", || {
                    ledger.kept().len() > written + 200
                })
                .await;
                on_a_thread(&cluster, Cluster::stop).await;
                let changes = store.changes();
                eventually("nothing is remembered while it is away", || {
                    !changes.is_current(changes.stamp(), [])
                })
                .await;
                let (lost, during) = (ledger.kept().len(), changes.stamp());
                assert!(!ledger.write(&store, 100).await, "there is no database");
                on_a_thread(&cluster, |cluster| drop(cluster.start())).await;
                eventually("memory is used again", || {
                    changes.is_current(changes.stamp(), [])
                })
                .await;
                assert!(
                    !changes.is_current(before, []) && !changes.is_current(during, []),
                    "with nothing in it"
                );
                eventually("writes are answered again", || {
                    ledger.kept().len() > lost + 50
                })
                .await;
            }
            enough.store(true, Ordering::SeqCst);
        };
        join(crashes, join_all((0..8).map(|_| writer()))).await;
        ledger.assert_nothing_lost(&database);
        assert!(!ledger.undone.lock().expect("no panic").is_empty());
    });
}

// --- a process that is killed ---------------------------------------------------------------------------------------

const CHILD: &str = "COUNTERSIGN_TEST_CHILD_DATABASE";
const ACKNOWLEDGED: &str = "acknowledged ";

async fn what_was_acknowledged_survives_kill_9(db: TestDatabase) {
    for _ in 0..3 {
        let acknowledged = write_until_killed(&db.database);
        let found = found(&db.database);
        assert!(
            acknowledged.is_subset(&found),
            "acknowledged and lost: {:?}",
            acknowledged.difference(&found)
        );
        execute(&db.database, "DELETE FROM audit_events");
    }
    eventually("the dead process's lock is free", || {
        !is_taken(&db.database)
    })
    .await;
}

/// What a process of its own had acknowledged when it was killed.
fn write_until_killed(database: &Database) -> BTreeSet<usize> {
    let url = match database {
        Database::Sqlite(path) => format!("sqlite:{path}"),
        Database::Postgres(url) => url.clone(),
    };
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command
        .args([
            "--exact",
            "store_faults::writes_until_it_is_killed",
            "--nocapture",
        ])
        .env(CHILD, url);
    let mut child = Killed(
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the child starts"),
    );
    let lines = BufReader::new(child.0.stdout.take().expect("its output")).lines();
    let mut acknowledged = BTreeSet::new();
    for line in lines {
        let line = line.expect("text");
        // the line in which it was killed may be torn
        let Some(number) = line
            .strip_prefix(ACKNOWLEDGED)
            .and_then(|rest| rest.strip_suffix(';'))
        else {
            continue;
        };
        acknowledged.insert(number.parse().expect("a number"));
        if acknowledged.len() == 300 {
            child.0.kill().expect("SIGKILL");
        }
    }
    assert!(
        acknowledged.len() >= 300,
        "the child ended by itself after {}",
        acknowledged.len()
    );
    acknowledged
}

/// Never outlives the test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The child of `what_was_acknowledged_survives_kill_9`; by itself it has nothing to do.
#[test]
fn writes_until_it_is_killed() {
    let Ok(url) = std::env::var(CHILD) else {
        return;
    };
    let database: Database = url.parse().expect("a URL");
    block_on(async {
        let mut opened = None;
        eventually("the lock of a killed predecessor is free", || {
            opened = Store::open(&database, 4).ok();
            opened.is_some()
        })
        .await;
        let (store, next) = (opened.expect("open"), AtomicUsize::new(0));
        let writer = async || loop {
            let number = next.fetch_add(1, Ordering::SeqCst);
            write(&store, move |tx| {
                tx.record(None, None, Event::RoleCreated, &number.to_string(), "")
            })
            .await
            .expect("written");
            writeln!(std::io::stdout(), "{ACKNOWLEDGED}{number};").expect("the parent reads");
        };
        join_all((0..16).map(|_| writer())).await
    });
}

// --- a transaction that another one is in the way of -----------------------------------------------------------------

/// Lets PostgreSQL refuse every audit event with this error: in the statement, or `DEFERRED` in the COMMIT.
fn refuse_events(db: &TestDatabase, raise: &str, when: &str) {
    db.execute(&format!(
        "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {raise} RETURN NEW; END $$;
         DROP TRIGGER IF EXISTS refuses ON audit_events;
         CREATE CONSTRAINT TRIGGER refuses AFTER INSERT ON audit_events DEFERRABLE INITIALLY {when}
             FOR EACH ROW EXECUTE FUNCTION refuse()"
    ));
}

/// One event, and how often the rule was run.
async fn count_runs(store: &Store) -> (Result<(), Error>, usize) {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let answer = store.write(NOW, move |tx| {
        counted.fetch_add(1, Ordering::SeqCst);
        tx.record(None, None, Event::RoleCreated, "1", "")
            .map(Verdict::Done)
    });
    (answer.await, runs.load(Ordering::SeqCst))
}

#[test]
fn a_write_is_run_again_only_when_another_transaction_was_in_its_way() {
    on_postgres(async |db: TestDatabase| {
        let store = open(&db);
        let deadlock = "ERRCODE = '40P01', MESSAGE = 'Verklemmung entdeckt', \
            DETAIL = 'Prozess 1 wartet auf ShareLock-Sperre auf Transaktion 2; blockiert von Prozess 3.'";
        for (error, when, expected) in [
            ("ERRCODE = '40001'", "IMMEDIATE", 4),
            (deadlock, "IMMEDIATE", 4),
            (
                "ERRCODE = '55P03', MESSAGE = 'canceling statement due to lock timeout'",
                "IMMEDIATE",
                2,
            ),
            (
                "ERRCODE = '57014', MESSAGE = 'canceling statement due to statement timeout'",
                "IMMEDIATE",
                1,
            ),
            ("ERRCODE = 'P0001'", "IMMEDIATE", 1),
            // once the COMMIT was sent, nothing is run again
            ("ERRCODE = '40001'", "DEFERRED", 1),
        ] {
            refuse_events(&db, &format!("RAISE EXCEPTION USING {error};"), when);
            let (answer, runs) = count_runs(&store).await;
            assert!(
                matches!(answer, Err(Error::Unavailable(_))),
                "{error}: {answer:?}"
            );
            assert_eq!(
                (runs, db.count_events(Event::RoleCreated.as_str())),
                (expected, 0),
                "{error}"
            );
        }
        let answer: Result<(), Error> = store
            .write(NOW, |tx| {
                tx.record(None, None, Event::RoleCreated, "1", "")
                    .map(Verdict::Done)
            })
            .await;
        assert!(matches!(answer, Err(Error::Unavailable(_))));
        db.execute("CREATE SEQUENCE attempts");
        refuse_events(
            &db,
            "IF nextval('attempts') < 3 THEN RAISE EXCEPTION USING ERRCODE = '40001'; END IF;",
            "IMMEDIATE",
        );
        assert_eq!(count_runs(&store).await, (Ok(()), 3));
        assert_eq!(db.count_events(Event::RoleCreated.as_str()), 1, "done once");
    });
}

#[test]
fn of_two_writes_that_wait_for_each_other_both_are_done() {
    on_postgres(async |db: TestDatabase| {
        let store = open(&db);
        let (first, second) = (organization("First"), organization("Second"));
        let ids = [first.id, second.id];
        write(&store, move |tx| {
            tx.insert_organization(&first)?;
            tx.insert_organization(&second)
        })
        .await
        .expect("inserted");
        let (meet, runs) = (Arc::new(Barrier::new(2)), Arc::new(AtomicUsize::new(0)));
        let cross = |[own, other]: [OrganizationId; 2]| {
            let (meet, runs, mut met) = (Arc::clone(&meet), Arc::clone(&runs), false);
            store.write_organization(own, NOW, move |tx| {
                runs.fetch_add(1, Ordering::SeqCst);
                if !std::mem::replace(&mut met, true) {
                    meet.wait();
                }
                tx.advance_generation(other).map(Verdict::<_, Error>::Done)
            })
        };
        let [first, second] = ids;
        let answers = join(cross([first, second]), cross([second, first])).await;
        assert_eq!(answers, (Ok(()), Ok(())));
        // PostgreSQL ends one of them; both, if they look for the deadlock at the same moment
        let runs = runs.load(Ordering::SeqCst);
        assert!((3..=4).contains(&runs), "{runs}");
        for id in ids {
            let found = read(&store, move |c| c.find_organization(id)).await;
            assert_eq!(found.map(|row| row.generation), Some(2));
        }
    });
}
