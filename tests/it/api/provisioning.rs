//! Provisioning by a billing system: upserts by `external_id`, alone and in bulk.

use countersign::types::id::OrganizationId;
use countersign::types::state::OrganizationRole;
use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{Program, problem, text};
use crate::databases::{TestDatabase, both_databases};
use crate::server::Server;
use crate::tenants::{admin, management_token, member};

both_databases!(
    an_upsert_creates_then_updates_then_leaves_alone,
    of_ten_upserts_of_one_new_name_at_once_one_organization_comes,
    a_workspace_and_a_subscription_are_upserted_by_name,
    a_person_is_upserted_and_an_address_of_somebody_else_refused,
    an_organization_and_a_person_are_suspended_and_resumed,
    a_bulk_request_brings_everything_and_is_safe_to_repeat,
    a_refused_item_changes_nothing_and_leaves_the_others_alone,
    an_owner_made_by_provisioning_has_no_end,
    seats_bind_provisioning_too,
    a_bulk_request_is_bounded_and_for_operators_only,
);

fn outcome((status, body): &(StatusCode, Value)) -> &str {
    assert_eq!(*status, StatusCode::OK, "{body}");
    text(body, "/outcome")
}

async fn an_upsert_creates_then_updates_then_leaves_alone(db: TestDatabase) {
    let server = Server::start(db).await;
    let (operator, at) = (
        Program::operator(&server),
        "/v1/organizations/by-external-id/cust-1",
    );
    assert_eq!(
        problem(operator.put(at, &json!({})).await),
        (422, "invalid_fields".to_owned()),
        "a new one needs a name"
    );
    let made = operator
        .put(at, &json!({"name": "Customer", "time_zone": "Asia/Tokyo"}))
        .await;
    assert_eq!(
        (
            outcome(&made),
            text(&made.1, "/external_id"),
            text(&made.1, "/time_zone")
        ),
        ("created", "cust-1", "Asia/Tokyo")
    );
    let stamp = server.app.store.changes().stamp();
    for body in [
        json!({}),
        json!({"name": "Customer"}),
        json!({"state": "active"}),
    ] {
        assert_eq!(
            outcome(&operator.put(at, &body).await),
            "unchanged",
            "{body}"
        );
    }
    let id = text(&made.1, "/id").parse().expect("an id");
    assert!(
        server
            .app
            .store
            .changes()
            .is_current(stamp, [countersign::store::Subject::Organization(id)]),
        "nothing is forgotten"
    );
    assert_eq!(
        outcome(&operator.put(at, &json!({"name": "Customer GmbH"})).await),
        "updated"
    );
    assert_eq!(
        (
            server.database.count_events("organization.changed"),
            server.database.count_events("organization.created")
        ),
        (1, 2)
    );
    let named = operator.get("/v1/organizations?external_id=cust-1").await.1;
    assert_eq!(
        (
            named["data"].as_array().map(Vec::len),
            text(&named, "/data/0/name")
        ),
        (Some(1), "Customer GmbH")
    );
    for wrong in ["%20x", "a%0Ab", &"x".repeat(101)] {
        let refused = operator
            .put(
                &format!("/v1/organizations/by-external-id/{wrong}"),
                &json!({"name": "X"}),
            )
            .await;
        assert_eq!(
            problem(refused),
            (422, "invalid_fields".to_owned()),
            "{wrong}"
        );
    }
}

async fn of_ten_upserts_of_one_new_name_at_once_one_organization_comes(db: TestDatabase) {
    let server = Server::start(db).await;
    let operator = Program::operator(&server);
    let wanted = json!({"name": "Customer"});
    let answers =
        join_all((0..10).map(|_| operator.put("/v1/organizations/by-external-id/cust-1", &wanted)))
            .await;
    let created = answers
        .iter()
        .filter(|answer| outcome(answer) == "created")
        .count();
    assert_eq!(created, 1, "{answers:?}");
    assert!(
        answers
            .iter()
            .all(|answer| answer.1["id"] == answers[0].1["id"])
    );
}

