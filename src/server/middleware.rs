//! Around every handler, outermost first: framing, facts, host check, the handler, errors as pages, security headers, log and
//! metrics.

use std::net::{IpAddr, Ipv4Addr};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{
    ALLOW, HOST, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, HttpResponse, web};

use crate::app::App;
use crate::oauth::protected_resource::WELL_KNOWN;
use crate::server::framing::{self, Admission, Held, Running};
use crate::server::pieces::in_pieces;
use crate::server::routes::Class;
use crate::telemetry::metrics::{ClassLabels, RequestLabels};
use crate::types::id::RequestId;
use crate::types::time::Stopwatch;
use crate::web::address::client_address;
use crate::web::facts::{Facts, without_facts};
use crate::web::html::{PageError, error_page};
use crate::web::problem::Problem;

/// Answered whatever the `Host`: probes ask by address, and the page that names the right one is to look like a page.
fn is_for_any_host(path: &str) -> bool {
    // RFC 9728 §3.1: the metadata of a resource is asked for under the resource's own name
    ["/healthz", "/readyz", "/metrics"].contains(&path)
        || path.starts_with("/static/")
        || path.starts_with(WELL_KNOWN)
}

pub async fn around(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let Some(app) = request.app_data::<web::Data<App>>().cloned() else {
        return Ok(request
            .into_response(HttpResponse::InternalServerError())
            .map_into_boxed_body());
    };
    let _running = Running::begin(&request);
    let admission = framing::admit(&request);
    if admission == Admission::Cut {
        return Ok(framing::cut(request).await);
    }
    let stopwatch = Stopwatch::start();
    let facts = facts(&app, &request);
    request.extensions_mut().insert(facts);
    let held = Held::take(&mut request);
    let mut response = if let Admission::Refuse(detail) = admission {
        let refusal = Problem::bad_request("ambiguous_request", detail).respond(&facts);
        request.into_response(refusal).map_into_boxed_body()
    } else if knows_host(&app, request.headers()) || is_for_any_host(request.path()) {
        let response = next.call(request).await?.map_into_boxed_body();
        with_page_errors(response)
    } else {
        let refusal = misdirected(&app, request.path(), &facts);
        request.into_response(refusal).map_into_boxed_body()
    };
    // 408: the rest of the body would be read as the next request
    if response.status() == StatusCode::REQUEST_TIMEOUT || framing::is_last(&response) {
        framing::end(&mut response);
    }
    secure(&app, &facts, response.headers_mut());
    observe(&app, &facts, &response, stopwatch);
    let response = in_pieces(response);
    Ok(match held {
        Some(held) => held.answer(response).await,
        None => response,
    })
}

fn facts(app: &App, request: &ServiceRequest) -> Facts {
    let now = app.clock.now();
    let peer = request
        .peer_addr()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
    let address = client_address(peer, request.headers(), &app.config.server.trusted_proxies);
    Facts {
        id: RequestId::generate(now),
        now,
        address,
    }
}

/// Absolute URLs come from the configuration; another name in `Host` is somebody else's request.
fn knows_host(app: &App, headers: &HeaderMap) -> bool {
    let mut hosts = headers
        .get_all(HOST)
        .map(|value| value.to_str().unwrap_or_default());
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return false;
    };
    let default_port = if app.issuer.is_secure() {
        ":443"
    } else {
        ":80"
    };
    let host = host.strip_suffix(default_port).unwrap_or(host);
    host.eq_ignore_ascii_case(app.issuer.host())
        || app
            .config
            .server
            .hosts
            .iter()
            .any(|own| own.eq_ignore_ascii_case(host))
}

/// RFC 9110 §15.5.20.
fn misdirected(app: &App, path: &str, facts: &Facts) -> HttpResponse {
    let detail = format!(
        "This server answers as {}. Use that address, or add the name to [server] hosts.",
        app.issuer.as_str()
    );
    if is_for_programs(path) {
        return Problem::new(
            StatusCode::MISDIRECTED_REQUEST,
            "misdirected_request",
            detail,
        )
        .respond(facts);
    }
    error_page(
        StatusCode::MISDIRECTED_REQUEST,
        "Another address",
        &detail,
        None,
        facts,
    )
}

