//! The Dev Centre: what an organization's admins see of their keys and applications.

pub mod pages;
