//! `web/cookies.rs`: the cookies of a browser. Each line is a Cookie header; `{T}` and `{U}` stand for tokens.
//!
//! - A token is taken only from the one cookie of that very name, byte for byte: a name that merely decodes to `__Host-…`
//!   is anybody's to set (RFC 6265bis §4.1.3.2).
//! - Two cookies of that name are none: their order is not ours to trust.
//! - What is taken is 43 base62 characters.

use actix_web::http::header::{COOKIE, HeaderValue};
use actix_web::test::TestRequest;
use countersign::web::cookies::Presented;

pub fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input)
        .replace("{T}", &"t".repeat(43))
        .replace("{U}", &"u".repeat(43));
    let headers: Vec<HeaderValue> = text
        .split('\n')
        .filter_map(|line| HeaderValue::from_str(line).ok())
        .collect();
    let request = headers
        .iter()
        .fold(TestRequest::default(), |request, value| {
            request.append_header((COOKIE, value))
        })
        .to_http_request();
    for secure in [true, false] {
        let prefix = if secure { "__Host-" } else { "" };
        let presented = Presented::of(request.headers(), secure);
        for (name, token) in [
            ("countersign_session", presented.session),
            ("countersign_visitor", presented.stranger),
        ] {
            let name = format!("{prefix}{name}");
            match (token, written(&headers, &name).as_slice()) {
                (Some(token), [only]) => {
                    assert_eq!(token, *only);
                    assert!(
                        token.len() == 43 && token.bytes().all(|byte| byte.is_ascii_alphanumeric())
                    );
                }
                (Some(token), values) => panic!("{name}={token} out of {values:?}"),
                (None, [only]) => assert!(
                    only.len() != 43 || !only.bytes().all(|byte| byte.is_ascii_alphanumeric()),
                    "{name}={only} was not found"
                ),
                (None, _) => {}
            }
        }
    }
}

/// RFC 6265 §4.2.1: pairs between semicolons; read without any library.
fn written<'h>(headers: &'h [HeaderValue], name: &str) -> Vec<&'h str> {
    let lines = headers
        .iter()
        .map(|value| std::str::from_utf8(value.as_bytes()).expect("made of text"));
    let pairs = lines
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.split_once('='));
    pairs
        .filter(|(own, _)| own.trim() == name)
        .map(|(_, value)| value.trim())
        .collect()
}