/// A handler's `?` on a page error becomes the page, with the request's id on it.
fn with_page_errors(response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    let page = response
        .response()
        .error()
        .and_then(|error| error.as_error::<PageError>())
        .map(|error| error.respond(response.request()));
    match page {
        Some(page) => response.into_response(page),
        None => response,
    }
}

fn secure(app: &App, facts: &Facts, headers: &mut HeaderMap) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    if !headers.contains_key(REFERRER_POLICY) {
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    }
    if app.issuer.is_secure() {
        headers.insert(
            STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static("max-age=31536000"),
        );
    }
    name_scheme(&app.config.keys.header_scheme, headers);
    if let Ok(id) = HeaderValue::from_str(facts.id.as_str()) {
        headers.insert(HeaderName::from_static("x-request-id"), id);
    }
}

/// Where a bearer token would do, a key in its own scheme would, too (RFC 9110 §11.6.1: a 401 names every challenge).
fn name_scheme(scheme: &str, headers: &mut HeaderMap) {
    let asks = headers
        .get_all(WWW_AUTHENTICATE)
        .any(|value| value.as_bytes().starts_with(b"Bearer realm="));
    if asks
        && !scheme.eq_ignore_ascii_case("bearer")
        && let Ok(challenge) = HeaderValue::from_str(&format!("{scheme} realm=\"countersign\""))
    {
        headers.append(WWW_AUTHENTICATE, challenge);
    }
}

/// One line and one count a request. The route's pattern, never the path or the query: they may hold what somebody pasted.
fn observe(app: &App, facts: &Facts, response: &ServiceResponse<BoxBody>, stopwatch: Stopwatch) {
    let route = response
        .request()
        .match_pattern()
        .unwrap_or_else(|| "unmatched".to_owned());
    let method = known_method(response.request().method().as_str());
    let status = response.status().as_u16();
    let elapsed = stopwatch.elapsed();
    tracing::info!(request.id = %facts.id, method, route, status, client.address = %facts.address, micros = elapsed.as_micros(), "Answered");
    let class = Class::of(response.request()).as_str();
    app.metrics
        .request_seconds
        .get_or_create(&ClassLabels { class })
        .observe(elapsed.as_secs_f64());
    app.metrics
        .requests
        .get_or_create(&RequestLabels {
            route,
            method,
            status,
        })
        .inc();
}

/// A method is whatever the client wrote: only known ones become labels.
fn known_method(method: &str) -> &'static str {
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
        .into_iter()
        .find(|known| *known == method)
        .unwrap_or("OTHER")
}

/// What answers where no route does: JSON for programs, a page for people.
pub async fn not_found(request: HttpRequest) -> HttpResponse {
    let Some(facts) = Facts::of(&request) else {
        return without_facts(&request);
    };
    if is_for_programs(request.path()) {
        return Problem::new(
            StatusCode::NOT_FOUND,
            "not_found",
            "There is nothing at this path.",
        )
        .respond(&facts);
    }
    error_page(
        StatusCode::NOT_FOUND,
        "Not found",
        "There is nothing here, or it is not yours to see.",
        None,
        &facts,
    )
}

/// What answers where a route has another method (RFC 9110 §15.5.6).
pub async fn method_not_allowed(request: HttpRequest, allow: String) -> HttpResponse {
    let Some(facts) = Facts::of(&request) else {
        return without_facts(&request);
    };
    let mut response = if is_for_programs(request.path()) {
        Problem::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "This path does not answer to that method.",
        )
        .respond(&facts)
    } else {
        error_page(
            StatusCode::METHOD_NOT_ALLOWED,
            "That did not work",
            "This address does not answer to that method.",
            None,
            &facts,
        )
    };
    if let Ok(value) = HeaderValue::from_str(&allow) {
        response.headers_mut().insert(ALLOW, value);
    }
    response
}

fn is_for_programs(path: &str) -> bool {
    ["/v1/", "/oauth2/", "/.well-known/"]
        .iter()
        .any(|start| path.starts_with(start))
        && path != "/oauth2/authorize"
}
