//! What `quickstart` creates: one organization with everything a first try needs, and the operator of the installation.

use crate::config::{ADMIN_ROLE, AdminRoles, Catalogue, Config, DevCentre, Plan};
use crate::crypto::digest::Digest;
use crate::domain::Refusal;
use crate::domain::clients::applications::{self, MOST_LISTED, NewApplication};
use crate::domain::clients::registration_tokens::{self, NewRegistrationToken};
use crate::domain::clients::settings::RefreshPolicy;
use crate::domain::desk::Desk;
use crate::domain::keys::api_keys::{self, Minted, NewApiKey, Reach};
use crate::domain::keys::expiry::Expiry;
use crate::domain::operations::operator_tokens::{self, NewOperatorToken};
use crate::domain::operations::resource_servers::{self, NewResourceServer};
use crate::domain::people::accounts::{self, NewPerson};
use crate::domain::rights::asker::Asker;
use crate::domain::settings::Settings;
use crate::store::application_secrets::NewSecret;
use crate::store::organizations::Organization;
use crate::store::subscriptions::Subscription;
use crate::store::{Snapshot, Tx};
use crate::types::email::{Domain, Mailbox};
use crate::types::environment::Environment;
use crate::types::grant_types::GrantTypes;
use crate::types::id::{ApplicationId, OrganizationId, ResourceServerId, UserId, WorkspaceId};
use crate::types::redirect_uri::RedirectUri;
use crate::types::state::ObligationKind;
use crate::types::state::{
    AccessTokenFormat, ClientType, OrganizationRole, PermissionLevel, ProductionAccess,
};

pub const ORGANIZATION: &str = "Acme";
pub const DOMAIN: &str = "acme.example";
pub const ADMIN: &str = "admin@acme.example";
/// The vendor's own account: a member of no organization.
pub const OPERATOR: &str = "operator@saas.example";
const WORKSPACE: &str = "Sales";
const APPLICATION: &str = "Example CRM";
const RESOURCE_SERVER: &str = "Documents API";
const REGISTERED_APPLICATIONS: i64 = 100;

/// The digests of what was minted at the door, and what else only the door knows.
pub struct Seed {
    pub password_hash: String,
    pub operator_password_hash: String,
    /// One of each of [`environments`].
    pub keys: Vec<(Environment, String, Digest)>,
    pub client_secret: NewSecret,
    pub resource_server_secret: Digest,
    pub registration_token: Digest,
    /// And how it starts.
    pub operator_token: (Digest, String),
    pub redirect_uri: RedirectUri,
}

/// What is there, by id.
#[derive(Debug, Clone)]
pub struct Planted {
    pub organization: OrganizationId,
    pub workspace: WorkspaceId,
    pub application: ApplicationId,
    pub resource_server: ResourceServerId,
}

/// What is left of it on a later run: people may have deleted the application.
#[derive(Debug, Clone)]
pub struct Kept {
    pub organization: OrganizationId,
    pub workspace: Option<WorkspaceId>,
    pub application: Option<ApplicationId>,
    pub resource_server: ResourceServerId,
    /// Whether there is the operator's account: older versions made none.
    pub operator: bool,
}

impl From<Planted> for Kept {
    fn from(planted: Planted) -> Self {
        let Planted {
            organization,
            workspace,
            application,
            resource_server,
        } = planted;
        Self {
            organization,
            workspace: Some(workspace),
            application: Some(application),
            resource_server,
            operator: true,
        }
    }
}

