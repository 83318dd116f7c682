//! `POST /v1/verify`: the vendor's backend asks. 200 to every authenticated resource server, whatever the decision.

use std::net::IpAddr;

use actix_web::http::StatusCode;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::status::http_status;
use crate::app::{App, Lookup};
use crate::config::Catalogue;
use crate::domain::decision::access::Access;
use crate::domain::decision::check::{self, Decision, DecisionCode, Question};
use crate::domain::decision::explain::{Step, explain};
use crate::domain::decision::factors::{Cause, Factor, Reason};
use crate::domain::decision::limiter::{Policy, Standing};
use crate::domain::decision::resource_servers::Server;
use crate::domain::decision::sandbox::{Obligations, RefusedRecipient};
use crate::domain::decision::{Unlock, ensure};
use crate::telemetry::metrics::DecisionLabels;
use crate::types::environment::Environment;
use crate::types::id::{OrganizationId, UserId, WorkspaceId};
use crate::types::state::ObligationKind;
use crate::types::time::Timestamp;
use crate::web::facts::Facts;
use crate::web::problem::Problem;
use crate::web::{body, resource_server};

const MOST_RECIPIENTS: usize = 500;
const MOST_NAME_BYTES: usize = 8 * 1024;
const MOST_TEXT_BYTES: usize = 8 * 1024;

const FIELDS: &str = "credential, permission, workspace, environment, method, path, client_ip, document_name, recipients and explain";

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
    /// Asks what each factor says, and takes nothing from any limit.
    explain: Option<bool>,
}

/// A readable body: the credential, whose request it came with, and the question.
pub struct VerifyRequest {
    pub credential: String,
    pub client_ip: Option<IpAddr>,
    pub question: Question,
    pub explain: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    allowed: bool,
    code: DecisionCode,
    /// More exactly than the code; of a refusal only.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    /// What the asking API should answer with; of a refusal only.
    #[serde(skip_serializing_if = "Option::is_none")]
    http_status: Option<u16>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    holder: Option<Holder<'a>>,
    obligations: &'a Obligations,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    refused_recipients: &'a [RefusedRecipient],
    /// What the Sandbox policy demands and this resource server is not registered to enforce.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    missing_obligations: &'a [ObligationKind],
    limits: Vec<Limit<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    violated_policies: &'a [Policy],
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_seconds: Option<i64>,
    /// What unlocks it, when the plan, the approval or the Dev Centre's switch refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    unlock: Option<Unlock>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    explanation: Option<Explanation>,
}

/// Only when it was asked for, of a credential that was found.
#[derive(Serialize)]
struct Explanation {
    explanation: Vec<StepPart>,
    refused_by: Option<Factor>,
}

#[derive(Serialize)]
struct StepPart {
    factor: Factor,
    allows: bool,
    detail: String,
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

pub async fn post(
    app: web::Data<App>,
    facts: Facts,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    verify(&app, &facts, &request, payload)
        .await
        .unwrap_or_else(|problem| problem.respond(&facts))
}

async fn verify(
    app: &App,
    facts: &Facts,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let server = resource_server::authenticate(app, request.headers(), facts).await?;
    let bytes = body::read(
        request,
        payload,
        "application/json",
        app.config.server.max_body_bytes,
    )
    .await?;
    let asked = parse(&app.settings.catalogue, &bytes)?;
    if asked.explain {
        explained(app, facts, &server, &asked).await
    } else {
        decided(app, facts, &server, &asked).await
    }
}

async fn decided(
    app: &App,
    facts: &Facts,
    server: &Server,
    asked: &VerifyRequest,
) -> Result<HttpResponse, Problem> {
    let (access, decision) = match app
        .access(&asked.credential, asked.client_ip, facts.now)
        .await?
    {
        Lookup::Found(access) => {
            let decision = check::check(
                &access,
                &asked.question,
                server,
                &app.rules(),
                &app.limiter,
                facts.now,
            );
            app.note_use(&access, asked.client_ip, facts.now);
            (Some(access), decision)
        }
        other => (None, not_found(&other)),
    };
    app.metrics
        .decisions
        .get_or_create(&DecisionLabels {
            door: "verify",
            code: decision.code().as_str(),
        })
        .inc();
    Ok(respond(&answer(app, access.as_deref(), &decision, None)))
}

/// Leaves no trace: no limit is taken, no use is noted, no rotation goes on.
async fn explained(
    app: &App,
    facts: &Facts,
    server: &Server,
    asked: &VerifyRequest,
) -> Result<HttpResponse, Problem> {
    let access = match app
        .peek(&asked.credential, asked.client_ip, facts.now)
        .await?
    {
        Lookup::Found(access) => access,
        other => return Ok(respond(&answer(app, None, &not_found(&other), None))),
    };
    let (decision, steps) = explain(
        &access,
        &asked.question,
        server,
        &app.rules(),
        &app.limiter,
        facts.now,
    );
    let part = |step: Step| StepPart {
        factor: step.factor,
        allows: step.allows,
        detail: step.detail,
    };
    let refused_by = decision.cause.map(|cause| cause.factor);
    let explanation = (!steps.is_empty()).then(|| Explanation {
        explanation: steps.into_iter().map(part).collect(),
        refused_by,
    });
    Ok(respond(&answer(app, Some(&access), &decision, explanation)))
}

fn respond(answer: &Answer) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(answer)
}

