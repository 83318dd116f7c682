//! OpenAPI 3.1 of the management API, made of the route table and the types of its handlers: nothing in it is written twice.
//!
//! Invariant: an operation is in the document iff it is in the table, and a schema is what the handler really reads.

use actix_web::http::Method;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use crate::config::{Catalogue, Issuer};

use super::idempotency::HEADER;
use super::input::ORGANIZATION;
use super::operation::{Operation, creates};
use super::operation::{Or, Rule};

/// One line of the table.
pub struct Entry {
    pub method: Method,
    pub path: &'static str,
    pub operation: Operation,
}

/// The document.
pub fn document(entries: &[Entry], catalogue: &Catalogue, issuer: &Issuer) -> Value {
    // inputs as they are read, answers as they are written
    let mut inputs = SchemaSettings::draft2020_12()
        .with(settings)
        .into_generator();
    let mut answers = SchemaSettings::draft2020_12()
        .with(settings)
        .for_serialize()
        .into_generator();
    let mut paths: Map<String, Value> = Map::new();
    for entry in entries {
        let operation = operation(entry, catalogue, &mut inputs, &mut answers);
        let path = paths.entry(entry.path).or_insert_with(|| json!({}));
        path[entry.method.as_str().to_ascii_lowercase()] = operation;
    }
    let mut schemas = answers.take_definitions(true);
    schemas.extend(inputs.take_definitions(true));
    schemas.insert("Problem".to_owned(), problem());
    let mut schemas = Value::Object(schemas);
    drop_null_defaults(&mut schemas);
    json!({
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "Management API",
            "version": "1",
            "description": "Organizations, workspaces, members, keys and applications. Lists are pages, newest first; errors are application/problem+json with a stable code. [Examples in curl, Python, JavaScript, Go and Rust](/v1/docs/examples).",
        },
        "servers": [{"url": issuer.as_str()}],
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": security_schemes(catalogue, issuer)},
    })
}

/// A field that may be left out has no default of its own: null would not even be of its type.
fn drop_null_defaults(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, value| name != "default" || !value.is_null());
            fields.values_mut().for_each(drop_null_defaults);
        }
        Value::Array(values) => values.iter_mut().for_each(drop_null_defaults),
        _ => {}
    }
}

fn settings(settings: &mut SchemaSettings) {
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
}

