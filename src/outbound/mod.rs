//! Requests to other people's servers. What a stranger may name is dialled at public addresses only.

pub mod addresses;
pub mod dns;
pub mod http;
pub mod openid;
