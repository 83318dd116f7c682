//! OAuth 2.0: one file per RFC endpoint, one file per grant. Errors are OAuth JSON, or pages where a person looks.

mod authorization_response;
pub mod authorize;
pub mod client_authentication;
pub mod consent;
pub mod error;
pub mod grants;
pub mod introspect;
pub mod jwks;
pub mod metadata;
mod oxide;
pub mod pages;
pub mod pkce;
pub mod protected_resource;
mod referee;
pub mod registration;
pub mod registration_management;
mod resource;
pub mod revoke;
mod scope;
pub mod token;
mod token_response;
