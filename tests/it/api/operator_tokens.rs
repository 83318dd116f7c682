//! Operator tokens: made and ended beside the running server, good for what they were made for.

use countersign::crypto::digest::Purpose;
use countersign::crypto::format::{TokenKind, hint, mint_token};
use countersign::domain::Refusal;
use countersign::domain::desk::Desk;
use countersign::domain::operations::operator_tokens::{self, NewOperatorToken};
use countersign::domain::people::invitations::{self, By};
use countersign::domain::rights::asker::Asker;
use countersign::store::operator_tokens::OperatorToken;
use countersign::types::refusal_code::RefusalCode;
use countersign::types::state::{UserKind, UserState};
use countersign::types::time::Timestamp;
use reqwest::StatusCode;
use serde_json::json;

use super::{Program, problem, text};
use crate::databases::{TestDatabase, both_databases};
use crate::people;
use crate::server::{NOON, Server};
use crate::tenants;

both_databases!(
    a_token_reaches_across_organizations_and_is_named_in_the_audit,
    a_token_holds_what_it_was_made_for,
    a_token_expires_is_revoked_and_ends_with_its_account,
    what_no_token_can_be_is_refused,
    a_token_provisions_by_the_permission_of_the_route_alone,
    an_invitation_by_a_token_ends_with_it,
);

pub async fn make(
    server: &Server,
    permissions: &[&str],
    expires_at: Option<Timestamp>,
) -> (OperatorToken, String) {
    let token = mint_token("cs", TokenKind::OperatorToken);
    let new = NewOperatorToken {
        name: "Billing".to_owned(),
        permissions: permissions.iter().map(|name| (*name).to_owned()).collect(),
        expires_at,
        digest: server
            .app
            .digester
            .digest(Purpose::OperatorToken, token.expose()),
        hint: hint(&token),
    };
    let catalogue = std::sync::Arc::clone(&server.app.settings.catalogue);
    let made = server
        .write(move |tx| operator_tokens::create(tx, &catalogue, &new))
        .await;
    (made, token.expose().to_owned())
}

async fn a_token_reaches_across_organizations_and_is_named_in_the_audit(db: TestDatabase) {
    let server = Server::start(db).await;
    let (other, _, _) = tenants::organization(&server, "owner@other.example").await;
    let (row, token) = make(&server, &[], None).await;
    let program = Program::new(&server, &token);
    let (status, all) = program.get("/v1/organizations").await;
    assert_eq!(
        (status, all["data"].as_array().map(Vec::len)),
        (StatusCode::OK, Some(2)),
        "{all}"
    );
    for organization in [server.planted.organization, other] {
        assert_eq!(
            program
                .get(&format!("/v1/organizations/{organization}"))
                .await
                .0,
            StatusCode::OK
        );
        let path = format!("/v1/workspaces?organization={organization}");
        assert_eq!(
            program.post(&path, &json!({"name": "By operator"})).await.0,
            StatusCode::CREATED
        );
        let events = server
            .app
            .store
            .read(move |c| c.list_audit_events(organization, 99))
            .await;
        let events: Result<_, countersign::store::Error> = events;
        let by_it = |event: &countersign::store::audit::AuditEvent| {
            event.event == "workspace.created" && event.actor_id == Some(row.user_id)
        };
        assert_eq!(events.expect("events").into_iter().filter(by_it).count(), 1);
    }
    let user = server
        .write(move |tx| Ok(tx.find_user(row.user_id)?))
        .await
        .expect("an account");
    assert_eq!(
        (user.kind, user.operator, user.email),
        (UserKind::ServiceAccount, true, None)
    );
    countersign::jobs::usage::flush(&server.app).await;
    let listed = server.write(|tx| Ok(tx.list_operator_tokens(9)?)).await;
    assert_eq!(
        listed
            .iter()
            .find(|own| own.id == row.id)
            .and_then(|own| own.last_used_at),
        Some(NOON)
    );
}

async fn a_token_holds_what_it_was_made_for(db: TestDatabase) {
    let server = Server::start(db).await;
    let (_, token) = make(&server, &["organization:read"], None).await;
    let (program, path) = (
        Program::new(&server, &token),
        format!(
            "/v1/workspaces?organization={}",
            server.planted.organization
        ),
    );
    assert_eq!(program.get(&path).await.0, StatusCode::OK);
    assert_eq!(
        problem(program.post(&path, &json!({"name": "No"})).await),
        (403, "insufficient_permission".to_owned())
    );
    // it is for managing: nowhere else is it a credential
    assert_eq!(
        problem(program.get("/v1/whoami").await),
        (401, "invalid_credential".to_owned())
    );
    assert_eq!(
        server.verify(json!({"credential": token})).await["code"],
        "not_found"
    );
}

