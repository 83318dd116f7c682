//! People whom somebody else's provider vouches for (OpenID Connect): whom it may sign in here, and what that opens.
//!
//! Invariants, in [`sign_in`] and [`entrance`] alone:
//!
//! - A person is recognized by (who vouched, issuer, subject), never by an address. What one provider linked means nothing
//!   to another, although both may be at the same issuer.
//! - The operator's provider never takes over an account whose address is proven: the person links it, signed in. Only one that
//!   the vendor has made, and that nobody could sign in to yet, it opens by the address.
//! - Of an account that has the address and has not proven it, the person is asked once for the password: right, and both are
//!   one account; otherwise it gives way ([`addresses`]).
//! - An organization's admins control its provider, and with it could pose as anybody. So it signs in members of that
//!   organization only, recognizes them first by a *verified* address in one of the organization's *verified* domains, never
//!   an operator; and the session opens that organization and nothing else.

use crate::config;
use crate::crypto::seal::Sealer;
use crate::domain::desk::{Desk, View};
use crate::domain::people::accounts::{self, CheckedPerson, MOST_NAME};
use crate::domain::people::addresses;
use crate::domain::people::members;
use crate::domain::plans::seats;
use crate::domain::settings::Settings;
use crate::domain::{Refusal, ensure};
use crate::outbound::openid::Proven;
use crate::store::identities::Identity;
use crate::store::identity_providers::IdentityProvider;
use crate::store::organizations::Organization;
use crate::store::sessions::Session;
use crate::store::users::User;
use crate::store::{self, Snapshot, Tx};
use crate::types::email::{Domain, Mailbox};
use crate::types::event::Event;
use crate::types::id::{IdentityProviderId, OrganizationId, UserId};
use crate::types::state::{Licence, OrganizationRole, UserKind, UserState};
use crate::types::text::parse_text;

/// The realm of the operator's provider; an organization's is its provider's id.
pub const OPERATOR: &str = "operator";
const MOST_CLIENT_ID: usize = 255;
const MOST_SECRET: usize = 1024;
const MOST_ISSUER: usize = 500;
/// What a button can hold.
const MOST_PROVIDER_NAME: usize = 60;

/// Who vouches.
#[derive(Debug, Clone)]
pub enum Realm {
    Operator,
    Organization(IdentityProvider),
}

impl Realm {
    pub fn as_str(&self) -> &str {
        match self {
            Self::Operator => OPERATOR,
            Self::Organization(provider) => provider.id.as_str(),
        }
    }

    /// The only organization that a session by this provider opens.
    pub fn confines_to(&self) -> Option<OrganizationId> {
        match self {
            Self::Operator => None,
            Self::Organization(provider) => Some(provider.organization_id),
        }
    }
}

/// Why a provider's word does not sign a person in. The texts are for that person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    #[error(
        "The provider does not vouch for your e-mail address. Confirm it there, or sign in here as before and link it on your account page."
    )]
    Unverified,
    #[error(
        "There is an account with your e-mail address already. Sign in as before, and link this way to sign in on your account page."
    )]
    Taken,
    #[error("There is no account for you here yet. Ask whoever runs this service for one.")]
    Unknown,
    #[error("Your e-mail address is not in a domain of this organization.")]
    ForeignDomain,
    #[error("You are not a member of this organization. Ask one of its admins to add you.")]
    NotMember,
    #[error("Operators do not sign in by an organization's provider.")]
    Operator,
    #[error("This account is suspended.")]
    Suspended,
    #[error("This identity belongs to another account already.")]
    SomebodyElses,
    #[error("Your account is linked to another identity there. Unlink that one first.")]
    LinkedAlready,
    #[error(
        "You signed in with an organization's login, which opens that organization only. Sign in as usual to change how you sign in."
    )]
    Confined,
    #[error("All seats of this organization are taken. Ask one of its admins for one.")]
    NoSeat,
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// What the person answered who was asked for the password of an account that has not proven their address.
#[derive(Debug, Clone, Copy)]
pub struct Answer {
    pub account: UserId,
    /// The password was right.
    pub is_theirs: bool,
}