async fn a_workspace_and_a_subscription_are_upserted_by_name(db: TestDatabase) {
    let server = Server::start(db).await;
    let operator = Program::operator(&server);
    let organization = operator
        .put(
            "/v1/organizations/by-external-id/cust-1",
            &json!({"name": "Customer"}),
        )
        .await
        .1;
    let id = text(&organization, "/id");
    let at = format!("/v1/workspaces/by-external-id/ws-1?organization={id}");
    assert_eq!(
        problem(
            operator
                .put(
                    "/v1/workspaces/by-external-id/ws-1",
                    &json!({"name": "Main"})
                )
                .await
        ),
        (400, "organization_required".to_owned())
    );
    assert_eq!(
        outcome(&operator.put(&at, &json!({"name": "Main"})).await),
        "created"
    );
    assert_eq!(
        outcome(&operator.put(&at, &json!({"name": "Main"})).await),
        "unchanged"
    );
    assert_eq!(
        outcome(&operator.put(&at, &json!({"name": "Sales"})).await),
        "updated"
    );
    let elsewhere = format!(
        "/v1/workspaces/by-external-id/ws-1?organization={}",
        server.planted.organization
    );
    assert_eq!(
        problem(operator.put(&elsewhere, &json!({"name": "Main"})).await),
        (409, "external_id_taken".to_owned())
    );
    let at = "/v1/subscriptions/by-external-id/sub-1";
    assert_eq!(
        problem(operator.put(at, &json!({"plan": "business"})).await),
        (422, "invalid_fields".to_owned()),
        "of whom?"
    );
    let wanted = json!({"organization_external_id": "cust-1", "plan": "business", "full_seats": 5});
    let made = operator.put(at, &wanted).await;
    assert_eq!(
        (
            outcome(&made),
            text(&made.1, "/organization"),
            &made.1["full_seats"]
        ),
        ("created", id, &json!(5))
    );
    assert_eq!(outcome(&operator.put(at, &wanted).await), "unchanged");
    assert_eq!(
        outcome(
            &operator
                .put(at, &json!({"plan": "enterprise", "full_seats": null}))
                .await
        ),
        "updated"
    );
    let taken = json!({"organization": server.planted.organization, "plan": "business"});
    assert_eq!(
        problem(operator.put(at, &taken).await),
        (409, "external_id_taken".to_owned())
    );
    let listed = operator
        .get("/v1/organizations?plan=enterprise&name=Customer")
        .await
        .1;
    assert_eq!(text(&listed, "/data/0/id"), id);
}

async fn a_person_is_upserted_and_an_address_of_somebody_else_refused(db: TestDatabase) {
    let server = Server::start(db).await;
    let operator = Program::operator(&server);
    let mate = member(&server, "mate@acme.example", OrganizationRole::Member).await;
    let at = "/v1/users/by-external-id/u-1";
    let made = operator
        .put(at, &json!({"email": "Ann@Acme.Example", "name": "Ann"}))
        .await;
    assert_eq!(
        (outcome(&made), text(&made.1, "/state")),
        ("created", "active")
    );
    assert_eq!(
        outcome(
            &operator
                .put(at, &json!({"email": "Ann@acme.example"}))
                .await
        ),
        "unchanged",
        "the same address"
    );
    assert_eq!(
        outcome(&operator.put(at, &json!({"name": "Ann B"})).await),
        "updated"
    );
    let adopted = operator
        .put(
            "/v1/users/by-external-id/u-2",
            &json!({"email": "mate@acme.example"}),
        )
        .await;
    assert_eq!(
        (outcome(&adopted), text(&adopted.1, "/id")),
        ("updated", mate.as_str()),
        "who signed up by themselves"
    );
    for (at, email) in [
        (at, "mate@acme.example"),
        ("/v1/users/by-external-id/u-3", "mate@acme.example"),
        ("/v1/users/by-external-id/u-3", "operator@saas.example"),
    ] {
        assert_eq!(
            problem(
                operator
                    .put(at, &json!({"email": email, "name": "Eve"}))
                    .await
            ),
            (409, "email_taken".to_owned()),
            "{at} {email}"
        );
    }
    for body in [
        json!({}),
        json!({"name": "Ann"}),
        json!({"email": "a@b.example"}),
        json!({"email": "nonsense", "name": "N"}),
    ] {
        assert_eq!(
            problem(operator.put("/v1/users/by-external-id/u-4", &body).await),
            (422, "invalid_fields".to_owned()),
            "{body}"
        );
    }
    assert_eq!(server.database.count_events("user.changed"), 2);
}

