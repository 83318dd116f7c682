//! Dynamic registration (RFC 7591) and its management (RFC 7592): applications that register by themselves.
//!
//! Invariants: two registrations of a public application that mean the same give the same application, whatever runs at the
//! same time; what several may share (registered without a token) none of them can change; an application that registered
//! never acts as itself unless a token of the organization vouched for it, and gets nothing new once that token, or whoever
//! made it, does so no more. What nobody uses ends, and is then unknown.

use crate::crypto::digest::Digest;
use crate::domain::clients::applications::{self, NewApplication};
use crate::domain::clients::authorizations;
use crate::domain::clients::client_metadata::{ClientMetadata, MetadataError, Offer};
use crate::domain::clients::clients::NOTED_SECONDS;
use crate::domain::clients::registration_tokens;
use crate::domain::clients::settings::{self, RefreshPolicy};
use crate::domain::plans::{open, plans};
use crate::domain::settings::Settings;
use crate::domain::{Refusal, ensure};
use crate::store;
use crate::store::application_secrets::NewSecret;
use crate::store::applications::Application;
use crate::store::organizations::Organization;
use crate::store::registration_tokens::RegistrationToken;
use crate::store::registrations::Registration;
use crate::store::{Snapshot, Tx};
use crate::types::environment::Environment;
use crate::types::event::Event;
use crate::types::id::{ApplicationId, OrganizationId, RegistrationTokenId, UserId};
use crate::types::state::{AccessTokenFormat, ClientType, OrganizationState};
use crate::types::time::Timestamp;

/// Where anybody may register, the longest unused one makes room for a new one; not before whoever registered it had the time
/// to send a person here.
const SPARED_SECONDS: i64 = 60 * 60;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationError {
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// Unknown, mistyped, revoked, expired, of somebody who has lost the right: they read the same.
    #[error("the token is not valid")]
    UnknownToken,
    /// Nobody may register without a token.
    #[error("a token is required")]
    TokenRequired,
    /// It would be allowed, but not now.
    #[error("{0}")]
    Blocked(String),
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl From<Refusal> for RegistrationError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Store(error) => Self::Store(error),
            Refusal::Invalid(errors) => Self::Metadata(MetadataError::Metadata(
                errors
                    .into_iter()
                    .map(|(_, text)| text)
                    .collect::<Vec<_>>()
                    .join(" "),
            )),
            other => Self::Blocked(other.to_string()),
        }
    }
}

/// On whose behalf applications register.
#[derive(Debug, Clone)]
pub struct Registrant {
    pub organization: OrganizationId,
    pub environment: Environment,
    pub creator: UserId,
    /// None: anybody.
    pub token: Option<RegistrationToken>,
    /// Whether the token's maker lets what registers act as itself.
    pub lets_act_as_itself: bool,
}

impl Registrant {
    fn token_id(&self) -> Option<RegistrationTokenId> {
        self.token.as_ref().map(|token| token.id)
    }
}

/// Who registers, by the presented initial access token, or without one where registration is open.
pub fn find_registrant(
    snapshot: &mut Snapshot,
    settings: &Settings,
    token: Option<&[Digest]>,
    now: Timestamp,
) -> Result<Registrant, RegistrationError> {
    match token {
        Some(candidates) => by_token(snapshot, settings, candidates, now),
        None => in_the_open(snapshot, settings, now),
    }
}

fn by_token(
    snapshot: &mut Snapshot,
    settings: &Settings,
    candidates: &[Digest],
    now: Timestamp,
) -> Result<Registrant, RegistrationError> {
    let token = snapshot
        .find_registration_token_by_digest(candidates)?
        .ok_or(RegistrationError::UnknownToken)?;
    ensure(
        registration_tokens::is_good(snapshot, settings, &token, now)?,
        RegistrationError::UnknownToken,
    )?;
    let organization = snapshot
        .find_organization(token.organization_id)?
        .ok_or(RegistrationError::UnknownToken)?;
    ensure_open(snapshot, settings, &organization, token.environment, now)?;
    Ok(Registrant {
        organization: organization.id,
        environment: token.environment,
        creator: token.created_by,
        lets_act_as_itself: registration_tokens::grants_role(snapshot, settings, &token, now)?,
        token: Some(token),
    })
}

