//! The door for time: what happens although nobody asks.

pub mod clock;
pub mod domains;
pub mod limits;
pub mod signing_keys;
pub mod sweep;
pub mod usage;
