//! The store's contract: what every public function promises, on both databases. One file per noun, as in src/store/.

mod api_key_lists;
mod api_key_requests;
mod api_key_secrets;
mod api_key_transfers;
pub mod api_keys;
mod application_secrets;
mod applications;
mod audit;
mod authorization_requests;
mod authorizations;
mod clock_records;
mod completeness;
mod consents;
mod departures;
mod domains;
mod factors;
mod foreign_writes;
mod hand_overs;
mod idempotency_keys;
mod identities;
mod identity_providers;
mod invitations;
mod join_requests;
mod limit_windows;
mod management_tokens;
mod members;
mod operator_tokens;
mod organizations;
mod registration_tokens;
mod registrations;
mod resource_servers;
mod restored;
mod retired_api_keys;
mod schema;
mod sessions;
mod signing_keys;
mod subscriptions;
mod sweep;
mod tokens;
mod transactions;
mod users;
mod workspaces;

use countersign::crypto::digest::Digest;
use countersign::store::applications::Application;
use countersign::store::authorizations::Authorization;
use countersign::store::organizations::Organization;
use countersign::store::users::User;
use countersign::store::workspaces::Workspace;
use countersign::store::{Error, Snapshot, Store, Subject, Tx, Verdict};
use countersign::types::environment::Environment;
use countersign::types::grant_types::GrantTypes;
use countersign::types::id::{ApplicationId, AuthorizationId, OrganizationId, UserId, WorkspaceId};
use countersign::types::redirect_uri::RedirectUri;
use countersign::types::resource::Resources;
use countersign::types::scope::Scopes;
use countersign::types::state::{
    AccessTokenFormat, ApplicationState, Approval, AuthorizationState, ClientType, GrantKind,
    ReachKind, UserKind, UserState,
};
use countersign::types::time::Timestamp;

use crate::databases::TestDatabase;

/// The instant of every test.
pub const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
pub const LATER: Timestamp = NOW.plus_seconds(60);
pub const EARLIER: Timestamp = NOW.plus_seconds(-60);

pub fn open(db: &TestDatabase) -> Store {
    Store::open(&db.database, 4).expect("the store opens")
}

/// One transaction at [`NOW`].
pub async fn write<T: Send + 'static>(
    store: &Store,
    rule: impl FnOnce(&mut Tx) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    write_at(store, NOW, rule).await
}

pub async fn write_at<T: Send + 'static>(
    store: &Store,
    now: Timestamp,
    rule: impl FnOnce(&mut Tx) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let mut rule = Some(rule);
    let once = move |tx: &mut Tx| match rule.take() {
        Some(rule) => rule(tx).map(Verdict::Done),
        None => Err(Error::Unavailable("it ran before".to_owned())),
    };
    store.write(now, once).await
}

pub async fn read<T: Send + 'static>(
    store: &Store,
    question: impl FnOnce(&mut Snapshot) -> Result<T, Error> + Send + 'static,
) -> T {
    store.read(question).await.expect("a read")
}

/// Proves that what is remembered of `subject` ends with the committed change, and with nothing less.
pub async fn ends_what_is_remembered_of(
    store: &Store,
    subject: Subject,
    change: impl Fn(&mut Tx) -> Result<(), Error> + Copy + Send + 'static,
) {
    let before = store.changes().stamp();
    let rolled_back: Result<(), Error> = store
        .write(NOW, move |tx| change(tx).and(Err(Error::NotFound)))
        .await;
    assert_eq!(rolled_back, Err(Error::NotFound));
    assert!(
        store.changes().is_current(before, [subject]),
        "a rolled-back change is no news"
    );
    write(store, change).await.expect("the change");
    assert!(
        !store.changes().is_current(before, [subject]),
        "a committed change ends what was remembered"
    );
    assert!(
        store
            .changes()
            .is_current(store.changes().stamp(), [subject]),
        "what is read afterwards may be remembered"
    );
}

/// An organization with one person and one workspace, none of them members of each other.
#[derive(Clone)]
pub struct Acme {
    pub organization: OrganizationId,
    pub person: UserId,
    pub workspace: WorkspaceId,
}

