//! From a listening socket to a handler: the route table, the middleware around it, start and stop.

pub mod assets;
pub mod connections;
pub mod cors;
pub mod descriptors;
pub mod framing;
pub mod health;
pub mod listen;
pub mod middleware;
pub mod openapi;
pub mod pieces;
pub mod routes;
pub mod run;
pub mod socket;
mod waiting;
