//! Reads a body whole, up to a bound, of one content type.
//!
//! Invariant: a body ends, or is cut: when nothing of it comes for ten seconds, when it is slower than a trickle, and in any
//! case after the time that its bound takes at the slowest accepted speed.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::rt::time::timeout;
use actix_web::web::{Bytes, BytesMut, Payload};
use futures_core::Stream;

use crate::types::time::Stopwatch;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error("The content type must be {0}.")]
    WrongType(&'static str),
    #[error("The body is larger than {0} bytes.")]
    TooLarge(usize),
    #[error("The body ended before it was complete.")]
    Broken,
    #[error("The body took too long to arrive.")]
    TooSlow,
}

/// A body may take this long, and as much longer as its bound takes at the slowest accepted speed.
const LEAST: Duration = Duration::from_secs(10);
const SLOWEST_BYTES_A_SECOND: usize = 512 * 1024;
/// At any time so much must have come for each second after the first ten.
const TRICKLE_BYTES_A_SECOND: usize = 64 * 1024;

/// Refuses another content type, or two of them, before reading.
pub async fn read(
    request: &HttpRequest,
    payload: Payload,
    content_type: &'static str,
    most: usize,
) -> Result<Bytes, BodyError> {
    read_with(request, payload, content_type, most, async |_| Ok(())).await
}

/// The same; `room` is asked before each piece is kept, with its length, and may end it.
pub async fn read_with<E: From<BodyError>>(
    request: &HttpRequest,
    mut payload: Payload,
    content_type: &'static str,
    most: usize,
    room: impl AsyncFn(usize) -> Result<(), E>,
) -> Result<Bytes, E> {
    if !has_type(request, content_type) {
        return Err(BodyError::WrongType(content_type).into());
    }
    // memory that is not written to costs nothing
    let mut body = BytesMut::with_capacity(length(request).min(most));
    let stopwatch = Stopwatch::start();
    loop {
        let left = time_left(body.len(), most, stopwatch.elapsed());
        let next = poll_fn(|context| Pin::new(&mut payload).poll_next(context));
        match timeout(left, next).await {
            Err(_) => return Err(BodyError::TooSlow.into()),
            Ok(None) => return Ok(body.freeze()),
            Ok(Some(Err(_))) => return Err(BodyError::Broken.into()),
            Ok(Some(Ok(piece))) if body.len() + piece.len() > most => {
                return Err(BodyError::TooLarge(most).into());
            }
            Ok(Some(Ok(piece))) => {
                room(piece.len()).await?;
                body.extend_from_slice(&piece);
            }
        }
    }
}

fn has_type(request: &HttpRequest, content_type: &str) -> bool {
    let mut types = request.headers().get_all(CONTENT_TYPE);
    let (only, second) = (types.next(), types.next());
    let named = only
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .unwrap_or_default();
    second.is_none() && named.trim().eq_ignore_ascii_case(content_type)
}

/// As it was announced; 0: it was not.
fn length(request: &HttpRequest) -> usize {
    let length = request.headers().get(CONTENT_LENGTH);
    length
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .unwrap_or_default()
}

/// How long to wait for more of a body of which `came` bytes came in the time that has `passed`.
fn time_left(came: usize, most: usize, passed: Duration) -> Duration {
    let seconds = (most / SLOWEST_BYTES_A_SECOND).min(came / TRICKLE_BYTES_A_SECOND);
    let whole = LEAST + Duration::from_secs(seconds as u64);
    whole.saturating_sub(passed).min(LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_a_trickle_and_a_long_body_have_an_end() {
        let (most, seconds) = (50 * 1024 * 1024, Duration::from_secs);
        assert_eq!(time_left(0, most, seconds(0)), seconds(10));
        assert_eq!(time_left(0, most, seconds(4)), seconds(6));
        // 1 MiB in 20 seconds is enough until the 26th
        assert_eq!(time_left(1024 * 1024, most, seconds(20)), seconds(6));
        assert_eq!(time_left(1024 * 1024, most, seconds(26)), seconds(0));
        // a silence is never longer, whatever came before
        assert_eq!(time_left(most, most, seconds(5)), seconds(10));
        assert_eq!(time_left(most, most, seconds(110)), seconds(0));
        assert_eq!(time_left(60_000, 65_536, seconds(3)), seconds(7));
    }
}
