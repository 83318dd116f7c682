//! An operator token that may do one thing × every operation of the management API, asked for as much as it can give: nobody
//! and nothing holds anything afterwards that they did not hold before and the token does not hold itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::http::Method;
use countersign::config::{Catalogue, Rate};
use countersign::domain::Refusal;
use countersign::domain::rights::asker::Asker;
use countersign::domain::rights::key_rights;
use countersign::domain::rights::rights::{self, Rights};
use countersign::server::routes::{Route, table};
use countersign::store::Snapshot;
use countersign::store::api_keys::ApiKeyFilter;
use countersign::store::members::{Member, MemberFilter};
use countersign::store::organizations::OrganizationFilter;
use countersign::store::users::User;
use countersign::types::id::{OrganizationId, UserId};
use countersign::types::state::{HandOverState, InvitationState, OrganizationRole, TransferState};
use countersign::types::time::Timestamp;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::api::{Program, operator_tokens};
use crate::databases::{TestDatabase, both_databases};
use crate::guards::sample;
use crate::server::Server;
use crate::tenants::{admin, join_workspace, member};

both_databases!(
    a_token_gives_nobody_more_than_it_holds,
    a_billing_system_founds_customers_and_gives_nothing_away_in_them
);

const MOST: i64 = 10_000;
/// Of an organization that is there already.
const CUSTOMER: &str = "customer";
/// Of an owner whose address provisioning would change.
const OWNERS_EXTERNAL_ID: &str = "v-1";

async fn a_token_gives_nobody_more_than_it_holds(db: TestDatabase) {
    let server = Server::start_with(db, |config| {
        config.keys.max_applications_per_organization = MOST;
        config.keys.max_active_per_organization = MOST;
        config.invitations.max_pending_per_organization = MOST;
        config.limits.management = Rate::NONE;
    })
    .await;
    let people = plant(&server).await;
    let everything = operator_tokens::make(&server, &[], None).await.1;
    let mut asked = 0;
    for route in table().iter().filter(|route| route.operation.is_some()) {
        ensure_others_are_closed(&server, route).await;
        for right in needs(route) {
            let token = operator_tokens::make(&server, &[right], None).await.1;
            for body in bodies(&server, route, people) {
                ensure_gives_only(&server, route, &body, (right, &token)).await;
                asked += 1;
            }
        }
        // the same is done for who holds everything: what was refused is refused for what it would give
        for body in bodies(&server, route, people)
            .into_iter()
            .filter(|body| !body.is_null())
        {
            let (status, answer) = ask(&server, route, &body, &everything).await;
            let done = status.is_success() && !answer.to_string().contains("\"refused\"");
            assert!(
                done,
                "{} {} {body}: {status} {answer}",
                route.method, route.path
            );
        }
    }
    assert!(asked > 80, "{asked} questions");
}

/// An owner who has an external id, and an admin of the planted workspace who can take keys.
async fn plant(server: &Server) -> (UserId, UserId) {
    let owner = member(server, "olga@acme.example", OrganizationRole::Owner).await;
    let name = move |tx: &mut countersign::store::Tx| {
        let found = tx.find_user(owner)?.ok_or(Refusal::NotFound)?;
        let external_id = Some(OWNERS_EXTERNAL_ID.to_owned());
        Ok(tx.change_user(&User {
            external_id,
            ..found
        })?)
    };
    server.write(name).await;
    let there = format!("/v1/organizations/by-external-id/{CUSTOMER}");
    let made = Program::operator(server)
        .put(&there, &json!({"name": "There already"}))
        .await;
    assert_eq!(made.0, StatusCode::OK, "{}", made.1);
    let taker = member(server, "wanda@acme.example", OrganizationRole::Member).await;
    join_workspace(server, server.planted.workspace, taker, "admin").await;
    (admin(server).await, taker)
}

fn needs(route: &Route) -> Vec<&'static str> {
    let rights = route.operation.map(|operation| operation().rule.needs);
    rights
        .unwrap_or_default()
        .iter()
        .map(|right| right.name())
        .collect()
}

