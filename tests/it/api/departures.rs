//! What ends when somebody leaves, and what does not come back (A10).

use countersign::domain::desk::Desk;
use countersign::domain::lifecycle::sweep;
use countersign::domain::people::admission::{self, Grant};
use countersign::domain::rights::asker::Asker;
use countersign::types::environment::Environment;
use countersign::types::id::{ApplicationId, UserId};
use countersign::types::state::{Licence, OrganizationRole};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{Program, problem, text};
use crate::databases::{TestDatabase, both_databases};
use crate::people;
use crate::server::Server;
use crate::tenants::{self, Key, Made, admin, join, join_workspace, key, member, workspace};

both_databases!(
    what_will_stop_is_told_before_and_stops_in_one_step,
    coming_back_revives_nothing_even_after_a_clock_has_stepped_back,
    secrets_that_the_member_was_shown_are_kept_rotated_or_revoked,
    losing_one_workspace_of_several_drops_that_one_for_good_and_none_left_deactivates,
    a_membership_with_an_end_stops_at_the_instant_and_ends_for_good,
    an_ended_membership_is_over_before_it_is_swept,
    a_deleted_applications_service_account_leaves_with_it,
    a_removal_twice_at_once_happens_once,
);

fn path(id: UserId) -> String {
    format!("/v1/members/{id}")
}

async fn owner(server: &Server) -> Program<'_> {
    Program::of(server, admin(server).await).await
}

async fn code(server: &Server, made: &Made) -> Value {
    server.verify(json!({"credential": made.secret})).await["code"].clone()
}

async fn viewer(server: &Server, email: &str) -> UserId {
    let id = member(server, email, OrganizationRole::Member).await;
    join_workspace(server, server.planted.workspace, id, "viewer").await;
    id
}

async fn what_will_stop_is_told_before_and_stops_in_one_step(db: TestDatabase) {
    let server = Server::start(db).await;
    let (owner, mia) = (
        owner(&server).await,
        viewer(&server, "mia@acme.example").await,
    );
    let mut keys = Vec::new();
    for ground in [
        Key::of(&server, mia).production(),
        Key::of(&server, mia).production(),
        Key::of(&server, mia),
    ] {
        keys.push(key(&server, ground).await);
    }
    let token = tenants::token(
        &server,
        server.planted.application,
        Key::of(&server, mia),
        "read",
    )
    .await;
    let others = key(&server, Key::of(&server, admin(&server).await)).await;
    let departure = format!("{}/departure", path(mia));
    let (status, told) = owner.get(&departure).await;
    assert_eq!(status, StatusCode::OK, "{told}");
    assert_eq!(
        told["stops"],
        json!([
            "2 live production keys",
            "1 live sandbox key",
            "1 workspace role"
        ])
    );
    assert_eq!(
        (
            told["keys"].as_array().map(Vec::len),
            &told["authorizations"]
        ),
        (Some(3), &json!(1))
    );
    assert!(
        !told.to_string().contains(&keys[0].secret),
        "never a secret"
    );
    assert_eq!(
        code(&server, &keys[0]).await,
        "valid",
        "looking changes nothing"
    );
    let (status, done) = owner.delete(&path(mia)).await;
    assert_eq!(
        (status, &done["removed"]),
        (StatusCode::OK, &told),
        "{done}"
    );
    for made in &keys {
        assert_eq!(code(&server, made).await, "not_found", "[27]");
    }
    assert_eq!(
        server.verify(json!({"credential": token.token})).await["code"],
        "not_found"
    );
    assert_eq!(code(&server, &others).await, "valid");
    assert_eq!(
        (
            server.database.count_events("api_key.deactivated"),
            server.database.count_events("member.removed")
        ),
        (3, 1)
    );
    assert_eq!(problem(owner.get(&departure).await).0, 404);
}

async fn coming_back_revives_nothing_even_after_a_clock_has_stepped_back(db: TestDatabase) {
    let server = Server::start(db).await;
    let (owner, mia) = (
        owner(&server).await,
        viewer(&server, "mia@acme.example").await,
    );
    let before = key(&server, Key::of(&server, mia)).await;
    assert_eq!(owner.delete(&path(mia)).await.0, StatusCode::OK);
    server.clock.step_seconds(-3600);
    join(
        &server,
        server.planted.organization,
        mia,
        OrganizationRole::Member,
    )
    .await;
    join_workspace(&server, server.planted.workspace, mia, "viewer").await;
    assert_eq!(code(&server, &before).await, "not_found");
    server.clock.step_seconds(-3600);
    let after = key(&server, Key::of(&server, mia)).await;
    assert_eq!(
        code(&server, &after).await,
        "valid",
        "a new key is not older than the membership for a wrong clock"
    );
}

