//! Clients that send slowly, do not read, or open many connections.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, StatusCode};
use tempfile::TempDir;

use countersign::store::Database;

use crate::databases::{TestDatabase, is_skipped, on_sqlite};
use crate::desync::nginx::Nginx;
use crate::process::Process;
use crate::server::Server;
use crate::stamp::build::{FONT, File, LETTER, text};

/// For what must happen, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(20);
const PING: &str = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
const HALF: &str = "GET /healthz HTTP/1.1\r\nHo";

// --- clients --------------------------------------------------------------------------------------------------------

fn address(base: &str) -> &str {
    base.strip_prefix("http://").expect("http")
}

fn connect(base: &str) -> TcpStream {
    let stream = TcpStream::connect(address(base)).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    stream.set_nodelay(true).expect("no delay");
    stream
}

/// From an address of this machine, with little room for what comes.
async fn connect_from(from: &str, base: &str) -> TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    let from: SocketAddr = format!("{from}:0").parse().expect("an address");
    socket.bind(from).expect("it is ours");
    socket.set_recv_buffer_size(64 * 1024).expect("a size");
    let to = address(base).parse().expect("an address");
    let stream = socket.connect(to).await.expect("it listens");
    let stream = stream.into_std().expect("a socket");
    stream.set_nonblocking(false).expect("it blocks");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    stream
}

fn send(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).expect("it takes it");
}

/// Reads the head of an answer and its body.
fn answer(stream: &mut TcpStream) -> (String, Vec<u8>) {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).expect("an answer");
        head.extend(byte);
    }
    let head = String::from_utf8(head).expect("UTF-8").to_lowercase();
    let length = head.split("content-length: ").nth(1);
    let length = length.and_then(|rest| rest.lines().next()?.parse().ok());
    let mut body = vec![0; length.expect("a length")];
    stream.read_exact(&mut body).expect("the body");
    (head, body)
}

/// What still comes until the other side closes.
fn rest(stream: &mut TcpStream) -> String {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => unreachable!("it is not closed: {error}"),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A connection for each request.
fn fresh() -> Client {
    let client = Client::builder().pool_max_idle_per_host(0);
    client.timeout(PATIENCE).build().expect("a client")
}

/// How many of ten requests are answered.
async fn ten(client: &Client, base: &str) -> usize {
    let mut answered = 0;
    for _ in 0..10 {
        let response = client.get(format!("{base}/healthz")).send().await;
        answered += usize::from(response.is_ok_and(|response| response.status() == 200));
    }
    answered
}

async fn metric(base: &str, name: &str) -> u64 {
    let response = fresh().get(format!("{base}/metrics")).send().await;
    let text = response.expect("an answer").text().await.expect("text");
    let line = text.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.rsplit(' ').next()?.parse().ok());
    value.expect("the metric is there")
}

fn closed(reason: &str) -> String {
    format!("countersign_connections_closed_total{{reason=\"{reason}\"}}")
}

/// A process of its own.
fn process(
    db: &TestDatabase,
    folder: &TempDir,
    descriptors: usize,
    settings: &[(&str, &str)],
) -> Process {
    let Database::Sqlite(file) = &db.database else {
        unreachable!("it runs on SQLite");
    };
    let path = |name: &str| folder.path().join(name).display().to_string();
    let mut variables = vec![
        ("COUNTERSIGN_DATABASE_URL", format!("sqlite:{file}")),
        ("COUNTERSIGN_SECRET_KEY_FILE", path("secret.key")),
        ("COUNTERSIGN_SERVER_LISTEN", "127.0.0.1:0".to_owned()),
        ("COUNTERSIGN_SERVER_WORKERS", "2".to_owned()),
    ];
    variables.extend(
        settings
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned())),
    );
    let started = Process::serve_under(descriptors, &variables);
    started.map_err(|ended| ended.output).expect("it starts")
}

// --- many connections -----------------------------------------------------------------------------------------------

