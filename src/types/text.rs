//! Base62, and what free text from people may hold.

use super::email::is_invisible;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

pub fn is_base62(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

/// `value` in exactly `N` base62 digits, most significant first; higher digits are cut.
pub fn base62_fixed<const N: usize>(mut value: u128) -> [u8; N] {
    let mut digits = [ALPHABET[0]; N];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[(value % 62) as usize];
        value /= 62;
    }
    digits
}

/// `length` characters, each uniform over base62 (5.95 bits), from the operating system's seeded generator.
pub fn random_base62(length: usize) -> String {
    use rand::RngExt;
    let mut generator = rand::rng();
    (0..length)
        .map(|_| char::from(ALPHABET[generator.random_range(0..ALPHABET.len())]))
        .collect()
}

/// Why a name or a description is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    #[error("must not be empty")]
    Empty,
    #[error("must be at most {0} characters")]
    TooLong(usize),
    #[error("must not hold control or direction-changing characters")]
    Control,
}

/// Free text from a person, trimmed: 1 to `most` characters, none of which controls a terminal or turns the reading direction.
pub fn parse_text(input: &str, most: usize) -> Result<String, TextError> {
    let text = input.trim();
    if text.chars().all(|c| c.is_whitespace() || is_selector(c)) {
        return Err(TextError::Empty);
    }
    if text.chars().nth(most).is_some() {
        return Err(TextError::TooLong(most));
    }
    if text.chars().any(|c| c.is_control() || is_hidden(c)) {
        return Err(TextError::Control);
    }
    Ok(text.to_owned())
}

/// Direction overrides, line separators, fillers, tags and zero-width characters: a name that holds them shows another name.
fn is_hidden(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}') || (is_invisible(c) && !is_selector(c))
}

/// They only choose how the character before them looks: `❤` or `❤️`.
fn is_selector(c: char) -> bool {
    matches!(c, '\u{FE00}'..='\u{FE0F}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base62_keeps_the_order_of_numbers() {
        assert_eq!(&base62_fixed::<3>(0), b"000");
        assert_eq!(&base62_fixed::<3>(61), b"00z");
        assert_eq!(&base62_fixed::<3>(62), b"010");
        assert!(base62_fixed::<22>(u128::MAX) > base62_fixed::<22>(u128::MAX - 1));
    }

    #[test]
    fn names_are_trimmed_bounded_and_free_of_tricks() {
        assert_eq!(parse_text("  CRM  ", 5), Ok("CRM".to_owned()));
        assert_eq!(parse_text(" ", 5), Err(TextError::Empty));
        assert_eq!(parse_text("123456", 5), Err(TextError::TooLong(5)));
        assert_eq!(parse_text("a\u{202E}b", 5), Err(TextError::Control));
        assert_eq!(parse_text("a\0b", 5), Err(TextError::Control));
        // fillers, soft hyphens and tags show nothing: two names would look the same
        for hidden in [
            "\u{3164}",
            "Ac\u{AD}me",
            "Acme\u{E0041}",
            "a\u{180E}b",
            "a\u{206E}b",
            "a\u{2028}b",
        ] {
            assert_eq!(
                parse_text(hidden, 10),
                Err(TextError::Control),
                "{hidden:?}"
            );
        }
        assert_eq!(parse_text("\u{FE0F} \u{FE0F}", 5), Err(TextError::Empty));
        assert_eq!(parse_text("❤\u{FE0F}", 5), Ok("❤\u{FE0F}".to_owned()));
    }
}
