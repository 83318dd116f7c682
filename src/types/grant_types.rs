//! The grants that an application may use (RFC 6749 §1.3, RFC 7591 §2 `grant_types`): a set, stored as one text.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::state::vocabulary;

vocabulary! {
    #[derive(Hash, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum GrantType { AuthorizationCode = "authorization_code", RefreshToken = "refresh_token", ClientCredentials = "client_credentials" }
}

impl GrantType {
    pub const ALL: [Self; 3] = [
        Self::AuthorizationCode,
        Self::RefreshToken,
        Self::ClientCredentials,
    ];

    fn bit(self) -> usize {
        match self {
            Self::AuthorizationCode => 1,
            Self::RefreshToken => 2,
            Self::ClientCredentials => 4,
        }
    }
}

/// Names one that is not supported here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown grant type {0:?}")]
pub struct UnknownGrantType(pub String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GrantTypes(usize);

/// By the sum of the bits.
const TEXTS: [&str; 8] = [
    "",
    "authorization_code",
    "refresh_token",
    "authorization_code refresh_token",
    "client_credentials",
    "authorization_code client_credentials",
    "refresh_token client_credentials",
    "authorization_code refresh_token client_credentials",
];

impl GrantTypes {
    pub const ALL: Self = Self(7);

    pub fn contains(self, grant: GrantType) -> bool {
        self.0 & grant.bit() != 0
    }

    pub fn iter(self) -> impl Iterator<Item = GrantType> {
        GrantType::ALL
            .into_iter()
            .filter(move |grant| self.contains(*grant))
    }

    pub fn without(self, grant: GrantType) -> Self {
        Self(self.0 & !grant.bit())
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn as_str(&self) -> &'static str {
        TEXTS[self.0 & 7]
    }
}

impl FromIterator<GrantType> for GrantTypes {
    fn from_iter<I: IntoIterator<Item = GrantType>>(grants: I) -> Self {
        Self(grants.into_iter().fold(0, |all, grant| all | grant.bit()))
    }
}

impl FromStr for GrantTypes {
    type Err = UnknownGrantType;

    fn from_str(text: &str) -> Result<Self, UnknownGrantType> {
        let words = text.split(' ').filter(|word| !word.is_empty());
        words
            .map(|word| word.parse().map_err(|_| UnknownGrantType(word.to_owned())))
            .collect()
    }
}

impl fmt::Display for GrantTypes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_survives_its_text_and_strangers_are_refused() {
        for text in TEXTS {
            assert_eq!(text.parse::<GrantTypes>().expect("known").as_str(), text);
        }
        assert_eq!(
            "client_credentials  authorization_code".parse(),
            Ok(GrantTypes::ALL.without(GrantType::RefreshToken))
        );
        assert_eq!(
            "password".parse::<GrantTypes>(),
            Err(UnknownGrantType("password".to_owned()))
        );
    }
}
