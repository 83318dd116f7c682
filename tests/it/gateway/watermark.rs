//! `POST /v1/watermark` (DESIGN §5): a Sandbox credential's PDF comes back stamped or not at all; Production's, byte for byte.

use countersign::types::environment::Environment;
use countersign::types::state::{OrganizationState, ProductionAccess};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use crate::databases::{TestDatabase, both_databases};
use crate::server::{NOON, Server, json};
use crate::stamp::build::{FONT, File, LETTER, text};
use crate::stamp::process::{bomb, slow};
use crate::stamp::{MARK, judge};
use crate::tenants::{self, Key, admin, key};

both_databases!(
    a_sandbox_pdf_comes_back_stamped,
    a_production_body_comes_back_byte_for_byte,
    a_token_stamps_like_a_key,
    a_pdf_that_cannot_be_stamped_is_422_and_never_the_document,
    a_body_of_another_type_or_size_is_refused,
    the_credential_stands_once_in_its_header,
    a_credential_that_does_not_stand_is_403_with_the_decision,
    only_a_resource_server_may_ask,
    verify_answers_while_a_bomb_is_stamped,
    a_full_line_is_503_with_retry_after,
);

fn ask(server: &Server, credential: &str, pdf: Vec<u8>) -> RequestBuilder {
    let request = server
        .as_resource_server("/v1/watermark")
        .header("Countersign-Credential", credential);
    request.header(CONTENT_TYPE, "application/pdf").body(pdf)
}

async fn answer(request: RequestBuilder) -> Response {
    request.send().await.expect("an answer")
}

/// Status, code and decision.
async fn refusal(request: RequestBuilder) -> (StatusCode, Value, Value) {
    let response = answer(request).await;
    assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
    let (status, body) = json(response).await;
    (status, body["code"].clone(), body["decision"].clone())
}

async fn a_sandbox_pdf_comes_back_stamped(db: TestDatabase) {
    let server = Server::start(db).await;
    let original = File::hello().bytes();
    let response = answer(ask(&server, &server.secrets.sandbox_key, original.clone())).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()[CONTENT_TYPE], "application/pdf");
    assert_eq!(response.headers()["cache-control"], "no-store");
    let stamped = response.bytes().await.expect("a body");
    judge::assert_marked("through HTTP", &original, &stamped, MARK);
}

async fn a_production_body_comes_back_byte_for_byte(db: TestDatabase) {
    let server = Server::start(db).await;
    // whatever it is: nobody looks into it
    for body in [
        File::hello().bytes(),
        b"not a PDF \0\xff".to_vec(),
        Vec::new(),
    ] {
        let response = answer(ask(&server, &server.secrets.production_key, body.clone())).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.bytes().await.expect("a body"), body);
    }
}

async fn a_token_stamps_like_a_key(db: TestDatabase) {
    let server = Server::start(db).await;
    let token = tenants::own_token(&server).await;
    let response = answer(ask(&server, &token, File::hello().bytes())).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_ne!(
        response.bytes().await.expect("a body"),
        File::hello().bytes()
    );
}