/// What an earlier run created; none when this database was never used by `quickstart`.
pub fn find(snapshot: &mut Snapshot) -> Result<Option<Kept>, Refusal> {
    let Some(organization) = snapshot.find_organization_by_name(ORGANIZATION)? else {
        return Ok(None);
    };
    let Some(server) = snapshot.find_resource_server_by_name(RESOURCE_SERVER)? else {
        return Ok(None);
    };
    let workspace = snapshot
        .list_workspaces(organization.id)?
        .into_iter()
        .find(|workspace| workspace.name == WORKSPACE);
    // the oldest of that name: people may have made others since
    let applications = snapshot.list_applications(organization.id, MOST_LISTED)?;
    let application = applications
        .into_iter()
        .rfind(|application| application.name == APPLICATION);
    Ok(Some(Kept {
        organization: organization.id,
        workspace: workspace.map(|workspace| workspace.id),
        application: application.map(|application| application.id),
        resource_server: server.id,
        operator: snapshot
            .find_user_by_email(OPERATOR)?
            .is_some_and(|user| user.operator),
    }))
}

/// The plan of the planted organization: the default one, unless another has more environments.
fn plan(catalogue: &Catalogue) -> &Plan {
    let (default, count) = (catalogue.plan(None), |plan: &Plan| {
        plan.entry.environments.len()
    });
    catalogue
        .plans()
        .filter(|plan| count(plan) > count(default))
        .max_by_key(|plan| count(plan))
        .unwrap_or(default)
}

/// Where the planted organization has keys.
pub fn environments(catalogue: &Catalogue) -> Vec<Environment> {
    let plan = plan(catalogue);
    Environment::ALL
        .into_iter()
        .filter(|environment| plan.has(*environment))
        .collect()
}

/// Creates everything in one transaction, by the same rules as the console.
pub fn plant(
    tx: &mut Tx,
    config: &Config,
    settings: &Settings,
    seed: &Seed,
) -> Result<Planted, Refusal> {
    let organization = create_organization(tx, &settings.catalogue)?;
    let domain = Domain::parse(DOMAIN).map_err(|error| Refusal::Blocked(error.to_string()))?;
    accounts::add_verified_domain(tx, organization.id, &domain)?;
    let admin = create_admin(tx, organization.id, &seed.password_hash)?;
    create_operator(tx, &seed.operator_password_hash)?;
    let workspace = accounts::create_workspace(tx, organization.id, WORKSPACE)?;
    if settings.catalogue.admin_roles == AdminRoles::OwnRoles {
        accounts::add_workspace_member(tx, organization.id, workspace.id, admin, ADMIN_ROLE)?;
    }
    let environment = seed
        .keys
        .first()
        .map_or(Environment::Sandbox, |(environment, ..)| *environment);
    let asker = Asker::person(admin);
    for (environment, public_id, digest) in &seed.keys {
        let name = format!("Quickstart ({})", environment.title());
        let expiry = if settings.keys.max_seconds == 0 {
            Expiry::Never
        } else {
            Expiry::At(tx.now.plus_seconds(settings.keys.max_seconds))
        };
        let minted = Minted {
            public_id: public_id.clone(),
            digest: digest.clone(),
        };
        let new = NewApiKey {
            expiry,
            ..new_key(&name, *environment, minted, workspace.id)
        };
        let mut desk = Desk {
            tx: &mut *tx,
            settings,
            organization: organization.id,
            asker: &asker,
        };
        api_keys::create(&mut desk, &new)?;
    }
    let mut desk = Desk {
        tx: &mut *tx,
        settings,
        organization: organization.id,
        asker: &asker,
    };
    let new = new_application(config, environment, seed);
    let application = applications::create(&mut desk, &new)?.id;
    registration_tokens::create(
        &mut desk,
        &new_token(settings, environment, &seed.registration_token),
    )?;
    create_operator_token(tx, &settings.catalogue, &seed.operator_token)?;
    let new = NewResourceServer {
        name: RESOURCE_SERVER.to_owned(),
        environment: None,
        obligations: ObligationKind::ALL.to_vec(),
        default_audience: true,
        secret: NewSecret {
            digest: seed.resource_server_secret.clone(),
            hint: String::new(),
        },
    };
    let server = resource_servers::create(tx, &new)?;
    Ok(Planted {
        organization: organization.id,
        workspace: workspace.id,
        application,
        resource_server: server.id,
    })
}

