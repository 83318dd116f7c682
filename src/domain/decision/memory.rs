//! What was read from the store and is used again, as long as nothing it depends on has changed.
//!
//! Invariant: a value is used only if every subject it depends on last changed at or before the stamp taken *before* it
//! was read. So the first request after a revoke's answer is refused, and a slow reader cannot put a stale row back.

use std::hash::Hash;
use std::sync::Arc;

use quick_cache::sync::Cache;

use crate::store::{Changes, Stamp, Subject};

/// What a remembered value depends on.
pub trait Depends {
    fn subjects(&self) -> impl Iterator<Item = Subject>;
}

/// A bounded memory of values under their keys.
pub struct Memory<K, V> {
    entries: Cache<K, (Stamp, Arc<V>)>,
}

impl<K: Hash + Eq + Copy, V: Depends> Memory<K, V> {
    pub fn new(most: usize) -> Self {
        Self {
            entries: Cache::new(most),
        }
    }

    /// The value, if it still stands.
    pub fn get(&self, key: &K, changes: &Changes) -> Option<Arc<V>> {
        let (stamp, value) = self.entries.get(key)?;
        if changes.is_current(stamp, value.subjects()) {
            return Some(value);
        }
        None
    }

    /// Remembers a value that was read behind `stamp`.
    pub fn put(&self, key: K, stamp: Stamp, value: &Arc<V>) {
        self.entries.insert(key, (stamp, Arc::clone(value)));
    }
}

/// Credentials that nobody has, so that repeating one costs no query: each until anything at all is written.
pub struct Unknown<K> {
    entries: Cache<K, Stamp>,
}

impl<K: Hash + Eq + Copy> Unknown<K> {
    pub fn new(most: usize) -> Self {
        Self {
            entries: Cache::new(most),
        }
    }

    pub fn contains(&self, key: &K, changes: &Changes) -> bool {
        self.entries
            .get(key)
            .is_some_and(|stamp| changes.is_unchanged(stamp))
    }

    pub fn put(&self, key: K, stamp: Stamp) {
        self.entries.insert(key, stamp);
    }
}
