//! Every command that a page, the documentation or an example shows runs as it is shown, and answers 2xx.
//!
//! What stands for a reader's own is known by its look: an id of zeros in an example, and in the documentation a line that
//! sets a variable (`TOKEN=cs_ot_…`, `ISSUER=http://127.0.0.1:8080`).

use std::process::Command;

use countersign::types::environment::Environment;
use reqwest::StatusCode;
use serde_json::json;

use crate::api::{Program, json as answer, text};
use crate::databases::{TestDatabase, both_databases, is_skipped};
use crate::server::{Browser, Server};
use crate::tenants::{admin, first_environment, management_token};

both_databases!(
    what_the_pages_show_runs_under_every_profile,
    the_examples_of_the_management_api_run_under_every_profile,
    what_the_documentation_shows_runs,
);

const PROFILES: [&str; 5] = ["default", "pandadoc", "penvio", "documenso", "yousign"];

/// Runs it in a folder of its own, where `curl` is quiet and fails by every answer but 2xx: what it printed.
async fn paste(script: &str, variables: &[(&str, &str)]) -> Result<String, String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join(".curlrc"), "silent\nfail-with-body\n").expect("written");
    let mut command = Command::new("sh");
    command
        .args(["-euc", script])
        .current_dir(folder.path())
        .env("CURL_HOME", folder.path())
        .envs(variables.iter().copied());
    let run = move || command.output();
    let output = tokio::task::spawn_blocking(run)
        .await
        .expect("it ran")
        .expect("a shell");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        Ok(printed)
    } else {
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(format!("{script}\n{printed}\n{complaint}"))
    }
}

/// The commands on a page, as a person copies them.
fn commands(html: &str) -> Vec<String> {
    let blocks = html.split("<pre").skip(1);
    let code = blocks.filter_map(|block| block.split("<code>").nth(1)?.split("</code>").next());
    code.map(|code| {
        code.replace("&#34;", "\"")
            .replace("&quot;", "\"")
            .replace("&#39;", "'")
            .replace("&#60;", "<")
            .replace("&#62;", ">")
            .replace("&#38;", "&")
    })
    .filter(|code| code.starts_with("curl"))
    .collect()
}

/// The command of the page that the form answers with; none where the profile does not open it.
async fn shown_behind(
    browser: &Browser<'_>,
    (page, action): (&str, &str),
    fields: &[(&str, &str)],
) -> Option<String> {
    let response = browser.submit(page, action, fields).await;
    let status = response.status();
    let html = response.text().await.expect("text");
    let commands = commands(&html);
    assert_eq!(
        commands.len(),
        usize::from(status == StatusCode::OK),
        "{html}"
    );
    commands.into_iter().next()
}

async fn what_the_pages_show_runs_under_every_profile(db: TestDatabase) {
    if is_skipped("SHELL_TOOLS") {
        return;
    }
    for profile in PROFILES {
        let server = Server::start_profile(db.another(), profile, |_| {}).await;
        let environment = first_environment(&server);
        let browser = server.signed_in_browser().await;
        let own = format!("/dev-centre/{}", server.planted.organization);
        let keys = format!("{own}/api-keys");
        let key = [
            ("name", "Shop"),
            ("environment", environment.as_str()),
            ("scope", "organization"),
            ("permission_level", "full"),
            ("expiry", "30"),
        ];
        let command = shown_behind(&browser, (&format!("{keys}/new"), &keys), &key).await;
        let command = command.expect("every profile has keys");
        let ran = paste(&command, &[]).await;
        let said = ran.unwrap_or_else(|failed| unreachable!("{profile}: {failed}"));
        assert!(said.contains(environment.as_str()), "{profile}: {said}");
        // the same key, to somebody outside
        let link = hand_over(&server, environment).await;
        let guest = server.browser();
        let email = [("email", "dev@agency.example")];
        let command = shown_behind(&guest, (&link, &link), &email).await;
        let command = command.expect("the secret");
        let ran = paste(&command, &[]).await;
        let said = ran.unwrap_or_else(|failed| unreachable!("{profile}: {failed}"));
        assert!(said.contains(environment.as_str()), "{profile}: {said}");
        let registration = format!("{own}/registration");
        let token = [
            ("name", "Tools"),
            ("environment", environment.as_str()),
            ("max_clients", "5"),
            ("expiry", "30"),
        ];
        let command = shown_behind(&browser, (&registration, &registration), &token).await;
        if let Some(command) = command {
            let ran = paste(&command, &[]).await;
            let said = ran.unwrap_or_else(|failed| unreachable!("{profile}: {failed}"));
            assert!(said.contains("client_id"), "{profile}: {said}");
        }
    }
}

