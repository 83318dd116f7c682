//! The intersection (DESIGN §3): licence ∩ role held now ∩ scopes ∩ level, evaluated at every check, never copied.

mod askers;
mod factors;
mod operator_grants;
mod planted;
mod secrets;
mod walk;

use std::collections::BTreeSet;

use countersign::domain::desk::View;
use countersign::domain::keys::lists;
use countersign::domain::people::accounts;
use countersign::domain::rights::asker::Asker;
use countersign::store::api_keys::{ApiKeyFilter, KeyStatus};
use countersign::types::environment::Environment;
use countersign::types::id::{UserId, WorkspaceId};
use countersign::types::state::{
    ApiKeyState, Licence, OrganizationRole, OrganizationState, PermissionLevel, ProductionAccess,
};
use serde_json::{Value, json};

use crate::databases::{TestDatabase, both_databases};
use crate::people::at_view;
use crate::server::Server;
use crate::tenants::{self, Key, admin, join_workspace, key, member};

both_databases!(
    a_read_only_licence_or_level_holds_whatever_the_role,
    a_demotion_takes_effect_at_once,
    a_removed_owners_keys_stop_and_coming_back_does_not_revive_them,
    losing_one_workspace_drops_it_and_losing_the_last_deactivates,
    an_organization_key_of_an_admin_reaches_every_workspace_later_ones_too,
    only_an_organization_admins_operations_key_reaches_the_organization_itself,
    an_application_acts_as_its_own_service_account,
    a_token_never_holds_more_than_its_scopes_or_than_the_person,
    an_application_stands_only_while_its_own_organization_does,
);

/// What `credential` may do, in a workspace or everywhere, as a resource server hears it; none unless it is valid.
async fn permissions(
    server: &Server,
    credential: &str,
    workspace: Option<WorkspaceId>,
) -> Option<BTreeSet<String>> {
    let answer = server
        .verify(json!({"credential": credential, "workspace": workspace}))
        .await;
    let names = || {
        answer["permissions"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|name| name.as_str().expect("a name").to_owned())
    };
    (answer["code"] == "valid").then(|| names().collect())
}

async fn code(server: &Server, credential: &str) -> Value {
    server.verify(json!({"credential": credential})).await["code"].clone()
}

/// The names of a role's permissions that a key can hold, of those only the reading ones if `read_only`.
fn role(server: &Server, name: &str, read_only: bool) -> Option<BTreeSet<String>> {
    let catalogue = &server.app.settings.catalogue;
    let kind = if read_only {
        catalogue.read_only()
    } else {
        catalogue.all()
    };
    let set = catalogue.role(name) & kind & !catalogue.organization() & !catalogue.management();
    Some(
        catalogue
            .names(set)
            .into_iter()
            .map(str::to_owned)
            .collect(),
    )
}

/// A member with a role in the planted workspace.
async fn worker(server: &Server, email: &str, role: &'static str) -> UserId {
    let user = member(server, email, OrganizationRole::Member).await;
    join_workspace(server, server.planted.workspace, user, role).await;
    user
}

async fn a_read_only_licence_or_level_holds_whatever_the_role(db: TestDatabase) {
    // rows 17, 22
    let server = Server::start(db).await;
    let organization = server.planted.organization;
    let user = worker(&server, "mia@acme.example", "manager").await;
    let full = key(&server, Key::of(&server, user).production())
        .await
        .secret;
    let reads = key(
        &server,
        Key {
            level: PermissionLevel::ReadOnly,
            ..Key::of(&server, user).production()
        },
    )
    .await
    .secret;
    assert_eq!(
        permissions(&server, &full, None).await,
        role(&server, "manager", false)
    );
    assert_eq!(
        permissions(&server, &reads, None).await,
        role(&server, "manager", true)
    );
    server
        .write(move |tx| {
            Ok(tx.change_member_licence(organization, user, Licence::Full, Licence::ReadOnly)?)
        })
        .await;
    assert_eq!(
        permissions(&server, &full, None).await,
        role(&server, "manager", true)
    );
    assert_eq!(
        permissions(&server, &reads, None).await,
        role(&server, "manager", true)
    );
    // an owner's licence too
    let owner = admin(&server).await;
    server
        .write(move |tx| {
            Ok(tx.change_member_licence(organization, owner, Licence::Full, Licence::ReadOnly)?)
        })
        .await;
    assert_eq!(
        permissions(&server, &server.secrets.production_key, None).await,
        role(&server, "admin", true)
    );
}

