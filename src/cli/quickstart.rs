//! `countersign quickstart`: the main job on the embedded database, with nothing to set up.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use super::{Failure, ProfileArgument, make_data_folder, output, refuse_lost, start_log};
use crate::app::App;
use crate::config::Config;
use crate::crypto::Plaintext;
use crate::crypto::digest::Purpose;
use crate::crypto::format::{TokenKind, hint, mint_key, mint_token};
use crate::crypto::password;
use crate::domain::Refusal;
use crate::domain::lifecycle::quickstart::{self, ADMIN, Kept, OPERATOR, Planted, Seed};
use crate::server::run::{Running, ServeError, start};
use crate::store::{self, Database, Verdict};
use crate::types::environment::Environment;
use crate::types::time::Clock;

/// Where the example application wants its codes. Nothing listens there: the address bar shows the code.
const REDIRECT_URI: &str = "http://127.0.0.1:8976/callback";
/// The pair of RFC 7636 appendix B, so that the printed commands fit together. A real client makes its own each time.
const CODE_VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CODE_CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

const REACHABLE: &str = "Listen on 127.0.0.1, or put a proxy with TLS in front and name its https address in COUNTERSIGN_SERVER_ISSUER.";

#[derive(clap::Args)]
pub struct Arguments {
    /// Where the database and the secret key are kept
    #[arg(long, default_value = "countersign-data", value_name = "FOLDER")]
    data_dir: PathBuf,
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    listen: String,
    /// Print one line of JSON when ready, and nothing else, on standard output
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    profile: ProfileArgument,
}

/// What was made on this run, in the clear, to be shown once.
struct Made {
    planted: Planted,
    secrets: Secrets,
}

struct Secrets {
    password: String,
    operator_password: String,
    /// One of each environment that the profile has.
    keys: Vec<(Environment, Plaintext)>,
    client_secret: Plaintext,
    resource_server_secret: Plaintext,
    registration_token: Plaintext,
    operator_token: Plaintext,
}

impl Secrets {
    fn key(&self, environment: Environment) -> Option<&str> {
        self.keys
            .iter()
            .find(|(own, _)| *own == environment)
            .map(|(_, key)| key.expose())
    }
}

pub fn run(arguments: Arguments) -> Result<(), Failure> {
    let mut config = Config::load(None, arguments.profile.variables())?;
    config.database.url = format!(
        "sqlite:{}",
        arguments.data_dir.join("countersign.db").display()
    );
    config.secret.key_file = arguments.data_dir.join("secret.key").display().to_string();
    config.server.listen.clone_from(&arguments.listen);
    // before anything is made
    config
        .server
        .issuer()
        .map_err(|error| format!("{error}. {REACHABLE}"))?;
    start_log(&config)?;
    let database: Database = config.database.url.parse()?;
    refuse_lost(&config, &database)?;
    make_data_folder(&database)?;
    store::migrate(&database)?;
    let program = std::env::current_exe()?;
    actix_web::rt::System::new().block_on(async {
        let running = start(config, Clock::System, program).await?;
        let (kept, made) = plant(&running.app).await?;
        let text = if arguments.json {
            format!(
                "{}\n",
                summary(&running, &kept, made.as_ref().map(|made| &made.secrets))
            )
        } else {
            std::fs::write(arguments.data_dir.join("sample.pdf"), SAMPLE_PDF)?;
            guide(
                &running,
                made.as_ref(),
                &std::path::absolute(&arguments.data_dir)?,
            )?
        };
        if made.is_some() && is_nowhere() {
            tracing::warn!("Standard output is closed or /dev/null: nobody sees the secrets of this first run. {}", start_over(&arguments.data_dir));
        }
        let served = running.serve_until_signal(move || output::write(text)).await;
        served.map_err(|error| match error {
            ServeError::Announce(_) if made.is_some() => format!("{error}. Nobody has seen the secrets of this first run. {}", start_over(&arguments.data_dir)).into(),
            error => error.into(),
        })
    })
}

