//! Management tokens: what they open, and when they end.

use countersign::crypto::digest::Purpose;
use countersign::crypto::format::{TokenKind, hint, mint_token};
use countersign::domain::Refusal;
use countersign::domain::desk::Desk;
use countersign::domain::people::management_tokens::{self, NewManagementToken};
use countersign::domain::rights::asker::Asker;
use countersign::types::id::UserId;
use countersign::types::state::{MemberState, OrganizationRole};
use reqwest::StatusCode;
use serde_json::json;

use super::{Program, problem, text};
use crate::databases::{TestDatabase, both_databases};
use crate::people::at_desk;
use crate::server::Server;
use crate::tenants::{self, admin, made_management_token, member};

both_databases!(
    a_token_manages_by_its_permissions_and_is_named_in_the_audit,
    only_the_management_api_takes_one,
    a_token_holds_what_its_maker_holds_at_that_moment,
    a_token_ends_with_its_makers_role_for_good,
    a_suspension_pauses_a_token,
    a_token_stays_in_its_workspaces_and_in_its_organization,
    a_token_never_makes_a_token,
    tokens_are_listed_and_revoked,
    a_departure_tells_of_them,
);

const KEYS: &str = "api_keys:read api_keys:manage";

async fn second_admin(server: &Server) -> UserId {
    member(server, "second@acme.example", OrganizationRole::Admin).await
}

async fn a_token_manages_by_its_permissions_and_is_named_in_the_audit(db: TestDatabase) {
    let server = Server::start(db).await;
    let maker = admin(&server).await;
    let (id, token) = made_management_token(&server, maker, KEYS, None).await;
    let program = Program::new(&server, &token);
    let wanted = json!({"name": "CI", "environment": "sandbox", "scope": "workspaces",
        "workspaces": [server.planted.workspace], "permission_level": "full", "expires_in_days": 30});
    let (status, made) = program.post("/v1/api-keys", &wanted).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert_eq!(text(&made, "/owner/id"), maker.as_str(), "{made}");
    let organization = server.planted.organization;
    let events = server
        .write(move |tx| Ok(tx.list_audit_events(organization, 99)?))
        .await;
    let by_it = |event: &&countersign::store::audit::AuditEvent| {
        event.event == "api_key.created" && event.credential_id.as_deref() == Some(id.as_str())
    };
    assert_eq!(events.iter().filter(by_it).count(), 1);
    for (path, body) in [
        ("/v1/workspaces", json!({"name": "No"})),
        ("/v1/invitations", json!({"email": "no@acme.example"})),
        (
            "/v1/roles",
            json!({"name": "No", "permissions": ["documents:read"]}),
        ),
    ] {
        assert_eq!(
            problem(program.post(path, &body).await),
            (403, "insufficient_permission".to_owned()),
            "{path}"
        );
    }
    assert_eq!(
        problem(program.get("/v1/members").await),
        (403, "insufficient_permission".to_owned())
    );
}

async fn only_the_management_api_takes_one(db: TestDatabase) {
    let server = Server::start(db).await;
    let (_, token) = made_management_token(&server, admin(&server).await, KEYS, None).await;
    let program = Program::new(&server, &token);
    assert_eq!(program.get("/v1/api-keys").await.0, StatusCode::OK);
    assert_eq!(
        server
            .verify(json!({"credential": token, "permission": "documents:read"}))
            .await["code"],
        "not_found"
    );
    assert_eq!(server.introspect(&token).await, json!({"active": false}));
    assert_eq!(
        problem(program.get("/v1/whoami").await),
        (401, "invalid_credential".to_owned())
    );
    // mistyped, it reads as unknown
    let mut mistyped = token.clone();
    mistyped.push('x');
    assert_eq!(
        problem(Program::new(&server, &mistyped).get("/v1/api-keys").await),
        (401, "invalid_credential".to_owned())
    );
}

