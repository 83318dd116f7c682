//! Signs and verifies access tokens (RFC 9068, RFC 7515). Which keys there are is the store's knowledge; this holds them.
//!
//! Invariant: a token is accepted only if its `kid` names one of our keys, its `alg` is the one of that key, its `typ` is
//! `at+jwt` and its `iss` is ours, and only as it was spelled: of two signatures that both verify, and of two ways to write
//! them, one is ours. Time is the caller's business: an expired token still tells its claims.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::error::KeyRejected;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{Jwk, KeyAlgorithm, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Validation};
use serde::{Deserialize, Serialize};

use super::low_s;
use crate::types::id::{ApplicationId, AuthorizationId, OrganizationId, WorkspaceId};
use crate::types::resource::{ResourceUri, Resources};
use crate::types::state::SigningAlgorithm;
use crate::types::time::Timestamp;

/// RFC 9068 §2.1.
const TYPE: &str = "at+jwt";
/// A longer token is refused unread. One that names as many workspaces as can be chosen is half as long.
pub const MOST_TOKEN_BYTES: usize = 16 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    #[error("the cryptography library refused a signing key: {0}")]
    Key(String),
    #[error("there is no signing key")]
    NoKey,
}

/// The token is not one that we signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a token of this issuer")]
pub struct NotOurs;

/// RFC 9068 §2.2. Times are unix seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    pub iss: String,
    pub sub: String,
    /// One or several (RFC 7519 §4.1.3).
    pub aud: Audience,
    pub client_id: ApplicationId,
    pub exp: i64,
    pub iat: i64,
    pub jti: String,
    pub scope: String,
    pub authorization: AuthorizationId,
    pub organization: OrganizationId,
    pub environment: String,
    /// Empty for an authorization that reaches the organization.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub workspaces: Vec<WorkspaceId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    /// The resources, or the issuer when there are none.
    pub fn of(resources: &Resources, issuer: &str) -> Self {
        let mut uris: Vec<String> = resources.iter().map(str::to_owned).collect();
        match uris.len() {
            0 => Self::One(issuer.to_owned()),
            1 => Self::One(uris.remove(0)),
            _ => Self::Several(uris),
        }
    }

    fn iter(&self) -> impl Iterator<Item = &str> {
        match self {
            Self::One(uri) => std::slice::from_ref(uri),
            Self::Several(uris) => uris.as_slice(),
        }
        .iter()
        .map(String::as_str)
    }
}

/// A private key as it is stored (sealed): PKCS #8.
pub struct PrivateKey {
    pub kid: String,
    pub algorithm: SigningAlgorithm,
    pub pkcs8: Vec<u8>,
}

impl PrivateKey {
    /// A new key; its `kid` is its RFC 7638 thumbprint, so that it is unique.
    pub fn generate(algorithm: SigningAlgorithm) -> Result<Self, SignerError> {
        let refused = |error: aws_lc_rs::error::Unspecified| SignerError::Key(error.to_string());
        let random = SystemRandom::new();
        let pkcs8 = match algorithm {
            SigningAlgorithm::Es256 => {
                EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
                    .map_err(refused)?
            }
            SigningAlgorithm::EdDsa => {
                Ed25519KeyPair::generate_pkcs8v1(&random).map_err(refused)?
            }
        };
        let pkcs8 = pkcs8.as_ref().to_vec();
        let jwk = public_jwk(algorithm, &pkcs8)?;
        let kid = jwk
            .thumbprint(ThumbprintHash::SHA256)
            .map_err(|error| SignerError::Key(error.to_string()))?;
        Ok(Self {
            kid,
            algorithm,
            pkcs8,
        })
    }
}

struct Key {
    kid: String,
    signs_from: Timestamp,
    algorithm: Algorithm,
    /// Parsed and checked once: the library would do so for every signature.
    private: Private,
    /// The JOSE header in base64url: the same for every token.
    header: String,
    decoding: DecodingKey,
    jwk: Jwk,
}

enum Private {
    Es256(Box<EcdsaKeyPair>),
    EdDsa(Box<Ed25519KeyPair>),
}

/// A private key, and from when it signs.
pub type ScheduledKey = (PrivateKey, Timestamp);

/// Which of the keys signs at `now`: the one whose time has come last. `signs_from`: the latest first. Before the time of
/// all of them, when the clock was set back, the earliest.
pub fn due(signs_from: impl ExactSizeIterator<Item = Timestamp>, now: Timestamp) -> Option<usize> {
    let last = signs_from.len().checked_sub(1)?;
    Some(
        signs_from
            .into_iter()
            .position(|from| from <= now)
            .unwrap_or(last),
    )
}

