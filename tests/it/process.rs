//! The real binary in a process of its own, and everything that it wrote.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

const PROGRAM: &str = env!("CARGO_BIN_EXE_countersign");

/// A serving process. It is killed with the value.
pub struct Process {
    child: Child,
    pub issuer: String,
    output: Arc<Mutex<Vec<u8>>>,
    readers: Vec<JoinHandle<()>>,
}

/// How a process ended, and what it had written to both its streams.
pub struct Ended {
    pub status: ExitStatus,
    pub output: String,
}

impl Process {
    /// `serve` under these variables and no others. `Err`: it ended instead.
    pub fn serve(variables: &[(&str, String)]) -> Result<Self, Ended> {
        let mut command = Command::new(PROGRAM);
        command.arg("serve");
        Self::start(command, variables)
    }

    /// The same with at most so many open files.
    pub fn serve_under(descriptors: usize, variables: &[(&str, String)]) -> Result<Self, Ended> {
        let mut command = Command::new("/bin/sh");
        let script = format!("ulimit -n {descriptors} && exec \"$0\" serve");
        command.args(["-c", &script, PROGRAM]);
        Self::start(command, variables)
    }

    fn start(mut command: Command, variables: &[(&str, String)]) -> Result<Self, Ended> {
        command.env_clear().envs(
            variables
                .iter()
                .map(|(name, value)| (*name, value.as_str())),
        );
        command
            .current_dir(std::env::temp_dir())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let (output, (sender, ready)) = (Arc::new(Mutex::new(Vec::new())), channel());
        let streams: [Box<dyn Read + Send>; 2] = [
            Box::new(child.stdout.take().expect("piped")),
            Box::new(child.stderr.take().expect("piped")),
        ];
        let readers = streams.map(|stream| {
            let (output, sender) = (Arc::clone(&output), sender.clone());
            std::thread::spawn(move || collect(stream, &output, &sender))
        });
        drop(sender);
        let mut process = Self {
            child,
            issuer: String::new(),
            output,
            readers: readers.into(),
        };
        match issuer(&ready) {
            Some(issuer) => {
                process.issuer = issuer;
                Ok(process)
            }
            None => Err(process.end()),
        }
    }

    /// What it has of the machine's memory (`VmRSS`), in bytes.
    pub fn resident_bytes(&self) -> u64 {
        let status = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(status).expect("it runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        kib.expect("a number") * 1024
    }

    /// Tells it to stop and waits until it has.
    pub fn stop(self) -> Ended {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
        self.end()
    }

    fn end(mut self) -> Ended {
        let status = self.child.wait().expect("it ends");
        self.readers
            .drain(..)
            .for_each(|reader| reader.join().expect("it only reads"));
        let output = self.output.lock().expect("nobody panicked").clone();
        Ended {
            status,
            output: String::from_utf8_lossy(&output).into_owned(),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(stream: Box<dyn Read + Send>, output: &Mutex<Vec<u8>>, lines: &Sender<String>) {
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    while stream
        .read_until(b'\n', &mut line)
        .is_ok_and(|read| read > 0)
    {
        // once it serves nobody listens any more
        let _ = lines.send(String::from_utf8_lossy(&line).into_owned());
        output.lock().expect("nobody panicked").append(&mut line);
    }
}

/// From the line that says so; none when both streams end without it.
fn issuer(lines: &Receiver<String>) -> Option<String> {
    let line = lines
        .iter()
        .find(|line| line.contains("Serving") && line.contains("issuer"))?;
    let address = &line[line.find("http://")?..];
    Some(address.split('"').next()?.to_owned())
}
