//! Every door by which somebody is shown a secret of a key or an application, adds one, or changes where its fruits go × who
//! manages it and holds less than it can do: refused, and nothing changes. Ending and pausing stay possible.

use countersign::config::{AdminRoles, KeyOwner, OrganizationOperations};
use countersign::domain::people::accounts;
use countersign::store::{self, Tx};
use countersign::types::environment::Environment;
use countersign::types::id::{UserId, WorkspaceId};
use countersign::types::state::OrganizationRole;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::api::{Program, manager, manager_of, operator_tokens, problem, text};
use crate::databases::{TestDatabase, both_databases};
use crate::server::Server;
use crate::tenants::{self, Key, Made, admin, join_workspace, key, member};

both_databases!(
    who_holds_less_than_a_key_gets_no_secret_of_it,
    what_was_offered_dies_when_its_maker_holds_less_than_the_key,
    a_removal_shows_nobody_the_secret_of_a_stronger_key,
    no_key_is_made_for_a_stronger_owner,
    less_reach_never_makes_a_key_stronger,
    who_holds_less_than_an_application_adds_nothing_to_it,
    what_registers_acts_as_itself_only_as_far_as_who_vouched,
);

/// Gives the member a role in the planted workspace that manages keys, and does nothing else.
async fn make_clerk(server: &Server, user: UserId) {
    let owner = manager(server).await;
    let permissions = ["api_keys:read", "api_keys:manage"];
    let role = json!({"name": "Key clerk", "permissions": permissions});
    let (_, role) = owner.post("/v1/roles", &role).await;
    let path = format!("/v1/workspaces/{}/members/{user}", server.planted.workspace);
    let given = owner.put(&path, &json!({"role": role["id"]})).await;
    assert_eq!(given.0, StatusCode::NO_CONTENT, "{}", given.1);
}

async fn clerk(server: &Server) -> (UserId, Program<'_>) {
    let clerk = member(server, "clerk@acme.example", OrganizationRole::Member).await;
    make_clerk(server, clerk).await;
    (clerk, manager_of(server, clerk).await)
}

/// A program with an operator token that may do this alone.
async fn narrow<'s>(server: &'s Server, permissions: &[&str]) -> Program<'s> {
    Program::new(
        server,
        &operator_tokens::make(server, permissions, None).await.1,
    )
}

fn in_organization(server: &Server, path: &str) -> String {
    format!("{path}?organization={}", server.planted.organization)
}

/// A service account that is an admin of the planted workspace.
async fn robot(server: &Server) -> UserId {
    let organization = server.planted.organization;
    let make = move |tx: &mut Tx| accounts::create_service_account(tx, organization, "Robot");
    let robot = server.write(move |tx| Ok(make(tx)?.id)).await;
    join_workspace(server, server.planted.workspace, robot, "admin").await;
    robot
}

/// An admin of the planted workspace, who can take a key.
async fn wanda(server: &Server) -> UserId {
    let wanda = member(server, "wanda@acme.example", OrganizationRole::Member).await;
    join_workspace(server, server.planted.workspace, wanda, "admin").await;
    wanda
}

fn at(made: &Made, what: &str) -> String {
    format!("/v1/api-keys/{}{what}", made.id)
}

