//! `/v1/api-key-requests`: a member asks, an admin decides, the member collects.

use countersign::types::id::UserId;
use countersign::types::state::OrganizationRole;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::api_keys::create;
use super::{Program, manager, manager_of, problem, text};
use crate::databases::{TestDatabase, both_databases};
use crate::server::Server;
use crate::tenants::{self, join_workspace, member, workspace};

both_databases!(
    a_member_asks_an_admin_approves_and_the_member_collects_once,
    bad_requests_are_explained,
    only_an_admin_of_every_workspace_decides,
    a_refusal_has_a_reason_and_a_withdrawal_ends_the_key,
    a_request_gives_nobody_more_than_the_member_holds,
    an_approval_is_capped_like_any_key,
    twenty_collections_at_once_make_one_secret,
);

async fn clerk(server: &Server, role: &'static str) -> UserId {
    let user = member(server, "cole@acme.example", OrganizationRole::Member).await;
    join_workspace(server, server.planted.workspace, user, role).await;
    user
}

fn wanted(server: &Server, changes: &Value) -> Value {
    let mut body = json!({
        "name": "Reports", "reason": "The weekly report", "environment": "sandbox", "workspaces": [server.planted.workspace],
        "permission_level": "full", "expires_in_days": 30,
    });
    for (name, value) in changes.as_object().expect("an object") {
        body[name] = value.clone();
    }
    body.as_object_mut()
        .expect("an object")
        .retain(|_, value| !value.is_null());
    body
}

async fn ask(program: &Program<'_>, server: &Server, changes: &Value) -> (StatusCode, Value) {
    program
        .post("/v1/api-key-requests", &wanted(server, changes))
        .await
}

async fn asked(program: &Program<'_>, server: &Server) -> String {
    let (status, request) = ask(program, server, &json!({})).await;
    assert_eq!(
        (status, text(&request, "/state")),
        (StatusCode::CREATED, "open"),
        "{request}"
    );
    format!("/v1/api-key-requests/{}", text(&request, "/id"))
}

async fn approved(manager: &Program<'_>, theirs: &Program<'_>, server: &Server) -> String {
    let request = asked(theirs, server).await;
    let (status, approved) = manager.post_empty(&format!("{request}/approve")).await;
    assert_eq!(
        (status, text(&approved, "/state")),
        (StatusCode::OK, "approved"),
        "{approved}"
    );
    request
}

async fn code(server: &Server, secret: &Value) -> String {
    server.verify(json!({"credential": secret})).await["code"]
        .as_str()
        .expect("a code")
        .to_owned()
}

async fn a_member_asks_an_admin_approves_and_the_member_collects_once(db: TestDatabase) {
    // A2
    let server = Server::start(db).await;
    let (manager, cole) = (manager(&server).await, clerk(&server, "member").await);
    let theirs = manager_of(&server, cole).await;
    let request = asked(&theirs, &server).await;
    assert_eq!(
        problem(theirs.post_empty(&format!("{request}/collect")).await),
        (409, "request_closed".to_owned())
    );
    let (_, page) = manager.get("/v1/api-key-requests?state=open").await;
    assert_eq!(text(&page, "/data/0/requester/name"), "cole", "{page}");
    let (_, approved) = manager.post_empty(&format!("{request}/approve")).await;
    let key = format!("/v1/api-keys/{}", text(&approved, "/api_key"));
    let (_, pending) = manager.get(&key).await;
    assert_eq!(
        (
            text(&pending, "/state"),
            text(&pending, "/owner/name"),
            pending["secrets"].as_array().map(Vec::len)
        ),
        ("pending", "cole", Some(0))
    );
    assert_eq!(
        problem(manager.post_empty(&format!("{request}/collect")).await),
        (404, "not_found".to_owned()),
        "the admin never sees it"
    );
    assert_eq!(
        problem(
            manager
                .post(&format!("{key}/rotate"), &json!({"grace_seconds": 0}))
                .await
        ),
        (409, "wrong_state".to_owned())
    );
    let send = || {
        theirs
            .request(Method::POST, &format!("{request}/collect"))
            .header("Idempotency-Key", "take")
    };
    let (status, collected) = super::json(send()).await;
    assert_eq!(
        (status, text(&collected, "/state")),
        (StatusCode::CREATED, "active"),
        "{collected}"
    );
    assert_eq!(code(&server, &collected["secret"]).await, "valid");
    assert_eq!(
        super::json(send()).await.1["secret"],
        Value::Null,
        "shown once"
    );
    assert_eq!(
        problem(theirs.post_empty(&format!("{request}/collect")).await),
        (409, "request_closed".to_owned())
    );
    let (_, detail) = manager.get(&key).await;
    assert_eq!(
        detail["secrets"][0]["shown_to"][0]["user"]["id"],
        json!(cole)
    );
    assert_eq!(
        detail["secrets"][0]["shown_to"].as_array().map(Vec::len),
        Some(1),
        "{detail}"
    );
    assert_eq!(theirs.get(&request).await.1["state"], "collected");
}

