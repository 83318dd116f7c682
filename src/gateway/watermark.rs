//! `POST /v1/watermark`: stamps a Sandbox credential's PDF; a Production credential's comes back byte for byte.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, HeaderMap};
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use super::status::http_status;
use crate::app::uploads::{Full, Upload};
use crate::app::{App, Lookup};
use crate::domain::decision::check::stands;
use crate::domain::decision::factors::Cause;
use crate::pdf::{Mark, Refusal};
use crate::types::environment::Environment;
use crate::web::body::{self, BodyError};
use crate::web::facts::Facts;
use crate::web::problem::{Problem, RETRY_SECONDS};
use crate::web::resource_server;

/// Names the credential on whose behalf the PDF is fetched.
const CREDENTIAL: &str = "countersign-credential";

pub async fn post(
    app: web::Data<App>,
    facts: Facts,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    watermark(&app, &facts, &request, payload)
        .await
        .unwrap_or_else(|problem| problem.respond(&facts))
}

async fn watermark(
    app: &App,
    facts: &Facts,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let server = resource_server::authenticate(app, request.headers(), facts).await?;
    let presented = presented(request.headers())?;
    let access = match app.access(presented, None, facts.now).await? {
        Lookup::Found(access) => access,
        Lookup::Unknown => return Err(refused(app, Cause::UNKNOWN)),
        Lookup::Throttled {
            retry_after_seconds,
        } => return Err(Problem::rate_limited(retry_after_seconds)),
    };
    stands(&access, &server, &app.settings.catalogue, facts.now)
        .map_err(|cause| refused(app, cause))?;
    // before the body is read: what waits here would fill the memory
    let upload = app.uploads.begin(server.id).await.map_err(busy)?;
    let most = usize::try_from(app.config.watermark.max_input_bytes).unwrap_or(usize::MAX);
    let input = receive(request, payload, most, &upload).await?;
    upload.is_whole();
    let output = match access.environment {
        Environment::Production => input,
        Environment::Sandbox => {
            let mark = Mark {
                text: app.policy.watermark_text.clone(),
            };
            web::Bytes::from(
                app.stamper
                    .stamp(input.into(), &mark)
                    .await
                    .map_err(problem)?,
            )
        }
    };
    upload.becomes(output.len());
    Ok(HttpResponse::Ok()
        .content_type("application/pdf")
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(Output {
            size: BodySize::Sized(output.len() as u64),
            document: Some(output),
            _upload: upload,
        }))
}

/// The document, unless its client is silent while others need the room.
async fn receive(
    request: &HttpRequest,
    payload: web::Payload,
    most: usize,
    upload: &Upload,
) -> Result<web::Bytes, Problem> {
    let room = async |bytes| upload.take(bytes).await.map_err(busy);
    let mut document = pin!(body::read_with(
        request,
        payload,
        "application/pdf",
        most,
        room
    ));
    let mut cut = pin!(upload.is_cut());
    poll_fn(|context| {
        if let Poll::Ready(document) = document.as_mut().poll(context) {
            return Poll::Ready(document);
        }
        let cut = cut.as_mut().poll(context);
        cut.map(|()| Err(BodyError::TooSlow.into()))
    })
    .await
}

fn busy(_: Full) -> Problem {
    problem(Refusal::Busy)
}

/// The document in the answer: it is in memory until it is written.
struct Output {
    size: BodySize,
    document: Option<web::Bytes>,
    _upload: Upload,
}

impl MessageBody for Output {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        self.size
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<web::Bytes, Self::Error>>> {
        Poll::Ready(self.document.take().map(Ok))
    }
}

fn presented(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut values = headers.get_all(CREDENTIAL).map(|value| value.to_str());
    match (values.next(), values.next()) {
        (Some(Ok(one)), None) => Ok(one),
        _ => Err(Problem::bad_request(
            "invalid_request",
            "Send the credential once, in the header Countersign-Credential.",
        )),
    }
}

/// The decision's own word, so that a resource server needs one vocabulary.
fn refused(app: &App, cause: Cause) -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "credential_refused",
        "The credential may not do this.",
    )
    .with("decision", json!(cause.code))
    .with("reason", json!(cause.reason))
    .with(
        "http_status",
        json!(http_status(Some(cause), &app.config.errors)),
    )
}

fn problem(refusal: Refusal) -> Problem {
    let (status, code, detail) = (status(&refusal), refusal.code(), refusal.to_string());
    if status.is_server_error() {
        tracing::error!("A PDF was not stamped: {detail}");
    }
    let problem = Problem::new(status, code, detail);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        problem.retry_after(RETRY_SECONDS)
    } else {
        problem
    }
}

fn status(refusal: &Refusal) -> StatusCode {
    match refusal.code() {
        "stamp_busy" => StatusCode::SERVICE_UNAVAILABLE,
        "stamp_failed" | "stamp_mark_unusable" => StatusCode::INTERNAL_SERVER_ERROR,
        "pdf_too_large" => StatusCode::PAYLOAD_TOO_LARGE,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}
