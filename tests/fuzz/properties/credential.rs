//! `web/credential.rs`: a holder's key or token. The first line is the query, each further line an Authorization header.
//!
//! - It is taken from exactly one header, ends it, and is visible ASCII without a comma: it can be logged and sent on.
//! - A query that names a credential, as the `url` crate reads it, is refused, and only such a query is.

use actix_web::HttpRequest;
use actix_web::http::Uri;
use actix_web::http::header::{AUTHORIZATION, HeaderValue};
use actix_web::test::TestRequest;
use countersign::web::credential::{CredentialError, credential};

const NAMES: [&str; 6] = [
    "access_token",
    "api_key",
    "apikey",
    "api-key",
    "token",
    "key",
];

pub fn check(input: &[u8]) {
    let mut lines = input.split(|byte| *byte == b'\n');
    let query = lines.next().unwrap_or_default();
    let headers: Vec<HeaderValue> = lines
        .filter_map(|line| HeaderValue::from_bytes(line).ok())
        .collect();
    let Some(request) = request(query, &headers) else {
        return;
    };
    let named = url::form_urlencoded::parse(request.query_string().as_bytes())
        .any(|(name, _)| NAMES.contains(&&*name));
    let found = credential(&request, "API-Key");
    assert_eq!(
        found == Err(CredentialError::InUrl),
        named,
        "{}",
        request.query_string()
    );
    match (found, headers.as_slice()) {
        (Ok(found), [only]) => {
            assert!(
                found
                    .bytes()
                    .all(|byte| byte.is_ascii_graphic() && byte != b',')
                    && !found.is_empty()
            );
            assert!(only.to_str().expect("visible").trim_end().ends_with(&found));
        }
        (Ok(_), _) => panic!("a credential from none or several headers"),
        (Err(CredentialError::Repeated), headers) => assert!(headers.len() > 1),
        (Err(_), _) => {}
    }
}

fn request(query: &[u8], headers: &[HeaderValue]) -> Option<HttpRequest> {
    let uri: Uri = format!("/v1/whoami?{}", std::str::from_utf8(query).ok()?)
        .parse()
        .ok()?;
    let request = headers.iter().fold(
        TestRequest::default().uri(&uri.to_string()),
        |request, value| request.append_header((AUTHORIZATION, value)),
    );
    Some(request.to_http_request())
}
