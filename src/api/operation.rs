//! An operation: what every one does the same way, in this order, and what OpenAPI tells of it.

use std::future::Future;

use actix_web::http::{Method, StatusCode};
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse, web};
use schemars::generate::SchemaGenerator;
use schemars::{JsonSchema, Schema};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::domain::ensure;
use crate::types::right::Right;
use crate::web::facts::Facts;
use crate::web::problem::{Problem, internal_error, unavailable};

use super::answer::{Answer, NoContent};
use super::call::{Call, authenticate};
use super::idempotency;
use super::input::{self, Input, NoBody, NoQuery};

/// What the route table says of an operation.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// `noun::verb`.
    pub handler: &'static str,
    pub summary: &'static str,
    /// The credential holds one of these.
    pub needs: &'static [Right],
    /// Who may come in without them.
    pub or: Option<Or>,
    /// Of success.
    pub status: u16,
}

/// Who may call an operation without its permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Or {
    /// A key, for what it may do to itself.
    Itself,
    /// Any member, by a token that manages.
    Member,
}

impl Rule {
    /// The permissions as people read them: `api_keys:read or members:read`.
    pub fn needed(&self) -> String {
        let names: Vec<&str> = self.needs.iter().map(|right| right.name()).collect();
        let or = self.or.map(|or| match or {
            Or::Itself => "itself",
            Or::Member => "member",
        });
        names.into_iter().chain(or).collect::<Vec<_>>().join(" or ")
    }
}

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

/// Answers a request: credential, limit, permission, headers, path, query, body, and then the handler.
pub async fn serve<P, Q, B, A, F, R>(
    rule: Rule,
    handler: F,
    request: HttpRequest,
    payload: Payload,
) -> HttpResponse
where
    P: DeserializeOwned,
    Q: DeserializeOwned,
    B: DeserializeOwned + 'static,
    A: Serialize,
    F: Fn(Call, Input<P, Q, B>) -> R,
    R: Future<Output = Result<Answer<A>, Problem>>,
{
    let Some(facts) = Facts::of(&request) else {
        return internal_error().respond_without_facts();
    };
    let answered = answer(rule, handler, &request, payload, facts).await;
    answered.unwrap_or_else(|problem| problem.respond(&facts))
}

async fn answer<P, Q, B, A, F, R>(
    rule: Rule,
    handler: F,
    request: &HttpRequest,
    payload: Payload,
    facts: Facts,
) -> Result<HttpResponse, Problem>
where
    P: DeserializeOwned,
    Q: DeserializeOwned,
    B: DeserializeOwned + 'static,
    A: Serialize,
    F: Fn(Call, Input<P, Q, B>) -> R,
    R: Future<Output = Result<Answer<A>, Problem>>,
{
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
    let path = input::path(request)?;
    let (organization, query) = input::query(request)?;
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
    let bytes = input::bytes::<B>(request, payload, call.app.config.server.max_body_bytes).await?;
    let body = input::parse(bytes.as_deref())?;
    if let Some(key) = key {
        call.repeatable = Some(idempotency::begin(
            &call,
            request,
            key,
            bytes.as_deref().unwrap_or_default(),
        )?);
    }
    let answered = handler(call, Input { path, query, body }).await?;
    let status = StatusCode::from_u16(rule.status).unwrap_or(StatusCode::OK);
    Ok(answered.respond(status, &standings))
}

/// Whether it takes an idempotency key.
pub(super) fn creates(method: &Method, rule: Rule) -> bool {
    *method == Method::POST && rule.status == 201
}
