//! Rules and use cases: who may do what, and what happens then. No HTTP, no SQL text, no network; time is given.

pub mod clients;
pub mod decision;
pub mod desk;
pub mod domains;
pub mod keys;
pub mod lifecycle;
pub mod operations;
pub mod people;
pub mod plans;
pub mod rights;
pub mod settings;
pub mod words;

pub use words::{Refusal, ensure};
