//! The vendor's own: operator tokens, resource servers, signing keys, idempotency keys.

pub mod clock;
pub mod idempotency;
pub mod operator_tokens;
pub mod resource_servers;
pub mod signing_keys;
