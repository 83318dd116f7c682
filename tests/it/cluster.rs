//! A PostgreSQL of a test's own, to be stopped and started again.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use countersign::store::Database;
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
        self.run("destroy", &[]);
    }
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
