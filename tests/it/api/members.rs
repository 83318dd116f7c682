//! `/v1/members` and `/v1/workspaces/{id}/members`: who may change whom.

use countersign::store::subscriptions::Subscription;
use countersign::types::id::UserId;
use countersign::types::state::{Licence, MemberState, OrganizationRole};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Program, problem, text};
use crate::databases::{TestDatabase, both_databases};
use crate::server::Server;
use crate::tenants::{self, Key, admin, join, join_workspace, key, member, workspace};

both_databases!(
    a_member_is_listed_read_and_changed,
    only_an_owner_makes_changes_or_removes_an_owner,
    the_last_owner_cannot_leave_be_demoted_or_suspended,
    two_owners_removing_each_other_at_once_leave_one,
    a_workspaces_admin_gives_roles_there_and_nowhere_else,
    nobody_gives_a_role_that_holds_more_than_they_do,
    a_suspended_members_key_says_so_and_works_again_afterwards,
    the_last_seat_is_taken_once_and_the_refusal_explains_itself,
    a_demoted_admin_grants_nothing_any_more,
    wrong_and_foreign_input_changes_nothing,
    what_a_key_does_is_recorded_with_the_key_and_its_owner,
);

fn path(id: UserId) -> String {
    format!("/v1/members/{id}")
}

async fn owner(server: &Server) -> Program<'_> {
    Program::of(server, admin(server).await).await
}

async fn a_member_is_listed_read_and_changed(db: TestDatabase) {
    let server = Server::start(db).await;
    let (owner, mia) = (
        owner(&server).await,
        member(&server, "mia@acme.example", OrganizationRole::Member).await,
    );
    join_workspace(&server, server.planted.workspace, mia, "viewer").await;
    let (status, found) = owner.get(&path(mia)).await;
    assert_eq!(
        (status, &found["role"], &found["licence"], &found["state"]),
        (
            StatusCode::OK,
            &json!("member"),
            &json!("full"),
            &json!("active")
        )
    );
    assert_eq!(
        found["workspaces"],
        json!([{"workspace": server.planted.workspace, "role": "viewer"}])
    );
    for filter in [
        "email=MIA@acme.example",
        "role=member&kind=person",
        &format!("workspace={}&kind=person", server.planted.workspace),
    ] {
        let page = owner.get(&format!("/v1/members?{filter}")).await.1;
        assert_eq!(page["data"], json!([found]), "{filter}");
    }
    let change = json!({"role": "admin", "licence": "read_only", "ends_at": null});
    let (status, changed) = owner.patch(&path(mia), &change).await;
    assert_eq!(
        (status, &changed["role"], &changed["licence"]),
        (StatusCode::OK, &json!("admin"), &json!("read_only")),
        "{changed}"
    );
    assert_eq!(
        owner.patch(&path(mia), &json!({})).await.1,
        changed,
        "what is left out stays"
    );
    assert_eq!(server.database.count_events("member.changed"), 1);
    let people = owner
        .get(&format!(
            "/v1/workspaces/{}/members?limit=1",
            server.planted.workspace
        ))
        .await
        .1;
    assert!(
        people["data"]
            .as_array()
            .is_some_and(|rows| rows.len() == 1)
            && people["next_cursor"].is_string(),
        "{people}"
    );
    let gone = owner.delete(&path(mia)).await;
    assert_eq!(
        (gone.0, &gone.1["removed"]["workspaces"]),
        (StatusCode::OK, &json!(1)),
        "{}",
        gone.1
    );
    assert_eq!(
        problem(owner.get(&path(mia)).await),
        (404, "not_found".to_owned())
    );
}

async fn only_an_owner_makes_changes_or_removes_an_owner(db: TestDatabase) {
    let server = Server::start(db).await;
    let (mia, cole) = (
        member(&server, "mia@acme.example", OrganizationRole::Admin).await,
        member(&server, "cole@acme.example", OrganizationRole::Member).await,
    );
    let (owner, mia_program) = (admin(&server).await, Program::of(&server, mia).await);
    assert_eq!(
        mia_program
            .patch(&path(cole), &json!({"role": "admin"}))
            .await
            .0,
        StatusCode::OK,
        "an admin makes an admin"
    );
    for (id, change) in [
        (cole, json!({"role": "owner"})),
        (mia, json!({"role": "owner"})),
        (owner, json!({"role": "member"})),
        (owner, json!({"state": "suspended"})),
    ] {
        assert_eq!(
            problem(mia_program.patch(&path(id), &change).await).0,
            403,
            "{change}"
        );
    }
    assert_eq!(problem(mia_program.delete(&path(owner)).await).0, 403);
    let robot = json!({"name": "Robot", "role": "owner"});
    assert_eq!(
        problem(mia_program.post("/v1/service-accounts", &robot).await).0,
        422
    );
    let guest = json!({"email": "guest@elsewhere.example", "role": "owner"});
    assert_eq!(
        problem(mia_program.post("/v1/invitations", &guest).await).0,
        403
    );
    let owner = Program::of(&server, owner).await;
    assert_eq!(
        owner.patch(&path(mia), &json!({"role": "owner"})).await.0,
        StatusCode::OK
    );
    assert_eq!(
        mia_program
            .patch(&path(cole), &json!({"role": "owner"}))
            .await
            .0,
        StatusCode::OK,
        "an owner makes an owner"
    );
}

