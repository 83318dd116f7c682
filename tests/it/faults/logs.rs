//! Logs that cannot be written, or that nobody reads: the real binary with each fault at its standard error and its standard
//! output. Every request is answered, the process ends when it is told to, and what was lost is counted and told.
#![expect(clippy::panic, reason = "a test fails by it")]

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, PipeReader, PipeWriter, Read, Write, pipe};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use countersign::telemetry::logs;
use futures_util::future::join_all;
use reqwest::{Client, StatusCode};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::databases::{SMALL_DISK, block_on, offered};

const PROGRAM: &str = env!("CARGO_BIN_EXE_countersign");
/// Only ends a test that has failed: the machine may be slow.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);

// --- a server with a broken log -------------------------------------------------------------------------------------

/// `quickstart` in a folder of its own: its first line says where it is. It is killed with the value.
struct Serving {
    child: Child,
    /// What it printed on standard output.
    shown: Value,
    client: Client,
    folder: TempDir,
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// With room for a few hundred lines that wait.
fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("COUNTERSIGN_LOGS_FORMAT", "json")
        .env("COUNTERSIGN_LOGS_BUFFER_BYTES", "65536")
        .stdin(Stdio::null());
    command
}

const QUICKSTART: [&str; 4] = ["quickstart", "--json", "--listen", "127.0.0.1:0"];

impl Serving {
    fn with_log(log: impl Into<Stdio>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = command(folder.path(), &QUICKSTART);
        command.stderr(log);
        Self::start(command, folder)
    }

    fn start(mut command: Command, folder: TempDir) -> Self {
        let child = command.stdout(Stdio::piped()).spawn().expect("it starts");
        let mut serving = Self {
            child,
            shown: Value::Null,
            client: Client::new(),
            folder,
        };
        let mut line = String::new();
        let output = serving.child.stdout.as_mut().expect("piped");
        let read = BufReader::new(output).read_line(&mut line);
        assert!(read.is_ok_and(|read| read > 0), "it ended: {line}");
        serving.shown = serde_json::from_str(&line).expect("JSON");
        serving
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.shown["issuer"].as_str().expect("a URL"))
    }

    /// Asks so often, eight at once.
    async fn ask(&self, times: usize) {
        let asker = async |own: usize| {
            for number in (own..times).step_by(8) {
                let answer = self.client.get(self.url("/healthz")).send().await;
                let status = answer.map(|answer| answer.status());
                assert!(
                    matches!(status, Ok(StatusCode::OK)),
                    "request {number}: {status:?}"
                );
            }
        };
        join_all((0..8).map(asker)).await;
    }

    /// A decision on the hot path.
    async fn verify(&self) {
        let own = &self.shown["resource_server"];
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let answer = self
            .client
            .post(self.url("/v1/verify"))
            .basic_auth(text(&own["client_id"]), Some(text(&own["client_secret"])))
            .json(&json!({"credential": self.shown["sandbox_key"]}))
            .send();
        let status = answer.await.expect("an answer").status();
        assert_eq!(status, StatusCode::OK);
    }

    /// Logged as a warning.
    async fn be_refused(&self) {
        let answer = self
            .client
            .post(self.url("/oauth2/token"))
            .form(&[("grant_type", "client_credentials")])
            .send();
        let status = answer.await.expect("an answer").status();
        assert_eq!(status, StatusCode::UNAUTHORIZED);
    }

    async fn dropped(&self, level: &str) -> u64 {
        let answer = self.client.get(self.url("/metrics")).send();
        let text = answer.await.expect("an answer").text();
        let text = text.await.expect("text");
        let name = format!("countersign_log_lines_dropped_total{{level=\"{level}\"}} ");
        let count = text.lines().find_map(|line| line.strip_prefix(&name));
        count.expect("counted").parse().expect("a number")
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// SIGTERM is enough.
    fn stop(mut self) {
        kill_process(self.pid(), Signal::TERM).expect("it runs");
        let status = ended(&mut self.child);
        assert!(status.success(), "{status}");
    }
}

fn ended(child: &mut Child) -> ExitStatus {
    let mut status = None;
    eventually("it ends", || {
        status = child.try_wait().expect("it can be asked");
        status.is_some()
    });
    status.expect("it has ended")
}

