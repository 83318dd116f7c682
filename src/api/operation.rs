//! An operation: what every one does the same way, in this order, and what OpenAPI tells of it.

use std::future::Future;
use std::pin::Pin;

use actix_web::http::{Method, StatusCode};
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse, web};
use schemars::generate::SchemaGenerator;
use schemars::{JsonSchema, Schema};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::domain::decision::limiter::Standing;
use crate::domain::ensure;
use crate::types::id::OrganizationId;
use crate::web::facts::Facts;
use crate::web::problem::{Problem, internal_error, unavailable};

use super::answer::{Answer, NoContent};
use super::call::{Call, authenticate};
use super::idempotency;
use super::input::{self, Input, NoBody, NoQuery};
pub use super::rule::{Or, Rule};

/// What OpenAPI tells of it.
pub struct Operation {
    pub rule: Rule,
    pub path: fn(&mut SchemaGenerator) -> Schema,
    pub query: Option<fn(&mut SchemaGenerator) -> Schema>,
    pub body: Option<fn(&mut SchemaGenerator) -> Schema>,
    pub answer: Option<fn(&mut SchemaGenerator) -> Schema>,
}

/// Reads the types off a handler.
pub fn describe<P, Q, B, A, F, R>(_: F, rule: Rule) -> Operation
where
    P: JsonSchema,
    Q: JsonSchema + 'static,
    B: JsonSchema + 'static,
    A: JsonSchema + 'static,
    F: Fn(Call, Input<P, Q, B>) -> R,
    R: Future<Output = Result<Answer<A>, Problem>>,
{
    fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<T>()
    }
    /// The fields of a path or a query are parameters: the type has no name of its own.
    fn fields<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
    Operation {
        rule,
        path: fields::<P>,
        query: (!input::is_none::<Q, NoQuery>()).then_some(fields::<Q>),
        body: (!input::is_none::<B, NoBody>()).then_some(schema::<B>),
        answer: (!input::is_none::<A, NoContent>()).then_some(schema::<A>),
    }
}

/// The answer to a request. The same type for every operation: then actix-web's part is compiled once for all of them.
pub type Answered = Pin<Box<dyn Future<Output = HttpResponse>>>;

/// What is compiled for each operation, one step after the other: the types of its path, query, body and answer.
type Read = Box<dyn FnOnce(&HttpRequest) -> Result<(Option<OrganizationId>, Parse), Problem>>;
type Parse = Box<dyn FnOnce(Option<&[u8]>) -> Result<Run, Problem>>;
type Run = Box<dyn FnOnce(Call, StatusCode, Vec<Standing>) -> Running>;
type Running = Pin<Box<dyn Future<Output = Result<HttpResponse, Problem>>>>;

/// Answers a request: credential, limit, permission, headers, path, query, body, and then the handler.
pub fn serve<P, Q, B, A, F, R>(
    rule: Rule,
    handler: F,
    request: HttpRequest,
    payload: Payload,
) -> Answered
where
    P: DeserializeOwned + 'static,
    Q: DeserializeOwned + 'static,
    B: DeserializeOwned + 'static,
    A: Serialize + 'static,
    F: Fn(Call, Input<P, Q, B>) -> R + 'static,
    R: Future<Output = Result<Answer<A>, Problem>> + 'static,
{
    let read = move |request: &HttpRequest| {
        let path = input::path(request)?;
        let (organization, query) = input::query(request)?;
        let parse = move |bytes: Option<&[u8]>| {
            let body = input::parse(bytes)?;
            let run = move |call, status, standings: Vec<Standing>| {
                let answered = handler(call, Input { path, query, body });
                Box::pin(async move { Ok(answered.await?.respond(status, &standings)) }) as Running
            };
            Ok(Box::new(run) as Run)
        };
        Ok((organization, Box::new(parse) as Parse))
    };
    let takes_body = !input::is_none::<B, NoBody>();
    Box::pin(respond(rule, takes_body, Box::new(read), request, payload))
}

async fn respond(
    rule: Rule,
    takes_body: bool,
    read: Read,
    request: HttpRequest,
    payload: Payload,
) -> HttpResponse {
    let Some(facts) = Facts::of(&request) else {
        return internal_error().respond_without_facts();
    };
    let answered = answer(rule, takes_body, read, &request, payload, facts).await;
    answered.unwrap_or_else(|problem| problem.respond(&facts))
}

async fn answer(
    rule: Rule,
    takes_body: bool,
    read: Read,
    request: &HttpRequest,
    payload: Payload,
    facts: Facts,
) -> Result<HttpResponse, Problem> {
    let app = request
        .app_data::<web::Data<App>>()
        .cloned()
        .ok_or_else(unavailable)?;
    let mut call = authenticate(app, facts, request).await?;
    let standings = call.take()?;
    call.ensure_any(rule)?;
    let key = if creates(request.method(), rule) {
        idempotency::key(request)?
    } else {
        None
    };
    let (organization, parse) = read(request)?;
    match (organization, call.organization) {
        (None, _) => {}
        (Some(named), None) => call.organization = Some(named),
        (Some(named), Some(own)) => {
            let detail =
                "The credential belongs to another organization. Only an operator token names one.";
            ensure(
                named == own,
                Problem::new(StatusCode::NOT_FOUND, "not_found", detail),
            )?;
        }
    }
    let bytes = if takes_body {
        Some(input::bytes(request, payload, call.app.config.server.max_body_bytes).await?)
    } else {
        input::ensure_no_body(request)?;
        None
    };
    let run = parse(bytes.as_deref())?;
    if let Some(key) = key {
        call.repeatable = Some(idempotency::begin(
            &call,
            request,
            key,
            bytes.as_deref().unwrap_or_default(),
        )?);
    }
    let status = StatusCode::from_u16(rule.status).unwrap_or(StatusCode::OK);
    run(call, status, standings).await
}

/// Whether it takes an idempotency key.
pub(super) fn creates(method: &Method, rule: Rule) -> bool {
    *method == Method::POST && rule.status == 201
}
