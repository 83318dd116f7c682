//! `countersign resource-server create`: one of the vendor's APIs, with its first secret. Works beside a running server, and is
//! done when that has noticed.

use super::{ConfigArguments, Failure, beside, output};
use crate::crypto::digest::{Digester, Purpose};
use crate::crypto::format::{self, TokenKind};
use crate::domain::operations::resource_servers::{self, NewResourceServer};
use crate::store::application_secrets::NewSecret;
use crate::store::{Tx, Verdict};
use crate::types::environment::Environment;
use crate::types::state::ObligationKind;

/// In place of the names of Sandbox rules.
const ALL: &str = "all";
const NONE: &str = "none";

#[derive(clap::Subcommand)]
pub enum Command {
    /// Register an API and print its id and its secret, which is shown once
    Create(Create),
}

#[derive(clap::Args)]
pub struct Create {
    #[command(flatten)]
    config: ConfigArguments,
    /// What people call the API
    #[arg(long)]
    name: String,
    /// The Sandbox rules that its code carries out, separated by commas: document_name, watermark, recipients; or all, or none:
    /// what it does not carry out is refused
    #[arg(long, value_delimiter = ',', value_name = "RULES", required = true)]
    enforces: Vec<String>,
    /// For which environment it asks: sandbox or production; without it, for both
    #[arg(long, value_name = "ENVIRONMENT")]
    environment: Option<String>,
    /// Leave it out of the audience of tokens that name no resource
    #[arg(long)]
    named_only: bool,
    /// Print only ID:SECRET, as curl -u takes it
    #[arg(long)]
    quiet: bool,
}

pub fn run(command: Command) -> Result<(), Failure> {
    let Command::Create(arguments) = command;
    let config = arguments.config.load()?;
    let environment: Option<Environment> = arguments
        .environment
        .as_deref()
        .map(str::parse)
        .transpose()
        .map_err(|error| format!("--environment: {error}"))?;
    let obligations = obligations(&arguments.enforces)?;
    let digester = Digester::new(&beside::secret_keys(&config)?);
    let secret = format::mint_token(&config.keys.prefix, TokenKind::ClientSecret);
    let new = NewResourceServer {
        name: arguments.name,
        environment,
        obligations,
        default_audience: !arguments.named_only,
        secret: NewSecret {
            digest: digester.digest(Purpose::ClientSecret, secret.expose()),
            hint: format::hint(&secret),
        },
    };
    let create = move |tx: &mut Tx| resource_servers::create_checked(tx, &new).map(Verdict::Done);
    let made = beside::write(&config, create)?;
    let text = if arguments.quiet {
        format!("{}:{}\n", made.id, secret.expose())
    } else {
        format!(
            "Registered {} ({}).\nSecret, shown once: {}\n",
            made.id,
            made.name,
            secret.expose()
        )
    };
    let remedy = format!(
        "Nobody has seen the secret of {}: give it another one, or delete it.",
        made.id
    );
    output::print_once(text, &remedy)
}

fn obligations(words: &[String]) -> Result<Vec<ObligationKind>, Failure> {
    match words {
        [word] if word == ALL => Ok(ObligationKind::ALL.to_vec()),
        [word] if word == NONE => Ok(Vec::new()),
        words => {
            let mut known: Vec<ObligationKind> = Vec::new();
            for word in words {
                let kind = word
                    .parse()
                    .map_err(|_| format!("--enforces: there is no rule {word:?}"))?;
                if !known.contains(&kind) {
                    known.push(kind);
                }
            }
            Ok(known)
        }
    }
}
