//! The management API `/v1/`: JSON for programs, one file a noun.
//!
//! How to add a noun, in this order:
//!
//! 1. `migrations/`, `store/schema.rs`, `store/<noun>.rs`: rows, and a `list_…_page` that takes `after` and `most` and orders by
//!    `(created_at, id)`, newest first. A writing function says `run_news(subject)` or `run_quiet`.
//! 2. `domain/<room>/<noun>.rs`: use cases that take a `Desk` or a `View` and borrow their input; they ask `desk.ensure(Right::…)`.
//!    Events, rights and refusal codes are lines in `types/`.
//! 3. `api/<noun>.rs`, as `roles.rs`: path, query and body derive `Deserialize` (`deny_unknown_fields`) and `JsonSchema`, views
//!    `Serialize` and `JsonSchema`; handlers take `(Call, Input<Path, Query, Body>)` and go through [`call::Call::ask`],
//!    [`call::Call::change`] or, for a create that can be repeated, [`call::Call::make`].
//! 4. `server/routes.rs`: one `operation!` line each: method, path, rights (one of them suffices), status, handler, summary.
//!    OpenAPI follows from it.
//! 5. `tests/it/api/<noun>.rs`, and a sample of each path in `tests/it/guards.rs`.
//!
//! The door refuses a credential that holds none of the operation's rights anywhere; the rule asks what its asker may do there.

pub mod answer;
pub mod api_key_life;
pub mod api_key_requests;
pub mod api_key_transfers;
pub mod api_key_views;
pub mod api_keys;
pub mod application_approval;
pub mod application_secrets;
pub mod application_views;
pub mod applications;
mod archive;
pub mod call;
pub mod dev_centre;
pub mod docs;
pub mod domains;
pub mod hand_overs;
pub mod idempotency;
pub mod input;
pub mod invitations;
pub mod join_requests;
pub mod management_tokens;
pub mod members;
pub mod openapi;
pub mod operation;
pub mod operator_tokens;
pub mod operators;
pub mod organizations;
pub mod page;
pub mod plans;
pub mod production_access;
pub mod provisioning;
pub mod resource_servers;
pub mod roles;
pub mod rule;
pub mod samples;
pub mod service_accounts;
pub mod signing_keys;
pub mod subscriptions;
pub mod upsert;
pub mod users;
pub mod workspaces;
