//! `countersign quickstart`: nothing to set up, and what it prints works when pasted.

use std::process::Command;

use countersign::domain::lifecycle::quickstart::{ADMIN, OPERATOR};
use reqwest::{Client, StatusCode};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::{Place, Program};
use crate::databases::{block_on, is_skipped};
use crate::server::hidden;

fn start(place: &Place, folder: &str) -> (Program, Value) {
    let mut program = place.start(&[
        "quickstart",
        "--json",
        "--listen",
        "127.0.0.1:0",
        "--data-dir",
        folder,
    ]);
    let line = program.line();
    (
        program,
        serde_json::from_str(&line).expect("one line of JSON"),
    )
}

/// The place of `quickstart` has no variables: it needs none.
fn place() -> Place {
    let mut place = Place::empty();
    place.variables.clear();
    place
}

#[test]
fn one_line_of_json_and_it_serves() {
    let place = place();
    let (program, printed) = start(&place, "data");
    let text = |pointer: &str| {
        printed
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_else(|| unreachable!("{pointer}: {printed}"))
            .to_owned()
    };
    for (pointer, start) in [
        ("/issuer", "http://127.0.0.1:"),
        ("/admin/email", ADMIN),
        ("/operator/email", OPERATOR),
        ("/operator/password", ""),
        ("/organization", "org_"),
        ("/workspace", "ws_"),
        ("/sandbox_key", "cs_sandbox_"),
        ("/production_key", "cs_production_"),
        ("/application/client_id", "app_"),
        ("/application/client_secret", "cs_cs_"),
        (
            "/application/redirect_uri",
            "http://127.0.0.1:8976/callback",
        ),
        ("/resource_server/client_id", "rs_"),
        ("/resource_server/client_secret", "cs_cs_"),
        ("/registration_token", "cs_rg_"),
        ("/operator_token", "cs_ot_"),
    ] {
        assert!(text(pointer).starts_with(start), "{pointer}: {printed}");
    }
    assert_eq!(
        (&printed["gateway"], &printed["existing"]),
        (&Value::Null, &json!(false))
    );
    assert_eq!(
        printed.as_object().expect("an object").len(),
        13,
        "{printed}"
    );
    assert!(!text("/issuer").ends_with(":0"), "the port that was free");
    block_on(async {
        let question = json!({"credential": text("/sandbox_key"), "permission": "documents:send", "recipients": ["bob@acme.example"]});
        let request = Client::new().post(format!("{}/v1/verify", text("/issuer")));
        let request = request.basic_auth(
            text("/resource_server/client_id"),
            Some(text("/resource_server/client_secret")),
        );
        let answer: Value = request
            .json(&question)
            .send()
            .await
            .expect("it serves")
            .json()
            .await
            .expect("JSON");
        assert_eq!(answer["code"], "valid", "{answer}");
    });
    program.tell(Signal::TERM);
    assert_eq!(program.end(), (true, Vec::new()), "one line and no more");
}

/// C8: a profile with one environment has no key of the other.
#[test]
fn a_profile_plants_what_its_plans_sell() {
    for (profile, sandbox, production) in [
        ("pandadoc", Some("pd_sandbox_"), Some("pd_production_")),
        ("penvio", None, Some("penv_")),
        ("documenso", None, Some("api_")),
        ("yousign", Some("ys_sandbox_"), Some("ys_production_")),
    ] {
        let place = place();
        let mut program = place.start(&[
            "quickstart",
            "--profile",
            profile,
            "--json",
            "--listen",
            "127.0.0.1:0",
            "--data-dir",
            "data",
        ]);
        let printed: Value = serde_json::from_str(&program.line()).expect("one line of JSON");
        for (name, start) in [("sandbox_key", sandbox), ("production_key", production)] {
            let key = printed[name].as_str();
            assert_eq!(
                key.map(|key| key.starts_with(start.unwrap_or_default())),
                start.map(|_| true),
                "{profile} {name}: {printed}"
            );
            let Some(key) = key else { continue };
            let answer = block_on(async {
                let question = json!({"credential": key, "permission": "documents:send", "recipients": ["bob@acme.example"]});
                let request = Client::new().post(format!(
                    "{}/v1/verify",
                    printed["issuer"].as_str().expect("an issuer")
                ));
                let server = |field: &str| {
                    printed["resource_server"][field]
                        .as_str()
                        .expect("shown")
                        .to_owned()
                };
                let request =
                    request.basic_auth(server("client_id"), Some(server("client_secret")));
                request
                    .json(&question)
                    .send()
                    .await
                    .expect("it serves")
                    .json::<Value>()
                    .await
                    .expect("JSON")
            });
            assert_eq!(answer["code"], "valid", "{profile} {name}: {answer}");
        }
    }
    place()
        .run(&["quickstart", "--profile", "penvoi"])
        .assert_refused("there is no profile \"penvoi\"; there are default, pandadoc, penvio");
}

