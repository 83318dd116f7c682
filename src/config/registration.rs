//! `[registration]`: applications that register by themselves (RFC 7591).

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Registration {
    /// Weak: the id of the organization to which the applications belong that anybody registers. Empty: an initial access
    /// token is required, and belongs to its own organization.
    pub open_organization: String,
    /// `sandbox` or `production`: where applications work that anybody registers.
    pub open_environment: String,
    /// Registered applications of one organization, beside those that people create.
    pub max_clients: i64,
    /// Seconds after which a registered application ends that nobody uses and that holds nothing of anybody's.
    pub unused_seconds: i64,
    /// What a registered application may ask for at most; empty for every scope.
    pub scopes: Vec<String>,
    /// The role in every workspace of an application that is registered for client credentials. Empty: the one with the
    /// fewest permissions.
    pub service_account_role: String,
}

impl Default for Registration {
    fn default() -> Self {
        Self {
            open_organization: String::new(),
            open_environment: "sandbox".to_owned(),
            max_clients: 1000,
            unused_seconds: 30 * 24 * 60 * 60,
            scopes: Vec::new(),
            service_account_role: String::new(),
        }
    }
}

impl Registration {
    /// Whether anybody may register an application.
    pub fn is_open(&self) -> bool {
        !self.open_organization.is_empty()
    }
}
