//! A limit that a request falls under, and where it stands afterwards.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::config::Rate;

/// A limit's name in headers and answers: one of ours, or a `[[quota]]`'s. Cheap to copy.
#[derive(Debug, Clone)]
pub enum Policy {
    Own(&'static str),
    Configured(Arc<str>),
}

/// One limit that a request falls under.
#[derive(Debug, Clone)]
pub struct Quota {
    pub policy: Policy,
    /// Under whose name the window is kept; none: the policy's own. Limits that take each other's place share one.
    pub pool: Option<Policy>,
    /// Whose it is: requests with the same pool and subject share it.
    pub subject: String,
    pub rate: Rate,
    /// How much the request takes; at least 1.
    pub cost: u64,
    /// Whether it survives a restart. Not for what a stranger can make many of.
    pub lasting: bool,
}

impl Quota {
    /// Costs one, and is forgotten at a restart.
    pub fn new(policy: impl Into<Policy>, subject: impl Into<String>, rate: Rate) -> Self {
        Self {
            policy: policy.into(),
            pool: None,
            subject: subject.into(),
            rate,
            cost: 1,
            lasting: false,
        }
    }

    pub(super) fn pool(&self) -> &Policy {
        self.pool.as_ref().unwrap_or(&self.policy)
    }
}

/// Where a quota stands after a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub policy: Policy,
    pub limit: u64,
    pub window_seconds: i64,
    pub remaining: u64,
    /// Seconds until more is free.
    pub reset_seconds: i64,
}

/// The verdict over all quotas of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    All(Vec<Standing>),
    /// Nothing was taken.
    None {
        standings: Vec<Standing>,
        /// The quotas without room for the request.
        violated: Vec<Policy>,
        /// None: no waiting helps, the request costs more than the violated quotas ever admit.
        retry_after_seconds: Option<i64>,
    },
}

impl Deref for Policy {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Own(name) => name,
            Self::Configured(name) => name,
        }
    }
}

impl PartialEq for Policy {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Policy {}

impl PartialEq<&str> for Policy {
    fn eq(&self, other: &&str) -> bool {
        **self == **other
    }
}

impl From<&'static str> for Policy {
    fn from(name: &'static str) -> Self {
        Self::Own(name)
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl Serialize for Policy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}
