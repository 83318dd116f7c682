//! The credential of a holder: `Authorization: Bearer …`, or the configured scheme of keys (`API-Key …`), in any case. Never in a
//! URL; never two.

use actix_web::HttpRequest;
use actix_web::http::header::AUTHORIZATION;

use super::form::Form;

/// Where a credential would be looked for by mistake.
const QUERY_NAMES: [&str; 6] = [
    "access_token",
    "api_key",
    "apikey",
    "api-key",
    "token",
    "key",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    #[error(
        "Send the credential in the Authorization header, by one of the schemes in WWW-Authenticate."
    )]
    Missing,
    #[error("There is more than one Authorization header: send one credential.")]
    Repeated,
    #[error("The Authorization header is malformed: it is a scheme, one space and the credential.")]
    Malformed,
    /// RFC 9700 §4.3.2: URLs end up in logs, histories and referrers.
    #[error(
        "A credential must never be sent in a URL. Treat it as leaked, replace it, and send the new one in the Authorization header."
    )]
    InUrl,
}

/// The one credential of the request; `scheme` is that of `keys.header_scheme`.
pub fn credential(request: &HttpRequest, scheme: &str) -> Result<String, CredentialError> {
    if has_credential_in_query(request) {
        return Err(CredentialError::InUrl);
    }
    let mut values = request.headers().get_all(AUTHORIZATION);
    let value = values.next().ok_or(CredentialError::Missing)?;
    if values.next().is_some() {
        return Err(CredentialError::Repeated);
    }
    let text = value.to_str().map_err(|_| CredentialError::Malformed)?;
    let (written, credential) = text.split_once(' ').ok_or(CredentialError::Malformed)?;
    if !written.eq_ignore_ascii_case("bearer") && !written.eq_ignore_ascii_case(scheme) {
        return Err(CredentialError::Missing);
    }
    let credential = credential.trim();
    let plain = !credential.is_empty()
        && credential
            .bytes()
            .all(|byte| matches!(byte, 0x21..=0x7E) && byte != b',');
    if plain {
        Ok(credential.to_owned())
    } else {
        Err(CredentialError::Malformed)
    }
}

/// Whether the query names what would be a credential, however unreadable the rest of it is.
pub fn has_credential_in_query(request: &HttpRequest) -> bool {
    let names = request
        .query_string()
        .split('&')
        .map(|pair| pair.split_once('=').map_or(pair, |(name, _)| name));
    names
        .filter_map(|name| Form::parse(name).ok())
        .any(|form| QUERY_NAMES.iter().any(|name| form.contains(name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn both_schemes_in_any_case() {
        // rows 32, 33
        for header in [
            "Bearer cs_1",
            "bearer cs_1",
            "API-Key cs_1",
            "api-key  cs_1",
        ] {
            let request = TestRequest::default()
                .insert_header((AUTHORIZATION, header))
                .to_http_request();
            assert_eq!(
                credential(&request, "API-Key").as_deref(),
                Ok("cs_1"),
                "{header}"
            );
        }
    }

    #[test]
    fn never_two_and_never_in_a_url() {
        // row 34, 9700-47
        let two = TestRequest::default()
            .append_header((AUTHORIZATION, "Bearer a"))
            .append_header((AUTHORIZATION, "API-Key b"))
            .to_http_request();
        assert_eq!(credential(&two, "API-Key"), Err(CredentialError::Repeated));
        let joined = TestRequest::default()
            .insert_header((AUTHORIZATION, "Bearer a, API-Key b"))
            .to_http_request();
        assert_eq!(
            credential(&joined, "API-Key"),
            Err(CredentialError::Malformed)
        );
        let url = TestRequest::with_uri("/v1/whoami?access_token=x")
            .insert_header((AUTHORIZATION, "Bearer a"))
            .to_http_request();
        assert_eq!(credential(&url, "API-Key"), Err(CredentialError::InUrl));
        let unreadable = TestRequest::with_uri("/v1/whoami?%74oken=x%FF")
            .insert_header((AUTHORIZATION, "Bearer a"))
            .to_http_request();
        assert_eq!(
            credential(&unreadable, "API-Key"),
            Err(CredentialError::InUrl)
        );
        assert_eq!(
            credential(&TestRequest::default().to_http_request(), "API-Key"),
            Err(CredentialError::Missing)
        );
        let basic = TestRequest::default()
            .insert_header((AUTHORIZATION, "Basic eDp5"))
            .to_http_request();
        assert_eq!(credential(&basic, "API-Key"), Err(CredentialError::Missing));
    }
}