/// The path of a link for a new key.
async fn hand_over(server: &Server, environment: Environment) -> String {
    let token = management_token(
        server,
        admin(server).await,
        "management:read management:write",
    )
    .await;
    let program = Program::new(server, &token);
    let new = json!({
        "name": "Agency", "environment": environment.as_str(), "scope": "organization", "permission_level": "full",
        "expires_in_days": 30, "pending": true,
    });
    let (status, made) = program.post("/v1/api-keys", &new).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let path = format!("/v1/api-keys/{}/hand-over", text(&made, "/id"));
    let body = json!({"email": "dev@agency.example", "expires_in_seconds": 3600});
    let (status, made) = program.post(&path, &body).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let link = text(&made, "/link");
    link[server.base.len()..].to_owned()
}

/// What stands for the reader's own in an example of the management API.
struct Own {
    ids: Vec<(&'static str, String)>,
}

impl Own {
    fn of(server: &Server, user: &str) -> Self {
        let planted = &server.planted;
        Self {
            ids: vec![
                ("org", planted.organization.to_string()),
                ("ws", planted.workspace.to_string()),
                ("usr", user.to_owned()),
                ("app", planted.application.to_string()),
                ("rs", planted.resource_server.to_string()),
            ],
        }
    }

    fn put_in(&self, source: &str) -> String {
        let zeros = "0".repeat(22);
        self.ids
            .iter()
            .fold(source.to_owned(), |source, (kind, own)| {
                source.replace(&format!("{kind}_{zeros}"), own)
            })
    }
}

/// Operations that only a person's own token can do: an operator token is nobody who could ask.
const BY_A_PERSON: [&str; 1] = ["/v1/api-key-requests"];
/// What ends or suspends the organization, or stands for a state that is not there: tried elsewhere, by its rule.
const NEEDS_A_STATE: [(&str, &str); 9] = [
    ("post", "/v1/organizations/{id}/suspend"),
    ("post", "/v1/organizations/{id}/production-access"),
    ("delete", "/v1/organizations/{id}/production-access"),
    ("delete", "/v1/members/{id}"),
    ("patch", "/v1/members/{id}"),
    ("delete", "/v1/workspaces/{id}"),
    ("delete", "/v1/workspaces/{id}/members/{user}"),
    ("delete", "/v1/applications/{id}"),
    ("delete", "/v1/resource-servers/{id}"),
];
/// Nouns of which nothing is planted.
const NOT_PLANTED: [&str; 15] = [
    "/v1/api-key-requests/",
    "/v1/api-key-transfers/",
    "/v1/api-keys/{id}",
    "/v1/applications/{id}/",
    "/v1/domains/",
    "/v1/invitations/",
    "/v1/join-requests/",
    "/v1/management-tokens/",
    "/v1/operator-tokens/",
    "/v1/operators/",
    "/v1/resource-servers/{id}/",
    "/v1/roles/",
    "/v1/service-accounts/",
    "/v1/signing-keys/",
    "/v1/users/{id}/",
];

async fn the_examples_of_the_management_api_run_under_every_profile(db: TestDatabase) {
    // row 59
    if is_skipped("SHELL_TOOLS") {
        return;
    }
    for profile in PROFILES {
        let server = Server::start_profile(db.another(), profile, |config| {
            config.limits.management.quota = 10_000;
        })
        .await;
        let person = admin(&server).await;
        let persons = management_token(&server, person, "management:read management:write").await;
        let own = Own::of(&server, person.as_str());
        let (_, document) = answer(server.get("/v1/openapi.json")).await;
        let mut ran = 0;
        for (path, methods) in document["paths"].as_object().expect("paths") {
            if NOT_PLANTED.iter().any(|noun| path.starts_with(noun)) {
                continue;
            }
            for (method, operation) in methods.as_object().expect("methods") {
                if NEEDS_A_STATE.contains(&(method.as_str(), path.as_str())) {
                    continue;
                }
                let source = operation["x-codeSamples"][0]["source"].as_str();
                let command = own.put_in(source.expect("a sample"));
                let by_a_person = method == "post" && BY_A_PERSON.contains(&path.as_str());
                let token = if by_a_person {
                    &persons
                } else {
                    &server.secrets.operator_token
                };
                let result = paste(&command, &[("COUNTERSIGN_TOKEN", token)]).await;
                if let Err(failed) = result {
                    unreachable!("{profile} {method} {path}: {failed}");
                }
                ran += 1;
            }
        }
        assert!(ran > 35, "{profile}: {ran}");
    }
}

/// The shell blocks of a page that call the server: what a reader pastes into one shell.
fn shell_blocks(page: &str) -> String {
    let mut blocks = String::new();
    let mut inside: Option<String> = None;
    for line in page.lines() {
        let fence = line.trim_start();
        match &mut inside {
            None if fence == "```sh" => inside = Some(String::new()),
            None => {}
            Some(block) if fence == "```" => {
                // the first eight commands of an installation run in `cli::first_steps`
                if block.contains("curl ") && !block.contains("cargo install") {
                    blocks.push_str(block);
                }
                inside = None;
            }
            Some(block) if !stands_for_ones_own(line) => {
                block.push_str(line);
                block.push('\n');
            }
            Some(_) => {}
        }
    }
    blocks
}

/// `TOKEN=cs_ot_…`, `ISSUER=http://127.0.0.1:8080`: the test has its own.
fn stands_for_ones_own(line: &str) -> bool {
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
    line.split_once('=').is_some_and(|(name, value)| {
        is_name(name) && (value.contains('…') || value == "http://127.0.0.1:8080")
    })
}

async fn what_the_documentation_shows_runs(db: TestDatabase) {
    if is_skipped("SHELL_TOOLS") {
        return;
    }
    let mut pages: Vec<_> = std::fs::read_dir("docs")
        .expect("docs/")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    pages.push("README.md".into());
    pages.sort();
    let mut ran = Vec::new();
    for page in pages {
        let name = page.display().to_string();
        let script = shell_blocks(&std::fs::read_to_string(&page).expect("a page"));
        if script.is_empty() {
            continue;
        }
        // each page begins where `quickstart` ends
        let server = Server::start(db.another()).await;
        let variables = variables(&server, &name).await;
        let variables: Vec<_> = variables
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let result = paste(&script, &variables).await;
        if let Err(failed) = result {
            unreachable!("{name}: {failed}");
        }
        ran.push(name);
    }
    for page in [
        "docs/api-keys.md",
        "docs/management-api.md",
        "docs/provisioning.md",
        "docs/registration.md",
        "docs/verify.md",
    ] {
        assert!(ran.iter().any(|own| own == page), "{page}: {ran:?}");
    }
}

/// What `quickstart` printed, by the names of the documentation.
async fn variables(server: &Server, page: &str) -> Vec<(&'static str, String)> {
    let (planted, secrets) = (&server.planted, &server.secrets);
    let token = if page.ends_with("registration.md") {
        secrets.registration_token.clone()
    } else {
        secrets.operator_token.clone()
    };
    let request = server
        .post("/oauth2/register")
        .bearer_auth(&secrets.registration_token)
        .json(&json!({
            "client_name": "Another", "redirect_uris": ["http://127.0.0.1/callback"], "token_endpoint_auth_method": "none",
        }));
    let (status, client) = answer(request).await;
    assert_eq!(status, StatusCode::CREATED, "{client}");
    vec![
        ("ISSUER", server.base.clone()),
        ("TOKEN", token),
        ("ORGANIZATION", planted.organization.to_string()),
        ("WORKSPACE", planted.workspace.to_string()),
        ("OWNER", admin(server).await.to_string()),
        ("RESOURCE_SERVER_ID", planted.resource_server.to_string()),
        (
            "RESOURCE_SERVER_SECRET",
            secrets.resource_server_secret.clone(),
        ),
        ("SANDBOX_KEY", secrets.sandbox_key.clone()),
        ("CLIENT", text(&client, "/client_id").to_owned()),
        (
            "MANAGEMENT",
            text(&client, "/registration_access_token").to_owned(),
        ),
    ]
}
