//! More people, keys, tokens and resource servers than `quickstart` plants, made by the rules of the domain and the store.

use std::sync::LazyLock;

use countersign::crypto::digest::Purpose;
use countersign::crypto::format::{TokenKind, hint, mint_key, mint_token};
use countersign::crypto::password;
use countersign::domain::Refusal;
use countersign::domain::clients::applications::{self, NewApplication};
use countersign::domain::clients::settings::RefreshPolicy;
use countersign::domain::desk::Desk;
use countersign::domain::lifecycle::quickstart::ADMIN;
use countersign::domain::operations::resource_servers::{self, NewResourceServer};
use countersign::domain::people::accounts::{self, NewPerson};
use countersign::domain::rights::asker::Asker;
use countersign::store::Tx;
use countersign::store::api_key_secrets::ApiKeySecret;
use countersign::store::api_keys::ApiKey;
use countersign::store::application_secrets::NewSecret;
use countersign::store::applications::Application;
use countersign::store::authorizations::Authorization;
use countersign::store::management_tokens::ManagementToken;
use countersign::store::tokens::AccessToken;
use countersign::types::email::Mailbox;
use countersign::types::environment::Environment;
use countersign::types::grant_types::GrantTypes;
use countersign::types::id::{
    AccessTokenId, ApiKeyId, ApplicationId, AuthorizationId, ManagementTokenId, OrganizationId,
    ResourceServerId, UserId, WorkspaceId,
};
use countersign::types::resource::Resources;
use countersign::types::scope::Scopes;
use countersign::types::state::ObligationKind;
use countersign::types::state::{
    AccessTokenFormat, ApiKeyState, AuthorizationState, ClientType, GrantKind, OrganizationRole,
    PermissionLevel, ProductionAccess, ReachKind,
};
use countersign::types::time::Timestamp;
use serde_json::Value;

use crate::people::at_desk;
use crate::server::Server;

/// Every person's password here but the planted admin's: hashing is slow by design.
pub static PASSWORD: LazyLock<(String, String)> = LazyLock::new(|| {
    let password = password::generate();
    let hash = password::hash(&password);
    (password, hash)
});

/// A key to be made; [`Key::of`] and what differs from it.
#[derive(Clone)]
pub struct Key {
    pub organization: OrganizationId,
    pub owner: UserId,
    pub environment: Environment,
    /// None: the organization.
    pub workspaces: Option<Vec<WorkspaceId>>,
    pub level: PermissionLevel,
    pub operations: bool,
    pub expires_at: Option<Timestamp>,
}

impl Key {
    /// A full Sandbox key of the planted organization, for the planted workspace.
    pub fn of(server: &Server, owner: UserId) -> Self {
        Self {
            organization: server.planted.organization,
            owner,
            environment: Environment::Sandbox,
            workspaces: Some(vec![server.planted.workspace]),
            level: PermissionLevel::Full,
            operations: false,
            expires_at: None,
        }
    }

    pub fn production(self) -> Self {
        Self {
            environment: Environment::Production,
            ..self
        }
    }

    pub fn for_organization(self) -> Self {
        Self {
            workspaces: None,
            ..self
        }
    }
}

/// A key and its secret.
pub struct Made {
    pub id: ApiKeyId,
    pub secret: String,
}

pub async fn admin(server: &Server) -> UserId {
    let found = server
        .app
        .store
        .read(|snapshot| snapshot.find_user_by_email(ADMIN))
        .await;
    let found: Result<_, countersign::store::Error> = found;
    found.expect("the store answers").expect("planted").id
}

/// A person without any membership, who signs in with [`PASSWORD`].
pub async fn person(server: &Server, email: &str, operator: bool) -> UserId {
    let (email, hash) = (
        Mailbox::parse(email).expect("an address"),
        PASSWORD.1.clone(),
    );
    let new = NewPerson {
        name: email.local().to_owned(),
        email,
        password_hash: hash,
        operator,
    };
    server
        .write(move |tx| accounts::create_person(tx, &new))
        .await
        .id
}

