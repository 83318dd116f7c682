//! The store: the only folder that says `diesel`. A door opens `read` or `write`; a rule gets a [`Tx`]; one statement a
//! function, in the file of its noun. Owns the connections, the SQLite writer and the news of what changed.

mod backup;
mod changes;
mod checkpoints;
mod columns;
mod conn;
mod error;
mod exclusive;
mod foreign_writes;
mod health;
mod job;
mod lane;
mod migrations;
mod observed;
mod probe;
mod restore;
mod schema;
mod sqlite_files;
mod statements;
mod tx;
mod watch;
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
pub mod restored;
pub mod retired_api_keys;
pub mod roles;
pub mod secret_disclosures;
mod secret_key_ids;
pub mod sessions;
pub mod signing_keys;
pub mod subscriptions;
pub mod sweep;
pub mod tokens;
pub mod users;
pub mod workspaces;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

pub use backup::{Backup, BackupError, back_up};
pub use changes::{Changes, Stamp, Subject};
pub use conn::{Conn, Database, UnknownScheme};
pub use error::{Error, Trouble};
pub use exclusive::{ExclusiveError, adopt};
pub use foreign_writes::ForeignWrites;
pub use health::{Health, HealthError, examine};
pub use job::Verdict;
pub use migrations::{SchemaError, check as check_schema, migrate};
pub use observed::{Lane, Seen};
pub use restore::{Incoming, Replaced, RestoreError};
pub use sqlite_files::{FilesError, refuse_lost};
pub use tx::{Snapshot, Tx};

use crate::types::clock_watch::ClockWatch;
use crate::types::id::OrganizationId;
use crate::types::time::Timestamp;
use checkpoints::Checkpoints;
use conn::UNHURRIED;
use error::Failure;
use exclusive::Exclusive;
use job::{BoxedJob, Fate, Place, ReadJob, Turn, WriteJob};
use observed::Observed;
use watch::Watch;