/// Whom a provider has brought.
pub enum Brought {
    Person(User),
    /// This account has the address and has not proven it: the person is asked for its password.
    Asks(User),
}

/// The person whom the provider has proven, known or new; for an organization's provider behind that organization's lock. Who is
/// linked comes in although the organization may have lost the domain since: the session opens nothing but that organization,
/// which can remove them.
pub fn sign_in(
    tx: &mut Tx,
    settings: &Settings,
    realm: &Realm,
    proven: &Proven,
    answer: Option<Answer>,
) -> Result<Brought, Denial> {
    // before the link: whom another first sign-in creates in between is then found by the link, which commits with the person
    let by_address = proven
        .verified_email
        .as_ref()
        .map(|email| tx.find_user_by_email(&email.account_key()))
        .transpose()?
        .flatten();
    if let Some((identity, user)) =
        tx.find_identity(realm.as_str(), &proven.issuer, &proven.subject)?
    {
        ensure_admitted(tx, realm, &user)?;
        tx.record_identity_use(&identity)?;
        let covered = match &proven.verified_email {
            Some(email) => match ensure_covered(tx, realm, email) {
                Ok(()) => Some(email),
                Err(Denial::ForeignDomain) => None,
                Err(other) => return Err(other),
            },
            None => None,
        };
        let user = addresses::prove_own(tx, user, covered)?;
        return Ok(Brought::Person(user));
    }
    let email = proven.verified_email.as_ref().ok_or(Denial::Unverified)?;
    ensure_covered(tx, realm, email)?;
    let user = match by_address {
        Some(holder) if holder.email_verified_at.is_none() => match answer {
            None => return Ok(Brought::Asks(holder)),
            Some(answer) if answer.is_theirs && answer.account == holder.id => {
                ensure_admitted(tx, realm, &holder)?;
                addresses::prove(tx, &holder)?
            }
            Some(_) => {
                ensure(settings.identity.create_users, Denial::Unknown)?;
                addresses::give_way(tx, None, &holder)?;
                create(tx, settings, realm, proven, email)?
            }
        },
        Some(user) => {
            // the operator's provider may know somebody else by an address that was theirs once
            ensure(
                matches!(realm, Realm::Organization(_)) || waits_for_its_owner(tx, &user)?,
                Denial::Taken,
            )?;
            ensure_admitted(tx, realm, &user)?;
            user
        }
        None => {
            ensure(settings.identity.create_users, Denial::Unknown)?;
            create(tx, settings, realm, proven, email)?
        }
    };
    insert(tx, realm, proven, user.id)?;
    Ok(Brought::Person(user))
}

/// The vendor made the account and vouches for its address, and nobody could sign in yet.
fn waits_for_its_owner(snapshot: &mut Snapshot, user: &User) -> Result<bool, store::Error> {
    let is_open = user.password_hash.is_none() && !user.operator;
    Ok(is_open && !snapshot.has_identities(user.id)?)
}

/// Links the operator's provider to the person who is signed in.
pub fn link(tx: &mut Tx, session: &Session, user: UserId, proven: &Proven) -> Result<(), Denial> {
    ensure(session.confined_to.is_none(), Denial::Confined)?;
    if let Some((identity, _)) = tx.find_identity(OPERATOR, &proven.issuer, &proven.subject)? {
        return ensure(identity.user_id == user, Denial::SomebodyElses);
    }
    ensure(
        tx.list_identities(OPERATOR, &proven.issuer, user)?
            .is_empty(),
        Denial::LinkedAlready,
    )?;
    if let Some(own) = tx.find_user(user)? {
        addresses::prove_own(tx, own, proven.verified_email.as_ref())?;
    }
    insert(tx, &Realm::Operator, proven, user)
}

