//! What the operator wrote: a profile's defaults, then `countersign.toml`, then `COUNTERSIGN_*` variables. An unknown key refuses to
//! start and names the nearest known one. One section a file; every field tells its meaning, unit and default.

mod access;
mod built_in;
mod database;
mod domains;
mod errors;
mod identity;
mod keys;
mod limits;
mod logs;
mod oauth;
mod operations;
mod people;
mod plans;
mod profile;
mod quotas;
mod registration;
mod sandbox;
mod secret;
mod server;
mod sessions;
mod sweep;
mod watermark;
mod weak;

use std::path::Path;

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::types::environment::Environment;
use crate::types::id::{ApplicationId, OrganizationId};
use crate::types::state::SigningAlgorithm;

pub use access::{
    ADMIN_ROLE, Access, AccessKind, AdminRoles, Catalogue, CatalogueError, PermissionEntry, Risk,
    RoleEntry, ScopeEntry,
};
pub use database::Database;
pub use domains::Domains;
pub use errors::{Errors, ForeignWorkspace};
pub use identity::{Identity, is_issuer};
pub use keys::{KeyName, KeyOwner, Keys, OrganizationOperations};
pub use limits::{Limits, Rate};
pub use logs::{LogFormat, Logs};
pub use oauth::OAuth;
pub use operations::Operations;
pub use people::{Accounts, Invitations};
pub use plans::{DevCentre, Plan, PlanEntry, Plans};
pub use profile::{PROFILE_VARIABLE, Profile, UnknownProfile};
pub use quotas::{Per, QuotaEntry};
pub use registration::Registration;
pub use sandbox::Sandbox;
pub use secret::Secret;
pub use server::{Alias, AliasError, Issuer, IssuerError, Server, is_secure_or_loopback};
pub use sessions::Sessions;
pub use sweep::Sweep;
pub use watermark::Watermark;
pub use weak::{WEAK, Weak, is_everybody};

/// Variables of the tests, not of the configuration.
const FOREIGN_PREFIX: &str = "COUNTERSIGN_TEST_";
/// A longer grace would let a thief come back all day without ending anything.
const MOST_GRACE_SECONDS: i64 = 60 * 60;
/// A client that is waited for longer holds its connection for nothing.
const MOST_WAIT_SECONDS: u64 = 60 * 60;

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read {0}: {1}")]
    Read(String, std::io::Error),
    #[error("{0} is not valid TOML: {1}")]
    Toml(String, String),
    #[error("{origin}: unknown key `{key}`{}", suggestion(nearest))]
    UnknownKey {
        origin: String,
        key: String,
        nearest: Option<String>,
    },
    #[error("{0}: {1}")]
    Value(String, String),
    #[error("[server] issuer: {0}")]
    Issuer(#[from] IssuerError),
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
}

fn suggestion(nearest: &Option<String>) -> String {
    nearest
        .as_ref()
        .map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

/// The whole configuration, with every default filled in.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The defaults that everything below overrides.
    pub profile: Profile,
    pub server: Server,
    pub database: Database,
    pub secret: Secret,
    pub sessions: Sessions,
    pub identity: Identity,
    pub accounts: Accounts,
    pub invitations: Invitations,
    pub oauth: OAuth,
    pub registration: Registration,
    pub access: Access,
    pub keys: Keys,
    pub errors: Errors,
    pub plans: Plans,
    pub sandbox: Sandbox,
    pub domains: Domains,
    pub sweep: Sweep,
    pub limits: Limits,
    pub watermark: Watermark,
    pub operations: Operations,
    pub logs: Logs,
    pub permission: Vec<PermissionEntry>,
    pub scope: Vec<ScopeEntry>,
    pub role: Vec<RoleEntry>,
    pub plan: Vec<PlanEntry>,
    pub quota: Vec<QuotaEntry>,
    /// Names of the permissions and scopes that the lists above left out, and that are there nevertheless.
    #[serde(skip)]
    pub built_in: Vec<String>,
}

impl Config {
    /// The scopes that every application may have: those without a management permission.
    pub fn public_scopes(&self) -> impl Iterator<Item = &ScopeEntry> {
        self.scope.iter().filter(|scope| !self.is_management(scope))
    }

    /// Whether only first-party applications may have it.
    pub fn is_management(&self, scope: &ScopeEntry) -> bool {
        let above = |name: &String| {
            self.permission
                .iter()
                .any(|entry| entry.name == *name && (entry.management || entry.operator))
        };
        scope.permissions.iter().any(above)
    }

