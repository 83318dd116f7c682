//! `[[quota]]`: limits beside `limits.sandbox` and `limits.production`. A request falls under all that match, together
//! (PandaDoc limits per user, Penvio per plan, Documenso per token; conflict C11).

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::{PermissionEntry, Rate};
use crate::types::environment::Environment;

/// Each is looked at in every decision.
const MOST_QUOTAS: usize = 64;
const MOST_NAME_BYTES: usize = 64;
/// Of one request.
const MOST_COST: u64 = 1_000_000;
/// Policies that are there anyway.
const RESERVED: [&str; 9] = [
    "owner",
    "whoami",
    "unknown_credentials",
    "client_failures",
    "registrations",
    "sign_in_address",
    "sign_in_account",
    "sign_in_device",
    "provider_failures",
];

/// Who shares a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// One user in one organization, over all of the user's keys and tokens.
    Owner,
    /// One API key, or one application that acts for one user.
    Key,
    /// The whole organization.
    Organization,
    /// The whole organization, in each environment by itself.
    Environment,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuotaEntry {
    /// The policy's name in headers and answers.
    pub name: String,
    pub per: Per,
    /// Empty: both, which then share one pool (but for `per = "environment"`).
    #[serde(default)]
    pub environments: Vec<Environment>,
    /// Of the organization whose data is touched. Empty: all of them, and organizations without one.
    #[serde(default)]
    pub plans: Vec<String>,
    /// The `class` of the permission that is asked for. Empty: every request.
    #[serde(default)]
    pub class: String,
    pub rate: Rate,
}

/// What is wrong: the key, and the rule that it breaks.
pub(super) fn check(
    quotas: &[QuotaEntry],
    permissions: &[PermissionEntry],
) -> Option<(String, &'static str)> {
    let class = permissions
        .iter()
        .find(|entry| !entry.class.is_empty() && !is_word(&entry.class));
    let cost = permissions
        .iter()
        .find(|entry| !(1..=MOST_COST).contains(&entry.cost));
    if let Some(entry) = class {
        return Some((
            format!("[[permission]] {:?} class", entry.name),
            "must be a lower-case word",
        ));
    }
    if let Some(entry) = cost {
        return Some((
            format!("[[permission]] {:?} cost", entry.name),
            "must be 1 to 1000000",
        ));
    }
    if quotas.len() > MOST_QUOTAS {
        return Some(("[[quota]]".to_owned(), "there may be 64 at most"));
    }
    let mut names = HashSet::new();
    quotas.iter().find_map(|quota| {
        let wrong = wrong_field(quota, permissions)
            .or_else(|| (!names.insert(&quota.name)).then_some(("name", "is there twice")));
        wrong.map(|(field, rule)| (format!("[[quota]] {:?} {field}", quota.name), rule))
    })
}

fn wrong_field(
    quota: &QuotaEntry,
    permissions: &[PermissionEntry],
) -> Option<(&'static str, &'static str)> {
    let unique_plans: HashSet<&String> = quota.plans.iter().collect();
    let twice = quota
        .environments
        .iter()
        .enumerate()
        .any(|(index, environment)| quota.environments[..index].contains(environment));
    [
        (
            "name",
            is_word(&quota.name),
            "must be a lower-case word: a letter, then letters, digits and _",
        ),
        (
            "name",
            !RESERVED.contains(&quota.name.as_str()),
            "is taken: choose another",
        ),
        ("environments", !twice, "names one twice"),
        (
            "plans",
            unique_plans.len() == quota.plans.len()
                && quota.plans.iter().all(|plan| !plan.trim().is_empty()),
            "has an empty or repeated name",
        ),
        (
            "class",
            quota.class.is_empty() || permissions.iter().any(|entry| entry.class == quota.class),
            "is the class of no [[permission]]",
        ),
    ]
    .into_iter()
    .find_map(|(field, holds, rule)| (!holds).then_some((field, rule)))
}

/// It goes into headers as it is.
fn is_word(text: &str) -> bool {
    let rest = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    text.len() <= MOST_NAME_BYTES
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(rest)
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    fn refusal(text: &str) -> String {
        Config::parse("test.toml", text, std::iter::empty())
            .map_or_else(|error| error.to_string(), |_| String::new())
    }

    fn quota(fields: &str) -> String {
        format!("[[quota]]\nname = 'burst'\nper = 'owner'\nrate = '10/1m'\n{fields}\n")
    }

    #[test]
    fn a_quota_needs_three_fields_only() {
        assert_eq!(refusal(&quota("")), "");
        assert_eq!(
            refusal(&quota(
                "environments = ['sandbox', 'production']\nplans = ['business']"
            )),
            ""
        );
    }

    #[test]
    fn a_wrong_quota_refuses_to_start_and_says_which_and_why() {
        let named =
            |name: &str| format!("[[quota]]\nname = '{name}'\nper = 'owner'\nrate = '10/1m'\n");
        for (text, part) in [
            (quota("environments = ['staging']"), "staging"),
            (
                quota("environments = ['sandbox', 'sandbox']"),
                "\"burst\" environments: names one twice",
            ),
            (quota("plans = ['']"), "\"burst\" plans: has an empty"),
            (
                quota("plans = ['a', 'a']"),
                "\"burst\" plans: has an empty or repeated",
            ),
            (
                quota("class = 'downloads'"),
                "is the class of no [[permission]]",
            ),
            (quota("burst = 1"), "unknown field `burst`"),
            (quota("") + &quota(""), "\"burst\" name: is there twice"),
            (named("owner"), "is taken"),
            (named("sign_in_account"), "is taken"),
            (named(""), "lower-case word"),
            (named("Burst"), "lower-case word"),
            (named("1st"), "lower-case word"),
            (named("a\"b"), "lower-case word"),
            (named(&"x".repeat(65)), "lower-case word"),
            (named("x").replace("10/1m", "0/1m"), "10/1m"),
            (
                named("x").replace("'owner'", "'workspace'"),
                "unknown variant `workspace`",
            ),
            (
                "[[quota]]\nname = 'x'\nper = 'owner'".to_owned(),
                "missing field `rate`",
            ),
            (
                (0..65).map(|number| named(&format!("q{number}"))).collect(),
                "64 at most",
            ),
        ] {
            let message = refusal(&text);
            assert!(message.contains(part), "{part}: {message}");
        }
    }

    #[test]
    fn a_permission_has_a_class_and_a_cost() {
        let permission = |fields: &str| {
            format!(
                "[[permission]]\nname = 'x'\ntitle = 'x'\ndescription = 'x'\nrisk = 'low'\naccess = 'read'\n{fields}\n[[scope]]\nname = 's'\ntitle = 's'\ndescription = 's'\npermissions = ['x']\n[[role]]\nname = 'admin'\npermissions = ['*']\n"
            )
        };
        assert_eq!(
            refusal(&(permission("class = 'downloads'\ncost = 5") + &quota("class = 'downloads'"))),
            ""
        );
        assert!(
            refusal(&permission("class = 'Down loads'"))
                .contains("[[permission]] \"x\" class: must be a lower-case word")
        );
        assert!(
            refusal(&permission("cost = 0")).contains("[[permission]] \"x\" cost: must be 1 to")
        );
        assert!(refusal(&permission("cost = 1000001")).contains("must be 1 to"));
    }
}