/// A person with a role in the planted organization.
pub async fn member(server: &Server, email: &str, role: OrganizationRole) -> UserId {
    let user = person(server, email, false).await;
    join(server, server.planted.organization, user, role).await;
    user
}

pub async fn join(
    server: &Server,
    organization: OrganizationId,
    user: UserId,
    role: OrganizationRole,
) {
    server
        .write(move |tx| Ok(accounts::add_member(tx, organization, user, role)?))
        .await;
}

pub async fn join_workspace(
    server: &Server,
    workspace: WorkspaceId,
    user: UserId,
    role: &'static str,
) {
    let organization = server.planted.organization;
    server
        .write(move |tx| {
            Ok(accounts::add_workspace_member(
                tx,
                organization,
                workspace,
                user,
                role,
            )?)
        })
        .await;
}

/// A workspace of the planted organization.
pub async fn workspace(server: &Server, name: &'static str) -> WorkspaceId {
    let organization = server.planted.organization;
    server
        .write(move |tx| accounts::create_workspace(tx, organization, name))
        .await
        .id
}

/// An organization with an owner, a workspace and no verified domain.
pub async fn organization(
    server: &Server,
    owner_email: &str,
) -> (OrganizationId, UserId, WorkspaceId) {
    let owner = person(server, owner_email, false).await;
    let (organization, workspace) = server
        .write(|tx| {
            let organization =
                accounts::create_organization(tx, "Other", ProductionAccess::Approved)?;
            let workspace = accounts::create_workspace(tx, organization.id, "Main")?;
            Ok((organization.id, workspace.id))
        })
        .await;
    join(server, organization, owner, OrganizationRole::Owner).await;
    (organization, owner, workspace)
}

/// The key, whoever owns it: what the console would refuse to make is how earlier rights are left behind.
pub async fn key(server: &Server, key: Key) -> Made {
    let app = &server.app;
    let (public_id, secret) = mint_key(
        &app.config.keys.prefix,
        app.config.keys.marker(key.environment),
    );
    let digest = app.digester.digest(Purpose::ApiKey, secret.expose());
    let now = server.clock.now();
    let row = ApiKey {
        id: ApiKeyId::generate(now),
        organization_id: key.organization,
        owner_id: key.owner,
        environment: key.environment,
        prefix: app.config.keys.prefix.clone(),
        marker: app.config.keys.marker(key.environment).to_owned(),
        public_id,
        name: "Robot".to_owned(),
        description: String::new(),
        reach: if key.workspaces.is_some() {
            ReachKind::Workspaces
        } else {
            ReachKind::Organization
        },
        permission_level: key.level,
        organization_operations: key.operations,
        self_rotation: false,
        state: ApiKeyState::Active,
        state_reason: None,
        simulates: None,
        simulates_until: None,
        expires_at: key.expires_at,
        last_used_at: None,
        created_by: key.owner,
        created_at: now,
        revoked_by: None,
        revoked_at: None,
        owned_since: now,
    };
    let id = row.id;
    let write = move |tx: &mut Tx<'_>| {
        tx.insert_api_key(&row, &key.workspaces.unwrap_or_default())?;
        let first = ApiKeySecret::first(row.id, row.public_id.clone(), digest, row.owner_id, now);
        Ok(tx.insert_api_key_secret(row.organization_id, &first)?)
    };
    server.write(write).await;
    Made {
        id,
        secret: secret.expose().to_owned(),
    }
}

