//! Every operation as code in five languages, made of the description: `x-codeSamples`, and the page `GET /v1/docs/examples`.
//!
//! Invariant: a sample runs as it is shown, once the ids of zeros are one's own: it sends the required parameters and fields,
//! the organization, which an operator token names, and words that this installation knows.

use askama::Template;
use serde_json::{Map, Value, json};

use super::idempotency::HEADER;
use crate::types::environment::Environment;
use crate::web::page::Shell;

/// The variable of the shell that holds the credential, in every sample.
const VARIABLE: &str = "COUNTERSIGN_TOKEN";
const EXAMPLE: &str = "Example";
const ADDRESS: &str = "ann@customer.example";
const CALLBACK: &str = "https://crm.example/callback";

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    #[default]
    Curl,
    Python,
    JavaScript,
    Go,
    Rust,
}

impl Language {
    pub const ALL: [Self; 5] = [
        Self::Curl,
        Self::Python,
        Self::JavaScript,
        Self::Go,
        Self::Rust,
    ];

    /// As `x-codeSamples` names it, and as people do.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Curl => ("Shell", "curl"),
            Self::Python => ("Python", "Python"),
            Self::JavaScript => ("JavaScript", "JavaScript"),
            Self::Go => ("Go", "Go"),
            Self::Rust => ("Rust", "Rust"),
        }
    }

    fn code(self, request: &Request) -> String {
        match self {
            Self::Curl => curl(request),
            Self::Python => python(request),
            Self::JavaScript => javascript(request),
            Self::Go => go(request),
            Self::Rust => rust(request),
        }
    }
}

/// What this installation knows, and samples say.
#[derive(Debug, Clone)]
pub struct Words {
    pub environment: Environment,
    pub scope: String,
    pub permission: String,
    pub role: String,
    /// An operator token says whom a new key belongs to.
    pub names_owner: bool,
}

/// What a sample sends.
struct Request {
    method: String,
    url: String,
    creates: bool,
    body: Option<Value>,
}

impl Request {
    /// The body as one line of JSON.
    fn json(&self) -> Option<String> {
        self.body.as_ref().map(Value::to_string)
    }
}

/// Adds `x-codeSamples` to every operation of the description.
pub fn add(document: &mut Value, words: &Words) {
    let known = document["components"]["schemas"].take();
    let base = document
        .pointer("/servers/0/url")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    for (path, methods) in document["paths"].as_object_mut().into_iter().flatten() {
        for (method, operation) in methods.as_object_mut().into_iter().flatten() {
            let request = request(&known, &base, (path, method), operation, words);
            let samples = Language::ALL.map(|language| {
                let (lang, label) = language.names();
                json!({"lang": lang, "label": label, "source": language.code(&request)})
            });
            operation["x-codeSamples"] = json!(samples);
        }
    }
    document["components"]["schemas"] = known;
}

fn request(
    known: &Value,
    base: &str,
    (path, method): (&str, &str),
    operation: &Value,
    words: &Words,
) -> Request {
    let makes_key = (path, method) == ("/v1/api-keys", "post");
    let (mut path, mut query) = (path.to_owned(), Vec::new());
    let mut creates = false;
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let name = parameter["name"].as_str().unwrap_or_default();
        let value = || plain(&example(known, &parameter["schema"], 0));
        match parameter["in"].as_str() {
            Some("path") => path = path.replace(&format!("{{{name}}}"), &value()),
            Some("query") if parameter["required"] == true || name == "organization" => {
                query.push(format!("{name}={}", value()))
            }
            Some("header") if name == HEADER => creates = true,
            _ => {}
        }
    }
    let query = if query.is_empty() {
        String::new()
    } else {
        format!("?{}", query.join("&"))
    };
    let mut body = operation
        .pointer("/requestBody/content/application~1json/schema")
        .map(|schema| example(known, schema, 0));
    if let Some(Value::Object(fields)) = &mut body {
        say(fields, words, method);
        if makes_key && words.names_owner {
            fields.insert("owner".to_owned(), json!(zeros("usr")));
        }
    }
    Request {
        method: method.to_ascii_uppercase(),
        url: format!("{base}{path}{query}"),
        creates,
        body,
    }
}

