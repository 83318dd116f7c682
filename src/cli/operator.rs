//! `countersign operator token`: the credential of the vendor's own programs, which reaches across organizations.
//!
//! Works beside a running server: no memory holds an operator token, so one is good as soon as it is made, and bad as soon as
//! it is revoked.

use std::fmt::Write as _;

use super::user::words;
use super::{ConfigArguments, Failure, beside, output};
use crate::config::Config;
use crate::crypto::digest::{Digester, Purpose};
use crate::crypto::format::{self, TokenKind};
use crate::domain::Refusal;
use crate::domain::operations::operator_tokens::{self, MOST_LISTED, NewOperatorToken};
use crate::store::operator_tokens::OperatorToken;
use crate::store::{self, Store, Tx, Verdict};
use crate::types::id::OperatorTokenId;
use crate::types::time::{Clock, Timestamp};

const LOST_TOKEN: &str = "Nobody has seen the token: find it with `countersign operator token list`, revoke it, and make another one.";
const SECONDS_A_DAY: i64 = 24 * 60 * 60;

#[derive(clap::Subcommand)]
pub enum Command {
    /// The tokens of the vendor's own programs
    #[command(subcommand)]
    Token(Token),
}

#[derive(clap::Subcommand)]
pub enum Token {
    /// Make a token and print it: it is shown once
    Create(Create),
    /// List the tokens, the newest first
    List(ConfigArguments),
    /// End a token at once
    Revoke(Revoke),
}

#[derive(clap::Args)]
pub struct Create {
    #[command(flatten)]
    config: ConfigArguments,
    /// What the program is called, in lists and in the audit log
    #[arg(long)]
    name: String,
    /// What it may do, separated by commas; without it, everything
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    permissions: Vec<String>,
    /// Days until it expires; 0: never
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u16).range(0..=3650))]
    expires_days: u16,
}

#[derive(clap::Args)]
pub struct Revoke {
    #[command(flatten)]
    config: ConfigArguments,
    /// The token's id, as `list` shows it
    id: String,
}

pub fn run(Command::Token(command): &Command) -> Result<(), Failure> {
    let (Token::Create(Create { config, .. })
    | Token::List(config)
    | Token::Revoke(Revoke { config, .. })) = command;
    let config = config.load()?;
    let digester = match command {
        Token::Create(_) => Some(Digester::new(&beside::secret_keys(&config)?)),
        Token::List(_) | Token::Revoke(_) => None,
    };
    let store = Store::open_as_guest(&config.database.url.parse()?)?;
    let now = Clock::System.now();
    let text = actix_web::rt::System::new().block_on(async {
        match command {
            Token::Create(arguments) => {
                let digester = digester.ok_or("the secret key was not read")?;
                create(&store, &config, &digester, arguments).await
            }
            Token::List(_) => list(&store, now).await,
            Token::Revoke(arguments) => revoke(&store, &arguments.id, now).await,
        }
    })?;
    match command {
        Token::Create(_) => output::print_once(text, LOST_TOKEN),
        Token::List(_) | Token::Revoke(_) => output::print(text),
    }
}

async fn create(
    store: &Store,
    config: &Config,
    digester: &Digester,
    arguments: &Create,
) -> Result<String, Failure> {
    let now = Clock::System.now();
    let catalogue = config.catalogue()?;
    let token = format::mint_token(&config.keys.prefix, TokenKind::OperatorToken);
    let days = i64::from(arguments.expires_days);
    let new = NewOperatorToken {
        name: arguments.name.clone(),
        permissions: arguments.permissions.clone(),
        expires_at: (days > 0).then(|| now.plus_seconds(days * SECONDS_A_DAY)),
        digest: digester.digest(Purpose::OperatorToken, token.expose()),
        hint: format::hint(&token),
    };
    let write = move |tx: &mut Tx| operator_tokens::create(tx, &catalogue, &new).map(Verdict::Done);
    let made: Result<OperatorToken, Refusal> = store.write(now, write).await;
    let made = made.map_err(|refusal| words(&refusal))?;
    let until = made.expires_at.map_or_else(
        || "never expires".to_owned(),
        |end| format!("expires {}", end.rfc3339()),
    );
    Ok(format!(
        "Created {} ({}), which {until}.\nToken, shown once: {}\n",
        made.id,
        made.name,
        token.expose()
    ))
}

async fn list(store: &Store, now: Timestamp) -> Result<String, Failure> {
    let tokens: Result<_, store::Error> = store
        .read(|snapshot| snapshot.list_operator_tokens(MOST_LISTED))
        .await;
    let mut text = format!(
        "{:<26}  {:<8}  {:<10}  {:<24}  {:<24}  {}\n",
        "ID", "STATE", "STARTS", "EXPIRES", "LAST USED", "NAME"
    );
    let date = |at: Option<Timestamp>| at.map_or_else(|| "never".to_owned(), Timestamp::rfc3339);
    for token in tokens? {
        let state = match (token.revoked_at, token.expires_at) {
            (Some(_), _) => "revoked",
            (None, Some(end)) if end <= now => "expired",
            _ => "active",
        };
        let (expires, used) = (date(token.expires_at), date(token.last_used_at));
        writeln!(
            text,
            "{:<26}  {state:<8}  {:<10}  {expires:<24}  {used:<24}  {}",
            token.id.as_str(),
            token.hint,
            token.name
        )?;
    }
    Ok(text)
}

async fn revoke(store: &Store, id: &str, now: Timestamp) -> Result<String, Failure> {
    let unknown = || format!("There is no operator token {id}.");
    let id: OperatorTokenId = id.parse().map_err(|_| unknown())?;
    let revoked: Result<(), Refusal> = store
        .write(now, move |tx| {
            operator_tokens::revoke(tx, id).map(Verdict::Done)
        })
        .await;
    match revoked {
        Ok(()) => Ok(format!("Revoked {id}: it opens nothing any more.\n")),
        Err(Refusal::NotFound) => Err(unknown().into()),
        Err(refusal) => Err(words(&refusal).into()),
    }
}
