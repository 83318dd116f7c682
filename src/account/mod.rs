//! A person's own account: signing in and out.

pub mod pages;
