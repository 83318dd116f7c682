//! What doors share: reading requests strictly, knowing who asks, and answering with pages or problems.

pub mod address;
pub mod basic;
pub mod body;
pub mod cookies;
pub mod credential;
pub mod desk;
pub mod facts;
pub mod form;
pub mod holder;
pub mod html;
pub mod once;
pub mod page;
pub mod problem;
pub mod provider;
pub mod rate_limit;
pub mod refusal;
pub mod resource_server;
pub mod return_to;
pub mod visitor;
