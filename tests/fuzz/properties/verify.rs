//! `gateway/verify.rs`: the JSON of `POST /v1/verify`.
//!
//! - What is read is what another JSON reader finds under the nine documented names, and there are no others.
//! - Nothing is guessed: a credential is a text, a permission a configured one, sizes are bounded.
//! - A refusal is a 400 that repeats nothing of the body: a credential may stand in the wrong place.

use std::sync::LazyLock;

use actix_web::http::StatusCode;
use countersign::config::{Catalogue, Config};
use countersign::gateway::verify::parse;
use countersign::web::problem::Problem;
use serde_json::{Map, Value};

const FIELDS: [&str; 9] = [
    "credential",
    "permission",
    "workspace",
    "environment",
    "method",
    "path",
    "client_ip",
    "document_name",
    "recipients",
];

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
    Config::load(None, std::iter::empty())
        .expect("the defaults are valid")
        .catalogue()
        .expect("the default catalogue")
});

pub fn check(input: &[u8]) {
    let asked = match parse(&CATALOGUE, input) {
        Ok(asked) => asked,
        Err(problem) => return repeats_nothing(&problem, input),
    };
    let body: Map<String, Value> =
        serde_json::from_slice(input).expect("what was read is a JSON object");
    assert!(
        body.keys().all(|name| FIELDS.contains(&name.as_str())),
        "{body:?}"
    );
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let question = &asked.question;
    assert_eq!(Some(asked.credential.as_str()), text("credential"));
    assert_eq!(question.document_name.as_deref(), text("document_name"));
    assert_eq!(
        question
            .permission
            .map(|permission| CATALOGUE.names([permission].into_iter().collect())),
        text("permission").map(|name| vec![name])
    );
    assert_eq!(
        question.workspace.map(|id| id.to_string()).as_deref(),
        text("workspace")
    );
    assert_eq!(
        question.environment.map(|environment| environment.as_str()),
        text("environment")
    );
    assert_eq!(
        asked.client_ip,
        text("client_ip").and_then(|address| address.parse().ok())
    );
    assert_eq!(
        question
            .recipients
            .as_ref()
            .map(|list| serde_json::json!(list))
            .as_ref(),
        body.get("recipients").filter(|list| !list.is_null())
    );
    assert!(
        question
            .recipients
            .as_ref()
            .is_none_or(|list| list.len() <= 500)
    );
    assert!(
        ["document_name", "method", "path"]
            .iter()
            .all(|name| text(name).is_none_or(|text| text.len() <= 8 * 1024))
    );
}

/// One of the known texts, and never a part of a body that holds a credential.
fn repeats_nothing(problem: &Problem, input: &[u8]) {
    assert_eq!(problem.status(), StatusCode::BAD_REQUEST);
    let shown = format!("{problem:?}");
    let marked = [
        b"{\"credential\": \"ZEBRA-ZEBRA\", \"x\": ".as_slice(),
        input,
        b"}",
    ]
    .concat();
    if let Err(problem) = parse(&CATALOGUE, &marked) {
        assert!(!format!("{problem:?}").contains("ZEBRA"));
    }
    assert!(shown.len() < 4_000, "{shown}");
    // where it went wrong may differ, what is said of it may not
    let said: String = shown.chars().filter(|c| !c.is_ascii_digit()).collect();
    assert!(SAID.iter().any(|start| said.contains(start)), "{shown}");
}

const SAID: [&str; 6] = [
    "A field is missing, unknown, repeated or of the wrong type (line ",
    "The body is not JSON (line ",
    "document_name is too long.",
    "method or path is too long.",
    "There are too many recipients.",
    "permission is not one of the configured ones.",
];