async fn bad_requests_are_explained(db: TestDatabase) {
    let server = Server::start(db).await;
    let cole = clerk(&server, "viewer").await;
    let theirs = manager_of(&server, cole).await;
    let second = workspace(&server, "Archive").await;
    let (_, _, foreign) = tenants::organization(&server, "zoe@other.example").await;
    for (changes, field) in [
        (json!({"name": ""}), "name"),
        (json!({"reason": " "}), "reason"),
        (json!({"reason": "x".repeat(10_000)}), "reason"),
        (json!({"reason": "a\u{202e}b"}), "reason"),
        (json!({"workspaces": []}), "workspaces"),
        (json!({"workspaces": [second]}), "workspaces"),
        (
            json!({"workspaces": [server.planted.workspace, foreign]}),
            "workspaces",
        ),
        (json!({"expires_in_days": null}), "expires_in_days"),
        (json!({"expires_in_days": 0}), "expires_in_days"),
    ] {
        let (status, body) = ask(&theirs, &server, &changes).await;
        assert_eq!(
            (status, body["errors"][0]["field"].as_str()),
            (StatusCode::UNPROCESSABLE_ENTITY, Some(field)),
            "{changes}: {body}"
        );
    }
    for unreadable in [
        json!({"reason": null}),
        json!({"scope": "organization"}),
        json!({"owner": cole}),
        json!({"workspaces": "all"}),
    ] {
        assert_eq!(
            problem(ask(&theirs, &server, &unreadable).await).0,
            400,
            "{unreadable}"
        );
    }
    for _ in 0..10 {
        asked(&theirs, &server).await;
    }
    assert_eq!(
        problem(ask(&theirs, &server, &json!({})).await),
        (409, "request_limit_reached".to_owned())
    );
    let made = create(&manager(&server).await, &server, &json!({})).await;
    let key = Program::new(&server, text(&made, "/secret"));
    assert_eq!(
        problem(ask(&key, &server, &json!({})).await),
        (403, "insufficient_permission".to_owned()),
        "row 24: no key asks for keys"
    );
}

async fn only_an_admin_of_every_workspace_decides(db: TestDatabase) {
    let server = Server::start(db).await;
    let cole = clerk(&server, "member").await;
    let theirs = manager_of(&server, cole).await;
    let second = workspace(&server, "Archive").await;
    join_workspace(&server, second, cole, "member").await;
    let both = json!({"workspaces": [server.planted.workspace, second]});
    let request = format!(
        "/v1/api-key-requests/{}",
        text(&ask(&theirs, &server, &both).await.1, "/id")
    );
    let wanda = member(&server, "wanda@acme.example", OrganizationRole::Member).await;
    join_workspace(&server, second, wanda, "admin").await;
    let half = manager_of(&server, wanda).await;
    let (elsewhere, ..) = tenants::organization(&server, "zoe@other.example").await;
    assert_eq!(
        problem(
            Program::operator(&server)
                .get(&format!("{request}?organization={elsewhere}"))
                .await
        )
        .0,
        404
    );
    for program in [&half] {
        for (verb, body) in [("approve", None), ("refuse", Some(json!({"reason": "No"})))] {
            let path = format!("{request}/{verb}");
            let answer = if let Some(body) = body {
                program.post(&path, &body).await
            } else {
                program.post_empty(&path).await
            };
            assert_eq!(problem(answer), (404, "not_found".to_owned()), "{verb}");
        }
        assert_eq!(problem(program.get(&request).await).0, 404);
        assert_eq!(problem(program.delete(&request).await).0, 404);
    }
    assert_eq!(half.get("/v1/api-key-requests").await.1["data"], json!([]));
    // who asked does not decide
    assert_eq!(
        problem(theirs.post_empty(&format!("{request}/approve")).await).0,
        403
    );
    assert_eq!(theirs.get(&request).await.1["state"], "open");
}