async fn a_pdf_that_cannot_be_stamped_is_422_and_never_the_document(db: TestDatabase) {
    let server = Server::start_with(db, |config| config.watermark.max_pages = 1).await;
    for (case, pdf, code) in [
        ("empty", Vec::new(), "pdf_damaged"),
        ("text", b"not a PDF".to_vec(), "pdf_damaged"),
        (
            "truncated",
            File::hello().bytes()[..200].to_vec(),
            "pdf_damaged",
        ),
        (
            "no pages",
            File::hello()
                .with(2, "<< /Type /Pages /Kids [] /Count 0 >>")
                .bytes(),
            "pdf_no_pages",
        ),
        (
            "no catalog",
            File::hello().with(1, "<< >>").bytes(),
            "pdf_ambiguous",
        ),
        (
            "many pages",
            File::pages(LETTER, &[String::new(), String::new()]).bytes(),
            "pdf_too_many_pages",
        ),
        ("a bomb", bomb(65 << 20, 2), "pdf_limit_exceeded"),
    ] {
        let marked = b"Hello page";
        let response = answer(ask(&server, &server.secrets.sandbox_key, pdf)).await;
        let (status, body) = json(response).await;
        assert_eq!(
            (status, &body["code"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!(code)),
            "{case}: {body}"
        );
        assert!(
            !body
                .to_string()
                .as_bytes()
                .windows(marked.len())
                .any(|part| part == marked),
            "{case}"
        );
    }
}

async fn a_body_of_another_type_or_size_is_refused(db: TestDatabase) {
    // a document long enough that the mark does not double it
    let pdf = File::one_page(
        &format!("{LETTER} {FONT}"),
        &format!("{}{}", text("Hello page"), " ".repeat(9_000)),
    )
    .bytes();
    let most = pdf.len() as u64;
    let server =
        Server::start_with(db, move |config| config.watermark.max_input_bytes = most).await;
    let larger = [pdf.clone(), b"\n".to_vec()].concat();
    for credential in [&server.secrets.sandbox_key, &server.secrets.production_key] {
        let (status, code, _) = refusal(ask(&server, credential, larger.clone())).await;
        assert_eq!(
            (status, code),
            (StatusCode::PAYLOAD_TOO_LARGE, json!("payload_too_large"))
        );
        for content_type in [
            None,
            Some("application/octet-stream"),
            Some("multipart/form-data; boundary=x"),
        ] {
            let request = server
                .as_resource_server("/v1/watermark")
                .header("Countersign-Credential", credential)
                .body(pdf.clone());
            let request = content_type
                .into_iter()
                .fold(request, |request, content_type| {
                    request.header(CONTENT_TYPE, content_type)
                });
            let (status, code, _) = refusal(request).await;
            assert_eq!(
                (status, code),
                (
                    StatusCode::UNSUPPORTED_MEDIA_TYPE,
                    json!("unsupported_media_type")
                ),
                "{content_type:?}"
            );
        }
        // exactly the largest
        assert_eq!(
            answer(ask(&server, credential, pdf.clone())).await.status(),
            StatusCode::OK
        );
    }
}

async fn the_credential_stands_once_in_its_header(db: TestDatabase) {
    let server = Server::start(db).await;
    let (own, pdf) = (&server.secrets.sandbox_key, File::hello().bytes());
    let bare = || {
        server
            .as_resource_server("/v1/watermark")
            .header(CONTENT_TYPE, "application/pdf")
            .body(pdf.clone())
    };
    let header = "Countersign-Credential";
    let odd = reqwest::header::HeaderValue::from_bytes(b"cs_\xff").expect("a header value");
    for request in [
        bare(),
        bare().header(header, own).header(header, own),
        bare()
            .header(header, &server.secrets.production_key)
            .header(header, own),
        bare().header(header, own).header(header, odd.clone()),
        bare().header(header, odd),
        bare().query(&[("credential", own)]),
    ] {
        let (status, code, _) = refusal(request).await;
        assert_eq!(
            (status, code),
            (StatusCode::BAD_REQUEST, json!("invalid_request"))
        );
    }
}

async fn a_credential_that_does_not_stand_is_403_with_the_decision(db: TestDatabase) {
    let server = Server::start(db).await;
    let refused = async |credential: &str| {
        let (status, code, decision) =
            refusal(ask(&server, credential, File::hello().bytes())).await;
        assert_eq!(
            (status, code),
            (StatusCode::FORBIDDEN, json!("credential_refused"))
        );
        decision
    };
    assert_eq!(refused("cs_sandbox_x").await, "not_found");
    assert_eq!(refused("").await, "not_found");
    let expires_at = Some(NOON.plus_seconds(1));
    let expiring = key(
        &server,
        Key {
            expires_at,
            ..Key::of(&server, admin(&server).await)
        },
    )
    .await
    .secret;
    server.clock.step_seconds(1);
    assert_eq!(refused(&expiring).await, "expired");
    let live = tenants::resource_server(&server, Some(Environment::Production), &[]).await;
    let request = server
        .post("/v1/watermark")
        .basic_auth(live.0, Some(&live.1))
        .header("Countersign-Credential", &server.secrets.sandbox_key);
    let (_, _, decision) = refusal(
        request
            .header(CONTENT_TYPE, "application/pdf")
            .body(File::hello().bytes()),
    )
    .await;
    assert_eq!(decision, "wrong_environment");
    let organization = server.planted.organization;
    server
        .write(move |tx| {
            Ok(tx.change_production_access(
                organization,
                ProductionAccess::Approved,
                ProductionAccess::Withdrawn,
            )?)
        })
        .await;
    assert_eq!(
        refused(&server.secrets.production_key).await,
        "plan_required"
    );
    server
        .write(move |tx| {
            Ok(tx.change_organization_state(
                organization,
                OrganizationState::Active,
                OrganizationState::Suspended,
            )?)
        })
        .await;
    assert_eq!(refused(&server.secrets.sandbox_key).await, "suspended");
}

async fn only_a_resource_server_may_ask(db: TestDatabase) {
    let server = Server::start(db).await;
    let bare = || {
        server
            .post("/v1/watermark")
            .header(CONTENT_TYPE, "application/pdf")
            .header("Countersign-Credential", &server.secrets.sandbox_key)
    };
    for request in [
        bare(),
        bare().basic_auth(server.planted.resource_server, Some("wrong")),
        bare().basic_auth(
            server.planted.application,
            Some(&server.secrets.client_secret),
        ),
        bare().header(
            AUTHORIZATION,
            format!("API-Key {}", server.secrets.sandbox_key),
        ),
    ] {
        let response = answer(request.body(File::hello().bytes())).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(
            response.headers()[WWW_AUTHENTICATE],
            "Basic realm=\"countersign\", charset=\"UTF-8\""
        );
    }
}

async fn verify_answers_while_a_bomb_is_stamped(db: TestDatabase) {
    let server = Server::start_with(db, |config| config.watermark.cpu_seconds = 1).await;
    let stamping = tokio::spawn(ask(&server, &server.secrets.sandbox_key, slow(500)).send());
    loop {
        let done = stamping.is_finished();
        assert_eq!(
            server
                .verify(json!({"credential": server.secrets.production_key}))
                .await["code"],
            "valid"
        );
        if done {
            break;
        }
    }
    let response = stamping.await.expect("it ran").expect("an answer");
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    // and the next document is stamped
    assert_eq!(
        answer(ask(
            &server,
            &server.secrets.sandbox_key,
            File::hello().bytes()
        ))
        .await
        .status(),
        StatusCode::OK
    );
}

async fn a_full_line_is_503_with_retry_after(db: TestDatabase) {
    let change = |config: &mut countersign::config::Config| {
        (config.watermark.cpu_seconds, config.watermark.concurrency) = (1, 1)
    };
    let server = Server::start_with(db, change).await;
    // one is stamped, four wait, the others are told at once
    let requests: Vec<_> = (0..8)
        .map(|_| tokio::spawn(ask(&server, &server.secrets.sandbox_key, slow(500)).send()))
        .collect();
    let mut busy = 0;
    for request in requests {
        let response = request.await.expect("it ran").expect("an answer");
        if response.status() == StatusCode::SERVICE_UNAVAILABLE {
            assert!(response.headers().contains_key(RETRY_AFTER));
            busy += 1;
        }
    }
    assert!(busy >= 1);
}
