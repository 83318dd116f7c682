//! Tells the access cache what changed: one global counter, and per subject the counter's value at its last change.
//!
//! Invariant: a cache entry stamped with the counter's value *before* its SELECT is used only while every subject it
//! depends on has last changed at or before that stamp. The committing thread publishes before it replies, so the first
//! request after a revoke's answer sees it, and a slow reader cannot put a stale row back.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::types::id::{OrganizationId, ResourceServerId, UserId};

/// Two subjects in one stripe only cost each other a reload.
const STRIPES: usize = 4096;

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
    /// False while this process cannot prove that nobody else writes.
    trusted: AtomicBool,
    hasher: RandomState,
}

impl Changes {
    pub(super) fn new() -> Self {
        Self {
            counter: AtomicU64::new(0),
            last_change: (0..STRIPES).map(|_| AtomicU64::new(0)).collect(),
            floor: AtomicU64::new(0),
            trusted: AtomicBool::new(true),
            hasher: RandomState::new(),
        }
    }

    /// Take it before the SELECT.
    pub fn stamp(&self) -> Stamp {
        Stamp(self.counter.load(Ordering::SeqCst))
    }

    /// Whether what was read at `stamp` still stands.
    pub fn is_current(&self, stamp: Stamp, subjects: impl IntoIterator<Item = Subject>) -> bool {
        self.trusted.load(Ordering::SeqCst)
            && self.floor.load(Ordering::SeqCst) <= stamp.0
            && subjects
                .into_iter()
                .all(|subject| self.stripe(&subject).load(Ordering::SeqCst) <= stamp.0)
    }

    /// Whether nothing at all was written since `stamp`: what the memory of unknown credentials needs.
    pub fn is_unchanged(&self, stamp: Stamp) -> bool {
        self.trusted.load(Ordering::SeqCst) && self.counter.load(Ordering::SeqCst) == stamp.0
    }

    /// Whether this process can prove that nobody else writes.
    pub fn is_trusted(&self) -> bool {
        self.trusted.load(Ordering::SeqCst)
    }

    /// Called on the thread that committed, before it replies; also when the outcome of the COMMIT is unknown.
    pub(super) fn publish(&self, subjects: &[Subject]) {
        let value = self.counter.fetch_add(1, Ordering::SeqCst) + 1;
        for subject in subjects {
            self.stripe(subject).fetch_max(value, Ordering::SeqCst);
        }
    }

    /// Forgets everything: a foreign write was seen, or the keys that prove a token have changed.
    pub fn forget_all(&self) {
        let value = self.counter.fetch_add(1, Ordering::SeqCst) + 1;
        self.floor.fetch_max(value, Ordering::SeqCst);
    }

    /// Switches the caches off while another process may write, and on again with nothing remembered.
    pub(super) fn set_trusted(&self, trusted: bool) {
        if trusted {
            self.forget_all();
        }
        self.trusted.store(trusted, Ordering::SeqCst);
    }

    fn stripe(&self, subject: &Subject) -> &AtomicU64 {
        let hash = self.hasher.hash_one(subject);
        &self.last_change[(hash % STRIPES as u64) as usize]
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
        changes.publish(&[subject]);
        assert!(!changes.is_current(before, [subject]) && !changes.is_unchanged(before));
        assert!(changes.is_current(changes.stamp(), [subject]));
    }

    #[test]
    fn a_foreign_write_or_a_lost_lock_ends_everything() {
        let changes = Changes::new();
        let before = changes.stamp();
        changes.forget_all();
        assert!(!changes.is_current(before, []) && changes.is_current(changes.stamp(), []));
        let now = changes.stamp();
        changes.set_trusted(false);
        assert!(!changes.is_current(changes.stamp(), []));
        changes.set_trusted(true);
        assert!(!changes.is_current(now, []) && changes.is_current(changes.stamp(), []));
    }
}
