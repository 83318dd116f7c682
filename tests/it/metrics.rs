//! `/metrics`: what OpenMetrics 1.0 asks of the text, the process under the names that Prometheus gives it, and requests by
//! class of route.

use std::collections::{BTreeMap, BTreeSet};

use countersign::server::routes::table;
use reqwest::StatusCode;

use crate::databases::{TestDatabase, block_on};
use crate::server::Server;

/// One metric family as it stands in the text.
#[derive(Debug, Default)]
struct Family {
    kind: String,
    unit: String,
    help: String,
    /// Name and labels, and the value.
    samples: BTreeMap<String, f64>,
}

/// Reads the text, strictly.
fn families(text: &str) -> BTreeMap<String, Family> {
    let body = text.strip_suffix("# EOF\n").expect("it ends with EOF");
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut current = String::new();
    for line in body.lines() {
        assert!(!line.is_empty() && line != "# EOF", "{line:?}");
        if let Some(described) = line.strip_prefix("# ") {
            let mut words = described.splitn(3, ' ');
            let mut word = || words.next().expect("three words").to_owned();
            let (kind, name, rest) = (word(), word(), word());
            if name != current {
                assert!(!families.contains_key(&name), "{name} comes twice");
                current.clone_from(&name);
            }
            let family = families.entry(name).or_default();
            assert!(family.samples.is_empty(), "{line}: behind its samples");
            let field = match kind.as_str() {
                "HELP" => &mut family.help,
                "TYPE" => &mut family.kind,
                "UNIT" => &mut family.unit,
                _ => unreachable!("{line}"),
            };
            assert!(field.is_empty(), "{line}: comes twice");
            *field = rest;
        } else {
            let (sample, value) = line.rsplit_once(' ').expect("a value");
            let family = families.get_mut(&current).expect("described before");
            let suffix = sample.split('{').next().expect("a name");
            let suffix = suffix.strip_prefix(&current).expect("of its family");
            let suffixes: &[&str] = match family.kind.as_str() {
                "counter" => &["_total"],
                "gauge" => &[""],
                "histogram" => &["_bucket", "_sum", "_count"],
                _ => &[],
            };
            assert!(suffixes.contains(&suffix), "{line}: a {}", family.kind);
            let value: f64 = value.parse().expect("a number");
            let before = family.samples.insert(sample.to_owned(), value);
            assert_eq!(before, None, "{line}: comes twice");
        }
    }
    for (name, family) in &families {
        assert!(!family.help.is_empty(), "{name} says nothing");
        assert!(!family.help.ends_with(".."), "{name}: {}", family.help);
        assert!(name.ends_with(&family.unit), "{name}: {}", family.unit);
        let own = name.starts_with("countersign_") || name.starts_with("process_");
        assert!(own, "{name}");
    }
    families
}

async fn read(server: &Server) -> BTreeMap<String, Family> {
    let answer = server.get("/metrics").send().await.expect("an answer");
    families(&answer.text().await.expect("text"))
}

fn value(families: &BTreeMap<String, Family>, sample: &str) -> f64 {
    let found = families.values().find_map(|own| own.samples.get(sample));
    *found.unwrap_or_else(|| unreachable!("there is no {sample}: {families:?}"))
}

#[test]
fn the_process_is_told_under_the_names_of_prometheus() {
    block_on(async {
        let server = Server::start(TestDatabase::sqlite()).await;
        let metrics = read(&server).await;
        let value = |name: &str| value(&metrics, name);
        let resident = value("process_resident_memory_bytes");
        assert!(resident > 1e6 && resident < value("process_virtual_memory_bytes"));
        let open = value("process_open_fds");
        assert!(open >= 3.0 && open <= value("process_max_fds"));
        assert!(value("process_threads") >= 2.0);
        assert!(value("process_cpu_seconds_total") > 0.0);
        let started = value("process_start_time_seconds");
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let age = now.expect("after 1970").as_secs_f64() - started;
        assert!((-60.0..86_400.0).contains(&age), "{age}");
        assert_eq!(metrics["process_cpu_seconds"].unit, "seconds");
        assert_eq!(metrics["process_resident_memory_bytes"].unit, "bytes");
    });
}