/// What gives a secret of the key, lets it work again, or makes it somebody else's.
fn doors(to: UserId) -> [(&'static str, Value); 4] {
    [
        ("/rotate", json!({"grace_seconds": 0})),
        (
            "/hand-over",
            json!({"email": "a@b.example", "expires_in_seconds": 3600}),
        ),
        ("/transfer", json!({"to": to})),
        ("/resume", Value::Null),
    ]
}

async fn knock(program: &Program<'_>, path: &str, body: &Value) -> (StatusCode, Value) {
    match body {
        Value::Null => program.post_empty(path).await,
        body => program.post(path, body).await,
    }
}

/// Asserts that the door is closed, and that nothing happened behind it.
async fn assert_closed(program: &Program<'_>, path: &str, body: &Value) {
    let before = program.server.database.count_all_events();
    let answer = knock(program, path, body).await;
    assert_eq!(problem(answer).0, 403, "{path}");
    assert_eq!(program.server.database.count_all_events(), before, "{path}");
}

async fn who_holds_less_than_a_key_gets_no_secret_of_it(db: TestDatabase) {
    let server = Server::start(db).await;
    let (owner, wanda, robot) = (
        manager(&server).await,
        wanda(&server).await,
        robot(&server).await,
    );
    let (clerk, theirs) = clerk(&server).await;
    let narrow = narrow(&server, &["api_keys:manage", "api_keys:read"]).await;
    for stronger in [robot, admin(&server).await] {
        let made = key(&server, Key::of(&server, stronger)).await;
        assert_eq!(
            theirs.post_empty(&at(&made, "/pause")).await.0,
            StatusCode::OK,
            "pausing is possible"
        );
        for (door, body) in doors(wanda) {
            assert_closed(&theirs, &at(&made, door), &body).await;
            assert_closed(&narrow, &in_organization(&server, &at(&made, door)), &body).await;
        }
        assert_eq!(
            theirs.delete(&at(&made, "")).await.0,
            StatusCode::NO_CONTENT
        );
    }
    // who holds all of it, or owns it, goes through every door
    for (door, body) in doors(wanda) {
        let (of_robot, of_clerk) = (
            key(&server, Key::of(&server, robot)).await,
            key(&server, Key::of(&server, clerk)).await,
        );
        for (program, made) in [
            (&owner, &of_robot),
            (&owner, &of_clerk),
            (&theirs, &of_clerk),
        ] {
            let (status, answer) = knock(program, &at(made, door), &body).await;
            assert!(
                status.is_success() || answer["code"] == "transfer_open",
                "{door}: {answer}"
            );
        }
    }
    // a key that does no more than the clerk is not stronger, whoever owns it
    let equal = member(&server, "equal@acme.example", OrganizationRole::Member).await;
    let made = key(&server, Key::of(&server, equal)).await;
    let rotated = theirs
        .post(&at(&made, "/rotate"), &json!({"grace_seconds": 0}))
        .await;
    assert_eq!(rotated.0, StatusCode::CREATED, "{}", rotated.1);
}

/// The path of a link's page.
fn page_of(answer: &Value) -> String {
    let link = text(answer, "/link");
    let (_, token) = link.split_once("/hand-over/").expect("a link");
    format!("/hand-over/{token}")
}

async fn what_was_offered_dies_when_its_maker_holds_less_than_the_key(db: TestDatabase) {
    let server = Server::start(db).await;
    let (wanda, made) = (
        wanda(&server).await,
        key(&server, Key::of(&server, robot(&server).await)).await,
    );
    let to = member(&server, "tom@acme.example", OrganizationRole::Admin).await;
    let program = manager_of(&server, wanda).await;
    let link = json!({"email": "a@b.example", "expires_in_seconds": 3600});
    let (status, link) = program.post(&at(&made, "/hand-over"), &link).await;
    assert_eq!(status, StatusCode::CREATED, "{link}");
    let (status, offer) = program
        .post(&at(&made, "/transfer"), &json!({"to": to}))
        .await;
    assert_eq!(status, StatusCode::CREATED, "{offer}");
    // still manages the key, and may do nothing that it can
    make_clerk(&server, wanda).await;
    let page = server.browser().get(&page_of(&link)).await;
    assert_eq!(page.status(), StatusCode::GONE);
    let accept = format!("/v1/api-key-transfers/{}/accept", text(&offer, "/id"));
    let accepted = manager_of(&server, to).await.post_empty(&accept).await;
    assert_eq!(problem(accepted).0, 409);
}

async fn a_removal_shows_nobody_the_secret_of_a_stronger_key(db: TestDatabase) {
    let server = Server::start(db).await;
    let made = key(&server, Key::of(&server, robot(&server).await)).await;
    let (leaver, id) = (wanda(&server).await, made.id);
    let shown = move |tx: &mut Tx| {
        let secrets = tx.list_api_key_secrets(id)?;
        Ok(tx.record_disclosure(secrets[0].id.as_str(), leaver)?)
    };
    server.write(shown).await;
    let manages = ["members:manage", "api_keys:manage", "applications:manage"];
    let narrow = narrow(&server, &manages).await;
    let path = in_organization(&server, &format!("/v1/members/{leaver}"));
    let rotated = narrow.delete(&format!("{path}&secrets=rotate")).await;
    assert_eq!(
        problem(rotated),
        (403, "insufficient_permission".to_owned())
    );
    assert_eq!(server.database.count_events("member.removed"), 0);
    let revoked = narrow.delete(&format!("{path}&secrets=revoke")).await;
    assert_eq!(
        revoked.0,
        StatusCode::OK,
        "ending is possible: {}",
        revoked.1
    );
}

fn new_key(server: &Server, owner: Option<UserId>) -> Value {
    json!({
        "name": "Planted", "environment": "sandbox", "scope": "workspaces", "workspaces": [server.planted.workspace],
        "permission_level": "full", "expires_in_days": 30, "owner": owner,
    })
}

async fn no_key_is_made_for_a_stronger_owner(db: TestDatabase) {
    let server = Server::start(db.another()).await;
    let owner = Some(admin(&server).await);
    let narrow = narrow(&server, &["api_keys:manage"]).await;
    let path = in_organization(&server, "/v1/api-keys");
    assert_closed(&narrow, &path, &new_key(&server, owner)).await;
    let (_, theirs) = clerk(&server).await;
    let of_robot = new_key(&server, Some(robot(&server).await));
    assert_closed(&theirs, "/v1/api-keys", &of_robot).await;

    // the organization's own account is an admin: its key in a service workspace creates workspaces
    let server = Server::start_with(db, |config| {
        config.keys.owner = KeyOwner::Organization;
        config.keys.organization_operations = OrganizationOperations::ServiceWorkspace;
    })
    .await;
    let program = manager_of(&server, wanda(&server).await).await;
    let mut body = new_key(&server, None);
    assert_eq!(
        program.post("/v1/api-keys", &body).await.0,
        StatusCode::CREATED
    );
    body["workspaces"] = json!([service_workspace(&server).await]);
    assert_closed(&program, "/v1/api-keys", &body).await;
    assert_eq!(
        manager(&server).await.post("/v1/api-keys", &body).await.0,
        StatusCode::CREATED
    );
}

/// A workspace for keys of organization admins, where wanda is an admin, too.
async fn service_workspace(server: &Server) -> WorkspaceId {
    let new = json!({"name": "Service", "is_service": true});
    let (_, made) = manager(server).await.post("/v1/workspaces", &new).await;
    let id = text(&made, "/id").parse().expect("an id");
    let wanda: Result<_, store::Error> = server
        .app
        .store
        .read(|snapshot| snapshot.find_user_by_email("wanda@acme.example"))
        .await;
    let wanda = wanda.expect("an answer").expect("she is there").id;
    join_workspace(server, id, wanda, "admin").await;
    id
}

async fn less_reach_never_makes_a_key_stronger(db: TestDatabase) {
    // C4: in service workspaces alone, an organization admin's key creates workspaces
    let server = Server::start_with(db, |config| {
        config.keys.organization_operations = OrganizationOperations::ServiceWorkspace;
    })
    .await;
    let program = manager_of(&server, wanda(&server).await).await;
    let (main, service) = (server.planted.workspace, service_workspace(&server).await);
    let reaching = |workspaces: &[WorkspaceId]| Key {
        workspaces: Some(workspaces.to_vec()),
        ..Key::of(&server, UserId::generate(server.clock.now()))
    };
    let owner = admin(&server).await;
    let both = key(
        &server,
        Key {
            owner,
            ..reaching(&[main, service])
        },
    )
    .await;
    let alone = key(
        &server,
        Key {
            owner,
            ..reaching(&[service])
        },
    )
    .await;
    let narrowed = |to: WorkspaceId| json!({"workspaces": [to]});
    for program in [&program, &manager(&server).await] {
        let refused = program.patch(&at(&both, ""), &narrowed(service)).await;
        assert_eq!(problem(refused), (409, "only_narrows".to_owned()));
    }
    assert_closed(
        &program,
        &at(&alone, "/rotate"),
        &json!({"grace_seconds": 0}),
    )
    .await;
    let less = program.patch(&at(&both, ""), &narrowed(main)).await;
    assert_eq!(less.0, StatusCode::OK, "{}", less.1);
}

async fn who_holds_less_than_an_application_adds_nothing_to_it(db: TestDatabase) {
    let server = Server::start_with(db, |config| {
        config.access.organization_admins = AdminRoles::OwnRoles;
    })
    .await;
    let (organization, owner) = (server.planted.organization, admin(&server).await);
    let strong = tenants::application(&server, organization, owner, Environment::Sandbox, "admin");
    let id = strong.await.id;
    let path = format!("/v1/applications/{id}");
    // an admin of the organization, who has no role in any workspace
    let ann = member(&server, "ann@acme.example", OrganizationRole::Admin).await;
    let ann = manager_of(&server, ann).await;
    let narrow = narrow(&server, &["applications:manage", "applications:read"]).await;
    let (own, by_token) = (String::new(), in_organization(&server, ""));
    for (program, query) in [(&ann, &own), (&narrow, &by_token)] {
        let secrets = format!("{path}/secrets{query}");
        assert_closed(program, &secrets, &json!({})).await;
        let uri = json!({"redirect_uris": ["https://evil.example/cb"]});
        let changed = program.patch(&format!("{path}{query}"), &uri).await;
        assert_eq!(problem(changed).0, 403);
    }
    let less = json!({"scopes": ["read"], "grants": ["client_credentials"]});
    let narrower = ann.patch(&path, &less).await;
    assert_eq!(narrower.0, StatusCode::OK, "taking away is possible");
    for more in [
        json!({"scopes": ["read", "write"]}),
        json!({"grants": ["client_credentials", "authorization_code"]}),
    ] {
        assert_eq!(problem(ann.patch(&path, &more).await).0, 403, "{more}");
    }
    // the pages are doors of the same rule
    let browser = server.browser();
    browser
        .sign_in("ann@acme.example", &tenants::PASSWORD.0)
        .await;
    let page = format!("/dev-centre/{organization}/applications/{id}");
    let refused = browser.submit(&page, &format!("{page}/secrets"), &[]).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    let owner = Program::of(&server, owner).await;
    let made = owner.post(&format!("{path}/secrets"), &json!({})).await;
    assert_eq!(made.0, StatusCode::CREATED, "{}", made.1);
    assert_eq!(
        ann.delete(&path).await.0,
        StatusCode::NO_CONTENT,
        "ending is possible"
    );
}

async fn what_registers_acts_as_itself_only_as_far_as_who_vouched(db: TestDatabase) {
    let server = Server::start_with(db, |config| {
        config.access.organization_admins = AdminRoles::OwnRoles;
        config.registration.service_account_role = "manager".to_owned();
    })
    .await;
    let register = async || {
        let asked = json!({"token_endpoint_auth_method": "client_secret_basic", "grant_types": ["client_credentials"]});
        let request = server.post("/oauth2/register").json(&asked);
        let sent = request
            .bearer_auth(&server.secrets.registration_token)
            .send()
            .await;
        crate::server::json(sent.expect("an answer")).await
    };
    assert_eq!(register().await.0, StatusCode::CREATED);
    tenants::workspace(&server, "Where the admin is nobody").await;
    let (status, refused) = register().await;
    assert_eq!(
        (status, &refused["error"]),
        (StatusCode::BAD_REQUEST, &json!("invalid_client_metadata"))
    );
}
