//! From a listening socket to a handler: the route table, the middleware around it, start and stop.

pub mod assets;
pub mod cors;
pub mod framing;
pub mod health;
pub mod middleware;
pub mod openapi;
pub mod routes;
pub mod run;
mod waiting;
