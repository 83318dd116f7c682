//! Countersign: the Dev Centre a SaaS vendor puts in front of its API. This page is the map; a file imports its own
//! folder or what stands below it, and doors never import doors (`tests/it/layers.rs`).
//!
//! | floor | room | owns |
//! |---|---|---|
//! | 1 | [`cli`] | the command line: `quickstart serve migrate backup restore restored config doctor user organization api-key resource-server operator signing-keys clock` |
//! | 2 | [`server`] | the route table, the middleware around it, connections and their deadlines, start and stop |
//! | 3 | [`oauth`] | door: one file per RFC endpoint, `grants/` one file per grant |
//! | 3 | [`gateway`] | door: `verify`, `watermark`, `whoami`: the hot path |
//! | 3 | [`api`] | door: the management API, one file a noun |
//! | 3 | [`console`] | door: the Dev Centre's pages |
//! | 3 | [`operator`] | door: the vendor's own pages: approval of applications, resource servers |
//! | 3 | [`account`] | door: signing in and out, here and at providers, and what is connected |
//! | 3 | [`jobs`] | door: what happens although nobody asks: the clock, last uses, limits, domains, signing keys, the sweep |
//! | 4 | [`web`] | reading requests strictly, knowing who asks, answering pages and problems |
//! | 4 | [`app`] | what every request shares, one file for each of its jobs |
//! | 5 | [`domain`] | rules and use cases: no HTTP, no SQL text, no network |
//! | 6 | [`store`] | the only folder that says `diesel`; tells what changed |
//! | 6 | [`outbound`] | other people's servers: the providers that people sign in at, name servers |
//! | 6 | [`pdf`] | the stamp, in a child process |
//! | 7 | [`crypto`] [`config`] | secrets and how they look · what the operator wrote |
//! | 8 | [`types`] [`telemetry`] | ids, time, scopes, states, events, rights, refusal codes · logs and metrics |
//!
//! Inside [`domain`], imports point down as well:
//!
//! | room | owns |
//! |---|---|
//! | [`domain::lifecycle`] | what crosses nouns: customers, departures, provisioning, quickstart, the sweep |
//! | [`domain::keys`] | static API keys |
//! | [`domain::clients`] | OAuth applications, consents, authorizations, refresh |
//! | [`domain::people`] | accounts, members, invitations, workspaces, organizations, roles, management tokens |
//! | [`domain::domains`] | proof of domains |
//! | [`domain::decision`] | may it, and what then: all that the hot path imports |
//! | [`domain::plans`] [`domain::operations`] | what is sold · the vendor's own |
//! | [`domain::desk`] | `Desk` and `View`: transaction or snapshot, settings, organization, asker |
//! | [`domain::rights`] | `Asker`, made once at the door; `rights::of`, the only evaluation of what somebody may do |
//! | [`domain::settings`] [`domain::words`] | what rules read of the configuration · the words in which they answer |
//!
//! A request is one hop to a database thread, one transaction, one instant:
//!
//! ```text
//! POST /v1/verify      routes.rs -> gateway/verify.rs::post -> app/presented.rs -> access memory
//!                                                                              | domain/decision/presented.rs -> access.rs -> rights/rights.rs -> store
//!                                -> domain/decision/check.rs -> factors.rs, sandbox.rs, quotas.rs, limiter.rs
//! POST /oauth2/token   routes.rs -> oauth/token.rs::post -> client_authentication.rs -> app/remembered.rs
//!                                -> oauth/grants/<grant>.rs -> oauth/referee.rs -> domain/clients/{refresh,authorizations}.rs -> store/{authorizations,tokens,audit}.rs
//!                                -> oauth/token_response.rs
//! POST /v1/api-keys    routes.rs -> api/operation.rs::serve -> api/call.rs (Asker) -> api/api_keys.rs::create -> api/call.rs (Desk)
//! console form         routes.rs -> web/visitor.rs (Asker) -> console/api_keys.rs::create -> console/shell.rs (Desk)
//!                      both      -> domain/keys/api_keys.rs::create -> rights/rights.rs, plans/open.rs, keys/{places,owners,expiry}.rs -> store/{api_keys,api_key_secrets,audit}.rs
//! ```
//!
//! What keeps it up:
//!
//! ```text
//! a connection   server/run.rs -> listen.rs (its place) -> socket.rs (one request at a time) -> actix-http; connections.rs (deadlines, who is
//!                closed for a new one), descriptors.rs (how many), pieces.rs (long answers), app/uploads.rs (documents in memory)
//! a database     store/lane.rs (PostgreSQL, SQLite's readers) or writer.rs (SQLite's writer) -> error.rs (what kind of trouble) -> observed.rs
//!                watch.rs gives up a thread that hangs; changes.rs and exclusive.rs prove until when memory may be used
//! /readyz        server/health.rs -> app/watch.rs -> store/{observed,probe}.rs -> app/readiness.rs; before the database is there: server/waiting.rs
//! a file         store/sqlite_files.rs (which files belong together), checkpoints.rs (the write-ahead log), secret_key_ids.rs (its secret key)
//! a backup       cli/backup.rs -> store/backup.rs
//! a restore      cli/restore.rs -> store/restore.rs (the file) -> domain/operations/restored.rs -> store/restored.rs; lifted by cli/restored.rs
//! the clock      types/clock_watch.rs (the judgement) <- jobs/clock.rs, cli/clock.rs -> domain/operations/clock.rs -> store/clock_records.rs
//! the log        telemetry/logs.rs -> log_record.rs -> log_queue.rs (bounded) -> log_writer.rs (its own thread); a command: cli/output.rs
//! /metrics       telemetry/{metrics,database,process}.rs
//! a JWT          crypto/signer.rs -> low_s.rs (one spelling)
//! ```
//!
//! The closure of a write may run twice (a deadlock on PostgreSQL): it borrows what it captured, mints nothing, and changes
//! nothing but through its transaction.

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