fn eventually(what: &str, mut happens: impl FnMut() -> bool) {
    for _ in 0..PATIENCE.as_millis() / LOOK_EVERY.as_millis() {
        if happens() {
            return;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    panic!("never: {what}");
}

fn full_device() -> File {
    File::options()
        .write(true)
        .open("/dev/full")
        .expect("Linux")
}

/// Whoever writes gets `EPIPE`.
fn dead_pipe() -> PipeWriter {
    pipe().expect("a pipe").1
}

/// Nothing more fits in, and nobody reads it while the reader is kept.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, writer) = pipe().expect("a pipe");
    // the flag is the pipe's, not ours alone: it is taken back
    let flags = rustix::fs::fcntl_getfl(&writer).expect("flags");
    let set = |flags| rustix::fs::fcntl_setfl(writer.as_fd(), flags).expect("set");
    set(flags | rustix::fs::OFlags::NONBLOCK);
    while rustix::io::write(&writer, &[b'\n'; 1024]).is_ok() {}
    while rustix::io::write(&writer, b"\n").is_ok() {}
    set(flags);
    (reader, writer)
}

/// Every line is one JSON object.
fn parsed(log: &str) -> Vec<Value> {
    let lines = log.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("torn: {line}")))
        .collect()
}

fn message(line: &Value) -> &str {
    line["message"].as_str().unwrap_or_default()
}

fn tells_of_dropped_lines(line: &Value) -> bool {
    message(line).contains("lines of the log were dropped")
}

fn survives_a_log_that_fails(log: impl Into<Stdio>) {
    let serving = Serving::with_log(log);
    block_on(async {
        serving.ask(600).await;
        serving.verify().await;
        serving.be_refused().await;
        assert!(
            serving.dropped("info").await > 100,
            "what is lost is counted"
        );
        assert_eq!(
            serving.dropped("warn").await,
            0,
            "information is lost first"
        );
    });
    serving.stop();
}

#[test]
fn a_full_device_takes_nothing_away() {
    survives_a_log_that_fails(full_device());
}

#[test]
fn a_dead_reader_takes_nothing_away() {
    survives_a_log_that_fails(dead_pipe());
}

#[test]
fn a_closed_standard_error_takes_nothing_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut shell = Command::new("sh");
    let script = format!("exec '{PROGRAM}' {} 2>&-", QUICKSTART.join(" "));
    shell
        .args(["-c", &script])
        .current_dir(folder.path())
        .stdin(Stdio::null());
    let serving = Serving::start(shell, folder);
    block_on(async {
        serving.ask(100).await;
        serving.verify().await;
    });
    serving.stop();
}

/// Without any bound, a sleeping reader of a pipe of 64 KiB hung the server after some four hundred requests.
#[test]
fn a_reader_that_sleeps_is_told_what_it_missed() {
    let (mut reader, writer) = pipe().expect("a pipe");
    let serving = Serving::with_log(writer);
    let (told, missed) = block_on(async {
        serving.ask(5_100).await;
        serving.be_refused().await;
        serving.verify().await;
        let missed = serving.dropped("info").await;
        assert!(missed > 4_000, "{missed}");
        assert_eq!(
            serving.dropped("warn").await,
            0,
            "information is lost first"
        );
        let told = std::thread::spawn(move || {
            let (mut log, mut bytes) = (Vec::new(), [0; 4096]);
            while !log.ends_with(b"\n") || !parsed_bytes(&log).iter().any(tells_of_dropped_lines) {
                let read = reader.read(&mut bytes).expect("readable");
                assert!(read > 0, "it never told");
                log.extend_from_slice(&bytes[..read]);
            }
            (parsed_bytes(&log), reader)
        });
        (told.join().expect("it reads"), missed)
    });
    let (lines, sleeps_again) = told;
    let note = lines.iter().find(|line| tells_of_dropped_lines(line));
    let note = note.expect("told");
    // and those that asked how many
    let missed_until_then = block_on(serving.dropped("info"));
    assert!((missed..missed + 10).contains(&missed_until_then));
    assert_eq!(note["infos"].as_u64(), Some(missed_until_then), "{note}");
    assert_eq!(
        (&note["level"], &note["errors"]),
        (&json!("WARN"), &json!(0))
    );
    let is_warning = |line: &&Value| message(line).starts_with("Rejected token request");
    assert_eq!(lines.iter().filter(is_warning).count(), 1, "kept");
    // it ends beside a reader that does not read
    block_on(serving.ask(1_000));
    serving.stop();
    drop(sleeps_again);
}

fn parsed_bytes(log: &[u8]) -> Vec<Value> {
    let whole = log
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    parsed(std::str::from_utf8(&log[..whole]).expect("text"))
}

// --- a disk that is full, and has room again ------------------------------------------------------------------------

