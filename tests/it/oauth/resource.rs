//! The `resource` parameter (RFC 8707) from the operator's page to `aud` and back: 9700-40, MCP-23, MCP-24, MCP-29.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::types::state::AccessTokenFormat;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{
    Registered, assert_oauth_error, authorize_with, redemption, redirected_error, register, text,
    token_as,
};
use crate::databases::{TestDatabase, both_databases};
use crate::operator::{Api, operator};
use crate::server::{Server, parameter};

both_databases!(
    a_token_for_one_resource_is_good_there_and_nowhere_else,
    a_token_without_a_resource_is_for_the_default_audience,
    an_unknown_resource_is_an_invalid_target,
    a_resource_is_narrowed_and_never_widened,
    an_application_as_itself_names_a_resource_too,
    a_resource_of_another_environment_is_an_invalid_target,
    a_removed_resource_or_server_ends_what_is_for_it,
    a_resource_is_answered_letter_by_letter,
    the_consent_page_names_the_apis,
);

const FILES: &str = "https://files.example/v1";
const MAIL: &str = "https://mail.example";

async fn apis(server: &Server) -> (Api, Api) {
    let browser = operator(server).await;
    (
        Api::register(&browser, "Files API", &[FILES]).await,
        Api::register(&browser, "Mail API", &[MAIL, "https://mail.example/beta"]).await,
    )
}

/// An authorization request with these resources, each a parameter of its own (RFC 8707 §2).
fn authorize(client: &Registered, resources: &[&str]) -> String {
    let path = authorize_with(client.id.as_str(), &[]);
    let encoded = |uri: &&str| {
        format!(
            "&resource={}",
            url::form_urlencoded::byte_serialize(uri.as_bytes()).collect::<String>()
        )
    };
    path + &resources.iter().map(encoded).collect::<String>()
}

async fn code(server: &Server, client: &Registered, resources: &[&str]) -> String {
    let target = server
        .signed_in_browser()
        .await
        .allow(&authorize(client, resources))
        .await;
    parameter(&target, "code").unwrap_or_else(|| unreachable!("{target}"))
}

/// Redeems a code for a token for these resources.
async fn redeem(
    server: &Server,
    client: &Registered,
    code: &str,
    resources: &[&str],
) -> (StatusCode, Value) {
    token_as(server, client, &with(&redemption(code), resources)).await
}

async fn refresh(
    server: &Server,
    client: &Registered,
    tokens: &Value,
    resources: &[&str],
) -> (StatusCode, Value) {
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", text(tokens, "refresh_token")),
    ];
    token_as(server, client, &with(&form, resources)).await
}

fn with<'f>(form: &[(&'f str, &'f str)], resources: &[&'f str]) -> Vec<(&'f str, &'f str)> {
    form.iter()
        .copied()
        .chain(resources.iter().map(|uri| ("resource", *uri)))
        .collect()
}

#[track_caller]
fn granted((status, body): (StatusCode, Value)) -> Value {
    assert_eq!(status, StatusCode::OK, "{body}");
    body
}

/// The `aud` of a JWT.
fn audience(tokens: &Value) -> Value {
    let claims = text(tokens, "access_token")
        .split('.')
        .nth(1)
        .expect("claims");
    serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(claims).expect("base64url"))
        .expect("JSON")["aud"]
        .clone()
}

/// Active at `there`, described with this audience; unknown at `elsewhere`.
async fn assert_only(server: &Server, token: &str, aud: &Value, there: &Api, elsewhere: &Api) {
    let answer = there.introspect(server, token).await;
    assert_eq!(
        (&answer["active"], &answer["aud"]),
        (&json!(true), aud),
        "{answer}"
    );
    assert_eq!(there.verify(server, token).await, "valid");
    assert_eq!(
        elsewhere.introspect(server, token).await,
        json!({"active": false})
    );
    assert_eq!(elsewhere.verify(server, token).await, "not_found");
}

