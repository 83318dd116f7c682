//! Every parameter of every endpoint × everything that can be wrong with it: the right refusal, said in OAuth's words, and
//! nothing changed: the valid request still works afterwards.

use countersign::types::state::ClientType;
use reqwest::StatusCode;
use reqwest::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use serde_json::Value;

use super::{
    Consent, Registered, assert_describes, authorize_with, code_of, consent, redemption, register,
    text,
};
use crate::databases::{TestDatabase, both_databases};
use crate::server::{CHALLENGE, REDIRECT_URI, Server, location, parameter};

both_databases!(
    every_parameter_of_the_token_endpoint,
    every_parameter_of_revocation_and_introspection,
    every_parameter_of_the_authorization_endpoint,
    every_field_of_the_consent_form,
);

const FORM: &str = "application/x-www-form-urlencoded";

#[derive(Debug, Clone, Copy, PartialEq)]
enum Wrong {
    Missing,
    Empty,
    Doubled,
    DoubledOtherwise,
    /// 100 KB.
    Long,
    NotUtf8,
    Nul,
    HalfEscape,
    /// In the URL instead of the body.
    InQuery,
}

const ALL: [Wrong; 9] = [
    Wrong::Missing,
    Wrong::Empty,
    Wrong::Doubled,
    Wrong::DoubledOtherwise,
    Wrong::Long,
    Wrong::NotUtf8,
    Wrong::Nul,
    Wrong::HalfEscape,
    Wrong::InQuery,
];

fn pair(name: &str, value: &str) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .append_pair(name, value)
        .finish()
}

/// The parameters with one of them wrong: the query and the body.
fn spoil(parameters: &[(&str, &str)], index: usize, wrong: Wrong) -> (String, String) {
    let (name, value) = parameters[index];
    let mut body: Vec<String> = parameters
        .iter()
        .map(|(name, value)| pair(name, value))
        .collect();
    let mut query = String::new();
    match wrong {
        Wrong::Missing => drop(body.remove(index)),
        Wrong::Empty => body[index] = format!("{name}="),
        Wrong::Doubled => body.push(pair(name, value)),
        Wrong::DoubledOtherwise => body.push(pair(name, "something-else")),
        Wrong::Long => body[index] = pair(name, &"x".repeat(100 * 1024)),
        Wrong::NotUtf8 => body[index] = format!("{name}={value}%ff"),
        Wrong::Nul => body[index] = format!("{name}={value}%00"),
        // percent-encoding that ends early stays as it is: another value
        Wrong::HalfEscape => body[index] = format!("{name}={value}%4"),
        Wrong::InQuery => query = format!("?{}", body.remove(index)),
    }
    (query, body.join("&"))
}

async fn post(
    server: &Server,
    path: &str,
    basic: Option<(&str, &str)>,
    query: &str,
    body: String,
) -> (StatusCode, Value) {
    let request = server
        .post(&format!("{path}{query}"))
        .header(CONTENT_TYPE, FORM)
        .body(body);
    let request = basic.into_iter().fold(request, |request, (id, secret)| {
        request.basic_auth(id, Some(secret))
    });
    let response = request.send().await.expect("an answer");
    let status = response.status();
    assert_eq!(
        response.headers()[CACHE_CONTROL],
        "no-store",
        "{path}{query}"
    );
    (
        status,
        serde_json::from_str(&response.text().await.expect("text")).unwrap_or_default(),
    )
}

/// What a spoiled parameter may be answered with; empty: it may succeed, too.
fn expected(wrong: Wrong, parameter: &str, optional: &[&str]) -> &'static [&'static str] {
    let refused: &[&str] = &[
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "invalid_scope",
        "invalid_target",
        "unsupported_grant_type",
    ];
    match wrong {
        Wrong::Missing | Wrong::Empty if optional.contains(&parameter) => &[],
        Wrong::Missing | Wrong::Empty if ["client_id", "client_secret"].contains(&parameter) => {
            &["invalid_client"]
        }
        Wrong::Missing | Wrong::Empty => &["invalid_request", "invalid_grant"],
        // RFC 8707 §2: the one that may be there several times
        Wrong::Doubled if parameter == "resource" => &[],
        Wrong::DoubledOtherwise if parameter == "resource" => &["invalid_target"],
        Wrong::Doubled
        | Wrong::DoubledOtherwise
        | Wrong::NotUtf8
        | Wrong::Nul
        | Wrong::Long
        | Wrong::InQuery => &["invalid_request"],
        Wrong::HalfEscape => refused,
    }
}

