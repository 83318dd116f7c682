//! The hot path through HTTP: one file per route.

mod explain;
mod limits;
mod verify;
mod watermark;
mod whoami;
