//! What crosses nouns: a departure, provisioning, the first start, the sweep.

pub mod customers;
pub mod departures;
pub mod provisioning;
pub mod quickstart;
pub mod sweep;