/// A management token of the planted organization, as its maker would make one in the Dev Centre: its secret. `workspaces`:
/// none for the whole organization.
pub async fn made_management_token(
    server: &Server,
    maker: UserId,
    permissions: &str,
    workspaces: Option<Vec<WorkspaceId>>,
) -> (ManagementTokenId, String) {
    let secret = mint_token(&server.app.config.keys.prefix, TokenKind::ManagementToken);
    let now = server.clock.now();
    let row = ManagementToken {
        id: ManagementTokenId::generate(now),
        organization_id: server.planted.organization,
        user_id: maker,
        name: "Sync".to_owned(),
        digest: server
            .app
            .digester
            .digest(Purpose::ManagementToken, secret.expose()),
        hint: hint(&secret),
        permissions: permissions.to_owned(),
        reach: match workspaces {
            None => ReachKind::Organization,
            Some(_) => ReachKind::Workspaces,
        },
        created_at: now,
        expires_at: now.plus_seconds(30 * 24 * 60 * 60),
        last_used_at: None,
        revoked_at: None,
    };
    let id = row.id;
    let insert = move |tx: &mut Tx<'_>| {
        Ok(tx.insert_management_token(&row, &workspaces.unwrap_or_default())?)
    };
    server.write(insert).await;
    (id, secret.expose().to_owned())
}

/// A resource server that enforces `obligations`, and its secret.
pub async fn resource_server(
    server: &Server,
    environment: Option<Environment>,
    obligations: &'static [ObligationKind],
) -> (ResourceServerId, String) {
    let secret = mint_token(&server.app.config.keys.prefix, TokenKind::ClientSecret)
        .expose()
        .to_owned();
    let digest = server.app.digester.digest(Purpose::ClientSecret, &secret);
    let new = NewResourceServer {
        name: "Another API".to_owned(),
        environment,
        obligations: obligations.to_vec(),
        default_audience: true,
        secret: NewSecret {
            digest,
            hint: String::new(),
        },
    };
    let made = server
        .write(move |tx| Ok(resource_servers::create(tx, &new)?))
        .await;
    (made.id, secret)
}

/// `POST /v1/verify` by that resource server.
pub async fn verify_as(
    server: &Server,
    (id, secret): &(ResourceServerId, String),
    question: Value,
) -> Value {
    let response = server
        .post("/v1/verify")
        .basic_auth(id, Some(secret))
        .json(&question)
        .send()
        .await
        .expect("an answer");
    assert_eq!(response.status(), 200);
    response.json().await.expect("JSON")
}

/// A token of the planted application, as itself.
pub async fn own_token(server: &Server) -> String {
    let (status, body) = server.token(&[("grant_type", "client_credentials")]).await;
    assert_eq!(status, 200, "{body}");
    body["access_token"].as_str().expect("a token").to_owned()
}

/// An access token of `application` for what `ground` says of a key, as if its owner had allowed `scopes`.
pub async fn token(
    server: &Server,
    application: ApplicationId,
    ground: Key,
    scopes: &str,
) -> Allowed {
    let token = mint_token(&server.app.config.keys.prefix, TokenKind::AccessToken)
        .expose()
        .to_owned();
    let digest = server.app.digester.digest(Purpose::AccessToken, &token);
    let (now, scopes): (_, Scopes) = (server.clock.now(), scopes.parse().expect("scopes"));
    let authorization = Authorization {
        id: AuthorizationId::generate(now),
        kind: GrantKind::AuthorizationCode,
        application_id: application,
        organization_id: ground.organization,
        user_id: ground.owner,
        environment: ground.environment,
        scopes: scopes.clone(),
        reach: if ground.workspaces.is_some() {
            ReachKind::Workspaces
        } else {
            ReachKind::Organization
        },
        state: AuthorizationState::Active,
        redirect_uri: None,
        code_challenge: None,
        code_digest: None,
        code_expires_at: None,
        wrong_verifiers: 0,
        created_at: now,
        expires_at: None,
        revoked_at: None,
        revoked_because: None,
        consent_id: None,
        session_id: None,
        resources: Resources::default(),
        last_used_at: None,
        row_expires_at: None,
        marked_at: None,
    };
    let access_token = AccessToken {
        id: AccessTokenId::generate(now),
        authorization_id: authorization.id,
        digest,
        scopes,
        created_at: now,
        expires_at: ground.expires_at.unwrap_or(now.plus_seconds(1_000_000)),
        resources: Resources::default(),
    };
    let inserted = authorization.clone();
    server
        .write(move |tx| {
            tx.insert_authorization(&inserted, &ground.workspaces.unwrap_or_default())?;
            Ok(tx.insert_access_token(&access_token)?)
        })
        .await;
    Allowed {
        authorization,
        token,
    }
}