/// With everything open that the profile sells.
fn create_organization(tx: &mut Tx, catalogue: &Catalogue) -> Result<Organization, Refusal> {
    let mut organization =
        accounts::create_organization(tx, ORGANIZATION, ProductionAccess::Approved)?;
    let plan = plan(catalogue);
    if plan.entry.name != catalogue.plan(None).entry.name {
        tx.put_subscription(&Subscription::new(
            organization.id,
            &plan.entry.name,
            tx.now,
        ))?;
    }
    if plan.entry.dev_centre == DevCentre::Switch {
        organization.dev_centre_enabled_at = Some(tx.now);
        tx.change_dev_centre(organization.id, organization.dev_centre_enabled_at)?;
    }
    Ok(organization)
}

fn create_admin(
    tx: &mut Tx,
    organization: OrganizationId,
    password_hash: &str,
) -> Result<UserId, Refusal> {
    let email = Mailbox::parse(ADMIN).map_err(|error| Refusal::Blocked(error.to_string()))?;
    let admin = accounts::create_person(
        tx,
        &NewPerson {
            email,
            name: "Ada Admin".to_owned(),
            password_hash: password_hash.to_owned(),
            operator: false,
        },
    )?;
    accounts::add_member(tx, organization, admin.id, OrganizationRole::Owner)?;
    Ok(admin.id)
}

fn create_operator(tx: &mut Tx, password_hash: &str) -> Result<(), Refusal> {
    let email = Mailbox::parse(OPERATOR).map_err(|error| Refusal::Blocked(error.to_string()))?;
    accounts::create_person(
        tx,
        &NewPerson {
            email,
            name: "Olga Operator".to_owned(),
            password_hash: password_hash.to_owned(),
            operator: true,
        },
    )
    .map(drop)
}

fn create_operator_token(
    tx: &mut Tx,
    catalogue: &Catalogue,
    (digest, hint): &(Digest, String),
) -> Result<(), Refusal> {
    let new = NewOperatorToken {
        name: "Quickstart".to_owned(),
        permissions: Vec::new(),
        expires_at: None,
        digest: digest.clone(),
        hint: hint.clone(),
    };
    operator_tokens::create(tx, catalogue, &new).map(drop)
}

fn new_key(
    name: &str,
    environment: Environment,
    minted: Minted,
    workspace: WorkspaceId,
) -> NewApiKey {
    NewApiKey {
        owner: None,
        name: name.to_owned(),
        description: "Made by countersign quickstart.".to_owned(),
        environment,
        reach: Reach::Workspaces(vec![workspace]),
        permission_level: PermissionLevel::Full,
        expiry: Expiry::Never,
        self_rotation: false,
        secret: Some(minted),
    }
}

fn new_token(
    settings: &Settings,
    environment: Environment,
    digest: &Digest,
) -> NewRegistrationToken {
    let max_clients = settings
        .registration
        .max_clients
        .min(REGISTERED_APPLICATIONS);
    NewRegistrationToken {
        name: "Quickstart".to_owned(),
        environment,
        max_clients,
        expires_at: None,
        digest: digest.clone(),
    }
}

fn new_application(config: &Config, environment: Environment, seed: &Seed) -> NewApplication {
    NewApplication {
        name: APPLICATION.to_owned(),
        environment,
        client_type: ClientType::Confidential,
        access_token_format: AccessTokenFormat::Jwt,
        redirect_uris: vec![seed.redirect_uri.clone()],
        scopes: config
            .public_scopes()
            .map(|scope| scope.name.as_str())
            .collect(),
        role: ADMIN_ROLE.to_owned(),
        secret: seed.client_secret.clone(),
        grants: GrantTypes::ALL,
        refresh: RefreshPolicy::default(),
    }
}
