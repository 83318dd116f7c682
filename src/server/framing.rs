//! Where one request ends and the next one begins on a connection (RFC 9112 §6, §9.6).
//!
//! The decoder is actix-http's: it refuses what RFC 9112 §6.3 calls an error. But 3.20.0 takes a bare LF behind the last chunk
//! for the start of a trailer (CVE-2026-134342, mended in 3.21.1) and puts no bound on trailers. So behind a body with
//! `Transfer-Encoding` two servers in a row may disagree on where the next request begins, and a body would run as one.
//!
//! Invariants, whatever the decoder thinks: behind a request with `Transfer-Encoding`, one that does not keep the connection
//! alive, and one that is refused here, nothing on the connection is run, nor answered, and the connection is closed. A body
//! that brings no data any more is cut, also when nobody reads it. A request that may be read in two ways is refused.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Extensions, Payload, RequestHead, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE};
use actix_web::http::{ConnectionType, StatusCode};
use actix_web::rt::time::{sleep, timeout};
use actix_web::web::Bytes;
use actix_web::{HttpMessage, HttpResponse};
use futures_core::Stream;

use super::socket::{Exchange, Socket, UNKNOWN};

/// Reads in a row that bring no data: the line before a chunk needs a few when it comes byte by byte, a trailer without end
/// needs more. One read takes 128 KiB at most.
const MOST_EMPTY_READS: usize = 32;
/// What its handler does not read of a body is thrown away: so much, and so long.
const MOST_LEFT_BYTES: usize = 64 * 1024;
const LEFT_WITHIN: Duration = Duration::from_secs(1);
/// What came before is written by then. Only those wait who send requests behind the last one.
const WRITTEN_BY: Duration = Duration::from_millis(100);

/// One connection, as its requests see it.
pub struct Connection {
    /// The request that runs is the last one.
    is_ending: Cell<bool>,
    exchange: Rc<Exchange>,
}

impl Connection {
    /// For `on_connect_ext`.
    pub fn begin(socket: &Socket, data: &mut Extensions) {
        data.insert(Self {
            is_ending: Cell::new(false),
            exchange: socket.exchange(),
        });
    }
}

/// A request that runs; answered with the end of the value.
pub struct Running(Option<Rc<Exchange>>);

impl Running {
    /// Asked once for each request of a connection, in their order, before anything else.
    pub fn begin(request: &ServiceRequest) -> Self {
        let exchange = exchange(request);
        if let Some(exchange) = &exchange {
            exchange.admitted(body_bytes(request.head()));
        }
        Self(exchange)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(exchange) = &self.0 {
            exchange.answered();
        }
    }
}

fn exchange(request: &ServiceRequest) -> Option<Rc<Exchange>> {
    let connection = request.conn_data::<Connection>()?;
    Some(Rc::clone(&connection.exchange))
}

/// As the decoder reads it (RFC 9112 §6.3): a body has a length or an encoding, or there is none.
fn body_bytes(head: &RequestHead) -> u64 {
    if head.headers.contains_key(TRANSFER_ENCODING) {
        return UNKNOWN;
    }
    let Some(length) = head.headers.get(CONTENT_LENGTH) else {
        return 0;
    };
    let length = length.to_str().ok().and_then(|length| length.parse().ok());
    length.unwrap_or(UNKNOWN)
}

/// What is to be done with a request, by its head alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    Run,
    /// It may be read in two ways: the detail of a 400.
    Refuse(&'static str),
    /// It came behind the last request of its connection.
    Cut,
}

/// Asked once for each request of a connection, in their order.
pub fn admit(request: &ServiceRequest) -> Admission {
    let connection = request.conn_data::<Connection>();
    if connection.is_some_and(|own| own.is_ending.get()) {
        return Admission::Cut;
    }
    let (head, refusal) = (request.head(), ambiguity(request.head()));
    let is_last = refusal.is_some()
        || head.headers.contains_key(TRANSFER_ENCODING)
        || head.connection_type() != ConnectionType::KeepAlive;
    if let Some(connection) = connection.filter(|_| is_last) {
        connection.is_ending.set(true);
    }
    refusal.map_or(Admission::Run, Admission::Refuse)
}

/// What the decoder lets through although two servers may read it in two ways.
fn ambiguity(head: &RequestHead) -> Option<&'static str> {
    let host = head
        .headers
        .get(HOST)
        .map_or(&b""[..], |host| host.as_bytes());
    // RFC 9112 §3.2.2: the target's host is meant, and whoever looked at Host only was deceived
    if let Some(authority) = head.uri.authority()
        && !authority.as_str().as_bytes().eq_ignore_ascii_case(host)
    {
        return Some("The request's target and its Host name different hosts.");
    }
    // the decoder takes all that follows for this request's, whatever its length says
    let mut upgrades = head.headers.get_all(UPGRADE);
    let websocket = upgrades.any(|name| {
        let name = name.as_bytes().trim_ascii();
        name.eq_ignore_ascii_case(b"websocket")
    });
    if websocket && head.headers.contains_key(CONTENT_LENGTH) {
        return Some("A request that asks for a WebSocket has no body.");
    }
    None
}

