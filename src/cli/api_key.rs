//! `countersign api-key create`: a first key for a customer, as its owner would make one in the Dev Centre. Works beside a
//! running server, and is done when that has noticed.

use super::{ConfigArguments, Failure, beside, output};
use crate::crypto::digest::{Digester, Purpose};
use crate::crypto::format::mint_key;
use crate::domain::Refusal;
use crate::domain::desk::Desk;
use crate::domain::keys::api_keys::{self, Minted, NewApiKey, Reach};
use crate::domain::keys::expiry::Expiry;
use crate::domain::rights::asker::Asker;
use crate::domain::settings::Settings;
use crate::store::api_keys::ApiKey;
use crate::store::members::MemberFilter;
use crate::store::organizations::Organization;
use crate::store::{Tx, Verdict};
use crate::types::environment::Environment;
use crate::types::id::{OrganizationId, UserId};
use crate::types::state::{MemberState, OrganizationRole, PermissionLevel, UserKind};

/// Among so many the first is looked for.
const MOST_OWNERS: i64 = 1000;

#[derive(clap::Subcommand)]
pub enum Command {
    /// Create a key in the name of the organization's owner, and print it: it is shown once
    Create(Create),
}

#[derive(clap::Args)]
pub struct Create {
    #[command(flatten)]
    config: ConfigArguments,
    /// The organization, by its id or its name
    #[arg(long, value_name = "ID or NAME")]
    organization: String,
    /// What the key is for
    #[arg(long, default_value = "First key")]
    name: String,
    /// sandbox or production
    #[arg(long, default_value = "sandbox", value_name = "ENVIRONMENT")]
    environment: String,
    /// Only let it read
    #[arg(long)]
    read_only: bool,
    /// Days until it expires
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..=3650))]
    expires_days: u16,
    /// Print only the key
    #[arg(long)]
    quiet: bool,
}

pub fn run(command: Command) -> Result<(), Failure> {
    let Command::Create(arguments) = command;
    let config = arguments.config.load()?;
    let environment: Environment = arguments
        .environment
        .parse()
        .map_err(|error| format!("--environment: {error}"))?;
    let digester = Digester::new(&beside::secret_keys(&config)?);
    let (public_id, secret) = mint_key(&config.keys.prefix, config.keys.marker(environment));
    let wanted = Wanted {
        organization: arguments.organization,
        name: arguments.name,
        environment,
        level: if arguments.read_only {
            PermissionLevel::ReadOnly
        } else {
            PermissionLevel::Full
        },
        expires_days: arguments.expires_days,
        minted: Minted {
            public_id,
            digest: digester.digest(Purpose::ApiKey, secret.expose()),
        },
    };
    let settings = Settings::new(&config)?;
    let create = move |tx: &mut Tx| create(tx, &settings, &wanted).map(Verdict::Done);
    let (key, organization) = beside::write(&config, create)?;
    let text = if arguments.quiet {
        format!("{}\n", secret.expose())
    } else {
        format!(
            "Created {} ({}, {}) of {}.\nKey, shown once: {}\n",
            key.id,
            key.name,
            key.environment,
            organization.name,
            secret.expose()
        )
    };
    let remedy = format!("Nobody has seen the secret of {}: revoke it.", key.id);
    output::print_once(text, &remedy)
}

struct Wanted {
    organization: String,
    name: String,
    environment: Environment,
    level: PermissionLevel,
    expires_days: u16,
    minted: Minted,
}

/// In every workspace of the organization there is: an organization-wide key would also reach later ones.
fn create(
    tx: &mut Tx,
    settings: &Settings,
    wanted: &Wanted,
) -> Result<(ApiKey, Organization), Refusal> {
    let organization = find(tx, &wanted.organization)?;
    tx.advance_generation(organization.id)?;
    let owner = owner(tx, organization.id)?;
    let workspaces = tx.list_workspaces(organization.id)?;
    let new = NewApiKey {
        owner: None,
        name: wanted.name.clone(),
        description: String::new(),
        environment: wanted.environment,
        reach: Reach::Workspaces(workspaces.iter().map(|workspace| workspace.id).collect()),
        permission_level: wanted.level,
        expiry: Expiry::InDays(i64::from(wanted.expires_days)),
        self_rotation: false,
        secret: Some(wanted.minted.clone()),
    };
    let key = api_keys::create(
        &mut Desk {
            tx,
            settings,
            organization: organization.id,
            asker: &Asker::person(owner),
        },
        &new,
    )?;
    Ok((key, organization))
}

fn find(tx: &mut Tx, named: &str) -> Result<Organization, Refusal> {
    let found = match named.parse::<OrganizationId>() {
        Ok(id) => tx.find_organization(id)?,
        Err(_) => tx.find_organization_by_name(named)?,
    };
    found.ok_or_else(|| Refusal::field("organization", format!("{named:?} is not there")))
}

/// The first owner: as whom the key acts.
fn owner(tx: &mut Tx, organization: OrganizationId) -> Result<UserId, Refusal> {
    let owners = MemberFilter {
        role: Some(OrganizationRole::Owner),
        state: Some(MemberState::Active),
        kind: Some(UserKind::Person),
        ..MemberFilter::default()
    };
    let now = tx.now;
    let owners = tx.list_members_page(organization, &owners, None, MOST_OWNERS, now)?;
    let first = owners.last().map(|(member, _)| member.user_id);
    first.ok_or_else(|| Refusal::field("organization", "has no owner yet: a key acts as somebody"))
}
