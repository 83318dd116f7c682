//! The store: the only folder that says `diesel`. A door opens `read` or `write`; a rule gets a [`Tx`]; one statement a
//! function, in the file of its noun. Owns the connections, the SQLite writer and the news of what changed.

mod changes;
mod columns;
mod conn;
mod error;
mod exclusive;
mod foreign_writes;
mod health;
mod job;
mod lane;
mod migrations;
mod schema;
mod statements;
mod tx;
mod writer;

mod api_key_lists;
pub mod api_key_requests;
pub mod api_key_secrets;
pub mod api_key_transfers;
pub mod api_keys;
pub mod application_secrets;
pub mod applications;
pub mod audit;
pub mod authorization_requests;
pub mod authorizations;
pub mod clock_records;
pub mod consents;
pub mod departures;
pub mod domains;
pub mod hand_overs;
pub mod idempotency_keys;
pub mod identities;
pub mod identity_providers;
pub mod invitations;
pub mod join_requests;
pub mod limit_windows;
pub mod management_tokens;
pub mod members;
pub mod operator_tokens;
pub mod organizations;
pub mod registration_tokens;
pub mod registrations;
pub mod resource_servers;
pub mod retired_api_keys;
pub mod roles;
pub mod secret_disclosures;
pub mod sessions;
pub mod signing_keys;
pub mod subscriptions;
pub mod sweep;
pub mod tokens;
pub mod users;
pub mod workspaces;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, OnceLock};

use tokio::sync::oneshot;

pub use changes::{Changes, Stamp, Subject};
pub use conn::{Conn, Database, UnknownScheme};
pub use error::Error;
pub use exclusive::ExclusiveError;
pub use foreign_writes::ForeignWrites;
pub use health::{Health, HealthError, examine};
pub use job::Verdict;
pub use migrations::{SchemaError, check as check_schema, migrate};
pub use tx::{Snapshot, Tx};

use crate::types::clock_watch::ClockWatch;
use crate::types::id::OrganizationId;
use crate::types::time::Timestamp;
use exclusive::Exclusive;
use job::{BoxedJob, Place, ReadJob, WriteJob};

