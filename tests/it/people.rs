//! People beside the planted admin, and a second organization. Everybody signs in with the admin's password.

use std::sync::Arc;

use countersign::domain::Refusal;
use countersign::domain::desk::{Desk, View};
use countersign::domain::lifecycle::quickstart::ADMIN;
use countersign::domain::people::accounts::{self, NewPerson};
use countersign::domain::rights::asker::Asker;
use countersign::store::users::User;
use countersign::store::{self, Verdict};
use countersign::types::email::Mailbox;
use countersign::types::id::{OrganizationId, UserId, WorkspaceId};
use countersign::types::state::{OrganizationRole, ProductionAccess};

use crate::server::{Browser, Server};

pub const OTHER_OWNER: &str = "owner@other.example";

pub async fn admin(server: &Server) -> User {
    let found: Result<_, store::Error> = server
        .app
        .store
        .read(|snapshot| snapshot.find_user_by_email(ADMIN))
        .await;
    found
        .expect("the store answers")
        .expect("the admin was planted")
}

/// A person in no organization.
pub async fn person(server: &Server, email: &str) -> UserId {
    let password_hash = admin(server)
        .await
        .password_hash
        .expect("the admin has a password");
    let email = Mailbox::parse(email).expect("an address");
    let new = NewPerson {
        email,
        name: "Some Body".to_owned(),
        password_hash,
        operator: false,
    };
    server
        .write(move |tx| accounts::create_person(tx, &new))
        .await
        .id
}

/// A member of the planted organization; with a role in its workspace, if one is given.
pub async fn member(server: &Server, email: &str, workspace_role: Option<&'static str>) -> UserId {
    let user = person(server, email).await;
    let (organization, workspace) = (server.planted.organization, server.planted.workspace);
    server
        .write(move |tx| {
            accounts::add_member(tx, organization, user, OrganizationRole::Member)?;
            workspace_role.map_or(Ok(()), |role| {
                accounts::add_workspace_member(tx, organization, workspace, user, role)
            })?;
            Ok(user)
        })
        .await
}

/// Somebody else's organization with a workspace, owned by [`OTHER_OWNER`].
pub async fn other_organization(
    server: &Server,
    production_access: ProductionAccess,
) -> (OrganizationId, WorkspaceId) {
    let owner = person(server, OTHER_OWNER).await;
    server
        .write(move |tx| {
            let organization = accounts::create_organization(tx, "Other", production_access)?.id;
            accounts::add_member(tx, organization, owner, OrganizationRole::Owner)?;
            Ok((
                organization,
                accounts::create_workspace(tx, organization, "Main")?.id,
            ))
        })
        .await
}

/// The person's browser, signed in.
pub async fn browser<'s>(server: &'s Server, email: &str) -> Browser<'s> {
    let browser = server.browser();
    let response = browser.sign_in(email, &server.secrets.password).await;
    assert_eq!(response.status(), 303, "{email} signs in");
    browser
}

/// What the asker changes in the organization.
pub async fn at_desk<T: Send + 'static>(
    server: &Server,
    organization: OrganizationId,
    asker: Asker,
    mut rule: impl FnMut(&mut Desk<'_, '_>) -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let settings = Arc::clone(&server.app.settings);
    let write = move |tx: &mut store::Tx| {
        let mut desk = Desk {
            tx,
            settings: &settings,
            organization,
            asker: &asker,
        };
        rule(&mut desk).map(Verdict::Done)
    };
    server
        .app
        .store
        .write_organization(organization, server.clock.now(), write)
        .await
}

/// What the asker is told of the organization.
pub async fn at_view<T: Send + 'static>(
    server: &Server,
    organization: OrganizationId,
    asker: Asker,
    rule: impl FnOnce(&mut View<'_, '_>) -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let (settings, now) = (Arc::clone(&server.app.settings), server.clock.now());
    let read = move |snapshot: &mut store::Snapshot| {
        rule(&mut View {
            snapshot,
            settings: &settings,
            organization,
            asker: &asker,
            now,
        })
    };
    server.app.store.read(read).await
}