fn in_the_open(
    snapshot: &mut Snapshot,
    settings: &Settings,
    now: Timestamp,
) -> Result<Registrant, RegistrationError> {
    let config = &settings.registration;
    let wrong =
        || RegistrationError::Blocked("Registration is not set up. Tell the operator.".to_owned());
    ensure(config.is_open(), RegistrationError::TokenRequired)?;
    let id = config.open_organization.parse().map_err(|_| wrong())?;
    let environment = config.open_environment.parse().map_err(|_| wrong())?;
    let organization = snapshot.find_organization(id)?.ok_or_else(wrong)?;
    ensure_open(snapshot, settings, &organization, environment, now)?;
    let creator = snapshot.find_oldest_owner(id)?.ok_or_else(wrong)?;
    Ok(Registrant {
        organization: id,
        environment,
        creator,
        token: None,
        lets_act_as_itself: false,
    })
}

fn ensure_open(
    snapshot: &mut Snapshot,
    settings: &Settings,
    organization: &Organization,
    environment: Environment,
    now: Timestamp,
) -> Result<(), RegistrationError> {
    match open::ensure_open(
        snapshot,
        &settings.catalogue,
        organization,
        environment,
        now,
    ) {
        Ok(_) => Ok(()),
        Err(refused @ (Refusal::Blocked(_) | Refusal::Locked(_))) => {
            Err(RegistrationError::Blocked(refused.to_string()))
        }
        Err(other) => Err(other.into()),
    }
}

/// What an application may have at most: client credentials only where a token vouches for it.
pub fn offer(settings: &Settings, vouched_for: bool) -> Offer {
    let named = &settings.registration.scopes;
    let scopes = settings
        .catalogue
        .public_scopes()
        .map(|scope| scope.name.as_str())
        .filter(|name| named.is_empty() || named.iter().any(|own| own == name));
    Offer {
        scopes: scopes.collect(),
        client_credentials: vouched_for,
    }
}

/// What makes two registrations the same; none for a confidential application: its secret cannot be shown twice.
pub fn identity(registrant: &Registrant, metadata: &ClientMetadata) -> Option<String> {
    identity_of(
        registrant.organization,
        registrant.environment,
        registrant.token_id(),
        metadata,
    )
}

fn identity_of(
    organization: OrganizationId,
    environment: Environment,
    token: Option<RegistrationTokenId>,
    metadata: &ClientMetadata,
) -> Option<String> {
    let token = token.map_or_else(|| "open".to_owned(), |token| token.to_string());
    let public = metadata.auth_method.client_type() == ClientType::Public;
    public.then(|| {
        format!(
            "{organization} {environment} {token}\n{}",
            metadata.canonical()
        )
    })
}

/// What an application says of itself, and how another that says the same is found.
#[derive(Debug, Clone)]
pub struct Description {
    pub metadata: ClientMetadata,
    /// Of its identity, under the live keys, the current one first. Empty: it has none.
    pub same: Vec<Digest>,
}

/// A registration as it is asked for. Secrets were minted at the door; only their digests come here.
#[derive(Debug, Clone)]
pub struct NewRegistration {
    pub description: Description,
    pub secret: NewSecret,
    pub management: Digest,
}

/// What is registered.
#[derive(Debug, Clone)]
pub struct Registered {
    pub application: ApplicationId,
    pub issued_at: Timestamp,
    /// Whether it has the registration access token that was minted for it.
    pub managed: bool,
}

/// The application that is registered already, and used lately: nothing has to be written.
pub fn find_same(
    snapshot: &mut Snapshot,
    same: &[Digest],
    now: Timestamp,
) -> Result<Option<Registered>, RegistrationError> {
    let found = if same.is_empty() {
        None
    } else {
        snapshot.find_registration_by_metadata(same)?
    };
    let fresh = found.filter(|found| found.last_used_at.plus_seconds(NOTED_SECONDS) > now);
    Ok(fresh.map(|found| Registered {
        application: found.application_id,
        issued_at: found.created_at,
        managed: false,
    }))
}

/// Registers an application, or finds the one that means the same. Runs behind the organization's lock: it is one, and the
/// caps are counted.
pub fn register(
    tx: &mut Tx,
    settings: &Settings,
    token: Option<&[Digest]>,
    new: &NewRegistration,
) -> Result<Registered, RegistrationError> {
    // again: the token may have been revoked meanwhile
    let now = tx.now;
    let registrant = find_registrant(tx, settings, token, now)?;
    if let Some(token) = &registrant.token {
        tx.record_registration_token_use(token.id)?;
    }
    let same = &new.description.same;
    let same = if same.is_empty() {
        None
    } else {
        tx.find_registration_by_metadata(same)?
    };
    match same {
        Some(same) => repeat(tx, &registrant, same),
        None => {
            make_room(tx, settings, &registrant)?;
            let plan = plans::plan_of(tx, &settings.catalogue, registrant.organization)?;
            plans::start_trial(tx, plan, registrant.organization)?;
            insert(tx, settings, &registrant, new)
        }
    }
}