fn operation(
    entry: &Entry,
    catalogue: &Catalogue,
    inputs: &mut SchemaGenerator,
    answers: &mut SchemaGenerator,
) -> Value {
    let Operation {
        rule,
        path,
        query,
        body,
        answer,
    } = &entry.operation;
    let noun = rule.handler.split("::").next().unwrap_or_default();
    let mut parameters = parameters("path", path(inputs).to_value());
    if let Some(query) = query {
        parameters.extend(self::parameters("query", query(inputs).to_value()));
    }
    parameters.push(json!({
        "name": ORGANIZATION, "in": "query", "description": "Which organization; only an operator token names one.",
        "schema": {"type": "string", "pattern": "^org_[0-9A-Za-z]{22}$"},
    }));
    let creates = creates(&entry.method, *rule);
    if creates {
        parameters.push(json!({
            "name": HEADER, "in": "header", "description": "A retry with the same key, within 24 hours, gives the same resource.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
        }));
    }
    let mut success = json!({"description": "Success", "headers": {"X-Request-Id": {"schema": {"type": "string"}}}});
    if let Some(answer) = answer {
        success["content"] = json!({"application/json": {"schema": answer(answers).to_value()}});
    }
    if creates {
        let replayed = "true when an earlier request with this key created it.";
        success["headers"]["Idempotency-Replayed"] =
            json!({"description": replayed, "schema": {"type": "string", "const": "true"}});
        success["headers"]["Location"] =
            json!({"schema": {"type": "string", "format": "uri-reference"}});
    }
    let mut responses = Map::new();
    responses.insert(rule.status.to_string(), success);
    for (status, description) in problems(entry, body.is_some()) {
        let content = json!({"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}});
        responses.insert(
            status.to_string(),
            json!({"description": description, "content": content}),
        );
    }
    let mut operation = json!({
        "operationId": rule.handler.replace("::", "_"),
        "summary": rule.summary,
        "description": format!("Needs {}.", rule.needed()),
        "tags": [noun.replace('_', "-")],
        "parameters": parameters,
        "responses": responses,
        "security": security(*rule, catalogue),
    });
    if let Some(body) = body {
        operation["requestBody"] = json!({"required": true, "content": {"application/json": {"schema": body(inputs).to_value()}}});
    }
    operation
}

/// The fields of an object, each a parameter.
fn parameters(place: &str, schema: Value) -> Vec<Value> {
    let required = |name: &str| {
        schema["required"]
            .as_array()
            .is_some_and(|names| names.iter().any(|own| own == name))
    };
    let fields = schema["properties"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    let parameter = |(name, mut schema): (String, Value)| {
        let description = schema
            .as_object_mut()
            .and_then(|schema| schema.remove("description"));
        let required = place == "path" || required(&name);
        let mut parameter = json!({"name": name, "in": place, "required": required, "schema": without_null(schema)});
        if let Some(description) = description {
            parameter["description"] = description;
        }
        parameter
    };
    fields.into_iter().map(parameter).collect()
}

/// A parameter that is not there is not null.
fn without_null(mut schema: Value) -> Value {
    if let Some(types) = schema["type"].as_array() {
        let mut types: Vec<Value> = types
            .iter()
            .filter(|name| *name != "null")
            .cloned()
            .collect();
        if types.len() == 1 {
            schema["type"] = types.remove(0);
        }
    }
    if let Some(any) = schema["anyOf"].as_array() {
        let mut any: Vec<Value> = any
            .iter()
            .filter(|one| one["type"] != "null")
            .cloned()
            .collect();
        if any.len() == 1 {
            return any.remove(0);
        }
    }
    if let Some(fields) = schema.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    schema
}

/// What can go wrong, by status.
fn problems(entry: &Entry, has_body: bool) -> Vec<(u16, &'static str)> {
    let changes = entry.method != Method::GET;
    let all = [
        (400, "The request cannot be read", true),
        (401, "The credential is missing, unknown or expired", true),
        (403, "The credential does not hold the permission", true),
        (404, "It is not there, or not yours to see", true),
        (408, "The body took too long to arrive", has_body),
        (
            409,
            "It is not possible now, or a twin is being worked on",
            changes,
        ),
        (413, "The body is too large", has_body),
        (415, "The body is not application/json", has_body),
        (
            422,
            "Some fields are wrong, or the idempotency key came with another request",
            changes,
        ),
        (429, "Too many requests", true),
        (503, "The database is away", true),
    ];
    all.into_iter()
        .filter(|(_, _, applies)| *applies)
        .map(|(status, description, _)| (status, description))
        .collect()
}

/// Which credentials hold one of the permissions.
fn security(rule: Rule, catalogue: &Catalogue) -> Vec<Value> {
    let mut ways = vec![json!({"operatorToken": []})];
    for scope in catalogue.scopes() {
        let for_members = rule.or == Some(Or::Member) && catalogue.is_management(&scope.name);
        if for_members
            || rule
                .needs
                .iter()
                .any(|right| scope.permissions.iter().any(|own| own == right.name()))
        {
            ways.push(json!({"oauth2": [scope.name]}));
        }
    }
    let for_programs = rule.needs.iter().any(|right| {
        let needed = catalogue.right(*right);
        !needed.is_empty() && needed.is_subset_of(catalogue.all())
    });
    if for_programs {
        ways.push(json!({"managementToken": []}));
    }
    let above = catalogue.management() | catalogue.operator();
    let for_keys = rule.or == Some(Or::Itself)
        || rule
            .needs
            .iter()
            .any(|right| !catalogue.right(*right).is_subset_of(above));
    if for_keys {
        ways.push(json!({"apiKey": []}));
    }
    ways
}

fn security_schemes(catalogue: &Catalogue, issuer: &Issuer) -> Value {
    let management = catalogue
        .scopes()
        .filter(|scope| catalogue.is_management(&scope.name));
    let scopes: Map<String, Value> = management
        .map(|scope| (scope.name.clone(), json!(scope.title)))
        .collect();
    let (authorize, token) = (
        format!("{}/oauth2/authorize", issuer.as_str()),
        format!("{}/oauth2/token", issuer.as_str()),
    );
    json!({
        "operatorToken": {"type": "http", "scheme": "bearer", "description": "Made with `countersign operator token create`."},
        "managementToken": {"type": "http", "scheme": "bearer", "description": "Made by an admin of the organization, in the Dev Centre."},
        "apiKey": {"type": "http", "scheme": "bearer", "description": "Only of an organization's admin, with organization operations switched on."},
        "oauth2": {
            "type": "oauth2",
            "description": "Only of a first-party application.",
            "flows": {"authorizationCode": {"authorizationUrl": authorize, "tokenUrl": token, "refreshUrl": token, "scopes": scopes}},
        },
    })
}

/// RFC 9457.
fn problem() -> Value {
    json!({
        "type": "object",
        "description": "An error (RFC 9457).",
        "required": ["type", "title", "status", "detail", "code", "request_id"],
        "properties": {
            "type": {"type": "string", "format": "uri-reference"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string", "description": "For people."},
            "code": {"type": "string", "description": "For programs; it does not change."},
            "request_id": {"type": "string"},
            "errors": {
                "type": "array",
                "description": "Of invalid_fields.",
                "items": {
                    "type": "object",
                    "required": ["field", "message"],
                    "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
                },
            },
        },
    })
}
