//! What a flow is compared with: how often this disk can sync, and how many single-row commits the product's own store does
//! at the same concurrency, in a database of its own beside the measured one.

use std::cell::Cell;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use countersign::store::{self, Database, Store, Verdict};
use countersign::types::event::Event;
use countersign::types::time::Clock;
use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection};

use super::CONNECTIONS;
use super::seed::runtime;

const PAGE: usize = 4096;
const PLACES: usize = 256;

/// Writes 4 KiB over a part of a file that is there, and syncs, one after the other: what a log does that reuses its file, as
/// SQLite's WAL does after a checkpoint, and PostgreSQL's with its segments.
pub fn syncs_a_second(folder: &Path, time: Duration) -> f64 {
    let file = File::create(folder.join("syncs")).expect("a file");
    file.write_all_at(&[0; PLACES * PAGE], 0)
        .and_then(|()| file.sync_all())
        .expect("written");
    let (start, mut count) = (Instant::now(), 0);
    while start.elapsed() < time {
        file.write_all_at(&[0x5A; PAGE], (count % PLACES * PAGE) as u64)
            .and_then(|()| file.sync_data())
            .expect("written");
        count += 1;
    }
    count as f64 / start.elapsed().as_secs_f64()
}

/// A migrated database on the same disk, or in the same cluster.
pub fn database(url: &str, folder: &Path) -> Database {
    let database = match url.parse().expect("a database URL") {
        Database::Sqlite(_) => Database::Sqlite(folder.join("limit.db").display().to_string()),
        Database::Postgres(url) => {
            let mut conn = PgConnection::establish(&url).expect("PostgreSQL answers");
            conn.batch_execute("CREATE DATABASE commit_limit")
                .expect("a superuser");
            let mut url = url::Url::parse(&url).expect("a URL");
            url.set_path("commit_limit");
            Database::Postgres(url.to_string())
        }
    };
    store::migrate(&database).expect("the migrations run");
    database
}

/// `at_once` writers, each of which waits for its commit before the next.
pub fn commits_a_second(database: &Database, at_once: usize, time: Duration) -> f64 {
    let store = Rc::new(open(database));
    let (start, count) = (Instant::now(), Rc::new(Cell::new(0_u32)));
    let tasks = tokio::task::LocalSet::new();
    for _ in 0..at_once {
        let (store, count) = (Rc::clone(&store), Rc::clone(&count));
        tasks.spawn_local(async move {
            while start.elapsed() < time {
                let kept: Result<(), store::Error> = store
                    .write(Clock::System.now(), |tx| {
                        tx.record(None, None, Event::RoleCreated, "one", "")
                            .map(Verdict::Done)
                    })
                    .await;
                kept.expect("committed");
                count.set(count.get() + 1);
            }
        });
    }
    runtime().block_on(tasks);
    f64::from(count.get()) / start.elapsed().as_secs_f64()
}

/// The lock of an earlier store is given back within a second or two.
fn open(database: &Database) -> Store {
    for _ in 0..50 {
        if let Ok(store) = Store::open(database, CONNECTIONS) {
            return store;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Store::open(database, CONNECTIONS).expect("the database is free")
}
