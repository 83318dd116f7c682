//! `[oauth]`: lifetimes and algorithms.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OAuth {
    /// Seconds a code can be redeemed (RFC 9700 §2.1.1: short).
    pub code_seconds: i64,
    /// Seconds a person has to decide on the consent page.
    pub request_seconds: i64,
    /// Seconds an access token lives; for a resource server that checks a JWT alone, the bound of its revocation.
    pub access_token_seconds: i64,
    /// Seconds a refresh token lives unused.
    pub refresh_token_seconds: i64,
    /// Seconds after which a person must allow the application again.
    pub authorization_seconds: i64,
    /// `ES256` or `EdDSA`, for new signing keys.
    pub signing_algorithm: String,
    /// Weak: ids of confidential applications that may leave out PKCE (RFC 9700 §2.1.1), because they cannot do it.
    pub pkce_optional_for: Vec<String>,
    /// Seconds for which a consumed refresh token is remembered, so that its return is noticed as a theft.
    pub refresh_replay_seconds: i64,
    /// Seconds after its use in which a refresh token that comes back is refused and the connection marked, not ended: two
    /// tabs that share one. 0: it ends at once.
    pub refresh_grace_seconds: i64,
    /// The same for clients that authenticated: workers that share a stored token.
    pub refresh_grace_authenticated_seconds: i64,
    /// Live connections of one person with one application, such as devices, in one organization. One more ends the one that
    /// was unused for longest.
    pub max_connections_per_consent: usize,
    /// Seconds a key signs before the next one takes over; 0: until somebody rotates.
    pub signing_key_seconds: i64,
    /// Seconds a key is published before it signs, so that every resource server has it by then.
    pub signing_key_publish_seconds: i64,
}

impl Default for OAuth {
    fn default() -> Self {
        Self {
            code_seconds: 60,
            request_seconds: 10 * 60,
            access_token_seconds: 15 * 60,
            refresh_token_seconds: 30 * 24 * 60 * 60,
            authorization_seconds: 365 * 24 * 60 * 60,
            signing_algorithm: "ES256".to_owned(),
            pkce_optional_for: Vec::new(),
            refresh_replay_seconds: 30 * 24 * 60 * 60,
            refresh_grace_seconds: 60,
            refresh_grace_authenticated_seconds: 10 * 60,
            max_connections_per_consent: 50,
            signing_key_seconds: 90 * 24 * 60 * 60,
            signing_key_publish_seconds: 24 * 60 * 60,
        }
    }
}
