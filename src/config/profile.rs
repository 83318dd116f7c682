//! Profiles: complete sets of defaults, embedded, of which four reproduce a vendor's rules. The file and the variables override
//! a profile key by key, and list by list.

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

/// The variable that chooses one.
pub const PROFILE_VARIABLE: &str = "COUNTERSIGN_PROFILE";

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// A document API with everything.
    #[default]
    Default,
    Pandadoc,
    Penvio,
    Documenso,
    Yousign,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no profile {0:?}; there are {names}", names = Profile::names())]
pub struct UnknownProfile(String);

impl Profile {
    pub const ALL: [Self; 5] = [
        Self::Default,
        Self::Pandadoc,
        Self::Penvio,
        Self::Documenso,
        Self::Yousign,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Pandadoc => "pandadoc",
            Self::Penvio => "penvio",
            Self::Documenso => "documenso",
            Self::Yousign => "yousign",
        }
    }

    /// As it is embedded.
    pub fn text(self) -> &'static str {
        match self {
            Self::Default => include_str!("../../profiles/default.toml"),
            Self::Pandadoc => include_str!("../../profiles/pandadoc.toml"),
            Self::Penvio => include_str!("../../profiles/penvio.toml"),
            Self::Documenso => include_str!("../../profiles/documenso.toml"),
            Self::Yousign => include_str!("../../profiles/yousign.toml"),
        }
    }

    /// Its defaults: a list it leaves out is the default profile's.
    pub(super) fn table(self) -> Result<Table, toml::de::Error> {
        let mut table: Table = toml::from_str(Self::Default.text())?;
        if self != Self::Default {
            overlay(&mut table, toml::from_str(self.text())?);
        }
        Ok(table)
    }

    fn names() -> String {
        Self::ALL.map(Self::as_str).join(", ")
    }
}

impl std::str::FromStr for Profile {
    type Err = UnknownProfile;

    fn from_str(name: &str) -> Result<Self, UnknownProfile> {
        Self::ALL
            .into_iter()
            .find(|profile| profile.as_str() == name)
            .ok_or_else(|| UnknownProfile(name.to_owned()))
    }
}

/// Puts `over` on top of `base`: sections key by key; every other value replaces the whole of what is there.
pub(super) fn overlay(base: &mut Table, over: Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => below.extend(above),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

/// Which profile is meant: the last variable wins over the file. Takes the choice out of both.
pub(super) fn choose(
    table: &mut Table,
    variables: &mut Vec<(String, String)>,
) -> Result<Profile, String> {
    let written = match table.remove("profile") {
        None => None,
        Some(Value::String(name)) => Some(name),
        Some(_) => return Err("expected a name".to_owned()),
    };
    let chosen = variables
        .iter()
        .rfind(|(name, _)| name == PROFILE_VARIABLE)
        .map(|(_, value)| value.clone());
    variables.retain(|(name, _)| name != PROFILE_VARIABLE);
    chosen.or(written).map_or(Ok(Profile::Default), |name| {
        name.parse()
            .map_err(|error: UnknownProfile| error.to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, refuse_unknown_keys};
    use crate::types::environment::Environment;

    fn load(profile: &str, text: &str) -> Config {
        let variables = [(PROFILE_VARIABLE.to_owned(), profile.to_owned())];
        Config::parse("test.toml", text, variables.into_iter()).expect("valid")
    }

    #[test]
    fn every_profile_is_a_valid_configuration_and_none_is_weak() {
        let known = crate::config::known_keys();
        for profile in Profile::ALL {
            let table: Table = toml::from_str(profile.text()).expect("TOML");
            refuse_unknown_keys(profile.as_str(), &table, &known).expect("known keys only");
            let config = load(profile.as_str(), "");
            assert_eq!(config.profile, profile);
            let weak: Vec<_> = config.weaknesses().map(|weak| weak.name).collect();
            assert!(weak.is_empty(), "{}: {weak:?}", profile.as_str());
            let catalogue = config.catalogue().expect("compiles");
            assert!(
                catalogue
                    .plans()
                    .any(|plan| plan.has(Environment::Production)),
                "{}",
                profile.as_str()
            );
        }
    }

    #[test]
    fn a_file_overrides_a_profile_key_by_key_and_list_by_list() {
        let penvio = load("penvio", "");
        assert_eq!(
            (
                penvio.keys.prefix.as_str(),
                penvio.keys.production_marker.as_str()
            ),
            ("penv", "")
        );
        let config = load(
            "penvio",
            "[keys]\nprefix = 'acme'\n[[plan]]\nname = 'enterprise'\ntitle = 'One'\nenvironments = ['production']\n[plans]\ndefault = 'enterprise'",
        );
        assert_eq!(
            (
                config.keys.prefix.as_str(),
                config.keys.production_marker.as_str()
            ),
            ("acme", ""),
            "the other keys stay"
        );
        assert_eq!(config.plan.len(), 1, "a list is replaced whole");
        assert_eq!(
            config.permission,
            load("default", "").permission,
            "a list that nobody names is the default profile's"
        );
    }

    #[test]
    fn the_variable_wins_over_the_file_and_an_unknown_name_tells_the_known_ones() {
        assert_eq!(
            load("yousign", "profile = 'penvio'").profile,
            Profile::Yousign
        );
        let parse = |text: &str| Config::parse("test.toml", text, std::iter::empty());
        assert_eq!(
            parse("profile = 'penvio'").expect("valid").profile,
            Profile::Penvio
        );
        for (text, part) in [
            (
                "profile = 'penvoi'",
                "test.toml: profile: there is no profile \"penvoi\"; there are default, pandadoc, penvio, documenso, yousign",
            ),
            ("profile = 5", "test.toml: profile: expected a name"),
            ("profil = 'penvio'", "did you mean `profile`?"),
        ] {
            let message = parse(text).expect_err("refused").to_string();
            assert!(message.contains(part), "{message}");
        }
    }
}