#[test]
fn lines_that_the_log_dropped_are_counted_from_zero() {
    block_on(async {
        let server = Server::start(TestDatabase::sqlite()).await;
        let metrics = read(&server).await;
        for level in ["error", "warn", "info", "debug", "trace"] {
            let sample = format!("countersign_log_lines_dropped_total{{level=\"{level}\"}}");
            assert!(value(&metrics, &sample).abs() < 0.5);
        }
    });
}

/// A stranger's path makes no class of its own.
#[test]
fn requests_are_measured_by_class_of_route() {
    block_on(async {
        let change = |config: &mut countersign::config::Config| {
            let alias = "/oauth/introspect=/oauth2/introspect".to_owned();
            config.server.aliases = vec![alias.try_into().expect("an alias")];
        };
        let server = Server::start_with(TestDatabase::sqlite(), change).await;
        for (path, status) in [
            ("/healthz", StatusCode::OK),
            ("/static/logo.svg", StatusCode::OK),
            ("/static/nothing", StatusCode::NOT_FOUND),
            ("/login", StatusCode::OK),
            ("/v1/whoami", StatusCode::UNAUTHORIZED),
            ("/v1/watermark", StatusCode::METHOD_NOT_ALLOWED),
            ("/v1/api-keys", StatusCode::UNAUTHORIZED),
            ("/v1/api-keys/a-strangers-words", StatusCode::UNAUTHORIZED),
            ("/oauth2/token", StatusCode::METHOD_NOT_ALLOWED),
            ("/oauth/introspect", StatusCode::METHOD_NOT_ALLOWED),
            ("/.well-known/jwks.json", StatusCode::OK),
            ("/a-strangers-words", StatusCode::NOT_FOUND),
            ("/v1/a-strangers-words", StatusCode::NOT_FOUND),
        ] {
            let answer = server.get(path).send().await.expect("an answer");
            assert_eq!(answer.status(), status, "{path}");
        }
        let metrics = read(&server).await;
        let family = &metrics["countersign_http_request_seconds"];
        let mut counts = BTreeMap::new();
        for (class, expected) in [
            ("verify", 1.0),
            ("introspect", 1.0),
            ("watermark", 1.0),
            ("token", 1.0),
            ("oauth", 1.0),
            ("management", 2.0),
            ("pages", 1.0),
            ("static", 2.0),
            ("operations", 1.0),
            ("unmatched", 2.0),
        ] {
            let sample = |end: &str| format!("countersign_http_request_seconds{end}");
            let count = value(&metrics, &sample(&format!("_count{{class=\"{class}\"}}")));
            assert!((count - expected).abs() < 0.5, "{class}: {count}");
            let all = sample(&format!("_bucket{{le=\"+Inf\",class=\"{class}\"}}"));
            assert!((value(&metrics, &all) - count).abs() < 0.5, "{class}");
            counts.insert(class, count);
        }
        let told = family.samples.keys().filter(|name| name.contains("_count"));
        assert_eq!(told.count(), counts.len(), "{family:?}");
        for end in ["0.0001", "0.001", "1.0", "10.0"] {
            let sample =
                format!("countersign_http_request_seconds_bucket{{le=\"{end}\",class=\"verify\"}}");
            value(&metrics, &sample);
        }
    });
}

#[test]
fn a_path_has_one_class() {
    let classes: BTreeSet<(&str, &str)> = table()
        .iter()
        .map(|route| (route.path, route.class().as_str()))
        .collect();
    let paths: BTreeSet<&str> = table().iter().map(|route| route.path).collect();
    assert_eq!(classes.len(), paths.len());
    let used: BTreeSet<&str> = classes.into_iter().map(|(_, class)| class).collect();
    assert_eq!(used.len(), 9, "every class but `unmatched`: {used:?}");
}
