//! The program itself, as somebody types it.

mod api_key;
mod config;
mod doctor;
mod first_steps;
mod limits;
mod migrate;
mod operator;
mod organization;
mod quickstart;
mod resource_server;
mod serve;
mod signing_keys;
mod user;

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::databases::TestDatabase;

/// A folder for the secret key, and the database; the program is started in that folder with both.
struct Place {
    folder: TempDir,
    variables: Vec<(String, String)>,
}

impl Place {
    fn new(db: &TestDatabase) -> Self {
        Self::empty().with("COUNTERSIGN_DATABASE_URL", &db.url())
    }

    /// Without a database, as `quickstart` wants it.
    fn empty() -> Self {
        let place = Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            variables: Vec::new(),
        };
        let key = place.path().join("secret.key").display().to_string();
        place
            .with("COUNTERSIGN_SECRET_KEY_FILE", &key)
            .with("COUNTERSIGN_SERVER_LISTEN", "127.0.0.1:0")
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.retain(|(own, _)| own != name);
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).expect("the folder takes a file");
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command
            .args(arguments)
            .current_dir(self.path())
            .envs(self.variables.iter().cloned());
        command
    }

    /// Runs it to its end.
    fn run(&self, arguments: &[&str]) -> Ended {
        Ended::from(
            self.command(arguments)
                .stdin(Stdio::null())
                .output()
                .expect("the program runs"),
        )
    }

    fn run_with_input(&self, arguments: &[&str], input: &str) -> Ended {
        let mut command = self.command(arguments);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program runs");
        child
            .stdin
            .take()
            .expect("piped")
            .write_all(input.as_bytes())
            .unwrap_or_default(); // or it has refused before
        Ended::from(child.wait_with_output().expect("the program ends"))
    }

    fn start(&self, arguments: &[&str]) -> Program {
        let mut command = self.command(arguments);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let output = BufReader::new(child.stdout.take().expect("piped")).lines();
        let log = BufReader::new(child.stderr.take().expect("piped")).lines();
        Program { child, output, log }
    }
}

struct Ended {
    succeeded: bool,
    output: String,
    /// What was said on standard error.
    said: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Self {
            succeeded: output.status.success(),
            output: text(output.stdout),
            said: text(output.stderr),
        }
    }
}

impl Ended {
    fn assert_refused(&self, part: &str) {
        assert!(
            !self.succeeded && self.output.is_empty(),
            "{}{}",
            self.output,
            self.said
        );
        assert!(self.said.contains(part), "{part}: {}", self.said);
        assert!(!self.said.contains("panicked"), "{}", self.said);
    }
}

/// A server that runs; it is killed with the value.
struct Program {
    child: Child,
    output: Lines<BufReader<ChildStdout>>,
    log: Lines<BufReader<ChildStderr>>,
}

impl Program {
    fn line(&mut self) -> String {
        self.output.next().expect("a line").expect("UTF-8")
    }

    /// Reads the log up to the line that holds `part`.
    fn logged(&mut self, part: &str) -> String {
        self.log
            .by_ref()
            .map(|line| line.expect("UTF-8"))
            .find(|line| line.contains(part))
            .expect("logged")
    }

    /// Where `serve` says it serves.
    fn issuer(&mut self) -> String {
        let line = self.logged("Serving");
        let start = line.find("http://").expect("an address");
        line[start..]
            .split(['"', ' '])
            .next()
            .expect("an address")
            .to_owned()
    }

    fn tell(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it runs");
    }

    /// Whether it ended well, and what else it wrote.
    fn end(mut self) -> (bool, Vec<String>) {
        let status = self.child.wait().expect("it ends");
        let rest = self
            .output
            .by_ref()
            .map(|line| line.expect("UTF-8"))
            .collect();
        (status.success(), rest)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn the_help_names_every_command_and_what_it_does() {
    let place = Place::empty();
    let help = place.run(&["--help"]);
    assert!(help.succeeded);
    for line in [
        "quickstart ",
        "  Serve on an embedded database",
        "serve ",
        "migrate ",
        "backup ",
        "restore ",
        "restored ",
        "config ",
        "user ",
        "organization ",
        "api-key ",
        "resource-server ",
        "operator ",
        "signing-keys ",
        "clock ",
        "doctor ",
        "--version",
    ] {
        assert!(help.output.contains(line), "{line}: {}", help.output);
    }
    for (arguments, part) in [
        (&["quickstart", "--help"][..], "--data-dir"),
        (&["serve", "--help"], "--config <FILE>"),
        (&["migrate", "--help"], "--config <FILE>"),
        (&["config", "check", "--help"], "secrets left out"),
        (&["user", "create", "--help"], "--password-stdin"),
        (&["user", "password", "--help"], "--password-stdin"),
        (&["user", "suspend", "--help"], "--email"),
        (&["operator", "token", "create", "--help"], "--expires-days"),
        (&["signing-keys", "rotate", "--help"], "--now"),
        (&["backup", "--help"], "--force"),
        (&["restore", "--help"], "--in-place"),
        (&["restored", "resume", "--help"], "--all"),
        (&["clock", "accept", "--help"], "--config <FILE>"),
        (&["doctor", "--help"], "--json"),
    ] {
        let help = place.run(arguments);
        assert!(
            help.succeeded && help.output.contains(part),
            "{arguments:?}: {}",
            help.output
        );
    }
    assert!(place.run(&["--version"]).output.starts_with("countersign "));
    let nothing = place.run(&[]);
    assert!(
        !nothing.succeeded && nothing.said.contains("quickstart"),
        "{}",
        nothing.said
    );
    place.run(&["qickstart"]).assert_refused("'quickstart'");
}