    /// Reads the file, if one is named, and the variables, and checks what can be checked without a database.
    pub fn load(
        file: Option<&Path>,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let (origin, text) = match file {
            None => ("the defaults".to_owned(), String::new()),
            Some(path) => {
                let name = path.display().to_string();
                let text = std::fs::read_to_string(path)
                    .map_err(|error| ConfigError::Read(name.clone(), error))?;
                (name, text)
            }
        };
        Self::parse(&origin, &text, variables)
    }

    fn parse(
        origin: &str,
        text: &str,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let malformed = |error: toml::de::Error| {
            ConfigError::Toml(origin.to_owned(), error.message().to_owned())
        };
        let mut table: Table = toml::from_str(text).map_err(malformed)?;
        let known = known_keys();
        refuse_unknown_keys(origin, &table, &known)?;
        let mut variables = variables.collect();
        let profile = profile::choose(&mut table, &mut variables)
            .map_err(|error| ConfigError::Value(format!("{origin}: profile"), error))?;
        apply_variables(&mut table, &known, variables.into_iter())?;
        let mut whole = profile.table().map_err(malformed)?;
        profile::overlay(&mut whole, table);
        whole.insert("profile".to_owned(), Value::from(profile.as_str()));
        let mut config: Self = whole.try_into().map_err(|error: toml::de::Error| {
            ConfigError::Value(origin.to_owned(), error.message().to_owned())
        })?;
        built_in::complete(&mut config)?;
        config.server.issuer()?;
        config.catalogue()?;
        config.check()?;
        Ok(config)
    }