/// Takes the link away, unless the person could not sign in any more.
pub fn unlink(
    tx: &mut Tx,
    config: &config::Identity,
    session: &Session,
    user: &User,
) -> Result<(), Refusal> {
    ensure(
        session.confined_to.is_none(),
        Refusal::Blocked(Denial::Confined.to_string()),
    )?;
    ensure(
        has_password(config, user),
        Refusal::Forbidden("This is your only way to sign in: it stays."),
    )?;
    ensure(
        tx.delete_identities(OPERATOR, &config.issuer, user.id)? > 0,
        Refusal::NotFound,
    )?;
    Ok(tx.record(
        None,
        Some(user.id),
        Event::IdentityUnlinked,
        user.id.as_str(),
        &config.issuer,
    )?)
}

/// Whether the person can sign in with a password.
pub fn has_password(config: &config::Identity, user: &User) -> bool {
    user.password_hash.is_some() && (config.local_accounts || user.operator)
}

fn ensure_admitted(tx: &mut Tx, realm: &Realm, user: &User) -> Result<(), Denial> {
    ensure(
        user.kind == UserKind::Person && user.state == UserState::Active,
        Denial::Suspended,
    )?;
    let Realm::Organization(provider) = realm else {
        return Ok(());
    };
    ensure(!user.operator, Denial::Operator)?;
    let now = tx.now;
    let membership = tx
        .find_membership(provider.organization_id, user.id, now)?
        .ok_or(Denial::NotMember)?;
    ensure(membership.acts(), Denial::Suspended)
}

/// An organization's provider speaks for its own domains, letter by letter: sub-domains are others.
fn ensure_covered(snapshot: &mut Snapshot, realm: &Realm, email: &Mailbox) -> Result<(), Denial> {
    let Realm::Organization(provider) = realm else {
        return Ok(());
    };
    let domains = snapshot.list_verified_domains(provider.organization_id)?;
    let own = |name: &String| {
        Domain::parse(name).is_ok_and(|domain| email.domain().is_within(&domain, false))
    };
    ensure(domains.iter().any(own), Denial::ForeignDomain)
}

/// A new person, without a password; by an organization's provider a plain member of it.
fn create(
    tx: &mut Tx,
    settings: &Settings,
    realm: &Realm,
    proven: &Proven,
    email: &Mailbox,
) -> Result<User, Denial> {
    let name = proven
        .name
        .as_deref()
        .and_then(|name| parse_text(name, MOST_NAME).ok());
    let name = name
        .or_else(|| parse_text(email.local(), MOST_NAME).ok())
        .unwrap_or_else(|| "Unnamed".to_owned());
    let now = tx.now;
    let person = CheckedPerson {
        email: email.account_key(),
        email_verified_at: Some(now),
        name,
        password_hash: None,
        operator: false,
    };
    let user = accounts::insert_person(tx, person)?;
    if let Some(organization) = realm.confines_to() {
        // counted behind the organization's lock
        let catalogue = &settings.catalogue;
        let free = seats::ensure_free(tx, catalogue, organization, Licence::Full);
        free.map_err(|refusal| match refusal {
            Refusal::Store(error) => Denial::Store(error),
            _ => Denial::NoSeat,
        })?;
        accounts::add_member(tx, organization, user.id, OrganizationRole::Member)?;
    }
    Ok(user)
}

fn insert(tx: &mut Tx, realm: &Realm, proven: &Proven, user: UserId) -> Result<(), Denial> {
    tx.insert_identity(&Identity {
        realm: realm.as_str().to_owned(),
        issuer: proven.issuer.clone(),
        subject: proven.subject.clone(),
        user_id: user,
        created_at: tx.now,
        last_used_at: tx.now,
    })?;
    Ok(tx.record(
        realm.confines_to(),
        Some(user),
        Event::IdentityLinked,
        user.as_str(),
        &proven.issuer,
    )?)
}

/// What the person reads whose session is another organization's.
pub const ELSEWHERE: &str = "You signed in with an organization's login, which opens that organization only. Sign out, and sign in as usual to open others.";

/// What stands between a session and an organization that the person belongs to.
#[derive(Debug, Clone)]
pub enum Entrance {
    Open,
    /// The organization asks its people to sign in there.
    Asks(IdentityProvider),
    /// The session is another organization's.
    Elsewhere,
}

