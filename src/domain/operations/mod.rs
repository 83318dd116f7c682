//! The vendor's own: operator tokens, resource servers, signing keys, a database that was restored, idempotency keys.

pub mod clock;
pub mod idempotency;
pub mod operator_tokens;
pub mod resource_servers;
pub mod restored;
pub mod signing_keys;
