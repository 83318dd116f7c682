//! `countersign organization create`: a customer with its first workspace and its owner. Works beside a running server, and is
//! done when that has noticed.

use std::fmt::Write as _;

use super::user::LOST_PASSWORD;
use super::{ConfigArguments, Failure, beside, output};
use crate::crypto::password;
use crate::domain::lifecycle::customers::{self, Owner};
use crate::domain::people::accounts::{FIRST_WORKSPACE, NewPerson, find_person};
use crate::store::{Store, Tx, Verdict};
use crate::types::email::Mailbox;

#[derive(clap::Subcommand)]
pub enum Command {
    /// Create an organization, its first workspace and its owner's account, whose password is printed
    Create(Create),
}

#[derive(clap::Args)]
pub struct Create {
    #[command(flatten)]
    config: ConfigArguments,
    /// The organization's name
    #[arg(long)]
    name: String,
    /// The owner's e-mail address; an account that has it becomes the owner
    #[arg(long, value_name = "EMAIL")]
    owner: String,
    /// The owner's name; without it, what stands before the @
    #[arg(long, value_name = "NAME")]
    owner_name: Option<String>,
    /// The name of the first workspace
    #[arg(long, default_value = FIRST_WORKSPACE)]
    workspace: String,
}

pub fn run(command: Command) -> Result<(), Failure> {
    let Command::Create(arguments) = command;
    let config = arguments.config.load()?;
    let email = Mailbox::parse(&arguments.owner).map_err(|error| format!("--owner: {error}"))?;
    beside::secret_keys(&config)?;
    let password = password::generate();
    let is_known = is_known(&config.database.url.parse()?, &email)?;
    let owner = if is_known {
        Owner::Known(email)
    } else {
        Owner::New(NewPerson {
            name: arguments
                .owner_name
                .unwrap_or_else(|| email.local().to_owned()),
            email,
            password_hash: password::hash(&password),
            operator: false,
        })
    };
    let (name, workspace) = (arguments.name, arguments.workspace);
    let create = move |tx: &mut Tx| {
        customers::create_owned(tx, &name, &workspace, &owner).map(Verdict::Done)
    };
    let (organization, workspace, user) = beside::write(&config, create)?;
    let mut text = format!(
        "Created {} ({}) with the workspace {} ({}), owned by {} ({}).\n",
        organization.id,
        organization.name,
        workspace.id,
        workspace.name,
        user.id,
        user.email.unwrap_or_default()
    );
    if is_known {
        return output::print(text);
    }
    writeln!(text, "Password: {password}")?;
    output::print_once(text, LOST_PASSWORD)
}

/// Whether somebody signs in with the address already.
fn is_known(database: &crate::store::Database, email: &Mailbox) -> Result<bool, Failure> {
    let (store, key) = (Store::open_as_guest(database)?, email.account_key());
    let found: Result<_, crate::store::Error> = actix_web::rt::System::new()
        .block_on(store.read(move |snapshot| find_person(snapshot, &key)));
    Ok(found?.is_some())
}
