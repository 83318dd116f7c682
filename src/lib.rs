//! Countersign: the Dev Centre a SaaS vendor puts in front of its API. This page is the map; a file imports its own
//! folder or what stands below it, and doors never import doors.
//!
//! | floor | room | owns |
//! |---|---|---|
//! | 1 | [`cli`] | the command line: `quickstart serve migrate config doctor user operator signing-keys` |
//! | 2 | [`server`] | the route table, the middleware around it, start and stop |
//! | 3 | [`oauth`] | door: one file per RFC endpoint, `grants/` one file per grant |
//! | 3 | [`gateway`] | door: `verify`, `watermark`, `whoami`: the hot path |
//! | 3 | [`api`] | door: the management API, one file a noun |
//! | 3 | [`console`] | door: the Dev Centre's pages |
//! | 3 | [`operator`] | door: the vendor's own pages: approval of applications, resource servers |
//! | 3 | [`account`] | door: signing in and out, here and at providers, and what is connected |
//! | 3 | [`jobs`] | door: what happens although nobody asks: last uses, limits, domains, signing keys, the sweep |
//! | 4 | [`web`] | reading requests strictly, knowing who asks, answering pages and problems |
//! | 4 | [`app`] | what every request shares |
//! | 5 | [`domain`] | rules and use cases: no HTTP, no SQL text, no network |
//! | 6 | [`store`] | the only folder that says `diesel`; tells what changed |
//! | 6 | [`outbound`] | other people's servers: the providers that people sign in at, name servers |
//! | 6 | [`pdf`] | the stamp, in a child process |
//! | 7 | [`crypto`] [`config`] | secrets and how they look · what the operator wrote |
//! | 8 | [`types`] [`telemetry`] | ids, time, scopes, states · logs and metrics |
//!
//! A request is three calls in four files, one hop to a database thread, one transaction, one instant:
//!
//! ```text
//! POST /oauth2/token   routes.rs -> oauth/token.rs::post -> oauth/grants/<grant>.rs -> domain/{refresh,authorizations}.rs -> store
//! console form         routes.rs -> console/api_keys.rs::create -> domain/api_keys.rs::create -> store/{api_keys,audit}.rs
//! verify               routes.rs -> gateway/verify.rs -> domain/check.rs -> access memory | one query
//! ```

pub mod account;
pub mod api;
pub mod app;
pub mod cli;
pub mod config;
pub mod console;
pub mod crypto;
pub mod domain;
pub mod gateway;
pub mod jobs;
pub mod oauth;
pub mod operator;
pub mod outbound;
pub mod pdf;
pub mod server;
pub mod store;
pub mod telemetry;
pub mod types;
pub mod web;
