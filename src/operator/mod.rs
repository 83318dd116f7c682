//! The vendor's own pages: organizations, which applications others may use, and the APIs that ask about credentials.

pub mod applications;
pub mod home;
pub mod organizations;
pub mod pages;
pub mod resource_servers;

mod resource_server_form;
mod shell;
