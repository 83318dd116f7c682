//! Reads a body whole, up to a bound, of one content type.

use actix_web::HttpRequest;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{Bytes, Payload};

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error("The content type must be {0}.")]
    WrongType(&'static str),
    #[error("The body is larger than {0} bytes.")]
    TooLarge(usize),
    #[error("The body ended before it was complete.")]
    Broken,
}

/// Refuses another content type, or two of them, before reading.
pub async fn read(request: &HttpRequest, payload: Payload, content_type: &'static str, most: usize) -> Result<Bytes, BodyError> {
    let mut types = request.headers().get_all(CONTENT_TYPE);
    let (only, second) = (types.next(), types.next());
    let named = only.and_then(|value| value.to_str().ok()).and_then(|value| value.split(';').next()).unwrap_or_default();
    if second.is_some() || !named.trim().eq_ignore_ascii_case(content_type) {
        return Err(BodyError::WrongType(content_type));
    }
    match payload.to_bytes_limited(most).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => Err(BodyError::Broken),
        Err(_) => Err(BodyError::TooLarge(most)),
    }
}
