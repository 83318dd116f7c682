//! Provisioning: a billing system tells what there is, by its own names (`external_id`).
//!
//! Invariant: an upsert is safe to repeat. What is as wanted already is not written: no event, nothing forgotten. An
//! `external_id` names one thing in the whole installation.

use crate::config::Catalogue;
use crate::domain::people::organizations::{
    self, OrganizationChange, Wanted, ensure_operator, parse_external_id, parse_name,
    parse_time_zone,
};
use crate::domain::people::workspaces::{self, NewWorkspace, WorkspaceChange};
use crate::domain::plans::seats;
use crate::domain::rights::caller::Caller;
use crate::domain::{Refusal, ensure};
use crate::store::members::{Member, WorkspaceMember};
use crate::store::organizations::Organization;
use crate::store::subscriptions::Subscription;
use crate::store::users::User;
use crate::store::workspaces::Workspace;
use crate::store::{Error, Tx};
use crate::types::email::Mailbox;
use crate::types::event::Event;
use crate::types::id::{OrganizationId, UserId};
use crate::types::refusal_code::RefusalCode;
use crate::types::state::{Licence, OrganizationRole, OrganizationState, UserKind, UserState};

/// What an upsert did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    Unchanged,
    Updated,
    Created,
}

impl Outcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unchanged => "unchanged",
            Self::Updated => "updated",
            Self::Created => "created",
        }
    }
}

/// An organization as it is to be; what is none stays, or takes the default.
#[derive(Debug, Clone, Default)]
pub struct WantedOrganization {
    /// Needed for a new one.
    pub name: Option<String>,
    pub time_zone: Option<String>,
    pub state: Option<OrganizationState>,
    pub subscription: Option<Wanted>,
}

/// A person as they are to be.
#[derive(Debug, Clone, Default)]
pub struct WantedUser {
    /// Needed for a new one, as the name.
    pub email: Option<String>,
    pub name: Option<String>,
    pub state: Option<UserState>,
}

/// A membership as it is to be.
#[derive(Debug, Clone, Default)]
pub struct WantedMember {
    pub role: Option<OrganizationRole>,
    pub licence: Option<Licence>,
    /// The workspaces to be in, by external id, with the role there. Others are left alone.
    pub workspaces: Vec<(String, String)>,
}

/// The organization with this name, made or brought up to date. Its lock is taken here: who calls holds none.
pub fn put_organization(
    tx: &mut Tx,
    catalogue: &Catalogue,
    caller: &Caller,
    external_id: &str,
    wanted: &WantedOrganization,
) -> Result<(Organization, Outcome), Refusal> {
    ensure_operator(caller)?;
    let external_id = parse_external_id(external_id)?;
    let (mut organization, mut outcome) = match tx.find_organization_by_external_id(&external_id)? {
        None => (
            create_organization(tx, caller, external_id, wanted)?,
            Outcome::Created,
        ),
        Some(found) => {
            tx.advance_generation(found.id)?;
            let change = OrganizationChange {
                name: wanted.name.clone(),
                time_zone: wanted.time_zone.clone(),
            };
            organizations::apply(tx, caller, found, &change)?
        }
    };
    if let Some(subscription) = &wanted.subscription {
        outcome = outcome.max(at_most_updated(
            organizations::subscribe(tx, catalogue, organization.id, caller, subscription)?.1,
        ));
    }
    if let Some(state) = wanted.state {
        let (changed, done) = organizations::apply_state(tx, caller, organization, state)?;
        (organization, outcome) = (changed, outcome.max(done));
    }
    Ok((organization, outcome))
}

/// A part that was created changes the whole.
fn at_most_updated(outcome: Outcome) -> Outcome {
    outcome.min(Outcome::Updated)
}

fn create_organization(
    tx: &mut Tx,
    caller: &Caller,
    external_id: String,
    wanted: &WantedOrganization,
) -> Result<Organization, Refusal> {
    let name = wanted
        .name
        .as_deref()
        .ok_or(Refusal::field("name", "is needed for a new organization"))?;
    let mut organization =
        Organization::new(OrganizationId::generate(tx.now), parse_name(name)?, tx.now);
    organization.external_id = Some(external_id);
    if let Some(zone) = &wanted.time_zone {
        organization.time_zone = parse_time_zone(zone)?;
    }
    tx.insert_organization(&organization)?;
    tx.record(
        Some(organization.id),
        Some(caller.user),
        Event::OrganizationCreated,
        organization.id.as_str(),
        &organization.name,
    )?;
    Ok(organization)
}

