//! The parent's side of a stamping: a turn in a short line, a child process, a clock.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::limits::Limits;
use super::mark::Mark;
use super::refusal::{Refusal, ensure};
use super::wire::{ANSWER_OVERHEAD_BYTES, Job, parse_answer};
use super::worker::{CPU_SECONDS, MEMORY_BYTES};

const WAITING_PER_TURN: usize = 4;

/// Stamps documents in child processes. Shared by all requests; whatever a document does to a child, the parent lives.
#[derive(Debug)]
pub struct Stamper {
    program: PathBuf,
    limits: Limits,
    /// Running and waiting requests.
    places: Semaphore,
    /// Running child processes.
    turns: Semaphore,
}

impl Stamper {
    /// `program` is this binary; it is started as `program stamp-worker`.
    pub fn new(program: PathBuf, limits: Limits) -> Self {
        let turns = limits.concurrency.max(1);
        Stamper {
            program,
            limits,
            places: Semaphore::new(turns * (1 + WAITING_PER_TURN)),
            turns: Semaphore::new(turns),
        }
    }

    /// The document with the mark on every page. Dropping the future kills the child process.
    pub async fn stamp(&self, input: Vec<u8>, mark: &Mark) -> Result<Vec<u8>, Refusal> {
        ensure(input.len() as u64 <= self.limits.max_input_bytes, || {
            Refusal::TooLarge
        })?;
        let patience = Duration::from_secs(self.limits.wall_seconds);
        let _place = self.places.try_acquire().map_err(|_| Refusal::Busy)?;
        let turn = timeout(patience, self.turns.acquire()).await;
        let _turn = turn
            .map_err(|_| Refusal::Busy)?
            .map_err(|_| Refusal::Busy)?;
        timeout(patience, self.run(input, mark))
            .await
            .unwrap_or(Err(Refusal::ResourceLimit))
    }

    async fn run(&self, input: Vec<u8>, mark: &Mark) -> Result<Vec<u8>, Refusal> {
        let failed = |error: std::io::Error| Refusal::Worker(error.to_string());
        let mut child = self.spawn().map_err(failed)?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let head = Job::head(&mark.text, self.limits.max_pages, input.len());
        tokio::spawn(write_job(stdin, head, input)); // ends with the child at the latest
        let answer = self.read_answer(stdout).await.map_err(failed)?;
        ensure(answer.len() as u64 <= self.most_answer_bytes(), || {
            Refusal::TooLarge
        })?; // dropping the child kills it
        let status = child.wait().await.map_err(failed)?;
        parse_answer(&answer).unwrap_or_else(|| Err(cause_of_death(status)))
    }

    fn spawn(&self) -> std::io::Result<Child> {
        Command::new(&self.program)
            .arg("stamp-worker")
            .env_clear()
            .env(MEMORY_BYTES, self.limits.memory_bytes.to_string())
            .env(CPU_SECONDS, self.limits.cpu_seconds.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
    }

    /// One byte more than allowed is read, so that too much can be told from enough.
    async fn read_answer(&self, stdout: Option<ChildStdout>) -> std::io::Result<Vec<u8>> {
        let mut answer = Vec::new();
        if let Some(stdout) = stdout {
            stdout
                .take(self.most_answer_bytes() + 1)
                .read_to_end(&mut answer)
                .await?;
        }
        Ok(answer)
    }

    fn most_answer_bytes(&self) -> u64 {
        self.limits
            .max_output_bytes
            .saturating_add(ANSWER_OVERHEAD_BYTES)
    }
}

/// A child that died or answered early no longer reads; its answer, or its death, tells why.
async fn write_job(stdin: Option<ChildStdin>, head: Vec<u8>, input: Vec<u8>) {
    if let Some(mut stdin) = stdin {
        let written = async {
            stdin.write_all(&head).await?;
            stdin.write_all(&input).await?;
            stdin.shutdown().await
        };
        let _ = written.await;
    }
}

/// A signal is a limit: memory (abort), processor time (SIGXCPU, SIGKILL) or stack.
fn cause_of_death(status: ExitStatus) -> Refusal {
    match status.signal() {
        Some(_) => Refusal::ResourceLimit,
        None => Refusal::Worker(format!("the child process gave no answer ({status})")),
    }
}
