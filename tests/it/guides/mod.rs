//! The vendors' guides, walked from top to bottom under the vendor's own profile: one test a promise, named by it, through HTTP.

mod documenso;
mod pandadoc_keys;
mod pandadoc_workspaces;
mod penvio;
mod yousign;

use countersign::types::environment::Environment;
use countersign::types::id::{ApplicationId, UserId};
use countersign::types::state::OrganizationRole;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::api::{self, Program, text};
use crate::databases::TestDatabase;
use crate::server::Server;
use crate::tenants::{self, Key};

/// A server under a vendor's profile, with the planted organization on the vendor's largest plan.
pub struct Guide {
    pub server: Server,
    /// The vendor's own application, by which people manage.
    management: ApplicationId,
}

impl Guide {
    pub async fn start(db: TestDatabase, profile: &str) -> Self {
        Self::of(
            Server::start_profile(db, profile, |config| {
                config.limits.management.quota = 10_000
            })
            .await,
        )
        .await
    }

    pub async fn of(server: Server) -> Self {
        let management = tenants::management_application(&server).await;
        Self { server, management }
    }

    /// Where the vendor sells keys: Sandbox first, where there is one.
    pub fn environment(&self) -> Environment {
        tenants::first_environment(&self.server)
    }

    /// What the vendor's billing says.
    pub async fn put_on_plan(&self, plan: &str) {
        let path = self.of_organization("/subscription");
        let put = Program::operator(&self.server)
            .request(Method::PUT, &path)
            .json(&json!({"plan": plan}));
        let (status, body) = api::json(put).await;
        assert_eq!(
            (status, &body["plan"]),
            (StatusCode::OK, &json!(plan)),
            "{body}"
        );
    }

    pub fn of_organization(&self, rest: &str) -> String {
        format!(
            "/v1/organizations/{}{rest}",
            self.server.planted.organization
        )
    }

    /// The planted owner, by a program.
    pub async fn owner(&self) -> Program<'_> {
        self.by(tenants::admin(&self.server).await).await
    }

    pub async fn by(&self, user: UserId) -> Program<'_> {
        let ground = Key {
            environment: self.environment(),
            ..Key::of(&self.server, user).for_organization()
        };
        Program::new(
            &self.server,
            &tenants::token(
                &self.server,
                self.management,
                ground,
                "management:read management:write",
            )
            .await
            .token,
        )
    }

    /// A member with a role in the planted workspace.
    pub async fn member(&self, email: &str, role: &'static str) -> UserId {
        let user = tenants::member(&self.server, email, OrganizationRole::Member).await;
        tenants::join_workspace(&self.server, self.server.planted.workspace, user, role).await;
        user
    }

    /// What creates a key of the planted workspace; null in `changes` leaves a field out.
    pub fn new_key(&self, changes: &Value) -> Value {
        let mut body = json!({
            "name": "CRM integration", "environment": self.environment(), "scope": "workspaces",
            "workspaces": [self.server.planted.workspace], "permission_level": "full", "expires_in_days": 90,
        });
        for (name, value) in changes.as_object().expect("an object") {
            body[name] = value.clone();
        }
        body.as_object_mut()
            .expect("an object")
            .retain(|_, value| !value.is_null());
        body
    }

    pub async fn create(&self, program: &Program<'_>, changes: &Value) -> Value {
        let (status, made) = program.post("/v1/api-keys", &self.new_key(changes)).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        made
    }

    /// Status and code of a creation that fails, and the whole answer.
    pub async fn refused(&self, program: &Program<'_>, changes: &Value) -> (u16, String, Value) {
        let answer = program.post("/v1/api-keys", &self.new_key(changes)).await;
        let body = answer.1.clone();
        let (status, code) = api::problem(answer);
        (status, code, body)
    }

    /// What the vendor's API is told about a request with the key.
    pub async fn ask(&self, made: &Value, permission: &str) -> Value {
        self.server
            .verify(json!({"credential": text(made, "/secret"), "permission": permission}))
            .await
    }

    /// `valid`, or why not.
    pub async fn code(&self, made: &Value, permission: &str) -> String {
        text(&self.ask(made, permission).await, "/code").to_owned()
    }

    /// What the key is told about itself when it is sent as `Authorization: {scheme} {key}`.
    pub async fn sent_as(&self, scheme: &str, secret: &str) -> StatusCode {
        let request = self
            .server
            .get("/v1/whoami")
            .header("authorization", format!("{scheme} {secret}"));
        api::send(request).await.status()
    }
}

pub fn path_of(made: &Value) -> String {
    format!("/v1/api-keys/{}", text(made, "/id"))
}
