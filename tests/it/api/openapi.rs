//! `/v1/openapi.json` says what the route table and the types say.

use std::collections::BTreeSet;
use std::process::Command;

use countersign::server::routes::{Guard, table};
use reqwest::StatusCode;
use serde_json::Value;

use crate::databases::{TestDatabase, both_databases, offered};
use crate::server::Server;

both_databases!(
    every_operation_of_the_table_is_described_and_no_other,
    the_description_is_valid_and_tells_what_is_read
);

async fn document(server: &Server) -> Value {
    let (status, document) = super::json(server.get("/v1/openapi.json")).await;
    assert_eq!(status, StatusCode::OK);
    document
}

async fn every_operation_of_the_table_is_described_and_no_other(db: TestDatabase) {
    let server = Server::start(db).await;
    let document = document(&server).await;
    let described: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .expect("paths")
        .iter()
        .flat_map(|(path, methods)| {
            methods
                .as_object()
                .expect("methods")
                .keys()
                .map(|method| (method.to_uppercase(), path.clone()))
                .collect::<Vec<_>>()
        })
        .collect();
    let operations = table()
        .into_iter()
        .filter(|route| route.guard == Guard::Management);
    let known: BTreeSet<(String, String)> = operations
        .map(|route| (route.method.to_string(), route.path.to_owned()))
        .collect();
    assert_eq!(described, known);
    let ids: Vec<&str> = document["paths"]
        .as_object()
        .expect("paths")
        .values()
        .flat_map(|methods| methods.as_object().expect("methods").values())
        .map(|operation| super::text(operation, "/operationId"))
        .collect();
    assert_eq!(
        ids.iter().collect::<BTreeSet<_>>().len(),
        ids.len(),
        "each has an id of its own: {ids:?}"
    );
    // a permission that the catalogue does not know would open to nobody
    for route in table() {
        let rule = route.operation.map(|operation| operation().rule);
        for right in rule.into_iter().flat_map(|rule| rule.needs) {
            let name = right.name();
            assert!(
                server.app.settings.catalogue.permission(name).is_some(),
                "{} {} needs the unknown {name}",
                route.method,
                route.path
            );
        }
    }
}

async fn the_description_is_valid_and_tells_what_is_read(db: TestDatabase) {
    let server = Server::start(db).await;
    let document = document(&server).await;
    let create = &document["paths"]["/v1/workspaces"]["post"];
    assert_eq!(
        super::text(create, "/requestBody/content/application~1json/schema/$ref"),
        "#/components/schemas/NewWorkspace"
    );
    let body = &document["components"]["schemas"]["NewWorkspace"];
    assert_eq!(
        (&body["additionalProperties"], &body["required"]),
        (&false.into(), &serde_json::json!(["name"])),
        "{body}"
    );
    let names: Vec<&str> = create["parameters"]
        .as_array()
        .expect("parameters")
        .iter()
        .map(|one| super::text(one, "/name"))
        .collect();
    assert_eq!(names, ["organization", "Idempotency-Key"]);
    for status in [
        "201", "400", "401", "403", "404", "409", "413", "415", "422", "429", "503",
    ] {
        assert!(create["responses"].get(status).is_some(), "{status}");
    }
    let list = &document["paths"]["/v1/workspaces"]["get"]["parameters"];
    let limit = list
        .as_array()
        .expect("parameters")
        .iter()
        .find(|one| one["name"] == "limit")
        .expect("a limit");
    assert_eq!(
        (
            &limit["in"],
            &limit["schema"]["maximum"],
            &limit["required"]
        ),
        (&"query".into(), &100.into(), &false.into())
    );
    assert_references(&document, &document);
    validate(&document);
}

/// Every reference leads somewhere.
fn assert_references(document: &Value, value: &Value) {
    match value {
        Value::Object(fields) => {
            if let Some(target) = fields.get("$ref").and_then(Value::as_str) {
                assert!(
                    document.pointer(target.trim_start_matches('#')).is_some(),
                    "{target} leads nowhere"
                );
            }
            fields
                .values()
                .for_each(|value| assert_references(document, value));
        }
        Value::Array(values) => values
            .iter()
            .for_each(|value| assert_references(document, value)),
        _ => {}
    }
}

/// By the validator of somebody else.
fn validate(document: &Value) {
    let Some(python) = offered("PYTHON", "PYTHON") else {
        return;
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("openapi.json");
    std::fs::write(&path, document.to_string()).expect("written");
    let output = Command::new(python)
        .args(["-m", "openapi_spec_validator", "--schema", "3.1"])
        .arg(&path)
        .output()
        .expect("it runs");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
