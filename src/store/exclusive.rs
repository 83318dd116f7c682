//! One serving process per database, because it answers from memory: a file lock beside SQLite, an advisory lock in
//! PostgreSQL. A node that loses the lock neither uses its memory nor writes until it holds it again.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use diesel::sql_types::{BigInt, Bool, Integer};
use diesel::{QueryResult, QueryableByName, RunQueryDsl};

use super::Shared;
use super::changes::Changes;
use super::conn::{BACKENDS, Backend, Conn, Database};
use super::foreign_writes;
use super::sqlite_files::{self, FilesError, beside};
use super::watch::{Post, Watch};
use crate::types::time::Deadline;

/// The advisory lock's number: "countsgn" in ASCII.
const LOCK: i64 = 0x636f_756e_7473_676e;
/// How often the lock in PostgreSQL is proven. A node that lost it uses its memory at most this long (and one time-out).
const PROOF: Duration = Duration::from_secs(1);
/// A proof that takes longer is none.
const LONGEST_PROOF: Duration = Duration::from_secs(5);
/// The same while something that was given up may still commit.
const SOON: Duration = Duration::from_millis(100);

/// How long the lock file may be held by a command that looks, and how often that is waited for.
const LOOK: Duration = Duration::from_millis(20);
const LOOKS: usize = 5;

#[derive(Debug, thiserror::Error)]
pub enum ExclusiveError {
    #[error(
        "another Countersign process uses {0}: stop it first, or give this one another data directory"
    )]
    Taken(String),
    #[error("cannot lock {0}: {1}")]
    File(String, std::io::Error),
    #[error(transparent)]
    Files(#[from] FilesError),
    #[error("cannot open the database: {0}")]
    Database(String),
}