/// Puts words that are known here where the schema says no more than that there is one.
fn say(fields: &mut Map<String, Value>, words: &Words, method: &str) {
    for (name, value) in fields {
        match (name.as_str(), &*value) {
            ("environment", _) => *value = json!(words.environment.as_str()),
            ("scopes", _) => *value = json!([words.scope]),
            ("permissions", Value::Array(_)) => *value = json!([words.permission]),
            // no two of a kind share a name: what one sample makes, the next one names otherwise
            ("name", Value::String(word)) if word == EXAMPLE => {
                *value = json!(match method {
                    "patch" => "Another name",
                    "put" => "A name of yours",
                    _ => EXAMPLE,
                });
            }
            ("role", Value::String(word)) if word == EXAMPLE => *value = json!(words.role),
            _ => {}
        }
    }
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// A value that the schema admits, as small as it may be.
fn example(known: &Value, schema: &Value, depth: usize) -> Value {
    if let Some(name) = schema["$ref"]
        .as_str()
        .and_then(|target| target.rsplit('/').next())
    {
        return if depth < 8 {
            example(known, &known[name], depth + 1)
        } else {
            Value::Null
        };
    }
    if let Some(given) = schema
        .get("examples")
        .and_then(|all| all.get(0))
        .or_else(|| schema.get("const"))
        .or_else(|| schema["enum"].get(0))
    {
        return given.clone();
    }
    if let Some(choice) = schema["oneOf"]
        .get(0)
        .or_else(|| schema["anyOf"].get(0))
        .or_else(|| schema["allOf"].get(0))
    {
        return example(known, choice, depth + 1);
    }
    let kind = schema["type"]
        .as_str()
        .or_else(|| schema["type"][0].as_str())
        .unwrap_or("object");
    match kind {
        "string" => json!(string(schema)),
        "integer" | "number" => schema.get("minimum").cloned().unwrap_or_else(|| json!(1)),
        "boolean" => json!(true),
        "array" if schema["minItems"].as_u64().unwrap_or_default() > 0 => {
            json!([example(known, &schema["items"], depth + 1)])
        }
        "array" => json!([]),
        _ => Value::Object(object(known, schema, depth)),
    }
}

/// The required fields; where none is, the first, so that a change changes something.
fn object(known: &Value, schema: &Value, depth: usize) -> Map<String, Value> {
    let fields = schema["properties"].as_object();
    let mut names: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let has = |name: &str| fields.is_some_and(|fields| fields.contains_key(name));
    if names.is_empty() {
        let first = fields
            .and_then(|fields| fields.keys().next())
            .map(String::as_str);
        // who is new has a name and an address
        let named = ["name", "email"].into_iter().filter(|name| has(name));
        names.extend(named);
        if names.is_empty() {
            names.extend(first);
        }
    }
    let value = |name: &str| match name {
        "email" => json!(ADDRESS),
        _ => example(known, &schema["properties"][name], depth + 1),
    };
    let mut object: Map<String, Value> = names
        .into_iter()
        .map(|name| (name.to_owned(), value(name)))
        .collect();
    // of a key exactly one of four fields says when it ends, and it needs a name unless the operator says otherwise
    if has("expires_in_days") && has("never_expires") {
        object.insert("name".to_owned(), json!(EXAMPLE));
        object.insert("expires_in_days".to_owned(), json!(90));
    }
    // the code flow, which is the default, needs one
    if has("redirect_uris") && has("client_type") {
        object.insert("redirect_uris".to_owned(), json!([CALLBACK]));
    }
    object
}

fn string(schema: &Value) -> String {
    let id = schema["pattern"]
        .as_str()
        .and_then(|pattern| pattern.strip_prefix('^')?.split_once("_[0-9A-Za-z]{22}$"));
    match (id, schema["format"].as_str()) {
        (Some((kind, _)), _) => zeros(kind),
        (None, Some("date-time")) => "2030-01-01T00:00:00Z".to_owned(),
        (None, Some("email")) => ADDRESS.to_owned(),
        (None, Some("uri" | "uri-reference")) => "https://acme.example".to_owned(),
        _ => EXAMPLE.to_owned(),
    }
}

/// An id that stands for one's own.
fn zeros(kind: &str) -> String {
    format!("{kind}_{}", "0".repeat(22))
}

fn curl(request: &Request) -> String {
    let mut lines = vec![
        format!("curl -X {} '{}'", request.method, request.url),
        format!("-H \"Authorization: Bearer ${VARIABLE}\""),
    ];
    if request.creates {
        lines.push(format!("-H \"{HEADER}: $(openssl rand -hex 16)\""));
    }
    if let Some(body) = request.json() {
        lines.push("-H 'Content-Type: application/json'".to_owned());
        lines.push(format!("-d '{}'", body.replace('\'', "'\\''")));
    }
    lines.join(" \\\n  ")
}

fn python(request: &Request) -> String {
    let mut imports = vec!["os"];
    let mut headers = format!("\"Authorization\": f\"Bearer {{os.environ['{VARIABLE}']}}\"");
    if request.creates {
        imports.push("uuid");
        headers.push_str(&format!(", \"{HEADER}\": str(uuid.uuid4())"));
    }
    let imports: String = imports
        .iter()
        .map(|name| format!("import {name}\n"))
        .collect();
    let body = request.body.as_ref().map_or_else(String::new, |body| {
        format!("    json={},\n", python_value(body))
    });
    format!(
        "{imports}\nimport requests\n\nanswer = requests.request(\n    \"{}\",\n    \"{}\",\n    headers={{{headers}}},\n{body}    timeout=10,\n)\n\
         answer.raise_for_status()\nprint(answer.text)",
        request.method, request.url
    )
}

fn python_value(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Array(values) => format!(
            "[{}]",
            values
                .iter()
                .map(python_value)
                .collect::<Vec<_>>()
                .join(", ")
        ),
        Value::Object(fields) => {
            let fields: Vec<_> = fields
                .iter()
                .map(|(name, value)| format!("{}: {}", json!(name), python_value(value)))
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
        other => other.to_string(),
    }
}

fn javascript(request: &Request) -> String {
    let mut headers = vec![format!(
        "Authorization: `Bearer ${{process.env.{VARIABLE}}}`"
    )];
    if request.creates {
        headers.push(format!("\"{HEADER}\": crypto.randomUUID()"));
    }
    let body = request.json().map_or_else(String::new, |body| {
        headers.push("\"Content-Type\": \"application/json\"".to_owned());
        format!("  body: JSON.stringify({body}),\n")
    });
    format!(
        "const answer = await fetch(\"{}\", {{\n  method: \"{}\",\n  headers: {{ {} }},\n{body}}});\n\
         if (!answer.ok) throw new Error(await answer.text());\nconsole.log(await answer.text());",
        request.url,
        request.method,
        headers.join(", ")
    )
}

fn go(request: &Request) -> String {
    let (reader, mut imports) = match request.json() {
        Some(body) => (format!("strings.NewReader(`{body}`)"), vec!["strings"]),
        None => ("nil".to_owned(), Vec::new()),
    };
    let mut headers =
        format!("\trequest.Header.Set(\"Authorization\", \"Bearer \"+os.Getenv(\"{VARIABLE}\"))\n");
    if request.creates {
        imports.push("time");
        headers.push_str(&format!(
            "\trequest.Header.Set(\"{HEADER}\", fmt.Sprint(time.Now().UnixNano()))\n"
        ));
    }
    if request.body.is_some() {
        headers.push_str("\trequest.Header.Set(\"Content-Type\", \"application/json\")\n");
    }
    imports.extend(["fmt", "io", "net/http", "os"]);
    imports.sort_unstable();
    let imports: String = imports
        .iter()
        .map(|name| format!("\t\"{name}\"\n"))
        .collect();
    format!(
        "package main\n\nimport (\n{imports})\n\nfunc main() {{\n\trequest, err := http.NewRequest(\"{}\", \"{}\", {reader})\n\tif err != nil {{\n\t\tpanic(err)\n\t}}\n\
         {headers}\tanswer, err := http.DefaultClient.Do(request)\n\tif err != nil {{\n\t\tpanic(err)\n\t}}\n\tdefer answer.Body.Close()\n\
         \tbody, err := io.ReadAll(answer.Body)\n\tfmt.Println(answer.Status, string(body), err)\n}}",
        request.method, request.url
    )
}

fn rust(request: &Request) -> String {
    let (mut more, mut needs) = (String::new(), "reqwest (blocking)".to_owned());
    if request.creates {
        more.push_str(&format!(
            "        .header(\"{HEADER}\", uuid::Uuid::new_v4().to_string())\n"
        ));
        needs.push_str(", uuid (v4)");
    }
    if let Some(body) = request.json() {
        more.push_str(&format!("        .header(\"Content-Type\", \"application/json\")\n        .body(r#\"{body}\"#)\n"));
    }
    format!(
        "// crates: {needs}\nfn main() -> Result<(), Box<dyn std::error::Error>> {{\n    let token = std::env::var(\"{VARIABLE}\")?;\n    \
         let answer = reqwest::blocking::Client::new()\n        .request(reqwest::Method::{}, \"{}\")\n        .bearer_auth(token)\n{more}        .send()?\n        \
         .error_for_status()?;\n    println!(\"{{}}\", answer.text()?);\n    Ok(())\n}}",
        request.method, request.url
    )
}

/// One operation on the page.
pub struct Sample {
    pub id: String,
    pub summary: String,
    /// `POST /v1/api-keys`
    pub call: String,
    pub code: String,
}

#[derive(Template)]
#[template(path = "api/examples.html")]
pub struct Page {
    pub shell: Shell,
    /// The label, the word of the query, and whether it is shown.
    pub languages: Vec<(&'static str, String, bool)>,
    pub samples: Vec<Sample>,
}

/// All operations of the description in one language.
pub fn page(product_name: String, document: &Value, language: Language) -> Page {
    let index = Language::ALL
        .iter()
        .position(|one| *one == language)
        .unwrap_or_default();
    let paths = document["paths"].as_object().into_iter().flatten();
    let operations = paths.flat_map(|(path, methods)| {
        methods
            .as_object()
            .into_iter()
            .flatten()
            .map(move |(method, one)| (path, method, one))
    });
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let samples = operations.map(|(path, method, operation)| Sample {
        id: text(&operation["operationId"]),
        summary: text(&operation["summary"]),
        call: format!("{} {path}", method.to_ascii_uppercase()),
        code: text(&operation["x-codeSamples"][index]["source"]),
    });
    let languages = Language::ALL.map(|one| {
        (
            one.names().1,
            one.names().1.to_ascii_lowercase(),
            one == language,
        )
    });
    let shell = Shell {
        title: "Examples".to_owned(),
        product_name,
        ..Shell::default()
    };
    Page {
        shell,
        languages: languages.to_vec(),
        samples: samples.collect(),
    }
}
