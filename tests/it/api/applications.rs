//! `/v1/applications` and their secrets.

use countersign::config::AdminRoles;
use countersign::domain::desk::Desk;
use countersign::domain::rights::asker::Asker;
use countersign::domain::{self, Refusal};
use countersign::types::environment::Environment;
use countersign::types::state::{Licence, OrganizationRole};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Program, problem, text};
use crate::databases::{TestDatabase, both_databases};
use crate::people;
use crate::server::Server;
use crate::tenants::{self, Key, admin, key, management_token, member};

both_databases!(
    an_application_is_created_used_changed_and_deleted,
    a_repeated_create_makes_one_and_never_shows_the_secret_again,
    wrong_fields_are_told_by_their_name,
    applications_are_filtered_and_come_in_pages,
    a_second_secret_stands_beside_the_first_and_the_last_one_stays,
    a_leaked_secret_is_replaced_at_once,
    only_the_organizations_admins_manage_applications,
    nobody_gives_an_application_a_stronger_role_than_their_own,
    the_vendor_approves_refuses_stops_and_resumes,
);

async fn manager(server: &Server) -> Program<'_> {
    let token = management_token(
        server,
        admin(server).await,
        "management:read management:write",
    )
    .await;
    Program::new(server, &token)
}

fn new(name: &str) -> Value {
    json!({
        "name": name, "environment": "sandbox", "scopes": ["read"], "redirect_uris": ["https://crm.example/cb"],
        "grants": ["authorization_code", "refresh_token", "client_credentials"], "role": "viewer",
    })
}

/// The token endpoint's status for client credentials.
async fn proves(server: &Server, id: &str, secret: &str) -> u16 {
    let form = [("grant_type", "client_credentials")];
    server
        .post("/oauth2/token")
        .basic_auth(id, Some(secret))
        .form(&form)
        .send()
        .await
        .expect("an answer")
        .status()
        .as_u16()
}

async fn an_application_is_created_used_changed_and_deleted(db: TestDatabase) {
    let server = Server::start(db).await;
    let manager = manager(&server).await;
    let (status, mut made) = manager.post("/v1/applications", &new(" CRM ")).await;
    assert_eq!(
        (status, &made["name"], &made["client_type"]),
        (StatusCode::CREATED, &json!("CRM"), &json!("confidential")),
        "{made}"
    );
    assert_eq!(
        (
            &made["role"],
            &made["refresh"]["rotation"],
            &made["connected_people"]
        ),
        (&json!("viewer"), &json!(true), &json!(0))
    );
    let secret = made
        .as_object_mut()
        .and_then(|made| made.remove("client_secret"))
        .expect("shown once");
    let id = text(&made, "/id").to_owned();
    assert_eq!(
        proves(&server, &id, secret.as_str().expect("text")).await,
        200
    );
    let path = format!("/v1/applications/{id}");
    let (status, read) = manager.get(&path).await;
    assert_eq!(status, StatusCode::OK);
    assert!(
        read.get("client_secret").is_none()
            && !read.to_string().contains(secret.as_str().expect("text")),
        "{read}"
    );
    let change = json!({"name": "CRM 2", "redirect_uris": ["https://crm.example/cb", "https://crm.example/cb"], "refresh": {"idle_seconds": 3600}});
    let (status, changed) = manager.patch(&path, &change).await;
    assert_eq!(
        (status, &changed["name"], &changed["scopes"]),
        (StatusCode::OK, &json!("CRM 2"), &made["scopes"]),
        "{changed}"
    );
    assert_eq!(
        changed["redirect_uris"],
        json!(["https://crm.example/cb"]),
        "each once"
    );
    assert_eq!(
        changed["refresh"],
        json!({"rotation": true, "idle_seconds": 3600, "absolute_seconds": null})
    );
    assert_eq!(
        manager.patch(&path, &json!({})).await.1,
        changed,
        "what is left out stays"
    );
    assert_eq!(
        manager
            .patch(&path, &json!({"grants": ["authorization_code"]}))
            .await
            .1["role"],
        Value::Null
    );
    assert_eq!(
        proves(&server, &id, secret.as_str().expect("text")).await,
        400,
        "a grant that is taken away stops"
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
    for event in ["application.changed", "application.deleted"] {
        assert!(server.database.count_events(event) > 0, "{event}");
    }
}

async fn a_repeated_create_makes_one_and_never_shows_the_secret_again(db: TestDatabase) {
    let server = Server::start(db).await;
    let manager = manager(&server).await;
    let ask = |body: Value| {
        manager
            .request(Method::POST, "/v1/applications")
            .header("Idempotency-Key", "k1")
            .json(&body)
    };
    let first = super::json(ask(new("CRM"))).await.1;
    let second = super::send(ask(new("CRM"))).await;
    assert_eq!(
        second
            .headers()
            .get("Idempotency-Replayed")
            .map(|value| value.as_bytes()),
        Some(&b"true"[..])
    );
    let second = crate::server::json(second).await.1;
    assert_eq!(
        (&second["id"], &second["client_secret"]),
        (&first["id"], &Value::Null)
    );
    assert_eq!(
        problem(super::json(ask(new("Other"))).await),
        (422, "idempotency_key_reused".to_owned())
    );
    let listed = manager.get("/v1/applications?name=CRM").await.1;
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(1), "{listed}");
}

