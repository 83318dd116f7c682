//! Encryption at rest (AES-256-GCM) of what must be read again: signing keys. Under the key outside the database.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::digest::derive;
use super::secret_key::{SecretKey, SecretKeys};

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cannot decrypt: sealed under another secret key, or changed")]
pub struct CannotOpen;

/// Seals and opens under the live keys.
pub struct Sealer {
    keys: Vec<(String, LessSafeKey)>,
}

impl Sealer {
    pub fn new(keys: &SecretKeys) -> Self {
        Self {
            keys: keys
                .iter()
                .map(|key| (key.id.clone(), encryption_key(key)))
                .collect(),
        }
    }

    /// `<key id>:<base64url of nonce and ciphertext>`; `context` must be given again to open it.
    pub fn seal(&self, context: &str, plaintext: &[u8]) -> String {
        let (id, key) = &self.keys[0];
        let nonce: [u8; NONCE_LEN] = rand::random();
        let mut sealed = plaintext.to_vec();
        key.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(context.as_bytes()),
            &mut sealed,
        )
        .expect("AES-GCM refuses only messages of more than 64 GB");
        format!(
            "{id}:{}",
            URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat())
        )
    }

    pub fn open(&self, context: &str, sealed: &str) -> Result<Vec<u8>, CannotOpen> {
        let (id, encoded) = sealed.split_once(':').ok_or(CannotOpen)?;
        let (_, key) = self
            .keys
            .iter()
            .find(|(own, _)| own == id)
            .ok_or(CannotOpen)?;
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| CannotOpen)?;
        let (nonce, ciphertext) = bytes.split_at_checked(NONCE_LEN).ok_or(CannotOpen)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| CannotOpen)?;
        let mut buffer = ciphertext.to_vec();
        let opened = key
            .open_in_place(nonce, Aad::from(context.as_bytes()), &mut buffer)
            .map_err(|_| CannotOpen)?;
        Ok(opened.to_vec())
    }
}

fn encryption_key(key: &SecretKey) -> LessSafeKey {
    let derived = aws_lc_rs::hmac::sign(&derive(key, b"countersign encryption v1"), b"aes-256-gcm");
    LessSafeKey::new(
        UnboundKey::new(&AES_256_GCM, derived.as_ref())
            .expect("HMAC-SHA-256 gives the 32 bytes that AES-256 takes"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_in_its_context_only() {
        let sealer = Sealer::new(&SecretKeys::generate());
        let sealed = sealer.seal("signing key k1", b"private");
        assert_eq!(
            sealer.open("signing key k1", &sealed),
            Ok(b"private".to_vec())
        );
        assert_eq!(sealer.open("signing key k2", &sealed), Err(CannotOpen));
        assert_eq!(
            Sealer::new(&SecretKeys::generate()).open("signing key k1", &sealed),
            Err(CannotOpen)
        );
        assert_eq!(sealer.open("signing key k1", "x:"), Err(CannotOpen));
    }
}