/// What to do when the secrets were made and not shown.
fn start_over(data_dir: &Path) -> String {
    format!(
        "To see them, stop this, remove {} and start again.",
        data_dir.display()
    )
}

/// Whether what is written to standard output is thrown away. A closed one was opened as `/dev/null` when the process began.
fn is_nowhere() -> bool {
    let output = rustix::fs::fstat(std::io::stdout());
    let nowhere = rustix::fs::stat("/dev/null");
    output.is_ok_and(|output| {
        nowhere.is_ok_and(|nowhere| {
            output.st_rdev == nowhere.st_rdev && output.st_ino == nowhere.st_ino
        })
    })
}

/// Finds what an earlier run made, or makes it.
async fn plant(app: &App) -> Result<(Kept, Option<Made>), Failure> {
    if let Some(kept) = app
        .store
        .read(quickstart_find)
        .await
        .map_err(|refusal| refusal.to_string())?
    {
        return Ok((kept, None));
    }
    let prefix = &app.config.keys.prefix;
    let environments = quickstart::environments(&app.settings.catalogue);
    let keys = environments.into_iter().map(|environment| {
        let (public_id, plaintext) = mint_key(prefix, app.config.keys.marker(environment));
        let digest = app.digester.digest(Purpose::ApiKey, plaintext.expose());
        ((environment, plaintext), (environment, public_id, digest))
    });
    let (keys, digests) = keys.unzip();
    let (client_secret, client) = app.mint_client_secret();
    let (resource_server_secret, server) = app.mint_client_secret();
    let secrets = Secrets {
        password: password::generate(),
        operator_password: password::generate(),
        keys,
        client_secret,
        resource_server_secret,
        registration_token: mint_token(prefix, TokenKind::InitialAccessToken),
        operator_token: mint_token(prefix, TokenKind::OperatorToken),
    };
    let seed = Seed {
        password_hash: password::hash(&secrets.password),
        operator_password_hash: password::hash(&secrets.operator_password),
        keys: digests,
        client_secret: client,
        resource_server_secret: server.digest,
        registration_token: app.digester.digest(
            Purpose::InitialAccessToken,
            secrets.registration_token.expose(),
        ),
        operator_token: (
            app.digester
                .digest(Purpose::OperatorToken, secrets.operator_token.expose()),
            hint(&secrets.operator_token),
        ),
        redirect_uri: REDIRECT_URI.parse()?,
    };
    let (config, settings) = (Arc::clone(&app.config), Arc::clone(&app.settings));
    let write = move |tx: &mut store::Tx| {
        quickstart::plant(tx, &config, &settings, &seed).map(Verdict::Done)
    };
    let planted: Result<Planted, Refusal> = app.store.write(app.clock.now(), write).await;
    let planted = planted.map_err(|refusal| format!("{refusal:?}"))?;
    Ok((planted.clone().into(), Some(Made { planted, secrets })))
}

fn quickstart_find(snapshot: &mut store::Snapshot<'_>) -> Result<Option<Kept>, Refusal> {
    quickstart::find(snapshot)
}

/// DESIGN §6: one line, secrets null on a later run.
fn summary(running: &Running, kept: &Kept, secrets: Option<&Secrets>) -> Value {
    let show = |pick: fn(&Secrets) -> &str| secrets.map(|secrets| pick(secrets).to_owned());
    let key = |environment| secrets.and_then(|secrets| secrets.key(environment));
    json!({
        "issuer": running.app.issuer.as_str(),
        "gateway": null,
        "admin": { "email": ADMIN, "password": show(|secrets| &secrets.password) },
        "operator": { "email": kept.operator.then_some(OPERATOR), "password": show(|secrets| &secrets.operator_password) },
        "organization": kept.organization,
        "workspace": kept.workspace,
        "sandbox_key": key(Environment::Sandbox),
        "production_key": key(Environment::Production),
        "registration_token": show(|secrets| secrets.registration_token.expose()),
        "operator_token": show(|secrets| secrets.operator_token.expose()),
        "application": {
            "client_id": kept.application,
            "client_secret": show(|secrets| secrets.client_secret.expose()),
            "redirect_uri": REDIRECT_URI,
        },
        "resource_server": {
            "client_id": kept.resource_server,
            "client_secret": show(|secrets| secrets.resource_server_secret.expose()),
        },
        "existing": secrets.is_none(),
    })
}

