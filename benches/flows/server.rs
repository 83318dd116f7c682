//! The server under load: the product's own binary, in a process of its own, and the processor time of both sides.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

pub struct Server {
    pub address: SocketAddr,
    child: Child,
}

/// The configuration that the seed and the server share.
pub fn variables(url: &str, folder: &Path, listen: &str) -> Vec<(String, String)> {
    let key_file = folder.join("secret.key").display().to_string();
    let settings = [
        ("DATABASE_URL", url),
        ("SECRET_KEY_FILE", &key_file),
        ("SERVER_LISTEN", listen),
        ("LOGS_LEVEL", "warn"),
    ];
    settings
        .map(|(name, value)| (format!("COUNTERSIGN_{name}"), value.to_owned()))
        .into()
}

impl Server {
    /// Tries again while the seed's lock on the database is being given back.
    pub fn start(binary: &Path, folder: &Path, url: &str) -> Self {
        let address = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a free port");
        for _ in 0..20 {
            let mut command = Command::new(binary);
            let mut child = command
                .arg("serve")
                .envs(variables(url, folder, &address.to_string()))
                .spawn()
                .expect("the binary starts");
            while child.try_wait().expect("its state").is_none() {
                if TcpStream::connect(address).is_ok() {
                    return Self { address, child };
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            std::thread::sleep(Duration::from_millis(500));
        }
        panic!("the server does not start");
    }

    pub fn processor(&self) -> Processor {
        Processor::of(&self.child.id().to_string())
    }

    pub fn stop(mut self) {
        self.child
            .kill()
            .and_then(|()| self.child.wait())
            .expect("it ends");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

/// Processor time of a process so far, in clock ticks of 10 ms.
#[derive(Clone, Copy)]
pub struct Processor(u64);

impl Processor {
    pub fn of_self() -> Self {
        Self::of("self")
    }

    fn of(process: &str) -> Self {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("a process");
        // behind the name in parentheses, user and system time are the 12th and 13th
        let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
        Self(
            fields
                .split(' ')
                .skip(11)
                .take(2)
                .filter_map(|ticks| ticks.parse::<u64>().ok())
                .sum(),
        )
    }

    /// Seconds.
    pub fn since(self, earlier: Self) -> f64 {
        (self.0 - earlier.0) as f64 / 100.0
    }
}