async fn a_refusal_has_a_reason_and_a_withdrawal_ends_the_key(db: TestDatabase) {
    let server = Server::start(db).await;
    let (manager, cole) = (manager(&server).await, clerk(&server, "member").await);
    let theirs = manager_of(&server, cole).await;
    let request = asked(&theirs, &server).await;
    assert_eq!(
        problem(
            manager
                .post(&format!("{request}/refuse"), &json!({"reason": ""}))
                .await
        ),
        (422, "invalid_fields".to_owned())
    );
    assert_eq!(
        manager
            .post(
                &format!("{request}/refuse"),
                &json!({"reason": "Use the other one"})
            )
            .await
            .1["state"],
        "refused"
    );
    assert_eq!(
        theirs.get(&request).await.1["decision_reason"],
        "Use the other one"
    );
    for verb in ["approve", "collect"] {
        let program = if verb == "approve" { &manager } else { &theirs };
        assert_eq!(
            problem(program.post_empty(&format!("{request}/{verb}")).await),
            (409, "request_closed".to_owned()),
            "{verb}"
        );
    }
    let request = approved(&manager, &theirs, &server).await;
    let key = format!(
        "/v1/api-keys/{}",
        text(&theirs.get(&request).await.1, "/api_key")
    );
    assert_eq!(theirs.delete(&request).await.0, StatusCode::NO_CONTENT);
    assert_eq!(manager.get(&key).await.1["state"], "revoked");
    assert_eq!(
        problem(theirs.post_empty(&format!("{request}/collect")).await),
        (409, "request_closed".to_owned())
    );
    // an admin who thinks better of it revokes the key
    let request = approved(&manager, &theirs, &server).await;
    let key = format!(
        "/v1/api-keys/{}",
        text(&theirs.get(&request).await.1, "/api_key")
    );
    manager.delete(&key).await;
    assert_eq!(
        problem(theirs.post_empty(&format!("{request}/collect")).await),
        (409, "wrong_state".to_owned())
    );
}

async fn a_request_gives_nobody_more_than_the_member_holds(db: TestDatabase) {
    let server = Server::start(db).await;
    let (manager, cole) = (manager(&server).await, clerk(&server, "viewer").await);
    let theirs = manager_of(&server, cole).await;
    let request = approved(&manager, &theirs, &server).await;
    let (_, collected) = theirs.post_empty(&format!("{request}/collect")).await;
    let ask = |permission: &str| {
        server.verify(json!({"credential": collected["secret"], "permission": permission}))
    };
    assert_eq!(ask("documents:read").await["allowed"], true);
    assert_eq!(
        ask("documents:write").await["allowed"],
        false,
        "a viewer's key of full access reads"
    );
    // who left meanwhile collects nothing, and an approval comes too late
    let (waiting, open) = (
        approved(&manager, &theirs, &server).await,
        asked(&theirs, &server).await,
    );
    let (organization, workspace) = (server.planted.organization, server.planted.workspace);
    server
        .write(move |tx| Ok(tx.delete_workspace_member(organization, workspace, cole)?))
        .await;
    assert_eq!(
        problem(theirs.post_empty(&format!("{waiting}/collect")).await).0 / 100,
        4
    );
    assert_eq!(
        problem(manager.post_empty(&format!("{open}/approve")).await),
        (409, "request_outdated".to_owned())
    );
}

async fn an_approval_is_capped_like_any_key(db: TestDatabase) {
    let server = Server::start_with(db, |config| config.keys.max_active_per_organization = 3).await;
    let (manager, cole) = (manager(&server).await, clerk(&server, "member").await);
    let theirs = manager_of(&server, cole).await;
    approved(&manager, &theirs, &server).await;
    let request = asked(&theirs, &server).await;
    assert_eq!(
        problem(manager.post_empty(&format!("{request}/approve")).await),
        (409, "key_limit_reached".to_owned()),
        "what is pending counts"
    );
    assert_eq!(
        theirs.get(&request).await.1["state"],
        "open",
        "it can be approved later"
    );
}

async fn twenty_collections_at_once_make_one_secret(db: TestDatabase) {
    let server = Server::start(db).await;
    let (manager, cole) = (manager(&server).await, clerk(&server, "member").await);
    let theirs = manager_of(&server, cole).await;
    let collect = format!("{}/collect", approved(&manager, &theirs, &server).await);
    let answers =
        futures_util::future::join_all((0..20).map(|_| theirs.post_empty(&collect))).await;
    let (taken, refused): (Vec<_>, Vec<_>) = answers
        .into_iter()
        .partition(|(status, _)| *status == StatusCode::CREATED);
    assert_eq!((taken.len(), refused.len()), (1, 19));
    assert_eq!(code(&server, &taken[0].1["secret"]).await, "valid");
}