/// Requests that may wait for a database thread; one more is answered 503.
const MOST_WAITING: usize = 1024;

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Exclusive(#[from] ExclusiveError),
    #[error(transparent)]
    Schema(#[from] SchemaError),
    #[error("cannot start a database thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// Handle to the database threads, which end when the last handle is gone.
pub struct Store {
    reads: SyncSender<BoxedJob>,
    writes: SyncSender<BoxedJob>,
    changes: Arc<Changes>,
    rehearses: Arc<AtomicBool>,
    place: Place,
    /// Judges the instants of writes; unset, all are trusted.
    clock_watch: OnceLock<Arc<ClockWatch>>,
    /// `None`: another process may hold the lock.
    _exclusive: Option<Exclusive>,
}

impl Store {
    /// Locks the database for this process, checks its schema and starts `connections` threads (SQLite: and the writer).
    pub fn open(database: &Database, connections: usize) -> Result<Self, OpenError> {
        let changes = Arc::new(Changes::new());
        let exclusive = exclusive::acquire(database, &changes)?;
        Self::start(
            database,
            connections,
            changes,
            Some(exclusive),
            Place::Alone,
        )
    }

    /// Opens the database beside the process that serves, without its lock: for one command.
    ///
    /// The server answers from memory, and on PostgreSQL does not learn what a guest writes. So a guest may write only what
    /// no memory depends on, such as signing keys, which are read again every few seconds, and audit events: a write that
    /// touches a [`Subject`] is rolled back. Nor may it add what a memory of unknown ones may hold: credentials, clients and
    /// resource servers. (On SQLite the server notices foreign writes within half a second, and forgets everything.)
    pub fn open_as_guest(database: &Database) -> Result<Self, OpenError> {
        Self::start(database, 1, Arc::new(Changes::new()), None, Place::Guest)
    }

    /// Opens the database for one command that changes what a running server may remember: with the lock while nobody serves,
    /// else beside the server. There each write is counted in its own transaction ([`ForeignWrites`]); the server forgets what
    /// it remembered when it sees the count, and says so. A command that was written is not done before [`Store::is_noticed`].
    pub fn open_beside(database: &Database) -> Result<Self, OpenError> {
        match Self::open(database, 1) {
            Err(OpenError::Exclusive(ExclusiveError::Taken(_))) => Self::start(
                database,
                1,
                Arc::new(Changes::new()),
                None,
                Place::Announcing,
            ),
            opened => opened,
        }
    }

    /// Whether no process remembers what this one has changed so far.
    pub async fn is_noticed(&self) -> Result<bool, Error> {
        if self.place != Place::Announcing {
            return Ok(true);
        }
        let writes: ForeignWrites = self.read(|snapshot| snapshot.find_foreign_writes()).await?;
        Ok(writes.noticed >= writes.written)
    }

    fn start(
        database: &Database,
        connections: usize,
        changes: Arc<Changes>,
        exclusive: Option<Exclusive>,
        place: Place,
    ) -> Result<Self, OpenError> {
        check_schema(database)?;
        let rehearses = Arc::new(AtomicBool::new(false));
        let reads = start_lane(database, &changes, &rehearses, connections)?;
        let writes = match database {
            Database::Sqlite(_) => start_writer(database, &changes, &rehearses, place)?,
            // a lane of its own: reads that strangers provoke must not stand before a revocation
            Database::Postgres(_) => start_lane(database, &changes, &rehearses, connections)?,
        };
        Ok(Self {
            reads,
            writes,
            changes,
            rehearses,
            place,
            clock_watch: OnceLock::new(),
            _exclusive: exclusive,
        })
    }

    /// From now on a write knows whether its instant is trusted ([`Tx::trusts_clock`]).
    pub fn judge_instants_by(&self, watch: Arc<ClockWatch>) {
        // the first one stays
        let _ = self.clock_watch.set(watch);
    }

    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// From now on every write runs twice, and the first run is undone: tests show by it that each can be repeated.
    pub fn rehearse_writes(&self) {
        self.rehearses.store(true, Ordering::Relaxed);
    }

    /// A question: one consistent snapshot, nothing changed.
    pub async fn read<T, E, F>(&self, closure: F) -> Result<T, E>
    where
        F: FnOnce(&mut Snapshot) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (job, answered) = ReadJob::new(closure);
        send(&self.reads, Box::new(job))?;
        receive(answered).await
    }

    /// An answer that changes the world: one transaction at the instant `now`. The closure runs again when another
    /// transaction was in its way, so it depends on nothing but what it holds and reads, and changes nothing but the database.
    pub async fn write<T, E, F>(&self, now: Timestamp, closure: F) -> Result<T, E>
    where
        F: FnMut(&mut Tx) -> Result<Verdict<T, E>, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let watch = self.clock_watch.get();
        let trusted = watch.is_none_or(|watch| watch.trusts(now));
        let (job, answered) = WriteJob::new((now, trusted), self.place, closure);
        send(&self.writes, Box::new(job))?;
        receive(answered).await
    }

    /// A write that counts over several rows of one organization: such writes happen one after the other.
    pub async fn write_organization<T, E, F>(
        &self,
        organization: OrganizationId,
        now: Timestamp,
        mut closure: F,
    ) -> Result<T, E>
    where
        F: FnMut(&mut Tx) -> Result<Verdict<T, E>, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.write(now, move |tx| {
            tx.advance_generation(organization)?;
            closure(tx)
        })
        .await
    }
}

fn send<E: From<Error>>(queue: &SyncSender<BoxedJob>, job: BoxedJob) -> Result<(), E> {
    queue.try_send(job).map_err(|error| {
        let reason = match error {
            TrySendError::Full(_) => "too many requests wait for it",
            TrySendError::Disconnected(_) => "its threads have ended",
        };
        E::from(Error::Unavailable(reason.to_owned()))
    })
}

async fn receive<T, E: From<Error>>(answered: oneshot::Receiver<Result<T, E>>) -> Result<T, E> {
    answered.await.unwrap_or_else(|_| {
        Err(E::from(Error::Unavailable(
            "the database thread has ended".to_owned(),
        )))
    })
}

fn start_lane(
    database: &Database,
    changes: &Arc<Changes>,
    rehearses: &Arc<AtomicBool>,
    connections: usize,
) -> std::io::Result<SyncSender<BoxedJob>> {
    let (sender, receiver) = sync_channel(MOST_WAITING);
    let receiver = Arc::new(Mutex::new(receiver));
    for number in 0..connections.max(1) {
        let worker =
            lane::Worker::new(database.clone(), Arc::clone(changes), Arc::clone(rehearses));
        let receiver = Arc::clone(&receiver);
        std::thread::Builder::new()
            .name(format!("database-{number}"))
            .spawn(move || worker.work(&receiver))?;
    }
    Ok(sender)
}

fn start_writer(
    database: &Database,
    changes: &Arc<Changes>,
    rehearses: &Arc<AtomicBool>,
    place: Place,
) -> std::io::Result<SyncSender<BoxedJob>> {
    let (sender, receiver) = sync_channel(MOST_WAITING);
    let writer = writer::Writer::new(
        database.clone(),
        Arc::clone(changes),
        Arc::clone(rehearses),
        place,
    );
    std::thread::Builder::new()
        .name("writer".to_owned())
        .spawn(move || writer.work(&receiver))?;
    Ok(sender)
}
