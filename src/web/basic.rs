//! `Authorization: Basic` (RFC 7617) with the form-encoding of RFC 6749 §2.3.1.

use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;

/// A client id and secret from a header.
#[derive(Clone, PartialEq, Eq)]
pub struct Basic {
    pub id: String,
    pub secret: String,
}

impl std::fmt::Debug for Basic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Basic({}, …)", self.id)
    }
}

/// Why there is none although somebody tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BasicError {
    #[error("There is more than one Authorization header.")]
    Repeated,
    #[error("The Authorization header is not a valid Basic one.")]
    Malformed,
}

/// The Basic credentials; `None` without the header or with another scheme.
pub fn basic(headers: &HeaderMap) -> Result<Option<Basic>, BasicError> {
    let mut values = headers.get_all(AUTHORIZATION);
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(BasicError::Repeated);
    }
    let text = value.to_str().map_err(|_| BasicError::Malformed)?;
    let Some((scheme, encoded)) = text.split_once(' ') else {
        return Ok(None);
    };
    if !scheme.eq_ignore_ascii_case("basic") {
        return Ok(None);
    }
    decode(encoded.trim())
        .map(Some)
        .ok_or(BasicError::Malformed)
}

fn decode(encoded: &str) -> Option<Basic> {
    let decoded = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    Some(Basic {
        id: form_decode(id)?,
        secret: form_decode(secret)?,
    })
}

fn form_decode(text: &str) -> Option<String> {
    percent_decode_str(&text.replace('+', " "))
        .decode_utf8()
        .ok()
        .map(String::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    fn parse(values: &[String]) -> Result<Option<Basic>, BasicError> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(
                AUTHORIZATION,
                HeaderValue::from_str(value).expect("a header value"),
            );
        }
        basic(&headers)
    }

    #[test]
    fn id_and_secret_are_form_decoded() {
        // RFC 6749 §2.3.1
        let header = format!("bAsIc {}", STANDARD.encode("app%5F1:a%3Ab+c"));
        assert_eq!(
            parse(&[header]),
            Ok(Some(Basic {
                id: "app_1".to_owned(),
                secret: "a:b c".to_owned()
            }))
        );
        assert_eq!(parse(&["Bearer x".to_owned()]), Ok(None));
        assert_eq!(parse(&["Basic !".to_owned()]), Err(BasicError::Malformed));
        assert_eq!(
            parse(&["Basic eA==".to_owned()]),
            Err(BasicError::Malformed)
        );
        assert_eq!(
            parse(&["Basic eDp5".to_owned(), "Basic eDp5".to_owned()]),
            Err(BasicError::Repeated)
        );
    }
}
