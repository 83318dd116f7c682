//! OAuth applications, what people allow them, and the tokens that come of it.

pub mod applications;
pub mod approval;
pub mod authorizations;
pub mod client_metadata;
pub mod clients;
pub mod consents;
pub mod own_applications;
pub mod refresh;
pub mod registration;
pub mod registration_tokens;
pub mod secrets;
pub mod service_account;
pub mod settings;
pub mod versions;
