//! A PostgreSQL of a test's own, to be stopped and started again.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use countersign::store::Database;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A throw-away cluster that a test may stop and start.
pub struct Cluster {
    ctl: String,
    folder: PathBuf,
    _parent: TempDir,
}

impl Cluster {
    pub fn create(ctl: String) -> Self {
        let parent = TempDir::with_prefix("countersign-cluster-").expect("a folder");
        let cluster = Self {
            ctl,
            folder: parent.path().join("cluster"),
            _parent: parent,
        };
        cluster.run("create", &[&free_port().to_string()]);
        cluster
    }

    pub fn start(&self) -> Database {
        self.run("start", &[]).trim().parse().expect("a URL")
    }

    /// As a crash would.
    pub fn stop(&self) {
        self.run("stop", &[]);
    }

    /// Every process of it: connections stay open, and nothing answers.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// To the postmaster, then to its children: none is born in between.
    fn signal(&self, signal: Signal) {
        let Ok(file) = std::fs::read_to_string(self.folder.join("data/postmaster.pid")) else {
            return;
        };
        let postmaster = file.lines().next().and_then(|line| line.parse().ok());
        let postmaster = Pid::from_raw(postmaster.expect("a process id")).expect("not 0");
        let _ = kill_process(postmaster, signal);
        for child in children(postmaster) {
            let _ = kill_process(child, signal);
        }
    }

    fn run(&self, command: &str, arguments: &[&str]) -> String {
        let output = Command::new(&self.ctl)
            .arg(command)
            .arg(&self.folder)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .expect("it runs");
        assert!(
            output.status.success(),
            "{command}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).expect("text")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // a frozen one does not stop
        self.thaw();
        self.run("destroy", &[]);
    }
}

fn children(parent: Pid) -> Vec<Pid> {
    let processes = std::fs::read_dir("/proc").expect("Linux").flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // the name, in parentheses, may hold anything
        let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
        fields.split(' ').nth(1) == Some(&parent.as_raw_nonzero().to_string())
    })
    .filter_map(Pid::from_raw)
    .collect()
}

/// The writes go on meanwhile.
pub async fn on_a_thread(cluster: &Arc<Cluster>, command: fn(&Cluster)) {
    let cluster = Arc::clone(cluster);
    tokio::task::spawn_blocking(move || command(&cluster))
        .await
        .expect("it runs");
}

/// Below the range from which the kernel picks ports for outgoing connections.
fn free_port() -> u16 {
    loop {
        let port = 20_000 + rand::random::<u16>() % 10_000;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
