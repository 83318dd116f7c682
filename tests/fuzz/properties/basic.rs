//! `web/basic.rs`: `Authorization: Basic`. The input is the header's value; an id and a secret, too, on two lines.
//!
//! - What is read, encoded as RFC 6749 §2.3.1 says, is read as the same.
//! - Any id and secret survive being encoded and read.
//! - Two headers are refused, whatever stands in them. The secret is not in `Debug`.

use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use countersign::web::basic::{Basic, BasicError, basic};
use url::form_urlencoded::byte_serialize;

pub fn check(input: &[u8]) {
    if let Ok(value) = HeaderValue::from_bytes(input) {
        if let Ok(Some(read)) = parse(&[&value]) {
            assert!(input.len() > 6 && input[..6].eq_ignore_ascii_case(b"basic "));
            survives(&read);
        }
        assert_eq!(parse(&[&value, &value]), Err(BasicError::Repeated));
    }
    if let Ok(text) = std::str::from_utf8(input)
        && let Some((id, secret)) = text.split_once('\n')
    {
        survives(&Basic {
            id: id.to_owned(),
            secret: secret.to_owned(),
        });
    }
}

fn survives(credentials: &Basic) {
    assert_eq!(
        format!("{credentials:?}"),
        format!("Basic({}, …)", credentials.id)
    );
    let encode = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let encoded = STANDARD.encode(format!(
        "{}:{}",
        encode(&credentials.id),
        encode(&credentials.secret)
    ));
    let header =
        HeaderValue::from_str(&format!("Basic {encoded}")).expect("base64 is a header value");
    assert_eq!(parse(&[&header]).as_ref(), Ok(&Some(credentials.clone())));
}

fn parse(values: &[&HeaderValue]) -> Result<Option<Basic>, BasicError> {
    let mut headers = HeaderMap::new();
    values
        .iter()
        .for_each(|value| headers.append(AUTHORIZATION, (*value).clone()));
    basic(&headers)
}
