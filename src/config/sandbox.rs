//! `[sandbox]`: the policy of the Sandbox environment.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sandbox {
    /// What every document name starts with.
    pub name_prefix: String,
    /// The longest document name, prefix included, in characters.
    pub max_name_characters: usize,
    /// What is stamped on every page.
    pub watermark_text: String,
    /// Whether recipients on sub-domains of an own domain are own, too, where the domain itself does not say.
    pub include_subdomains: bool,
}

impl Default for Sandbox {
    fn default() -> Self {
        Self {
            name_prefix: "[DEV] ".to_owned(),
            max_name_characters: 200,
            watermark_text: "SANDBOX - NOT FOR PRODUCTION USE".to_owned(),
            include_subdomains: false,
        }
    }
}
