//! The pages of a person's own account.

use askama::Template;

use crate::web::page::{Link, Shell};

/// `POST /login` with `csrf email password return_to`.
#[derive(Template)]
#[template(path = "account/sign_in.html")]
pub struct SignInPage {
    pub shell: Shell,
    pub csrf: String,
    /// What was typed, after a refusal.
    pub email: String,
    pub error: Option<String>,
    /// Where to go afterwards; a local path, already validated.
    pub return_to: String,
    /// The application that waits for the sign-in.
    pub on_behalf_of: Option<String>,
    /// Buttons to the providers that may vouch for the person.
    pub providers: Vec<Link>,
    pub with_password: bool,
    /// Where operators find the form that the others do not have.
    pub password_href: Option<String>,
    pub reset_href: Option<String>,
    pub sign_up_href: Option<String>,
}

/// How the person signs in, and how that can be changed: `POST /account/identity/link` and `…/unlink` with `csrf`.
#[derive(Template)]
#[template(path = "account/identity.html")]
pub struct IdentityPage {
    pub shell: Shell,
    pub csrf: String,
    /// The operator's provider, by name.
    pub provider: Option<String>,
    /// Since when it is linked.
    pub linked: Option<String>,
    pub with_password: bool,
    /// Why neither can be changed with this session.
    pub locked: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::page::promises::assert_kept;
    use crate::web::page::samples::{RIGHT_TO_LEFT, SCRIPT, long, signed_in, signed_out};

    impl SignInPage {
        fn sample() -> Self {
            Self {
                shell: signed_out("Sign in"),
                csrf: "csrf-token".into(),
                email: String::new(),
                error: None,
                return_to: "/dev-centre".into(),
                on_behalf_of: None,
                providers: vec![Link { href: "/login/oidc?return_to=%2F".into(), label: "Sign in with Acme".into() }],
                with_password: true,
                password_href: None,
                reset_href: Some("/account/reset".into()),
                sign_up_href: Some("/signup".into()),
            }
        }

        fn sample_refused(application: &str) -> Self {
            Self {
                email: SCRIPT.into(),
                error: Some("E-mail address or password is wrong.".into()),
                return_to: "/oauth2/authorize/consent?request=a&b=\"c\"".into(),
                on_behalf_of: Some(application.into()),
                providers: vec![Link { href: "/login/oidc?return_to=%2F".into(), label: application.into() }],
                reset_href: None,
                sign_up_href: None,
                ..Self::sample()
            }
        }
    }

    impl IdentityPage {
        fn sample(provider: Option<&str>, linked: Option<&str>, locked: Option<&str>) -> Self {
            Self {
                shell: signed_in("How you sign in", None),
                csrf: "csrf-token".into(),
                provider: provider.map(Into::into),
                linked: linked.map(Into::into),
                with_password: linked.is_none(),
                locked: locked.map(Into::into),
            }
        }
    }

    #[test]
    fn the_page_about_signing_in_keeps_the_promises() {
        assert_kept("identity-none", &IdentityPage::sample(None, None, None));
        for name in [SCRIPT, RIGHT_TO_LEFT, &long()] {
            assert_kept("identity-free", &IdentityPage::sample(Some(name), None, None));
            assert_kept("identity-linked", &IdentityPage::sample(Some(name), Some("31 Jan 2026"), None));
            assert_kept("identity-locked", &IdentityPage::sample(Some(name), None, Some("Not now.")));
        }
        let without = SignInPage { with_password: false, password_href: Some("/login?with=password".into()), ..SignInPage::sample() };
        assert_kept("sign-in-without-password", &without);
    }

    #[test]
    fn account_pages_keep_the_promises() {
        assert_kept("sign-in", &SignInPage::sample());
        assert_kept("sign-in-refused", &SignInPage::sample_refused("Northwind CRM"));
        for name in [SCRIPT, RIGHT_TO_LEFT, &long()] {
            assert_kept("sign-in-hostile", &SignInPage::sample_refused(name));
        }
    }
}