async fn a_token_for_one_resource_is_good_there_and_nowhere_else(db: TestDatabase) {
    // 9700-40, MCP-24; RFC 8707 §2.2, RFC 9068 §3, RFC 7662 §4
    let server = Server::start(db).await;
    let (files, mail) = apis(&server).await;
    for format in [AccessTokenFormat::Jwt, AccessTokenFormat::Opaque] {
        let client = register(&server, |new| new.access_token_format = format).await;
        // as a client may write it: MCP-23
        let code = code(&server, &client, &["HTTPS://Files.Example/v1"]).await;
        let tokens = granted(redeem(&server, &client, &code, &[FILES]).await);
        if format == AccessTokenFormat::Jwt {
            assert_eq!(audience(&tokens), FILES);
        }
        assert_only(
            &server,
            text(&tokens, "access_token"),
            &json!(FILES),
            &files,
            &mail,
        )
        .await;
        // the planted server is in the default audience, which this token does not name
        assert_eq!(
            server.introspect(text(&tokens, "access_token")).await,
            json!({"active": false})
        );
    }
}

async fn a_token_without_a_resource_is_for_the_default_audience(db: TestDatabase) {
    // MCP-29, RFC 9068 §3
    let server = Server::start(db).await;
    let (files, mail) = apis(&server).await;
    let tokens = server.code_flow("read").await;
    assert_eq!(audience(&tokens), server.base.as_str());
    let token = text(&tokens, "access_token");
    assert_eq!(
        (
            files.verify(&server, token).await,
            mail.verify(&server, token).await
        ),
        ("valid".to_owned(), "valid".to_owned())
    );
    files
        .change(
            &operator(&server).await,
            &[("change", "leave_default_audience")],
        )
        .await;
    assert_only(&server, token, &json!(server.base), &mail, &files).await;
    files
        .change(
            &operator(&server).await,
            &[("change", "join_default_audience")],
        )
        .await;
    assert_eq!(files.verify(&server, token).await, "valid");
}

async fn an_unknown_resource_is_an_invalid_target(db: TestDatabase) {
    // RFC 8707 §2
    let server = Server::start(db).await;
    apis(&server).await;
    let client = register(&server, |_| {}).await;
    let browser = server.signed_in_browser().await;
    let many: Vec<String> = (0..11)
        .map(|number| format!("https://{number}.example"))
        .collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for resources in [
        &["https://files.example/v2"][..],
        &["https://files.example/v1/"],
        &["https://files.example/v1#x"],
        &["files"],
        &["http://files.example/v1"],
        &[FILES, "https://elsewhere.example"],
        &["\u{e4}"],
        &[&server.base],
        &many,
    ] {
        let (error, state) = redirected_error(&browser, &authorize(&client, resources)).await;
        assert_eq!(
            (error.as_str(), state.as_deref()),
            ("invalid_target", Some("xyz")),
            "{resources:?}"
        );
        let form = with(&[("grant_type", "client_credentials")], resources);
        assert_oauth_error(
            &token_as(&server, &client, &form).await,
            StatusCode::BAD_REQUEST,
            "invalid_target",
        );
    }
    // an empty one is none (RFC 6749 §3.1)
    let code = code(&server, &client, &[""]).await;
    let tokens = granted(redeem(&server, &client, &code, &[""]).await);
    assert_eq!(audience(&tokens), server.base.as_str());
}