async fn an_organization_and_a_person_are_suspended_and_resumed(db: TestDatabase) {
    let server = Server::start(db).await;
    let operator = Program::operator(&server);
    let code = || async {
        server
            .verify(json!({"credential": server.secrets.sandbox_key}))
            .await["code"]
            .take()
    };
    for subject in [
        format!("/v1/organizations/{}", server.planted.organization),
        format!("/v1/users/{}", admin(&server).await),
    ] {
        for (verb, state, expected) in [
            ("suspend", "suspended", "suspended"),
            ("resume", "active", "valid"),
        ] {
            for _ in 0..2 {
                let (status, body) = operator
                    .request(reqwest::Method::POST, &format!("{subject}/{verb}"))
                    .send()
                    .await
                    .map(|a| (a.status(), a))
                    .expect("an answer");
                let body: Value = body.json().await.expect("JSON");
                assert_eq!(
                    (status, text(&body, "/state")),
                    (StatusCode::OK, state),
                    "{body}"
                );
                assert_eq!(code().await, expected, "{subject} {verb}");
            }
        }
    }
    for event in [
        "organization.suspended",
        "organization.resumed",
        "user.suspended",
        "user.resumed",
    ] {
        assert_eq!(server.database.count_events(event), 1, "{event}");
    }
    let nobody = format!(
        "/v1/users/{}/suspend",
        countersign::types::id::UserId::generate(server.clock.now())
    );
    assert_eq!(
        problem(super::json(operator.request(reqwest::Method::POST, &nobody)).await),
        (404, "not_found".to_owned())
    );
}

fn everything() -> Value {
    json!({"organizations": [{
        "external_id": "cust-1",
        "name": "Customer",
        "time_zone": "Europe/Paris",
        "subscription": {"plan": "enterprise", "external_id": "sub-1", "full_seats": 2},
        "workspaces": [{"external_id": "ws-1", "name": "Sales"}, {"external_id": "ws-2", "name": "Legal"}],
        "users": [
            {"external_id": "u-1", "email": "ann@customer.example", "name": "Ann", "role": "owner"},
            {"external_id": "u-2", "email": "bob@customer.example", "name": "Bob", "licence": "read_only",
             "workspaces": [{"external_id": "ws-1", "role": "viewer"}]},
        ],
    }]})
}

