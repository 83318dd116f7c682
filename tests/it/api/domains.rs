//! `/v1/domains`.

use countersign::types::state::OrganizationRole;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Program, problem, text};
use crate::databases::{TestDatabase, both_databases};
use crate::domains::name_server::NameServer;
use crate::server::Server;
use crate::tenants::{self, Key, admin, key, management_token, member};

both_databases!(
    a_domain_is_added_proven_changed_and_removed,
    a_repeated_create_adds_one,
    wrong_names_are_told_and_a_record_that_is_not_there_is_said,
    only_who_holds_the_right_sees_and_manages_domains,
    an_operator_manages_the_domains_of_any_organization,
);

async fn start(db: TestDatabase) -> (Server, NameServer) {
    let names = NameServer::start();
    let address = names.address;
    let server =
        Server::start_with(db, move |config| config.domains.nameservers = vec![address]).await;
    (server, names)
}

async fn manager(server: &Server) -> Program<'_> {
    let token = management_token(
        server,
        admin(server).await,
        "management:read management:write",
    )
    .await;
    Program::new(server, &token)
}

async fn a_domain_is_added_proven_changed_and_removed(db: TestDatabase) {
    let (server, names) = start(db).await;
    let manager = manager(&server).await;
    server.clock.step_seconds(1);
    let (status, made) = manager
        .post("/v1/domains", &json!({"name": " BRAND.example "}))
        .await;
    assert_eq!(
        (status, &made["name"], &made["state"]),
        (
            StatusCode::CREATED,
            &json!("brand.example"),
            &json!("pending")
        ),
        "{made}"
    );
    let path = format!("/v1/domains/{}", text(&made, "/id"));
    assert_eq!(manager.get(&path).await, (StatusCode::OK, made.clone()));
    names.publish(text(&made, "/record/name"), text(&made, "/record/value"));
    server.clock.step_seconds(11);
    let (status, checked) =
        super::json(manager.request(Method::POST, &format!("{path}/check"))).await;
    assert_eq!(
        (status, &checked["state"], &checked["last_finding"]),
        (StatusCode::OK, &json!("verified"), &json!("found")),
        "{checked}"
    );
    let (status, changed) = manager
        .patch(&path, &json!({"include_subdomains": true}))
        .await;
    assert_eq!(
        (
            status,
            &changed["include_subdomains"],
            &changed["include_subdomains_chosen"]
        ),
        (StatusCode::OK, &json!(true), &json!(true))
    );
    assert_eq!(
        manager.patch(&path, &json!({})).await.1,
        changed,
        "what is left out stays"
    );
    let (_, changed) = manager
        .patch(&path, &json!({"include_subdomains": null}))
        .await;
    assert_eq!(
        (
            &changed["include_subdomains"],
            &changed["include_subdomains_chosen"]
        ),
        (&json!(false), &json!(false))
    );
    let listed = manager.get("/v1/domains").await.1;
    assert_eq!(
        (
            &listed["data"][0],
            listed["data"].as_array().map(Vec::len),
            &listed["next_cursor"]
        ),
        (&changed, Some(2), &Value::Null)
    );
    let first = manager.get("/v1/domains?limit=1").await.1;
    let second = manager
        .get(&format!(
            "/v1/domains?limit=1&cursor={}",
            text(&first, "/next_cursor")
        ))
        .await
        .1;
    assert_eq!(
        (
            &first["data"][0],
            &second["data"][0]["name"],
            &second["next_cursor"]
        ),
        (&changed, &json!("acme.example"), &Value::Null)
    );
    assert_eq!(
        manager.delete(&path).await,
        (StatusCode::NO_CONTENT, json!(""))
    );
    for answer in [
        manager.get(&path).await,
        manager.delete(&path).await,
        manager.patch(&path, &json!({})).await,
    ] {
        assert_eq!(problem(answer), (404, "not_found".to_owned()));
    }
}

async fn a_repeated_create_adds_one(db: TestDatabase) {
    let (server, _names) = start(db).await;
    let manager = manager(&server).await;
    let ask = || {
        manager
            .request(Method::POST, "/v1/domains")
            .header("Idempotency-Key", "k1")
            .json(&json!({"name": "brand.example"}))
    };
    let (first, second) = (super::json(ask()).await, super::send(ask()).await);
    assert_eq!(
        second
            .headers()
            .get("Idempotency-Replayed")
            .map(|value| value.as_bytes()),
        Some(&b"true"[..])
    );
    assert_eq!(crate::server::json(second).await, first);
    assert_eq!(server.database.count_events("domain.added"), 1);
}