/// `enforced`: as [`Snapshot::list_enforced_providers`] tells of the session's person. Owners are the way back when the provider fails.
fn entrance(
    session: &Session,
    organization: OrganizationId,
    enforced: &[(IdentityProvider, OrganizationRole)],
) -> Entrance {
    let asks = |(provider, role): &&(IdentityProvider, OrganizationRole)| {
        provider.organization_id == organization && *role < OrganizationRole::Owner
    };
    match session.confined_to {
        Some(own) if own == organization => Entrance::Open,
        Some(_) => Entrance::Elsewhere,
        None => enforced
            .iter()
            .find(asks)
            .map_or(Entrance::Open, |(provider, _)| {
                Entrance::Asks(provider.clone())
            }),
    }
}

/// The organization's entrance, for a session of one of its people.
pub fn find_entrance(
    snapshot: &mut Snapshot,
    session: &Session,
    organization: OrganizationId,
) -> Result<Entrance, store::Error> {
    Ok(entrance(
        session,
        organization,
        &snapshot.list_enforced_providers(session.user_id)?,
    ))
}

/// A person's organizations by their entrance; those of which the session knows nothing are left out.
#[derive(Debug, Clone, Default)]
pub struct Entrances {
    pub open: Vec<Organization>,
    pub asking: Vec<(Organization, IdentityProvider)>,
}

pub fn sort_out(
    snapshot: &mut Snapshot,
    session: &Session,
    organizations: Vec<Organization>,
) -> Result<Entrances, store::Error> {
    let enforced = snapshot.list_enforced_providers(session.user_id)?;
    let mut sorted = Entrances::default();
    for organization in organizations {
        match entrance(session, organization.id, &enforced) {
            Entrance::Open => sorted.open.push(organization),
            Entrance::Asks(provider) => sorted.asking.push((organization, provider)),
            Entrance::Elsewhere => {}
        }
    }
    Ok(sorted)
}

/// What an owner asks for on the page "Single sign-on".
#[derive(Clone)]
pub struct ProviderSettings {
    pub issuer: String,
    pub client_id: String,
    /// None: the one that is there.
    pub client_secret: Option<String>,
    pub name: String,
    pub enforced: bool,
}

/// An organization's provider and what its page needs beside.
#[derive(Debug, Clone)]
pub struct SingleSignOn {
    pub provider: Option<IdentityProvider>,
    pub domains: Vec<String>,
    pub is_owner: bool,
}

/// Its admins see it.
pub fn single_sign_on(view: &mut View) -> Result<SingleSignOn, Refusal> {
    let member = members::find_acting(view)?;
    ensure(
        member.role.is_admin(),
        Refusal::Forbidden(
            "Only owners and admins of the organization see how its people sign in.",
        ),
    )?;
    let organization = view.organization;
    Ok(SingleSignOn {
        provider: view.snapshot.find_identity_provider_of(organization)?,
        domains: view.snapshot.list_verified_domains(organization)?,
        is_owner: member.role == OrganizationRole::Owner,
    })
}

/// Only owners change it: who controls the provider can act as anybody in the organization.
fn owned(view: &mut View) -> Result<SingleSignOn, Refusal> {
    let found = single_sign_on(view)?;
    ensure(
        found.is_owner,
        Refusal::Forbidden("Only an owner of the organization can change how its people sign in."),
    )?;
    Ok(found)
}

