//! The vendor's own pages: organizations, which applications others may use, and the APIs that ask about credentials.

pub mod applications;
pub mod customers;
pub mod home;
pub mod organizations;
pub mod pages;
pub mod people;
pub mod resource_servers;
pub mod tokens;

mod resource_server_form;
mod shell;
