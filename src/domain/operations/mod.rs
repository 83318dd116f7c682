//! The vendor's own: operator tokens, signing keys, idempotency keys.

pub mod idempotency;
pub mod operator_tokens;
pub mod signing_keys;