async fn a_resource_is_narrowed_and_never_widened(db: TestDatabase) {
    // RFC 8707 §2.2
    let server = Server::start(db).await;
    let (files, mail) = apis(&server).await;
    let client = register(&server, |_| {}).await;
    let both = json!([FILES, MAIL]);
    // several make an array; all of them, if the exchange names none
    let all = granted(
        redeem(
            &server,
            &client,
            &code(&server, &client, &[MAIL, FILES, MAIL]).await,
            &[],
        )
        .await,
    );
    assert_eq!(audience(&all), both);
    for api in [&files, &mail] {
        assert_eq!(
            api.introspect(&server, text(&all, "access_token")).await["aud"],
            both
        );
    }
    // the exchange narrows the token, not the grant
    let code = code(&server, &client, &[FILES, MAIL]).await;
    assert_oauth_error(
        &redeem(
            &server,
            &client,
            &code,
            &[FILES, "https://mail.example/beta"],
        )
        .await,
        StatusCode::BAD_REQUEST,
        "invalid_target",
    );
    let narrow = granted(redeem(&server, &client, &code, &[FILES]).await);
    assert_only(
        &server,
        text(&narrow, "access_token"),
        &json!(FILES),
        &files,
        &mail,
    )
    .await;
    assert_eq!(audience(&narrow), FILES);
    // absent on refresh inherits what was granted
    let refreshed = granted(refresh(&server, &client, &narrow, &[]).await);
    assert_eq!(audience(&refreshed), both);
    let refused = refresh(&server, &client, &refreshed, &["https://mail.example/beta"]).await;
    assert_oauth_error(&refused, StatusCode::BAD_REQUEST, "invalid_target");
    // the refusal has burnt nothing
    let other = granted(refresh(&server, &client, &refreshed, &[MAIL]).await);
    assert_only(
        &server,
        text(&other, "access_token"),
        &json!(MAIL),
        &mail,
        &files,
    )
    .await;
    assert_eq!(
        audience(&granted(refresh(&server, &client, &other, &[]).await)),
        both
    );
}

async fn an_application_as_itself_names_a_resource_too(db: TestDatabase) {
    // RFC 8707 §2.2
    let server = Server::start(db).await;
    let (files, mail) = apis(&server).await;
    for format in [AccessTokenFormat::Jwt, AccessTokenFormat::Opaque] {
        let client = register(&server, |new| new.access_token_format = format).await;
        let tokens = granted(
            token_as(
                &server,
                &client,
                &with(&[("grant_type", "client_credentials")], &[MAIL]),
            )
            .await,
        );
        assert_only(
            &server,
            text(&tokens, "access_token"),
            &json!(MAIL),
            &mail,
            &files,
        )
        .await;
    }
}

