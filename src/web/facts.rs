//! What is known of a request before any handler runs: its id, its instant, and the client's address.
//!
//! Invariant: a request that the outermost middleware has not seen has none, and is answered 500. Nothing is made up for it: an
//! instant of 0 would revive what has expired.

use std::future::{Ready, ready};
use std::net::IpAddr;

use actix_web::dev::Payload;
use actix_web::error::InternalError;
use actix_web::http::StatusCode;
use actix_web::{FromRequest, HttpMessage, HttpRequest, HttpResponse};

use crate::types::id::RequestId;
use crate::types::time::Timestamp;

/// One instant, one id, one address a request.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    pub id: RequestId,
    pub now: Timestamp,
    /// The right-most hop that is not a trusted proxy.
    pub address: IpAddr,
}

/// The 500 of a door, in its own form. The route table gives each route that of its door.
#[derive(Debug, Clone, Copy)]
pub struct WithoutFacts(pub fn() -> HttpResponse);

impl Facts {
    /// The facts that the outermost middleware noted.
    pub fn of(request: &HttpRequest) -> Option<Self> {
        let noted = request.extensions().get::<Self>().copied();
        if noted.is_none() {
            tracing::error!("A request came around the middleware, and is answered 500");
        }
        noted
    }
}

impl FromRequest for Facts {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(request).ok_or_else(|| {
            InternalError::from_response("the request has no facts", without_facts(request)).into()
        }))
    }
}

/// What the route's door answers to a request without facts.
pub fn without_facts(request: &HttpRequest) -> HttpResponse {
    match request.app_data::<WithoutFacts>() {
        Some(WithoutFacts(answer)) => answer(),
        None => HttpResponse::new(StatusCode::INTERNAL_SERVER_ERROR),
    }
}
