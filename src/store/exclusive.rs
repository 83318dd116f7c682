//! One serving process per database, because it answers from memory: a file lock beside SQLite, an advisory lock in
//! PostgreSQL. A node that loses the lock neither uses its memory nor writes until it holds it again.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use diesel::sql_types::Bool;
use diesel::{QueryResult, QueryableByName, RunQueryDsl};

use super::changes::Changes;
use super::conn::{Conn, Database};
use super::foreign_writes;
use super::sqlite_files::{self, FilesError, beside};

/// The advisory lock's number: "countsgn" in ASCII.
const LOCK: i64 = 0x636f_756e_7473_676e;
/// How often the lock in PostgreSQL is proven. A node that lost it uses its memory at most this long (and one time-out).
const PROOF: Duration = Duration::from_secs(1);

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
    #[error("cannot lock the database: {0}")]
    Database(String),
}

/// Held while the process serves; given back when dropped.
pub(super) enum Exclusive {
    /// Closing the file gives the lock back.
    File(File),
    Advisory(#[expect(dead_code, reason = "dropping it ends the keeper thread")] Arc<AtomicBool>),
}

pub(super) fn acquire(
    database: &Database,
    changes: &Arc<Changes>,
) -> Result<Exclusive, ExclusiveError> {
    match database {
        Database::Sqlite(path) => {
            sqlite_files::refuse_missing(path)?;
            let lock = patiently(|| lock_file(&beside(path, ".lock")))?;
            sqlite_files::refuse_replaced(path)?;
            if sqlite_files::is_exchanged(path) {
                tracing::warn!(
                    "The database is not the file that ran here last: what was revoked since it was made is live again. If it is \
                     a backup, stop the server and run `countersign restore --in-place`"
                );
            }
            Ok(Exclusive::File(lock))
        }
        Database::Postgres(_) => {
            let conn = lock_database(database)?
                .ok_or_else(|| ExclusiveError::Taken("this PostgreSQL database".to_owned()))?;
            Ok(Exclusive::Advisory(keep(
                database.clone(),
                conn,
                Arc::downgrade(changes),
            )?))
        }
    }
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

/// A connection that holds the lock, or `None` when another one does.
fn lock_database(database: &Database) -> Result<Option<Conn>, ExclusiveError> {
    let failed = |error: String| ExclusiveError::Database(error);
    let mut conn = Conn::open(database).map_err(|error| failed(error.to_string()))?;
    // this connection idles by design; when this machine dies the server is to notice in seconds, not in two hours
    conn.batch("SET idle_session_timeout = 0; SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3")
        .map_err(|error| failed(error.to_string()))?;
    let row: Locked = diesel::sql_query(format!("SELECT pg_try_advisory_lock({LOCK}) AS locked"))
        .get_result(&mut conn)
        .map_err(|error| failed(error.to_string()))?;
    Ok(row.locked.then_some(conn))
}

/// Proves the lock every second on a thread of its own, until the store is gone.
fn keep(
    database: Database,
    conn: Conn,
    changes: Weak<Changes>,
) -> Result<Arc<AtomicBool>, ExclusiveError> {
    let held = Arc::new(AtomicBool::new(true));
    let watched = Arc::downgrade(&held);
    let thread = std::thread::Builder::new().name("database-lock".to_owned());
    let mut conn = Some(conn);
    thread
        .spawn(move || {
            while let (Some(held), Some(changes)) = (watched.upgrade(), changes.upgrade()) {
                let proven = conn
                    .as_mut()
                    .is_some_and(|conn| proves(conn, &changes).is_ok());
                if !proven {
                    conn = regain(&database, &changes, &held);
                }
                drop((held, changes));
                std::thread::sleep(PROOF);
            }
        })
        .map_err(|error| ExclusiveError::Database(error.to_string()))?;
    Ok(held)
}

/// The connection lives, and with it the lock. Commands beside this process learn that it has forgotten what they changed.
fn proves(conn: &mut Conn, changes: &Changes) -> QueryResult<()> {
    foreign_writes::answer(conn, changes)
}

fn regain(database: &Database, changes: &Changes, held: &AtomicBool) -> Option<Conn> {
    changes.set_trusted(false);
    if held.swap(false, Ordering::SeqCst) {
        tracing::error!(
            "The lock in the database was lost: answering from the database, not from memory"
        );
    }
    let conn = lock_database(database).ok().flatten()?;
    held.store(true, Ordering::SeqCst);
    changes.set_trusted(true);
    tracing::info!("The lock in the database is held again");
    Some(conn)
}
