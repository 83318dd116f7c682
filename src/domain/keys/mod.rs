//! Static API keys: made, changed, rotated, transferred, handed over and ended.

pub mod api_keys;
pub mod bulk_revocation;
pub mod changes;
pub mod expiry;
pub mod hand_overs;
pub mod lists;
pub mod owners;
pub mod places;
pub mod requests;
pub mod rotation;
pub mod secrets;
pub mod simulation;
pub mod transfers;