#[test]
fn half_sent_second_heads_do_not_keep_an_honest_client_out() {
    on_sqlite(half_sent_second_heads);
}

async fn half_sent_second_heads(db: TestDatabase) {
    // 300 of them against 128 descriptors; the head time-out plays no part
    let folder = tempfile::tempdir().expect("a folder");
    let settings = [("COUNTERSIGN_SERVER_HEAD_SECONDS", "600")];
    let process = process(&db, &folder, 128, &settings);
    let base = process.issuer.clone();
    let mut slow = Vec::new();
    for _ in 0..300 {
        let mut stream = connect(&base);
        // whoever has its place taken before it has begun is one less
        let sent = stream.write_all(PING.as_bytes());
        let answered = sent.is_ok() && stream.read(&mut [0; 1024]).is_ok_and(|count| count > 0);
        if answered && stream.write_all(HALF.as_bytes()).is_ok() {
            slow.push(stream);
        }
    }
    assert!(slow.len() > 100, "{}", slow.len());
    assert_eq!(ten(&fresh(), &base).await, 10);
    let keeps = Client::builder().timeout(PATIENCE).build();
    assert_eq!(ten(&keeps.expect("a client"), &base).await, 10);
    assert!(metric(&base, &closed("made_room")).await > 100);
    let open = metric(&base, "countersign_connections ").await;
    assert!((1..=80).contains(&open), "{open}");
    assert_eq!(metric(&base, &closed("slow_head")).await, 0);
    // the half heads and the idle ones do not hold it up
    let ended = process.stop();
    assert!(ended.status.success(), "{}", ended.output);
    assert!(
        ended.output.contains("128 file descriptors"),
        "{}",
        ended.output
    );
    assert!(
        !ended.output.contains("Too many open files"),
        "{}",
        ended.output
    );
}