fn assert_expected(what: &str, (status, body): &(StatusCode, Value), expected: &[&str]) {
    if expected.is_empty() && status.is_success() {
        return;
    }
    let error = body["error"].as_str().unwrap_or_default();
    assert!(
        status.is_client_error() && expected.contains(&error),
        "{what}: {status} {body}, expected {expected:?}"
    );
    assert_describes(text(body, "error_description"));
}

async fn every_parameter_of_the_token_endpoint(db: TestDatabase) {
    // RFC 6749 §3.2, 9700-11, 9700-23
    let server = Server::start(db).await;
    let uri = "https://api.example/v1";
    let id = server.planted.resource_server;
    server
        .write(move |tx| Ok(tx.insert_resource(id, &uri.parse().expect("a resource"))?))
        .await;
    let public = register(&server, |new| new.client_type = ClientType::Public).await;
    let post_client = register(&server, |_| {}).await;
    for client in [&public, &post_client] {
        let credentials: Vec<(&str, &str)> = match client.id == public.id {
            true => vec![("client_id", client.id.as_str())],
            false => vec![
                ("client_id", client.id.as_str()),
                ("client_secret", client.secret.as_str()),
            ],
        };
        let browser = server.signed_in_browser().await;
        let request = authorize_with(client.id.as_str(), &[("resource", Some(uri))]);
        let code = parameter(&browser.allow(&request).await, "code").expect("a code");
        let mut redeem = redemption(&code).to_vec();
        redeem.extend(credentials.iter().copied().chain([("resource", uri)]));
        let tokens = try_all(&server, &redeem, &["redirect_uri", "resource"]).await;
        let mut refresh = vec![
            ("grant_type", "refresh_token"),
            ("refresh_token", text(&tokens, "refresh_token")),
            ("scope", "read"),
        ];
        refresh.extend(credentials.iter().copied().chain([("resource", uri)]));
        // a scope or resource that is left out is a success, and a success takes the token: they are tried by themselves
        refresh_all(&server, client, &credentials, &refresh).await;
    }
    let own = [
        ("grant_type", "client_credentials"),
        ("scope", "read"),
        ("client_id", post_client.id.as_str()),
        ("client_secret", post_client.secret.as_str()),
        ("resource", uri),
    ];
    try_all(&server, &own, &["scope", "resource"]).await;
}

/// Every wrong request that must be refused, then the right one.
async fn try_all(server: &Server, parameters: &[(&str, &str)], optional: &[&str]) -> Value {
    for (index, (name, _)) in parameters.iter().enumerate() {
        for wrong in ALL {
            let takes_a_code = parameters.iter().any(|(name, _)| *name == "code");
            let expected = expected(wrong, name, optional);
            if takes_a_code && expected.is_empty() {
                continue;
            }
            let (query, body) = spoil(parameters, index, wrong);
            let answer = post(server, "/oauth2/token", None, &query, body).await;
            assert_expected(&format!("{name} {wrong:?}"), &answer, expected);
        }
    }
    let all: Vec<String> = parameters
        .iter()
        .map(|(name, value)| pair(name, value))
        .collect();
    let (status, body) = post(server, "/oauth2/token", None, "", all.join("&")).await;
    assert_eq!(
        status,
        StatusCode::OK,
        "the valid request is not burnt: {body}"
    );
    body
}

