//! Sandbox and Production.

use serde::{Deserialize, Serialize};

use super::state::vocabulary;

vocabulary! {
    /// Where a credential works. Fixed at its creation.
    #[derive(Hash, PartialOrd, Ord, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum Environment { Sandbox = "sandbox", Production = "production" }
}

impl Environment {
    pub const ALL: [Self; 2] = [Self::Sandbox, Self::Production];

    /// For people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Sandbox => "Sandbox",
            Self::Production => "Production",
        }
    }
}