async fn the_last_owner_cannot_leave_be_demoted_or_suspended(db: TestDatabase) {
    let server = Server::start(db).await;
    let id = admin(&server).await;
    let (owner, operator) = (Program::of(&server, id).await, Program::operator(&server));
    // suspended ones and those of service accounts do not count
    let second = member(&server, "second@acme.example", OrganizationRole::Owner).await;
    let suspended = owner
        .patch(&path(second), &json!({"state": "suspended"}))
        .await;
    assert_eq!(suspended.0, StatusCode::OK, "{}", suspended.1);
    let as_operator = format!("{}?organization={}", path(id), server.planted.organization);
    for refused in [
        owner.delete(&path(id)).await,
        owner.patch(&path(id), &json!({"role": "admin"})).await,
        owner.patch(&path(id), &json!({"state": "suspended"})).await,
        operator.delete(&as_operator).await,
    ] {
        assert!(
            text(&refused.1, "/detail").contains("last owner"),
            "{}",
            refused.1
        );
        assert_eq!(problem(refused), (409, "last_owner".to_owned()));
    }
    assert_eq!(
        problem(
            owner
                .patch(&path(id), &json!({"ends_at": "2099-01-01T00:00:00Z"}))
                .await
        ),
        (422, "invalid_fields".to_owned())
    );
    assert_eq!(
        owner
            .patch(&path(second), &json!({"state": "active"}))
            .await
            .0,
        StatusCode::OK
    );
    assert_eq!(
        owner.patch(&path(id), &json!({"role": "member"})).await.0,
        StatusCode::OK,
        "there is another one"
    );
}

async fn two_owners_removing_each_other_at_once_leave_one(db: TestDatabase) {
    let server = Server::start(db).await;
    let (one, other) = (
        admin(&server).await,
        member(&server, "second@acme.example", OrganizationRole::Owner).await,
    );
    for round in 0..3 {
        let (first, second) = (
            Program::of(&server, one).await,
            Program::of(&server, other).await,
        );
        let (by_first, by_second) = (path(other), path(one));
        let (first, second) = if round == 2 {
            // demoting, too
            let demote = json!({"role": "member"});
            tokio::join!(
                first.patch(&by_first, &demote),
                second.patch(&by_second, &demote)
            )
        } else {
            tokio::join!(first.delete(&by_first), second.delete(&by_second))
        };
        assert_eq!(
            [&first, &second]
                .iter()
                .filter(|answer| answer.0 == StatusCode::OK)
                .count(),
            1,
            "{first:?} {second:?}"
        );
        let organization = server.planted.organization;
        let now = server.clock.now();
        let owners = server
            .app
            .store
            .read(move |c| c.count_owners(organization, now))
            .await;
        let owners: Result<i64, countersign::store::Error> = owners;
        assert_eq!(owners, Ok(1));
        for id in [one, other] {
            let member = server
                .app
                .store
                .read(move |c| c.find_member(organization, id, now))
                .await;
            let member: Result<_, countersign::store::Error> = member;
            if member.expect("the store answers").is_none() {
                join(&server, organization, id, OrganizationRole::Owner).await;
            }
        }
    }
}

