//! `countersign user`: accounts. One that is created has a verified address, as the operator vouches for it.
//!
//! Works beside a running server, and is done when that has noticed (`beside.rs`).

use std::fmt::Write as _;

use super::{ConfigArguments, Failure, beside};
use crate::app::secret_keys;
use crate::crypto::password;
use crate::domain::Refusal;
use crate::domain::people::accounts::{self, NewPerson};
use crate::store::{self, Store, Tx, Verdict};
use crate::types::email::Mailbox;
use crate::types::state::{OrganizationRole, ProductionAccess};

/// People that one listing shows.
const MOST_LISTED: i64 = 10_000;

#[derive(clap::Subcommand)]
pub enum Command {
    /// Create an account; its password is read from standard input, or made and printed
    Create(Create),
    /// List the people, the newest first
    List(ConfigArguments),
}

#[derive(clap::Args)]
pub struct Create {
    #[command(flatten)]
    config: ConfigArguments,
    /// The e-mail address to sign in with
    #[arg(long)]
    email: String,
    /// The person's name
    #[arg(long)]
    name: String,
    /// Make the person an operator of this installation
    #[arg(long)]
    operator: bool,
    /// Add the person to the organization of this name; it is created when there is none
    #[arg(long, value_name = "NAME")]
    organization: Option<String>,
    /// The role in that organization: owner, admin or member
    #[arg(long, default_value = "owner", requires = "organization")]
    role: String,
    /// Read the password from standard input instead of making one
    #[arg(long)]
    password_stdin: bool,
}

#[expect(clippy::print_stdout, reason = "it is what was asked for")]
pub fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Create(arguments) => run_create(arguments),
        Command::List(arguments) => {
            let config = arguments.load()?;
            let store = Store::open_as_guest(&config.database.url.parse()?)?;
            print!("{}", actix_web::rt::System::new().block_on(list(&store))?);
            Ok(())
        }
    }
}

async fn list(store: &Store) -> Result<String, Failure> {
    let people: Result<_, store::Error> = store
        .read(|snapshot| snapshot.list_people(MOST_LISTED))
        .await;
    let mut text = format!(
        "{:<26}  {:<9}  {:<8}  {:<24}  {}\n",
        "ID", "STATE", "OPERATOR", "CREATED", "E-MAIL"
    );
    for person in people? {
        writeln!(
            text,
            "{:<26}  {:<9}  {:<8}  {:<24}  {}",
            person.id.as_str(),
            person.state.as_str(),
            if person.operator { "yes" } else { "no" },
            person.created_at.rfc3339(),
            person.email.unwrap_or_default()
        )?;
    }
    Ok(text)
}

#[expect(clippy::print_stdout, reason = "it is what was asked for")]
fn run_create(arguments: Create) -> Result<(), Failure> {
    let config = arguments.config.load()?;
    let email = Mailbox::parse(&arguments.email).map_err(|error| format!("--email: {error}"))?;
    let role: OrganizationRole = arguments
        .role
        .parse()
        .map_err(|error| format!("--role: {error}"))?;
    let password = if arguments.password_stdin {
        read_password()?
    } else {
        password::generate()
    };
    accounts::check_password(&password).map_err(|refusal| words(&refusal))?;
    secret_keys(&config)?;
    let person = NewPerson {
        email,
        name: arguments.name,
        password_hash: password::hash(&password),
        operator: arguments.operator,
    };
    let organization = arguments.organization;
    let write =
        move |tx: &mut Tx| create(tx, &person, organization.as_deref(), role).map(Verdict::Done);
    println!("{}", beside::write(&config, write)?);
    if !arguments.password_stdin {
        println!("Password: {password}");
    }
    Ok(())
}

fn create(
    tx: &mut Tx,
    person: &NewPerson,
    organization: Option<&str>,
    role: OrganizationRole,
) -> Result<String, Refusal> {
    let user = accounts::create_person(tx, person)?;
    let Some(name) = organization else {
        return Ok(format!("Created {}.", user.id));
    };
    let found = tx.find_organization_by_name(name)?;
    let organization = match found {
        Some(organization) => organization,
        None => {
            let organization = accounts::create_organization(tx, name, ProductionAccess::None)?;
            accounts::create_workspace(tx, organization.id, accounts::FIRST_WORKSPACE)?;
            organization
        }
    };
    accounts::add_member(tx, organization.id, user.id, role)?;
    Ok(format!(
        "Created {} as {role} of {} ({}).",
        user.id, organization.name, organization.id
    ))
}

/// One line, without its end.
fn read_password() -> Result<String, Failure> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

pub(super) fn words(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Invalid(errors) => errors
            .iter()
            .map(|(field, message)| format!("{field} {message}"))
            .collect::<Vec<_>>()
            .join("; "),
        other => other.to_string(),
    }
}
