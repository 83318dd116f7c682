//! The page of an organization's own provider.

use askama::Template;

use crate::web::page::{FieldErrors, OrganizationLink, Shell};

/// `POST` to itself with `csrf issuer client_id client_secret name enforced`; `…/remove` with `csrf`.
#[derive(Template)]
#[template(path = "console/single_sign_on.html")]
pub struct SingleSignOnPage {
    pub shell: Shell,
    pub csrf: String,
    pub organization: OrganizationLink,
    pub form: SingleSignOnForm,
    pub errors: FieldErrors,
    /// To be registered at the provider.
    pub redirect_uri: String,
    /// Where the organization's people start, once a provider is saved.
    pub sign_in: Option<String>,
    pub domains: Vec<String>,
    /// Owners; the others only see it.
    pub can_change: bool,
}

/// What is there, or was typed. The secret is never shown again.
#[derive(Debug, Clone, Default)]
pub struct SingleSignOnForm {
    pub issuer: String,
    pub client_id: String,
    pub name: String,
    pub enforced: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::page::Section;
    use crate::web::page::promises::assert_kept;
    use crate::web::page::samples::{RIGHT_TO_LEFT, SCRIPT, long, organization, signed_in};

    impl SingleSignOnPage {
        fn sample(text: &str, can_change: bool) -> Self {
            let mut errors = FieldErrors::default();
            // who may not change it gets no form, and so no errors
            for field in ["issuer", "client_id", "client_secret", "name", "enforced"]
                .into_iter()
                .filter(|_| can_change)
            {
                errors.push(field, text);
            }
            Self {
                shell: signed_in("Single sign-on", Some(Section::SingleSignOn)),
                csrf: "csrf-token".into(),
                organization: organization(),
                form: SingleSignOnForm {
                    issuer: text.into(),
                    client_id: text.into(),
                    name: text.into(),
                    enforced: true,
                },
                errors,
                redirect_uri: "https://id.example/login/oidc/callback".into(),
                sign_in: Some("https://id.example/login/oidc/idp_1".into()),
                domains: vec!["acme.example".into()],
                can_change,
            }
        }
    }

    #[test]
    fn the_single_sign_on_page_keeps_the_promises() {
        for (kind, text) in [
            ("script", SCRIPT.to_owned()),
            ("long", long()),
            ("rtl", RIGHT_TO_LEFT.to_owned()),
        ] {
            assert_kept(
                &format!("single-sign-on-{kind}"),
                &SingleSignOnPage::sample(&text, true),
            );
            assert_kept(
                &format!("single-sign-on-seen-{kind}"),
                &SingleSignOnPage::sample(&text, false),
            );
        }
        let first = SingleSignOnPage {
            sign_in: None,
            domains: Vec::new(),
            errors: FieldErrors::default(),
            ..SingleSignOnPage::sample("", true)
        };
        assert_kept("single-sign-on-new", &first);
    }
}
