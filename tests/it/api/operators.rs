//! `/v1/operators` and `/v1/operator-tokens`: who runs the installation, by a program.

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{Program, json, problem, text};
use crate::api::operator_tokens::make;
use crate::databases::{TestDatabase, both_databases};
use crate::server::{NOON, Server};

both_databases!(
    an_operator_is_made_signs_in_and_is_none_any_more,
    a_token_that_ends_makes_no_operator,
    only_who_holds_everything_makes_an_operator,
    a_token_makes_tokens_that_hold_no_more_and_end_with_it,
);

async fn an_operator_is_made_signs_in_and_is_none_any_more(db: TestDatabase) {
    let server = Server::start(db).await;
    let program = Program::operator(&server);
    let wanted = json!({"email": "Olga@vendor.example", "name": "Olga"});
    let send = || {
        let request = program.request(Method::POST, "/v1/operators");
        json(request.header("Idempotency-Key", "olga").json(&wanted))
    };
    let (status, made) = send().await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let (id, password) = (text(&made, "/id"), text(&made, "/password"));
    assert!(send().await.1["password"].is_null(), "shown once");
    let browser = server.browser();
    let signed_in = browser.sign_in("olga@vendor.example", password).await;
    assert_eq!(signed_in.status(), StatusCode::SEE_OTHER);
    assert_eq!(browser.get("/operator").await.status(), StatusCode::OK);
    let listed = program.get("/v1/operators").await.1;
    assert!(listed.to_string().contains(id), "{listed}");
    assert_eq!(
        problem(program.post("/v1/operators", &wanted).await),
        (422, "invalid_fields".to_owned()),
        "an address has one account"
    );
    let path = format!("/v1/operators/{id}");
    assert_eq!(program.delete(&path).await.0, StatusCode::NO_CONTENT);
    assert_eq!(
        browser.get("/operator").await.status(),
        StatusCode::NOT_FOUND,
        "at once"
    );
    assert_eq!(program.delete(&path).await.0, StatusCode::NOT_FOUND);
    // the last one stays
    let left = program.get("/v1/operators").await.1;
    let rows = left["data"].as_array().expect("a list").clone();
    assert_eq!(rows.len(), 1, "{left}");
    let last = format!("/v1/operators/{}", text(&rows[0], "/id"));
    assert_eq!(program.delete(&last).await.0, StatusCode::CONFLICT);
}

async fn a_token_that_ends_makes_no_operator(db: TestDatabase) {
    let server = Server::start(db).await;
    let wanted = json!({"email": "olga@vendor.example", "name": "Olga"});
    let end = NOON.plus_seconds(3_600);
    let (_, ending) = make(&server, &[], Some(end)).await;
    assert_eq!(
        problem(
            Program::new(&server, &ending)
                .post("/v1/operators", &wanted)
                .await
        )
        .0,
        403,
        "an operator has no end"
    );
    let (_, endless) = make(&server, &[], None).await;
    let made = Program::new(&server, &endless)
        .post("/v1/operators", &wanted)
        .await;
    assert_eq!(made.0, StatusCode::CREATED, "{}", made.1);
}

async fn only_who_holds_everything_makes_an_operator(db: TestDatabase) {
    let server = Server::start(db).await;
    let (_, weak) = make(&server, &["operator:operators", "members:manage"], None).await;
    let weak = Program::new(&server, &weak);
    let wanted = json!({"email": "eve@vendor.example", "name": "Eve"});
    assert_eq!(
        weak.post("/v1/operators", &wanted).await.0,
        StatusCode::FORBIDDEN
    );
    let more = json!({"name": "More", "permissions": ["members:manage", "operator:approvals"]});
    assert_eq!(
        weak.post("/v1/operator-tokens", &more).await.0,
        StatusCode::FORBIDDEN
    );
    let (_, none) = make(&server, &["operator:organizations"], None).await;
    let none = Program::new(&server, &none);
    for path in ["/v1/operators", "/v1/operator-tokens"] {
        assert_eq!(
            problem(none.get(path).await),
            (403, "insufficient_permission".to_owned())
        );
    }
    assert_eq!(server.database.count_events("operator_token.created"), 3);
}

async fn a_token_makes_tokens_that_hold_no_more_and_end_with_it(db: TestDatabase) {
    let server = Server::start(db).await;
    let end = NOON.plus_seconds(3600);
    let (row, parent) = make(&server, &["operator:operators", "members:read"], Some(end)).await;
    let parent = Program::new(&server, &parent);
    let wanted = |expires_at| json!({"name": "Child", "permissions": ["operator:operators", "members:read"], "expires_at": expires_at});
    for late in [json!(null), json!(end.plus_seconds(1).rfc3339())] {
        let (status, body) = parent.post("/v1/operator-tokens", &wanted(late)).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        assert_eq!(body["errors"][0]["field"], "expires_at", "{body}");
    }
    let empty = json!({"name": "Child", "permissions": []});
    assert_eq!(
        parent.post("/v1/operator-tokens", &empty).await.0,
        StatusCode::UNPROCESSABLE_ENTITY,
        "nothing is not everything"
    );
    let (status, child) = parent
        .post("/v1/operator-tokens", &wanted(json!(end.rfc3339())))
        .await;
    assert_eq!(status, StatusCode::CREATED, "{child}");
    let child = Program::new(&server, text(&child, "/token"));
    let (_, grandchild) = child
        .post("/v1/operator-tokens", &wanted(json!(end.rfc3339())))
        .await;
    let grandchild = Program::new(&server, text(&grandchild, "/token"));
    let members = format!("/v1/members?organization={}", server.planted.organization);
    for program in [&parent, &child, &grandchild] {
        assert_eq!(program.get(&members).await.0, StatusCode::OK);
    }
    let listed = parent.get("/v1/operator-tokens").await.1;
    assert!(listed.to_string().contains(row.id.as_str()), "{listed}");
    let path = format!("/v1/operator-tokens/{}", row.id);
    let operator = Program::operator(&server);
    assert_eq!(operator.delete(&path).await.0, StatusCode::NO_CONTENT);
    for program in [&parent, &child, &grandchild] {
        assert_eq!(program.get(&members).await.0, StatusCode::UNAUTHORIZED);
    }
}
