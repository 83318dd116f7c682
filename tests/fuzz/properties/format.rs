//! `crypto/format.rs`: keys and tokens as they look. The input is presented as it is, and with its right checksum behind it.
//!
//! - Nothing is a key and a token, or a token of two kinds.
//! - What is accepted is base62 behind its marker, and no byte of it can change alone.
//! - A key's public id stands in it, where lists and logs show it.

use countersign::crypto::format::{MOST_BYTES, TokenKind, is_token, key_public_id};

const KINDS: [TokenKind; 4] = [
    TokenKind::AccessToken,
    TokenKind::RefreshToken,
    TokenKind::AuthorizationCode,
    TokenKind::ClientSecret,
];

pub fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    judge(text);
    judge(&format!("{text}{}", checksum(text)));
}

fn judge(text: &str) {
    let kinds = KINDS
        .iter()
        .filter(|kind| is_token("cs", **kind, text))
        .count();
    let public_id = key_public_id(text);
    assert!(kinds + usize::from(public_id.is_some()) <= 1, "{text}");
    if kinds == 0 && public_id.is_none() {
        return;
    }
    assert!(text.len() <= MOST_BYTES && text.is_ascii());
    let secret = text.rsplit_once('_').map_or("", |(_, secret)| secret);
    assert!(
        secret.bytes().all(|byte| byte.is_ascii_alphanumeric()),
        "{text}"
    );
    assert!(
        public_id.is_none_or(|id| id.len() == 12 && secret.starts_with(id)),
        "{text}"
    );
    for index in 0..text.len() {
        let mut bytes = text.as_bytes().to_vec();
        bytes[index] = if bytes[index] == b'0' { b'1' } else { b'0' };
        let changed = String::from_utf8(bytes).expect("ASCII");
        assert!(
            key_public_id(&changed).is_none()
                && !KINDS.iter().any(|kind| is_token("cs", *kind, &changed)),
            "{changed}"
        );
    }
}

/// CRC-32 in six base62 digits, written here a second time.
fn checksum(body: &str) -> String {
    let (mut rest, mut digits) = (crc32fast::hash(body.as_bytes()), Vec::new());
    for _ in 0..6 {
        digits.push(
            b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"[(rest % 62) as usize],
        );
        rest /= 62;
    }
    digits
        .iter()
        .rev()
        .map(|digit| char::from(*digit))
        .collect()
}
