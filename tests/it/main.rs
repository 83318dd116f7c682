//! One binary for all integration tests. Run it with `tests/run`, which brings what they need.

mod access;
mod account;
mod browser;
mod cli;
mod cluster;
mod console;
mod databases;
mod docs;
mod gateway;
mod guards;
mod hot_path;
mod layers;
mod logs;
mod main_job;
mod oauth;
mod parsers;
mod operator;
mod people;
mod process;
mod server;
mod slow;
mod stamp;
mod store_contract;
mod store_faults;
mod tenants;
mod webdriver;
