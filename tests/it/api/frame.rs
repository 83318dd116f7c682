//! What every operation does the same way: the credential, the limit, and what cannot be read.

use countersign::config::Rate;
use countersign::domain::clients::approval;
use countersign::domain::desk::Desk;
use countersign::domain::rights::asker::Asker;
use countersign::types::environment::Environment;
use countersign::types::state::OrganizationRole;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{Program, problem, send, text};
use crate::databases::{TestDatabase, both_databases};
use crate::people;
use crate::server::Server;
use crate::tenants::{self, Key, admin, join_workspace, key, management_token, member, person};

both_databases!(
    a_credential_is_proven_before_anything_is_read,
    cookies_are_never_read,
    no_key_and_no_ordinary_application_ever_manages,
    a_token_ends_with_what_it_stands_on,
    bad_input_of_every_kind_is_refused_and_changes_nothing,
    every_caller_has_a_limit_of_its_own,
    scripts_of_other_origins_are_not_asked,
    only_first_party_applications_get_management_scopes,
    the_explorer_is_served_from_here,
);

async fn a_credential_is_proven_before_anything_is_read(db: TestDatabase) {
    let server = Server::start(db).await;
    let operator = &server.secrets.operator_token;
    let wrong = format!("{}x", &operator[..operator.len() - 1]);
    for (header, expected) in [
        (None, (401, "credential_required")),
        (Some("Basic YTpi".to_owned()), (401, "credential_required")),
        (Some("Bearer".to_owned()), (400, "invalid_request")),
        (
            Some(format!("Bearer {operator}, Bearer {operator}")),
            (400, "invalid_request"),
        ),
        (Some(format!("Bearer {wrong}")), (401, "invalid_credential")),
        (
            Some("Bearer cs_ot_".to_owned()),
            (401, "invalid_credential"),
        ),
        (
            Some(format!("Bearer {}", server.secrets.registration_token)),
            (401, "invalid_credential"),
        ),
        (
            Some(format!("Bearer {}", server.secrets.client_secret)),
            (401, "invalid_credential"),
        ),
    ] {
        let request = header
            .iter()
            .fold(server.post("/v1/workspaces"), |request, value| {
                request.header(AUTHORIZATION, value)
            });
        // a body that could not be read either
        let answer =
            problem(super::json(request.header(CONTENT_TYPE, "text/plain").body("{")).await);
        assert_eq!(answer, (expected.0, expected.1.to_owned()), "{header:?}");
    }
    let twice = server
        .get("/v1/workspaces")
        .header(AUTHORIZATION, format!("Bearer {operator}"))
        .header(AUTHORIZATION, format!("Bearer {operator}"));
    assert_eq!(
        problem(super::json(twice).await),
        (400, "invalid_request".to_owned())
    );
    let url = server.get(&format!("/v1/workspaces?access_token={operator}"));
    assert_eq!(
        problem(super::json(url).await),
        (400, "credential_in_url".to_owned())
    );
}

async fn cookies_are_never_read(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = server.signed_in_browser().await;
    assert_eq!(
        browser.get("/v1/workspaces").await.status(),
        StatusCode::UNAUTHORIZED
    );
}

