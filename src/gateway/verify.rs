//! `POST /v1/verify`: the vendor's backend asks. 200 to every authenticated resource server, whatever the decision.

use std::net::IpAddr;

use actix_web::http::StatusCode;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::app::{App, Lookup};
use crate::config::Catalogue;
use crate::domain::access::Access;
use crate::domain::check::{self, Code, Decision, Question};
use crate::domain::ensure;
use crate::domain::limiter::{Policy, Standing};
use crate::domain::sandbox::{Obligations, RefusedRecipient};
use crate::telemetry::metrics::DecisionLabels;
use crate::types::environment::Environment;
use crate::types::id::{OrganizationId, UserId, WorkspaceId};
use crate::types::time::Timestamp;
use crate::web::facts::Facts;
use crate::web::problem::Problem;
use crate::web::{body, resource_server};

const MOST_RECIPIENTS: usize = 500;
const MOST_NAME_BYTES: usize = 8 * 1024;
const MOST_TEXT_BYTES: usize = 8 * 1024;

const FIELDS: &str = "credential, permission, workspace, environment, method, path, client_ip, document_name and recipients";

/// DESIGN §5. All but `credential` is optional.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    credential: String,
    permission: Option<String>,
    workspace: Option<WorkspaceId>,
    environment: Option<Environment>,
    /// Of the request that the credential came with; for the record.
    method: Option<String>,
    path: Option<String>,
    client_ip: Option<IpAddr>,
    document_name: Option<String>,
    recipients: Option<Vec<String>>,
}

/// A readable body: the credential, whose request it came with, and the question.
pub struct Asked {
    pub credential: String,
    pub client_ip: Option<IpAddr>,
    pub question: Question,
}

#[derive(Serialize)]
struct Answer<'a> {
    allowed: bool,
    code: &'static str,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    holder: Option<Holder<'a>>,
    obligations: &'a Obligations,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    refused_recipients: &'a [RefusedRecipient],
    limits: Vec<Limit<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    violated_policies: &'a [Policy],
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_seconds: Option<i64>,
}

#[derive(Serialize)]
struct Holder<'a> {
    credential: CredentialPart<'a>,
    environment: Environment,
    organization: OrganizationId,
    workspaces: Vec<WorkspaceId>,
    actor: ActorPart<'a>,
    permissions: Vec<&'a str>,
    expires_at: Option<Timestamp>,
}

#[derive(Serialize)]
struct CredentialPart<'a> {
    kind: &'static str,
    id: &'a str,
    name: &'a str,
}

#[derive(Serialize)]
struct ActorPart<'a> {
    id: UserId,
    kind: crate::types::state::UserKind,
    name: &'a str,
}

#[derive(Serialize)]
struct Limit<'a> {
    policy: &'a Policy,
    limit: u64,
    remaining: u64,
    reset_seconds: i64,
}

pub async fn post(app: web::Data<App>, facts: Facts, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    verify(&app, &facts, &request, payload).await.unwrap_or_else(|problem| problem.respond(&facts))
}

async fn verify(app: &App, facts: &Facts, request: &HttpRequest, payload: web::Payload) -> Result<HttpResponse, Problem> {
    let server = resource_server::authenticate(app, request.headers(), facts).await?;
    let bytes = body::read(request, payload, "application/json", app.config.server.max_body_bytes).await?;
    let asked = parse(&app.catalogue, &bytes)?;
    let (access, decision) = match app.access(&asked.credential, asked.client_ip, facts.now).await? {
        Lookup::Found(access) => {
            let decision = check::check(&access, &asked.question, &server, &app.rules(), &app.limiter, facts.now);
            app.note_use(&access, asked.client_ip, facts.now);
            (Some(access), decision)
        }
        Lookup::Unknown => (None, Decision::refused(Code::NotFound)),
        Lookup::Throttled { retry_after_seconds } => {
            (None, Decision { retry_after_seconds: Some(retry_after_seconds), ..Decision::refused(Code::RateLimited) })
        }
    };
    app.metrics.decisions.get_or_create(&DecisionLabels { door: "verify", code: decision.code.as_str() }).inc();
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(answer(app, access.as_deref(), &decision)))
}

/// What a body asks; otherwise the answer to it, which repeats nothing of the body.
pub fn parse(catalogue: &Catalogue, body: &[u8]) -> Result<Asked, Problem> {
    let body: Body = serde_json::from_slice(body).map_err(|error| unreadable(&error))?;
    let question = question(catalogue, &body)?;
    Ok(Asked { credential: body.credential, client_ip: body.client_ip, question })
}

/// Where the body went wrong. Never in the parser's words: they repeat what was sent, and a credential may stand in the wrong place.
fn unreadable(error: &serde_json::Error) -> Problem {
    let what = if error.is_data() { "A field is missing, unknown, repeated or of the wrong type" } else { "The body is not JSON" };
    let detail = format!("{what} (line {}, column {}). The fields are {FIELDS}.", error.line(), error.column());
    Problem::bad_request("invalid_request", detail)
}

fn question(catalogue: &Catalogue, body: &Body) -> Result<Question, Problem> {
    let invalid = |detail: &str| Problem::bad_request("invalid_request", detail);
    let name = body.document_name.as_ref().map_or(0, String::len);
    ensure(name <= MOST_NAME_BYTES, invalid("document_name is too long."))?;
    let texts = [&body.method, &body.path].into_iter().flatten();
    ensure(texts.into_iter().all(|text| text.len() <= MOST_TEXT_BYTES), invalid("method or path is too long."))?;
    ensure(body.recipients.as_ref().is_none_or(|list| list.len() <= MOST_RECIPIENTS), invalid("There are too many recipients."))?;
    let permission = match &body.permission {
        None => None,
        Some(name) => Some(catalogue.permission(name).ok_or_else(|| unknown_permission(catalogue))?),
    };
    Ok(Question {
        permission,
        workspace: body.workspace,
        environment: body.environment,
        document_name: body.document_name.clone(),
        recipients: body.recipients.clone(),
    })
}

/// A resource server that asks for what does not exist has a typo: it must not read as a refusal.
fn unknown_permission(catalogue: &Catalogue) -> Problem {
    let known = catalogue.names(catalogue.all());
    Problem::new(StatusCode::BAD_REQUEST, "unknown_permission", "permission is not one of the configured ones.").with("permissions", json!(known))
}

fn answer<'a>(app: &'a App, access: Option<&'a Access>, decision: &'a Decision) -> Answer<'a> {
    Answer {
        allowed: decision.is_allowed(),
        code: decision.code.as_str(),
        holder: access.map(|access| holder(app, access, decision)),
        obligations: &decision.obligations,
        refused_recipients: &decision.refused_recipients,
        limits: decision.limits.iter().map(limit).collect(),
        violated_policies: &decision.violated,
        retry_after_seconds: decision.retry_after_seconds,
    }
}

/// The holder proved the secret: what the credential is may be told.
fn holder<'a>(app: &'a App, access: &'a Access, decision: &Decision) -> Holder<'a> {
    Holder {
        credential: CredentialPart { kind: access.credential.kind.as_str(), id: &access.credential.id, name: &access.credential.name },
        environment: access.environment,
        organization: access.organization,
        workspaces: access.workspaces().collect(),
        actor: ActorPart { id: access.actor.id, kind: access.actor.kind, name: &access.actor.name },
        permissions: app.catalogue.names(decision.permissions),
        expires_at: access.credential.expires_at,
    }
}

fn limit(standing: &Standing) -> Limit<'_> {
    Limit { policy: &standing.policy, limit: standing.limit, remaining: standing.remaining, reset_seconds: standing.reset_seconds }
}
