//! `/v1/api-keys`.

use countersign::config::{KeyName, KeyOwner};
use countersign::types::id::{ApiKeySecretId, UserId, WorkspaceId};
use countersign::types::state::OrganizationRole;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Program, manager, manager_of, problem, text};
use crate::databases::{TestDatabase, both_databases};
use crate::server::Server;
use crate::tenants::{self, Key, admin, join_workspace, key, member, workspace};

both_databases!(
    a_key_is_created_shown_once_read_changed_and_revoked,
    a_repeated_create_gives_the_same_key_and_never_the_secret,
    a_key_only_ever_narrows,
    creation_failures_are_explained,
    fifty_creates_at_one_hundred_and_ninety_nine_make_one,
    a_workspace_has_a_cap_of_its_own,
    lists_are_filtered_and_paged_for_workspace_admins_too,
    ended_keys_leave_the_list_that_names_no_state,
    a_manager_may_be_allowed_to_view,
    a_service_accounts_key_survives_its_creator,
    nobody_gains_by_a_service_accounts_key,
    a_date_ends_where_the_organization_is_and_never_is_warned_of,
    an_unnamed_key_is_shown_by_its_public_id,
    a_pause_is_taken_back,
    a_simulation_is_sandbox_only_and_ends_by_itself,
    many_end_in_one_step,
    the_map_tells_which_key_reaches_which_workspace,
    a_key_ends_itself_and_manages_no_other,
    foreign_keys_are_not_there,
);

/// A key for the planted workspace.
pub fn new_key(server: &Server) -> Value {
    json!({
        "name": "CRM", "environment": "sandbox", "scope": "workspaces", "workspaces": [server.planted.workspace],
        "permission_level": "full", "expires_in_days": 90,
    })
}

/// `changes` over [`new_key`]; null takes a field away.
fn changed(server: &Server, changes: &Value) -> Value {
    let mut body = new_key(server);
    for (name, value) in changes.as_object().expect("an object") {
        body[name] = value.clone();
    }
    body.as_object_mut()
        .expect("an object")
        .retain(|_, value| !value.is_null());
    body
}

pub async fn create(program: &Program<'_>, server: &Server, changes: &Value) -> Value {
    let (status, made) = program
        .post("/v1/api-keys", &changed(server, changes))
        .await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    made
}

async fn refused(program: &Program<'_>, server: &Server, changes: &Value) -> (u16, String) {
    problem(
        program
            .post("/v1/api-keys", &changed(server, changes))
            .await,
    )
}

pub fn path(made: &Value) -> String {
    format!("/v1/api-keys/{}", text(made, "/id"))
}

async fn code(server: &Server, made: &Value) -> String {
    server.verify(json!({"credential": made["secret"]})).await["code"]
        .as_str()
        .expect("a code")
        .to_owned()
}

async fn a_key_is_created_shown_once_read_changed_and_revoked(db: TestDatabase) {
    let server = Server::start(db).await;
    let manager = manager(&server).await;
    let made = create(&manager, &server, &json!({"description": "Offers"})).await;
    assert_eq!(
        (
            text(&made, "/state"),
            text(&made, "/owner/name"),
            &made["warnings"]
        ),
        ("active", "Ada Admin", &json!([])),
        "{made}"
    );
    assert!(
        text(&made, "/secret").starts_with(text(&made, "/display")),
        "{made}"
    );
    assert_eq!(code(&server, &made).await, "valid");
    let ask = json!({"credential": made["secret"], "client_ip": "192.0.2.77"});
    assert_eq!(server.verify(ask).await["code"], "valid");
    countersign::jobs::usage::flush(&server.app).await;
    let (status, detail) = manager.get(&path(&made)).await;
    assert_eq!(status, StatusCode::OK, "{detail}");
    assert!(
        !detail.to_string().contains(text(&made, "/secret")),
        "shown once"
    );
    assert_eq!(text(&detail, "/secrets/0/last_used_from"), "192.0.2.0/24");
    assert_eq!(detail["secret_in_use"], detail["secrets"][0]["id"]);
    assert_eq!(
        text(&detail, "/secrets/0/shown_to/0/user/name"),
        "Ada Admin"
    );
    let (status, renamed) = manager
        .patch(&path(&made), &json!({"name": " Robot "}))
        .await;
    assert_eq!(
        (status, &renamed["name"], &renamed["description"]),
        (StatusCode::OK, &json!("Robot"), &json!("Offers")),
        "{renamed}"
    );
    assert_eq!(manager.delete(&path(&made)).await.0, StatusCode::NO_CONTENT);
    assert_eq!(
        manager.delete(&path(&made)).await.0,
        StatusCode::NO_CONTENT,
        "it stays revoked"
    );
    assert_eq!(code(&server, &made).await, "not_found");
    assert_eq!(manager.get(&path(&made)).await.1["state"], "revoked");
    assert_eq!(
        problem(manager.patch(&path(&made), &json!({"name": "X"})).await),
        (409, "key_revoked".to_owned())
    );
    assert_eq!(server.database.count_events("api_key.revoked"), 1);
}