impl Acme {
    pub async fn insert(store: &Store) -> Self {
        let (organization, person) = (organization("Acme"), person());
        let workspace = workspace(organization.id, "Main");
        let acme = Self {
            organization: organization.id,
            person: person.id,
            workspace: workspace.id,
        };
        write(store, move |tx| {
            tx.insert_organization(&organization)?;
            tx.insert_user(&person)?;
            tx.insert_workspace(&workspace)
        })
        .await
        .expect("an organization");
        acme
    }

    pub fn application(&self) -> Application {
        Application {
            id: ApplicationId::generate(NOW),
            organization_id: self.organization,
            environment: Environment::Sandbox,
            name: "CRM".to_owned(),
            client_type: ClientType::Confidential,
            access_token_format: AccessTokenFormat::Jwt,
            scopes: scopes("documents:read documents:write"),
            service_account_id: Some(self.person),
            state: ApplicationState::Active,
            created_by: self.person,
            created_at: NOW,
            deleted_at: None,
            grants: GrantTypes::ALL,
            refresh_rotation: true,
            refresh_idle_seconds: None,
            refresh_absolute_seconds: Some(3600),
            approval: Approval::None,
            approval_reason: None,
            verified_at: None,
            stopped_at: None,
            stopped_because: None,
            last_used_at: None,
            first_party: false,
            approved_name: None,
            approved_scopes: None,
        }
    }

    pub async fn insert_application(&self, store: &Store) -> ApplicationId {
        let application = self.application();
        write(store, move |tx| {
            tx.insert_application(&application, &[])
                .map(|()| application.id)
        })
        .await
        .expect("an application")
    }

    pub fn authorization(&self, application: ApplicationId) -> Authorization {
        Authorization {
            id: AuthorizationId::generate(NOW),
            kind: GrantKind::AuthorizationCode,
            application_id: application,
            organization_id: self.organization,
            user_id: self.person,
            environment: Environment::Sandbox,
            scopes: scopes("documents:read"),
            reach: ReachKind::Organization,
            state: AuthorizationState::Pending,
            redirect_uri: Some(redirect_uri("https://crm.example/cb")),
            code_challenge: Some("challenge".to_owned()),
            code_digest: Some(unique_digest()),
            code_expires_at: Some(LATER),
            wrong_verifiers: 0,
            created_at: NOW,
            expires_at: Some(LATER),
            revoked_at: None,
            revoked_because: None,
            consent_id: None,
            session_id: None,
            resources: Resources::default(),
            last_used_at: None,
            row_expires_at: Some(LATER),
            marked_at: None,
        }
    }

    pub async fn insert_authorization(&self, store: &Store) -> Authorization {
        let authorization = self.authorization(self.insert_application(store).await);
        write(store, move |tx| {
            tx.insert_authorization(&authorization, &[])
                .map(|()| authorization)
        })
        .await
        .expect("an authorization")
    }
}

pub fn organization(name: &str) -> Organization {
    Organization::new(OrganizationId::generate(NOW), name.to_owned(), NOW)
}

pub fn person() -> User {
    let id = UserId::generate(NOW);
    User {
        id,
        kind: UserKind::Person,
        email: Some(format!("{id}@acme.example")),
        email_verified_at: Some(NOW),
        name: "Ada".to_owned(),
        password_hash: Some("$argon2id$".to_owned()),
        state: UserState::Active,
        operator: false,
        external_id: None,
        created_at: NOW,
    }
}

pub fn workspace(organization: OrganizationId, name: &str) -> Workspace {
    Workspace::new(organization, name.to_owned(), NOW)
}

pub fn digest(text: &str) -> Digest {
    format!("k:{text}").parse().expect("every text is one")
}

pub fn unique_digest() -> Digest {
    digest(&format!("{:032x}", rand::random::<u128>()))
}

pub fn scopes(text: &str) -> Scopes {
    text.parse().expect("scopes")
}

pub fn redirect_uri(text: &str) -> RedirectUri {
    text.parse().expect("a redirect URI")
}

/// Whether the answer is the refusal of a constraint.
pub fn is_constraint<T>(answer: &Result<T, Error>) -> bool {
    matches!(answer, Err(Error::Constraint(_)))
}
