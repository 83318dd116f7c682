//! Every door that answers 429 to wrong secrets: the right one is let in, and `Retry-After` is the true wait.

use countersign::config::{Config, Rate};
use countersign::crypto::format::{TokenKind, mint_key, mint_token};
use countersign::types::id::{ApplicationId, ResourceServerId};
use reqwest::header::RETRY_AFTER;
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::json;

use crate::databases::{TestDatabase, both_databases};
use crate::server::{Server, json as read_json};

both_databases!(
    a_right_secret_is_let_in_beside_wrong_ones_and_the_wait_is_true,
    a_signed_in_person_pays_nothing_for_an_address,
);

const FEW: Rate = Rate {
    quota: 2,
    window_seconds: 60,
};

fn few(config: &mut Config) {
    (
        config.limits.client_failures,
        config.limits.unknown_credentials,
    ) = (FEW, FEW);
}

type Request<'s> = Box<dyn Fn() -> RequestBuilder + 's>;

/// A request that anybody can send, and the same by whom it is for.
struct Door<'s> {
    name: &'static str,
    wrong: Request<'s>,
    right: Request<'s>,
}

fn door<'s>(
    name: &'static str,
    wrong: impl Fn() -> RequestBuilder + 's,
    right: impl Fn() -> RequestBuilder + 's,
) -> Door<'s> {
    Door {
        name,
        wrong: Box::new(wrong),
        right: Box::new(right),
    }
}

async fn send(request: &Request<'_>) -> Response {
    request().send().await.expect("an answer")
}

fn fresh(kind: TokenKind) -> String {
    mint_token("cs", kind).expose().to_owned()
}

/// `(id, registration access token)` of an application that registered by itself.
async fn registered(server: &Server) -> (String, String) {
    let request = server
        .post("/oauth2/register")
        .bearer_auth(&server.secrets.registration_token)
        .json(&json!({"redirect_uris": ["https://tool.example/cb"]}));
    let (status, body) = read_json(request.send().await.expect("an answer")).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    let text = |name: &str| body[name].as_str().expect("a text").to_owned();
    (text("client_id"), text("registration_access_token"))
}

fn doors<'s>(server: &'s Server, registered: &'s (String, String)) -> Vec<Door<'s>> {
    let (application, resource_server) =
        (server.planted.application, server.planted.resource_server);
    let secrets = &server.secrets;
    let own = [("grant_type", "client_credentials")];
    let question = json!({"credential": "x"});
    let asked = question.clone();
    let form = |path: &'static str, fields: &'static [(&'static str, &'static str)]| {
        let wrong = move || server.post(path).form(fields);
        let right = move || server.post(path).form(fields);
        (wrong, right)
    };
    let (introspect, introspect_right) = form("/oauth2/introspect", &[("token", "x")]);
    let (revoke, revoke_right) = form("/oauth2/revoke", &[("token", "x")]);
    vec![
        door(
            "verify, a wrong secret",
            move || {
                server
                    .post("/v1/verify")
                    .basic_auth(resource_server, Some("old"))
                    .json(&question)
            },
            move || server.as_resource_server("/v1/verify").json(&asked),
        ),
        door(
            "verify, an unknown resource server",
            move || {
                let unknown = ResourceServerId::generate(server.clock.now());
                server.post("/v1/verify").basic_auth(unknown, Some("x"))
            },
            move || {
                server
                    .as_resource_server("/v1/verify")
                    .json(&json!({"credential": "x"}))
            },
        ),
        door(
            "introspection",
            move || introspect().basic_auth(resource_server, Some("old")),
            move || {
                introspect_right()
                    .basic_auth(resource_server, Some(&secrets.resource_server_secret))
            },
        ),
        door(
            "the token endpoint, a wrong secret",
            move || {
                server
                    .post("/oauth2/token")
                    .basic_auth(application, Some("old"))
                    .form(&own)
            },
            move || server.as_application("/oauth2/token").form(&own),
        ),
        door(
            "the token endpoint, an unknown client",
            move || {
                let unknown = ApplicationId::generate(server.clock.now());
                server
                    .post("/oauth2/token")
                    .basic_auth(unknown, Some("x"))
                    .form(&own)
            },
            move || server.as_application("/oauth2/token").form(&own),
        ),
        door(
            "revocation",
            move || revoke().basic_auth(application, Some("old")),
            move || revoke_right().basic_auth(application, Some(&secrets.client_secret)),
        ),
        door(
            "whoami",
            move || {
                let (_, key) = mint_key("cs", "sandbox");
                server.get("/v1/whoami").bearer_auth(key.expose())
            },
            move || {
                server
                    .get("/v1/whoami")
                    .bearer_auth(&secrets.production_key)
            },
        ),
        door(
            "the management API",
            move || {
                let token = fresh(TokenKind::OperatorToken);
                server.get("/v1/organizations").bearer_auth(token)
            },
            move || {
                server
                    .get("/v1/organizations")
                    .bearer_auth(&secrets.operator_token)
            },
        ),
        door(
            "registration",
            move || {
                server
                    .post("/oauth2/register")
                    .bearer_auth(fresh(TokenKind::InitialAccessToken))
                    .json(&json!({"redirect_uris": ["https://tool.example/cb"]}))
            },
            move || {
                server
                    .post("/oauth2/register")
                    .bearer_auth(&secrets.registration_token)
                    .json(&json!({"redirect_uris": ["https://tool.example/cb"]}))
            },
        ),
        door(
            "management of a registration",
            move || {
                server
                    .get(&format!("/oauth2/register/{}", registered.0))
                    .bearer_auth(fresh(TokenKind::RegistrationAccessToken))
            },
            move || {
                server
                    .get(&format!("/oauth2/register/{}", registered.0))
                    .bearer_auth(&registered.1)
            },
        ),
    ]
}

