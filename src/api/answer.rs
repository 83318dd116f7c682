//! What a handler answers with.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, LOCATION};
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::decision::limiter::Standing;
use crate::web::rate_limit::add_headers;

use super::call::Made;

/// The view of an operation that answers without a body.
#[derive(Debug, Serialize, JsonSchema)]
pub struct NoContent {}

#[derive(Debug)]
pub struct Answer<A> {
    body: Option<A>,
    replayed: bool,
    location: Option<String>,
}

impl<A: Serialize> Answer<A> {
    pub fn of(body: A) -> Self {
        Self {
            body: Some(body),
            replayed: false,
            location: None,
        }
    }

    /// What was created, shown by `view`, at `location`.
    pub fn made<T>(
        made: Made<T>,
        location: impl FnOnce(&T) -> String,
        view: impl FnOnce(T) -> A,
    ) -> Self {
        let location = location(&made.value);
        Self {
            replayed: made.replayed,
            location: Some(location),
            body: Some(view(made.value)),
        }
    }

    pub(super) fn respond(self, status: StatusCode, standings: &[Standing]) -> HttpResponse {
        let mut builder = HttpResponse::build(status);
        add_headers(&mut builder, standings);
        builder.insert_header((CACHE_CONTROL, "no-store"));
        if self.replayed {
            builder.insert_header(("Idempotency-Replayed", "true"));
        }
        if let Some(location) = self.location {
            builder.insert_header((LOCATION, location));
        }
        match self.body {
            Some(body) => builder.json(body),
            None => builder.finish(),
        }
    }
}

impl Answer<NoContent> {
    pub fn none() -> Self {
        Self {
            body: None,
            replayed: false,
            location: None,
        }
    }
}