#[test]
fn a_second_run_keeps_the_data_and_shows_no_secret() {
    let place = place();
    let (program, first) = start(&place, "data");
    program.tell(Signal::INT);
    assert!(program.end().0);
    let (_second, again) = start(&place, "data");
    assert_eq!(again["existing"], true);
    for pointer in [
        "/organization",
        "/workspace",
        "/application/client_id",
        "/application/redirect_uri",
        "/resource_server/client_id",
        "/admin/email",
        "/operator/email",
    ] {
        assert_eq!(again.pointer(pointer), first.pointer(pointer), "{pointer}");
    }
    for pointer in [
        "/admin/password",
        "/operator/password",
        "/sandbox_key",
        "/production_key",
        "/application/client_secret",
        "/resource_server/client_secret",
        "/registration_token",
        "/operator_token",
    ] {
        assert_eq!(again.pointer(pointer), Some(&Value::Null), "{pointer}");
        assert!(
            first.pointer(pointer).is_some_and(Value::is_string),
            "{pointer}"
        );
    }
    block_on(async {
        let request = Client::new().get(format!(
            "{}/v1/whoami",
            again["issuer"].as_str().expect("an issuer")
        ));
        let request = request.header(
            "authorization",
            format!("API-Key {}", first["sandbox_key"].as_str().expect("a key")),
        );
        assert_eq!(
            request.send().await.expect("it serves").status(),
            StatusCode::OK,
            "the first run's key still works"
        );
    });
}

/// People create other applications, and delete the example.
#[test]
fn a_later_run_tells_the_example_from_what_people_made_of_it() {
    let place = place();
    let (program, first) = start(&place, "data");
    block_on(async {
        let console = Console::sign_in(&first).await;
        let other = [
            ("client_type", "confidential"),
            ("scope", "read"),
            ("access_token_format", "jwt"),
            ("role", "viewer"),
            ("environment", "sandbox"),
        ];
        let mut form = other.to_vec();
        form.extend([("name", "Another"), ("grant", "client_credentials")]);
        assert_eq!(console.post("", &form).await, StatusCode::OK);
    });
    drop(program);
    let (program, again) = start(&place, "data");
    assert_eq!(
        again["application"]["client_id"], first["application"]["client_id"],
        "not the newest"
    );
    block_on(async {
        let issued = json!({"issuer": again["issuer"], "organization": again["organization"], "admin": first["admin"]});
        let console = Console::sign_in(&issued).await;
        let delete = format!(
            "/{}/delete",
            again["application"]["client_id"].as_str().expect("an id")
        );
        assert_eq!(console.post(&delete, &[]).await, StatusCode::SEE_OTHER);
    });
    drop(program);
    let (_third, last) = start(&place, "data");
    assert_eq!(
        (&last["application"]["client_id"], &last["existing"]),
        (&Value::Null, &json!(true))
    );
}

/// The admin at the applications' page.
struct Console {
    client: Client,
    list: String,
    csrf: String,
}

