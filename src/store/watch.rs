//! Threads that may hang in a call to PostgreSQL, and who takes their place.
//!
//! A server that is frozen, or a middle box that acknowledges bytes and forwards none, holds a call for as long as it likes:
//! no timer of libpq covers it, and nobody but the thread itself can end its connection. (To take its socket from outside needs
//! `pidfd_getfd`, for which a usual seccomp filter kills the process.) So a thread that is past its deadline is given up: another
//! one takes its place at once, on a connection of its own, and the first drops its connection and ends when its call
//! returns. Invariant: what it was sent may still be done, so its [`Backend`] is noted before anybody
//! takes its place ([`super::changes::Changes::give_up`]), and ended on the server as soon as that can be reached.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use super::Shared;
use super::conn::{Backend, Conn, Database};
use super::error::Failure;
use crate::types::time::Deadline;

/// How often the deadlines are looked at.
const LOOK: Duration = Duration::from_millis(100);
/// Between the deadline of a job and the end of the thread's patience: a server that is well cancels its statement by itself.
const GRACE: Duration = Duration::from_millis(500);
/// To connect: longer than libpq tries for each address, and with time for a name server that does not answer.
const OPENING: Duration = Duration::from_secs(15);
/// Threads that were given up and have not come back. Beyond them nobody is replaced.
const MOST_GIVEN_UP: usize = 256;

/// One thread, as the watch sees it.
pub(super) struct Post {
    state: Mutex<State>,
    /// How many are given up, this one included when it is.
    given_up: Arc<AtomicUsize>,
}

#[derive(Default)]
struct State {
    /// Of the call that it is in.
    until: Option<Deadline>,
    backend: Option<Backend>,
    is_given_up: bool,
}

impl Post {
    /// What comes now may hang, and is not waited for much longer than this.
    pub fn expect_by(&self, deadline: Deadline) {
        self.state().until = Some(deadline.plus(GRACE));
    }

    pub fn rest(&self) {
        self.state().until = None;
    }

    /// Another thread has its place.
    pub fn is_given_up(&self) -> bool {
        self.state().is_given_up
    }

    pub fn backend(&self) -> Option<Backend> {
        self.state().backend
    }

    /// A connection within its own deadline; what comes behind it has another.
    pub fn open(&self, shared: &Shared) -> Result<Conn, Failure> {
        {
            let mut state = self.state();
            state.backend = None;
            state.until = Some(Deadline::after(OPENING));
        }
        let mut conn = Conn::open_within(&shared.database, shared.timeout)?;
        self.state().backend = conn.backend()?;
        Ok(conn)
    }

    /// A connection that was opened elsewhere.
    pub fn identify(&self, conn: &mut Conn) {
        let backend = conn.backend().ok().flatten();
        self.state().backend = backend;
    }

    /// Does it unless another thread has this one's place, and says whether.
    pub fn unless_given_up(&self, change: impl FnOnce()) -> bool {
        let state = self.state();
        if !state.is_given_up {
            change();
        }
        !state.is_given_up
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Post {
    fn drop(&mut self) {
        if self.state().is_given_up {
            self.given_up.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

type Replace = Box<dyn Fn() -> std::io::Result<()> + Send>;

struct Watched {
    post: Arc<Post>,
    replace: Replace,
}

/// Looks at every post, on a thread of its own that ends with the store.
pub(super) struct Watch {
    watched: Mutex<Vec<Watched>>,
    given_up: Arc<AtomicUsize>,
}

impl Watch {
    pub fn start(shared: &Arc<Shared>) -> std::io::Result<Arc<Self>> {
        let watch = Arc::new(Self {
            watched: Mutex::default(),
            given_up: Arc::default(),
        });
        if let Database::Sqlite(_) = shared.database {
            // its calls end by themselves, and another thread would hang on the same disk
            return Ok(watch);
        }
        let (weak, shared) = (Arc::downgrade(&watch), Arc::clone(shared));
        std::thread::Builder::new()
            .name("database-watch".to_owned())
            .spawn(move || {
                while let Some(watch) = weak.upgrade() {
                    watch.look(&shared);
                    drop(watch);
                    std::thread::sleep(LOOK);
                }
            })?;
        Ok(watch)
    }

    /// Starts a thread that may hang; `run` is started again, at a post of its own, when the thread is given up.
    pub fn post(
        weak: &Weak<Self>,
        name: &str,
        run: impl Fn(&Arc<Post>) + Clone + Send + 'static,
    ) -> std::io::Result<Option<JoinHandle<()>>> {
        let Some(watch) = weak.upgrade() else {
            return Ok(None);
        };
        let post = Arc::new(Post {
            state: Mutex::default(),
            given_up: Arc::clone(&watch.given_up),
        });
        let (own, work) = (Arc::clone(&post), run.clone());
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || work(&own))?;
        let (weak, name) = (Weak::clone(weak), name.to_owned());
        let replace = Box::new(move || Self::post(&weak, &name, run.clone()).map(drop));
        watch.watched().push(Watched { post, replace });
        Ok(Some(thread))
    }

    fn look(&self, shared: &Shared) {
        let overdue: Vec<Watched> = {
            let mut watched = self.watched();
            watched
                .extract_if(.., |watched| self.gives_up(&watched.post, shared))
                .collect()
        };
        for Watched { post, replace } in overdue {
            drop(post);
            shared.observed.metrics.connections_dropped.inc();
            if let Err(error) = replace() {
                tracing::error!("A database thread cannot be replaced: {error}");
            }
        }
    }

    fn gives_up(&self, post: &Post, shared: &Shared) -> bool {
        let mut state = post.state();
        if !state.until.is_some_and(Deadline::is_past) {
            return false;
        }
        if self.given_up.load(Ordering::SeqCst) >= MOST_GIVEN_UP {
            return false;
        }
        state.is_given_up = true;
        let given_up = self.given_up.fetch_add(1, Ordering::SeqCst) + 1;
        // before anybody takes its place
        if let Some(backend) = state.backend {
            shared.changes.give_up(backend);
        }
        tracing::error!(
            given_up,
            "PostgreSQL did not answer in time: the connection is given up, and another takes its place"
        );
        true
    }

    fn watched(&self) -> MutexGuard<'_, Vec<Watched>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
