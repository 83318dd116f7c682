//! Secrets: how they look, how they are stored, and what signs tokens. Knows neither the database nor HTTP.

pub mod digest;
pub mod format;
mod low_s;
pub mod password;
pub mod seal;
pub mod secret_key;
pub mod signer;

/// A secret in the clear: shown once, sent once. `Debug` does not print it.
#[derive(Clone, PartialEq, Eq)]
pub struct Plaintext(String);

impl Plaintext {
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The secret itself: only for the answer that shows it, and for hashing.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Plaintext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Plaintext(…)")
    }
}