async fn a_demotion_takes_effect_at_once(db: TestDatabase) {
    // row 21
    let server = Server::start(db).await;
    let (organization, workspace, owner) = (
        server.planted.organization,
        server.planted.workspace,
        admin(&server).await,
    );
    let own = &server.secrets.production_key;
    assert_eq!(
        permissions(&server, own, None).await,
        role(&server, "admin", false)
    );
    join_workspace(&server, workspace, owner, "viewer").await;
    // an admin is admin in every workspace, whatever role stands there
    assert_eq!(
        permissions(&server, own, None).await,
        role(&server, "admin", false)
    );
    server
        .write(move |tx| {
            Ok(tx.change_member_role(
                organization,
                owner,
                OrganizationRole::Owner,
                OrganizationRole::Member,
            )?)
        })
        .await;
    assert_eq!(
        permissions(&server, own, None).await,
        role(&server, "viewer", false)
    );
    server
        .write(move |tx| {
            Ok(tx.change_workspace_role(organization, workspace, owner, "viewer", "manager")?)
        })
        .await;
    assert_eq!(
        permissions(&server, own, None).await,
        role(&server, "manager", false)
    );
    // a role that is not configured any more holds nothing
    server
        .write(move |tx| {
            Ok(tx.change_workspace_role(organization, workspace, owner, "manager", "retired")?)
        })
        .await;
    assert_eq!(permissions(&server, own, None).await, Some(BTreeSet::new()));
    server
        .write(move |tx| {
            Ok(tx.change_member_role(
                organization,
                owner,
                OrganizationRole::Member,
                OrganizationRole::Admin,
            )?)
        })
        .await;
    assert_eq!(
        permissions(&server, own, None).await,
        role(&server, "admin", false)
    );
}

async fn a_removed_owners_keys_stop_and_coming_back_does_not_revive_them(db: TestDatabase) {
    // row 27
    let server = Server::start(db).await;
    let organization = server.planted.organization;
    let user = worker(&server, "mia@acme.example", "manager").await;
    let old = key(&server, Key::of(&server, user).production())
        .await
        .secret;
    let allowed = tenants::token(
        &server,
        server.planted.application,
        Key::of(&server, user),
        "read",
    )
    .await;
    assert_eq!(
        (
            code(&server, &old).await,
            code(&server, &allowed.token).await
        ),
        (json!("valid"), json!("valid"))
    );
    server
        .write(move |tx| {
            Ok(countersign::domain::people::endings::end(
                tx,
                organization,
                user,
                None,
                "a test",
            )?)
        })
        .await;
    assert_eq!(
        (
            code(&server, &old).await,
            code(&server, &allowed.token).await
        ),
        (json!("not_found"), json!("not_found"))
    );
    server.clock.step_seconds(1);
    server
        .write(move |tx| {
            Ok(accounts::add_member(
                tx,
                organization,
                user,
                OrganizationRole::Admin,
            )?)
        })
        .await;
    assert_eq!(
        (
            code(&server, &old).await,
            code(&server, &allowed.token).await
        ),
        (json!("not_found"), json!("not_found"))
    );
    let new = key(&server, Key::of(&server, user).production())
        .await
        .secret;
    assert_eq!(code(&server, &new).await, "valid");
    // the Dev Centre says the same of the old one
    let (listed, planted_admin) = (old.clone(), admin(&server).await);
    let list = |view: &mut View| lists::list(view, &ApiKeyFilter::default(), None, 99);
    let asker = Asker::person(planted_admin);
    let keys = at_view(&server, organization, asker, list)
        .await
        .expect("a list");
    let deactivated = KeyStatus::Stored(ApiKeyState::Deactivated);
    assert!(
        keys.iter()
            .any(|key| listed.contains(&key.key.public_id) && key.status == deactivated)
    );
}