/// [24]: whatever they ask for, and whoever owns them.
async fn no_key_and_no_ordinary_application_ever_manages(db: TestDatabase) {
    let server = Server::start(db).await;
    let owner = admin(&server).await;
    let key = key(
        &server,
        Key {
            operations: true,
            ..Key::of(&server, owner).for_organization()
        },
    )
    .await;
    let ordinary = tenants::application(
        &server,
        server.planted.organization,
        owner,
        Environment::Sandbox,
        "admin",
    )
    .await;
    let everything = server
        .app
        .config
        .scope
        .iter()
        .map(|scope| scope.name.clone())
        .collect::<Vec<_>>()
        .join(" ");
    let token = tenants::token(
        &server,
        ordinary.id,
        Key::of(&server, owner).for_organization(),
        &everything,
    )
    .await
    .token;
    let catalogue = &server.app.settings.catalogue;
    let above = catalogue.management() | catalogue.operator();
    assert!(
        catalogue.names(above).len() > 10,
        "there is something to hold"
    );
    for credential in [&key.secret, &token, &server.secrets.sandbox_key] {
        let (status, body) = Program::new(&server, credential).get("/v1/whoami").await;
        assert_eq!(status, StatusCode::OK, "{body}");
        let held = body["permissions"].as_array().expect("a list");
        assert!(
            held.iter().all(|name| !catalogue
                .names(above)
                .contains(&name.as_str().unwrap_or_default())),
            "{held:?}"
        );
        assert_eq!(
            problem(
                Program::new(&server, credential)
                    .get("/v1/organizations")
                    .await
            ),
            (403, "insufficient_permission".to_owned())
        );
    }
    // a first-party application holds what its person holds, and never the operator's
    let manager = management_token(&server, owner, &everything).await;
    let (_, body) = Program::new(&server, &manager).get("/v1/whoami").await;
    let held: Vec<&str> = body["permissions"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|name| name.as_str())
        .collect();
    assert!(
        held.contains(&"organization:manage") && held.contains(&"workspaces:manage"),
        "{held:?}"
    );
    assert!(
        !held.iter().any(|name| name.starts_with("operator:")),
        "{held:?}"
    );
    // and who administers one workspace manages that, and not the organization
    let mate = member(&server, "mate@acme.example", OrganizationRole::Member).await;
    join_workspace(&server, server.planted.workspace, mate, "admin").await;
    let token = management_token(&server, mate, &everything).await;
    let (_, body) = Program::new(&server, &token).get("/v1/whoami").await;
    let held: Vec<&str> = body["permissions"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|name| name.as_str())
        .collect();
    assert!(
        held.contains(&"members:manage")
            && !held.contains(&"organization:read")
            && !held.contains(&"workspaces:manage"),
        "{held:?}"
    );
}

async fn a_token_ends_with_what_it_stands_on(db: TestDatabase) {
    let server = Server::start(db).await;
    let operator = person(&server, "operator@vendor.example", true).await;
    let made = tenants::application(
        &server,
        server.planted.organization,
        admin(&server).await,
        Environment::Sandbox,
        "viewer",
    )
    .await;
    let vendor = Asker::operator(operator);
    let set = async |first_party: bool| {
        let set = move |desk: &mut Desk| approval::set_first_party(desk, made.id, first_party);
        people::at_desk(&server, server.planted.organization, vendor.clone(), set)
            .await
            .expect("decided");
    };
    set(true).await;
    assert_eq!(server.database.count_events("application.first_party"), 1);
    tenants::grant_every_scope(&server, made.id).await;
    let ground = Key::of(&server, admin(&server).await).for_organization();
    let token = tenants::token(&server, made.id, ground, "management:read management:write")
        .await
        .token;
    let program = Program::new(&server, &token);
    assert_eq!(program.get("/v1/workspaces").await.0, StatusCode::OK);
    set(false).await;
    assert_eq!(
        problem(program.get("/v1/workspaces").await),
        (403, "insufficient_permission".to_owned()),
        "at once"
    );
    let introspected = server.introspect(&token).await;
    assert!(
        !introspected["scope"]
            .as_str()
            .unwrap_or_default()
            .contains("management"),
        "{introspected}"
    );
}

