//! A client's socket that gives away one request at a time.
//!
//! actix-http 3.20 reads on while it answers, and its time-out for heads holds for the first one of a connection only. So
//! bytes pass through here, and what the dispatcher is given depends on where the connection is:
//!
//! - Bytes behind the end of a head are given away when the head was admitted, at most as many as its body has.
//! - Bytes behind a body are given away when the answer is written. So one request runs at a time, at most one answer waits
//!   to be written, and the first byte of each head is seen.
//!
//! The end of a head is its empty line; what else a head is the decoder judges. If the two should differ, the connection
//! waits for the rest of a head, and that has a deadline.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_web::rt::net::TcpStream;
use actix_web::web::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use super::connections::{Connections, Phase, Reason, Watched};

/// What comes in one read behind a head is kept; more memory than this is given back.
const MOST_SPARE_BYTES: usize = 16 * 1024;
/// The rest of a body without a length: its connection ends with it.
pub const UNKNOWN: u64 = u64::MAX;
const TOO_SLOW: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
const NO_PLACE: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// Where a connection is between a head and its answer. Told by the socket, by the middleware, and by who polls both.
pub struct Exchange {
    connections: Arc<Connections>,
    watched: Arc<Watched>,
    phase: Cell<Phase>,
    /// Of the body that is on its way.
    body_left: Cell<u64>,
    /// The decoder has a whole head, and has not said so yet.
    is_given: Cell<bool>,
    /// A byte of the next head came.
    has_begun: Cell<bool>,
    /// Bytes behind the head were read already.
    has_kept: Cell<bool>,
    /// The dispatcher asked for bytes, and was not given those that are there.
    is_withheld: Cell<bool>,
}

/// What the dispatcher may be given.
#[derive(PartialEq, Eq)]
enum Expected {
    Nothing,
    Head,
    Body(u64),
}

impl Exchange {
    pub fn new(connections: Arc<Connections>, watched: Arc<Watched>) -> Rc<Self> {
        Rc::new(Self {
            connections,
            watched,
            phase: Cell::new(Phase::Head),
            body_left: Cell::new(0),
            is_given: Cell::new(false),
            has_begun: Cell::new(false),
            has_kept: Cell::new(false),
            is_withheld: Cell::new(false),
        })
    }

    fn enter(&self, phase: Phase) {
        self.phase.set(phase);
        self.watched.enter(phase, self.connections.now());
    }

    fn expected(&self) -> Expected {
        let left = self.body_left.get();
        match self.phase.get() {
            Phase::Running | Phase::Writing => Expected::Nothing,
            Phase::Fed | Phase::Starved => Expected::Body(left),
            // answered before all of the body came: it is thrown away, and the connection ends
            Phase::Idle | Phase::Head if left > 0 => Expected::Body(left),
            Phase::Idle | Phase::Head if self.is_given.get() => Expected::Nothing,
            Phase::Idle | Phase::Head => Expected::Head,
        }
    }

    /// Before the dispatcher is polled: if it was given a head, it has decoded it by now.
    pub fn begin_turn(&self) {
        self.is_given.set(false);
        self.is_withheld.set(false);
    }

    /// After the dispatcher was polled: whether it is to be polled once more, because it may have now what it asked for.
    pub fn is_unfinished(&self) -> bool {
        self.is_withheld.get() && self.expected() != Expected::Nothing
    }

    /// A head is decoded, its request runs from now on. `body_bytes` may be [`UNKNOWN`].
    pub fn admitted(&self, body_bytes: u64) {
        self.is_given.set(false);
        self.has_begun.set(false);
        self.body_left.set(body_bytes);
        self.enter(match body_bytes {
            0 => Phase::Running,
            _ => Phase::Fed,
        });
    }

    /// Nothing of a body of unknown length is missing any more.
    pub fn body_is_whole(&self) {
        if matches!(self.phase.get(), Phase::Fed | Phase::Starved) {
            self.enter(Phase::Running);
        }
    }

    /// The answer is made.
    pub fn answered(&self) {
        self.enter(Phase::Writing);
    }

    fn head_came(&self, is_whole: bool) {
        self.has_begun.set(true);
        self.is_given.set(is_whole);
        if self.phase.get() == Phase::Idle {
            self.enter(Phase::Head);
        }
    }

    fn body_came(&self, count: usize) {
        let left = self.body_left.get();
        if left != UNKNOWN {
            self.body_left.set(left.saturating_sub(count as u64));
        }
        if matches!(self.phase.get(), Phase::Fed | Phase::Starved) {
            self.enter(match self.body_left.get() {
                0 => Phase::Running,
                _ => Phase::Fed,
            });
        }
    }

    fn body_is_awaited(&self) {
        if self.phase.get() == Phase::Fed {
            self.enter(Phase::Starved);
        }
    }

    /// Bytes of an answer were taken, or are not taken from now on: also of one that no handler made.
    fn wrote(&self, was_taken: bool) {
        match self.phase.get() {
            Phase::Idle | Phase::Head => self.enter(Phase::Writing),
            Phase::Writing if was_taken => self.enter(Phase::Writing),
            Phase::Writing | Phase::Fed | Phase::Starved | Phase::Running => {}
        }
    }

