//! OAuth scopes (RFC 6749 §3.3): a sorted set of scope tokens, stored and sent as one text.

use std::fmt;
use std::str::FromStr;

/// The text is not a list of scope tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a space-separated list of scope tokens")]
pub struct WrongScopes;

/// Space-separated scope tokens, sorted, each once.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Scopes(String);

impl Scopes {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.split(' ').filter(|token| !token.is_empty())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn contains(&self, token: &str) -> bool {
        self.iter().any(|own| own == token)
    }

    pub fn is_subset_of(&self, other: &Self) -> bool {
        self.iter().all(|token| other.contains(token))
    }

    /// What stands in both.
    pub fn intersection(&self, other: &Self) -> Self {
        self.iter().filter(|token| other.contains(token)).collect()
    }

    fn from_tokens<'a>(tokens: impl Iterator<Item = &'a str>) -> Self {
        let mut tokens: Vec<&str> = tokens.collect();
        tokens.sort_unstable();
        tokens.dedup();
        Self(tokens.join(" "))
    }
}

impl<'a> FromIterator<&'a str> for Scopes {
    /// The caller vouches for the tokens' characters: they come from the configuration.
    fn from_iter<I: IntoIterator<Item = &'a str>>(tokens: I) -> Self {
        Self::from_tokens(tokens.into_iter())
    }
}

impl FromStr for Scopes {
    type Err = WrongScopes;

    fn from_str(text: &str) -> Result<Self, WrongScopes> {
        if !text
            .split(' ')
            .filter(|token| !token.is_empty())
            .all(is_scope_token)
        {
            return Err(WrongScopes);
        }
        Ok(Self::from_tokens(
            text.split(' ').filter(|token| !token.is_empty()),
        ))
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// RFC 6749 §3.3: `1*( %x21 / %x23-5B / %x5D-7E )`.
pub fn is_scope_token(token: &str) -> bool {
    !token.is_empty()
        && token
            .bytes()
            .all(|byte| matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_sorted_and_each_stands_once() {
        let scopes: Scopes = "write  read write".parse().expect("valid");
        assert_eq!(scopes.as_str(), "read write");
        assert!(scopes.contains("read") && !scopes.contains("rea"));
        assert!(
            "read"
                .parse::<Scopes>()
                .is_ok_and(|narrow| narrow.is_subset_of(&scopes))
        );
    }

    #[test]
    fn quotes_backslashes_and_controls_are_no_scope() {
        for text in ["a\"b", "a\\b", "a\tb", "ä"] {
            assert_eq!(text.parse::<Scopes>(), Err(WrongScopes), "{text}");
        }
    }
}