async fn a_bulk_request_brings_everything_and_is_safe_to_repeat(db: TestDatabase) {
    let server = Server::start(db).await;
    let operator = Program::operator(&server);
    let outcomes = |body: &Value| {
        let of = |list: &Value| {
            list.as_array()
                .expect("a list")
                .iter()
                .map(|item| text(item, "/outcome").to_owned())
                .collect::<Vec<_>>()
        };
        let first = &body["organizations"][0];
        [
            vec![text(first, "/outcome").to_owned()],
            of(&first["workspaces"]),
            of(&first["users"]),
        ]
        .concat()
    };
    let (status, made) = operator.post("/v1/provisioning", &everything()).await;
    assert_eq!(
        (status, outcomes(&made)),
        (
            StatusCode::OK,
            vec![
                "created".to_owned(),
                "created".into(),
                "created".into(),
                "created".into(),
                "created".into()
            ]
        ),
        "{made}"
    );
    let events = server.database.everything_in("audit_events").len();
    let (_, again) = operator.post("/v1/provisioning", &everything()).await;
    assert_eq!(outcomes(&again), ["unchanged"; 5], "{again}");
    assert_eq!(
        again["organizations"][0]["id"],
        made["organizations"][0]["id"]
    );
    if matches!(
        server.database.database,
        countersign::store::Database::Postgres(_)
    ) {
        assert_eq!(
            server.database.everything_in("audit_events").len(),
            events,
            "no event"
        );
    }
    let mut changed = everything();
    changed["organizations"][0]["users"][1]["workspaces"] = json!([{"external_id": "ws-1", "role": "member"}, {"external_id": "ws-2", "role": "viewer"}]);
    changed["organizations"][0]["state"] = json!("suspended");
    let (_, third) = operator.post("/v1/provisioning", &changed).await;
    assert_eq!(
        outcomes(&third),
        ["updated", "unchanged", "unchanged", "unchanged", "updated"],
        "{third}"
    );
    let found = operator.get("/v1/organizations?state=suspended").await.1;
    assert_eq!(text(&found, "/data/0/external_id"), "cust-1");
    let both = join_all((0..4).map(|_| {
        let other = json!({"organizations": [{"external_id": "cust-2", "name": "Twin", "users": [{"external_id": "u-9", "email": "t@twin.example", "name": "T"}]}]});
        let operator = &operator;
        async move { operator.post("/v1/provisioning", &other).await.1 }
    }))
    .await;
    assert_eq!(
        both.iter()
            .filter(|body| body["organizations"][0]["outcome"] == "created")
            .count(),
        1,
        "{both:?}"
    );
    assert!(
        both.iter()
            .all(|body| body["organizations"][0]["users"][0]["outcome"] != "refused"),
        "{both:?}"
    );
}

async fn a_refused_item_changes_nothing_and_leaves_the_others_alone(db: TestDatabase) {
    let server = Server::start(db).await;
    let operator = Program::operator(&server);
    let mut wanted = everything();
    let users = &mut wanted["organizations"][0]["users"];
    users[0]["email"] = json!("operator@saas.example");
    users[1]["workspaces"][0]["external_id"] = json!("nowhere");
    users.as_array_mut().expect("users").push(json!({"external_id": "u-3", "email": "cem@customer.example", "name": "Cem", "role": "owner"}));
    wanted["organizations"][0]["workspaces"][0]["name"] = json!("a\nb");
    wanted["organizations"].as_array_mut().expect("items").push(
        json!({"external_id": "cust-2", "workspaces": [{"external_id": "ws-9", "name": "W"}]}),
    );
    let (status, body) = operator.post("/v1/provisioning", &wanted).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let first = &body["organizations"][0];
    for (at, code) in [
        ("/workspaces/0", "invalid_fields"),
        ("/users/0", "email_taken"),
        ("/users/1", "unknown_workspace"),
    ] {
        let item = first.pointer(at).expect("an item");
        assert_eq!(
            (text(item, "/outcome"), text(item, "/code"), &item["id"]),
            ("refused", code, &Value::Null),
            "{item}"
        );
    }
    assert_eq!(
        (
            text(first, "/outcome"),
            text(first, "/workspaces/1/outcome"),
            text(first, "/users/2/outcome")
        ),
        ("created", "created", "created")
    );
    let second = &body["organizations"][1];
    assert_eq!(
        (
            text(second, "/outcome"),
            text(second, "/code"),
            text(second, "/workspaces/0/outcome")
        ),
        ("refused", "invalid_fields", "skipped")
    );
    assert_eq!(
        operator.get("/v1/organizations?external_id=cust-2").await.1["data"],
        json!([])
    );
    let bob: Result<_, countersign::store::Error> = server
        .app
        .store
        .read(|c| c.find_user_by_external_id("u-2"))
        .await;
    assert!(
        bob.expect("a read").is_none(),
        "a refused person is not made"
    );
    let last = json!({"organizations": [{"external_id": "cust-1", "users": [{"external_id": "u-3", "role": "member"}]}]});
    assert_eq!(
        text(
            &operator.post("/v1/provisioning", &last).await.1,
            "/organizations/0/users/0/code"
        ),
        "last_owner"
    );
}