async fn a_resource_of_another_environment_is_an_invalid_target(db: TestDatabase) {
    let server = Server::start(db).await;
    let browser = operator(&server).await;
    let list = "/operator/resource-servers";
    let response = browser
        .submit(
            &format!("{list}/new"),
            list,
            &[("name", "Live API"), ("environment", "production")],
        )
        .await;
    let html = response.text().await.expect("text");
    let id = html
        .split("id=\"client_id\" value=\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .expect("an id");
    let page = format!("{list}/{id}");
    let response = browser
        .submit(
            &page,
            &page,
            &[("change", "add_resource"), ("uri", "https://live.example")],
        )
        .await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    let client = register(&server, |_| {}).await;
    let (error, _) = redirected_error(
        &server.signed_in_browser().await,
        &authorize(&client, &["https://live.example"]),
    )
    .await;
    assert_eq!(error, "invalid_target");
}

async fn a_removed_resource_or_server_ends_what_is_for_it(db: TestDatabase) {
    let server = Server::start(db).await;
    let (files, mail) = apis(&server).await;
    let (browser, client) = (operator(&server).await, register(&server, |_| {}).await);
    let tokens = granted(
        redeem(
            &server,
            &client,
            &code(&server, &client, &[FILES]).await,
            &[],
        )
        .await,
    );
    let token = text(&tokens, "access_token");
    assert_eq!(files.verify(&server, token).await, "valid");
    files
        .change(&browser, &[("change", "remove_resource"), ("uri", FILES)])
        .await;
    for api in [&files, &mail] {
        assert_eq!(
            api.introspect(&server, token).await,
            json!({"active": false})
        );
        assert_eq!(api.verify(&server, token).await, "not_found");
    }
    files
        .change(&browser, &[("change", "add_resource"), ("uri", FILES)])
        .await;
    assert_eq!(files.verify(&server, token).await, "valid");
    let delete = format!("{}/delete", files.page());
    assert_eq!(
        browser.submit(&delete, &delete, &[]).await.status(),
        StatusCode::SEE_OTHER
    );
    assert_eq!(mail.verify(&server, token).await, "not_found");
    let (error, _) = redirected_error(
        &server.signed_in_browser().await,
        &authorize(&client, &[FILES]),
    )
    .await;
    assert_eq!(error, "invalid_target");
}

async fn a_resource_is_answered_letter_by_letter(db: TestDatabase) {
    // RFC 9068 §3, RFC 9728 §3.3: as the operator wrote it, however a client writes it (a parsed URL has a slash: MCP-23)
    let server = Server::start(db).await;
    let browser = operator(&server).await;
    for (number, written, others) in [
        (
            0,
            "https://api.example.test/",
            ["https://api.example.test", "HTTPS://API.example.test/"],
        ),
        (
            1,
            "https://bare.example",
            ["https://bare.example/", "https://BARE.example"],
        ),
        (
            2,
            "https://Docs.Example:8443/V1/",
            [
                "https://docs.example:8443/V1/",
                "HTTPS://docs.example:8443/V1/",
            ],
        ),
    ] {
        let api = Api::register(&browser, &format!("API {number}"), &[written]).await;
        // a resource names one server, however it is written
        for taken in others {
            let other = Api::register(&browser, "Another", &[]).await;
            let response = other
                .try_change(&browser, &[("change", "add_resource"), ("uri", taken)])
                .await;
            assert_eq!(
                response.status(),
                StatusCode::UNPROCESSABLE_ENTITY,
                "{taken}"
            );
        }
        let (authority, path) = written["https://".len()..]
            .split_once('/')
            .unwrap_or((&written["https://".len()..], ""));
        let at = if path.is_empty() {
            String::new()
        } else {
            format!("/{path}")
        };
        let metadata = server
            .get(&format!("/.well-known/oauth-protected-resource{at}"))
            .header("Host", authority.to_lowercase())
            .send()
            .await
            .expect("an answer");
        assert_eq!(metadata.status(), StatusCode::OK, "{written}");
        let metadata: Value = metadata.json().await.expect("JSON");
        assert_eq!(metadata["resource"], written);
        for asked in [written, others[0], others[1]] {
            // the quota of an owner is small
            server.clock.step_seconds(60);
            let client = register(&server, |_| {}).await;
            let code = code(&server, &client, &[asked]).await;
            let tokens = granted(redeem(&server, &client, &code, &[asked]).await);
            let again = granted(refresh(&server, &client, &tokens, &[asked]).await);
            let form = with(&[("grant_type", "client_credentials")], &[asked]);
            let own = granted(token_as(&server, &client, &form).await);
            for tokens in [tokens, again, own] {
                assert_eq!(audience(&tokens), written, "asked for as {asked}");
                let token = text(&tokens, "access_token");
                assert_eq!(api.introspect(&server, token).await["aud"], written);
                assert_eq!(api.verify(&server, token).await, "valid");
            }
        }
    }
    // the issuer's own name is nobody's, with or without a slash
    let other = Api::register(&browser, "Another", &[]).await;
    let own = format!("{}/", server.base);
    let response = other
        .try_change(&browser, &[("change", "add_resource"), ("uri", &own)])
        .await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
}

async fn the_consent_page_names_the_apis(db: TestDatabase) {
    let server = Server::start(db).await;
    apis(&server).await;
    let client = register(&server, |_| {}).await;
    let html = super::consent(
        &server.signed_in_browser().await,
        &authorize(&client, &[FILES]),
    )
    .await
    .html;
    assert!(
        html.contains("Files API") && !html.contains("Mail API"),
        "{html}"
    );
}