async fn shown(server: &Server, to: UserId, owner: UserId) -> Made {
    let made = key(server, Key::of(server, owner)).await;
    let id = made.id;
    server
        .write(move |tx| {
            let secrets = tx.list_api_key_secrets(id)?;
            Ok(tx.record_disclosure(secrets[0].id.as_str(), to)?)
        })
        .await;
    made
}

async fn secrets_that_the_member_was_shown_are_kept_rotated_or_revoked(db: TestDatabase) {
    let server = Server::start(db).await;
    let (owner, robot) = (
        owner(&server).await,
        viewer(&server, "robot@acme.example").await,
    );
    for secrets in ["keep", "rotate", "revoke"] {
        let mia = member(
            &server,
            &format!("{secrets}@acme.example"),
            OrganizationRole::Admin,
        )
        .await;
        let made = shown(&server, mia, robot).await;
        let application = tenants::application(
            &server,
            server.planted.organization,
            mia,
            Environment::Sandbox,
            "viewer",
        )
        .await;
        let told = owner.get(&format!("{}/departure", path(mia))).await.1;
        assert_eq!(told["shown_keys"][0]["id"], json!(made.id), "{told}");
        assert_eq!(
            told["shown_application_secrets"][0]["application"],
            json!(application.id),
            "what was shown at its creation: {told}"
        );
        let (status, done) = owner
            .delete(&format!("{}?secrets={secrets}", path(mia)))
            .await;
        assert_eq!(status, StatusCode::OK, "{done}");
        let live = live_secrets(&server, application.id).await;
        match secrets {
            "keep" => assert_eq!((code(&server, &made).await, live), (json!("valid"), 1)),
            "rotate" => {
                let new = text(&done, "/rotated/0/secret").to_owned();
                assert_eq!(
                    (code(&server, &made).await, live),
                    (json!("valid"), 1),
                    "until the new one is used"
                );
                assert_eq!(
                    server.verify(json!({"credential": new})).await["code"],
                    "valid"
                );
                server.clock.step_seconds(1);
                assert_eq!(
                    code(&server, &made).await,
                    "not_found",
                    "no grace was asked for"
                );
            }
            _ => {
                assert_eq!((code(&server, &made).await, live), (json!("not_found"), 0));
                assert_eq!(done["revoked_keys"], json!([made.id]));
            }
        }
    }
}

async fn live_secrets(server: &Server, application: ApplicationId) -> usize {
    let secrets = server
        .app
        .store
        .read(move |c| c.list_application_secrets(application))
        .await;
    let secrets: Result<Vec<_>, countersign::store::Error> = secrets;
    secrets.expect("the store answers").len()
}

async fn losing_one_workspace_of_several_drops_that_one_for_good_and_none_left_deactivates(
    db: TestDatabase,
) {
    let server = Server::start(db).await;
    let (owner, mia, here) = (
        owner(&server).await,
        viewer(&server, "mia@acme.example").await,
        server.planted.workspace,
    );
    let there = workspace(&server, "Other").await;
    join_workspace(&server, there, mia, "viewer").await;
    let both = key(
        &server,
        Key {
            workspaces: Some(vec![here, there]),
            ..Key::of(&server, mia)
        },
    )
    .await;
    let at = |workspace| format!("/v1/workspaces/{workspace}/members/{mia}");
    let (served, secret) = (&server, both.secret.as_str());
    let allowed = |workspace| async move {
        let question =
            json!({"credential": secret, "permission": "documents:read", "workspace": workspace});
        served.verify(question).await["allowed"] == true
    };
    assert!(allowed(here).await && allowed(there).await);
    assert_eq!(owner.delete(&at(here)).await.0, StatusCode::NO_CONTENT);
    assert!(!allowed(here).await && allowed(there).await);
    assert_eq!(
        owner.put(&at(here), &json!({"role": "admin"})).await.0,
        StatusCode::NO_CONTENT
    );
    assert!(
        !allowed(here).await && allowed(there).await,
        "coming back does not give it back"
    );
    assert_eq!(owner.delete(&at(there)).await.0, StatusCode::NO_CONTENT);
    assert_eq!(
        code(&server, &both).await,
        "not_found",
        "an empty list never means the organization"
    );
    assert_eq!(server.database.count_events("api_key.deactivated"), 1);
}

