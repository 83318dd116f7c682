//! Sends bytes as they are, and counts what comes back.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

/// How long to wait for what.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For an answer, and for the end of the connection.
    pub whole: Duration,
    /// For more, once this many answers are there.
    pub enough: usize,
    pub quiet: Duration,
}

impl Patience {
    /// Until the other side closes the connection: longer than a body may take.
    pub const UNTIL_CLOSED: Self = Self {
        whole: Duration::from_secs(14),
        enough: usize::MAX,
        quiet: Duration::ZERO,
    };

    pub fn for_answers(enough: usize) -> Self {
        Self {
            enough,
            quiet: Duration::from_millis(100),
            ..Self::UNTIL_CLOSED
        }
    }
}

#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

/// What a connection gave.
#[derive(Debug)]
pub struct Conversation {
    /// Without `100 Continue`.
    pub answers: Vec<Answer>,
    /// `100 Continue`.
    pub continued: usize,
    /// The other side closed the connection.
    pub closed: bool,
    /// Bytes that are no whole answer.
    pub rest: usize,
}

impl Conversation {
    pub fn statuses(&self) -> Vec<u16> {
        self.answers.iter().map(|answer| answer.status).collect()
    }
}

/// Sends the parts, each in a packet of its own, and reads as long as the patience lasts, or the connection.
pub fn converse(address: &str, parts: &[Vec<u8>], patience: Patience) -> Conversation {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_nodelay(true).expect("no delay");
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            std::thread::sleep(Duration::from_millis(if parts.len() > 2 { 3 } else { 30 }));
        }
        // the other side may have refused already
        if stream.write_all(part).is_err() {
            break;
        }
    }
    let (mut bytes, mut closed) = (Vec::new(), false);
    let start = Instant::now();
    while !closed && start.elapsed() < patience.whole {
        let quiet = match parse(&bytes).answers.len() >= patience.enough {
            true => patience.quiet,
            false => patience.whole,
        };
        stream.set_read_timeout(Some(quiet)).expect("a time-out");
        let mut buffer = [0; 65_536];
        match stream.read(&mut buffer) {
            Ok(0) => closed = true,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => closed = true,
            Err(_) => break,
        }
    }
    drop(stream.shutdown(Shutdown::Both));
    Conversation {
        closed,
        ..parse(&bytes)
    }
}

/// Sends `head`, then `piece` over and over: how many bytes were taken before the other side cut the connection, and after
/// how long. Gives up after `most`.
pub fn pour(address: &str, head: &[u8], piece: &[u8], most: Duration) -> (usize, Duration) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_write_timeout(Some(most)).expect("a time-out");
    stream.write_all(head).expect("the head is taken");
    let (start, mut sent) = (Instant::now(), 0);
    while start.elapsed() < most && stream.write_all(piece).is_ok() {
        sent += piece.len();
    }
    (sent, start.elapsed())
}

/// Answers in a row, each by its length or its chunks.
fn parse(mut bytes: &[u8]) -> Conversation {
    let (mut answers, mut continued) = (Vec::new(), 0);
    while let Some((answer, rest)) = one(bytes) {
        bytes = rest;
        match answer.status {
            100 => continued += 1,
            _ => answers.push(answer),
        }
    }
    Conversation {
        answers,
        continued,
        closed: false,
        rest: bytes.len(),
    }
}

fn one(bytes: &[u8]) -> Option<(Answer, &[u8])> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let status = head.strip_prefix("http/1.")?.get(2..5)?.parse().ok()?;
    let field = |name: &str| {
        let line = head.lines().find(|line| line.starts_with(name))?;
        Some(line[name.len()..].trim().to_owned())
    };
    let rest = &bytes[end..];
    let (body, rest) = if field("transfer-encoding:").is_some() {
        chunks(rest)?
    } else {
        let length = field("content-length:").map_or(Some(0), |length| length.parse().ok())?;
        (rest.get(..length)?.to_vec(), rest.get(length..)?)
    };
    Some((Answer { status, body }, rest))
}

fn chunks(mut bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut body = Vec::new();
    loop {
        let end = bytes.windows(2).position(|two| two == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).ok()?, 16).ok()?;
        let data = bytes.get(end + 2..end + 2 + size)?;
        bytes = bytes.get(end + 2 + size + 2..)?;
        if size == 0 {
            return Some((body, bytes));
        }
        body.extend_from_slice(data);
    }
}