async fn wrong_names_are_told_and_a_record_that_is_not_there_is_said(db: TestDatabase) {
    let (server, _names) = start(db).await;
    let manager = manager(&server).await;
    let long = "a".repeat(10_000);
    for name in [
        "",
        "gmail.com",
        "co.uk",
        "localhost",
        "a b.example",
        "аcme.example",
        "\u{202e}example.com",
        &long,
        "acme.example",
    ] {
        let (status, body) = manager.post("/v1/domains", &json!({"name": name})).await;
        assert_eq!(
            (status, &body["errors"][0]["field"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!("name")),
            "{name}: {body}"
        );
    }
    for body in [
        json!({}),
        json!({"name": null}),
        json!({"name": 7}),
        json!({"name": "brand.example", "colour": "red"}),
    ] {
        assert_eq!(
            problem(manager.post("/v1/domains", &body).await),
            (400, "invalid_body".to_owned()),
            "{body}"
        );
    }
    let made = manager
        .post("/v1/domains", &json!({"name": "brand.example"}))
        .await
        .1;
    let check = format!("/v1/domains/{}/check", text(&made, "/id"));
    let (status, checked) = super::json(manager.request(Method::POST, &check)).await;
    assert_eq!(
        (status, &checked["state"], &checked["last_finding"]),
        (StatusCode::OK, &json!("pending"), &json!("absent")),
        "{checked}"
    );
    assert_eq!(
        problem(super::json(manager.request(Method::POST, &check)).await),
        (409, "blocked".to_owned()),
        "a moment ago"
    );
}

async fn only_who_holds_the_right_sees_and_manages_domains(db: TestDatabase) {
    let (server, _names) = start(db).await;
    let manager = manager(&server).await;
    let made = manager
        .post("/v1/domains", &json!({"name": "brand.example"}))
        .await
        .1;
    let path = format!("/v1/domains/{}", text(&made, "/id"));
    // [24]
    let strong = key(
        &server,
        Key {
            operations: true,
            ..Key::of(&server, admin(&server).await).for_organization()
        },
    )
    .await;
    let reader = management_token(&server, admin(&server).await, "management:read").await;
    let mia = member(&server, "mia@acme.example", OrganizationRole::Member).await;
    tenants::join_workspace(&server, server.planted.workspace, mia, "admin").await;
    let workspace_admin = management_token(&server, mia, "management:read management:write").await;
    for credential in [&strong.secret, &reader, &workspace_admin] {
        let weak = Program::new(&server, credential);
        for answer in [
            weak.post("/v1/domains", &json!({"name": "other.example"}))
                .await,
            weak.patch(&path, &json!({"include_subdomains": true}))
                .await,
            weak.delete(&path).await,
        ] {
            assert_eq!(problem(answer), (403, "insufficient_permission".to_owned()));
        }
    }
    assert_eq!(
        Program::new(&server, &reader).get(&path).await.0,
        StatusCode::OK
    );
    assert_eq!(
        problem(Program::new(&server, &workspace_admin).get(&path).await),
        (403, "insufficient_permission".to_owned())
    );
    // row 23: another organization's is not there
    let (foreign, _, _) = tenants::organization(&server, "zoe@other.example").await;
    let other = Program::operator(&server);
    let elsewhere = format!("{path}?organization={foreign}");
    for answer in [
        other.get(&elsewhere).await,
        other.delete(&elsewhere).await,
        other.patch(&elsewhere, &json!({})).await,
    ] {
        assert_eq!(problem(answer), (404, "not_found".to_owned()));
    }
}

async fn an_operator_manages_the_domains_of_any_organization(db: TestDatabase) {
    let (server, _names) = start(db).await;
    let (foreign, _, _) = tenants::organization(&server, "zoe@other.example").await;
    let operator = Program::operator(&server);
    let path = format!("/v1/domains?organization={foreign}");
    let (status, made) = operator
        .post(
            &path,
            &json!({"name": "zoe.example", "include_subdomains": false}),
        )
        .await;
    assert_eq!(
        (status, &made["include_subdomains_chosen"]),
        (StatusCode::CREATED, &json!(true)),
        "{made}"
    );
    assert_eq!(operator.get(&path).await.1["data"], json!([made]));
    assert_eq!(
        problem(operator.get("/v1/domains").await),
        (400, "organization_required".to_owned())
    );
}