/// The workspace with this name in the organization.
pub fn put_workspace(
    tx: &mut Tx,
    catalogue: &Catalogue,
    caller: &Caller,
    organization: OrganizationId,
    external_id: &str,
    name: Option<&str>,
) -> Result<(Workspace, Outcome), Refusal> {
    ensure_operator(caller)?;
    let external_id = parse_external_id(external_id)?;
    let Some(found) = tx.find_workspace_by_external_id(&external_id)? else {
        let name = name
            .ok_or(Refusal::field("name", "is needed for a new workspace"))?
            .to_owned();
        let new = NewWorkspace {
            name,
            external_id: Some(external_id),
            is_service: false,
        };
        return Ok((
            workspaces::create(tx, catalogue, organization, caller, new)?,
            Outcome::Created,
        ));
    };
    let elsewhere = "Another organization's workspace has this external_id.";
    ensure(
        found.organization_id == organization,
        Refusal::Coded(RefusalCode::ExternalIdTaken, elsewhere.to_owned()),
    )?;
    match name {
        Some(name) if parse_name(name)? != found.name => {
            let change = WorkspaceChange {
                name: Some(name.to_owned()),
                external_id: None,
            };
            Ok((
                workspaces::change(tx, catalogue, organization, caller, found.id, change)?,
                Outcome::Updated,
            ))
        }
        _ => Ok((found, Outcome::Unchanged)),
    }
}

/// The person with this name. A person who signed up by themselves is found by the address, and gets the external id; an
/// address of somebody who has another one, or of an operator, is refused.
pub fn put_user(
    tx: &mut Tx,
    caller: &Caller,
    external_id: &str,
    wanted: &WantedUser,
) -> Result<(User, Outcome), Refusal> {
    ensure_operator(caller)?;
    let found = find_user(tx, external_id, wanted)?;
    let external_id = external_id.to_owned();
    let email = wanted.email.as_deref().map(parse_email).transpose()?;
    let name = wanted.name.as_deref().map(parse_name).transpose()?;
    let (user, outcome) = match found {
        Some(found) => change_user(tx, caller, found, external_id, email, name)?,
        None => {
            let email = email.ok_or(Refusal::field("email", "is needed for a new user"))?;
            let name = name.ok_or(Refusal::field("name", "is needed for a new user"))?;
            (
                create_user(tx, caller, external_id, email, name)?,
                Outcome::Created,
            )
        }
    };
    match wanted.state {
        Some(state) => {
            let done = set_user_state(tx, caller, user.id, state)?;
            Ok((User { state, ..user }, outcome.max(done)))
        }
        None => Ok((user, outcome)),
    }
}

/// Whom it is about; none for a new one. Everything that can be refused about a person is refused here.
fn find_user(tx: &mut Tx, external_id: &str, wanted: &WantedUser) -> Result<Option<User>, Refusal> {
    let external_id = parse_external_id(external_id)?;
    let email = wanted.email.as_deref().map(parse_email).transpose()?;
    let name = wanted.name.as_deref().map(parse_name).transpose()?;
    let by_email = match &email {
        Some(email) => tx.find_user_by_email(email)?,
        None => None,
    };
    match (tx.find_user_by_external_id(&external_id)?, by_email) {
        (Some(own), Some(other)) if own.id != other.id => Err(email_taken()),
        (Some(own), _) if own.operator => Err(Refusal::Coded(
            RefusalCode::ExternalIdTaken,
            "An operator has this external_id.".to_owned(),
        )),
        (Some(own), _) => Ok(Some(own)),
        // an address that nobody has proven may be somebody else's: whoever wrote it down first would be let in
        (None, Some(other))
            if other.external_id.is_none()
                && !other.operator
                && other.email_verified_at.is_some() =>
        {
            Ok(Some(other))
        }
        (None, Some(_)) => Err(email_taken()),
        (None, None) => {
            ensure(
                email.is_some(),
                Refusal::field("email", "is needed for a new user"),
            )?;
            ensure(
                name.is_some(),
                Refusal::field("name", "is needed for a new user"),
            )?;
            Ok(None)
        }
    }
}

fn email_taken() -> Refusal {
    Refusal::Coded(
        RefusalCode::EmailTaken,
        "The address belongs to somebody else.".to_owned(),
    )
}

fn parse_email(email: &str) -> Result<String, Refusal> {
    Mailbox::parse(email)
        .map(|mailbox| mailbox.account_key())
        .map_err(|error| Refusal::field("email", error.to_string()))
}

/// The vendor vouches for the address. Without a password, a provider signs the person in.
fn create_user(
    tx: &mut Tx,
    caller: &Caller,
    external_id: String,
    email: String,
    name: String,
) -> Result<User, Refusal> {
    let user = User {
        id: UserId::generate(tx.now),
        kind: UserKind::Person,
        email: Some(email),
        email_verified_at: Some(tx.now),
        name,
        password_hash: None,
        state: UserState::Active,
        operator: false,
        external_id: Some(external_id),
        created_at: tx.now,
    };
    tx.insert_user(&user)?;
    tx.record(
        None,
        Some(caller.user),
        Event::UserCreated,
        user.id.as_str(),
        "",
    )?;
    Ok(user)
}