/// Held while the process serves; given back when dropped.
pub(super) enum Exclusive {
    /// Closing the file gives the lock back.
    File(File),
    Advisory(#[expect(dead_code, reason = "dropping it ends the keeper thread")] Sender<()>),
}

pub(super) fn acquire(
    shared: &Arc<Shared>,
    watch: &Weak<Watch>,
) -> Result<Exclusive, ExclusiveError> {
    match &shared.database {
        Database::Sqlite(path) => {
            sqlite_files::refuse_missing(path)?;
            let lock = patiently(|| lock_file(&beside(path, ".lock")))?;
            sqlite_files::refuse_replaced(path)?;
            Ok(Exclusive::File(lock))
        }
        Database::Postgres(_) => {
            let failed = |error: String| ExclusiveError::Database(error.trim_end().to_owned());
            let asked = Deadline::after(Duration::ZERO);
            let mut conn = Conn::open_within(&shared.database, shared.timeout)
                .map_err(|error| failed(error.to_string()))?;
            if !lock_database(&mut conn).map_err(|error| failed(error.to_string()))? {
                return Err(ExclusiveError::Taken("this PostgreSQL database".to_owned()));
            }
            let writing = writing_still(&mut conn).map_err(|error| failed(error.to_string()))?;
            writing.iter().for_each(|one| shared.changes.give_up(*one));
            shared.changes.prove_until(lease(shared, asked));
            let (store, is_gone) = channel();
            keep(shared, watch, conn, is_gone).map_err(|error| failed(error.to_string()))?;
            Ok(Exclusive::Advisory(store))
        }
    }
}

/// The file was put there by other means than a restore, on purpose: it may be served. Nobody serves it now.
pub fn adopt(path: &str) -> Result<(), ExclusiveError> {
    sqlite_files::refuse_missing(path)?;
    let lock = lock_file(&beside(path, ".lock"))?;
    Ok(sqlite_files::adopt(path, &lock)?)
}

/// A command that only looks holds the lock for an instant ([`look`]).
fn patiently(
    mut lock: impl FnMut() -> Result<File, ExclusiveError>,
) -> Result<File, ExclusiveError> {
    for _ in 0..LOOKS {
        match lock() {
            Err(ExclusiveError::Taken(_)) => std::thread::sleep(LOOK),
            locked => return locked,
        }
    }
    lock()
}

/// What a command looks at that opens the database without the lock: whether its files belong together. A running server has
/// looked itself.
pub(super) fn look(database: &Database) -> Result<(), ExclusiveError> {
    let Database::Sqlite(path) = database else {
        return Ok(());
    };
    sqlite_files::refuse_missing(path)?;
    let lock = beside(path, ".lock");
    if !lock.exists() {
        return Ok(());
    }
    match lock_file(&lock) {
        Ok(_held) => Ok(sqlite_files::refuse_replaced(path)?),
        Err(ExclusiveError::Taken(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

impl Exclusive {
    /// The lock file, for the marks that it holds.
    pub fn lock_file(&self) -> Option<File> {
        match self {
            Self::File(file) => file.try_clone().ok(),
            Self::Advisory(_) => None,
        }
    }
}

pub(super) fn lock_file(path: &Path) -> Result<File, ExclusiveError> {
    let name = path.display().to_string();
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(|error| ExclusiveError::File(name.clone(), error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ExclusiveError::Taken(name)),
        Err(TryLockError::Error(error)) => Err(ExclusiveError::File(name, error)),
    }
}

#[derive(QueryableByName)]
struct Locked {
    #[diesel(sql_type = Bool)]
    locked: bool,
}

/// Whether the connection holds the lock now, and with it as long as it lives.
fn lock_database(conn: &mut Conn) -> QueryResult<bool> {
    // this connection idles by design; when this machine dies the server is to notice in seconds, not in two hours
    conn.batch("SET idle_session_timeout = 0; SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3")?;
    let row: Locked = diesel::sql_query(format!("SELECT pg_try_advisory_lock({LOCK}) AS locked"))
        .get_result(conn)?;
    Ok(row.locked)
}

/// Connections of ours that are in the midst of a write: the lock is held, so they are left of a process that ended, and their
/// COMMIT may be on its way, or they are a command's. What they do is not known before they are gone.
fn writing_still(conn: &mut Conn) -> QueryResult<Vec<Backend>> {
    let ours = "datname = current_database() AND usename = current_user AND application_name = current_setting('application_name')";
    let writing =
        format!("{BACKENDS} WHERE {ours} AND pid <> pg_backend_pid() AND backend_xid IS NOT NULL");
    diesel::sql_query(writing).load(conn)
}

/// Until when memory may be used, if the lock is proven to have been held at `asked`: less long than the server needs to notice
/// that this machine is gone ([`lock_database`]), and to give the lock to another one.
fn lease(shared: &Shared, asked: Deadline) -> Deadline {
    asked.plus(PROOF).plus(shared.timeout.min(LONGEST_PROOF))
}

/// Proves the lock every second on a thread of its own, until the store is gone.
fn keep(
    shared: &Arc<Shared>,
    watch: &Weak<Watch>,
    conn: Conn,
    store: Receiver<()>,
) -> std::io::Result<()> {
    let (shared, store) = (Arc::clone(shared), Arc::new(Mutex::new(store)));
    // whoever takes the place of a keeper that hangs begins without it
    let first = Arc::new(Mutex::new(Some(conn)));
    Watch::post(watch, "database-lock", move |post| {
        let conn = first.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut keeper = Keeper {
            shared: Arc::clone(&shared),
            post: Arc::clone(post),
            conn: None,
            is_lost: false,
        };
        if let Some(conn) = conn {
            keeper.begin_with(conn);
            // it was taken just now, and whoever opens the store may find that it cannot serve
            if keeper.is_over(&store, PROOF) {
                return;
            }
        }
        keeper.work(&store);
    })
    .map(drop)
}

/// Invariant: memory is used while the lock was proven less than a [`lease`] ago. Whoever hangs in a proof proves nothing.
struct Keeper {
    shared: Arc<Shared>,
    post: Arc<Post>,
    conn: Option<Conn>,
    is_lost: bool,
}

impl Keeper {
    fn begin_with(&mut self, mut conn: Conn) {
        self.post.expect_by(Deadline::after(self.shared.timeout));
        self.post.identify(&mut conn);
        self.conn = Some(conn);
    }

    fn work(mut self, store: &Mutex<Receiver<()>>) {
        loop {
            let asked = Deadline::after(Duration::ZERO);
            self.post.expect_by(asked.plus(self.shared.timeout));
            let proven = self
                .conn
                .as_mut()
                .is_some_and(|conn| foreign_writes::answer(conn, &self.shared.changes).is_ok());
            let is_keeper = if proven {
                self.trust(asked, Changes::prove_until)
            } else {
                self.regain()
            };
            if !is_keeper {
                return;
            }
            if let Some(conn) = &mut self.conn {
                end_given_up(conn, &self.shared.changes);
            }
            let pause = if self.shared.changes.given_up().is_empty() {
                PROOF
            } else {
                SOON
            };
            if self.is_over(store, pause) {
                return;
            }
        }
    }

    /// Pauses: whether the store is gone.
    fn is_over(&self, store: &Mutex<Receiver<()>>, pause: Duration) -> bool {
        self.post.rest();
        let store = store.lock().unwrap_or_else(PoisonError::into_inner);
        store.recv_timeout(pause) != Err(RecvTimeoutError::Timeout)
    }

    /// Whether this thread is still the keeper, and has lengthened the lease.
    fn trust(&self, asked: Deadline, lengthen: fn(&Changes, Deadline)) -> bool {
        let lease = lease(&self.shared, asked);
        self.post
            .unless_given_up(|| lengthen(&self.shared.changes, lease))
    }

    fn regain(&mut self) -> bool {
        if self.post.is_given_up() {
            return false;
        }
        if let Some(backend) = self.conn.take().and_then(|_| self.post.backend()) {
            self.shared.changes.give_up(backend);
        }
        let lost = self.post.unless_given_up(|| self.shared.changes.distrust());
        if !lost {
            return false;
        }
        if !std::mem::replace(&mut self.is_lost, true) {
            tracing::error!(
                "The lock in the database was lost: answering from the database, not from memory"
            );
        }
        let asked = Deadline::after(Duration::ZERO);
        let Some(conn) = self.lock() else { return true };
        self.conn = Some(conn);
        if !self.trust(asked, Changes::trust_again_until) {
            return false;
        }
        self.is_lost = false;
        tracing::info!("The lock in the database is held again");
        true
    }

    /// A connection with the lock. Another one of this process may hold it, and not know that it is gone.
    fn lock(&self) -> Option<Conn> {
        let mut conn = self.post.open(&self.shared).ok()?;
        self.post.expect_by(Deadline::after(self.shared.timeout));
        end_given_up(&mut conn, &self.shared.changes);
        let locked = lock_database(&mut conn).and_then(|locked| {
            // another process may have had it meanwhile
            let writing = writing_still(&mut conn)?;
            writing
                .iter()
                .for_each(|one| self.shared.changes.give_up(*one));
            Ok(locked)
        });
        // it may hold the lock, and nobody would know
        if locked.is_err()
            && let Some(backend) = self.post.backend()
        {
            self.shared.changes.give_up(backend);
        }
        locked.is_ok_and(|locked| locked).then_some(conn)
    }
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// Ends what was given up on the server's side. What is not there any more does nothing any more. A role may end what is its
/// own; where it may not, memory waits until the server has ended it.
fn end_given_up(conn: &mut Conn, changes: &Changes) {
    let given_up = changes.given_up();
    if given_up.is_empty() {
        return;
    }
    let gone: Vec<Backend> = given_up
        .into_iter()
        .filter(|backend| is_gone(conn, *backend).unwrap_or(false))
        .collect();
    if !gone.is_empty() {
        changes.settle(&gone);
    }
}

fn is_gone(conn: &mut Conn, backend: Backend) -> QueryResult<bool> {
    let end = format!(
        "SELECT count(pg_terminate_backend(pid)) AS count FROM ({BACKENDS}) AS backend WHERE pid = $1 AND started = $2"
    );
    let found: Count = diesel::sql_query(end)
        .bind::<Integer, _>(backend.pid)
        .bind::<BigInt, _>(backend.started)
        .get_result(conn)?;
    Ok(found.count == 0)
}
