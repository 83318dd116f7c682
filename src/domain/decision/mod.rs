//! May this credential do that, and what must then be done: the hot path's whole rule. Verify, introspection and the
//! other doors that decide about a request import this room and no other.

pub mod access;
pub mod check;
pub mod explain;
pub mod factors;
pub mod limiter;
pub mod memory;
pub mod presented;
pub mod question;
pub mod quotas;
pub mod resource_servers;
pub mod sandbox;
pub mod usage;

pub use crate::domain::words::{Unlock, ensure};
