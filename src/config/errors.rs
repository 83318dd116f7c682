//! `[errors]`: what the vendor's API should answer for a decision.

use serde::{Deserialize, Serialize};

/// What a workspace that the credential does not reach reads like (C6).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForeignWorkspace {
    #[default]
    NotFound,
    Unauthorized,
    Forbidden,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Errors {
    /// What a workspace that the credential does not reach reads like: `not_found`, `unauthorized` or `forbidden`.
    pub foreign_workspace: ForeignWorkspace,
}
