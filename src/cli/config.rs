//! `countersign config check`: what the server would run with, and which of it is weak.

use std::fmt::Write as _;

use super::{ConfigArguments, Failure, output};
use crate::server::routes::check_aliases;

#[derive(clap::Subcommand)]
pub enum Command {
    /// Check the configuration and print it with every default filled in, secrets left out
    Check(ConfigArguments),
}

pub fn run(command: &Command) -> Result<(), Failure> {
    let Command::Check(arguments) = command;
    let mut config = arguments.load()?;
    check_aliases(&config.server.aliases)?;
    let weak: Vec<_> = config.weaknesses().collect();
    if config.database.url.starts_with("postgres") {
        config.database.url = without_password(&config.database.url);
    }
    config.secret.key = if config.secret.key.is_empty() {
        String::new()
    } else {
        "(set)".to_owned()
    };
    config.identity.client_secret = if config.identity.client_secret.is_empty() {
        String::new()
    } else {
        "(set)".to_owned()
    };
    let mut text = format!("{}\n", toml::to_string_pretty(&config)?);
    writeln!(
        text,
        "# The configuration is valid. The profile is {}, the issuer {}",
        config.profile.as_str(),
        config.server.issuer()?.as_str()
    )?;
    if !config.built_in.is_empty() {
        writeln!(
            text,
            "# Added to [[permission]] and [[scope]], because the management API needs them: {}",
            config.built_in.join(", ")
        )?;
    }
    let unmanaged = config.unmanaged();
    if !unmanaged.is_empty() {
        writeln!(
            text,
            "# Organization admins do not hold these, because the [[role]] \"admin\" does not name them: {}",
            unmanaged.join(", ")
        )?;
    }
    for setting in weak {
        writeln!(text, "# Weak: {}: {}", setting.name, setting.why)?;
    }
    output::print(text)
}

/// `postgres://user:***@host/database`. libpq reads passwords from the query too.
fn without_password(url: &str) -> String {
    let Ok(mut parsed) = url::Url::parse(url) else {
        return url.to_owned();
    };
    if parsed.password().is_some() && parsed.set_password(Some(HIDDEN)).is_err() {
        return HIDDEN.to_owned();
    }
    if parsed.query_pairs().any(|(name, _)| is_secret(&name)) {
        let pairs: Vec<(String, String)> = parsed.query_pairs().into_owned().collect();
        let shown = pairs
            .iter()
            .map(|(name, value)| (name, if is_secret(name) { HIDDEN } else { value }));
        parsed.query_pairs_mut().clear().extend_pairs(shown);
    }
    parsed.to_string()
}

const HIDDEN: &str = "***";

fn is_secret(name: &str) -> bool {
    ["password", "sslpassword"].contains(&name)
}