async fn bad_input_of_every_kind_is_refused_and_changes_nothing(db: TestDatabase) {
    let server = Server::start_with(db, |config| config.server.max_body_bytes = 2_000).await;
    let operator = Program::operator(&server);
    let own = format!("organization={}", server.planted.organization);
    let events = server.database.count_events("workspace.created");
    for (query, code) in [
        (String::new(), "organization_required"),
        ("?organization=org_x".to_owned(), "invalid_query"),
        (format!("?{own}&{own}"), "invalid_query"),
        (format!("?{own}&unknown=1"), "invalid_query"),
        (format!("?{own}&limit=0"), "invalid_query"),
        (format!("?{own}&limit=101"), "invalid_query"),
        (format!("?{own}&limit=-1"), "invalid_query"),
        (format!("?{own}&limit=ten"), "invalid_query"),
        (format!("?{own}&limit=5&limit=6"), "invalid_query"),
        (format!("?{own}&limit="), "invalid_query"),
        (format!("?{own}&cursor=nonsense"), "invalid_query"),
        (format!("?{own}&name=%ff"), "invalid_query"),
        (format!("?{own}&name=%00"), "invalid_query"),
    ] {
        assert_eq!(
            problem(operator.get(&format!("/v1/workspaces{query}")).await),
            (400, code.to_owned()),
            "{query}"
        );
    }
    let path = format!("/v1/workspaces?{own}");
    let post = |content_type: &str, body: String| {
        super::json(
            operator
                .request(Method::POST, &path)
                .header(CONTENT_TYPE, content_type)
                .body(body),
        )
    };
    for (content_type, body, expected) in [
        ("application/json", String::new(), (400, "invalid_json")),
        ("application/json", "{".to_owned(), (400, "invalid_json")),
        ("application/json", "[]".to_owned(), (400, "invalid_body")),
        (
            "application/json",
            r#"["A"]"#.to_owned(),
            (400, "invalid_body"),
        ),
        ("application/json", "{}".to_owned(), (400, "invalid_body")),
        (
            "application/json",
            r#"{"name": 7}"#.to_owned(),
            (400, "invalid_body"),
        ),
        (
            "application/json",
            r#"{"name": null}"#.to_owned(),
            (400, "invalid_body"),
        ),
        (
            "application/json",
            r#"{"name": "A", "name": "B"}"#.to_owned(),
            (400, "invalid_body"),
        ),
        (
            "application/json",
            r#"{"name": "A", "unknown": 1}"#.to_owned(),
            (400, "invalid_body"),
        ),
        (
            "application/json",
            r#"{"name": "A"} x"#.to_owned(),
            (400, "invalid_json"),
        ),
        (
            "application/json",
            format!(r#"{{"name": "{}"}}"#, "x".repeat(3_000)),
            (413, "payload_too_large"),
        ),
        (
            "text/plain",
            r#"{"name": "A"}"#.to_owned(),
            (415, "unsupported_media_type"),
        ),
    ] {
        assert_eq!(
            problem(post(content_type, body.clone()).await),
            (expected.0, expected.1.to_owned()),
            "{body}"
        );
    }
    let bytes = operator
        .request(Method::POST, &path)
        .header(CONTENT_TYPE, "application/json")
        .body(vec![b'{', b'"', 0xFF, b'"']);
    assert_eq!(
        problem(super::json(bytes).await),
        (400, "invalid_json".to_owned())
    );
    let delete = operator
        .request(
            Method::DELETE,
            &format!("/v1/workspaces/{}?{own}", server.planted.workspace),
        )
        .json(&json!({}));
    assert_eq!(
        problem(super::json(delete).await),
        (400, "invalid_body".to_owned())
    );
    // an organization that is not there, and one that is another's
    let nobodys = "/v1/workspaces?organization=org_0123456789ABCDEFGHIJKL";
    assert_eq!(
        problem(operator.get(nobodys).await),
        (404, "not_found".to_owned())
    );
    assert_eq!(
        problem(operator.post(nobodys, &json!({"name": "A"})).await),
        (404, "not_found".to_owned())
    );
    let manager = management_token(
        &server,
        admin(&server).await,
        "management:read management:write",
    )
    .await;
    let (foreign, _, _) = tenants::organization(&server, "owner@other.example").await;
    let foreign = format!("/v1/workspaces?organization={foreign}");
    assert_eq!(
        problem(Program::new(&server, &manager).get(&foreign).await),
        (404, "not_found".to_owned())
    );
    assert_eq!(
        operator.get(&foreign).await.0,
        StatusCode::OK,
        "an operator token reaches across"
    );
    assert_eq!(
        server.database.count_events("workspace.created"),
        events + 1,
        "the other organization's first"
    );
}

async fn every_caller_has_a_limit_of_its_own(db: TestDatabase) {
    let server = Server::start_with(db, |config| {
        config.limits.management = Rate {
            quota: 2,
            window_seconds: 60,
        }
    })
    .await;
    let (operator, path) = (
        Program::operator(&server),
        format!(
            "/v1/workspaces?organization={}",
            server.planted.organization
        ),
    );
    let first = send(operator.request(Method::GET, &path)).await;
    assert_eq!(
        (first.status(), &first.headers()["x-ratelimit-remaining"]),
        (StatusCode::OK, &"1".parse().expect("a value"))
    );
    assert_eq!(operator.get(&path).await.0, StatusCode::OK);
    let third = send(operator.request(Method::GET, &path)).await;
    assert_eq!(
        (third.status(), third.headers().contains_key("retry-after")),
        (StatusCode::TOO_MANY_REQUESTS, true)
    );
    let manager = management_token(&server, admin(&server).await, "management:read").await;
    assert_eq!(
        Program::new(&server, &manager)
            .get("/v1/workspaces")
            .await
            .0,
        StatusCode::OK
    );
    server.clock.step_seconds(61);
    assert_eq!(operator.get(&path).await.0, StatusCode::OK);
}

async fn scripts_of_other_origins_are_not_asked(db: TestDatabase) {
    let server = Server::start(db).await;
    let answer = send(
        Program::operator(&server)
            .request(Method::GET, "/v1/organizations")
            .header("Origin", "https://evil.example"),
    )
    .await;
    assert_eq!(
        (
            answer.status(),
            answer.headers().contains_key("access-control-allow-origin")
        ),
        (StatusCode::OK, false)
    );
    let preflight =
        send(reqwest::Client::new().request(Method::OPTIONS, server.url("/v1/organizations")))
            .await;
    assert_eq!(preflight.status(), StatusCode::METHOD_NOT_ALLOWED);
}

async fn only_first_party_applications_get_management_scopes(db: TestDatabase) {
    let server = Server::start(db).await;
    let (status, body) = server
        .token(&[
            ("grant_type", "client_credentials"),
            ("scope", "management:read"),
        ])
        .await;
    assert_eq!(
        (status, &body["error"]),
        (StatusCode::BAD_REQUEST, &json!("invalid_scope")),
        "{body}"
    );
    let browser = server.signed_in_browser().await;
    let page = browser
        .get(&server.authorize_path("management:write"))
        .await;
    assert!(crate::server::location(page.headers()).contains("error=invalid_scope"));
    let metadata = json!({"client_name": "Tool", "redirect_uris": ["https://tool.example/cb"], "token_endpoint_auth_method": "none", "scope": "read management:write"});
    let request = server
        .post("/oauth2/register")
        .bearer_auth(&server.secrets.registration_token)
        .json(&metadata);
    let (_, body) = super::json(request).await;
    assert!(
        !body["scope"]
            .as_str()
            .unwrap_or_default()
            .contains("management"),
        "{body}"
    );
    let (_, metadata) = super::json(server.get("/.well-known/oauth-authorization-server")).await;
    assert!(
        !metadata["scopes_supported"]
            .to_string()
            .contains("management"),
        "{metadata}"
    );
    // the console neither offers nor takes them
    let path = format!("/dev-centre/{}/applications", server.planted.organization);
    let html = browser
        .get(&format!("{path}/new"))
        .await
        .text()
        .await
        .expect("text");
    assert!(!html.contains("management:read"));
    let fields = [
        ("name", "Tool"),
        ("client_type", "confidential"),
        ("environment", "sandbox"),
        ("access_token_format", "jwt"),
        ("role", "viewer"),
        ("grant", "client_credentials"),
        ("scope", "management:read"),
    ];
    let answer = browser.submit(&format!("{path}/new"), &path, &fields).await;
    assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        answer
            .text()
            .await
            .expect("text")
            .contains("Only first-party applications may have the scope management:read.")
    );
}