    fn flushed(&self) {
        if self.phase.get() == Phase::Writing {
            self.enter(match self.has_kept.get() {
                true => Phase::Head,
                false => Phase::Idle,
            });
        }
    }
}

/// Finds the empty line behind a head (RFC 9112 §2.1, §2.2: lines may end in LF alone, and empty ones may come before it).
#[derive(Default)]
struct HeadEnd {
    has_line: bool,
    is_in_line: bool,
}

impl HeadEnd {
    /// How many of the bytes belong to the head, once they hold its end.
    fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        for (index, byte) in bytes.iter().enumerate() {
            match byte {
                b'\n' if !self.is_in_line && self.has_line => {
                    *self = Self::default();
                    return Some(index + 1);
                }
                b'\n' => self.is_in_line = false,
                b'\r' => {}
                _ => (self.has_line, self.is_in_line) = (true, true),
            }
        }
        None
    }
}

pub struct Socket {
    tcp: TcpStream,
    exchange: Rc<Exchange>,
    head_end: HeadEnd,
    kept: BytesMut,
    last_words: Rc<Cell<Option<Reason>>>,
}

impl Socket {
    /// `last_words`: set before the socket is dropped when a reason is to be told.
    pub fn new(
        tcp: TcpStream,
        exchange: Rc<Exchange>,
        last_words: Rc<Cell<Option<Reason>>>,
    ) -> Self {
        Self {
            tcp,
            exchange,
            head_end: HeadEnd::default(),
            kept: BytesMut::new(),
            last_words,
        }
    }

    pub fn exchange(&self) -> Rc<Exchange> {
        Rc::clone(&self.exchange)
    }

    fn poll_head(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.kept.is_empty() {
            let there = self.kept.len().min(buffer.remaining());
            let end = self.head_end.find(&self.kept[..there]);
            self.give_kept(end.unwrap_or(there), buffer);
            self.exchange.head_came(end.is_some());
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.tcp).poll_read(context, buffer);
        let came = &buffer.filled()[before..];
        if !came.is_empty() {
            let end = self.head_end.find(came);
            self.exchange.head_came(end.is_some());
            if let Some(end) = end {
                self.kept.extend_from_slice(&came[end..]);
                self.exchange.has_kept.set(!self.kept.is_empty());
                buffer.set_filled(before + end);
            }
        }
        polled
    }

    fn poll_body(
        &mut self,
        left: u64,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.kept.is_empty() {
            let there = self.kept.len().min(buffer.remaining());
            let count = usize::try_from(left).map_or(there, |left| left.min(there));
            self.give_kept(count, buffer);
            self.exchange.body_came(count);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut (&mut self.tcp).take(left)).poll_read(context, buffer);
        match buffer.filled().len() - before {
            0 if polled.is_pending() => self.exchange.body_is_awaited(),
            count => self.exchange.body_came(count),
        }
        polled
    }

    fn give_kept(&mut self, count: usize, buffer: &mut ReadBuf<'_>) {
        buffer.put_slice(&self.kept.split_to(count));
        if self.kept.is_empty() {
            self.exchange.has_kept.set(false);
            if self.kept.capacity() > MOST_SPARE_BYTES {
                self.kept = BytesMut::new();
            }
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match this.exchange.expected() {
            Expected::Head => this.poll_head(context, buffer),
            Expected::Body(left) => this.poll_body(left, context, buffer),
            Expected::Nothing => {
                let is_there =
                    !this.kept.is_empty() || this.tcp.poll_read_ready(context).is_ready();
                this.exchange.is_withheld.set(is_there);
                Poll::Pending
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.tcp).poll_write(context, bytes);
        this.exchange.wrote(polled.is_ready());
        polled
    }

    /// Called when all was written.
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.exchange.flushed();
        Pin::new(&mut this.tcp).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_shutdown(context)
    }
}

impl Drop for Socket {
    /// RFC 9110 §15.5.9: who sends half a head is told. Nothing else is on its way to the client then.
    fn drop(&mut self) {
        if self.last_words.get() == Some(Reason::SlowHead) && self.exchange.has_begun.get() {
            // a client that is gone needs no answer
            drop(self.tcp.try_write(TOO_SLOW));
        }
    }
}

/// To a client for whom there is no place, on a socket to which nothing was written yet: it takes that at once.
pub fn refuse(tcp: &mut TcpStream, context: &mut Context<'_>) -> Poll<()> {
    // a client that is gone needs no answer
    Pin::new(tcp).poll_write(context, NO_PLACE).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_ends_with_its_first_empty_line_however_it_comes() {
        for (bytes, end) in [
            (&b"GET / HTTP/1.1\r\n\r\nGET"[..], Some(18)),
            (b"GET / HTTP/1.1\n\n", Some(16)),
            (b"\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", Some(31)),
            (b"GET / HTTP/1.1\r\nHost: x\r\n", None),
            (b"\r\n\n\r\n", None),
        ] {
            assert_eq!(HeadEnd::default().find(bytes), end, "{bytes:?}");
            let mut by_one = HeadEnd::default();
            let found = (0..bytes.len()).find(|at| by_one.find(&bytes[*at..=*at]).is_some());
            assert_eq!(found.map(|at| at + 1), end, "{bytes:?}");
        }
    }
}
