//! Tells the access cache what changed: one global counter, and per subject the counter's value at its last change.
//!
//! Invariant: a cache entry stamped with the counter's value *before* its SELECT is used only while every subject it
//! depends on has last changed at or before that stamp. The committing thread publishes before it replies, so the first
//! request after a revoke's answer sees it, and a slow reader cannot put a stale row back. Between its COMMIT and its
//! publication nothing of its subjects is used: another thread may see already, and answer, what it has done.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::conn::Backend;
use crate::types::id::{OrganizationId, ResourceServerId, UserId};
use crate::types::time::Deadline;

/// Two subjects in one stripe only cost each other a reload.
const STRIPES: usize = 4096;
/// In a stripe's upper bits: how many COMMITs are on their way. So it is greater than every stamp meanwhile.
const COMMITTING: u64 = 1 << 48;

/// What a credential's rights depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    Organization(OrganizationId),
    User(UserId),
    ResourceServer(ResourceServerId),
}

/// The counter's value at some instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp(u64);

pub struct Changes {
    counter: AtomicU64,
    last_change: Box<[AtomicU64]>,
    /// Nothing stamped before this is used: somebody else wrote.
    floor: AtomicU64,
    /// [`Deadline`] in milliseconds: until then it is proven that nobody else writes.
    proven_until: AtomicI64,
    /// Connections that were given up, whose transactions may still commit: nothing remembered is used until they are gone.
    given_up: Mutex<Vec<Backend>>,
    in_doubt: AtomicUsize,
    hasher: RandomState,
}

impl Changes {
    pub(super) fn new() -> Self {
        Self {
            counter: AtomicU64::new(0),
            last_change: (0..STRIPES).map(|_| AtomicU64::new(0)).collect(),
            floor: AtomicU64::new(0),
            proven_until: AtomicI64::new(Deadline::NEVER.millis()),
            given_up: Mutex::default(),
            in_doubt: AtomicUsize::new(0),
            hasher: RandomState::new(),
        }
    }

    /// Take it before the SELECT.
    pub fn stamp(&self) -> Stamp {
        Stamp(self.counter.load(Ordering::SeqCst))
    }

    /// Whether what was read at `stamp` still stands.
    pub fn is_current(&self, stamp: Stamp, subjects: impl IntoIterator<Item = Subject>) -> bool {
        self.may_remember()
            && self.floor.load(Ordering::SeqCst) <= stamp.0
            && subjects
                .into_iter()
                .all(|subject| self.stripe(&subject).load(Ordering::SeqCst) <= stamp.0)
    }

    /// Whether nothing at all was written since `stamp`: what the memory of unknown credentials needs.
    pub fn is_unchanged(&self, stamp: Stamp) -> bool {
        self.may_remember() && self.counter.load(Ordering::SeqCst) == stamp.0
    }

    /// Whether this process can prove that nobody else writes.
    pub fn is_trusted(&self) -> bool {
        !Deadline::from_millis(self.proven_until.load(Ordering::SeqCst)).is_past()
    }

    fn may_remember(&self) -> bool {
        self.in_doubt.load(Ordering::SeqCst) == 0 && self.is_trusted()
    }

    /// Called on the thread that commits, before the COMMIT is sent. With the end of the value the change is published, also
    /// when the outcome is unknown; the thread replies behind it.
    pub(super) fn committing<'a>(&'a self, subjects: &'a [Subject]) -> Committing<'a> {
        for subject in subjects {
            self.stripe(subject).fetch_add(COMMITTING, Ordering::SeqCst);
        }
        Committing {
            changes: self,
            subjects,
        }
    }

    fn publish(&self, subjects: &[Subject]) {
        let value = self.counter.fetch_add(1, Ordering::SeqCst) + 1;
        for subject in subjects {
            let published = |stripe: u64| {
                let (others, last) = (stripe / COMMITTING - 1, stripe % COMMITTING);
                Some(others * COMMITTING + last.max(value))
            };
            let stripe = self.stripe(subject);
            // never refused: `published` always has a value
            let _ = stripe.fetch_update(Ordering::SeqCst, Ordering::SeqCst, published);
        }
    }

    /// Forgets everything: a foreign write was seen, or the keys that prove a token have changed.
    pub fn forget_all(&self) {
        let value = self.counter.fetch_add(1, Ordering::SeqCst) + 1;
        self.floor.fetch_max(value, Ordering::SeqCst);
    }

    /// The lock was held without a break: what is remembered may be used until then.
    pub(super) fn prove_until(&self, deadline: Deadline) {
        self.proven_until.store(deadline.millis(), Ordering::SeqCst);
    }

