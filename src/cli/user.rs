//! `countersign user`: accounts. One that is created has a verified address, as the operator vouches for it.
//!
//! Works beside a running server, and is done when that has noticed (`beside.rs`).

use std::fmt::Write as _;

use super::{ConfigArguments, Failure, beside, output};
use crate::crypto::password;
use crate::domain::Refusal;
use crate::domain::lifecycle::provisioning;
use crate::domain::people::accounts::{self, NewPerson};
use crate::domain::people::addresses;
use crate::domain::people::passwords::{self, check_password};
use crate::store::{self, Store, Tx, Verdict};
use crate::types::email::Mailbox;
use crate::types::state::{OrganizationRole, ProductionAccess, UserState};

/// What to do when a password that was made could not be shown.
pub(super) const LOST_PASSWORD: &str =
    "Nobody has seen the password: `countersign user password` makes another one.";
/// People that one listing shows.
const MOST_LISTED: i64 = 10_000;

#[derive(clap::Subcommand)]
pub enum Command {
    /// Create an account; its password is read from standard input, or made and printed
    Create(Create),
    /// List the people, the newest first
    List(ConfigArguments),
    /// Suspend a person everywhere: sessions end, and what acts as them stops; not for operators
    Suspend(Named),
    /// Take a suspension back
    Resume(Named),
    /// Give an account another password, which signs it out everywhere
    Password(Password),
}

#[derive(clap::Args)]
pub struct Named {
    #[command(flatten)]
    config: ConfigArguments,
    /// The e-mail address that the person signs in with
    #[arg(long)]
    email: String,
}

#[derive(clap::Args)]
pub struct Password {
    #[command(flatten)]
    config: ConfigArguments,
    /// The e-mail address that the person signs in with
    #[arg(long)]
    email: String,
    /// Read the password from standard input instead of making one
    #[arg(long)]
    password_stdin: bool,
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

pub fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Create(arguments) => run_create(arguments),
        Command::Password(arguments) => run_password(&arguments),
        Command::Suspend(named) => run_state(&named, UserState::Suspended),
        Command::Resume(named) => run_state(&named, UserState::Active),
        Command::List(arguments) => run_list(&arguments),
    }
}

fn run_list(arguments: &ConfigArguments) -> Result<(), Failure> {
    let config = arguments.load()?;
    let store = Store::open_as_guest(&config.database.url.parse()?)?;
    output::print(actix_web::rt::System::new().block_on(list(&store))?)
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

/// What the person types to sign in: the address, with four digits behind it when it is somebody else's.
fn sign_in_name(typed: &str) -> Result<String, Failure> {
    let name = addresses::account_key(typed);
    Mailbox::parse(addresses::address_in(&name)).map_err(|error| format!("--email: {error}"))?;
    Ok(name)
}

fn run_state(named: &Named, to: UserState) -> Result<(), Failure> {
    let config = named.config.load()?;
    let name = sign_in_name(&named.email)?;
    let write = move |tx: &mut Tx| {
        let unknown = || Refusal::field("--email", "is nobody's, or an operator's");
        let person = tx
            .find_user_by_email(&name)?
            .filter(|person| !person.operator)
            .ok_or_else(unknown)?;
        provisioning::write_user_state(tx, None, person.id, to)?;
        Ok(Verdict::Done(person.id.to_string()))
    };
    let person = beside::write(&config, write)?;
    output::print(match to {
        UserState::Suspended => format!("Suspended {person} everywhere.\n"),
        UserState::Active => format!("{person} is active again.\n"),
    })
}

fn run_password(arguments: &Password) -> Result<(), Failure> {
    let config = arguments.config.load()?;
    let name = sign_in_name(&arguments.email)?;
    let password = wanted_password(arguments.password_stdin)?;
    let hash = password::hash(&password);
    let shown = (!arguments.password_stdin).then(|| password.clone());
    let write = move |tx: &mut Tx| {
        let unknown = || Refusal::field("--email", "nobody signs in with this address");
        let user = accounts::find_person(tx, &name)?.ok_or_else(unknown)?;
        check_password(&password, &[&name, &user.name])?;
        passwords::change(tx, &user, &hash, None)?;
        Ok(Verdict::Done(user.id.to_string()))
    };
    let changed = beside::write(&config, write)?;
    show(
        &format!("Changed the password of {changed}, and signed it out everywhere."),
        shown.as_deref(),
    )
}

fn run_create(arguments: Create) -> Result<(), Failure> {
    let config = arguments.config.load()?;
    let email = Mailbox::parse(&arguments.email).map_err(|error| format!("--email: {error}"))?;
    let role: OrganizationRole = arguments
        .role
        .parse()
        .map_err(|error| format!("--role: {error}"))?;
    let password = wanted_password(arguments.password_stdin)?;
    check_password(&password, &[&arguments.email, &arguments.name])
        .map_err(|refusal| words(&refusal))?;
    beside::secret_keys(&config)?;
    let person = NewPerson {
        email,
        name: arguments.name,
        password_hash: password::hash(&password),
        operator: arguments.operator,
    };
    let organization = arguments.organization;
    let write =
        move |tx: &mut Tx| create(tx, &person, organization.as_deref(), role).map(Verdict::Done);
    let made = (!arguments.password_stdin).then_some(password.as_str());
    show(&beside::write(&config, write)?, made)
}

/// What was done, and the password if one was made.
fn show(done: &str, password: Option<&str>) -> Result<(), Failure> {
    match password {
        Some(password) => {
            output::print_once(format!("{done}\nPassword: {password}\n"), LOST_PASSWORD)
        }
        None => output::print(format!("{done}\n")),
    }
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

/// One line of standard input without its end, or a new one.
fn wanted_password(from_stdin: bool) -> Result<String, Failure> {
    if !from_stdin {
        return Ok(password::generate());
    }
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
