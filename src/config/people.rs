//! `[accounts]` and `[invitations]`: how people come to organizations.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Accounts {
    /// Whether a person may create an organization and own it.
    pub create_organizations: bool,
    /// Organizations that one person may own, to create one more.
    pub max_owned_organizations: i64,
}

impl Default for Accounts {
    fn default() -> Self {
        Self {
            create_organizations: true,
            max_owned_organizations: 5,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Invitations {
    /// Seconds for which an invitation can be accepted.
    pub expire_seconds: i64,
    /// Invitations of one organization that wait for an answer.
    pub max_pending_per_organization: i64,
}

impl Default for Invitations {
    fn default() -> Self {
        Self {
            expire_seconds: 14 * 24 * 60 * 60,
            max_pending_per_organization: 500,
        }
    }
}
