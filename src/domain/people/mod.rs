//! Who belongs where: accounts, sign-in, members, invitations, workspaces, organizations and their roles.

pub mod accounts;
pub mod addresses;
pub mod admission;
pub mod endings;
pub mod founding;
pub mod identities;
pub mod invitations;
pub mod join_requests;
pub mod management_tokens;
pub mod members;
pub mod operators;
pub mod organizations;
pub mod passwords;
pub mod planted;
pub mod roles;
pub mod service_accounts;
pub mod sessions;
pub mod workspaces;
