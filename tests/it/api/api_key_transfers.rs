//! `/v1/api-key-transfers`: a key changes its owner.

use countersign::types::id::UserId;
use countersign::types::state::OrganizationRole;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::api_keys::{create, path};
use super::{Program, manager, manager_of, problem, text};
use crate::databases::{TestDatabase, both_databases};
use crate::server::Server;
use crate::tenants::{self, join_workspace, member, workspace};

both_databases!(
    a_key_goes_to_who_accepts_it_with_a_new_secret,
    only_who_may_manage_the_key_gets_it_offered,
    nobody_else_decides_on_an_offer,
    an_offer_is_declined_withdrawn_and_listed,
    a_key_whose_owner_left_is_revived_by_a_transfer_only,
    a_demotion_between_offer_and_acceptance_ends_the_offer,
    twenty_acceptances_at_once_make_one_secret,
    keys_of_the_organization_are_not_transferred,
);

async fn code(server: &Server, secret: &Value) -> String {
    server.verify(json!({"credential": secret})).await["code"]
        .as_str()
        .expect("a code")
        .to_owned()
}

/// Admin of the planted workspace, and of nothing else.
async fn wanda(server: &Server) -> UserId {
    let user = member(server, "wanda@acme.example", OrganizationRole::Member).await;
    join_workspace(server, server.planted.workspace, user, "admin").await;
    user
}

async fn set_role(server: &Server, user: UserId, from: OrganizationRole, to: OrganizationRole) {
    let organization = server.planted.organization;
    server
        .write(move |tx| Ok(tx.change_member_role(organization, user, from, to)?))
        .await;
}

async fn offer(program: &Program<'_>, made: &Value, to: UserId) -> (StatusCode, Value) {
    program
        .post(&format!("{}/transfer", path(made)), &json!({"to": to}))
        .await
}

async fn offered(program: &Program<'_>, made: &Value, to: UserId) -> String {
    let (status, transfer) = offer(program, made, to).await;
    assert_eq!(
        (status, text(&transfer, "/state")),
        (StatusCode::CREATED, "open"),
        "{transfer}"
    );
    format!("/v1/api-key-transfers/{}", text(&transfer, "/id"))
}

async fn a_key_goes_to_who_accepts_it_with_a_new_secret(db: TestDatabase) {
    let server = Server::start(db).await;
    let (manager, to) = (manager(&server).await, wanda(&server).await);
    let theirs = manager_of(&server, to).await;
    let made = create(
        &manager,
        &server,
        &json!({"permission_level": "read_only", "self_rotation": true}),
    )
    .await;
    server.clock.step_seconds(1);
    let pending = manager
        .post(
            &format!("{}/rotate", path(&made)),
            &json!({"grace_seconds": 60}),
        )
        .await
        .1;
    let transfer = offered(&manager, &made, to).await;
    assert_eq!(
        code(&server, &made["secret"]).await,
        "valid",
        "until it is accepted"
    );
    server.clock.step_seconds(1);
    let send = || {
        theirs
            .request(Method::POST, &format!("{transfer}/accept"))
            .header("Idempotency-Key", "take")
    };
    let (status, taken) = super::json(send()).await;
    assert_eq!(
        (status, &taken["id"], text(&taken, "/owner/name")),
        (StatusCode::CREATED, &made["id"], "wanda"),
        "{taken}"
    );
    for field in [
        "name",
        "scope",
        "workspaces",
        "permission_level",
        "expires_at",
        "self_rotation",
        "environment",
        "created_by",
    ] {
        assert_eq!(taken[field], made[field], "{field}");
    }
    assert_eq!(
        (
            code(&server, &made["secret"]).await.as_str(),
            code(&server, &pending["secret"]).await.as_str()
        ),
        ("not_found", "not_found")
    );
    assert_eq!(code(&server, &taken["secret"]).await, "valid");
    let (_, again) = super::json(send()).await;
    assert_eq!(
        (&again["id"], &again["secret"]),
        (&made["id"], &Value::Null),
        "shown once"
    );
    let (_, detail) = manager.get(&path(&made)).await;
    assert_eq!(
        detail["secrets"][0]["shown_to"][0]["user"]["id"],
        json!(to),
        "{detail}"
    );
    assert!(!detail.to_string().contains(text(&taken, "/secret")));
    assert_eq!(
        problem(theirs.post_empty(&format!("{transfer}/accept")).await),
        (409, "transfer_closed".to_owned())
    );
    assert_eq!(server.database.count_events("api_key.transferred"), 1);
}

