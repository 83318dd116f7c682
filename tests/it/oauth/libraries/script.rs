//! A script that runs a library of others against a server. Where a person with a browser comes in, it writes a line with
//! the address to open (one that starts with `Refuse`: and to refuse there), and reads the line with the address that the
//! browser was sent to.

#![expect(clippy::panic, reason = "a test fails by it")]

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::databases::offered;
use crate::server::{REDIRECT_URI, Server};

pub struct Script {
    command: Command,
    /// It runs here.
    folder: TempDir,
}

impl Script {
    /// One of tests/python. `None`: the test skips.
    pub fn python(name: &str) -> Option<Self> {
        Self::python_of(&committed("tests/python", name))
    }

    pub fn python_of(source: &str) -> Option<Self> {
        let mut script = Self::new(&offered("PYTHON", "PYTHON")?);
        let path = script.write("script.py", source);
        script.command.arg("-I").arg(path);
        Some(script)
    }

    /// One of tests/npm. `None`: the test skips.
    pub fn node(name: &str) -> Option<Self> {
        Self::node_of(&committed("tests/npm", name))
    }

    pub fn node_of(source: &str) -> Option<Self> {
        let modules = Path::new(&offered("NPM", "NPM")?).join("node_modules");
        let mut script = Self::new("node");
        std::os::unix::fs::symlink(modules, script.folder.path().join("node_modules"))
            .expect("a link");
        let (webcrypto, path) = (
            script.write("webcrypto.mjs", &committed("tests/npm", "webcrypto.mjs")),
            script.write("script.mjs", source),
        );
        script.command.arg("--import").arg(webcrypto).arg(path);
        Some(script)
    }

    pub fn shell_of(source: &str) -> Self {
        let mut script = Self::new("bash");
        let path = script.write("script.sh", source);
        script.command.args(["-euo", "pipefail"]).arg(path);
        script
    }

    pub fn go_of(source: &str) -> Self {
        let mut script = Self::new("go");
        let (path, cache) = (
            script.write("main.go", source),
            script.folder.path().join("cache"),
        );
        script
            .command
            .arg("run")
            .arg(path)
            .env("GOCACHE", cache)
            .env("GOFLAGS", "-mod=mod")
            .env("GOPROXY", "off");
        script
    }

    fn new(program: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new(program);
        // a home of its own: no settings of this machine, and nothing left behind in it
        command
            .current_dir(folder.path())
            .env("HOME", folder.path())
            .env("NO_PROXY", "127.0.0.1")
            .kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        Self { command, folder }
    }

    fn write(&self, name: &str, source: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, source).expect("the folder takes a file");
        path
    }

    pub fn with(mut self, variable: &str, value: &str) -> Self {
        self.command.env(variable, value);
        self
    }

    /// What it wrote, once it has ended well. The admin is its person.
    pub async fn run(self, server: &Server) -> String {
        let complaints = self.folder.path().join("stderr");
        let file = std::fs::File::create(&complaints).expect("the folder takes a file");
        let mut script = self
            .with("ISSUER", &server.base)
            .with("CLIENT_ID", server.planted.application.as_str())
            .with("CLIENT_SECRET", &server.secrets.client_secret)
            .with("REDIRECT_URI", REDIRECT_URI)
            .with(
                "RESOURCE_SERVER_ID",
                server.planted.resource_server.as_str(),
            )
            .with(
                "RESOURCE_SERVER_SECRET",
                &server.secrets.resource_server_secret,
            );
        let mut child = script
            .command
            .stderr(file)
            .spawn()
            .expect("the program starts");
        let output = converse(server, &mut child).await;
        let status = child.wait().await.expect("it ends");
        assert!(
            status.success(),
            "{status}\n{output}\n{}",
            std::fs::read_to_string(complaints).expect("text")
        );
        output
    }
}

async fn converse(server: &Server, child: &mut Child) -> String {
    let (mut input, mut lines) = streams(child);
    let browser = server.signed_in_browser().await;
    let mut output = String::new();
    while let Some(line) = lines.next_line().await.expect("it writes text") {
        if let Some(start) = line.find(&server.url("/oauth2/authorize?")) {
            let decision = if line.starts_with("Refuse") {
                "deny"
            } else {
                "allow"
            };
            let target = browser
                .decide(&line[start + server.base.len()..], decision)
                .await;
            input
                .write_all(format!("{target}\n").as_bytes())
                .await
                .expect("it reads");
        }
        output += &(line + "\n");
    }
    output
}

fn streams(child: &mut Child) -> (ChildStdin, Lines<BufReader<ChildStdout>>) {
    (
        child.stdin.take().expect("piped"),
        BufReader::new(child.stdout.take().expect("piped")).lines(),
    )
}

fn committed(folder: &str, name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(folder)
        .join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
