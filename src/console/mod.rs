//! The Dev Centre: what an organization's admins see of their keys and applications.

pub mod api_keys;
pub mod application_edit;
pub mod application_secrets;
pub mod applications;
pub mod management_tokens;
pub mod organizations;
pub mod pages;
pub mod plan;
pub mod registration;
pub mod single_sign_on;

mod api_key_form;
mod application_form;
mod shell;