/// A log file that takes no more, then takes more again.
struct Outage {
    path: PathBuf,
    serving: Serving,
}

impl Outage {
    fn with_log_in(folder: &Path) -> Self {
        let path = folder.join("countersign.log");
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .expect("a file");
        let serving = Serving::with_log(file);
        block_on(serving.ask(1));
        let outage = Self { path, serving };
        eventually("it logs", || outage.log().contains("/healthz"));
        outage
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.path).expect("readable")
    }

    /// Everything is answered while the log takes nothing, or a part of a line.
    fn live_through(&self) {
        block_on(async {
            self.serving.ask(600).await;
            self.serving.verify().await;
            assert!(self.serving.dropped("info").await > 100);
        });
    }

    /// It goes on; one line at most is torn, and harms none that follows.
    fn assert_resumed(self) {
        eventually("it tells what it dropped", || {
            self.log()
                .contains("lines of the log were dropped, because it could not be written")
        });
        let before = self.log().matches("/v1/verify").count();
        block_on(self.serving.verify());
        eventually("it logs again", || {
            self.log().matches("/v1/verify").count() > before
        });
        let log = self.log();
        let lines = log.lines().filter(|line| !line.is_empty());
        let torn: Vec<&str> = lines
            .filter(|line| serde_json::from_str::<Value>(line).is_err())
            .collect();
        assert!(torn.len() <= 1, "{torn:?}");
        self.serving.stop();
    }
}

#[test]
fn a_log_on_a_full_disk_goes_on_when_there_is_room() {
    let Some(disk) = offered("SMALL_DISK", "SMALL_DISK") else {
        return;
    };
    let alone = SMALL_DISK.lock();
    let folder = TempDir::new_in(&disk).expect("a folder");
    let outage = Outage::with_log_in(folder.path());
    let ballast = folder.path().join("ballast");
    fill(&ballast);
    outage.live_through();
    std::fs::remove_file(&ballast).expect("removed");
    outage.assert_resumed();
    drop(folder);
    drop(alone);
}

/// To the last byte of the disk.
fn fill(ballast: &Path) {
    let mut file = File::create(ballast).expect("a file");
    for size in [64 * 1024, 1024, 1] {
        while file.write_all(&vec![1; size]).is_ok() {}
    }
}

/// By default, the signal that comes with the error ends the process. The limit lies in the midst of a line, which is torn.
#[test]
fn a_log_file_that_reaches_its_limit_goes_on_when_it_is_raised() {
    let folder = tempfile::tempdir().expect("a folder");
    let outage = Outage::with_log_in(folder.path());
    let limit = |most| {
        let limit = Rlimit {
            current: most,
            maximum: None,
        };
        prlimit(Some(outage.serving.pid()), Resource::Fsize, limit).expect("set");
    };
    let bytes = std::fs::metadata(&outage.path).expect("a file").len();
    limit(Some(bytes + 100));
    block_on(outage.serving.ask(600));
    assert!(block_on(outage.serving.dropped("info")) > 100);
    limit(None);
    outage.assert_resumed();
}

// --- the end of the process -----------------------------------------------------------------------------------------

/// What stops it from starting cannot be said to anybody, and it ends nevertheless.
#[test]
fn a_start_that_fails_ends_although_nobody_reads_why() {
    let (_reader, sleeping) = full_pipe();
    let logs: [Stdio; 3] = [sleeping.into(), dead_pipe().into(), full_device().into()];
    for log in logs {
        let folder = tempfile::tempdir().expect("a folder");
        let mut serve = command(folder.path(), &["serve"]);
        let mut child = serve
            .env("COUNTERSIGN_SERVER_LISTEN", "127.0.0.1:0")
            .env("COUNTERSIGN_DATABASE_URL", "sqlite:nowhere/countersign.db")
            .stderr(log)
            .spawn()
            .expect("it starts");
        assert_eq!(ended(&mut child).code(), Some(1), "no panic");
    }
}

const CHILD: &str = "COUNTERSIGN_TEST_PANICS";

/// The standard library's own message would wait for the reader.
#[test]
fn a_panic_waits_for_no_reader_of_the_log() {
    let run = |log: Stdio| {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command
            .args(["--exact", "faults::logs::panics_in_a_thread", "--nocapture"])
            .env(CHILD, "1")
            .env_remove("RUST_BACKTRACE")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let mut child = command.spawn().expect("it starts");
        assert!(ended(&mut child).success());
    };
    let (_reader, sleeping) = full_pipe();
    run(sleeping.into());
    run(full_device().into());
    let (mut reader, writer) = pipe().expect("a pipe");
    run(writer.into());
    let mut log = String::new();
    reader.read_to_string(&mut log).expect("text");
    let lines = parsed(&log);
    assert_eq!(lines.len(), 1, "{log}");
    assert_eq!(message(&lines[0]), "Panicked: on purpose");
    assert_eq!(lines[0]["thread"], "careless");
    let location = lines[0]["location"].as_str().expect("a place");
    assert!(location.contains("logs.rs:"), "{location}");
}

