//! Provisioning: a billing system tells what there is, by its own names (`external_id`).
//!
//! Invariants: an upsert is safe to repeat. What is as wanted already is not written: no event, nothing forgotten. An
//! `external_id` names one thing in the whole installation. Whoever provisions gives no member of an organization that is there
//! already more than they hold, and gives a person another address, by which that person signs in, only if they hold all that
//! the person holds, everywhere.

use crate::config::Catalogue;
use crate::domain::desk::{Desk, VendorDesk};
use crate::domain::people::accounts::FIRST_WORKSPACE;
use crate::domain::people::addresses;
use crate::domain::people::endings;
use crate::domain::people::organizations::{
    self, Effect, OrganizationChange, SubscriptionChange, parse_external_id, parse_name,
    parse_time_zone,
};
use crate::domain::people::planted;
use crate::domain::people::workspaces::{self, NewWorkspace, WorkspaceChange};
use crate::domain::plans::seats;
use crate::domain::rights::rights::{self, BEYOND};
use crate::domain::{Refusal, ensure};
use crate::store::members::{Member, WorkspaceMember};
use crate::store::organizations::Organization;
use crate::store::subscriptions::Subscription;
use crate::store::users::User;
use crate::store::workspaces::Workspace;
use crate::store::{Error, Tx};
use crate::types::email::Mailbox;
use crate::types::event::Event;
use crate::types::id::{OrganizationId, UserId, WorkspaceId};
use crate::types::refusal_code::RefusalCode;
use crate::types::right::Right;
use crate::types::state::{Licence, OrganizationRole, OrganizationState, UserKind, UserState};

/// An organization as it is to be; what is none stays, or takes the default.
#[derive(Debug, Clone, Default)]
pub struct WantedOrganization {
    /// Needed for a new one.
    pub name: Option<String>,
    pub time_zone: Option<String>,
    pub state: Option<OrganizationState>,
    pub subscription: Option<SubscriptionChange>,
    /// Its workspaces come with it: it needs no other one.
    pub names_workspaces: bool,
}

/// A person as they are to be.
#[derive(Debug, Clone, Default)]
pub struct WantedUser {
    /// Needed for a new one, as the name.
    pub email: Option<String>,
    pub name: Option<String>,
    pub state: Option<UserState>,
}

/// A subscription as it is to be, and whose it is: needed for a new one.
#[derive(Debug, Clone, Default)]
pub struct WantedSubscription {
    pub organization: Option<OrganizationId>,
    pub organization_external_id: Option<String>,
    /// Without an external id: that is the path's.
    pub change: SubscriptionChange,
}

/// A membership as it is to be.
#[derive(Debug, Clone, Default)]
pub struct WantedMember {
    pub role: Option<OrganizationRole>,
    pub licence: Option<Licence>,
    /// The workspaces to be in, by external id, with the role there. Others are left alone.
    pub workspaces: Vec<(String, String)>,
    /// The organization is made in the same transaction: nothing is in it yet that anybody could gain.
    pub founds: bool,
}

/// The organization with this name, made or brought up to date. Its lock is taken here: who calls holds none.
pub fn put_organization(
    desk: &mut VendorDesk,
    external_id: &str,
    wanted: &WantedOrganization,
) -> Result<(Organization, Effect), Refusal> {
    desk.ensure(Right::OperatorOrganizations)?;
    let external_id = parse_external_id(external_id)?;
    let (mut organization, mut effect) =
        match desk.tx.find_organization_by_external_id(&external_id)? {
            None => (
                create_organization(desk, external_id, wanted)?,
                Effect::Created,
            ),
            Some(found) => {
                desk.tx.advance_generation(found.id)?;
                let change = OrganizationChange {
                    name: wanted.name.clone(),
                    time_zone: wanted.time_zone.clone(),
                };
                organizations::apply(desk.tx, desk.asker.user, found, &change)?
            }
        };
    if effect == Effect::Created && !wanted.names_workspaces {
        ensure_workspace(&mut desk.at(organization.id))?;
    }
    if let Some(subscription) = &wanted.subscription {
        let subscribed = organizations::subscribe(&mut desk.at(organization.id), subscription)?.1;
        effect = effect.max(at_most_updated(subscribed));
    }
    if let Some(state) = wanted.state {
        let by = desk.asker.user;
        let (changed, done) = organizations::apply_state(desk.tx, by, organization, state)?;
        (organization, effect) = (changed, effect.max(done));
    }
    Ok((organization, effect))
}

