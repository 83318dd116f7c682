//! A configuration with permissions, scopes and roles of its own still has a management API.

use countersign::config::Config;
use reqwest::StatusCode;
use serde_json::json;

use super::{Program, problem, text};
use crate::databases::{TestDatabase, both_databases};
use crate::server::Server;
use crate::tenants::{Key, admin, key, management_token};

both_databases!(
    lists_of_ones_own_leave_the_management_api_as_it_is,
    a_plan_that_sells_little_leaves_management_to_first_party_applications,
);

const OWN: &str = "
    permission = [
        { name = 'files:read', title = 'See files', description = 'See files.', risk = 'low', access = 'read' },
        { name = 'files:write', title = 'Change files', description = 'Change files.', risk = 'medium', access = 'write' },
    ]
    scope = [{ name = 'read', title = 'See files', description = 'See files.', permissions = ['files:read'], default = true }]
    role = [{ name = 'admin', permissions = ['*'] }, { name = 'viewer', permissions = ['files:read'] }]
";

fn load(text: &str) -> Config {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("countersign.toml");
    std::fs::write(&file, text).expect("written");
    Config::load(Some(&file), std::iter::empty()).expect("a valid configuration")
}

async fn lists_of_ones_own_leave_the_management_api_as_it_is(db: TestDatabase) {
    let own = load(OWN);
    let server = Server::start_with(db, |config| {
        (config.permission, config.scope, config.role) = (own.permission, own.scope, own.role);
    })
    .await;
    let token = management_token(
        &server,
        admin(&server).await,
        "management:read management:write",
    )
    .await;
    let (manager, operator) = (Program::new(&server, &token), Program::operator(&server));
    for path in [
        "/v1/organizations",
        "/v1/workspaces",
        "/v1/domains",
        "/v1/applications",
    ] {
        assert_eq!(manager.get(path).await.0, StatusCode::OK, "{path}");
        assert_eq!(
            operator
                .get(&format!(
                    "{path}?organization={}",
                    server.planted.organization
                ))
                .await
                .0,
            StatusCode::OK,
            "{path}"
        );
    }
    let (status, made) = manager
        .post("/v1/workspaces", &json!({"name": "Support"}))
        .await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert_eq!(
        manager
            .delete(&format!("/v1/workspaces/{}", text(&made, "/id")))
            .await
            .0,
        StatusCode::NO_CONTENT
    );
    // [24]: a mark that nobody wrote
    let strong = key(
        &server,
        Key::of(&server, admin(&server).await).for_organization(),
    )
    .await;
    assert_eq!(
        problem(
            Program::new(&server, &strong.secret)
                .get("/v1/applications")
                .await
        ),
        (403, "insufficient_permission".to_owned())
    );
    assert_eq!(
        server
            .verify(json!({"credential": strong.secret, "permission": "files:write"}))
            .await["code"],
        "valid"
    );
}

async fn a_plan_that_sells_little_leaves_management_to_first_party_applications(db: TestDatabase) {
    let server = Server::start_with(db, |config| {
        for plan in &mut config.plan {
            plan.permissions = vec!["documents:read".to_owned()];
        }
    })
    .await;
    let owner = admin(&server).await;
    let manager = Program::new(
        &server,
        &management_token(&server, owner, "management:read management:write").await,
    );
    assert_eq!(manager.get("/v1/applications").await.0, StatusCode::OK);
    let operations = Key {
        operations: true,
        ..Key::of(&server, owner).for_organization()
    };
    let by_key = Program::new(&server, &key(&server, operations).await.secret);
    assert_eq!(
        problem(by_key.post("/v1/workspaces", &json!({"name": "No"})).await),
        (403, "insufficient_permission".to_owned()),
        "not sold"
    );
}
