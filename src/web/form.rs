//! `application/x-www-form-urlencoded`, read strictly: UTF-8 only, no NUL, and a parameter that must stand once stands once.

use std::borrow::Cow;

use actix_web::HttpRequest;
use actix_web::web::Payload;
use percent_encoding::percent_decode_str;

use super::body::{self, BodyError};

pub const CONTENT_TYPE: &str = "application/x-www-form-urlencoded";
/// More parameters are refused.
const MOST_PARAMETERS: usize = 500;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error("The parameters are not valid UTF-8, or hold a NUL.")]
    Encoding,
    #[error("There are too many parameters.")]
    TooMany,
    /// RFC 6749 §3.1, §3.2: parameters must not be included more than once.
    #[error("The parameter {0} is there more than once.")]
    Repeated(String),
}

/// Parameters in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// The body of a POST.
    pub async fn read(
        request: &HttpRequest,
        payload: Payload,
        most_bytes: usize,
    ) -> Result<Self, FormError> {
        let bytes = body::read(request, payload, CONTENT_TYPE, most_bytes).await?;
        Self::parse(std::str::from_utf8(&bytes).map_err(|_| FormError::Encoding)?)
    }

    /// The query of a URL.
    pub fn of_query(request: &HttpRequest) -> Result<Self, FormError> {
        Self::parse(request.query_string())
    }

    pub fn parse(text: &str) -> Result<Self, FormError> {
        let mut pairs = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            if pairs.len() == MOST_PARAMETERS {
                return Err(FormError::TooMany);
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            pairs.push((decode(name)?, decode(value)?));
        }
        Ok(Self(pairs))
    }

    /// The value of a parameter that may stand once. Empty counts as absent (RFC 6749 §3.1).
    pub fn one(&self, name: &str) -> Result<Option<&str>, FormError> {
        let mut values = self
            .0
            .iter()
            .filter(|(own, _)| own == name)
            .map(|(_, value)| value.as_str());
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(FormError::Repeated(name.to_owned())),
            (value, None) => Ok(value.filter(|value| !value.is_empty())),
        }
    }

    /// The value of a field that a page fills in: absent and repeated ones read as empty and the first.
    pub fn field(&self, name: &str) -> &str {
        self.0
            .iter()
            .find(|(own, _)| own == name)
            .map_or("", |(_, value)| value)
    }

    /// Every value of a field that may stand several times.
    pub fn all<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f str> {
        self.0
            .iter()
            .filter(move |(own, _)| own == name)
            .map(|(_, value)| value.as_str())
    }

    /// Names and values, in their order.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub fn contains(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// Refuses any of `names` that stands twice.
    pub fn refuse_repeated(&self, names: &[&str]) -> Result<(), FormError> {
        names.iter().try_for_each(|name| self.one(name).map(drop))
    }
}

fn decode(text: &str) -> Result<String, FormError> {
    let spaced: Cow<'_, str> = if text.contains('+') {
        text.replace('+', " ").into()
    } else {
        text.into()
    };
    let decoded = percent_decode_str(&spaced)
        .decode_utf8()
        .map_err(|_| FormError::Encoding)?;
    if decoded.contains('\0') {
        Err(FormError::Encoding)
    } else {
        Ok(decoded.into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_parameter_that_stands_twice_is_refused() {
        // 9700-11
        let form = Form::parse("a=1&b=2&a=3").expect("parses");
        assert_eq!(form.one("a"), Err(FormError::Repeated("a".to_owned())));
        assert_eq!(form.one("b"), Ok(Some("2")));
        assert_eq!(form.one("c"), Ok(None));
        assert_eq!(form.all("a").collect::<Vec<_>>(), ["1", "3"]);
    }

    #[test]
    fn only_utf_8_without_nul_is_read() {
        assert_eq!(
            Form::parse("a=%C3%A4+b").expect("parses").one("a"),
            Ok(Some("ä b"))
        );
        assert_eq!(Form::parse("a=%ff"), Err(FormError::Encoding));
        assert_eq!(Form::parse("a=%00"), Err(FormError::Encoding));
        assert_eq!(Form::parse(&"a&".repeat(501)), Err(FormError::TooMany));
    }

    proptest! {
        #[test]
        fn no_text_upsets_the_parser(text in "\\PC{0,200}") {
            let _ = Form::parse(&text);
        }
    }
}
