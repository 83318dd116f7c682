//! People, organizations and workspaces: how they come to be.

use crate::domain::people::addresses;
use crate::domain::{Refusal, ensure};
use crate::store::domains::Domain;
use crate::store::members::{Member, WorkspaceMember};
use crate::store::organizations::Organization;
use crate::store::users::User;
use crate::store::workspaces::Workspace;
use crate::store::{Error, Snapshot, Tx};
use crate::types::email::Mailbox;
use crate::types::event::Event;
use crate::types::id::{DomainId, OrganizationId, UserId, WorkspaceId};
use crate::types::state::{Licence, OrganizationRole, ProductionAccess, UserKind, UserState};
use crate::types::text::parse_text;
use crate::types::time::Timestamp;

pub const MOST_NAME: usize = 100;
/// The workspace that every new organization starts with, unless another name is given.
pub const FIRST_WORKSPACE: &str = "Main";

/// A person with a verified address, as the operator or the quickstart creates one.
pub struct NewPerson {
    pub email: Mailbox,
    pub name: String,
    /// argon2id, made outside the transaction.
    pub password_hash: String,
    pub operator: bool,
}

/// An account that has the address and has not proven it gives way.
pub fn create_person(tx: &mut Tx, person: &NewPerson) -> Result<User, Refusal> {
    let now = tx.now;
    create(tx, person, Some(now))
}

/// The same, of whose address nobody has proven anything yet: where it is somebody's, the account gets another name.
pub(in crate::domain) fn create_unproven_person(
    tx: &mut Tx,
    person: &NewPerson,
) -> Result<User, Refusal> {
    create(tx, person, None)
}

fn create(
    tx: &mut Tx,
    person: &NewPerson,
    verified_at: Option<Timestamp>,
) -> Result<User, Refusal> {
    let name = parse_text(&person.name, MOST_NAME)
        .map_err(|error| Refusal::Invalid(vec![("name", error.to_string())]))?;
    let address = person.email.account_key();
    let email = if verified_at.is_some() {
        let free = addresses::claim(tx, None, &address)?;
        ensure(free, Refusal::field("email", "is taken by another account"))?;
        address
    } else {
        addresses::unproven_name(tx, &address)?
    };
    let checked = CheckedPerson {
        email,
        email_verified_at: verified_at,
        name,
        password_hash: Some(person.password_hash.clone()),
        operator: person.operator,
    };
    Ok(insert_person(tx, checked)?)
}

/// A person whose address and name were checked.
pub(in crate::domain) struct CheckedPerson {
    pub email: String,
    pub email_verified_at: Option<Timestamp>,
    pub name: String,
    /// Without one somebody else's provider signs them in.
    pub password_hash: Option<String>,
    pub operator: bool,
}

pub(in crate::domain) fn insert_person(tx: &mut Tx, person: CheckedPerson) -> Result<User, Error> {
    let CheckedPerson {
        email,
        email_verified_at,
        name,
        password_hash,
        operator,
    } = person;
    let user = User {
        id: UserId::generate(tx.now),
        kind: UserKind::Person,
        email: Some(email),
        email_verified_at,
        name,
        password_hash,
        state: UserState::Active,
        operator,
        external_id: None,
        created_at: tx.now,
    };
    tx.insert_user(&user)?;
    tx.record(
        None,
        None,
        Event::UserCreated,
        user.id.as_str(),
        if user.operator { "operator" } else { "" },
    )?;
    Ok(user)
}

/// An operator runs the installation and belongs to no organization: nobody draws them into one.
pub(in crate::domain) fn ensure_no_operator(user: &User) -> Result<(), Refusal> {
    ensure(
        !user.operator,
        Refusal::Forbidden("Operators belong to no organization. Use another account for that."),
    )
}

