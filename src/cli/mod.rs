//! The command line: one file a command.

mod api_key;
mod backup;
mod beside;
mod clock;
mod config;
mod doctor;
mod migrate;
mod operator;
mod organization;
mod output;
mod quickstart;
mod resource_server;
mod restore;
mod restored;
mod serve;
mod signing_keys;
mod user;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{Config, LogFormat, PROFILE_VARIABLE, Profile};
use crate::telemetry::{logs, process};

/// The Dev Centre in front of your API: OAuth 2.0 applications and API keys, in Sandbox and Production.
#[derive(Parser)]
#[command(name = "countersign", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve on an embedded database with nothing to set up, and print what to paste
    Quickstart(quickstart::Arguments),
    /// Serve
    Serve(serve::Arguments),
    /// Bring the database's schema up to date
    Migrate(ConfigArguments),
    /// Make a whole copy of an SQLite database, beside a running server
    Backup(backup::Arguments),
    /// Put a backup into the place of the database, and end what was issued before
    Restore(restore::Arguments),
    /// See and lift what is paused since a restore
    #[command(subcommand)]
    Restored(restored::Command),
    /// Look at the configuration
    #[command(subcommand)]
    Config(config::Command),
    /// Say what is wrong with this installation, and what to do
    Doctor(doctor::Arguments),
    /// Manage accounts
    #[command(subcommand)]
    User(user::Command),
    /// Make organizations: your customers
    #[command(subcommand)]
    Organization(organization::Command),
    /// Make API keys
    #[command(subcommand)]
    ApiKey(api_key::Command),
    /// Register your APIs, which ask what a credential may do
    #[command(subcommand)]
    ResourceServer(resource_server::Command),
    /// Manage the tokens of your own programs, which reach across organizations
    #[command(subcommand)]
    Operator(operator::Command),
    /// Look at the keys that sign tokens, and rotate them
    #[command(subcommand)]
    SigningKeys(signing_keys::Command),
    /// Say that the clock is right, after a leap
    #[command(subcommand)]
    Clock(clock::Command),
}

/// Which configuration.
#[derive(clap::Args)]
struct ConfigArguments {
    /// The configuration file; without it, `countersign.toml` if there is one
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    profile: ProfileArgument,
}

/// Which defaults.
#[derive(clap::Args)]
struct ProfileArgument {
    /// The defaults to start from: default, pandadoc, penvio, documenso or yousign
    #[arg(long, value_name = "NAME")]
    profile: Option<Profile>,
}

/// Why a command failed, for the person who typed it.
type Failure = Box<dyn std::error::Error>;

impl ConfigArguments {
    fn load(&self) -> Result<Config, Failure> {
        let default = PathBuf::from("countersign.toml");
        let file = self
            .config
            .clone()
            .or_else(|| default.exists().then_some(default));
        Ok(Config::load(file.as_deref(), self.profile.variables())?)
    }
}

impl ProfileArgument {
    /// The environment, with what was typed instead of its profile.
    fn variables(&self) -> impl Iterator<Item = (String, String)> {
        variables().chain(
            self.profile
                .map(|profile| (PROFILE_VARIABLE.to_owned(), profile.as_str().to_owned())),
        )
    }
}

/// The environment; what is not UTF-8 cannot be a setting of ours.
fn variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// Runs the command that was typed. What ends it is said through the log where there is one, and nothing on the way to the end
/// waits for whoever reads it.
pub fn run() -> ExitCode {
    let ended = match Arguments::try_parse() {
        Ok(arguments) => run_command(arguments.command),
        Err(answer) => Ok(tell(&answer)),
    };
    let code = ended.unwrap_or_else(|error| {
        logs::say(&format!("countersign: {error}"));
        ExitCode::FAILURE
    });
    logs::flush();
    code
}

/// Help, the version, or what is wrong with the arguments.
fn tell(answer: &clap::Error) -> ExitCode {
    let code = u8::try_from(answer.exit_code());
    match (answer.print(), code) {
        (Ok(()), Ok(code)) => ExitCode::from(code),
        _ => ExitCode::FAILURE,
    }
}

fn run_command(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Quickstart(arguments) => quickstart::run(arguments),
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Migrate(arguments) => migrate::run(&arguments),
        Command::Backup(arguments) => backup::run(&arguments),
        Command::Restore(arguments) => restore::run(&arguments),
        Command::Restored(command) => restored::run(&command),
        Command::Config(command) => config::run(&command),
        Command::Doctor(arguments) => return doctor::run(&arguments),
        Command::User(command) => user::run(command),
        Command::Organization(command) => organization::run(command),
        Command::ApiKey(command) => api_key::run(command),
        Command::ResourceServer(command) => resource_server::run(command),
        Command::Operator(command) => operator::run(&command),
        Command::SigningKeys(command) => signing_keys::run(&command),
        Command::Clock(command) => clock::run(&command),
    }
    .map(|()| ExitCode::SUCCESS)
}

/// For a command that serves.
fn start_log(config: &Config) -> Result<(), Failure> {
    let settings = &config.logs;
    let is_json = settings.format == LogFormat::Json;
    logs::start(&settings.level, is_json, settings.buffer_bytes)?;
    process::log_limits();
    Ok(())
}

/// Refuses to make a database where one was, whose file is gone or empty.
fn refuse_lost(config: &Config, database: &crate::store::Database) -> Result<(), Failure> {
    let crate::store::Database::Sqlite(path) = database else {
        return Ok(());
    };
    let has_key =
        config.secret.key.is_empty() && std::path::Path::new(&config.secret.key_file).exists();
    Ok(crate::store::refuse_lost(path, has_key)?)
}

/// Makes the folder of an SQLite file, readable by its owner only.
fn make_data_folder(database: &crate::store::Database) -> Result<(), Failure> {
    let crate::store::Database::Sqlite(path) = database else {
        return Ok(());
    };
    let Some(folder) = std::path::Path::new(path)
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    else {
        return Ok(());
    };
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(folder)
        .map_err(|error| format!("cannot create {}: {error}", folder.display()).into())
}
