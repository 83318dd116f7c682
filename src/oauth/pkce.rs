//! Proof Key for Code Exchange (RFC 7636), method S256 only: `plain` protects nothing from who reads the request (9700-8).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// RFC 7636 §4.2: 32 bytes of SHA-256 in base64url.
const CHALLENGE_CHARACTERS: usize = 43;

/// Whether `challenge` has the shape of an S256 one.
pub fn is_challenge(challenge: &str) -> bool {
    challenge.len() == CHALLENGE_CHARACTERS
        && URL_SAFE_NO_PAD
            .decode(challenge)
            .is_ok_and(|bytes| bytes.len() == 32)
}

/// RFC 7636 §4.1: 43 to 128 unreserved characters.
pub fn is_verifier(verifier: &str) -> bool {
    (43..=128).contains(&verifier.len())
        && verifier
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
}

/// RFC 7636 §4.6.
pub fn matches(challenge: &str, verifier: &str) -> bool {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.as_bytes());
    let made = URL_SAFE_NO_PAD.encode(digest.as_ref());
    aws_lc_rs::constant_time::verify_slices_are_equal(made.as_bytes(), challenge.as_bytes()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_7636_appendix_b() {
        let (verifier, challenge) = (
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        );
        assert!(is_challenge(challenge) && is_verifier(verifier) && matches(challenge, verifier));
        assert!(!matches(challenge, &verifier.replace('d', "e")));
        assert!(
            !is_challenge(verifier.trim_end_matches('k'))
                && !is_verifier("short")
                && !is_verifier(&"a".repeat(129))
        );
    }
}
