//! The door for time: what happens although nobody asks.

pub mod sweep;
pub mod signing_keys;
pub mod usage;
