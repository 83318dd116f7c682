//! OAuth applications: creating, listing and deleting them.

use crate::config::{ADMIN_ROLE, Config};
use crate::domain::clients::settings::{self, Settings};
use crate::domain::people::endings;
use crate::domain::plans::open;
use crate::domain::rights::caller::Caller;
use crate::domain::{Refusal, ensure};
use crate::store;
use crate::store::application_secrets::{ApplicationSecret, NewSecret};
use crate::store::applications::{Application, OwnApplicationFilter};
use crate::store::organizations::Organization;
use crate::store::{Snapshot, Tx};
use crate::types::environment::Environment;
use crate::types::event::Event;
use crate::types::grant_types::GrantTypes;
use crate::types::id::{ApplicationId, OrganizationId, UserId};
use crate::types::redirect_uri::RedirectUri;
use crate::types::scope::Scopes;
use crate::types::state::{
    AccessTokenFormat, ApplicationState, Approval, ClientType, Licence, MemberState,
};
use crate::types::time::Timestamp;

/// The most applications one page lists.
pub const MOST_LISTED: i64 = 200;

/// What a person asks for. A confidential application's secret was minted at the door; only what is stored of it comes here.
#[derive(Debug, Clone)]
pub struct NewApplication {
    pub name: String,
    pub environment: Environment,
    pub client_type: ClientType,
    pub access_token_format: AccessTokenFormat,
    pub redirect_uris: Vec<RedirectUri>,
    pub scopes: Scopes,
    /// The role of its own service account in every workspace, for client credentials.
    pub role: String,
    pub secret: NewSecret,
    pub grants: GrantTypes,
    pub refresh: RefreshPolicy,
}

impl NewApplication {
    fn settings(&self) -> Settings {
        Settings {
            name: self.name.clone(),
            redirect_uris: self.redirect_uris.clone(),
            scopes: self.scopes.clone(),
            role: self.role.clone(),
            grants: self.grants,
            refresh: self.refresh,
        }
    }
}

/// How an application's refresh tokens live. Seconds; none: as configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefreshPolicy {
    /// A new refresh token at every refresh; a public application's always rotate.
    pub rotation: bool,
    pub idle_seconds: Option<i64>,
    pub absolute_seconds: Option<i64>,
}

impl Default for RefreshPolicy {
    fn default() -> Self {
        Self {
            rotation: true,
            idle_seconds: None,
            absolute_seconds: None,
        }
    }
}

impl RefreshPolicy {
    pub fn of(application: &Application) -> Self {
        Self {
            rotation: application.refresh_rotation,
            idle_seconds: application.refresh_idle_seconds,
            absolute_seconds: application.refresh_absolute_seconds,
        }
    }
}

/// An application with what its page shows.
#[derive(Debug, Clone)]
pub struct Detail {
    pub application: Application,
    pub redirect_uris: Vec<RedirectUri>,
    /// Of its own service account, in the workspaces it has one in.
    pub role: Option<String>,
    /// The live ones, the oldest first.
    pub secrets: Vec<ApplicationSecret>,
    /// How many people let it act for them.
    pub people: i64,
    pub creator_name: String,
}

/// Applications belong to the organization: its admins manage them.
pub fn ensure_admin(
    snapshot: &mut Snapshot,
    organization: OrganizationId,
    caller: impl Into<Caller>,
) -> Result<(), Refusal> {
    let caller = caller.into();
    if caller.operator {
        return snapshot
            .find_organization(organization)?
            .map(drop)
            .ok_or(Refusal::NotFound);
    }
    let member = snapshot
        .find_member(organization, caller.user)?
        .ok_or(Refusal::NotFound)?;
    ensure(member.state == MemberState::Active, Refusal::NotFound)?;
    ensure(
        member.role.is_admin(),
        Refusal::Forbidden("Only owners and admins of the organization can manage applications."),
    )
}

/// An admin whose licence lets them change something.
pub fn ensure_manager(
    snapshot: &mut Snapshot,
    organization: OrganizationId,
    caller: Caller,
) -> Result<(), Refusal> {
    ensure_admin(snapshot, organization, caller)?;
    let licence = snapshot
        .find_member(organization, caller.user)?
        .map(|member| member.licence);
    ensure(
        caller.operator || licence == Some(Licence::Full),
        Refusal::Forbidden("Your licence is for reading only."),
    )
}

/// Creates an application. Runs behind the organization's lock: the cap is counted.
pub fn create(
    tx: &mut Tx,
    config: &Config,
    organization: &Organization,
    creator: impl Into<Caller>,
    new: NewApplication,
) -> Result<Application, Refusal> {
    let creator = creator.into();
    ensure_manager(tx, organization.id, creator)?;
    let settings = new.settings().check(config, new.client_type, false)?;
    let now = tx.now;
    open::ensure_open(
        tx,
        &config
            .catalogue()
            .map_err(|error| Refusal::Blocked(error.to_string()))?,
        organization,
        new.environment,
        now,
    )?;
    let cap = config.keys.max_applications_per_organization;
    let full = format!(
        "This organization has reached its limit of {cap} applications. Delete one that is not needed any more."
    );
    ensure(
        tx.count_applications(organization.id)? < cap,
        Refusal::Blocked(full),
    )?;
    let acts_as_itself = settings.acts_as_itself(new.client_type);
    if acts_as_itself {
        settings::ensure_grants(tx, config, organization.id, &creator, &settings.role)?;
    }
    let new = NewApplication {
        name: settings.name,
        grants: settings.grants,
        refresh: settings.refresh,
        ..new
    };
    let application = insert(tx, organization.id, creator.user, new, acts_as_itself)?;
    for secret in tx.list_application_secrets(application.id)? {
        tx.record_disclosure(secret.id.as_str(), creator.user)?;
    }
    tx.record(
        Some(organization.id),
        Some(creator.user),
        Event::ApplicationCreated,
        application.id.as_str(),
        application.environment.as_str(),
    )?;
    Ok(application)
}