fn not_found(lookup: &Lookup) -> Decision {
    match lookup {
        Lookup::Throttled {
            retry_after_seconds,
        } => Decision {
            retry_after_seconds: Some(*retry_after_seconds),
            ..Decision::refused(Cause::THROTTLED)
        },
        Lookup::Found(_) | Lookup::Unknown => Decision::refused(Cause::UNKNOWN),
    }
}

/// What a body asks; otherwise the answer to it, which repeats nothing of the body.
pub fn parse(catalogue: &Catalogue, body: &[u8]) -> Result<VerifyRequest, Problem> {
    let body: Body = serde_json::from_slice(body).map_err(|error| unreadable(&error))?;
    let question = question(catalogue, &body)?;
    Ok(VerifyRequest {
        credential: body.credential,
        client_ip: body.client_ip,
        question,
        explain: body.explain.unwrap_or(false),
    })
}

/// Where the body went wrong. Never in the parser's words: they repeat what was sent, and a credential may stand in the wrong place.
fn unreadable(error: &serde_json::Error) -> Problem {
    let what = if error.is_data() {
        "A field is missing, unknown, repeated or of the wrong type"
    } else {
        "The body is not JSON"
    };
    let detail = format!(
        "{what} (line {}, column {}). The fields are {FIELDS}.",
        error.line(),
        error.column()
    );
    Problem::bad_request("invalid_request", detail)
}

fn question(catalogue: &Catalogue, body: &Body) -> Result<Question, Problem> {
    let invalid = |detail: &str| Problem::bad_request("invalid_request", detail);
    let name = body.document_name.as_ref().map_or(0, String::len);
    ensure(
        name <= MOST_NAME_BYTES,
        invalid("document_name is too long."),
    )?;
    let texts = [&body.method, &body.path].into_iter().flatten();
    ensure(
        texts.into_iter().all(|text| text.len() <= MOST_TEXT_BYTES),
        invalid("method or path is too long."),
    )?;
    ensure(
        body.recipients
            .as_ref()
            .is_none_or(|list| list.len() <= MOST_RECIPIENTS),
        invalid("There are too many recipients."),
    )?;
    let permission = match &body.permission {
        None => None,
        Some(name) => Some(
            catalogue
                .permission(name)
                .ok_or_else(|| unknown_permission(catalogue))?,
        ),
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
    Problem::new(
        StatusCode::BAD_REQUEST,
        "unknown_permission",
        "permission is not one of the configured ones.",
    )
    .with("permissions", json!(known))
}

fn answer<'a>(
    app: &'a App,
    access: Option<&'a Access>,
    decision: &'a Decision,
    explanation: Option<Explanation>,
) -> Answer<'a> {
    // a token for another API reads like none at all
    let found = access.filter(|_| decision.code() != DecisionCode::NotFound);
    Answer {
        allowed: decision.is_allowed(),
        code: decision.code(),
        reason: decision.cause.map(|cause| cause.reason),
        http_status: http_status(decision.cause, &app.config.errors),
        holder: found.map(|access| holder(app, access, decision)),
        obligations: &decision.obligations,
        refused_recipients: &decision.refused_recipients,
        missing_obligations: &decision.missing_obligations,
        limits: decision.limits.iter().map(limit).collect(),
        violated_policies: &decision.violated,
        retry_after_seconds: decision.retry_after_seconds,
        unlock: found.and_then(|access| unlock(app, access, decision)),
        explanation,
    }
}

fn unlock(app: &App, access: &Access, decision: &Decision) -> Option<Unlock> {
    let lock = access.lock.filter(|lock| {
        decision
            .cause
            .is_some_and(|cause| cause.reason == lock.reason())
    })?;
    Some(lock.unlock(&app.settings.catalogue, access.environment))
}

/// The holder proved the secret: what the credential is may be told.
fn holder<'a>(app: &'a App, access: &'a Access, decision: &Decision) -> Holder<'a> {
    Holder {
        credential: CredentialPart {
            kind: access.credential.kind.as_str(),
            id: &access.credential.id,
            name: &access.credential.name,
        },
        environment: access.environment,
        organization: access.organization,
        workspaces: access.workspaces().collect(),
        actor: ActorPart {
            id: access.actor.id,
            kind: access.actor.kind,
            name: &access.actor.name,
        },
        permissions: app.settings.catalogue.names(decision.permissions),
        expires_at: access.credential.expires_at,
    }
}

fn limit(standing: &Standing) -> Limit<'_> {
    Limit {
        policy: &standing.policy,
        limit: standing.limit,
        remaining: standing.remaining,
        reset_seconds: standing.reset_seconds,
    }
}