/// As much as the operation can give; null: nothing more than what a sample sends.
fn bodies(server: &Server, route: &Route, (owner, taker): (UserId, UserId)) -> Vec<Value> {
    let workspace = server.planted.workspace;
    let somebody = format!("{:016x}@acme.example", rand::random::<u64>());
    let key = |scope: &str, operations: bool| {
        let workspaces = if operations {
            json!([])
        } else {
            json!([workspace])
        };
        json!({
            "name": "Planted", "environment": "production", "scope": scope, "workspaces": workspaces, "permission_level": "full",
            "organization_operations": operations, "expires_in_days": 30, "owner": owner,
        })
    };
    let application = json!({
        "name": "Planted", "environment": "production", "scopes": ["read", "write", "send"], "grants": ["client_credentials"], "role": "admin",
    });
    let one = |body: Value| vec![body];
    match (route.method.as_str(), route.path) {
        ("POST", "/v1/api-keys") => vec![key("organization", true), key("workspaces", false)],
        ("POST", "/v1/api-keys/{id}/rotate") => one(json!({"grace_seconds": 0})),
        ("POST", "/v1/api-keys/{id}/hand-over") => {
            one(json!({"email": somebody, "expires_in_seconds": 3600}))
        }
        ("POST", "/v1/api-keys/{id}/transfer") => one(json!({"to": taker})),
        ("POST", "/v1/applications") => one(application),
        ("PATCH", "/v1/applications/{id}") => vec![
            json!({"role": "admin"}),
            json!({"redirect_uris": ["https://evil.example/cb"]}),
        ],
        ("POST", "/v1/applications/{id}/secrets") => one(json!({})),
        ("PUT", "/v1/workspaces/{id}/members/{user}") => one(json!({"role": "admin"})),
        ("PATCH", "/v1/members/{id}") => vec![json!({"role": "admin"}), json!({"role": "owner"})],
        ("POST", "/v1/service-accounts") => vec![
            json!({"name": "Planted", "role": "admin"}),
            json!({"name": "Planted", "workspaces": [{"workspace": workspace, "role": "admin"}]}),
        ],
        ("PATCH", "/v1/service-accounts/{id}") => one(json!({"role": "admin"})),
        ("POST", "/v1/roles") => one(json!({"name": somebody, "permissions": ["documents:send"]})),
        ("PATCH", "/v1/roles/{id}") => {
            one(json!({"permissions": ["documents:read", "documents:send"]}))
        }
        ("POST", "/v1/invitations") => vec![
            json!({"email": somebody, "role": "owner"}),
            json!({"email": format!("x{somebody}"), "workspaces": [{"workspace": workspace, "role": "admin"}]}),
        ],
        ("POST", "/v1/join-requests/{id}/approve") => one(json!({"role": "owner"})),
        ("PUT", "/v1/users/by-external-id/{external_id}") => one(json!({"email": somebody})),
        ("POST", "/v1/provisioning") => one(customer(CUSTOMER, &somebody, "owner")),
        _ => one(Value::Null),
    }
}

/// A customer with one person, as a billing system tells it.
fn customer(external_id: &str, email: &str, role: &str) -> Value {
    json!({"organizations": [{
        "external_id": external_id, "name": "Customer",
        "users": [{"external_id": email, "email": email, "name": "Somebody", "role": role}],
    }]})
}

async fn a_billing_system_founds_customers_and_gives_nothing_away_in_them(db: TestDatabase) {
    let server = Server::start(db).await;
    let token = operator_tokens::make(&server, &["operator:organizations"], None)
        .await
        .1;
    let billing = Program::new(&server, &token);
    for (email, role, outcome) in [
        ("ann@customer.example", "owner", "created"),
        ("ann@customer.example", "owner", "unchanged"),
        ("bob@customer.example", "member", "created"),
        ("mallory@evil.example", "owner", "refused"),
        ("bob@customer.example", "admin", "refused"),
    ] {
        let (status, done) = billing
            .post("/v1/provisioning", &customer("new", email, role))
            .await;
        let told = &done["organizations"][0]["users"][0]["outcome"];
        assert_eq!(
            (status, told),
            (StatusCode::OK, &json!(outcome)),
            "{email}: {done}"
        );
    }
    // another address is another way to sign in
    for (email, status) in [("ann@customer.example", 403), ("bob@customer.example", 200)] {
        let path = format!("/v1/users/by-external-id/{email}");
        let moved = json!({"email": format!("x{email}")});
        assert_eq!(billing.put(&path, &moved).await.0, status, "{email}");
    }
}

