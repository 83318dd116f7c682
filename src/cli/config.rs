//! `countersign config check`: what the server would run with.

use super::{ConfigArguments, Failure};

#[derive(clap::Subcommand)]
pub enum Command {
    /// Check the configuration and print it with every default filled in, secrets left out
    Check(ConfigArguments),
}

#[expect(clippy::print_stdout, reason = "it is what was asked for")]
pub fn run(command: &Command) -> Result<(), Failure> {
    let Command::Check(arguments) = command;
    let mut config = arguments.load()?;
    config.database.url = without_password(&config.database.url);
    config.secret.key = if config.secret.key.is_empty() { String::new() } else { "(set)".to_owned() };
    println!("{}", toml::to_string_pretty(&config)?);
    println!("# The configuration is valid. The issuer is {}", config.server.issuer()?.as_str());
    Ok(())
}

/// `postgres://user:…@host/database`.
fn without_password(url: &str) -> String {
    match url::Url::parse(url) {
        Ok(mut parsed) if parsed.password().is_some() => {
            let hidden = parsed.set_password(Some("…"));
            hidden.map_or_else(|()| String::new(), |()| parsed.to_string())
        }
        _ => url.to_owned(),
    }
}