async fn a_membership_with_an_end_stops_at_the_instant_and_ends_for_good(db: TestDatabase) {
    let server = Server::start(db).await;
    let (owner, mia) = (
        owner(&server).await,
        viewer(&server, "mia@acme.example").await,
    );
    let made = key(&server, Key::of(&server, mia)).await;
    let end = server.clock.now().plus_seconds(60);
    assert_eq!(
        owner
            .patch(&path(mia), &json!({"ends_at": end.rfc3339()}))
            .await
            .0,
        StatusCode::OK
    );
    server.clock.step_seconds(59);
    assert_eq!(code(&server, &made).await, "valid");
    server.clock.step_seconds(1);
    assert_eq!(code(&server, &made).await, "not_found", "from memory, too");
    let config = std::sync::Arc::clone(&server.app.config);
    let ended = server
        .write(move |tx| Ok(sweep::batch(tx, sweep::Kind::EndedMemberships, &config)?))
        .await;
    assert_eq!(
        (ended, server.database.count_events("member.removed")),
        (1, 1)
    );
    assert_eq!(
        problem(owner.patch(&path(mia), &json!({"ends_at": null})).await),
        (404, "not_found".to_owned()),
        "it cannot be prolonged any more"
    );
    join(
        &server,
        server.planted.organization,
        mia,
        OrganizationRole::Member,
    )
    .await;
    join_workspace(&server, server.planted.workspace, mia, "viewer").await;
    assert_eq!(code(&server, &made).await, "not_found");
}

/// At every door from that instant on, whether or not the sweep has been there.
async fn an_ended_membership_is_over_before_it_is_swept(db: TestDatabase) {
    let server = Server::start(db).await;
    let (owner, mia) = (
        owner(&server).await,
        viewer(&server, "mia@acme.example").await,
    );
    let made = key(&server, Key::of(&server, mia)).await;
    let end = server.clock.now().plus_seconds(60);
    let prolong = json!({"ends_at": end.plus_seconds(600).rfc3339()});
    let change = json!({"ends_at": end.rfc3339()});
    assert_eq!(owner.patch(&path(mia), &change).await.0, StatusCode::OK);
    server.clock.step_seconds(60);
    let gone = (404, "not_found".to_owned());
    let role = format!("/v1/workspaces/{}/members/{mia}", server.planted.workspace);
    for answer in [
        owner.get(&path(mia)).await,
        owner.get(&format!("{}/departure", path(mia))).await,
        owner.patch(&path(mia), &json!({"ends_at": null})).await,
        owner.patch(&path(mia), &prolong).await,
        owner.put(&role, &json!({"role": "admin"})).await,
        owner.delete(&path(mia)).await,
    ] {
        assert_eq!(problem(answer), gone);
    }
    let of_workspace = format!("/v1/workspaces/{}/members", server.planted.workspace);
    for list in ["/v1/members", of_workspace.as_str()] {
        let (_, listed) = owner.get(list).await;
        let rows = listed["data"].as_array().expect("a list");
        assert!(!rows.is_empty(), "{list}");
        assert!(rows.iter().all(|row| row["id"] != mia.as_str()), "{list}");
    }
    // joining anew takes the place of the membership that is over, and revives nothing of it
    let grant = Grant {
        role: OrganizationRole::Member,
        licence: Licence::Full,
        ends_at: None,
        workspaces: vec![(server.planted.workspace, "viewer".to_owned())],
    };
    let by = Asker::person(admin(&server).await);
    people::at_desk(&server, server.planted.organization, by, move |desk| {
        admission::admit(desk, mia, &grant)
    })
    .await
    .expect("admitted");
    assert_eq!(owner.get(&path(mia)).await.0, StatusCode::OK);
    assert_eq!(code(&server, &made).await, "not_found");
    assert_eq!(server.database.count_events("member.removed"), 1);
}

async fn a_deleted_applications_service_account_leaves_with_it(db: TestDatabase) {
    let server = Server::start(db).await;
    let (owner, by) = (owner(&server).await, admin(&server).await);
    let made = tenants::application(
        &server,
        server.planted.organization,
        by,
        Environment::Sandbox,
        "member",
    )
    .await;
    let account = made.service_account_id.expect("it acts as itself");
    assert_eq!(
        owner
            .get(&format!("/v1/service-accounts/{account}"))
            .await
            .0,
        StatusCode::OK
    );
    // as long as the application is there it is the application's
    let refused = owner
        .delete(&format!("/v1/service-accounts/{account}"))
        .await;
    assert_eq!(problem(refused), (409, "built_in".to_owned()));
    let (organization, id) = (server.planted.organization, made.id);
    let delete =
        move |desk: &mut Desk| countersign::domain::clients::applications::delete(desk, id);
    people::at_desk(&server, organization, Asker::person(by), delete)
        .await
        .expect("deleted");
    assert_eq!(
        problem(owner.get(&format!("/v1/service-accounts/{account}")).await).0,
        404
    );
}

async fn a_removal_twice_at_once_happens_once(db: TestDatabase) {
    let server = Server::start(db).await;
    let (owner, mia) = (
        owner(&server).await,
        viewer(&server, "mia@acme.example").await,
    );
    key(&server, Key::of(&server, mia)).await;
    let path = path(mia);
    let (one, two) = tokio::join!(owner.delete(&path), owner.delete(&path));
    let mut statuses = [one.0.as_u16(), two.0.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 404]);
    assert_eq!(
        (
            server.database.count_events("api_key.deactivated"),
            server.database.count_events("member.removed")
        ),
        (1, 1)
    );
}
