//! The pages on which an application changes: its settings, and the end of a secret.

use askama::Template;

use super::applications::{ApplicationForm, ApplicationOffer, SecretRow};
use crate::types::environment::Environment;
use crate::types::grant_types::GrantType;
use crate::web::page::{FieldErrors, OrganizationLink, Shell};

/// `POST …/applications/{id}/edit` with the fields of a new one but `environment client_type access_token_format`.
#[derive(Template)]
#[template(path = "console/application_edit.html")]
pub struct ApplicationEditPage {
    pub shell: Shell,
    pub csrf: String,
    pub organization: OrganizationLink,
    pub application_id: String,
    pub environment: Environment,
    pub form: ApplicationForm,
    pub offer: ApplicationOffer,
    pub errors: FieldErrors,
    /// The operator has checked who is behind it.
    pub verified: bool,
}

/// `POST …/applications/{id}/secrets/{secret}/revoke` with `csrf`.
#[derive(Template)]
#[template(path = "console/application_secret_revoke.html")]
pub struct ApplicationSecretRevokePage {
    pub shell: Shell,
    pub csrf: String,
    pub organization: OrganizationLink,
    pub application_id: String,
    pub name: String,
    pub environment: Environment,
    pub secret: SecretRow,
    pub action: String,
}

#[cfg(test)]
mod tests {
    use super::super::applications::samples::every_error;
    use super::*;
    use crate::web::page::Section;
    use crate::web::page::promises::assert_kept;
    use crate::web::page::samples::{RIGHT_TO_LEFT, SCRIPT, long, organization, signed_in};

    impl ApplicationEditPage {
        fn sample() -> Self {
            Self {
                shell: signed_in("Edit application", Some(Section::Applications)),
                csrf: "csrf-token".into(),
                organization: organization(),
                application_id: "app_1Abc".into(),
                environment: Environment::Production,
                form: ApplicationForm {
                    name: "Northwind CRM".into(),
                    ..ApplicationForm::default()
                },
                offer: ApplicationOffer::sample(),
                errors: FieldErrors::default(),
                verified: true,
            }
        }

        fn sample_public() -> Self {
            let form = ApplicationForm {
                client_type: "public".into(),
                ..ApplicationForm::default()
            };
            Self {
                form,
                verified: false,
                ..Self::sample()
            }
        }

        fn sample_refused(name: &str) -> Self {
            let (form, offer) = (
                ApplicationForm::sample_hostile(name),
                ApplicationOffer::sample_hostile(name),
            );
            let mut errors = every_error(name);
            errors.0.retain(|error| {
                !["environment", "client_type", "access_token_format"]
                    .contains(&error.field.as_str())
            });
            Self {
                form,
                offer,
                errors,
                ..Self::sample()
            }
        }
    }

    impl ApplicationSecretRevokePage {
        fn sample(name: &str) -> Self {
            let secret = SecretRow {
                display: "cs_cs_AbC4…".into(),
                created: "3 Oct 2026".into(),
                last_used: "20 Nov 2026, 11:58 UTC (2 minutes ago)".into(),
                revoke_href: None,
            };
            Self {
                shell: signed_in("Revoke secret", Some(Section::Applications)),
                csrf: "csrf-token".into(),
                organization: organization(),
                application_id: "app_1Abc".into(),
                name: name.into(),
                environment: Environment::Production,
                secret,
                action: "/dev-centre/org_1Acme/applications/app_1Abc/secrets/sec_1/revoke".into(),
            }
        }
    }

    #[test]
    fn the_pages_on_which_an_application_changes_keep_the_promises() {
        assert_kept("application-edit", &ApplicationEditPage::sample());
        assert_kept(
            "application-edit-public",
            &ApplicationEditPage::sample_public(),
        );
        assert_kept(
            "application-secret-revoke",
            &ApplicationSecretRevokePage::sample("Northwind CRM"),
        );
        for (kind, name) in [
            ("script", SCRIPT.to_owned()),
            ("long", long()),
            ("rtl", RIGHT_TO_LEFT.to_owned()),
        ] {
            assert_kept(
                &format!("application-edit-{kind}"),
                &ApplicationEditPage::sample_refused(&name),
            );
            assert_kept(
                &format!("application-secret-revoke-{kind}"),
                &ApplicationSecretRevokePage::sample(&name),
            );
        }
    }
}
