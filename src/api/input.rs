//! What a request brings: path, query and body, each one type. What no type names is refused.

use std::any::TypeId;

use actix_web::web::{self, Payload, Query};
use actix_web::{HttpRequest, http::header};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer};

use crate::domain::{Refusal, ensure};
use crate::types::id::OrganizationId;
use crate::web::body;
use crate::web::form::{Form, FormError};
use crate::web::problem::Problem;

/// The query parameter by which an operator token names the organization.
pub const ORGANIZATION: &str = "organization";

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoPath {}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoQuery {}

/// A request that has no body.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoBody {}

#[derive(Debug)]
pub struct Input<P, Q, B> {
    pub path: P,
    pub query: Q,
    pub body: B,
}

/// A field of a change: absent keeps, null takes away, a value sets. Mark it `#[serde(default)]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Change<T> {
    #[default]
    Keep,
    Clear,
    Set(T),
}

impl<T> Change<T> {
    /// None keeps, `Some(None)` takes away.
    pub fn into_option(self) -> Option<Option<T>> {
        match self {
            Self::Keep => None,
            Self::Clear => Some(None),
            Self::Set(value) => Some(Some(value)),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Change<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::<T>::deserialize(deserializer)?.map_or(Self::Clear, Self::Set))
    }
}

impl<T: JsonSchema> JsonSchema for Change<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Change_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Option::<T>::json_schema(generator)
    }
}

/// For an optional field that is not null when it is there: `#[serde(default, deserialize_with = "present")]`, with
/// `#[schemars(with = "T")]`.
pub fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

pub(super) fn is_none<T: 'static, None: 'static>() -> bool {
    TypeId::of::<T>() == TypeId::of::<None>()
}

/// An id that cannot be one is nobody's: 404.
pub(super) fn path<P: DeserializeOwned>(request: &HttpRequest) -> Result<P, Problem> {
    request
        .match_info()
        .load()
        .map_err(|_| Refusal::NotFound.into())
}

/// The organization that the query names, and the rest of the query. A parameter stands once.
pub(super) fn query<Q: DeserializeOwned>(
    request: &HttpRequest,
) -> Result<(Option<OrganizationId>, Q), Problem> {
    let (organization, rest) = split_query(request)?;
    let query = Query::<Q>::from_query(&rest)
        .map_err(|error| Problem::bad_request("invalid_query", error.to_string()))?;
    Ok((organization, query.into_inner()))
}

fn split_query(request: &HttpRequest) -> Result<(Option<OrganizationId>, String), Problem> {
    let wrong = |error: FormError| Problem::bad_request("invalid_query", error.to_string());
    let form = Form::of_query(request).map_err(wrong)?;
    let mut rest = url::form_urlencoded::Serializer::new(String::new());
    let mut organization = None;
    for (name, value) in form.pairs() {
        form.one(name).map_err(wrong)?;
        if name == ORGANIZATION {
            let text = "organization: not an organization's id";
            organization = Some(
                value
                    .parse()
                    .map_err(|_| Problem::bad_request("invalid_query", text))?,
            );
        } else {
            rest.append_pair(name, value);
        }
    }
    Ok((organization, rest.finish()))
}

pub(super) async fn bytes(
    request: &HttpRequest,
    payload: Payload,
    most: usize,
) -> Result<web::Bytes, Problem> {
    Ok(body::read(request, payload, "application/json", most).await?)
}

/// For an operation that takes none: what is sent anyway is not read.
pub(super) fn ensure_no_body(request: &HttpRequest) -> Result<(), Problem> {
    let length = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .is_some_and(|length| length.as_bytes() != b"0");
    let sent = length || request.headers().contains_key(header::TRANSFER_ENCODING);
    let refused = || Problem::bad_request("invalid_body", "This operation takes no body.");
    ensure(!sent, refused())
}

pub(super) fn parse<B: DeserializeOwned>(bytes: Option<&[u8]>) -> Result<B, Problem> {
    let bytes = bytes.unwrap_or(b"{}");
    // serde would take a list for the fields in their order
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        return Err(Problem::bad_request(
            "invalid_body",
            "The body must be an object.",
        ));
    }
    serde_json::from_slice(bytes).or_else(|error| {
        serde_json::from_slice(&whole_numbers(bytes)).map_err(|_| unreadable(bytes, &error))
    })
}

fn unreadable(bytes: &[u8], error: &serde_json::Error) -> Problem {
    let readable = serde_json::from_slice::<IgnoredAny>(bytes).is_ok();
    let code = if readable {
        "invalid_body"
    } else {
        "invalid_json"
    };
    Problem::bad_request(code, format!("The body cannot be read: {error}."))
}

/// `37.0` is an integer (JSON Schema, validation §6.1.1): it becomes `37`. What stands in quotes stays as it is.
fn whole_numbers(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len());
    let (mut rest, mut quoted) = (json, false);
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'\\' if quoted => {
                out.push(byte);
                out.extend(rest.first());
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
            b'"' => quoted = !quoted,
            b'.' if !quoted => {
                let zeros = rest.iter().take_while(|digit| **digit == b'0').count();
                let more = rest
                    .get(zeros)
                    .is_some_and(|next| matches!(next, b'0'..=b'9' | b'e' | b'E'));
                if zeros > 0 && !more {
                    rest = &rest[zeros..];
                    continue;
                }
            }
            _ => {}
        }
        out.push(byte);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_number_may_have_a_point_and_text_keeps_its_own() {
        for (json, read) in [
            (
                r#"{"a": 37.0, "b": [1.00, -2.0]}"#,
                r#"{"a": 37, "b": [1, -2]}"#,
            ),
            (
                r#"{"a": 1.5, "b": 1.05, "c": 1.0e3}"#,
                r#"{"a": 1.5, "b": 1.05, "c": 1.0e3}"#,
            ),
            (
                r#"{"1.0": "v1.0 \"2.0\" \\"}"#,
                r#"{"1.0": "v1.0 \"2.0\" \\"}"#,
            ),
            ("1.", "1."),
            ("", ""),
        ] {
            assert_eq!(
                String::from_utf8(whole_numbers(json.as_bytes())).expect("UTF-8"),
                read
            );
        }
        assert_eq!(parse::<u8>(Some(b"7.0")).ok(), Some(7));
        assert!(parse::<u8>(Some(b"7.5")).is_err() && parse::<u8>(Some(b"\"7.0\"")).is_err());
    }
}
