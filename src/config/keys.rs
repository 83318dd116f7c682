//! `[keys]`: how keys and tokens look, and how many there may be.

use serde::{Deserialize, Serialize};

use crate::types::environment::Environment;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Keys {
    /// What every credential starts with: 2 to 24 letters, digits and `_`.
    pub prefix: String,
    /// What follows the prefix of a Sandbox key; empty for nothing.
    pub sandbox_marker: String,
    /// What follows the prefix of a Production key; empty for nothing.
    pub production_marker: String,
    /// Keys of one organization that are neither revoked nor expired.
    pub max_active_per_organization: i64,
    /// Applications of one organization.
    pub max_applications_per_organization: i64,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            prefix: "cs".to_owned(),
            sandbox_marker: "sandbox".to_owned(),
            production_marker: "production".to_owned(),
            max_active_per_organization: 200,
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
