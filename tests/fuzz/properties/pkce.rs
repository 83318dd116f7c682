//! `oauth/pkce.rs`. Lines: a challenge and a verifier.
//!
//! - A challenge has one spelling: decoded and encoded again it is the same.
//! - A verifier proves its own challenge, and any other challenge never; it needs no escaping in a form.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::oauth::pkce::{is_challenge, is_verifier, matches};

pub fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let (challenge, verifier) = text.split_once('\n').unwrap_or((text, text));
    if is_challenge(challenge) {
        let bytes = URL_SAFE_NO_PAD.decode(challenge).expect("base64url");
        assert_eq!(
            (bytes.len(), URL_SAFE_NO_PAD.encode(bytes).as_str()),
            (32, challenge)
        );
    }
    let own = challenge_of(verifier);
    assert!(is_challenge(&own) && matches(&own, verifier));
    assert_eq!(matches(challenge, verifier), challenge == own);
    assert!(!matches(&own, &format!("{verifier}a")) && !matches("", verifier));
    if is_verifier(verifier) {
        assert!((43..=128).contains(&verifier.len()));
        assert_eq!(
            url::form_urlencoded::byte_serialize(verifier.replace('~', "-").as_bytes())
                .collect::<String>(),
            verifier.replace('~', "-")
        );
    }
}

/// RFC 7636 §4.2.
fn challenge_of(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()))
}
