//! How generated secrets are stored: HMAC-SHA-256 under the key outside the database, never in clear, never a bare hash.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::secret_key::{SecretKey, SecretKeys};

/// What a secret is for. The same secret has another digest for each purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    ApiKey,
    ClientSecret,
    AccessToken,
    RefreshToken,
    AuthorizationCode,
    Session,
    Csrf,
    InitialAccessToken,
    RegistrationAccessToken,
    /// What makes two registrations the same.
    ClientMetadata,
    Invitation,
    OperatorToken,
    ManagementToken,
    HandOver,
    /// The password's hash that a known device was remembered under.
    KnownDevice,
    /// What makes two requests with one idempotency key the same.
    Request,
    /// What a consent page showed.
    ConsentPage,
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Self::ApiKey => b"api_key\0",
            Self::ClientSecret => b"client_secret\0",
            Self::AccessToken => b"access_token\0",
            Self::RefreshToken => b"refresh_token\0",
            Self::AuthorizationCode => b"authorization_code\0",
            Self::Session => b"session\0",
            Self::Csrf => b"csrf\0",
            Self::InitialAccessToken => b"initial_access_token\0",
            Self::RegistrationAccessToken => b"registration_access_token\0",
            Self::ClientMetadata => b"client_metadata\0",
            Self::Invitation => b"invitation\0",
            Self::OperatorToken => b"operator_token\0",
            Self::ManagementToken => b"management_token\0",
            Self::HandOver => b"hand_over\0",
            Self::KnownDevice => b"known_device\0",
            Self::Request => b"request\0",
            Self::ConsentPage => b"consent_page\0",
        }
    }
}

/// Before the digest of a secret that is paused. A slash is in no key id, so that no secret has such a digest.
pub const PAUSED_MARK: &str = "paused/";

/// `<key id>:<43 base64url characters>`: what the database holds of a secret. Behind [`PAUSED_MARK`] it is paused.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Digest(pub(crate) String);

impl Digest {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How the digest is stored while its secret is paused.
    pub fn paused(&self) -> Self {
        Self(format!("{PAUSED_MARK}{}", self.0))
    }

    pub fn is_paused(&self) -> bool {
        self.0.starts_with(PAUSED_MARK)
    }

    /// The digest itself, paused or not.
    fn resumed(&self) -> Self {
        Self(
            self.0
                .strip_prefix(PAUSED_MARK)
                .unwrap_or(&self.0)
                .to_owned(),
        )
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Digest(…)")
    }
}

/// 32 bytes that name a presented secret in memory.
pub type Fingerprint = [u8; 32];

struct Key {
    id: String,
    hmac: hmac::Key,
}

/// Makes and compares digests under the live keys.
pub struct Digester {
    /// Current first.
    keys: Vec<Key>,
}

impl Digester {
    pub fn new(keys: &SecretKeys) -> Self {
        Self {
            keys: keys
                .iter()
                .map(|key| Key {
                    id: key.id.clone(),
                    hmac: derive(key, b"countersign digest v1"),
                })
                .collect(),
        }
    }

    /// The digest to store, under the current key.
    pub fn digest(&self, purpose: Purpose, secret: &str) -> Digest {
        encode(&self.keys[0], &tag(&self.keys[0], purpose, secret))
    }

    /// Every digest under which the secret may be stored: one, or two while the key is being rotated.
    pub fn candidates(&self, purpose: Purpose, secret: &str) -> Vec<Digest> {
        self.keys
            .iter()
            .map(|key| encode(key, &tag(key, purpose, secret)))
            .collect()
    }

    /// Names the secret in memory; the same for every process with the same current key.
    pub fn fingerprint(&self, purpose: Purpose, secret: &str) -> Fingerprint {
        tag(&self.keys[0], purpose, secret)
    }

    /// Whether `stored` is the digest of `secret`, which is paused: to tell its holder so. It is not good.
    pub fn matches_paused(&self, purpose: Purpose, secret: &str, stored: &Digest) -> bool {
        stored.is_paused() && self.matches(purpose, secret, &stored.resumed())
    }

    /// Whether `stored` is the digest of `secret`, compared in constant time.
    pub fn matches(&self, purpose: Purpose, secret: &str, stored: &Digest) -> bool {
        let Some((id, encoded)) = stored.0.split_once(':') else {
            return false;
        };
        let Some(key) = self.keys.iter().find(|key| key.id == id) else {
            return false;
        };
        let Ok(stored) = URL_SAFE_NO_PAD.decode(encoded) else {
            return false;
        };
        hmac::verify(&key.hmac, &message(purpose, secret), &stored).is_ok()
    }
}

/// A key for one use, so that a digest never helps against the encryption.
pub(super) fn derive(key: &SecretKey, usage: &[u8]) -> hmac::Key {
    let master = hmac::Key::new(hmac::HMAC_SHA256, &key.bytes);
    hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&master, usage).as_ref())
}

fn message(purpose: Purpose, secret: &str) -> Vec<u8> {
    [purpose.label(), secret.as_bytes()].concat()
}

fn tag(key: &Key, purpose: Purpose, secret: &str) -> Fingerprint {
    let mut context = hmac::Context::with_key(&key.hmac);
    context.update(purpose.label());
    context.update(secret.as_bytes());
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(context.sign().as_ref());
    fingerprint
}

fn encode(key: &Key, tag: &Fingerprint) -> Digest {
    Digest(format!("{}:{}", key.id, URL_SAFE_NO_PAD.encode(tag)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_matches_its_secret_and_purpose_only() {
        let digester = Digester::new(&SecretKeys::generate());
        let digest = digester.digest(Purpose::ApiKey, "secret");
        assert!(digester.matches(Purpose::ApiKey, "secret", &digest));
        assert!(!digester.matches(Purpose::ApiKey, "Secret", &digest));
        assert!(!digester.matches(Purpose::ClientSecret, "secret", &digest));
        assert!(!Digester::new(&SecretKeys::generate()).matches(
            Purpose::ApiKey,
            "secret",
            &digest
        ));
    }

    #[test]
    fn a_paused_digest_matches_nothing_and_tells_its_secret_so() {
        let digester = Digester::new(&SecretKeys::generate());
        let paused = digester.digest(Purpose::ClientSecret, "secret").paused();
        assert!(!digester.matches(Purpose::ClientSecret, "secret", &paused));
        assert!(digester.matches_paused(Purpose::ClientSecret, "secret", &paused));
        assert!(!digester.matches_paused(Purpose::ClientSecret, "Secret", &paused));
        assert_eq!(
            paused.resumed(),
            digester.digest(Purpose::ClientSecret, "secret")
        );
    }

    #[test]
    fn a_digest_under_the_outgoing_key_still_matches() {
        let lines = [
            "new ".to_owned() + &"01".repeat(32),
            "old ".to_owned() + &"02".repeat(32),
        ];
        let before = Digester::new(&SecretKeys::parse(&lines[1]).expect("one key"));
        let after = Digester::new(&SecretKeys::parse(&lines.join("\n")).expect("two keys"));
        let stored = before.digest(Purpose::RefreshToken, "secret");
        assert!(after.matches(Purpose::RefreshToken, "secret", &stored));
        assert!(
            after
                .candidates(Purpose::RefreshToken, "secret")
                .contains(&stored)
        );
        assert_ne!(after.digest(Purpose::RefreshToken, "secret"), stored);
    }
}
