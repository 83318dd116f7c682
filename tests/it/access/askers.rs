//! Every operation of the management API × every kind of asker that lacks exactly what the operation needs, whatever takes it
//! away: the role, the licence, the scope, the operator token's own permissions, or the kind of the credential.

use std::collections::BTreeMap;

use actix_web::http::Method;
use countersign::api::operation::Or;
use countersign::config::{ADMIN_ROLE, AccessKind, Config, PermissionEntry, RoleEntry, ScopeEntry};
use countersign::domain::people::accounts;
use countersign::server::routes::{Route, table};
use countersign::store::Tx;
use countersign::types::id::UserId;
use countersign::types::state::{Licence, OrganizationRole};
use reqwest::StatusCode;

use crate::api::operator_tokens;
use crate::databases::{TestDatabase, both_databases};
use crate::guards::{Body, sample};
use crate::server::Server;
use crate::tenants::{self, Key, admin, join_workspace, key, management_token, member};

both_databases!(
    who_lacks_what_an_operation_needs_is_refused_and_changes_nothing,
    who_holds_it_in_another_workspace_only_changes_nothing_here,
);

/// Everything but what the operation needs.
const NEARLY: &str = "nearly_everything";

/// Operations by what they need: one of these rights suffices.
fn operations() -> BTreeMap<Vec<&'static str>, Vec<Route>> {
    let mut found: BTreeMap<Vec<&str>, Vec<Route>> = BTreeMap::new();
    for route in table() {
        if let Some(operation) = route.operation {
            let names = operation().rule.needs.iter().map(|right| right.name());
            found.entry(names.collect()).or_default().push(route);
        }
    }
    found
}

fn names(config: &Config, keep: impl Fn(&PermissionEntry) -> bool) -> Vec<String> {
    let kept = config.permission.iter().filter(|entry| keep(entry));
    kept.map(|entry| entry.name.clone()).collect()
}

/// A scope and a role that hold everything but `lacking`.
fn take_away(config: &mut Config, lacking: &[&str]) {
    config.keys.max_applications_per_organization = 10_000;
    let permissions = names(config, |entry| {
        !entry.operator && !lacking.contains(&entry.name.as_str())
    });
    config.scope.push(ScopeEntry {
        name: NEARLY.to_owned(),
        title: "Nearly everything".to_owned(),
        description: "All but one thing".to_owned(),
        permissions: permissions.clone(),
        default: false,
    });
    config.role.push(RoleEntry {
        name: NEARLY.to_owned(),
        permissions,
    });
}

async fn operator_token(server: &Server, lacking: &[&str]) -> String {
    let held = names(&server.app.config, |entry| {
        !lacking.contains(&entry.name.as_str())
    });
    let held: Vec<&str> = held.iter().map(String::as_str).collect();
    operator_tokens::make(server, &held, None).await.1
}

async fn owner(server: &Server, email: &str, licence: Licence) -> UserId {
    let (organization, user) = (
        server.planted.organization,
        member(server, email, OrganizationRole::Owner).await,
    );
    if licence == Licence::ReadOnly {
        let narrow = move |tx: &mut Tx| {
            Ok(tx.change_member_licence(organization, user, Licence::Full, licence)?)
        };
        server.write(narrow).await;
    }
    user
}

const EVERYTHING: &str = "management:read management:write";