/// A new organization has a workspace: nothing could be done in one without.
pub fn ensure_workspace(desk: &mut Desk) -> Result<(), Refusal> {
    if desk.tx.count_workspaces(desk.organization)? > 0 {
        return Ok(());
    }
    let first = NewWorkspace {
        name: FIRST_WORKSPACE.to_owned(),
        external_id: None,
        is_service: false,
    };
    workspaces::make(desk, &first).map(drop)
}

/// A part that was created changes the whole.
fn at_most_updated(effect: Effect) -> Effect {
    effect.min(Effect::Updated)
}

fn create_organization(
    desk: &mut VendorDesk,
    external_id: String,
    wanted: &WantedOrganization,
) -> Result<Organization, Refusal> {
    let name = wanted
        .name
        .as_deref()
        .ok_or(Refusal::field("name", "is needed for a new organization"))?;
    let now = desk.tx.now;
    let mut organization = Organization::new(OrganizationId::generate(now), parse_name(name)?, now);
    organization.external_id = Some(external_id);
    if let Some(zone) = &wanted.time_zone {
        organization.time_zone = parse_time_zone(zone)?;
    }
    desk.tx.insert_organization(&organization)?;
    desk.at(organization.id).record(
        Event::OrganizationCreated,
        organization.id.as_str(),
        &organization.name,
    )?;
    Ok(organization)
}

/// The workspace with this name in the organization. The one that it was made with is found by its title, while it has no
/// external id.
pub fn put_workspace(
    desk: &mut Desk,
    external_id: &str,
    name: Option<&str>,
) -> Result<(Workspace, Effect), Refusal> {
    desk.ensure(Right::OperatorOrganizations)?;
    let external_id = parse_external_id(external_id)?;
    let Some(found) = desk.tx.find_workspace_by_external_id(&external_id)? else {
        let name = name
            .ok_or(Refusal::field("name", "is needed for a new workspace"))?
            .to_owned();
        if let Some(first) = find_first_workspace(desk, &name)? {
            let change = WorkspaceChange {
                name: None,
                external_id: Some(Some(external_id)),
            };
            // the vendor had none of this name before
            return Ok((workspaces::apply(desk, first, &change)?, Effect::Created));
        }
        let new = NewWorkspace {
            name,
            external_id: Some(external_id),
            is_service: false,
        };
        return Ok((workspaces::make(desk, &new)?, Effect::Created));
    };
    let elsewhere = "Another organization's workspace has this external_id.";
    ensure(
        found.organization_id == desk.organization,
        Refusal::Coded(RefusalCode::ExternalIdTaken, elsewhere.to_owned()),
    )?;
    match name {
        Some(name) if parse_name(name)? != found.name => {
            let change = WorkspaceChange {
                name: Some(name.to_owned()),
                external_id: None,
            };
            Ok((workspaces::apply(desk, found.id, &change)?, Effect::Updated))
        }
        _ => Ok((found, Effect::Unchanged)),
    }
}

fn find_first_workspace(desk: &mut Desk, name: &str) -> Result<Option<WorkspaceId>, Refusal> {
    if parse_name(name)? != FIRST_WORKSPACE {
        return Ok(None);
    }
    let first = |workspace: &Workspace| {
        workspace.name == FIRST_WORKSPACE && workspace.external_id.is_none()
    };
    let workspaces = desk.tx.list_workspaces(desk.organization)?;
    Ok(workspaces.iter().find(|own| first(own)).map(|own| own.id))
}

