//! The door for time: what happens although nobody asks.

pub mod usage;
