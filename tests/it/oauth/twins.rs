//! A token has one spelling: whoever writes it otherwise has no token (RFC 7515 §2: base64url without padding, line breaks or
//! other characters; `crypto/low_s.rs`).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::config::Rate;
use countersign::types::state::SigningAlgorithm;
use reqwest::StatusCode;
use reqwest::header::AUTHORIZATION;
use serde_json::json;

use super::{is_active, revoke};
use crate::databases::{TestDatabase, both_databases};
use crate::server::Server;
use crate::tenants::own_token;

both_databases!(
    a_second_spelling_is_no_token_at_any_door,
    a_token_from_before_the_rule_works_until_it_expires,
);

/// Big-endian: the orders of P-256 (SEC 2 §2.4.2) and of Ed25519's base point (RFC 8032 §5.1).
const P256: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
const ED25519: &str = "1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed";

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex"))
        .collect()
}

/// n - s, big-endian.
fn minus(n: &[u8], s: &[u8]) -> Vec<u8> {
    let mut borrow = 0;
    let mut digits: Vec<u8> = n
        .iter()
        .zip(s)
        .rev()
        .map(|(n, s)| {
            let left = i32::from(*n) - i32::from(*s) - borrow;
            borrow = i32::from(left < 0);
            u8::try_from(left + 256 * borrow).expect("a digit")
        })
        .collect();
    digits.reverse();
    digits
}

/// s + L, little-endian. It fits: L is a little above 2^252.
fn plus(l: &[u8], s: &[u8]) -> Vec<u8> {
    let mut carry = 0;
    l.iter()
        .rev()
        .zip(s)
        .map(|(l, s)| {
            let sum = u16::from(*l) + u16::from(*s) + carry;
            carry = sum >> 8;
            u8::try_from(sum & 0xff).expect("a digit")
        })
        .collect()
}

fn with_signature(token: &str, change: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let (signed, signature) = token.rsplit_once('.').expect("three parts");
    let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    let (r, s) = signature.split_at(32);
    let twin = [r.to_vec(), change(s)].concat();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(twin))
}

/// (r, n - s)
fn twin(token: &str) -> String {
    with_signature(token, |s| minus(&bytes(P256), s))
}

/// The bits that the last letter has to spare: 64 bytes are 85 letters and two bits.
fn with_spare_bits(token: &str) -> String {
    const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (rest, last) = token.split_at(token.len() - 1);
    let value = LETTERS.find(last).expect("base64url");
    assert_eq!(value % 16, 0, "the spare bits are zero");
    format!("{rest}{}", &LETTERS[value + 1..value + 2])
}

fn spellings(token: &str, algorithm: SigningAlgorithm) -> Vec<String> {
    let (header, rest) = token.split_once('.').expect("three parts");
    let (payload, signature) = rest.split_once('.').expect("three parts");
    let other = match algorithm {
        SigningAlgorithm::Es256 => twin(token),
        SigningAlgorithm::EdDsa => with_signature(token, |s| plus(&bytes(ED25519), s)),
    };
    let mut all = vec![
        other,
        with_spare_bits(token),
        format!("{token}="),
        format!("{token}=="),
        format!("{header}=.{payload}.{signature}"),
        format!("{token}."),
        format!("{token}.{signature}"),
        format!(".{token}"),
        format!("{header}.{payload}.{signature}%0A"),
        format!("{header}. {payload}.{signature}"),
        format!(
            "{header}.{payload}.{}\n{}",
            &signature[..40],
            &signature[40..]
        ),
        format!("{token}\u{200b}"),
        format!("{token}\0"),
        json!({"protected": header, "payload": payload, "signature": signature}).to_string(),
    ];
    if token.contains(['-', '_']) {
        all.push(token.replace('-', "+").replace('_', "/"));
    }
    all
}

/// Inactive, or what no form may carry.
async fn is_none(server: &Server, token: &str) -> bool {
    let question = server
        .as_resource_server("/oauth2/introspect")
        .form(&[("token", token)]);
    let (status, answer) = super::send(question).await;
    status == StatusCode::BAD_REQUEST || answer == json!({"active": false})
}

async fn a_second_spelling_is_no_token_at_any_door(db: TestDatabase) {
    let other = db.another();
    for (db, algorithm) in [
        (db, SigningAlgorithm::Es256),
        (other, SigningAlgorithm::EdDsa),
    ] {
        let server = Server::start_with(db, |config| {
            config.oauth.signing_algorithm = algorithm.as_str().to_owned();
            // who guesses as often as this is slowed down otherwise
            config.limits.unknown_credentials = Rate::NONE;
        })
        .await;
        let token = own_token(&server).await;
        for wrong in spellings(&token, algorithm) {
            assert!(is_none(&server, &wrong).await, "{wrong:?}");
            let question = server
                .as_resource_server("/v1/verify")
                .json(&json!({"credential": wrong}));
            let (status, answer) = super::send(question).await;
            assert!(
                status == StatusCode::BAD_REQUEST || answer["allowed"] == false,
                "{wrong:?}: {answer}"
            );
            // RFC 7009 §2.2: it is no token, and nothing ends
            revoke(&server, &wrong).await;
            for path in ["/v1/whoami", "/v1/workspaces"] {
                let asked = server
                    .get(path)
                    .header(AUTHORIZATION, format!("Bearer {wrong}"));
                // what no header can carry is not sent
                if let Ok(answer) = asked.send().await {
                    let status = answer.status();
                    assert!(
                        status == StatusCode::UNAUTHORIZED || status == StatusCode::BAD_REQUEST,
                        "{path} {wrong:?}: {status}"
                    );
                }
            }
        }
        assert!(is_active(&server, &token).await, "{algorithm}");
        assert_eq!(
            server.verify(json!({"credential": token})).await["allowed"],
            true
        );
        assert_eq!(revoke(&server, &token).await, StatusCode::OK);
        for spelling in spellings(&token, algorithm) {
            assert!(is_none(&server, &spelling).await, "{spelling:?}");
        }
    }
}

async fn a_token_from_before_the_rule_works_until_it_expires(db: TestDatabase) {
    let server = Server::start(db).await;
    // as a server made it that did not choose: the higher signature as often as the lower one
    let old = twin(&own_token(&server).await);
    assert!(!is_active(&server, &old).await);
    server
        .database
        .execute("UPDATE signing_keys SET lower_from = NULL");
    server.clock.step_seconds(2);
    server.app.tend_signing_keys().await.expect("looked after");
    assert!(is_active(&server, &old).await);
    let new = own_token(&server).await;
    assert!(is_active(&server, &new).await);
    assert!(!is_active(&server, &twin(&new)).await);
    // the next start knows it, too
    let keys = server.app.store.read(|c| c.list_signing_keys()).await;
    let keys: Result<_, countersign::store::Error> = keys;
    assert_eq!(keys.expect("keys")[0].lower_from, Some(server.clock.now()));
}
