//! The pages of a person's own account.

use askama::Template;

use crate::web::page::Shell;

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
    pub reset_href: Option<String>,
    pub sign_up_href: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::page::promises::assert_kept;
    use crate::web::page::samples::{RIGHT_TO_LEFT, SCRIPT, long, signed_out};

    impl SignInPage {
        fn sample() -> Self {
            Self {
                shell: signed_out("Sign in"),
                csrf: "csrf-token".into(),
                email: String::new(),
                error: None,
                return_to: "/dev-centre".into(),
                on_behalf_of: None,
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
                reset_href: None,
                sign_up_href: None,
                ..Self::sample()
            }
        }
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
