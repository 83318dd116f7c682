//! Long answers in pieces: the dispatcher copies each piece of a body into its buffer, whatever its length, before it writes.
//!
//! Invariant: of one answer at most two pieces are copied at a time. The body itself is shared where handlers share it.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::ServiceResponse;
use actix_web::web::Bytes;

const MOST_BYTES: usize = 32 * 1024;

/// The same answer, its body in pieces if it is long.
pub fn in_pieces(response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    let is_short = match response.response().body().size() {
        BodySize::None => true,
        BodySize::Sized(bytes) => bytes <= MOST_BYTES as u64,
        BodySize::Stream => false,
    };
    if is_short {
        return response;
    }
    response.map_body(|_, body| {
        BoxBody::new(Pieces {
            size: body.size(),
            body,
            rest: Bytes::new(),
        })
    })
}

struct Pieces {
    size: BodySize,
    body: BoxBody,
    rest: Bytes,
}

impl MessageBody for Pieces {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.size
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        if self.rest.is_empty() {
            match Pin::new(&mut self.body).poll_next(context) {
                Poll::Ready(Some(Ok(bytes))) => self.rest = bytes,
                other => return other,
            }
        }
        let count = self.rest.len().min(MOST_BYTES);
        Poll::Ready(Some(Ok(self.rest.split_to(count))))
    }
}
