//! Answers while the database is away at the start: alive, not ready, and at every door 503 in the door's own form.

use std::net::TcpListener;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::http::header::{CACHE_CONTROL, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use actix_web::middleware::DefaultHeaders;
use actix_web::{App as WebApp, HttpRequest, HttpResponse, HttpServer, web};
use serde_json::json;

use super::health::healthz;
use super::routes::{Form, form};
use crate::config::Alias;
use crate::oauth;
use crate::store::{Error, Trouble};
use crate::web::html::unavailable_page;
use crate::web::problem::unavailable;

/// Descriptors are left for the database.
const MOST_CONNECTIONS: usize = 256;

/// A small server on a listener that another one takes over later.
pub struct WaitingRoom {
    handle: ServerHandle,
    served: actix_web::rt::task::JoinHandle<std::io::Result<()>>,
}

impl WaitingRoom {
    pub fn open(listener: &TcpListener, aliases: &[Alias]) -> std::io::Result<Self> {
        let aliases = web::Data::new(aliases.to_vec());
        let server: Server = HttpServer::new(move || {
            let headers = DefaultHeaders::new()
                .add((CACHE_CONTROL, "no-store"))
                .add((REFERRER_POLICY, "no-referrer"))
                .add((X_CONTENT_TYPE_OPTIONS, "nosniff"));
            WebApp::new()
                .app_data(aliases.clone())
                .wrap(headers)
                .service(web::resource("/healthz").to(healthz))
                .service(web::resource("/readyz").to(readyz))
                .default_service(web::to(closed))
        })
        .workers(1)
        .max_connections(MOST_CONNECTIONS)
        // nobody stays: the connections end with this server
        .keep_alive(actix_web::http::KeepAlive::Disabled)
        .client_request_timeout(Duration::from_secs(5))
        .shutdown_timeout(1)
        .disable_signals()
        .listen(listener.try_clone()?)?
        .run();
        let handle = server.handle();
        let served = actix_web::rt::spawn(server);
        Ok(Self { handle, served })
    }

    /// New connections wait on the listener for whoever comes next.
    pub async fn close(self) {
        self.handle.stop(true).await;
        if let Ok(Err(error)) = self.served.await {
            tracing::warn!("The waiting room ended badly: {error}");
        }
    }
}

async fn readyz() -> HttpResponse {
    let reasons = json!([Trouble::Unreachable.words()]);
    unavailable()
        .with("reasons", reasons)
        .respond_without_facts()
}

async fn closed(request: HttpRequest, aliases: web::Data<Vec<Alias>>) -> HttpResponse {
    let path = request.path();
    let alias = aliases.iter().find(|alias| alias.path == path);
    match form(alias.map_or(path, |alias| &alias.of)) {
        Form::Page => unavailable_page(),
        Form::OAuth => {
            let reason = Trouble::Unreachable.words().to_owned();
            oauth::error::Error::from(Error::Unavailable(reason)).respond()
        }
        Form::Problem => unavailable().respond_without_facts(),
    }
}
