//! The description agrees with the answers: what it allows is read, what it forbids is refused, parameter by parameter and
//! field by field, over the whole of it.

use countersign::config::Rate;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::Program;
use crate::databases::{TestDatabase, both_databases};
use crate::server::Server;

both_databases!(
    every_parameter_is_read_as_it_is_described,
    every_limit_of_a_field_is_the_one_that_is_described,
    a_page_that_no_list_has_is_not_there,
);

async fn start(db: TestDatabase) -> (Server, Value) {
    let server = Server::start_with(db, |config| config.limits.management = Rate::NONE).await;
    let (_, document) = super::json(server.get("/v1/openapi.json")).await;
    (server, document)
}

struct Described<'d> {
    method: Method,
    path: String,
    operation: &'d Value,
}

/// Every operation; ids in its path are nobody's.
fn operations(document: &Value) -> Vec<Described<'_>> {
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let mut path = path.clone();
            for parameter in parameters(operation, "path") {
                let name = format!("{{{}}}", super::text(parameter, "/name"));
                let good = good(document, &parameter["schema"]);
                // no segment of a path is empty
                let value = good.iter().find(|value| !value.is_empty());
                path = path.replace(&name, value.expect("a value"));
            }
            let method = method.to_uppercase().parse().expect("a method");
            all.push(Described {
                method,
                path,
                operation,
            });
        }
    }
    all
}

fn parameters<'d>(operation: &'d Value, place: &'static str) -> impl Iterator<Item = &'d Value> {
    let all = operation["parameters"].as_array().expect("parameters");
    all.iter().filter(move |parameter| parameter["in"] == place)
}

fn resolved<'d>(document: &'d Value, schema: &'d Value) -> &'d Value {
    match schema["$ref"].as_str() {
        Some(target) => document
            .pointer(target.trim_start_matches('#'))
            .expect("it leads somewhere"),
        None => schema,
    }
}

/// The words of an enum, with or without a description of each.
fn words(schema: &Value) -> Vec<String> {
    let parts = schema["oneOf"].as_array().into_iter().flatten();
    let of = |schema: &Value| {
        let words = schema["enum"].as_array().into_iter().flatten();
        words
            .chain(schema.get("const"))
            .filter_map(|word| word.as_str().map(str::to_owned))
            .collect::<Vec<_>>()
    };
    of(schema).into_iter().chain(parts.flat_map(of)).collect()
}

/// `^key_[0-9A-Za-z]{22}$`, and the like.
fn spelled(pattern: &str) -> Option<String> {
    let inside = pattern.strip_prefix('^')?.strip_suffix('$')?;
    let (prefix, rest) = inside.split_once('[')?;
    let (_, count) = rest.split_once("]{")?;
    let least: usize = count.split([',', '}']).next()?.parse().ok()?;
    Some(format!("{prefix}{}", "A".repeat(least)))
}

/// As a query or a path spells them: values that the schema allows, at its limits.
fn good(document: &Value, schema: &Value) -> Vec<String> {
    let schema = resolved(document, schema);
    let words = words(schema);
    if !words.is_empty() {
        return words;
    }
    let number = |name: &str| schema[name].as_i64();
    match (schema["type"].as_str(), schema["format"].as_str()) {
        (Some("boolean"), _) => vec!["true".to_owned(), "false".to_owned()],
        (Some("integer"), _) => [number("minimum"), number("maximum")]
            .map(|limit| limit.expect("an integer has limits").to_string())
            .into(),
        (_, Some("date-time")) => vec!["2026-01-31T09:00:00Z".to_owned()],
        _ => match schema["pattern"].as_str() {
            Some(pattern) => vec![spelled(pattern).expect("a pattern that this test can spell")],
            None => {
                let most = number("maxLength").unwrap_or(300);
                [number("minLength").unwrap_or(0), most]
                    .map(|length| "a".repeat(usize::try_from(length).expect("a length")))
                    .into()
            }
        },
    }
}