async fn only_who_may_manage_the_key_gets_it_offered(db: TestDatabase) {
    let server = Server::start(db).await;
    let (manager, to) = (manager(&server).await, wanda(&server).await);
    let second = workspace(&server, "Archive").await;
    let both = create(
        &manager,
        &server,
        &json!({"workspaces": [server.planted.workspace, second]}),
    )
    .await;
    let whole = create(
        &manager,
        &server,
        &json!({"scope": "organization", "workspaces": null}),
    )
    .await;
    let made = create(&manager, &server, &json!({})).await;
    let clerk = member(&server, "cole@acme.example", OrganizationRole::Member).await;
    join_workspace(&server, server.planted.workspace, clerk, "manager").await;
    let (_, stranger, _) = tenants::organization(&server, "zoe@other.example").await;
    let nobody = UserId::generate(server.clock.now());
    for (key, to) in [
        (&both, to),
        (&whole, to),
        (&made, clerk),
        (&made, stranger),
        (&made, nobody),
        (&made, tenants::admin(&server).await),
    ] {
        assert_eq!(
            problem(offer(&manager, key, to).await),
            (422, "invalid_fields".to_owned()),
            "{to}"
        );
    }
    let theirs = manager_of(&server, to).await;
    assert_eq!(
        problem(offer(&theirs, &whole, to).await),
        (404, "not_found".to_owned()),
        "nobody takes what is not offered"
    );
    assert_eq!(
        problem(offer(&theirs, &both, to).await),
        (404, "not_found".to_owned())
    );
    offered(&manager, &made, to).await;
    assert_eq!(
        problem(offer(&manager, &made, to).await),
        (409, "transfer_open".to_owned())
    );
    manager.delete(&path(&both)).await;
    assert_eq!(
        problem(offer(&manager, &both, to).await),
        (409, "wrong_state".to_owned())
    );
    let pending = create(&manager, &server, &json!({"pending": true})).await;
    assert_eq!(
        problem(offer(&manager, &pending, to).await),
        (409, "wrong_state".to_owned())
    );
}

async fn nobody_else_decides_on_an_offer(db: TestDatabase) {
    let server = Server::start(db).await;
    let (manager, to) = (manager(&server).await, wanda(&server).await);
    let made = create(&manager, &server, &json!({})).await;
    let transfer = offered(&manager, &made, to).await;
    let (elsewhere, ..) = tenants::organization(&server, "zoe@other.example").await;
    let other = member(&server, "olga@acme.example", OrganizationRole::Admin).await;
    for who in [tenants::admin(&server).await, other] {
        let program = manager_of(&server, who).await;
        for verb in ["accept", "decline"] {
            assert_eq!(
                problem(program.post_empty(&format!("{transfer}/{verb}")).await).0,
                404,
                "{verb}"
            );
        }
    }
    let operator = Program::operator(&server);
    for organization in [server.planted.organization, elsewhere] {
        assert_eq!(
            problem(
                operator
                    .post_empty(&format!("{transfer}/accept?organization={organization}"))
                    .await
            )
            .0,
            404
        );
    }
    assert_eq!(
        problem(
            operator
                .get(&format!("{transfer}?organization={elsewhere}"))
                .await
        )
        .0,
        404
    );
    assert_eq!(
        problem(
            operator
                .delete(&format!("{transfer}?organization={elsewhere}"))
                .await
        )
        .0,
        404
    );
    assert_eq!(
        problem(
            Program::new(&server, text(&made, "/secret"))
                .post_empty(&format!("{transfer}/accept"))
                .await
        )
        .0,
        403,
        "no key does"
    );
    assert_eq!(manager.get(&transfer).await.1["state"], "open");
}

async fn an_offer_is_declined_withdrawn_and_listed(db: TestDatabase) {
    let server = Server::start(db).await;
    let (manager, to) = (manager(&server).await, wanda(&server).await);
    let theirs = manager_of(&server, to).await;
    let made = create(&manager, &server, &json!({})).await;
    let first = offered(&manager, &made, to).await;
    assert_eq!(
        theirs.post_empty(&format!("{first}/decline")).await.1["state"],
        "declined"
    );
    server.clock.step_seconds(1);
    let second = offered(&manager, &made, to).await;
    assert_eq!(manager.delete(&second).await.1["state"], "withdrawn");
    assert_eq!(
        problem(manager.delete(&second).await),
        (409, "transfer_closed".to_owned())
    );
    assert_eq!(
        problem(theirs.post_empty(&format!("{second}/accept")).await),
        (409, "transfer_closed".to_owned())
    );
    let bystander = member(&server, "bert@acme.example", OrganizationRole::Member).await;
    join_workspace(&server, server.planted.workspace, bystander, "admin").await;
    let bystander = manager_of(&server, bystander).await;
    let states = async |program: &Program<'_>| -> Vec<String> {
        let (_, page) = program.get("/v1/api-key-transfers?limit=1").await;
        let (_, rest) = match page["next_cursor"].as_str() {
            Some(cursor) => {
                program
                    .get(&format!("/v1/api-key-transfers?cursor={cursor}"))
                    .await
            }
            None => (StatusCode::OK, json!({"data": []})),
        };
        let rows = page["data"]
            .as_array()
            .into_iter()
            .chain(rest["data"].as_array())
            .flatten();
        rows.map(|row| text(row, "/state").to_owned()).collect()
    };
    for program in [&manager, &theirs] {
        assert_eq!(states(program).await, ["withdrawn", "declined"]);
    }
    assert!(states(&bystander).await.is_empty());
    assert_eq!(
        code(&server, &made["secret"]).await,
        "valid",
        "nothing happened to it"
    );
}

