//! Plants persons with a session, an organization, a workspace and a confidential Sandbox application each, by the rules of
//! the product, before the server starts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use countersign::app::App;
use countersign::config::{ADMIN_ROLE, Config};
use countersign::crypto::digest::{Digest, Purpose};
use countersign::crypto::format::{TokenKind, mint_token};
use countersign::domain::Refusal;
use countersign::domain::clients::applications::{self, NewApplication};
use countersign::domain::clients::settings::RefreshPolicy;
use countersign::domain::desk::Desk;
use countersign::domain::people::accounts::{self, NewPerson};
use countersign::domain::people::sessions;
use countersign::domain::rights::asker::Asker;
use countersign::domain::settings::Settings;
use countersign::store::organizations::Organization;
use countersign::store::{self, Database, Tx, Verdict};
use countersign::types::email::Mailbox;
use countersign::types::environment::Environment;
use countersign::types::grant_types::GrantTypes;
use countersign::types::id::{ApplicationId, WorkspaceId};
use countersign::types::state::{
    AccessTokenFormat, ClientType, OrganizationRole, ProductionAccess,
};
use countersign::types::time::Clock;
use countersign::web::cookies::mint_session_token;

use super::person::{Credentials, REDIRECT_URI};
use super::{CONNECTIONS, server};

/// An organization in which applications can be authorized.
#[derive(Clone)]
struct Home {
    organization: Organization,
    workspace: WorkspaceId,
}

pub fn plant(url: &str, folder: &Path, persons: usize, together: bool) -> Vec<Credentials> {
    let database: Database = url.parse().expect("a database URL");
    store::migrate(&database).expect("the migrations run");
    let variables = server::variables(url, folder, "127.0.0.1:8080").into_iter();
    let mut config = Config::load(None, variables).expect("a valid configuration");
    config.database.connections = CONNECTIONS;
    let app = runtime()
        .block_on(App::build(config, Clock::System, PathBuf::new()))
        .expect("the database opens");
    let mut home = None;
    let mut one = |number| {
        let credentials = runtime().block_on(plant_one(&app, number, &mut home));
        if !together {
            home = None;
        }
        credentials
    };
    (0..persons).map(&mut one).collect()
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime")
}

async fn plant_one(app: &App, number: usize, shared: &mut Option<Home>) -> Credentials {
    let (session, secret) = (
        mint_session_token(),
        mint_token(&app.config.keys.prefix, TokenKind::ClientSecret),
    );
    let session_digest = app.digester.digest(Purpose::Session, &session);
    let secret_digest = app.digester.digest(Purpose::ClientSecret, secret.expose());
    let (config, existing) = (Arc::clone(&app.config), shared.clone());
    let write = move |tx: &mut Tx| {
        person(
            tx,
            &config,
            number,
            existing.clone(),
            &session_digest,
            &secret_digest,
        )
        .map(Verdict::Done)
    };
    let planted: Result<_, Refusal> = app.store.write(app.clock.now(), write).await;
    let (home, application) = planted.expect("planted");
    let (organization, workspace) = (home.organization.id.to_string(), home.workspace.to_string());
    *shared = Some(home);
    Credentials {
        session,
        organization,
        workspace,
        client_id: application.to_string(),
        client_secret: secret.expose().to_owned(),
    }
}

fn person(
    tx: &mut Tx,
    config: &Config,
    number: usize,
    existing: Option<Home>,
    session: &Digest,
    secret: &Digest,
) -> Result<(Home, ApplicationId), Refusal> {
    let email = Mailbox::parse(&format!("person-{number}@bench.example"))
        .map_err(|error| Refusal::Blocked(error.to_string()))?;
    let new = NewPerson {
        email,
        name: format!("Person {number}"),
        password_hash: "none".to_owned(),
        operator: false,
    };
    let user = accounts::create_person(tx, &new)?.id;
    let home = match existing {
        Some(home) => home,
        None => {
            let organization = accounts::create_organization(
                tx,
                &format!("Bench {number}"),
                ProductionAccess::None,
            )?;
            let workspace = accounts::create_workspace(tx, organization.id, "Main")?.id;
            Home {
                organization,
                workspace,
            }
        }
    };
    accounts::add_member(tx, home.organization.id, user, OrganizationRole::Owner)?;
    sessions::start(tx, &config.sessions, user, session, None)?;
    let new = NewApplication {
        name: format!("Bench {number}"),
        environment: Environment::Sandbox,
        client_type: ClientType::Confidential,
        access_token_format: AccessTokenFormat::Jwt,
        redirect_uris: vec![REDIRECT_URI.parse().map_err(|_| Refusal::NotFound)?],
        scopes: config
            .public_scopes()
            .map(|scope| scope.name.as_str())
            .collect(),
        role: ADMIN_ROLE.to_owned(),
        secret: secret.clone().into(),
        grants: GrantTypes::ALL,
        refresh: RefreshPolicy::default(),
    };
    let settings = Settings::new(config).map_err(|_| Refusal::NotFound)?;
    let mut desk = Desk {
        tx,
        settings: &settings,
        organization: home.organization.id,
        asker: &Asker::person(user),
    };
    let application = applications::create(&mut desk, &new)?.id;
    Ok((home, application))
}