/// Who repeats a registration gets the application and not the say over it: another holder of the same token may have it.
fn repeat(
    tx: &mut Tx,
    registrant: &Registrant,
    same: Registration,
) -> Result<Registered, RegistrationError> {
    tx.record_registration_use(registrant.organization, same.application_id)?;
    Ok(Registered {
        application: same.application_id,
        issued_at: same.created_at,
        managed: false,
    })
}

fn make_room(
    tx: &mut Tx,
    settings: &Settings,
    registrant: &Registrant,
) -> Result<(), RegistrationError> {
    let full = |most: i64, whose: &str| {
        RegistrationError::Blocked(format!(
            "{whose} has reached its limit of {most} registered applications. Delete one that is not needed any more."
        ))
    };
    if let Some(token) = &registrant.token {
        let room = tx.count_clients_of_token(token.id)? < token.max_clients;
        ensure(room, full(token.max_clients, "This initial access token"))?;
    }
    let most = settings.registration.max_clients;
    if tx.count_registered_applications(registrant.organization)? < most {
        return Ok(());
    }
    let before = tx.now.plus_seconds(-SPARED_SECONDS);
    let unused = tx.find_unused_open_registration(registrant.organization, before)?;
    let unused = unused
        .filter(|_| registrant.token.is_none() && tx.trusts_clock)
        .ok_or_else(|| full(most, "The organization"))?;
    Ok(end(
        tx,
        registrant.organization,
        unused,
        "unused, and room was needed",
    )?)
}

fn insert(
    tx: &mut Tx,
    settings: &Settings,
    registrant: &Registrant,
    new: &NewRegistration,
) -> Result<Registered, RegistrationError> {
    let Description { metadata, same } = &new.description;
    let managed = registrant.token.is_some();
    let application = NewApplication {
        name: metadata.name.clone(),
        environment: registrant.environment,
        client_type: metadata.auth_method.client_type(),
        access_token_format: AccessTokenFormat::Jwt,
        redirect_uris: metadata.redirect_uris.clone(),
        scopes: metadata.scopes.clone(),
        role: registration_tokens::role(settings).to_owned(),
        secret: new.secret.clone(),
        grants: metadata.grants,
        refresh: RefreshPolicy::default(),
    };
    let application = applications::insert(
        tx,
        registrant.organization,
        registrant.creator,
        application,
        registrant.lets_act_as_itself,
    )?;
    tx.insert_registration(&Registration {
        application_id: application.id,
        registration_token_id: registrant.token_id(),
        management_digest: managed.then(|| new.management.clone()),
        metadata: serde_json::Value::Object(metadata.to_json()).to_string(),
        metadata_digest: same.first().cloned(),
        created_at: tx.now,
        last_used_at: tx.now,
    })?;
    let by = registrant
        .token_id()
        .map_or_else(|| "anybody".to_owned(), |token| token.to_string());
    tx.record(
        Some(registrant.organization),
        None,
        Event::ApplicationRegistered,
        application.id.as_str(),
        &by,
    )?;
    Ok(Registered {
        application: application.id,
        issued_at: tx.now,
        managed,
    })
}

/// A registration and its application, as the holder of its registration access token sees them.
#[derive(Debug, Clone)]
pub struct Managed {
    pub application: Application,
    pub registration: Registration,
}

/// What the registration access token opens, if that is this application. RFC 7592 §2: one that has ended is a wrong token.
pub fn find_managed(
    snapshot: &mut Snapshot,
    candidates: &[Digest],
    id: ApplicationId,
) -> Result<Managed, RegistrationError> {
    let registration = snapshot
        .find_registration_by_token(candidates)?
        .filter(|own| own.application_id == id);
    let registration = registration.ok_or(RegistrationError::UnknownToken)?;
    let application = snapshot
        .find_application(id)?
        .filter(Application::is_live)
        .ok_or(RegistrationError::UnknownToken)?;
    let organization = snapshot.find_organization(application.organization_id)?;
    let active =
        organization.is_some_and(|organization| organization.state == OrganizationState::Active);
    ensure(active, RegistrationError::UnknownToken)?;
    Ok(Managed {
        application,
        registration,
    })
}

impl Managed {
    /// What makes it the same as another, with this metadata in the place of its own.
    pub fn identity(&self, metadata: &ClientMetadata) -> Option<String> {
        let Application {
            organization_id,
            environment,
            ..
        } = self.application;
        identity_of(
            organization_id,
            environment,
            self.registration.registration_token_id,
            metadata,
        )
    }
}