async fn a_repeated_create_gives_the_same_key_and_never_the_secret(db: TestDatabase) {
    let server = Server::start(db).await;
    let manager = manager(&server).await;
    let send = || {
        manager
            .request(Method::POST, "/v1/api-keys")
            .header("Idempotency-Key", "one")
            .json(&new_key(&server))
    };
    let (status, first) = super::json(send()).await;
    assert_eq!(status, StatusCode::CREATED, "{first}");
    let again = super::send(send()).await;
    assert!(
        again.status() == StatusCode::CREATED && again.headers()["idempotency-replayed"] == "true"
    );
    let again: Value = again.json().await.expect("JSON");
    assert_eq!(
        (&again["id"], &again["secret"], &again["warnings"]),
        (&first["id"], &Value::Null, &json!(["secret_shown_before"]))
    );
    assert_eq!(
        manager.get("/v1/api-keys?name=CRM").await.1["data"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
}

async fn a_key_only_ever_narrows(db: TestDatabase) {
    // DESIGN §3: scope, permission and expiry only ever narrow
    let server = Server::start(db).await;
    let manager = manager(&server).await;
    let second = workspace(&server, "Archive").await;
    let both = json!({"workspaces": [server.planted.workspace, second], "expires_in_days": null, "never_expires": true});
    let made = create(&manager, &server, &both).await;
    let patch = async |body: Value| manager.patch(&path(&made), &body).await;
    let (status, less) = patch(json!({"workspaces": [second], "permission_level": "read_only", "expires_at": "2026-12-31T00:00:00Z"})).await;
    assert_eq!(
        (status, less["workspaces"].as_array().map(Vec::len)),
        (StatusCode::OK, Some(1)),
        "{less}"
    );
    for wider in [
        json!({"workspaces": [server.planted.workspace]}),
        json!({"workspaces": [server.planted.workspace, second]}),
        json!({"permission_level": "full"}),
        json!({"expires_at": "2027-01-01T00:00:00Z"}),
        json!({"self_rotation": true}),
        json!({"organization_operations": true}),
    ] {
        assert_eq!(
            problem(patch(wider.clone()).await),
            (409, "only_narrows".to_owned()),
            "{wider}"
        );
    }
    for wrong in [
        json!({"workspaces": []}),
        json!({"expires_at": "2020-01-01T00:00:00Z"}),
        json!({"name": ""}),
    ] {
        assert_eq!(
            problem(patch(wrong.clone()).await),
            (422, "invalid_fields".to_owned()),
            "{wrong}"
        );
    }
    for unreadable in [
        json!({"expires_at": null}),
        json!({"scope": "organization"}),
        json!({"owner": "usr_1"}),
        json!({"environment": "production"}),
    ] {
        assert_eq!(
            problem(patch(unreadable.clone()).await).0,
            400,
            "{unreadable}"
        );
    }
    let whole = create(
        &manager,
        &server,
        &json!({"scope": "organization", "workspaces": null, "organization_operations": true}),
    )
    .await;
    let (_, narrowed) = manager
        .patch(&path(&whole), &json!({"workspaces": [second]}))
        .await;
    assert_eq!(
        (
            text(&narrowed, "/scope"),
            &narrowed["organization_operations"]
        ),
        ("workspaces", &json!(false)),
        "{narrowed}"
    );
    let (_, _, foreign) = tenants::organization(&server, "zoe@other.example").await;
    let whole = create(
        &manager,
        &server,
        &json!({"scope": "organization", "workspaces": null}),
    )
    .await;
    assert_eq!(
        problem(
            manager
                .patch(&path(&whole), &json!({"workspaces": [foreign]}))
                .await
        ),
        (422, "invalid_fields".to_owned())
    );
}

async fn creation_failures_are_explained(db: TestDatabase) {
    // row 20
    let server =
        Server::start_with(db, |config| config.keys.max_seconds = 100 * 24 * 60 * 60).await;
    let manager = manager(&server).await;
    let (_, _, foreign) = tenants::organization(&server, "zoe@other.example").await;
    for (changes, field) in [
        (json!({"name": ""}), "name"),
        (json!({"name": "x".repeat(10_000)}), "name"),
        (json!({"name": "a\u{202e}b"}), "name"),
        (json!({"workspaces": []}), "workspace"),
        (json!({"workspaces": [foreign]}), "workspace"),
        (json!({"expires_in_days": 101}), "expires_in_days"),
        (json!({"expires_in_days": 0}), "expires_in_days"),
        (json!({"expires_in_days": null}), "expires_in_days"),
        (json!({"expires_on": "2026-12-31"}), "expires_in_days"),
        (
            json!({"expires_in_days": null, "expires_on": "2026-11-19"}),
            "expires_on",
        ),
        (
            json!({"expires_in_days": null, "never_expires": true}),
            "expires_at",
        ),
        (
            json!({"organization_operations": true}),
            "organization_operations",
        ),
        (
            json!({"owner": admin(&server).await, "scope": "organization"}),
            "workspaces",
        ),
    ] {
        let (status, body) = manager
            .post("/v1/api-keys", &changed(&server, &changes))
            .await;
        assert_eq!(
            (status, body["errors"][0]["field"].as_str()),
            (StatusCode::UNPROCESSABLE_ENTITY, Some(field)),
            "{changes}: {body}"
        );
    }
    let clerk = member(&server, "cole@acme.example", OrganizationRole::Member).await;
    join_workspace(&server, server.planted.workspace, clerk, "manager").await;
    assert_eq!(
        refused(&manager_of(&server, clerk).await, &server, &json!({})).await,
        (403, "insufficient_permission".to_owned())
    );
    let other = json!({"owner": clerk});
    assert_eq!(
        refused(&manager, &server, &other).await,
        (422, "invalid_fields".to_owned()),
        "only an operator creates for others"
    );
    let operator = Program::operator(&server);
    let at = format!("/v1/api-keys?organization={}", server.planted.organization);
    assert_eq!(
        problem(operator.post(&at, &changed(&server, &other)).await),
        (403, "admin_only".to_owned()),
        "who may not create one himself"
    );
    let (status, made) = operator
        .post(
            &at,
            &changed(&server, &json!({"owner": admin(&server).await})),
        )
        .await;
    assert_eq!(
        (status, text(&made, "/owner/name")),
        (StatusCode::CREATED, "Ada Admin"),
        "{made}"
    );
}

async fn fifty_creates_at_one_hundred_and_ninety_nine_make_one(db: TestDatabase) {
    // row 19
    let server = Server::start_with(db, |config| config.limits.management.quota = 10_000).await;
    let owner = admin(&server).await;
    for _ in 0..197 {
        key(&server, Key::of(&server, owner)).await;
    }
    let manager = manager(&server).await;
    let body = new_key(&server);
    let (manager, body) = (&manager, &body);
    let answers =
        futures_util::future::join_all((0..50).map(|_| manager.post("/v1/api-keys", body))).await;
    let made = answers
        .iter()
        .filter(|(status, _)| *status == StatusCode::CREATED)
        .count();
    assert_eq!(made, 1);
    let full = answers
        .into_iter()
        .filter(|(status, _)| *status != StatusCode::CREATED)
        .map(problem);
    assert!(
        full.into_iter()
            .all(|refusal| refusal == (409, "key_limit_reached".to_owned()))
    );
}

async fn a_workspace_has_a_cap_of_its_own(db: TestDatabase) {
    // C10: what is pending or paused counts, what is revoked does not
    let server = Server::start_with(db, |config| config.keys.max_active_per_workspace = 4).await;
    let manager = manager(&server).await;
    let pending = create(&manager, &server, &json!({"pending": true})).await;
    assert_eq!(
        (&pending["secret"], &pending["state"]),
        (&Value::Null, &json!("pending"))
    );
    let made = create(&manager, &server, &json!({})).await;
    manager.post_empty(&format!("{}/pause", path(&made))).await;
    assert_eq!(
        refused(&manager, &server, &json!({})).await,
        (409, "workspace_key_limit_reached".to_owned())
    );
    let second = workspace(&server, "Archive").await;
    create(&manager, &server, &json!({"workspaces": [second]})).await;
    manager.delete(&path(&made)).await;
    create(&manager, &server, &json!({})).await;
}

/// A workspace admin without a role in the organization.
async fn workspace_admin(server: &Server, workspace: WorkspaceId) -> UserId {
    let user = member(server, "wanda@acme.example", OrganizationRole::Member).await;
    join_workspace(server, workspace, user, "admin").await;
    user
}

async fn lists_are_filtered_and_paged_for_workspace_admins_too(db: TestDatabase) {
    // row 42, C2
    let server = Server::start(db).await;
    let owner = admin(&server).await;
    let second = workspace(&server, "Archive").await;
    let wanda = manager_of(&server, workspace_admin(&server, second).await).await;
    let mut theirs = Vec::new();
    for number in 0..12 {
        server.clock.step_seconds(number % 2);
        for workspaces in [
            Some(vec![server.planted.workspace]),
            Some(vec![second]),
            Some(vec![server.planted.workspace, second]),
            None,
        ] {
            let is_theirs = workspaces == Some(vec![second]);
            let made = key(
                &server,
                Key {
                    workspaces,
                    ..Key::of(&server, owner)
                },
            )
            .await;
            theirs.extend(is_theirs.then(|| made.id.to_string()));
        }
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let (status, page) = wanda.get(&format!("/v1/api-keys?limit=5{cursor}")).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        seen.extend(
            page["data"]
                .as_array()
                .expect("rows")
                .iter()
                .map(|row| text(row, "/id").to_owned()),
        );
        let Some(next) = page["next_cursor"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    seen.reverse();
    let sorted = |mut ids: Vec<String>| {
        ids.sort();
        ids
    };
    assert_eq!(sorted(seen), sorted(theirs));
    let manager = manager(&server).await;
    let count = async |query: &str| {
        manager
            .get(&format!("/v1/api-keys?limit=100&{query}"))
            .await
            .1["data"]
            .as_array()
            .map(Vec::len)
    };
    for (query, expected) in [
        ("environment=production", 1),
        ("scope=organization", 12),
        ("name=quickst", 2),
        ("name=nothing", 0),
        ("permission_level=read_only", 0),
        ("state=active", 50),
        ("state=paused", 0),
        ("unused_since=2026-11-20T11:00:00Z", 0),
        ("unused_since=2030-01-01T00:00:00Z", 50),
    ] {
        assert_eq!(count(query).await, Some(expected), "{query}");
    }
    assert_eq!(count(&format!("workspace={second}")).await, Some(24));
    assert_eq!(
        count(&format!("owner={}", UserId::generate(server.clock.now()))).await,
        Some(0)
    );
    for wrong in [
        "state=dead",
        "limit=0",
        "limit=101",
        "cursor=x",
        "owner=me",
        "shape=round",
        "environment=sandbox&environment=sandbox",
    ] {
        assert_eq!(
            problem(manager.get(&format!("/v1/api-keys?{wrong}")).await).0,
            400,
            "{wrong}"
        );
    }
}

async fn ended_keys_leave_the_list_that_names_no_state(db: TestDatabase) {
    let server = Server::start(db).await;
    let program = manager(&server).await;
    let short = json!({"name": "Short", "expires_in_days": 1, "never_expires": null});
    create(&program, &server, &short).await;
    let gone = create(&program, &server, &json!({"name": "Gone"})).await;
    program.delete(&path(&gone)).await;
    let day = 24 * 60 * 60;
    for (step, query, shown) in [
        (0, "", &["Short"][..]),
        (0, "&state=revoked", &["Gone"]),
        (day, "", &["Short"]),
        (30 * day, "", &["Short"]),
        (1, "", &[]),
        (0, "&state=expired", &["Short"]),
        (0, "&state=revoked", &["Gone"]),
    ] {
        server.clock.step_seconds(step);
        let (status, page) = manager(&server)
            .await
            .get(&format!("/v1/api-keys?environment=sandbox{query}"))
            .await;
        assert_eq!(status, StatusCode::OK, "{page}");
        let rows = page["data"].as_array().expect("rows");
        let names = rows.iter().map(|row| text(row, "/name"));
        let names: Vec<&str> = names
            .filter(|name| !name.starts_with("Quickstart"))
            .collect();
        assert_eq!(names, shown, "{step} {query}");
    }
}

async fn a_manager_may_be_allowed_to_view(db: TestDatabase) {
    // C2: S4 "Manager can view"
    let view = |config: &mut countersign::config::Config| {
        for role in config.role.iter_mut().filter(|role| role.name == "manager") {
            role.permissions.push("api_keys:read".to_owned());
        }
    };
    let server = Server::start_with(db, view).await;
    let made = create(&manager(&server).await, &server, &json!({})).await;
    let clerk = member(&server, "cole@acme.example", OrganizationRole::Member).await;
    join_workspace(&server, server.planted.workspace, clerk, "manager").await;
    let clerk = manager_of(&server, clerk).await;
    let (status, seen) = clerk.get(&path(&made)).await;
    assert_eq!(
        (status, &seen["id"]),
        (StatusCode::OK, &made["id"]),
        "{seen}"
    );
    assert_eq!(
        clerk.get("/v1/api-keys").await.1["data"]
            .as_array()
            .map(Vec::len),
        Some(3)
    );
    for refusal in [
        clerk.delete(&path(&made)).await,
        clerk.patch(&path(&made), &json!({"name": "X"})).await,
    ] {
        assert_eq!(problem(refusal).0, 403);
    }
    assert_eq!(code(&server, &made).await, "valid");
}

async fn a_service_accounts_key_survives_its_creator(db: TestDatabase) {
    // C1: S3 the organization, S4 the team
    let server = Server::start_with(db, |config| config.keys.owner = KeyOwner::Workspace).await;
    let creator = workspace_admin(&server, server.planted.workspace).await;
    let wanda = manager_of(&server, creator).await;
    let made = create(&wanda, &server, &json!({})).await;
    let second = create(&wanda, &server, &json!({})).await;
    assert_eq!(
        (&made["owner"], text(&made, "/owner/name")),
        (&second["owner"], "Sales")
    );
    let organization = server.planted.organization;
    server
        .write(move |tx| Ok(tx.delete_member(organization, creator)?))
        .await;
    let answer = server
        .verify(json!({"credential": made["secret"], "permission": "documents:write"}))
        .await;
    assert_eq!(
        (&answer["code"], &answer["actor"]["kind"]),
        (&json!("valid"), &json!("service_account"))
    );
}

async fn nobody_gains_by_a_service_accounts_key(db: TestDatabase) {
    let small = |config: &mut countersign::config::Config| {
        config.keys.owner = KeyOwner::Organization;
        for role in config.role.iter_mut().filter(|role| role.name == "viewer") {
            role.permissions
                .extend(["api_keys:read".to_owned(), "api_keys:manage".to_owned()]);
        }
    };
    let server = Server::start_with(db, small).await;
    let user = member(&server, "vera@acme.example", OrganizationRole::Member).await;
    join_workspace(&server, server.planted.workspace, user, "viewer").await;
    let vera = manager_of(&server, user).await;
    for level in ["full", "read_only"] {
        assert_eq!(
            refused(&vera, &server, &json!({"permission_level": level})).await,
            (403, "insufficient_permission".to_owned()),
            "{level}"
        );
    }
    assert_eq!(
        refused(
            &vera,
            &server,
            &json!({"scope": "organization", "workspaces": null})
        )
        .await
        .0,
        422
    );
    let made = create(
        &manager(&server).await,
        &server,
        &json!({"scope": "organization", "workspaces": null}),
    )
    .await;
    assert_eq!(
        (
            text(&made, "/owner/name"),
            code(&server, &made).await.as_str()
        ),
        ("Acme", "valid")
    );
}

async fn a_date_ends_where_the_organization_is_and_never_is_warned_of(db: TestDatabase) {
    // row 13
    let server = Server::start(db).await;
    let id = server.planted.organization;
    server.database.execute(&format!(
        "UPDATE organizations SET time_zone = 'America/New_York' WHERE id = '{id}'"
    ));
    let manager = manager(&server).await;
    let made = create(
        &manager,
        &server,
        &json!({"expires_in_days": null, "expires_on": "2027-03-14"}),
    )
    .await;
    // clocks were put forward that morning
    assert_eq!(text(&made, "/expires_at"), "2027-03-15T03:59:59.999Z");
    let never = create(
        &manager,
        &server,
        &json!({"expires_in_days": null, "never_expires": true}),
    )
    .await;
    assert_eq!(
        (&never["expires_at"], &never["warnings"]),
        (&Value::Null, &json!(["never_expires"]))
    );
}

async fn an_unnamed_key_is_shown_by_its_public_id(db: TestDatabase) {
    // C7
    let server = Server::start_with(db, |config| config.keys.key_name = KeyName::Optional).await;
    let made = create(&manager(&server).await, &server, &json!({"name": null})).await;
    let answer = server.verify(json!({"credential": made["secret"]})).await;
    assert_eq!(
        answer["credential"]["name"],
        format!("sandbox {}", text(&made, "/public_id"))
    );
}

async fn a_pause_is_taken_back(db: TestDatabase) {
    // A3
    let server = Server::start(db).await;
    let manager = manager(&server).await;
    let made = create(&manager, &server, &json!({})).await;
    for (verb, state, expected) in [
        ("pause", "paused", "suspended"),
        ("pause", "paused", "suspended"),
        ("resume", "active", "valid"),
    ] {
        let (status, key) = manager.post_empty(&format!("{}/{verb}", path(&made))).await;
        assert_eq!(
            (status, text(&key, "/state")),
            (StatusCode::OK, state),
            "{key}"
        );
        assert_eq!(code(&server, &made).await, expected);
    }
    let pending = create(&manager, &server, &json!({"pending": true})).await;
    assert_eq!(
        problem(
            manager
                .post_empty(&format!("{}/pause", path(&pending)))
                .await
        ),
        (409, "wrong_state".to_owned())
    );
}

async fn a_simulation_is_sandbox_only_and_ends_by_itself(db: TestDatabase) {
    // A3, row 63
    let server = Server::start(db).await;
    let manager = manager(&server).await;
    let made = create(&manager, &server, &json!({})).await;
    let simulate = format!("{}/simulate", path(&made));
    for (what, expected) in [
        ("revoked", "not_found"),
        ("expired", "expired"),
        ("rate_limited", "rate_limited"),
        ("forbidden", "forbidden"),
    ] {
        let (status, key) = manager
            .post(&simulate, &json!({"what": what, "minutes": 5}))
            .await;
        assert_eq!(
            (status, text(&key, "/simulation/what")),
            (StatusCode::OK, what),
            "{key}"
        );
        assert_eq!(code(&server, &made).await, expected);
    }
    server.clock.step_seconds(5 * 60 - 1);
    assert_eq!(code(&server, &made).await, "forbidden");
    server.clock.step_seconds(1);
    assert_eq!(code(&server, &made).await, "valid");
    assert_eq!(manager.get(&path(&made)).await.1["simulation"], Value::Null);
    manager
        .post(&simulate, &json!({"what": "revoked", "minutes": 60}))
        .await;
    assert_eq!(manager.delete(&simulate).await.0, StatusCode::OK);
    assert_eq!(code(&server, &made).await, "valid");
    for minutes in [0, 61, -1] {
        assert_eq!(
            problem(
                manager
                    .post(&simulate, &json!({"what": "revoked", "minutes": minutes}))
                    .await
            )
            .0,
            422,
            "{minutes}"
        );
    }
    let live = create(&manager, &server, &json!({"environment": "production"})).await;
    let refusal = manager
        .post(
            &format!("{}/simulate", path(&live)),
            &json!({"what": "revoked", "minutes": 5}),
        )
        .await;
    assert_eq!(problem(refusal), (409, "sandbox_only".to_owned()));
}

async fn many_end_in_one_step(db: TestDatabase) {
    // A4
    let server = Server::start(db).await;
    let manager = manager(&server).await;
    let user = workspace_admin(&server, server.planted.workspace).await;
    let (first, second) = (
        key(&server, Key::of(&server, user)).await,
        key(&server, Key::of(&server, user)).await,
    );
    let kept = create(&manager, &server, &json!({})).await;
    let bulk = async |program: &Program<'_>, body: Value| {
        program.post("/v1/api-keys/bulk-revoke", &body).await
    };
    let (status, told) = bulk(&manager, json!({"owner": user, "dry_run": true})).await;
    assert_eq!(
        (status, &told["api_keys"], &told["dry_run"]),
        (StatusCode::OK, &json!(2), &json!(true)),
        "{told}"
    );
    assert_eq!(
        server.verify(json!({"credential": first.secret})).await["code"],
        "valid",
        "only told"
    );
    assert_eq!(
        bulk(&manager, json!({"owner": user})).await.1["api_keys"],
        2
    );
    for secret in [&first.secret, &second.secret] {
        assert_eq!(
            server.verify(json!({"credential": secret})).await["code"],
            "not_found"
        );
    }
    assert_eq!(code(&server, &kept).await, "valid");
    assert_eq!(
        bulk(
            &manager,
            json!({"created_before": "2020-01-01T00:00:00Z", "workspace": server.planted.workspace})
        )
        .await
        .1["api_keys"],
        0
    );
    let token = tenants::own_token(&server).await;
    let (_, ended) = bulk(&manager, json!({"application": server.planted.application})).await;
    assert_eq!(
        (&ended["authorizations"], &ended["api_keys"]),
        (&json!(1), &json!(0)),
        "{ended}"
    );
    assert_eq!(
        server.verify(json!({"credential": token})).await["code"],
        "not_found"
    );
    for nothing in [
        json!({}),
        json!({"dry_run": true}),
        json!({"application": server.planted.application, "owner": user}),
    ] {
        assert_eq!(
            problem(bulk(&manager, nothing.clone()).await),
            (422, "invalid_fields".to_owned()),
            "{nothing}"
        );
    }
    // a workspace admin ends only what lies wholly in the workspace
    let whole = key(
        &server,
        Key::of(&server, admin(&server).await).for_organization(),
    )
    .await;
    let wanda = manager_of(&server, user).await;
    assert_eq!(
        bulk(&wanda, json!({"unused_since": "2030-01-01T00:00:00Z"}))
            .await
            .1["api_keys"],
        3
    );
    assert_eq!(
        server.verify(json!({"credential": whole.secret})).await["code"],
        "valid"
    );
    assert_eq!(
        problem(bulk(&wanda, json!({"application": server.planted.application})).await),
        (403, "admin_only".to_owned())
    );
}

async fn the_map_tells_which_key_reaches_which_workspace(db: TestDatabase) {
    // row 30
    let server = Server::start(db).await;
    let manager = manager(&server).await;
    let second = workspace(&server, "Archive").await;
    create(&manager, &server, &json!({"workspaces": [second]})).await;
    create(
        &manager,
        &server,
        &json!({"scope": "organization", "workspaces": null}),
    )
    .await;
    let map = manager.get("/v1/api-keys/workspaces").await.1;
    assert_eq!(
        map["organization_wide"].as_array().map(Vec::len),
        Some(1),
        "{map}"
    );
    let mut counts: Vec<_> = map["data"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| {
            (
                text(row, "/workspace/name"),
                row["api_keys"].as_array().map(Vec::len),
            )
        })
        .collect();
    counts.sort_unstable();
    assert_eq!(counts, [("Archive", Some(1)), ("Sales", Some(2))]);
}

async fn a_key_ends_itself_and_manages_no_other(db: TestDatabase) {
    // row 24
    let server = Server::start(db).await;
    let manager = manager(&server).await;
    let (made, other) = (
        create(&manager, &server, &json!({})).await,
        create(&manager, &server, &json!({})).await,
    );
    let holder = Program::new(&server, text(&made, "/secret"));
    assert_eq!(
        problem(holder.delete(&path(&other)).await),
        (404, "not_found".to_owned())
    );
    assert_eq!(
        problem(holder.get("/v1/api-keys").await),
        (403, "insufficient_permission".to_owned())
    );
    assert_eq!(
        problem(holder.post("/v1/api-keys", &new_key(&server)).await),
        (403, "insufficient_permission".to_owned())
    );
    assert_eq!(holder.delete(&path(&made)).await.0, StatusCode::NO_CONTENT);
    assert_eq!(
        (
            code(&server, &made).await.as_str(),
            code(&server, &other).await.as_str()
        ),
        ("not_found", "valid")
    );
}

async fn foreign_keys_are_not_there(db: TestDatabase) {
    let server = Server::start(db).await;
    let (organization, owner, foreign) = tenants::organization(&server, "zoe@other.example").await;
    let theirs = key(
        &server,
        Key {
            organization,
            workspaces: Some(vec![foreign]),
            ..Key::of(&server, owner)
        },
    )
    .await;
    let manager = manager(&server).await;
    let path = format!("/v1/api-keys/{}", theirs.id);
    let rotation = json!({"grace_seconds": 0});
    for answer in [
        manager.get(&path).await,
        manager.delete(&path).await,
        manager.patch(&path, &json!({"name": "Mine"})).await,
        manager.post_empty(&format!("{path}/pause")).await,
        manager.post(&format!("{path}/rotate"), &rotation).await,
        manager
            .post(
                &format!("{path}/simulate"),
                &json!({"what": "revoked", "minutes": 1}),
            )
            .await,
        manager.delete(&format!("{path}/simulate")).await,
        manager.post_empty(&format!("{path}/resume")).await,
        manager
            .post_empty(&format!(
                "{path}/secrets/{}/revoke",
                ApiKeySecretId::generate(server.clock.now())
            ))
            .await,
        manager
            .post(&format!("{path}/transfer"), &json!({"to": owner}))
            .await,
        manager
            .post(
                &format!("{path}/hand-over"),
                &json!({"email": "eve@evil.example", "expires_in_seconds": 60}),
            )
            .await,
        manager.get(&format!("{path}/hand-over")).await,
        manager.delete(&format!("{path}/hand-over")).await,
        manager
            .get(&format!("{path}?organization={organization}"))
            .await,
        manager.get("/v1/api-keys/key_1").await,
    ] {
        assert_eq!(problem(answer), (404, "not_found".to_owned()));
    }
    assert_eq!(
        manager
            .post("/v1/api-keys/bulk-revoke", &json!({"owner": owner}))
            .await
            .1["api_keys"],
        0
    );
    assert_eq!(
        server.verify(json!({"credential": theirs.secret})).await["code"],
        "valid"
    );
}