/// Values that the schema forbids.
fn bad(document: &Value, schema: &Value) -> Vec<String> {
    let schema = resolved(document, schema);
    if !words(schema).is_empty() {
        return vec![String::new(), "nonsense".to_owned()];
    }
    let number = |name: &str| schema[name].as_i64();
    let text = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    match (schema["type"].as_str(), schema["format"].as_str()) {
        (Some("boolean"), _) => text(&["", "maybe", "1"]),
        (Some("integer"), _) => {
            let mut all: Vec<String> = text(&["", "x", "1.5", "99999999999999999999"]);
            all.extend(number("minimum").map(|least| (least - 1).to_string()));
            all.extend(number("maximum").map(|most| (most + 1).to_string()));
            all
        }
        (_, Some("date-time")) => text(&["", "yesterday", "2026-02-30T00:00:00Z"]),
        _ if schema["pattern"].is_string() => text(&["", "!"]),
        _ => {
            let mut all = Vec::new();
            all.extend(
                number("minLength")
                    .filter(|least| *least > 0)
                    .map(|_| String::new()),
            );
            all.extend(
                number("maxLength")
                    .map(|most| "a".repeat(usize::try_from(most + 1).expect("a length"))),
            );
            all
        }
    }
}

async fn ask(program: &Program<'_>, one: &Described<'_>, query: &[(&str, &str)]) -> StatusCode {
    let request = program.request(one.method.clone(), &one.path).query(query);
    let request = if one.operation.get("requestBody").is_some() {
        // an object, and not what is asked for
        request.json(&json!({"nobody_named_this": 1}))
    } else {
        request
    };
    let status = request.send().await.expect("an answer").status();
    assert!(
        one.operation["responses"].get(status.as_str()).is_some(),
        "{} {} {query:?}: {status} is not described",
        one.method,
        one.path
    );
    status
}

async fn every_parameter_is_read_as_it_is_described(db: TestDatabase) {
    let (server, document) = start(db).await;
    let program = Program::operator(&server);
    let organization = server.planted.organization;
    let mut looked_at = 0;
    for one in operations(&document) {
        let at = |query: &[(&str, &str)]| format!("{} {} {query:?}", one.method, one.path);
        let unknown = [("nobody_named_this", "1")];
        let status = ask(&program, &one, &unknown).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{}", at(&unknown));
        // what takes a body is refused because of it: nothing is told about the query
        if one.operation.get("requestBody").is_some() || one.method == Method::POST {
            continue;
        }
        // of those that must be there
        let required: Vec<(&str, String)> = parameters(one.operation, "query")
            .filter(|parameter| parameter["required"] == true)
            .map(|parameter| {
                let good = good(&document, &parameter["schema"]);
                (super::text(parameter, "/name"), good[0].clone())
            })
            .collect();
        for parameter in parameters(one.operation, "query") {
            let (name, schema) = (super::text(parameter, "/name"), &parameter["schema"]);
            let with = |value: &str| {
                let mut query: Vec<(&str, String)> = required.clone();
                query.retain(|(own, _)| *own != name);
                if name != "organization" {
                    query.push(("organization", organization.to_string()));
                }
                query.push((name, value.to_owned()));
                query
            };
            for value in good(&document, schema) {
                let query = with(&value);
                let query: Vec<_> = query.iter().map(|(n, v)| (*n, v.as_str())).collect();
                let status = ask(&program, &one, &query).await;
                assert_ne!(status, StatusCode::BAD_REQUEST, "allowed: {}", at(&query));
                looked_at += 1;
            }
            for value in bad(&document, schema) {
                let query = with(&value);
                let query: Vec<_> = query.iter().map(|(n, v)| (*n, v.as_str())).collect();
                let status = ask(&program, &one, &query).await;
                assert_eq!(status, StatusCode::BAD_REQUEST, "forbidden: {}", at(&query));
                looked_at += 1;
            }
        }
    }
    assert!(looked_at > 200, "{looked_at}");
}