async fn refresh_all(
    server: &Server,
    client: &Registered,
    credentials: &[(&str, &str)],
    parameters: &[(&str, &str)],
) {
    for (index, (name, _)) in parameters.iter().enumerate() {
        for wrong in ALL
            .into_iter()
            .filter(|wrong| !expected(*wrong, name, &["scope", "resource"]).is_empty())
        {
            let (query, body) = spoil(parameters, index, wrong);
            let answer = post(server, "/oauth2/token", None, &query, body).await;
            assert_expected(
                &format!("{} {name} {wrong:?}", client.id),
                &answer,
                expected(wrong, name, &[]),
            );
        }
    }
    for optional in ["scope", "resource"] {
        let fresh = code_of(server, client, "read").await;
        let mut redeem = redemption(&fresh).to_vec();
        redeem.extend(credentials);
        let form: Vec<String> = redeem
            .iter()
            .map(|(name, value)| pair(name, value))
            .collect();
        let tokens = post(server, "/oauth2/token", None, "", form.join("&"))
            .await
            .1;
        let mut refresh = vec![
            ("grant_type", "refresh_token"),
            ("refresh_token", text(&tokens, "refresh_token")),
        ];
        refresh.extend(credentials);
        let form: Vec<String> = refresh
            .iter()
            .map(|(name, value)| pair(name, value))
            .collect();
        let (status, body) = post(
            server,
            "/oauth2/token",
            None,
            "",
            format!("{}&{optional}=", form.join("&")),
        )
        .await;
        assert_eq!(status, StatusCode::OK, "{optional} {body}");
    }
    let all: Vec<String> = parameters
        .iter()
        .map(|(name, value)| pair(name, value))
        .collect();
    let (status, body) = post(server, "/oauth2/token", None, "", all.join("&")).await;
    assert_eq!(
        status,
        StatusCode::OK,
        "the valid request is not burnt: {body}"
    );
}

async fn every_parameter_of_revocation_and_introspection(db: TestDatabase) {
    // RFC 7009 §2.1, RFC 7662 §2.1
    let server = Server::start(db).await;
    let tokens = server.code_flow("read").await;
    let token = text(&tokens, "access_token");
    let (application, secret) = (
        server.planted.application,
        server.secrets.client_secret.as_str(),
    );
    let resource_server = (
        server.planted.resource_server,
        server.secrets.resource_server_secret.as_str(),
    );
    let revoke = [
        ("token", token),
        ("token_type_hint", "access_token"),
        ("client_id", application.as_str()),
        ("client_secret", secret),
    ];
    let introspect = [("token", token), ("token_type_hint", "access_token")];
    for wrong in ALL {
        for (index, (name, _)) in introspect.iter().enumerate() {
            let (query, body) = spoil(&introspect, index, wrong);
            let answer = post(
                &server,
                "/oauth2/introspect",
                Some((resource_server.0.as_str(), resource_server.1)),
                &query,
                body,
            )
            .await;
            // half an escape makes it another token, or hint: that is inactive, or nothing
            let allowed = if wrong == Wrong::HalfEscape {
                &[]
            } else {
                expected(wrong, name, &["token_type_hint"])
            };
            assert_expected(&format!("introspect {name} {wrong:?}"), &answer, allowed);
        }
        for (index, (name, _)) in revoke.iter().enumerate() {
            let changes_nothing = wrong == Wrong::HalfEscape && *name != "token_type_hint";
            if expected(wrong, name, &["token_type_hint"]).is_empty()
                || (wrong == Wrong::HalfEscape && !changes_nothing)
            {
                continue;
            }
            let (query, body) = spoil(&revoke, index, wrong);
            let answer = post(&server, "/oauth2/revoke", None, &query, body).await;
            // RFC 7009 §2.2: an unknown token is a success
            let allowed = if wrong == Wrong::HalfEscape && *name == "token" {
                &[]
            } else {
                expected(wrong, name, &[])
            };
            assert_expected(&format!("revoke {name} {wrong:?}"), &answer, allowed);
        }
    }
    assert!(super::is_active(&server, token).await);
}