/// What is behind this request's answer: the connection ends with it.
pub fn end(response: &mut ServiceResponse<BoxBody>) {
    if let Some(connection) = response.request().conn_data::<Connection>() {
        connection.is_ending.set(true);
    }
    let head = response.response_mut().head_mut();
    head.set_connection_type(ConnectionType::Close);
}

/// Whether the request is the last one of its connection.
pub fn is_last(response: &ServiceResponse<BoxBody>) -> bool {
    let request = response.request();
    let ends = request.conn_data::<Connection>();
    ends.is_some_and(|connection| connection.is_ending.get())
        || request.headers().contains_key(TRANSFER_ENCODING)
}

/// The body of a request with `Transfer-Encoding`, bounded, and held until its answer is written: a body whose reader is gone
/// would be read to its end, and that may never come. One that is held and unfinished is given a second, and then closed.
pub struct Held(Rc<RefCell<Body>>);

struct Body {
    payload: Payload,
    exchange: Option<Rc<Exchange>>,
    has_ended: bool,
    empty_reads: usize,
}

impl Body {
    /// Polled whenever something was read from the socket, and once more for each piece of data.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, PayloadError>>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        let polled = Pin::new(&mut self.payload).poll_next(context);
        self.has_ended = matches!(polled, Poll::Ready(None | Some(Err(_))));
        if let Some(exchange) = self.exchange.as_ref().filter(|_| self.has_ended) {
            exchange.body_is_whole();
        }
        self.empty_reads = match &polled {
            Poll::Pending => self.empty_reads + 1,
            Poll::Ready(_) => 0,
        };
        if self.is_endless() {
            return Poll::Ready(Some(Err(PayloadError::EncodingCorrupted)));
        }
        polled
    }

    fn is_endless(&self) -> bool {
        self.empty_reads > MOST_EMPTY_READS
    }
}

impl Held {
    /// None where the length is known.
    pub fn take(request: &mut ServiceRequest) -> Option<Self> {
        if !request.headers().contains_key(TRANSFER_ENCODING) {
            return None;
        }
        let body = Rc::new(RefCell::new(Body {
            payload: request.take_payload(),
            exchange: exchange(request),
            has_ended: false,
            empty_reads: 0,
        }));
        request.set_payload(Payload::Stream {
            payload: Box::pin(Reader(Rc::clone(&body))),
        });
        Some(Self(body))
    }

    /// The answer, when what its handler left of the body is read, so that who has sent all of it can read the answer.
    /// A body without end loses its answer and its connection.
    pub async fn answer(self, response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
        // too slow: it is closed behind the answer
        drop(timeout(LEFT_WITHIN, self.drain()).await);
        if self.0.borrow().is_endless() {
            return response.map_body(|_, _| BoxBody::new(Broken));
        }
        response.map_body(|_, body| {
            BoxBody::new(Holding {
                body,
                _held: self.0,
            })
        })
    }

    async fn drain(&self) {
        let mut left = MOST_LEFT_BYTES;
        while let Some(Ok(data)) = poll_fn(|context| self.0.borrow_mut().poll(context)).await {
            match left.checked_sub(data.len()) {
                Some(less) => left = less,
                None => return,
            }
        }
    }
}

struct Reader(Rc<RefCell<Body>>);

impl Stream for Reader {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.borrow_mut().poll(context)
    }
}

struct Holding {
    body: BoxBody,
    _held: Rc<RefCell<Body>>,
}

impl MessageBody for Holding {
    type Error = <BoxBody as MessageBody>::Error;

    /// A body that is none would be dropped before the answer is written.
    fn size(&self) -> BodySize {
        match self.body.size() {
            BodySize::None => BodySize::Sized(0),
            size => size,
        }
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(context)
    }
}

/// Ends the connection without an answer, when those before are written: an answer whose body fails before its head is sent.
pub async fn cut(request: ServiceRequest) -> ServiceResponse<BoxBody> {
    sleep(WRITTEN_BY).await;
    let response = HttpResponse::build(StatusCode::BAD_REQUEST).body(Broken);
    request.into_response(response)
}

struct Broken;

impl MessageBody for Broken {
    type Error = PayloadError;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Poll::Ready(Some(Err(PayloadError::EncodingCorrupted)))
    }
}