/// The keys in use: time decides which one signs, all verify and are published.
pub struct Signer {
    issuer: String,
    keys: RwLock<Arc<Keys>>,
    /// Unix seconds: see [`Signer::refuse_twins_from`].
    lower_from: AtomicI64,
}

struct Keys {
    /// The one that signs last comes first.
    list: Vec<Key>,
    by_kid: HashMap<String, usize>,
}

impl Signer {
    pub fn new(issuer: &str, keys: &[ScheduledKey]) -> Result<Self, SignerError> {
        Ok(Self {
            issuer: issuer.to_owned(),
            keys: RwLock::new(Arc::new(Keys::load(keys)?)),
            lower_from: AtomicI64::new(i64::MIN),
        })
    }

    /// From here on these are the keys.
    pub fn replace(&self, keys: &[ScheduledKey]) -> Result<(), SignerError> {
        let keys = Arc::new(Keys::load(keys)?);
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }

    /// Tokens issued before may carry the higher of two ES256 signatures: an earlier version of this program made both. Without
    /// this no token does.
    pub fn refuse_twins_from(&self, issued_at: Timestamp) {
        self.lower_from
            .store(issued_at.seconds(), Ordering::Relaxed);
    }

    /// Whether these keys, at these times, are the ones in use. Named in the order of their times, the latest first.
    pub fn holds<'k>(&self, keys: impl ExactSizeIterator<Item = (&'k str, Timestamp)>) -> bool {
        let own = self.keys();
        own.list.len() == keys.len()
            && own
                .list
                .iter()
                .zip(keys)
                .all(|(key, (kid, from))| key.kid == kid && key.signs_from == from)
    }

    fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Signs with the key that is due at the claims' `iat`.
    pub fn sign(&self, claims: &Claims) -> Result<String, SignerError> {
        let keys = self.keys();
        let index = due(
            keys.list.iter().map(|key| key.signs_from),
            Timestamp::from_seconds(claims.iat),
        )
        .ok_or(SignerError::NoKey)?;
        let key = &keys.list[index];
        let claims =
            serde_json::to_vec(claims).map_err(|error| SignerError::Key(error.to_string()))?;
        let mut token = String::with_capacity(key.header.len() + claims.len() * 4 / 3 + 96);
        token.push_str(&key.header);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(&claims, &mut token);
        let signature = key.private.sign(token.as_bytes())?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(&signature, &mut token);
        Ok(token)
    }

    /// The claims of a token that we signed, expired or not.
    pub fn verify(&self, token: &str) -> Result<Claims, NotOurs> {
        if token.len() > MOST_TOKEN_BYTES {
            return Err(NotOurs);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| NotOurs)?;
        let typed = header
            .typ
            .as_deref()
            .is_some_and(|typ| typ.eq_ignore_ascii_case(TYPE));
        let keys = self.keys();
        let key = header
            .kid
            .and_then(|kid| keys.by_kid.get(&kid))
            .map(|index| &keys.list[*index])
            .ok_or(NotOurs)?;
        if !typed || header.alg != key.algorithm {
            return Err(NotOurs);
        }
        let mut validation = Validation::new(key.algorithm);
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.set_issuer(&[&self.issuer]);
        validation.set_required_spec_claims(&["exp", "iss", "sub", "aud"]);
        let claims = jsonwebtoken::decode::<Claims>(token, &key.decoding, &validation)
            .map_err(|_| NotOurs)?
            .claims;
        let may_be_higher = key.algorithm != Algorithm::ES256
            || claims.iat < self.lower_from.load(Ordering::Relaxed);
        if may_be_higher || has_lower_signature(token) {
            Ok(claims)
        } else {
            Err(NotOurs)
        }
    }

    /// RFC 7517 §5: what `/.well-known/jwks.json` answers.
    pub fn jwks(&self) -> serde_json::Value {
        serde_json::json!({ "keys": self.keys().list.iter().map(|key| &key.jwk).collect::<Vec<_>>() })
    }

    pub fn algorithms(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self
            .keys()
            .list
            .iter()
            .map(|key| {
                if key.algorithm == Algorithm::EdDSA {
                    "EdDSA"
                } else {
                    "ES256"
                }
            })
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

fn has_lower_signature(token: &str) -> bool {
    let signature = token.rsplit_once('.').map(|(_, signature)| signature);
    signature
        .and_then(|text| URL_SAFE_NO_PAD.decode(text).ok())
        .is_some_and(|signature| low_s::is_lower(&signature))
}

impl Keys {
    fn load(keys: &[ScheduledKey]) -> Result<Self, SignerError> {
        let mut list = keys.iter().map(load).collect::<Result<Vec<_>, _>>()?;
        if list.is_empty() {
            return Err(SignerError::NoKey);
        }
        list.sort_by(|one, other| {
            other
                .signs_from
                .cmp(&one.signs_from)
                .then_with(|| one.kid.cmp(&other.kid))
        });
        let by_kid = list
            .iter()
            .enumerate()
            .map(|(index, key)| (key.kid.clone(), index))
            .collect();
        Ok(Self { list, by_kid })
    }
}

impl Private {
    fn parse(algorithm: SigningAlgorithm, pkcs8: &[u8]) -> Result<Self, SignerError> {
        let refused = |error: KeyRejected| SignerError::Key(error.to_string());
        Ok(match algorithm {
            SigningAlgorithm::Es256 => Self::Es256(Box::new(
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8)
                    .map_err(refused)?,
            )),
            SigningAlgorithm::EdDsa => Self::EdDsa(Box::new(
                Ed25519KeyPair::from_pkcs8(pkcs8).map_err(refused)?,
            )),
        })
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        match self {
            Self::Es256(pair) => pair
                .sign(&SystemRandom::new(), message)
                .map(|signature| low_s::lower(signature.as_ref().to_vec()))
                .map_err(|error| SignerError::Key(error.to_string())),
            Self::EdDsa(pair) => Ok(pair.sign(message).as_ref().to_vec()),
        }
    }
}

