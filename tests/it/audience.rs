//! A token that was issued for one API opens no other door (RFC 9068 §4, RFC 9700 §2.3): every route that takes a token, by
//! a token for another resource and by the same one without.
#![expect(clippy::panic, reason = "a test fails by it")]

use countersign::server::routes::{Guard, Route, table};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::databases::{TestDatabase, both_databases};
use crate::server::Server;
use crate::tenants::{admin, management_token};

both_databases!(no_door_takes_a_token_that_is_for_another_api);

/// What the door says of the token: the status, and what tells a known credential from an unknown one.
async fn ask(server: &Server, route: &Route, token: &str) -> Option<(StatusCode, Value)> {
    let by_server = match (route.guard, route.path) {
        (Guard::Holder | Guard::Management, path) => {
            let segments = path.split('/');
            let segments = segments.map(|part| if part.starts_with('{') { "x" } else { part });
            let path = segments.collect::<Vec<_>>().join("/");
            let method = route.method.as_str().parse().expect("a method");
            let request = reqwest::Client::new().request(method, server.url(&path));
            let response = request.bearer_auth(token).send().await.expect("an answer");
            let (status, body) = crate::server::json(response).await;
            return Some((status, body["code"].clone()));
        }
        (Guard::ResourceServer, "/v1/verify") => server
            .as_resource_server("/v1/verify")
            .json(&json!({"credential": token})),
        (Guard::ResourceServer, "/v1/watermark") => server
            .as_resource_server("/v1/watermark")
            .header("Countersign-Credential", token)
            .header("Content-Type", "application/pdf")
            .body("no PDF"),
        (Guard::ResourceServer, "/oauth2/introspect") => server
            .as_resource_server("/oauth2/introspect")
            .form(&[("token", token)]),
        (Guard::ResourceServer, path) => panic!("{path} is not listed"),
        // takes no access token: the guards test shows it
        _ => return None,
    };
    let response = by_server.send().await.expect("an answer");
    let (status, body) = crate::server::json(response).await;
    let said = [&body["active"], &body["decision"], &body["code"]];
    let said = said.into_iter().find(|value| !value.is_null());
    Some((status, said.cloned().unwrap_or_default()))
}

async fn no_door_takes_a_token_that_is_for_another_api(db: TestDatabase) {
    let server = Server::start_with(db, |config| {
        config.limits.management.quota = 10_000;
    })
    .await;
    let person = admin(&server).await;
    let plain = management_token(&server, person, "read management:read management:write").await;
    let foreign = management_token(&server, person, "read management:read management:write").await;
    let digest = server
        .app
        .digester
        .digest(countersign::crypto::digest::Purpose::AccessToken, &foreign);
    let for_another = move |tx: &mut countersign::store::Tx| {
        let found = tx.find_access_token_by_digest(std::slice::from_ref(&digest))?;
        Ok(found.expect("a token").id)
    };
    let id = server.write(for_another).await;
    server.database.execute(&format!(
        "UPDATE access_tokens SET resources = 'https://docs.vendor.example' WHERE id = '{id}'"
    ));
    let mut doors = 0;
    for route in table() {
        let Some((status, said)) = ask(&server, &route, &foreign).await else {
            continue;
        };
        doors += 1;
        let case = format!("{} {}", route.method, route.path);
        // what an unknown credential reads
        let expected = match route.path {
            "/v1/verify" => (StatusCode::OK, json!("not_found")),
            "/v1/watermark" => (StatusCode::FORBIDDEN, json!("not_found")),
            "/oauth2/introspect" => (StatusCode::OK, json!(false)),
            _ => (StatusCode::UNAUTHORIZED, json!("invalid_credential")),
        };
        assert_eq!((status, said), expected, "{case}");
        // and the token itself is good
        let (status, said) = ask(&server, &route, &plain).await.expect("a door");
        assert_ne!(status, StatusCode::UNAUTHORIZED, "{case}: {said}");
        assert!(
            said != "not_found" || status == StatusCode::NOT_FOUND,
            "{case}"
        );
        assert_ne!(said, json!(false), "{case}");
    }
    assert!(doors > 80, "only {doors} doors were tried");
}