/// Requests that may wait for a database thread; one more is answered 503.
const MOST_WAITING: usize = 1024;
/// Within this a store is open, or its database is silent.
const OPENING: Duration = Duration::from_secs(15);
/// Threads that open a store for which nobody waits any more. Beyond so many none is started before one of them has ended.
const MOST_ABANDONED: usize = 64;
static ABANDONED: AtomicUsize = AtomicUsize::new(0);
/// How long a request waits, unless somebody says otherwise.
pub const TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Exclusive(#[from] ExclusiveError),
    #[error(transparent)]
    Schema(#[from] SchemaError),
    #[error("cannot start a database thread: {0}")]
    Thread(#[from] std::io::Error),
    #[error("the database does not answer")]
    Silent,
}

/// What PostgreSQL and libpq say of a wrong setting, which waiting does not mend. (In other languages of the server it is
/// waited for, and the log says so.)
const FINAL: [&str; 12] = [
    "authentication failed",
    "no password supplied",
    "does not exist",
    "pg_hba.conf",
    "permission denied",
    "invalid URI",
    "invalid connection option",
    "invalid port",
    "invalid integer",
    "invalid sslmode",
    "does not support SSL",
    "certificate",
];

impl OpenError {
    /// Whether the database may answer later, as it is: it does not run yet, is starting, or its name is not known yet.
    pub fn is_away(&self) -> bool {
        let text = match self {
            Self::Silent => return true,
            Self::Exclusive(ExclusiveError::Database(text))
            | Self::Schema(SchemaError::Open(text) | SchemaError::Migration(text)) => text,
            // perhaps by a connection of our own that came too late
            Self::Exclusive(ExclusiveError::Taken(_)) => {
                return ABANDONED.load(Ordering::SeqCst) > 0;
            }
            Self::Exclusive(ExclusiveError::File(..) | ExclusiveError::Files(_))
            | Self::Schema(
                SchemaError::Pending(_) | SchemaError::Unknown(_) | SchemaError::Lost(_),
            )
            | Self::Thread(_) => return false,
        };
        !FINAL.iter().any(|part| text.contains(part))
    }
}

/// What all threads of one store have in common.
struct Shared {
    database: Database,
    changes: Changes,
    observed: Observed,
    rehearses: AtomicBool,
    place: Place,
    /// How long a request waits for the database, in the queue and in the database together.
    timeout: Duration,
}

/// Where jobs wait for their threads; closed, it takes none.
type Queue = RwLock<Option<SyncSender<BoxedJob>>>;

/// Handle to the database threads, which end with it, or at [`Store::close`].
///
/// Every call is answered within the time-out, whatever the database does: `Err(Error::Unavailable)` for what has not begun
/// by then, which is never run, and for what is not done by then, which may happen or not. SQLite's transactions wait for
/// nobody once they have begun: they are waited for once more as long, and the answer is what happened.
pub struct Store {
    reads: Queue,
    writes: Queue,
    /// SQLite's readers and its writer, until they are joined. PostgreSQL's end by themselves, as the database may not answer.
    threads: Mutex<[Vec<JoinHandle<()>>; 2]>,
    shared: Arc<Shared>,
    /// Judges the instants of writes; unset, all are trusted.
    clock_watch: OnceLock<Arc<ClockWatch>>,
    /// `None`: another process may hold the lock.
    _exclusive: Option<Exclusive>,
    /// Ends with the store.
    _watch: Arc<Watch>,
}

impl Store {
    /// Locks the database for this process, checks its schema and starts `connections` threads (SQLite: and the writer).
    pub fn open(database: &Database, connections: usize) -> Result<Self, OpenError> {
        Self::open_within(database, connections, TIMEOUT)
    }

    /// As [`Store::open`], for requests that wait at most so long.
    pub fn open_within(
        database: &Database,
        connections: usize,
        timeout: Duration,
    ) -> Result<Self, OpenError> {
        let shared = Shared::new(database, Place::Alone, timeout);
        let watch = Watch::start(&shared)?;
        let exclusive = exclusive::acquire(&shared, &Arc::downgrade(&watch))?;
        Self::start(shared, watch, connections, Some(exclusive))
    }

    /// As [`Store::open_within`], on a thread of its own, so that a silent database holds up nobody. A store that comes too
    /// late is dropped.
    pub async fn connect(
        database: Database,
        connections: usize,
        wait: Duration,
    ) -> Result<Self, OpenError> {
        if ABANDONED.load(Ordering::SeqCst) >= MOST_ABANDONED {
            return Err(OpenError::Silent);
        }
        let (sender, mut opened) = oneshot::channel();
        std::thread::Builder::new()
            .name("database-open".to_owned())
            .spawn(move || {
                let unwanted = sender.send(Self::open_within(&database, connections, wait));
                if unwanted.is_err() {
                    drop(unwanted);
                    ABANDONED.fetch_sub(1, Ordering::SeqCst);
                }
            })?;
        if let Ok(opened) = timeout(OPENING, &mut opened).await {
            return opened.unwrap_or(Err(OpenError::Silent));
        }
        ABANDONED.fetch_add(1, Ordering::SeqCst);
        opened.close();
        opened.try_recv().map_or(Err(OpenError::Silent), |opened| {
            ABANDONED.fetch_sub(1, Ordering::SeqCst);
            opened
        })
    }

    /// Opens the database beside the process that serves, without its lock: for one command.
    ///
    /// The server answers from memory, and on PostgreSQL does not learn what a guest writes. So a guest may write only what
    /// no memory depends on, such as signing keys, which are read again every few seconds, and audit events: a write that
    /// touches a [`Subject`] is rolled back. Nor may it add what a memory of unknown ones may hold: credentials, clients and
    /// resource servers. (On SQLite the server notices foreign writes within half a second, and forgets everything.)
    pub fn open_as_guest(database: &Database) -> Result<Self, OpenError> {
        Self::start_beside(database, Place::Guest)
    }

    /// Opens the database for one command that changes what a running server may remember: with the lock while nobody serves,
    /// else beside the server. There each write is counted in its own transaction ([`ForeignWrites`]); the server forgets what
    /// it remembered when it sees the count, and says so. A command that was written is not done before [`Store::is_noticed`].
    pub fn open_beside(database: &Database) -> Result<Self, OpenError> {
        match Self::open(database, 1) {
            Err(OpenError::Exclusive(ExclusiveError::Taken(_))) => {
                Self::start_beside(database, Place::Announcing)
            }
            opened => opened,
        }
    }

    /// Whether no process remembers what this one has changed so far.
    pub async fn is_noticed(&self) -> Result<bool, Error> {
        if self.shared.place != Place::Announcing {
            return Ok(true);
        }
        let writes: ForeignWrites = self.read(|snapshot| snapshot.find_foreign_writes()).await?;
        Ok(writes.noticed >= writes.written)
    }

    fn start_beside(database: &Database, place: Place) -> Result<Self, OpenError> {
        let shared = Shared::new(database, place, TIMEOUT);
        let watch = Watch::start(&shared)?;
        Self::start(shared, watch, 1, None)
    }

    fn start(
        shared: Arc<Shared>,
        watch: Arc<Watch>,
        connections: usize,
        exclusive: Option<Exclusive>,
    ) -> Result<Self, OpenError> {
        if exclusive.is_none() {
            exclusive::look(&shared.database)?;
        }
        check_schema(&shared.database)?;
        let weak = Arc::downgrade(&watch);
        let (reads, readers) = start_lane(&shared, &weak, Lane::Reads, connections)?;
        let (writes, writer) = match &shared.database {
            Database::Sqlite(path) => {
                let lock = exclusive.as_ref().and_then(Exclusive::lock_file);
                let checkpoints = lock.map(|lock| Checkpoints::new(path, lock));
                start_writer(writer::Writer::new(Arc::clone(&shared), checkpoints))?
            }
            // a lane of its own: reads that strangers provoke must not stand before a revocation
            Database::Postgres(_) => start_lane(&shared, &weak, Lane::Writes, connections)?,
        };
        let threads = match &shared.database {
            Database::Sqlite(_) => [readers, writer],
            Database::Postgres(_) => [Vec::new(), Vec::new()],
        };
        Ok(Self {
            reads: RwLock::new(Some(reads)),
            writes: RwLock::new(Some(writes)),
            threads: Mutex::new(threads),
            shared,
            clock_watch: OnceLock::new(),
            _exclusive: exclusive,
            _watch: watch,
        })
    }

    /// Does what waits, and takes nothing more. On SQLite it returns when the database is one whole file: the readers have
    /// ended, then the writer, which folds the write-ahead log in. On PostgreSQL it waits for nobody.
    pub fn close(&self) {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let [readers, writer] = &mut *threads;
        for (queue, threads) in [(&self.reads, readers), (&self.writes, writer)] {
            drop(queue.write().unwrap_or_else(PoisonError::into_inner).take());
            for thread in threads.drain(..) {
                // the last handle may end with a closure, on one of these threads
                if thread.thread().id() != std::thread::current().id() {
                    let _ = thread.join();
                }
            }
        }
    }

    /// From now on a write knows whether its instant is trusted ([`Tx::trusts_clock`]).
    pub fn judge_instants_by(&self, watch: Arc<ClockWatch>) {
        // the first one stays
        let _ = self.clock_watch.set(watch);
    }

    pub fn changes(&self) -> &Changes {
        &self.shared.changes
    }

    /// From now on every write runs twice, and the first run is undone: tests show by it that each can be repeated.
    pub fn rehearse_writes(&self) {
        self.shared.rehearses.store(true, Ordering::Relaxed);
    }

    /// A question: one consistent snapshot, nothing changed.
    pub async fn read<T, E, F>(&self, closure: F) -> Result<T, E>
    where
        F: FnOnce(&mut Snapshot) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.ask(closure, self.turn()).await
    }

    /// As [`Store::read`], for the work that no request waits for.
    pub async fn read_unhurried<T, E, F>(&self, closure: F) -> Result<T, E>
    where
        F: FnOnce(&mut Snapshot) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.ask(closure, self.unhurried_turn()).await
    }

    /// An answer that changes the world: one transaction at the instant `now`. The closure runs again when another
    /// transaction was in its way, so it depends on nothing but what it holds and reads, and changes nothing but the database.
    pub async fn write<T, E, F>(&self, now: Timestamp, closure: F) -> Result<T, E>
    where
        F: FnMut(&mut Tx) -> Result<Verdict<T, E>, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.change(now, closure, self.turn()).await
    }

    /// As [`Store::write`], for the work that no request waits for.
    pub async fn write_unhurried<T, E, F>(&self, now: Timestamp, closure: F) -> Result<T, E>
    where
        F: FnMut(&mut Tx) -> Result<Verdict<T, E>, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.change(now, closure, self.unhurried_turn()).await
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

    fn turn(&self) -> Arc<Turn> {
        Turn::within(self.shared.timeout, false)
    }

    fn unhurried_turn(&self) -> Arc<Turn> {
        Turn::within(UNHURRIED.max(self.shared.timeout), true)
    }

    async fn ask<T, E, F>(&self, closure: F, turn: Arc<Turn>) -> Result<T, E>
    where
        F: FnOnce(&mut Snapshot) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (job, answered) = ReadJob::new(Arc::clone(&turn), closure);
        self.send(Lane::Reads, Box::new(job))?;
        self.receive(Lane::Reads, &turn, answered).await
    }

    async fn change<T, E, F>(&self, now: Timestamp, closure: F, turn: Arc<Turn>) -> Result<T, E>
    where
        F: FnMut(&mut Tx) -> Result<Verdict<T, E>, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let watch = self.clock_watch.get();
        let trusted = watch.is_none_or(|watch| watch.trusts(now));
        let (job, answered) = WriteJob::new(
            Arc::clone(&turn),
            (now, trusted),
            self.shared.place,
            closure,
        );
        self.send(Lane::Writes, Box::new(job))?;
        self.receive(Lane::Writes, &turn, answered).await
    }

    fn send<E: From<Error>>(&self, lane: Lane, job: BoxedJob) -> Result<(), E> {
        let queue = match lane {
            Lane::Reads => &self.reads,
            Lane::Writes => &self.writes,
        };
        let queue = queue.read().unwrap_or_else(PoisonError::into_inner);
        self.shared.observed.queued(lane);
        let ended = (Trouble::Other, "its threads have ended");
        let sent = match &*queue {
            Some(queue) => queue.try_send(job).map_err(|error| match error {
                TrySendError::Full(_) => (Trouble::Overloaded, "too many requests wait for it"),
                TrySendError::Disconnected(_) => ended,
            }),
            None => Err(ended),
        };
        sent.map_err(|(trouble, reason)| {
            let failure = Failure::new(trouble, reason);
            self.shared.observed.taken(lane, Duration::ZERO);
            self.shared.observed.failed(lane, &failure);
            E::from(failure.into())
        })
    }

    async fn receive<T, E: From<Error>>(
        &self,
        lane: Lane,
        turn: &Turn,
        mut answered: oneshot::Receiver<Result<T, E>>,
    ) -> Result<T, E> {
        let ended = || {
            E::from(Error::Unavailable(
                "the database thread has ended".to_owned(),
            ))
        };
        if let Ok(answer) = timeout(turn.until.left(), &mut answered).await {
            return answer.unwrap_or_else(|_| Err(ended()));
        }
        let is_sqlite = matches!(self.shared.database, Database::Sqlite(_));
        if is_sqlite
            && !turn.withdraw()
            && let Ok(answer) = timeout(self.shared.timeout, &mut answered).await
        {
            return answer.unwrap_or_else(|_| Err(ended()));
        }
        match turn.give_up() {
            Fate::Answered => return answered.await.unwrap_or_else(|_| Err(ended())),
            // before the asker hears of it: it may ask again, and what is remembered must not be older than that answer
            Fate::Unknown(Some(backend)) if lane == Lane::Writes => {
                self.shared.changes.give_up(backend);
            }
            Fate::Unknown(_) | Fate::Never => {}
        }
        self.shared.observed.was_silent(lane);
        Err(E::from(Error::late()))
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn new(database: &Database, place: Place, timeout: Duration) -> Arc<Self> {
        Arc::new(Self {
            database: database.clone(),
            changes: Changes::new(),
            observed: Observed::default(),
            rehearses: AtomicBool::new(false),
            place,
            timeout,
        })
    }
}

type Started = (SyncSender<BoxedJob>, Vec<JoinHandle<()>>);

fn start_lane(
    shared: &Arc<Shared>,
    watch: &Weak<Watch>,
    lane: Lane,
    connections: usize,
) -> std::io::Result<Started> {
    let (sender, receiver) = sync_channel(MOST_WAITING);
    let receiver = Arc::new(Mutex::new(receiver));
    let mut threads = Vec::new();
    for number in 0..connections.max(1) {
        let (shared, receiver) = (Arc::clone(shared), Arc::clone(&receiver));
        let name = format!("{}-{number}", lane.as_str());
        threads.extend(Watch::post(watch, &name, move |post| {
            lane::Worker::new(Arc::clone(&shared), lane, Arc::clone(post)).work(&receiver);
        })?);
    }
    Ok((sender, threads))
}

fn start_writer(writer: writer::Writer) -> std::io::Result<Started> {
    let (sender, receiver): (_, Receiver<BoxedJob>) = sync_channel(MOST_WAITING);
    let thread = std::thread::Builder::new()
        .name("writer".to_owned())
        .spawn(move || writer.work(&receiver))?;
    Ok((sender, vec![thread]))
}