impl Claims {
    /// What the token is for; empty: the default audience, which is called like the issuer. None when it says what we
    /// never write.
    pub fn resources(&self, issuer: &str) -> Option<Resources> {
        if self.aud == Audience::One(issuer.to_owned()) {
            return Some(Resources::default());
        }
        let resources = self
            .aud
            .iter()
            .map(|uri| uri.parse::<ResourceUri>().ok())
            .collect::<Option<Resources>>()?;
        (!resources.is_empty()).then_some(resources)
    }

    pub fn expires_at(&self) -> Timestamp {
        Timestamp::from_seconds(self.exp)
    }
}

fn load((key, signs_from): &ScheduledKey) -> Result<Key, SignerError> {
    let mut jwk = public_jwk(key.algorithm, &key.pkcs8)?;
    jwk.common.key_id = Some(key.kid.clone());
    jwk.common.public_key_use = Some(PublicKeyUse::Signature);
    jwk.common.key_algorithm = Some(match key.algorithm {
        SigningAlgorithm::Es256 => KeyAlgorithm::ES256,
        SigningAlgorithm::EdDsa => KeyAlgorithm::EdDSA,
    });
    let decoding =
        DecodingKey::from_jwk(&jwk).map_err(|error| SignerError::Key(error.to_string()))?;
    let (algorithm, _) = encoding_key(key.algorithm, &key.pkcs8);
    let header = serde_json::json!({ "typ": TYPE, "alg": key.algorithm.as_str(), "kid": key.kid });
    Ok(Key {
        kid: key.kid.clone(),
        signs_from: *signs_from,
        algorithm,
        private: Private::parse(key.algorithm, &key.pkcs8)?,
        header: URL_SAFE_NO_PAD.encode(header.to_string()),
        decoding,
        jwk,
    })
}

fn encoding_key(algorithm: SigningAlgorithm, pkcs8: &[u8]) -> (Algorithm, EncodingKey) {
    match algorithm {
        SigningAlgorithm::Es256 => (Algorithm::ES256, EncodingKey::from_ec_der(pkcs8)),
        SigningAlgorithm::EdDsa => (Algorithm::EdDSA, EncodingKey::from_ed_der(pkcs8)),
    }
}