/// RFC 6585 §4, RFC 9110 §10.2.3.
fn wait(response: &Response) -> i64 {
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    let text = response.headers()[RETRY_AFTER].to_str().expect("text");
    text.parse().expect("seconds")
}

async fn a_right_secret_is_let_in_beside_wrong_ones_and_the_wait_is_true(db: TestDatabase) {
    let server = Server::start_with(db, few).await;
    let registered = registered(&server).await;
    for Door { name, wrong, right } in doors(&server, &registered) {
        for _ in 0..FEW.quota {
            let status = send(&wrong).await.status();
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{name}");
            server.clock.step_seconds(7);
        }
        let seconds = wait(&send(&wrong).await);
        assert_eq!(
            seconds,
            60 - 14,
            "{name}: when the oldest leaves the window"
        );
        let status = send(&right).await.status();
        assert!(status.is_success(), "{name}: the right one: {status}");
        server.clock.step_seconds(seconds - 1);
        assert_eq!(wait(&send(&wrong).await), 1, "{name}");
        server.clock.step_seconds(1);
        let status = send(&wrong).await.status();
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{name}: after the wait");
        server.clock.step_seconds(60);
    }
}

async fn a_signed_in_person_pays_nothing_for_an_address(db: TestDatabase) {
    let server = Server::start_with(db, few).await;
    let browser = server.signed_in_browser().await;
    for _ in 0..5 {
        let (_, key) = mint_key("cs", "sandbox");
        let request = server.get("/v1/whoami").bearer_auth(key.expose());
        request.send().await.expect("an answer");
        // a session that has ended, or never was one
        let cookie = format!("countersign_session={}", "a".repeat(43));
        let stale = server.get("/login").header("cookie", cookie);
        assert_eq!(
            stale.send().await.expect("an answer").status(),
            StatusCode::OK
        );
    }
    for page in ["/account/identity", "/account/organizations"] {
        assert_eq!(browser.get(page).await.status(), StatusCode::OK, "{page}");
    }
    // nor is a neighbour's key refused that is not in memory
    let key = server
        .get("/v1/whoami")
        .bearer_auth(&server.secrets.sandbox_key);
    assert_eq!(
        key.send().await.expect("an answer").status(),
        StatusCode::OK
    );
}
