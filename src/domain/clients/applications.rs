//! OAuth applications: creating, listing and deleting them. They belong to the organization: who holds `applications:read`
//! or `applications:manage` in it sees or manages them.

use crate::config::{ADMIN_ROLE, Catalogue};
use crate::domain::clients::own_applications;
use crate::domain::clients::service_account;
use crate::domain::clients::settings::{ApplicationSettings, RefreshPolicy};
use crate::domain::clients::versions::Version;
use crate::domain::desk::{Desk, View};
use crate::domain::people::endings;
use crate::domain::plans::{open, plans};
use crate::domain::{Refusal, ensure};
use crate::store;
use crate::store::application_secrets::{ApplicationSecret, NewSecret};
use crate::store::applications::{Application, OwnApplicationFilter};
use crate::store::{Snapshot, Tx};
use crate::types::environment::Environment;
use crate::types::event::Event;
use crate::types::grant_types::GrantTypes;
use crate::types::id::{ApplicationId, OrganizationId, UserId};
use crate::types::redirect_uri::RedirectUri;
use crate::types::scope::Scopes;
use crate::types::state::{AccessTokenFormat, ApplicationState, Approval, ClientType};
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
    fn settings(&self) -> ApplicationSettings {
        ApplicationSettings {
            name: self.name.clone(),
            redirect_uris: self.redirect_uris.clone(),
            scopes: self.scopes.clone(),
            role: self.role.clone(),
            grants: self.grants,
            refresh: self.refresh,
        }
    }
}

/// One of the organization's applications, with what its page shows.
#[derive(Debug, Clone)]
pub struct OwnApplication {
    pub application: Application,
    pub redirect_uris: Vec<RedirectUri>,
    /// What people of other organizations get; none while it is not approved.
    pub approved: Option<Version>,
    /// What they do not get before the operator has approved it, too: what is different since, a sentence each.
    pub waiting: Vec<String>,
    /// Of its own service account, in the workspaces it has one in.
    pub role: Option<String>,
    /// The live ones, the oldest first.
    pub secrets: Vec<ApplicationSecret>,
    /// How many people let it act for them.
    pub people: i64,
    pub creator_name: String,
}

/// Creates an application. Runs behind the organization's lock: the cap is counted.
pub fn create(desk: &mut Desk, new: &NewApplication) -> Result<Application, Refusal> {
    own_applications::ensure_manages(&mut desk.view())?;
    let catalogue = &desk.settings.catalogue;
    let settings = new.settings().check(catalogue, new.client_type, false)?;
    let (now, organization) = (desk.now(), desk.organization);
    let organization = desk
        .tx
        .find_organization(organization)?
        .ok_or(Refusal::NotFound)?;
    let plan = open::ensure_open(desk.tx, catalogue, &organization, new.environment, now)?;
    let cap = desk.settings.keys.max_applications_per_organization;
    let full = format!(
        "This organization has reached its limit of {cap} applications. Delete one that is not needed any more."
    );
    ensure(
        desk.tx.count_applications(organization.id)? < cap,
        Refusal::Blocked(full),
    )?;
    let acts_as_itself = settings.acts_as_itself(new.client_type);
    if acts_as_itself {
        service_account::ensure_grants(desk, &settings.role)?;
    }
    let checked = NewApplication {
        name: settings.name,
        grants: settings.grants,
        refresh: settings.refresh,
        ..new.clone()
    };
    let creator = desk.asker.user;
    let application = insert(desk.tx, organization.id, creator, checked, acts_as_itself)?;
    plans::start_trial(desk.tx, &plan, organization.id)?;
    for secret in desk.tx.list_application_secrets(application.id)? {
        desk.tx.record_disclosure(secret.id.as_str(), creator)?;
    }
    desk.record(
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
        approved_name: None,
        approved_scopes: None,
    };
    tx.insert_application(&application, &new.redirect_uris)?;
    if application.client_type == ClientType::Public {
        return Ok(application);
    }
    tx.insert_application_secret(&application, &new.secret)?;
    if !acts_as_itself {
        return Ok(application);
    }
    let own = service_account::give(tx, application, &new.role)?;
    tx.change_application(&own)?;
    Ok(own)
}