#[test]
fn one_address_does_not_get_all_places() {
    on_sqlite(async |db: TestDatabase| {
        let server = Server::start_with(db, |config| config.server.max_connections = 16).await;
        // bodies on their way are nobody's to close
        let head = format!(
            "POST /oauth2/token HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: 1000\r\n\r\ngrant_type=",
            address(&server.base)
        );
        let mut taken = Vec::new();
        for _ in 0..8 {
            let mut stream = connect_from("127.0.0.2", &server.base).await;
            send(&mut stream, &head);
            taken.push(stream);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        let mut ninth = connect_from("127.0.0.2", &server.base).await;
        assert!(rest(&mut ninth).starts_with("HTTP/1.1 503"));
        assert_eq!(ten(&fresh(), &server.base).await, 10);
        assert_eq!(metric(&server.base, &closed("refused")).await, 1);
    });
}

#[test]
fn a_proxy_may_take_all_places_and_idle_ones_give_way() {
    on_sqlite(async |db: TestDatabase| {
        let server = Server::start_with(db, |config| {
            config.server.max_connections = 16;
            config.server.trusted_proxies = vec!["127.0.0.3/32".parse().expect("a network")];
        })
        .await;
        let mut idle = Vec::new();
        for _ in 0..16 {
            let mut stream = connect_from("127.0.0.3", &server.base).await;
            send(&mut stream, PING);
            answer(&mut stream);
            idle.push(stream);
        }
        assert_eq!(metric(&server.base, &closed("made_room")).await, 1);
        // the one that was idle for the longest
        assert_eq!(rest(&mut idle[0]), "");
        send(&mut idle[15], PING);
        assert!(answer(&mut idle[15]).0.starts_with("http/1.1 200"));
        assert_eq!(ten(&fresh(), &server.base).await, 10);
    });
}

// --- heads ----------------------------------------------------------------------------------------------------------

#[test]
fn every_head_has_a_deadline_and_an_idle_connection_too() {
    on_sqlite(async |db: TestDatabase| {
        let server = Server::start_with(db, |config| {
            (config.server.head_seconds, config.server.keep_alive_seconds) = (1, 3);
        })
        .await;
        let base = &server.base;
        // a first head that trickles
        let trickle = {
            let mut stream = connect(base);
            std::thread::spawn(move || {
                let start = Instant::now();
                while start.elapsed() < PATIENCE && stream.write_all(b"GET").is_ok() {
                    std::thread::sleep(Duration::from_millis(100));
                }
                (start.elapsed() < PATIENCE, rest(&mut stream))
            })
        };
        // a second head, in a packet of its own and in that of the first request
        let mut second = connect(base);
        send(&mut second, PING);
        answer(&mut second);
        send(&mut second, HALF);
        let mut together = connect(base);
        send(&mut together, &format!("{PING}{HALF}"));
        answer(&mut together);
        let mut silent = connect(base);
        let mut idle = connect(base);
        send(&mut idle, PING);
        answer(&mut idle);
        let start = Instant::now();
        for stream in [&mut second, &mut together] {
            assert!(rest(stream).starts_with("HTTP/1.1 408"));
        }
        assert_eq!(rest(&mut silent), "");
        assert_eq!(rest(&mut idle), "");
        assert!(start.elapsed() >= Duration::from_secs(2));
        assert!(trickle.join().expect("no panic").0);
        assert_eq!(metric(base, &closed("slow_head")).await, 4);
        assert_eq!(metric(base, &closed("idle")).await, 1);
        // one request at a time, in their order, also when they come at once
        let mut pipelined = connect(base);
        let missing = PING.replace("healthz", "v1/nothing");
        let host = PING.replace("Host: x", &format!("Host: {}", address(base)));
        let missing = missing.replace("Host: x", &format!("Host: {}", address(base)));
        send(&mut pipelined, &format!("{host}{missing}{host}").repeat(20));
        for _ in 0..20 {
            for status in ["200", "404", "200"] {
                let head = answer(&mut pipelined).0;
                assert!(head.starts_with(&format!("http/1.1 {status}")), "{head}");
            }
        }
    });
}

#[test]
fn an_idle_connection_behind_nginx_is_closed_without_a_lost_request() {
    if is_skipped("NGINX") {
        return;
    }
    on_sqlite(async |db: TestDatabase| {
        let server = Server::start_with(db, |config| config.server.keep_alive_seconds = 1).await;
        let nginx = Nginx::start(address(&server.base));
        let base = format!("http://{}", nginx.addresses[1]);
        for pause in [0, 0, 1600, 0, 1600] {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            assert_eq!(ten(&fresh(), &base).await, 10);
        }
        assert!(metric(&server.base, &closed("idle")).await >= 1);
    });
}

// --- answers --------------------------------------------------------------------------------------------------------

const LARGE: &str = "/v1/docs/swagger-ui-bundle.js";

#[test]
fn who_does_not_read_is_closed_and_costs_little() {
    on_sqlite(readers_that_do_not_read);
}

async fn readers_that_do_not_read(db: TestDatabase) {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = [("COUNTERSIGN_SERVER_WRITE_SECONDS", "2")];
    let process = process(&db, &folder, 512, &settings);
    let base = process.issuer.clone();
    let host = address(&base);
    let request = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    // both are made once
    for path in [LARGE, "/v1/openapi.json"] {
        let mut stream = connect(&base);
        send(&mut stream, &request(path));
        assert!(answer(&mut stream).1.len() > 500_000);
    }
    let before = process.resident_bytes();
    let pipelined = format!("{}{}", request(LARGE), request("/v1/openapi.json")).repeat(20);
    let readers: Vec<TcpStream> = (0..40)
        .map(|_| {
            let mut stream = connect(&base);
            send(&mut stream, &pipelined);
            stream
        })
        .collect();
    // slow, but steady: longer than the time-out
    let mut steady = connect_from("127.0.0.1", &base).await;
    send(&mut steady, &request(LARGE).repeat(6));
    let mut whole = connect(&base);
    send(&mut whole, &request(LARGE));
    let bundle = answer(&mut whole).1;
    let (start, mut most) = (Instant::now(), before);
    let mut came = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    let tail = b"\r\n\r\n";
    while came.len() < 6 * bundle.len() {
        let count = steady.read(&mut buffer).expect("it is served");
        assert!(count > 0, "closed after {} bytes", came.len());
        came.extend_from_slice(&buffer[..count]);
        most = most.max(process.resident_bytes());
        std::thread::sleep(Duration::from_millis(25));
    }
    assert!(
        start.elapsed() > Duration::from_secs(2),
        "too fast to show it"
    );
    let heads = came.windows(tail.len()).filter(|part| part == tail).count();
    assert!(heads >= 5);
    assert!(came.windows(bundle.len()).any(|part| part == bundle));
    while metric(&base, &closed("not_read")).await < 40 {
        assert!(start.elapsed() < PATIENCE, "they are not closed");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(metric(&base, &closed("not_read")).await, 40);
    // 40 connections, each with two pieces in its buffer and a head or two
    let grown = most.saturating_sub(before);
    assert!(grown < 24 * 1024 * 1024, "{grown} bytes for 40 readers");
    drop(readers);
}

// --- bodies ---------------------------------------------------------------------------------------------------------

#[test]
fn stalled_uploads_hold_no_place_of_the_stamp() {
    on_sqlite(async |db: TestDatabase| {
        const MOST: usize = 1024 * 1024;
        let server = Server::start_with(db, |config| {
            (
                config.watermark.max_input_bytes,
                config.watermark.concurrency,
            ) = (MOST as u64, 1);
        })
        .await;
        let credentials = format!(
            "{}:{}",
            server.planted.resource_server, server.secrets.resource_server_secret
        );
        let basic = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, credentials);
        let head = format!(
            "POST /v1/watermark HTTP/1.1\r\nHost: {}\r\nAuthorization: Basic {basic}\r\n\
             Countersign-Credential: {}\r\nContent-Type: application/pdf\r\nContent-Length: {MOST}\r\n\r\n",
            address(&server.base),
            server.secrets.sandbox_key,
        );
        // twelve that send nine tenths, or next to nothing, and then nothing
        let stalled: Vec<_> = (0..24)
            .map(|index| {
                let (head, base) = (head.clone(), server.base.clone());
                let sent = if index % 2 == 0 { MOST / 10 * 9 } else { 10 };
                std::thread::spawn(move || {
                    let mut stream = connect(&base);
                    send(&mut stream, &head);
                    // refused for want of room: then it is closed
                    drop(stream.write_all(&vec![b'%'; sent]));
                    rest(&mut stream)
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let large = File::one_page(
            &format!("{LETTER} {FONT}"),
            &format!("{}{}", text("Hello page"), " ".repeat(400_000)),
        );
        for pdf in [File::hello().bytes(), large.bytes(), large.bytes()] {
            let request = server
                .as_resource_server("/v1/watermark")
                .header("Countersign-Credential", &server.secrets.sandbox_key)
                .header(CONTENT_TYPE, "application/pdf")
                .body(pdf);
            let response = request.send().await.expect("an answer");
            assert_eq!(
                response.status(),
                StatusCode::OK,
                "{:?}",
                response.headers().get(RETRY_AFTER)
            );
        }
        let mut statuses = Vec::new();
        for one in stalled {
            let status = one.join().expect("it is closed");
            statuses.push(status.get(9..12).unwrap_or_default().to_owned());
        }
        // cut when their room was needed, or by their own deadline; or never let in
        let known = |status: &String| ["408", "503", ""].contains(&status.as_str());
        assert!(statuses.iter().all(known), "{statuses:?}");
        let cut = statuses.iter().filter(|status| *status == "408").count();
        assert!(cut >= 12, "{statuses:?}");
    });
}
