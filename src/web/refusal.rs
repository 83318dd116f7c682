//! What a form's page says of a refusal, and the small parts that pages are made of.

use std::str::FromStr;

use super::html::PageError;
use super::page::FieldErrors;
use crate::domain::Refusal;
use crate::types::time::Timestamp;

/// An id from a path: what is none is not found.
pub fn parse_id<I: FromStr>(text: &str) -> Result<I, PageError> {
    text.parse().map_err(|_| PageError::NotFound)
}

pub fn date_or_never(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "Never".to_owned(), Timestamp::date)
}

/// What a form shows of a refusal; what no form can show becomes a page of its own.
pub fn field_errors(refusal: Refusal) -> Result<FieldErrors, PageError> {
    let mut errors = FieldErrors::default();
    match refusal {
        Refusal::Invalid(found) => found
            .iter()
            .for_each(|(field, message)| errors.push(field, sentence(field, message))),
        refused @ Refusal::Coded(..) if refused.is_forbidden() => return Err(refused.into()),
        Refusal::Blocked(reason) | Refusal::Coded(_, reason) => errors.push("", reason),
        Refusal::Locked(unlock) => errors.push("", unlock.detail),
        other => return Err(other.into()),
    }
    Ok(errors)
}

/// Of "must not be empty" about `name`: "Name must not be empty." A sentence stays as it is.
fn sentence(field: &str, message: &str) -> String {
    if !message.starts_with(|first: char| first.is_ascii_lowercase()) {
        return message.to_owned();
    }
    let words = field.replace('_', " ");
    match words.get(..1).zip(words.get(1..)) {
        Some((first, rest)) => format!("{}{rest} {message}.", first.to_uppercase()),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_read_as_sentences_at_their_fields() {
        let found = vec![
            ("name", "must not be empty".to_owned()),
            ("expires_on", "Choose a day in the future.".to_owned()),
        ];
        let errors = field_errors(Refusal::Invalid(found)).expect("a form can show it");
        assert_eq!(errors.of("name"), Some("Name must not be empty."));
        assert_eq!(errors.of("expires_on"), Some("Choose a day in the future."));
        assert_eq!(
            sentence("redirect_uris", "must be few"),
            "Redirect uris must be few."
        );
    }

    #[test]
    fn a_cap_concerns_the_form_and_a_missing_role_the_page() {
        let errors =
            field_errors(Refusal::Blocked("Full.".to_owned())).expect("a form can show it");
        assert_eq!(errors.of(""), Some("Full."));
        assert!(matches!(
            field_errors(Refusal::Forbidden("No.")),
            Err(PageError::Forbidden(_))
        ));
        assert!(matches!(
            field_errors(Refusal::NotFound),
            Err(PageError::NotFound)
        ));
    }
}
