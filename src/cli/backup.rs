//! `countersign backup`: a whole copy of an SQLite database, beside the server that runs on it. PostgreSQL has its own tools.

use std::path::PathBuf;

use super::output::print;
use super::{ConfigArguments, Failure};
use crate::store::{self, Database};
use crate::types::time::Clock;

#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// The file to make
    file: PathBuf,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
}

const POSTGRES: &str = "the database is PostgreSQL: back it up with its own tools, beside the server, by \
    `pg_dump -Fc -f FILE DATABASE`. Restore it into an empty database by `pg_restore -d DATABASE FILE` while no server runs, then run \
    `countersign migrate` and `countersign restore --in-place`. Keep the secret key apart from it";

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    if arguments.file.as_os_str() == "-" {
        return Err("a backup is checked after it was written, so it goes to a file, not to standard output: name one".into());
    }
    let config = arguments.config.load()?;
    let Database::Sqlite(path) = config.database.url.parse()? else {
        return Err(POSTGRES.into());
    };
    let now = Clock::System.now();
    let backup = store::back_up(&path, &arguments.file, arguments.force, now)?;
    let keys: Vec<&str> = backup.secret_key_ids.iter().map(String::as_str).collect();
    let key = match keys.as_slice() {
        [] => "It needs no secret key: nothing in it was made under one.".to_owned(),
        [key] => {
            format!("It needs the secret key {key}, which is not in it: keep a copy of that apart.")
        }
        keys => format!(
            "It needs the secret keys {}, which are not in it: keep a copy of them apart.",
            keys.join(" and ")
        ),
    };
    let unnoted = backup.unnoted.map_or_else(String::new, |error| {
        format!("`countersign doctor` will not know of it: {error}\n")
    });
    print(format_args!(
        "Backed up to {}, as of {}: {} bytes, checked.\n{} organizations, {} users, {} API keys, {} applications.\n{key}\n{unnoted}",
        arguments.file.display(),
        now.rfc3339(),
        backup.size_bytes,
        backup.organizations,
        backup.users,
        backup.api_keys,
        backup.applications,
    ))
}