/// The person with this name. A person who signed up by themselves is found by the address, and gets the external id; an
/// address of somebody who has another one, or of an operator, is refused. An account that has not proven the address gives way:
/// the vendor vouches for the person.
pub fn put_user(
    desk: &mut VendorDesk,
    external_id: &str,
    wanted: &WantedUser,
) -> Result<(User, Effect), Refusal> {
    desk.ensure(Right::OperatorOrganizations)?;
    write_user(desk, external_id, wanted)
}

/// The same, once the asker's rights are known.
fn write_user(
    desk: &mut VendorDesk,
    external_id: &str,
    wanted: &WantedUser,
) -> Result<(User, Effect), Refusal> {
    let Found { known, gives_way } = check_user(desk, external_id, wanted)?;
    let (tx, by) = (&mut *desk.tx, desk.asker.user);
    let named = NamedUser {
        external_id: external_id.to_owned(),
        email: wanted.email.as_deref().map(parse_email).transpose()?,
        name: wanted.name.as_deref().map(parse_name).transpose()?,
    };
    if let Some(holder) = gives_way {
        addresses::give_way(tx, Some(by), &holder)?;
    }
    let (user, effect) = match known {
        Some(found) => change_user(tx, by, found, named)?,
        None => (create_user(tx, by, named)?, Effect::Created),
    };
    match wanted.state {
        Some(state) => {
            let done = write_user_state(tx, Some(by), user.id, state)?;
            Ok((User { state, ..user }, effect.max(done)))
        }
        None => Ok((user, effect)),
    }
}

/// What was parsed of a person.
struct NamedUser {
    external_id: String,
    email: Option<String>,
    name: Option<String>,
}

/// Whom it is about.
struct Found {
    /// None for somebody new.
    known: Option<User>,
    /// Another account that has the person's address and has not proven it.
    gives_way: Option<User>,
}

/// Everything that can be refused about a person is refused here.
fn check_user(
    desk: &mut VendorDesk,
    external_id: &str,
    wanted: &WantedUser,
) -> Result<Found, Refusal> {
    let found = find_user(desk.tx, external_id, wanted)?;
    let email = wanted.email.as_deref().map(parse_email).transpose()?;
    if let Some(user) = &found.known
        && email.is_some()
        && email != user.email
    {
        ensure_holds_all_of(desk, user.id)?;
    }
    Ok(found)
}

fn ensure_holds_all_of(desk: &mut VendorDesk, user: UserId) -> Result<(), Refusal> {
    let now = desk.tx.now;
    for organization in desk.tx.list_organizations_of(user, now)? {
        let mut desk = desk.at(organization.id);
        let held = desk.rights_of(user)?;
        desk.ensure_holds(&held)?;
    }
    Ok(())
}