async fn the_explorer_is_served_from_here(db: TestDatabase) {
    let server = Server::start(db).await;
    let page = send(server.get("/v1/docs")).await;
    let policy = page.headers()["content-security-policy"]
        .to_str()
        .expect("text")
        .to_owned();
    assert!(
        policy.contains("script-src 'self'") && !policy.contains("unsafe"),
        "{policy}"
    );
    let html = page.text().await.expect("text");
    assert!(
        !html.contains("http://") && !html.contains("https://"),
        "nothing from elsewhere: {html}"
    );
    for part in html.split('"').filter(|part| part.starts_with("/v1/docs/")) {
        assert_eq!(
            send(server.get(part)).await.status(),
            StatusCode::OK,
            "{part}"
        );
    }
    let script = send(server.get("/v1/docs/swagger-initializer.js"))
        .await
        .text()
        .await
        .expect("text");
    assert!(script.contains("/v1/openapi.json"), "{script}");
    for name in ["nothing.js", "index.html", "..%2f..%2fCargo.toml"] {
        assert_eq!(
            send(server.get(&format!("/v1/docs/{name}"))).await.status(),
            StatusCode::NOT_FOUND,
            "{name}"
        );
    }
    assert_eq!(text(&json!({"a": "b"}), "/a"), "b");
}