async fn a_key_whose_owner_left_is_revived_by_a_transfer_only(db: TestDatabase) {
    // row 27, DESIGN §3: coming back does not revive it
    let server = Server::start(db).await;
    let (manager, to) = (manager(&server).await, wanda(&server).await);
    let leaver = member(&server, "lea@acme.example", OrganizationRole::Admin).await;
    let made = create(&manager_of(&server, leaver).await, &server, &json!({})).await;
    let organization = server.planted.organization;
    server
        .write(move |tx| Ok(tx.delete_member(organization, leaver)?))
        .await;
    assert_eq!(code(&server, &made["secret"]).await, "not_found");
    assert_eq!(manager.get(&path(&made)).await.1["state"], "deactivated");
    assert_ne!(
        manager
            .post_empty(&format!("{}/resume", path(&made)))
            .await
            .1["state"],
        "active"
    );
    let transfer = offered(&manager, &made, to).await;
    let (status, taken) = manager_of(&server, to)
        .await
        .post_empty(&format!("{transfer}/accept"))
        .await;
    assert_eq!(
        (status, text(&taken, "/state")),
        (StatusCode::CREATED, "active"),
        "{taken}"
    );
    assert_eq!(
        (
            code(&server, &taken["secret"]).await.as_str(),
            code(&server, &made["secret"]).await.as_str()
        ),
        ("valid", "not_found")
    );
}

async fn a_demotion_between_offer_and_acceptance_ends_the_offer(db: TestDatabase) {
    let server = Server::start(db).await;
    let (manager, to) = (manager(&server).await, wanda(&server).await);
    let giver = member(&server, "gina@acme.example", OrganizationRole::Admin).await;
    let made = create(&manager, &server, &json!({})).await;
    let transfer = offered(&manager_of(&server, giver).await, &made, to).await;
    let theirs = manager_of(&server, to).await;
    set_role(
        &server,
        giver,
        OrganizationRole::Admin,
        OrganizationRole::Member,
    )
    .await;
    assert_eq!(
        problem(theirs.post_empty(&format!("{transfer}/accept")).await),
        (409, "transfer_outdated".to_owned())
    );
    set_role(
        &server,
        giver,
        OrganizationRole::Member,
        OrganizationRole::Admin,
    )
    .await;
    let (organization, workspace) = (server.planted.organization, server.planted.workspace);
    server
        .write(move |tx| {
            Ok(tx.change_workspace_role(organization, workspace, to, "admin", "viewer")?)
        })
        .await;
    assert_eq!(
        problem(theirs.post_empty(&format!("{transfer}/accept")).await).0,
        403
    );
    assert_eq!(code(&server, &made["secret"]).await, "valid");
}

async fn twenty_acceptances_at_once_make_one_secret(db: TestDatabase) {
    let server = Server::start(db).await;
    let (manager, to) = (manager(&server).await, wanda(&server).await);
    let theirs = manager_of(&server, to).await;
    let made = create(&manager, &server, &json!({})).await;
    let accept = format!("{}/accept", offered(&manager, &made, to).await);
    let answers = futures_util::future::join_all((0..20).map(|_| theirs.post_empty(&accept))).await;
    let (taken, refused): (Vec<_>, Vec<_>) = answers
        .into_iter()
        .partition(|(status, _)| *status == StatusCode::CREATED);
    assert_eq!((taken.len(), refused.len()), (1, 19));
    assert!(
        refused
            .into_iter()
            .map(problem)
            .all(|refusal| refusal == (409, "transfer_closed".to_owned()))
    );
    assert_eq!(code(&server, &taken[0].1["secret"]).await, "valid");
}

async fn keys_of_the_organization_are_not_transferred(db: TestDatabase) {
    // C1
    let server = Server::start_with(db, |config| {
        config.keys.owner = countersign::config::KeyOwner::Organization
    })
    .await;
    let (manager, to) = (manager(&server).await, wanda(&server).await);
    let made = create(&manager, &server, &json!({})).await;
    assert_eq!(
        problem(offer(&manager, &made, to).await),
        (409, "not_transferable".to_owned())
    );
}
