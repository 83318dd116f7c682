//! `countersign restored`: what is paused since the database was restored from a backup, and lifting it. Works beside a running
//! server, and is done when that has noticed (`beside.rs`).

use std::fmt::Write as _;

use super::output::print;
use super::{ConfigArguments, Failure, beside};
use crate::domain::operations::restored;
use crate::store::restored::PausedSecret;
use crate::store::{self, Store, Tx, Verdict};

#[derive(clap::Subcommand)]
pub enum Command {
    /// List the keys, secrets and tokens that are paused
    List(ConfigArguments),
    /// Let them work again
    Resume(Resume),
}

#[derive(clap::Args)]
pub struct Resume {
    #[command(flatten)]
    config: ConfigArguments,
    /// All of them
    #[arg(long, conflicts_with = "ids")]
    all: bool,
    /// Ids, as `list` shows them: of one, or of its application or resource server, for all that is its own
    #[arg(value_name = "ID", required_unless_present = "all")]
    ids: Vec<String>,
}

pub fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::List(config) => {
            let config = config.load()?;
            let store = Store::open_as_guest(&config.database.url.parse()?)?;
            let paused: Result<Vec<PausedSecret>, store::Error> = actix_web::rt::System::new()
                .block_on(store.read(|snapshot| snapshot.list_paused_secrets()));
            let paused = paused?;
            if paused.is_empty() {
                return print("Nothing is paused.\n");
            }
            print(listing(&paused)?)
        }
        Command::Resume(resume) => {
            let ids = resume.ids.clone();
            let write = move |tx: &mut Tx| restored::resume(tx, &ids).map(Verdict::Done);
            let resumed = beside::write(&resume.config.load()?, write)?;
            print(format_args!("{resumed} keys and secrets are live again.\n"))
        }
    }
}

pub(super) fn listing(paused: &[PausedSecret]) -> Result<String, std::fmt::Error> {
    let mut text = format!(
        "{:<25}  {:<26}  {:<26}  {:<14}  {}\n",
        "KIND", "ID", "OF", "STARTS", "NAME"
    );
    for secret in paused {
        writeln!(
            text,
            "{:<25}  {:<26}  {:<26}  {:<14}  {}",
            secret.kind.as_str(),
            secret.id,
            secret.owner,
            secret.hint,
            secret.name
        )?;
    }
    Ok(text)
}
