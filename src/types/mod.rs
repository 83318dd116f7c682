//! The vocabulary: ids, time, environments, scopes, permissions, addresses and the states a noun can be in.
//! Plain values: no input or output, no database, no HTTP.

pub mod clock_watch;
pub mod domain;
pub mod email;
pub mod environment;
pub mod event;
pub mod grant_types;
pub mod id;
pub mod permission;
pub mod redirect_uri;
pub mod refusal_code;
pub mod resource;
pub mod right;
pub mod scope;
pub mod state;
pub mod text;
pub mod time;