async fn losing_one_workspace_drops_it_and_losing_the_last_deactivates(db: TestDatabase) {
    let server = Server::start(db).await;
    let (organization, first) = (server.planted.organization, server.planted.workspace);
    let second = tenants::workspace(&server, "Archive").await;
    let user = worker(&server, "mia@acme.example", "manager").await;
    join_workspace(&server, second, user, "viewer").await;
    let secret = key(
        &server,
        Key {
            workspaces: Some(vec![first, second]),
            ..Key::of(&server, user).production()
        },
    )
    .await
    .secret;
    assert_eq!(
        permissions(&server, &secret, None).await,
        role(&server, "viewer", false)
    );
    server
        .write(move |tx| Ok(tx.delete_workspace_member(organization, second, user)?))
        .await;
    assert_eq!(
        permissions(&server, &secret, None).await,
        role(&server, "manager", false)
    );
    assert_eq!(permissions(&server, &secret, Some(second)).await, None);
    assert_eq!(
        server.verify(json!({"credential": secret})).await["workspaces"],
        json!([first])
    );
    server
        .write(move |tx| Ok(tx.delete_workspace_member(organization, first, user)?))
        .await;
    assert_eq!(code(&server, &secret).await, "not_found");
    // a key whose list is empty is no key of the organization, not even an owner's
    let empty = key(
        &server,
        Key {
            workspaces: Some(Vec::new()),
            ..Key::of(&server, admin(&server).await).production()
        },
    )
    .await
    .secret;
    assert_eq!(code(&server, &empty).await, "not_found");
}

async fn an_organization_key_of_an_admin_reaches_every_workspace_later_ones_too(db: TestDatabase) {
    let server = Server::start(db).await;
    let (organization, owner, first) = (
        server.planted.organization,
        admin(&server).await,
        server.planted.workspace,
    );
    let secret = key(
        &server,
        Key::of(&server, owner).production().for_organization(),
    )
    .await
    .secret;
    assert_eq!(
        server.verify(json!({"credential": secret})).await["workspaces"],
        json!([first])
    );
    let later = tenants::workspace(&server, "Later").await;
    assert_eq!(
        permissions(&server, &secret, Some(later)).await,
        role(&server, "admin", false)
    );
    assert_eq!(
        permissions(&server, &server.secrets.production_key, Some(later)).await,
        None
    );
    // demoted, it reaches what its owner has, which may be nothing
    join_workspace(&server, later, owner, "viewer").await;
    server
        .write(move |tx| {
            Ok(tx.change_member_role(
                organization,
                owner,
                OrganizationRole::Owner,
                OrganizationRole::Member,
            )?)
        })
        .await;
    assert_eq!(
        server.verify(json!({"credential": secret})).await["workspaces"],
        json!([later])
    );
    assert_eq!(
        permissions(&server, &secret, None).await,
        role(&server, "viewer", false)
    );
    server
        .write(move |tx| Ok(tx.delete_workspace_member(organization, later, owner)?))
        .await;
    assert_eq!(code(&server, &secret).await, "not_found");
}

async fn only_an_organization_admins_operations_key_reaches_the_organization_itself(
    db: TestDatabase,
) {
    // rows 24, 25
    let server = Server::start(db).await;
    let (organization, owner) = (server.planted.organization, admin(&server).await);
    let base = || Key {
        operations: true,
        ..Key::of(&server, owner).production().for_organization()
    };
    let operations = key(&server, base()).await.secret;
    let plain = key(
        &server,
        Key {
            operations: false,
            ..base()
        },
    )
    .await
    .secret;
    // a flag that the console would never set with these
    let for_workspaces = key(
        &server,
        Key {
            workspaces: Some(vec![server.planted.workspace]),
            ..base()
        },
    )
    .await
    .secret;
    let reads = key(
        &server,
        Key {
            level: PermissionLevel::ReadOnly,
            ..base()
        },
    )
    .await
    .secret;
    let manages = async |secret: &str| {
        let mut held = Vec::new();
        for permission in ["workspaces:manage", "users:manage"] {
            let answer = server
                .verify(json!({"credential": secret, "permission": permission}))
                .await;
            held.push(answer["allowed"] == true);
        }
        held == [true, true]
    };
    assert!(manages(&operations).await);
    for refused in [
        &plain,
        &for_workspaces,
        &reads,
        &server.secrets.production_key,
    ] {
        assert!(!manages(refused).await);
    }
    let token = tenants::token(
        &server,
        server.planted.application,
        Key::of(&server, owner).for_organization(),
        "read write send webhooks",
    )
    .await;
    assert!(!manages(&token.token).await);
    // an admin of a workspace is no admin of the organization
    join_workspace(&server, server.planted.workspace, owner, "admin").await;
    server
        .write(move |tx| {
            Ok(tx.change_member_role(
                organization,
                owner,
                OrganizationRole::Owner,
                OrganizationRole::Member,
            )?)
        })
        .await;
    assert!(!manages(&operations).await);
    assert_eq!(
        permissions(&server, &operations, None).await,
        role(&server, "admin", false)
    );
    server
        .write(move |tx| {
            Ok(tx.change_member_role(
                organization,
                owner,
                OrganizationRole::Member,
                OrganizationRole::Admin,
            )?)
        })
        .await;
    assert!(manages(&operations).await);
}