/// Who may sign in with this address. The suspended read as unknown; service accounts have no address.
pub fn find_person(snapshot: &mut Snapshot, account_key: &str) -> Result<Option<User>, Error> {
    let person = snapshot.find_user_by_email(account_key)?;
    Ok(person.filter(|user| user.kind == UserKind::Person && user.state == UserState::Active))
}

/// A service account: a member of the organization that nobody signs in as.
pub fn create_service_account(
    tx: &mut Tx,
    organization: OrganizationId,
    name: &str,
) -> Result<User, Error> {
    let user = User {
        id: UserId::generate(tx.now),
        kind: UserKind::ServiceAccount,
        email: None,
        email_verified_at: None,
        name: name.to_owned(),
        password_hash: None,
        state: UserState::Active,
        operator: false,
        external_id: None,
        created_at: tx.now,
    };
    tx.insert_user(&user)?;
    add_member(tx, organization, user.id, OrganizationRole::Member)?;
    Ok(user)
}

pub fn create_organization(
    tx: &mut Tx,
    name: &str,
    production_access: ProductionAccess,
) -> Result<Organization, Refusal> {
    let name = parse_text(name, MOST_NAME)
        .map_err(|error| Refusal::Invalid(vec![("name", error.to_string())]))?;
    let organization = Organization {
        production_access,
        ..Organization::new(OrganizationId::generate(tx.now), name, tx.now)
    };
    tx.insert_organization(&organization)?;
    tx.record(
        Some(organization.id),
        None,
        Event::OrganizationCreated,
        organization.id.as_str(),
        &organization.name,
    )?;
    Ok(organization)
}

pub fn create_workspace(
    tx: &mut Tx,
    organization: OrganizationId,
    name: &str,
) -> Result<Workspace, Refusal> {
    let name = parse_text(name, MOST_NAME)
        .map_err(|error| Refusal::Invalid(vec![("name", error.to_string())]))?;
    let workspace = Workspace::new(organization, name, tx.now);
    tx.insert_workspace(&workspace)?;
    tx.record(
        Some(organization),
        None,
        Event::WorkspaceCreated,
        workspace.id.as_str(),
        &workspace.name,
    )?;
    Ok(workspace)
}

pub fn add_member(
    tx: &mut Tx,
    organization: OrganizationId,
    user: UserId,
    role: OrganizationRole,
) -> Result<(), Error> {
    let member = Member::new(organization, user, role, Licence::Full, tx.now);
    tx.insert_member(&member)?;
    tx.record(
        Some(organization),
        None,
        Event::MemberAdded,
        user.as_str(),
        role.as_str(),
    )
}

pub fn add_workspace_member(
    tx: &mut Tx,
    organization: OrganizationId,
    workspace: WorkspaceId,
    user: UserId,
    role: &str,
) -> Result<(), Error> {
    let member = WorkspaceMember {
        workspace_id: workspace,
        user_id: user,
        role: role.to_owned(),
        created_at: tx.now,
    };
    tx.insert_workspace_member(organization, &member)?;
    tx.record(
        Some(organization),
        None,
        Event::WorkspaceMemberAdded,
        user.as_str(),
        role,
    )
}

/// A domain that whoever runs the server vouches for: nothing is looked up. `Constraint`: another organization has it.
pub fn add_verified_domain(
    tx: &mut Tx,
    organization: OrganizationId,
    name: &crate::types::email::Domain,
) -> Result<(), Error> {
    let domain = Domain {
        id: DomainId::generate(tx.now),
        organization_id: organization,
        name: name.as_str().to_owned(),
        verified_at: Some(tx.now),
        created_at: tx.now,
        verification_token: None,
        include_subdomains: None,
        lost_at: None,
        checked_at: None,
        last_finding: None,
        failed_checks: 0,
        next_check_at: None,
    };
    tx.insert_domain(&domain)?;
    tx.record(
        Some(organization),
        None,
        Event::DomainVerified,
        domain.id.as_str(),
        name.as_str(),
    )
}
