//! OAuth 2.0: one file per RFC endpoint, one file per grant.

pub mod pages;