    /// What no type can say. A setting that would break a promise refuses to start.
    fn check(&self) -> Result<(), ConfigError> {
        let word = |text: &str| {
            text.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        let (keys, sandbox, oauth, watermark) =
            (&self.keys, &self.sandbox, &self.oauth, &self.watermark);
        let (registration, server) = (&self.registration, &self.server);
        let is_scope = |name: &String| self.scope.iter().any(|scope| scope.name == *name);
        let seconds = [
            oauth.code_seconds,
            oauth.request_seconds,
            oauth.access_token_seconds,
            oauth.refresh_token_seconds,
            oauth.authorization_seconds,
        ];
        for (key, holds, rule) in [
            (
                "keys.prefix",
                (2..=24).contains(&keys.prefix.len()) && word(&keys.prefix),
                "must be 2 to 24 letters, digits and _",
            ),
            (
                "keys.sandbox_marker",
                keys.sandbox_marker.len() <= 24 && word(&keys.sandbox_marker),
                "must be at most 24 letters, digits and _",
            ),
            (
                "keys.production_marker",
                keys.production_marker.len() <= 24 && word(&keys.production_marker),
                "must be at most 24 letters, digits and _",
            ),
            (
                "keys.header_scheme",
                is_scheme(&keys.header_scheme),
                "must be 1 to 24 letters, digits and -, and not Basic",
            ),
            (
                "sandbox.max_name_characters",
                sandbox.max_name_characters > sandbox.name_prefix.chars().count(),
                "must leave room behind name_prefix",
            ),
            (
                "sandbox.watermark_text",
                !sandbox.watermark_text.trim().is_empty(),
                "must not be empty",
            ),
            (
                "oauth",
                seconds.iter().all(|seconds| *seconds > 0),
                "every lifetime must be at least one second",
            ),
            (
                "oauth.code_seconds",
                oauth.code_seconds <= 600,
                "must be at most 600 (RFC 6749 §4.1.2)",
            ),
            (
                "oauth.signing_algorithm",
                oauth.signing_algorithm.parse::<SigningAlgorithm>().is_ok(),
                "must be ES256 or EdDSA",
            ),
            (
                "oauth.pkce_optional_for",
                oauth
                    .pkce_optional_for
                    .iter()
                    .all(|id| id.parse::<ApplicationId>().is_ok()),
                "must be client ids: app_ and 22 letters and digits",
            ),
            (
                "oauth.refresh_replay_seconds",
                oauth.refresh_replay_seconds >= 60,
                "must be at least 60",
            ),
            (
                "oauth.refresh_grace_seconds",
                (0..=MOST_GRACE_SECONDS).contains(&oauth.refresh_grace_seconds),
                "must be 0 to 3600",
            ),
            (
                "oauth.refresh_grace_authenticated_seconds",
                (0..=MOST_GRACE_SECONDS).contains(&oauth.refresh_grace_authenticated_seconds),
                "must be 0 to 3600",
            ),
            (
                "oauth.max_connections_per_consent",
                (1..=1000).contains(&oauth.max_connections_per_consent),
                "must be 1 to 1000",
            ),
            (
                "sweep",
                self.sweep.every_seconds > 0
                    && (1..=10_000).contains(&self.sweep.batch_rows)
                    && self.sweep.keep_seconds >= 0,
                "every_seconds must be at least 1, batch_rows 1 to 10000, keep_seconds not negative",
            ),
            (
                "logs.buffer_bytes",
                (64 * 1024..=1024 * 1024 * 1024).contains(&self.logs.buffer_bytes),
                "must be 65536 (64 KiB) to 1073741824 (1 GiB)",
            ),
            (
                "oauth.signing_key_publish_seconds",
                (1..=30 * 24 * 60 * 60).contains(&oauth.signing_key_publish_seconds),
                "must be 1 to 2592000 (30 days)",
            ),
            (
                "oauth.signing_key_seconds",
                oauth.signing_key_seconds == 0
                    || oauth.signing_key_seconds >= oauth.signing_key_publish_seconds,
                "must be 0 (never by schedule) or at least signing_key_publish_seconds",
            ),
            (
                "registration.open_organization",
                !registration.is_open()
                    || registration
                        .open_organization
                        .parse::<OrganizationId>()
                        .is_ok(),
                "must be empty, or an organization's id: org_ and 22 letters and digits",
            ),
            (
                "registration.open_environment",
                registration.open_environment.parse::<Environment>().is_ok(),
                "must be sandbox or production",
            ),
            (
                "registration.max_clients",
                registration.max_clients >= 1,
                "must be at least 1",
            ),
            (
                "registration.unused_seconds",
                registration.unused_seconds >= 24 * 60 * 60,
                "must be at least 86400: uses are noted once a day",
            ),
            (
                "registration.scopes",
                registration.scopes.iter().all(is_scope),
                "must be names of [[scope]]",
            ),
            (
                "registration.service_account_role",
                registration.service_account_role.is_empty()
                    || self
                        .role
                        .iter()
                        .any(|role| role.name == registration.service_account_role),
                "must be empty, or the name of a [[role]]",
            ),
            (
                "sessions",
                self.sessions.idle_seconds > 0 && self.sessions.absolute_seconds > 0,
                "every lifetime must be at least one second",
            ),
            (
                "watermark",
                watermark.concurrency > 0
                    && watermark.cpu_seconds > 0
                    && watermark.wall_seconds > 0,
                "must allow at least one of each",
            ),
            (
                "database.timeout_seconds",
                (1..=60).contains(&self.database.timeout_seconds),
                "must be 1 to 60",
            ),
            (
                "server.max_body_bytes",
                server.max_body_bytes >= 1024,
                "must be at least 1024",
            ),
            (
                "server.max_connections",
                server.max_connections == 0 || server.max_connections >= 8,
                "must be 0 (by the limit of file descriptors) or at least 8",
            ),
            (
                "server.head_seconds",
                (1..=MOST_WAIT_SECONDS).contains(&server.head_seconds),
                "must be 1 to 3600",
            ),
            (
                "server.write_seconds",
                (1..=MOST_WAIT_SECONDS).contains(&server.write_seconds),
                "must be 1 to 3600",
            ),
            (
                "server.keep_alive_seconds",
                (1..=MOST_WAIT_SECONDS).contains(&server.keep_alive_seconds),
                "must be 1 to 3600",
            ),
        ] {
            if !holds {
                return Err(ConfigError::Value(key.to_owned(), rule.to_owned()));
            }
        }
        if let Some((key, rule)) = quotas::check(&self.quota, &self.permission) {
            return Err(ConfigError::Value(key, rule.to_owned()));
        }
        match self.identity.check().or_else(|| self.domains.check()) {
            Some((key, rule)) => Err(ConfigError::Value(key.to_owned(), rule.to_owned())),
            None => Ok(()),
        }
    }

    pub fn catalogue(&self) -> Result<Catalogue, CatalogueError> {
        Catalogue::new(self)
    }
}

/// RFC 9110 §11.1; Basic is how resource servers and applications prove themselves.
fn is_scheme(text: &str) -> bool {
    let word = text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (1..=24).contains(&text.len()) && word && !text.eq_ignore_ascii_case("basic")
}

/// The defaults as a table: its keys are the known ones, its values tell their types.
fn known_keys() -> Table {
    Table::try_from(Config::default()).unwrap_or_default()
}

fn refuse_unknown_keys(origin: &str, table: &Table, known: &Table) -> Result<(), ConfigError> {
    for (section, value) in table {
        let Some(default) = known.get(section) else {
            return Err(unknown(origin, section, section, known));
        };
        let (Value::Table(fields), Value::Table(known_fields)) = (value, default) else {
            continue;
        };
        for field in fields.keys() {
            if !known_fields.contains_key(field) {
                return Err(unknown(
                    origin,
                    &format!("{section}.{field}"),
                    field,
                    known_fields,
                ));
            }
        }
    }
    Ok(())
}

fn unknown(origin: &str, key: &str, last: &str, known: &Table) -> ConfigError {
    let nearest = nearest(last, known.keys().map(String::as_str));
    let prefix = key.strip_suffix(last).unwrap_or("");
    ConfigError::UnknownKey {
        origin: origin.to_owned(),
        key: key.to_owned(),
        nearest: nearest.map(|name| format!("{prefix}{name}")),
    }
}

fn nearest<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    known
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, candidate)| *distance <= candidate.len().max(3) / 2)
        .map(|(_, candidate)| candidate)
}