    /// Another process may write from now on.
    pub(super) fn distrust(&self) {
        self.prove_until(Deadline::from_millis(0));
    }

    /// The lock is held again: memory is used with nothing in it.
    pub(super) fn trust_again_until(&self, deadline: Deadline) {
        self.forget_all();
        self.prove_until(deadline);
    }

    /// The connection is used no more, but what it was sent may still be done: also a COMMIT.
    pub(super) fn give_up(&self, backend: Backend) {
        let mut given_up = self.lock_given_up();
        if !given_up.contains(&backend) {
            given_up.push(backend);
        }
        self.in_doubt.store(given_up.len(), Ordering::SeqCst);
    }

    pub(super) fn given_up(&self) -> Vec<Backend> {
        self.lock_given_up().clone()
    }

    /// These do nothing any more: whatever they did is found by what is read from now on.
    pub(super) fn settle(&self, gone: &[Backend]) {
        self.forget_all();
        let mut given_up = self.lock_given_up();
        given_up.retain(|backend| !gone.contains(backend));
        self.in_doubt.store(given_up.len(), Ordering::SeqCst);
    }

    fn lock_given_up(&self) -> MutexGuard<'_, Vec<Backend>> {
        self.given_up.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stripe(&self, subject: &Subject) -> &AtomicU64 {
        let hash = self.hasher.hash_one(subject);
        &self.last_change[(hash % STRIPES as u64) as usize]
    }
}

/// A COMMIT on its way.
pub(super) struct Committing<'a> {
    changes: &'a Changes,
    subjects: &'a [Subject],
}

impl Drop for Committing<'_> {
    fn drop(&mut self) {
        self.changes.publish(self.subjects);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::time::Timestamp;

    #[test]
    fn a_change_ends_what_was_read_before_it_and_nothing_read_after() {
        let changes = Changes::new();
        let subject = Subject::Organization(OrganizationId::generate(Timestamp::from_millis(0)));
        let before = changes.stamp();
        assert!(changes.is_current(before, [subject]) && changes.is_unchanged(before));
        drop(changes.committing(&[subject]));
        assert!(!changes.is_current(before, [subject]) && !changes.is_unchanged(before));
        assert!(changes.is_current(changes.stamp(), [subject]));
    }

    /// Whoever asks to revoke what another thread has just revoked is answered that it is so.
    #[test]
    fn nothing_of_a_subject_is_used_while_its_change_is_being_committed() {
        let changes = Changes::new();
        let subject = Subject::Organization(OrganizationId::generate(Timestamp::from_millis(0)));
        let (subjects, both) = ([subject], [subject, subject]);
        let first = changes.committing(&subjects);
        let second = changes.committing(&both);
        let during = changes.stamp();
        assert!(!changes.is_current(during, [subject]));
        drop(first);
        let during = changes.stamp().max(during);
        assert!(
            !changes.is_current(during, [subject]),
            "the second is not there"
        );
        drop(second);
        assert!(!changes.is_current(during, [subject]));
        assert!(changes.is_current(changes.stamp(), [subject]));
    }

    #[test]
    fn a_foreign_write_or_a_lost_lock_ends_everything() {
        let changes = Changes::new();
        let before = changes.stamp();
        changes.forget_all();
        assert!(!changes.is_current(before, []) && changes.is_current(changes.stamp(), []));
        let now = changes.stamp();
        changes.distrust();
        assert!(!changes.is_current(changes.stamp(), []));
        changes.trust_again_until(Deadline::NEVER);
        assert!(!changes.is_current(now, []) && changes.is_current(changes.stamp(), []));
        changes.prove_until(Deadline::after(std::time::Duration::ZERO));
        assert!(!changes.is_trusted() && !changes.is_current(changes.stamp(), []));
    }

    #[test]
    fn nothing_is_remembered_while_a_connection_that_was_given_up_may_still_commit() {
        let changes = Changes::new();
        let [first, second] = [1, 2].map(|pid| Backend { pid, started: 5 });
        changes.give_up(first);
        changes.give_up(second);
        let during = changes.stamp();
        assert!(!changes.is_current(during, []) && !changes.is_unchanged(during));
        assert!(changes.is_trusted(), "writes go on");
        changes.settle(&[first]);
        assert!(!changes.is_current(changes.stamp(), []));
        changes.settle(&[second]);
        assert!(!changes.is_current(during, []) && changes.is_current(changes.stamp(), []));
    }
}
