//! Countersign.
pub mod account;
pub mod app;
pub mod config;
pub mod console;
pub mod crypto;
pub mod domain;
pub mod oauth;
pub mod pdf;
pub mod store;
pub mod telemetry;
pub mod types;
pub mod web;