async fn ask(server: &Server, route: &Route, body: &Value, token: &str) -> (StatusCode, Value) {
    let (path, _) = sample(server, route, "").await;
    send(server, route, &path, body, token).await
}

async fn send(
    server: &Server,
    route: &Route,
    path: &str,
    body: &Value,
    token: &str,
) -> (StatusCode, Value) {
    let method = route.method.as_str().parse().expect("a method");
    let request = reqwest::Client::new()
        .request(method, server.url(path))
        .bearer_auth(token);
    let takes_none = matches!(route.method, Method::GET | Method::DELETE);
    let request = match body {
        Value::Null if takes_none => request,
        Value::Null => request.json(&json!({})),
        body => request.json(body),
    };
    let answer = request.send().await.expect("an answer");
    let status = answer.status();
    let text = answer.text().await.expect("a text");
    (status, serde_json::from_str(&text).unwrap_or_default())
}

/// A token with any other permission, and nothing else, is refused before anything is read.
async fn ensure_others_are_closed(server: &Server, route: &Route) {
    let (path, _) = sample(server, route, "").await;
    for entry in &server.app.config.permission {
        let name = entry.name.as_str();
        if needs(route).contains(&name) {
            continue;
        }
        let token = operator_tokens::make(server, &[name], None).await.1;
        let (status, answer) = send(server, route, &path, &Value::Null, &token).await;
        assert_eq!(
            status,
            StatusCode::FORBIDDEN,
            "{} {path} by {name}: {answer}",
            route.method
        );
    }
}

async fn ensure_gives_only(
    server: &Server,
    route: &Route,
    body: &Value,
    (right, token): (&str, &str),
) {
    let (path, _) = sample(server, route, "").await;
    let before = powers(server).await;
    let (status, answer) = send(server, route, &path, body, token).await;
    assert!(
        !status.is_server_error(),
        "{} {path}: {answer}",
        route.method
    );
    let (granting, nothing) = (held_by(server, &[right]).await, held_by(server, &[]).await);
    for (holder, held) in powers(server).await {
        let had = before.get(&holder).unwrap_or(&nothing);
        assert!(
            held.gains_only_what(had, &granting),
            "{} {path} {body} with {right}: {holder} gets {held:?}",
            route.method
        );
    }
}

/// What an operator token with these permissions holds.
async fn held_by(server: &Server, names: &[&str]) -> Rights {
    let catalogue = Arc::clone(&server.app.settings.catalogue);
    let permissions = catalogue.of_names(names.iter().copied());
    let (account, organization, now) = (
        operator_tokens::make(server, &["organization:read"], None)
            .await
            .0
            .user_id,
        server.planted.organization,
        server.clock.now(),
    );
    let asker = Asker::operator_token(account, permissions);
    let read =
        move |snapshot: &mut Snapshot| rights::of(snapshot, &catalogue, &asker, organization, now);
    server.app.store.read(read).await.expect("an operator")
}

/// Whatever holds rights, or gives them to who gets hold of it, by a name of its own.
type Powers = BTreeMap<String, Rights>;

async fn powers(server: &Server) -> Powers {
    let catalogue = Arc::clone(&server.app.settings.catalogue);
    let now = server.clock.now();
    let read = move |snapshot: &mut Snapshot| -> Result<Powers, Refusal> {
        let mut found = Powers::new();
        let all = OrganizationFilter::default();
        for organization in snapshot.list_organizations_page(&all, None, MOST)? {
            people(snapshot, &catalogue, (organization.id, now), &mut found)?;
            keys(snapshot, &catalogue, (organization.id, now), &mut found)?;
            applications(snapshot, &catalogue, (organization.id, now), &mut found)?;
        }
        Ok(found)
    };
    server.app.store.read(read).await.expect("they are read")
}