/// Values of a field just inside and just outside what the schema says.
fn limits(schema: &Value) -> (Vec<Value>, Vec<Value>) {
    let number = |name: &str| schema[name].as_i64();
    let text = |length: i64| json!("a".repeat(usize::try_from(length).unwrap_or_default()));
    let list = |count: i64| json!(vec!["a"; usize::try_from(count).unwrap_or_default()]);
    let (mut inside, mut outside) = (Vec::new(), Vec::new());
    for (least, most, make) in [
        ("minLength", "maxLength", &text as &dyn Fn(i64) -> Value),
        ("minItems", "maxItems", &list),
        ("minimum", "maximum", &|value| json!(value)),
    ] {
        if let Some(least) = number(least) {
            inside.push(make(least));
            if least > 0 || schema["type"] == "integer" {
                outside.push(make(least - 1));
            }
        }
        if let Some(most) = number(most) {
            inside.push(make(most));
            outside.push(make(most + 1));
        }
    }
    (inside, outside)
}

/// The body that a sample sends, if the description has one.
fn sample(operation: &Value) -> Option<Value> {
    let content = &operation["requestBody"]["content"]["application/json"];
    let shell = operation["x-codeSamples"]
        .as_array()?
        .iter()
        .find(|sample| sample["lang"] == "Shell")?;
    let source = shell["source"].as_str()?;
    let from_shell = || {
        let start = source.find("'{")?;
        let rest = &source[start + 1..];
        serde_json::from_str(&rest[..rest.rfind("}'")? + 1]).ok()
    };
    content.get("example").cloned().or_else(from_shell)
}

async fn every_limit_of_a_field_is_the_one_that_is_described(db: TestDatabase) {
    let (server, document) = start(db).await;
    let program = Program::operator(&server);
    let organization = server.planted.organization.to_string();
    let mut looked_at = 0;
    for one in operations(&document) {
        let schema = &one.operation["requestBody"]["content"]["application/json"]["schema"];
        let schema = resolved(&document, schema);
        let (Some(fields), Some(sample)) =
            (schema["properties"].as_object(), sample(one.operation))
        else {
            continue;
        };
        for (name, field) in fields {
            let (inside, outside) = limits(resolved(&document, field));
            for (value, is_inside) in inside
                .into_iter()
                .map(|value| (value, true))
                .chain(outside.into_iter().map(|value| (value, false)))
            {
                let mut body = sample.clone();
                body[name] = value;
                let answer = program
                    .request(one.method.clone(), &one.path)
                    .query(&[("organization", &organization)])
                    .json(&body)
                    .send()
                    .await
                    .expect("an answer");
                let (status, text) = crate::server::json(answer).await;
                let what = format!(
                    "{} {} {name} inside: {is_inside}: {text}",
                    one.method, one.path
                );
                assert!(
                    one.operation["responses"].get(status.as_str()).is_some(),
                    "{status} is not described: {what}"
                );
                // ids of items and words are not spelled: such a list may be unreadable for that
                let is_list = field["type"] == "array";
                assert!(is_inside || !status.is_success(), "accepted: {what}");
                assert!(
                    !is_inside || is_list || status != StatusCode::BAD_REQUEST,
                    "unreadable: {what}"
                );
                looked_at += 1;
            }
        }
    }
    assert!(looked_at > 60, "{looked_at}");
}

async fn a_page_that_no_list_has_is_not_there(db: TestDatabase) {
    let (server, _) = start(db).await;
    let program = Program::operator(&server);
    let organization = server.planted.organization;
    let path = |noun: &str| format!("/v1/{noun}?organization={organization}&limit=1");
    let (_, page) = program.get(&path("api-keys")).await;
    let cursor = super::text(&page, "/next_cursor").to_owned();
    for (query, status) in [
        (format!("&cursor={cursor}"), 200),
        (format!("&cursor={}", "A".repeat(cursor.len())), 404),
        (format!("&cursor={}", cursor.to_uppercase()), 404),
        (format!("&cursor={}A", cursor), 404),
        (format!("&cursor={}", &cursor[..cursor.len() / 2]), 400),
        ("&cursor=".to_owned(), 400),
    ] {
        let (answered, body) = program.get(&format!("{}{query}", path("api-keys"))).await;
        assert_eq!(answered, status, "{query}: {body}");
    }
    // of another list
    let (status, _) = program
        .get(&format!("{}&cursor={cursor}", path("workspaces")))
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}
