//! `[secret]`: the key outside the database, under which secrets are hashed and signing keys encrypted.

use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Secret {
    /// The file (mode 0600); created on the first start.
    pub key_file: String,
    /// The key itself, in the file's format, instead of a file. Meant for `COUNTERSIGN_SECRET_KEY`.
    pub key: String,
}

impl Default for Secret {
    fn default() -> Self {
        Self {
            key_file: "countersign-data/secret.key".to_owned(),
            key: String::new(),
        }
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secret({})", self.key_file)
    }
}