/// `COUNTERSIGN_SERVER_LISTEN` is `[server] listen`. Lists are separated by commas.
fn apply_variables(
    table: &mut Table,
    known: &Table,
    variables: impl Iterator<Item = (String, String)>,
) -> Result<(), ConfigError> {
    let fields: Vec<(String, &str, &str, &Value)> = known
        .iter()
        .filter_map(|(section, fields)| fields.as_table().map(|fields| (section, fields)))
        .flat_map(|(section, fields)| {
            fields.iter().map(move |(field, value)| {
                (
                    variable(section, field),
                    section.as_str(),
                    field.as_str(),
                    value,
                )
            })
        })
        .collect();
    for (name, text) in variables
        .filter(|(name, _)| name.starts_with("COUNTERSIGN_") && !name.starts_with(FOREIGN_PREFIX))
    {
        let Some((_, section, field, default)) = fields.iter().find(|(known, ..)| *known == name)
        else {
            let nearest =
                nearest(&name, fields.iter().map(|(known, ..)| known.as_str())).map(str::to_owned);
            return Err(ConfigError::UnknownKey {
                origin: "the environment".to_owned(),
                key: name,
                nearest,
            });
        };
        let value = typed(&text, default)
            .map_err(|expected| ConfigError::Value(name, format!("expected {expected}")))?;
        let section = table
            .entry(*section)
            .or_insert_with(|| Value::Table(Table::new()));
        if let Value::Table(section) = section {
            section.insert((*field).to_owned(), value);
        }
    }
    Ok(())
}

/// The environment variable of a field.
pub fn variable(section: &str, field: &str) -> String {
    format!(
        "COUNTERSIGN_{}_{}",
        section.to_uppercase(),
        field.to_uppercase()
    )
}