async fn a_token_holds_what_its_maker_holds_at_that_moment(db: TestDatabase) {
    let server = Server::start(db).await;
    let maker = second_admin(&server).await;
    let permissions = "members:read members:manage organization:read operator:organizations";
    let (_, token) = made_management_token(&server, maker, permissions, None).await;
    let program = Program::new(&server, &token);
    assert_eq!(
        problem(
            program
                .put("/v1/organizations/by-external-id/x", &json!({"name": "X"}))
                .await
        ),
        (403, "insufficient_permission".to_owned()),
        "whatever its row says, it is no operator's"
    );
    let owner = admin(&server).await;
    assert_eq!(
        program
            .patch(&format!("/v1/members/{owner}"), &json!({"role": "member"}))
            .await
            .0,
        StatusCode::FORBIDDEN,
        "an admin stands below the owner"
    );
    let organization = server.planted.organization;
    let read_only = move |desk: &mut Desk| {
        use countersign::types::state::Licence;
        Ok(desk
            .tx
            .change_member_licence(organization, maker, Licence::Full, Licence::ReadOnly)?)
    };
    let invite = json!({"email": "new@acme.example"});
    let path = "/v1/invitations";
    assert_eq!(program.post(path, &invite).await.0, StatusCode::CREATED);
    at_desk(&server, organization, Asker::person(owner), read_only)
        .await
        .expect("changed");
    let other = json!({"email": "newer@acme.example"});
    assert_eq!(
        program.post(path, &other).await.0,
        StatusCode::FORBIDDEN,
        "with the licence the maker's right is gone, from the next request on"
    );
    assert_eq!(program.get("/v1/members").await.0, StatusCode::OK);
}

async fn a_token_ends_with_its_makers_role_for_good(db: TestDatabase) {
    let server = Server::start(db).await;
    let owner = admin(&server).await;
    let operator = Program::operator(&server);
    let organization = server.planted.organization;
    for demoted in [true, false] {
        let maker = member(
            &server,
            &format!("{demoted}@acme.example"),
            OrganizationRole::Admin,
        )
        .await;
        let (_, token) = made_management_token(&server, maker, "members:read", None).await;
        let program = Program::new(&server, &token);
        assert_eq!(program.get("/v1/members").await.0, StatusCode::OK);
        let path = format!("/v1/members/{maker}?organization={organization}");
        if demoted {
            let changed = operator.patch(&path, &json!({"role": "member"})).await;
            assert_eq!(changed.0, StatusCode::OK, "{}", changed.1);
        } else {
            assert_eq!(operator.delete(&path).await.0, StatusCode::OK);
        }
        let unknown = (401, "invalid_credential".to_owned());
        assert_eq!(problem(program.get("/v1/members").await), unknown);
        // coming back revives nothing
        if demoted {
            let back = json!({"role": "admin"});
            assert_eq!(operator.patch(&path, &back).await.0, StatusCode::OK);
        } else {
            tenants::join(&server, organization, maker, OrganizationRole::Admin).await;
        }
        assert_eq!(problem(program.get("/v1/members").await), unknown);
    }
    // an end that comes by itself counts from that instant
    let maker = member(&server, "ends@acme.example", OrganizationRole::Admin).await;
    let (_, token) = made_management_token(&server, maker, "members:read", None).await;
    let end = server.clock.now().plus_seconds(60);
    let ends =
        move |desk: &mut Desk| Ok(desk.tx.change_member_end(organization, maker, Some(end))?);
    at_desk(&server, organization, Asker::person(owner), ends)
        .await
        .expect("set");
    let program = Program::new(&server, &token);
    assert_eq!(program.get("/v1/members").await.0, StatusCode::OK);
    server.clock.step_seconds(60);
    assert_eq!(
        problem(program.get("/v1/members").await),
        (401, "invalid_credential".to_owned())
    );
}

