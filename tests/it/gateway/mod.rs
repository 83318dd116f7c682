//! The hot path through HTTP: one file per route.

mod verify;
mod watermark;
mod whoami;