fn guide(
    running: &Running,
    made: Option<&Made>,
    data_dir: &Path,
) -> Result<String, std::fmt::Error> {
    let issuer = running.app.issuer.as_str();
    let mut text = String::new();
    writeln!(text, "\nCountersign is ready at {issuer}\n")?;
    let Some(Made { planted, secrets }) = made else {
        writeln!(
            text,
            "  The data in {} was kept. Its secrets were shown on the first run and cannot be shown again.",
            data_dir.display()
        )?;
        writeln!(text, "  Console:  {issuer}/  as {ADMIN}")?;
        writeln!(text, "  Operator: {issuer}/operator  as {OPERATOR}")?;
        writeln!(
            text,
            "  To start over, stop this, and remove or name another folder with --data-dir.\n"
        )?;
        return Ok(text);
    };
    writeln!(text, "  Shown once: copy what you need.\n")?;
    for (label, value) in [
        ("Console", format!("{issuer}/")),
        ("Admin", format!("{ADMIN}  password {}", secrets.password)),
        (
            "Operator",
            format!(
                "{OPERATOR}  password {}  at {issuer}/operator",
                secrets.operator_password
            ),
        ),
    ] {
        writeln!(text, "  {label:<16}{value}")?;
    }
    for (environment, key) in &secrets.keys {
        writeln!(
            text,
            "  {:<16}{}",
            format!("{} key", environment.title()),
            key.expose()
        )?;
    }
    for (label, value) in [
        ("Application", format!("client id {}", planted.application)),
        (
            "",
            format!("client secret {}", secrets.client_secret.expose()),
        ),
        ("Resource server", format!("id {}", planted.resource_server)),
        (
            "",
            format!("secret {}", secrets.resource_server_secret.expose()),
        ),
        (
            "Registration",
            format!(
                "initial access token {}",
                secrets.registration_token.expose()
            ),
        ),
        (
            "Management API",
            format!("operator token {}", secrets.operator_token.expose()),
        ),
        ("", format!("explorer {issuer}/v1/docs")),
    ] {
        writeln!(text, "  {label:<16}{value}")?;
    }
    commands(&mut text, &running.app, planted, secrets, data_dir)?;
    Ok(text)
}