async fn an_owner_made_by_provisioning_has_no_end(db: TestDatabase) {
    let server = Server::start(db).await;
    let operator = Program::operator(&server);
    let wanted = |role: &str| {
        json!({"organizations": [{"external_id": "cust-1", "name": "C", "users": [
            {"external_id": "u-1", "email": "ann@customer.example", "name": "Ann", "role": role}]}]})
    };
    let (_, made) = operator.post("/v1/provisioning", &wanted("member")).await;
    let (organization, ann) = (
        text(&made, "/organizations/0/id").to_owned(),
        text(&made, "/organizations/0/users/0/id").to_owned(),
    );
    let end = server.clock.now().plus_seconds(60);
    server.database.execute(&format!(
        "UPDATE members SET ends_at = {} WHERE user_id = '{ann}'",
        end.millis()
    ));
    let (_, owner) = operator.post("/v1/provisioning", &wanted("owner")).await;
    assert_eq!(text(&owner, "/organizations/0/users/0/outcome"), "updated");
    server.clock.step_seconds(60);
    let organization: OrganizationId = organization.parse().expect("an id");
    let now = server.clock.now();
    let owners: Result<i64, countersign::store::Error> = server
        .app
        .store
        .read(move |c| c.count_owners(organization, now))
        .await;
    assert_eq!(owners, Ok(1));
    // an owner who is suspended keeps nobody: whoever acts stays
    let second = json!({"organizations": [{"external_id": "cust-1", "users": [
        {"external_id": "u-2", "email": "bob@customer.example", "name": "Bob", "role": "owner"}]}]});
    operator.post("/v1/provisioning", &second).await;
    let suspended = operator
        .put(
            "/v1/users/by-external-id/u-2",
            &json!({"state": "suspended"}),
        )
        .await;
    assert_eq!(suspended.0, StatusCode::OK, "{}", suspended.1);
    let (_, refused) = operator.post("/v1/provisioning", &wanted("member")).await;
    assert_eq!(
        text(&refused, "/organizations/0/users/0/code"),
        "last_owner"
    );
}

/// A5: the last one taken is an explained error.
async fn seats_bind_provisioning_too(db: TestDatabase) {
    let server = Server::start(db).await;
    let operator = Program::operator(&server);
    let user = |number: i64| json!({"external_id": format!("u-{number}"), "email": format!("u{number}@customer.example"), "name": "U"});
    let wanted = json!({"organizations": [{"external_id": "cust-1", "name": "C", "subscription": {"plan": "enterprise", "full_seats": 2},
        "users": [user(1), user(2), user(3)]}]});
    let (_, body) = operator.post("/v1/provisioning", &wanted).await;
    let users = &body["organizations"][0]["users"];
    assert_eq!(
        (text(users, "/1/outcome"), text(users, "/2/code")),
        ("created", "seats_exhausted"),
        "{body}"
    );
}

async fn a_bulk_request_is_bounded_and_for_operators_only(db: TestDatabase) {
    let server = Server::start(db).await;
    let operator = Program::operator(&server);
    let many: Vec<Value> = (0..501)
        .map(|number| json!({"external_id": format!("c-{number}"), "name": "C"}))
        .collect();
    assert_eq!(
        problem(
            operator
                .post("/v1/provisioning", &json!({"organizations": many}))
                .await
        ),
        (400, "too_many_items".to_owned())
    );
    for body in [
        json!({}),
        json!({"organizations": [{}]}),
        json!({"organizations": [{"external_id": "x", "nme": "C"}]}),
        json!([]),
    ] {
        assert_eq!(
            problem(operator.post("/v1/provisioning", &body).await),
            (400, "invalid_body".to_owned()),
            "{body}"
        );
    }
    assert_eq!(
        operator
            .post("/v1/provisioning", &json!({"organizations": []}))
            .await,
        (StatusCode::OK, json!({"organizations": []}))
    );
    let token = management_token(
        &server,
        admin(&server).await,
        "management:read management:write",
    )
    .await;
    let manager = Program::new(&server, &token);
    assert_eq!(
        problem(manager.post("/v1/provisioning", &everything()).await),
        (403, "insufficient_permission".to_owned())
    );
}