/// What a person allowed, and a token of it.
pub struct Allowed {
    pub authorization: Authorization,
    pub token: String,
}

/// What is asked for by [`application`].
pub fn new_application(server: &Server, environment: Environment, role: &str) -> NewApplication {
    let digest = server.app.digester.digest(
        Purpose::ClientSecret,
        mint_token(&server.app.config.keys.prefix, TokenKind::ClientSecret).expose(),
    );
    NewApplication {
        name: "Robots".to_owned(),
        environment,
        client_type: ClientType::Confidential,
        access_token_format: AccessTokenFormat::Opaque,
        redirect_uris: Vec::new(),
        scopes: server
            .app
            .config
            .public_scopes()
            .map(|scope| scope.name.as_str())
            .collect(),
        role: role.to_owned(),
        secret: digest.into(),
        grants: GrantTypes::ALL,
        refresh: RefreshPolicy::default(),
    }
}

/// A confidential application of an organization whose admin `creator` is.
pub async fn application(
    server: &Server,
    organization: OrganizationId,
    creator: UserId,
    environment: Environment,
    role: &str,
) -> Application {
    let new = new_application(server, environment, role);
    let make = move |desk: &mut Desk| applications::create(desk, &new);
    at_desk(server, organization, Asker::person(creator), make)
        .await
        .expect("the application is created")
}

/// The operator lets people of other organizations authorize the application.
pub async fn approve(server: &Server, application: ApplicationId) {
    server
        .write(move |tx: &mut Tx| {
            let application = tx.find_application(application)?.ok_or(Refusal::NotFound)?;
            let uris = tx.list_redirect_uris(application.id)?;
            Ok(tx.approve_application(&application, &uris)?)
        })
        .await;
}

/// The operator says that the application is the vendor's own, and it may have every scope.
pub async fn make_first_party(server: &Server, application: ApplicationId) {
    server
        .write(move |tx: &mut Tx| {
            let application = tx.find_application(application)?.ok_or(Refusal::NotFound)?;
            Ok(tx.set_application_first_party(&application, true)?)
        })
        .await;
    grant_every_scope(server, application).await;
}

pub async fn grant_every_scope(server: &Server, application: ApplicationId) {
    let scopes: Scopes = server
        .app
        .config
        .scope
        .iter()
        .map(|scope| scope.name.as_str())
        .collect();
    server
        .write(move |tx: &mut Tx| {
            let application = tx.find_application(application)?.ok_or(Refusal::NotFound)?;
            Ok(tx.change_application(&Application {
                scopes,
                ..application
            })?)
        })
        .await;
}

/// The vendor's own application, by which people manage the planted organization.
pub async fn management_application(server: &Server) -> ApplicationId {
    let made = application(
        server,
        server.planted.organization,
        admin(server).await,
        first_environment(server),
        "admin",
    )
    .await;
    make_first_party(server, made.id).await;
    made.id
}

/// A profile without Sandbox has everything in Production.
pub fn first_environment(server: &Server) -> Environment {
    countersign::domain::lifecycle::quickstart::environments(&server.app.settings.catalogue)[0]
}

/// A token of a new first-party application by which `person` manages the whole planted organization.
pub async fn management_token(server: &Server, person: UserId, scopes: &str) -> String {
    let ground = Key {
        environment: first_environment(server),
        ..Key::of(server, person).for_organization()
    };
    token(server, management_application(server).await, ground, scopes)
        .await
        .token
}