/// Whether these settings could be saved by the asker: asked before the provider is.
pub fn check(view: &mut View, new: &ProviderSettings) -> Result<SingleSignOn, Refusal> {
    let found = owned(view)?;
    let config = &view.settings.identity;
    let mut errors = Vec::new();
    let mut rung = |holds: bool, field: &'static str, message: &str| {
        if !holds {
            errors.push((field, message.to_owned()));
        }
    };
    let issuer_holds = new.issuer.len() <= MOST_ISSUER
        && config::is_issuer(&new.issuer, config.allow_private_providers);
    rung(
        issuer_holds,
        "issuer",
        "Enter the issuer as the provider writes it: an https address without query and fragment.",
    );
    let graphic = |text: &str, most: usize| {
        text.len() <= most && text.bytes().all(|byte| matches!(byte, 0x20..=0x7E))
    };
    rung(
        !new.client_id.is_empty() && graphic(&new.client_id, MOST_CLIENT_ID),
        "client_id",
        "Enter the client id that the provider gave you.",
    );
    rung(
        new.client_secret
            .as_deref()
            .is_none_or(|secret| graphic(secret, MOST_SECRET)),
        "client_secret",
        "is not a client secret",
    );
    // the secret of one provider is not sent to another
    let same = found
        .provider
        .as_ref()
        .is_some_and(|provider| provider.issuer == new.issuer);
    rung(
        same || new.client_secret.is_some(),
        "client_secret",
        "Enter the client secret that belongs to this issuer.",
    );
    rung(
        parse_text(&new.name, MOST_PROVIDER_NAME).is_ok(),
        "name",
        "Enter what the button says, at most 60 characters.",
    );
    // nobody but owners could come in
    rung(
        !new.enforced || !found.domains.is_empty(),
        "enforced",
        "It cannot be required yet: this organization has no verified domain.",
    );
    if errors.is_empty() {
        Ok(found)
    } else {
        Err(Refusal::Invalid(errors))
    }
}

/// Saves the organization's provider. Runs behind the organization's lock. What another issuer has vouched for ends.
pub fn configure(
    desk: &mut Desk,
    sealer: &Sealer,
    new: &ProviderSettings,
) -> Result<IdentityProvider, Refusal> {
    let former = check(&mut desk.view(), new)?.provider;
    let provider = configured(desk, sealer, former.as_ref(), new)?;
    match &former {
        Some(former) => {
            desk.tx.change_identity_provider(&provider)?;
            if former.issuer != provider.issuer {
                end_what_was_vouched_for(desk.tx, former)?;
            }
        }
        None => desk.tx.insert_identity_provider(&provider)?,
    }
    let detail = if provider.enforced {
        "required"
    } else {
        "offered"
    };
    desk.record(Event::SingleSignOnConfigured, provider.id.as_str(), detail)?;
    Ok(provider)
}

/// The provider as it is to be; without a new secret it keeps the one that is there.
fn configured(
    desk: &Desk,
    sealer: &Sealer,
    former: Option<&IdentityProvider>,
    new: &ProviderSettings,
) -> Result<IdentityProvider, Refusal> {
    let now = desk.now();
    let id = former.map_or_else(|| IdentityProviderId::generate(now), |former| former.id);
    let sealed = new
        .client_secret
        .as_ref()
        .map(|secret| sealer.seal(id.as_str(), secret.as_bytes()));
    Ok(IdentityProvider {
        id,
        organization_id: desk.organization,
        issuer: new.issuer.clone(),
        client_id: new.client_id.clone(),
        sealed_client_secret: sealed
            .or_else(|| former.map(|former| former.sealed_client_secret.clone()))
            .unwrap_or_default(),
        name: parse_text(&new.name, MOST_PROVIDER_NAME)
            .map_err(|error| Refusal::Invalid(vec![("name", error.to_string())]))?,
        enforced: new.enforced,
        created_at: former.map_or(now, |former| former.created_at),
    })
}

/// Removes the provider with everything that it vouched for. None that is there is no error.
pub fn remove(desk: &mut Desk) -> Result<(), Refusal> {
    let Some(provider) = owned(&mut desk.view())?.provider else {
        return Ok(());
    };
    end_what_was_vouched_for(desk.tx, &provider)?;
    desk.tx.delete_identity_provider(provider.id)?;
    Ok(desk.record(Event::SingleSignOnRemoved, provider.id.as_str(), "")?)
}

fn end_what_was_vouched_for(tx: &mut Tx, provider: &IdentityProvider) -> Result<(), store::Error> {
    tx.delete_realm(provider.id.as_str())?;
    tx.delete_confined_sessions(provider.organization_id)
        .map(drop)
}
