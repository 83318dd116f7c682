//! The pages of initial access tokens.

use askama::Template;

use crate::types::environment::Environment;
use crate::web::page::{FieldErrors, Link, OrganizationLink, Shell};

/// `POST …/registration` with `csrf name environment max_clients expiry`.
#[derive(Template)]
#[template(path = "console/registration.html")]
pub struct RegistrationPage {
    pub shell: Shell,
    pub csrf: String,
    pub organization: OrganizationLink,
    pub registration_endpoint: String,
    pub tokens: Vec<TokenRow>,
    pub form: TokenForm,
    pub errors: FieldErrors,
    pub production_locked: Option<String>,
    pub production_unlock: Option<Link>,
}

#[derive(Debug, Clone)]
pub struct TokenRow {
    pub name: String,
    pub environment: Environment,
    /// "3 of 100".
    pub clients: String,
    pub created: String,
    /// A date, "Never", or "Expired".
    pub expires: String,
    pub last_used: String,
    /// Where to post to revoke it: `csrf`.
    pub revoke_action: String,
}

/// The text of each field, whatever it was.
#[derive(Debug, Clone)]
pub struct TokenForm {
    pub name: String,
    /// `sandbox` or `production`.
    pub environment: String,
    pub max_clients: String,
    /// `30`, `90`, `365` days, or `never`.
    pub expiry: String,
}

impl Default for TokenForm {
    fn default() -> Self {
        Self {
            name: String::new(),
            environment: "sandbox".to_owned(),
            max_clients: "100".to_owned(),
            expiry: "90".to_owned(),
        }
    }
}

/// The only page that ever shows the token. Answer it with `Cache-Control: no-store`.
#[derive(Template)]
#[template(path = "console/registration_created.html")]
pub struct TokenCreatedPage {
    pub shell: Shell,
    pub organization: OrganizationLink,
    pub name: String,
    pub environment: Environment,
    pub secret: String,
    pub registration_endpoint: String,
}

#[cfg(test)]
mod tests {
    use super::super::samples::{LOCKED, named};
    use super::*;
    use crate::web::page::Section;
    use crate::web::page::promises::assert_kept;
    use crate::web::page::samples::{RIGHT_TO_LEFT, SCRIPT, long, signed_in};

    fn page(name: &str) -> RegistrationPage {
        let row = TokenRow {
            name: name.into(),
            environment: Environment::Sandbox,
            clients: "3 of 100".into(),
            created: "3 Oct 2026".into(),
            expires: "Never".into(),
            last_used: "Today".into(),
            revoke_action: "/dev-centre/org_1Acme/registration/rgt_1/revoke".into(),
        };
        RegistrationPage {
            shell: signed_in("Registration", Some(Section::Applications)),
            csrf: "csrf-token".into(),
            organization: named(name),
            registration_endpoint: "https://api.acme.example/oauth2/register".into(),
            tokens: vec![row],
            form: TokenForm::default(),
            errors: FieldErrors::default(),
            production_locked: None,
            production_unlock: None,
        }
    }

    fn refused(name: &str) -> RegistrationPage {
        let mut errors = FieldErrors::default();
        for field in ["name", "environment", "max_clients", "expiry"] {
            errors.push(field, format!("Something is wrong here: {name}"));
        }
        let form = TokenForm {
            name: name.into(),
            max_clients: name.into(),
            ..TokenForm::default()
        };
        RegistrationPage {
            form,
            errors,
            production_locked: Some(LOCKED.into()),
            ..page(name)
        }
    }

    fn created(name: &str) -> TokenCreatedPage {
        TokenCreatedPage {
            shell: signed_in("Token created", Some(Section::Applications)),
            organization: named(name),
            name: name.into(),
            environment: Environment::Sandbox,
            secret: "cs_rg_AbC4xY9kLm2QzT7vWp1RsN5uJh8GdFe3BcXaYqZoMiKlPw".into(),
            registration_endpoint: "https://api.acme.example/oauth2/register".into(),
        }
    }

    #[test]
    fn registration_pages_keep_the_promises() {
        assert_kept("registration", &page("Deploy pipeline"));
        assert_kept(
            "registration-none",
            &RegistrationPage {
                tokens: Vec::new(),
                ..page("Acme")
            },
        );
        for (kind, name) in [
            ("script", SCRIPT.to_owned()),
            ("long", long()),
            ("rtl", RIGHT_TO_LEFT.to_owned()),
        ] {
            assert_kept(&format!("registration-{kind}"), &refused(&name));
            assert_kept(&format!("registration-created-{kind}"), &created(&name));
        }
    }
}
