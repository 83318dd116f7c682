//! Behind a real nginx that keeps connections to us alive: it and we agree on every request, and nobody is answered what
//! somebody else asked.
#![expect(clippy::panic, reason = "a test fails by it")]

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::sender::{Patience, converse};
use super::vectors::all;
use super::{Smuggled, start};
use crate::databases::{is_skipped, on_sqlite};
use crate::server::Server;

/// Which database there is changes nothing between nginx and us.
#[test]
fn nginx_and_we_agree_on_every_request() {
    if !is_skipped("NGINX") {
        on_sqlite(async |db| agree_on_every_request(&start(db).await).await);
    }
}

/// It ends with the value.
pub struct Nginx {
    process: Child,
    folder: tempfile::TempDir,
    /// Hands bodies on as they come, and once they are whole.
    pub addresses: [String; 2],
}

impl Drop for Nginx {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Nginx {
    /// `backend`: host and port.
    pub fn start(backend: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let addresses = [free_address(), free_address()];
        let path = folder.path().join("nginx.conf");
        let configuration = configuration(folder.path(), backend, &addresses);
        std::fs::write(&path, configuration).expect("written");
        let process = Command::new("nginx")
            .args(["-p", folder.path().to_str().expect("UTF-8"), "-c"])
            .arg(&path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx starts");
        let nginx = Self {
            process,
            folder,
            addresses,
        };
        for _ in 0..200 {
            if std::net::TcpStream::connect(&nginx.addresses[1]).is_ok() {
                return nginx;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let log = std::fs::read_to_string(nginx.folder.path().join("error.log"));
        panic!("nginx does not listen: {log:?}")
    }

    /// The requests it has handed on.
    fn handed_on(&self) -> usize {
        let log = std::fs::read_to_string(self.folder.path().join("access.log"));
        let log = log.unwrap_or_default();
        log.lines()
            .filter(|line| line.starts_with(char::is_numeric))
            .count()
    }
}

fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").to_string()
}

fn configuration(folder: &Path, backend: &str, addresses: &[String; 2]) -> String {
    let folder = folder.display();
    let server = |address: &str, buffering: &str| {
        format!(
            "server {{ listen {address}; location / {{ proxy_pass http://countersign; proxy_http_version 1.1;
             proxy_set_header Connection ''; proxy_set_header Host {backend}; proxy_next_upstream off;
             proxy_request_buffering {buffering}; }} }}"
        )
    };
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {folder}/{kind};"))
        .join("\n");
    format!(
        "daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
         events {{ worker_connections 256; }}
         http {{ {temporary}
         log_format upstream '$upstream_addr $status';
         access_log {folder}/access.log upstream;
         upstream countersign {{ server {backend}; keepalive 1; }}
         {} {} }}",
        server(&addresses[0], "off"),
        server(&addresses[1], "on")
    )
}

/// The requests that we have answered.
fn answered(server: &Server) -> usize {
    let text = server.app.metrics.text().expect("metrics");
    let count = |line: &str| line.rsplit(' ').next()?.parse::<usize>().ok();
    text.lines()
        .filter(|line| line.starts_with("countersign_http_requests_total{"))
        .filter_map(count)
        .sum()
}

async fn agree_on_every_request(server: &Server) {
    let backend = server
        .base
        .strip_prefix("http://")
        .expect("http")
        .to_owned();
    let nginx = Nginx::start(&backend);
    let victim = format!(
        "GET /.well-known/jwks.json HTTP/1.1\r\nHost: {backend}\r\nConnection: close\r\n\r\n"
    );
    let smuggled = Smuggled::new(server).await;
    let vectors = all(&backend, &smuggled.bytes);
    let (mut wrong, before) = (Vec::new(), answered(server));
    let attacker = Patience {
        whole: Duration::from_secs(2),
        enough: 1,
        ..Patience::for_answers(1)
    };
    for vector in &vectors {
        let name = &vector.name;
        for address in &nginx.addresses {
            let bytes = [vector.bytes.as_slice(), &smuggled.bytes].concat();
            let (attack, address) = (vec![bytes], address.clone());
            let other = vec![victim.clone().into_bytes()];
            let talk = tokio::task::spawn_blocking(move || {
                let attacker = converse(&address, &attack, attacker);
                let victim = || converse(&address, &other, Patience::for_answers(1));
                (attacker, [victim(), victim()])
            });
            let (attacker, victims) = talk.await.expect("no panic");
            for victim in victims {
                let own = |answer: &super::sender::Answer| {
                    answer.status == 200 && answer.body.starts_with(b"{\"keys\"")
                };
                if !matches!(victim.answers.as_slice(), [only] if own(only)) {
                    wrong.push(format!("{name}: a victim read {:?}", victim.statuses()));
                }
            }
            // its log is written behind the answer; what it broke off we may never have answered
            let both = || (answered(server) - before, nginx.handed_on());
            let (mut ours, mut theirs) = both();
            for _ in 0..40 {
                if ours <= theirs {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(25)).await;
                (ours, theirs) = both();
            }
            if ours > theirs {
                let statuses = attacker.statuses();
                wrong.push(format!(
                    "{name}: nginx handed on {theirs}, we answered {ours} ({statuses:?})"
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        vectors.len(),
        wrong.join("\n")
    );
}