async fn a_workspaces_admin_gives_roles_there_and_nowhere_else(db: TestDatabase) {
    let server = Server::start(db).await;
    let (here, other) = (server.planted.workspace, workspace(&server, "Other").await);
    let (mia, cole) = (
        member(&server, "mia@acme.example", OrganizationRole::Member).await,
        member(&server, "cole@acme.example", OrganizationRole::Member).await,
    );
    join_workspace(&server, here, mia, "admin").await;
    let mia_program = Program::of(&server, mia).await;
    let at = |workspace, user| format!("/v1/workspaces/{workspace}/members/{user}");
    let by_mia = &mia_program;
    let put = |path: String, role: &'static str| async move {
        by_mia.put(&path, &json!({"role": role})).await
    };
    assert_eq!(
        put(at(here, cole), "manager").await.0,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        put(at(here, cole), "manager").await.0,
        StatusCode::NO_CONTENT,
        "again"
    );
    assert_eq!(
        put(at(here, cole), "viewer").await.0,
        StatusCode::NO_CONTENT,
        "another one in its place"
    );
    assert_eq!(server.database.count_events("workspace_member.changed"), 2);
    assert_eq!(
        problem(put(at(other, cole), "viewer").await),
        (404, "not_found".to_owned()),
        "a workspace that is not theirs is not there"
    );
    assert_eq!(
        problem(put(at(here, cole), "boss").await),
        (422, "invalid_fields".to_owned())
    );
    let stranger = tenants::person(&server, "stranger@elsewhere.example", false).await;
    assert_eq!(
        problem(put(at(here, stranger), "viewer").await),
        (404, "not_found".to_owned()),
        "who is no member of the organization"
    );
    // the organization's own matters are not a workspace's
    for refused in [
        mia_program
            .patch(&path(cole), &json!({"licence": "read_only"}))
            .await,
        mia_program.delete(&path(cole)).await,
        mia_program
            .post(
                "/v1/roles",
                &json!({"name": "Mine", "permissions": ["documents:read"]}),
            )
            .await,
        mia_program
            .post("/v1/invitations", &json!({"email": "a@b.example"}))
            .await,
        mia_program
            .post("/v1/service-accounts", &json!({"name": "Robot"}))
            .await,
    ] {
        assert_eq!(
            problem(refused),
            (403, "insufficient_permission".to_owned())
        );
    }
    // they see their own workspace's people only
    let far = member(&server, "far@acme.example", OrganizationRole::Member).await;
    assert_eq!(
        problem(mia_program.get(&path(far)).await),
        (404, "not_found".to_owned())
    );
    assert_eq!(mia_program.get(&path(cole)).await.0, StatusCode::OK);
    assert_eq!(
        mia_program.delete(&at(here, cole)).await.0,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        problem(mia_program.delete(&at(here, cole)).await),
        (404, "not_found".to_owned())
    );
}

async fn nobody_gives_a_role_that_holds_more_than_they_do(db: TestDatabase) {
    let server = Server::start(db).await;
    let owner = owner(&server).await;
    let wanted = json!({"name": "Doorkeeper", "permissions": ["members:read", "members:manage", "documents:read"]});
    let (status, role) = owner.post("/v1/roles", &wanted).await;
    assert_eq!(status, StatusCode::CREATED, "{role}");
    let (mia, cole, ann) = (
        member(&server, "mia@acme.example", OrganizationRole::Member).await,
        member(&server, "cole@acme.example", OrganizationRole::Member).await,
        member(&server, "ann@acme.example", OrganizationRole::Member).await,
    );
    let at = |user| format!("/v1/workspaces/{}/members/{user}", server.planted.workspace);
    let given = owner.put(&at(mia), &json!({"role": role["id"]})).await;
    assert_eq!(given.0, StatusCode::NO_CONTENT, "{}", given.1);
    join_workspace(&server, server.planted.workspace, ann, "manager").await;
    let mia_program = Program::of(&server, mia).await;
    assert_eq!(
        mia_program
            .put(&at(cole), &json!({"role": role["id"]}))
            .await
            .0,
        StatusCode::NO_CONTENT,
        "what they hold themselves"
    );
    for role in ["admin", "manager", "member", "viewer"] {
        assert_eq!(
            problem(mia_program.put(&at(cole), &json!({"role": role})).await).0,
            403,
            "{role}"
        );
        assert_eq!(
            problem(mia_program.put(&at(mia), &json!({"role": role})).await).0,
            403,
            "nor to themselves"
        );
    }
    assert_eq!(
        problem(mia_program.delete(&at(ann)).await).0,
        403,
        "nobody changes whoever holds more"
    );
    // a read-only licence bounds what is given, too
    assert_eq!(
        owner
            .patch(&path(mia), &json!({"licence": "read_only"}))
            .await
            .0,
        StatusCode::OK
    );
    assert_eq!(
        problem(
            mia_program
                .put(&at(cole), &json!({"role": role["id"]}))
                .await
        )
        .0,
        403
    );
}