async fn a_token_expires_is_revoked_and_ends_with_its_account(db: TestDatabase) {
    let server = Server::start(db).await;
    let (_, short) = make(&server, &[], Some(NOON.plus_seconds(10))).await;
    let (row, long) = make(&server, &[], None).await;
    let (suspended, third) = make(&server, &[], None).await;
    let (short, long, third) = (
        Program::new(&server, &short),
        Program::new(&server, &long),
        Program::new(&server, &third),
    );
    for program in [&short, &long, &third] {
        assert_eq!(program.get("/v1/organizations").await.0, StatusCode::OK);
    }
    server.clock.step_seconds(10);
    assert_eq!(
        problem(short.get("/v1/organizations").await),
        (401, "credential_expired".to_owned())
    );
    server
        .write(move |tx| operator_tokens::revoke(tx, row.id))
        .await;
    server
        .write(move |tx| operator_tokens::revoke(tx, row.id))
        .await;
    assert_eq!(
        problem(long.get("/v1/organizations").await),
        (401, "invalid_credential".to_owned())
    );
    assert_eq!(server.database.count_events("operator_token.revoked"), 1);
    server
        .write(move |tx| {
            Ok(tx.change_user_state(suspended.user_id, UserState::Active, UserState::Suspended)?)
        })
        .await;
    assert_eq!(
        problem(third.get("/v1/organizations").await),
        (401, "invalid_credential".to_owned())
    );
}

async fn what_no_token_can_be_is_refused(db: TestDatabase) {
    let server = Server::start(db).await;
    let catalogue = &server.app.settings.catalogue;
    let new = |name: &str, permission: &str, expires_at| NewOperatorToken {
        name: name.to_owned(),
        permissions: vec![permission.to_owned()],
        expires_at,
        digest: server.app.digester.digest(Purpose::OperatorToken, "x"),
        hint: String::new(),
    };
    for (wrong, field) in [
        (new("", "organization:read", None), "name"),
        (new("A", "nothing", None), "permissions"),
        (new("A", "organization:read", Some(NOON)), "expiry"),
    ] {
        let catalogue = std::sync::Arc::clone(catalogue);
        let refused = server
            .app
            .store
            .write(NOON, move |tx| {
                operator_tokens::create(tx, &catalogue, &wrong)
                    .map(countersign::store::Verdict::Done)
            })
            .await;
        let Err(Refusal::Invalid(errors)) = refused else {
            unreachable!("{refused:?}")
        };
        assert_eq!(errors[0].0, field);
    }
}

async fn a_token_provisions_by_the_permission_of_the_route_alone(db: TestDatabase) {
    let server = Server::start(db).await;
    let (_, token) = make(&server, &["operator:organizations"], None).await;
    let (program, organization) = (Program::new(&server, &token), server.planted.organization);
    let path = format!("/v1/workspaces/by-external-id/crm-1?organization={organization}");
    for (name, outcome) in [("Crm", "created"), ("Crm 2", "updated")] {
        let (status, put) = program.put(&path, &json!({"name": name})).await;
        assert_eq!(
            (status, &put["outcome"]),
            (StatusCode::OK, &json!(outcome)),
            "{put}"
        );
    }
    // a plan is another permission's, also in bulk, where it is refused as a whole
    let item = json!({"external_id": "new", "name": "New", "subscription": {"plan": "enterprise"}});
    for refused in [
        program
            .put(
                &format!("/v1/organizations/{organization}/subscription"),
                &json!({"plan": "enterprise"}),
            )
            .await,
        program
            .post("/v1/provisioning", &json!({"organizations": [item]}))
            .await,
    ] {
        assert_eq!(
            problem(refused),
            (403, "insufficient_permission".to_owned())
        );
    }
    assert_eq!(server.database.count_events("subscription.created"), 0);
}

async fn an_invitation_by_a_token_ends_with_it(db: TestDatabase) {
    let server = Server::start(db).await;
    let (row, token) = make(&server, &["members:manage"], None).await;
    let (program, organization) = (Program::new(&server, &token), server.planted.organization);
    let guest = people::person(&server, "guest@elsewhere.example").await;
    let (status, made) = program
        .post(
            &format!("/v1/invitations?organization={organization}"),
            &json!({"email": "guest@elsewhere.example"}),
        )
        .await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let link = text(&made, "/link").rsplit('/').next().expect("a token");
    let by = By::Link(server.app.digester.candidates(Purpose::Invitation, link));
    server
        .write(move |tx| operator_tokens::revoke(tx, row.id))
        .await;
    let accept = move |desk: &mut Desk| invitations::accept(desk, &by);
    let accepted = people::at_desk(&server, organization, Asker::person(guest), accept).await;
    assert!(
        matches!(
            accepted,
            Err(Refusal::Coded(RefusalCode::InvitationOutdated, _))
        ),
        "{accepted:?}"
    );
}
