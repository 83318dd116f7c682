//! What crosses nouns: a departure, provisioning, the first start, the sweep.

pub mod departures;
pub mod provisioning;
pub mod quickstart;
pub mod sweep;