fn typed(text: &str, like: &Value) -> Result<Value, &'static str> {
    Ok(match like {
        Value::Integer(_) => Value::Integer(text.trim().parse().map_err(|_| "a whole number")?),
        Value::Boolean(_) => Value::Boolean(text.trim().parse().map_err(|_| "true or false")?),
        Value::Array(_) => Value::Array(
            text.split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(Value::from)
                .collect(),
        ),
        _ => Value::String(text.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::parse(
            "test.toml",
            text,
            variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        )
    }

    #[test]
    fn defaults_then_the_file_then_variables() {
        let config = parse(
            "[server]\nlisten = '127.0.0.1:1'\n[limits]\nsandbox = '20/1m'",
            &[("COUNTERSIGN_SERVER_LISTEN", "127.0.0.1:2")],
        );
        let config = config.expect("valid");
        assert_eq!(config.server.listen, "127.0.0.1:2");
        assert_eq!(
            (
                config.limits.sandbox.quota,
                config.limits.sandbox.window_seconds
            ),
            (20, 60)
        );
        assert_eq!(config.keys.prefix, "cs");
        let proxies = parse(
            "",
            &[(
                "COUNTERSIGN_SERVER_TRUSTED_PROXIES",
                "10.0.0.0/8, 192.0.2.1/32",
            )],
        )
        .expect("valid")
        .server
        .trusted_proxies;
        assert_eq!(proxies.len(), 2);
    }

    #[test]
    fn an_unknown_key_refuses_and_names_the_nearest_known_one() {
        let message = |text, variables| parse(text, variables).expect_err("refused").to_string();
        assert_eq!(
            message("[server]\nlissen = 'x'", &[]),
            "test.toml: unknown key `server.lissen`; did you mean `server.listen`?"
        );
        assert_eq!(
            message("[sever]", &[]),
            "test.toml: unknown key `sever`; did you mean `server`?"
        );
        assert!(
            message("", &[("COUNTERSIGN_SERVER_LISTN", "x")])
                .ends_with("did you mean `COUNTERSIGN_SERVER_LISTEN`?")
        );
        assert!(message("[[permission]]\nnme = 'x'", &[]).contains("unknown field `nme`"));
    }

    #[test]
    fn wrong_values_are_named() {
        for (text, variables, part) in [
            ("[server]\nlisten = 5", &[][..], "invalid type"),
            (
                "",
                &[("COUNTERSIGN_DATABASE_CONNECTIONS", "many")][..],
                "COUNTERSIGN_DATABASE_CONNECTIONS: expected a whole number",
            ),
            ("[limits]\nsandbox = '10 a minute'", &[][..], "10/1m"),
            ("[server]\nissuer = 'http://id.example'", &[][..], "https"),
            (
                "[[scope]]\nname='x'\ntitle='x'\ndescription='x'\npermissions=['nothing:here']",
                &[][..],
                "nothing:here",
            ),
            ("[server", &[][..], "not valid TOML"),
            (
                "[keys]\nprefix = 'a-b'",
                &[][..],
                "keys.prefix: must be 2 to 24",
            ),
            (
                "[sandbox]\nmax_name_characters = 6",
                &[][..],
                "room behind name_prefix",
            ),
            (
                "[database]\ntimeout_seconds = 0",
                &[][..],
                "database.timeout_seconds: must be 1 to 60",
            ),
            (
                "[oauth]\nsigning_algorithm = 'RS256'",
                &[][..],
                "ES256 or EdDSA",
            ),
            ("[oauth]\ncode_seconds = 0", &[][..], "at least one second"),
            ("[oauth]\nmax_connections_per_consent = 0", &[], "1 to 1000"),
            (
                "[oauth]\nsigning_key_seconds = 3600",
                &[][..],
                "at least signing_key_publish_seconds",
            ),
            (
                "[oauth]\nsigning_key_seconds = -1",
                &[][..],
                "0 (never by schedule)",
            ),
            (
                "[oauth]\nsigning_key_publish_seconds = 0",
                &[][..],
                "1 to 2592000",
            ),
            (
                "[oauth]\nrefresh_grace_seconds = -1",
                &[][..],
                "oauth.refresh_grace_seconds: must be 0 to 3600",
            ),
            (
                "[oauth]\nrefresh_grace_authenticated_seconds = 3601",
                &[][..],
                "oauth.refresh_grace_authenticated_seconds: must be 0 to 3600",
            ),
            (
                "[identity]\nlocal_accounts = false",
                &[][..],
                "identity.local_accounts: can be false with an issuer only",
            ),
            (
                "[identity]\nissuer = 'http://id.example'\nclient_id = 'x'",
                &[][..],
                "identity.issuer: must be an https URL",
            ),
            (
                "[identity]\nissuer = 'https://id.example'",
                &[][..],
                "identity.client_id: must be set",
            ),
            (
                "[identity]\nclient_id = 'x'",
                &[][..],
                "identity.issuer: must be set",
            ),
            (
                "[identity]\nscopes = ['email']",
                &[][..],
                "identity.scopes: must contain openid",
            ),
            (
                "[domains]\nnameservers = ['ns.example']",
                &[][..],
                "invalid socket address",
            ),
            (
                "[domains]\nlost_after_checks = 1",
                &[][..],
                "domains.lost_after_checks: must be 2 to 100",
            ),
            (
                "[domains]\nrecheck_seconds = 5",
                &[][..],
                "domains.recheck_seconds: must be 60",
            ),
            (
                "[logs]\nbuffer_bytes = 1000",
                &[][..],
                "logs.buffer_bytes: must be 65536",
            ),
            (
                "[registration]\nopen_organization = 'Acme'",
                &[][..],
                "an organization's id",
            ),
            (
                "[registration]\nopen_environment = 'both'",
                &[][..],
                "sandbox or production",
            ),
            (
                "[registration]\nunused_seconds = 3600",
                &[][..],
                "at least 86400",
            ),
            (
                "[registration]\nscopes = ['everything']",
                &[][..],
                "names of [[scope]]",
            ),
            (
                "[registration]\nservice_account_role = 'emperor'",
                &[][..],
                "name of a [[role]]",
            ),
        ] {
            let message = parse(text, variables).expect_err("refused").to_string();
            assert!(message.contains(part), "{message}");
        }
    }
}
