//! Reads a body whole, up to a bound, of one content type.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::rt::time::timeout;
use actix_web::web::{Bytes, Payload};

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
const LEAST_SECONDS: u64 = 10;
const SLOWEST_BYTES_A_SECOND: u64 = 512 * 1024;

/// Refuses another content type, or two of them, before reading.
pub async fn read(
    request: &HttpRequest,
    payload: Payload,
    content_type: &'static str,
    most: usize,
) -> Result<Bytes, BodyError> {
    let mut types = request.headers().get_all(CONTENT_TYPE);
    let (only, second) = (types.next(), types.next());
    let named = only
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .unwrap_or_default();
    if second.is_some() || !named.trim().eq_ignore_ascii_case(content_type) {
        return Err(BodyError::WrongType(content_type));
    }
    let time = Duration::from_secs(LEAST_SECONDS + most as u64 / SLOWEST_BYTES_A_SECOND);
    match timeout(time, payload.to_bytes_limited(most)).await {
        Ok(Ok(Ok(bytes))) => Ok(bytes),
        Ok(Ok(Err(_))) => Err(BodyError::Broken),
        Ok(Err(_)) => Err(BodyError::TooLarge(most)),
        Err(_) => Err(BodyError::TooSlow),
    }
}
