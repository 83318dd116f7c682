//! How credentials look.
//!
//! Key: `<prefix>_<environment marker>_` + 12 public id + 32 secret + 6 checksum, base62; an empty marker drops its `_`.
//! Token: `<prefix>_at_` (`_rt_ _ac_ _cs_ _rg_ _ra_ _ot_ _mt_`) + 32 secret + 6 checksum. The checksum is the CRC-32 of all before it: it
//! refuses typos before any look-up, with the answer of an unknown credential. Parsed from the right: a prefix may hold `_`.

use super::Plaintext;
use crate::types::text::{base62_fixed, is_base62, random_base62};

const PUBLIC_ID: usize = 12;
/// 32 base62 characters hold 190 random bits.
const SECRET: usize = 32;
const CHECKSUM: usize = 6;
/// Characters of a secret that lists may show.
const HINT: usize = 4;
/// No credential is longer; a JWT has a bound of its own.
pub const MOST_BYTES: usize = 256;

/// The kinds that are not keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    AccessToken,
    RefreshToken,
    AuthorizationCode,
    ClientSecret,
    /// Lets a program register applications (RFC 7591 §1.2).
    InitialAccessToken,
    /// Lets an application read and change its own registration (RFC 7592 §1.2).
    RegistrationAccessToken,
    /// Opens an invitation.
    Invitation,
    /// Lets a program of the vendor manage every organization.
    OperatorToken,
    /// Lets a program of an organization manage it.
    ManagementToken,
    /// A one-time link to a key's secret.
    HandOver,
}

impl TokenKind {
    fn marker(self) -> &'static str {
        match self {
            Self::AccessToken => "at",
            Self::RefreshToken => "rt",
            Self::AuthorizationCode => "ac",
            Self::ClientSecret => "cs",
            Self::InitialAccessToken => "rg",
            Self::RegistrationAccessToken => "ra",
            Self::Invitation => "iv",
            Self::OperatorToken => "ot",
            Self::ManagementToken => "mt",
            Self::HandOver => "ho",
        }
    }
}

/// A new key: the public id that lists, logs and mails show, and the whole key, shown once.
pub fn mint_key(prefix: &str, marker: &str) -> (String, Plaintext) {
    let public_id = random_base62(PUBLIC_ID);
    let body = format!(
        "{}{public_id}{}",
        key_start(prefix, marker),
        random_base62(SECRET)
    );
    (public_id, Plaintext::new(with_checksum(body)))
}

/// What stands before the public id: `cs_sandbox_`.
pub fn key_start(prefix: &str, marker: &str) -> String {
    if marker.is_empty() {
        format!("{prefix}_")
    } else {
        format!("{prefix}_{marker}_")
    }
}

pub fn mint_token(prefix: &str, kind: TokenKind) -> Plaintext {
    Plaintext::new(with_checksum(format!(
        "{prefix}_{}_{}",
        kind.marker(),
        random_base62(SECRET)
    )))
}

/// How a new token starts, for people to tell two of them apart: 28 characters, 166 random bits, stay secret.
pub fn hint(token: &Plaintext) -> String {
    let shown = token.expose().len().saturating_sub(SECRET + CHECKSUM) + HINT;
    token.expose().chars().take(shown).collect()
}

/// Whether `text` has the shape and the checksum of a token of this kind.
pub fn is_token(prefix: &str, kind: TokenKind, text: &str) -> bool {
    let shaped = |body: &str| body.len() == SECRET + CHECKSUM && body.bytes().all(is_base62);
    token_body(prefix, kind, text).is_some_and(shaped) && has_checksum(text)
}

/// The public id, when `text` has the shape and the checksum of a key.
pub fn key_public_id(text: &str) -> Option<&str> {
    let tail = PUBLIC_ID + SECRET + CHECKSUM;
    let start = text.len().checked_sub(tail)?;
    let shaped = text.len() <= MOST_BYTES
        && start > 0
        && text.is_char_boundary(start)
        && text[..start].ends_with('_');
    if shaped && text[start..].bytes().all(is_base62) && has_checksum(text) {
        Some(&text[start..start + PUBLIC_ID])
    } else {
        None
    }
}

fn token_body<'t>(prefix: &str, kind: TokenKind, text: &'t str) -> Option<&'t str> {
    text.strip_prefix(prefix)?
        .strip_prefix('_')?
        .strip_prefix(kind.marker())?
        .strip_prefix('_')
}

fn with_checksum(mut body: String) -> String {
    let checksum: [u8; CHECKSUM] = checksum(&body);
    body.extend(checksum.map(char::from));
    body
}

fn has_checksum(text: &str) -> bool {
    text.len() > CHECKSUM
        && text.is_ascii()
        && text.as_bytes()[text.len() - CHECKSUM..] == checksum(&text[..text.len() - CHECKSUM])
}

fn checksum(body: &str) -> [u8; CHECKSUM] {
    base62_fixed::<CHECKSUM>(u128::from(crc32fast::hash(body.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_key_tells_its_public_id() {
        for (prefix, marker) in [("cs", "sandbox"), ("acme_live", ""), ("penv", "")] {
            let (public_id, key) = mint_key(prefix, marker);
            assert_eq!(key_public_id(key.expose()), Some(public_id.as_str()));
            assert!(key.expose().starts_with(&key_start(prefix, marker)));
        }
    }

    #[test]
    fn one_character_changed_is_refused_before_any_look_up() {
        let (_, key) = mint_key("cs", "sandbox");
        for index in 0..key.expose().len() {
            let mut bytes = key.expose().as_bytes().to_vec();
            bytes[index] = if bytes[index] == b'a' { b'b' } else { b'a' };
            let changed = String::from_utf8(bytes).expect("ASCII");
            assert_eq!(key_public_id(&changed), None, "{index}");
        }
    }

    #[test]
    fn a_token_is_of_its_kind_only() {
        let token = mint_token("cs", TokenKind::AccessToken);
        assert!(is_token("cs", TokenKind::AccessToken, token.expose()));
        assert!(!is_token("cs", TokenKind::RefreshToken, token.expose()));
        assert!(!is_token(
            "cs",
            TokenKind::AccessToken,
            &token.expose()[..token.expose().len() - 1]
        ));
        assert_eq!(key_public_id(token.expose()), None);
        // a right checksum over what we never mint
        let foreign = with_checksum(format!("cs_at_{}", "-".repeat(SECRET)));
        assert!(!is_token("cs", TokenKind::AccessToken, &foreign));
    }

    #[test]
    fn a_hint_leaves_160_bits_secret() {
        let token = mint_token("acme_live", TokenKind::ClientSecret);
        let hint = hint(&token);
        assert!(
            hint.starts_with("acme_live_cs_") && token.expose().starts_with(&hint),
            "{hint}"
        );
        assert_eq!(hint.len(), "acme_live_cs_".len() + 4);
        // the checksum is made of what is shown and what is not: it is not shown
        let hidden = token.expose().len() - hint.len() - CHECKSUM;
        assert!(62f64.log2() * f64::from(u32::try_from(hidden).expect("few")) >= 160.0);
    }

    proptest! {
        #[test]
        fn no_text_upsets_the_parser(text in "\\PC{0,300}") {
            let _ = key_public_id(&text);
            let _ = is_token("cs", TokenKind::AccessToken, &text);
        }
    }
}
