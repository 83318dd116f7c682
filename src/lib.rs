//! Countersign.
pub mod crypto;
pub mod store;
pub mod types;
