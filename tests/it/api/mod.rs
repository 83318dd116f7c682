//! The management API, one file a noun, and what every operation does the same way.

mod api_key_requests;
mod api_key_rotation;
mod api_key_transfers;
pub mod api_keys;
mod applications;
mod customers;
mod departures;
mod description;
mod domains;
mod frame;
mod idempotency;
mod invitations;
mod management_tokens;
mod members;
mod openapi;
pub mod operator_tokens;
mod operators;
mod own_catalogue;
mod plans;
mod provisioning;
mod resource_servers;
mod roles;
mod samples;
mod schemathesis;
mod service_accounts;
mod signing_keys;
mod workspaces;

use countersign::types::id::UserId;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;

use crate::server::Server;
use crate::tenants::management_token;

/// A program with one credential.
pub struct Program<'s> {
    pub server: &'s Server,
    credential: String,
    client: reqwest::Client,
}

impl<'s> Program<'s> {
    pub fn new(server: &'s Server, credential: &str) -> Self {
        Self {
            server,
            credential: credential.to_owned(),
            client: reqwest::Client::new(),
        }
    }

    pub fn operator(server: &'s Server) -> Self {
        Self::new(server, &server.secrets.operator_token)
    }

    /// A first-party application that the person lets manage everything they may.
    pub async fn of(server: &'s Server, person: UserId) -> Self {
        Self::new(
            server,
            &management_token(server, person, "management:read management:write").await,
        )
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, self.server.url(path))
            .bearer_auth(&self.credential)
    }

    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        json(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        json(self.request(Method::POST, path).json(body)).await
    }

    /// To an operation that takes no body.
    pub async fn post_empty(&self, path: &str) -> (StatusCode, Value) {
        json(self.request(Method::POST, path)).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        json(self.request(Method::PATCH, path).json(body)).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        json(self.request(Method::PUT, path).json(body)).await
    }

    pub async fn delete(&self, path: &str) -> (StatusCode, Value) {
        json(self.request(Method::DELETE, path)).await
    }
}

pub async fn send(request: RequestBuilder) -> Response {
    request.send().await.expect("an answer")
}

pub async fn json(request: RequestBuilder) -> (StatusCode, Value) {
    crate::server::json(send(request).await).await
}

/// A program by which the planted admin manages the planted organization.
pub async fn manager(server: &Server) -> Program<'_> {
    manager_of(server, crate::tenants::admin(server).await).await
}

/// The same for another member.
pub async fn manager_of(server: &Server, person: UserId) -> Program<'_> {
    Program::new(
        server,
        &management_token(server, person, "management:read management:write").await,
    )
}

/// Status and code of a problem.
pub fn problem((status, body): (StatusCode, Value)) -> (u16, String) {
    let code = body["code"]
        .as_str()
        .unwrap_or_else(|| unreachable!("no problem: {body}"));
    assert_eq!(body["status"], status.as_u16(), "{body}");
    assert!(
        body["request_id"]
            .as_str()
            .is_some_and(|id| id.starts_with("req_")),
        "{body}"
    );
    (status.as_u16(), code.to_owned())
}

pub fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_else(|| unreachable!("{pointer}: {value}"))
}