/// Those that people created.
pub fn list(view: &mut View) -> Result<Vec<Application>, Refusal> {
    own_applications::ensure_sees(view)?;
    Ok(view
        .snapshot
        .list_applications(view.organization, MOST_LISTED)?)
}

/// Those that registered by themselves.
pub fn list_registered(view: &mut View) -> Result<Vec<Application>, Refusal> {
    own_applications::ensure_sees(view)?;
    Ok(view
        .snapshot
        .list_registered_applications(view.organization, MOST_LISTED)?)
}

/// A page of them, the newest first, from behind `after` on: created by people or registered by themselves.
pub fn list_page(
    view: &mut View,
    filter: &OwnApplicationFilter,
    after: Option<(Timestamp, ApplicationId)>,
    most: i64,
) -> Result<Vec<Application>, Refusal> {
    own_applications::ensure_sees(view)?;
    Ok(view
        .snapshot
        .list_applications_page(view.organization, filter, after, most)?)
}

pub fn get(view: &mut View, id: ApplicationId) -> Result<OwnApplication, Refusal> {
    own_applications::ensure_sees(view)?;
    let application = own_applications::find(view.snapshot, view.organization, id)?;
    Ok(describe(view.snapshot, application)?)
}

/// One that was made, for whoever may make one.
pub fn get_made(desk: &mut Desk, id: ApplicationId) -> Result<OwnApplication, Refusal> {
    own_applications::ensure_manages(&mut desk.view())?;
    let application = own_applications::find(desk.tx, desk.organization, id)?;
    Ok(describe(desk.tx, application)?)
}

/// With what belongs to it: for whoever may see it, or has just changed it.
pub fn describe(
    snapshot: &mut Snapshot,
    application: Application,
) -> Result<OwnApplication, store::Error> {
    let id = application.id;
    let current = Version::current(snapshot, &application)?;
    let approved = Version::approved(snapshot, &application)?;
    let waiting = match &approved {
        Some(approved) if !current.is_within(approved) => current.changes_since(approved),
        _ => Vec::new(),
    };
    Ok(OwnApplication {
        waiting,
        approved,
        redirect_uris: current.redirect_uris().to_vec(),
        role: service_account::role(snapshot, &application)?,
        secrets: snapshot.list_application_secrets(id)?,
        people: snapshot.count_consents(id)?,
        creator_name: snapshot
            .find_user(application.created_by)?
            .map(|creator| creator.name)
            .unwrap_or_default(),
        application,
    })
}

/// Ends the application, its codes and its tokens at once; one that is deleted already stays so. Tells how it was before.
pub fn delete(desk: &mut Desk, id: ApplicationId) -> Result<Application, Refusal> {
    own_applications::ensure_manages(&mut desk.view())?;
    let organization = desk.organization;
    let before = desk
        .tx
        .find_application(id)?
        .filter(|own| own.organization_id == organization)
        .ok_or(Refusal::NotFound)?;
    if before.state == ApplicationState::Active {
        match desk.tx.delete_application(organization, id) {
            Ok(()) => {
                if let Some(account) = before.service_account_id {
                    let by = desk.asker.user;
                    endings::end_service_account(desk.tx, organization, account, by)?;
                }
                desk.record(Event::ApplicationDeleted, id.as_str(), "")?;
            }
            // somebody else was quicker: it is deleted, as asked
            Err(store::Error::NotFound) => {}
            Err(other) => return Err(other.into()),
        }
    }
    Ok(before)
}

/// The roles that an application may have: those that the configuration knows, the powerful ones first.
pub fn roles(catalogue: &Catalogue) -> Vec<String> {
    let mut roles: Vec<String> = catalogue.roles().map(str::to_owned).collect();
    roles.sort_by_key(|role| role != ADMIN_ROLE);
    roles
}