fn find_user(tx: &mut Tx, external_id: &str, wanted: &WantedUser) -> Result<Found, Refusal> {
    let external_id = parse_external_id(external_id)?;
    let email = wanted.email.as_deref().map(parse_email).transpose()?;
    let name = wanted.name.as_deref().map(parse_name).transpose()?;
    let by_email = match &email {
        Some(email) => tx.find_user_by_email(email)?,
        None => None,
    };
    // an address that nobody has proven may be somebody else's: whoever wrote it down first would be let in
    let is_proven = |user: &User| user.email_verified_at.is_some();
    let own = tx.find_user_by_external_id(&external_id)?;
    let (by_email, unproven) = match by_email {
        Some(user) if is_proven(&user) => (Some(user), None),
        other => (None, other),
    };
    let known = match (own, by_email) {
        (Some(own), Some(other)) if own.id != other.id => return Err(email_taken()),
        (Some(own), _) if own.operator => {
            return Err(Refusal::Coded(
                RefusalCode::ExternalIdTaken,
                "An operator has this external_id.".to_owned(),
            ));
        }
        (Some(own), _) => Some(own),
        (None, Some(other)) if other.external_id.is_none() && !other.operator => Some(other),
        (None, Some(_)) => return Err(email_taken()),
        (None, None) => {
            ensure(
                email.is_some(),
                Refusal::field("email", "is needed for a new user"),
            )?;
            ensure(
                name.is_some(),
                Refusal::field("name", "is needed for a new user"),
            )?;
            None
        }
    };
    let is_known = |user: &User| known.as_ref().is_some_and(|known| known.id == user.id);
    let gives_way = unproven.filter(|holder| !is_known(holder));
    Ok(Found { known, gives_way })
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
fn create_user(tx: &mut Tx, by: UserId, named: NamedUser) -> Result<User, Refusal> {
    let needed = |field| Refusal::field(field, "is needed for a new user");
    let user = User {
        id: UserId::generate(tx.now),
        kind: UserKind::Person,
        email: Some(named.email.ok_or_else(|| needed("email"))?),
        email_verified_at: Some(tx.now),
        name: named.name.ok_or_else(|| needed("name"))?,
        password_hash: None,
        state: UserState::Active,
        operator: false,
        external_id: Some(named.external_id),
        created_at: tx.now,
    };
    tx.insert_user(&user)?;
    tx.record(None, Some(by), Event::UserCreated, user.id.as_str(), "")?;
    Ok(user)
}

fn change_user(
    tx: &mut Tx,
    by: UserId,
    before: User,
    named: NamedUser,
) -> Result<(User, Effect), Refusal> {
    let mut after = before.clone();
    after.external_id = Some(named.external_id);
    // the vendor vouches for it
    if let Some(email) = named
        .email
        .filter(|email| before.email.as_ref() != Some(email) || before.email_verified_at.is_none())
    {
        after.email = Some(email);
        after.email_verified_at = Some(tx.now);
    }
    after.name = named.name.unwrap_or(after.name);
    let said = |user: &User| {
        let (external_id, email) = (user.external_id.clone(), user.email.clone());
        (
            external_id,
            email,
            user.email_verified_at,
            user.name.clone(),
        )
    };
    if said(&after) == said(&before) {
        return Ok((before, Effect::Unchanged));
    }
    tx.change_user(&after)?;
    tx.record(None, Some(by), Event::UserChanged, after.id.as_str(), "")?;
    Ok((after, Effect::Updated))
}

/// Suspends a person everywhere, or takes that back. Not an operator: those are the installation's own.
pub fn set_user_state(desk: &mut VendorDesk, id: UserId, to: UserState) -> Result<User, Refusal> {
    desk.ensure(Right::OperatorOrganizations)?;
    write_user_state(desk.tx, Some(desk.asker.user), id, to)?;
    desk.tx.find_user(id)?.ok_or(Refusal::NotFound)
}

/// `by`: none for whoever runs the server.
pub fn write_user_state(
    tx: &mut Tx,
    by: Option<UserId>,
    id: UserId,
    to: UserState,
) -> Result<Effect, Refusal> {
    let user = tx
        .find_user(id)?
        .filter(|user| user.kind == UserKind::Person && !user.operator)
        .ok_or(Refusal::NotFound)?;
    if user.state == to {
        return Ok(Effect::Unchanged);
    }
    match tx.change_user_state(id, user.state, to) {
        Err(Error::NotFound) => return Ok(Effect::Unchanged),
        changed => changed?,
    }
    let event = match to {
        // a session that lasted until then does not go on when the person comes back
        UserState::Suspended => {
            tx.delete_sessions_of(id)?;
            Event::UserSuspended
        }
        UserState::Active => Event::UserResumed,
    };
    tx.record(None, by, event, id.as_str(), "")?;
    Ok(Effect::Updated)
}

/// A person and their membership together: what is refused changes neither. Runs behind the organization's lock: seats and
/// owners are counted.
pub fn put_person(
    desk: &mut Desk,
    external_id: &str,
    user: &WantedUser,
    member: &WantedMember,
) -> Result<(User, Effect), Refusal> {
    desk.ensure(Right::OperatorOrganizations)?;
    let known = check_user(&mut desk.vendor(), external_id, user)?.known;
    let known = known.map(|user| user.id);
    check_member(desk, known, member)?;
    let (user, effect) = write_user(&mut desk.vendor(), external_id, user)?;
    let joined = put_member(desk, user.id, member)?;
    Ok((
        user,
        if joined == Effect::Unchanged {
            effect
        } else {
            effect.max(Effect::Updated)
        },
    ))
}

/// Everything that can be refused about a membership.
fn check_member(
    desk: &mut Desk,
    user: Option<UserId>,
    wanted: &WantedMember,
) -> Result<(), Refusal> {
    let (organization, now) = (desk.organization, desk.now());
    let catalogue = &desk.settings.catalogue;
    let member = match user {
        Some(user) => desk.tx.find_member(organization, user, now)?,
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
        seats::ensure_free(desk.tx, catalogue, organization, licence)?;
    }
    let stays_owner = wanted
        .role
        .is_none_or(|role| role == OrganizationRole::Owner);
    if let Some(user) = user.filter(|_| !stays_owner) {
        ensure_another_owner(desk.tx, organization, user)?;
    }
    let mut roles = Vec::new();
    for (workspace, role) in &wanted.workspaces {
        let found = check_workspace_role(desk.tx, catalogue, organization, workspace, role)?;
        roles.push((found.id, role.clone()));
    }
    // somebody new has nothing yet, as the asker, who is no member
    let user = user.unwrap_or(desk.asker.user);
    let before = member.unwrap_or(Member::new(
        organization,
        user,
        OrganizationRole::Member,
        licence,
        desk.now(),
    ));
    let after = Member {
        role: wanted.role.unwrap_or(before.role),
        licence,
        ..before
    };
    let had = rights::of_user(desk.tx, catalogue, organization, user, now)?;
    let has = rights::of_grant(desk.tx, catalogue, &after, &roles)?;
    let within = wanted.founds || has.gains_only_what(&had, &desk.own_rights()?);
    ensure(within, Refusal::Forbidden(BEYOND))
}

/// Refuses the only owner who can act: of a bulk, each item is checked before anything of it is written.
fn ensure_another_owner(
    tx: &mut Tx,
    organization: OrganizationId,
    user: UserId,
) -> Result<(), Refusal> {
    let now = tx.now;
    let membership = tx.find_membership(organization, user, now)?;
    let counts =
        membership.is_some_and(|own| own.acts() && own.member.role == OrganizationRole::Owner);
    ensure(
        !counts || tx.count_owners(organization, now)? > 1,
        Refusal::Coded(
            RefusalCode::LastOwner,
            "The last owner of an organization stays one.".to_owned(),
        ),
    )
}

/// The membership of a user whose every part was checked.
fn put_member(desk: &mut Desk, user: UserId, wanted: &WantedMember) -> Result<Effect, Refusal> {
    let (organization, now) = (desk.organization, desk.now());
    endings::end_if_over(desk.tx, organization, user)?;
    let mut effect = match desk.tx.find_member(organization, user, now)? {
        None => {
            let licence = wanted.licence.unwrap_or(Licence::Full);
            let role = wanted.role.unwrap_or(OrganizationRole::Member);
            let member = Member::new(organization, user, role, licence, desk.now());
            desk.tx.insert_member(&member)?;
            desk.record(Event::MemberAdded, user.as_str(), role.as_str())?;
            Effect::Created
        }
        Some(member) => change_member(desk, &member, wanted)?,
    };
    for (workspace, role) in &wanted.workspaces {
        let given = put_workspace_role(desk, user, workspace, role)?;
        effect = effect.max(at_most_updated(given));
    }
    if effect == Effect::Updated {
        planted::end_unvouched(desk, user)?;
    }
    Ok(effect)
}

fn change_member(
    desk: &mut Desk,
    member: &Member,
    wanted: &WantedMember,
) -> Result<Effect, Refusal> {
    let (organization, user) = (member.organization_id, member.user_id);
    let mut effect = Effect::Unchanged;
    if let Some(role) = wanted.role.filter(|role| *role != member.role) {
        desk.tx
            .change_member_role(organization, user, member.role, role)?;
        endings::change_role(desk.tx, organization, user, (member.role, role))?;
        desk.record(Event::MemberRoleChanged, user.as_str(), role.as_str())?;
        effect = Effect::Updated;
    }
    // an owner's membership has no end, whoever made them one
    let owns = wanted.role.unwrap_or(member.role) == OrganizationRole::Owner;
    if owns && member.ends_at.is_some() {
        desk.tx.change_member_end(organization, user, None)?;
        desk.record(Event::MemberChanged, user.as_str(), "ends: never")?;
        effect = Effect::Updated;
    }
    if let Some(licence) = wanted.licence.filter(|licence| *licence != member.licence) {
        desk.tx
            .change_member_licence(organization, user, member.licence, licence)?;
        desk.record(Event::MemberLicenceChanged, user.as_str(), licence.as_str())?;
        effect = Effect::Updated;
    }
    Ok(effect)
}

fn put_workspace_role(
    desk: &mut Desk,
    user: UserId,
    workspace: &str,
    role: &str,
) -> Result<Effect, Refusal> {
    let (organization, catalogue) = (desk.organization, &desk.settings.catalogue);
    let found = check_workspace_role(desk.tx, catalogue, organization, workspace, role)?;
    let roles = desk.tx.list_workspace_roles(organization, user)?;
    let (event, effect) = match roles.iter().find(|(id, _)| *id == found.id) {
        Some((_, held)) if held == role => return Ok(Effect::Unchanged),
        Some((_, held)) => {
            desk.tx
                .change_workspace_role(organization, found.id, user, held, role)?;
            (Event::WorkspaceMemberRoleChanged, Effect::Updated)
        }
        None => {
            let member = WorkspaceMember {
                workspace_id: found.id,
                user_id: user,
                role: role.to_owned(),
                created_at: desk.now(),
            };
            desk.tx.insert_workspace_member(organization, &member)?;
            (Event::WorkspaceMemberAdded, Effect::Created)
        }
    };
    desk.record(event, user.as_str(), role)?;
    Ok(effect)
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

/// A subscription by the billing system's own name: that of the organization it is for. The organization's lock is taken here.
pub fn put_subscription(
    desk: &mut VendorDesk,
    external_id: &str,
    wanted: &WantedSubscription,
) -> Result<(Organization, Subscription, Effect), Refusal> {
    desk.ensure(Right::OperatorSubscriptions)?;
    let named = named_organization(desk.tx, wanted)?;
    let external_id = parse_external_id(external_id)?;
    let found = desk
        .tx
        .find_subscription_by_external_id(&external_id)?
        .map(|found| found.organization_id);
    let id = match (found, named) {
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
    desk.tx.advance_generation(id)?;
    let change = SubscriptionChange {
        external_id: Some(Some(external_id)),
        ..wanted.change.clone()
    };
    let (subscription, effect) = organizations::subscribe(&mut desk.at(id), &change)?;
    let organization = desk.tx.find_organization(id)?.ok_or(Refusal::NotFound)?;
    Ok((organization, subscription, effect))
}

/// By its id, by its external id, or by both, which then name the same.
fn named_organization(
    tx: &mut Tx,
    wanted: &WantedSubscription,
) -> Result<Option<OrganizationId>, Refusal> {
    let Some(name) = &wanted.organization_external_id else {
        return Ok(wanted.organization);
    };
    let unknown = || Refusal::field("organization_external_id", "names no organization");
    let named = tx
        .find_organization_by_external_id(name)?
        .ok_or_else(unknown)?
        .id;
    ensure(
        wanted.organization.is_none_or(|id| id == named),
        Refusal::field(
            "organization",
            "is another one than organization_external_id",
        ),
    )?;
    Ok(Some(named))
}
