//! `[keys]`: how keys and tokens look, and how many there may be.

use serde::{Deserialize, Serialize};

use crate::types::environment::Environment;

/// Which keys may create workspaces and users (C4).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrganizationOperations {
    /// A key of an organization admin that reaches the organization, with its switch on.
    #[default]
    Switch,
    /// A key of an organization admin that reaches service workspaces only.
    ServiceWorkspace,
    Never,
}

/// Who a new key belongs to (C1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyOwner {
    /// Whoever creates it.
    #[default]
    User,
    /// Its one workspace, by a service account that survives the creator; a key of the organization belongs to that.
    Workspace,
    /// The organization, by a service account that survives the creator.
    Organization,
}

/// Whether a key needs a name (C7).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyName {
    #[default]
    Required,
    /// A key without one is shown by its environment and public id.
    Optional,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Keys {
    /// What every credential starts with: 2 to 24 letters, digits and `_`.
    pub prefix: String,
    /// What follows the prefix of a Sandbox key; empty for nothing.
    pub sandbox_marker: String,
    /// What follows the prefix of a Production key; empty for nothing.
    pub production_marker: String,
    /// The word before a key in the Authorization header, in any case. `Bearer` works as well, always.
    pub header_scheme: String,
    /// Keys of one organization that are neither revoked nor expired.
    pub max_active_per_organization: i64,
    /// Keys that name one workspace and are neither revoked nor expired; 0 for no bound.
    pub max_active_per_workspace: i64,
    /// The longest life of a new key; 0 for no bound, and for keys that never expire.
    pub max_seconds: i64,
    /// Who a new key belongs to: `user`, `workspace` or `organization`.
    pub owner: KeyOwner,
    /// Whether a key needs a name: `required` or `optional`.
    pub key_name: KeyName,
    /// Which keys may create workspaces and users: `switch`, `service_workspace` or `never`.
    pub organization_operations: OrganizationOperations,
    /// Applications of one organization.
    pub max_applications_per_organization: i64,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            prefix: "cs".to_owned(),
            sandbox_marker: "sandbox".to_owned(),
            production_marker: "production".to_owned(),
            header_scheme: "API-Key".to_owned(),
            max_active_per_organization: 200,
            max_active_per_workspace: 0,
            max_seconds: 0,
            owner: KeyOwner::User,
            key_name: KeyName::Required,
            organization_operations: OrganizationOperations::Switch,
            max_applications_per_organization: 100,
        }
    }
}

impl Keys {
    pub fn marker(&self, environment: Environment) -> &str {
        match environment {
            Environment::Sandbox => &self.sandbox_marker,
            Environment::Production => &self.production_marker,
        }
    }
}
