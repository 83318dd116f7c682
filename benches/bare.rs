//! What the others are compared with, in the same run: a bare actix handler with the same request and response sizes, and
//! how many tokens one core can sign. Started by `benches/run`.
#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::time::{Duration, Instant};

use actix_web::{App, HttpResponse, HttpServer, web};
use countersign::crypto::signer::{Audience, Claims, PrivateKey, Signer};
use countersign::types::id::{AccessTokenId, ApplicationId, AuthorizationId, OrganizationId};
use countersign::types::state::SigningAlgorithm;
use countersign::types::time::{Clock, Timestamp};

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    match arguments
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        ["serve", address] => serve(address),
        ["sign", algorithm] => println!(
            "{}",
            signs_a_second(algorithm.parse().expect("ES256 or EdDSA"))
        ),
        // `cargo bench` without arguments, and `cargo test --benches`
        _ => println!("Run benches/run: it needs a load generator beside the server."),
    }
}

/// `POST /SIZE` reads the body and answers with SIZE bytes of JSON type, on one worker.
fn serve(address: &str) {
    let server = HttpServer::new(|| App::new().route("/{size}", web::post().to(answer)))
        .workers(1)
        .bind(address)
        .expect("a free port")
        .run();
    actix_web::rt::System::new()
        .block_on(server)
        .expect("the server runs");
}

async fn answer(size: web::Path<usize>, body: web::Bytes) -> HttpResponse {
    std::hint::black_box(&body);
    HttpResponse::Ok()
        .content_type("application/json")
        .body("x".repeat(*size))
}

fn signs_a_second(algorithm: SigningAlgorithm) -> u64 {
    let signer = Signer::new(
        "http://127.0.0.1:8080",
        &[(
            PrivateKey::generate(algorithm).expect("a key"),
            Timestamp::from_seconds(0),
        )],
    )
    .expect("a signer");
    let now = Clock::System.now();
    let claims = claims(now);
    let (start, mut count) = (Instant::now(), 0);
    while start.elapsed() < Duration::from_secs(3) {
        std::hint::black_box(signer.sign(&claims).expect("signed"));
        count += 1;
    }
    count / 3
}

fn claims(now: Timestamp) -> Claims {
    let application = ApplicationId::generate(now);
    Claims {
        iss: "http://127.0.0.1:8080".to_owned(),
        sub: application.to_string(),
        aud: Audience::One("http://127.0.0.1:8080".to_owned()),
        client_id: application,
        exp: now.seconds() + 900,
        iat: now.seconds(),
        jti: AccessTokenId::generate(now).to_string(),
        scope: "read".to_owned(),
        authorization: AuthorizationId::generate(now),
        organization: OrganizationId::generate(now),
        environment: "sandbox".to_owned(),
        workspaces: Vec::new(),
    }
}
