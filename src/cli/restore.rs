//! `countersign restore`: puts a backup into the place of an SQLite database, or ends what was issued before on a database that
//! was restored by other means (PostgreSQL). Not beside a server.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::output::print;
use super::restored::listing;
use super::{ConfigArguments, Failure, make_data_folder};
use crate::app;
use crate::config::Config;
use crate::crypto::seal::Sealer;
use crate::crypto::secret_key::SecretKeys;
use crate::domain::operations::restored;
use crate::domain::operations::signing_keys::{self, Fresh, Schedule};
use crate::store::{self, Database, Error, Incoming, Store, Tx, Verdict};
use crate::types::time::{Clock, Timestamp};

/// Paused secrets that the command itself names.
const MOST_NAMED: usize = 20;

#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// The backup
    #[arg(required_unless_present = "in_place", conflicts_with = "in_place")]
    file: Option<PathBuf>,
    /// The database was restored already, by pg_restore or by hand: only end what was issued before
    #[arg(long)]
    in_place: bool,
    /// Put the backup into the place of a database that is there; the old files are kept beside it
    #[arg(long, conflicts_with = "in_place")]
    force: bool,
    /// Leave keys, secrets and standing tokens live, for a backup of the same day behind which none was revoked
    #[arg(long)]
    keep_keys: bool,
}

/// What was found and done.
struct Ended {
    /// The instant that the backup is of; none when it does not say.
    as_of: Option<Timestamp>,
    paused: Vec<store::restored::PausedSecret>,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let config = arguments.config.load()?;
    let database: Database = config.database.url.parse()?;
    let text = match (&arguments.file, &database) {
        (None, database) => {
            if let Database::Sqlite(path) = database {
                store::adopt(path)?;
            }
            let ended = end(&config, database, arguments.keep_keys)?;
            told(&ended, arguments.keep_keys)?
        }
        (Some(file), Database::Sqlite(path)) => {
            make_data_folder(&database)?;
            replace(&config, file, path, arguments)?
        }
        (Some(_), Database::Postgres(_)) => {
            return Err("the database is PostgreSQL: while no server runs, restore the dump into an empty database by \
                `pg_restore -d DATABASE FILE`, then run `countersign migrate` and `countersign restore --in-place`"
                .into());
        }
    };
    print(text)
}

fn replace(
    config: &Config,
    file: &Path,
    path: &str,
    arguments: &Arguments,
) -> Result<String, Failure> {
    let incoming = Incoming::receive(file, path, arguments.force)?;
    let keys = app::existing_secret_keys(config)?;
    let is_configured = |id: &String| keys.iter().any(|key| key.id == *id);
    let needed = incoming.secret_key_ids.clone();
    let unknown: Vec<String> = needed.into_iter().filter(|id| !is_configured(id)).collect();
    let ended = end(config, &incoming.database(), arguments.keep_keys)?;
    let replaced = incoming.take_place(Clock::System.now())?;
    let mut text = format!(
        "Restored {} into {path}, as of {}.\n",
        file.display(),
        ended.as_of.map_or_else(
            || "an instant that it does not tell".to_owned(),
            Timestamp::rfc3339
        )
    );
    for kept in &replaced.kept {
        writeln!(text, "What was there is kept: {}", kept.display())?;
    }
    if !unknown.is_empty() {
        writeln!(
            text,
            "What was made under the secret key {} does not work: the configured secret key does not hold it.",
            unknown.join(", ")
        )?;
    }
    text.push_str(&told(&ended, arguments.keep_keys)?);
    Ok(text)
}

/// Ends what was issued before, in one transaction, while nobody else uses the database.
fn end(config: &Config, database: &Database, keeps_keys: bool) -> Result<Ended, Failure> {
    let store = Store::open(database, 1)?;
    let schedule = Schedule::of(&config.oauth);
    let algorithm = signing_keys::algorithm(&config.oauth)?;
    actix_web::rt::System::new().block_on(async move {
        let keys = belonging_keys(config, &store).await?;
        let fresh = Fresh::generate(algorithm, &Sealer::new(&keys))?;
        let change = move |tx: &mut Tx| {
            let as_of = tx.find_snapshot()?;
            restored::restore(tx, schedule, &fresh, keeps_keys)?;
            Ok(Verdict::Done(Ended {
                as_of,
                paused: tx.list_paused_secrets()?,
            }))
        };
        let ended: Result<Ended, Error> = store.write(Clock::System.now(), change).await;
        store.close();
        Ok(ended?)
    })
}

/// The secret key must be there, and the one that the backup was made under.
async fn belonging_keys(config: &Config, store: &Store) -> Result<SecretKeys, Failure> {
    app::existing_secret_keys(config)?;
    Ok(app::secret_keys_of(config, store).await?)
}

fn told(ended: &Ended, keeps_keys: bool) -> Result<String, std::fmt::Error> {
    let mut text = String::from(
        "No session, code, token, consent, invitation or link from before this moment is good any more; tokens are signed with a new key.\n\
         People are as they were then: passwords that were changed since, members who were removed, and domains that were lost are back.\n",
    );
    if keeps_keys {
        text.push_str(
            "Keys and secrets stay live, also those that were revoked after the backup.\n",
        );
        return Ok(text);
    }
    let count = ended.paused.len();
    if count == 0 {
        text.push_str("There was no live key or secret in it.\n");
        return Ok(text);
    }
    writeln!(
        text,
        "{count} keys and secrets are paused, as each may have been revoked after the backup. Your own API is refused, too, until you \
         lift that for its resource server. Start the server, then:\n  countersign restored list         names what is paused\n  \
         countersign restored resume ID…   lifts it for these\n  countersign restored resume --all lifts it for all"
    )?;
    text.push_str(&listing(&ended.paused[..count.min(MOST_NAMED)])?);
    if count > MOST_NAMED {
        writeln!(text, "… and {} more.", count - MOST_NAMED)?;
    }
    Ok(text)
}