fn change_user(
    tx: &mut Tx,
    caller: &Caller,
    before: User,
    external_id: String,
    email: Option<String>,
    name: Option<String>,
) -> Result<(User, Outcome), Refusal> {
    let mut after = before.clone();
    after.external_id = Some(external_id);
    if let Some(email) = email.filter(|email| before.email.as_ref() != Some(email)) {
        after.email = Some(email);
        after.email_verified_at = Some(tx.now);
    }
    after.name = name.unwrap_or(after.name);
    if (&after.external_id, &after.email, &after.name)
        == (&before.external_id, &before.email, &before.name)
    {
        return Ok((before, Outcome::Unchanged));
    }
    tx.change_user(&after)?;
    tx.record(
        None,
        Some(caller.user),
        Event::UserChanged,
        after.id.as_str(),
        "",
    )?;
    Ok((after, Outcome::Updated))
}

/// Suspends a person everywhere, or takes that back. Not an operator: those are the installation's own.
pub fn set_user_state(
    tx: &mut Tx,
    caller: &Caller,
    id: UserId,
    to: UserState,
) -> Result<Outcome, Refusal> {
    ensure_operator(caller)?;
    let user = tx
        .find_user(id)?
        .filter(|user| user.kind == UserKind::Person && !user.operator)
        .ok_or(Refusal::NotFound)?;
    if user.state == to {
        return Ok(Outcome::Unchanged);
    }
    match tx.change_user_state(id, user.state, to) {
        Err(Error::NotFound) => return Ok(Outcome::Unchanged),
        changed => changed?,
    }
    let event = match to {
        UserState::Suspended => Event::UserSuspended,
        UserState::Active => Event::UserResumed,
    };
    tx.record(None, Some(caller.user), event, id.as_str(), "")?;
    Ok(Outcome::Updated)
}

/// A person and their membership together: what is refused changes neither. Runs behind the organization's lock: seats and
/// owners are counted.
pub fn put_person(
    tx: &mut Tx,
    catalogue: &Catalogue,
    caller: &Caller,
    organization: OrganizationId,
    external_id: &str,
    user: &WantedUser,
    member: &WantedMember,
) -> Result<(User, Outcome), Refusal> {
    ensure_operator(caller)?;
    let known = find_user(tx, external_id, user)?;
    check_member(
        tx,
        catalogue,
        organization,
        known.map(|user| user.id),
        member,
    )?;
    let (user, outcome) = put_user(tx, caller, external_id, user)?;
    let joined = put_member(tx, catalogue, caller, organization, user.id, member)?;
    Ok((
        user,
        if joined == Outcome::Unchanged {
            outcome
        } else {
            outcome.max(Outcome::Updated)
        },
    ))
}

/// Everything that can be refused about a membership.
fn check_member(
    tx: &mut Tx,
    catalogue: &Catalogue,
    organization: OrganizationId,
    user: Option<UserId>,
    wanted: &WantedMember,
) -> Result<(), Refusal> {
    let member = match user {
        Some(user) => tx.find_member(organization, user)?,
        None => None,
    };
    let licence = wanted.licence.unwrap_or(
        member
            .as_ref()
            .map_or(Licence::Full, |member| member.licence),
    );
    if member
        .as_ref()
        .is_none_or(|member| member.licence != licence)
    {
        seats::ensure_free(tx, catalogue, organization, licence)?;
    }
    let is_owner = member.is_some_and(|member| member.role == OrganizationRole::Owner);
    if is_owner
        && wanted
            .role
            .is_some_and(|role| role != OrganizationRole::Owner)
    {
        let now = tx.now;
        let others = tx.count_owners(organization, now)? > 1;
        ensure(
            others,
            Refusal::Coded(
                RefusalCode::LastOwner,
                "The last owner of an organization stays one.".to_owned(),
            ),
        )?;
    }
    for (workspace, role) in &wanted.workspaces {
        check_workspace_role(tx, catalogue, organization, workspace, role)?;
    }
    Ok(())
}