async fn every_parameter_of_the_authorization_endpoint(db: TestDatabase) {
    // RFC 6749 §3.1, §4.1.2.1: to the client only what it may be told, and to nobody else anything
    let server = Server::start(db).await;
    let browser = server.signed_in_browser().await;
    let parameters = [
        ("client_id", server.planted.application.as_str()),
        ("redirect_uri", REDIRECT_URI),
        ("response_type", "code"),
        ("scope", "read"),
        ("state", "xyz"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("prompt", "consent"),
    ];
    let optional = ["redirect_uri", "scope", "state", "prompt"];
    for (index, (name, _)) in parameters.iter().enumerate() {
        for wrong in ALL.into_iter().filter(|wrong| *wrong != Wrong::InQuery) {
            let (_, query) = spoil(&parameters, index, wrong);
            let Ok(response) = browser
                .client
                .get(server.url(&format!("/oauth2/authorize?{query}")))
                .send()
                .await
            else {
                assert_eq!(wrong, Wrong::Long);
                continue;
            };
            let status = response.status();
            let fine = optional.contains(name) && matches!(wrong, Wrong::Missing | Wrong::Empty)
                || (*name == "state" && wrong == Wrong::HalfEscape);
            if fine {
                assert_eq!(status, StatusCode::OK, "{name} {wrong:?}");
                continue;
            }
            match response.headers().get(LOCATION) {
                None => assert!(status.is_client_error(), "{name} {wrong:?} {status}"),
                Some(_) => {
                    let target = location(response.headers());
                    // 9700-5: who cannot be told apart is not sent anywhere
                    assert!(
                        !["client_id", "redirect_uri"].contains(name)
                            && target.starts_with(REDIRECT_URI),
                        "{name} {wrong:?} {target}"
                    );
                    assert!(
                        parameter(&target, "error").is_some()
                            && parameter(&target, "code").is_none(),
                        "{target}"
                    );
                    assert_eq!(parameter(&target, "iss"), Some(server.base.clone()));
                    assert_describes(
                        &parameter(&target, "error_description").expect("a description"),
                    );
                }
            }
        }
    }
    consent(&browser, &server.authorize_path("read")).await;
}

async fn every_field_of_the_consent_form(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = server.signed_in_browser().await;
    let page: Consent = consent(&browser, &server.authorize_path("read")).await;
    let fields = [
        ("csrf", page.csrf.as_str()),
        ("request", &page.request),
        ("organization", server.planted.organization.as_str()),
        ("workspace", server.planted.workspace.as_str()),
        ("decision", "allow"),
    ];
    for (index, (name, _)) in fields.iter().enumerate() {
        // the same workspace twice is chosen once
        for wrong in ALL
            .into_iter()
            .filter(|wrong| !(*name == "workspace" && *wrong == Wrong::Doubled))
        {
            let (query, body) = spoil(&fields, index, wrong);
            let request = browser
                .client
                .post(server.url(&format!("/oauth2/authorize{query}")))
                .header(CONTENT_TYPE, FORM)
                .body(body);
            let response = request.send().await.expect("an answer");
            let target = response.headers().get(LOCATION);
            let target = target.map(|target| target.to_str().expect("text"));
            // a form that decides nothing, sent to an address with a query as the page's own: back to the page
            if ["csrf", "request"].contains(name) && !query.is_empty() {
                let back = target.is_some_and(|path| path.starts_with("/oauth2/authorize?"));
                assert!(back, "{wrong:?} {target:?}");
                continue;
            }
            assert!(
                response.status().is_client_error(),
                "{name} {wrong:?} {}",
                response.status()
            );
            assert!(target.is_none(), "{name} {wrong:?}");
        }
    }
    // CSRF, and a page that would be framed (9700-13)
    assert_eq!(page.headers["x-frame-options"], "DENY");
    assert!(
        page.headers["content-security-policy"]
            .to_str()
            .expect("text")
            .contains("frame-ancestors 'none'")
    );
    assert_eq!(
        super::allow(&browser, &page).await.status(),
        StatusCode::SEE_OTHER,
        "the request is still there"
    );
}