async fn wrong_fields_are_told_by_their_name(db: TestDatabase) {
    let server = Server::start(db).await;
    let manager = manager(&server).await;
    let many: Vec<String> = (0..21)
        .map(|number| format!("https://crm.example/{number}"))
        .collect();
    for (field, value, named) in [
        ("name", json!(""), "name"),
        ("name", json!("x".repeat(10_000)), "name"),
        ("name", json!("a\u{202e}b"), "name"),
        ("scopes", json!([]), "scopes"),
        ("scopes", json!(["nothing"]), "scopes"),
        ("scopes", json!(["a\"b"]), "scopes"),
        ("scopes", json!(["management:write"]), "scopes"),
        (
            "redirect_uris",
            json!(["http://crm.example/cb"]),
            "redirect_uris",
        ),
        (
            "redirect_uris",
            json!(["https://crm.example/#x"]),
            "redirect_uris",
        ),
        ("redirect_uris", json!(many), "redirect_uris"),
        ("role", json!("emperor"), "role"),
        ("role", Value::Null, "role"),
        ("refresh", json!({"idle_seconds": 1}), "refresh"),
    ] {
        let mut body = new("CRM");
        body[field] = value.clone();
        let (status, answer) = manager.post("/v1/applications", &body).await;
        assert_eq!(
            (status, &answer["errors"][0]["field"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!(named)),
            "{field}={value}: {answer}"
        );
    }
    for (field, value) in [
        ("environment", json!("both")),
        ("client_type", Value::Null),
        ("grants", json!(["password"])),
        ("colour", json!(1)),
    ] {
        let mut body = new("CRM");
        body[field] = value;
        assert_eq!(
            problem(manager.post("/v1/applications", &body).await),
            (400, "invalid_body".to_owned()),
            "{field}"
        );
    }
    let path = format!("/v1/applications/{}", server.planted.application);
    for body in [
        json!({"environment": "production"}),
        json!({"name": null}),
        json!({"scopes": null}),
    ] {
        assert_eq!(
            problem(manager.patch(&path, &body).await),
            (400, "invalid_body".to_owned()),
            "{body}"
        );
    }
    assert_eq!(
        manager.get("/v1/applications").await.1["data"]
            .as_array()
            .map(Vec::len),
        Some(2),
        "the planted one and the first-party one"
    );
}

async fn applications_are_filtered_and_come_in_pages(db: TestDatabase) {
    let server = Server::start(db).await;
    let manager = manager(&server).await;
    for number in 0..3 {
        server.clock.step_seconds(number % 2);
        let mut body = new(&format!("Number {number}"));
        body["client_type"] = json!(if number == 1 {
            "public"
        } else {
            "confidential"
        });
        assert_eq!(
            manager.post("/v1/applications", &body).await.0,
            StatusCode::CREATED
        );
    }
    let all = manager.get("/v1/applications").await.1;
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = manager
            .get(&format!("/v1/applications?limit=2{cursor}"))
            .await
            .1;
        seen.extend(page["data"].as_array().expect("rows").clone());
        let Some(next) = page["next_cursor"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(
        &seen,
        all["data"].as_array().expect("rows"),
        "each once, in order"
    );
    let count = async |query: &str| {
        manager.get(&format!("/v1/applications?{query}")).await.1["data"]
            .as_array()
            .map(Vec::len)
    };
    assert_eq!(
        (
            count("client_type=public").await,
            count("name=Number+2").await
        ),
        (Some(1), Some(1))
    );
    assert_eq!(
        (
            count("registered=true").await,
            count("approval=requested").await
        ),
        (Some(0), Some(0))
    );
    assert_eq!(count("environment=production").await, Some(0));
    for query in [
        "environment=both",
        "limit=0",
        "limit=101",
        "cursor=x",
        "registered=perhaps",
        "colour=red",
        "name=a&name=b",
    ] {
        assert_eq!(
            problem(manager.get(&format!("/v1/applications?{query}")).await),
            (400, "invalid_query".to_owned()),
            "{query}"
        );
    }
}

async fn a_second_secret_stands_beside_the_first_and_the_last_one_stays(db: TestDatabase) {
    let server = Server::start(db).await;
    let manager = manager(&server).await;
    let made = manager.post("/v1/applications", &new("CRM")).await.1;
    let (id, first) = (text(&made, "/id"), text(&made, "/client_secret"));
    let secrets = format!("/v1/applications/{id}/secrets");
    let ask = || {
        manager
            .request(Method::POST, &secrets)
            .header("Idempotency-Key", "s1")
            .json(&json!({}))
    };
    let (status, second) = super::json(ask()).await;
    assert_eq!(status, StatusCode::CREATED, "{second}");
    for secret in [first, text(&second, "/client_secret")] {
        assert_eq!(proves(&server, id, secret).await, 200);
    }
    let again = super::json(ask()).await.1;
    assert_eq!(
        (&again["id"], &again["client_secret"]),
        (&second["id"], &Value::Null)
    );
    assert_eq!(
        problem(manager.post(&secrets, &json!({})).await),
        (409, "blocked".to_owned()),
        "at most two"
    );
    let old = format!("{secrets}/{}", text(&made, "/secrets/0/id"));
    assert_eq!(manager.delete(&old).await.0, StatusCode::NO_CONTENT);
    assert_eq!(
        (
            proves(&server, id, first).await,
            proves(&server, id, text(&second, "/client_secret")).await
        ),
        (401, 200)
    );
    assert_eq!(
        manager.delete(&old).await.0,
        StatusCode::NO_CONTENT,
        "it is revoked, as asked"
    );
    assert_eq!(
        problem(
            manager
                .delete(&format!("{secrets}/{}", text(&second, "/id")))
                .await
        ),
        (409, "blocked".to_owned()),
        "the last one"
    );
    assert_eq!(
        problem(
            manager
                .delete(&format!("{secrets}/sec_0123456789ABCDEFGHIJKL"))
                .await
        ),
        (404, "not_found".to_owned())
    );
}

async fn a_leaked_secret_is_replaced_at_once(db: TestDatabase) {
    let server = Server::start(db).await;
    let manager = manager(&server).await;
    let made = manager.post("/v1/applications", &new("CRM")).await.1;
    let (id, leaked) = (text(&made, "/id"), text(&made, "/client_secret"));
    let (status, fresh) = manager
        .post(
            &format!("/v1/applications/{id}/secrets"),
            &json!({"revoke_others": true}),
        )
        .await;
    assert_eq!(status, StatusCode::CREATED, "{fresh}");
    assert_eq!(
        (
            proves(&server, id, leaked).await,
            proves(&server, id, text(&fresh, "/client_secret")).await
        ),
        (401, 200)
    );
    let public = json!({"name": "App", "environment": "sandbox", "client_type": "public", "scopes": ["read"], "redirect_uris": ["https://a.example/cb"]});
    let public = manager.post("/v1/applications", &public).await.1;
    assert_eq!(
        (&public["client_secret"], &public["secrets"]),
        (&Value::Null, &json!([]))
    );
    let refused = manager
        .post(
            &format!("/v1/applications/{}/secrets", text(&public, "/id")),
            &json!({}),
        )
        .await;
    assert_eq!(problem(refused), (409, "blocked".to_owned()));
}

async fn only_the_organizations_admins_manage_applications(db: TestDatabase) {
    let server = Server::start(db).await;
    let path = format!("/v1/applications/{}", server.planted.application);
    // [24]
    let strong = key(
        &server,
        Key {
            operations: true,
            ..Key::of(&server, admin(&server).await).for_organization()
        },
    )
    .await
    .secret;
    let reader = management_token(&server, admin(&server).await, "management:read").await;
    let mia = member(&server, "mia@acme.example", OrganizationRole::Member).await;
    tenants::join_workspace(&server, server.planted.workspace, mia, "admin").await;
    let workspace_admin = management_token(&server, mia, "management:read management:write").await;
    // for one workspace only, of an admin
    let narrow = tenants::application(
        &server,
        server.planted.organization,
        admin(&server).await,
        Environment::Sandbox,
        "viewer",
    )
    .await;
    tenants::make_first_party(&server, narrow.id).await;
    let narrow = tenants::token(
        &server,
        narrow.id,
        Key::of(&server, admin(&server).await),
        "management:read management:write",
    )
    .await
    .token;
    for credential in [&strong, &reader, &workspace_admin, &narrow] {
        let weak = Program::new(&server, credential);
        for answer in [
            weak.post("/v1/applications", &new("CRM")).await,
            weak.patch(&path, &json!({"name": "Mine"})).await,
            weak.delete(&path).await,
        ] {
            assert_eq!(
                problem(answer),
                (403, "insufficient_permission".to_owned()),
                "{credential}"
            );
        }
    }
    assert_eq!(
        Program::new(&server, &reader).get(&path).await.0,
        StatusCode::OK
    );
    assert_eq!(
        problem(Program::new(&server, &narrow).get(&path).await),
        (403, "insufficient_permission".to_owned())
    );
    // row 23
    let (foreign, _, _) = tenants::organization(&server, "zoe@other.example").await;
    let elsewhere = format!("{path}?organization={foreign}");
    let operator = Program::operator(&server);
    for answer in [
        operator.get(&elsewhere).await,
        operator.delete(&elsewhere).await,
        operator.patch(&elsewhere, &json!({})).await,
    ] {
        assert_eq!(problem(answer), (404, "not_found".to_owned()));
    }
    let own = format!("/v1/applications?organization={foreign}");
    assert_eq!(
        operator.post(&own, &new("Theirs")).await.0,
        StatusCode::CREATED
    );
    // a licence for reading
    let (organization, owner) = (server.planted.organization, admin(&server).await);
    let token = management_token(&server, owner, "management:read management:write").await;
    server
        .write(move |tx| {
            Ok(tx.change_member_licence(organization, owner, Licence::Full, Licence::ReadOnly)?)
        })
        .await;
    assert_eq!(
        problem(Program::new(&server, &token).delete(&path).await),
        (403, "insufficient_permission".to_owned())
    );
}

async fn nobody_gives_an_application_a_stronger_role_than_their_own(db: TestDatabase) {
    // C3: an admin holds their own roles only
    let server = Server::start_with(db, |config| {
        config.access.organization_admins = AdminRoles::OwnRoles
    })
    .await;
    let (organization, owner) = (server.planted.organization, admin(&server).await);
    tenants::workspace(&server, "Where the admin is nobody").await;
    let new = tenants::new_application(&server, Environment::Sandbox, "admin");
    let create = move |desk: &mut Desk| domain::clients::applications::create(desk, &new);
    let refused = people::at_desk(&server, organization, Asker::person(owner), create).await;
    assert!(matches!(refused, Err(Refusal::Forbidden(text)) if text.contains("stronger")));
}

async fn the_vendor_approves_refuses_stops_and_resumes(db: TestDatabase) {
    let server = Server::start(db).await;
    let (manager, operator) = (manager(&server).await, Program::operator(&server));
    let mut body = new("CRM");
    body["environment"] = json!("production");
    let made = manager.post("/v1/applications", &body).await.1;
    let (id, secret) = (text(&made, "/id"), text(&made, "/client_secret"));
    let own = |verb: &str| format!("/v1/applications/{id}/{verb}");
    let theirs = |verb: &str| {
        format!(
            "/v1/applications/{id}/{verb}?organization={}",
            server.planted.organization
        )
    };
    let bare =
        |program: &Program<'_>, path: String| super::json(program.request(Method::POST, &path));
    assert_eq!(
        bare(&manager, own("request-approval")).await.1["approval"],
        "requested"
    );
    assert_eq!(
        problem(bare(&manager, own("request-approval")).await),
        (409, "blocked".to_owned())
    );
    assert_eq!(
        problem(bare(&manager, own("approve")).await),
        (403, "insufficient_permission".to_owned()),
        "not by itself"
    );
    assert_eq!(
        bare(&operator, theirs("approve")).await.1["approval"],
        "approved"
    );
    let refused = operator
        .post(&theirs("refuse"), &json!({"reason": "Not any more."}))
        .await
        .1;
    assert_eq!(
        (&refused["approval"], &refused["approval_reason"]),
        (&json!("refused"), &json!("Not any more."))
    );
    let (status, answer) = operator.post(&theirs("stop"), &json!({"reason": ""})).await;
    assert_eq!(
        (status, &answer["errors"][0]["field"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("reason"))
    );
    let stopped = operator
        .post(&theirs("stop"), &json!({"reason": "It phishes."}))
        .await
        .1;
    assert_eq!(
        (
            stopped["stopped_at"].is_string(),
            &stopped["stopped_because"]
        ),
        (true, &json!("It phishes.")),
        "{stopped}"
    );
    assert_eq!(proves(&server, id, secret).await, 401);
    assert_eq!(
        bare(&operator, theirs("resume")).await.1["stopped_at"],
        Value::Null
    );
    assert_eq!(proves(&server, id, secret).await, 200);
    let (foreign, _, _) = tenants::organization(&server, "zoe@other.example").await;
    let elsewhere = format!("/v1/applications/{id}/approve?organization={foreign}");
    assert_eq!(
        problem(bare(&operator, elsewhere).await),
        (404, "not_found".to_owned())
    );
}