/// The child of `a_panic_waits_for_no_reader_of_the_log`; by itself it has nothing to do.
#[test]
fn panics_in_a_thread() {
    if std::env::var(CHILD).is_err() {
        return;
    }
    logs::start("info", true, 64 * 1024).expect("started");
    let careless = std::thread::Builder::new().name("careless".to_owned());
    let careless = careless.spawn(|| panic!("on purpose")).expect("a thread");
    assert!(careless.join().is_err());
    logs::flush();
}

// --- standard output ------------------------------------------------------------------------------------------------

/// Runs it to its end: its exit code, and what it said on standard error.
fn run(folder: &Path, arguments: &[&str], output: impl Into<Stdio>) -> (Option<i32>, String) {
    let (mut reader, writer) = pipe().expect("a pipe");
    let mut command = command(folder, arguments);
    let mut child = command
        .stdout(output)
        .stderr(writer)
        .spawn()
        .expect("it starts");
    drop(command);
    let status = ended(&mut child);
    let mut said = String::new();
    reader.read_to_string(&mut said).expect("text");
    (status.code(), said)
}

#[test]
fn a_first_run_that_cannot_show_its_secrets_ends_and_says_so() {
    let (_reader, sleeping) = full_pipe();
    let outputs: [(Stdio, &str); 3] = [
        (full_device().into(), "No space left on device"),
        (dead_pipe().into(), "Broken pipe"),
        (sleeping.into(), "nobody reads it"),
    ];
    for (output, why) in outputs {
        let folder = tempfile::tempdir().expect("a folder");
        let (code, said) = run(folder.path(), &QUICKSTART, output);
        assert_eq!(code, Some(1), "{said}");
        for part in [
            why,
            "Nobody has seen the secrets of this first run",
            "remove countersign-data",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(!said.to_lowercase().contains("panicked"), "{said}");
    }
}

/// Its log says that the secrets were lost: whoever closed standard output, or threw it away, may have wanted it so.
#[test]
fn a_first_run_without_standard_output_warns() {
    let folder = tempfile::tempdir().expect("a folder");
    let (reader, writer) = pipe().expect("a pipe");
    let mut shell = Command::new("sh");
    let script = format!("exec '{PROGRAM}' {} >&-", QUICKSTART.join(" "));
    let child = shell
        .args(["-c", &script])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stderr(writer)
        .spawn()
        .expect("it starts");
    let serving = Serving {
        child,
        shown: Value::Null,
        client: Client::new(),
        folder,
    };
    let warns = BufReader::new(reader).lines().any(|line| {
        line.is_ok_and(|line| line.contains("nobody sees the secrets of this first run"))
    });
    assert!(warns && serving.folder.path().join("countersign-data").exists());
}

#[test]
fn a_command_whose_answer_cannot_be_written_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = |arguments: &[&str], output: Stdio| run(folder.path(), arguments, output);
    let database = ["COUNTERSIGN_DATABASE_URL", "sqlite:countersign.db"];
    let toml = format!("[database]\nurl = '{}'\n", database[1]);
    std::fs::write(folder.path().join("countersign.toml"), toml).expect("written");
    let person = ["--email", "ada@acme.example", "--name", "Ada"];
    let create = [&["user", "create"][..], &person].concat();
    for (arguments, part) in [
        (&["migrate"][..], "cannot write to standard output"),
        (&["config", "check"], "cannot write to standard output"),
        (&["doctor"], "cannot write to standard output"),
        (&["user", "list"], "cannot write to standard output"),
        (&create, "`countersign user password` makes another one"),
        (&["--help"], ""),
        (&["--version"], ""),
    ] {
        let (code, said) = run(arguments, full_device().into());
        assert_eq!(code, Some(1), "{arguments:?}: {said}");
        assert!(said.contains(part), "{arguments:?}: {said}");
        assert!(!said.contains("panicked"), "{arguments:?}: {said}");
    }
    let (code, said) = run(&["user", "list"], dead_pipe().into());
    assert!(code == Some(1) && !said.contains("panicked"), "{said}");
}