async fn a_suspended_members_key_says_so_and_works_again_afterwards(db: TestDatabase) {
    let server = Server::start(db).await;
    let (owner, mia) = (
        owner(&server).await,
        member(&server, "mia@acme.example", OrganizationRole::Member).await,
    );
    join_workspace(&server, server.planted.workspace, mia, "member").await;
    let made = key(&server, Key::of(&server, mia)).await;
    let question = json!({"credential": made.secret, "permission": "documents:read"});
    for (state, code) in [("suspended", "suspended"), ("active", "valid")] {
        assert_eq!(
            owner.patch(&path(mia), &json!({"state": state})).await.0,
            StatusCode::OK
        );
        assert_eq!(server.verify(question.clone()).await["code"], code);
    }
    // demotion is no departure either: what it takes, a promotion gives back
    let at = format!("/v1/workspaces/{}/members/{mia}", server.planted.workspace);
    let sending = json!({"credential": made.secret, "permission": "documents:write"});
    for (role, code) in [("viewer", "forbidden"), ("member", "valid")] {
        assert_eq!(
            owner.put(&at, &json!({"role": role})).await.0,
            StatusCode::NO_CONTENT
        );
        assert_eq!(server.verify(sending.clone()).await["code"], code, "[21]");
    }
}

async fn seats(server: &Server, full: i64) {
    let organization = server.planted.organization;
    server
        .write(move |tx| {
            let now = tx.now;
            let found = tx.find_subscription(organization)?;
            let before =
                found.unwrap_or_else(|| Subscription::new(organization, "enterprise", now));
            Ok(tx.put_subscription(&Subscription {
                full_seats: Some(full),
                ..before
            })?)
        })
        .await;
}

async fn the_last_seat_is_taken_once_and_the_refusal_explains_itself(db: TestDatabase) {
    let server = Server::start(db).await;
    let owner = owner(&server).await;
    let mut resting = Vec::new();
    for name in ["mia", "cole", "sam"] {
        let id = member(
            &server,
            &format!("{name}@acme.example"),
            OrganizationRole::Member,
        )
        .await;
        assert_eq!(
            owner
                .patch(&path(id), &json!({"state": "suspended"}))
                .await
                .0,
            StatusCode::OK,
            "they take no seat then"
        );
        resting.push(path(id));
    }
    seats(&server, 2).await;
    let back = json!({"state": "active"});
    let (one, two, three) = tokio::join!(
        owner.patch(&resting[0], &back),
        owner.patch(&resting[1], &back),
        owner.patch(&resting[2], &back)
    );
    let (taken, refused): (Vec<_>, Vec<_>) = [one, two, three]
        .into_iter()
        .partition(|(status, _)| *status == StatusCode::OK);
    assert_eq!(taken.len(), 1, "{refused:?}");
    for answer in refused {
        assert!(
            text(&answer.1, "/detail")
                .starts_with("All 2 full seats of this organization are taken."),
            "{}",
            answer.1
        );
        assert_eq!(problem(answer), (409, "seats_exhausted".to_owned()));
    }
    // a read-only licence is another kind of seat, and a service account takes none
    let viewer = resting
        .iter()
        .find(|path| **path != format!("/v1/members/{}", text(&taken[0].1, "/id")))
        .expect("one that rests");
    assert_eq!(
        owner
            .patch(viewer, &json!({"licence": "read_only", "state": "active"}))
            .await
            .0,
        StatusCode::OK
    );
    assert_eq!(
        problem(owner.patch(viewer, &json!({"licence": "full"})).await),
        (409, "seats_exhausted".to_owned())
    );
    assert_eq!(
        owner
            .post("/v1/service-accounts", &json!({"name": "Robot"}))
            .await
            .0,
        StatusCode::CREATED
    );
}

/// The role that counts is the one held in the transaction that grants.
async fn a_demoted_admin_grants_nothing_any_more(db: TestDatabase) {
    let server = Server::start(db).await;
    let (owner, mia) = (
        owner(&server).await,
        member(&server, "mia@acme.example", OrganizationRole::Admin).await,
    );
    let mia_program = Program::of(&server, mia).await;
    let (down, robot) = (
        json!({"role": "member"}),
        json!({"name": "Robot", "role": "admin"}),
    );
    let (mia_path, accounts) = (path(mia), "/v1/service-accounts");
    let (demoted, made) = tokio::join!(
        owner.patch(&mia_path, &down),
        mia_program.post(accounts, &robot)
    );
    assert_eq!(demoted.0, StatusCode::OK);
    assert!([201, 401, 403, 404].contains(&made.0.as_u16()), "{made:?}");
    assert!(
        [401, 403, 404].contains(
            &problem(
                mia_program
                    .post(accounts, &json!({"name": "Another", "role": "admin"}))
                    .await
            )
            .0
        )
    );
    assert!(
        [401, 403, 404].contains(
            &problem(
                mia_program
                    .post("/v1/invitations", &json!({"email": "a@b.example"}))
                    .await
            )
            .0
        )
    );
}