async fn a_suspension_pauses_a_token(db: TestDatabase) {
    let server = Server::start(db).await;
    let maker = second_admin(&server).await;
    let (_, token) = made_management_token(&server, maker, "members:read", None).await;
    let (program, operator) = (Program::new(&server, &token), Program::operator(&server));
    let organization = server.planted.organization;
    let member = format!("/v1/members/{maker}?organization={organization}");
    let states = [MemberState::Suspended, MemberState::Active];
    let paused = (403, "suspended".to_owned());
    for state in states {
        let changed = operator.patch(&member, &json!({"state": state})).await;
        assert_eq!(changed.0, StatusCode::OK, "{}", changed.1);
        if state == MemberState::Suspended {
            assert_eq!(problem(program.get("/v1/members").await), paused);
        } else {
            assert_eq!(program.get("/v1/members").await.0, StatusCode::OK);
        }
    }
    for (path, works) in [
        (format!("/v1/users/{maker}/suspend"), false),
        (format!("/v1/users/{maker}/resume"), true),
        (format!("/v1/organizations/{organization}/suspend"), false),
        (format!("/v1/organizations/{organization}/resume"), true),
    ] {
        assert_eq!(operator.post_empty(&path).await.0, StatusCode::OK, "{path}");
        let answer = program.get("/v1/members").await;
        if works {
            assert_eq!(answer.0, StatusCode::OK, "{path}");
        } else {
            assert_eq!(problem(answer), paused, "{path}");
        }
    }
}

async fn a_token_stays_in_its_workspaces_and_in_its_organization(db: TestDatabase) {
    let server = Server::start(db).await;
    let maker = admin(&server).await;
    let other = tenants::workspace(&server, "Other").await;
    let only = Some(vec![server.planted.workspace]);
    let permissions = "api_keys:read api_keys:manage members:read members:manage organization:read organization:manage";
    let (_, token) = made_management_token(&server, maker, permissions, only).await;
    let program = Program::new(&server, &token);
    let key = |workspace| {
        json!({"name": "CI", "environment": "sandbox", "scope": "workspaces",
            "workspaces": [workspace], "permission_level": "full", "expires_in_days": 30})
    };
    let own = key(server.planted.workspace);
    assert_eq!(
        program.post("/v1/api-keys", &own).await.0,
        StatusCode::CREATED
    );
    let elsewhere = program.post("/v1/api-keys", &key(other)).await;
    assert_eq!(
        elsewhere.0,
        StatusCode::UNPROCESSABLE_ENTITY,
        "{}",
        elsewhere.1
    );
    let stranger = member(&server, "far@acme.example", OrganizationRole::Member).await;
    tenants::join_workspace(&server, other, stranger, "viewer").await;
    let (status, members) = program.get("/v1/members").await;
    assert_eq!(status, StatusCode::OK, "{members}");
    assert!(
        !members.to_string().contains(stranger.as_str()),
        "{members}"
    );
    assert_eq!(
        program.get("/v1/management-tokens").await.0,
        StatusCode::FORBIDDEN,
        "that is the organization's"
    );
    assert_eq!(
        program
            .patch(
                &format!("/v1/organizations/{}", server.planted.organization),
                &json!({"name": "Mine"})
            )
            .await
            .0,
        StatusCode::FORBIDDEN
    );
    let (foreign, _, _) = tenants::organization(&server, "owner@other.example").await;
    assert_eq!(
        program
            .get(&format!("/v1/members?organization={foreign}"))
            .await
            .0,
        StatusCode::NOT_FOUND
    );
}

