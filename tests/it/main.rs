//! One binary for all integration tests. Run it with `tests/run`, which brings what they need.

mod access;
mod account;
mod api;
mod audience;
mod browser;
mod cli;
mod cluster;
mod console;
mod databases;
#[path = "../desync/mod.rs"]
mod desync;
mod docs;
mod domains;
mod gateway;
mod guards;
mod guides;
mod hot_path;
mod layers;
mod limiter;
mod logs;
mod main_job;
mod oauth;
mod openid;
mod operator;
mod parsers;
mod people;
mod process;
mod server;
mod slow;
mod stamp;
mod store_contract;
mod store_faults;
mod tenants;
mod upgrade;
mod webdriver;
mod without_middleware;