async fn an_application_acts_as_its_own_service_account(db: TestDatabase) {
    let server = Server::start(db).await;
    let (organization, owner) = (server.planted.organization, admin(&server).await);
    let application = tenants::application(
        &server,
        organization,
        owner,
        Environment::Production,
        "viewer",
    )
    .await;
    let account = application.service_account_id.expect("it is confidential");
    let ground = Key::of(&server, account).production().for_organization();
    let token = tenants::token(&server, application.id, ground, "read send")
        .await
        .token;
    assert_eq!(
        permissions(&server, &token, None).await,
        role(&server, "viewer", false)
    );
    assert_eq!(
        server.verify(json!({"credential": token})).await["actor"],
        json!({"id": account, "kind": "service_account", "name": "Robots"})
    );
    // its creator's role is nothing to it
    let workspace = server.planted.workspace;
    join_workspace(&server, workspace, owner, "viewer").await;
    server
        .write(move |tx| {
            Ok(tx.change_workspace_role(organization, workspace, account, "viewer", "manager")?)
        })
        .await;
    server
        .write(move |tx| {
            Ok(tx.change_member_role(
                organization,
                owner,
                OrganizationRole::Owner,
                OrganizationRole::Member,
            )?)
        })
        .await;
    let held = permissions(&server, &token, None).await.expect("valid");
    assert!(
        held.contains("documents:send") && !held.contains("documents:write"),
        "{held:?}"
    );
    server
        .write(move |tx| Ok(tx.delete_member(organization, account)?))
        .await;
    assert_eq!(code(&server, &token).await, "not_found");
}

async fn a_token_never_holds_more_than_its_scopes_or_than_the_person(db: TestDatabase) {
    // RFC 6749 §3.3
    let server = Server::start(db).await;
    let user = worker(&server, "mia@acme.example", "viewer").await;
    let application = server.planted.application;
    for (scopes, expected) in [
        (
            "read",
            &[
                "contacts:read",
                "documents:download",
                "documents:read",
                "recipients:read",
                "templates:read",
            ][..],
        ),
        ("write send", &[]),
        ("nothing", &[]),
    ] {
        let allowed = tenants::token(&server, application, Key::of(&server, user), scopes).await;
        let expected = expected.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(
            permissions(&server, &allowed.token, None).await,
            Some(expected),
            "{scopes}"
        );
        let authorization = allowed.authorization;
        server
            .write(move |tx| Ok(tx.revoke_authorization(&authorization, "a test")?))
            .await;
        assert_eq!(code(&server, &allowed.token).await, "not_found");
    }
}

async fn an_application_stands_only_while_its_own_organization_does(db: TestDatabase) {
    let server = Server::start(db).await;
    let (home, creator, _) = tenants::organization(&server, "zoe@other.example").await;
    let application =
        tenants::application(&server, home, creator, Environment::Production, "viewer").await;
    let ground = Key::of(&server, admin(&server).await).production();
    let token = tenants::token(&server, application.id, ground, "read")
        .await
        .token;
    // people of other organizations need the operator's approval
    assert_eq!(code(&server, &token).await, "not_found");
    tenants::approve(&server, application.id).await;
    assert_eq!(code(&server, &token).await, "valid");
    server
        .write(move |tx| {
            Ok(tx.change_production_access(
                home,
                ProductionAccess::Approved,
                ProductionAccess::Withdrawn,
            )?)
        })
        .await;
    assert_eq!(code(&server, &token).await, "plan_required");
    server
        .write(move |tx| {
            Ok(tx.change_production_access(
                home,
                ProductionAccess::Withdrawn,
                ProductionAccess::Approved,
            )?)
        })
        .await;
    server
        .write(move |tx| {
            Ok(tx.change_organization_state(
                home,
                OrganizationState::Active,
                OrganizationState::Suspended,
            )?)
        })
        .await;
    assert_eq!(code(&server, &token).await, "suspended");
    server
        .write(move |tx| {
            Ok(tx.change_organization_state(
                home,
                OrganizationState::Suspended,
                OrganizationState::Active,
            )?)
        })
        .await;
    assert_eq!(code(&server, &token).await, "valid");
    // its creator leaving is nothing to it, its end is
    server
        .write(move |tx| Ok(tx.delete_member(home, creator)?))
        .await;
    assert_eq!(code(&server, &token).await, "valid");
    server
        .write(move |tx| Ok(tx.delete_application(home, application.id)?))
        .await;
    assert_eq!(code(&server, &token).await, "not_found");
}