/// Writes an application that was checked: with its secret, and its own service account if it is confidential and acts as
/// itself.
pub(in crate::domain) fn insert(
    tx: &mut Tx,
    organization: OrganizationId,
    creator: UserId,
    new: NewApplication,
    acts_as_itself: bool,
) -> Result<Application, Refusal> {
    let application = Application {
        id: ApplicationId::generate(tx.now),
        organization_id: organization,
        environment: new.environment,
        name: new.name,
        client_type: new.client_type,
        access_token_format: new.access_token_format,
        scopes: new.scopes,
        service_account_id: None,
        state: ApplicationState::Active,
        created_by: creator,
        created_at: tx.now,
        deleted_at: None,
        grants: new.grants,
        refresh_rotation: new.refresh.rotation,
        refresh_idle_seconds: new.refresh.idle_seconds,
        refresh_absolute_seconds: new.refresh.absolute_seconds,
        approval: Approval::None,
        approval_reason: None,
        verified_at: None,
        stopped_at: None,
        stopped_because: None,
        last_used_at: None,
        first_party: false,
    };
    tx.insert_application(&application, &new.redirect_uris)?;
    if application.client_type == ClientType::Public {
        return Ok(application);
    }
    tx.insert_application_secret(&application, &new.secret)?;
    if !acts_as_itself {
        return Ok(application);
    }
    let own = settings::give_service_account(tx, application, &new.role)?;
    tx.change_application(&own)?;
    Ok(own)
}

/// Those that people created.
pub fn list(
    snapshot: &mut Snapshot,
    organization: OrganizationId,
    user: UserId,
) -> Result<Vec<Application>, Refusal> {
    ensure_admin(snapshot, organization, user)?;
    Ok(snapshot.list_applications(organization, MOST_LISTED)?)
}

/// Those that registered by themselves.
pub fn list_registered(
    snapshot: &mut Snapshot,
    organization: OrganizationId,
    user: UserId,
) -> Result<Vec<Application>, Refusal> {
    ensure_admin(snapshot, organization, user)?;
    Ok(snapshot.list_registered_applications(organization, MOST_LISTED)?)
}

/// A page of them, the newest first, from behind `after` on: created by people or registered by themselves.
pub fn list_page(
    snapshot: &mut Snapshot,
    organization: OrganizationId,
    caller: Caller,
    filter: &OwnApplicationFilter,
    after: Option<(Timestamp, ApplicationId)>,
    most: i64,
) -> Result<Vec<Application>, Refusal> {
    ensure_admin(snapshot, organization, caller)?;
    Ok(snapshot.list_applications_page(organization, filter, after, most)?)
}

pub fn get(
    snapshot: &mut Snapshot,
    organization: OrganizationId,
    caller: impl Into<Caller>,
    id: ApplicationId,
) -> Result<Detail, Refusal> {
    ensure_admin(snapshot, organization, caller)?;
    let application = find_own(snapshot, organization, id)?;
    Ok(Detail {
        redirect_uris: snapshot.list_redirect_uris(id)?,
        role: role(snapshot, &application)?,
        secrets: snapshot.list_application_secrets(id)?,
        people: snapshot.count_consents(id)?,
        creator_name: snapshot
            .find_user(application.created_by)?
            .map(|creator| creator.name)
            .unwrap_or_default(),
        application,
    })
}

/// The organization's own application, not deleted.
pub fn find_own(
    snapshot: &mut Snapshot,
    organization: OrganizationId,
    id: ApplicationId,
) -> Result<Application, Refusal> {
    let own = |application: &Application| {
        application.organization_id == organization && application.state == ApplicationState::Active
    };
    snapshot
        .find_application(id)?
        .filter(own)
        .ok_or(Refusal::NotFound)
}

/// The role of its service account, in the workspaces it has one in.
pub fn role(
    snapshot: &mut Snapshot,
    application: &Application,
) -> Result<Option<String>, store::Error> {
    let Some(account) = application.service_account_id else {
        return Ok(None);
    };
    Ok(snapshot
        .list_workspace_roles(application.organization_id, account)?
        .into_iter()
        .next()
        .map(|(_, role)| role))
}

/// Ends the application, its codes and its tokens at once; one that is deleted already stays so.
pub fn delete(
    tx: &mut Tx,
    organization: OrganizationId,
    caller: impl Into<Caller>,
    id: ApplicationId,
) -> Result<Application, Refusal> {
    let caller = caller.into();
    ensure_manager(tx, organization, caller)?;
    let application = tx
        .find_application(id)?
        .filter(|own| own.organization_id == organization)
        .ok_or(Refusal::NotFound)?;
    if application.state == ApplicationState::Active {
        match tx.delete_application(organization, id) {
            Ok(()) => {
                if let Some(account) = application.service_account_id {
                    endings::end_service_account(tx, organization, account, caller.user)?;
                }
                tx.record(
                    Some(organization),
                    Some(caller.user),
                    Event::ApplicationDeleted,
                    id.as_str(),
                    "",
                )?;
            }
            // somebody else was quicker: it is deleted, as asked
            Err(store::Error::NotFound) => {}
            Err(other) => return Err(other.into()),
        }
    }
    Ok(application)
}

/// What an organization's application may be called by: the roles that the configuration knows, the powerful ones first.
pub fn roles(config: &Config) -> Vec<String> {
    let mut roles: Vec<String> = config.role.iter().map(|role| role.name.clone()).collect();
    roles.sort_by_key(|role| role != ADMIN_ROLE);
    roles
}
