//! `countersign signing-keys`: which keys sign and verify tokens, and another one. Works beside a running server, which
//! takes over what was changed within seconds.

use std::fmt::Write as _;

use super::{ConfigArguments, Failure, output};
use crate::app::existing_secret_keys;
use crate::config::Config;
use crate::crypto::seal::Sealer;
use crate::domain::operations::signing_keys::{
    self, CannotRemove, Fresh, Rotation, Schedule, last_token_ends, turns,
};
use crate::store::signing_keys::StoredSigningKey;
use crate::store::{self, Store, Tx, Verdict};
use crate::types::time::Clock;

#[derive(clap::Subcommand)]
pub enum Command {
    /// List the keys: the next one, the one that signs, and those whose tokens still verify
    List(ConfigArguments),
    /// Make the next key: published at once, it signs when every resource server has it
    Rotate(Rotate),
    /// Take a key that others may have out of the key set: the tokens it signed end
    Remove(Remove),
}

#[derive(clap::Args)]
pub struct Rotate {
    #[command(flatten)]
    config: ConfigArguments,
    /// In an emergency: the new key signs at once, before resource servers have it
    #[arg(long)]
    now: bool,
}

#[derive(clap::Args)]
pub struct Remove {
    #[command(flatten)]
    config: ConfigArguments,
    /// The key's `kid`; it may start with a hyphen
    #[arg(allow_hyphen_values = true)]
    kid: String,
}

pub fn run(command: &Command) -> Result<(), Failure> {
    let (Command::List(arguments)
    | Command::Rotate(Rotate {
        config: arguments, ..
    })
    | Command::Remove(Remove {
        config: arguments, ..
    })) = command;
    let config = arguments.load()?;
    let store = Store::open_as_guest(&config.database.url.parse()?)?;
    let text = actix_web::rt::System::new().block_on(async {
        match command {
            Command::List(_) => list(&store).await,
            Command::Rotate(arguments) => rotate(&store, &config, arguments.now).await,
            Command::Remove(arguments) => remove(&store, &arguments.kid).await,
        }
    })?;
    output::print(text)
}

async fn stored(store: &Store) -> Result<Vec<StoredSigningKey>, store::Error> {
    store.read(|snapshot| snapshot.list_signing_keys()).await
}

async fn list(store: &Store) -> Result<String, Failure> {
    let keys = stored(store).await?;
    let mut text = format!(
        "{:<43}  {:<9}  {:<8}  {:<24}  {}\n",
        "KID", "ALGORITHM", "STATE", "SIGNS FROM", "UNTIL"
    );
    let mut successor: Option<&StoredSigningKey> = None;
    for (key, turn) in turns(&keys, Clock::System.now()) {
        // the first time is provisional until a server has published the key
        let from = key.signs_from.rfc3339();
        let until = successor.map_or_else(String::new, |next| {
            format!(
                "{}, kept until {}",
                next.signs_from.rfc3339(),
                last_token_ends(key, next).rfc3339()
            )
        });
        writeln!(
            text,
            "{:<43}  {:<9}  {:<8}  {from:<24}  {until}",
            key.kid,
            key.algorithm.as_str(),
            turn.as_str()
        )?;
        successor = Some(key);
    }
    if keys.is_empty() {
        text.push_str(NONE_YET);
        text.push('\n');
    }
    Ok(text)
}

const NONE_YET: &str = "There is no signing key yet: the server makes the first when it starts.";

async fn rotate(store: &Store, config: &Config, urgent: bool) -> Result<String, Failure> {
    let sealer = Sealer::new(&existing_secret_keys(config)?);
    let keys = stored(store).await?;
    let Some(seen) = keys.first().map(|key| key.kid.clone()) else {
        return Err(NONE_YET.into());
    };
    // a key that the server cannot open would stop it from starting
    signing_keys::open(&keys, &sealer).map_err(|error| {
        format!("{error}. Is this the secret key that belongs to this database?")
    })?;
    let fresh = Fresh::generate(signing_keys::algorithm(&config.oauth)?, &sealer)?;
    let schedule = Schedule::of(&config.oauth);
    let write = move |tx: &mut Tx| {
        signing_keys::rotate(tx, schedule, &fresh, &seen, urgent).map(Verdict::Done)
    };
    let rotation = match store.write(Clock::System.now(), write).await {
        // the database let only one of two through
        Err(store::Error::Constraint(_)) => stored(store)
            .await?
            .into_iter()
            .next()
            .map(Rotation::Overtaken)
            .ok_or(NONE_YET)?,
        answer => answer?,
    };
    Ok(told(&rotation, urgent, schedule))
}

fn told(rotation: &Rotation, urgent: bool, schedule: Schedule) -> String {
    match rotation {
        Rotation::Made(key) if urgent => format!(
            "Made {} ({}). The running server signs with it within 10 seconds.\n\
             Resource servers do not have it yet: one that keeps the key set (/.well-known/jwks.json, 300 seconds by its Cache-Control)\n\
             refuses the new tokens until it reads it again. Most do so when they meet an unknown kid.\n\
             The key before stays in the key set, and its tokens stay valid until they expire. If others may have it, end them now:\n\
             countersign signing-keys list, then countersign signing-keys remove KID\n",
            key.kid, key.algorithm
        ),
        Rotation::Made(key) => format!(
            "Made {} ({}). It signs from {}.\n\
             A running server publishes it within 10 seconds. If none runs, it is published when one starts, and signs {} seconds later.\n",
            key.kid,
            key.algorithm,
            key.signs_from.rfc3339(),
            schedule.publish_seconds
        ),
        Rotation::Waiting(key) => format!(
            "Nothing was made: {} is the next key already, and signs from {}.\n",
            key.kid,
            key.signs_from.rfc3339()
        ),
        Rotation::Overtaken(key) => {
            format!(
                "Nothing was made: another rotation has just made {}, which signs from {}.\n",
                key.kid,
                key.signs_from.rfc3339()
            )
        }
    }
}

async fn remove(store: &Store, kid: &str) -> Result<String, Failure> {
    let name = kid.to_owned();
    let removed: Result<(), CannotRemove> = store
        .write(Clock::System.now(), move |tx| {
            signing_keys::remove(tx, &name).map(Verdict::Done)
        })
        .await;
    removed.map_err(|reason| format!("{kid} was not removed: {reason}"))?;
    Ok(format!(
        "Removed {kid}. A running server forgets it within 10 seconds, and then refuses every token it signed.\n\
         A resource server that checks tokens alone may accept them until it reads the key set again.\n"
    ))
}