/// Who lacks it, and by which credential they ask.
async fn askers(server: &Server, lacking: &[&str]) -> Vec<(&'static str, String)> {
    let person = admin(server).await;
    let colleague = member(server, "colleague@acme.example", OrganizationRole::Member).await;
    let account = service_account(server).await;
    for user in [colleague, account] {
        join_workspace(server, server.planted.workspace, user, NEARLY).await;
    }
    let mut found = vec![
        (
            "a token whose scope lacks it",
            management_token(server, person, NEARLY).await,
        ),
        (
            "a person whose role lacks it",
            management_token(server, colleague, EVERYTHING).await,
        ),
        (
            "a service account whose role lacks it",
            management_token(server, account, EVERYTHING).await,
        ),
        (
            "an operator token that lacks it",
            operator_token(server, lacking).await,
        ),
    ];
    let is = |wanted: fn(&PermissionEntry) -> bool| {
        let named = |entry: &&PermissionEntry| lacking.contains(&entry.name.as_str());
        server
            .app
            .config
            .permission
            .iter()
            .filter(named)
            .all(wanted)
    };
    if is(|entry| entry.access == AccessKind::Write) {
        let reader = owner(server, "reader@acme.example", Licence::ReadOnly).await;
        let token = management_token(server, reader, EVERYTHING).await;
        found.push(("an owner with a licence for reading", token));
    }
    if is(|entry| entry.management || entry.operator) {
        let ground = Key {
            operations: true,
            ..Key::of(server, person).for_organization()
        };
        found.push(("an organization's key", key(server, ground).await.secret));
    }
    found
}

async fn service_account(server: &Server) -> UserId {
    let organization = server.planted.organization;
    let make =
        move |tx: &mut Tx| Ok(accounts::create_service_account(tx, organization, "Robot")?.id);
    server.write(make).await
}

fn or(route: &Route) -> Option<Or> {
    route.operation.and_then(|operation| operation().rule.or)
}

async fn ask(server: &Server, route: &Route, credential: &str) -> (StatusCode, bool) {
    let (path, body) = sample(server, route, "").await;
    let before = server.database.count_all_events();
    let request = reqwest::Client::new().request(
        route.method.as_str().parse().expect("a method"),
        server.url(&path),
    );
    let request = request.bearer_auth(credential);
    let request = match body {
        Body::None => request,
        _ => request.json(&serde_json::json!({})),
    };
    let status = request.send().await.expect("an answer").status();
    (status, server.database.count_all_events() == before)
}

async fn who_lacks_what_an_operation_needs_is_refused_and_changes_nothing(db: TestDatabase) {
    let mut asked = 0;
    for (lacking, routes) in operations() {
        let server = Server::start_with(db.another(), |config| take_away(config, &lacking)).await;
        for (who, credential) in askers(&server, &lacking).await {
            // what every member, or a key itself, may do is judged by its rule
            for route in routes.iter().filter(|route| or(route).is_none()) {
                let (status, unchanged) = ask(&server, route, &credential).await;
                let case = format!("{} {} by {who}: {lacking:?}", route.method, route.path);
                assert_eq!((status, unchanged), (StatusCode::FORBIDDEN, true), "{case}");
                asked += 1;
            }
        }
    }
    assert!(asked > 300, "{asked} questions");
}

/// The organization's own roles: whoever sees members anywhere reads what they are.
const READ_BY_ALL: [&str; 1] = ["/v1/roles/{id}"];

async fn who_holds_it_in_another_workspace_only_changes_nothing_here(db: TestDatabase) {
    let change = |config: &mut Config| config.keys.max_applications_per_organization = 10_000;
    let server = Server::start_with(db, change).await;
    let elsewhere = tenants::workspace(&server, "Elsewhere").await;
    let person = member(&server, "elsewhere@acme.example", OrganizationRole::Member).await;
    join_workspace(&server, elsewhere, person, ADMIN_ROLE).await;
    let token = management_token(&server, person, EVERYTHING).await;
    for (needs, routes) in operations() {
        for route in &routes {
            let (status, unchanged) = ask(&server, route, &token).await;
            let case = format!("{} {}: {needs:?}, {status}", route.method, route.path);
            assert!(unchanged, "{case}");
            let reads = !route.path.contains('{') || READ_BY_ALL.contains(&route.path);
            let reads = route.method == Method::GET && reads;
            // a body that says nothing is refused as well, behind the right
            let refused = [
                StatusCode::FORBIDDEN,
                StatusCode::NOT_FOUND,
                StatusCode::BAD_REQUEST,
                StatusCode::UNPROCESSABLE_ENTITY,
            ];
            let allowed = or(route).is_some() || reads && status.is_success();
            assert!(refused.contains(&status) || allowed, "{case}");
        }
    }
}