fn public_jwk(algorithm: SigningAlgorithm, pkcs8: &[u8]) -> Result<Jwk, SignerError> {
    let (algorithm, encoding) = encoding_key(algorithm, pkcs8);
    Jwk::from_encoding_key(&encoding, algorithm)
        .map_err(|error| SignerError::Key(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonwebtoken::Header;

    fn claims() -> Claims {
        let now = Timestamp::from_seconds(1_700_000_000);
        Claims {
            iss: "https://id.example".to_owned(),
            sub: "usr_x".to_owned(),
            aud: Audience::One("https://id.example".to_owned()),
            client_id: ApplicationId::generate(now),
            exp: 1,
            iat: 0,
            jti: "at_x".to_owned(),
            scope: "read".to_owned(),
            authorization: AuthorizationId::generate(now),
            organization: OrganizationId::generate(now),
            environment: "sandbox".to_owned(),
            workspaces: Vec::new(),
        }
    }

    fn key(algorithm: SigningAlgorithm, signs_from_seconds: i64) -> ScheduledKey {
        (
            PrivateKey::generate(algorithm).expect("a key"),
            Timestamp::from_seconds(signs_from_seconds),
        )
    }

    fn signer(algorithm: SigningAlgorithm) -> Signer {
        Signer::new("https://id.example", &[key(algorithm, 0)]).expect("a signer")
    }

    #[test]
    fn both_algorithms_sign_what_they_verify() {
        // RFC 9068 §2.1
        for algorithm in [SigningAlgorithm::Es256, SigningAlgorithm::EdDsa] {
            let (signer, claims) = (signer(algorithm), claims());
            let token = signer.sign(&claims).expect("signed");
            assert_eq!(signer.verify(&token), Ok(claims));
            let header = jsonwebtoken::decode_header(&token).expect("a header");
            assert_eq!(
                (header.typ.as_deref(), header.kid.is_some()),
                (Some("at+jwt"), true)
            );
        }
    }

    #[test]
    fn every_signature_is_the_lower_one_of_two() {
        let signer = signer(SigningAlgorithm::Es256);
        for _ in 0..64 {
            let token = signer.sign(&claims()).expect("signed");
            assert!(has_lower_signature(&token), "{token}");
            assert!(signer.verify(&token).is_ok());
        }
    }

    #[test]
    fn time_alone_decides_which_key_signs() {
        // 9700-44: a prepared key takes over by itself, and gives the turn back when the clock steps back
        let (first, second) = (
            key(SigningAlgorithm::Es256, 100),
            key(SigningAlgorithm::EdDsa, 200),
        );
        let kids = [first.0.kid.clone(), second.0.kid.clone()];
        let signer = Signer::new("https://id.example", &[first, second]).expect("a signer");
        for (iat, expected) in [(100, 0), (199, 0), (200, 1), (201, 1), (199, 0), (50, 0)] {
            let claims = Claims { iat, ..claims() };
            let token = signer.sign(&claims).expect("signed");
            assert_eq!(
                jsonwebtoken::decode_header(&token)
                    .expect("a header")
                    .kid
                    .as_ref(),
                Some(&kids[expected]),
                "{iat}"
            );
            assert_eq!(signer.verify(&token), Ok(claims));
        }
        assert!(
            signer.holds(
                [
                    (kids[1].as_str(), Timestamp::from_seconds(200)),
                    (&kids[0], Timestamp::from_seconds(100))
                ]
                .into_iter()
            )
        );
        let token = signer.sign(&claims()).expect("signed");
        signer
            .replace(&[key(SigningAlgorithm::Es256, 300)])
            .expect("keys");
        assert_eq!(signer.verify(&token), Err(NotOurs), "its key has left");
        assert!(matches!(signer.replace(&[]), Err(SignerError::NoKey)));
        assert!(
            signer.sign(&claims()).is_ok(),
            "what was refused changed nothing"
        );
    }

    #[test]
    fn forged_tokens_are_not_ours() {
        // RFC 8725 §3.1: `none`, another key, another algorithm, another type, a public key used as an HMAC secret
        let signer = signer(SigningAlgorithm::Es256);
        let token = signer.sign(&claims()).expect("signed");
        let (head, rest) = token.split_once('.').expect("three parts");
        let (body, signature) = rest.split_once('.').expect("three parts");
        let with_header =
            |json: &str| format!("{}.{body}.{signature}", URL_SAFE_NO_PAD.encode(json));
        let keys = signer.keys();
        let kid = &keys.list[0].kid;
        let hmac = EncodingKey::from_secret(
            serde_json::to_string(&keys.list[0].jwk)
                .expect("JSON")
                .as_bytes(),
        );
        let mut header = Header::new(Algorithm::HS256);
        header.typ = Some("at+jwt".to_owned());
        header.kid = Some(kid.clone());
        for forged in [
            with_header(&format!(r#"{{"alg":"none","typ":"at+jwt","kid":"{kid}"}}"#)),
            with_header(&format!(r#"{{"alg":"ES256","typ":"JWT","kid":"{kid}"}}"#)),
            with_header(r#"{"alg":"ES256","typ":"at+jwt","kid":"../../dev/null"}"#),
            with_header(r#"{"alg":"ES256","typ":"at+jwt"}"#),
            format!("{head}.{body}."),
            format!("{head}.{body}"),
            format!("{head}.{}.{signature}", URL_SAFE_NO_PAD.encode("{}")),
            jsonwebtoken::encode(&header, &claims(), &hmac).expect("signed"),
            self::signer(SigningAlgorithm::Es256)
                .sign(&claims())
                .expect("signed"),
            "a".repeat(MOST_TOKEN_BYTES + 1),
            String::new(),
        ] {
            assert_eq!(signer.verify(&forged), Err(NotOurs), "{forged}");
        }
    }
}