async fn wrong_and_foreign_input_changes_nothing(db: TestDatabase) {
    let server = Server::start(db).await;
    let (owner, mia) = (
        owner(&server).await,
        member(&server, "mia@acme.example", OrganizationRole::Member).await,
    );
    let (_, foreigner, _) = tenants::organization(&server, "owner@other.example").await;
    for foreign in [
        path(foreigner),
        "/v1/members/usr_x".to_owned(),
        path(UserId::generate(server.clock.now())),
    ] {
        for method in [Method::GET, Method::PATCH, Method::DELETE] {
            let answer = super::json(owner.request(method, &foreign).json(&json!({}))).await;
            assert!([400, 404].contains(&problem(answer).0), "{foreign}");
        }
        assert_eq!(
            problem(owner.get(&format!("{foreign}/departure")).await).0,
            404
        );
    }
    for wrong in [
        json!({"role": "boss"}),
        json!({"role": null}),
        json!({"licence": "x".repeat(10_000)}),
        json!({"state": "ended"}),
        json!({"ends_at": "tomorrow"}),
        json!({"ends_at": 5}),
        json!({"nothing": 1}),
        json!("x"),
    ] {
        assert_eq!(
            problem(owner.patch(&path(mia), &wrong).await),
            (400, "invalid_body".to_owned()),
            "{wrong}"
        );
    }
    assert_eq!(
        problem(
            owner
                .patch(&path(mia), &json!({"ends_at": "2001-01-01T00:00:00Z"}))
                .await
        ),
        (422, "invalid_fields".to_owned())
    );
    for query in [
        "role=boss",
        "limit=0",
        "limit=101",
        "cursor=x",
        "nothing=1",
        "workspace=ws_x",
        "role=admin&role=owner",
    ] {
        assert_eq!(
            problem(owner.get(&format!("/v1/members?{query}")).await).0,
            400,
            "{query}"
        );
    }
    let elsewhere = owner.get("/v1/members?email=no-address").await;
    assert_eq!(
        (elsewhere.0, &elsewhere.1["data"]),
        (StatusCode::OK, &json!([]))
    );
    for (query, status) in [
        ("secrets=burn", 400),
        ("grace_seconds=5", 422),
        ("secrets=rotate&grace_seconds=x", 400),
        ("secrets=revoke&grace_seconds=5", 422),
    ] {
        assert_eq!(
            problem(owner.delete(&format!("{}?{query}", path(mia))).await).0,
            status,
            "{query}"
        );
    }
    let (organization, now) = (server.planted.organization, server.clock.now());
    let member = server
        .app
        .store
        .read(move |c| c.find_member(organization, mia, now))
        .await;
    let member: Result<_, countersign::store::Error> = member;
    let member = member.expect("the store answers").expect("still there");
    assert_eq!(
        (member.role, member.licence, member.state),
        (OrganizationRole::Member, Licence::Full, MemberState::Active)
    );
}

/// [31]
async fn what_a_key_does_is_recorded_with_the_key_and_its_owner(db: TestDatabase) {
    let server = Server::start(db).await;
    let id = admin(&server).await;
    let able = key(
        &server,
        Key {
            operations: true,
            ..Key::of(&server, id).for_organization()
        },
    )
    .await;
    let made = Program::new(&server, &able.secret)
        .post(
            "/v1/workspaces",
            &json!({"name": "By key", "is_service": true}),
        )
        .await;
    assert_eq!(
        (made.0, &made.1["is_service"]),
        (StatusCode::CREATED, &Value::Bool(true)),
        "{}",
        made.1
    );
    let organization = server.planted.organization;
    let events = server
        .app
        .store
        .read(move |c| c.list_audit_events(organization, 100))
        .await;
    let events: Result<Vec<_>, countersign::store::Error> = events;
    let by_key = |event: &countersign::store::audit::AuditEvent| {
        event.event == "workspace.created" && event.credential_id.is_some()
    };
    let event = events
        .expect("the store answers")
        .into_iter()
        .find(by_key)
        .expect("it is recorded");
    assert_eq!(
        (event.actor_id, event.credential_id),
        (Some(id), Some(able.id.to_string()))
    );
}