/// Members by their address, invitations, and roles.
fn people(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    (organization, now): (OrganizationId, Timestamp),
    found: &mut Powers,
) -> Result<(), Refusal> {
    let all = MemberFilter::default();
    let mut nobody = None;
    for (member, user) in snapshot.list_members_page(organization, &all, None, MOST, now)? {
        let held = rights::of_user(snapshot, catalogue, organization, user.id, now)?;
        found.insert(format!("{organization} {} {:?}", user.id, user.email), held);
        let user_id = UserId::generate(member.created_at);
        nobody = Some(Member {
            user_id,
            role: OrganizationRole::Member,
            ..member
        });
    }
    let Some(nobody) = nobody else {
        return Ok(());
    };
    let pending = Some(InvitationState::Pending);
    for invitation in snapshot.list_invitations_page(organization, pending, None, MOST)? {
        let workspaces = snapshot.list_invitation_workspaces(invitation.id)?;
        let invited = Member {
            role: invitation.role,
            licence: invitation.licence,
            ..nobody.clone()
        };
        let held = rights::of_grant(snapshot, catalogue, &invited, &workspaces)?;
        found.insert(invitation.id.to_string(), held);
    }
    for role in snapshot.list_roles(organization)? {
        let workspaces = snapshot.list_workspaces(organization)?;
        let everywhere: Vec<_> = workspaces
            .iter()
            .map(|at| (at.id, role.id.to_string()))
            .collect();
        let held = rights::of_grant(snapshot, catalogue, &nobody, &everywhere)?;
        found.insert(role.id.to_string(), held);
    }
    Ok(())
}

/// Secrets of keys, links to them, and offers.
fn keys(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    (organization, now): (OrganizationId, Timestamp),
    found: &mut Powers,
) -> Result<(), Refusal> {
    let offers = snapshot.list_api_key_transfers_page(organization, None, None, MOST)?;
    let all = ApiKeyFilter::default();
    for key in snapshot.list_api_keys_page(organization, &all, None, MOST)? {
        let named = snapshot.list_api_key_workspaces(key.id)?;
        let named: Vec<_> = named.into_iter().map(|(id, _)| id).collect();
        let held = key_rights::of_key(snapshot, catalogue, &key, &named, now)?;
        let secrets = snapshot.list_api_key_secrets(key.id)?;
        let mut ids: Vec<String> = secrets.iter().map(|secret| secret.id.to_string()).collect();
        let links = snapshot.list_hand_overs(key.id, MOST)?.into_iter();
        let open = links.filter(|link| link.state == HandOverState::Open);
        ids.extend(open.map(|link| link.id.to_string()));
        let of_key = offers.iter().filter(|offer| offer.api_key_id == key.id);
        let open = of_key.filter(|offer| offer.state == TransferState::Open);
        ids.extend(open.map(|offer| offer.id.to_string()));
        found.extend(ids.into_iter().map(|id| (id, held.clone())));
    }
    Ok(())
}

/// Secrets of applications, and where their codes go: what the application may do as itself.
fn applications(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    (organization, now): (OrganizationId, Timestamp),
    found: &mut Powers,
) -> Result<(), Refusal> {
    for application in snapshot.list_applications(organization, MOST)? {
        let Some(account) = application.service_account_id else {
            continue;
        };
        let held = rights::of_user(snapshot, catalogue, organization, account, now)?;
        let secrets = snapshot.list_application_secrets(application.id)?;
        for secret in secrets {
            found.insert(secret.id.to_string(), held.clone());
        }
        for uri in snapshot.list_redirect_uris(application.id)? {
            found.insert(format!("{} {uri}", application.id), held.clone());
        }
    }
    Ok(())
}
