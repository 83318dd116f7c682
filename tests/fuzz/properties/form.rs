//! `web/form.rs`: urlencoded bodies and queries.
//!
//! - What is read is what the `url` crate reads: two parsers agree on every accepted text.
//! - Written again and read again, it is the same form.
//! - Nothing decodes to more than was sent; no NUL, no more than 500 parameters.
//! - A parameter that stands twice is never answered by `one`.

use countersign::web::form::{Form, FormError};
use url::form_urlencoded;

pub fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let reference: Vec<(String, String)> = form_urlencoded::parse(input).into_owned().collect();
    let form = match Form::parse(text) {
        Ok(form) => form,
        Err(FormError::TooMany) => return assert!(reference.len() > 500),
        Err(error) => return assert_eq!(error, FormError::Encoding),
    };
    assert!(reference.len() <= 500);
    assert!(
        reference
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum::<usize>()
            <= text.len()
    );
    for (name, first) in &reference {
        let values: Vec<&str> = reference
            .iter()
            .filter(|(own, _)| own == name)
            .map(|(_, value)| value.as_str())
            .collect();
        assert_eq!(form.all(name).collect::<Vec<_>>(), values, "{name:?}");
        assert_eq!(form.field(name), values[0]);
        assert!(form.contains(name) && !name.contains('\0') && !first.contains('\0'));
        let expected = if values.len() == 1 {
            Ok(Some(values[0]).filter(|value| !value.is_empty()))
        } else {
            Err(FormError::Repeated(name.clone()))
        };
        assert_eq!(form.one(name), expected);
        if reference.len() > 20 {
            break; // the rest would be this test's own quadratic work
        }
    }
    let written = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(&reference)
        .finish();
    assert_eq!(Form::parse(&written), Ok(form), "{written}");
}
