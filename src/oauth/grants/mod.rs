//! One file per grant. The endpoint has authenticated the client and answers; a grant fills in only its own part.

pub mod authorization_code;
pub mod client_credentials;
pub mod refresh_token;