/// What a token would need to make another, by the rule itself: no door leads there.
async fn a_token_never_makes_a_token(db: TestDatabase) {
    let server = Server::start(db).await;
    let maker = admin(&server).await;
    let (_, token) = made_management_token(
        &server,
        maker,
        "organization:read organization:manage",
        None,
    )
    .await;
    let program = Program::new(&server, &token);
    let answer = program
        .post("/v1/management-tokens", &json!({"name": "Second"}))
        .await;
    assert_eq!(answer.0, StatusCode::METHOD_NOT_ALLOWED);
    let secret = mint_token("cs", TokenKind::ManagementToken);
    let new = NewManagementToken {
        name: "Second".to_owned(),
        permissions: vec!["organization:read".to_owned()],
        workspaces: None,
        days: 30,
        digest: server
            .app
            .digester
            .digest(Purpose::ManagementToken, secret.expose()),
        hint: hint(&secret),
        proven_at: server.clock.now().plus_seconds(-15 * 60),
    };
    let create = move |desk: &mut Desk| management_tokens::create(desk, &new);
    let organization = server.planted.organization;
    let refused = at_desk(&server, organization, Asker::person(maker), create).await;
    assert!(
        matches!(refused, Err(Refusal::Forbidden(_))),
        "an old proof is none"
    );
}

async fn tokens_are_listed_and_revoked(db: TestDatabase) {
    let server = Server::start(db).await;
    let (maker, other) = (admin(&server).await, second_admin(&server).await);
    let (own, token) = made_management_token(
        &server,
        maker,
        "organization:read organization:manage",
        None,
    )
    .await;
    server.clock.step_seconds(1);
    let only = Some(vec![server.planted.workspace]);
    let (second, victim) = made_management_token(&server, other, "members:read", only).await;
    let program = Program::new(&server, &token);
    let (status, page) = program.get("/v1/management-tokens?limit=1").await;
    assert_eq!(status, StatusCode::OK, "{page}");
    assert_eq!(text(&page, "/data/0/id"), second.as_str());
    assert_eq!(
        page["data"][0]["workspaces"],
        json!([server.planted.workspace])
    );
    assert!(!page.to_string().contains(&victim));
    let next = format!(
        "/v1/management-tokens?cursor={}",
        text(&page, "/next_cursor")
    );
    let (_, page) = program.get(&next).await;
    assert_eq!(text(&page, "/data/0/id"), own.as_str());
    assert_eq!(page["data"][0]["workspaces"], json!(null));
    let path = format!("/v1/management-tokens/{second}");
    assert_eq!(program.get(&path).await.0, StatusCode::OK);
    for _ in 0..2 {
        assert_eq!(program.delete(&path).await.0, StatusCode::NO_CONTENT);
    }
    assert_eq!(
        Program::new(&server, &victim).get("/v1/members").await.0,
        StatusCode::UNAUTHORIZED
    );
    let (_, shown) = program.get(&path).await;
    assert!(shown["revoked_at"].is_string(), "{shown}");
    // another organization's is not there
    let (foreign, _, _) = tenants::organization(&server, "owner@other.example").await;
    let foreign = format!("/v1/management-tokens/{own}?organization={foreign}");
    let operator = Program::operator(&server);
    assert_eq!(operator.get(&foreign).await.0, StatusCode::NOT_FOUND);
    assert_eq!(operator.delete(&foreign).await.0, StatusCode::NOT_FOUND);
    assert_eq!(program.get("/v1/management-tokens").await.0, StatusCode::OK);
    // it may end itself
    let path = format!("/v1/management-tokens/{own}");
    assert_eq!(program.delete(&path).await.0, StatusCode::NO_CONTENT);
    assert_eq!(
        program.get("/v1/management-tokens").await.0,
        StatusCode::UNAUTHORIZED
    );
}

async fn a_departure_tells_of_them(db: TestDatabase) {
    let server = Server::start(db).await;
    let maker = second_admin(&server).await;
    made_management_token(&server, maker, "members:read", None).await;
    let operator = Program::operator(&server);
    let path = format!(
        "/v1/members/{maker}/departure?organization={}",
        server.planted.organization
    );
    let (_, told) = operator.get(&path).await;
    assert_eq!(told["management_tokens"], 1, "{told}");
    assert!(
        told["stops"].to_string().contains("1 management token"),
        "{told}"
    );
}