impl Console {
    async fn sign_in(printed: &Value) -> Self {
        let client = Client::builder()
            .cookie_store(true)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client");
        let (issuer, organization) = (
            printed["issuer"].as_str().expect("an issuer"),
            printed["organization"].as_str().expect("an id"),
        );
        let page = async |url: String| {
            client
                .get(url)
                .send()
                .await
                .expect("it serves")
                .text()
                .await
                .expect("text")
        };
        let csrf = hidden(&page(format!("{issuer}/login")).await, "csrf").expect("a token");
        let password = printed["admin"]["password"].as_str().expect("a password");
        let form = [
            ("csrf", csrf.as_str()),
            ("email", ADMIN),
            ("password", password),
        ];
        let response = client
            .post(format!("{issuer}/login"))
            .form(&form)
            .send()
            .await
            .expect("it serves");
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        let list = format!("{issuer}/dev-centre/{organization}/applications");
        let csrf = hidden(&page(list.clone()).await, "csrf").expect("a token");
        Self { client, list, csrf }
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> StatusCode {
        let mut form = vec![("csrf", self.csrf.as_str())];
        form.extend(fields);
        self.client
            .post(format!("{}{path}", self.list))
            .form(&form)
            .send()
            .await
            .expect("it serves")
            .status()
    }
}

#[test]
fn every_printed_command_works_when_pasted() {
    if is_skipped("SHELL_TOOLS") {
        return;
    }
    let place = place();
    let mut program = place.start(&[
        "quickstart",
        "--listen",
        "127.0.0.1:0",
        "--data-dir",
        "it's a folder",
    ]);
    let mut guide = String::new();
    while !guide.contains("Ctrl-C stops it.") {
        guide.push_str(&program.line());
        guide.push('\n');
    }
    let commands: Vec<&str> = guide
        .lines()
        .filter(|line| line.starts_with("curl") || line.starts_with("TOKEN"))
        .collect();
    let (exchange, commands): (Vec<&str>, Vec<&str>) = commands
        .into_iter()
        .partition(|line| line.contains("code=CODE"));
    assert_eq!((commands.len(), exchange.len()), (9, 1), "{guide}");
    // pasted elsewhere than where the server was started, one after the other into one shell
    let script = commands
        .iter()
        .map(|command| format!("echo '#'\n{command}\n"))
        .collect::<String>();
    let answers = paste(&script);
    let answers: Vec<&str> = answers.split("#\n").skip(1).collect();
    let json = |number: usize| {
        serde_json::from_str::<Value>(answers[number])
            .unwrap_or_else(|_| unreachable!("{}: {}", commands[number], answers[number]))
    };
    assert_eq!(json(0)["obligations"]["document_name"], "[DEV] Offer");
    assert_eq!(
        json(1)["refused_recipients"][0]["address"],
        "eve@elsewhere.example"
    );
    assert_eq!(json(2)["environment"], "sandbox");
    assert!(answers[3].contains("stamped.pdf"), "{}", answers[3]);
    let stamped = std::fs::read(place.path().join("it's a folder/stamped.pdf")).expect("a file");
    assert!(
        stamped.starts_with(b"%PDF-")
            && String::from_utf8_lossy(&stamped).contains("/CountersignMark"),
        "a stamped PDF"
    );
    assert_eq!(
        answers[4].trim().split('.').count(),
        3,
        "a JWT: {}",
        answers[4]
    );
    assert_eq!(json(5)["active"], true);
    assert_eq!(json(6), json!({"active": false}));
    assert!(
        json(7)["client_id"]
            .as_str()
            .is_some_and(|id| id.starts_with("app_")),
        "{}",
        answers[7]
    );
    assert_eq!(json(8)["name"], "Support");
    assert!(
        guide.contains("/oauth2/authorize?response_type=code&client_id=app_"),
        "{guide}"
    );
    let refused = paste(exchange[0]);
    assert!(refused.contains("invalid_grant"), "CODE is none: {refused}");
}

#[test]
fn what_it_prints_runs_under_every_profile() {
    if is_skipped("SHELL_TOOLS") {
        return;
    }
    for profile in ["pandadoc", "penvio", "documenso", "yousign"] {
        let place = place();
        // a refusal is a failure, too
        place.write(".curlrc", "fail-with-body\n");
        let mut program = place.start(&[
            "quickstart",
            "--profile",
            profile,
            "--listen",
            "127.0.0.1:0",
            "--data-dir",
            "data",
        ]);
        let mut script = format!("export CURL_HOME='{}'\n", place.path().display());
        loop {
            let line = program.line();
            if line.contains("Ctrl-C stops it.") {
                break;
            }
            let is_command = line.starts_with("curl") || line.starts_with("TOKEN");
            if is_command && !line.contains("code=CODE") {
                script.push_str(&line);
                script.push('\n');
            }
        }
        assert_eq!(script.lines().count(), 10, "{profile}: {script}");
        let answers = paste(&script);
        assert!(
            answers.contains("\"name\":\"Support\""),
            "{profile}: {answers}"
        );
    }
}

fn paste(script: &str) -> String {
    let elsewhere = tempfile::tempdir().expect("a temporary folder");
    let output = Command::new("sh")
        .arg("-euc")
        .arg(script)
        .current_dir(elsewhere.path())
        .output()
        .expect("a shell");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn an_address_that_is_not_loopback_is_refused_with_what_to_do() {
    let place = place();
    place
        .run(&["quickstart", "--listen", "0.0.0.0:0"])
        .assert_refused("COUNTERSIGN_SERVER_ISSUER");
    assert!(
        !place.path().join("countersign-data").exists(),
        "nothing was made"
    );
}
