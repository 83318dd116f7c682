//! What is known of a request before any handler runs: its id, its instant, and the client's address.

use std::future::{Ready, ready};
use std::net::{IpAddr, Ipv4Addr};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};

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

impl Facts {
    /// The facts that the outermost middleware noted.
    pub fn of(request: &HttpRequest) -> Self {
        let noted = request.extensions().get::<Self>().copied();
        noted.unwrap_or_else(|| Self {
            id: RequestId::generate(Timestamp::from_millis(0)),
            now: Timestamp::from_millis(0),
            address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        })
    }
}

impl FromRequest for Facts {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::of(request)))
    }
}