/// Replaces what the application said of itself (RFC 7592 §2.2). Who owns it, where it works and whether it has a secret stay.
pub fn update(
    tx: &mut Tx,
    settings: &Settings,
    candidates: &[Digest],
    id: ApplicationId,
    description: &Description,
) -> Result<Managed, RegistrationError> {
    let Description { metadata, same } = description;
    let Managed {
        application,
        registration,
    } = find_managed(tx, candidates, id)?;
    let same_type = metadata.auth_method.client_type() == application.client_type;
    let text = "token_endpoint_auth_method must not change between none and a secret: register another client.";
    ensure(same_type, MetadataError::Metadata(text.to_owned()))?;
    let uris = tx.list_redirect_uris(id)?;
    if !is_still_vouched_for(tx, settings, &registration, &application)? {
        // whoever vouched for it does no more: it keeps what it has, and gets nothing new
        let more = metadata
            .grants
            .iter()
            .any(|grant| !application.may_use(grant))
            || !metadata.scopes.is_subset_of(&application.scopes)
            || !metadata.redirect_uris.iter().all(|uri| uris.contains(uri));
        let text = "the initial access token of this client is not valid any more: it can give up grant_types, scope and redirect_uris, and get no new ones.";
        ensure(!more, MetadataError::Metadata(text.to_owned()))?;
    }
    let other = if same.is_empty() {
        None
    } else {
        tx.find_registration_by_metadata(same)?
            .filter(|other| other.application_id != id)
    };
    // two may come to mean the same: then only the other is found by it
    let digest = if other.is_some() { None } else { same.first() };
    let rescoped = metadata.scopes != application.scopes;
    let (name, scopes, grants) = (
        metadata.name.clone(),
        metadata.scopes.clone(),
        metadata.grants,
    );
    let checked =
        settings::is_still_checked(&application.name, &uris, &name, &metadata.redirect_uris);
    let verified_at = application.verified_at.filter(|_| checked);
    let application = Application {
        name,
        scopes,
        grants,
        verified_at,
        ..application
    };
    let json = serde_json::Value::Object(metadata.to_json()).to_string();
    tx.change_registration(&application, &metadata.redirect_uris, &json, digest)?;
    if rescoped && let Some(own) = tx.find_client_credentials_authorization(id)? {
        authorizations::end(tx, &own, "the application registered other scopes")?;
        authorizations::create_own(tx, &application, own.user_id)?;
    }
    tx.record(
        Some(application.organization_id),
        None,
        Event::ApplicationChanged,
        id.as_str(),
        "by its registration access token",
    )?;
    Ok(Managed {
        application,
        registration: Registration {
            metadata: json,
            ..registration
        },
    })
}

/// Whether the initial access token, and whoever made it, still vouch for the application.
fn is_still_vouched_for(
    tx: &mut Tx,
    settings: &Settings,
    registration: &Registration,
    application: &Application,
) -> Result<bool, store::Error> {
    let Some(id) = registration.registration_token_id else {
        return Ok(false);
    };
    let Some(token) = tx.find_registration_token(id)? else {
        return Ok(false);
    };
    let now = tx.now;
    registration_tokens::vouches_for(tx, settings, &token, application, now)
}

/// The application ends itself (RFC 7592 §2.3): it and its tokens are dead at once.
pub fn delete(
    tx: &mut Tx,
    candidates: &[Digest],
    id: ApplicationId,
) -> Result<(), RegistrationError> {
    let managed = find_managed(tx, candidates, id)?;
    Ok(end(
        tx,
        managed.application.organization_id,
        id,
        "by its registration access token",
    )?)
}

fn end(
    tx: &mut Tx,
    organization: OrganizationId,
    id: ApplicationId,
    because: &str,
) -> Result<(), store::Error> {
    tx.delete_application(organization, id)?;
    ended(tx, organization, id, because)
}

fn ended(
    tx: &mut Tx,
    organization: OrganizationId,
    id: ApplicationId,
    because: &str,
) -> Result<(), store::Error> {
    if let Some(own) = tx.find_client_credentials_authorization(id)? {
        tx.revoke_authorization(&own, because)?;
    }
    tx.record(
        Some(organization),
        None,
        Event::ApplicationDeleted,
        id.as_str(),
        because,
    )
}

/// Ends a bounded batch of those that nobody has used since `before`: how many. One with a live consent or authorization stays.
pub fn end_unused(tx: &mut Tx, before: Timestamp, most: i64) -> Result<usize, store::Error> {
    let mut count = 0;
    for (organization, id) in tx.list_unused_registrations(before, most)? {
        match tx.end_unused_registration(organization, id, before) {
            Ok(()) => {
                ended(tx, organization, id, "unused")?;
                count += 1;
            }
            // used, or ended, meanwhile
            Err(store::Error::NotFound) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}
