//! `POST /v1/organizations`: a customer with a workspace and its owner's invitation.

use countersign::crypto::digest::Purpose;
use countersign::domain::desk::Desk;
use countersign::domain::people::invitations::{self, By};
use countersign::domain::rights::asker::Asker;
use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{Program, json, problem, text};
use crate::api::operator_tokens;
use crate::databases::{TestDatabase, both_databases};
use crate::people;
use crate::server::Server;

both_databases!(
    a_customer_is_made_and_its_owner_comes_in,
    a_customer_is_made_once,
    what_cannot_be_a_customer_is_refused_and_leaves_nothing,
    provisioned_organizations_have_a_workspace,
);

async fn a_customer_is_made_and_its_owner_comes_in(db: TestDatabase) {
    let server = Server::start(db).await;
    let operator = Program::operator(&server);
    let wanted =
        json!({"name": "Globex", "owner_email": "hank@globex.example", "plan": "enterprise"});
    let (status, made) = operator.post("/v1/organizations", &wanted).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert_eq!(text(&made, "/workspace/name"), "Main");
    assert_eq!(text(&made, "/invitation/role"), "owner");
    let id = text(&made, "/id");
    let subscription = operator
        .get(&format!("/v1/organizations/{id}/subscription"))
        .await;
    assert_eq!(subscription.1["plan"], "enterprise", "{}", subscription.1);
    let hank = people::person(&server, "hank@globex.example").await;
    let link = text(&made, "/invitation/link")
        .rsplit('/')
        .next()
        .expect("a token");
    let by = By::Link(server.app.digester.candidates(Purpose::Invitation, link));
    let organization = id.parse().expect("an id");
    let accept = move |desk: &mut Desk| invitations::accept(desk, &by);
    people::at_desk(&server, organization, Asker::person(hank), accept)
        .await
        .expect("the link is good");
    let member = operator
        .get(&format!("/v1/members/{hank}?organization={id}"))
        .await;
    assert_eq!(member.1["role"], "owner", "{}", member.1);
}

async fn a_customer_is_made_once(db: TestDatabase) {
    let server = Server::start(db).await;
    let operator = Program::operator(&server);
    let wanted =
        json!({"name": "Globex", "workspace": "Sales", "owner_email": "hank@globex.example"});
    let send = || {
        let request = operator.request(Method::POST, "/v1/organizations");
        json(request.header("Idempotency-Key", "globex-1").json(&wanted))
    };
    let ((status, first), (_, again)) = (send().await, send().await);
    assert_eq!(status, StatusCode::CREATED, "{first}");
    assert_eq!(
        (&first["id"], text(&first, "/workspace/name")),
        (&again["id"], "Sales")
    );
    assert_eq!(first["invitation"]["id"], again["invitation"]["id"]);
    assert!(again["invitation"]["link"].is_null(), "{again}");
}

async fn what_cannot_be_a_customer_is_refused_and_leaves_nothing(db: TestDatabase) {
    let server = Server::start(db).await;
    let operator = Program::operator(&server);
    let count = || async {
        let all = operator.get("/v1/organizations").await.1;
        all["data"].as_array().map(Vec::len)
    };
    let before = count().await;
    let good = json!({"name": "Globex", "owner_email": "hank@globex.example"});
    for (field, value) in [
        ("name", json!("")),
        ("workspace", json!("a\u{202e}b")),
        ("owner_email", json!("nobody")),
        ("plan", json!("golden")),
    ] {
        let mut wanted = good.clone();
        wanted[field] = value;
        let (status, body) = operator.post("/v1/organizations", &wanted).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{field}: {body}");
        assert_eq!(body["errors"][0]["field"], field, "{body}");
    }
    // who could not invite an owner makes no customer
    let weak = operator_tokens::make(&server, &["operator:organizations"], None).await;
    assert_eq!(
        Program::new(&server, &weak.1)
            .post("/v1/organizations", &good)
            .await
            .0,
        StatusCode::FORBIDDEN
    );
    let none = operator_tokens::make(&server, &["operator:read"], None).await;
    assert_eq!(
        problem(
            Program::new(&server, &none.1)
                .post("/v1/organizations", &good)
                .await
        ),
        (403, "insufficient_permission".to_owned())
    );
    assert_eq!(count().await, before);
}

async fn provisioned_organizations_have_a_workspace(db: TestDatabase) {
    let server = Server::start(db).await;
    let operator = Program::operator(&server);
    let put = json!({"name": "Globex"});
    let made = operator
        .put("/v1/organizations/by-external-id/globex", &put)
        .await;
    let names = |id: String| {
        let operator = &operator;
        async move {
            let path = format!("/v1/workspaces?organization={id}");
            let (_, page) = operator.get(&path).await;
            let rows = page["data"].as_array().expect("a page").clone();
            rows.iter()
                .map(|row| text(row, "/name").to_owned())
                .collect::<Vec<_>>()
        }
    };
    let globex = text(&made.1, "/id").to_owned();
    assert_eq!(names(globex.clone()).await, ["Main"]);
    let again = operator
        .put("/v1/organizations/by-external-id/globex", &put)
        .await;
    assert_eq!(text(&again.1, "/outcome"), "unchanged", "{}", again.1);
    // the vendor names the one that is there
    let path = format!("/v1/workspaces/by-external-id/main-1?organization={globex}");
    let named = operator.put(&path, &json!({"name": "Main"})).await;
    assert_eq!(text(&named.1, "/outcome"), "created", "{}", named.1);
    assert_eq!(names(globex).await, ["Main"]);
    let bulk = json!({"organizations": [
        {"external_id": "a", "name": "A", "workspaces": [{"external_id": "a-1", "name": "Sales"}]},
        {"external_id": "b", "name": "B"},
        {"external_id": "c", "name": "C", "workspaces": [{"external_id": "c-1", "name": "a\nb"}]},
    ]});
    let done = operator.post("/v1/provisioning", &bulk).await.1;
    for (index, expected) in [(0, "Sales"), (1, "Main"), (2, "Main")] {
        let id = text(&done, &format!("/organizations/{index}/id")).to_owned();
        assert_eq!(names(id).await, [expected], "{done}");
    }
}