/// The membership of a user whose every part was checked.
fn put_member(
    tx: &mut Tx,
    catalogue: &Catalogue,
    caller: &Caller,
    organization: OrganizationId,
    user: UserId,
    wanted: &WantedMember,
) -> Result<Outcome, Refusal> {
    let mut outcome = match tx.find_member(organization, user)? {
        None => {
            let licence = wanted.licence.unwrap_or(Licence::Full);
            let role = wanted.role.unwrap_or(OrganizationRole::Member);
            tx.insert_member(&Member::new(organization, user, role, licence, tx.now))?;
            tx.record(
                Some(organization),
                Some(caller.user),
                Event::MemberAdded,
                user.as_str(),
                role.as_str(),
            )?;
            Outcome::Created
        }
        Some(member) => change_member(tx, caller, &member, wanted)?,
    };
    for (workspace, role) in &wanted.workspaces {
        outcome = outcome.max(at_most_updated(put_workspace_role(
            tx,
            catalogue,
            caller,
            organization,
            user,
            workspace,
            role,
        )?));
    }
    Ok(outcome)
}

fn change_member(
    tx: &mut Tx,
    caller: &Caller,
    member: &Member,
    wanted: &WantedMember,
) -> Result<Outcome, Refusal> {
    let (organization, user) = (member.organization_id, member.user_id);
    let mut outcome = Outcome::Unchanged;
    if let Some(role) = wanted.role.filter(|role| *role != member.role) {
        tx.change_member_role(organization, user, member.role, role)?;
        tx.record(
            Some(organization),
            Some(caller.user),
            Event::MemberRoleChanged,
            user.as_str(),
            role.as_str(),
        )?;
        outcome = Outcome::Updated;
    }
    if let Some(licence) = wanted.licence.filter(|licence| *licence != member.licence) {
        tx.change_member_licence(organization, user, member.licence, licence)?;
        tx.record(
            Some(organization),
            Some(caller.user),
            Event::MemberLicenceChanged,
            user.as_str(),
            licence.as_str(),
        )?;
        outcome = Outcome::Updated;
    }
    Ok(outcome)
}

fn put_workspace_role(
    tx: &mut Tx,
    catalogue: &Catalogue,
    caller: &Caller,
    organization: OrganizationId,
    user: UserId,
    workspace: &str,
    role: &str,
) -> Result<Outcome, Refusal> {
    let found = check_workspace_role(tx, catalogue, organization, workspace, role)?;
    let roles = tx.list_workspace_roles(organization, user)?;
    let (event, outcome) = match roles.iter().find(|(id, _)| *id == found.id) {
        Some((_, held)) if held == role => return Ok(Outcome::Unchanged),
        Some((_, held)) => {
            tx.change_workspace_role(organization, found.id, user, held, role)?;
            (Event::WorkspaceMemberRoleChanged, Outcome::Updated)
        }
        None => {
            let member = WorkspaceMember {
                workspace_id: found.id,
                user_id: user,
                role: role.to_owned(),
                created_at: tx.now,
            };
            tx.insert_workspace_member(organization, &member)?;
            (Event::WorkspaceMemberAdded, Outcome::Created)
        }
    };
    tx.record(
        Some(organization),
        Some(caller.user),
        event,
        user.as_str(),
        role,
    )?;
    Ok(outcome)
}

fn check_workspace_role(
    tx: &mut Tx,
    catalogue: &Catalogue,
    organization: OrganizationId,
    workspace: &str,
    role: &str,
) -> Result<Workspace, Refusal> {
    let known: Vec<&str> = catalogue.roles().collect();
    ensure(
        known.contains(&role),
        Refusal::field("role", format!("must be one of {}", known.join(", "))),
    )?;
    let unknown = || {
        Refusal::Coded(
            RefusalCode::UnknownWorkspace,
            format!("The organization has no workspace with the external_id {workspace:?}."),
        )
    };
    tx.find_workspace_by_external_id(workspace)?
        .filter(|found| found.organization_id == organization)
        .ok_or_else(unknown)
}

/// A subscription by the billing system's own name: that of the organization it is for.
pub fn put_subscription(
    tx: &mut Tx,
    catalogue: &Catalogue,
    caller: &Caller,
    external_id: &str,
    organization: Option<OrganizationId>,
    mut wanted: Wanted,
) -> Result<(Subscription, Outcome), Refusal> {
    ensure_operator(caller)?;
    let external_id = parse_external_id(external_id)?;
    let found = tx
        .find_subscription_by_external_id(&external_id)?
        .map(|found| found.organization_id);
    let organization = match (found, organization) {
        (Some(own), Some(other)) if own != other => {
            return Err(Refusal::Coded(
                RefusalCode::ExternalIdTaken,
                "Another organization's subscription has this external_id.".to_owned(),
            ));
        }
        (Some(own), _) => own,
        (None, Some(other)) => other,
        (None, None) => {
            return Err(Refusal::field(
                "organization",
                "is needed for a new subscription",
            ));
        }
    };
    tx.advance_generation(organization)?;
    wanted.external_id = Some(Some(external_id));
    organizations::subscribe(tx, catalogue, organization, caller, &wanted)
}