/// Commands that work when pasted into a POSIX shell, one after the other.
fn commands(
    text: &mut String,
    app: &App,
    planted: &Planted,
    secrets: &Secrets,
    data_dir: &Path,
) -> std::fmt::Result {
    let (issuer, scheme) = (app.issuer.as_str(), &app.config.keys.header_scheme);
    let server = format!(
        "{}:{}",
        planted.resource_server,
        secrets.resource_server_secret.expose()
    );
    let client = format!("{}:{}", planted.application, secrets.client_secret.expose());
    let is_sandbox = secrets.key(Environment::Sandbox).is_some();
    let key = secrets.keys.first().map_or("", |(_, key)| key.expose());
    let pdf = quoted(&data_dir.join("sample.pdf"));
    let stamped = quoted(&data_dir.join("stamped.pdf"));
    let steps = [
        (
            if is_sandbox {
                "May the sandbox key send this document? Yes, as [DEV], watermarked, and to acme.example only."
            } else {
                "May the key send this document? Yes."
            }
            .to_owned(),
            format!(
                "curl -sw '\\n' -u {server} {issuer}/v1/verify -H 'Content-Type: application/json' -d '{{\"credential\": \"{key}\", \"permission\": \"documents:send\", \"document_name\": \"Offer\", \"recipients\": [\"bob@acme.example\"]}}'"
            ),
        ),
        (
            if is_sandbox { "To a foreign recipient? No, and the answer says which." } else { "To anybody? Yes: it is a live key." }.to_owned(),
            format!(
                "curl -sw '\\n' -u {server} {issuer}/v1/verify -H 'Content-Type: application/json' -d '{{\"credential\": \"{key}\", \"permission\": \"documents:send\", \"recipients\": [\"eve@elsewhere.example\"]}}'"
            ),
        ),
        ("What is this key?".to_owned(), format!("curl -sw '\\n' {issuer}/v1/whoami -H 'Authorization: {scheme} {key}'")),
        (
            "Stamp a PDF.".to_owned(),
            format!(
                "curl -s -u {server} {issuer}/v1/watermark -H 'Countersign-Credential: {key}' -H 'Content-Type: application/pdf' --data-binary @{pdf} -o {stamped} && ls -l {stamped}"
            ),
        ),
        (
            "A token by client credentials.".to_owned(),
            format!(
                "TOKEN=$(curl -s -u {client} {issuer}/oauth2/token -d grant_type=client_credentials | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/'); echo \"$TOKEN\""
            ),
        ),
        ("Introspect it: active.".to_owned(), format!("curl -sw '\\n' -u {server} {issuer}/oauth2/introspect -d \"token=$TOKEN\"")),
        (
            "Revoke it, and see it refused: not active.".to_owned(),
            format!(
                "curl -s -u {client} {issuer}/oauth2/revoke -d \"token=$TOKEN\"; curl -sw '\\n' -u {server} {issuer}/oauth2/introspect -d \"token=$TOKEN\""
            ),
        ),
        (
            "Register an application, as a program does that connects by itself.".to_owned(),
            format!(
                "curl -sw '\\n' {issuer}/oauth2/register -H 'Authorization: Bearer {}' -H 'Content-Type: application/json' -d '{{\"client_name\": \"My tool\", \"redirect_uris\": [\"http://127.0.0.1/callback\"], \"token_endpoint_auth_method\": \"none\"}}'",
                secrets.registration_token.expose()
            ),
        ),
        (
            "Create a workspace by the management API.".to_owned(),
            format!(
                "curl -sw '\\n' '{issuer}/v1/workspaces?organization={}' -H 'Authorization: Bearer {}' -H 'Idempotency-Key: first-try' -H 'Content-Type: application/json' -d '{{\"name\": \"Support\"}}'",
                planted.organization,
                secrets.operator_token.expose()
            ),
        ),
        (
            "The code flow: open this address and allow. Nothing listens where you are sent: copy the code out of the address bar.".to_owned(),
            format!(
                "{issuer}/oauth2/authorize?response_type=code&client_id={}&redirect_uri={}&scope=read+write&state=xyz&code_challenge={CODE_CHALLENGE}&code_challenge_method=S256",
                planted.application,
                url::form_urlencoded::byte_serialize(REDIRECT_URI.as_bytes()).collect::<String>()
            ),
        ),
        (
            "Then, within a minute, with the code in place of CODE:".to_owned(),
            format!(
                "curl -s -u {client} {issuer}/oauth2/token -d grant_type=authorization_code -d redirect_uri={REDIRECT_URI} -d code_verifier={CODE_VERIFIER} -d code=CODE"
            ),
        ),
    ];
    for (number, (purpose, command)) in steps.iter().enumerate() {
        writeln!(text, "\n  {}. {purpose}\n\n{command}", number + 1)?;
    }
    writeln!(
        text,
        "\n  Ctrl-C stops it. The data stays in {}.\n",
        data_dir.display()
    )
}

/// As a POSIX shell reads it back: in single quotes, unless every character is harmless.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// One page, Helvetica, "Offer".
const SAMPLE_PDF: &[u8] = include_bytes!("../../static/sample.pdf");
